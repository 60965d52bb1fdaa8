/**
 * Every state of a thread program once: depth-first search with a table of the states seen.
 *
 * Where {@link Dpor} runs every trace, this runs every state, which are far fewer if threads meet again after they
 * differed. It counts states, not executions, and finds the same end states and the same findings.
 *
 * Reduction: at each state only a persistent set is followed, the smallest found of those sets of threads whose next
 * steps depend on nothing that the threads outside may still do. What a thread may still do is read off its automaton
 * ({@link Futures}); what it does to an object that is in its hands only depends on nobody ({@link Reach}). While that is
 * still being learned the sets may be too small, so the search is repeated until nothing turns out to be otherwise than
 * it was taken to be; it is then sound: a step of an outsider that depends on the set, if there were one, would be
 * reached without the set taking a step, so it would have been learned.
 *
 * States are told apart by 64 bits of hash: of a million states, two are taken for one with a probability of 3e-8.
 */
import { CHOOSE } from "../../op.ts";
import { makeRng } from "../../rng.ts";
import { anyOf, bits } from "./actors.ts";
import type { LocalState } from "./automaton.ts";
import { BUFFER, type Execution } from "./execution.ts";
import { Futures } from "./futures.ts";
import { Reach } from "./reach.ts";
import { SeenStates } from "./seenStates.ts";

/** Bounds under which a search is still complete in what it says. */
export interface CachedBounds {
  readonly stepsMax: number;
  /** Changes of thread away from one that could go on; unbounded if infinite. Switches persistent sets off. */
  readonly preemptionsMax: number;
  /** Changes of thread, whether the one left could go on or not. One of the two bounds is infinite. */
  readonly switchesMax: number;
  readonly statesMax: number;
  /** One finding is enough: what the executions at random come upon counts. */
  readonly stopAtFinding: boolean;
}

export interface CachedCounts {
  states: number;
  /** Steps taken; more than one can lead to a state. */
  steps: number;
  /** End states. */
  ends: number;
  cutOff: number;
  /** The bound on states was reached. */
  exhausted: boolean;
}

const UNBOUNDED = 254;
/** Executions taken at random before the search: until so many in a row have brought nothing new, or so many in all. */
const IDLE_WALKS = 64;
const WALKS_MAX = 1024;

/** The search. */
export class CachedSearch {
  readonly counts: CachedCounts = { states: 0, steps: 0, ends: 0, cutOff: 0, exhausted: false };
  private readonly futures: Futures;
  private readonly reach: Reach | null;
  private seen = new SeenStates();
  private readonly todo: number[] = [];
  private readonly actor: number[] = [];
  private readonly choice: number[] = [];
  private readonly left: number[] = [];
  private readonly key = new Int32Array(2);

  constructor(
    private readonly execution: Execution,
    private readonly bounds: CachedBounds,
    private readonly persistentSets: boolean,
    /** Whether states that differ in nothing but objects out of reach are one. */
    forgetting: boolean,
    /** Called at each end state, and at each cut; false ends the search. */
    private readonly visit: (execution: Execution, cut: boolean) => boolean,
    /** Called after a step in an execution that has findings; false ends the search. */
    private readonly found: (execution: Execution) => boolean,
    /** Called before the search is repeated because it had not yet learned enough. */
    private readonly again: () => void,
  ) {
    const { automata, places, world } = execution;
    this.futures = new Futures(automata);
    this.reach = forgetting ? new Reach(automata, places, world.memory) : null;
    execution.reach = this.reach;
    automata.onEdge = (from, to, result) => {
      this.futures.edge(from, to);
      this.reach?.edge(from, to, result);
    };
  }

  /** Grows whenever something is learned that the reductions depend on. */
  private get learned(): number {
    return (this.persistentSets ? this.futures.version : 0) + (this.reach?.version ?? 0);
  }

  /** @returns false if the visitor ended it. */
  run(): boolean {
    if (!this.learn()) return false;
    for (;;) {
      const { learned } = this;
      if (!this.pass()) return false;
      if (this.learned === learned || this.counts.exhausted) return true;
      this.forgetAll();
    }
  }

  /** There is a bound on changes of thread. */
  private get bounded(): boolean {
    return Number.isFinite(this.bounds.preemptionsMax) || Number.isFinite(this.bounds.switchesMax);
  }

  private forgetAll(): void {
    this.seen = new SeenStates();
    Object.assign(this.counts, { states: 0, steps: 0, ends: 0, cutOff: 0 });
    this.again();
  }

  /**
   * Takes some executions at random, so that most of the code is known before the search begins.
   *
   * @returns false if the visitor ended it.
   */
  private learn(): boolean {
    const { execution, bounds } = this;
    const visits = bounds.stopAtFinding && !this.bounded;
    const rng = makeRng("learn");
    let idle = 0;
    for (let walk = 0; walk < WALKS_MAX && idle < IDLE_WALKS; walk++) {
      const known = execution.automata.states;
      for (
        let able = execution.enabled();
        able !== 0 && execution.depth < bounds.stepsMax;
        able = execution.enabled()
      ) {
        const actor = anyOf(able, rng);
        execution.step(actor, rng.below(execution.choices(actor)));
        // What was taken for one and is not may have led here.
        if (visits && !execution.automata.mistaken && !this.visitAtRandom()) return false;
      }
      while (execution.depth > 0) execution.undo();
      idle = execution.automata.states === known ? idle + 1 : 0;
    }
    execution.automata.endLearning();
    if (visits) this.forgetAll();
    return true;
  }

  /** A state came up in an execution at random. @returns false to end the search. */
  private visitAtRandom(): boolean {
    const { execution, counts, key } = this;
    counts.steps++;
    execution.stateHash(key);
    if (this.seen.enter(key[0] as number, key[1] as number, 0)) counts.states = this.seen.count;
    if (execution.findings.length > 0 && !this.found(execution)) return false;
    if (execution.enabled() !== 0 || execution.beyondBound) return true;
    counts.ends++;
    return this.visit(execution, false);
  }

  private pass(): boolean {
    const { execution, counts, bounds, bounded } = this;
    const everyChange = Number.isFinite(bounds.switchesMax);
    this.left[0] = bounded ? Math.min(bounds.preemptionsMax, bounds.switchesMax) : UNBOUNDED;
    if (!this.arrive(0)) return false;
    for (;;) {
      const d = execution.depth;
      const actor = this.nextActor(d);
      if (actor < 0) {
        if (d === 0) return true;
        execution.undo();
        continue;
      }
      const before = d > 0 ? (execution.actorOf[d - 1] as number) : -1;
      const changes = bounded && before >= 0 && before !== actor;
      const spent = changes && (everyChange || (execution.enabled() & (1 << before)) !== 0) ? 1 : 0;
      this.left[d + 1] = (this.left[d] as number) - spent;
      if ((this.left[d + 1] as number) < 0) continue;
      execution.step(actor, this.choice[d] as number);
      counts.steps++;
      // The state may be a known one; what is wrong with the step is not.
      if (execution.findings.length > 0 && !this.found(execution)) return false;
      if (!this.arrive(d + 1)) return false;
      if (counts.states >= bounds.statesMax) {
        counts.exhausted = true;
        while (execution.depth > 0) execution.undo();
        return true;
      }
    }
  }

  /** A state was reached: what is to be done from there. @returns false to end the search. */
  private arrive(d: number): boolean {
    const { execution, counts, bounds, key } = this;
    this.todo[d] = 0;
    this.actor[d] = -1;
    execution.stateHash(key);
    let salt = 0;
    // Under a bound on changes of thread it matters who came last.
    if (this.bounded && d > 0) salt = Math.imul((execution.actorOf[d - 1] as number) + 1, 0x9e3779b1);
    if (!this.seen.enter((key[0] as number) ^ salt, key[1] as number, this.left[d] as number)) return true;
    counts.states = this.seen.count;
    const able = execution.enabled();
    const beyond = able === 0 && execution.beyondBound;
    if (able === 0 && !beyond) {
      counts.ends++;
      return this.visit(execution, false);
    }
    if (beyond || d >= bounds.stepsMax) {
      counts.cutOff++;
      return this.visit(execution, true);
    }
    this.todo[d] = this.persistentSets ? this.persistent(able) : able;
    return true;
  }

  /** The next actor to follow from the state at depth `d`, -1 if there is none left. */
  private nextActor(d: number): number {
    const { execution } = this;
    const current = this.actor[d] as number;
    if (current >= 0 && execution.pending(current).kind === CHOOSE) {
      const next = (this.choice[d] as number) + 1;
      if (next < execution.choices(current)) {
        this.choice[d] = next;
        return current;
      }
    }
    const todo = this.todo[d] as number;
    if (todo === 0) return -1;
    const actor = 31 - Math.clz32(todo & -todo);
    this.todo[d] = todo & (todo - 1);
    this.actor[d] = actor;
    this.choice[d] = 0;
    return actor;
  }

  // --- Persistent sets ----------------------------------------------------------------------------------------------

  /** The enabled part of the smallest persistent set found. */
  private persistent(able: number): number {
    let best = able;
    let size = bits(able);
    for (let seeds = able; seeds !== 0 && size > 1; seeds &= seeds - 1) {
      const enabled = this.closure(seeds & -seeds, able, size);
      const count = bits(enabled);
      if (enabled !== 0 && count < size) {
        best = enabled;
        size = count;
      }
    }
    return best;
  }

  /** Adds whoever may yet depend on a member. @returns its enabled part; all of `able` if it gets no smaller. */
  private closure(seed: number, able: number, sizeMax: number): number {
    const { execution, futures } = this;
    let set = seed;
    for (let open = seed; open !== 0; ) {
      const actor = 31 - Math.clz32(open & -open);
      open &= open - 1;
      const thread = execution.tso && actor >= BUFFER ? actor - BUFFER : actor;
      // Who sleeps can be woken by anyone.
      if (((execution.asleep | execution.graceWait) & (1 << thread)) !== 0) return able;
      let added = 0;
      if (execution.tso) added = ((1 << thread) | ((execution.buffered & (1 << thread)) << BUFFER)) & ~set;
      const op = execution.pending(actor);
      for (let others = this.isPrivate(op) ? 0 : execution.live & ~set; others !== 0; others &= others - 1) {
        const other = 31 - Math.clz32(others & -others);
        if (futures.mayMeet(op, execution.positions[other] as LocalState)) added |= 1 << other;
      }
      if (execution.tso) added |= this.buffersThatMeet(op, set);
      set |= added;
      open |= added;
      if (bits(set & able) >= sizeMax) return able;
    }
    return set & able;
  }

  /** Whether the op is on an object that nobody else can reach before its thread publishes it. */
  private isPrivate({ thread, objectNumber }: LocalState): boolean {
    return this.reach !== null && objectNumber >= 0 && this.execution.isPrivate(this.reach, objectNumber, thread);
  }

  private buffersThatMeet(op: LocalState, set: number): number {
    const { execution } = this;
    let met = 0;
    for (let left = execution.buffered & ~(set >>> BUFFER); left !== 0; left &= left - 1) {
      const owner = 31 - Math.clz32(left & -left);
      if (execution.storesTo(owner, op)) met |= 1 << (BUFFER + owner);
    }
    return met;
  }
}
