/** Strategies on the command line: which one, what it is told, and what it promises. */
import { type Command, Option } from "commander";
import { measure, type Program, STRATEGY_NAMES, type StrategyName, type Tuning, tune } from "../sim/index.ts";
import { dealt, TUNING } from "../sim/strategies/byName.ts";
import { pctBound } from "../sim/strategies/pct.ts";
import { UsageError } from "./errors.ts";
import { wholeNumber } from "./options.ts";
import { count } from "./output/text.ts";

/** The options of {@link addStrategyOptions}, as commander hands them over. */
export interface StrategyOptions {
  readonly strategy: StrategyName;
  readonly depth?: number;
  readonly preemptions?: number;
}

/** The strategy of a hunt, if none is named. Chosen by the bake-off: docs/bake-off.md. */
export const HUNT_STRATEGY: StrategyName = "portfolio";

/** Largest depth; the bound of more is nothing anybody waits for. */
const DEPTH_MAX = 100;
const PREEMPTIONS_MAX = 10_000;

/** Who looks at each number. */
const USED_BY = { depth: ["pct", "portfolio"], preemptions: ["preemption-bounded", "portfolio"] } as const;

/** Adds `--strategy`, with its default, and the options of single strategies. */
export const addStrategyOptions = (command: Command, byDefault: StrategyName): Command =>
  command
    .addOption(
      new Option("--strategy <NAME>", "what picks the schedules").choices([...STRATEGY_NAMES]).default(byDefault),
    )
    .option("--depth <N>", `pct: depth of the bugs to find (default: ${TUNING.depth})`, wholeNumber(1, DEPTH_MAX))
    .option(
      "--preemptions <N>",
      `preemption-bounded: preemptions in a run (default: ${TUNING.preemptions})`,
      wholeNumber(0, PREEMPTIONS_MAX),
    );

/**
 * What the strategy is told: what is given, and what is measured on the program.
 *
 * @throws UsageError if it has no use for what is given.
 */
export function tuningOf(program: Program, { strategy, depth, preemptions }: StrategyOptions): Tuning {
  const given = {
    ...(depth === undefined ? {} : { depth }),
    ...(preemptions === undefined ? {} : { preemptions }),
  };
  for (const name of Object.keys(given) as (keyof typeof USED_BY)[]) {
    const users: readonly StrategyName[] = USED_BY[name];
    if (users.includes(strategy)) continue;
    throw new UsageError(
      `--${name} is of no use to --strategy ${strategy}; leave it out, or take --strategy ${users.join(" or ")}`,
    );
  }
  return tune(program, strategy, given);
}

/** The words of a command line that choose this strategy, tuned like this. */
export function strategyWords(strategy: StrategyName, tuning: Tuning): string[] {
  const words = ["--strategy", strategy];
  for (const name of Object.keys(USED_BY) as (keyof typeof USED_BY)[]) {
    const users: readonly StrategyName[] = USED_BY[name];
    if (users.includes(strategy) && tuning[name] !== TUNING[name]) words.push(`--${name}`, String(tuning[name]));
  }
  return words;
}

/** The strategy of one run of a portfolio, as a note; nothing where that is plain. */
export const dealtNote = (strategy: StrategyName, seed: string): string =>
  strategy === "portfolio" ? ` (${dealt(strategy, seed)})` : "";

/** What pct promises for a program, and what the promise is made of. */
export interface PctPromise {
  readonly depth: number;
  readonly threads: number;
  readonly steps: number;
  /** Least chance with which one run finds a bug of this depth. */
  readonly probability: number;
}

/** The promise of pct; null for other strategies. */
export function pctPromise(program: Program, strategy: StrategyName, { depth, steps }: Tuning): PctPromise | null {
  if (strategy !== "pct") return null;
  const { threads } = measure(program);
  return { depth, threads, steps, probability: pctBound(depth, steps, threads) };
}

/** The promise in words. */
export function promiseLine({ depth, threads, steps, probability }: PctPromise, runs: number): string {
  const power = depth === 1 ? "" : depth === 2 ? ` * ${steps}` : ` * ${steps}^${depth - 1}`;
  const all = -Math.expm1(runs * Math.log1p(-probability));
  return (
    `pct       finds a bug of depth ${depth} with a chance of at least 1/(${threads}${power}) = ${probability.toPrecision(2)} in each run, ` +
    `${all.toPrecision(2)} in ${count(runs, "run")} (${count(threads, "thread")}, ${count(steps, "step")}: measured)\n`
  );
}
