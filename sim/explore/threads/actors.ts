/** Sets of actors, as the bits of a number. */
import type { Rng } from "../../rng.ts";

/** How many there are. */
export function bits(mask: number): number {
  let n = 0;
  for (let left = mask; left !== 0; left &= left - 1) n++;
  return n;
}

/** One of them by chance, each with the same. */
export function anyOf(mask: number, rng: Rng): number {
  let left = mask;
  for (let skip = rng.below(bits(mask)); skip > 0; skip--) left &= left - 1;
  return 31 - Math.clz32(left & -left);
}
