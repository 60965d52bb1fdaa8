/**
 * The reporting passes: how the running task tells its engines of an event.
 *
 * All of it runs in the traced task, without locks, over the `attached` list, which nobody else changes meanwhile.
 *
 * @see kernel/utrace.c as posted: start_report, start_callback, finish_callback, finish_report, utrace_report_*
 */
import {
  assign_bits,
  BUG_ON,
  cond_resched,
  current,
  kernel,
  load,
  local_irq_enable,
  note,
  type Ptr,
  READ_ONCE,
  ref,
  smp_mb,
  smp_rmb,
  spin_lock,
  spin_unlock,
  store,
} from "../../sim/index.ts";
import { list_entry } from "../linux/list.ts";
import {
  __set_current_state,
  set_tsk_thread_flag,
  signal_pending,
  TASK_STOPPED,
  TIF_NOTIFY_RESUME,
  TIF_SIGPENDING,
  task_is_stopped,
} from "../linux/sched.ts";
import {
  CLD_CONTINUED,
  CLD_STOPPED,
  lock_siglock_irq,
  lockedRecalcSigpending,
  SIGNAL_STOP_STOPPED,
  unlock_siglock_irq,
} from "../linux/signal.ts";
import { SIGNAL, TASK } from "../linux/structs.ts";
import { splice_attaching, user_disable_single_step, user_enable_single_step, utrace_reset } from "./control.ts";
import { utrace_reap } from "./death.ts";
import {
  type CallbackName,
  callbackBegins,
  callbackEnds,
  callbackToCall,
  clear_engine_wants_stop,
  engine_wants_stop,
  isDetached,
  mark_engine_wants_stop,
  type utrace_engine_ops,
} from "./engine.ts";
import {
  ENGINE_STOP,
  UTRACE_BLOCKSTEP,
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_INTERRUPT,
  UTRACE_REPORT,
  UTRACE_RESUME,
  UTRACE_RESUME_MASK,
  UTRACE_SINGLESTEP,
  UTRACE_STOP,
  UTRACE_SYSCALL_ABORT,
  utrace_resume_action,
} from "./events.ts";
import { patched, utraceGlobals } from "./globals.ts";
import type { Inline } from "./lifetime.ts";
import { utrace_stop } from "./stop.ts";
import { ENGINE, UTRACE } from "./structs.ts";

/** `struct utrace_report`: what a pass has gathered so far. On the stack of the task. */
export interface utrace_report {
  /** The smallest resume action asked for. */
  action: number;
  /** Signal or system call action of the last engine. */
  result: number;
  detaches: boolean;
  takers: boolean;
  killed: boolean;
}
export const INIT_REPORT = (): utrace_report => ({
  action: UTRACE_RESUME,
  result: 0,
  detaches: false,
  takers: false,
  killed: false,
});

const start_report = kernel(function* start_report(utrace: Ptr) {
  const { lifetime } = utraceGlobals();
  const stopped = (yield* lifetime.peek(utrace, UTRACE.stopped)) !== 0;
  yield* BUG_ON(stopped, "utrace->stopped", "kernel/utrace.c:start_report");
  if ((yield* lifetime.peek(utrace, UTRACE.report)) === 0) return;
  yield* spin_lock(utrace, UTRACE.lock);
  yield* note("report-taken", utrace, 0);
  yield* assign_bits(utrace, UTRACE.report, 0);
  yield* splice_attaching(utrace);
  yield* spin_unlock(utrace, UTRACE.lock);
});

/** Arranges for what the engines asked for, and cleans up after those that left. */
const finish_report = kernel(function* finish_report(report: utrace_report, task: Ptr, utrace: Ptr) {
  const clean = report.takers && !report.detaches;
  const { lifetime } = utraceGlobals();
  if (report.action <= UTRACE_REPORT && (yield* lifetime.peek(utrace, UTRACE.report)) === 0) {
    yield* spin_lock(utrace, UTRACE.lock);
    yield* assign_bits(utrace, UTRACE.report, 1);
    yield* set_tsk_thread_flag(task, TIF_NOTIFY_RESUME);
  } else if (report.action === UTRACE_INTERRUPT && (yield* lifetime.peek(utrace, UTRACE.interrupt)) === 0) {
    yield* spin_lock(utrace, UTRACE.lock);
    yield* assign_bits(utrace, UTRACE.interrupt, 1);
    yield* set_tsk_thread_flag(task, TIF_SIGPENDING);
  } else if (clean) return;
  else yield* spin_lock(utrace, UTRACE.lock);
  if (clean) yield* spin_unlock(utrace, UTRACE.lock);
  else yield* resetOwn(report, task, utrace);
});

/** utrace_reset of the running task. */
function* resetOwn(report: utrace_report, task: Ptr, utrace: Ptr): Inline<void> {
  const left = yield* utrace_reset(task, utrace, false);
  // The fix of f357a74067b: who is not traced any more is not stopped any more either.
  if (!left && patched("no-stop-after-last-detach")) report.action = UTRACE_RESUME;
}

/**
 * Takes the result of one callback into the report.
 *
 * @returns true if the engine has left and is not to be called again.
 */
export const finish_callback = kernel(function* finish_callback(
  utrace: Ptr,
  report: utrace_report,
  engine: Ptr,
  ret: number,
) {
  const action = utrace_resume_action(ret);
  yield* utraceGlobals().lifetime.poke(utrace, UTRACE.reporting, 0);
  yield* cond_resched();
  report.result = ret & ~UTRACE_RESUME_MASK;
  // A detach that comes after this look is found by the next pass, which utrace_control asks for.
  if (action === UTRACE_DETACH || isDetached(yield* READ_ONCE(engine, ENGINE.ops))) {
    yield* store(engine, ENGINE.ops, utraceGlobals().utrace_detached_ops);
    yield* note("engine-detaching", engine, 0);
    report.detaches = true;
    return true;
  }
  if (action < report.action) report.action = action;
  if (action === UTRACE_STOP) {
    if (!(yield* engine_wants_stop(engine))) {
      yield* spin_lock(utrace, UTRACE.lock);
      yield* mark_engine_wants_stop(engine);
      yield* spin_unlock(utrace, UTRACE.lock);
    }
  } else if (yield* engine_wants_stop(engine)) {
    yield* spin_lock(utrace, UTRACE.lock);
    yield* clear_engine_wants_stop(engine);
    yield* spin_unlock(utrace, UTRACE.lock);
  }
  return false;
});

/**
 * Announces that callbacks of `engine` begin, and makes the report_quiesce one.
 *
 * @returns the ops to call for `event`, 0 if the engine does not want it or has left.
 */
const start_callback = kernel(function* start_callback(
  utrace: Ptr,
  report: utrace_report,
  engine: Ptr,
  task: Ptr,
  event: number,
) {
  yield* utraceGlobals().lifetime.poke(utrace, UTRACE.reporting, engine);
  // Pairs with the barriers in utrace_control and utrace_set_events.
  yield* smp_mb();
  let want = yield* READ_ONCE(engine, ENGINE.flags);
  // Pairs with the barrier in mark_engine_detached: never new flags with old ops.
  yield* smp_rmb();
  const ops = yield* READ_ONCE(engine, ENGINE.ops);
  if ((want & UTRACE_EVENT.QUIESCE) !== 0) {
    const report_quiesce = yield* callbackToCall(ops, "report_quiesce");
    yield* callbackBegins(engine, ops, UTRACE_EVENT.QUIESCE);
    const ret = yield* report_quiesce(report.action, engine, task, event);
    yield* callbackEnds(engine, ops, ret);
    if (yield* finish_callback(utrace, report, engine, ret)) {
      yield* utraceGlobals().lifetime.poke(utrace, UTRACE.reporting, 0);
      return 0;
    }
    yield* utraceGlobals().lifetime.poke(utrace, UTRACE.reporting, engine);
    yield* smp_mb();
    want = yield* READ_ONCE(engine, ENGINE.flags);
  }
  if ((want & ENGINE_STOP) !== 0) report.action = UTRACE_STOP;
  if ((want & event) !== 0) {
    report.takers = true;
    return ops;
  }
  yield* utraceGlobals().lifetime.poke(utrace, UTRACE.reporting, 0);
  return 0;
});

type Callback<N extends CallbackName> = NonNullable<utrace_engine_ops[N]>;

/** `REPORT_CALLBACKS`: start_callback and, where wanted, the callback itself, for every attached engine in order. */
function* REPORT_CALLBACKS<N extends CallbackName>(
  task: Ptr,
  utrace: Ptr,
  report: utrace_report,
  event: number,
  name: N,
  call: (callback: Callback<N>, engine: Ptr) => Iterable<unknown>,
): Inline<void> {
  const { lifetime } = utraceGlobals();
  yield* note("report-begin", task, event);
  const head = ref(utrace, UTRACE.attached);
  let at = yield* lifetime.nextAttached(utrace, head);
  let next = yield* lifetime.nextAttached(utrace, at);
  while (at !== head) {
    const engine = list_entry(at, ENGINE.entry);
    const ops = yield* start_callback(utrace, report, engine, task, event);
    if (ops !== 0) {
      const callback = yield* callbackToCall(ops, name);
      yield* callbackBegins(engine, ops, event);
      const ret = yield* call(callback, engine) as Inline<number>;
      yield* callbackEnds(engine, ops, ret);
      yield* finish_callback(utrace, report, engine, ret);
    }
    at = next;
    next = yield* lifetime.nextAttached(utrace, at);
  }
  yield* note("report-end", task, event);
}

/** `REPORT`: a whole pass. */
function* REPORT<N extends CallbackName>(
  task: Ptr,
  utrace: Ptr,
  report: utrace_report,
  event: number,
  name: N,
  call: (callback: Callback<N>, engine: Ptr) => Iterable<unknown>,
): Inline<void> {
  yield* start_report(utrace);
  yield* REPORT_CALLBACKS(task, utrace, report, event, name, call);
  yield* finish_report(report, task, utrace);
}

/** After an exec. A stop asked for here happens on the way to user mode. */
export const utrace_report_exec = kernel(function* utrace_report_exec() {
  const task = current();
  const utrace = yield* utraceGlobals().lifetime.own(task);
  const report = INIT_REPORT();
  yield* REPORT(task, utrace, report, UTRACE_EVENT.EXEC, "report_exec", (callback, engine) =>
    callback(report.action, engine, task),
  );
});

/** @returns true if the system call is not to be made. */
export const utrace_report_syscall_entry = kernel(function* utrace_report_syscall_entry() {
  const task = current();
  const utrace = yield* utraceGlobals().lifetime.own(task);
  const report = INIT_REPORT();
  yield* REPORT(task, utrace, report, UTRACE_EVENT.SYSCALL_ENTRY, "report_syscall_entry", (callback, engine) =>
    callback(report.result | report.action, engine, task),
  );
  if (report.action === UTRACE_STOP && (yield* utrace_stop(task, utrace))) return true;
  if (report.result === UTRACE_SYSCALL_ABORT) return true;
  // The stop may have left TIF_SIGPENDING set for nothing, which would make the call itself fail.
  if (yield* signal_pending(task)) yield* lockedRecalcSigpending(task);
  return false;
});

/** After a system call. A stop asked for here happens on the way to user mode. */
export const utrace_report_syscall_exit = kernel(function* utrace_report_syscall_exit() {
  const task = current();
  const utrace = yield* utraceGlobals().lifetime.own(task);
  const report = INIT_REPORT();
  yield* REPORT(task, utrace, report, UTRACE_EVENT.SYSCALL_EXIT, "report_syscall_exit", (callback, engine) =>
    callback(report.action, engine, task),
  );
});

/** In the creator, before the child first runs. Never stops here: the child waits. */
export const utrace_report_clone = kernel(function* utrace_report_clone(cloneFlags: number, child: Ptr) {
  const task = current();
  const utrace = yield* utraceGlobals().lifetime.own(task);
  const report = INIT_REPORT();
  yield* utraceGlobals().lifetime.poke(utrace, UTRACE.u.live.cloning, child);
  yield* start_report(utrace);
  yield* REPORT_CALLBACKS(task, utrace, report, UTRACE_EVENT.CLONE, "report_clone", (callback, engine) =>
    callback(report.action, engine, task, cloneFlags, child),
  );
  if (patched("cloning-before-finish")) {
    yield* utraceGlobals().lifetime.poke(utrace, UTRACE.u.live.cloning, 0);
    yield* finish_report(report, task, utrace);
    return;
  }
  yield* finish_report(report, task, utrace);
  // BUG(kernel): the pass may have given the struct up, and this word is its rcu_head by then.
  yield* utraceGlobals().lifetime.poke(utrace, UTRACE.u.live.cloning, 0);
});

/**
 * A job control stop begins or has ended.
 *
 * Context: the task may be in TASK_STOPPED, and so count as quiescent to others.
 */
export const utrace_report_jctl = kernel(function* utrace_report_jctl(notify: boolean, what: number) {
  const task = current();
  const wasStopped = yield* task_is_stopped(task);
  const report = INIT_REPORT();
  const { lifetime } = utraceGlobals();
  yield* lifetime.readLock();
  const utrace = yield* lifetime.task_utrace_struct(task);
  if (utrace === 0) {
    yield* lifetime.readUnlock();
    return;
  }
  yield* spin_lock(utrace, UTRACE.lock);
  yield* assign_bits(utrace, UTRACE.stopped, 0);
  // BUG(kernel): an engine that is attaching, for which the report was asked, is not on the list yet.
  yield* assign_bits(utrace, UTRACE.report, 0);
  yield* note("report-taken", utrace, 0);
  yield* spin_unlock(utrace, UTRACE.lock);
  yield* lifetime.readUnlock();
  // BUG(kernel): task->utrace is not read again, so what follows may work on a struct that was given up before the lock.
  const type = wasStopped ? CLD_STOPPED : CLD_CONTINUED;
  // BUG(kernel): what the parent is told of, where engines are promised whether it is told.
  const told = patched("jctl-notify") ? Number(notify) : what;
  yield* REPORT(task, utrace, report, UTRACE_EVENT.JCTL, "report_jctl", (callback, engine) =>
    callback(report.action, engine, task, type, told),
  );
  if (wasStopped && !(yield* task_is_stopped(task))) {
    yield* lock_siglock_irq(task);
    const flags = yield* load(yield* load(task, TASK.signal), SIGNAL.flags);
    if ((flags & SIGNAL_STOP_STOPPED) !== 0) yield* __set_current_state(TASK_STOPPED);
    yield* unlock_siglock_irq(task);
  }
  if (yield* task_is_stopped(task)) {
    yield* spin_lock(utrace, UTRACE.lock);
    yield* assign_bits(utrace, UTRACE.stopped, 1);
    yield* spin_unlock(utrace, UTRACE.lock);
  }
});

/** @returns the exit code, which engines may change. */
export const utrace_report_exit = kernel(function* utrace_report_exit(exitCode: number) {
  const task = current();
  const utrace = yield* utraceGlobals().lifetime.own(task);
  const report = INIT_REPORT();
  const code = { value: exitCode };
  yield* REPORT(task, utrace, report, UTRACE_EVENT.EXIT, "report_exit", (callback, engine) =>
    callback(report.action, engine, task, exitCode, code),
  );
  if (report.action === UTRACE_STOP) yield* utrace_stop(task, utrace);
  return code.value;
});

/**
 * After exit_state is set; release_task may run at the same time and then leaves the reap to this.
 *
 * @param utrace - The cookie: task->utrace as tracehook_notify_death read it under tasklist_lock.
 */
export const utrace_report_death = kernel(function* utrace_report_death(
  task: Ptr,
  utrace: Ptr,
  groupDead: boolean,
  signal: number,
) {
  const report = INIT_REPORT();
  const alive = (yield* load(task, TASK.exit_state)) === 0;
  yield* BUG_ON(alive, "!task->exit_state", "kernel/utrace.c:utrace_report_death");
  yield* spin_lock(utrace, UTRACE.lock);
  const again = (yield* load(utrace, UTRACE.death)) !== 0;
  yield* BUG_ON(again, "utrace->death", "kernel/utrace.c:utrace_report_death");
  yield* assign_bits(utrace, UTRACE.death, 1);
  yield* assign_bits(utrace, UTRACE.report, 0);
  yield* assign_bits(utrace, UTRACE.interrupt, 0);
  yield* spin_unlock(utrace, UTRACE.lock);
  yield* REPORT_CALLBACKS(task, utrace, report, UTRACE_EVENT.DEATH, "report_death", (callback, engine) =>
    callback(engine, task, groupDead, signal),
  );
  yield* spin_lock(utrace, UTRACE.lock);
  yield* assign_bits(utrace, UTRACE.death, 0);
  if ((yield* load(utrace, UTRACE.reap)) !== 0) yield* utrace_reap(task, utrace);
  else yield* utrace_reset(task, utrace, false);
});

/**
 * The end of the last pass before user mode: cleans up, then does what the engines asked for.
 *
 * @returns true if the task may have been stopped and run again, so that TIF_SIGPENDING has to be computed anew.
 */
export const finish_resume_report = kernel(function* finish_resume_report(
  report: utrace_report,
  task: Ptr,
  utrace: Ptr,
) {
  if (report.detaches || !report.takers) {
    yield* spin_lock(utrace, UTRACE.lock);
    yield* resetOwn(report, task, utrace);
  }
  switch (report.action) {
    case UTRACE_INTERRUPT:
      if (!(yield* signal_pending(task))) yield* set_tsk_thread_flag(task, TIF_SIGPENDING);
      break;
    case UTRACE_SINGLESTEP:
    case UTRACE_BLOCKSTEP:
      yield* user_enable_single_step(task);
      break;
    case UTRACE_STOP:
      // BUG(kernel): the reset above may have given the struct up.
      report.killed = yield* utrace_stop(task, utrace);
      return !report.killed;
    default:
      yield* user_disable_single_step(task);
  }
  return false;
});

/** A pass of report_quiesce alone. */
export function* report_quiescent(task: Ptr, utrace: Ptr, report: utrace_report): Inline<void> {
  const { lifetime } = utraceGlobals();
  yield* note("report-begin", task, 0);
  const head = ref(utrace, UTRACE.attached);
  let at = yield* lifetime.nextAttached(utrace, head);
  let next = yield* lifetime.nextAttached(utrace, at);
  while (at !== head) {
    yield* start_callback(utrace, report, list_entry(at, ENGINE.entry), task, 0);
    at = next;
    next = yield* lifetime.nextAttached(utrace, at);
  }
  yield* note("report-end", task, 0);
}

/** TIF_NOTIFY_RESUME was set: a pass of report_quiesce alone, then stop or go on to user mode. */
export const utrace_resume = kernel(function* utrace_resume(task: Ptr) {
  const { lifetime } = utraceGlobals();
  const utrace = yield* lifetime.own(task);
  const report = INIT_REPORT();
  yield* local_irq_enable();
  if ((yield* lifetime.peek(utrace, UTRACE.signal_handler)) !== 0) {
    yield* spin_lock(utrace, UTRACE.lock);
    yield* assign_bits(utrace, UTRACE.signal_handler, 0);
    const skip = (yield* load(utrace, UTRACE.report)) === 0;
    yield* spin_unlock(utrace, UTRACE.lock);
    if (skip) return;
  }
  if ((yield* lifetime.peek(utrace, UTRACE.interrupt)) !== 0) {
    // The signal path will report.
    if (patched("sigpending-in-resume")) {
      yield* set_tsk_thread_flag(task, TIF_SIGPENDING);
      return;
    }
    const pending = yield* signal_pending(task);
    yield* BUG_ON(!pending, "!signal_pending(task)", "kernel/utrace.c:utrace_resume");
    return;
  }
  yield* start_report(utrace);
  yield* report_quiescent(task, utrace, report);
  if ((yield* finish_resume_report(report, task, utrace)) && !(yield* signal_pending(task))) {
    yield* lockedRecalcSigpending(task);
  }
});
