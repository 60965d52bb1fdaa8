/** `struct utrace` and `struct utrace_attached_engine`, as posted. @see kernel/utrace.c, include/linux/utrace.h */
import { atomic_t, kref, list_head, rcu_head, spinlock_t } from "../../sim/index.ts";
import { bitAlias, bits, ptr, struct, u32, ulong, union, when } from "../../sim/struct.ts";

/**
 * What utrace keeps for a task that has engines. Where it is freed while its task lives (UTRACE_RCU, set by the
 * lifetime), it needs an RCU head for that, and a count that tells whether it was given up twice.
 */
export const utrace = struct("utrace", {
  /** The RCU head is used only once the struct is dead, so it shares its words with what only the living need. */
  u: union({ dead: when("UTRACE_RCU", rcu_head), live: struct("utrace_live", { cloning: ptr }) }),
  attached: list_head,
  attaching: list_head,
  lock: spinlock_t,
  check_dead: when((config) => config.UTRACE_RCU === true && config.UTRACE_DEBUG === true, atomic_t),
  reporting: ptr,
  stopped: bits(1),
  report: bits(1),
  interrupt: bits(1),
  signal_handler: bits(1),
  death: bits(1),
  reap: bits(1),
  /** report, interrupt and signal_handler, which the compiler tests and clears in one instruction. */
  wants_report: bitAlias("report", 3),
});

/** One attachment of one tracer to one task. */
export const utrace_attached_engine = struct("utrace_attached_engine", {
  kref: kref,
  entry: list_head,
  ops: ptr,
  data: ptr,
  flags: ulong,
  /** What ptrace keeps for a task that it traces, if it is kept here and not in every task. */
  ptrace: when(
    "PTRACE_IN_ENGINE",
    struct("ptrace_state", {
      ptrace: u32,
      ptraced: list_head,
      ptrace_entry: list_head,
      ptrace_message: ulong,
      last_siginfo: ptr,
    }),
  ),
});

/** Fields, for short. */
export const UTRACE = utrace.fields;
export const ENGINE = utrace_attached_engine.fields;
