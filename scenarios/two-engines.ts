/**
 * Two debuggers on one task: one stops it and detaches, the other stops it and lets it run.
 *
 * Question: does a task that one engine has let go stay stopped for the other, and run when both have?
 *
 * @see the cover letter, 2008-08-26: "multiple separate tracing engines to work in parallel without interfering"
 */

import { boundTarget, boundTracer } from "./programs/small.ts";
import { execLoop, shortLife } from "./programs/target.ts";
import { stopDetach, stopDetachEvenly, stopResumeDetach, tracerMain, tracerMemory } from "./programs/tracer.ts";
import type { Scenario } from "./scenario.ts";
import { world } from "./world.ts";

const twoEnginesSmall: Scenario = {
  name: "two-engines-small",
  title: "Two tracers of one round each, one of which lets its target run again, every task bound to a CPU",
  source: "two-engines, one round each",
  known: ["use-after-free", "slab-corruption", "bug-on", "deadlock", "hung-task", "lock-misuse", "leak"],
  program: (parameters) =>
    world("two-engines-small", parameters, (kernel) => {
      const task = boundTarget(kernel, shortLife);
      boundTracer(kernel, 5377, task, stopDetachEvenly);
      boundTracer(kernel, 5382, task, stopResumeDetach);
    }),
};

export const twoEngines: Scenario = {
  name: "two-engines",
  title: "Do two engines on one task stop and release it without disturbing each other?",
  source: "Roland McGrath, 2008-08-26 15:01: several engines in parallel without interfering with each other",
  known: ["use-after-free", "slab-corruption", "bug-on", "deadlock", "hung-task", "lock-misuse", "leak"],
  small: twoEnginesSmall,
  program: (parameters) =>
    world("two-engines", parameters, (kernel) => {
      const task = kernel.process({ comm: "exe", pid: 5118, subject: true }, execLoop, 1);
      for (const [pid, round] of [
        [5377, stopDetach],
        [5382, stopResumeDetach],
      ] as const) {
        const { ops, data } = tracerMemory(kernel.machine);
        kernel.process({ comm: "expl_ptratt", pid }, tracerMain, [kernel.getPid(task)], ops, data, 2, round);
      }
    }),
};
