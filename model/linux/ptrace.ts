/**
 * Classic ptrace: attach, the stops of a tracee, and what its tracer may ask of it.
 *
 * Who stopped a task in TASK_TRACED is written nowhere. ptrace knows its own stops by last_siginfo, utrace by
 * `utrace->stopped`, and neither asks the other: that is the confusion which [PATCH 2/2] means to end.
 *
 * DEPARTS: attach and traceme take tasklist_lock and then task_lock; the kernel holds task_lock and tries for
 * tasklist_lock until it gets it, which locks out the same others. No big kernel lock, no credentials: everybody may
 * trace everybody. may_ptrace_stop does not look for a core dump.
 *
 * @see kernel/ptrace.c, include/linux/ptrace.h, kernel/signal.c (ptrace_stop, ptrace_signal), kernel/exit.c
 *   (ptrace_exit) of 2.6.27
 */
import {
  add,
  BUG_ON,
  clear_bits,
  current,
  data_race,
  kernel,
  load,
  note,
  type Ptr,
  READ_ONCE,
  read_lock,
  read_unlock,
  ref,
  schedule,
  set_bits,
  spin_lock,
  spin_lock_irq,
  spin_unlock,
  spin_unlock_irq,
  stackPop,
  stackPush,
  store,
  WRITE_ONCE,
  wait_task_inactive,
  write_lock_irq,
  write_unlock_irq,
} from "../../sim/index.ts";
import { running } from "../../sim/op.ts";
import {
  utrace_ptrace_attach,
  utrace_ptrace_check_attach,
  utrace_ptrace_detach,
  utrace_ptrace_resume,
} from "../utrace/ptrace.ts";
import { EINVAL, EIO, EPERM, ESRCH } from "./errno.ts";
import { do_notify_parent, release_task } from "./exit.ts";
import { CLONE_THREAD, CLONE_UNTRACED, CLONE_VFORK } from "./fork.ts";
import { globals, tasklist } from "./globals.ts";
import { INIT_LIST_HEAD, list_add, list_del_init, list_empty, list_entry, list_next } from "./list.ts";
import { get_pid_task } from "./pid.ts";
import {
  __set_current_state,
  __TASK_STOPPED,
  __TASK_TRACED,
  clear_tsk_thread_flag,
  EXIT_DEAD,
  EXIT_ZOMBIE,
  put_task_struct,
  set_tsk_thread_flag,
  TASK_RUNNING,
  TASK_STOPPED,
  TASK_TRACED,
  TIF_SINGLESTEP,
  TIF_SYSCALL_TRACE,
  thread_group_empty,
  wake_up_process,
} from "./sched.ts";
import {
  actionOf,
  do_notify_parent_cldstop,
  lock_siglock_irq,
  recalc_sigpending_tsk,
  SIG_IGN,
  SIGCHLD,
  SIGKILL,
  SIGNAL_STOP_STOPPED,
  SIGSTOP,
  SIGTRAP,
  send_sig_thread,
  send_signal,
  type siginfo_t,
  sigmask,
  signal_wake_up,
  try_to_freeze,
  unlock_siglock_irq,
} from "./signal.ts";
import { k_sigaction, SIGHAND, SIGNAL, siginfo, TASK } from "./structs.ts";

/** Bits of `task->ptrace`. */
export const PT_PTRACED = 0x1;
export const PT_TRACESYSGOOD = 0x4;
export const PT_PTRACE_CAP = 0x8;
export const PT_TRACE_FORK = 0x10;
export const PT_TRACE_VFORK = 0x20;
export const PT_TRACE_CLONE = 0x40;
export const PT_TRACE_EXEC = 0x80;
export const PT_TRACE_VFORK_DONE = 0x100;
export const PT_TRACE_EXIT = 0x200;
const PT_TRACE_MASK = 0x3f4;

/** Requests of `sys_ptrace`. */
export const PTRACE_TRACEME = 0;
export const PTRACE_CONT = 7;
export const PTRACE_KILL = 8;
export const PTRACE_SINGLESTEP = 9;
export const PTRACE_ATTACH = 16;
export const PTRACE_DETACH = 17;
export const PTRACE_SYSCALL = 24;
export const PTRACE_SETOPTIONS = 0x4200;
export const PTRACE_GETEVENTMSG = 0x4201;
export const PTRACE_GETSIGINFO = 0x4202;
export const PTRACE_SETSIGINFO = 0x4203;

/** Options of PTRACE_SETOPTIONS. */
export const PTRACE_O_TRACESYSGOOD = 0x1;
export const PTRACE_O_TRACEFORK = 0x2;
export const PTRACE_O_TRACEVFORK = 0x4;
export const PTRACE_O_TRACECLONE = 0x8;
export const PTRACE_O_TRACEEXEC = 0x10;
export const PTRACE_O_TRACEVFORKDONE = 0x20;
export const PTRACE_O_TRACEEXIT = 0x40;
const PTRACE_O_MASK = 0x7f;
/** Options shifted to where their bits are in `task->ptrace`; TRACESYSGOOD has a place of its own. */
const OPTION_SHIFT = 3;

/** What a stop for an option says of itself, above the signal number. */
export const PTRACE_EVENT_FORK = 1;
export const PTRACE_EVENT_VFORK = 2;
export const PTRACE_EVENT_CLONE = 3;
export const PTRACE_EVENT_EXEC = 4;
export const PTRACE_EVENT_VFORK_DONE = 5;
export const PTRACE_EVENT_EXIT = 6;

const SIGINFO = siginfo.fields;
const SIGINFO_SIZE = 128;
/** `si_code` of a signal that a tracer put in place of another. */
const SI_USER = 0;

/**
 * `task->ptrace` as it is; 0 without a look where nobody can be ptraced. It is changed under tasklist_lock for writing;
 * the hooks look without the lock, as they must cost nothing.
 */
export function* ptraceBits(task: Ptr) {
  return globals().ptracers ? yield* data_race(load(task, TASK.ptrace)) : 0;
}

/** `task_ptrace(task)`: constant 0 under CONFIG_UTRACE_PTRACE, where an engine does what the callers would. */
export function* task_ptrace(task: Ptr) {
  return running.config.UTRACE_PTRACE === true ? 0 : yield* ptraceBits(task);
}

/** Whether a task is traced by another than its real parent. */
export function* ptrace_reparented(task: Ptr) {
  return (yield* load(task, TASK.real_parent)) !== (yield* load(task, TASK.parent));
}

/** Under tasklist_lock for writing. */
function* __ptrace_link(child: Ptr, newParent: Ptr) {
  const linked = !(yield* list_empty(ref(child, TASK.ptrace_entry)));
  yield* BUG_ON(linked, "!list_empty(&child->ptrace_entry)", "kernel/ptrace.c:__ptrace_link");
  yield* list_add(ref(child, TASK.ptrace_entry), ref(newParent, TASK.ptraced));
  yield* store(child, TASK.parent, newParent);
}

/** A stop of ptrace's becomes a job control stop, or ends: the tracer that could end it is gone. */
const ptrace_untrace = kernel(function* ptrace_untrace(child: Ptr) {
  const sighand = yield* load(child, TASK.sighand);
  yield* spin_lock(sighand, SIGHAND.siglock);
  if (((yield* READ_ONCE(child, TASK.state)) & __TASK_TRACED) !== 0) {
    const signal = yield* load(child, TASK.signal);
    if (((yield* load(signal, SIGNAL.flags)) & SIGNAL_STOP_STOPPED) !== 0)
      yield* WRITE_ONCE(child, TASK.state, TASK_STOPPED);
    else yield* signal_wake_up(child, true);
  }
  yield* spin_unlock(sighand, SIGHAND.siglock);
});

/** Gives a tracee back to its real parent. Under tasklist_lock for writing. */
export const __ptrace_unlink = kernel(function* __ptrace_unlink(child: Ptr) {
  const untraced = (yield* ptraceBits(child)) === 0;
  yield* BUG_ON(untraced, "!child->ptrace", "kernel/ptrace.c:__ptrace_unlink");
  yield* store(child, TASK.ptrace, 0);
  yield* store(child, TASK.parent, yield* load(child, TASK.real_parent));
  yield* list_del_init(ref(child, TASK.ptrace_entry));
  // CHOSEN: under CONFIG_UTRACE_PTRACE the stop is the engine's to end.
  if (running.config.UTRACE_PTRACE === true) return;
  if (((yield* READ_ONCE(child, TASK.state)) & __TASK_TRACED) !== 0) yield* ptrace_untrace(child);
});

/** `ptrace_unlink`: as {@link __ptrace_unlink}, if the task is traced at all. */
export function* ptrace_unlink(child: Ptr) {
  if ((yield* ptraceBits(child)) !== 0) yield* __ptrace_unlink(child);
}

/** What a new task has of its creator's tracing: nothing, or all of it. Under tasklist_lock for writing. */
export function* ptrace_init_task(child: Ptr, traced: boolean) {
  if (!globals().ptracers) return;
  yield* INIT_LIST_HEAD(ref(child, TASK.ptrace_entry));
  yield* INIT_LIST_HEAD(ref(child, TASK.ptraced));
  yield* store(child, TASK.ptrace, 0);
  if (!traced) return;
  const own = yield* ptraceBits(current());
  yield* store(child, TASK.ptrace, own);
  if (own !== 0) yield* __ptrace_link(child, yield* load(current(), TASK.parent));
}

/** `release_task` of a tracee. Under tasklist_lock for writing. */
export function* ptrace_release_task(task: Ptr) {
  if (!globals().ptracers) return;
  const tracing = !(yield* list_empty(ref(task, TASK.ptraced)));
  yield* BUG_ON(tracing, "!list_empty(&task->ptraced)", "include/linux/ptrace.h:ptrace_release_task");
  yield* ptrace_unlink(task);
}

/**
 * A tracer dies: its tracees are nobody's. Under tasklist_lock for writing.
 *
 * @returns zombies that reap themselves now, marked EXIT_DEAD, to be released without the lock.
 */
export function* ptrace_exit(parent: Ptr) {
  const dead: Ptr[] = [];
  if (!globals().ptracers) return dead;
  const head = ref(parent, TASK.ptraced);
  for (let at = yield* list_next(head); at !== head; at = yield* list_next(head)) {
    const p = list_entry(at, TASK.ptrace_entry);
    yield* __ptrace_unlink(p);
    if ((yield* load(p, TASK.exit_state)) !== EXIT_ZOMBIE) continue;
    const exitSignal = yield* load(p, TASK.exit_signal);
    if (exitSignal !== -1 && (yield* thread_group_empty(p))) {
      const realParent = yield* load(p, TASK.real_parent);
      if ((yield* load(realParent, TASK.tgid)) !== (yield* load(parent, TASK.tgid))) {
        yield* do_notify_parent(p, exitSignal);
      } else if (yield* ignoring_children(parent)) yield* store(p, TASK.exit_signal, -1);
    }
    if ((yield* load(p, TASK.exit_signal)) === -1) {
      yield* store(p, TASK.exit_state, EXIT_DEAD);
      yield* note("task-reaped", p, 0);
      dead.push(p);
    }
  }
  return dead;
}

function* ignoring_children(parent: Ptr) {
  const action = actionOf(yield* load(parent, TASK.sighand), SIGCHLD);
  return (yield* load(action, k_sigaction.fields.sa_handler)) === SIG_IGN;
}

/** `ptrace_exit_finish`. */
export function* ptrace_exit_finish(dead: readonly Ptr[]) {
  for (const p of dead) yield* release_task(p);
}

/**
 * Stops the running task for its tracer, and tells the tracer.
 *
 * Context: the siglock held on entry and on return, dropped in between.
 *
 * @param exitCode - What `wait` tells the tracer.
 * @param clearCode - Whether that is taken back if the tracer is gone.
 */
export const ptrace_stop = kernel(function* ptrace_stop(exitCode: number, clearCode: boolean, info: siginfo_t) {
  const task = current();
  const signal = yield* load(task, TASK.signal);
  // BUG(kernel): nobody looks whether this was the last to stop.
  if ((yield* load(signal, SIGNAL.group_stop_count)) > 0) yield* add(signal, SIGNAL.group_stop_count, -1);
  const own = stackPush(SIGINFO_SIZE);
  yield* store(own, SIGINFO.si_signo, info.si_signo);
  yield* store(task, TASK.last_siginfo, own);
  yield* store(task, TASK.exit_code, exitCode);
  yield* __set_current_state(TASK_TRACED);
  yield* unlock_siglock_irq(task);
  yield* read_lock(...tasklist());
  if (((yield* ptraceBits(task)) & PT_PTRACED) !== 0) {
    yield* do_notify_parent_cldstop(task);
    yield* read_unlock(...tasklist());
    yield* schedule();
  } else {
    // The tracer went away before we got the lock.
    yield* __set_current_state(TASK_RUNNING);
    if (clearCode) yield* store(task, TASK.exit_code, 0);
    yield* read_unlock(...tasklist());
  }
  yield* try_to_freeze();
  yield* lock_siglock_irq(task);
  yield* store(task, TASK.last_siginfo, 0);
  info.si_signo = yield* load(own, SIGINFO.si_signo);
  stackPop(SIGINFO_SIZE);
  // Signals that came meanwhile woke nobody.
  yield* recalc_sigpending_tsk(task);
});

/** Stops the running task with a SIGTRAP of its own, and perhaps an event. */
export const ptrace_notify = kernel(function* ptrace_notify(exitCode: number) {
  const info: siginfo_t = { si_signo: SIGTRAP };
  yield* lock_siglock_irq(current());
  yield* ptrace_stop(exitCode, true, info);
  yield* unlock_siglock_irq(current());
});

/** A signal is about to be delivered: its tracer may look at it, change it or take it away. Siglock held. */
export const ptrace_signal = kernel(function* ptrace_signal(signr: number, info: siginfo_t) {
  const task = current();
  if (((yield* ptraceBits(task)) & PT_PTRACED) === 0) return signr;
  yield* ptrace_stop(signr, false, info);
  const wanted = yield* load(task, TASK.exit_code);
  if (wanted === 0) return 0;
  yield* store(task, TASK.exit_code, 0);
  info.si_signo = wanted;
  if (((yield* load(task, TASK.blocked)) & sigmask(wanted)) !== 0) {
    yield* send_signal(wanted, task, false);
    return 0;
  }
  return wanted;
});

/**
 * Stops for an option, if it is set.
 *
 * @param mask - PT_TRACE_ bit of the option; 0 if the caller has looked already.
 * @returns whether it stopped. Constant false under CONFIG_UTRACE_PTRACE.
 */
export function* ptrace_event(mask: number, event: number, message: number) {
  if (running.config.UTRACE_PTRACE === true) return false;
  if (mask !== 0 && ((yield* ptraceBits(current())) & mask) === 0) return false;
  yield* store(current(), TASK.ptrace_message, message);
  yield* ptrace_notify((event << 8) | SIGTRAP);
  return true;
}

/** The stop at either end of a system call. */
export const ptrace_report_syscall = kernel(function* ptrace_report_syscall(ptrace: number) {
  const task = current();
  yield* ptrace_notify(SIGTRAP | ((ptrace & PT_TRACESYSGOOD) !== 0 ? 0x80 : 0));
  const sig = yield* load(task, TASK.exit_code);
  if (sig === 0) return;
  yield* lock_siglock_irq(task);
  yield* send_signal(sig, task, false);
  yield* unlock_siglock_irq(task);
  yield* store(task, TASK.exit_code, 0);
});

/**
 * Becomes the tracer of `task`, and sends it SIGSTOP, which does not wake it if it is stopped.
 *
 * @returns 0, or -EPERM: of the own process, already traced, or without memory.
 */
export const ptrace_attach = kernel(function* ptrace_attach(task: Ptr) {
  if ((yield* load(task, TASK.tgid)) === (yield* load(current(), TASK.tgid))) return -EPERM;
  yield* write_lock_irq(...tasklist());
  yield* spin_lock(task, TASK.alloc_lock);
  let error = -EPERM;
  if ((yield* load(task, TASK.mm)) !== 0 && ((yield* ptraceBits(task)) & PT_PTRACED) === 0) {
    error = 0;
    yield* set_bits(task, TASK.ptrace, PT_PTRACED | PT_PTRACE_CAP);
    yield* __ptrace_link(task, current());
    // Not gone yet: __exit_signal comes after the mm.
    const sighand = yield* load(task, TASK.sighand);
    yield* spin_lock(sighand, SIGHAND.siglock);
    yield* send_signal(SIGSTOP, task, false);
    yield* spin_unlock(sighand, SIGHAND.siglock);
  }
  yield* spin_unlock(task, TASK.alloc_lock);
  yield* write_unlock_irq(...tasklist());
  return error;
});

/** The running task is traced by its parent from now on. @returns 0, or -EPERM if it is traced already. */
export const ptrace_traceme = kernel(function* ptrace_traceme() {
  const task = current();
  yield* write_lock_irq(...tasklist());
  yield* spin_lock(task, TASK.alloc_lock);
  let error = -EPERM;
  if (((yield* ptraceBits(task)) & PT_PTRACED) === 0) {
    error = 0;
    yield* set_bits(task, TASK.ptrace, PT_PTRACED);
    yield* __ptrace_link(task, yield* load(task, TASK.real_parent));
  }
  yield* spin_unlock(task, TASK.alloc_lock);
  yield* write_unlock_irq(...tasklist());
  return error;
});

/**
 * Whether the running task traces `child` and `child` is stopped. A job control stop becomes a stop in TASK_TRACED, so
 * that SIGCONT does not end it. BUG(kernel): so does every other: in whose hands a TASK_TRACED is, nobody asks.
 *
 * @param kill - The request is PTRACE_KILL, for which it need not be stopped.
 * @returns 0 or -ESRCH.
 */
export const ptrace_check_attach = kernel(function* ptrace_check_attach(child: Ptr, kill: boolean) {
  let error = -ESRCH;
  yield* read_lock(...tasklist());
  if (((yield* ptraceBits(child)) & PT_PTRACED) !== 0 && (yield* load(child, TASK.parent)) === current()) {
    error = 0;
    const sighand = yield* load(child, TASK.sighand);
    yield* spin_lock_irq(sighand, SIGHAND.siglock);
    const state = yield* READ_ONCE(child, TASK.state);
    if ((state & __TASK_STOPPED) !== 0) yield* WRITE_ONCE(child, TASK.state, TASK_TRACED);
    else if ((state & __TASK_TRACED) === 0 && !kill) error = -ESRCH;
    yield* spin_unlock_irq(sighand, SIGHAND.siglock);
  }
  yield* read_unlock(...tasklist());
  if (error === 0 && !kill && (yield* wait_task_inactive(child, TASK_TRACED)) === 0) return -ESRCH;
  return error;
});

const validSignal = (sig: number): boolean => sig >= 0 && sig <= 64;

/** Gives a tracee up and lets it run. @param data - The signal to go on with. */
export const ptrace_detach = kernel(function* ptrace_detach(child: Ptr, data: number) {
  if (!validSignal(data)) return -EIO;
  yield* clear_tsk_thread_flag(child, TIF_SINGLESTEP);
  yield* clear_tsk_thread_flag(child, TIF_SYSCALL_TRACE);
  yield* write_lock_irq(...tasklist());
  if ((yield* ptraceBits(child)) !== 0) {
    yield* store(child, TASK.exit_code, data);
    yield* __ptrace_unlink(child);
    // BUG(kernel): wakes a task in a job control stop too.
    if ((yield* load(child, TASK.exit_state)) !== EXIT_ZOMBIE) yield* wake_up_process(child);
  }
  yield* write_unlock_irq(...tasklist());
  return 0;
});

/** Lets a tracee run: up to the next system call, for one instruction, or on. */
export const ptrace_resume = kernel(function* ptrace_resume(child: Ptr, request: number, data: number) {
  if (!validSignal(data)) return -EIO;
  if (request === PTRACE_SYSCALL) yield* set_tsk_thread_flag(child, TIF_SYSCALL_TRACE);
  else yield* clear_tsk_thread_flag(child, TIF_SYSCALL_TRACE);
  if (request === PTRACE_SINGLESTEP) yield* set_tsk_thread_flag(child, TIF_SINGLESTEP);
  else yield* clear_tsk_thread_flag(child, TIF_SINGLESTEP);
  yield* store(child, TASK.exit_code, data);
  yield* wake_up_process(child);
  return 0;
});

function* ptrace_setoptions(child: Ptr, data: number) {
  let bits = (data & PTRACE_O_MASK & ~PTRACE_O_TRACESYSGOOD) << OPTION_SHIFT;
  if ((data & PTRACE_O_TRACESYSGOOD) !== 0) bits |= PT_TRACESYSGOOD;
  yield* clear_bits(child, TASK.ptrace, PT_TRACE_MASK);
  yield* set_bits(child, TASK.ptrace, bits);
  return (data & ~PTRACE_O_MASK) !== 0 ? -EINVAL : 0;
}

/** PTRACE_GETSIGINFO and PTRACE_SETSIGINFO: of the signal that the tracee is stopped with, under its siglock. */
function* ptrace_siginfo(child: Ptr, access: (info: Ptr) => Iterable<unknown>) {
  let error = -ESRCH;
  yield* read_lock(...tasklist());
  const sighand = yield* load(child, TASK.sighand);
  if (sighand !== 0) {
    error = -EINVAL;
    yield* spin_lock_irq(sighand, SIGHAND.siglock);
    const info = yield* load(child, TASK.last_siginfo);
    if (info !== 0) {
      yield* access(info) as Generator<never, void, unknown>;
      error = 0;
    }
    yield* spin_unlock_irq(sighand, SIGHAND.siglock);
  }
  yield* read_unlock(...tasklist());
  return error;
}

/** Which event of ptrace's a clone of `task` is, 0 for none: what tracehook_prepare_clone looks up. */
export function* cloneEvent(task: Ptr, cloneFlags: number) {
  if ((cloneFlags & CLONE_UNTRACED) !== 0) return 0;
  const ptrace = yield* ptraceBits(task);
  if ((cloneFlags & CLONE_VFORK) !== 0) return (ptrace & PT_TRACE_VFORK) !== 0 ? PTRACE_EVENT_VFORK : 0;
  // As clone(2) has it: a thread does not signal SIGCHLD when it dies.
  if ((cloneFlags & CLONE_THREAD) !== 0) return (ptrace & PT_TRACE_CLONE) !== 0 ? PTRACE_EVENT_CLONE : 0;
  return (ptrace & PT_TRACE_FORK) !== 0 ? PTRACE_EVENT_FORK : 0;
}

/** What a request reads for its caller: `*data` of GETEVENTMSG, `si_signo` of GETSIGINFO. */
export interface PtraceResult {
  value: number;
}

const ptrace_request = kernel(function* ptrace_request(child: Ptr, request: number, data: number, out: PtraceResult) {
  const overUtrace = running.config.UTRACE_PTRACE === true;
  switch (request) {
    case PTRACE_CONT:
    case PTRACE_SYSCALL:
    case PTRACE_SINGLESTEP:
      if (overUtrace) return yield* utrace_ptrace_resume(child, request, data);
      return yield* ptrace_resume(child, request, data);
    case PTRACE_KILL:
      if ((yield* load(child, TASK.exit_state)) !== 0) return 0;
      // CHOSEN: over utrace a SIGKILL is sent, whatever the tracee does.
      if (overUtrace) return yield* send_sig_thread(SIGKILL, child);
      return yield* ptrace_resume(child, request, SIGKILL);
    case PTRACE_DETACH:
      if (overUtrace) return yield* utrace_ptrace_detach(child, data);
      return yield* ptrace_detach(child, data);
    case PTRACE_SETOPTIONS:
      return yield* ptrace_setoptions(child, data);
    case PTRACE_GETEVENTMSG:
      out.value = yield* load(child, TASK.ptrace_message);
      return 0;
    case PTRACE_GETSIGINFO:
      if (overUtrace) return -EIO;
      return yield* ptrace_siginfo(child, function* (info) {
        out.value = yield* load(info, SIGINFO.si_signo);
      });
    case PTRACE_SETSIGINFO:
      if (overUtrace) return -EIO;
      return yield* ptrace_siginfo(child, function* (info) {
        yield* store(info, SIGINFO.si_signo, data);
        yield* store(info, SIGINFO.si_code, SI_USER);
      });
    default:
      return -EIO;
  }
});

/**
 * `ptrace(request, pid, ..., data)`.
 *
 * @param pid - `struct pid` of the tracee; not looked at for PTRACE_TRACEME.
 * @param data - A signal, options, or whatever the request takes.
 * @param out - Takes what the request reads.
 * @returns 0, -ESRCH (no such task, not traced by the caller, or not stopped), -EPERM (attach, traceme), -EIO (no such
 *   request, or no signal), -EINVAL (options; no siginfo).
 */
export const sys_ptrace = kernel(function* sys_ptrace(
  request: number,
  pid: Ptr,
  data: number = 0,
  out: PtraceResult = { value: 0 },
) {
  if (request === PTRACE_TRACEME) {
    if (running.config.UTRACE_PTRACE !== true) return yield* ptrace_traceme();
    return yield* utrace_ptrace_attach(current(), ptrace_traceme);
  }
  const child = yield* get_pid_task(pid);
  if (child === 0) return -ESRCH;
  let ret: number;
  const overUtrace = running.config.UTRACE_PTRACE === true;
  if (request === PTRACE_ATTACH) {
    ret = overUtrace ? yield* utrace_ptrace_attach(child, ptrace_attach) : yield* ptrace_attach(child);
  } else {
    const check = overUtrace ? utrace_ptrace_check_attach : ptrace_check_attach;
    ret = yield* check(child, request === PTRACE_KILL);
    if (ret === 0) ret = yield* ptrace_request(child, request, data, out);
  }
  yield* put_task_struct(child);
  return ret;
});
