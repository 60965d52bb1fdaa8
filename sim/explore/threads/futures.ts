/**
 * What a thread may still touch, as far as its automaton has been learned.
 *
 * For each local state the places that the thread may read or write from there on. A state's futures are those of its
 * op and of all states after it, so they only ever grow: {@link Futures.version} counts how often.
 */
import { RCU_READ_LOCK, RCU_READ_UNLOCK } from "../../op.ts";
import { type Automata, GRACE_PERIOD, type LocalState, OVER, SILENT } from "./automaton.ts";

/** Bits of {@link Future.rcu}: opens or closes a read section; begins a grace period. */
const READS_RCU = 1;
const AWAITS_RCU = 2;

interface Sets {
  readonly reads: Int32Array;
  readonly writes: Int32Array;
  readonly rcu: number;
}

/** What may come of one local state. */
class Future {
  reads = new Int32Array(1);
  writes = new Int32Array(1);
  rcu = 0;
  readonly parents: LocalState[] = [];

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
}

const rcuOf = (state: LocalState): number =>
  state.manner === GRACE_PERIOD
    ? AWAITS_RCU
    : state.kind === RCU_READ_LOCK || state.kind === RCU_READ_UNLOCK
      ? READS_RCU
      : 0;

const has = (set: Int32Array, place: number): boolean =>
  place >> 5 < set.length && ((set[place >> 5] as number) & (1 << (place & 31))) !== 0;

/** Both sets together; null if the first has it all. */
function union(set: Int32Array, more: Int32Array): Int32Array<ArrayBuffer> | null {
  let grown: Int32Array<ArrayBuffer> | null = null;
  for (let word = 0; word < more.length; word++) {
    const before = word < set.length ? (set[word] as number) : 0;
    const after = before | (more[word] as number);
    if (after === before) continue;
    if (grown === null) {
      grown = new Int32Array(Math.max(set.length, more.length));
      grown.set(set);
    }
    grown[word] = after;
  }
  return grown;
}

/** A set of one place; empty if there is none. */
function only(place: number): Int32Array {
  if (place < 0) return new Int32Array(0);
  const set = new Int32Array((place >> 5) + 1);
  set[place >> 5] = 1 << (place & 31);
  return set;
}

/** The futures of all local states of a world. */
export class Futures {
  /** Grows whenever a state that was known before turns out to have more of a future. */
  version = 0;
  private readonly of = new Map<LocalState, Future>();

  constructor(private readonly automata: Automata) {
    for (const { root } of automata.threads) this.future(root);
  }

  private future(state: LocalState): Future {
    const known = this.of.get(state);
    if (known !== undefined) return known;
    const made = new Future();
    this.of.set(state, made);
    if (state.manner === OVER) return made;
    const reads = only(state.object);
    const own = only(state.place);
    made.take({ reads, writes: new Int32Array(0), rcu: rcuOf(state) });
    made.take(state.write ? { reads, writes: own, rcu: 0 } : { reads: own, writes: new Int32Array(0), rcu: 0 });
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
      this.version++;
      open.push(...future.parents);
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
