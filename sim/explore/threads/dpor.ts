/**
 * Optimal dynamic partial order reduction: every Mazurkiewicz trace of a thread program once.
 *
 * Two executions are equivalent if one becomes the other by swapping neighbouring steps that do not depend on each
 * other. The search runs one execution to its end, finds its races (steps that depend on each other and could have
 * come in the other order), and for each plants the other order as a wakeup sequence at the step before the race, unless
 * what is asleep or planted there covers it already. Sleep sets keep finished branches from being run again; wakeup
 * trees see to it that no execution is begun which sleep sets would then cut off.
 *
 * Blocking is blocking: a thread that waits takes no step. Two acquisitions of a lock race with each other, not with
 * the release in between; a thread that waits for a lock in the end raced with who holds it.
 *
 * Races are looked for among the steps that are new since the last execution: those of the common prefix have been
 * dealt with when that was new.
 *
 * Memory grows with the length of an execution and with the number of local states, not with the number of executions.
 *
 * @see Abdulla, Aronsson, Jonsson, Sagonas: Source Sets: A Foundation for Optimal Dynamic Partial Order Reduction,
 *   J. ACM 64(4), 2017
 */
import { CHOOSE, RCU_READ_LOCK, RCU_READ_UNLOCK } from "../../op.ts";
import { ACCESS, ACQUIRE, GRACE_PERIOD, type LocalState, RELEASE, SILENT } from "./automaton.ts";
import { ACTORS_MAX, BUFFER, type Execution } from "./execution.ts";

/** Which reductions are on. */
export interface Reductions {
  /** Branch only where steps race; else at every step. */
  readonly sourceSets: boolean;
  /** Do not begin what a finished branch covers. */
  readonly sleepSets: boolean;
  /** Plant whole sequences, so that nothing is begun in vain. */
  readonly wakeupTrees: boolean;
}

/** All of them: optimal. */
export const ALL_REDUCTIONS: Reductions = { sourceSets: true, sleepSets: true, wakeupTrees: true };

/** A step planted at a node, and what is to follow it. A step that chooses is planted with each of its values. */
export class Branch {
  /** The first of what is to follow it; its next sibling. */
  child: Branch | null = null;
  next: Branch | null = null;
  /** It is being explored. */
  busy = false;
  /** Planted only because another value of the same step was: no sequence leads to it yet. */
  beside = false;
  constructor(
    readonly actor: number,
    readonly choice: number,
    readonly state: LocalState,
  ) {}
}

/** A branch as plain data, with its local state as what {@link DporPosition} is made of. */
export interface BranchPosition {
  readonly actor: number;
  readonly choice: number;
  readonly state: LocalState;
  readonly beside: boolean;
  readonly children: readonly BranchPosition[];
}

/** Where a search stands between two executions: enough to go on from there. As large as an execution is long. */
export interface DporPosition {
  /** What each step of the common prefix chose. */
  readonly choices: readonly number[];
  /** A node before each of those steps, whose first branch is the step, and the node where the search goes on. */
  readonly nodes: readonly {
    readonly sleep: number;
    readonly done: number;
    readonly branches: readonly BranchPosition[];
    readonly openedAt: number;
    readonly beganAt: number;
    readonly finished: number;
  }[];
  readonly counts: DporCounts;
}

/** What to do with each execution; false ends the search. */
export type Visitor = (execution: Execution, cut: boolean) => boolean;

export interface DporCounts {
  /** Executions that ran to their end. */
  executions: number;
  /** Executions cut off at the bound on steps. */
  cutOff: number;
  /** Executions that a sleep set stopped: work in vain. */
  sleepBlocked: number;
  /** Executions that belong to another part of the exploration (`orders.ts`): not counted, not visited. */
  elsewhere: number;
  /** Steps taken, those before a branch counted once. */
  steps: number;
  /** Races found and turned round. */
  races: number;
}

// Tables that steps change.
const LAST_WRITE = 0;
const READERS = 1;
const READ_AT = 2;
const LAST_RELEASE = 3;
const RELEASERS = 4;
const RELEASE_AT = 5;

const bit = (actor: number): number => 1 << actor;

/** The search. */
export class Dpor {
  readonly counts: DporCounts = { executions: 0, cutOff: 0, sleepBlocked: 0, elsewhere: 0, steps: 0, races: 0 };
  private readonly width: number;
  private clocks: Int32Array;
  private rows = 256;
  private readonly lastOf: Int32Array;
  private readonly previous: number[] = [];
  /** Step and actor tables of each place: last write; who read since, and when; the same for releases of locks. */
  private lastWrite = new Int32Array(0);
  private readers = new Int32Array(0);
  private readAt = new Int32Array(0);
  private lastRelease = new Int32Array(0);
  private releasers = new Int32Array(0);
  private releaseAt = new Int32Array(0);
  private placesKnown = 0;
  /** What restores those tables when a step is taken back: table, index and old value. */
  private log = new Int32Array(1 << 10);
  private logged = 0;
  private readonly logAt: number[] = [];

  private readonly sleep: number[] = [];
  private readonly done: number[] = [];
  /** First branch of each node. */
  private readonly branches: (Branch | null)[] = [];
  private readonly chosen: Branch[] = [];
  /** For the estimate: executions counted when a node was opened, and when its current branch began; branches done. */
  private readonly openedAt: number[] = [];
  private readonly beganAt: number[] = [];
  private readonly finished: number[] = [];

  private readonly raceFirst: number[] = [];
  private readonly raceSecond: number[] = [];
  private readonly racesAt: number[] = [];
  private races = 0;
  private racesDone = 0;

  /** At most one for each reader and each holder of a lock, and a few more. */
  private readonly candidates = new Int32Array(128);
  private candidateCount = 0;
  /** Steps, and which of them are taken out: as many as `sequenceLength`. */
  private sequence = new Int32Array(256);
  private gone = new Uint8Array(256);
  private sequenceLength = 0;
  private readonly first: Int32Array;

  constructor(
    private readonly execution: Execution,
    private readonly reductions: Reductions,
    private readonly stepsMax: number,
    private readonly visit: Visitor,
  ) {
    this.width = execution.tso ? 2 * BUFFER : execution.width;
    this.clocks = new Int32Array(this.rows * this.width);
    this.lastOf = new Int32Array(this.width).fill(-1);
    this.first = new Int32Array(this.width);
  }

  /**
   * Explores everything, or what is left.
   *
   * @param from - Where an exploration of the same program was stopped.
   * @returns false if the visitor ended it before all was done; {@link position} is then where to go on.
   */
  run(from: DporPosition | null = null): boolean {
    const { execution } = this;
    if (from === null) {
      this.sleep[0] = 0;
      this.done[0] = 0;
      this.branches[0] = null;
      this.openNode(0);
    } else this.goTo(from);
    for (;;) {
      let d = execution.depth;
      for (;;) {
        const branch = this.nextBranch(d);
        if (branch === null) break;
        this.descend(d, branch);
        d++;
        this.openNode(d);
      }
      const goOn = this.ended(d);
      this.turnRacesRound();
      if (!this.backtrack()) return true;
      if (!goOn) return false;
    }
  }

  /** Where the search stands, between two executions. */
  position(): DporPosition {
    const { depth, choiceOf } = this.execution;
    const nodes = Array.from({ length: depth + 1 }, (_, d) => ({
      sleep: this.sleep[d] as number,
      done: this.done[d] as number,
      branches: siblingsFrom(this.branches[d] as Branch | null),
      openedAt: this.openedAt[d] as number,
      beganAt: d < depth ? (this.beganAt[d] as number) : 0,
      finished: this.finished[d] as number,
    }));
    return { choices: choiceOf.slice(0, depth), nodes, counts: { ...this.counts } };
  }

  private goTo({ choices, nodes, counts }: DporPosition): void {
    const { execution } = this;
    Object.assign(this.counts, counts);
    for (const [d, node] of nodes.entries()) {
      const first = linked(node.branches);
      this.sleep[d] = node.sleep;
      this.done[d] = node.done;
      this.branches[d] = first;
      this.openedAt[d] = node.openedAt;
      this.beganAt[d] = node.beganAt;
      this.finished[d] = node.finished;
      if (d === choices.length || first === null) break;
      first.busy = true;
      this.chosen[d] = first;
      if ((execution.enabled() & bit(first.actor)) === 0) {
        throw new Error(`${execution.world.program.name} has changed since: step ${d} is not possible any more`);
      }
      execution.step(first.actor, choices[d] as number);
      this.enter(d);
    }
    // They were turned round when they were new.
    this.racesDone = this.races;
  }

  /**
   * How many executions there may be in all: what is still to be done at each node is taken to be as much as what is
   * done there on average. Branches that are planted later are not in it, so early on it is too low.
   */
  estimate(): number {
    let below = 1;
    for (let d = this.execution.depth - 1; d >= 0; d--) {
      const before = (this.beganAt[d] as number) - (this.openedAt[d] as number);
      let waiting = 0;
      for (let branch = (this.chosen[d] as Branch).next; branch !== null; branch = branch.next) waiting++;
      const known = before + below;
      below = known + (waiting * known) / ((this.finished[d] as number) + 1);
    }
    return Math.round(below);
  }

  private openNode(d: number): void {
    this.openedAt[d] = this.counts.executions;
    this.finished[d] = 0;
    if (this.branches[d] !== null || d >= this.stepsMax) return;
    const { execution } = this;
    let able = execution.enabled();
    if (this.reductions.sleepSets) able &= ~(this.sleep[d] as number);
    for (; able !== 0; able &= able - 1) {
      const actor = 31 - Math.clz32(able & -able);
      this.addBranch(d, new Branch(actor, 0, execution.pending(actor)));
      if (this.reductions.sourceSets) break;
    }
  }

  private nextBranch(d: number): Branch | null {
    return d >= this.stepsMax ? null : (this.branches[d] as Branch | null);
  }

  /** Adds a branch, the last to be taken, to the node at depth `d`. */
  private addBranch(d: number, branch: Branch): void {
    let last = this.branches[d] as Branch | null;
    withSiblings(branch);
    if (last === null) this.branches[d] = branch;
    else {
      while (last.next !== null) last = last.next;
      last.next = branch;
    }
  }

  private descend(d: number, branch: Branch): void {
    const { execution } = this;
    branch.busy = true;
    this.chosen[d] = branch;
    this.beganAt[d] = this.counts.executions;
    this.sleep[d + 1] = this.reductions.sleepSets ? this.sleepAfter(this.sleep[d] as number, branch.actor) : 0;
    execution.step(branch.actor, branch.choice);
    this.counts.steps++;
    this.enter(d);
    this.done[d + 1] = 0;
    this.branches[d + 1] = branch.child;
    branch.child = null;
  }

  /** Who of `asleep` does not notice the next step of `actor`. */
  private sleepAfter(asleep: number, actor: number): number {
    const state = this.execution.pending(actor);
    let left = 0;
    for (let rest = asleep; rest !== 0; rest &= rest - 1) {
      const sleeper = 31 - Math.clz32(rest & -rest);
      if (!this.dependent(actor, state, sleeper, this.execution.pending(sleeper))) left |= bit(sleeper);
    }
    return left;
  }

  /** The execution can go no further. @returns false to end the search. */
  private ended(d: number): boolean {
    const cut = this.execution.enabled() === 0 ? this.execution.beyondBound : d >= this.stepsMax;
    if (cut) this.counts.cutOff++;
    else if (this.execution.enabled() !== 0) {
      this.counts.sleepBlocked++;
      return true;
    } else if (this.belongsElsewhere()) {
      this.counts.elsewhere++;
      return true;
    } else this.counts.executions++;
    return this.visit(this.execution, cut);
  }

  /** Whether another part covers the execution: nothing but an order keeps a thread back, or an order says nothing here. */
  private belongsElsewhere(): boolean {
    const { orders } = this.execution;
    return (this.execution.enabledWithoutOrders() & orders.held) !== 0 || orders.missesAStep();
  }

  /** Goes back to the last step that has an alternative. @returns false if there is none. */
  private backtrack(): boolean {
    const { execution } = this;
    while (execution.depth > 0) {
      const d = execution.depth - 1;
      this.leave(d);
      execution.undo();
      const branch = this.chosen[d] as Branch;
      // The branch taken is always the first.
      const { next } = branch;
      this.branches[d] = next;
      this.finished[d] = (this.finished[d] as number) + 1;
      // A step that chooses is done with its last value, and its values stand next to each other.
      if (next !== null && next.actor === branch.actor) return true;
      this.done[d] = (this.done[d] as number) | bit(branch.actor);
      if (this.reductions.sleepSets) this.sleep[d] = (this.sleep[d] as number) | bit(branch.actor);
      if (next !== null) return true;
    }
    return false;
  }

  // --- Happens-before -----------------------------------------------------------------------------------------------

  private grow(d: number): void {
    if (d >= this.rows) {
      this.rows *= 2;
      const longer = new Int32Array(this.rows * this.width);
      longer.set(this.clocks);
      this.clocks = longer;
    }
    const { count } = this.execution.places;
    if (count <= this.placesKnown) return;
    const known = Math.max(64, 2 * count);
    const { width } = this;
    const extend = (table: Int32Array, size: number, fill: number) => {
      const longer = new Int32Array(size).fill(fill);
      longer.set(table);
      return longer;
    };
    this.lastWrite = extend(this.lastWrite, known, -1);
    this.lastRelease = extend(this.lastRelease, known, -1);
    this.readers = extend(this.readers, known, 0);
    this.releasers = extend(this.releasers, known, 0);
    this.readAt = extend(this.readAt, known * width, -1);
    this.releaseAt = extend(this.releaseAt, known * width, -1);
    this.placesKnown = known;
  }

  /** Whether step `e` happens before the step in row `row`. */
  private before(e: number, row: number): boolean {
    return (this.clocks[row * this.width + (this.execution.actorOf[e] as number)] as number) > e;
  }

  private join(row: number, e: number): void {
    const { clocks, width } = this;
    const to = row * width;
    const from = e * width;
    for (let i = 0; i < width; i++) {
      const there = clocks[from + i] as number;
      if (there > (clocks[to + i] as number)) clocks[to + i] = there;
    }
  }

  /** Takes step `d`, just made, into clocks and tables, and notes its races. */
  private enter(d: number): void {
    this.grow(d);
    this.logAt[d] = this.logged;
    this.racesAt[d] = this.races;
    const { execution, clocks, width } = this;
    const actor = execution.actorOf[d] as number;
    const state = execution.stateOf[d] as LocalState;
    const last = this.lastOf[actor] as number;
    this.previous[d] = last;
    this.lastOf[actor] = d;
    this.beginRow(d, actor, last, state);
    this.candidateCount = 0;
    this.meet(d, actor, state);
    this.noteRaces(d);
    clocks[d * width + actor] = d + 1;
  }

  /** The clock of an actor's next step as far as it is known without looking at what the step touches. */
  private beginRow(row: number, actor: number, last: number, state: LocalState): void {
    const { execution, clocks, width } = this;
    const base = row * width;
    if (last >= 0) clocks.copyWithin(base, last * width, last * width + width);
    else clocks.fill(0, base, base + width);
    const joins = execution.joinsOf[row];
    if (joins !== null && joins !== undefined) for (const e of joins) this.join(row, e);
    if (execution.tso && actor < BUFFER && state.waits) {
      const flushed = this.lastOf[BUFFER + actor] as number;
      if (flushed >= 0) this.join(row, flushed);
    }
    if ((execution.orders.later & bit(actor)) !== 0) this.joinOrders(row, actor);
  }

  /** What an order puts before a step does not race with it, nor does anything before that. */
  private joinOrders(row: number, actor: number): void {
    const { depth } = this.execution;
    const { taken, orders } = this.execution.orders;
    const nth = (taken[actor] as number) - (row < depth ? 1 : 0);
    for (const { earlier, later } of orders) {
      if (later.actor !== actor || later.nth !== nth) continue;
      let step = this.lastOf[earlier.actor] as number;
      for (let back = (taken[earlier.actor] as number) - 1 - earlier.nth; back > 0; back--)
        step = this.previous[step] as number;
      this.join(row, step);
    }
  }

  /** Looks at the places a step touches: what it races with, what it comes after; and enters it there. */
  private meet(d: number, actor: number, state: LocalState): void {
    const { execution } = this;
    switch (this.mannerOf(actor, state)) {
      case ACCESS:
        if (state.object >= 0) this.meetRead(d, actor, state.object);
        if (state.write) this.meetWrite(d, actor, state.place);
        else this.meetRead(d, actor, state.place);
        break;
      case INTO_OBJECT:
        this.meetRead(d, actor, state.object);
        break;
      case ACQUIRE:
        if (state.object >= 0) this.meetRead(d, actor, state.object);
        this.meetAcquire(d, actor, state);
        break;
      case RELEASE:
        if (state.write) this.put(LAST_RELEASE, state.place, d);
        else {
          this.put(RELEASE_AT, state.place * this.width + actor, d);
          this.put(RELEASERS, state.place, (this.releasers[state.place] as number) | bit(actor));
        }
        break;
      case GRACE_PERIOD:
        for (let t = 0; t < execution.positions.length; t++) {
          const place = execution.places.readerOf(t);
          this.grow(d);
          this.meetRead(d, actor, place);
        }
        break;
    }
  }

  /** A table entry, restored when the step is taken back. */
  private put(which: number, index: number, value: number): void {
    const table = this.table(which);
    if (this.logged + 3 > this.log.length) {
      const longer = new Int32Array(2 * this.log.length);
      longer.set(this.log);
      this.log = longer;
    }
    const { log } = this;
    log[this.logged++] = which;
    log[this.logged++] = index;
    log[this.logged++] = table[index] as number;
    table[index] = value;
  }

  private table(which: number): Int32Array {
    switch (which) {
      case LAST_WRITE:
        return this.lastWrite;
      case READERS:
        return this.readers;
      case READ_AT:
        return this.readAt;
      case LAST_RELEASE:
        return this.lastRelease;
      case RELEASERS:
        return this.releasers;
      default:
        return this.releaseAt;
    }
  }

  private candidate(e: number, d: number): void {
    if (e >= 0 && !this.before(e, d)) this.candidates[this.candidateCount++] = e;
  }

  private meetRead(d: number, actor: number, place: number): void {
    this.candidate(this.lastWrite[place] as number, d);
    this.put(READ_AT, place * this.width + actor, d);
    const readers = this.readers[place] as number;
    if ((readers & bit(actor)) === 0) this.put(READERS, place, readers | bit(actor));
  }

  private meetWrite(d: number, actor: number, place: number): void {
    for (let left = this.readers[place] as number; left !== 0; left &= left - 1) {
      const reader = 31 - Math.clz32(left & -left);
      if (reader !== actor) this.candidate(this.readAt[place * this.width + reader] as number, d);
    }
    this.candidate(this.lastWrite[place] as number, d);
    this.put(LAST_WRITE, place, d);
    this.put(READERS, place, 0);
  }

  private meetAcquire(d: number, actor: number, state: LocalState): void {
    const { place } = state;
    if (state.write) {
      for (let left = this.readers[place] as number; left !== 0; left &= left - 1) {
        const reader = 31 - Math.clz32(left & -left);
        this.candidate(this.readAt[place * this.width + reader] as number, d);
      }
      this.candidate(this.lastWrite[place] as number, d);
      this.put(LAST_WRITE, place, d);
      this.put(READERS, place, 0);
    } else {
      this.candidate(this.lastWrite[place] as number, d);
      this.put(READ_AT, place * this.width + actor, d);
      this.put(READERS, place, (this.readers[place] as number) | bit(actor));
    }
  }

  /** Of the candidates, those that no other comes after are races; the step happens after all of them. */
  private noteRaces(d: number): void {
    const { candidates, candidateCount, execution } = this;
    for (let i = 0; i < candidateCount; i++) {
      const e = candidates[i] as number;
      let last = true;
      for (let j = 0; j < candidateCount && last; j++) {
        const other = candidates[j] as number;
        if (other !== e && this.before(e, other)) last = false;
      }
      if (last && candidates.indexOf(e) === i) {
        this.raceFirst[this.races] = e;
        this.raceSecond[this.races++] = d;
      }
    }
    const state = execution.stateOf[d] as LocalState;
    if (this.mannerOf(execution.actorOf[d] as number, state) === ACQUIRE) this.joinReleases(d, state);
    for (let i = 0; i < candidateCount; i++) this.join(d, candidates[i] as number);
  }

  private joinReleases(row: number, state: LocalState): void {
    const { place } = state;
    const released = this.lastRelease[place] as number;
    if (released >= 0) this.join(row, released);
    if (!state.write) return;
    for (let left = this.releasers[place] as number; left !== 0; left &= left - 1) {
      const reader = 31 - Math.clz32(left & -left);
      this.join(row, this.releaseAt[place * this.width + reader] as number);
    }
  }

  private leave(d: number): void {
    const { log } = this;
    const from = this.logAt[d] as number;
    for (let i = this.logged - 3; i >= from; i -= 3) {
      this.table(log[i] as number)[log[i + 1] as number] = log[i + 2] as number;
    }
    this.logged = from;
    this.lastOf[this.execution.actorOf[d] as number] = this.previous[d] as number;
    this.races = this.racesAt[d] as number;
    if (this.racesDone > this.races) this.racesDone = this.races;
  }

  // --- Dependence ---------------------------------------------------------------------------------------------------

  /**
   * What a step is to others: under `tso` a store is silent until it is flushed, but for the object around it, which has
   * to be there already when the store is made. A load that its own store buffer serves counts as a load of memory all
   * the same: after the flush it would be one.
   */
  private mannerOf(actor: number, state: LocalState): number {
    if (!this.execution.tso || actor >= BUFFER || !state.isPlainStore) return state.manner;
    return state.object >= 0 ? INTO_OBJECT : SILENT;
  }

  private dependent(a: number, one: LocalState, b: number, other: LocalState): boolean {
    const left = this.mannerOf(a, one);
    const right = this.mannerOf(b, other);
    if (left === SILENT || right === SILENT) return false;
    if (left === INTO_OBJECT) return right !== INTO_OBJECT && other.write && other.place === one.object;
    if (right === INTO_OBJECT) return one.write && one.place === other.object;
    if (left === GRACE_PERIOD) return isReader(other);
    if (right === GRACE_PERIOD) return isReader(one);
    if (one.place === other.place) return one.write || other.write;
    return (one.object >= 0 && one.object === other.place) || (other.object >= 0 && other.object === one.place);
  }

  // --- Races turned round -------------------------------------------------------------------------------------------

  private turnRacesRound(): void {
    if (!this.reductions.sourceSets) return;
    for (; this.racesDone < this.races; this.racesDone++) {
      this.turnRound(this.raceFirst[this.racesDone] as number, this.raceSecond[this.racesDone] as number);
    }
    this.turnBlockedRound();
  }

  /** A thread that waits for a lock in the end could have been quicker than who holds it. */
  private turnBlockedRound(): void {
    const { execution } = this;
    const d = execution.depth;
    // Whom an order holds back, or whose stores, waits for that and not for the lock.
    const held = execution.orders.held | execution.buffered;
    const idle = execution.live & ~execution.asleep & ~execution.graceWait & ~execution.enabled() & ~held;
    for (let left = idle; left !== 0; left &= left - 1) {
      const actor = 31 - Math.clz32(left & -left);
      const state = execution.pending(actor);
      if (state.manner !== ACQUIRE) continue;
      this.grow(d);
      execution.actorOf[d] = actor;
      execution.stateOf[d] = state;
      execution.joinsOf[d] = execution.pendingJoins(actor);
      this.previous[d] = this.lastOf[actor] as number;
      this.beginRow(d, actor, this.previous[d] as number, state);
      this.candidateCount = 0;
      this.logAt[d] = this.logged;
      this.racesAt[d] = this.races;
      this.meetAcquire(d, actor, state);
      const racing = this.candidates.slice(0, this.candidateCount);
      const last = this.lastOf[actor] as number;
      this.leave(d);
      this.lastOf[actor] = last;
      for (const e of racing) this.turnRound(e, d);
    }
  }

  /** Plants the order in which step `i` comes before step `e`, where that is not covered yet. */
  private turnRound(e: number, i: number): void {
    const actors = this.collect(e, i);
    if (!this.lockComesFree(e, i)) return;
    // A source set alone has to hold one of the steps that could come first; a wakeup tree may rely on sleepers too.
    const asleep = (this.done[e] as number) | (this.reductions.wakeupTrees ? (this.sleep[e] as number) : 0);
    if (!this.coveredBy(asleep, e, i, actors) && this.plant(e, i, actors)) this.counts.races++;
  }

  /**
   * Whether nobody holds the lock any more that step `i` wants, once the sequence has come to it. Others may have held
   * it for reading at step `e`, and what lets go of it may come after that step.
   */
  private lockComesFree(e: number, i: number): boolean {
    const { execution, sequence, sequenceLength } = this;
    const { manner, write, place } = execution.stateOf[i] as LocalState;
    if (manner !== ACQUIRE || !write || (execution.stateOf[e] as LocalState).write) return true;
    let holders = 0;
    const meet = (k: number): void => {
      const state = execution.stateOf[k] as LocalState;
      if (state.place !== place) return;
      const actor = (execution.actorOf[k] as number) % (execution.tso ? BUFFER : ACTORS_MAX);
      if (state.manner === ACQUIRE) holders |= bit(actor);
      else if (state.manner === RELEASE && this.mannerOf(execution.actorOf[k] as number, state) === RELEASE) {
        holders &= ~bit(actor);
      }
    };
    for (let k = 0; k < e; k++) meet(k);
    for (let j = 0; j < sequenceLength; j++) if (sequence[j] !== i) meet(sequence[j] as number);
    return holders === 0;
  }

  /** Whether a sleeper at the node before step `e` could take its step first in the sequence, or goes along with it. */
  private coveredBy(asleep: number, e: number, i: number, actors: number): boolean {
    for (let left = asleep; left !== 0; left &= left - 1) {
      const actor = 31 - Math.clz32(left & -left);
      if ((actors & bit(actor)) !== 0) {
        if (this.isInitial(this.first[actor] as number, i, actors)) return true;
      } else if (this.reductions.wakeupTrees && this.independentOfAll(actor, this.nextOf(actor, e))) return true;
    }
    return false;
  }

  private branchOf(k: number): Branch {
    const { execution } = this;
    const actor = execution.actorOf[k] as number;
    const choice = k < execution.depth ? (execution.choiceOf[k] as number) : 0;
    return new Branch(actor, choice, execution.stateOf[k] as LocalState);
  }

  /** The steps after `e` that do not happen after it, then `i`. @returns their actors as bits. */
  private collect(e: number, i: number): number {
    this.sequenceLength = 0;
    this.gone.fill(0);
    let actors = 0;
    // Where only the first step is planted, what comes after the race is of no use.
    const end = this.reductions.wakeupTrees ? this.execution.depth : i;
    for (let k = e + 1; k < end; k++) if (k !== i && !this.before(e, k)) actors = this.append(k, actors);
    return this.append(i, actors);
  }

  private append(k: number, actors: number): number {
    const actor = this.execution.actorOf[k] as number;
    if ((actors & bit(actor)) === 0) this.first[actor] = this.sequenceLength;
    if (this.sequenceLength === this.sequence.length) {
      const longer = new Int32Array(2 * this.sequence.length);
      longer.set(this.sequence);
      this.sequence = longer;
      this.gone = new Uint8Array(longer.length);
    }
    this.sequence[this.sequenceLength++] = k;
    return actors | bit(actor);
  }

  /** Whether the step at `index` of the sequence could come first in it. `actors` are those with steps left. */
  private isInitial(index: number, i: number, actors: number): boolean {
    const { execution, sequence, first } = this;
    const k = sequence[index] as number;
    const own = execution.actorOf[k] as number;
    // What the second step of a race for a lock comes after because of the release is not in the sequence.
    const lock = k === i && (execution.stateOf[k] as LocalState).manner === ACQUIRE;
    const row = lock ? (this.previous[k] as number) : k;
    for (let left = actors & ~bit(own); left !== 0; left &= left - 1) {
      const actor = 31 - Math.clz32(left & -left);
      const f = sequence[first[actor] as number] as number;
      if (row >= 0 && this.before(f, row)) return false;
    }
    return !lock || !this.meetsLock(index, k);
  }

  /** Whether an earlier step of the sequence takes the same lock. */
  private meetsLock(index: number, k: number): boolean {
    const { execution, sequence, gone } = this;
    const state = execution.stateOf[k] as LocalState;
    const actor = execution.actorOf[k] as number;
    for (let j = 0; j < index; j++) {
      if (gone[j] === 1) continue;
      const other = sequence[j] as number;
      const owner = execution.actorOf[other] as number;
      if (owner !== actor && this.dependent(owner, execution.stateOf[other] as LocalState, actor, state)) return true;
    }
    return false;
  }

  /** The next step of an actor as it stood before step `e`. */
  private nextOf(actor: number, e: number): LocalState {
    const { execution } = this;
    for (let k = e; k < execution.depth; k++) {
      if (execution.actorOf[k] === actor) return execution.stateOf[k] as LocalState;
    }
    return execution.pending(actor);
  }

  private independentOfAll(actor: number, state: LocalState): boolean {
    const { execution, sequence, sequenceLength, gone } = this;
    for (let j = 0; j < sequenceLength; j++) {
      if (gone[j] === 1) continue;
      const k = sequence[j] as number;
      const other = execution.actorOf[k] as number;
      if (this.dependent(actor, state, other, execution.stateOf[k] as LocalState)) return false;
    }
    return true;
  }

  /**
   * Plants what is left of the sequence below the branch of node `e` that it goes along with furthest.
   *
   * @returns false if all of it was planted already.
   */
  private plant(e: number, i: number, actorsAtFirst: number): boolean {
    const { sequence, sequenceLength, gone, first } = this;
    let actors = actorsAtFirst;
    let left = sequenceLength;
    let parent: Branch | null = null;
    let branch = this.branches[e] as Branch | null;
    while (branch !== null) {
      const { actor } = branch;
      if (branch.busy || !this.goesAlong(branch, i, actors)) {
        branch = branch.next;
        continue;
      }
      if ((actors & bit(actor)) !== 0) {
        const index = first[actor] as number;
        gone[index] = 1;
        left--;
        actors = this.advance(actor, index, actors);
      }
      if (left === 0 || (branch.child === null && !branch.beside)) return false;
      branch.beside = false;
      parent = branch;
      branch = branch.child;
    }
    for (let j = 0; j < sequenceLength; j++) {
      if (gone[j] === 1) continue;
      const planted = this.branchOf(sequence[j] as number);
      if (parent === null) this.addBranch(e, planted);
      else addChild(parent, planted);
      if (!this.reductions.wakeupTrees) break;
      parent = planted;
    }
    return true;
  }

  /** Whether the step of a branch could come first in what is left of the sequence. */
  private goesAlong(branch: Branch, i: number, actors: number): boolean {
    const { actor } = branch;
    if ((actors & bit(actor)) === 0) return this.reductions.wakeupTrees && this.independentOfAll(actor, branch.state);
    const index = this.first[actor] as number;
    if (!this.isInitial(index, i, actors)) return false;
    return branch.state.kind !== CHOOSE || branch.choice === this.execution.choiceOf[this.sequence[index] as number];
  }

  /** The step at `index` is taken out of the sequence. */
  private advance(actor: number, index: number, actors: number): number {
    const { sequence, sequenceLength, gone, first, execution } = this;
    for (let j = index + 1; j < sequenceLength; j++) {
      if (gone[j] === 0 && execution.actorOf[sequence[j] as number] === actor) {
        first[actor] = j;
        return actors;
      }
    }
    return actors & ~bit(actor);
  }
}

/** Puts the other values of a step that chooses next to it. */
function withSiblings(planted: Branch): void {
  const { actor, choice, state } = planted;
  if (state.kind !== CHOOSE) return;
  for (let other = state.value - 1; other >= 0; other--) {
    if (other === choice) continue;
    const sibling = new Branch(actor, other, state);
    sibling.beside = true;
    sibling.next = planted.next;
    planted.next = sibling;
  }
}

function addChild(parent: Branch, branch: Branch): void {
  withSiblings(branch);
  let last = parent.child;
  if (last === null) parent.child = branch;
  else {
    while (last.next !== null) last = last.next;
    last.next = branch;
  }
}

/** A branch and those after it. */
function siblingsFrom(first: Branch | null): BranchPosition[] {
  const siblings: BranchPosition[] = [];
  for (let branch = first; branch !== null; branch = branch.next) {
    const { actor, choice, state, beside } = branch;
    siblings.push({ actor, choice, state, beside, children: siblingsFrom(branch.child) });
  }
  return siblings;
}

function linked(siblings: readonly BranchPosition[]): Branch | null {
  let next: Branch | null = null;
  for (let i = siblings.length - 1; i >= 0; i--) {
    const { actor, choice, state, beside, children } = siblings[i] as BranchPosition;
    const branch = new Branch(actor, choice, state);
    branch.beside = beside;
    branch.child = linked(children);
    branch.next = next;
    next = branch;
  }
  return next;
}

/** Manner of a store to an object that goes into a store buffer. */
const INTO_OBJECT = 16;

const isReader = (state: LocalState): boolean => state.kind === RCU_READ_LOCK || state.kind === RCU_READ_UNLOCK;
