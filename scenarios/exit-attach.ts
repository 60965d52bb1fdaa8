/**
 * Attaching to a task that exits.
 *
 * Question: does the handshake of first attach and release_task (EXIT_DEAD, barrier, pointer) hold, and does every
 * engine come to an end?
 *
 * @see Peter Zijlstra, 2008-10-06: "utrace_release_task() seems to be missing rcu_read_lock"
 */

import { boundTarget, boundTracer } from "./programs/small.ts";
import { shortLife } from "./programs/target.ts";
import { justDetach, tracerMain, tracerMemory, watchDeath } from "./programs/tracer.ts";
import type { Scenario } from "./scenario.ts";
import { world } from "./world.ts";

const exitAttachSmall: Scenario = {
  name: "exit-attach-small",
  title: "Two tracers of one round each on a task that exits, every task bound to a CPU",
  source: "exit-attach, one round each",
  known: ["use-after-free", "leak"],
  program: (parameters) =>
    world("exit-attach-small", parameters, (kernel) => {
      const task = boundTarget(kernel, shortLife);
      boundTracer(kernel, 5377, task, justDetach);
      boundTracer(kernel, 5382, task, watchDeath);
    }),
};

export const exitAttach: Scenario = {
  name: "exit-attach",
  title: "Does every attach to an exiting task either fail or get its reap?",
  source: "Peter Zijlstra, 2008-10-06: utrace_release_task() and the first attach",
  known: ["use-after-free", "leak"],
  small: exitAttachSmall,
  program: (parameters) =>
    world("exit-attach", parameters, (kernel) => {
      const task = kernel.process({ comm: "exe", pid: 5118, subject: true }, shortLife);
      for (const [pid, round] of [
        [5377, justDetach],
        [5382, watchDeath],
      ] as const) {
        const { ops, data } = tracerMemory(kernel.machine);
        kernel.process({ comm: "expl_ptratt", pid }, tracerMain, [kernel.getPid(task)], ops, data, 2, round);
      }
    }),
};
