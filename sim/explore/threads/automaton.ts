/**
 * Thread code, learned as an automaton.
 *
 * What a thread does next is a function of the results it was handed so far, so a thread is a tree: a node for each
 * history of results, saying which op comes next, an edge for each result of that op. Nodes are learned by running the
 * thread's generator once; after that going back and forth in a search is following pointers, and no generator runs.
 * A node that was never reached is learned by running a fresh generator along the results that lead to it.
 *
 * Ops that touch nothing shared (a read barrier, a preemption count, a note) are answered on the spot: a node always
 * asks for something that another thread could notice or that may have to wait.
 */
import { Context } from "../../context.ts";
import {
  ALLOC,
  ATOMIC,
  BARRIER,
  BUG,
  CALL,
  CALL_RCU,
  CHOOSE,
  COND_RESCHED,
  END,
  FREE,
  functionById,
  IRQ_DISABLE,
  IRQ_ENABLE,
  IRQ_OFF,
  KICK,
  KIND_NAMES,
  LOAD,
  MB,
  NOTE,
  PREEMPT_DISABLE,
  PREEMPT_ENABLE,
  type Ptr,
  RCU_DEREFERENCE,
  RCU_READ_LOCK,
  RCU_READ_UNLOCK,
  READ_LOCK,
  READ_UNLOCK,
  type Request,
  request,
  SCHEDULE,
  SPAWN,
  SPIN_LOCK,
  SPIN_UNLOCK,
  STORE,
  SYNCHRONIZE_RCU,
  UPDATE,
  USER,
  WAKE_UP,
  WARN,
  WRITE_LOCK,
  WRITE_UNLOCK,
  YIELD,
} from "../../op.ts";
import type { SpawnPayload } from "../../primitives.ts";
import type { Cache } from "../../slab.ts";
import { hashText } from "../../symbols.ts";
import type { Future } from "./futures.ts";
import { MergeRefuted, Merging } from "./merging.ts";
import { NO_PLACE, type Places, PlacesMerged } from "./places.ts";
import type { ThreadWorld } from "./threadWorld.ts";

type Frame = Iterator<Request, unknown, unknown>;

/** A thread whose code is being learned. */
export interface Thread {
  readonly index: number;
  readonly comm: string;
  readonly task: Ptr;
  readonly daemon: boolean;
  /** Function that it starts in, and a fresh generator of it. */
  readonly functionId: number;
  readonly body: () => Frame;
  readonly context: Context;
  readonly nameHash: number;
  /** Where it begins. */
  readonly root: LocalState;
}

/** How an op behaves in a search. */
export const SILENT = 0;
/** Reads or writes one place. */
export const ACCESS = 1;
export const ACQUIRE = 2;
export const RELEASE = 3;
/** Begins a wait for all RCU readers of that moment. */
export const GRACE_PERIOD = 4;
/** The thread has ended. */
export const OVER = 5;

/** Local state of a thread: what it will do next, and where each result of that leads. */
export class LocalState {
  kind = 0;
  ptr: Ptr = 0;
  field = -1;
  value = 0;
  mode = 0;
  extra = 0;
  payload: unknown = null;

  /** {@link SILENT} and so on. */
  manner = SILENT;
  /** What it touches: offset into the arena, bytes, and how the bytes stand for a number. */
  at = 0;
  size = 0;
  code = 0;
  shift = 0;
  mask = 0;
  write = false;
  /** Place touched, and the place that stands for the life of the object around it; {@link NO_PLACE} if none. */
  place = NO_PLACE;
  object = NO_PLACE;
  /** Number of that object, -1 if there is none. */
  objectNumber = -1;
  /** Objects that may yet be touched, and those of which it mattered that they may not, as bits: see `reach.ts`. */
  touches = 0;
  forgot = 0;
  /** What may come of it: see `futures.ts`. */
  future: Future | null = null;
  /** It may have to wait. */
  waits = false;
  /** A plain store: under `tso` nobody notices before it is flushed. */
  get isPlainStore(): boolean {
    return this.kind === STORE || (this.kind === UPDATE && this.phase === 1) || this.manner === RELEASE;
  }
  /** Part of an op that takes two steps: 0 or 1. */
  phase = 0;
  /** What the first step of the op found. */
  scratch = 0;

  /** Results of ALLOC and SPAWN are known beforehand: the object, the thread. */
  outcome = 0;
  /** Index of the thread that the op starts, -1 if it starts none. */
  get startsThread(): number {
    return this.kind === SPAWN || (this.kind === CALL_RCU && this.phase === 1) ? this.outcome : -1;
  }
  /** What the thread returned, once it is over. */
  returned: unknown = 0;

  /** Kernel functions the thread is in, outermost first. */
  functions: readonly number[] = [];
  /** An rcu_read_unlock without its lock. */
  unbalanced = false;
  /** Beyond the bound on iterations: the thread is not followed any further. */
  beyond = false;
  allocations = 0;
  spawned = 0;
  /** Ops before this one. */
  length = 0;

  /** Two words that stand for this state in the hash of a whole state. */
  hashLow = 0;
  hashHigh = 0;

  private onlyResult = Number.NaN;
  private onlyNext: LocalState | null = null;
  private more: Map<number, LocalState> | null = null;

  constructor(
    readonly thread: number,
    /** The op before this one, and its result. */
    readonly before: LocalState | null,
    readonly result: number,
  ) {}

  /** The state after this op gave `result`; null if that has not been learned. */
  after(result: number): LocalState | null {
    if (this.onlyResult === result) return this.onlyNext;
    return this.more === null ? null : (this.more.get(result) ?? null);
  }

  /** Every result learned, with the state after it. */
  *transitions(): Generator<[number, LocalState]> {
    if (this.onlyNext !== null) yield [this.onlyResult, this.onlyNext];
    if (this.more !== null) yield* this.more;
  }

  learn(result: number, next: LocalState): void {
    if (this.onlyNext === null) {
      this.onlyResult = result;
      this.onlyNext = next;
      return;
    }
    this.more ??= new Map();
    this.more.set(result, next);
  }
}

/** A generator stack that has been run up to some local state. */
interface Runner {
  frames: Frame[];
  functions: number[];
  at: LocalState | null;
  /** What the thread knows of itself: RCU nesting after the op asked for, interrupts before and after it. */
  rcuDepth: number;
  irqsWereOff: boolean;
  irqsOff: boolean;
}

const generatorNext = Object.getPrototypeOf(function* () {}).prototype.next as (
  this: unknown,
  value: unknown,
) => IteratorResult<Request, unknown>;

/** Ops that no other thread can notice here: answered at once. */
const ANSWERED = new Uint8Array(64);
for (const kind of [PREEMPT_DISABLE, PREEMPT_ENABLE, COND_RESCHED, YIELD, USER, KICK, NOTE]) ANSWERED[kind] = 1;

const STACK_BYTES = 512;

/** Two rolling words over the results that a thread was handed: the low one. */
export const mixLow = (h: number, x: number): number => {
  const a = Math.imul(h ^ x, 0x01000193) + 0x9e3779b9;
  return Math.imul(a ^ (a >>> 15), 0x85ebca6b) | 0;
};
/** The high one. */
export const mixHigh = (h: number, x: number): number => {
  const a = Math.imul(h ^ x, 0x27d4eb2f) + 0x165667b1;
  return Math.imul(a ^ (a >>> 13), 0xc2b2ae35) | 0;
};
/** The part of a value above 32 bits. */
export const upper = (x: number): number => Math.floor(x / 2 ** 32) | 0;

/** The automata of all threads of a world. */
export class Automata {
  readonly threads: Thread[] = [];
  private readonly runners: Runner[] = [];
  /** Local states learned. */
  states = 0;
  /** Fresh generators run, for measuring. */
  rebuilt = 0;
  /** Told of each transition that is learned. */
  onEdge: ((from: LocalState, to: LocalState, result: number) => void) | null = null;
  /** How often a thread may take the same op of the same function on the same field. */
  iterationsMax = Number.POSITIVE_INFINITY;
  /** What objects and threads came up, and with which local states. The order decides addresses and numbers. */
  readonly created: { readonly what: string; readonly state: LocalState }[] = [];
  private readonly merging: Merging | null;
  private readonly children = new Map<string, number>();
  private readonly identities = new Map<unknown, number>();
  private readonly allocated = new Map<number, Ptr>();

  constructor(
    private readonly world: ThreadWorld,
    private readonly places: Places,
    private readonly tso: boolean,
    /** Kinds of states that must not be taken for one; null to take none for one. See `merging.ts`. */
    refuted: Set<string> | null,
  ) {
    this.merging = refuted === null ? null : new Merging(refuted, (state, result) => this.reach(state, result));
  }

  /** Adds a thread and learns its first op. */
  add(comm: string, task: Ptr, daemon: boolean, functionId: number, body: Thread["body"]): Thread {
    const index = this.threads.length;
    const stack = this.world.allocStatic(STACK_BYTES);
    const context = new Context(index, comm, index + 1, task, stack, stack + STACK_BYTES, daemon, false);
    const root = new LocalState(index, null, 0);
    const nameHash = hashText(comm);
    const thread: Thread = { index, comm, task, daemon, functionId, body, context, nameHash, root };
    this.threads.push(thread);
    this.runners.push({ frames: [], functions: [], at: null, rcuDepth: 0, irqsWereOff: false, irqsOff: false });
    root.hashLow = mixLow(0x811c9dc5 | 0, index + 1);
    root.hashHigh = mixHigh(0x7ed55d16, index + 1);
    this.start(thread);
    this.run(thread, undefined, root);
    return thread;
  }

  /** Whether local states were taken for one that are not. */
  get mistaken(): boolean {
    return this.merging?.mistaken === true;
  }

  /** What was taken for one while the code was only being learned has to be right from now on. */
  endLearning(): void {
    this.merging?.endPatience();
  }

  /** The local state after `state` gave `result`, learned if need be. */
  next(state: LocalState, result: number): LocalState {
    return state.after(result) ?? this.discover(state, result);
  }

  private discover(state: LocalState, result: number): LocalState {
    let made: LocalState;
    try {
      made = this.reach(state, result);
    } catch (error) {
      if (!(error instanceof PlacesMerged) && this.merging?.failed(state, result)) throw new MergeRefuted("");
      throw error;
    }
    const next = this.merging === null ? made : this.merging.settle(made);
    state.learn(result, next);
    if (this.onEdge !== null) this.onEdge(state, next, result);
    this.merging?.verify(state, result, next);
    return next;
  }

  /** Runs the code on from `state`, to a local state of its own. */
  private reach(state: LocalState, result: number): LocalState {
    const thread = this.threads[state.thread] as Thread;
    const made = new LocalState(state.thread, state, result);
    made.hashLow = mixLow(mixLow(state.hashLow, result | 0), upper(result) + state.kind);
    made.hashHigh = mixHigh(mixHigh(state.hashHigh, result | 0), upper(result) + state.kind);
    made.length = state.length + 1;
    made.allocations = state.allocations + (state.kind === ALLOC ? 1 : 0);
    made.spawned = state.spawned + (state.kind === SPAWN || (state.kind === CALL_RCU && state.phase === 1) ? 1 : 0);
    if (state.phase === 0 && (state.kind === UPDATE || state.kind === SYNCHRONIZE_RCU || state.kind === CALL_RCU)) {
      this.secondStep(state, made, result);
    } else {
      this.bring(thread, state);
      this.run(thread, result, made);
    }
    made.beyond = Number.isFinite(this.iterationsMax) && timesTaken(made) > this.iterationsMax;
    return made;
  }

  /** The second step of an op: no code runs in between. */
  private secondStep(first: LocalState, made: LocalState, result: number): void {
    made.kind = first.kind;
    made.ptr = first.ptr;
    made.field = first.field;
    made.value = first.value;
    made.mode = first.mode;
    made.extra = first.extra;
    made.payload = first.payload;
    made.phase = 1;
    made.scratch = result;
    made.functions = first.functions;
    this.describe(made);
  }

  /** Makes sure that the thread's live generators stand at `state`. */
  private bring(thread: Thread, state: LocalState): void {
    const runner = this.runners[thread.index] as Runner;
    const position = state.phase === 0 ? state : (state.before as LocalState);
    if (runner.at === position) return;
    this.rebuilt++;
    const results: number[] = [];
    for (let at = position; at.before !== null; ) {
      results.push(at.result);
      // The second step of an op hands its result to the code, the first does not.
      at = at.before.phase === 1 ? (at.before.before as LocalState) : at.before;
    }
    this.start(thread);
    this.feed(thread, undefined);
    for (let i = results.length - 1; i >= 0; i--) this.feed(thread, results[i] as number);
    runner.at = position;
  }

  private start(thread: Thread): void {
    const runner = this.runners[thread.index] as Runner;
    runner.frames = [thread.body()];
    runner.functions = [thread.functionId];
    runner.rcuDepth = 0;
    runner.irqsOff = false;
    thread.context.stackPointer = thread.context.threadInfo + STACK_BYTES;
  }

  /** Resumes the code up to its next op, which is left in the request registers; or up to its end. */
  private feed(thread: Thread, result: number | undefined): IteratorResult<undefined, unknown> {
    const runner = this.runners[thread.index] as Runner;
    this.world.enter(thread.context);
    let value: unknown = result;
    for (;;) {
      const step = generatorNext.call(runner.frames[runner.frames.length - 1], value);
      if (step.done === true) {
        value = step.value === undefined ? 0 : step.value;
        runner.frames.pop();
        runner.functions.pop();
        if (runner.frames.length === 0) return { done: true, value };
      } else if (request.kind === CALL) {
        runner.frames.push(request.payload as Frame);
        runner.functions.push(request.value);
        value = undefined;
      } else if (this.answered(runner)) value = 0;
      else return { done: false, value: undefined };
    }
  }

  /** Whether nobody else can notice the op asked for: its answer is 0 then. */
  private answered(runner: Runner): boolean {
    runner.irqsWereOff = runner.irqsOff;
    switch (request.kind) {
      case IRQ_DISABLE:
      case IRQ_ENABLE:
        runner.irqsOff = request.kind === IRQ_DISABLE;
        return true;
      case RCU_READ_LOCK:
        return runner.rcuDepth++ > 0;
      case RCU_READ_UNLOCK:
        return --runner.rcuDepth > 0;
      case SPIN_LOCK:
      case WRITE_LOCK:
        if (request.mode === IRQ_OFF) runner.irqsOff = true;
        return false;
      case SPIN_UNLOCK:
      case WRITE_UNLOCK:
        if (request.mode === IRQ_OFF) runner.irqsOff = false;
        return false;
      case BARRIER:
        return !(this.tso && request.mode === MB);
      default:
        return ANSWERED[request.kind] === 1;
    }
  }

  /** Runs the code on and fills `made` with what it asks for. */
  private run(thread: Thread, result: number | undefined, made: LocalState): void {
    const step = this.feed(thread, result);
    const runner = this.runners[thread.index] as Runner;
    this.states++;
    if (step.done === true) {
      runner.at = null;
      made.manner = OVER;
      made.returned = step.value;
      // What a thread did on its way no longer matters, only what it returned.
      const returned = hashText(String(step.value));
      made.hashLow = mixLow(0x51ed270b + thread.nameHash, returned);
      made.hashHigh = mixHigh(0x2545f491 + thread.nameHash, returned);
      return;
    }
    runner.at = made;
    made.kind = request.kind;
    made.ptr = request.ptr;
    made.field = request.field;
    made.value = request.value;
    made.mode = request.mode;
    made.extra = request.extra;
    made.payload = request.payload;
    made.functions = runner.functions.slice();
    made.unbalanced = runner.rcuDepth < 0;
    if (made.unbalanced) runner.rcuDepth = 0;
    // What a lock op that turns interrupts off gives back: whether they were off before.
    made.outcome = runner.irqsWereOff ? 1 : 0;
    this.describe(made);
  }

  /** What the op touches, and whether it may have to wait. */
  private describe(made: LocalState): void {
    const { world } = this;
    switch (made.kind) {
      case LOAD:
      case RCU_DEREFERENCE:
        this.touch(made, false);
        break;
      case STORE:
      case ATOMIC:
        this.touch(made, true);
        made.waits = this.tso && made.kind === ATOMIC;
        break;
      case UPDATE:
        this.touch(made, made.phase === 1);
        break;
      case SPIN_LOCK:
      case WRITE_LOCK:
      case READ_LOCK:
        this.lockAt(made, ACQUIRE, made.kind !== READ_LOCK);
        made.waits = true;
        break;
      case SPIN_UNLOCK:
      case WRITE_UNLOCK:
      case READ_UNLOCK:
        this.lockAt(made, RELEASE, made.kind !== READ_UNLOCK);
        break;
      case WAKE_UP:
      case SCHEDULE: {
        const task = made.kind === WAKE_UP ? made.ptr : (this.threads[made.thread] as Thread).task;
        made.ptr = task;
        made.field = world.stateField.id;
        this.touch(made, made.kind === WAKE_UP);
        made.waits = this.tso;
        break;
      }
      case FREE:
        made.manner = ACCESS;
        made.write = true;
        made.place = this.places.objectAround(this.world.offsetOf(made.ptr));
        made.objectNumber = this.places.objectNumberAt(this.world.offsetOf(made.ptr));
        made.waits = this.tso;
        break;
      case ALLOC:
        made.outcome = this.objectFor(made);
        break;
      case SPAWN:
        made.outcome = this.childFor(made);
        made.waits = this.tso;
        break;
      case RCU_READ_LOCK:
      case RCU_READ_UNLOCK:
        if (made.unbalanced) break;
        made.manner = ACCESS;
        made.write = true;
        made.place = this.places.readerOf(made.thread);
        made.waits = this.tso && made.kind === RCU_READ_UNLOCK;
        break;
      case CALL_RCU:
        made.waits = this.tso;
        if (made.phase === 0) {
          this.touch(made, true);
          made.size = 16;
        } else {
          made.manner = GRACE_PERIOD;
          made.outcome = this.callbackFor(made);
        }
        break;
      case SYNCHRONIZE_RCU:
        made.waits = this.tso;
        if (made.phase === 0) made.manner = GRACE_PERIOD;
        break;
      case BARRIER:
        made.waits = true;
        break;
      case CHOOSE:
      case BUG:
      case WARN:
      case END:
        break;
      default:
        throw new Error(`[sim bug] thread programs do not know the op ${KIND_NAMES[made.kind]}; run it on the machine`);
    }
  }

  private touch(made: LocalState, write: boolean): void {
    const { layout } = this.world;
    const id = made.field;
    made.manner = ACCESS;
    made.write = write;
    made.at = this.world.offsetOf(made.ptr + (layout.offset[id] as number));
    made.size = layout.size[id] as number;
    made.code = layout.code[id] as number;
    made.shift = layout.shift[id] as number;
    made.mask = layout.mask[id] as number;
    made.place = this.places.placeAt(made.at, made.size);
    made.object = this.places.objectAround(made.at);
    made.objectNumber = this.places.objectNumberAt(made.at);
  }

  private lockAt(made: LocalState, manner: number, write: boolean): void {
    made.manner = manner;
    made.write = write;
    made.at = this.world.offsetOf(made.ptr + (this.world.layout.offset[made.field] as number));
    made.size = 4;
    made.place = this.places.lockAt(made.at);
    made.object = this.places.objectAround(made.at);
    made.objectNumber = this.places.objectNumberAt(made.at);
  }

  /** The n-th allocation of a thread gives the same object in every schedule. */
  private objectFor(made: LocalState): Ptr {
    const cache = made.payload as Cache;
    const key = (made.thread * 4096 + made.allocations) * 64 + this.world.cacheIndex(cache);
    let object = this.allocated.get(key);
    if (object === undefined) {
      this.created.push({ what: `object ${key}`, state: made });
      object = this.world.placeObject(cache);
      this.allocated.set(key, object);
    }
    return object;
  }

  private childFor(made: LocalState): number {
    const { options, body, main, args } = made.payload as SpawnPayload;
    const what = `${options.comm}:${made.ptr}:${this.textOf([main, ...args])}`;
    return this.childOf(made, what, () => {
      const task = made.ptr !== 0 ? made.ptr : this.world.plainTask();
      return this.add(options.comm, task, options.daemon ?? false, made.extra, body).index;
    });
  }

  private callbackFor(made: LocalState): number {
    const callee = functionById(made.value);
    const head = made.ptr + (this.world.layout.offset[made.field] as number);
    const body = callee.body as (head: Ptr) => Frame;
    return this.childOf(
      made,
      `rcu:${callee.id}:${head}`,
      () => this.add("rcu", this.world.plainTask(), false, callee.id, () => body(head)).index,
    );
  }

  /** The n-th thread that a thread starts to do just this. */
  private childOf(made: LocalState, what: string, create: () => number): number {
    const key = `${made.thread}:${made.spawned}:${what}`;
    let child = this.children.get(key);
    if (child === undefined) {
      this.created.push({ what: `thread ${key}`, state: made });
      child = create();
      this.children.set(key, child);
    }
    return child;
  }

  /** Arguments as a text: equal for equal plain values, and for the same functions. */
  private textOf(args: readonly unknown[]): string {
    const byIdentity = (value: unknown): string => {
      let id = this.identities.get(value);
      if (id === undefined) {
        id = this.identities.size + 1;
        this.identities.set(value, id);
      }
      return `#${id}`;
    };
    try {
      return JSON.stringify(args, (_, value: unknown) => (typeof value === "function" ? byIdentity(value) : value));
    } catch {
      return args.map(byIdentity).join();
    }
  }
}

/** How often a thread has come to the op of a state, that state included. */
function timesTaken(state: LocalState): number {
  let times = 1;
  for (let at = state.before; at !== null; at = at.before) if (isSameOp(at, state)) times++;
  return times;
}

const isSameOp = (a: LocalState, b: LocalState): boolean =>
  a.kind === b.kind &&
  a.field === b.field &&
  a.phase === b.phase &&
  a.functions.length === b.functions.length &&
  a.functions.every((id, depth) => id === b.functions[depth]);
