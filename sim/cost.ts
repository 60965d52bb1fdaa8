/** How simple a schedule is. */
import type { Context } from "./context.ts";
import { eventCpu, eventType, STEP } from "./event.ts";
import type { Machine } from "./machine.ts";
import { Preemptions } from "./preemptions.ts";
import { execute, type Program } from "./run.ts";
import { GuidedStrategy } from "./strategies/replay.ts";
import type { Strategy } from "./strategies/strategy.ts";

/** How simple a schedule is; smaller is simpler, the first difference decides. */
export interface Cost {
  /** See `preemptions.ts`. */
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
  private readonly rule = new Preemptions();
  private stepped: Context | null = null;

  constructor(private readonly followed: Strategy) {}

  pick(machine: Machine): number {
    const event = this.followed.pick(machine);
    this.steps++;
    if (this.rule.isOne(machine, event)) this.preemptions++;
    this.rule.follow(machine, event);
    if (eventType(event) === STEP) this.step(machine.cpus[eventCpu(event)]?.active() as Context);
    return event;
  }

  private step(context: Context): void {
    if (!context.softirq) this.tasks.add(context);
    if (context !== this.stepped) this.changes++;
    this.stepped = context;
  }

  /** The cost so far. */
  cost(): Cost {
    const { preemptions, changes, steps } = this;
    return { preemptions, tasks: this.tasks.size, changes, steps };
  }
}

/** The cost of a schedule, which is run for it; what is not possible is skipped. */
export function costOf(program: Program, schedule: ArrayLike<number>): Cost {
  const meter = new CostMeter(new GuidedStrategy(schedule));
  const stop = { ...program, options: { ...program.options, stepsMax: Math.max(1, schedule.length) } };
  execute(stop, meter);
  return meter.cost();
}
