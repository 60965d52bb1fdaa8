/** Threads that each add to one counter, without a lock; the program of `explore-by-workers.ts`. */
import { increment, type ThreadProgram, threadProgram } from "../sim/index.ts";

/** @returns the program with so many threads that add `times` times each. */
export const increments = (threads: number, times: number): ThreadProgram =>
  threadProgram(`${threads} threads, ${times} increments`, (world) => {
    const count = world.variable("count");
    for (let i = 0; i < threads; i++) {
      world.thread(`thread${i}`, function* () {
        for (let k = 0; k < times; k++) yield* increment(count);
      });
    }
  });
