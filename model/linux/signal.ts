/**
 * Signals: sending, waking, dequeuing, group stop, delivery.
 *
 * DEPARTS: a pending signal is its bit in the set; there are no sigqueue entries, so a siginfo is the signal number.
 * DEPARTS: curr_target starts as NULL, which stands for the task that was signalled; real_blocked counts only where a
 * signal is fatal. do_tkill finds its task by lock_task_sighand; the kernel holds tasklist_lock.
 * DEPARTS: no coredump is written, and no job control by terminal: an orphaned process group never occurs.
 *
 * @see kernel/signal.c of 2.6.27
 */
import {
  add,
  clear_bits,
  current,
  data_race,
  type Field,
  forget,
  kernel,
  kick_process,
  load,
  note,
  type Ptr,
  READ_ONCE,
  rcu_dereference,
  rcu_read_lock,
  rcu_read_unlock,
  read_lock,
  read_unlock,
  ref,
  schedule,
  set_bits,
  spin_lock_irq,
  spin_lock_irqsave,
  spin_unlock_irq,
  spin_unlock_irqrestore,
  store,
  wake_up_state,
} from "../../sim/index.ts";
import { running } from "../../sim/op.ts";
import { ESRCH } from "./errno.ts";
import { do_exit } from "./exit.ts";
import { globals, tasklist } from "./globals.ts";
import { PT_PTRACED, ptrace_signal, ptraceBits } from "./ptrace.ts";
import {
  __set_current_state,
  __TASK_STOPPED,
  __TASK_TRACED,
  clear_thread_flag,
  next_thread,
  PF_EXITING,
  PF_SIGNALED,
  set_tsk_thread_flag,
  signal_pending,
  TASK_INTERRUPTIBLE,
  TASK_STOPPED,
  TASK_WAKEKILL,
  TIF_SIGPENDING,
  task_is_stopped_or_traced,
} from "./sched.ts";
import { k_sigaction, PID, SIGHAND, SIGNAL, TASK } from "./structs.ts";
import {
  tracehook_consider_fatal_signal,
  tracehook_consider_ignored_signal,
  tracehook_force_sigpending,
  tracehook_get_signal,
  tracehook_notify_jctl,
} from "./tracehook.ts";
import { __wake_up } from "./wait.ts";

/** Signals. */
export const SIGHUP = 1;
export const SIGINT = 2;
export const SIGQUIT = 3;
export const SIGTRAP = 5;
export const SIGKILL = 9;
export const SIGUSR1 = 10;
export const SIGSEGV = 11;
export const SIGTERM = 15;
export const SIGCHLD = 17;
export const SIGCONT = 18;
export const SIGSTOP = 19;
export const SIGTSTP = 20;

/** `sa_handler` and `sa_flags`. */
export const SIG_DFL = 0;
export const SIG_IGN = 1;
export const SA_ONESHOT = 0x80000000;
export const SA_NOCLDSTOP = 1;

/** `signal->flags`. */
export const SIGNAL_STOP_STOPPED = 0x1;
export const SIGNAL_STOP_DEQUEUED = 0x2;
export const SIGNAL_STOP_CONTINUED = 0x4;
export const SIGNAL_GROUP_EXIT = 0x8;
export const SIGNAL_CLD_STOPPED = 0x10;
export const SIGNAL_CLD_CONTINUED = 0x20;
const SIGNAL_CLD_MASK = SIGNAL_CLD_STOPPED | SIGNAL_CLD_CONTINUED;

/** `si_code` of SIGCHLD. */
export const CLD_STOPPED = 5;
export const CLD_CONTINUED = 6;

/** `sigmask(signal)`. All signals here are below 32. */
export const sigmask = (signal: number): number => 1 << (signal - 1);
const maskOf = (...signals: number[]): number => signals.reduce((mask, signal) => mask | sigmask(signal), 0);
const STOP_SIGNALS = maskOf(SIGSTOP, SIGTSTP, 21, 22);
const IGNORE_SIGNALS = maskOf(SIGCONT, SIGCHLD, 28, 23);
const COREDUMP_SIGNALS = maskOf(SIGQUIT, 4, SIGTRAP, 6, 8, SIGSEGV, 7, 31, 24, 25);
export const sig_kernel_stop = (signal: number): boolean => (STOP_SIGNALS & sigmask(signal)) !== 0;
export const sig_kernel_ignore = (signal: number): boolean => (IGNORE_SIGNALS & sigmask(signal)) !== 0;
export const sig_kernel_coredump = (signal: number): boolean => (COREDUMP_SIGNALS & sigmask(signal)) !== 0;

/** The caller's own `siginfo_t` and `struct k_sigaction`: on its stack, so no one else sees them. */
export interface siginfo_t {
  si_signo: number;
}
export interface sigaction {
  sa_handler: number;
  sa_flags: number;
}

/** `&sighand->action[signal - 1]`. */
export const actionOf = (sighand: Ptr, signal: number): Ptr => ref(sighand, SIGHAND.action) + (signal - 1) * 32;
const ACTION = k_sigaction.fields;

/** `spin_lock_irq(&task->sighand->siglock)` for the running task and others known to be alive; gives the sighand. */
export function* lock_siglock_irq(task: Ptr) {
  const sighand = yield* load(task, TASK.sighand);
  yield* spin_lock_irq(sighand, SIGHAND.siglock);
  return sighand;
}
export function* unlock_siglock_irq(task: Ptr) {
  yield* spin_unlock_irq(yield* load(task, TASK.sighand), SIGHAND.siglock);
}

/** What {@link lock_task_sighand} gives: `sighand` is 0 when the task has none any more. */
export interface SighandLock {
  readonly sighand: Ptr;
  readonly flags: number;
}

/** `lock_task_sighand`: takes the siglock of a task that may be past `__exit_signal`. */
export const lock_task_sighand = kernel(function* lock_task_sighand(task: Ptr) {
  yield* rcu_read_lock();
  let lock: SighandLock = { sighand: 0, flags: 0 };
  for (;;) {
    const sighand = yield* rcu_dereference(task, TASK.sighand);
    if (sighand === 0) break;
    const flags = yield* spin_lock_irqsave(sighand, SIGHAND.siglock);
    if ((yield* load(task, TASK.sighand)) === sighand) {
      lock = { sighand, flags };
      break;
    }
    yield* spin_unlock_irqrestore(sighand, SIGHAND.siglock, flags);
  }
  yield* rcu_read_unlock();
  return lock;
});
export function* unlock_task_sighand(lock: SighandLock) {
  yield* spin_unlock_irqrestore(lock.sighand, SIGHAND.siglock, lock.flags);
}

/** Makes `t` notice a pending signal: wakes it, or kicks it if it runs. `resume` wakes stopped tasks too. */
export const signal_wake_up = kernel(function* signal_wake_up(t: Ptr, resume: boolean) {
  yield* set_tsk_thread_flag(t, TIF_SIGPENDING);
  const mask = TASK_INTERRUPTIBLE | (resume ? TASK_WAKEKILL : 0);
  const woken = (yield* wake_up_state(t, mask)) !== 0;
  if (resume && woken) yield* note("kill-wakes", t, 0);
  if (!woken) yield* kick_process(t);
});

/** Sets TIF_SIGPENDING of `t` if there is something for it to look at; never clears it. Under the siglock. */
export const recalc_sigpending_tsk = kernel(function* recalc_sigpending_tsk(t: Ptr) {
  const signal = yield* load(t, TASK.signal);
  const blocked = yield* load(t, TASK.blocked);
  if (
    (yield* load(signal, SIGNAL.group_stop_count)) > 0 ||
    ((yield* load(t, TASK.pending.signal)) & ~blocked) !== 0 ||
    ((yield* load(signal, SIGNAL.shared_pending.signal)) & ~blocked) !== 0
  ) {
    yield* set_tsk_thread_flag(t, TIF_SIGPENDING);
    return true;
  }
  return false;
});

/** For a thread that may have to take over a signal that another was to take. Under the siglock. */
export function* recalc_sigpending_and_wake(t: Ptr) {
  if (yield* recalc_sigpending_tsk(t)) yield* signal_wake_up(t, false);
}

/** Recomputes TIF_SIGPENDING of the running task. Under its siglock. */
export const recalc_sigpending = kernel(function* recalc_sigpending() {
  if (yield* tracehook_force_sigpending()) yield* set_tsk_thread_flag(current(), TIF_SIGPENDING);
  else if (!(yield* recalc_sigpending_tsk(current()))) yield* clear_thread_flag(TIF_SIGPENDING);
});

/** `recalc_sigpending` between its locks, as callers outside of the signal code do it. */
export function* lockedRecalcSigpending(task: Ptr) {
  yield* lock_siglock_irq(task);
  yield* recalc_sigpending();
  yield* unlock_siglock_irq(task);
}

function* sig_ignored(t: Ptr, sig: number) {
  // A blocked signal may find a handler by the time it is unblocked.
  if (((yield* load(t, TASK.blocked)) & sigmask(sig)) !== 0) return false;
  const handler = yield* load(actionOf(yield* load(t, TASK.sighand), sig), ACTION.sa_handler);
  if (handler !== SIG_IGN && !(handler === SIG_DFL && sig_kernel_ignore(sig))) return false;
  return !(yield* tracehook_consider_ignored_signal(t));
}

/** Side effects of stop signals and SIGCONT; whether the signal is to be queued at all. */
const prepare_signal = kernel(function* prepare_signal(sig: number, p: Ptr) {
  const signal = yield* load(p, TASK.signal);
  if (((yield* load(signal, SIGNAL.flags)) & SIGNAL_GROUP_EXIT) === 0) {
    if (sig_kernel_stop(sig)) yield* remove_from_queues(p, signal, sigmask(SIGCONT));
    else if (sig === SIGCONT) yield* continue_group(p, signal);
  }
  return !(yield* sig_ignored(p, sig));
});

function* remove_from_queues(p: Ptr, signal: Ptr, mask: number) {
  yield* clear_bits(signal, SIGNAL.shared_pending.signal, mask);
  let t = p;
  do {
    yield* clear_bits(t, TASK.pending.signal, mask);
    t = yield* next_thread(t);
  } while (t !== p);
}

function* continue_group(p: Ptr, signal: Ptr) {
  yield* clear_bits(signal, SIGNAL.shared_pending.signal, STOP_SIGNALS);
  let t = p;
  do {
    yield* clear_bits(t, TASK.pending.signal, STOP_SIGNALS);
    let state = __TASK_STOPPED;
    const handler = yield* load(actionOf(yield* load(t, TASK.sighand), SIGCONT), ACTION.sa_handler);
    if (handler > SIG_IGN && ((yield* load(t, TASK.blocked)) & sigmask(SIGCONT)) === 0) {
      yield* set_tsk_thread_flag(t, TIF_SIGPENDING);
      state |= TASK_INTERRUPTIBLE;
    }
    yield* wake_up_state(t, state);
    t = yield* next_thread(t);
  } while (t !== p);
  const flags = yield* load(signal, SIGNAL.flags);
  let why = 0;
  if ((flags & SIGNAL_STOP_STOPPED) !== 0) why = SIGNAL_CLD_CONTINUED;
  else if ((yield* load(signal, SIGNAL.group_stop_count)) > 0) why = SIGNAL_CLD_STOPPED;
  if (why !== 0) {
    yield* store(signal, SIGNAL.flags, why | SIGNAL_STOP_CONTINUED);
    yield* store(signal, SIGNAL.group_stop_count, 0);
    yield* store(signal, SIGNAL.group_exit_code, 0);
  } else yield* store(signal, SIGNAL.flags, flags & ~SIGNAL_STOP_DEQUEUED);
}

/** Whether `p` would take the signal now: a stopped or traced task takes only SIGKILL. */
function* wants_signal(sig: number, p: Ptr) {
  if (((yield* load(p, TASK.blocked)) & sigmask(sig)) !== 0) return false;
  // Only the task itself changes its flags; others may look, says sched.h.
  if (((yield* data_race(load(p, TASK.flags))) & PF_EXITING) !== 0) return false;
  if (sig === SIGKILL) return true;
  if (yield* task_is_stopped_or_traced(p)) return false;
  return globals().task_curr(p) || !(yield* signal_pending(p));
}

const complete_signal = kernel(function* complete_signal(sig: number, p: Ptr, group: boolean) {
  const signal = yield* load(p, TASK.signal);
  let t = p;
  if (!(yield* wants_signal(sig, p))) {
    if (!group || (yield* next_thread(p)) === p) return;
    const first = yield* load(signal, SIGNAL.curr_target);
    t = first === 0 ? p : first;
    const start = t;
    while (!(yield* wants_signal(sig, t))) {
      t = yield* next_thread(t);
      if (t === start) return;
    }
    yield* store(signal, SIGNAL.curr_target, t);
  }
  const handler = yield* load(actionOf(yield* load(p, TASK.sighand), sig), ACTION.sa_handler);
  const fatal = handler === SIG_DFL && !sig_kernel_stop(sig) && !sig_kernel_ignore(sig);
  if (
    fatal &&
    ((yield* load(signal, SIGNAL.flags)) & SIGNAL_GROUP_EXIT) === 0 &&
    ((yield* load(t, TASK.real_blocked)) & sigmask(sig)) === 0 &&
    (sig === SIGKILL || !(yield* tracehook_consider_fatal_signal(t))) &&
    !sig_kernel_coredump(sig)
  ) {
    // The whole group dies at once: SIGKILL for every thread, in its private set.
    yield* store(signal, SIGNAL.flags, SIGNAL_GROUP_EXIT);
    yield* store(signal, SIGNAL.group_exit_code, sig);
    yield* store(signal, SIGNAL.group_stop_count, 0);
    t = p;
    do {
      yield* set_bits(t, TASK.pending.signal, sigmask(SIGKILL));
      yield* note("task-killed", t, 0);
      yield* signal_wake_up(t, true);
      t = yield* next_thread(t);
    } while (t !== p);
    return;
  }
  yield* signal_wake_up(t, sig === SIGKILL);
});

/** Queues a signal. Under the siglock of `t`. */
export const send_signal = kernel(function* send_signal(sig: number, t: Ptr, group: boolean) {
  if (!(yield* prepare_signal(sig, t))) return;
  const signal = yield* load(t, TASK.signal);
  const [queue, set]: [Ptr, Field] = group ? [signal, SIGNAL.shared_pending.signal] : [t, TASK.pending.signal];
  if (((yield* load(queue, set)) & sigmask(sig)) !== 0) return;
  yield* set_bits(queue, set, sigmask(sig));
  if (sig === SIGKILL && !group) yield* note("task-killed", t, 0);
  yield* complete_signal(sig, t, group);
});

/** `force_sig_info`: a signal that the running task's own doing causes: it is neither blocked nor ignored. */
export const force_sig_info = kernel(function* force_sig_info(sig: number, t: Ptr) {
  const sighand = yield* lock_siglock_irq(t);
  const action = actionOf(sighand, sig);
  const blocked = ((yield* load(t, TASK.blocked)) & sigmask(sig)) !== 0;
  if (blocked || (yield* load(action, ACTION.sa_handler)) === SIG_IGN) {
    yield* store(action, ACTION.sa_handler, SIG_DFL);
    if (blocked) {
      yield* clear_bits(t, TASK.blocked, sigmask(sig));
      yield* recalc_sigpending_tsk(t);
    }
  }
  yield* send_signal(sig, t, false);
  yield* unlock_siglock_irq(t);
});

/** `group_send_sig_info`: a signal for the process of `p`. */
export const group_send_sig_info = kernel(function* group_send_sig_info(sig: number, p: Ptr) {
  const lock = yield* lock_task_sighand(p);
  if (lock.sighand === 0) return -ESRCH;
  yield* send_signal(sig, p, true);
  yield* unlock_task_sighand(lock);
  return 0;
});

/** `specific_send_sig_info` as `tkill` uses it: a signal for one thread. */
export const send_sig_thread = kernel(function* do_tkill(sig: number, p: Ptr) {
  const lock = yield* lock_task_sighand(p);
  if (lock.sighand === 0) return -ESRCH;
  yield* send_signal(sig, p, false);
  yield* unlock_task_sighand(lock);
  return 0;
});

/** Takes the lowest pending signal out of a set that `blocked` lets through; 0 if none. */
function* next_signal(owner: Ptr, set: Field, blocked: number) {
  const ready = (yield* load(owner, set)) & ~blocked;
  if (ready === 0) return 0;
  const sig = 32 - Math.clz32(ready & -ready);
  yield* clear_bits(owner, set, sigmask(sig));
  return sig;
}

/** `dequeue_signal`: private set first, then shared. Under the siglock of the running task. */
export const dequeue_signal = kernel(function* dequeue_signal(task: Ptr, blocked: number, info: siginfo_t) {
  const signal = yield* load(task, TASK.signal);
  let sig = yield* next_signal(task, TASK.pending.signal, blocked);
  if (sig === 0) sig = yield* next_signal(signal, SIGNAL.shared_pending.signal, blocked);
  yield* recalc_sigpending();
  if (sig === 0) return 0;
  if (sig_kernel_stop(sig) && ((yield* load(signal, SIGNAL.flags)) & SIGNAL_GROUP_EXIT) === 0) {
    yield* set_bits(signal, SIGNAL.flags, SIGNAL_STOP_DEQUEUED);
  }
  info.si_signo = sig;
  return sig;
});

/** Tells the parent, or the tracer, that a task stopped or continued. Under `tasklist_lock` for reading. */
export const do_notify_parent_cldstop = kernel(function* do_notify_parent_cldstop(task: Ptr) {
  let parent: Ptr;
  if (((yield* ptraceBits(task)) & PT_PTRACED) !== 0) parent = yield* load(task, TASK.parent);
  else parent = yield* load(yield* load(task, TASK.group_leader), TASK.real_parent);
  const sighand = yield* load(parent, TASK.sighand);
  const flags = yield* spin_lock_irqsave(sighand, SIGHAND.siglock);
  const action = actionOf(sighand, SIGCHLD);
  if (
    (yield* load(action, ACTION.sa_handler)) !== SIG_IGN &&
    ((yield* load(action, ACTION.sa_flags)) & SA_NOCLDSTOP) === 0
  ) {
    yield* send_signal(SIGCHLD, parent, true);
  }
  yield* __wake_up(yield* load(parent, TASK.signal), SIGNAL.wait_chldexit);
  yield* spin_unlock_irqrestore(sighand, SIGHAND.siglock, flags);
});

/** `try_to_freeze`. DEPARTS: nothing is ever frozen here. */
export function* try_to_freeze() {
  return false;
}

const finish_stop = kernel(function* finish_stop(lastToStop: boolean) {
  if ((yield* tracehook_notify_jctl(lastToStop, CLD_STOPPED)) !== 0) {
    yield* read_lock(...tasklist());
    yield* do_notify_parent_cldstop(current());
    yield* read_unlock(...tasklist());
  }
  do yield* schedule();
  while (yield* try_to_freeze());
  yield* store(current(), TASK.exit_code, 0);
});

/** `signal_group_exit`: the group is dying, or an exec is killing all threads but its own. */
export function* signal_group_exit(signal: Ptr) {
  if (((yield* load(signal, SIGNAL.flags)) & SIGNAL_GROUP_EXIT) !== 0) return true;
  return (yield* load(signal, SIGNAL.group_exit_task)) !== 0;
}

/** Joins or starts a group stop. Siglock held on entry, dropped if it stopped (result true). */
const do_signal_stop = kernel(function* do_signal_stop(signr: number) {
  const task = current();
  const signal = yield* load(task, TASK.signal);
  let left: number;
  if ((yield* load(signal, SIGNAL.group_stop_count)) > 0) left = yield* add(signal, SIGNAL.group_stop_count, -1);
  else {
    if (((yield* load(signal, SIGNAL.flags)) & SIGNAL_STOP_DEQUEUED) === 0) return false;
    if (yield* signal_group_exit(signal)) return false;
    yield* store(signal, SIGNAL.group_exit_code, signr);
    left = 0;
    for (let t = yield* next_thread(task); t !== task; t = yield* next_thread(t)) {
      const state = yield* READ_ONCE(t, TASK.state);
      if (
        ((yield* data_race(load(t, TASK.flags))) & PF_EXITING) === 0 &&
        (state & (__TASK_STOPPED | __TASK_TRACED)) === 0
      ) {
        left++;
        yield* signal_wake_up(t, false);
      }
    }
    yield* store(signal, SIGNAL.group_stop_count, left);
  }
  if (left === 0) yield* store(signal, SIGNAL.flags, SIGNAL_STOP_STOPPED);
  yield* store(task, TASK.exit_code, yield* load(signal, SIGNAL.group_exit_code));
  yield* __set_current_state(TASK_STOPPED);
  yield* unlock_siglock_irq(task);
  yield* finish_stop(left === 0);
  return true;
});

/** SIGKILL for every other living thread of the group. Under the siglock. */
export const zap_other_threads = kernel(function* zap_other_threads(p: Ptr) {
  yield* store(yield* load(p, TASK.signal), SIGNAL.group_stop_count, 0);
  for (let t = yield* next_thread(p); t !== p; t = yield* next_thread(t)) {
    // A dead thread is spared the bother; a SIGKILL more does it no harm.
    if ((yield* data_race(load(t, TASK.exit_state))) !== 0) continue;
    yield* set_bits(t, TASK.pending.signal, sigmask(SIGKILL));
    yield* note("task-killed", t, 0);
    yield* signal_wake_up(t, true);
  }
});

/** Ends the whole group; never returns. */
export const do_group_exit = kernel(function* do_group_exit(exitCode: number) {
  const task = current();
  const signal = yield* load(task, TASK.signal);
  let code = exitCode;
  if (yield* signal_group_exit(signal)) {
    code = yield* load(signal, SIGNAL.group_exit_code);
  } else if ((yield* next_thread(task)) !== task) {
    yield* lock_siglock_irq(task);
    if (yield* signal_group_exit(signal)) {
      code = yield* load(signal, SIGNAL.group_exit_code);
    } else {
      yield* store(signal, SIGNAL.group_exit_code, code);
      yield* store(signal, SIGNAL.flags, SIGNAL_GROUP_EXIT);
      yield* zap_other_threads(task);
    }
    yield* unlock_siglock_irq(task);
  }
  yield* do_exit(code);
});

/** Reports what a SIGCONT or a stop left to report. Siglock held on entry, dropped. */
function* notify_cld(task: Ptr, signal: Ptr, flags: number) {
  const why = (flags & SIGNAL_STOP_CONTINUED) !== 0 ? CLD_CONTINUED : CLD_STOPPED;
  yield* store(signal, SIGNAL.flags, flags & ~SIGNAL_CLD_MASK);
  yield* unlock_siglock_irq(task);
  if ((yield* tracehook_notify_jctl(true, why)) === 0) return;
  yield* read_lock(...tasklist());
  yield* do_notify_parent_cldstop(task);
  yield* read_unlock(...tasklist());
}

/** `ptrace_signal`, which CONFIG_UTRACE_PTRACE leaves to an engine. CHOSEN: the patch's text is not known. */
function* tracedSignal(signr: number, info: siginfo_t) {
  return running.config.UTRACE_PTRACE === true ? signr : yield* ptrace_signal(signr, info);
}

/** What {@link get_signal_to_deliver} found: the signal whose handler is to run, 0 if none; -1 if the task has died. */
export const get_signal_to_deliver = kernel(function* get_signal_to_deliver(info: siginfo_t, return_ka: sigaction) {
  const task = current();
  const signal = yield* load(task, TASK.signal);
  relock: for (;;) {
    yield* forget("relock", signal);
    yield* try_to_freeze();
    const sighand = yield* lock_siglock_irq(task);
    const flags = yield* load(signal, SIGNAL.flags);
    if ((flags & SIGNAL_CLD_MASK) !== 0) {
      yield* notify_cld(task, signal, flags);
      continue;
    }
    for (;;) {
      if ((yield* load(signal, SIGNAL.group_stop_count)) > 0 && (yield* do_signal_stop(0))) continue relock;
      let signr: number = yield* tracehook_get_signal(task, info, return_ka);
      if (signr < 0) continue relock;
      let handler = return_ka.sa_handler;
      if (signr === 0) {
        signr = yield* dequeue_signal(task, yield* load(task, TASK.blocked), info);
        if (signr === 0) {
          yield* unlock_siglock_irq(task);
          return 0;
        }
        if (signr !== SIGKILL && globals().ptracers) {
          signr = yield* tracedSignal(signr, info);
          if (signr === 0) continue;
        }
        const action = actionOf(sighand, signr);
        handler = yield* load(action, ACTION.sa_handler);
        if (handler > SIG_IGN) {
          return_ka.sa_handler = handler;
          return_ka.sa_flags = yield* load(action, ACTION.sa_flags);
          if ((return_ka.sa_flags & SA_ONESHOT) !== 0) yield* store(action, ACTION.sa_handler, SIG_DFL);
        }
      }
      if (handler === SIG_IGN) continue;
      if (handler !== SIG_DFL) {
        yield* unlock_siglock_irq(task);
        return signr;
      }
      if (sig_kernel_ignore(signr)) continue;
      if (sig_kernel_stop(signr)) {
        if (signr !== SIGSTOP) {
          // The kernel looks for an orphaned process group here, and signals can come in the meantime.
          yield* unlock_siglock_irq(task);
          yield* lock_siglock_irq(task);
        }
        if (yield* do_signal_stop(info.si_signo)) continue relock;
        continue;
      }
      yield* unlock_siglock_irq(task);
      yield* set_bits(task, TASK.flags, PF_SIGNALED);
      yield* do_group_exit(info.si_signo);
      return -1;
    }
  }
});

/** Sends a signal to the process that `pid` names; -ESRCH if it is gone. */
export const kill_pid_info = kernel(function* kill_pid_info(sig: number, pid: Ptr) {
  let error = -ESRCH;
  yield* rcu_read_lock();
  for (;;) {
    const p = yield* rcu_dereference(pid, PID.task);
    if (p === 0) break;
    error = yield* group_send_sig_info(sig, p);
    // An exec'ing thread may have taken the pid over in the meantime.
    if (error !== -ESRCH) break;
  }
  yield* rcu_read_unlock();
  return error;
});
