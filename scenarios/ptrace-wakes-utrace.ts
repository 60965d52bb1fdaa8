/**
 * A debugger that uses ptrace on a task which an engine has stopped.
 *
 * Question: does a stop of utrace's hold against PTRACE_CONT? It does not: ptrace takes every TASK_TRACED for its own
 * and wakes it. `stopped` is still set then, so that utrace_stop believes in a SIGKILL that is not there.
 */

import { syscall, user_mode } from "../model/linux/entry.ts";
import { PTRACE_CONT, sys_ptrace } from "../model/linux/ptrace.ts";
import { conflict } from "./programs/conflict.ts";
import { makeBoard, ptracerMain, type Session } from "./programs/ptracer.ts";
import { execLoop } from "./programs/target.ts";
import { stopDetach, tracerMain, tracerMemory } from "./programs/tracer.ts";

/** Lets the tracee go on without having been told that it stopped. */
const impatient: Session = function* (pid) {
  for (let i = 0; i < 4; i++) {
    yield* user_mode(40_000);
    yield* syscall(sys_ptrace, PTRACE_CONT, pid);
  }
};

export const ptraceWakesUtrace = conflict(
  "ptrace-wakes-utrace",
  "Does a stop that an engine asked for hold against PTRACE_CONT?",
  (kernel) => {
    const task = kernel.process({ comm: "exe", pid: 5118, subject: true }, execLoop, 1);
    const { ops, data } = tracerMemory(kernel.machine);
    const board = makeBoard(kernel.machine);
    kernel.process({ comm: "tool", pid: 5377 }, tracerMain, [kernel.getPid(task)], ops, data, 2, stopDetach);
    kernel.process({ comm: "gdb", pid: 5382, subject: true }, ptracerMain, kernel.getPid(task), board, impatient);
  },
);
