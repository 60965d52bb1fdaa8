/**
 * An exploration by several worker threads. What comes out is what one thread comes to: see `search.ts`.
 *
 * This thread keeps the rounds and works out the witnesses; the workers search. States, the work of a round and the record
 * of who accesses what are in memory that all share.
 */
import { setTimeout } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { Parameters } from "../scenarios/scenario.ts";
import {
  Explored,
  type ExploredFinding,
  type Exploring,
  estimateOf,
  findingsOf,
  gather,
  type Harvest,
  inNextRound,
  type MachineExploration,
  type MachineExploreOptions,
  NO_TALLY,
  type PutAside,
  putAside,
  Rounds,
  resultOf,
  type SharedMemory,
  STATES_MAX,
  type Tally,
  takeUpRounds,
  together,
} from "../sim/explore/machine/explore.ts";
import { CannotExplore } from "../sim/explore/machine/exploringMachine.ts";
import { Footprints, footprintWords } from "../sim/explore/machine/footprints.ts";
import type { Search } from "../sim/explore/machine/search.ts";
import { makeStateMemory, States } from "../sim/explore/machine/states.ts";
import { type Item, WORK_WORDS, Work } from "../sim/explore/machine/work.ts";
import { parseSchedule } from "../sim/schedule.ts";
import type { Subject } from "./options.ts";

/** What a worker begins with. */
export interface WorkerSetup {
  readonly scenario: string;
  readonly parameters: Parameters;
  readonly options: MachineExploreOptions;
  readonly statesMax: number;
  readonly memory: SharedMemory;
  /** Where it says how far it is, {@link PUBLISHED} numbers for each worker. */
  readonly published: Float64Array;
  readonly index: number;
}

/** Numbers that a worker shows while it works: runs, steps, states; of the round, its runs and the part that is done. */
export const PUBLISHED = 5;

/** What a worker is told to do. */
export type CrewOrder =
  | { readonly type: "begin" }
  | {
      readonly type: "round";
      readonly round: number;
      readonly firstOf: number;
      readonly size: number;
      readonly items: readonly Item[];
      readonly searches: number;
    }
  | { readonly type: "harvest" };

/** What it answers. */
export type CrewReport =
  | { readonly type: "begun" }
  | { readonly type: "round"; readonly tally: Tally; readonly keys: readonly string[] }
  | { readonly type: "harvest"; readonly harvest: Harvest; readonly items: readonly Item[] }
  | { readonly type: "failed"; readonly refused: boolean; readonly message: string };

type RoundReport = Extract<CrewReport, { type: "round" }>;
type HarvestReport = Extract<CrewReport, { type: "harvest" }>;

/** Milliseconds after which {@link ExploreCrew.advance} comes back, whether or not a round is over. */
const LOOK_MS = 100;

const shared = (words: number): Int32Array => new Int32Array(new SharedArrayBuffer(4 * words));

/** One worker, and the answer it owes. */
class Hand {
  private readonly worker: Worker;
  private answer: ((report: CrewReport) => void) | null = null;
  private fail: ((error: Error) => void) | null = null;

  constructor(setup: WorkerSetup) {
    const fromSources = import.meta.url.endsWith(".ts");
    const file = new URL(fromSources ? "../dist/cli/exploreWorker.js" : "./exploreWorker.js", import.meta.url);
    this.worker = new Worker(file, { workerData: setup });
    this.worker.on("message", (report: CrewReport) => {
      if (report.type !== "failed") this.answer?.(report);
      else this.fail?.(report.refused ? new CannotExplore(report.message) : new Error(report.message));
    });
    this.worker.on("error", (error) => this.fail?.(error));
  }

  ask(order: CrewOrder): Promise<CrewReport> {
    return new Promise((resolve, reject) => {
      this.answer = resolve;
      this.fail = reject;
      this.worker.postMessage(order);
    });
  }

  end(): void {
    void this.worker.terminate();
  }
}

/** An exploration by workers, piece by piece. */
export class ExploreCrew {
  private readonly explored: Explored;
  private readonly memory: SharedMemory;
  private readonly published: Float64Array;
  private readonly states: States;
  private readonly work: Work;
  private readonly footprints: Footprints | null;
  private readonly rounds: Rounds;
  private readonly hands: Hand[];
  private readonly known = new Map<string, ExploredFinding>();
  /** Searches that take part: one, once a run was cut off, as it would depend on who comes to a state first. */
  private searches: number;
  private search: Search | null = null;
  private carried: Tally = NO_TALLY;
  private carriedHarvest: Harvest | null = null;
  private statesBefore = 0;
  private items: readonly Item[] = [];
  /** What is still to begin: all of it, a round, or nothing. */
  private pending: "all" | "round" | null = "all";
  private running: Promise<RoundReport[]> | null = null;
  private tallies: readonly Tally[] = [];
  private harvests: readonly HarvestReport[] | null = null;

  constructor(
    subject: Subject,
    private readonly options: MachineExploreOptions,
    jobs: number,
  ) {
    const { scenario, parameters, program } = subject;
    const { statesMax = STATES_MAX, preemptions = Number.POSITIVE_INFINITY } = options;
    this.explored = new Explored(program, options.loopRounds);
    const { machine } = this.explored;
    this.memory = {
      states: makeStateMemory(statesMax, shared),
      work: shared(WORK_WORDS),
      footprints: options.reduces === false ? null : shared(footprintWords(machine)),
    };
    const { memory } = this;
    this.published = new Float64Array(new SharedArrayBuffer(8 * PUBLISHED * jobs));
    this.states = new States(memory.states, statesMax, Atomics);
    this.work = new Work(memory.work, Atomics);
    this.footprints = memory.footprints === null ? null : new Footprints(machine, memory.footprints, Atomics);
    this.rounds = new Rounds(preemptions);
    this.searches = jobs;
    const setup = { scenario: scenario.name, parameters, options, statesMax, memory, published: this.published };
    this.hands = Array.from({ length: jobs }, (_, index) => new Hand({ ...setup, index }));
  }

  /** Ends the workers. */
  release(): void {
    for (const hand of this.hands) hand.end();
    this.explored.machine.release();
  }

  /** Goes on for a while; false when it is over. */
  async advance(): Promise<boolean> {
    if (this.running === null) {
      if (this.pending === null) return false;
      if (this.pending === "all") await this.begin();
      this.startRound();
    }
    const over = await Promise.race([this.running, setTimeout(LOOK_MS, null)]);
    return over === null || this.roundOver(over as RoundReport[]);
  }

  /** All of it begins, or goes on from where it was put aside. */
  private async begin(): Promise<void> {
    this.states.clear();
    this.footprints?.begin();
    this.items = this.rounds.begin(this.states, this.work);
    this.carried = NO_TALLY;
    this.carriedHarvest = null;
    this.statesBefore = 0;
    await this.beginSearches();
  }

  private async beginSearches(): Promise<void> {
    this.search = this.explored.search(this.states, this.work, this.footprints, this.options);
    await this.ask({ type: "begin" });
  }

  private async ask(order: CrewOrder): Promise<CrewReport[]> {
    return await Promise.all(this.hands.map((hand) => hand.ask(order)));
  }

  private startRound(): void {
    const { searches, items } = this;
    const { round, firstOf, size } = this.rounds;
    this.published.fill(0);
    const order = { type: "round", round, firstOf: firstOf[round] as number, size, searches } as const;
    const asked = this.hands
      .slice(0, searches)
      .map((hand, i) => hand.ask({ ...order, items: items.filter((_, at) => at % searches === i) }));
    this.running = Promise.all(asked) as Promise<RoundReport[]>;
    this.running.catch(() => undefined);
    this.pending = null;
    this.harvests = null;
  }

  private async roundOver(reports: readonly RoundReport[]): Promise<boolean> {
    this.running = null;
    this.tallies = reports.map(({ tally }) => tally);
    if (this.footprints?.broken === true) {
      // Something was overlooked: once more with what is known now.
      await this.keepFindings(reports);
      this.pending = "all";
      return true;
    }
    const tally = this.tally();
    if (tally.cutOff > 0 && this.searches > 1) {
      this.searches = 1;
      this.pending = "all";
      return true;
    }
    if (!this.rounds.next(tally, this.statesBefore, this.states, this.work)) return false;
    this.statesBefore = tally.states;
    this.carried = inNextRound(this.carried);
    this.items = [];
    this.pending = "round";
    return true;
  }

  private async keepFindings(reports: readonly RoundReport[]): Promise<void> {
    if (reports.every(({ keys }) => keys.every((key) => this.known.has(key)))) return;
    await this.gatherHarvests();
    const { sightings } = this.gathered();
    for (const found of this.withSchedules(sightings.filter(({ key }) => !this.known.has(key)))) {
      this.known.set(found.key, found);
    }
  }

  private async gatherHarvests(): Promise<void> {
    this.harvests ??= (await Promise.all(
      this.hands.slice(0, this.searches).map((hand) => hand.ask({ type: "harvest" })),
    )) as HarvestReport[];
  }

  /** Stops the workers where they are, and fetches what they came upon; before {@link result} and {@link putAside}. */
  async settle(): Promise<void> {
    if (this.running !== null) {
      this.work.stop();
      this.tallies = (await this.running).map(({ tally }) => tally);
      this.running = null;
    }
    if (this.pending === "all") {
      // Nothing was begun yet, or what was is given up.
      this.tallies = [];
      this.harvests = [];
      await this.begin();
    } else await this.gatherHarvests();
  }

  private tally(): Tally {
    return this.tallies.reduce(together, this.carried);
  }

  private gathered(): ReturnType<typeof gather> {
    const harvests = (this.harvests ?? []).map(({ harvest }) => harvest);
    return gather(this.carriedHarvest === null ? harvests : [this.carriedHarvest, ...harvests]);
  }

  private withSchedules(sightings: ReturnType<typeof gather>["sightings"]): ExploredFinding[] {
    return findingsOf(this.search as Search, this.states, this.gathered().ways, sightings);
  }

  /** How far it is. What was found in this go is known only in the end. */
  soFar(): Exploring {
    const { published, carried } = this;
    const sum = (what: number): number => {
      let all = 0;
      for (let at = what; at < published.length; at += PUBLISHED) all += published[at] as number;
      return all;
    };
    const { round } = this.rounds;
    return {
      executions: carried.executions + sum(0),
      steps: carried.steps + sum(1),
      states: carried.states + sum(2),
      preemptions: round,
      estimate: estimateOf(round, { runs: carried.runs + sum(3), done: carried.done + sum(4) }),
      findings: [...this.known.values()],
    };
  }

  result(): MachineExploration {
    const { sightings, ends } = this.gathered();
    const findings = this.withSchedules(sightings);
    return resultOf(this.explored, this.options, this.rounds, this.tally(), findings, this.known, ends);
  }

  putAside(): PutAside {
    const { rounds, work, states, footprints, statesBefore, known } = this;
    const items = this.pending === null ? (this.harvests ?? []).flatMap((report) => report.items) : [...this.items];
    for (let item = work.take(); item !== null; item = work.take()) items.push(item);
    return putAside(rounds, this.tally(), this.gathered(), known, {
      statesBefore,
      items,
      next: work.next,
      end: work.end,
      states: states.putAside(),
      statesMax: states.statesMax,
      footprints: footprints?.putAside() ?? null,
    });
  }

  /** Goes on where an exploration of the same program was put aside, by however many. */
  async takeUp(aside: PutAside): Promise<void> {
    await this.begin();
    takeUpRounds(this.rounds, aside);
    for (const one of aside.known) this.known.set(one.key, { ...one, schedule: parseSchedule(one.schedule) });
    this.states.takeUp(aside.states);
    this.work.begin(aside.next, aside.end);
    if (aside.footprints !== null) this.footprints?.takeUp(aside.footprints);
    this.carried = aside.tally;
    this.carriedHarvest = aside.harvest;
    this.statesBefore = aside.statesBefore;
    this.items = aside.items;
    this.pending = "round";
  }
}
