/**
 * A tracer on a process that starts a thread and execs while the thread may still live: the exec kills it and waits.
 *
 * @see kernel/utrace.c as posted, utrace_control: "exec or termination by another thread in the thread group"
 */

import { threadedExec } from "./programs/target.ts";
import { stopDetach, tracerMain, tracerMemory } from "./programs/tracer.ts";
import type { Scenario } from "./scenario.ts";
import { world } from "./world.ts";

export const threadExec: Scenario = {
  name: "thread-exec",
  title: "Does an exec in a process of two threads get along with a tracer that stops it?",
  source: "the patch itself: UTRACE_STOP against exec by another thread",
  known: ["use-after-free", "bug-on", "deadlock", "hung-task", "lock-misuse", "leak"],
  program: (parameters) =>
    world("thread-exec", parameters, (kernel) => {
      const task = kernel.process({ comm: "exe", pid: 5118, subject: true }, threadedExec);
      const { ops, data } = tracerMemory(kernel.machine);
      kernel.process({ comm: "expl_ptratt", pid: 5377 }, tracerMain, [kernel.getPid(task)], ops, data, 2, stopDetach);
    }),
};
