/**
 * Between user mode and kernel: system calls, and the work on the way back.
 *
 * @see arch/x86/kernel/entry_64.S, signal_64.c, ptrace.c of 2.6.28
 */
import {
  beginRounds,
  forget,
  forgetRound,
  type KernelFunction,
  kernel,
  local_irq_disable,
  local_irq_enable,
  note,
  set_bits,
  user,
} from "../../sim/index.ts";
import { current } from "../../sim/primitives.ts";
import { globals } from "./globals.ts";
import {
  clear_thread_flag,
  TIF_NOTIFY_RESUME,
  TIF_SIGPENDING,
  TIF_SINGLESTEP,
  TIF_SYSCALL_TRACE,
  thread_flags,
} from "./sched.ts";
import {
  force_sig_info,
  get_signal_to_deliver,
  lock_siglock_irq,
  recalc_sigpending,
  SIGTRAP,
  type sigaction,
  type siginfo_t,
  sigmask,
  unlock_siglock_irq,
} from "./signal.ts";
import { TASK } from "./structs.ts";
import {
  tracehook_consider_fatal_signal,
  tracehook_notify_resume,
  tracehook_report_syscall_entry,
  tracehook_report_syscall_exit,
  tracehook_signal_handler,
} from "./tracehook.ts";

const handle_signal = kernel(function* handle_signal(sig: number) {
  const task = current();
  yield* lock_siglock_irq(task);
  yield* set_bits(task, TASK.blocked, sigmask(sig));
  yield* recalc_sigpending();
  yield* unlock_siglock_irq(task);
  yield* tracehook_signal_handler(((yield* thread_flags()) & TIF_SINGLESTEP) !== 0);
});

function* do_signal() {
  const info: siginfo_t = { si_signo: 0 };
  const ka: sigaction = { sa_handler: 0, sa_flags: 0 };
  const signr = yield* get_signal_to_deliver(info, ka);
  if (signr > 0) yield* handle_signal(signr);
}

const do_notify_resume = kernel(function* do_notify_resume(flags: number) {
  if ((flags & TIF_SIGPENDING) !== 0) yield* do_signal();
  if ((flags & TIF_NOTIFY_RESUME) !== 0) {
    yield* clear_thread_flag(TIF_NOTIFY_RESUME);
    yield* tracehook_notify_resume();
  }
});

const WORK = TIF_SIGPENDING | TIF_NOTIFY_RESUME;

/** The loop before user mode: looks at the flags with interrupts off, works with them on. */
export const ret_to_user = kernel(function* int_signal() {
  for (;;) {
    yield* forget("again");
    yield* local_irq_disable();
    const flags = yield* thread_flags();
    if ((flags & WORK) === 0) yield* note("user-return", current(), 0);
    yield* local_irq_enable();
    if ((flags & WORK) === 0) return;
    yield* do_notify_resume(flags);
  }
});

/**
 * A system call of the running task, with its entry and exit work and the way back to user mode.
 *
 * @param call - What the call does in the kernel.
 */
export function* syscall<A extends readonly unknown[], R>(call: KernelFunction<A, R>, ...args: A) {
  let result: R | undefined;
  let abort = false;
  if (((yield* thread_flags()) & TIF_SYSCALL_TRACE) !== 0) abort = yield* tracehook_report_syscall_entry();
  if (!abort) result = yield* call(...args);
  if (((yield* thread_flags()) & TIF_SYSCALL_TRACE) !== 0) yield* tracehook_report_syscall_exit();
  // The trap that would follow the instruction is made here, if somebody is there to see it.
  if (globals().trapFlag(current()) && (yield* tracehook_consider_fatal_signal(current()))) yield* do_debug();
  yield* ret_to_user();
  return result;
}

/** The debug trap after an instruction that ran with the trap flag set. */
const do_debug = kernel(function* do_debug() {
  yield* force_sig_info(SIGTRAP, current());
});

/** The trap of a breakpoint instruction. */
export const do_int3 = kernel(function* do_int3() {
  yield* force_sig_info(SIGTRAP, current());
});

/**
 * Runs in user mode for `ns` nanoseconds, interrupted whenever there is work for the task. For single stepping this is
 * one instruction.
 */
export function* user_mode(ns: number) {
  yield* beginRounds();
  for (;;) {
    const stepping = globals().trapFlag(current());
    const cut = yield* user(ns);
    yield* note("user-mode", current(), 0);
    if (cut !== 0) {
      yield* ret_to_user();
      yield* forgetRound();
    } else {
      if (!stepping) return;
      yield* do_debug();
      yield* ret_to_user();
      return;
    }
  }
}
