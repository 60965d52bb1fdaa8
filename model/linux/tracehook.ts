/**
 * The points at which the kernel calls tracing code, in the order and under the locks of kernel 2.6.28 on x86.
 *
 * Each is inline in the kernel: it tests `task->utrace_flags` without a lock and calls into utrace only if some engine
 * may care. What follows for classic ptrace (issue of its own) is left out: no task here is ptraced.
 *
 * @see include/linux/tracehook.h with the posted patch applied
 */
import { load, type Ptr, smp_mb } from "../../sim/index.ts";
import { current } from "../../sim/primitives.ts";
import { utrace_release_task } from "../utrace/death.ts";
import { UTRACE_EVENT, UTRACE_EVENT_DEATH_EVENTS } from "../utrace/events.ts";
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
import { globals } from "./globals.ts";
import { thread_group_empty } from "./sched.ts";
import type { sigaction, siginfo_t } from "./signal.ts";
import { TASK } from "./structs.ts";

/** What `tracehook_notify_death` says of a task that reaps itself. */
export const DEATH_REAP = -1;
/** ... and of a leader whose threads are still there. */
export const DEATH_DELAYED_GROUP_LEADER = -2;

function* flagged(task: Ptr, events: number) {
  return ((yield* load(task, TASK.utrace_flags)) & events) !== 0;
}

/** System call entry; true if the call is not to be made. */
export function* tracehook_report_syscall_entry() {
  if (!(yield* flagged(current(), UTRACE_EVENT.SYSCALL_ENTRY))) return false;
  return yield* utrace_report_syscall_entry();
}

/** System call exit. */
export function* tracehook_report_syscall_exit() {
  if (yield* flagged(current(), UTRACE_EVENT.SYSCALL_EXIT)) yield* utrace_report_syscall_exit();
}

/** After the new image is in place. */
export function* tracehook_report_exec() {
  if (yield* flagged(current(), UTRACE_EVENT.EXEC)) yield* utrace_report_exec();
}

/** First thing in `do_exit`; gives the exit code, which engines may change. */
export function* tracehook_report_exit(exitCode: number) {
  if (yield* flagged(current(), UTRACE_EVENT.EXIT)) return yield* utrace_report_exit(exitCode);
  return exitCode;
}

/** A new task has nothing of its creator's tracing. Under `tasklist_lock` for writing. */
export function* tracehook_finish_clone(child: Ptr) {
  yield* globals().utrace.lifetime.utrace_init_task(child);
}

/** In the creator, before the child first runs. */
export function* tracehook_report_clone(cloneFlags: number, child: Ptr) {
  if (yield* flagged(current(), UTRACE_EVENT.CLONE)) yield* utrace_report_clone(cloneFlags, child);
}

/** First thing in `release_task`, without locks. */
export function* tracehook_prepare_release_task(task: Ptr) {
  if (yield* globals().utrace.lifetime.needsRelease(task)) yield* utrace_release_task(task);
}

/** Under `tasklist_lock` for writing. */
export function* tracehook_finish_release_task(task: Ptr) {
  yield* globals().utrace.lifetime.tracehook_finish_release_task(task);
}

/** A signal handler's frame was set up. */
export function* tracehook_signal_handler(stepping: boolean) {
  if ((yield* load(current(), TASK.utrace_flags)) !== 0) yield* utrace_signal_handler(current(), stepping);
}

/** Under the target's siglock. */
export function* tracehook_consider_ignored_signal(task: Ptr) {
  return yield* flagged(task, UTRACE_EVENT.SIGNAL_IGN);
}

/** Under the target's siglock. */
export function* tracehook_consider_fatal_signal(task: Ptr) {
  return yield* flagged(task, UTRACE_EVENT.SIGNAL_TERM | UTRACE_EVENT.SIGNAL_CORE);
}

/** Under the running task's siglock. */
export function* tracehook_force_sigpending() {
  if ((yield* load(current(), TASK.utrace_flags)) === 0) return false;
  return yield* utrace_interrupt_pending();
}

/** Under the running task's siglock, which it may drop and take again; -1 says that it stays dropped. */
export function* tracehook_get_signal(task: Ptr, info: siginfo_t, return_ka: sigaction) {
  if ((yield* load(task, TASK.utrace_flags)) === 0) return 0;
  return yield* utrace_get_signal(task, info, return_ka);
}

/** Nonzero if the parent is to be told. */
export function* tracehook_notify_jctl(notify: boolean, why: number) {
  if (yield* flagged(current(), UTRACE_EVENT.JCTL)) yield* utrace_report_jctl(notify, why);
  return notify ? 1 : 0;
}

/** Under `tasklist_lock` for writing: what to tell the parent, and the cookie for the death report. */
export function* tracehook_notify_death(task: Ptr) {
  const deathCookie = yield* globals().utrace.lifetime.own(task);
  const exitSignal = yield* load(task, TASK.exit_signal);
  let signal: number;
  if (exitSignal === -1) signal = DEATH_REAP;
  else if (yield* thread_group_empty(task)) signal = exitSignal;
  else signal = DEATH_DELAYED_GROUP_LEADER;
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
  if ((yield* load(current(), TASK.utrace_flags)) !== 0) yield* utrace_resume(current());
}
