/**
 * Examination of a stopped task, and the calls that take a pid.
 *
 * @see kernel/utrace.c as posted: utrace_prepare_examine, utrace_finish_examine, task_utrace_proc_status;
 *   include/linux/utrace.h: utrace_control_pid, utrace_set_events_pid, utrace_barrier_pid
 */
import {
  current,
  kernel,
  load,
  note,
  type Ptr,
  READ_ONCE,
  rcu_dereference,
  rcu_read_lock,
  rcu_read_unlock,
  wait_task_inactive,
} from "../../sim/index.ts";
import { EAGAIN, EINVAL, ESRCH } from "../linux/errno.ts";
import { get_task_struct, put_task_struct, TASK_RUNNING } from "../linux/sched.ts";
import { PID, TASK } from "../linux/structs.ts";
import { utrace_barrier, utrace_control, utrace_set_events } from "./control.ts";
import { engine_wants_stop } from "./engine.ts";
import { utraceGlobals } from "./globals.ts";
import type { Inline } from "./lifetime.ts";
import { UTRACE } from "./structs.ts";

/** `struct utrace_examiner`: what the two ends of an examination compare. The caller's own, as on its stack. */
export interface utrace_examiner {
  state: number;
  /** Context switches of the target so far. */
  ncsw: number;
}

/**
 * Begins to look at the registers and the like of a task that `engine` keeps stopped.
 *
 * Context: sleeps until the target is off its CPU. The caller keeps target and engine alive.
 *
 * @returns 0, also for the running task itself; -EINVAL (the engine has not asked for a stop), -ESRCH (dead),
 *   -EAGAIN (it runs, or began to).
 */
export const utrace_prepare_examine = kernel(function* utrace_prepare_examine(
  target: Ptr,
  engine: Ptr,
  exam: utrace_examiner,
) {
  yield* note("utrace_prepare_examine", engine, 0);
  const ret = yield* prepare(target, engine, exam);
  yield* note("utrace_prepare_examine returns", engine, ret);
  return ret;
});

function* prepare(target: Ptr, engine: Ptr, exam: utrace_examiner): Inline<number> {
  if (target === current()) return 0;
  let ret = 0;
  yield* rcu_read_lock();
  if (!(yield* engine_wants_stop(engine))) ret = -EINVAL;
  else if ((yield* load(target, TASK.exit_state)) !== 0) ret = -ESRCH;
  else {
    exam.state = yield* READ_ONCE(target, TASK.state);
    if (exam.state === TASK_RUNNING) ret = -EAGAIN;
    else yield* get_task_struct(target);
  }
  yield* rcu_read_unlock();
  if (ret !== 0) return ret;
  exam.ncsw = yield* wait_task_inactive(target, exam.state);
  yield* put_task_struct(target);
  return exam.ncsw === 0 ? -EAGAIN : 0;
}

/**
 * Ends what {@link utrace_prepare_examine} began.
 *
 * @returns 0 if the target has not run in between, so that what was seen holds; -EINVAL (the engine no longer keeps it
 *   stopped), -EAGAIN (it has run).
 */
export const utrace_finish_examine = kernel(function* utrace_finish_examine(
  target: Ptr,
  engine: Ptr,
  exam: utrace_examiner,
) {
  yield* note("utrace_finish_examine", engine, 0);
  const ret = yield* finish(target, engine, exam);
  yield* note("utrace_finish_examine returns", engine, ret);
  return ret;
});

function* finish(target: Ptr, engine: Ptr, exam: utrace_examiner): Inline<number> {
  if (target === current()) return 0;
  let ret = 0;
  yield* rcu_read_lock();
  if (!(yield* engine_wants_stop(engine))) ret = -EINVAL;
  else if ((yield* READ_ONCE(target, TASK.state)) !== exam.state) ret = -EAGAIN;
  else yield* get_task_struct(target);
  yield* rcu_read_unlock();
  if (ret !== 0) return ret;
  const ncsw = yield* wait_task_inactive(target, exam.state);
  yield* put_task_struct(target);
  return ncsw === exam.ncsw ? 0 : -EAGAIN;
}

/**
 * `pid_task(pid, PIDTYPE_PID)`. BUG(kernel): the callers below take no RCU read section for it, so the task may be freed
 * before they look at it; get_utrace_lock, which does not touch it unless the engine is attached, makes up for that.
 */
const pid_task = (pid: Ptr) => rcu_dereference(pid, PID.task);

/** As utrace_control, for the task that `pid` names; -ESRCH if it has been reaped. */
export function* utrace_control_pid(pid: Ptr, engine: Ptr, action: number) {
  const task = yield* pid_task(pid);
  return task === 0 ? -ESRCH : yield* utrace_control(task, engine, action);
}

/** As utrace_set_events, for the task that `pid` names; -ESRCH if it has been reaped. */
export function* utrace_set_events_pid(pid: Ptr, engine: Ptr, events: number) {
  const task = yield* pid_task(pid);
  return task === 0 ? -ESRCH : yield* utrace_set_events(task, engine, events);
}

/** As utrace_barrier, for the task that `pid` names; -ESRCH if it has been reaped. */
export function* utrace_barrier_pid(pid: Ptr, engine: Ptr) {
  const task = yield* pid_task(pid);
  return task === 0 ? -ESRCH : yield* utrace_barrier(task, engine);
}

/** The line of /proc/PID/status, "" for a task without struct utrace. In an RCU read section. */
export const task_utrace_proc_status = kernel(function* task_utrace_proc_status(p: Ptr) {
  const { lifetime } = utraceGlobals();
  const utrace = yield* lifetime.task_utrace_struct(p);
  if (utrace === 0) return "";
  const flags = yield* load(p, TASK.utrace_flags);
  const stopped = (yield* lifetime.peek(utrace, UTRACE.stopped)) !== 0 ? " (stopped)" : "";
  const report = (yield* lifetime.peek(utrace, UTRACE.report)) !== 0 ? " (report)" : "";
  const interrupt = (yield* lifetime.peek(utrace, UTRACE.interrupt)) !== 0 ? " (interrupt)" : "";
  return `Utrace: ${flags.toString(16)}${stopped}${report}${interrupt}\n`;
});
