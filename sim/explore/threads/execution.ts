/**
 * One execution of a thread program, taken forwards and backwards a step at a time.
 *
 * Its state is memory, the holders of locks, who sleeps or waits for whom, store buffers, and for each thread its place
 * in its automaton. {@link Execution.step} takes one step, {@link Execution.undo} takes the last one back; both cost the
 * same at any depth.
 *
 * An actor is a thread, or under `tso` the store buffer of one: actor `BUFFER + t` moves the oldest store of thread `t`
 * to memory. Buffers are drained by full barriers, by locked operations (atomics, taking a lock) and by whatever calls
 * the scheduler or the allocator; a store to the lock word that releases a lock goes through the buffer.
 *
 * RCU: a read section is what lies between `rcu_read_lock` and `rcu_read_unlock`; a grace period waits for the sections
 * that are open when it begins, and for nothing else.
 * DEPARTS: spinlock sections and preempt_disable do not hold back a grace period (they do in classic RCU), and leaving
 * a read section drains the store buffer.
 */
import type { FindingKind } from "../../finding.ts";
import { hexPointer, SHADOW_FREED, SHADOW_OK, SHADOW_REDZONE } from "../../memory.ts";
import {
  ADD,
  ALLOC,
  ATOMIC,
  BUG,
  CALL_RCU,
  CHOOSE,
  COMPARE_EXCHANGE,
  END,
  FREE,
  functionById,
  LOAD,
  type Ptr,
  RCU_DEREFERENCE,
  RCU_READ_LOCK,
  RCU_READ_UNLOCK,
  SCHEDULE,
  SPAWN,
  STORE,
  SYNCHRONIZE_RCU,
  UPDATE,
  WAKE_UP,
  WARN,
} from "../../op.ts";
import type { Assertion } from "../../primitives.ts";
import { updated } from "../../readModifyWrite.ts";
import type { Cache } from "../../slab.ts";
import { fieldLabel } from "../../struct.ts";
import { ACQUIRE, Automata, type LocalState, OVER, RELEASE } from "./automaton.ts";
import { OrdersInForce } from "./orders.ts";
import type { Places } from "./places.ts";
import { makesAddress, type Reach } from "./reach.ts";
import type { ThreadWorld } from "./threadWorld.ts";

/** First actor that is a store buffer. */
export const BUFFER = 16;
/** Actors fit into a mask of bits. */
export const ACTORS_MAX = 31;

/** More threads than an exploration has room for. */
export class TooManyThreads extends Error {
  override readonly name = "TooManyThreads";
}

/** Something that went wrong in an execution. */
export interface ThreadFinding {
  readonly kind: FindingKind;
  readonly title: string;
  /** The function that took the bad step, and its thread. */
  readonly function: string;
  readonly thread: string;
  /** Number of the step in the execution, from 0. */
  readonly step: number;
}

/** A store on its way to memory, or the release of a lock. */
interface Buffered {
  readonly state: LocalState;
  readonly raw: number;
  readonly step: number;
}

const NO_VALUE = -1;

/** The state of an execution, and the steps that led to it. */
export class Execution {
  readonly automata: Automata;
  /** Where each thread is. */
  readonly positions: LocalState[] = [];
  /** Threads that have been started. */
  begun = 0;
  /** Of these the ones that are not over; asleep; waiting for a grace period; at an op that may have to wait. */
  live = 0;
  asleep = 0;
  graceWait = 0;
  waits = 0;
  /** Threads with stores in their buffers. */
  buffered = 0;
  /** Steps taken. */
  depth = 0;
  /** Of each step: who took it, the local state in which it was (a flushed store: that of the store), what it chose. */
  readonly actorOf: number[] = [];
  readonly stateOf: LocalState[] = [];
  readonly choiceOf: number[] = [];
  /** Steps, besides those of the thread itself, that had to come before each step; null for none. */
  readonly joinsOf: (readonly number[] | null)[] = [];
  readonly findings: ThreadFinding[] = [];
  /** See `orders.ts`. To be changed only while no step is taken. */
  orders = new OrdersInForce([]);

  /** Two words over memory and all that is not a local state; see {@link stateHash}. */
  private worldLow = 0;
  private worldHigh = 0;
  /** The part of each object in these, and the objects that were freed, as bits. */
  private readonly objectsLow = new Int32Array(32);
  private readonly objectsHigh = new Int32Array(32);
  private freed = 0;
  /** If set, objects out of reach are left out of the hash of a state. */
  reach: Reach | null = null;

  private readonly undoAt: number[] = [];
  private readonly undoRaw: number[] = [];
  private readonly undoLive: number[] = [];
  private readonly undoAsleep: number[] = [];
  private readonly findingsAt: number[] = [];
  private readonly undoRare: ((() => void) | null)[] = [];
  /** Holder of each lock plus one, or minus the number of readers. */
  private readonly locks: number[] = [];
  private readonly rcuDepth: number[] = [];
  /** Readers that each waiter still waits for. */
  private readonly grace: number[] = [];
  private readonly joins: (readonly number[] | null)[] = [];
  private readonly buffers: Buffered[][] = [];
  private readonly liveObjects = new Map<Ptr, string>();
  private rare: (() => void) | null = null;
  private result = 0;

  constructor(
    readonly world: ThreadWorld,
    readonly places: Places,
    readonly tso: boolean,
    readonly width: number,
    refuted: Set<string> | null = null,
  ) {
    this.automata = new Automata(world, places, tso, refuted);
    for (const { comm, task, daemon, functionId, body } of world.threads) {
      const thread = this.automata.add(comm, task, daemon, functionId, body);
      this.begin(thread.index);
    }
    for (const [object, name] of world.objectsAtBoot) this.liveObjects.set(object, name);
  }

  private begin(thread: number): void {
    if (thread >= Math.min(this.tso ? BUFFER - 1 : ACTORS_MAX, this.width)) throw new TooManyThreads(String(thread));
    const root = this.automata.threads[thread]?.root as LocalState;
    this.positions[thread] = root;
    this.begun |= 1 << thread;
    this.rcuDepth[thread] = 0;
    this.grace[thread] = 0;
    this.joins[thread] = null;
    this.buffers[thread] = [];
    if (root.manner !== OVER) {
      this.live |= 1 << thread;
      if (root.waits) this.waits |= 1 << thread;
    }
  }

  /** Whether a thread is no longer followed: see {@link Automata.iterationsMax}. */
  get beyondBound(): boolean {
    if (this.automata.iterationsMax === Number.POSITIVE_INFINITY) return false;
    return this.positions.some(({ beyond }, thread) => beyond && (this.begun & (1 << thread)) !== 0);
  }

  /** Whether a thread was started and is over. */
  isOver(thread: number): boolean {
    return (this.begun & ~this.live & (1 << thread)) !== 0;
  }

  /** Actors that can take a step, as bits. */
  enabled(): number {
    return this.enabledWithoutOrders() & ~this.orders.held;
  }

  /** Actors that could take a step if there were no orders, as bits. */
  enabledWithoutOrders(): number {
    let able = this.live & ~this.asleep & ~this.graceWait;
    for (let left = able & this.waits; left !== 0; left &= left - 1) {
      const thread = 31 - Math.clz32(left & -left);
      if (!this.canGo(thread)) able &= ~(1 << thread);
    }
    return able | (this.buffered << BUFFER);
  }

  private canGo(thread: number): boolean {
    const state = this.positions[thread] as LocalState;
    if (this.tso) {
      const buffer = this.buffers[thread] as Buffered[];
      if (buffer.length > 0) {
        if (state.kind !== LOAD && state.kind !== RCU_DEREFERENCE && state.kind !== UPDATE) return false;
        // A load that only part of a buffered store covers has to wait for memory.
        for (const { state: stored } of buffer) {
          if (stored.place === state.place && (stored.at !== state.at || stored.size !== state.size)) return false;
        }
      }
    }
    if (state.manner !== ACQUIRE) return true;
    const lock = this.locks[state.place] ?? 0;
    return state.write ? lock === 0 : lock <= 0;
  }

  /** The store at the head of a buffer. */
  headOf(thread: number): LocalState {
    const [head] = this.buffers[thread] as Buffered[];
    return (head as Buffered).state;
  }

  /** Whether a store on its way in a buffer touches what an op touches. */
  storesTo(thread: number, op: LocalState): boolean {
    return (this.buffers[thread] as Buffered[]).some(
      ({ state }) => state.place === op.place || (state.object >= 0 && state.object === op.place),
    );
  }

  /** The local state that says what an actor's next step touches. */
  pending(actor: number): LocalState {
    return actor >= BUFFER && this.tso ? this.headOf(actor - BUFFER) : (this.positions[actor] as LocalState);
  }

  /** Steps that an actor's next step comes after, besides its own: what started or woke it. */
  pendingJoins(actor: number): readonly number[] | null {
    return this.joins[actor] ?? null;
  }

  /** Number of values that an actor's next step can choose from. */
  choices(actor: number): number {
    const state = this.pending(actor);
    return state.kind === CHOOSE ? state.value : 1;
  }

  /** Takes the next step of an actor. */
  step(actor: number, choice: number): void {
    const d = this.depth;
    this.undoAt[d] = NO_VALUE;
    this.undoLive[d] = this.live;
    this.undoAsleep[d] = this.asleep;
    this.findingsAt[d] = this.findings.length;
    this.actorOf[d] = actor;
    this.choiceOf[d] = choice;
    this.orders.move(actor, 1);
    this.rare = null;
    if (this.tso && actor >= BUFFER) this.flush(actor - BUFFER, d);
    else this.thread(actor, choice, d);
    this.undoRare[d] = this.rare;
    this.depth = d + 1;
  }

  private thread(actor: number, choice: number, d: number): void {
    const state = this.positions[actor] as LocalState;
    this.stateOf[d] = state;
    const joins = this.joins[actor] as readonly number[] | null;
    this.joinsOf[d] = joins;
    if (joins !== null) this.joins[actor] = null;
    this.result = 0;
    if (!this.perform(actor, state, choice, d)) {
      // The thread dies here: the kernel would have killed it.
      this.live &= ~(1 << actor);
      return;
    }
    const next = this.automata.next(state, this.result);
    this.positions[actor] = next;
    if (next.manner === OVER || next.beyond) this.live &= ~(1 << actor);
    if (next.waits) this.waits |= 1 << actor;
    else this.waits &= ~(1 << actor);
  }

  /** What the last step gave its thread. */
  resultOfLast(): number {
    return this.result;
  }

  /** Takes the last step back. */
  undo(): void {
    const d = --this.depth;
    const actor = this.actorOf[d] as number;
    this.orders.move(actor, -1);
    const state = this.stateOf[d] as LocalState;
    const rare = this.undoRare[d] as (() => void) | null;
    if (rare !== null) rare();
    const at = this.undoAt[d] as number;
    if (at !== NO_VALUE) this.put(state, this.undoRaw[d] as number);
    if (!(this.tso && actor >= BUFFER)) {
      if (state.manner >= ACQUIRE) this.turnBack(actor, state);
      this.positions[actor] = state;
      if (state.waits) this.waits |= 1 << actor;
      else this.waits &= ~(1 << actor);
      this.joins[actor] = this.joinsOf[d] as readonly number[] | null;
    }
    this.live = this.undoLive[d] as number;
    this.asleep = this.undoAsleep[d] as number;
    if (this.findings.length !== this.findingsAt[d]) this.findings.length = this.findingsAt[d] as number;
  }

  private turnBack(actor: number, state: LocalState): void {
    if (state.manner === ACQUIRE) this.setLock(state, state.write ? 0 : (this.locks[state.place] as number) + 1);
    else if (state.manner === RELEASE && !this.tso) {
      this.setLock(state, state.write ? actor + 1 : (this.locks[state.place] as number) - 1);
    }
  }

  // --- What steps do ----------------------------------------------------------------------------------------------

  /** @returns false if the thread dies of it. */
  private perform(actor: number, state: LocalState, choice: number, d: number): boolean {
    switch (state.kind) {
      case LOAD:
      case RCU_DEREFERENCE:
        if (!this.accessible(actor, state)) return false;
        this.result = this.fieldOf(state, this.view(actor, state));
        return true;
      case STORE:
        if (!this.accessible(actor, state)) return false;
        this.change(actor, state, this.stored(state), d);
        return true;
      case UPDATE: {
        if (!this.accessible(actor, state)) return false;
        if (state.phase === 0) {
          this.result = this.view(actor, state);
          return true;
        }
        const { size, code, shift, mask } = state;
        const raw = updated(this.world.memory, state.scratch, size, code, shift, mask, state.mode, state.value);
        this.change(actor, state, raw, d);
        this.result = this.fieldOf(state, raw);
        return true;
      }
      case ATOMIC:
        return this.accessible(actor, state) && this.atomic(state, d);
      case RCU_READ_LOCK:
        this.rcuDepth[actor] = 1;
        this.rare = () => {
          this.rcuDepth[actor] = 0;
        };
        return true;
      case RCU_READ_UNLOCK:
        this.leaveReader(actor, state, d);
        return true;
      case SYNCHRONIZE_RCU:
        if (state.phase === 0) this.awaitReaders(actor, actor, d);
        return true;
      case CALL_RCU:
        // Both words of the rcu_head are overwritten.
        if (state.phase === 0) return this.accessible(actor, state);
        this.spawn(state.outcome, d);
        this.awaitReaders(state.outcome, actor, d);
        return true;
      case WAKE_UP:
        return this.accessible(actor, state) && this.wakeUp(state, d);
      case SCHEDULE:
        if (this.world.memory.load(state.at, state.size, state.code) !== 0) this.asleep |= 1 << actor;
        return true;
      case ALLOC:
        this.allocate(state);
        return true;
      case FREE:
        this.free(actor, state);
        return true;
      case SPAWN:
        this.spawn(state.outcome, d);
        this.result = this.automata.threads[state.outcome]?.task as Ptr;
        return true;
      case CHOOSE:
        this.result = choice;
        return true;
      case END:
        return false;
      case BUG: {
        const { at } = state.payload as Assertion;
        this.finding("bug-on", `kernel BUG at ${at}!`, actor, state);
        return false;
      }
      case WARN:
        this.finding("warn-on", `WARNING: at ${(state.payload as Assertion).at}`, actor, state);
        return true;
      default:
        return this.lockOp(actor, state, d);
    }
  }

  private lockOp(actor: number, state: LocalState, d: number): boolean {
    if (state.manner === ACQUIRE) {
      if (!this.accessible(actor, state)) return false;
      this.setLock(state, state.write ? actor + 1 : (this.locks[state.place] ?? 0) - 1);
      this.result = state.outcome;
    } else if (state.manner === RELEASE) {
      if (!this.accessible(actor, state)) return false;
      const lock = this.locks[state.place] ?? 0;
      if (state.write ? lock !== actor + 1 : lock >= 0) {
        this.finding("lock-misuse", `BUG: ${fieldLabel(state.field)} released by who does not hold it`, actor, state);
        return false;
      }
      if (this.tso) this.buffer(actor, state, 0, d);
      else this.release(state);
    }
    return true;
  }

  private release(state: LocalState): void {
    this.setLock(state, state.write ? 0 : (this.locks[state.place] as number) + 1);
  }

  private setLock({ place, objectNumber }: LocalState, value: number): void {
    const old = this.locks[place] ?? 0;
    this.hashWord(0x4c0c0000 + place, old, value, objectNumber);
    this.locks[place] = value;
  }

  /** The field in what memory holds of it. */
  private fieldOf(state: LocalState, raw: number): number {
    return state.mask === 0 ? raw : (raw >> state.shift) & state.mask;
  }

  /** What the thread sees of a place: its own store that is still on its way, or memory. */
  private view(actor: number, state: LocalState): number {
    if (this.tso) {
      const buffer = this.buffers[actor] as Buffered[];
      for (let i = buffer.length - 1; i >= 0; i--) {
        const entry = buffer[i] as Buffered;
        if (entry.state.place !== state.place) continue;
        return entry.raw;
      }
    }
    return this.world.memory.load(state.at, state.size, state.code);
  }

  private stored(state: LocalState): number {
    if (state.mask === 0) return state.value;
    const old = this.world.memory.load(state.at, state.size, state.code);
    return (old & ~(state.mask << state.shift)) | ((state.value & state.mask) << state.shift);
  }

  private change(actor: number, state: LocalState, raw: number, d: number): void {
    if (this.tso) this.buffer(actor, state, raw, d);
    else this.toMemory(state, raw, d);
  }

  private toMemory(state: LocalState, raw: number, d: number): void {
    const { at, size, code } = state;
    this.undoAt[d] = at;
    this.undoRaw[d] = this.world.memory.load(at, size, code);
    this.put(state, raw);
  }

  private put(state: LocalState, raw: number): void {
    const { memory } = this.world;
    const { at, size, code, objectNumber } = state;
    if (size > 8) throw new Error("[sim bug] a store of more than a word");
    this.hashWord(at, memory.load(at, size, code), raw, objectNumber);
    if (this.reach === null) {
      memory.store(at, size, code, raw);
      return;
    }
    const before = this.reach.wordAt(at);
    memory.store(at, size, code, raw);
    const after = this.reach.wordAt(at);
    if (before === after) return;
    this.reach.moved(objectNumber, before, after);
    if (after >= 0 && makesAddress(state)) this.reach.keep(after);
  }

  private atomic(state: LocalState, d: number): boolean {
    const { memory } = this.world;
    const { at, size, code, shift, mask } = state;
    const raw = memory.load(at, size, code);
    const old = this.fieldOf(state, raw);
    this.result = old;
    if (state.mode === COMPARE_EXCHANGE) {
      if (old === state.extra) this.toMemory(state, this.stored(state), d);
      return true;
    }
    const made = updated(memory, raw, size, code, shift, mask, state.mode, state.value);
    this.toMemory(state, made, d);
    if (state.mode === ADD) this.result = this.fieldOf(state, memory.load(at, size, code));
    return true;
  }

  // --- Store buffers ----------------------------------------------------------------------------------------------

  private buffer(actor: number, state: LocalState, raw: number, d: number): void {
    const buffer = this.buffers[actor] as Buffered[];
    buffer.push({ state, raw, step: d });
    this.buffered |= 1 << actor;
    this.rare = () => {
      buffer.pop();
      if (buffer.length === 0) this.buffered &= ~(1 << actor);
    };
  }

  private flush(thread: number, d: number): void {
    const buffer = this.buffers[thread] as Buffered[];
    const entry = buffer.shift() as Buffered;
    const { state, raw } = entry;
    this.stateOf[d] = state;
    this.joinsOf[d] = [entry.step];
    if (buffer.length === 0) this.buffered &= ~(1 << thread);
    if (state.manner === RELEASE) this.release(state);
    else this.toMemory(state, raw, d);
    this.rare = () => {
      buffer.unshift(entry);
      this.buffered |= 1 << thread;
      if (state.manner === RELEASE) {
        this.setLock(state, state.write ? thread + 1 : (this.locks[state.place] as number) - 1);
      }
    };
  }

  // --- RCU, sleeping, threads, objects ------------------------------------------------------------------------------

  private leaveReader(actor: number, state: LocalState, d: number): void {
    if (state.unbalanced) {
      this.finding("rcu-misuse", "bad unlock balance: rcu_read_unlock without rcu_read_lock", actor, state);
      return;
    }
    this.rcuDepth[actor] = 0;
    const freed: (() => void)[] = [];
    for (let left = this.graceWait; left !== 0; left &= left - 1) {
      const waiter = 31 - Math.clz32(left & -left);
      const before = this.grace[waiter] as number;
      if ((before & (1 << actor)) === 0) continue;
      const joins = this.joins[waiter] as readonly number[] | null;
      this.grace[waiter] = before & ~(1 << actor);
      this.joins[waiter] = joins === null ? [d] : [...joins, d];
      if (this.grace[waiter] === 0) this.graceWait &= ~(1 << waiter);
      freed.push(() => {
        this.grace[waiter] = before;
        this.joins[waiter] = joins;
        this.graceWait |= 1 << waiter;
      });
    }
    this.rare = () => {
      this.rcuDepth[actor] = 1;
      for (const back of freed) back();
    };
  }

  /** From now on `waiter` waits for every reader of this moment. */
  private awaitReaders(waiter: number, caller: number, d: number): void {
    let readers = 0;
    for (let t = 0; t < this.positions.length; t++) if ((this.rcuDepth[t] as number) > 0) readers |= 1 << t;
    if ((readers & (1 << caller)) !== 0 && waiter === caller) {
      this.finding("rcu-misuse", "synchronize_rcu inside an RCU read section", caller, this.stateOf[d] as LocalState);
    }
    this.grace[waiter] = readers;
    const before = this.rare;
    if (readers !== 0) this.graceWait |= 1 << waiter;
    this.rare = () => {
      this.grace[waiter] = 0;
      this.graceWait &= ~(1 << waiter);
      before?.();
    };
  }

  private spawn(child: number, d: number): void {
    this.begin(child);
    this.joins[child] = [d];
    this.rare = () => {
      this.begun &= ~(1 << child);
      this.live &= ~(1 << child);
    };
  }

  private wakeUp(state: LocalState, d: number): boolean {
    const { memory } = this.world;
    const now = memory.load(state.at, state.size, state.code);
    if (state.value !== 0 && (now & state.value) === 0) return true;
    this.result = 1;
    this.toMemory(state, 0, d);
    const sleeper = this.automata.threads.findIndex(({ task }) => task === state.ptr);
    if (sleeper < 0 || (this.asleep & (1 << sleeper)) === 0) return true;
    this.asleep &= ~(1 << sleeper);
    const joins = this.joins[sleeper] as readonly number[] | null;
    this.joins[sleeper] = joins === null ? [d] : [...joins, d];
    this.rare = () => {
      this.joins[sleeper] = joins;
    };
    return true;
  }

  private allocate(state: LocalState): void {
    const cache = state.payload as Cache;
    const object = state.outcome;
    this.world.memory.setShadow(object, cache.size, SHADOW_OK);
    this.liveObjects.set(object, cache.name);
    this.result = object;
    const number = this.places.objectNumberAt(this.world.offsetOf(object));
    this.hashWord(object, 0, 1, number);
    this.rare = () => {
      this.liveObjects.delete(object);
      this.world.memory.setShadow(object, cache.slot, SHADOW_REDZONE);
      this.hashWord(object, 1, 0, number);
    };
  }

  private free(actor: number, state: LocalState): void {
    const cache = state.payload as Cache;
    const object = state.ptr;
    const name = this.liveObjects.get(object);
    if (name === undefined) {
      const twice = this.world.memory.shadow[this.world.offsetOf(object) >> 3] === SHADOW_FREED;
      const kind = twice ? "double-free" : "invalid-free";
      this.finding(kind, `BUG: KASAN: ${kind} in ${this.functionOf(state)}`, actor, state);
      return;
    }
    this.liveObjects.delete(object);
    this.world.memory.setShadow(object, cache.slot, SHADOW_FREED);
    const { objectNumber } = state;
    this.hashWord(object, 1, 2, objectNumber);
    if (objectNumber < 31) this.freed |= 1 << objectNumber;
    this.rare = () => {
      this.liveObjects.set(object, name);
      this.world.memory.setShadow(object, cache.slot, SHADOW_REDZONE);
      this.world.memory.setShadow(object, cache.size, SHADOW_OK);
      this.hashWord(object, 2, 1, objectNumber);
      if (objectNumber < 31) this.freed &= ~(1 << objectNumber);
    };
  }

  // --- Findings ---------------------------------------------------------------------------------------------------

  /** Whether the thread survives the access. Touching a freed object is reported and goes through. */
  private accessible(actor: number, state: LocalState): boolean {
    const { memory } = this.world;
    const { at } = state;
    if (at >= 0 && at < memory.size) {
      const code = memory.shadow[at >> 3] as number;
      if (code === SHADOW_OK || (code < 8 && (at & 7) + state.size <= code)) return true;
      if (code === SHADOW_FREED || code === SHADOW_REDZONE) {
        const what = code === SHADOW_FREED ? "use-after-free" : "slab-out-of-bounds";
        this.finding("use-after-free", `BUG: KASAN: ${what} in ${this.functionOf(state)}`, actor, state);
        return true;
      }
    }
    const address = state.ptr >= 0 && state.ptr < 4096 ? "NULL pointer dereference" : "paging request";
    const where = hexPointer(state.ptr);
    this.finding("paging-fault", `BUG: unable to handle kernel ${address} at ${where}`, actor, state);
    return false;
  }

  functionOf(state: LocalState): string {
    const id = state.functions[state.functions.length - 1];
    return id === undefined ? "" : functionById(id).name;
  }

  private finding(kind: FindingKind, title: string, actor: number, state: LocalState): void {
    const thread = this.automata.threads[actor]?.comm ?? "";
    this.findings.push({ kind, title, function: this.functionOf(state), thread, step: this.depth });
  }

  /** What is wrong once no step is possible any more: threads that wait for ever, objects that nobody freed. */
  endFindings(): ThreadFinding[] {
    const found: ThreadFinding[] = [];
    for (let left = this.live; left !== 0; left &= left - 1) {
      const actor = 31 - Math.clz32(left & -left);
      const { comm, daemon } = this.automata.threads[actor] as { comm: string; daemon: boolean };
      const state = this.positions[actor] as LocalState;
      const spins = state.manner === ACQUIRE && (this.asleep & (1 << actor)) === 0;
      if (daemon && !spins) continue;
      const title = spins ? `${comm} waits for ${fieldLabel(state.field)} for ever` : `${comm} sleeps for ever`;
      const kind = spins ? "deadlock" : "hung-task";
      found.push({ kind, title, function: this.functionOf(state), thread: comm, step: this.depth });
    }
    if (found.length === 0 && this.live === 0) {
      const leaked = [...this.liveObjects].find(([object]) => !this.world.objectsAtBoot.has(object));
      if (leaked !== undefined) {
        const title = `unreferenced object of ${leaked[1]}`;
        found.push({ kind: "leak", title, function: "", thread: "", step: this.depth });
      }
    }
    return found;
  }

  // --- State hash -------------------------------------------------------------------------------------------------

  private hashWord(key: number, old: number, made: number, object: number): void {
    if (old === made) return;
    const low = scramble(key, old, 0x9e3779b1) ^ scramble(key, made, 0x9e3779b1);
    const high = scramble(key, old, 0x85ebca77) ^ scramble(key, made, 0x85ebca77);
    this.worldLow ^= low;
    this.worldHigh ^= high;
    if (object < 0 || object > 30) return;
    this.objectsLow[object] = (this.objectsLow[object] as number) ^ low;
    this.objectsHigh[object] = (this.objectsHigh[object] as number) ^ high;
  }

  /** Whether no thread but that one can come to an object before that one does something about it. */
  isPrivate(reach: Reach, object: number, thread: number): boolean {
    const bit = reach.unheld(object);
    if (bit === 0) return false;
    const others = this.live & ~(1 << thread);
    for (let left = others; left !== 0; left &= left - 1) {
      if (((this.positions[31 - Math.clz32(left & -left)] as LocalState).touches & bit) !== 0) return false;
    }
    for (let left = this.buffered; left !== 0; left &= left - 1) {
      for (const { state } of this.buffers[31 - Math.clz32(left & -left)] as Buffered[]) {
        if ((state.touches & bit) !== 0) return false;
      }
    }
    for (let left = others; left !== 0; left &= left - 1) {
      const state = this.positions[31 - Math.clz32(left & -left)] as LocalState;
      state.forgot |= bit;
    }
    return true;
  }

  /** Objects that nothing that may yet happen depends on, as bits. */
  private beyondReach(reach: Reach): number {
    let touched = 0;
    for (let left = this.live; left !== 0; left &= left - 1) {
      touched |= (this.positions[31 - Math.clz32(left & -left)] as LocalState).touches;
    }
    for (let left = this.buffered; left !== 0; left &= left - 1) {
      for (const { state } of this.buffers[31 - Math.clz32(left & -left)] as Buffered[]) touched |= state.touches;
    }
    const beyond = reach.beyond(this.freed, touched);
    if (beyond === 0) return 0;
    for (let left = this.live; left !== 0; left &= left - 1) {
      const state = this.positions[31 - Math.clz32(left & -left)] as LocalState;
      state.forgot |= beyond;
    }
    return beyond;
  }

  /** The low and the high word of the hash of this state. */
  stateHash(into: Int32Array): void {
    let low = this.worldLow;
    let high = this.worldHigh;
    if (this.freed !== 0 && this.reach !== null) {
      for (let left = this.beyondReach(this.reach); left !== 0; left &= left - 1) {
        const object = 31 - Math.clz32(left & -left);
        low ^= this.objectsLow[object] as number;
        high ^= this.objectsHigh[object] as number;
      }
    }
    for (let t = 0; t < this.positions.length; t++) {
      if ((this.begun & (1 << t)) === 0) continue;
      const state = this.positions[t] as LocalState;
      const there = this.live & (1 << t) ? 1 : state.manner === OVER ? 2 : 3;
      const flags = there | (((this.asleep >> t) & 1) << 2);
      low ^= scramble(state.hashLow, flags + (this.grace[t] as number) * 8, t + 1);
      high ^= scramble(state.hashHigh, flags + (this.grace[t] as number) * 8, t + 0x10001);
      if (this.tso) {
        const buffer = this.buffers[t] as Buffered[];
        for (let i = 0; i < buffer.length; i++) {
          const entry = buffer[i] as Buffered;
          low ^= scramble(entry.state.hashLow, entry.raw, t * 64 + i + 0x20001);
          high ^= scramble(entry.state.hashHigh, entry.raw, t * 64 + i + 0x30001);
        }
      }
    }
    into[0] = low;
    into[1] = high;
  }
}

/** 32 well-mixed bits of three numbers. */
function scramble(x: number, y: number, z: number): number {
  let h = Math.imul(x ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul((y | 0) + z, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 15) ^ (Math.floor(y / 2 ** 32) | 0), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return h ^ (h >>> 15);
}
