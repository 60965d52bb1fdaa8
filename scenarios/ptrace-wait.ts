/**
 * A debugger that attaches to a task which an engine has stopped.
 *
 * Question: does wait4 tell it that its tracee is stopped? ptrace thinks so and does all that it is asked for; but a task
 * in utrace_stop has no exit_code, by which wait_task_stopped knows that there is something to tell.
 */

import { syscall } from "../model/linux/entry.ts";
import { do_wait, WNOHANG } from "../model/linux/exit.ts";
import { PTRACE_CONT, PTRACE_SETOPTIONS, sys_ptrace } from "../model/linux/ptrace.ts";
import { schedule_timeout_interruptible } from "../model/linux/sched.ts";
import { claim } from "./programs/claims.ts";
import { conflict } from "./programs/conflict.ts";
import { isStop, makeBoard, ptracerMain, type Session } from "./programs/ptracer.ts";
import { execLoop } from "./programs/target.ts";
import { stopResumeDetach, tracerMain, tracerMemory } from "./programs/tracer.ts";

/** Asks now and then, and compares what ptrace and wait say. */
const compares: Session = function* (pid) {
  const status = { value: 0 };
  for (let i = 0; i < 4; i++) {
    yield* syscall(schedule_timeout_interruptible, 1);
    const stopped = (yield* syscall(sys_ptrace, PTRACE_SETOPTIONS, pid)) === 0;
    const told = (yield* syscall(do_wait, WNOHANG, status)) as number;
    if (told < 0 || (told > 0 && !isStop(status.value))) return;
    yield* claim(!stopped || told > 0, "ptrace works on a stopped tracee of which wait4 does not tell");
    if (told > 0) yield* syscall(sys_ptrace, PTRACE_CONT, pid);
  }
};

export const ptraceWait = conflict(
  "ptrace-wait",
  "Does wait4 tell a debugger that its tracee is stopped, when it is an engine that stopped it?",
  (kernel) => {
    const task = kernel.process({ comm: "exe", pid: 5118, subject: true }, execLoop, 1);
    const { ops, data } = tracerMemory(kernel.machine);
    const board = makeBoard(kernel.machine);
    kernel.process({ comm: "tool", pid: 5377 }, tracerMain, [kernel.getPid(task)], ops, data, 2, stopResumeDetach);
    kernel.process({ comm: "gdb", pid: 5382, subject: true }, ptracerMain, kernel.getPid(task), board, compares);
  },
);
