/**
 * A tracer that stops and resumes a task which job control stops and continues as well.
 *
 * Question: does the task always run again in the end?
 *
 * @see kernel/utrace.c as posted: utrace_do_stop, utrace_wakeup and their remarks on TASK_STOPPED
 */

import { boundTarget, boundTracer } from "./programs/small.ts";
import { execLoop, jobControl, shortLife } from "./programs/target.ts";
import { stopResumeDetach, tracerMain, tracerMemory } from "./programs/tracer.ts";
import type { Scenario } from "./scenario.ts";
import { world } from "./world.ts";

const stopResumeSmall: Scenario = {
  name: "stop-resume-small",
  title: "One tracer of one round, one stop and one continue by job control, every task bound to a CPU",
  source: "stop-resume, one round",
  known: ["use-after-free", "slab-corruption", "bug-on", "deadlock", "hung-task", "lock-misuse", "leak"],
  program: (parameters) =>
    world("stop-resume-small", parameters, (kernel) => {
      const task = boundTarget(kernel, shortLife);
      boundTracer(kernel, 5377, task, stopResumeDetach);
      const kill = kernel.process({ comm: "kill", pid: 5391 }, jobControl, kernel.getPid(task), 1);
      kernel.machine.bind(kill, 0);
    }),
};

export const stopResume: Scenario = {
  name: "stop-resume",
  title: "Does a task that is both traced and under job control always run again?",
  source: "the patch itself: utrace_stop, utrace_wakeup and SIGSTOP/SIGCONT",
  known: ["use-after-free", "slab-corruption", "bug-on", "deadlock", "hung-task", "lock-misuse", "leak"],
  small: stopResumeSmall,
  program: (parameters) =>
    world("stop-resume", parameters, (kernel) => {
      const task = kernel.process({ comm: "exe", pid: 5118, subject: true }, execLoop, 1);
      const { ops, data } = tracerMemory(kernel.machine);
      kernel.process(
        { comm: "expl_ptratt", pid: 5377 },
        tracerMain,
        [kernel.getPid(task)],
        ops,
        data,
        2,
        stopResumeDetach,
      );
      kernel.process({ comm: "kill", pid: 5391 }, jobControl, kernel.getPid(task), 1);
    }),
};
