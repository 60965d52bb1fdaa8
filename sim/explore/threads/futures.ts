/**
 * What a thread may still touch, as far as its automaton has been learned.
 *
 * For each local state the places that the thread may read or write from there on. A state's futures are those of its
 * op and of all states after it, so they only ever grow: {@link Futures.version} counts how often.
 */
import { RCU_READ_LOCK, RCU_READ_UNLOCK } from "../../op.ts";
import { type Automata, GRACE_PERIOD, type LocalState, OVER, SILENT } from "./automaton.ts";

/** The read section of a thread, and a grace period, as bits of `rcu`. */
const READS_RCU = 1;
const AWAITS_RCU = 2;

/** What may come of one local state. */
interface Future {
  reads: Int32Array;
  writes: Int32Array;
  rcu: number;
}

const rcuOf = (state: LocalState): number =>
  state.manner === GRACE_PERIOD
    ? AWAITS_RCU
    : state.kind === RCU_READ_LOCK || state.kind === RCU_READ_UNLOCK
      ? READS_RCU
      : 0;

const has = (set: Int32Array, place: number): boolean =>
  place >> 5 < set.length && ((set[place >> 5] as number) & (1 << (place & 31))) !== 0;

/** Adds a place. @returns the set, longer if it had no room for it. */
function withPlace(set: Int32Array, place: number): Int32Array {
  const word = place >> 5;
  let grown = set;
  if (word >= set.length) {
    grown = new Int32Array(word + 4);
    grown.set(set);
  }
  grown[word] = (grown[word] as number) | (1 << (place & 31));
  return grown;
}

/** The futures of all local states of a world. */
export class Futures {
  /** Grows with every place that was added to a state that was known before. */
  version = 0;
  private readonly of = new Map<LocalState, Future>();
  /** Local states whose op starts a thread, by that thread. */
  private readonly parents = new Map<number, LocalState[]>();

  constructor(private readonly automata: Automata) {}

  /** The future of a local state. */
  private future(state: LocalState): Future {
    const known = this.of.get(state);
    if (known !== undefined) return known;
    const made: Future = { reads: new Int32Array(1), writes: new Int32Array(1), rcu: 0 };
    this.of.set(state, made);
    if (state.manner !== OVER) this.spread(state);
    return made;
  }

  /** Takes a newly learned state into account. */
  know(state: LocalState): void {
    this.future(state);
  }

  /** Adds what the op of `state` touches to the state and to all before it. */
  private spread(state: LocalState): void {
    if (state.place >= 0) this.addUpwards(state, state.place, state.write);
    if (state.object >= 0) this.addUpwards(state, state.object, false);
    const rcu = rcuOf(state);
    if (rcu !== 0) this.addRcu(state, rcu);
    const child = state.startsThread;
    if (child < 0) return;
    const parents = this.parents.get(child) ?? [];
    parents.push(state);
    this.parents.set(child, parents);
    this.takeOver(state, this.future((this.automata.threads[child] as { root: LocalState }).root));
  }

  private takeOver(state: LocalState, from: Future): void {
    for (let place = 0; place < from.reads.length * 32; place++) {
      if (has(from.reads, place)) this.addUpwards(state, place, false);
    }
    for (let place = 0; place < from.writes.length * 32; place++) {
      if (has(from.writes, place)) this.addUpwards(state, place, true);
    }
    if (from.rcu !== 0) this.addRcu(state, from.rcu);
  }

  private addUpwards(from: LocalState, place: number, write: boolean): void {
    for (let state: LocalState | null = from; state !== null; state = state.before) {
      const future = this.future(state);
      if (has(write ? future.writes : future.reads, place)) return;
      if (write) future.writes = withPlace(future.writes, place);
      else future.reads = withPlace(future.reads, place);
      if (state !== from) this.version++;
      if (state.before === null) {
        for (const parent of this.parents.get(state.thread) ?? []) this.addUpwards(parent, place, write);
      }
    }
  }

  private addRcu(from: LocalState, bits: number): void {
    for (let state: LocalState | null = from; state !== null; state = state.before) {
      const future = this.future(state);
      if ((future.rcu & bits) === bits) return;
      future.rcu |= bits;
      if (state !== from) this.version++;
      if (state.before === null) for (const parent of this.parents.get(state.thread) ?? []) this.addRcu(parent, bits);
    }
  }

  /** Whether the op of `op` depends on something that may come of `state`. */
  mayMeet(op: LocalState, state: LocalState): boolean {
    if (op.manner === SILENT || op.manner === OVER) return false;
    const future = this.future(state);
    const rcu = rcuOf(op);
    if (rcu === AWAITS_RCU) return (future.rcu & READS_RCU) !== 0;
    if (rcu === READS_RCU && (future.rcu & AWAITS_RCU) !== 0) return true;
    if (op.object >= 0 && has(future.writes, op.object)) return true;
    if (op.place < 0) return false;
    return has(future.writes, op.place) || (op.write && has(future.reads, op.place));
  }
}
