/**
 * What others may ask of a traced task.
 *
 * @see kernel/utrace.c as posted: utrace_set_events, utrace_control, utrace_barrier, utrace_reset
 */
import {
  assign_bits,
  BUG_ON,
  current,
  forget,
  kernel,
  load,
  note,
  type Ptr,
  READ_ONCE,
  read_lock,
  read_unlock,
  ref,
  set_bits,
  smp_mb,
  spin_unlock,
  store,
  WARN_ON,
  WRITE_ONCE,
} from "../../sim/index.ts";
import {
  EAGAIN,
  EALREADY,
  EINPROGRESS,
  EINVAL,
  EOPNOTSUPP,
  ERESTARTSYS,
  ESRCH,
  IS_ERR,
  PTR_ERR,
} from "../linux/errno.ts";
import { tasklist } from "../linux/globals.ts";
import { endListHead, LIST_HEAD, list_entry, list_move, list_next, list_splice_tail_init } from "../linux/list.ts";
import {
  clear_tsk_thread_flag,
  schedule_timeout_interruptible,
  set_tsk_thread_flag,
  signal_pending,
  TIF_SIGPENDING,
  TIF_SINGLESTEP,
  TIF_SYSCALL_TRACE,
  task_is_stopped,
  test_tsk_thread_flag,
} from "../linux/sched.ts";
import { lock_task_sighand, signal_wake_up, unlock_task_sighand } from "../linux/signal.ts";
import { TASK } from "../linux/structs.ts";
import { get_utrace_lock } from "./attach.ts";
import {
  clear_engine_wants_stop,
  isDetached,
  mark_engine_detached,
  mark_engine_wants_stop,
  put_detached_list,
} from "./engine.ts";
import {
  DEAD_FLAGS_MASK,
  ENGINE_STOP,
  UTRACE_BLOCKSTEP,
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_EVENT_DEATH_EVENTS,
  UTRACE_EVENT_SYSCALL,
  UTRACE_INTERRUPT,
  UTRACE_REPORT,
  UTRACE_RESUME,
  UTRACE_STOP,
} from "./events.ts";
import { utraceGlobals } from "./globals.ts";
import type { Inline } from "./lifetime.ts";
import { set_notify_resume, utrace_do_stop, utrace_wakeup } from "./stop.ts";
import { ENGINE, UTRACE } from "./structs.ts";

/** Moves newcomers to the list that the task itself walks. Under utrace->lock, with the task quiescent or current. */
export function* splice_attaching(utrace: Ptr): Inline<void> {
  yield* list_splice_tail_init(ref(utrace, UTRACE.attaching), ref(utrace, UTRACE.attached));
  yield* note("engines-spliced", utrace, 0);
}

/** Single stepping is a thread flag of the task. */
export const user_enable_single_step = (task: Ptr): Inline<void> => set_tsk_thread_flag(task, TIF_SINGLESTEP);
export const user_disable_single_step = (task: Ptr): Inline<void> => clear_tsk_thread_flag(task, TIF_SINGLESTEP);

/**
 * Removes engines that are marked detached, recomputes task->utrace_flags, wakes the task if asked and nobody wants it
 * stopped, and gives the struct up when no engine is left.
 *
 * Context: utrace->lock held on entry, released; the struct may be gone afterwards.
 *
 * @param wake - The task is another, stopped one.
 * @returns whether an engine is left (the patch `no-stop-after-last-detach` wants to know).
 */
export const utrace_reset = kernel(function* utrace_reset(task: Ptr, utrace: Ptr, wake: boolean) {
  let flags = 0;
  let wakeUp = wake;
  const detached = yield* LIST_HEAD();
  yield* splice_attaching(utrace);
  const head = ref(utrace, UTRACE.attached);
  let at = yield* list_next(head);
  let next = yield* list_next(at);
  while (at !== head) {
    const engine = list_entry(at, ENGINE.entry);
    if (isDetached(yield* load(engine, ENGINE.ops))) {
      yield* store(engine, ENGINE.ops, 0);
      yield* note("engine-detached", engine, 0);
      yield* list_move(at, detached);
    } else {
      const own = yield* load(engine, ENGINE.flags);
      flags |= own | UTRACE_EVENT.REAP;
      if ((own & ENGINE_STOP) !== 0) wakeUp = false;
    }
    at = next;
    next = yield* list_next(at);
  }
  if ((yield* load(task, TASK.exit_state)) !== 0) {
    const dying = (yield* load(utrace, UTRACE.death)) !== 0;
    yield* BUG_ON(dying, "utrace->death", "kernel/utrace.c:utrace_reset");
    flags &= DEAD_FLAGS_MASK;
    wakeUp = false;
  } else if ((flags & UTRACE_EVENT_SYSCALL) === 0 && (yield* test_tsk_thread_flag(task, TIF_SYSCALL_TRACE))) {
    yield* clear_tsk_thread_flag(task, TIF_SYSCALL_TRACE);
  }
  yield* store(task, TASK.utrace_flags, flags);
  if (wakeUp) yield* utrace_wakeup(task, utrace);
  if (flags !== 0) yield* spin_unlock(utrace, UTRACE.lock);
  else yield* utraceGlobals().lifetime.lastEngineGone(task, utrace);
  yield* put_detached_list(detached);
  endListHead();
  return flags !== 0;
});

/**
 * Chooses which events an engine is told of.
 *
 * @param events - `UTRACE_EVENT` bits. Bits of task->utrace_flags are only added here.
 * @returns 0; -EINPROGRESS if a callback of the engine may be running with the old mask; -EALREADY for bits that can
 *   no longer change because the target is dying; -ESRCH, -EINVAL as get_utrace_lock.
 */
export const utrace_set_events = kernel(function* utrace_set_events(target: Ptr, engine: Ptr, events: number) {
  yield* note("utrace_set_events", engine, events);
  const ret = yield* set_events(target, engine, events);
  yield* note("utrace_set_events returns", engine, ret);
  return ret;
});

function* set_events(target: Ptr, engine: Ptr, events: number): Inline<number> {
  const utrace = yield* get_utrace_lock(target, engine, true);
  if (IS_ERR(utrace)) return PTR_ERR(utrace);
  const oldUtraceFlags = yield* load(target, TASK.utrace_flags);
  const oldFlags = yield* load(engine, ENGINE.flags);
  if ((yield* load(target, TASK.exit_state)) !== 0 && (yield* tooLate(utrace, events, oldFlags))) {
    yield* spin_unlock(utrace, UTRACE.lock);
    return -EALREADY;
  }
  const added = events & ~oldUtraceFlags;
  if ((yield* load(utrace, UTRACE.stopped)) === 0 && (added & UTRACE_EVENT.JCTL) !== 0) {
    // Not inside utrace_report_jctl, as the bit was clear: if it is stopped, then for good.
    const lock = yield* lock_task_sighand(target);
    if (lock.sighand !== 0) {
      if (yield* task_is_stopped(target)) yield* assign_bits(utrace, UTRACE.stopped, 1);
      yield* unlock_task_sighand(lock);
    }
  }
  if ((added & UTRACE_EVENT_DEATH_EVENTS) !== 0) {
    // With exit_notify excluded, the death report either sees these bits or is not to come.
    yield* read_lock(...tasklist());
    if ((yield* load(target, TASK.exit_state)) !== 0) {
      yield* read_unlock(...tasklist());
      yield* spin_unlock(utrace, UTRACE.lock);
      return -EALREADY;
    }
    yield* set_bits(target, TASK.utrace_flags, events);
    yield* read_unlock(...tasklist());
  }
  // start_callback reads them without the lock: -EINPROGRESS says that it may have read the old ones.
  yield* WRITE_ONCE(engine, ENGINE.flags, events | ((yield* load(engine, ENGINE.flags)) & ENGINE_STOP));
  yield* note("events-set", engine, events);
  yield* set_bits(target, TASK.utrace_flags, events);
  if ((events & UTRACE_EVENT_SYSCALL) !== 0 && (oldUtraceFlags & UTRACE_EVENT_SYSCALL) === 0) {
    yield* set_tsk_thread_flag(target, TIF_SYSCALL_TRACE);
  }
  let ret = 0;
  if ((yield* load(utrace, UTRACE.stopped)) === 0 && target !== current()) {
    // Pairs with the barrier in start_callback: the flags are stored before reporting is read.
    yield* smp_mb();
    if ((yield* READ_ONCE(utrace, UTRACE.reporting)) === engine) ret = -EINPROGRESS;
  }
  yield* spin_unlock(utrace, UTRACE.lock);
  return ret;
}

/** Whether a dying target's events can no longer change this way. */
function* tooLate(utrace: Ptr, events: number, oldFlags: number): Inline<boolean> {
  const cleared = oldFlags & ~events;
  if ((events & ~oldFlags & UTRACE_EVENT_DEATH_EVENTS) !== 0) return true;
  if ((yield* load(utrace, UTRACE.death)) !== 0 && (cleared & UTRACE_EVENT_DEATH_EVENTS) !== 0) return true;
  return (yield* load(utrace, UTRACE.reap)) !== 0 && (cleared & UTRACE_EVENT.REAP) !== 0;
}

/** Whether a dead target refuses the action: 0, -ESRCH or -EALREADY. */
function* refusedByDeath(target: Ptr, utrace: Ptr, action: number): Inline<number> {
  if (action !== UTRACE_DETACH || (yield* load(utrace, UTRACE.reap)) !== 0) return -ESRCH;
  if (((yield* load(target, TASK.utrace_flags)) & UTRACE_EVENT_DEATH_EVENTS) !== 0) return -EALREADY;
  return (yield* load(utrace, UTRACE.death)) !== 0 ? -EALREADY : 0;
}

/**
 * Asks the target to stop, run, report, be interrupted, step, or lets go of it.
 *
 * @param action - `UTRACE_STOP` to `UTRACE_DETACH`.
 * @returns 0; -EINPROGRESS (STOP: not stopped yet; DETACH: a callback of the engine is running);
 *   -EAGAIN (a step of a target that is not stopped), -EOPNOTSUPP (no such step here), -EINVAL (no such action),
 *   -ESRCH (dead or detached), -EALREADY (DETACH while the death report is on its way).
 */
export const utrace_control = kernel(function* utrace_control(target: Ptr, engine: Ptr, action: number) {
  yield* note("utrace_control", engine, action);
  const ret = yield* control(target, engine, action);
  yield* note("utrace_control returns", engine, ret);
  return ret;
});

function* control(target: Ptr, engine: Ptr, action: number): Inline<number> {
  if (action > UTRACE_DETACH) return -EINVAL;
  const utrace = yield* get_utrace_lock(target, engine, true);
  if (IS_ERR(utrace)) return PTR_ERR(utrace);
  if ((yield* load(target, TASK.exit_state)) !== 0) {
    const refused = yield* refusedByDeath(target, utrace, action);
    if (refused !== 0) {
      yield* spin_unlock(utrace, UTRACE.lock);
      return refused;
    }
  }
  let resume = (yield* load(utrace, UTRACE.stopped)) !== 0;
  let ret = 0;
  yield* clear_engine_wants_stop(engine);
  switch (action) {
    case UTRACE_STOP:
      yield* mark_engine_wants_stop(engine);
      if (!resume && !(yield* utrace_do_stop(target, utrace))) ret = -EINPROGRESS;
      resume = false;
      break;
    case UTRACE_DETACH:
      yield* mark_engine_detached(engine);
      if (!resume) resume = yield* utrace_do_stop(target, utrace);
      if (resume) yield* user_disable_single_step(target);
      else {
        // Pairs with the barrier in start_callback.
        yield* smp_mb();
        if ((yield* READ_ONCE(utrace, UTRACE.reporting)) === engine) ret = -EINPROGRESS;
      }
      break;
    case UTRACE_RESUME:
      if (resume) yield* user_disable_single_step(target);
      break;
    case UTRACE_REPORT:
      if ((yield* load(utrace, UTRACE.report)) !== 0 || (yield* load(utrace, UTRACE.interrupt)) !== 0) break;
      if ((yield* load(utrace, UTRACE.stopped)) === 0) {
        yield* assign_bits(utrace, UTRACE.report, 1);
        yield* set_notify_resume(target);
      } else {
        // BUG(kernel): it runs on without the report that was asked for.
        yield* note("report-declined", engine, 0);
      }
      break;
    case UTRACE_INTERRUPT:
      yield* interrupt(target, utrace, resume);
      break;
    default: {
      const stepped = yield* step(target, action, resume);
      resume = stepped.resume;
      ret = stepped.ret;
    }
  }
  if (resume) yield* utrace_reset(target, utrace, true);
  else yield* spin_unlock(utrace, UTRACE.lock);
  return ret;
}

function* interrupt(target: Ptr, utrace: Ptr, stopped: boolean): Inline<void> {
  if ((yield* load(utrace, UTRACE.interrupt)) !== 0) return;
  yield* assign_bits(utrace, UTRACE.interrupt, 1);
  if (stopped) {
    yield* set_tsk_thread_flag(target, TIF_SIGPENDING);
    return;
  }
  // Under the siglock, so that a recalc_sigpending of the target comes before, or sees the interrupt flag.
  const lock = yield* lock_task_sighand(target);
  if (lock.sighand === 0) return;
  yield* signal_wake_up(target, false);
  yield* unlock_task_sighand(lock);
}

/** UTRACE_BLOCKSTEP and UTRACE_SINGLESTEP; the first falls back to the second. */
function* step(target: Ptr, action: number, resume: boolean): Inline<{ resume: boolean; ret: number }> {
  const { archHasBlockStep, archHasSingleStep } = utraceGlobals();
  if (action === UTRACE_BLOCKSTEP) {
    yield* WARN_ON(!archHasBlockStep, "!arch_has_block_step()", "kernel/utrace.c:utrace_control");
    if (archHasBlockStep && resume) {
      yield* user_enable_single_step(target);
      return { resume, ret: 0 };
    }
  }
  yield* WARN_ON(!archHasSingleStep, "!arch_has_single_step()", "kernel/utrace.c:utrace_control");
  if (!archHasSingleStep) return { resume: false, ret: -EOPNOTSUPP };
  if (!resume) return { resume, ret: -EAGAIN };
  yield* user_enable_single_step(target);
  return { resume, ret: 0 };
}

/**
 * Waits until no callback of `engine` is running.
 *
 * Context: sleeps. The target need not be alive, a reference to the engine is enough.
 *
 * @returns 0: none is running; -ERESTARTSYS: a signal came first; -ESRCH: the engine is fully detached.
 */
export const utrace_barrier = kernel(function* utrace_barrier(target: Ptr, engine: Ptr) {
  yield* note("utrace_barrier", engine, 0);
  const ret = yield* barrier(target, engine);
  yield* note("utrace_barrier returns", engine, ret);
  return ret;
});

function* barrier(target: Ptr, engine: Ptr): Inline<number> {
  if (target === current()) return 0;
  do {
    yield* forget("again");
    const utrace = yield* get_utrace_lock(target, engine, false);
    if (IS_ERR(utrace)) {
      if (PTR_ERR(utrace) !== -ERESTARTSYS) return PTR_ERR(utrace);
    } else {
      const over =
        (yield* load(utrace, UTRACE.stopped)) !== 0 || (yield* READ_ONCE(utrace, UTRACE.reporting)) !== engine;
      yield* spin_unlock(utrace, UTRACE.lock);
      if (over) return 0;
    }
    yield* schedule_timeout_interruptible(1);
  } while (!(yield* signal_pending(current())));
  return -ERESTARTSYS;
}
