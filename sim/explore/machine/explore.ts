/**
 * Every schedule of a program on the full machine, up to a number of preemptions, or without any bound on them.
 *
 * Goes through with 0 preemptions, then with 1, and so on, so that the first witness of a finding has as few as any.
 * What counts as one is said in `search.ts`. When no schedule was left out for its preemptions, the bound was none.
 *
 * Checks, at every state: use of freed memory, faults, BUG and WARN, SLUB's own checks, lock debugging, RCU misuse,
 * sleeping in atomic context; hangs and leaks at the end of every run.
 * Does not check: what looks at the whole past of a run, as states that are the same are visited once, whatever led to
 * them: lock order, divergence from the specification. Nor that a run ever ends: going round in a circle is no finding.
 */
import { CHECK_NAMES, type CheckName } from "../../finding.ts";
import type { Program } from "../../run.ts";
import { formatSchedule, parseSchedule } from "../../schedule.ts";
import { ExploringMachine, type Saved } from "./exploringMachine.ts";
import { Footprints } from "./footprints.ts";
import { type ExploredFinding, Search, type SearchAside, UNBOUNDED } from "./search.ts";

/** Checks that depend on nothing but the state, so that they can be made while exploring. */
export const STATE_CHECKS: readonly CheckName[] = CHECK_NAMES.filter((name) =>
  ["kasan", "spinlock", "rcu", "atomic-sleep", "hang", "leak"].includes(name),
);

/** How far an exploration is. */
export interface Exploring {
  readonly executions: number;
  readonly states: number;
  readonly steps: number;
  /** Preemptions of the schedules being gone through. */
  readonly preemptions: number;
  /** Runs that are left at least: events still to be tried on the way to where it is. */
  readonly open: number;
  readonly findings: readonly ExploredFinding[];
}

export interface MachineExploreOptions {
  /** Preemptions at most. Default: any number. */
  readonly preemptions?: number;
  /** Preemptions to begin with; schedules with fewer are gone through with them. Default 0. */
  readonly from?: number;
  /** Whether states visited before are passed by. Default true. */
  readonly caches?: boolean;
  /** Whether there is no choice before an op that nobody else can notice. Default true. */
  readonly reduces?: boolean;
  /** States remembered at most; a power of 2. Default 2^24, which take 150 MB. */
  readonly statesMax?: number;
  /** Told now and then how far it is, and at the end of each number of preemptions; false ends the exploration. */
  readonly goesOn?: (so: Exploring) => boolean;
}

export interface MachineExploration {
  /** Every schedule within the bounds was covered. */
  readonly complete: boolean;
  readonly executions: number;
  /** Distinct states in which there was a choice, at the largest number of preemptions gone through. */
  readonly states: number;
  readonly steps: number;
  /** Hashes of the distinct states in which the world ended, sorted. */
  readonly outcomes: readonly string[];
  /** Runs cut off at the bound on steps: with any, nothing is complete. */
  readonly cutOff: number;
  /** Distinct findings, those with the fewest preemptions first. */
  readonly findings: readonly ExploredFinding[];
  readonly bounds: {
    /** All schedules with so many preemptions are covered; null if all are, -1 if not even those without any. */
    readonly preemptions: number | null;
    readonly stepsMax: number;
  };
}

/** Runs between two calls of {@link MachineExploreOptions.goesOn}. */
const SLICE = 2000;
const STATES_MAX = 2 ** 24;

/** The program as it is explored: with the checks that can be made. */
export function explorable(program: Program): Program {
  const checks = new Set(STATE_CHECKS.filter((name) => program.options.checks.has(name)));
  return { ...program, options: { ...program.options, checks } };
}

/** Explores a program. */
export function exploreMachine(program: Program, options: MachineExploreOptions = {}): MachineExploration {
  const explorer = new MachineExplorer(program, options);
  try {
    while (explorer.advance()) if (options.goesOn?.(explorer.soFar()) === false) break;
    return explorer.result();
  } finally {
    explorer.release();
  }
}

/** An exploration that goes on piece by piece, and can be put aside and taken up again. */
export class MachineExplorer {
  private readonly machine: ExploringMachine;
  private readonly start: Saved;
  private readonly bound: number;
  private readonly footprints: Footprints | null;
  private readonly findings = new Map<string, ExploredFinding>();
  private search: Search;
  private preemptions: number;
  private executions = 0;
  private steps = 0;
  private covered: number | null;
  private complete = false;

  constructor(
    program: Program,
    private readonly options: MachineExploreOptions = {},
  ) {
    this.machine = new ExploringMachine(explorable(program).options);
    program.setup(this.machine);
    this.machine.onNote = null;
    this.machine.boot();
    this.start = this.machine.save();
    this.bound = Math.min(options.preemptions ?? UNBOUNDED, UNBOUNDED);
    this.footprints = options.reduces === false ? null : new Footprints(this.machine);
    this.preemptions = options.from ?? 0;
    this.covered = this.preemptions - 1;
    this.search = this.begin();
  }

  /** Gives the machine's buffers back. */
  release(): void {
    this.machine.release();
  }

  private begin(): Search {
    this.machine.restore(this.start);
    this.footprints?.begin();
    return new Search(this.machine, {
      preemptions: this.preemptions,
      caches: this.options.caches ?? true,
      statesMax: this.options.statesMax ?? STATES_MAX,
      footprints: this.footprints,
    });
  }

  /**
   * Goes on for a while.
   *
   * @param runs - How long.
   * @returns whether there is more to do.
   */
  advance(runs = SLICE): boolean {
    const { search, footprints } = this;
    const more = search.advance(runs);
    merge(this.findings, search.findings);
    if (footprints?.broken === true) {
      // Something was overlooked: once more with what is known now.
      this.count();
      this.search = this.begin();
      return true;
    }
    if (more) return true;
    if (search.cutOff > 0) return false;
    this.covered = search.bounded ? this.preemptions : null;
    this.complete = this.preemptions === this.bound || !search.bounded;
    if (this.complete) return false;
    this.count();
    this.preemptions++;
    this.search = this.begin();
    return true;
  }

  private count(): void {
    this.executions += this.search.executions;
    this.steps += this.search.steps;
  }

  /** How far it is. */
  soFar(): Exploring {
    const { search, preemptions } = this;
    return {
      executions: this.executions + search.executions,
      steps: this.steps + search.steps,
      states: search.states,
      preemptions,
      open: search.open,
      findings: [...this.findings.values()],
    };
  }

  result(): MachineExploration {
    const { executions, steps, states } = this.soFar();
    return {
      complete: this.complete,
      executions,
      states,
      steps,
      outcomes: [...this.search.ends].sort(),
      cutOff: this.search.cutOff,
      findings: [...this.findings.values()],
      bounds: { preemptions: this.covered, stepsMax: this.machine.options.stepsMax },
    };
  }

  /** All that it takes to go on later, for {@link takeUp}. */
  putAside(): PutAside {
    const { preemptions, executions, steps, covered } = this;
    const findings = [...this.findings.values()].map((one) => ({ ...one, schedule: formatSchedule(one.schedule) }));
    return {
      preemptions,
      executions,
      steps,
      covered,
      findings,
      search: this.search.putAside(),
      footprints: this.footprints?.putAside() ?? null,
    };
  }

  /** Goes on where another exploration of the same program was put aside. */
  takeUp(aside: PutAside): void {
    this.preemptions = aside.preemptions;
    this.executions = aside.executions;
    this.steps = aside.steps;
    this.covered = aside.covered;
    for (const one of aside.findings) {
      this.findings.set(one.key, { ...one, schedule: parseSchedule(one.schedule) });
    }
    this.search = this.begin();
    if (aside.footprints !== null) this.footprints?.takeUp(aside.footprints);
    this.search.takeUp(aside.search);
  }
}

/** An exploration that was put aside: plain data. */
export interface PutAside {
  readonly preemptions: number;
  readonly executions: number;
  readonly steps: number;
  readonly covered: number | null;
  readonly findings: readonly (Omit<ExploredFinding, "schedule"> & { readonly schedule: string })[];
  readonly search: SearchAside;
  readonly footprints: readonly number[] | null;
}

/** Takes in what a search has found so far: counts are those of the last, witnesses those of the first. */
function merge(known: Map<string, ExploredFinding>, found: ReadonlyMap<string, ExploredFinding>): void {
  for (const [key, one] of found) {
    const before = known.get(key);
    if (before === undefined) known.set(key, { ...one });
    else before.count = one.count;
  }
}
