/**
 * Kernel code as a graph that is learned while it runs.
 *
 * Generators cannot be copied, so code that has to go back would be run again from its start. But what a task does next
 * depends on nothing but the results it was handed. So each *place* that kernel code can be at, between two ops, is a
 * node, and each result leads on to another node. A result that was seen before costs a look-up; for one that was not,
 * a generator is brought to the place by feeding it the results on the way there, and goes on from there once.
 *
 * Two ways come to the same place if they have the same hash: one for each function on the stack, over its arguments
 * and the results it was handed. When a function returns, its locals are gone: its hash is dropped, and what it
 * returned goes into the caller's, with the contents of the objects it was given, which it may have changed. Where it
 * was given a closure, which may hold anything, its hash goes into the caller's as a whole.
 *
 * Assumes of kernel code: no state but locals, arguments, and memory reached by ops; what it reads of the machine
 * without an op (`task_curr`, where a thread_info is, the trap flag) goes through {@link HiddenReads}.
 */
import { Context } from "../../context.ts";
import {
  ATOMIC,
  BEGIN_ROUNDS,
  CALL,
  CALL_RCU,
  FORGET,
  FORGET_ALL,
  type FunctionInfo,
  functionById,
  NOTE,
  type Ptr,
  type Request,
  request,
  running,
} from "../../op.ts";
import type { Field } from "../../struct.ts";
import { Hash64 } from "./hash64.ts";

type Frame = Generator<Request, unknown, unknown>;

/** `next` of every generator, see machine.ts. */
const generatorNext = Object.getPrototypeOf(function* () {}).prototype.next as (
  this: unknown,
  value: unknown,
) => IteratorResult<Request, unknown>;
const GENERATOR_FUNCTION = Object.getPrototypeOf(function* () {});

/** Reads of the machine that kernel code makes without an op. */
export interface HiddenReads {
  isCurrent(task: Ptr): boolean;
  threadInfo(task: Ptr): Ptr;
  threadFlags(task: Ptr): number;
  /** Memory, with a field of `peek`. */
  peek(pointer: Ptr, field: Field): number;
  /** The number that is taken next. */
  nextNumber(): number;
  /** Takes it. */
  skipNumber(): void;
}

/** One such read, and what it gave. */
interface HiddenRead {
  readonly what: Exclude<keyof HiddenReads, "skipNumber">;
  readonly task: Ptr;
  readonly answer: number | boolean;
  /** Of a `peek`. */
  readonly field: Field | null;
}

/** Where kernel code is between two ops, and the op it asks for. */
export class Place {
  readonly onward = new Map<unknown, Way[]>();

  constructor(
    readonly id: number,
    readonly root: Root,
    readonly lo: number,
    readonly hi: number,
    /** The op asked for; kind 0 where the code has ended. */
    readonly op: Readonly<Request>,
    readonly depth: number,
    readonly functions: number[],
    readonly stackPointer: Ptr,
    /** How it was first come to; null for the first place of a root. */
    readonly from: Place | null,
    readonly result: unknown,
    readonly reads: readonly HiddenRead[],
    /** The code has gone round a loop more often than it may. */
    readonly beyondLoop: boolean,
  ) {}
}

/** From a place to the next, for one result. Several differ in what the code read of the machine on the way. */
interface Way {
  readonly reads: readonly HiddenRead[];
  readonly to: Place;
}

/** A start of kernel code: a task's main function, or a callback. */
interface Root {
  readonly key: string;
  readonly functionId: number;
  readonly argument: Ptr;
  readonly stackTop: Ptr;
  readonly body: () => Frame;
  readonly voice: Voice;
  first: readonly Way[];
}

const NO_READS: readonly HiddenRead[] = [];

/** What only the machine knows of values: the same in every thread that explores the program. */
export interface Namings {
  /** Number of an object that the machine has had since boot; -1 for any other. */
  numberOf(object: object): number;
  /** Takes a number into a hash. Some numbers stand for an address by the order in which such came up. */
  mixNumber(hash: Hash64, value: number): void;
}

/** Hash of a kernel function: of its name, as its number depends on which modules were loaded first. */
function functionHash(id: number): number {
  const known = functionHashes[id];
  if (known !== undefined) return known;
  const hash = new Hash64().begin(2);
  hash.text(functionById(id).name);
  const made = hash.end().lo;
  functionHashes[id] = made;
  return made;
}
const functionHashes: number[] = [];

/** Hashes values that kernel code hands around. */
class Values {
  private readonly identities = new WeakMap<object, { readonly lo: number; readonly hi: number }>();
  private readonly scratch = new Hash64();
  /** The last value held a closure. */
  opaque = false;
  // What the function knew that hands the value on, and how many new objects there have been since.
  private originLo = 0;
  private originHi = 0;
  private ordinal = 0;

  constructor(readonly namings: Namings) {}

  /** Values come from a function with this past. */
  from(lo: number, hi: number): void {
    this.originLo = lo;
    this.originHi = hi;
    this.ordinal = 0;
  }

  /** Takes a value into a hash. */
  mix(hash: Hash64, value: unknown): void {
    switch (typeof value) {
      case "number":
        this.namings.mixNumber(hash, value);
        return;
      case "boolean":
        hash.word(value ? 0x1001 : 0x1000);
        return;
      case "string":
        hash.text(value);
        return;
      case "object":
        if (value !== null) {
          this.mixObject(hash, value);
          return;
        }
        break;
      case "function":
        this.mixFunction(hash, value);
        return;
    }
    hash.word(0x1002);
  }

  private mixObject(hash: Hash64, value: object): void {
    if (!(Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype)) {
      // An object of a class, such as a Cache: the machine's, known by its number, or else by identity.
      const number = this.namings.numberOf(value);
      if (number >= 0) hash.word(0x2000 + number);
      else this.mixIdentity(hash, value);
      return;
    }
    hash.word(0x1003);
    for (const [name, member] of Object.entries(value)) {
      hash.text(name);
      this.mix(hash, member);
    }
  }

  private mixFunction(hash: Hash64, value: { readonly name?: string; readonly info?: FunctionInfo }): void {
    if (value.info !== undefined) hash.text(value.info.name);
    else if (Object.getPrototypeOf(value) === GENERATOR_FUNCTION) hash.text(value.name ?? "");
    else {
      this.opaque = true;
      this.mixIdentity(hash, value);
    }
  }

  /** Of what was made on the way, its identity is where: the same function with the same past made the same. */
  private mixIdentity(hash: Hash64, value: object): void {
    let identity = this.identities.get(value);
    if (identity === undefined) {
      const made = this.scratch.begin(this.ordinal++);
      made.word(this.originLo);
      made.word(this.originHi);
      const { lo, hi } = made.end();
      identity = { lo, hi };
      this.identities.set(value, identity);
    }
    hash.word(0x1004);
    hash.word(identity.lo);
    hash.word(identity.hi);
  }
}

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;

/** Kernel code that is really running, for one root: generators, and the hash of each function's past. */
class Voice {
  readonly frames: Frame[] = [];
  functions: number[] = [];
  private readonly args: (readonly unknown[])[] = [];
  private readonly opaque: boolean[] = [];
  private readonly lo: number[] = [];
  private readonly hi: number[] = [];
  /** Past of each function at the beginning of its loop. */
  /** How often each function has come to the head of each of its loops. */
  private readonly rounds: Map<string, number>[] = [];
  private readonly loBefore: number[] = [];
  private readonly hiBefore: number[] = [];
  depth = -1;
  /** The place it is at; null where it is nowhere. */
  at: Place | null = null;

  constructor(
    readonly context: Context,
    private readonly values: Values,
    private readonly hash: Hash64,
    private readonly loopRounds: number,
  ) {}

  begin(functionId: number, argument: Ptr, frame: Frame, stackPointer: Ptr): void {
    this.depth = -1;
    this.context.stackPointer = stackPointer;
    this.push(functionId, [argument], frame);
  }

  private push(functionId: number, args: readonly unknown[], frame: Frame): void {
    const depth = ++this.depth;
    const { hash, values } = this;
    values.from(depth === 0 ? 0 : (this.lo[depth - 1] as number), depth === 0 ? 0 : (this.hi[depth - 1] as number));
    hash.begin(functionHash(functionId));
    values.opaque = false;
    for (const arg of args) values.mix(hash, arg);
    this.frames[depth] = frame;
    this.functions[depth] = functionId;
    this.args[depth] = args;
    this.opaque[depth] = values.opaque;
    this.rounds[depth]?.clear();
    this.lo[depth] = hash.lo;
    this.hi[depth] = hash.hi;
  }

  /** Takes a value into the past of the innermost function. */
  private mixInto(depth: number, tag: number, value: unknown): void {
    const { hash, values } = this;
    values.from(this.lo[depth] as number, this.hi[depth] as number);
    hash.lo = this.lo[depth] as number;
    hash.hi = this.hi[depth] as number;
    hash.word(tag);
    values.mix(hash, value);
    this.lo[depth] = hash.lo;
    this.hi[depth] = hash.hi;
  }

  noteRead(answer: number | boolean): void {
    this.mixInto(this.depth, 0x3001, answer);
  }

  /** Runs up to the next op, which is in the request registers then. @returns whether there is one. */
  advance(result: unknown): boolean {
    let value = result;
    if (result !== undefined) this.mixInto(this.depth, 0x3002, result);
    for (;;) {
      const next = generatorNext.call(this.frames[this.depth], value);
      if (next.done === true) {
        value = next.value === undefined ? 0 : next.value;
        if (this.depth === 0) {
          this.depth = -1;
          return false;
        }
        this.leave(value);
      } else if (request.kind === CALL) {
        this.push(request.value, request.args, request.payload as Frame);
        value = undefined;
      } else if (request.kind === FORGET) {
        if (request.value === FORGET_ALL) this.forget(request.payload as readonly unknown[]);
        else this.forgetRound(request.value === BEGIN_ROUNDS);
        value = 0;
      } else if (request.kind === NOTE) value = 0;
      else return true;
    }
  }

  /** Of the innermost function's past, its arguments and these values count. */
  private forget(live: readonly unknown[]): void {
    const { depth, hash, values } = this;
    values.from(this.lo[depth] as number, this.hi[depth] as number);
    hash.begin(functionHash(this.functions[depth] as number));
    hash.word(0x3005);
    for (const arg of this.args[depth] as readonly unknown[]) values.mix(hash, arg);
    for (const value of live) values.mix(hash, value);
    this.lo[depth] = hash.lo;
    this.hi[depth] = hash.hi;
    this.countRound(String(live[0]));
  }

  /** Where rounds are bounded, a round is not as good as another: each has one less to follow. */
  private countRound(label: string): void {
    const { depth, loopRounds } = this;
    if (loopRounds === Number.POSITIVE_INFINITY) return;
    this.rounds[depth] ??= new Map();
    const rounds = this.rounds[depth] as Map<string, number>;
    rounds.set(label, (rounds.get(label) ?? 0) + 1);
    for (const [name, count] of rounds) {
      this.mixInto(depth, 0x3006, name);
      this.mixInto(depth, 0x3006, count);
    }
  }

  /** Some function has come to the head of a loop more often than it may. */
  get isBeyondLoop(): boolean {
    for (let i = 0; i <= this.depth; i++) {
      for (const count of this.rounds[i]?.values() ?? []) if (count > this.loopRounds) return true;
    }
    return false;
  }

  /** Notes the innermost function's past at the beginning of a loop, or goes back to it. */
  private forgetRound(begins: boolean): void {
    const { depth, lo, hi, loBefore, hiBefore } = this;
    if (begins) {
      loBefore[depth] = lo[depth] as number;
      hiBefore[depth] = hi[depth] as number;
      this.rounds[depth]?.delete(NAMELESS);
    } else {
      lo[depth] = loBefore[depth] as number;
      hi[depth] = hiBefore[depth] as number;
      this.countRound(NAMELESS);
    }
  }

  private leave(value: unknown): void {
    const callee = this.depth--;
    this.mixInto(this.depth, functionHash(this.functions[callee] as number), value);
    for (const arg of this.args[callee] as readonly unknown[]) {
      if (isObject(arg)) this.mixInto(this.depth, 0x3003, arg);
    }
    if (this.opaque[callee] === true) {
      this.mixInto(this.depth, 0x3004, this.lo[callee]);
      this.mixInto(this.depth, 0x3004, this.hi[callee]);
    }
  }

  /** Hash of the whole stack. */
  stackHash(root: string): Hash64 {
    const { hash } = this;
    hash.begin(this.depth);
    hash.text(root);
    for (let i = 0; i <= this.depth; i++) {
      hash.word(this.lo[i] as number);
      hash.word(this.hi[i] as number);
    }
    hash.number(this.context.stackPointer);
    return hash.end();
  }
}

/** A loop in a generator that a function goes through. */
const NAMELESS = "";

/** The kernel code of one program. */
export class KernelCode {
  readonly places: Place[] = [];
  private readonly roots = new Map<string, Root>();
  private readonly byHash = new Map<number, Place[]>();
  private readonly values: Values;
  private readonly hash = new Hash64();
  /** Results that had to be learned. */
  learned = 0;
  /** How often code may come to the head of a loop. */
  loopRounds = Number.POSITIVE_INFINITY;

  // What the running code reads without an op.
  private reads: HiddenRead[] = [];
  private replayed: readonly HiddenRead[] | null = null;
  private voice: Voice | null = null;
  private asking = false;

  constructor(namings: Namings) {
    this.values = new Values(namings);
  }

  /** The first place of a task or callback. */
  enter(
    machine: HiddenReads,
    context: Context,
    key: string,
    functionId: number,
    argument: Ptr,
    body: () => Frame,
  ): Place {
    let root = this.roots.get(key);
    if (root === undefined) {
      const { index, comm, pid, task, threadInfo, stackPointer, daemon, softirq } = context;
      const own = new Context(index, comm, pid, task, threadInfo, stackPointer, daemon, softirq);
      const stackTop = stackPointer;
      const voice = new Voice(own, this.values, this.hash, this.loopRounds);
      root = { key, functionId, argument, stackTop, body, voice, first: [] };
      this.roots.set(key, root);
    }
    const known = this.wayAmong(machine, root.first);
    if (known !== null) return known;
    this.restart(root);
    const to = this.goOn(root, null, undefined);
    root.first = [...root.first, { reads: to.reads, to: to.place }];
    return to.place;
  }

  /** The place after `place`, once its op has given `result`. */
  next(machine: HiddenReads, place: Place, result: unknown): Place {
    const ways = place.onward.get(result);
    if (ways !== undefined) {
      const way = ways[0] as Way;
      if (way.reads.length === 0) return way.to;
      const known = this.wayAmong(machine, ways);
      if (known !== null) return known;
    }
    const { root } = place;
    if (root.voice.at !== place) this.bringTo(place);
    const { place: to, reads } = this.goOn(root, place, result);
    const way = { reads, to };
    if (ways === undefined) place.onward.set(result, [way]);
    else ways.push(way);
    return to;
  }

  /** Whether kernel code is running, and not only looked up. */
  get isLearning(): boolean {
    return this.voice !== null;
  }

  /** Whether kernel code is running on a way that was gone before. */
  get isReplaying(): boolean {
    return this.replayed !== null;
  }

  /** Answers a read that kernel code makes without an op, while it is being learned. */
  hiddenRead(
    what: HiddenRead["what"],
    task: Ptr,
    ask: () => number | boolean,
    field: Field | null = null,
  ): number | boolean {
    // One read may make others: it is the outermost that code has asked for.
    if (this.voice === null || this.asking) return ask();
    const before = this.replayed?.[this.reads.length];
    this.asking = true;
    const answer = before === undefined ? ask() : before.answer;
    this.asking = false;
    this.reads.push({ what, task, answer, field });
    this.voice.noteRead(answer);
    return answer;
  }

  private wayAmong(machine: HiddenReads, ways: readonly Way[]): Place | null {
    const holds = ({ what, task, answer, field }: HiddenRead): boolean =>
      (field === null ? machine[what as "threadFlags"](task) : machine.peek(task, field)) === answer;
    const known = ways.find((way) => way.reads.every(holds));
    if (known === undefined) return null;
    for (const { what } of known.reads) if (what === "nextNumber") machine.skipNumber();
    return known.to;
  }

  private restart(root: Root): void {
    const { voice } = root;
    voice.at = null;
    voice.begin(root.functionId, root.argument, root.body(), root.stackTop);
  }

  /** Feeds a root's code the results on the way to `place`. */
  private bringTo(place: Place): void {
    const way: Place[] = [];
    for (let at: Place | null = place; at !== null; at = at.from) way.push(at);
    const { root } = place;
    this.restart(root);
    for (let at = way.pop(); at !== undefined; at = way.pop()) this.speak(root.voice, at.result, at.reads);
    root.voice.at = place;
  }

  private speak(voice: Voice, result: unknown, replayed: readonly HiddenRead[] | null): boolean {
    const before = running.context;
    running.context = voice.context;
    this.reads = [];
    this.replayed = replayed;
    this.voice = voice;
    try {
      return voice.advance(result);
    } finally {
      this.voice = null;
      this.replayed = null;
      running.context = before;
    }
  }

  private goOn(root: Root, from: Place | null, result: unknown): { place: Place; reads: readonly HiddenRead[] } {
    const { voice } = root;
    this.learned++;
    voice.at = null;
    const asks = this.speak(voice, result, null);
    const reads = this.reads.length === 0 ? NO_READS : this.reads;
    const { lo, hi } = voice.stackHash(root.key);
    const bucket = (hi & 0xfffff) * 2 ** 32 + (lo >>> 0);
    let bucketPlaces = this.byHash.get(bucket);
    if (bucketPlaces === undefined) {
      bucketPlaces = [];
      this.byHash.set(bucket, bucketPlaces);
    }
    let place = bucketPlaces.find((other) => other.lo === lo && other.hi === hi);
    if (place === undefined) {
      const { kind, ptr, field, value, mode } = request;
      const more = kind >= CALL_RCU || kind === ATOMIC;
      const { extra, payload, args } = request;
      const op = asks
        ? { kind, ptr, field, value, mode, extra: more ? extra : 0, payload: more ? payload : null, args }
        : { kind: 0, ptr: 0, field: -1, value: 0, mode: 0, extra: 0, payload: null, args };
      const functions = voice.functions.slice(0, voice.depth + 1);
      const { stackPointer } = voice.context;
      const id = this.places.length;
      const beyond = voice.isBeyondLoop;
      place = new Place(id, root, lo, hi, op, voice.depth, functions, stackPointer, from, result, reads, beyond);
      this.places.push(place);
      bucketPlaces.push(place);
    }
    voice.at = place;
    return { place, reads };
  }
}
