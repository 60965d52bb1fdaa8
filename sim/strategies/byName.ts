/** Strategies by name, as options and seeds give them. */
import { PctStrategy } from "./pct.ts";
import { dealtTo } from "./portfolio.ts";
import { PosStrategy } from "./pos.ts";
import { PreemptionBoundedStrategy } from "./preemptionBounded.ts";
import { RandomStrategy } from "./random.ts";
import type { Strategy } from "./strategy.ts";
import { TimedStrategy } from "./timed.ts";

/** Strategies that a seed is enough for. */
export const STRATEGY_NAMES = ["portfolio", "random", "pct", "pos", "preemption-bounded", "timed"] as const;
export type StrategyName = (typeof STRATEGY_NAMES)[number];

/** What strategies are told besides their seed. Those that have no use for a number do not look at it. */
export interface Tuning {
  /** `pct`: depth of the bugs to find, from 1. Default 3. */
  readonly depth: number;
  /** `preemption-bounded`: preemptions in a run. Default 2. */
  readonly preemptions: number;
  /** Steps in a run, see `measure.ts`. Default 1000. */
  readonly steps: number;
}

/** For who knows nothing better. */
export const TUNING: Tuning = { depth: 3, preemptions: 2, steps: 1000 };

/** Seed of one run of a hunt: `run --seed` takes it too. */
export const seedOfRun = (seed: string, run: number): string => `${seed}/${run}`;

/** Number of the run in a seed of {@link seedOfRun}; 0 in any other. */
const runOfSeed = (seed: string): number => Number(/\/(\d+)$/.exec(seed)?.[1] ?? 0);

/** The strategy that a run is really under: the portfolio deals it to another. */
export const dealt = (name: StrategyName, seed: string): Exclude<StrategyName, "portfolio"> =>
  name === "portfolio" ? dealtTo(runOfSeed(seed)) : name;

/** A strategy whose picks depend on `seed` and `tuning` alone. */
export function makeStrategy(name: StrategyName, seed: string, tuning: Tuning = TUNING): Strategy {
  switch (dealt(name, seed)) {
    case "random":
      return new RandomStrategy(seed);
    case "timed":
      return new TimedStrategy(seed);
    case "pct":
      return new PctStrategy(seed, tuning.depth, tuning.steps);
    case "pos":
      return new PosStrategy(seed);
    case "preemption-bounded":
      return new PreemptionBoundedStrategy(seed, tuning.preemptions, tuning.steps);
  }
}
