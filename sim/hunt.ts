/** Many runs of a program, each under a schedule of its own, until one of them shows something. */
import { type Finding, type FindingKind, findingKey } from "./finding.ts";
import { tune } from "./measure.ts";
import { execute, type Program } from "./run.ts";
import { makeStrategy, type StrategyName, seedOfRun, type Tuning } from "./strategies/byName.ts";

export { makeStrategy, STRATEGY_NAMES, type StrategyName, seedOfRun, type Tuning } from "./strategies/byName.ts";

export interface HuntOptions {
  readonly strategy: StrategyName;
  /** What the strategy is told besides its seeds. Default: measured on the program. */
  readonly tuning?: Tuning;
  readonly seed: string;
  /** Number of the first run, and how many runs at most. */
  readonly first: number;
  readonly runs: number;
  /** Goes on after a finding, and counts them. */
  readonly keepGoing: boolean;
  /** Only findings of these kinds count; all if empty. */
  readonly kinds: readonly FindingKind[];
}

/** A finding of a hunt, with the first run that showed it. */
export interface HuntFinding {
  readonly finding: Finding;
  readonly run: number;
  readonly seed: string;
  /** Up to and including the step of the finding. */
  readonly schedule: Int32Array;
  /** Runs that showed it. */
  count: number;
}

export interface HuntResult {
  readonly executions: number;
  readonly steps: number;
  /** Runs that were cut off at the bound on steps. */
  readonly cutOff: number;
  /** Distinct findings, by {@link findingKey}, in order of their first run. */
  readonly findings: readonly HuntFinding[];
  /** Hash of each run, in order. */
  readonly hashes: readonly string[];
}

/**
 * Runs `options.runs` schedules, or up to the first with a finding.
 *
 * Nothing is kept of a run but its hash, its counts and what it found.
 */
export function hunt(program: Program, options: HuntOptions): HuntResult {
  const wanted = (finding: Finding): boolean => options.kinds.length === 0 || options.kinds.includes(finding.kind);
  const tuning = options.tuning ?? tune(program, options.strategy);
  const found = new Map<string, HuntFinding>();
  const hashes: string[] = [];
  let steps = 0;
  let cutOff = 0;
  for (let run = options.first; run < options.first + options.runs; run++) {
    const seed = seedOfRun(options.seed, run);
    const result = execute(program, makeStrategy(options.strategy, seed, tuning), { scheduleOnlyOnFinding: true });
    steps += result.steps;
    if (result.cutOff) cutOff++;
    hashes.push(result.historyHash);
    const seen = new Set<string>();
    for (const finding of result.findings) {
      if (!wanted(finding)) continue;
      const key = findingKey(finding);
      if (seen.has(key)) continue;
      seen.add(key);
      const known = found.get(key);
      if (known !== undefined) known.count++;
      else {
        const schedule = result.schedule.slice(0, finding.step + 1);
        found.set(key, { finding, run, seed, schedule, count: 1 });
      }
    }
    if (found.size > 0 && !options.keepGoing) break;
  }
  return { executions: hashes.length, steps, cutOff, findings: [...found.values()], hashes };
}
