/**
 * `timed`: the discrete-event strategy. Every event has a moment in virtual time, the earliest is next; the seed moves
 * the moments about, within what a machine of 2008 might do.
 *
 * An op takes nanoseconds, a context switch microseconds. Each CPU has a tick every millisecond, at a phase of its
 * own; preemption by the scheduler, a look at the work flags from user mode and the RCU softirq wait for ticks. A
 * woken task may preempt at once. A grace period takes a few ticks.
 */
import {
  eventArgument,
  eventCpu,
  eventType,
  FLUSH,
  INTERRUPT,
  PREEMPT,
  SOFTIRQ,
  STEP,
  SWITCH,
  TIMER,
} from "../event.ts";
import { type Machine, TICK } from "../machine.ts";
import { ALLOC, ATOMIC, BARRIER, CHOOSE, FREE, SCHEDULE, SPIN_LOCK, USER, WAKE_UP } from "../op.ts";
import { makeRng, type Rng } from "../rng.ts";
import type { Strategy } from "./strategy.ts";

/** Nanoseconds that an op takes on average; 6 where nothing is said. */
const COST: Readonly<Record<number, number>> = {
  [ATOMIC]: 20,
  [BARRIER]: 20,
  [SPIN_LOCK]: 25,
  [SCHEDULE]: 900,
  [WAKE_UP]: 400,
  [ALLOC]: 90,
  [FREE]: 70,
};
const SWITCH_NS = 1500;
const IPI_NS = 2000;
/** How long a store waits for its cache line. */
const FLUSH_NS = 60;
/** How often a wake-up preempts at once, and how often a tick ends a time slice. */
const WAKEUP_PREEMPTS = 0.3;
const TICK_PREEMPTS = 0.15;
const ABSENT = -1;

/** Picks the earliest. */
export class TimedStrategy implements Strategy {
  readonly name = "timed";
  private readonly rng: Rng;
  private now = 0;
  private readonly tickPhase: number[] = [];
  /** Moment of each event that has been possible since it was last seen: by type, then CPU or context. */
  private readonly moments: number[][] = [[], [], [], [], [], [], []];

  constructor(seed: string) {
    this.rng = makeRng(seed);
  }

  pick(machine: Machine): number {
    const { events, eventCount } = machine;
    let best = events[0] as number;
    let bestAt = Number.POSITIVE_INFINITY;
    for (let i = 0; i < eventCount; i++) {
      const event = events[i] as number;
      const at = this.momentOf(machine, event);
      if (at < bestAt) {
        best = event;
        bestAt = at;
      }
    }
    // A `choose` offers one step event for each value, all at the same moment.
    if (eventType(best) === STEP && machine.cpus[eventCpu(best)]?.active()?.kind === CHOOSE) {
      best = this.chooseValue(machine, best);
    }
    if (bestAt > this.now) this.now = bestAt;
    this.forget(best);
    return best;
  }

  private chooseValue(machine: Machine, event: number): number {
    const same = machine.events
      .subarray(0, machine.eventCount)
      .filter((other) => eventType(other) === STEP && eventCpu(other) === eventCpu(event));
    return same.length === 1 ? event : (same[this.rng.below(same.length)] as number);
  }

  private slot(event: number): number {
    const type = eventType(event);
    return type === SWITCH || type === TIMER ? eventArgument(event) * 16 + eventCpu(event) : eventCpu(event);
  }

  private momentOf(machine: Machine, event: number): number {
    const table = this.moments[eventType(event)] as number[];
    const slot = this.slot(event);
    const known = table[slot];
    if (known !== undefined && known !== ABSENT) return Math.max(known, this.now);
    const at = this.now + this.delay(machine, event);
    table[slot] = at;
    return at;
  }

  private delay(machine: Machine, event: number): number {
    const cpu = eventCpu(event);
    const jitter = 0.5 + this.rng.fraction();
    switch (eventType(event)) {
      case STEP: {
        const context = machine.cpus[cpu]?.active();
        if (context === null || context === undefined) return 0;
        return jitter * (context.kind === USER ? context.value : (COST[context.kind] ?? 6));
      }
      case SWITCH: {
        const context = machine.contexts[eventArgument(event)];
        const waited = context === undefined ? 0 : context.queuedAt;
        // The task that has waited longest goes first; an idle CPU pulls from another only after a while.
        const pulled = context !== undefined && context.cpu !== cpu ? TICK * jitter : 0;
        return SWITCH_NS + (waited & 0xfff) * 1e-3 + pulled;
      }
      case PREEMPT:
        if (this.rng.fraction() < WAKEUP_PREEMPTS) return SWITCH_NS * jitter;
        return (
          this.untilTick(cpu) + TICK * Math.floor(Math.log(this.rng.fraction() + 1e-9) / Math.log(1 - TICK_PREEMPTS))
        );
      case INTERRUPT:
        return machine.cpus[cpu]?.ipiPending === true ? IPI_NS * jitter : this.untilTick(cpu);
      case SOFTIRQ:
        return this.untilTick(cpu) + TICK * this.rng.below(4);
      case FLUSH:
        return FLUSH_NS * jitter;
      default: {
        const context = machine.contexts[eventArgument(event)];
        return context === undefined ? 0 : Math.max(0, context.timerExpires - machine.now) * jitter;
      }
    }
  }

  private untilTick(cpu: number): number {
    this.tickPhase[cpu] ??= this.rng.below(TICK);
    return TICK - ((this.now + (this.tickPhase[cpu] as number)) % TICK);
  }

  /** What the picked event uses up: its own moment, and those that its CPU's change of task makes void. */
  private forget(event: number): void {
    const type = eventType(event);
    (this.moments[type] as number[])[this.slot(event)] = ABSENT;
    const cpu = eventCpu(event);
    if (type === INTERRUPT || type === PREEMPT || type === SWITCH) (this.moments[STEP] as number[])[cpu] = ABSENT;
    if (type === SWITCH) {
      (this.moments[PREEMPT] as number[])[cpu] = ABSENT;
      (this.moments[INTERRUPT] as number[])[cpu] = ABSENT;
      // The task cannot go to another CPU any more, nor another task to this one.
      const switches = this.moments[SWITCH] as number[];
      for (const slot of switches.keys()) {
        if ((slot & 15) === cpu || slot >> 4 === eventArgument(event)) switches[slot] = ABSENT;
      }
    }
  }
}
