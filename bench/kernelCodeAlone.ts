/**
 * The kernel code of real runs, resumed with the results it had, and nothing else: no op is performed, no event chosen.
 * What a machine would cost that does its work in no time.
 */
import { makeStrategy } from "../sim/hunt.ts";
import { Machine } from "../sim/machine.ts";
import type { Program } from "../sim/run.ts";

/** Which context was resumed with what, in order. */
interface Resumption {
  readonly context: number;
  readonly result: unknown;
}

/** Records the resumptions of one run. Softirqs are left out: they begin where an op has put them. */
function record(program: Program, seed: string): { resumptions: Resumption[]; steps: number } {
  const machine = new Machine(program.options);
  const resumptions: Resumption[] = [];
  program.setup(machine);
  machine.boot();
  const resume = machine.resume.bind(machine);
  machine.resume = (context, result) => {
    if (!context.softirq) resumptions.push({ context: context.index, result });
    resume(context, result);
  };
  const strategy = makeStrategy("random", seed);
  while (!machine.stopped && machine.collect() > 0) machine.apply(strategy.pick(machine));
  const { steps } = machine;
  machine.release();
  return { resumptions, steps };
}

/** @returns a round of the measurement: it gives the number of steps that the runs had. */
export function kernelCodeAlone(program: Program, runs: number): () => number {
  const recorded = Array.from({ length: runs }, (_, i) => record(program, `alone/${i}`));
  return () => {
    let steps = 0;
    for (const run of recorded) {
      const machine = new Machine(program.options);
      program.setup(machine);
      for (const { context, result } of run.resumptions) {
        const resumed = machine.contexts[context];
        if (resumed !== undefined) machine.resume(resumed, result);
      }
      machine.release();
      steps += run.steps;
    }
    return steps;
  };
}
