/**
 * An engine that wants to see signals, on a task that is being debugged.
 *
 * Question: is the debugger still asked about every signal? Not one: with any bit for signals in task->utrace_flags it
 * is utrace_get_signal that takes the signal off the queue, and ptrace_signal is never called.
 */

import { syscall } from "../model/linux/entry.ts";
import { PTRACE_CONT, sys_ptrace } from "../model/linux/ptrace.ts";
import { schedule_timeout_interruptible } from "../model/linux/sched.ts";
import { actionOf, kill_pid_info, SIGUSR1 } from "../model/linux/signal.ts";
import { k_sigaction, TASK } from "../model/linux/structs.ts";
import { utrace_set_events } from "../model/utrace/control.ts";
import { conflict } from "./programs/conflict.ts";
import { handlesSignal } from "./programs/debugged.ts";
import { arm, isStop, makeBoard, ptracerMain, type Session, waitForStop } from "./programs/ptracer.ts";
import { detach, type Round, TRACER_EVENTS, tracerMain, tracerMemory } from "./programs/tracer.ts";

/** Where the program's handler would be. */
const HANDLER = 0x400000;

/** Wants to see signals for a while, and lets them all pass. */
const watchSignals: Round = function* (target, engine) {
  yield* utrace_set_events(target, engine, TRACER_EVENTS);
  for (let i = 0; i < 4; i++) yield* schedule_timeout_interruptible(1);
  yield* detach(target, engine);
};

/** Sends its tracee a signal, and hands on to it what it is asked about. */
const sendsSignal: Session = function* (pid, board) {
  const status = { value: 0 };
  if (!(yield* waitForStop(board, status))) return;
  yield* syscall(sys_ptrace, PTRACE_CONT, pid);
  yield* arm(board);
  yield* syscall(kill_pid_info, SIGUSR1, pid);
  while (yield* waitForStop(board, status)) {
    const sig = isStop(status.value) ? status.value >> 8 : 0;
    yield* syscall(sys_ptrace, PTRACE_CONT, pid, sig === SIGUSR1 ? sig : 0);
  }
};

export const ptraceSignals = conflict(
  "ptrace-signals",
  "Is a debugger asked about every signal, while an engine wants to see signals too?",
  (kernel) => {
    const { machine } = kernel;
    const board = makeBoard(machine);
    const task = kernel.process({ comm: "exe", pid: 5118, subject: true }, handlesSignal, board, SIGUSR1);
    machine.poke(actionOf(machine.peek(task, TASK.sighand), SIGUSR1), k_sigaction.fields.sa_handler, HANDLER);
    const { ops, data } = tracerMemory(machine);
    kernel.process({ comm: "tool", pid: 5377 }, tracerMain, [kernel.getPid(task)], ops, data, 1, watchSignals);
    kernel.process({ comm: "gdb", pid: 5382, subject: true }, ptracerMain, kernel.getPid(task), board, sendsSignal);
  },
);
