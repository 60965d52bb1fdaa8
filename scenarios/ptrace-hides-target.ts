/**
 * An engine that asks for a stop of a task which is in a stop of ptrace's.
 *
 * Question: is it told that the task is stopped? It is told -EINPROGRESS, and that a report will come; that comes when
 * the debugger lets the task go, which may be never. Yet utrace_prepare_examine finds the task stopped.
 */

import { syscall } from "../model/linux/entry.ts";
import { EINPROGRESS } from "../model/linux/errno.ts";
import { PTRACE_CONT, sys_ptrace } from "../model/linux/ptrace.ts";
import { schedule_timeout_interruptible } from "../model/linux/sched.ts";
import { utrace_control, utrace_set_events } from "../model/utrace/control.ts";
import { UTRACE_STOP } from "../model/utrace/events.ts";
import { utrace_prepare_examine } from "../model/utrace/examine.ts";
import { READ_ONCE } from "../sim/index.ts";
import { claim } from "./programs/claims.ts";
import { conflict } from "./programs/conflict.ts";
import { makeBoard, ptracerMain, type Session, waitForStop as waitForPtraceStop } from "./programs/ptracer.ts";
import { execLoop } from "./programs/target.ts";
import { detach, type Round, TRACER, TRACER_EVENTS, tracerMain, tracerMemory, waitForStop } from "./programs/tracer.ts";

/** Asks for a stop and waits for the report; if none comes, looks whether the task is stopped all the same. */
const stopAndExamine: Round = function* (target, engine, data) {
  yield* utrace_set_events(target, engine, TRACER_EVENTS);
  if ((yield* utrace_control(target, engine, UTRACE_STOP)) === -EINPROGRESS) {
    yield* waitForStop(data);
    const examined = yield* utrace_prepare_examine(target, engine, { state: 0, ncsw: 0 });
    const reported = (yield* READ_ONCE(data, TRACER.stopped)) !== 0;
    yield* claim(
      reported || examined !== 0,
      "a stopped task counts as running, and the report that was promised waits",
    );
  }
  yield* detach(target, engine);
};

/** Keeps the tracee stopped for a while each time. */
const slow: Session = function* (pid, board) {
  const status = { value: 0 };
  while (yield* waitForPtraceStop(board, status)) {
    yield* syscall(schedule_timeout_interruptible, 4);
    yield* syscall(sys_ptrace, PTRACE_CONT, pid);
  }
};

export const ptraceHidesTarget = conflict(
  "ptrace-hides-target",
  "Is an engine told that its target is stopped, when it is ptrace that stopped it?",
  (kernel) => {
    const task = kernel.process({ comm: "exe", pid: 5118, subject: true }, execLoop, 1);
    const { ops, data } = tracerMemory(kernel.machine);
    const board = makeBoard(kernel.machine);
    kernel.process({ comm: "gdb", pid: 5382, subject: true }, ptracerMain, kernel.getPid(task), board, slow);
    kernel.process({ comm: "tool", pid: 5377 }, tracerMain, [kernel.getPid(task)], ops, data, 1, stopAndExamine);
  },
);
