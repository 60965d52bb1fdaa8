/**
 * Detaching from a task that its parent is reaping.
 *
 * Question: who frees struct utrace when the last detach and release_task meet? As posted, sometimes nobody: the
 * detach leaves it to release_task because that took the pointer, and release_task leaves it to the detach because the
 * list is empty.
 *
 * @see kernel/utrace.c as posted, the end of utrace_reset and utrace_release_task
 */

import { boundTarget, boundTracer } from "./programs/small.ts";
import { shortLife } from "./programs/target.ts";
import { tracerMain, tracerMemory, watchDeath } from "./programs/tracer.ts";
import type { Scenario } from "./scenario.ts";
import { world } from "./world.ts";

const reapDetachSmall: Scenario = {
  name: "reap-detach-small",
  title: "One tracer of one round on a task that exits, every task bound to a CPU",
  source: "reap-detach, one round",
  known: ["leak"],
  program: (parameters) =>
    world("reap-detach-small", parameters, (kernel) => {
      boundTracer(kernel, 5377, boundTarget(kernel, shortLife), watchDeath);
    }),
};

export const reapDetach: Scenario = {
  name: "reap-detach",
  title: "Is struct utrace freed exactly once when the last detach meets the reap?",
  source: "the patch itself: utrace_reset against utrace_release_task",
  known: ["leak"],
  small: reapDetachSmall,
  program: (parameters) =>
    world("reap-detach", parameters, (kernel) => {
      const task = kernel.process({ comm: "exe", pid: 5118, subject: true }, shortLife);
      const { ops, data } = tracerMemory(kernel.machine);
      kernel.process({ comm: "expl_ptratt", pid: 5377 }, tracerMain, [kernel.getPid(task)], ops, data, 3, watchDeath);
    }),
};
