/**
 * Local states of which one stands for many.
 *
 * Two histories of a thread are as good as one if it goes on in the same way after both: what it read has been
 * forgotten. JavaScript does not let anyone look at the locals of a generator, so this is found out by trying. A local
 * state that asks for the same op as another one is taken to be the same; the other history is kept as a *shadow*, and
 * whenever the code is run on from the one that stands for both, it is run on from every shadow too, with the same
 * result. If it then asks for something else, the two were different after all: the exploration starts again, and knows
 * by which results the two can be told apart. States like these are from then on tried with those results before they
 * are taken for one.
 *
 * What is left in the end has been checked for every step that was taken, so nothing is taken for granted.
 *
 * The states of a thread never become a circle, though: a loop leads on to new states, however often it goes round.
 */
import { ALLOC, ATOMIC, BUG, COMPARE_EXCHANGE, FREE, WARN } from "../../op.ts";
import type { Assertion } from "../../primitives.ts";
import { type LocalState, OVER } from "./automaton.ts";
import { PlacesMerged } from "./places.ts";

/** States that were taken for one are not. */
export class MergeRefuted extends Error {
  override readonly name = "MergeRefuted";
}

/** What led from where two states were taken for one to where they are now: the last result, and what came of it. */
interface Trail {
  readonly before: Trail | null;
  readonly result: number;
  readonly kind: string;
}

/** A history that another state stands for. */
interface Shadow {
  readonly state: LocalState;
  /** What the two that were taken for one had in common, and the way from there. */
  readonly origin: string;
  readonly trail: Trail | null;
}

/** Results to try a state with, and what the code should ask for after each but the last. */
type Trial = readonly (readonly [number, string])[];

/** Local states learned, shadows included, from which on merging costs more than it saves. */
const STATES_MAX = 300_000;
/** Trials of one kind of state; if they are not enough, its states are not taken for one any more. */
const TRIALS_MAX = 8;
/** Other states of its kind, of another length, that a state is compared with. */
const COMPARED_MAX = 4;
/** States looked through for a circle. */
const LOOKED_AT_MAX = 2000;

/** What was taken for one, and what must not be. */
export class Merging {
  private readonly standing = new Map<string, LocalState[]>();
  private readonly shadows = new Map<LocalState, Shadow[]>();
  private readonly kinds = new Map<LocalState, string>();
  private readonly payloads = new Map<unknown, number>();
  private readonly trials = new Map<string, Trial[]>();
  private reached = 0;
  /** While the code is only being learned, what is refuted is gathered. */
  private patient = true;
  private readonly refutedBefore: number;

  constructor(
    /** Learned from earlier tries: kinds of states with a trial each, as JSON; "" forbids all merging. */
    private readonly refuted: Set<string>,
    /** Runs the code on from a history. */
    private readonly reach: (state: LocalState, result: number) => LocalState,
  ) {
    this.refutedBefore = refuted.size;
    for (const text of refuted) {
      if (text === "") continue;
      const [kind, trial] = JSON.parse(text) as [string, Trial];
      const list = this.trials.get(kind) ?? [];
      list.push(trial);
      this.trials.set(kind, list);
    }
  }

  /** The state that stands for `made`, which was just learned: itself, if it is the first of its kind. */
  settle(made: LocalState): LocalState {
    const kind = this.kindOf(made);
    const trials = this.trials.get(kind) ?? [];
    if (trials.length >= TRIALS_MAX || this.refuted.has("")) return made;
    const key = [made.thread, kind, ...trials.map((trial) => this.answer(made, trial))].join("\n");
    const alike = this.standing.get(key) ?? [];
    const known = alike.find((other) => other.length === made.length) ?? this.oneNotBefore(made, alike);
    if (known !== undefined) {
      this.shadow(known, { state: made, origin: kind, trail: null });
      return known;
    }
    alike.push(made);
    this.standing.set(key, alike);
    return made;
  }

  /** One of these that does not lead to where `made` comes from. */
  private oneNotBefore(made: LocalState, alike: readonly LocalState[]): LocalState | undefined {
    return alike.slice(0, COMPARED_MAX).find((other) => !leadsTo(other, made.before as LocalState));
  }

  /** What the code asks for if it is tried with these results. */
  private answer(made: LocalState, trial: Trial): string {
    let at = made;
    for (const [i, [result, kind]] of trial.entries()) {
      if (at.manner === OVER) return "over";
      if (++this.reached > STATES_MAX) this.refuteAll();
      try {
        at = this.reach(at, result);
      } catch (error) {
        if (error instanceof PlacesMerged) throw error;
        return `${i} fails`;
      }
      if (this.kindOf(at) !== kind) return `${i} ${this.kindOf(at)}`;
    }
    return "as the other";
  }

  /** A transition was learned: every shadow must take it too. */
  verify(state: LocalState, result: number, next: LocalState): void {
    for (const shadow of this.shadows.get(state) ?? []) this.follow(shadow, result, next);
  }

  /** The code failed on a result after the history that stands for others. @returns whether it does: it may be theirs. */
  failed(state: LocalState, result: number): boolean {
    const shadows = this.shadows.get(state) ?? [];
    for (const { origin, trail } of shadows) this.refute(origin, { before: trail, result, kind: "fails" });
    return shadows.length > 0;
  }

  private shadow(standing: LocalState, shadow: Shadow): void {
    const list = this.shadows.get(standing) ?? [];
    list.push(shadow);
    this.shadows.set(standing, list);
    for (const [result, next] of standing.transitions()) this.follow(shadow, result, next);
  }

  private follow({ state, origin, trail }: Shadow, result: number, next: LocalState): void {
    if (++this.reached > STATES_MAX) this.refuteAll();
    const kind = this.kindOf(next);
    const here: Trail = { before: trail, result, kind };
    let after: LocalState;
    try {
      after = this.reach(state, result);
    } catch (error) {
      if (error instanceof PlacesMerged) throw error;
      // The code was never meant to see this result after that history.
      this.refute(origin, here);
      return;
    }
    if (this.kindOf(after) !== kind) this.refute(origin, here);
    else this.shadow(next, { state: after, origin, trail: here });
  }

  private refute(origin: string, trail: Trail): void {
    const trial: (readonly [number, string])[] = [];
    for (let at: Trail | null = trail; at !== null; at = at.before) trial.unshift([at.result, at.kind]);
    this.refuted.add(JSON.stringify([origin, trial]));
    if (!this.patient) throw new MergeRefuted(origin);
  }

  /** Whether something was refuted. */
  get mistaken(): boolean {
    return this.refuted.size > this.refutedBefore;
  }

  /** From now on the exploration starts again as soon as something is refuted; at once if something has been. */
  endPatience(): void {
    this.patient = false;
    if (this.mistaken) throw new MergeRefuted("");
  }

  private refuteAll(): never {
    this.refuted.add("");
    throw new MergeRefuted("");
  }

  /** What two states of a thread must have in common to be taken for one. What tells them apart holds for all threads. */
  private kindOf(state: LocalState): string {
    let text = this.kinds.get(state);
    if (text === undefined) {
      text = this.describe(state);
      this.kinds.set(state, text);
    }
    return text;
  }

  private describe(state: LocalState): string {
    const { kind, phase, ptr, field, value, mode, scratch, manner, outcome, unbalanced } = state;
    const extra = kind === ATOMIC && mode === COMPARE_EXCHANGE ? state.extra : 0;
    return [
      [kind, phase, ptr, field, value, mode, extra, scratch, manner, outcome, unbalanced].join(),
      this.payloadOf(state),
      state.functions.join(),
      String(state.returned),
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

/** Whether a thread can get from one state to another; if that takes too long to tell, it can. */
function leadsTo(from: LocalState, to: LocalState): boolean {
  const seen = new Set([from]);
  for (const at of seen) {
    if (at === to || seen.size > LOOKED_AT_MAX) return true;
    for (const [, next] of at.transitions()) seen.add(next);
  }
  return false;
}
