/**
 * How long the runs of a program are, and how many threads they have: what `pct` and `preemption-bounded` spread their
 * moments over, and what the bound of `pct` is made of.
 *
 * Measured on a few runs with seeds of their own, so that the figures depend on the program alone: a hunt, any worker of
 * it, and the `run` that makes one of its runs again all come to the same.
 */
import type { Machine } from "./machine.ts";
import { execute, type Program } from "./run.ts";
import { makeStrategy, type StrategyName, TUNING, type Tuning } from "./strategies/byName.ts";
import type { Strategy } from "./strategies/strategy.ts";
import { isMove, threadOf } from "./strategies/threads.ts";

/** What the runs of a program are like. Threads and steps are those of `strategies/threads.ts`. */
export interface Measure {
  /** Steps of the longest run. */
  readonly steps: number;
  /** Threads that took a step, in the run that had most. */
  readonly threads: number;
}

const RUNS = 8;

/** Follows another strategy and counts. */
class Counter implements Strategy {
  readonly name = "counter";
  steps = 0;
  readonly threads = new Set<number>();

  constructor(private readonly followed: Strategy) {}

  pick(machine: Machine): number {
    const event = this.followed.pick(machine);
    if (!isMove(event)) {
      this.steps++;
      this.threads.add(threadOf(machine, event));
    }
    return event;
  }
}

/** Measures a program: the most of a few runs. */
export function measure(program: Program): Measure {
  let steps = 1;
  let threads = 1;
  for (let run = 0; run < RUNS; run++) {
    const counter = new Counter(makeStrategy("random", `measure/${run}`));
    execute(program, counter, { scheduleOnlyOnFinding: true });
    steps = Math.max(steps, counter.steps);
    threads = Math.max(threads, counter.threads.size);
  }
  return { steps, threads };
}

const SPREADS_MOMENTS: ReadonlySet<StrategyName> = new Set(["portfolio", "pct", "preemption-bounded"]);

/** The tuning of a strategy for a program: what is given, and the length of a run, if it asks for that. */
export function tune(program: Program, strategy: StrategyName, given: Partial<Tuning> = {}): Tuning {
  const measured = SPREADS_MOMENTS.has(strategy) ? { steps: measure(program).steps } : {};
  return { ...TUNING, ...measured, ...given };
}
