/** Generators nested `depth` deep with `yield*`, resumed `steps` times: what every design of this kind has to pay. */

function* leaf(steps: number): Generator<number, number, number> {
  let sum = 0;
  for (let i = 0; i < steps; i++) sum += yield i;
  return sum;
}

function* nested(depth: number, steps: number): Generator<number, number, number> {
  return depth <= 1 ? yield* leaf(steps) : yield* nested(depth - 1, steps);
}

/** @returns the number of resumptions made. */
export function bareGenerators(depth: number, steps: number): number {
  const generator = nested(depth, steps);
  let resumed = 0;
  for (let next = generator.next(); next.done !== true; next = generator.next(resumed & 7)) resumed++;
  return resumed;
}
