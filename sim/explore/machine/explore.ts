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
import { ExploringMachine } from "./exploringMachine.ts";
import { type ExploredFinding, Search, type SearchOptions, UNBOUNDED } from "./search.ts";

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
  /** Part of them that is done, from 0 to 1: an estimate, exact at the end. */
  readonly done: number;
  readonly findings: readonly ExploredFinding[];
}

export interface MachineExploreOptions {
  /** Preemptions at most. Default: any number. */
  readonly preemptions?: number;
  /** Preemptions to begin with; schedules with fewer are gone through with them. Default 0. */
  readonly from?: number;
  /** Whether states visited before are passed by. Default true. */
  readonly caches?: boolean;
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
  const machine = new ExploringMachine(explorable(program).options);
  try {
    program.setup(machine);
    machine.onNote = null;
    machine.boot();
    return explore(machine, options);
  } finally {
    machine.release();
  }
}

function explore(machine: ExploringMachine, options: MachineExploreOptions): MachineExploration {
  const start = machine.save();
  const bound = Math.min(options.preemptions ?? UNBOUNDED, UNBOUNDED);
  const findings = new Map<string, ExploredFinding>();
  const totals = { executions: 0, states: 0, steps: 0, cutOff: 0 };
  let covered: number | null = (options.from ?? 0) - 1;
  let complete = false;
  for (let preemptions = options.from ?? 0; preemptions <= bound && !complete; preemptions++) {
    machine.restore(start);
    const searchOptions: SearchOptions = {
      preemptions,
      caches: options.caches ?? true,
      statesMax: options.statesMax ?? STATES_MAX,
    };
    const search = new Search(machine, searchOptions);
    let more = true;
    let stopped = false;
    while (more && !stopped) {
      more = search.advance(SLICE);
      merge(findings, search.findings);
      const { executions, states, steps } = search;
      const done = search.progress();
      const so = { executions: totals.executions + executions, states, steps: totals.steps + steps, preemptions, done };
      stopped = options.goesOn?.({ ...so, findings: [...findings.values()] }) === false;
    }
    totals.executions += search.executions;
    totals.steps += search.steps;
    totals.states = search.states;
    totals.cutOff = search.cutOff;
    if (more || search.cutOff > 0) break;
    covered = search.bounded ? preemptions : null;
    complete = preemptions === bound || !search.bounded;
    if (stopped) break;
  }
  const bounds = { preemptions: covered, stepsMax: machine.options.stepsMax };
  return { complete, ...totals, findings: [...findings.values()], bounds };
}

/** Takes in what a search has found so far: counts are those of the last, witnesses those of the first. */
function merge(known: Map<string, ExploredFinding>, found: ReadonlyMap<string, ExploredFinding>): void {
  for (const [key, one] of found) {
    const before = known.get(key);
    if (before === undefined) known.set(key, { ...one });
    else before.count = one.count;
  }
}
