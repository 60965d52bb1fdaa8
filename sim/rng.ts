/** The only source of chance: seedrandom. */
import seedrandom from "seedrandom";

/** A generator of 32-bit integers that depends on the seed text alone. */
export interface Rng {
  /** A uniformly distributed integer in [0, n), for n below 2^31. */
  below(n: number): number;
  /** A number in [0, 1). */
  fraction(): number;
}

/** The generator for a seed: alea, whose state is small and whose steps are fast. */
export function makeRng(seed: string): Rng {
  const source = seedrandom.alea(seed);
  return {
    below: (n) => (source.int32() >>> 0) % n,
    fraction: () => source.quick(),
  };
}
