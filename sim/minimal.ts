/**
 * The simplest witness of a finding, and whether it is proved that none has fewer preemptions.
 *
 * First the witness at hand is shrunk. Then, for 0 preemptions, 1, and so on up to one fewer than it has, random schedules
 * are tried, as one of those may show the finding where no part of the first witness does; and all schedules are gone
 * through, which either gives a witness or proves that there is none.
 */
import { type Cost, simpler } from "./cost.ts";
import { eventArgument, eventType, SWITCH } from "./event.ts";
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
  /** Random runs with 0 preemptions, with 1, and so on. */
  readonly randomRuns?: readonly number[];
  /** Executions of the exhaustive search at most. Default 100,000. */
  readonly executionsMax?: number;
}

/** Findings that the exhaustive search does not look for. */
const NOT_SEARCHED: readonly string[] = ["spec-divergence", "property", "data-race"];
/** Random runs with 0, 1 and 2 preemptions; more are not tried at random. */
const RANDOM_RUNS: readonly number[] = [1000, 300, 300];
/** Random runs in which one task gets no CPU. */
const RUNS_WITHOUT = 200;
const EXECUTIONS_MAX = 100_000;

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
  return new Minimiser(program, finding, options).minimise(schedule);
}

interface Witness {
  readonly schedule: Int32Array;
  readonly cost: Cost;
}

/** The tasks that a schedule gives a CPU. */
function tasksOf(schedule: Int32Array): number[] {
  const tasks = new Set<number>();
  for (const event of schedule) if (eventType(event) === SWITCH) tasks.add(eventArgument(event));
  return [...tasks];
}

class Minimiser {
  private readonly key: string;
  private readonly goesOn: () => boolean;
  private readonly randomRuns: readonly number[];
  /** Why the exhaustive search is of no use here; null if it may be. */
  private noSearch: string | null;
  private tried = 0;
  private executionsLeft: number;
  private executions = 0;
  private states = 0;
  /** All schedules with up to so many preemptions were gone through. */
  private covered = -1;

  constructor(
    private readonly program: Program,
    private readonly finding: Finding,
    private readonly options: MinimalOptions,
  ) {
    this.key = findingKey(finding);
    this.goesOn = options.goesOn ?? (() => true);
    this.randomRuns = options.randomRuns ?? RANDOM_RUNS;
    this.executionsLeft = options.executionsMax ?? EXECUTIONS_MAX;
    this.noSearch = whyNotSearched(finding);
  }

  minimise(schedule: Int32Array): Minimal {
    let best = this.shrunk(schedule);
    for (let preemptions = 0; preemptions < best.cost.preemptions && this.goesOn(); preemptions++) {
      const runs = this.randomRuns[preemptions] ?? 0;
      const other = this.randomWitness(preemptions, best.cost.steps, runs, null) ?? this.exhaustiveWitness(preemptions);
      if (other === null) continue;
      const made = this.shrunk(other);
      if (simpler(made.cost, best.cost)) best = made;
    }
    best = this.withFewerTasks(best);
    return { ...best, tried: this.tried, proof: this.proof(best.cost) };
  }

  /** Tries, for each task in turn, to do without it altogether: a witness that does may look quite different. */
  private withFewerTasks(from: Witness): Witness {
    let best = from;
    for (let improved = true; improved; ) {
      improved = false;
      const tasks = tasksOf(best.schedule);
      for (const task of tasks) {
        const others = new Set(tasks.filter((other) => other !== task));
        const schedule = this.randomWitness(best.cost.preemptions, best.cost.steps, RUNS_WITHOUT, others);
        if (schedule === null) continue;
        const made = this.shrunk(schedule);
        if (!simpler(made.cost, best.cost)) continue;
        best = made;
        improved = true;
        break;
      }
    }
    return best;
  }

  private shrunk(schedule: Int32Array): Witness {
    const made = shrink(this.program, schedule, this.finding, this.options);
    this.tried += made.tried;
    return { schedule: made.schedule, cost: made.cost };
  }

  private proof({ preemptions }: Cost): Proof {
    const { covered, executions, states } = this;
    if (preemptions > 0 && this.noSearch !== null) return { kind: "no-search", reason: this.noSearch };
    return { kind: covered >= preemptions - 1 ? "proved" : "not-proved", covered, executions, states };
  }

  private randomWitness(
    preemptions: number,
    steps: number,
    runs: number,
    only: ReadonlySet<number> | null,
  ): Int32Array | null {
    const shows = (findings: readonly Finding[]): boolean => findings.some((one) => findingKey(one) === this.key);
    for (let run = 0; run < runs && this.goesOn(); run++) {
      this.tried++;
      const strategy = new FewPreemptionsStrategy(`${preemptions}/${run}`, preemptions, steps, only);
      const result = execute(this.program, strategy, { until: shows, scheduleOnlyOnFinding: true });
      if (shows(result.findings)) return result.schedule;
    }
    return null;
  }

  /** Goes through all schedules with so many preemptions, where those with fewer were gone through. */
  private exhaustiveWitness(preemptions: number): Int32Array | null {
    if (this.noSearch !== null || this.covered !== preemptions - 1) return null;
    let search: MachineExploration;
    try {
      search = exploreMachine(explorable(this.program), {
        preemptions,
        goesOn: ({ executions, findings }) =>
          executions < this.executionsLeft && this.goesOn() && !findings.some(({ key }) => key === this.key),
      });
    } catch (error) {
      if (!(error instanceof CannotExplore)) throw error;
      this.noSearch = `the exhaustive search cannot cover ${error.message}`;
      return null;
    }
    this.executionsLeft -= search.executions;
    this.executions += search.executions;
    this.states = search.states;
    const found = search.findings.find(({ key }) => key === this.key);
    if (found === undefined && search.complete) this.covered = preemptions;
    return found?.schedule ?? null;
  }
}

function whyNotSearched(finding: Finding): string | null {
  if (NOT_SEARCHED.includes(finding.kind) || finding.details.type === "lock-order") {
    return `the exhaustive search does not look for a ${finding.kind}`;
  }
  return null;
}
