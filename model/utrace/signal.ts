/** utrace in the signal path. @see kernel/utrace.c as posted: utrace_get_signal, push_back_signal */
import {
  assign_bits,
  BUG_ON,
  cond_resched,
  current,
  data_race,
  kernel,
  load,
  note,
  type Ptr,
  READ_ONCE,
  ref,
  set_bits,
  smp_mb,
  smp_rmb,
  spin_lock,
  spin_unlock,
  store,
} from "../../sim/index.ts";
import { list_entry } from "../linux/list.ts";
import { set_tsk_thread_flag, signal_pending, TIF_SIGPENDING } from "../linux/sched.ts";
import {
  actionOf,
  dequeue_signal,
  lock_siglock_irq,
  lockedRecalcSigpending,
  SA_ONESHOT,
  SIG_DFL,
  SIG_IGN,
  SIGKILL,
  SIGNAL_STOP_DEQUEUED,
  SIGQUIT,
  SIGSTOP,
  SIGTERM,
  SIGTSTP,
  sig_kernel_coredump,
  sig_kernel_ignore,
  sig_kernel_stop,
  type sigaction,
  type siginfo_t,
  sigmask,
  unlock_siglock_irq,
} from "../linux/signal.ts";
import { k_sigaction, SIGNAL, TASK } from "../linux/structs.ts";
import { splice_attaching } from "./control.ts";
import { callbackBegins, callbackEnds, callbackOf, callbackToCall } from "./engine.ts";
import {
  UTRACE_EVENT,
  UTRACE_EVENT_SIGNAL_ALL,
  UTRACE_INTERRUPT,
  UTRACE_REPORT,
  UTRACE_RESUME,
  UTRACE_RESUME_MASK,
  UTRACE_SIGNAL_CORE,
  UTRACE_SIGNAL_DELIVER,
  UTRACE_SIGNAL_HANDLER,
  UTRACE_SIGNAL_HOLD,
  UTRACE_SIGNAL_IGN,
  UTRACE_SIGNAL_REPORT,
  UTRACE_SIGNAL_STOP,
  UTRACE_SIGNAL_TERM,
  UTRACE_SIGNAL_TSTP,
  utrace_resume_action,
  utrace_signal_action,
} from "./events.ts";
import { utraceGlobals } from "./globals.ts";
import type { Inline } from "./lifetime.ts";
import { finish_callback, finish_resume_report, INIT_REPORT, type utrace_report } from "./report.ts";
import { set_notify_resume } from "./stop.ts";
import { ENGINE, UTRACE } from "./structs.ts";

const ACTION = k_sigaction.fields;

/**
 * `current->utrace->interrupt`, without a look at the pointer. It holds by the siglock alone: a detach by another task
 * takes that in utrace_wakeup, after it has cleared task->utrace_flags and before it clears the pointer.
 */
export const utrace_interrupt_pending = kernel(function* utrace_interrupt_pending() {
  // utrace_control sets it before it takes the siglock to set TIF_SIGPENDING: if this is too early, that is not.
  return (yield* data_race(load(yield* utraceGlobals().lifetime.own(current()), UTRACE.interrupt))) !== 0;
});

/** Puts a signal back on the task's queue. Takes the siglock and keeps it. */
const push_back_signal = kernel(function* push_back_signal(task: Ptr, info: siginfo_t) {
  yield* lock_siglock_irq(task);
  if (info.si_signo === 0) return;
  yield* set_bits(task, TASK.pending.signal, sigmask(info.si_signo));
  yield* set_tsk_thread_flag(task, TIF_SIGPENDING);
});

/** What a signal would do by itself: the event, and the action that stands for it. */
function classify(signr: number, handler: number): { event: number; result: number } {
  if (handler === SIG_IGN) return { event: UTRACE_EVENT.SIGNAL_IGN, result: UTRACE_SIGNAL_IGN };
  if (handler !== SIG_DFL) return { event: UTRACE_EVENT.SIGNAL, result: UTRACE_SIGNAL_DELIVER };
  if (sig_kernel_coredump(signr)) return { event: UTRACE_EVENT.SIGNAL_CORE, result: UTRACE_SIGNAL_CORE };
  if (sig_kernel_ignore(signr)) return { event: UTRACE_EVENT.SIGNAL_IGN, result: UTRACE_SIGNAL_IGN };
  if (signr === SIGSTOP) return { event: UTRACE_EVENT.SIGNAL_STOP, result: UTRACE_SIGNAL_STOP };
  if (sig_kernel_stop(signr)) return { event: UTRACE_EVENT.SIGNAL_STOP, result: UTRACE_SIGNAL_TSTP };
  return { event: UTRACE_EVENT.SIGNAL_TERM, result: UTRACE_SIGNAL_TERM };
}

/** The lock, if the struct is still the task's; else everything dropped and false. Read section on entry, closed. */
function* lockIfCurrent(task: Ptr, utrace: Ptr): Inline<boolean> {
  const { lifetime } = utraceGlobals();
  yield* unlock_siglock_irq(task);
  yield* spin_lock(utrace, UTRACE.lock);
  yield* lifetime.readUnlock();
  if ((yield* lifetime.own(task)) === utrace) return true;
  yield* spin_unlock(utrace, UTRACE.lock);
  yield* cond_resched();
  return false;
}

/** A report was asked for before any signal is looked at. True if there is one to make. */
function* explicitReport(task: Ptr, utrace: Ptr, report: utrace_report): Inline<boolean> {
  yield* splice_attaching(utrace);
  const asked = (yield* load(utrace, UTRACE.interrupt)) !== 0 || (yield* load(utrace, UTRACE.report)) !== 0;
  if (!asked) report.result = UTRACE_SIGNAL_IGN;
  else if ((yield* load(utrace, UTRACE.signal_handler)) !== 0) report.result = UTRACE_SIGNAL_HANDLER;
  else report.result = UTRACE_SIGNAL_REPORT;
  yield* assign_bits(utrace, UTRACE.wants_report, 0);
  yield* note("report-taken", utrace, 0);
  if (yield* signal_pending(task)) yield* lockedRecalcSigpending(task);
  yield* spin_unlock(utrace, UTRACE.lock);
  return asked;
}

/** Calls report_signal, or report_quiesce for want of it, of every interested engine. */
function* reportSignal(
  task: Ptr,
  utrace: Ptr,
  report: utrace_report,
  event: number,
  info: siginfo_t,
  original: sigaction | null,
  return_ka: sigaction,
): Inline<void> {
  const { lifetime } = utraceGlobals();
  yield* note("report-begin", task, UTRACE_EVENT_SIGNAL_ALL);
  const head = ref(utrace, UTRACE.attached);
  let at = yield* lifetime.nextAttached(utrace, head);
  let next = yield* lifetime.nextAttached(utrace, at);
  while (at !== head) {
    const engine = list_entry(at, ENGINE.entry);
    yield* lifetime.poke(utrace, UTRACE.reporting, engine);
    yield* smp_mb();
    // As in start_callback.
    const want = yield* READ_ONCE(engine, ENGINE.flags);
    yield* smp_rmb();
    const ops = yield* READ_ONCE(engine, ENGINE.ops);
    if ((want & (event | UTRACE_EVENT.QUIESCE)) === 0) yield* lifetime.poke(utrace, UTRACE.reporting, 0);
    else {
      const report_signal = yield* callbackOf(ops, "report_signal");
      let ret: number;
      if (report_signal !== undefined) {
        yield* callbackBegins(engine, ops, UTRACE_EVENT.SIGNAL);
        ret = yield* report_signal(report.result | report.action, engine, task, info, original, return_ka);
      } else {
        const report_quiesce = yield* callbackToCall(ops, "report_quiesce");
        yield* callbackBegins(engine, ops, UTRACE_EVENT.QUIESCE);
        ret = report.result | (yield* report_quiesce(report.action, engine, task, event));
      }
      yield* callbackEnds(engine, ops, ret);
      // A report of the report would never end.
      const action = utrace_resume_action(ret);
      if (action === UTRACE_INTERRUPT || action === UTRACE_REPORT) ret = (ret & ~UTRACE_RESUME_MASK) | UTRACE_RESUME;
      yield* finish_callback(utrace, report, engine, ret);
    }
    at = next;
    next = yield* lifetime.nextAttached(utrace, at);
  }
  yield* note("report-end", task, UTRACE_EVENT_SIGNAL_ALL);
}

/**
 * Called by get_signal_to_deliver: the best place to stop, and where engines see and change signals.
 *
 * Context: the siglock held on entry; held on return unless that is -1.
 *
 * @returns the signal to act on with `return_ka`, 0 to dequeue as usual, -1 to start over.
 */
export const utrace_get_signal = kernel(function* utrace_get_signal(task: Ptr, info: siginfo_t, return_ka: sigaction) {
  const report = INIT_REPORT();
  let original: sigaction | null = null;
  let event = 0;
  const { lifetime } = utraceGlobals();
  yield* lifetime.readLock();
  const utrace = yield* lifetime.task_utrace_struct(task);
  if (utrace === 0) {
    yield* lifetime.readUnlock();
    return 0;
  }
  if ((yield* load(utrace, UTRACE.wants_report)) !== 0) {
    if (!(yield* lockIfCurrent(task, utrace))) return -1;
    if (!(yield* explicitReport(task, utrace, report))) return -1;
    // BUG(kernel): *info keeps what an earlier pass left, for a callback that lets the signal be delivered.
    return_ka.sa_handler = 0;
    return_ka.sa_flags = 0;
  } else if (((yield* load(task, TASK.utrace_flags)) & UTRACE_EVENT_SIGNAL_ALL) === 0) {
    yield* lifetime.readUnlock();
    return 0;
  } else {
    if ((yield* load(utrace, UTRACE.stopped)) !== 0) {
      // Just out of TASK_STOPPED: whoever took it for quiescent is done once we have the lock.
      if (!(yield* lockIfCurrent(task, utrace))) return -1;
      yield* assign_bits(utrace, UTRACE.stopped, 0);
      yield* spin_unlock(utrace, UTRACE.lock);
      yield* lock_siglock_irq(task);
    } else yield* lifetime.readUnlock();
    const signr = yield* dequeue_signal(task, yield* load(task, TASK.blocked), info);
    if (signr === 0) return 0;
    yield* BUG_ON(signr !== info.si_signo, "signr != info->si_signo", "kernel/utrace.c:utrace_get_signal");
    const action = actionOf(yield* load(task, TASK.sighand), signr);
    original = { sa_handler: yield* load(action, ACTION.sa_handler), sa_flags: yield* load(action, ACTION.sa_flags) };
    Object.assign(return_ka, original);
    if (signr === SIGKILL) return signr;
    const normal = classify(signr, original.sa_handler);
    event = normal.event;
    report.result = normal.result;
    if (((yield* load(task, TASK.utrace_flags)) & (event | UTRACE_EVENT.QUIESCE)) === 0) return signr;
    yield* unlock_siglock_irq(task);
  }
  yield* reportSignal(task, utrace, report, event, info, original, return_ka);
  return yield* actOnReport(task, utrace, report, info, return_ka);
});

/** Turns what the engines chose into a signal whose default action does it. */
function* actOnReport(
  task: Ptr,
  utrace: Ptr,
  report: utrace_report,
  info: siginfo_t,
  return_ka: sigaction,
): Inline<number> {
  let signr: number;
  switch (utrace_signal_action(report.result)) {
    case UTRACE_SIGNAL_TERM:
      signr = SIGTERM;
      break;
    case UTRACE_SIGNAL_CORE:
      signr = SIGQUIT;
      break;
    case UTRACE_SIGNAL_STOP:
      signr = SIGSTOP;
      break;
    case UTRACE_SIGNAL_TSTP:
      signr = SIGTSTP;
      break;
    case UTRACE_SIGNAL_DELIVER:
      signr = info.si_signo;
      if (return_ka.sa_handler === SIG_DFL) {
        if (signr === 0 || sig_kernel_ignore(signr)) return yield* actOnIgnored(task, utrace, report, info, return_ka);
      } else if (return_ka.sa_handler !== SIG_IGN && signr !== 0) {
        return yield* deliver(task, utrace, report, info, return_ka);
      } else return yield* actOnIgnored(task, utrace, report, info, return_ka);
      break;
    default:
      return yield* actOnIgnored(task, utrace, report, info, return_ka);
  }
  return_ka.sa_handler = SIG_DFL;
  yield* holdOrLock(task, report, info);
  if (sig_kernel_stop(signr)) yield* set_bits(yield* load(task, TASK.signal), SIGNAL.flags, SIGNAL_STOP_DEQUEUED);
  return signr;
}

function* holdOrLock(task: Ptr, report: utrace_report, info: siginfo_t): Inline<void> {
  if ((report.result & UTRACE_SIGNAL_HOLD) !== 0) yield* push_back_signal(task, info);
  else yield* lock_siglock_irq(task);
}

/** A handler will run; whoever wants to stop or step gets another report after its set-up. */
function* deliver(
  task: Ptr,
  utrace: Ptr,
  report: utrace_report,
  info: siginfo_t,
  return_ka: sigaction,
): Inline<number> {
  const signr = info.si_signo;
  if (report.action !== UTRACE_RESUME) {
    yield* spin_lock(utrace, UTRACE.lock);
    yield* assign_bits(utrace, UTRACE.interrupt, 1);
    yield* spin_unlock(utrace, UTRACE.lock);
    yield* set_tsk_thread_flag(task, TIF_SIGPENDING);
  }
  yield* holdOrLock(task, report, info);
  if ((return_ka.sa_flags & SA_ONESHOT) !== 0) {
    return_ka.sa_flags &= ~SA_ONESHOT;
    yield* store(actionOf(yield* load(task, TASK.sighand), signr), ACTION.sa_handler, SIG_DFL);
  }
  return signr;
}

/** No signal to act on: on the way to user mode, so this is where to stop or step. */
function* actOnIgnored(
  task: Ptr,
  utrace: Ptr,
  report: utrace_report,
  info: siginfo_t,
  return_ka: sigaction,
): Inline<number> {
  yield* finish_resume_report(report, task, utrace);
  if (report.killed) {
    // Nothing but SIGKILL ends a stop, so take nothing but SIGKILL.
    yield* lock_siglock_irq(task);
    const signr = yield* dequeue_signal(task, ~sigmask(SIGKILL), info);
    yield* BUG_ON(signr !== SIGKILL, "signr != SIGKILL", "kernel/utrace.c:2275");
    const action = actionOf(yield* load(task, TASK.sighand), SIGKILL);
    return_ka.sa_handler = yield* load(action, ACTION.sa_handler);
    return signr;
  }
  if ((report.result & UTRACE_SIGNAL_HOLD) !== 0) {
    yield* push_back_signal(task, info);
    yield* unlock_siglock_irq(task);
  }
  return -1;
}

/** A handler's frame was just set up. */
export const utrace_signal_handler = kernel(function* utrace_signal_handler(task: Ptr, stepping: boolean) {
  const utrace = yield* utraceGlobals().lifetime.own(task);
  yield* spin_lock(utrace, UTRACE.lock);
  yield* assign_bits(utrace, UTRACE.signal_handler, 1);
  if (stepping) {
    yield* assign_bits(utrace, UTRACE.interrupt, 1);
    yield* set_tsk_thread_flag(task, TIF_SIGPENDING);
  } else yield* set_notify_resume(task);
  yield* spin_unlock(utrace, UTRACE.lock);
});
