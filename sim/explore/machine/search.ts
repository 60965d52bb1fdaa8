/**
 * Search over the states of a program, round by round: round n goes through the states that n preemptions are needed for.
 *
 * CPUs are taken to run one at a time. Whoever took the last step goes on for free; that another goes on although it
 * could is a *preemption*, whether on its own CPU or on another. Where it cannot (it waits for a lock, sleeps, has
 * ended), who is next is free to choose. So is the value of a `choose`, and an interrupt that sends a task from user
 * mode to its work, and a store that leaves its store buffer.
 *
 * Within a round only free choices are taken, depth first; those that are a preemption are left to the next round (as in
 * Musuvathi and Qadeer, 2007). So each state is visited in the round of the fewest preemptions that lead to it, and
 * its choices are taken once. What comes out does not depend on the order in which this is done, nor on how many
 * searches share the work.
 */
import { endOfWorld } from "../../checks/end.ts";
import type { Context } from "../../context.ts";
import type { Cpu } from "../../cpu.ts";
import {
  eventArgument,
  eventCpu,
  eventType,
  FLUSH,
  INTERRUPT,
  PREEMPT,
  SOFTIRQ,
  STEP,
  SWITCH,
  TIMER,
} from "../../event.ts";
import { type Finding, findingKey } from "../../finding.ts";
import { CHOOSE } from "../../op.ts";
import { CannotExplore, type ExploringMachine, type Saved } from "./exploringMachine.ts";
import type { Footprints } from "./footprints.ts";
import { packWay, START, type States, wayEvent } from "./states.ts";
import { Ways } from "./ways.ts";
import type { Item, Work } from "./work.ts";

/** Cost of an event that need not be tried. */
const EXCLUDED = 100;

/** A finding, and every way that shows it with as few preemptions as any. */
export interface Sighting {
  readonly key: string;
  /** As it was first seen; addresses and numbers in its title may differ from way to way. */
  readonly finding: Finding;
  readonly preemptions: number;
  /** Times it was come upon, by different ways. */
  count: number;
  /** Pairs: the state that was gone on from, and the way, up to and including the step of the finding. */
  readonly at: number[];
}

/** A state with choices not yet taken. */
interface Branch {
  readonly state: number;
  readonly preempting: boolean;
  readonly saved: Saved;
  readonly events: readonly number[];
  next: number;
  /** Who took the last step. */
  readonly last: Context | null;
  readonly runner: Context | null;
  readonly switches: number;
  /** Part of the round that each choice is. */
  readonly weight: number;
}

/** A state on the way to where a round goes on from. */
interface Stop {
  readonly state: number;
  readonly saved: Saved;
  readonly last: Context | null;
  readonly used: number;
  readonly runner: Context | null;
  readonly switches: number;
}

export interface SearchOptions {
  /** Preemptions at most; infinity for any number. */
  readonly preemptions: number;
  /** Context switches at most, of whatever kind; infinity for any number. */
  readonly switches: number;
  /** Whether states visited before are passed by. */
  readonly caches: boolean;
  /** What is known of who accesses what, so that there is no choice before an op that nobody else notices; or null. */
  readonly footprints: Footprints | null;
}

/** One search; several may share the states and the work. */
export class Search {
  /** Runs to an end: of the world, of the machine, at a bound, or at a state visited before. */
  executions = 0;
  /** Events that were made to happen; what it took to get to where others had been before does not count. */
  steps = 0;
  /** Runs cut off at the bound on steps. */
  cutOff = 0;
  /** Some schedule was left out for its preemptions. */
  bounded = false;
  /** Some schedule was left out for its context switches. */
  switchBounded = false;
  /** Runs cut off at the bound on rounds of a loop. */
  loopCut = 0;
  /** Some choice was left to the next round. */
  deferred = false;
  /** Runs in this round. */
  runs = 0;
  /**
   * How much of the round is done, from 0 to 1: each choice at a state is an equal part of what the state is. So a run is
   * as much as the chance that it has if every choice is made at random; runs / done is what Kilby, Slaney, Thiébaux and
   * Walsh (2006) call the weighted backtrack estimate of all runs. Where some choices lead to much more than others it
   * is no more than a guess, and mostly too high: what was visited before takes less time the more there is of it.
   */
  done = 0;
  readonly sightings = new Map<string, Sighting>();
  /** Hashes of the states in which the world ended. */
  readonly ends = new Set<string>();
  /** Every way to a state with as few preemptions as any, but for the first, which stands with the state. */
  readonly ways = new Ways();
  private readonly branches: Branch[] = [];
  private readonly path: Stop[];
  private readonly onPath = new Set<number>();
  private items: Item[] = [];
  private chunk: [number, number] = [0, 0];
  private round = 0;
  private firstOfRound = 0;
  private last: Context | null = null;
  private used = 0;
  /** Who has run last, and how often that has changed: as far as context switches are counted. */
  private runner: Context | null = null;
  private switches = 0;
  private seen = 0;
  // The way being gone: from which state, by which event, since when, and what part of the round it is.
  private from = START;
  private by = 0;
  private since = 0;
  private weight = 0;
  /** Getting to where somebody was before. */
  private walking = false;
  /** What is walked to; null once it is seen. */
  private wanted: string | null = null;
  private readonly costs: number[] = [];
  private free = 0;
  private preempting = 0;

  /** @param machine - In the state to begin with. */
  constructor(
    private readonly machine: ExploringMachine,
    private readonly states: States,
    private readonly work: Work,
    private readonly options: SearchOptions,
  ) {
    this.path = [{ state: START, saved: machine.save(), last: null, used: 0, runner: null, switches: 0 }];
    this.onPath.add(START);
  }

  /**
   * A round begins.
   *
   * @param firstOfRound - The first number that a state of this round may have.
   * @param items - What this search begins with, besides the work that is shared.
   */
  beginRound(round: number, firstOfRound: number, items: readonly Item[]): void {
    this.round = round;
    this.firstOfRound = firstOfRound;
    this.items = [...items];
    this.chunk = [0, 0];
    this.bounded = false;
    this.deferred = false;
    this.runs = 0;
    this.done = 0;
    this.states.beginBlock();
  }

  /**
   * Goes on for `executions` runs.
   *
   * @returns whether there is more to do, here and now.
   */
  advance(executions: number): boolean {
    const { work, branches } = this;
    const until = this.executions + executions;
    while (this.executions < until) {
      const branch = branches[branches.length - 1];
      if (branch === undefined) {
        if (!this.nextWork()) return false;
      } else if (branch.next === branch.events.length) branches.pop();
      else {
        this.take(branch);
        if (work.isWanted) this.share();
        if (this.states.full) return false;
      }
    }
    return true;
  }

  /** All that this search has still to do of the round. Between two calls of {@link advance}. */
  left(): Item[] {
    const items = [...this.items];
    for (const { state, preempting, next, events, weight } of this.branches) {
      if (next < events.length) items.push({ state, preempting, from: next, weight: weight * (events.length - next) });
    }
    const weight = this.weightOfState();
    for (let state = this.chunk[0]; state < this.chunk[1]; state++) {
      if (this.states.exists(state)) items.push({ state, preempting: true, from: 0, weight });
    }
    return items;
  }

  /** States of the round before are equal parts of the round. */
  private weightOfState(): number {
    return 1 / Math.max(1, this.roundSize);
  }

  /** States that the round begins with. */
  roundSize = 1;

  // --- What to do next ----------------------------------------------------------------------------------------------

  /** Finds choices to take. @returns false if there are none. */
  private nextWork(): boolean {
    const item = this.items.pop();
    if (item !== undefined) {
      this.open(item);
      return true;
    }
    while (this.chunk[0] === this.chunk[1]) {
      const states = this.work.nextStates();
      if (states === null) return false;
      this.chunk = [...states];
    }
    const state = this.chunk[0]++;
    if (this.states.exists(state)) this.open({ state, preempting: true, from: 0, weight: this.weightOfState() });
    return true;
  }

  /** Does what another has left or given. */
  accept(item: Item): void {
    this.items.push(item);
  }

  /** Gives its oldest choices to somebody who has nothing to do, if it has others. */
  private share(): void {
    const { branches } = this;
    const last = branches.length - 1;
    for (let i = 0; i < last; i++) {
      const branch = branches[i] as Branch;
      const { state, preempting, next, events, weight } = branch;
      const left = events.length - next;
      if (left === 0) continue;
      if (this.work.give({ state, preempting, from: next, weight: weight * left })) branch.next = events.length;
      return;
    }
  }

  private open({ state, preempting, from, weight }: Item): void {
    if (state === START) {
      this.back(this.path[0] as Stop, START);
      this.setOut(START, 0, weight);
      this.run();
      return;
    }
    this.goTo(state);
    const { saved, last, runner, switches } = this.path[this.path.length - 1] as Stop;
    const events = this.choices(preempting ? 1 : 0);
    const left = events.length - from;
    if (left === 0) this.done += weight;
    else {
      const branch = { state, preempting, saved, events, next: from, last, runner, switches, weight: weight / left };
      this.branches.push(branch);
    }
  }

  // --- Getting to a state that was visited ----------------------------------------------------------------------------

  /** Goes to a state by the way that stands with it; what is possible there is weighed. */
  private goTo(state: number): void {
    const { states, path, onPath, machine } = this;
    const ahead: number[] = [];
    let at = state;
    for (; !onPath.has(at); at = states.parent(at)) ahead.push(at);
    for (let top = path[path.length - 1] as Stop; top.state !== at; top = path[path.length - 1] as Stop) {
      onPath.delete(top.state);
      path.pop();
    }
    this.back(path[path.length - 1] as Stop, at);
    this.walking = true;
    if (at !== START) this.weigh(machine.collect());
    for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
      if (at !== START) this.walk(wayEvent(states.way(next)));
      if (!this.goOn()) throw new Error("[sim bug] a way that was gone before leads nowhere");
      at = next;
      const { last, used, runner, switches } = this;
      path.push({ state: at, saved: machine.save(), last, used, runner, switches });
      onPath.add(at);
    }
    this.walking = false;
  }

  private back({ saved, last, used, runner, switches }: Stop, at: number): void {
    this.machine.restore(saved);
    this.runner = runner;
    this.switches = switches;
    this.last = last;
    this.used = used;
    this.seen = 0;
    this.from = at;
  }

  /** Makes an event happen that is one of those weighed. */
  private walk(event: number): void {
    const { machine, costs } = this;
    for (let i = 0; i < machine.eventCount; i++) if (machine.events[i] === event) this.used += costs[i] as number;
    this.apply(event);
  }

  /**
   * The schedule that leads to states, the last of which shows a finding.
   *
   * @param way - What happens at each state on the way, from the first on; the last is that of the finding.
   */
  scheduleOf(way: readonly number[], key: string): { readonly schedule: Int32Array; readonly finding: Finding } {
    const { machine } = this;
    this.back(this.path[0] as Stop, START);
    this.walking = true;
    this.wanted = key;
    let more = this.goOn();
    for (const event of way) {
      if (!more) break;
      this.walk(event);
      more = this.goOn();
    }
    this.walking = false;
    const finding = machine.findings.find((one) => findingKey(one) === key);
    if (this.wanted !== null || finding === undefined) throw new Error(`[sim bug] the way to ${key} does not show it`);
    return { schedule: machine.schedule.slice(0, machine.steps), finding };
  }

  // --- Going on -----------------------------------------------------------------------------------------------------

  /** Takes the next choice of a branch, and runs to an end. */
  private take(branch: Branch): void {
    this.machine.restore(branch.saved);
    this.seen = 0;
    this.last = branch.last;
    this.runner = branch.runner;
    this.switches = branch.switches;
    this.used = this.round;
    const event = branch.events[branch.next++] as number;
    this.setOut(branch.state, event, branch.weight);
    this.apply(event);
    this.run();
  }

  private setOut(from: number, by: number, weight: number): void {
    this.from = from;
    this.by = by;
    this.since = this.machine.steps;
    this.weight = weight;
  }

  /** Runs on to an end, leaving a branch wherever there are free choices. */
  private run(): void {
    const { machine } = this;
    while (this.goOn()) {
      const state = this.visit();
      if (state >= 0) break;
      if (this.preempting > 0) this.deferred = true;
      if (this.free === 0) break;
      const { last, weight, free, runner, switches } = this;
      let event: number;
      if (free === 1) {
        event = machine.events[this.costs.indexOf(0)] as number;
        this.setOut(-state, event, weight);
      } else {
        const events = this.choices(0);
        event = events[0] as number;
        const saved = machine.save();
        const branch = { state: -state, preempting: false, saved, events, next: 1, last, runner, switches };
        this.branches.push({ ...branch, weight: weight / free });
        this.setOut(-state, event, weight / free);
      }
      this.apply(event);
    }
    this.executions++;
    this.runs++;
    this.done += this.weight;
  }

  /** Notes a visit: the state's number if it was visited before, minus its number if not, 0 where nothing is kept. */
  private visit(): number {
    const { machine, states, from } = this;
    const way = packWay(this.by, machine.steps - this.since);
    if (!this.options.caches) return states.add(from, way);
    machine.mark();
    const { lo, hi } = machine.fingerprint(this.identity());
    const state = states.visit(lo, hi, from, way);
    if (state >= this.firstOfRound) this.ways.add(from, state, way);
    return state;
  }

  /** What tells two states of the machine apart for this search: who took the last step, and what is left of a bound. */
  private identity(): number {
    const { last, runner, switches } = this;
    if (this.options.switches === Number.POSITIVE_INFINITY) return last === null ? -1 : last.index;
    return ((last?.index ?? -1) + 1) | (((runner?.index ?? -1) + 1) << 11) | (switches << 22);
  }

  /**
   * Goes on to where there is a choice.
   *
   * @returns false if the run ends before.
   */
  private goOn(): boolean {
    const { machine } = this;
    const { stepsMax } = machine.options;
    for (;;) {
      if (machine.findings.length > this.seen && this.note()) return false;
      if (machine.stopped) return false;
      if (machine.beyondLoop) {
        this.loopCut++;
        return false;
      }
      const count = machine.collect();
      if (count === 0) {
        this.end();
        return false;
      }
      if (machine.steps >= stepsMax) {
        this.cutOff++;
        return false;
      }
      const quiet = this.quietEvent(count);
      if (quiet >= 0) {
        this.apply(quiet);
        continue;
      }
      this.weigh(count);
      if (this.free !== 1 || this.preempting > 0) return this.free + this.preempting > 0;
      this.apply(machine.events[this.costs.indexOf(0)] as number);
    }
  }

  private end(): void {
    const { machine } = this;
    if (!this.walking) {
      machine.mark();
      const { lo, hi } = machine.fingerprint(-1);
      this.ends.add(`${lo} ${hi}`);
    }
    endOfWorld(machine);
    this.note();
  }

  /** An event before which there need be no choice; -1 if there is none. */
  private quietEvent(count: number): number {
    const { footprints } = this.options;
    if (footprints === null) return -1;
    const { machine, last } = this;
    for (let i = 0; i < count; i++) {
      const event = machine.events[i] as number;
      const type = eventType(event);
      if (type !== STEP && type !== FLUSH) continue;
      const cpu = machine.cpus[eventCpu(event)] as Cpu;
      if (type === FLUSH) {
        if (footprints.isQuietFlush(cpu)) return event;
        continue;
      }
      // Only who took the last step can go on for nothing.
      if (cpu.active() === last && last !== null && footprints.isQuiet(cpu, last)) return event;
    }
    return -1;
  }

  /** Fills in what each event costs, and how many there are of each kind. */
  private weigh(count: number): void {
    const { machine, costs } = this;
    const goesOn = this.canGoOn(count);
    const left = this.options.preemptions - this.used;
    // Which value is chosen is nobody else's concern: there is no choice here but that.
    const chooses = goesOn && this.options.footprints !== null && this.last?.kind === CHOOSE;
    this.free = 0;
    this.preempting = 0;
    costs.length = count;
    for (let i = 0; i < count; i++) {
      const event = machine.events[i] as number;
      if (chooses && !this.isOwn(event)) {
        costs[i] = EXCLUDED;
        continue;
      }
      if (this.switches >= this.options.switches && this.isSwitch(event)) {
        costs[i] = EXCLUDED;
        if (!this.walking) this.switchBounded = true;
        continue;
      }
      const cost = this.cost(event, goesOn);
      costs[i] = cost;
      if (cost === 0) this.free++;
      else if (left > 0) this.preempting++;
      else if (!this.walking) this.bounded = true;
    }
  }

  /** The events of a cost, of those weighed. */
  private choices(cost: number): number[] {
    const { machine, costs } = this;
    const events: number[] = [];
    for (let i = 0; i < costs.length; i++) if (costs[i] === cost) events.push(machine.events[i] as number);
    if (events.some((event) => event > 0xffff)) throw new CannotExplore("a choice of more than 500 values");
    return events;
  }

  private canGoOn(count: number): boolean {
    const { machine, last } = this;
    if (last === null) return false;
    for (let i = 0; i < count; i++) {
      const event = machine.events[i] as number;
      if (eventType(event) === STEP && machine.cpus[eventCpu(event)]?.active() === last) return true;
    }
    return false;
  }

  private cost(event: number, goesOn: boolean): number {
    const type = eventType(event);
    if (type === PREEMPT) return 1;
    if (!goesOn || type === FLUSH) return 0;
    return this.isOwn(event) ? 0 : 1;
  }

  /** Whether another runs after an event than before it. */
  private isSwitch(event: number): boolean {
    const { machine, runner } = this;
    switch (eventType(event)) {
      case SOFTIRQ:
        return true;
      case SWITCH:
        return runner !== null && machine.contexts[eventArgument(event)] !== runner;
      case STEP:
      case INTERRUPT:
        return runner !== null && machine.cpus[eventCpu(event)]?.active() !== runner;
      default:
        return false;
    }
  }

  /** Whether whoever took the last step goes on with `event`. */
  private isOwn(event: number): boolean {
    const type = eventType(event);
    return (type === STEP || type === INTERRUPT) && this.machine.cpus[eventCpu(event)]?.active() === this.last;
  }

  private apply(event: number): void {
    const { machine } = this;
    const cpu = machine.cpus[eventCpu(event)];
    const type = eventType(event);
    if (type === SWITCH) this.last = machine.contexts[eventArgument(event)] as Context;
    else if (type === PREEMPT) this.last = null;
    else if (type !== TIMER && type !== SOFTIRQ && type !== FLUSH) this.last = cpu?.active() ?? null;
    const { footprints, switches } = this.options;
    if (switches !== Number.POSITIVE_INFINITY && this.isSwitch(event)) this.switches++;
    footprints?.record(event);
    machine.footprints = footprints;
    machine.apply(event);
    machine.footprints = null;
    if (type === SOFTIRQ && cpu?.softirq != null) this.last = cpu.softirq;
    if (type !== PREEMPT && type !== TIMER && this.last !== null) this.runner = this.last;
    if (!this.walking) this.steps++;
  }

  /** Takes down what was found since the last time. @returns whether it is what was walked to. */
  private note(): boolean {
    const { machine } = this;
    for (; this.seen < machine.findings.length; this.seen++) {
      const finding = machine.findings[this.seen] as Finding;
      const key = findingKey(finding);
      if (this.walking) {
        if (key !== this.wanted) continue;
        this.wanted = null;
        return true;
      }
      let known = this.sightings.get(key);
      if (known === undefined) {
        known = { key, finding, preemptions: this.round, count: 0, at: [] };
        this.sightings.set(key, known);
      }
      known.count++;
      if (known.preemptions === this.round) known.at.push(this.from, packWay(this.by, machine.steps - this.since));
    }
    return false;
  }
}
