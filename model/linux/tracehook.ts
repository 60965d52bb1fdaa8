/**
 * The points at which the kernel calls tracing code, in the order and under the locks of kernel 2.6.28 on x86.
 *
 * Each is inline in the kernel: it tests `task->utrace_flags` without a lock and calls into utrace only if some engine
 * may care. What classic ptrace wants comes after, but where it says so.
 *
 * @see include/linux/tracehook.h with the posted patch applied
 */
import { data_race, load, note, type Ptr, rcu_dereference, set_bits, smp_mb } from "../../sim/index.ts";
import { running } from "../../sim/op.ts";
import { current } from "../../sim/primitives.ts";
import { utrace_release_task } from "../utrace/death.ts";
import { UTRACE_EVENT, UTRACE_EVENT_DEATH_EVENTS } from "../utrace/events.ts";
import { ptrace_utrace_exit } from "../utrace/ptrace.ts";
import {
  utrace_report_clone,
  utrace_report_death,
  utrace_report_exec,
  utrace_report_exit,
  utrace_report_jctl,
  utrace_report_syscall_entry,
  utrace_report_syscall_exit,
  utrace_resume,
} from "../utrace/report.ts";
import { utrace_get_signal, utrace_interrupt_pending, utrace_signal_handler } from "../utrace/signal.ts";
import { utrace_tracer_task, utrace_unsafe_exec } from "../utrace/tracerTask.ts";
import { CLONE_PTRACE } from "./fork.ts";
import { globals } from "./globals.ts";
import {
  cloneEvent,
  PT_PTRACE_CAP,
  PT_PTRACED,
  PT_TRACE_EXEC,
  PT_TRACE_EXIT,
  PT_TRACE_VFORK_DONE,
  PTRACE_EVENT_EXEC,
  PTRACE_EVENT_EXIT,
  PTRACE_EVENT_VFORK_DONE,
  ptrace_event,
  ptrace_init_task,
  ptrace_notify,
  ptrace_release_task,
  ptrace_reparented,
  ptrace_report_syscall,
  ptraceBits,
  task_ptrace,
} from "./ptrace.ts";
import { set_tsk_thread_flag, TIF_SIGPENDING, thread_group_empty } from "./sched.ts";
import { SIGCHLD, SIGSTOP, SIGTRAP, send_sig_thread, type sigaction, type siginfo_t, sigmask } from "./signal.ts";
import { TASK } from "./structs.ts";

/** What tracing means for the credentials of an exec. @see include/linux/security.h */
export const LSM_UNSAFE_PTRACE = 2;
export const LSM_UNSAFE_PTRACE_CAP = 4;

/** What `tracehook_notify_death` says of a task that reaps itself. */
export const DEATH_REAP = -1;
/** ... and of a leader whose threads are still there. */
export const DEATH_DELAYED_GROUP_LEADER = -2;

/**
 * Whether some engine wants one of these events. One load without a lock, so that a task that nobody traces pays for
 * nothing else: a bit that is set later is for the next event.
 */
function* flagged(task: Ptr, events: number) {
  return ((yield* data_race(load(task, TASK.utrace_flags))) & events) !== 0;
}

/** System call entry; true if the call is not to be made. */
export function* tracehook_report_syscall_entry() {
  if ((yield* flagged(current(), UTRACE_EVENT.SYSCALL_ENTRY)) && (yield* utrace_report_syscall_entry())) return true;
  yield* reportSyscallToPtrace();
  return false;
}

function* reportSyscallToPtrace() {
  const ptrace = yield* task_ptrace(current());
  if ((ptrace & PT_PTRACED) !== 0) yield* ptrace_report_syscall(ptrace);
}

/** System call exit. */
export function* tracehook_report_syscall_exit() {
  if (yield* flagged(current(), UTRACE_EVENT.SYSCALL_EXIT)) yield* utrace_report_syscall_exit();
  yield* reportSyscallToPtrace();
}

/** LSM_UNSAFE_ bits that tracing means for an exec. Under task_lock of the running task. */
export function* tracehook_unsafe_exec(task: Ptr) {
  let unsafe = 0;
  const ptrace = yield* task_ptrace(task);
  if ((ptrace & PT_PTRACED) !== 0) unsafe |= (ptrace & PT_PTRACE_CAP) !== 0 ? LSM_UNSAFE_PTRACE_CAP : LSM_UNSAFE_PTRACE;
  if ((yield* data_race(load(task, TASK.utrace_flags))) !== 0) unsafe |= yield* utrace_unsafe_exec(task);
  return unsafe;
}

/** Who traces `task`, 0 for nobody; the answer of ptrace first. In an RCU read section. */
export function* tracehook_tracer_task(task: Ptr) {
  if (((yield* task_ptrace(task)) & PT_PTRACED) !== 0) return yield* rcu_dereference(task, TASK.parent);
  return (yield* data_race(load(task, TASK.utrace_flags))) !== 0 ? yield* utrace_tracer_task(task) : 0;
}

/** Whether breakpoints may be expected in the memory of `task`: someone wants to see its faults. */
export function* tracehook_expect_breakpoints(task: Ptr) {
  if (yield* flagged(task, UTRACE_EVENT.SIGNAL_CORE)) return true;
  return ((yield* task_ptrace(task)) & PT_PTRACED) !== 0;
}

/** After the new image is in place. */
export function* tracehook_report_exec() {
  if (yield* flagged(current(), UTRACE_EVENT.EXEC)) yield* utrace_report_exec();
  if (yield* ptrace_event(PT_TRACE_EXEC, PTRACE_EVENT_EXEC, 0)) return;
  if (((yield* task_ptrace(current())) & PT_PTRACED) !== 0) yield* send_sig_thread(SIGTRAP, current());
}

/** First thing in `do_exit`; gives the exit code, which engines may change. */
export function* tracehook_report_exit(exitCode: number) {
  // CHOSEN: the caller of ptrace_utrace_exit is not in what is known of the patch.
  if (running.config.UTRACE_PTRACE === true) yield* ptrace_utrace_exit(current());
  let code = exitCode;
  if (yield* flagged(current(), UTRACE_EVENT.EXIT)) code = yield* utrace_report_exit(exitCode);
  yield* ptrace_event(PT_TRACE_EXIT, PTRACE_EVENT_EXIT, code);
  return code;
}

/** First thing in `do_fork`: which event of ptrace's this will be, 0 for none. */
export function* tracehook_prepare_clone(cloneFlags: number) {
  return yield* cloneEvent(current(), cloneFlags);
}

/**
 * A new task has nothing of its creator's utrace, and of its ptrace only what was asked for. Under `tasklist_lock` for
 * writing.
 */
export function* tracehook_finish_clone(child: Ptr, cloneFlags: number, trace: number) {
  yield* globals().utrace.lifetime.utrace_init_task(child);
  yield* ptrace_init_task(child, (cloneFlags & CLONE_PTRACE) !== 0 || trace !== 0);
}

/** In the creator, before the child first runs; a child that ptrace follows begins with a SIGSTOP. */
export function* tracehook_report_clone(cloneFlags: number, child: Ptr, trace: number) {
  if (yield* flagged(current(), UTRACE_EVENT.CLONE)) yield* utrace_report_clone(cloneFlags, child);
  if (trace === 0 && (cloneFlags & CLONE_PTRACE) === 0) return;
  yield* set_bits(child, TASK.pending.signal, sigmask(SIGSTOP));
  yield* set_tsk_thread_flag(child, TIF_SIGPENDING);
}

/** In the creator, when the child has begun to run. */
export function* tracehook_report_clone_complete(trace: number, pid: number) {
  if (trace !== 0) yield* ptrace_event(0, trace, pid);
}

/** In the creator, when the child of a vfork has let go of the memory. utrace has no event for it yet. */
export function* tracehook_report_vfork_done(pid: number) {
  yield* ptrace_event(PT_TRACE_VFORK_DONE, PTRACE_EVENT_VFORK_DONE, pid);
}

/** First thing in `release_task`, without locks. */
export function* tracehook_prepare_release_task(task: Ptr) {
  if (yield* globals().utrace.lifetime.needsRelease(task)) yield* utrace_release_task(task);
}

/** Under `tasklist_lock` for writing. */
export function* tracehook_finish_release_task(task: Ptr) {
  yield* ptrace_release_task(task);
  yield* globals().utrace.lifetime.tracehook_finish_release_task(task);
}

/** A signal handler's frame was set up. */
export function* tracehook_signal_handler(stepping: boolean) {
  if ((yield* data_race(load(current(), TASK.utrace_flags))) !== 0) yield* utrace_signal_handler(current(), stepping);
  // BUG(kernel): whether anybody ptraces it is looked at only when it counts as stopped already.
  if (stepping && running.config.UTRACE_PTRACE !== true) yield* ptrace_notify(SIGTRAP);
}

/** Under the target's siglock. */
export function* tracehook_consider_ignored_signal(task: Ptr) {
  if (yield* flagged(task, UTRACE_EVENT.SIGNAL_IGN)) return true;
  return ((yield* task_ptrace(task)) & PT_PTRACED) !== 0;
}

/** Under the target's siglock. */
export function* tracehook_consider_fatal_signal(task: Ptr) {
  if (yield* flagged(task, UTRACE_EVENT.SIGNAL_TERM | UTRACE_EVENT.SIGNAL_CORE)) return true;
  return ((yield* task_ptrace(task)) & PT_PTRACED) !== 0;
}

/** Under the running task's siglock. */
export function* tracehook_force_sigpending() {
  if ((yield* data_race(load(current(), TASK.utrace_flags))) === 0) {
    yield* note("report-passed-by", current(), 0);
    return false;
  }
  return yield* utrace_interrupt_pending();
}

/** Under the running task's siglock, which it may drop and take again; -1 says that it stays dropped. */
export function* tracehook_get_signal(task: Ptr, info: siginfo_t, return_ka: sigaction) {
  if ((yield* data_race(load(task, TASK.utrace_flags))) === 0) {
    yield* note("report-passed-by", task, 0);
    return 0;
  }
  return yield* utrace_get_signal(task, info, return_ka);
}

/** Nonzero if the parent is to be told. */
export function* tracehook_notify_jctl(notify: boolean, why: number) {
  if (yield* flagged(current(), UTRACE_EVENT.JCTL)) yield* utrace_report_jctl(notify, why);
  return notify || ((yield* ptraceBits(current())) & PT_PTRACED) !== 0 ? 1 : 0;
}

/** Under `tasklist_lock` for writing: what to tell the parent, and the cookie for the death report. */
export function* tracehook_notify_death(task: Ptr) {
  const deathCookie = yield* globals().utrace.lifetime.own(task);
  const exitSignal = yield* load(task, TASK.exit_signal);
  let signal: number;
  if (exitSignal === -1) signal = (yield* ptraceBits(task)) !== 0 ? SIGCHLD : DEATH_REAP;
  else if ((yield* thread_group_empty(task)) && !(globals().ptracers && (yield* ptrace_reparented(task)))) {
    // To another than the real parent exit_signal means nothing.
    signal = exitSignal;
  } else signal = (yield* ptraceBits(task)) !== 0 ? SIGCHLD : DEATH_DELAYED_GROUP_LEADER;
  return { signal, deathCookie };
}

/** Last thing before a dead task may be reaped, without locks. */
export function* tracehook_report_death(task: Ptr, signal: number, deathCookie: Ptr, groupDead: boolean) {
  // Pairs with the tasklist_lock in utrace_set_events: exit_state was stored before.
  yield* smp_mb();
  if (yield* flagged(task, UTRACE_EVENT_DEATH_EVENTS)) yield* utrace_report_death(task, deathCookie, groupDead, signal);
}

/** TIF_NOTIFY_RESUME was set: on the way to user mode. */
export function* tracehook_notify_resume() {
  if ((yield* data_race(load(current(), TASK.utrace_flags))) !== 0) yield* utrace_resume(current());
  // BUG(kernel): an engine may have asked for a report, but for no events yet.
  else yield* note("report-passed-by", current(), 0);
}
