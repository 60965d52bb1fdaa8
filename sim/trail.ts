/**
 * The trail of a run: what each event of its schedule was, so that the schedule can be held against another program.
 *
 * Its written form is compact: functions with their ops, numbered in that order, and for each stretch of one actor the
 * numbers of its ops, with `12-20` for ops in a row and `7*3` for the same again. Occurrences are not written; they
 * follow from counting. Each stretch ends in four digits of the history hash there.
 */
import { EVENT_NAMES, eventArgument, eventCpu, eventType, SOFTIRQ, STEP, SWITCH, TIMER } from "./event.ts";
import { Identifier, type Identity, Occurrences } from "./identity.ts";
import type { Machine } from "./machine.ts";
import type { Strategy } from "./strategies/strategy.ts";

/** One event of a recorded run. */
export interface RecordedEvent extends Identity {
  readonly event: number;
  /** The how-manieth of its kind, from 1. */
  readonly occurrence: number;
  /** First digits of the history hash before the event; "" where none are kept. */
  readonly hash: string;
}

/** The written form of a trail. */
export interface WrittenTrail {
  /** Names of the contexts, by index. */
  readonly tasks: readonly string[];
  /** The ops of each kernel function, in order of their first step, separated by `; `. */
  readonly ops: Readonly<Record<string, string>>;
  /** One stretch of one actor each: `exe/5118: 0-12 4*2 =1a2b`. */
  readonly stretches: readonly string[];
}

const HASH_DIGITS = 4;
/** The part of a machine's history hash that trails keep. */
export const hashDigits = (machine: Machine): string => machine.hash.digest().slice(0, HASH_DIGITS);

/** Follows another strategy and keeps what each event was. */
export class TrailRecorder implements Strategy {
  readonly name = "trail";
  readonly events: RecordedEvent[] = [];
  private readonly occurrences = new Occurrences();
  private identifier: Identifier | null = null;

  constructor(private readonly followed: Strategy) {}

  pick(machine: Machine): number {
    this.identifier ??= new Identifier(machine);
    const event = this.followed.pick(machine);
    const identity = this.identifier.of(event);
    const occurrence = this.occurrences.add(identity);
    this.events.push({ ...identity, event, occurrence, hash: hashDigits(machine) });
    return event;
  }

  /** Names of the contexts, by index. */
  tasks(): readonly string[] {
    return this.identifier?.actors() ?? [];
  }
}

/** Writes a trail. */
export function writeTrail(events: readonly RecordedEvent[], tasks: readonly string[]): WrittenTrail {
  const steps = events.filter(({ event }) => eventType(event) === STEP);
  const byFunction = new Map<string, string[]>();
  for (const step of steps) {
    const ops = byFunction.get(step.in) ?? [];
    if (!ops.includes(step.op)) ops.push(step.op);
    byFunction.set(step.in, ops);
  }
  const numbers = new Map<string, number>();
  for (const [name, ops] of byFunction) for (const op of ops) numbers.set(`${name}|${op}`, numbers.size);
  const stretches: string[] = [];
  for (let i = 0; i < steps.length; ) {
    const { actor } = steps[i] as RecordedEvent;
    const own: number[] = [];
    const from = i;
    for (; i < steps.length && steps[i]?.actor === actor; i++) {
      const step = steps[i] as RecordedEvent;
      own.push(numbers.get(`${step.in}|${step.op}`) as number);
    }
    stretches.push(`${actor}: ${writeNumbers(own)} =${(steps[from] as RecordedEvent).hash}`);
  }
  const ops = Object.fromEntries([...byFunction].map(([name, list]) => [name, list.join("; ")]));
  return { tasks, ops, stretches };
}

function writeNumbers(numbers: readonly number[]): string {
  const words: string[] = [];
  for (let i = 0; i < numbers.length; ) {
    const first = numbers[i] as number;
    let up = 1;
    while (numbers[i + up] === first + up) up++;
    let same = 1;
    while (numbers[i + same] === first) same++;
    words.push(up > 1 ? `${first}-${first + up - 1}` : same > 1 ? `${first}*${same}` : `${first}`);
    i += Math.max(up, same);
  }
  return words.join(" ");
}

/**
 * Reads a trail.
 *
 * @param schedule - The events it tells of.
 * @throws Error that says what is wrong, if it is no trail, or not of this schedule.
 */
export function readTrail(written: WrittenTrail, schedule: ArrayLike<number>): RecordedEvent[] {
  const ops = Object.entries(written.ops).flatMap(([name, list]) => list.split("; ").map((op) => ({ in: name, op })));
  const stretches = written.stretches.map((text) => readStretch(text));
  const occurrences = new Occurrences();
  const current: string[] = [];
  const made: RecordedEvent[] = [];
  let at = 0;
  let left: Generator<number> | null = null;
  for (let i = 0; i < schedule.length; i++) {
    const event = schedule[i] as number;
    let identity = machineEvent(event, written.tasks, current);
    let hash = "";
    if (eventType(event) === STEP) {
      let next = left?.next();
      if (next === undefined || next.done === true) {
        const stretch = stretches[at++];
        if (stretch === undefined) throw new Error(`it ends before step ${i} of the schedule`);
        left = stretch.numbers();
        next = left.next();
        hash = stretch.hash;
      }
      const op = next.done === true ? undefined : ops[next.value];
      if (op === undefined) throw new Error(`no op is number ${next.value} in "${written.stretches[at - 1]}"`);
      identity = { actor: (stretches[at - 1] as Stretch).actor, ...op };
    }
    made.push({ ...identity, event, occurrence: occurrences.add(identity), hash });
  }
  if (at < stretches.length || left?.next().done === false) throw new Error("it tells of more steps than the schedule");
  return made;
}

/** What an event of the machine is, as far as the schedule says. */
function machineEvent(event: number, tasks: readonly string[], current: string[]): Identity {
  const type = eventType(event);
  const cpu = eventCpu(event);
  const named = type === SWITCH || type === TIMER ? tasks[eventArgument(event)] : current[cpu];
  if (type === SWITCH) current[cpu] = named ?? "";
  const op = EVENT_NAMES[type] ?? `event ${type}`;
  return { actor: type === SOFTIRQ ? `softirq/${cpu}` : (named ?? ""), in: "", op };
}

interface Stretch {
  readonly actor: string;
  readonly hash: string;
  numbers(): Generator<number>;
}

function readStretch(text: string): Stretch {
  const match = /^(.+): ((?:\d{1,6}(?:[-*]\d{1,6})? )+)=([0-9a-f]{4})$/.exec(text);
  if (match === null) throw new Error(`"${text}" is no stretch of a trail`);
  const [, actor, words, hash] = match as unknown as [string, string, string, string];
  return {
    actor,
    hash,
    *numbers() {
      for (const word of words.trim().split(" ")) {
        const [first = 0, second = 0] = word.split(/[-*]/).map(Number);
        if (word.includes("-")) for (let n = first; n <= second; n++) yield n;
        else for (let n = word.includes("*") ? second : 1; n > 0; n--) yield first;
      }
    },
  };
}
