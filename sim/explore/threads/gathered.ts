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
  readonly kept: KeptData;
  readonly findings: readonly (readonly [string, ExploredFinding])[];
}

/**
 * The end states kept, in columns: there may be very many, and an object for each part of each would cost more than
 * the search that found them.
 */
export interface KeptData {
  readonly keys: number[];
  /** Distinct results: name of a thread, and what it returned, `-` if it is not over. */
  readonly results: [string, string][];
  /** Of each end state: where its results begin in `resultsOf`, which are indices of `results`. */
  readonly resultsAt: number[];
  readonly resultsOf: number[];
  /** As many values for each end state as there are variables. */
  readonly values: number[];
  /** The shortest schedule to each: a character for each step. */
  readonly actors: string[];
  /** "" if there was never a choice. */
  readonly choices: string[];
}

/** End states and findings. */
export class Gathered {
  readonly findings = new Map<string, ExploredFinding>();
  /** How often each end state was reached, by a hash of what the threads returned and the variables hold. */
  private readonly counts = new Map<number, number>();
  private kept = new Kept();

  /** @param outcomesMax - Distinct end states to keep; those beyond are only counted. */
  constructor(private readonly outcomesMax: number) {}

  /** Number of distinct end states. */
  get distinctOutcomes(): number {
    return this.counts.size;
  }

  /** Forgets everything. */
  clear(): void {
    this.counts.clear();
    this.kept = new Kept();
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
    if (count !== undefined) this.kept.again(key, execution);
    else if (this.kept.size < this.outcomesMax) this.kept.keep(key, execution);
  }

  /** Adds what was gathered elsewhere. What is kept depends on the order in which parts are added. */
  add({ counts, kept, findings }: GatheredData): void {
    for (let i = 0; i < counts.length; i += 2) {
      const key = counts[i] as number;
      this.counts.set(key, (this.counts.get(key) ?? 0) + (counts[i + 1] as number));
    }
    this.kept.add(kept, this.outcomesMax);
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
    const counts: number[] = [];
    for (const [key, count] of this.counts) counts.push(key, count);
    return { counts, kept: this.kept.data, findings: [...this.findings] };
  }

  /**
   * The end states kept, in the order in which they were first reached.
   *
   * @param variables - Names of the variables, in order.
   */
  outcomes(variables: readonly string[]): Outcome[] {
    const { data } = this.kept;
    return data.keys.map((key, i) => {
      const returned: Record<string, string> = {};
      for (const [name, result] of this.kept.resultsOf(i)) {
        let unique = name;
        for (let n = 2; unique in returned; n++) unique = `${name}#${n}`;
        returned[unique] = result;
      }
      const held: Record<string, number> = {};
      for (const [v, name] of variables.entries()) held[name] = data.values[i * variables.length + v] as number;
      const actors = numbersIn(data.actors[i] as string);
      const choices = data.choices[i] === "" ? actors.map(() => 0) : numbersIn(data.choices[i] as string);
      const witness = { actors, choices, preemptions: changes(actors) };
      return { returned, variables: held, count: this.counts.get(key) as number, witness };
    });
  }
}

/** End states with the shortest schedule to each. */
class Kept {
  readonly data: KeptData = {
    keys: [],
    results: [],
    resultsAt: [],
    resultsOf: [],
    values: [],
    actors: [],
    choices: [],
  };
  private readonly indices = new Map<number, number>();
  private readonly resultIndices = new Map<string, number>();

  get size(): number {
    return this.indices.size;
  }

  keep(key: number, execution: Execution): void {
    const { data } = this;
    this.open(key);
    for (const { index, comm } of execution.automata.threads) {
      if ((execution.begun & (1 << index)) === 0) continue;
      this.addResult(comm, execution.isOver(index) ? String(execution.positions[index]?.returned) : "-");
    }
    for (const { ptr, field } of execution.world.variables) data.values.push(execution.world.peek(ptr, field));
    data.actors.push(textOf(execution.actorOf, execution.depth));
    data.choices.push(choicesOf(execution));
  }

  again(key: number, execution: Execution): void {
    const index = this.indices.get(key);
    if (index === undefined || execution.depth >= (this.data.actors[index] as string).length) return;
    this.data.actors[index] = textOf(execution.actorOf, execution.depth);
    this.data.choices[index] = choicesOf(execution);
  }

  add(other: KeptData, outcomesMax: number): void {
    const { data } = this;
    const variables = other.keys.length === 0 ? 0 : other.values.length / other.keys.length;
    for (const [i, key] of other.keys.entries()) {
      const actors = other.actors[i] as string;
      const choices = other.choices[i] as string;
      const known = this.indices.get(key);
      if (known !== undefined) {
        if (actors.length >= (data.actors[known] as string).length) continue;
        data.actors[known] = actors;
        data.choices[known] = choices;
      } else if (this.size < outcomesMax) {
        this.open(key);
        for (const [name, result] of resultsIn(other, i)) this.addResult(name, result);
        for (let v = 0; v < variables; v++) data.values.push(other.values[i * variables + v] as number);
        data.actors.push(actors);
        data.choices.push(choices);
      }
    }
  }

  /** What each thread returned in the end state with that index. */
  resultsOf(index: number): Iterable<readonly [string, string]> {
    return resultsIn(this.data, index);
  }

  private open(key: number): void {
    this.indices.set(key, this.data.keys.length);
    this.data.keys.push(key);
    this.data.resultsAt.push(this.data.resultsOf.length);
  }

  private addResult(name: string, result: string): void {
    const text = `${name}\n${result}`;
    let index = this.resultIndices.get(text);
    if (index === undefined) {
      index = this.data.results.push([name, result]) - 1;
      this.resultIndices.set(text, index);
    }
    this.data.resultsOf.push(index);
  }
}

function* resultsIn(data: KeptData, index: number): Generator<[string, string]> {
  const end = data.resultsAt[index + 1] ?? data.resultsOf.length;
  for (let i = data.resultsAt[index] as number; i < end; i++) {
    yield data.results[data.resultsOf[i] as number] as [string, string];
  }
}

/** Small numbers as characters that can be read, and back. */
const FIRST_CHARACTER = 48;
const textOf = (numbers: readonly number[], length: number): string => {
  let text = "";
  for (let i = 0; i < length; i++) text += String.fromCharCode(FIRST_CHARACTER + (numbers[i] as number));
  return text;
};
const numbersIn = (text: string): number[] =>
  Array.from(text, (character) => character.charCodeAt(0) - FIRST_CHARACTER);

/** What was chosen at each step. */
function choicesOf({ choiceOf, depth }: Execution): string {
  for (let i = 0; i < depth; i++) if (choiceOf[i] !== 0) return textOf(choiceOf, depth);
  return "";
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
