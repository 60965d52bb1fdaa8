/** Stopping and waking. @see kernel/utrace.c as posted: utrace_stop, utrace_do_stop, utrace_wakeup */
import {
  add,
  assign_bits,
  BUG_ON,
  kernel,
  load,
  note,
  type Ptr,
  ref,
  schedule,
  spin_lock,
  spin_unlock,
  WARN_ON,
  WRITE_ONCE,
  wake_up_state,
} from "../../sim/index.ts";
import { kick_process } from "../../sim/primitives.ts";
import { list_entry, list_next } from "../linux/list.ts";
import {
  __set_current_state,
  __TASK_STOPPED,
  __TASK_TRACED,
  TASK_STOPPED,
  TASK_TRACED,
  TIF_NOTIFY_RESUME,
  task_is_stopped,
  task_is_stopped_or_traced,
  test_and_set_tsk_thread_flag,
} from "../linux/sched.ts";
import {
  lock_siglock_irq,
  lock_task_sighand,
  SIGKILL,
  SIGNAL_STOP_STOPPED,
  sigmask,
  try_to_freeze,
  unlock_siglock_irq,
  unlock_task_sighand,
} from "../linux/signal.ts";
import { SIGNAL, TASK } from "../linux/structs.ts";
import { engine_wants_stop, isDetached } from "./engine.ts";
import { UTRACE_EVENT, UTRACE_EVENT_DEATH_EVENTS } from "./events.ts";
import { patched, utraceGlobals } from "./globals.ts";
import type { Inline } from "./lifetime.ts";
import { ENGINE, UTRACE } from "./structs.ts";

/** `set_notify_resume`: the task passes through utrace_resume before it next runs in user mode. */
export function* set_notify_resume(task: Ptr): Inline<void> {
  if (!(yield* test_and_set_tsk_thread_flag(task, TIF_NOTIFY_RESUME))) yield* kick_process(task);
}

/** Whether an engine that has not left wants the task stopped. The later kernel keeps a bit for it in utrace_flags. */
function* someoneWantsStop(utrace: Ptr): Inline<boolean> {
  for (const list of [ref(utrace, UTRACE.attached), ref(utrace, UTRACE.attaching)]) {
    for (let at = yield* list_next(list); at !== list; at = yield* list_next(at)) {
      const engine = list_entry(at, ENGINE.entry);
      if (!isDetached(yield* load(engine, ENGINE.ops)) && (yield* engine_wants_stop(engine))) return true;
    }
  }
  return false;
}

/**
 * Blocks the running task in TASK_TRACED until it is woken.
 *
 * Context: the task's own. Takes utrace->lock and the siglock inside it.
 *
 * @param utrace - `task->utrace` as the caller read it; not locked.
 * @returns true if a SIGKILL ended the stop, even if engines still want it.
 */
export const utrace_stop = kernel(function* utrace_stop(task: Ptr, utrace: Ptr) {
  const { lifetime } = utraceGlobals();
  const stoppedBefore = (yield* lifetime.peek(utrace, UTRACE.stopped)) !== 0;
  yield* BUG_ON(stoppedBefore, "utrace->stopped", "kernel/utrace.c:490");
  yield* spin_lock(utrace, UTRACE.lock);
  // BUG(kernel): whoever asked for the stop may have left since, and nobody would be there to end it.
  if (patched("recheck-before-stop") && !(yield* someoneWantsStop(utrace))) {
    yield* spin_unlock(utrace, UTRACE.lock);
    return false;
  }
  yield* lock_siglock_irq(task);
  if (((yield* load(task, TASK.pending.signal)) & sigmask(SIGKILL)) !== 0) {
    yield* unlock_siglock_irq(task);
    yield* spin_unlock(utrace, UTRACE.lock);
    return true;
  }
  yield* assign_bits(utrace, UTRACE.stopped, 1);
  yield* __set_current_state(TASK_TRACED);
  yield* note("task-stopped", task, 0);
  const signal = yield* load(task, TASK.signal);
  if ((yield* load(signal, SIGNAL.group_stop_count)) > 0) yield* add(signal, SIGNAL.group_stop_count, -1);
  yield* unlock_siglock_irq(task);
  yield* spin_unlock(utrace, UTRACE.lock);

  yield* schedule();
  yield* note("stop-ended", task, 0);
  yield* try_to_freeze();
  return yield* lifetime.afterStop(task, utrace);
});

/**
 * `finish_utrace_stop`, as from f357a74067b on: whether `stopped` is still set is asked under the lock.
 *
 * @returns true if it is: then it was not utrace_wakeup that woke the task, but a SIGKILL.
 */
export function* finish_utrace_stop(task: Ptr, utrace: Ptr): Inline<boolean> {
  let killed = false;
  yield* spin_lock(utrace, UTRACE.lock);
  if ((yield* load(utrace, UTRACE.stopped)) !== 0) {
    yield* lock_siglock_irq(task);
    const noKill = ((yield* load(task, TASK.pending.signal)) & sigmask(SIGKILL)) === 0;
    yield* WARN_ON(noKill, "!sigismember(&task->pending.signal, SIGKILL)", "kernel/utrace.c:utrace_stop");
    yield* unlock_siglock_irq(task);
    yield* assign_bits(utrace, UTRACE.stopped, 0);
    killed = true;
  }
  yield* spin_unlock(utrace, UTRACE.lock);
  return killed;
}

/**
 * Asks the target to stop.
 *
 * Context: utrace->lock held; takes the siglock.
 *
 * @returns true if it counts as stopped already; else it will make some report soon.
 */
export const utrace_do_stop = kernel(function* utrace_do_stop(target: Ptr, utrace: Ptr) {
  if ((yield* task_is_stopped(target)) && ((yield* load(target, TASK.utrace_flags)) & UTRACE_EVENT.JCTL) === 0) {
    yield* assign_bits(utrace, UTRACE.stopped, 1);
    return true;
  }
  let stopped = false;
  // Not lock_task_sighand: on its way to __exit_signal release_task needs utrace->lock, as long as the pointer is set.
  yield* lock_siglock_irq(target);
  if ((yield* load(target, TASK.exit_state)) !== 0) {
    // Quiescent only if its death report is over, or will never come.
    if (((yield* load(target, TASK.utrace_flags)) & UTRACE_EVENT_DEATH_EVENTS) === 0) stopped = true;
  } else if (yield* task_is_stopped(target)) {
    if (((yield* load(target, TASK.utrace_flags)) & UTRACE_EVENT.JCTL) === 0) stopped = true;
  } else if ((yield* load(utrace, UTRACE.report)) === 0 && (yield* load(utrace, UTRACE.interrupt)) === 0) {
    yield* assign_bits(utrace, UTRACE.report, 1);
    yield* set_notify_resume(target);
  }
  if (stopped) yield* assign_bits(utrace, UTRACE.stopped, 1);
  yield* unlock_siglock_irq(target);
  return stopped;
});

/**
 * Lets a stopped target run, unless a job control stop holds it.
 *
 * Context: utrace->lock held, utrace->stopped set; takes the siglock.
 */
export const utrace_wakeup = kernel(function* utrace_wakeup(target: Ptr, utrace: Ptr) {
  yield* assign_bits(utrace, UTRACE.stopped, 0);
  yield* note("task-resumed", target, 0);
  const lock = yield* lock_task_sighand(target);
  if (lock.sighand === 0) return;
  if (yield* task_is_stopped_or_traced(target)) {
    const signal = yield* load(target, TASK.signal);
    if (((yield* load(signal, SIGNAL.flags)) & SIGNAL_STOP_STOPPED) !== 0) {
      yield* WRITE_ONCE(target, TASK.state, TASK_STOPPED);
    } else yield* wake_up_state(target, __TASK_STOPPED | __TASK_TRACED);
  }
  yield* unlock_task_sighand(lock);
});
