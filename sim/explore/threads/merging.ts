/**
 * Local states of which one stands for many.
 *
 * Two histories of a thread are as good as one if it goes on in the same way after both: what it read has been
 * forgotten. JavaScript does not let anyone look at the locals of a generator, so this is found out by trying. A local
 * state that asks for the same op as another one, after as many ops, is taken to be the same; the other history is kept
 * as a *shadow*, and whenever the code is run on from the one that stands for both, it is run on from every shadow too,
 * with the same result. If it then asks for something else, the two were different after all: the exploration starts
 * again, and states like these are never taken for one another any more.
 *
 * What is left in the end has been checked for every step that was taken, so nothing is taken for granted.
 */
import { ALLOC, ATOMIC, BUG, COMPARE_EXCHANGE, FREE, SPAWN, WARN } from "../../op.ts";
import type { Assertion } from "../../primitives.ts";
import type { LocalState } from "./automaton.ts";

/** States that were taken for one are not. */
export class MergeRefuted extends Error {
  override readonly name = "MergeRefuted";
}

/** A history that another state stands for. */
interface Shadow {
  readonly state: LocalState;
  /** What the two that were taken for one had in common. */
  readonly origin: string;
}

/** Local states learned, shadows included, from which on merging costs more than it saves. */
const STATES_MAX = 300_000;

/** What was taken for one, and what must not be. */
export class Merging {
  private readonly standing = new Map<string, LocalState>();
  private readonly shadows = new Map<LocalState, Shadow[]>();
  private readonly payloads = new Map<unknown, number>();
  private reached = 0;

  constructor(
    /** Learned from earlier tries; "" forbids all merging. */
    private readonly refuted: Set<string>,
    /** Runs the code on from a history. */
    private readonly reach: (state: LocalState, result: number) => LocalState,
  ) {}

  /** The state that stands for `made`, which was just learned: itself, if it is the first of its kind. */
  settle(made: LocalState): LocalState {
    if (made.kind === SPAWN) return made;
    const kind = this.kindOf(made);
    if (this.refuted.has(kind) || this.refuted.has("")) return made;
    const known = this.standing.get(kind);
    if (known === undefined) {
      this.standing.set(kind, made);
      return made;
    }
    this.shadow(known, { state: made, origin: kind });
    return known;
  }

  /** A transition was learned: every shadow must take it too. */
  verify(state: LocalState, result: number, next: LocalState): void {
    for (const shadow of this.shadows.get(state) ?? []) this.follow(shadow, result, next);
  }

  private shadow(standing: LocalState, shadow: Shadow): void {
    const list = this.shadows.get(standing) ?? [];
    list.push(shadow);
    this.shadows.set(standing, list);
    for (const [result, next] of standing.transitions()) this.follow(shadow, result, next);
  }

  private follow({ state, origin }: Shadow, result: number, next: LocalState): void {
    if (++this.reached > STATES_MAX) this.refute("");
    let after: LocalState;
    try {
      after = this.reach(state, result);
    } catch {
      // The code was never meant to see this result after that history.
      this.refute(origin);
    }
    if (this.kindOf(after) !== this.kindOf(next)) this.refute(origin);
    this.shadow(next, { state: after, origin });
  }

  private refute(kind: string): never {
    this.refuted.add(kind);
    throw new MergeRefuted(kind);
  }

  /** What two states must have in common to be taken for one. */
  private kindOf(state: LocalState): string {
    const { thread, length, kind, phase, ptr, field, value, mode, scratch } = state;
    const extra = kind === ATOMIC && mode === COMPARE_EXCHANGE ? state.extra : 0;
    const { manner, allocations, spawned, returned, functions } = state;
    return [
      [thread, length, kind, phase, ptr, field, value, mode, extra, scratch, manner, allocations, spawned].join(),
      this.payloadOf(state),
      functions.join(),
      String(returned),
    ].join(";");
  }

  private payloadOf({ kind, payload }: LocalState): string {
    if (kind === BUG || kind === WARN) return (payload as Assertion).at;
    // Other ops leave in this register what they found there.
    if (kind !== ALLOC && kind !== FREE) return "";
    let id = this.payloads.get(payload);
    if (id === undefined) {
      id = this.payloads.size + 1;
      this.payloads.set(payload, id);
    }
    return String(id);
  }
}
