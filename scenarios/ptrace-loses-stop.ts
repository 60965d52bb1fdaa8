/**
 * A job control stop that an engine took for its own, and then a debugger too.
 *
 * Question: is a tracee that its tracer found stopped still there when the tracer comes back? Not always. The engine's
 * stop was granted because the task was in TASK_STOPPED (`stopped` set); ptrace_check_attach makes that TASK_TRACED;
 * and when the engine lets go, utrace_wakeup wakes the task, or puts it back into TASK_STOPPED.
 */

import { syscall, user_mode } from "../model/linux/entry.ts";
import { get_pid_task } from "../model/linux/pid.ts";
import { PTRACE_CONT, PTRACE_SETOPTIONS, sys_ptrace } from "../model/linux/ptrace.ts";
import { put_task_struct, schedule_timeout_interruptible, TASK_TRACED } from "../model/linux/sched.ts";
import { TASK } from "../model/linux/structs.ts";
import { utrace_control, utrace_set_events } from "../model/utrace/control.ts";
import { UTRACE_EVENT, UTRACE_STOP } from "../model/utrace/events.ts";
import { kernel as kernelFunction, load, type Ptr } from "../sim/index.ts";
import { claim } from "./programs/claims.ts";
import { conflict } from "./programs/conflict.ts";
import { makeBoard, ptracerMain, type Session, waitForStop } from "./programs/ptracer.ts";
import { execLoop, jobControl } from "./programs/target.ts";
import { detach, type Round, tracerMain, tracerMemory } from "./programs/tracer.ts";

/** Asks for a stop, and lets go again, without an interest in job control. */
const stopAndLetGo: Round = function* (target, engine) {
  yield* utrace_set_events(target, engine, UTRACE_EVENT.EXEC);
  if ((yield* utrace_control(target, engine, UTRACE_STOP)) === 0) yield* schedule_timeout_interruptible(1);
  yield* detach(target, engine);
};

/** What /proc/PID/stat says of a task. */
const proc_pid_stat = kernelFunction(function* proc_pid_stat(pid: Ptr) {
  const task = yield* get_pid_task(pid);
  if (task === 0) return TASK_TRACED;
  const state = yield* load(task, TASK.state);
  yield* put_task_struct(task);
  return state;
});

/** Looks twice at a tracee that it stopped, and lets it go on. */
const lookTwice: Session = function* (pid, board) {
  const status = { value: 0 };
  while (yield* waitForStop(board, status)) {
    yield* user_mode(50_000);
    if ((yield* syscall(sys_ptrace, PTRACE_SETOPTIONS, pid)) === 0) {
      yield* user_mode(50_000);
      const state = yield* syscall(proc_pid_stat, pid);
      yield* claim(state === TASK_TRACED, "a tracee left TASK_TRACED though its tracer had not let it go");
    }
    // A job control stop is the program's business, so that it may have it.
    yield* syscall(sys_ptrace, PTRACE_CONT, pid, status.value >> 8);
  }
};

export const ptraceLosesStop = conflict(
  "ptrace-loses-stop",
  "Does a tracee stay where its tracer found it, when an engine lets go of the same stop?",
  (kernel) => {
    const task = kernel.process({ comm: "exe", pid: 5118, subject: true }, execLoop, 1);
    const { ops, data } = tracerMemory(kernel.machine);
    const board = makeBoard(kernel.machine);
    kernel.process({ comm: "tool", pid: 5377 }, tracerMain, [kernel.getPid(task)], ops, data, 3, stopAndLetGo);
    kernel.process({ comm: "gdb", pid: 5382, subject: true }, ptracerMain, kernel.getPid(task), board, lookTwice);
    kernel.process({ comm: "kill", pid: 5391 }, jobControl, kernel.getPid(task), 1);
  },
);
