/**
 * What a thread may still touch, as far as its automaton has been learned.
 *
 * For each local state the places that the thread may read or write from there on. A state's futures are those of its
 * op and of all states after it, so they only ever grow. {@link Futures.version} counts how often something turned out to
be part of a future that had been denied before.
 */
import { RCU_READ_LOCK, RCU_READ_UNLOCK } from "../../op.ts";
import { type Automata, GRACE_PERIOD, type LocalState, OVER, SILENT } from "./automaton.ts";

/** Bits of {@link Future.rcu}: opens or closes a read section; begins a grace period. */
const READS_RCU = 1;
const AWAITS_RCU = 2;

interface Sets {
  readonly reads: readonly number[];
  readonly writes: readonly number[];
  readonly rcu: number;
}

/** What may come of one local state. */
export class Future {
  reads = [0];
  writes = [0];
  rcu = 0;
  readonly parents: LocalState[] = [];
  /** What was said to be no part of it. */
  private notReads = [0];
  private notWrites = [0];
  private notRcu = 0;

  /** Adds what another may touch. @returns whether that was more. */
  take(other: Sets): boolean {
    const rcu = this.rcu | other.rcu;
    const [reads, writes] = [union(this.reads, other.reads), union(this.writes, other.writes)];
    if (rcu === this.rcu && reads === null && writes === null) return false;
    this.rcu = rcu;
    if (reads !== null) this.reads = reads;
    if (writes !== null) this.writes = writes;
    return true;
  }

  /** Notes what was said to be no part of it; places may be negative, for none. */
  deny(read: number, written: number, object: number, rcu: number): void {
    this.notRcu |= rcu;
    this.notReads = withPlace(this.notReads, read);
    this.notWrites = withPlace(withPlace(this.notWrites, written), object);
  }

  /** Whether something is part of it that had been denied; asked again, only of what is denied from now on. */
  wasWrong(): boolean {
    if ((this.rcu & this.notRcu) === 0 && !meet(this.reads, this.notReads) && !meet(this.writes, this.notWrites)) {
      return false;
    }
    this.notRcu = 0;
    this.notReads = [0];
    this.notWrites = [0];
    return true;
  }
}

const rcuOf = (state: LocalState): number =>
  state.manner === GRACE_PERIOD
    ? AWAITS_RCU
    : state.kind === RCU_READ_LOCK || state.kind === RCU_READ_UNLOCK
      ? READS_RCU
      : 0;

const has = (set: readonly number[], place: number): boolean =>
  place >> 5 < set.length && ((set[place >> 5] as number) & (1 << (place & 31))) !== 0;

/** Both sets together; null if the first has it all. */
function union(set: readonly number[], more: readonly number[]): number[] | null {
  let grown: number[] | null = null;
  for (let word = 0; word < more.length; word++) {
    const before = word < set.length ? (set[word] as number) : 0;
    const after = before | (more[word] as number);
    if (after === before) continue;
    if (grown === null) {
      grown = set.slice();
      while (grown.length < more.length) grown.push(0);
    }
    grown[word] = after;
  }
  return grown;
}

const meet = (one: readonly number[], other: readonly number[]): boolean =>
  one.some((word, i) => (word & (other[i] ?? 0)) !== 0);

/** The set with one more place, if that is one. */
function withPlace(set: number[], place: number): number[] {
  if (place < 0) return set;
  const word = place >> 5;
  if (word >= set.length) return union(set, only(place)) ?? set;
  set[word] = (set[word] as number) | (1 << (place & 31));
  return set;
}

const NOWHERE: readonly number[] = [];

/** A set of one place; empty if there is none. */
function only(place: number): readonly number[] {
  if (place < 0) return NOWHERE;
  const set = new Array<number>((place >> 5) + 1).fill(0);
  set[place >> 5] = 1 << (place & 31);
  return set;
}

/** The futures of all local states of a world. */
export class Futures {
  /** Grows whenever something that was denied turns out to be so. */
  version = 0;

  constructor(private readonly automata: Automata) {
    for (const { root } of automata.threads) this.future(root);
  }

  private future(state: LocalState): Future {
    if (state.future !== null) return state.future;
    const made = new Future();
    state.future = made;
    if (state.manner === OVER) return made;
    const reads = only(state.object);
    const own = only(state.place);
    made.take({ reads, writes: NOWHERE, rcu: rcuOf(state) });
    made.take(state.write ? { reads, writes: own, rcu: 0 } : { reads: own, writes: NOWHERE, rcu: 0 });
    // Whoever starts a thread may do what the thread does.
    const child = state.startsThread;
    if (child >= 0) this.edge(state, (this.automata.threads[child] as { root: LocalState }).root);
    return made;
  }

  /** A transition was learned. */
  edge(from: LocalState, to: LocalState): void {
    const after = this.future(to);
    after.parents.push(from);
    this.raise(from, after);
  }

  /** What `more` may touch, `state` and all before it may touch too. */
  private raise(state: LocalState, more: Future): void {
    const open = [state];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      const future = this.future(at);
      if (!future.take(more)) continue;
      if (future.wasWrong()) this.version++;
      open.push(...future.parents);
    }
  }

  /** Whether the op of `op` depends on something that may come of `state`. */
  mayMeet(op: LocalState, state: LocalState): boolean {
    if (op.manner === SILENT || op.manner === OVER) return false;
    const future = this.future(state);
    const { place, object, write } = op;
    const own = rcuOf(op);
    const rcu = own === AWAITS_RCU ? READS_RCU : own === READS_RCU ? AWAITS_RCU : 0;
    const met =
      (future.rcu & rcu) !== 0 ||
      (object >= 0 && has(future.writes, object)) ||
      (place >= 0 && (has(future.writes, place) || (write && has(future.reads, place))));
    if (!met) future.deny(write ? place : -1, place, object, rcu);
    return met;
  }
}
