/**
 * A tracer on a process that starts a thread and execs while the thread may still live: the exec kills it and waits.
 *
 * @see kernel/utrace.c as posted, utrace_control: "exec or termination by another thread in the thread group"
 */

import { boundTarget, boundTracer } from "./programs/small.ts";
import { threadedExec } from "./programs/target.ts";
import { stopDetach, stopDetachEvenly, tracerMain, tracerMemory } from "./programs/tracer.ts";
import type { Scenario } from "./scenario.ts";
import { world } from "./world.ts";

const threadExecSmall: Scenario = {
  name: "thread-exec-small",
  title: "One tracer of one round on a process that starts a thread and execs, all but the thread bound to a CPU",
  source: "thread-exec, one round",
  known: ["use-after-free", "bug-on", "deadlock", "hung-task", "lock-misuse", "leak"],
  program: (parameters) =>
    world("thread-exec-small", parameters, (kernel) => {
      boundTracer(kernel, 5377, boundTarget(kernel, threadedExec), stopDetachEvenly);
    }),
};

export const threadExec: Scenario = {
  name: "thread-exec",
  title: "Does an exec in a process of two threads get along with a tracer that stops it?",
  source: "the patch itself: UTRACE_STOP against exec by another thread",
  known: ["use-after-free", "bug-on", "deadlock", "hung-task", "lock-misuse", "leak"],
  small: threadExecSmall,
  program: (parameters) =>
    world("thread-exec", parameters, (kernel) => {
      const task = kernel.process({ comm: "exe", pid: 5118, subject: true }, threadedExec);
      const { ops, data } = tracerMemory(kernel.machine);
      kernel.process({ comm: "expl_ptratt", pid: 5377 }, tracerMain, [kernel.getPid(task)], ops, data, 2, stopDetach);
    }),
};
