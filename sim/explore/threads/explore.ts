/**
 * `exploreThreads`: every schedule of a thread program, up to equivalence, and what came of them.
 *
 * Two ways: `traces` runs each Mazurkiewicz trace once (`dpor.ts`), `states` visits each state once (`cached.ts`). Both
 * find the same end states and the same findings; `states` is far quicker where schedules meet again in the same state,
 * `traces` counts executions and needs no table.
 */
import { normalTitle } from "../../finding.ts";
import type { MemoryModel } from "../../storeBuffer.ts";
import { mixHigh, mixLow, upper } from "./automaton.ts";
import { CachedSearch } from "./cached.ts";
import { ALL_REDUCTIONS, Dpor, type Reductions } from "./dpor.ts";
import { ACTORS_MAX, BUFFER, Execution, type ThreadFinding, TooManyThreads } from "./execution.ts";
import { MergeRefuted } from "./merging.ts";
import { Places, PlacesMerged } from "./places.ts";
import { SeenStates } from "./seenStates.ts";
import { ThreadWorld } from "./threadWorld.ts";
import type { ThreadProgram } from "./world.ts";

export interface ExploreOptions {
  /** Default `sc`. */
  readonly memory?: MemoryModel;
  /** Default `traces`; `states` if there is a bound on preemptions. */
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
  /** Ends the exploration, incomplete, after so many executions or states. Default: never. */
  readonly executionsMax?: number;
  readonly statesMax?: number;
  /** Distinct end states to keep; those beyond are only counted. Default 10 000. */
  readonly outcomesMax?: number;
  /** Ends it at the first finding. Default false. */
  readonly stopAtFinding?: boolean;
  /** Called now and then with what has been done so far; false ends the exploration. */
  readonly onProgress?: (soFar: {
    readonly executions: number;
    readonly states: number;
    readonly steps: number;
  }) => boolean;
}

/** A schedule: who takes each step, and what it chooses where there is a choice. */
export interface Witness {
  /** Index of a thread, in order of declaration; from 16 on the store buffer of thread `actor - 16`. */
  readonly actors: readonly number[];
  readonly choices: readonly number[];
  /** Changes away from a thread that could go on. */
  readonly preemptions: number;
}

/** A distinct end state. */
export interface Outcome {
  /** What each thread returned, by name; `-` if it never ended. */
  readonly returned: Readonly<Record<string, string>>;
  /** The final value of each variable, by name. */
  readonly variables: Readonly<Record<string, number>>;
  /** Executions (or, under `states`, end states) that came to it. */
  count: number;
  /** The shortest schedule that was seen to lead to it: fewest steps, then fewest preemptions. */
  witness: Witness;
}

/** A distinct finding. */
export interface ExploredFinding extends ThreadFinding {
  count: number;
  witness: Witness;
}

export interface Exploration {
  readonly program: string;
  readonly memory: MemoryModel;
  /** `violated`: there is a finding; `held`: complete, and none; `none-found`: incomplete, and none. */
  readonly verdict: "violated" | "held" | "none-found";
  /** Every schedule within `bounds` was covered. */
  readonly complete: boolean;
  readonly bounds: { readonly stepsMax: number; readonly preemptionsMax: number | null };
  /** Executions run to their end: under `traces` the number of Mazurkiewicz traces, if complete. */
  readonly executions: number;
  /** Distinct states; 0 under `traces`, where none are told apart. */
  readonly states: number;
  readonly steps: number;
  /** Executions that were begun in vain; none, with all reductions on. */
  readonly sleepBlocked: number;
  /** Executions cut off at the bound on steps. */
  readonly cutOff: number;
  /** Number of distinct end states. */
  readonly distinctOutcomes: number;
  /** The end states, in the order in which they were first reached; see {@link ExploreOptions.outcomesMax}. */
  readonly outcomes: readonly Outcome[];
  readonly findings: readonly ExploredFinding[];
}

const STEPS_MAX = 10_000;
const OUTCOMES_MAX = 10_000;
/** Executions between two calls of onProgress. */
const PROGRESS_EVERY = 1024;

/**
 * Explores every schedule of `program`.
 *
 * @throws Error if the program has more than 31 threads (15 under `tso`), or uses an op that only the machine has.
 */
export function exploreThreads(program: ThreadProgram, options: ExploreOptions = {}): Exploration {
  const coarse = new Set<number>();
  const refuted = new Set<string>();
  const tso = options.memory === "tso";
  for (let width = 0; ; ) {
    try {
      return new Explorer(program, options, coarse, refuted, width).run();
    } catch (error) {
      // What was learned of the program on the way makes the next try go further.
      if (error instanceof PlacesMerged || error instanceof MergeRefuted) continue;
      const most = tso ? BUFFER - 1 : ACTORS_MAX;
      if (error instanceof TooManyThreads && width < most) {
        width = Math.min(most, Math.max(Number(error.message) + 4, width + 1));
        continue;
      }
      if (error instanceof TooManyThreads) throw new Error(`${program.name} has more than ${most} threads`);
      throw error;
    }
  }
}

const searchOf = ({ search, preemptionsMax }: ExploreOptions): "traces" | "states" =>
  search ?? (preemptionsMax === undefined ? "traces" : "states");

/** What an exploration has gathered so far. */
class Explorer {
  private readonly world: ThreadWorld;
  private readonly execution: Execution;
  /** By a hash of what the threads returned and the variables hold. */
  private readonly outcomes = new Map<number, Reached>();
  private ends = new SeenStates();
  private readonly findings = new Map<string, ExploredFinding>();
  private ended = false;
  private visits = 0;

  constructor(
    private readonly program: ThreadProgram,
    private readonly options: ExploreOptions,
    coarse: Set<number>,
    refuted: Set<string>,
    width: number,
  ) {
    const places = new Places(coarse);
    this.world = new ThreadWorld(program, places);
    const tso = options.memory === "tso";
    const merging = searchOf(options) === "states" && options.reductions?.merging !== false;
    const threads = Math.max(width, this.world.threads.length);
    this.execution = new Execution(this.world, places, tso, threads, merging ? refuted : null);
  }

  run(): Exploration {
    const { options } = this;
    const stepsMax = options.stepsMax ?? STEPS_MAX;
    const preemptionsMax = options.preemptionsMax ?? Number.POSITIVE_INFINITY;
    const bounded = Number.isFinite(preemptionsMax);
    const search = searchOf(options);
    if (bounded && search === "traces") throw new Error("a bound on preemptions needs the search over states");
    return search === "traces" ? this.traces(stepsMax) : this.states(stepsMax, preemptionsMax);
  }

  private traces(stepsMax: number): Exploration {
    const wanted = { ...ALL_REDUCTIONS, ...this.options.reductions };
    // Wakeup trees are pruned by what is asleep.
    const reductions = { ...wanted, wakeupTrees: wanted.wakeupTrees && wanted.sleepSets && wanted.sourceSets };
    const executionsMax = this.options.executionsMax ?? Number.POSITIVE_INFINITY;
    const visit = (execution: Execution, cut: boolean): boolean => {
      this.note(execution, cut);
      if (dpor.counts.executions >= executionsMax) this.ended = true;
      return this.goOn(dpor.counts.executions, 0, dpor.counts.steps);
    };
    const dpor = new Dpor(this.execution, reductions, stepsMax, visit);
    const all = dpor.run();
    const { executions, steps, sleepBlocked, cutOff } = dpor.counts;
    return this.result(all && cutOff === 0, stepsMax, null, { executions, states: 0, steps, sleepBlocked, cutOff });
  }

  private states(stepsMax: number, preemptionsMax: number): Exploration {
    const bounded = Number.isFinite(preemptionsMax);
    const persistent = !bounded && this.options.reductions?.persistentSets !== false;
    const statesMax = this.options.statesMax ?? Number.POSITIVE_INFINITY;
    const visit = (execution: Execution, cut: boolean): boolean => {
      if (!cut) for (const finding of execution.endFindings()) this.noteFinding(execution, finding);
      if (!cut) this.noteOutcome(execution);
      return this.goOn(search.counts.ends, search.counts.states, search.counts.steps);
    };
    const again = (): void => {
      this.outcomes.clear();
      this.ends = new SeenStates();
      this.findings.clear();
    };
    const bounds = { stepsMax, preemptionsMax, statesMax };
    const found = (execution: Execution): boolean => {
      const last = execution.findings.at(-1) as ThreadFinding;
      if (last.step === execution.depth - 1) this.noteFinding(execution, last);
      return !this.ended;
    };
    const forgetting = this.options.reductions?.forgetting !== false;
    const search = new CachedSearch(this.execution, bounds, persistent, forgetting, visit, found, again);
    const all = search.run();
    const { states, ends, steps, cutOff, exhausted } = search.counts;
    const counts = { executions: ends, states, steps, sleepBlocked: 0, cutOff };
    return this.result(all && cutOff === 0 && !exhausted, stepsMax, bounded ? preemptionsMax : null, counts);
  }

  private goOn(executions: number, states: number, steps: number): boolean {
    const { onProgress } = this.options;
    if (onProgress !== undefined && ++this.visits % PROGRESS_EVERY === 0) {
      if (!onProgress({ executions, states, steps })) this.ended = true;
    }
    return !this.ended;
  }

  /** Notes what an execution came to. */
  private note(execution: Execution, cut: boolean): void {
    const found = cut ? execution.findings : [...execution.findings, ...execution.endFindings()];
    for (const finding of found) this.noteFinding(execution, finding);
    if (!cut) this.noteOutcome(execution);
  }

  private noteFinding(execution: Execution, finding: ThreadFinding): void {
    const key = `${finding.kind}:${finding.function}:${finding.thread}:${normalTitle(finding.title)}`;
    const known = this.findings.get(key);
    const steps = Math.min(finding.step + 1, execution.depth);
    if (known === undefined) this.findings.set(key, { ...finding, count: 1, witness: witnessOf(execution, steps) });
    else {
      known.count++;
      if (steps < known.witness.actors.length) known.witness = witnessOf(execution, steps);
    }
    if (this.options.stopAtFinding === true) this.ended = true;
  }

  private noteOutcome(execution: Execution): void {
    const { world, ends } = this;
    let low = 0x811c9dc5 | 0;
    let high = 0x7ed55d16;
    // Of several threads of one name it does not matter which of them was started to do this.
    let returned = 0;
    for (const { index, nameHash } of execution.automata.threads) {
      if ((execution.begun & (1 << index)) === 0) continue;
      const word = execution.isOver(index) ? (execution.positions[index] as { hashLow: number }).hashLow : nameHash;
      returned = (returned + mixLow(word, 0)) | 0;
      high = (high + mixHigh(word, 0)) | 0;
    }
    low = mixLow(low, returned);
    high = mixHigh(high, returned);
    for (const { ptr, field } of world.variables) {
      const value = world.peek(ptr, field);
      low = mixLow(low, value | 0);
      high = mixHigh(high, upper(value) ^ (value | 0));
    }
    const isNew = ends.enter(low, high, 0);
    if (isNew && this.outcomes.size >= (this.options.outcomesMax ?? OUTCOMES_MAX)) return;
    const key = (low >>> 0) * 2 ** 20 + (high >>> 12);
    const known = this.outcomes.get(key);
    if (known === undefined) {
      if (isNew) this.outcomes.set(key, new Reached(execution, this.valuesOf(execution)));
    } else known.again(execution);
  }

  /** Name and result of each thread that was started, then the value of each variable. */
  private valuesOf(execution: Execution): string[] {
    const { world } = this;
    const begun = execution.automata.threads.filter(({ index }) => (execution.begun & (1 << index)) !== 0);
    return [
      ...begun.flatMap(({ index, comm }) => [comm, this.returnedBy(execution, index)]),
      ...world.variables.map(({ ptr, field }) => String(world.peek(ptr, field))),
    ];
  }

  private outcome(reached: Reached): Outcome {
    const { values } = reached;
    const returned: Record<string, string> = {};
    const variables: Record<string, number> = {};
    let at = 0;
    const variablesFrom = values.length - this.world.variables.length;
    while (at < variablesFrom) returned[values[at++] as string] = values[at++] as string;
    for (const { name } of this.world.variables) variables[name] = Number(values[at++]);
    return { returned, variables, count: reached.count, witness: reached.witness() };
  }

  /** What a thread returned; `-` if it did not. */
  private returnedBy(execution: Execution, thread: number): string {
    return execution.isOver(thread) ? String(execution.positions[thread]?.returned) : "-";
  }

  private result(
    complete: boolean,
    stepsMax: number,
    preemptionsMax: number | null,
    counts: Pick<Exploration, "executions" | "states" | "steps" | "sleepBlocked" | "cutOff">,
  ): Exploration {
    const findings = [...this.findings.values()];
    return {
      program: this.program.name,
      memory: this.options.memory ?? "sc",
      verdict: findings.length > 0 ? "violated" : complete ? "held" : "none-found",
      complete,
      bounds: { stepsMax, preemptionsMax },
      ...counts,
      distinctOutcomes: this.ends.count,
      outcomes: Array.from(this.outcomes.values(), (reached) => this.outcome(reached)),
      findings,
    };
  }
}

/** A distinct end state: how often it was reached, and the shortest schedule to it. */
class Reached {
  count = 1;
  private actors: Uint8Array;
  private choices: Uint8Array | null;

  constructor(
    execution: Execution,
    readonly values: readonly string[],
  ) {
    this.actors = actorsOf(execution);
    this.choices = choicesOf(execution);
  }

  again(execution: Execution): void {
    this.count++;
    if (execution.depth >= this.actors.length) return;
    this.actors = actorsOf(execution);
    this.choices = choicesOf(execution);
  }

  witness(): Witness {
    const actors = Array.from(this.actors);
    const choices = this.choices === null ? actors.map(() => 0) : Array.from(this.choices);
    return { actors, choices, preemptions: changes(actors) };
  }
}

function actorsOf({ actorOf, depth }: Execution): Uint8Array {
  const actors = new Uint8Array(depth);
  for (let i = 0; i < depth; i++) actors[i] = actorOf[i] as number;
  return actors;
}

/** What was chosen at each step; null if there was never a choice. */
function choicesOf({ choiceOf, depth }: Execution): Uint8Array | null {
  let choices: Uint8Array | null = null;
  for (let i = 0; i < depth; i++) {
    if (choiceOf[i] === 0) continue;
    choices ??= new Uint8Array(depth);
    choices[i] = choiceOf[i] as number;
  }
  return choices;
}

/** The first `steps` steps of an execution as a schedule. */
function witnessOf(execution: Execution, steps: number): Witness {
  const actors = execution.actorOf.slice(0, steps);
  const choices = execution.choiceOf.slice(0, steps);
  return { actors, choices, preemptions: changes(actors) };
}

/** Changes of thread after which the thread left still takes a step; one that only ends where it is left is not counted. */
function changes(actors: readonly number[]): number {
  let count = 0;
  for (let i = 1; i < actors.length; i++) {
    if (actors[i] !== actors[i - 1] && actors.indexOf(actors[i - 1] as number, i) >= 0) count++;
  }
  return count;
}
