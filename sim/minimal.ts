/**
 * The simplest witness of a finding, and whether it is proved that none has fewer preemptions.
 *
 * First the witness at hand is shrunk. Then random schedules with fewer preemptions are tried, fewest first, as one of
 * those may show the finding where no part of the first witness does. Last, all schedules with fewer preemptions are
 * gone through, which either gives a witness with fewer or proves that there is none.
 */
import type { Cost } from "./cost.ts";
import { explorable, exploreMachine, type MachineExploration } from "./explore/machine/explore.ts";
import { CannotExplore } from "./explore/machine/exploringMachine.ts";
import { type Finding, findingKey } from "./finding.ts";
import { execute, type Program } from "./run.ts";
import { type ShrinkOptions, shrink } from "./shrink.ts";
import { FewPreemptionsStrategy } from "./strategies/fewPreemptions.ts";

/** What is known of witnesses with fewer preemptions. */
export type Proof =
  /** All schedules with up to `covered` preemptions were gone through; -1 if not even those without any. */
  | {
      readonly kind: "proved" | "not-proved";
      readonly covered: number;
      readonly executions: number;
      readonly states: number;
    }
  /** The search cannot cover this program or this finding, for the reason given. */
  | { readonly kind: "no-search"; readonly reason: string };

/** A simplest witness. */
export interface Minimal {
  readonly schedule: Int32Array;
  readonly cost: Cost;
  /** Runs it took, those of the exhaustive search not counted. */
  readonly tried: number;
  readonly proof: Proof;
}

export interface MinimalOptions extends ShrinkOptions {
  /** Random runs for each number of preemptions. Default 1000. */
  readonly randomRuns?: number;
  /** Executions of the exhaustive search at most. Default 60,000. */
  readonly executionsMax?: number;
}

/** Findings that the exhaustive search does not look for. */
const NOT_SEARCHED: readonly string[] = ["spec-divergence", "property", "data-race"];
/** Numbers of preemptions that are tried at random. */
const RANDOM_UP_TO = 3;

/**
 * Shrinks a witness as far as possible, and proves that it has as few preemptions as any, if the options allow it.
 *
 * @param schedule - Shows `finding`.
 */
export function minimal(
  program: Program,
  schedule: Int32Array,
  finding: Finding,
  options: MinimalOptions = {},
): Minimal {
  const key = findingKey(finding);
  const goesOn = options.goesOn ?? (() => true);
  let best = shrink(program, schedule, finding, options);
  let { tried } = best;
  const improve = (other: Int32Array): void => {
    best = shrink(program, other, finding, options);
    tried += best.tried;
  };
  const random = randomWitness(program, key, best.cost, options.randomRuns ?? 1000, goesOn);
  tried += random.tried;
  if (random.schedule !== null) improve(random.schedule);
  const { preemptions } = best.cost;
  if (preemptions === 0) return { ...best, tried, proof: { kind: "proved", covered: -1, executions: 0, states: 0 } };
  const reason = whyNotSearched(program, finding);
  if (reason !== null) return { ...best, tried, proof: { kind: "no-search", reason } };
  const search = searched(program, key, preemptions - 1, options.executionsMax ?? 60_000, goesOn);
  if (typeof search === "string") return { ...best, tried, proof: { kind: "no-search", reason: search } };
  const found = search.findings.find((one) => one.key === key);
  if (found !== undefined) improve(found.schedule);
  const { executions, states } = search;
  // The search goes through with 0 preemptions, then with 1, and so on: before it came to where it found one, none was.
  const covered = found === undefined ? (search.bounds.preemptions ?? preemptions) : found.preemptions - 1;
  const kind = covered >= best.cost.preemptions - 1 ? "proved" : "not-proved";
  return { ...best, tried, proof: { kind, covered, executions, states } };
}

function randomWitness(
  program: Program,
  key: string,
  cost: Cost,
  runs: number,
  goesOn: () => boolean,
): { schedule: Int32Array | null; tried: number } {
  const shows = (findings: readonly Finding[]): boolean => findings.some((one) => findingKey(one) === key);
  let tried = 0;
  for (let preemptions = 0; preemptions < Math.min(cost.preemptions, RANDOM_UP_TO); preemptions++) {
    for (let run = 0; run < runs && goesOn(); run++) {
      tried++;
      const strategy = new FewPreemptionsStrategy(`${preemptions}/${run}`, preemptions, cost.steps);
      const result = execute(program, strategy, { until: shows, scheduleOnlyOnFinding: true });
      if (shows(result.findings)) return { schedule: result.schedule, tried };
    }
  }
  return { schedule: null, tried };
}

function whyNotSearched(program: Program, finding: Finding): string | null {
  if (NOT_SEARCHED.includes(finding.kind) || finding.details.type === "lock-order") {
    return `the exhaustive search does not look for a ${finding.kind}`;
  }
  if (program.options.memory === "tso") return "the exhaustive search knows no store buffers";
  return null;
}

/** All schedules with up to `bound` preemptions, or as many as the budget allows; a text if they cannot be gone through. */
function searched(
  program: Program,
  key: string,
  bound: number,
  executionsMax: number,
  goesOn: () => boolean,
): MachineExploration | string {
  try {
    return exploreMachine(explorable(program), {
      preemptions: bound,
      goesOn: ({ executions, findings }) =>
        executions < executionsMax && goesOn() && !findings.some((one) => one.key === key),
    });
  } catch (error) {
    if (error instanceof CannotExplore) return `the exhaustive search cannot cover ${error.message}`;
    throw error;
  }
}
