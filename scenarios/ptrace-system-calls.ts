/**
 * TIF_SYSCALL_TRACE is one flag for two tracers.
 *
 * Question: does each see the system calls that it asked for? PTRACE_CONT and a detach of ptrace's clear the flag though
 * an engine wants system calls, and nothing sets it again while task->utrace_flags has the bits; and utrace_reset clears
 * it when no engine wants them, though a debugger does.
 */

import { syscall, user_mode } from "../model/linux/entry.ts";
import { IS_ERR } from "../model/linux/errno.ts";
import { get_pid_task, put_pid } from "../model/linux/pid.ts";
import { PTRACE_CONT, PTRACE_SYSCALL } from "../model/linux/ptrace.ts";
import { put_task_struct, schedule_timeout_interruptible } from "../model/linux/sched.ts";
import { utrace_attach_task } from "../model/utrace/attach.ts";
import { utrace_control, utrace_set_events } from "../model/utrace/control.ts";
import { placeOps, type utrace_engine_ops, utrace_engine_put } from "../model/utrace/engine.ts";
import {
  UTRACE_ATTACH_CREATE,
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_REPORT,
  UTRACE_RESUME,
  UTRACE_SYSCALL_RUN,
} from "../model/utrace/events.ts";
import { ENGINE } from "../model/utrace/structs.ts";
import { kernel as kernelFunction, load, type Ptr } from "../sim/index.ts";
import { conflict } from "./programs/conflict.ts";
import { systemCalls } from "./programs/debugged.ts";
import { arm, countStop, disarm, makeBoard, ptracerMain, resumingSession } from "./programs/ptracer.ts";
import { detach, type Round, TRACER_EVENTS, tracerMain, tracerMemory } from "./programs/tracer.ts";

const counting_ops: utrace_engine_ops = {
  report_syscall_entry: kernelFunction(function* counting_syscall_entry(_action: number, engine: Ptr, _task: Ptr) {
    yield* countStop(yield* load(engine, ENGINE.data));
    return UTRACE_SYSCALL_RUN | UTRACE_RESUME;
  }),
};

/** Counts the system calls of a task for a while. */
const counter = kernelFunction(function* counter(pid: Ptr, ops: Ptr, board: Ptr) {
  const target = yield* get_pid_task(pid);
  if (target === 0) return;
  const engine = yield* utrace_attach_task(target, UTRACE_ATTACH_CREATE, ops, board);
  if (!IS_ERR(engine)) {
    if ((yield* utrace_set_events(target, engine, UTRACE_EVENT.SYSCALL_ENTRY)) === 0) yield* arm(board);
    for (let i = 0; i < 4; i++) yield* schedule_timeout_interruptible(1);
    yield* disarm(board);
    yield* utrace_control(target, engine, UTRACE_DETACH);
    yield* utrace_engine_put(engine);
  }
  yield* put_task_struct(target);
});

/** The tool's main. Owns a reference to the pid. */
const counterMain = kernelFunction(function* counter_main(pid: Ptr, ops: Ptr, board: Ptr) {
  yield* user_mode(20_000);
  yield* syscall(counter, pid, ops, board);
  yield* put_pid(pid);
});

/** Wants a report, and nothing of system calls. */
const askForReport: Round = function* (target, engine) {
  yield* utrace_set_events(target, engine, TRACER_EVENTS);
  yield* utrace_control(target, engine, UTRACE_REPORT);
  yield* detach(target, engine);
};

export const ptraceClearsSystemCalls = conflict(
  "ptrace-clears-system-calls",
  "Does an engine that counts system calls see them all, while a debugger lets the task go on with PTRACE_CONT?",
  (kernel) => {
    const { machine } = kernel;
    const counts = makeBoard(machine);
    const lost = "a system call that an engine asked to see was not reported";
    const task = kernel.process({ comm: "exe", pid: 5118, subject: true }, systemCalls, counts, 6, lost);
    const session = resumingSession(PTRACE_CONT);
    const ops = placeOps(machine, counting_ops);
    kernel.process({ comm: "counter", pid: 5377 }, counterMain, kernel.getPid(task), ops, counts);
    kernel.process(
      { comm: "gdb", pid: 5382, subject: true },
      ptracerMain,
      kernel.getPid(task),
      makeBoard(machine),
      session,
    );
  },
);

export const utraceClearsSystemCalls = conflict(
  "utrace-clears-system-calls",
  "Does strace see every system call, while engines come and go?",
  (kernel) => {
    const { machine } = kernel;
    const board = makeBoard(machine);
    const lost = "a tracer's system call stop was lost";
    const task = kernel.process({ comm: "exe", pid: 5118, subject: true }, systemCalls, board, 4, lost);
    const { ops, data } = tracerMemory(machine);
    const session = resumingSession(PTRACE_SYSCALL);
    kernel.process({ comm: "tool", pid: 5377 }, tracerMain, [kernel.getPid(task)], ops, data, 2, askForReport);
    kernel.process({ comm: "strace", pid: 5382, subject: true }, ptracerMain, kernel.getPid(task), board, session);
  },
);
