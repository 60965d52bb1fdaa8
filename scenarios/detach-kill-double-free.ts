/**
 * A task stopped at a system call is detached while a SIGKILL wakes it; then its tracer attaches to others.
 *
 * Question: can two parties both conclude that struct utrace is theirs to free? Under the rule of the prototype yes: the
 * detach, because it took the last engine off, and the task, which runs its engines once more when the kill wakes it and
 * finds none left. What is seen of it depends on the config: check_dead (UTRACE_DEBUG), SLUB's "Object already free"
 * (SLUB_DEBUG), or, with neither, the same object handed out to two of the others.
 *
 * @see Alexey Dobriyan, 2008-08-26 15:55: "that struct utrace double-free was P_I_T_A to debug"; check_dead, which the
 *   posted code still has, is from then
 */

import type { Ptr } from "../sim/index.ts";
import { boundKiller, boundTarget, boundTracer } from "./programs/small.ts";
import { pausing, spinner, syscallLoop } from "./programs/target.ts";
import { killAtStop, stopAtSyscallDetach, syscall_tracer_ops, tracerMemory, tracerOfMany } from "./programs/tracer.ts";
import type { Scenario } from "./scenario.ts";
import { world } from "./world.ts";

const detachKillDoubleFreeSmall: Scenario = {
  name: "detach-kill-double-free-small",
  title: "One tracer that detaches at a system call, and one kill, every task bound to a CPU",
  source: "detach-kill-double-free, without the tasks that the freed struct is handed out to",
  known: [
    "use-after-free",
    "double-free",
    "slab-corruption",
    "paging-fault",
    "bug-on",
    "lock-misuse",
    "leak",
    "spec-divergence",
  ],
  program: (parameters) =>
    world("detach-kill-double-free-small", parameters, (kernel) => {
      const task = boundTarget(kernel, syscallLoop, 1);
      boundTracer(kernel, 5377, task, stopAtSyscallDetach, syscall_tracer_ops);
      boundKiller(kernel, task);
    }),
};

export const detachKillDoubleFree: Scenario = {
  name: "detach-kill-double-free",
  title: "Can a detach and the task that a SIGKILL wakes both free the same struct utrace?",
  source:
    "Alexey Dobriyan, 2008-08-26 15:55: that struct utrace double-free; check_dead of the posted code is from then",
  known: [
    "use-after-free",
    "double-free",
    "slab-corruption",
    "paging-fault",
    "bug-on",
    "lock-misuse",
    "leak",
    "spec-divergence",
  ],
  small: detachKillDoubleFreeSmall,
  program: (parameters) =>
    world("detach-kill-double-free", parameters, (kernel) => {
      const target = kernel.process({ comm: "exe", pid: 5118, subject: true }, syscallLoop, 40);
      const others: Ptr[] = [];
      for (let i = 0; i < 2; i++) others.push(kernel.process({ comm: "sh", pid: 5001 + i, subject: true }, pausing));
      // Two who only want to run: whoever is woken has to wait for a CPU.
      for (let i = 0; i < 2; i++) kernel.process({ comm: "bash", pid: 5011 + i }, spinner, 100);
      const { ops, data } = tracerMemory(kernel.machine, syscall_tracer_ops);
      const pids: [Ptr, ...Ptr[]] = [kernel.getPid(target), ...others.map((task) => kernel.getPid(task))];
      kernel.process({ comm: "expl_ptratt", pid: 5377 }, tracerOfMany, pids, ops, data, stopAtSyscallDetach);
      kernel.process({ comm: "killall", pid: 5390 }, killAtStop, kernel.getPid(target), data);
    }),
};
