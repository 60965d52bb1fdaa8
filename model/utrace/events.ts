/** Constants of the interface. @see include/linux/utrace.h; values as in kernel code of January 2009 */

/** Bits of an event mask. */
export const UTRACE_EVENT = {
  QUIESCE: 1 << 0,
  REAP: 1 << 1,
  CLONE: 1 << 2,
  EXEC: 1 << 3,
  EXIT: 1 << 4,
  DEATH: 1 << 5,
  SYSCALL_ENTRY: 1 << 6,
  SYSCALL_EXIT: 1 << 7,
  SIGNAL: 1 << 8,
  SIGNAL_IGN: 1 << 9,
  SIGNAL_STOP: 1 << 10,
  SIGNAL_TERM: 1 << 11,
  SIGNAL_CORE: 1 << 12,
  JCTL: 1 << 13,
} as const;
export const UTRACE_EVENT_SIGNAL_ALL = 0x1f00;
export const UTRACE_EVENT_SYSCALL = UTRACE_EVENT.SYSCALL_ENTRY | UTRACE_EVENT.SYSCALL_EXIT;
/** Events that are reported after `exit_state` is set. */
export const UTRACE_EVENT_DEATH_EVENTS = UTRACE_EVENT.DEATH | UTRACE_EVENT.QUIESCE;
/** The only bits that matter for a dead task. */
export const DEAD_FLAGS_MASK = UTRACE_EVENT.REAP;
/** In an engine's flags, past the event bits: it keeps the task stopped. */
export const ENGINE_STOP = 1 << 14;

/** `enum utrace_resume_action`: of several engines the smallest wins. */
export const UTRACE_STOP = 0;
export const UTRACE_REPORT = 1;
export const UTRACE_INTERRUPT = 2;
export const UTRACE_SINGLESTEP = 3;
export const UTRACE_BLOCKSTEP = 4;
export const UTRACE_RESUME = 5;
export const UTRACE_DETACH = 6;
export const UTRACE_RESUME_MASK = 0x0f;
/** The resume action in what a callback returns. */
export const utrace_resume_action = (ret: number): number => ret & UTRACE_RESUME_MASK;

/** `enum utrace_signal_action`: what becomes of a signal. */
export const UTRACE_SIGNAL_DELIVER = 0x00;
export const UTRACE_SIGNAL_IGN = 0x10;
export const UTRACE_SIGNAL_TERM = 0x20;
export const UTRACE_SIGNAL_CORE = 0x30;
export const UTRACE_SIGNAL_STOP = 0x40;
export const UTRACE_SIGNAL_TSTP = 0x50;
export const UTRACE_SIGNAL_REPORT = 0x60;
export const UTRACE_SIGNAL_HANDLER = 0x70;
export const UTRACE_SIGNAL_MASK = 0xf0;
/** The signal goes back on the queue besides. */
export const UTRACE_SIGNAL_HOLD = 0x100;
export const utrace_signal_action = (ret: number): number => ret & UTRACE_SIGNAL_MASK;

/** `enum utrace_syscall_action`: whether a system call is made. */
export const UTRACE_SYSCALL_RUN = 0x00;
export const UTRACE_SYSCALL_ABORT = 0x10;
export const UTRACE_SYSCALL_MASK = 0xf0;
export const utrace_syscall_action = (ret: number): number => ret & UTRACE_SYSCALL_MASK;

/** Flags of utrace_attach_task. */
export const UTRACE_ATTACH_MATCH_OPS = 0x01;
export const UTRACE_ATTACH_MATCH_DATA = 0x02;
export const UTRACE_ATTACH_CREATE = 0x10;
export const UTRACE_ATTACH_EXCLUSIVE = 0x20;
