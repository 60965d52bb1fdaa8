/** One CPU: what runs on it, its interrupt state, and its part of RCU. */
import type { Context } from "./context.ts";
import type { Ptr } from "./op.ts";

/** A callback waiting for its grace period. */
export interface RcuCallback {
  /** Address of the `rcu_head`; 0 for the wake-up of a synchronize_rcu. */
  readonly head: Ptr;
  readonly sleeper: Context | null;
  /** Number of its `call_rcu` in the run: read sections that began before it hold it back. */
  readonly sequence: number;
  /** Id of the kernel function queued; -1 for a synchronize_rcu. */
  readonly callee: number;
}

/** One CPU of a machine. */
export class Cpu {
  /** The task that has the CPU, null while it idles. */
  current: Context | null = null;
  /** The softirq running on top of {@link current}. */
  softirq: Context | null = null;
  /** Tasks on its run queue. */
  queued = 0;
  irqOff = false;
  /** A reschedule interrupt is on its way. */
  ipiPending = false;
  /** RCU sequence number when this CPU last passed a quiescent state. */
  quiescentAt = 0;
  /** RCU sequence number when interrupts were last turned off. */
  irqOffSince = 0;
  readonly rcuQueue: RcuCallback[] = [];
  /** Address of the `rcu_head` queued last: its `next` is where the next one is linked. */
  rcuTail: Ptr = 0;
  /** Virtual time in nanoseconds. */
  clock = 0;

  constructor(readonly id: number) {}

  /** Whose ops the CPU executes. */
  active(): Context | null {
    return this.softirq ?? this.current;
  }
}
