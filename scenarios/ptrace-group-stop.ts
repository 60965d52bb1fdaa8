/**
 * A thread that stops for an engine and for a debugger in the middle of a group stop.
 *
 * Question: does a group stop stop all? Each stop in TASK_TRACED counts the thread as stopped once more, and one that
 * was in TASK_TRACED when the stop began was not counted at all; so the count runs out before all have stopped.
 */

import { PTRACE_SYSCALL } from "../model/linux/ptrace.ts";
import { schedule_timeout_interruptible } from "../model/linux/sched.ts";
import { utrace_control, utrace_set_events } from "../model/utrace/control.ts";
import { placeOps, type utrace_engine_ops } from "../model/utrace/engine.ts";
import { UTRACE_EVENT, UTRACE_RESUME, UTRACE_STOP, UTRACE_SYSCALL_RUN } from "../model/utrace/events.ts";
import { kernel as kernelFunction, type Ptr } from "../sim/index.ts";
import { conflict } from "./programs/conflict.ts";
import { threadsUnderJobControl } from "./programs/debugged.ts";
import { makeBoard, ptracerMain, resumingSession } from "./programs/ptracer.ts";
import { continues } from "./programs/target.ts";
import { announce, detach, type Round, tracerMain, tracerMemory } from "./programs/tracer.ts";

const stopping_ops: utrace_engine_ops = {
  report_syscall_entry: kernelFunction(function* stopping_syscall_entry(_action: number, engine: Ptr, _task: Ptr) {
    yield* announce(engine);
    return UTRACE_SYSCALL_RUN | UTRACE_STOP;
  }),
};

/** Stops the task at the entry of each system call, for a tick. */
const stopAtCalls: Round = function* (target, engine) {
  if ((yield* utrace_set_events(target, engine, UTRACE_EVENT.SYSCALL_ENTRY)) !== 0) return;
  for (let i = 0; i < 4; i++) {
    yield* schedule_timeout_interruptible(1);
    yield* utrace_control(target, engine, UTRACE_RESUME);
  }
  yield* detach(target, engine);
};

export const ptraceGroupStop = conflict(
  "ptrace-group-stop",
  "Does a group stop stop all threads, when one of them stops for an engine and for a debugger meanwhile?",
  (kernel) => {
    const { machine } = kernel;
    const task = kernel.process({ comm: "exe", pid: 5118, subject: true }, threadsUnderJobControl);
    const ops = placeOps(machine, stopping_ops);
    const { data } = tracerMemory(machine);
    const session = resumingSession(PTRACE_SYSCALL);
    kernel.process({ comm: "tool", pid: 5377 }, tracerMain, [kernel.getPid(task)], ops, data, 1, stopAtCalls);
    kernel.process(
      { comm: "strace", pid: 5382, subject: true },
      ptracerMain,
      kernel.getPid(task),
      makeBoard(machine),
      session,
    );
    kernel.process({ comm: "kill", pid: 5391 }, continues, kernel.getPid(task), 4);
  },
);
