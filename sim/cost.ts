/**
 * How simple a schedule is.
 *
 * A *preemption* is counted as in context-bounded search (Musuvathi and Qadeer, 2007), with CPUs taken to run one at a
 * time: whoever took the last step goes on for free; that something else happens although it could is one preemption,
 * be it that its own CPU is taken from it, that another CPU goes on, or that a softirq or timer comes in between. Where it
 * cannot go on (it waits for a lock, sleeps, has ended), what happens next is free. So is an interrupt that sends a task
 * from user mode to its work, and a store that leaves its store buffer.
 */
import type { Context } from "./context.ts";
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
} from "./event.ts";
import type { Machine } from "./machine.ts";
import { execute, type Program } from "./run.ts";
import { GuidedStrategy } from "./strategies/replay.ts";
import type { Strategy } from "./strategies/strategy.ts";

/** How simple a schedule is; smaller is simpler, the first difference decides. */
export interface Cost {
  readonly preemptions: number;
  /** Tasks that take a step. */
  readonly tasks: number;
  /** Times that another task or softirq goes on. */
  readonly changes: number;
  readonly steps: number;
}

/** Whether `a` is simpler than `b`. */
export function simpler(a: Cost, b: Cost): boolean {
  if (a.preemptions !== b.preemptions) return a.preemptions < b.preemptions;
  if (a.tasks !== b.tasks) return a.tasks < b.tasks;
  return a.changes !== b.changes ? a.changes < b.changes : a.steps < b.steps;
}

/** Follows another strategy and measures the schedule that it makes. */
export class CostMeter implements Strategy {
  readonly name = "cost";
  private preemptions = 0;
  private changes = 0;
  private steps = 0;
  private readonly tasks = new Set<Context>();
  /** Who went on last, and who took the last step. */
  private last: Context | null = null;
  private stepped: Context | null = null;
  /** CPU of a softirq that was just begun: who that is shows at its first step. */
  private begun = -1;

  constructor(private readonly followed: Strategy) {}

  pick(machine: Machine): number {
    if (this.begun >= 0) this.last = machine.cpus[this.begun]?.softirq ?? this.last;
    this.begun = -1;
    const event = this.followed.pick(machine);
    this.steps++;
    if (this.isPreemption(machine, event)) this.preemptions++;
    this.follow(machine, event);
    return event;
  }

  /** The cost so far. */
  cost(): Cost {
    const { preemptions, changes, steps } = this;
    return { preemptions, tasks: this.tasks.size, changes, steps };
  }

  private isPreemption(machine: Machine, event: number): boolean {
    const type = eventType(event);
    if (type === PREEMPT) return true;
    if (type === FLUSH || this.last === null) return false;
    const own = (type === STEP || type === INTERRUPT) && machine.cpus[eventCpu(event)]?.active() === this.last;
    return !own && this.lastCanGoOn(machine);
  }

  private lastCanGoOn(machine: Machine): boolean {
    for (let i = 0; i < machine.eventCount; i++) {
      const event = machine.events[i] as number;
      if (eventType(event) === STEP && machine.cpus[eventCpu(event)]?.active() === this.last) return true;
    }
    return false;
  }

  private follow(machine: Machine, event: number): void {
    const active = machine.cpus[eventCpu(event)]?.active() ?? null;
    switch (eventType(event)) {
      case STEP:
        this.last = active;
        if (active !== null && !active.softirq) this.tasks.add(active);
        if (active !== this.stepped) this.changes++;
        this.stepped = active;
        break;
      case INTERRUPT:
        this.last = active;
        break;
      case SWITCH:
        this.last = machine.contexts[eventArgument(event)] ?? null;
        break;
      case PREEMPT:
        this.last = null;
        break;
      case SOFTIRQ:
        this.begun = eventCpu(event);
        break;
      case TIMER:
      case FLUSH:
        break;
    }
  }
}

/** The cost of a schedule, which is run for it; what is not possible is skipped. */
export function costOf(program: Program, schedule: ArrayLike<number>): Cost {
  const meter = new CostMeter(new GuidedStrategy(schedule));
  const stop = { ...program, options: { ...program.options, stepsMax: Math.max(1, schedule.length) } };
  execute(stop, meter);
  return meter.cost();
}
