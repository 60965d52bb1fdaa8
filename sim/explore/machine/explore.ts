/**
 * Every schedule of a program on the full machine, up to a number of preemptions, or without any bound on them.
 *
 * Goes through in rounds, with 0 preemptions, then with 1, and so on: so the witness of a finding has as few as any, and
 * is the shortest of those. What counts as one is said in `search.ts`. When no schedule was left out for its preemptions,
 * the bound was none. When it turns out on the way that an op was wrongly taken for one that nobody else notices
 * (`footprints.ts`), all of it begins again; what is counted is the go that came through.
 *
 * Checks, at every state: use of freed memory, faults, BUG and WARN, SLUB's own checks, lock debugging, RCU misuse,
 * sleeping in atomic context; hangs and leaks at the end of every run.
 * Does not check: what looks at the whole past of a run, as states that are the same are visited once, whatever led to
 * them: lock order, divergence from the specification. Nor that a run ever ends: going round in a circle is no finding.
 */
import { CHECK_NAMES, type CheckName, type Finding } from "../../finding.ts";
import type { Program } from "../../run.ts";
import { formatSchedule, parseSchedule } from "../../schedule.ts";
import { ExploringMachine } from "./exploringMachine.ts";
import { Footprints } from "./footprints.ts";
import { Search, type Sighting } from "./search.ts";
import { ALONE } from "./sharedWords.ts";
import { FEW, makeStateMemory, START, type StateMemory, States } from "./states.ts";
import { Ways } from "./ways.ts";
import { shortestWays } from "./witness.ts";
import { type Item, WORK_WORDS, Work } from "./work.ts";

/** Checks that depend on nothing but the state, so that they can be made while exploring. */
export const STATE_CHECKS: readonly CheckName[] = CHECK_NAMES.filter((name) =>
  ["kasan", "spinlock", "rcu", "atomic-sleep", "hang", "leak"].includes(name),
);

/** A finding, with the first of the shortest schedules that show it with as few preemptions as any. */
export interface ExploredFinding {
  readonly key: string;
  readonly finding: Finding;
  /** Up to and including the step of the finding. */
  readonly schedule: Int32Array;
  /** Preemptions in it. */
  readonly preemptions: number;
  /** Times it was come upon, by different ways. */
  readonly count: number;
}

/** How far an exploration is. */
export interface Exploring {
  readonly executions: number;
  readonly states: number;
  readonly steps: number;
  /** Preemptions of the schedules being gone through. */
  readonly preemptions: number;
  readonly estimate: Estimate;
  readonly findings: readonly Omit<ExploredFinding, "schedule">[];
}

/** About how much of the schedules with so many preemptions is done. See {@link Search.done}: no more than a guess. */
export interface Estimate {
  readonly preemptions: number;
  /** From 0 to 1. */
  readonly done: number;
  /** Runs that are left; null as long as there is nothing to guess from. */
  readonly runsLeft: number | null;
}

export interface MachineExploreOptions {
  /** Preemptions at most. Default: any number. */
  readonly preemptions?: number;
  /** Context switches at most, of whatever kind, up to 500. Default: any number. */
  readonly switches?: number;
  /** How often kernel code may come to the head of a loop (`forget`) in one call of a function. Default: any number. */
  readonly loopRounds?: number;
  /** Whether states visited before are passed by. Default true. */
  readonly caches?: boolean;
  /** Whether there is no choice before an op that nobody else can notice. Default true. */
  readonly reduces?: boolean;
  /** States at most; a power of 2. Default 2^24, for which there are 400 MB when they are all there. */
  readonly statesMax?: number;
  /** Told now and then how far it is, and at the end of each number of preemptions; false ends the exploration. */
  readonly goesOn?: (so: Exploring) => boolean;
}

export interface MachineExploration {
  /** Every schedule within the bounds was covered. */
  readonly complete: boolean;
  readonly executions: number;
  /** Distinct states in which there was a choice. */
  readonly states: number;
  readonly steps: number;
  /** Hashes of the distinct states in which the world ended, sorted. */
  readonly outcomes: readonly string[];
  /** Runs cut off at the bound on steps: with any, nothing is complete. */
  readonly cutOff: number;
  /** What is left of the number of preemptions that was being gone through; null if nothing is. */
  readonly estimate: Estimate | null;
  /** Distinct findings, those with the fewest preemptions first. */
  readonly findings: readonly ExploredFinding[];
  readonly bounds: {
    /** All schedules with so many preemptions are covered; null if all are, -1 if not even those without any. */
    readonly preemptions: number | null;
    /** Only schedules with so many context switches were covered; null if that left none out. */
    readonly switches: number | null;
    readonly loopRounds: number | null;
    readonly stepsMax: number;
    readonly statesMax: number;
    /** Tasks that there are; no task starts another. */
    readonly tasks: number;
    /** Which of these bounds cut a run short, so that nothing is complete. */
    readonly hit: readonly ("loopRounds" | "stepsMax" | "statesMax")[];
  };
}

/** Runs between two calls of {@link MachineExploreOptions.goesOn}. */
const SLICE = 2000;
/** States at most, where nothing else is said. */
export const STATES_MAX = 2 ** 24;

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

/** What one search has come to since all of it last began. */
export interface Tally {
  readonly executions: number;
  readonly steps: number;
  readonly states: number;
  readonly cutOff: number;
  /** Some schedule was left out for its preemptions, in this round. */
  readonly bounded: boolean;
  /** Some schedule was left out for its context switches. */
  readonly switchBounded: boolean;
  /** Runs cut off at the bound on rounds of a loop. */
  readonly loopCut: number;
  /** Some choice was left to the next round, in this round. */
  readonly deferred: boolean;
  /** There was no room for another state. */
  readonly full: boolean;
  /** Runs in this round. */
  readonly runs: number;
  /** How much of the round is done. */
  readonly done: number;
}

/** What one search has come upon. */
export interface Harvest {
  readonly sightings: readonly Sighting[];
  readonly ends: readonly string[];
  readonly ways: Int32Array;
}

/** What a search has come to. */
export const tallyOf = (search: Search, states: States): Tally => {
  const { executions, steps, cutOff, bounded, switchBounded, loopCut, deferred, runs, done } = search;
  const { added, full } = states;
  return { executions, steps, states: added, cutOff, bounded, switchBounded, loopCut, deferred, full, runs, done };
};

/** What a search has come upon. */
export const harvestOf = ({ sightings, ends, ways }: Search): Harvest => ({
  sightings: [...sightings.values()],
  ends: [...ends],
  ways: ways.all(),
});

/** Nothing yet. */
export const NO_TALLY: Tally = {
  executions: 0,
  steps: 0,
  states: 0,
  cutOff: 0,
  bounded: false,
  switchBounded: false,
  loopCut: 0,
  deferred: false,
  full: false,
  runs: 0,
  done: 0,
};

/** What a tally begins the next round with. */
export const inNextRound = (tally: Tally): Tally => ({ ...tally, bounded: false, deferred: false, runs: 0, done: 0 });

/** How much of a round is done, and left. */
export function estimateOf(preemptions: number, { runs, done }: Pick<Tally, "runs" | "done">): Estimate {
  const left = done > 0 ? Math.max(0, Math.round((runs * (1 - done)) / done)) : null;
  return { preemptions, done: Math.min(1, done), runsLeft: left };
}

/** Two tallies together. */
export const together = (a: Tally, b: Tally): Tally => ({
  executions: a.executions + b.executions,
  steps: a.steps + b.steps,
  states: a.states + b.states,
  cutOff: a.cutOff + b.cutOff,
  bounded: a.bounded || b.bounded,
  switchBounded: a.switchBounded || b.switchBounded,
  loopCut: a.loopCut + b.loopCut,
  deferred: a.deferred || b.deferred,
  full: a.full || b.full,
  runs: a.runs + b.runs,
  done: a.done + b.done,
});

/** What several searches have come upon, as if one had. */
export function gather(harvests: readonly Harvest[]): { sightings: Sighting[]; ends: string[]; ways: Int32Array[] } {
  const sightings = new Map<string, Sighting>();
  for (const one of harvests.flatMap((harvest) => harvest.sightings)) {
    const known = sightings.get(one.key);
    if (known === undefined) sightings.set(one.key, { ...one, at: [...one.at] });
    else {
      const [few, many] = one.preemptions < known.preemptions ? [one, known] : [known, one];
      const at = few.preemptions < many.preemptions ? few.at : few.at.concat(many.at);
      sightings.set(one.key, { ...few, count: few.count + many.count, at });
    }
  }
  const ends = new Set(harvests.flatMap((harvest) => harvest.ends));
  return { sightings: [...sightings.values()], ends: [...ends].sort(), ways: harvests.map(({ ways }) => ways) };
}

/** Memory that the searches of an exploration share. */
export interface SharedMemory {
  readonly states: StateMemory;
  readonly work: Int32Array;
  readonly footprints: Int32Array | null;
}

/** A program on a machine, with a search of it: what each thread of an exploration has of its own. */
export class Explored {
  readonly machine: ExploringMachine;
  private readonly start: ReturnType<ExploringMachine["save"]>;

  constructor(program: Program, loopRounds?: number) {
    this.machine = new ExploringMachine(explorable(program).options, loopRounds);
    program.setup(this.machine);
    this.machine.onNote = null;
    this.machine.boot();
    this.start = this.machine.save();
  }

  /** A search from the start. */
  search(states: States, work: Work, footprints: Footprints | null, options: MachineExploreOptions): Search {
    this.machine.restore(this.start);
    const { preemptions = Number.POSITIVE_INFINITY, switches = Number.POSITIVE_INFINITY, caches = true } = options;
    return new Search(this.machine, states, work, { preemptions, switches, caches, footprints });
  }
}

/** Where an exploration is, whoever makes the searches: rounds, and what they came to. */
export class Rounds {
  round = 0;
  /** Preemptions covered: see {@link MachineExploration.bounds}. */
  covered: number | null = -1;
  complete = false;
  /** The first number that a state of each round may have. */
  firstOf: number[] = [];
  /** States that the round begins with. */
  size = 1;

  constructor(private readonly preemptions: number) {}

  /** All of it begins. @returns what the first round begins with. */
  begin(states: States, work: Work): Item[] {
    this.round = 0;
    this.covered = -1;
    this.complete = false;
    this.size = 1;
    this.firstOf = [states.end];
    work.begin(0, 0);
    return [{ state: START, preempting: false, from: 0, weight: 1 }];
  }

  /**
   * A round is over.
   *
   * @param tally - Of all searches.
   * @param statesBefore - States there were when it began.
   * @returns whether there is another round.
   */
  next(tally: Tally, statesBefore: number, states: States, work: Work): boolean {
    if (tally.cutOff > 0 || tally.full) return false;
    if (this.round >= this.preemptions || !tally.deferred) {
      this.covered = tally.bounded ? this.round : null;
      this.complete = tally.loopCut === 0;
      return false;
    }
    this.covered = this.round;
    const first = this.firstOf[this.round] as number;
    const { end } = states;
    this.size = Math.max(1, tally.states - statesBefore);
    this.round++;
    this.firstOf.push(end);
    work.begin(first, end);
    return true;
  }
}

/** An exploration that goes on piece by piece, and can be put aside and taken up again. */
export class MachineExplorer {
  private readonly explored: Explored;
  private readonly states: States;
  private readonly work: Work;
  private readonly footprints: Footprints | null;
  private readonly rounds: Rounds;
  private readonly known = new Map<string, ExploredFinding>();
  private search: Search;
  private carried: Tally = NO_TALLY;
  private harvest: Harvest | null = null;
  private statesBefore = 0;
  private over = false;

  constructor(
    program: Program,
    private readonly options: MachineExploreOptions = {},
  ) {
    this.explored = new Explored(program, options.loopRounds);
    const { statesMax = STATES_MAX, preemptions = Number.POSITIVE_INFINITY } = options;
    this.states = new States(makeStateMemory(Math.min(FEW, statesMax)), statesMax, ALONE);
    this.work = new Work(new Int32Array(WORK_WORDS), ALONE);
    this.footprints = options.reduces === false ? null : new Footprints(this.explored.machine);
    this.rounds = new Rounds(preemptions);
    this.search = this.begin();
  }

  /** Gives the machine's buffers back. */
  release(): void {
    this.explored.machine.release();
  }

  private begin(): Search {
    this.states.clear();
    this.footprints?.begin();
    this.carried = NO_TALLY;
    this.harvest = null;
    this.statesBefore = 0;
    const items = this.rounds.begin(this.states, this.work);
    const search = this.explored.search(this.states, this.work, this.footprints, this.options);
    this.beginRound(search, items);
    return search;
  }

  private beginRound(search: Search, items: readonly Item[]): void {
    const { round, firstOf, size } = this.rounds;
    search.roundSize = size;
    search.beginRound(round, firstOf[round] as number, items);
  }

  /**
   * Goes on for a while.
   *
   * @param runs - How long.
   * @returns whether there is more to do.
   */
  advance(runs = SLICE): boolean {
    if (this.over) return false;
    const more = this.search.advance(runs);
    if (this.footprints?.broken === true) {
      // Something was overlooked: once more with what is known now.
      this.keepFindings();
      this.search = this.begin();
      return true;
    }
    if (more) return true;
    const tally = this.tally();
    this.over = !this.rounds.next(tally, this.statesBefore, this.states, this.work);
    if (this.over) return false;
    this.statesBefore = tally.states;
    this.carried = inNextRound(this.carried);
    this.beginRound(this.search, []);
    return true;
  }

  private tally(): Tally {
    return together(this.carried, tallyOf(this.search, this.states));
  }

  private gathered(): ReturnType<typeof gather> {
    const own = harvestOf(this.search);
    return gather(this.harvest === null ? [own] : [this.harvest, own]);
  }

  /** Findings of a go that is given up, in case that there is no time to come to them again. */
  private keepFindings(): void {
    for (const one of this.gathered().sightings) {
      if (!this.known.has(one.key)) for (const found of this.withSchedules([one])) this.known.set(one.key, found);
    }
  }

  private withSchedules(sightings: readonly Sighting[]): ExploredFinding[] {
    return findingsOf(this.search, this.states, this.gathered().ways, sightings);
  }

  /** How far it is. */
  soFar(): Exploring {
    const tally = this.tally();
    const { executions, steps, states } = tally;
    const findings = new Map<string, Omit<ExploredFinding, "schedule">>(this.known);
    for (const one of this.gathered().sightings) findings.set(one.key, one);
    const { round } = this.rounds;
    const estimate = estimateOf(round, tally);
    return { executions, steps, states, preemptions: round, estimate, findings: [...findings.values()] };
  }

  result(): MachineExploration {
    const { sightings, ends } = this.gathered();
    const findings = this.withSchedules(sightings);
    return resultOf(this.explored, this.options, this.rounds, this.tally(), findings, this.known, ends);
  }

  /** All that it takes to go on later, for {@link takeUp}. */
  putAside(): PutAside {
    const { rounds, search, states, work, statesBefore, known, footprints } = this;
    return putAside(rounds, this.tally(), this.gathered(), known, {
      statesBefore,
      items: search.left(),
      next: work.next,
      end: work.end,
      states: states.putAside(),
      statesMax: states.statesMax,
      footprints: footprints?.putAside() ?? null,
    });
  }

  /** Goes on where another exploration of the same program was put aside. */
  takeUp(aside: PutAside): void {
    this.search = this.begin();
    takeUpRounds(this.rounds, aside);
    for (const one of aside.known) this.known.set(one.key, { ...one, schedule: parseSchedule(one.schedule) });
    this.states.takeUp(aside.states);
    this.states.added = 0;
    this.work.begin(aside.next, aside.end);
    if (aside.footprints !== null) this.footprints?.takeUp(aside.footprints);
    this.carried = aside.tally;
    this.harvest = aside.harvest;
    this.statesBefore = aside.statesBefore;
    this.beginRound(this.search, aside.items);
  }
}

/** Findings with their witnesses, in the order of preemptions and then of their names. */
export function findingsOf(
  search: Search,
  states: States,
  ways: readonly Int32Array[],
  sightings: readonly Sighting[],
): ExploredFinding[] {
  const shortest = shortestWays(states, ways, sightings);
  const found = sightings.map(({ key, preemptions, count }) => {
    const { schedule, finding } = search.scheduleOf(shortest.get(key) ?? [], key);
    return { key, finding, schedule, preemptions, count };
  });
  return found.sort((a, b) => a.preemptions - b.preemptions || (a.key < b.key ? -1 : 1));
}

/** The result of an exploration. */
export function resultOf(
  { machine }: Explored,
  { switches, loopRounds, statesMax = STATES_MAX }: MachineExploreOptions,
  rounds: Rounds,
  tally: Tally,
  found: readonly ExploredFinding[],
  known: ReadonlyMap<string, ExploredFinding>,
  ends: readonly string[],
): MachineExploration {
  const { executions, steps, states, cutOff } = tally;
  const hit: MachineExploration["bounds"]["hit"][number][] = [];
  if (tally.loopCut > 0) hit.push("loopRounds");
  if (cutOff > 0) hit.push("stepsMax");
  if (tally.full) hit.push("statesMax");
  const again = new Set(found.map(({ key }) => key));
  const findings = [...found, ...[...known.values()].filter(({ key }) => !again.has(key))];
  const { complete, covered } = rounds;
  return {
    complete,
    executions,
    states,
    steps,
    outcomes: ends,
    cutOff,
    estimate: complete ? null : estimateOf(rounds.round, tally),
    findings,
    bounds: {
      preemptions: covered,
      switches: tally.switchBounded ? (switches ?? null) : null,
      loopRounds: loopRounds ?? null,
      stepsMax: machine.options.stepsMax,
      statesMax,
      tasks: machine.contexts.length,
      hit,
    },
  };
}

/** An exploration that was put aside: plain data. */
export interface PutAside {
  readonly round: number;
  readonly covered: number | null;
  readonly firstOf: readonly number[];
  readonly size: number;
  readonly tally: Tally;
  readonly harvest: Harvest;
  /** Findings of goes that were given up. */
  readonly known: readonly (Omit<ExploredFinding, "schedule"> & { readonly schedule: string })[];
  readonly statesBefore: number;
  readonly items: readonly Item[];
  /** The states from which on the round has still to be gone through. */
  readonly next: number;
  readonly end: number;
  readonly states: Int32Array;
  /** States that there was room for. */
  readonly statesMax: number;
  readonly footprints: readonly number[] | null;
}

/** Puts an exploration aside. */
export function putAside(
  { round, covered, firstOf, size }: Rounds,
  tally: Tally,
  { sightings, ends, ways: lists }: ReturnType<typeof gather>,
  known: ReadonlyMap<string, ExploredFinding>,
  rest: Pick<PutAside, "statesBefore" | "items" | "next" | "end" | "states" | "statesMax" | "footprints">,
): PutAside {
  const ways = new Ways();
  for (const list of lists) ways.addAll(list);
  const found = [...known.values()].map((one) => ({ ...one, schedule: formatSchedule(one.schedule) }));
  const harvest = { sightings, ends, ways: ways.all() };
  return { round, covered, firstOf: [...firstOf], size, tally, harvest, known: found, ...rest };
}

/** Sets the rounds to where an exploration was put aside. */
export function takeUpRounds(rounds: Rounds, { round, covered, firstOf, size }: PutAside): void {
  rounds.round = round;
  rounds.covered = covered;
  rounds.firstOf = [...firstOf];
  rounds.size = size;
}
