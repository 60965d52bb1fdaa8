/**
 * What an exploration has gathered: end states with their counts and shortest schedules, and findings.
 *
 * It can be laid out as plain data, so that an exploration can be stopped and gone on with, and what was gathered in
 * several parts of one can be put together.
 */
import { normalTitle } from "../../finding.ts";
import { mixHigh, mixLow, upper } from "./automaton.ts";
import type { Execution, ThreadFinding } from "./execution.ts";

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

/** {@link Gathered} as plain data: it survives JSON and a message between threads. */
export interface GatheredData {
  /** Every distinct end state: its key, how often it was reached, and so on. */
  readonly counts: readonly number[];
  readonly kept: readonly ReachedData[];
  readonly findings: readonly (readonly [string, ExploredFinding])[];
}

interface ReachedData {
  readonly key: number;
  readonly threads: readonly (readonly [string, string])[];
  readonly values: readonly number[];
  readonly actors: readonly number[];
  /** null if there was never a choice. */
  readonly choices: readonly number[] | null;
}

/** End states and findings. */
export class Gathered {
  readonly findings = new Map<string, ExploredFinding>();
  /** How often each end state was reached, by a hash of what the threads returned and the variables hold. */
  private readonly counts = new Map<number, number>();
  private readonly kept = new Map<number, Reached>();

  /** @param outcomesMax - Distinct end states to keep; those beyond are only counted. */
  constructor(private readonly outcomesMax: number) {}

  /** Number of distinct end states. */
  get distinctOutcomes(): number {
    return this.counts.size;
  }

  /** Forgets everything. */
  clear(): void {
    this.counts.clear();
    this.kept.clear();
    this.findings.clear();
  }

  /** Notes something that went wrong in the execution as it stands. */
  noteFinding(execution: Execution, finding: ThreadFinding): void {
    const key = `${finding.kind}:${finding.function}:${finding.thread}:${normalTitle(finding.title)}`;
    const known = this.findings.get(key);
    const steps = Math.min(finding.step + 1, execution.depth);
    if (known === undefined) this.findings.set(key, { ...finding, count: 1, witness: witnessOf(execution, steps) });
    else {
      known.count++;
      if (steps < known.witness.actors.length) known.witness = witnessOf(execution, steps);
    }
  }

  /** Notes the end state that the execution has come to. */
  noteOutcome(execution: Execution): void {
    const key = keyOf(execution);
    const count = this.counts.get(key);
    this.counts.set(key, count === undefined ? 1 : count + 1);
    const known = this.kept.get(key);
    if (known !== undefined) known.again(execution);
    else if (count === undefined && this.kept.size < this.outcomesMax) this.kept.set(key, Reached.by(execution));
  }

  /** Adds what was gathered elsewhere. What is kept depends on the order in which parts are added. */
  add({ counts, kept, findings }: GatheredData): void {
    for (let i = 0; i < counts.length; i += 2) {
      const key = counts[i] as number;
      this.counts.set(key, (this.counts.get(key) ?? 0) + (counts[i + 1] as number));
    }
    for (const data of kept) {
      const reached = Reached.from(data);
      const known = this.kept.get(data.key);
      if (known !== undefined) known.orShorter(reached);
      else if (this.kept.size < this.outcomesMax) this.kept.set(data.key, reached);
    }
    for (const [key, finding] of findings) {
      const known = this.findings.get(key);
      if (known === undefined) this.findings.set(key, { ...finding });
      else {
        known.count += finding.count;
        if (finding.witness.actors.length < known.witness.actors.length) known.witness = finding.witness;
      }
    }
  }

  /** As plain data. */
  data(): GatheredData {
    const kept = Array.from(this.kept, ([key, reached]) => reached.data(key));
    return { counts: [...this.counts].flat(), kept, findings: [...this.findings] };
  }

  /**
   * The end states kept, in the order in which they were first reached.
   *
   * @param variables - Names of the variables, in order.
   */
  outcomes(variables: readonly string[]): Outcome[] {
    return Array.from(this.kept, ([key, reached]) => {
      const { threads, values } = reached;
      const returned: Record<string, string> = {};
      for (const [name, result] of threads) {
        let unique = name;
        for (let n = 2; unique in returned; n++) unique = `${name}#${n}`;
        returned[unique] = result;
      }
      const held = Object.fromEntries(variables.map((name, i) => [name, values[i] as number]));
      return { returned, variables: held, count: this.counts.get(key) as number, witness: reached.witness() };
    });
  }
}

/** A distinct end state, and the shortest schedule to it. */
class Reached {
  private constructor(
    /** Name of each thread that was started, and what it returned; `-` if it is not over. */
    readonly threads: readonly (readonly [string, string])[],
    /** The value of each variable. */
    readonly values: readonly number[],
    private actors: Uint8Array,
    private choices: Uint8Array | null,
  ) {}

  static by(execution: Execution): Reached {
    return new Reached(returnedIn(execution), valuesOf(execution), actorsOf(execution), choicesOf(execution));
  }

  static from({ threads, values, actors, choices }: ReachedData): Reached {
    return new Reached(threads, values, Uint8Array.from(actors), choices === null ? null : Uint8Array.from(choices));
  }

  again(execution: Execution): void {
    if (execution.depth >= this.actors.length) return;
    this.actors = actorsOf(execution);
    this.choices = choicesOf(execution);
  }

  orShorter(other: Reached): void {
    if (other.actors.length >= this.actors.length) return;
    this.actors = other.actors;
    this.choices = other.choices;
  }

  data(key: number): ReachedData {
    const { threads, values, actors, choices } = this;
    const plain = choices === null ? null : Array.from(choices);
    return { key, threads, values, actors: Array.from(actors), choices: plain };
  }

  witness(): Witness {
    const actors = Array.from(this.actors);
    const choices = this.choices === null ? actors.map(() => 0) : Array.from(this.choices);
    return { actors, choices, preemptions: changes(actors) };
  }
}

/** 52 bits that stand for what the threads returned and the variables hold. */
function keyOf(execution: Execution): number {
  const { world, automata, positions, begun } = execution;
  // Of several threads of one name it does not matter which of them was started to do this.
  let low = 0;
  let high = 0;
  for (const { index, nameHash } of automata.threads) {
    if ((begun & (1 << index)) === 0) continue;
    const word = execution.isOver(index) ? (positions[index] as { hashLow: number }).hashLow : nameHash;
    low = (low + mixLow(word, 0)) | 0;
    high = (high + mixHigh(word, 0)) | 0;
  }
  low = mixLow(0x811c9dc5 | 0, low);
  high = mixHigh(0x7ed55d16, high);
  for (const { ptr, field } of world.variables) {
    const value = world.peek(ptr, field);
    low = mixLow(low, value | 0);
    high = mixHigh(high, upper(value) ^ (value | 0));
  }
  return (low >>> 0) * 2 ** 20 + (high >>> 12);
}

function returnedIn(execution: Execution): [string, string][] {
  const begun = execution.automata.threads.filter(({ index }) => (execution.begun & (1 << index)) !== 0);
  return begun.map(({ index, comm }) => [
    comm,
    execution.isOver(index) ? String(execution.positions[index]?.returned) : "-",
  ]);
}

const valuesOf = ({ world }: Execution): number[] => world.variables.map(({ ptr, field }) => world.peek(ptr, field));

function actorsOf({ actorOf, depth }: Execution): Uint8Array {
  const actors = new Uint8Array(depth);
  for (let i = 0; i < depth; i++) actors[i] = actorOf[i] as number;
  return actors;
}

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
