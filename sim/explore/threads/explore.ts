/**
 * `exploreThreads`: every schedule of a thread program, up to equivalence, and what came of them.
 *
 * Two ways: `traces` runs each Mazurkiewicz trace once (`dpor.ts`), `states` visits each state once (`cached.ts`). Both
 * find the same end states and the same findings; `states` is far quicker where schedules meet again in the same state,
 * `traces` counts executions and needs no table.
 */
import type { MemoryModel } from "../../storeBuffer.ts";
import { CachedSearch } from "./cached.ts";
import { type Checkpoint, checkpoint, mustFit, positionIn } from "./checkpoint.ts";
import { ALL_REDUCTIONS, Dpor, type DporCounts, type DporPosition, type Reductions } from "./dpor.ts";
import { ACTORS_MAX, BUFFER, Execution, type ThreadFinding, TooManyThreads } from "./execution.ts";
import { type ExploredFinding, Gathered, type Outcome } from "./gathered.ts";
import { MergeRefuted } from "./merging.ts";
import { Places, PlacesMerged } from "./places.ts";
import { ThreadWorld } from "./threadWorld.ts";
import type { ThreadProgram } from "./world.ts";

export interface ExploreOptions {
  /** Default `sc`. */
  readonly memory?: MemoryModel;
  /** Default `traces`; `states` if there is a bound on changes of thread. */
  readonly search?: "traces" | "states";
  /** Reductions to switch off; all are on by default. `persistentSets`, `merging`, `forgetting` are those of `states`. */
  readonly reductions?: Partial<Reductions> & {
    readonly persistentSets?: boolean;
    readonly merging?: boolean;
    readonly forgetting?: boolean;
  };
  /** Steps of one execution before it is cut off; a cut makes the exploration incomplete. Default 10 000. */
  readonly stepsMax?: number;
  /** Only schedules with at most so many changes away from a thread that could go on. Default: any number. */
  readonly preemptionsMax?: number;
  /** Only schedules with at most so many changes of thread, whether the one left could go on or not. Default: any number. */
  readonly switchesMax?: number;
  /** Ends the exploration, incomplete, after so many executions or states. Default: never. */
  readonly executionsMax?: number;
  readonly statesMax?: number;
  /**
   * How often a thread may take the same op of the same function on the same field, so a bound on how often it goes
   * round a loop. Executions in which one would do so once more are cut off there, and the exploration is incomplete.
   * Default: as often as it likes.
   */
  readonly iterationsMax?: number;
  /** Distinct end states to keep; those beyond are only counted. Default 10 000. */
  readonly outcomesMax?: number;
  /** Ends it at the first finding. Default false. */
  readonly stopAtFinding?: boolean;
  /** Called now and then with what has been done so far; false ends the exploration. */
  readonly onProgress?: (soFar: Progress) => boolean;
  /** Goes on where an exploration of the same program with the same options ended: its {@link Exploration.rest}. */
  readonly resume?: Checkpoint;
}

/** How far an exploration has come. */
export interface Progress {
  readonly executions: number;
  readonly states: number;
  readonly steps: number;
  /**
   * About how many executions there will be in all, from how the branches that are done compare with those that wait.
   * Early on it is mostly too low. null under `states`, where nothing is known of what is left.
   */
  readonly estimate: number | null;
}

export interface Exploration {
  readonly program: string;
  readonly memory: MemoryModel;
  /** `violated`: there is a finding; `held`: complete, and none; `none-found`: incomplete, and none. */
  readonly verdict: "violated" | "held" | "none-found";
  /** Every schedule within `bounds` was covered. */
  readonly complete: boolean;
  readonly bounds: {
    readonly stepsMax: number;
    readonly preemptionsMax: number | null;
    readonly switchesMax: number | null;
    readonly iterationsMax: number | null;
  };
  /** Executions run to their end: under `traces` the number of Mazurkiewicz traces, if complete. */
  readonly executions: number;
  /** Distinct states; 0 under `traces`, where none are told apart. */
  readonly states: number;
  readonly steps: number;
  /** Executions that were begun in vain; none, with all reductions on. */
  readonly sleepBlocked: number;
  /** Executions cut off at the bound on steps or iterations. */
  readonly cutOff: number;
  /** Number of distinct end states. */
  readonly distinctOutcomes: number;
  /** The end states, in the order in which they were first reached; see {@link ExploreOptions.outcomesMax}. */
  readonly outcomes: readonly Outcome[];
  readonly findings: readonly ExploredFinding[];
  /**
   * Where it stands, for {@link ExploreOptions.resume}: plain data that survives JSON. null if nothing is left, and
   * under `states`.
   */
  readonly rest: Checkpoint | null;
}

const STEPS_MAX = 10_000;
/** Distinct end states that are kept if nothing else is said. */
export const OUTCOMES_MAX = 10_000;
/** Executions between two calls of onProgress. */
const PROGRESS_EVERY = 1024;

/** What an exploration finds out on its way about the program, and has to know from the beginning. */
export interface Learned {
  /** Words of memory that are one place each; see `places.ts`. */
  readonly coarse: Set<number>;
  /** Kinds of local states that must not be taken for one; see `merging.ts`. */
  readonly refuted: Set<string>;
  /** Threads that there is to be room for. */
  width: number;
}

/** Runs something with what is known of the program, again from the start whenever it finds out more. */
export function withLearned<R>(program: ThreadProgram, learned: Learned, tso: boolean, run: () => R): R {
  for (;;) {
    try {
      return run();
    } catch (error) {
      if (error instanceof PlacesMerged || error instanceof MergeRefuted) continue;
      if (!(error instanceof TooManyThreads)) throw error;
      const most = tso ? BUFFER - 1 : ACTORS_MAX;
      if (learned.width >= most) throw new Error(`${program.name} has more than ${most} threads`);
      learned.width = Math.min(most, Math.max(Number(error.message) + 4, learned.width + 1));
    }
  }
}

/**
 * Explores every schedule of `program`.
 *
 * @throws Error if the program has more than 31 threads (15 under `tso`), or uses an op that only the machine has; if
 *   `resume` is of another program or other options.
 */
export function exploreThreads(program: ThreadProgram, options: ExploreOptions = {}): Exploration {
  const { resume } = options;
  if (resume !== undefined) mustFit(resume, program, options);
  const learned = { coarse: new Set(resume?.coarse), refuted: new Set<string>(), width: resume?.width ?? 0 };
  return withLearned(program, learned, options.memory === "tso", () => new Explorer(program, options, learned).run());
}

const searchOf = ({ search, preemptionsMax, switchesMax }: ExploreOptions): "traces" | "states" =>
  search ?? (preemptionsMax === undefined && switchesMax === undefined ? "traces" : "states");

/** An exploration at work: a world, its execution, and what has been gathered. */
export class Explorer {
  readonly execution: Execution;
  gathered: Gathered;
  private ended = false;
  private visits = 0;

  constructor(
    private readonly program: ThreadProgram,
    private readonly options: ExploreOptions,
    { coarse, refuted, width }: Learned,
  ) {
    const { iterationsMax } = options;
    if (iterationsMax !== undefined && !(iterationsMax >= 1)) throw new Error("iterationsMax must be 1 or more");
    const places = new Places(coarse);
    const world = new ThreadWorld(program, places);
    const tso = options.memory === "tso";
    // Histories that are taken for one differ in how often they went round.
    const merging =
      searchOf(options) === "states" && options.reductions?.merging !== false && iterationsMax === undefined;
    this.execution = new Execution(world, places, tso, Math.max(width, world.threads.length), merging ? refuted : null);
    if (iterationsMax !== undefined) this.execution.automata.iterationsMax = iterationsMax;
    this.gathered = new Gathered(options.outcomesMax ?? OUTCOMES_MAX);
  }

  /** The names of the program's variables. */
  get variables(): string[] {
    return this.execution.world.variables.map(({ name }) => name);
  }

  run(): Exploration {
    const { options } = this;
    const search = searchOf(options);
    if (search === "states") {
      if (options.resume !== undefined) throw new Error("only a search over traces can be gone on with");
      return this.states();
    }
    if (options.preemptionsMax !== undefined || options.switchesMax !== undefined) {
      throw new Error("a bound on changes of thread needs the search over states");
    }
    const { resume } = options;
    if (resume !== undefined) this.gathered.add(resume.gathered);
    const { complete, counts, rest } = this.traces(resume === undefined ? null : positionIn(resume, this.execution));
    return this.result(complete, { ...counts, states: 0 }, rest);
  }

  /** Runs every trace, or those that are left, that keeps the orders of the execution. */
  traces(from: DporPosition | null = null): TracesRun {
    const { options, execution } = this;
    const wanted = { ...ALL_REDUCTIONS, ...options.reductions };
    // Wakeup trees are pruned by what is asleep.
    const reductions = { ...wanted, wakeupTrees: wanted.wakeupTrees && wanted.sleepSets && wanted.sourceSets };
    const executionsMax = options.executionsMax ?? Number.POSITIVE_INFINITY;
    this.ended = false;
    const visit = (_: Execution, cut: boolean): boolean => {
      this.note(cut);
      if (dpor.counts.executions >= executionsMax) this.ended = true;
      return this.goOn(() => ({ ...dpor.counts, states: 0, estimate: dpor.estimate() }));
    };
    const dpor = new Dpor(execution, reductions, options.stepsMax ?? STEPS_MAX, visit);
    const all = dpor.run(from);
    const rest = all ? null : checkpoint(this.program, options, execution, dpor.position(), this.gathered);
    while (execution.depth > 0) execution.undo();
    return { complete: all && dpor.counts.cutOff === 0, counts: dpor.counts, rest };
  }

  private states(): Exploration {
    const { options, gathered } = this;
    const preemptionsMax = options.preemptionsMax ?? Number.POSITIVE_INFINITY;
    const switchesMax = options.switchesMax ?? Number.POSITIVE_INFINITY;
    if (Number.isFinite(preemptionsMax) && Number.isFinite(switchesMax)) {
      throw new Error("there is a bound on preemptions and one on changes of thread; give one of them");
    }
    const persistent =
      !Number.isFinite(Math.min(preemptionsMax, switchesMax)) && options.reductions?.persistentSets !== false;
    const visit = (execution: Execution, cut: boolean): boolean => {
      if (!cut) for (const finding of execution.endFindings()) this.noteFinding(finding);
      if (!cut) gathered.noteOutcome(execution);
      return this.goOn(() => ({ ...search.counts, executions: search.counts.ends, estimate: null }));
    };
    const bounds = {
      stepsMax: options.stepsMax ?? STEPS_MAX,
      preemptionsMax,
      switchesMax,
      statesMax: options.statesMax ?? Number.POSITIVE_INFINITY,
      stopAtFinding: options.stopAtFinding === true,
    };
    const found = (execution: Execution): boolean => {
      const last = execution.findings.at(-1) as ThreadFinding;
      if (last.step === execution.depth - 1) this.noteFinding(last);
      return !this.ended;
    };
    const forgetting = options.reductions?.forgetting !== false;
    const again = (): void => gathered.clear();
    const search = new CachedSearch(this.execution, bounds, persistent, forgetting, visit, found, again);
    const all = search.run();
    const { states, ends, steps, cutOff, exhausted } = search.counts;
    const counts = { executions: ends, states, steps, sleepBlocked: 0, cutOff };
    return this.result(all && cutOff === 0 && !exhausted, counts, null);
  }

  private goOn(soFar: () => Progress): boolean {
    const { onProgress } = this.options;
    if (onProgress !== undefined && ++this.visits % PROGRESS_EVERY === 0 && !onProgress(soFar())) this.ended = true;
    return !this.ended;
  }

  /** Notes what the execution came to. */
  private note(cut: boolean): void {
    const { execution } = this;
    const found = cut ? execution.findings : [...execution.findings, ...execution.endFindings()];
    for (const finding of found) this.noteFinding(finding);
    if (!cut) this.gathered.noteOutcome(execution);
  }

  private noteFinding(finding: ThreadFinding): void {
    this.gathered.noteFinding(this.execution, finding);
    if (this.options.stopAtFinding === true) this.ended = true;
  }

  private result(complete: boolean, counts: ExplorationCounts, rest: Checkpoint | null): Exploration {
    return explorationOf(this.program.name, this.options, this.gathered, this.variables, complete, counts, rest);
  }
}

type ExplorationCounts = Pick<Exploration, "executions" | "states" | "steps" | "sleepBlocked" | "cutOff">;

/** What running traces came to, besides what was gathered. */
interface TracesRun {
  readonly complete: boolean;
  readonly counts: DporCounts;
  readonly rest: Checkpoint | null;
}

/** Lays out what was gathered. @param variables - The names of the program's variables, in order. */
export function explorationOf(
  program: string,
  options: ExploreOptions,
  gathered: Gathered,
  variables: readonly string[],
  complete: boolean,
  { executions, states, steps, sleepBlocked, cutOff }: ExplorationCounts,
  rest: Checkpoint | null,
): Exploration {
  const findings = [...gathered.findings.values()];
  return {
    program,
    memory: options.memory ?? "sc",
    verdict: findings.length > 0 ? "violated" : complete ? "held" : "none-found",
    complete,
    bounds: {
      stepsMax: options.stepsMax ?? STEPS_MAX,
      preemptionsMax: options.preemptionsMax ?? null,
      switchesMax: options.switchesMax ?? null,
      iterationsMax: options.iterationsMax ?? null,
    },
    executions,
    states,
    steps,
    sleepBlocked,
    cutOff,
    distinctOutcomes: gathered.distinctOutcomes,
    outcomes: gathered.outcomes(variables),
    findings,
    rest,
  };
}
