/**
 * Depth-first search over the schedules of a program with at most so many preemptions.
 *
 * CPUs are taken to run one at a time. Whoever took the last step goes on for free; that another goes on although it
 * could is a *preemption*, whether on its own CPU or on another. Where it cannot (it waits for a lock, sleeps, has
 * ended), who is next is free to choose. So is the value of a `choose`, and an interrupt that sends a task from user
 * mode to its work.
 *
 * Every state in which there is a choice is looked up among those visited; if it was visited with as many preemptions
 * left, what follows is known.
 */
import { endOfWorld } from "../../checks/end.ts";
import type { Context } from "../../context.ts";
import type { Cpu } from "../../cpu.ts";
import { eventArgument, eventCpu, eventType, INTERRUPT, PREEMPT, SOFTIRQ, STEP, SWITCH, TIMER } from "../../event.ts";
import { type Finding, findingKey } from "../../finding.ts";
import { CHOOSE } from "../../op.ts";
import type { ExploringMachine, Saved } from "./exploringMachine.ts";
import type { Footprints } from "./footprints.ts";
import { Visited, type VisitedAside } from "./visited.ts";

/** Preemptions that stand for any number. */
export const UNBOUNDED = 126;

/** Index of the softirq context of CPU 0, see machine.ts. */
const FIRST_SOFTIRQ = 1000;

/** Cost of an event that need not be tried. */
const EXCLUDED = 100;

/** A finding, with the first schedule that showed it. */
export interface ExploredFinding {
  readonly key: string;
  readonly finding: Finding;
  /** Up to and including the step of the finding. */
  readonly schedule: Int32Array;
  /** Preemptions in it. */
  readonly preemptions: number;
  /** Times it was come upon, by different ways. */
  count: number;
}

/** A state with events not yet tried. */
interface Branch {
  readonly saved: Saved;
  readonly events: Int32Array;
  readonly costs: Int8Array;
  next: number;
  /** Who took the last step. */
  readonly last: Context | null;
  readonly used: number;
}

export interface SearchOptions {
  /** Preemptions at most; {@link UNBOUNDED} for any number. */
  readonly preemptions: number;
  /** Whether states visited before are passed by. */
  readonly caches: boolean;
  /** States remembered at most; a power of 2. */
  readonly statesMax: number;
  /** What is known of who accesses what, so that there is no choice before an op that nobody else notices; or null. */
  readonly footprints: Footprints | null;
}

/** A search that was put aside: plain data. */
export interface SearchAside {
  readonly begun: boolean;
  readonly executions: number;
  readonly steps: number;
  readonly cutOff: number;
  readonly bounded: boolean;
  /** The events up to the newest branch. */
  readonly schedule: readonly number[];
  readonly ends: readonly string[];
  readonly branches: readonly BranchAside[];
  readonly visited: VisitedAside;
}
interface BranchAside {
  /** Events before it. */
  readonly at: number;
  readonly events: readonly number[];
  readonly costs: readonly number[];
  readonly next: number;
  /** Index of who took the last step: of a task, of a CPU's softirq as 1000 and the CPU, -1 for nobody. */
  readonly last: number;
  readonly used: number;
}

/** One search. */
export class Search {
  /** Runs to an end: of the world, of the machine, at the bound on steps, or at a state visited before. */
  executions = 0;
  /** Events that were made to happen. */
  steps = 0;
  /** Runs cut off at the bound on steps. */
  cutOff = 0;
  /** Some schedule was left out for its preemptions. */
  bounded = false;
  readonly findings = new Map<string, ExploredFinding>();
  /** Hashes of the states in which the world ended. */
  readonly ends = new Set<string>();
  private readonly visited: Visited;
  private readonly branches: Branch[] = [];
  private last: Context | null = null;
  private used = 0;
  private seen = 0;
  private begun = false;
  private readonly costs: number[] = [];

  /** @param machine - In the state to begin with. */
  constructor(
    private readonly machine: ExploringMachine,
    private readonly options: SearchOptions,
  ) {
    this.visited = new Visited(options.statesMax);
  }

  /** Distinct states in which there was a choice. */
  get states(): number {
    return this.visited.added;
  }

  /** Events of the branches on the way that are still to be tried: each is a run, and may lead to more branches. */
  get open(): number {
    let open = 0;
    for (const { events, next } of this.branches) open += events.length - next;
    return open;
  }

  /**
   * Goes on for `executions` runs.
   *
   * @returns whether there is more to do.
   */
  advance(executions: number): boolean {
    const until = this.executions + executions;
    if (!this.begun) {
      this.begun = true;
      this.run();
    }
    while (this.executions < until) {
      if (!this.backtrack()) {
        return false;
      }
      this.run();
    }
    return true;
  }

  /** All that it takes to go on later. Between two calls of {@link advance}. */
  putAside(): SearchAside {
    const { executions, steps, cutOff, bounded, machine } = this;
    const branches = this.branches.map(({ saved, events, costs, next, last, used }) => ({
      at: saved.steps,
      events: [...events],
      costs: [...costs],
      next,
      last: last === null ? -1 : last.index,
      used,
    }));
    const schedule = [...machine.schedule.subarray(0, branches[branches.length - 1]?.at ?? 0)];
    return {
      begun: this.begun,
      executions,
      steps,
      cutOff,
      bounded,
      schedule,
      ends: [...this.ends],
      branches,
      visited: this.visited.putAside(),
    };
  }

  /** Goes on where another search of the same program was put aside. */
  takeUp(aside: SearchAside): void {
    const { machine } = this;
    this.executions = aside.executions;
    this.steps = aside.steps;
    this.cutOff = aside.cutOff;
    this.bounded = aside.bounded;
    this.visited.takeUp(aside.visited);
    this.begun = aside.begun;
    for (const end of aside.ends) this.ends.add(end);
    for (const { at, events, costs, next, last, used } of aside.branches) {
      while (machine.steps < at) machine.apply(aside.schedule[machine.steps] as number);
      const saved = machine.save();
      const who = last < 0 ? null : (machine.contexts[last] ?? machine.cpus[last - FIRST_SOFTIRQ]?.softirq ?? null);
      const tried = { saved, events: Int32Array.from(events), costs: Int8Array.from(costs), next, last: who, used };
      this.branches.push(tried);
    }
  }

  /** Takes the next event of the newest branch that has one. */
  private backtrack(): boolean {
    for (;;) {
      const branch = this.branches[this.branches.length - 1];
      if (branch === undefined) return false;
      if (branch.next === branch.events.length) {
        this.branches.pop();
        continue;
      }
      this.machine.restore(branch.saved);
      this.seen = 0;
      this.last = branch.last;
      this.used = branch.used;
      this.take(branch);
      return true;
    }
  }

  private take(branch: Branch): void {
    const i = branch.next++;
    this.used += branch.costs[i] as number;
    this.apply(branch.events[i] as number);
  }

  /** Runs on to an end, leaving a branch wherever there is a choice. */
  private run(): void {
    const { machine } = this;
    const { stepsMax } = machine.options;
    for (;;) {
      if (machine.findings.length > this.seen) this.note();
      if (machine.stopped) break;
      const count = machine.collect();
      if (count === 0) {
        machine.save();
        const { lo, hi } = machine.fingerprint(-1);
        this.ends.add(`${lo} ${hi}`);
        endOfWorld(machine);
        this.note();
        break;
      }
      if (machine.steps >= stepsMax) {
        this.cutOff++;
        break;
      }
      const quiet = this.quietEvent(count);
      if (quiet >= 0) {
        this.apply(quiet);
        continue;
      }
      const choices = this.weigh(count);
      if (choices === 1) {
        const left = this.left();
        const only = this.costs.findIndex((cost) => cost <= left && cost !== EXCLUDED);
        this.used += this.costs[only] as number;
        this.apply(machine.events[only] as number);
        continue;
      }
      const saved = machine.save();
      if (this.options.caches) {
        const unbounded = this.options.preemptions === UNBOUNDED;
        const hash = machine.fingerprint(unbounded || this.last === null ? -1 : this.last.index);
        if (this.visited.visit(hash.lo, hash.hi, unbounded ? UNBOUNDED : this.left())) break;
      }
      this.branch(saved, count, choices);
    }
    this.executions++;
  }

  /** An event before which there need be no choice; -1 if there is none. */
  private quietEvent(count: number): number {
    const { footprints, preemptions } = this.options;
    if (footprints === null) return -1;
    const { machine } = this;
    for (let i = 0; i < count; i++) {
      const event = machine.events[i] as number;
      if (eventType(event) !== STEP) continue;
      const cpu = machine.cpus[eventCpu(event)] as Cpu;
      const context = cpu.active() as Context;
      // With a bound, only who took the last step can go on for nothing.
      if (preemptions !== UNBOUNDED && context !== this.last) continue;
      if (footprints.isQuiet(cpu, context)) return event;
    }
    return -1;
  }

  private left(): number {
    return this.options.preemptions - this.used;
  }

  private branch(saved: Saved, count: number, choices: number): void {
    const events = new Int32Array(choices);
    const costs = new Int8Array(choices);
    let n = 0;
    const left = this.left();
    // Cheapest first, so that the first witness of a finding is a simple one.
    for (let cost = 0; cost <= 1; cost++) {
      for (let i = 0; i < count; i++) {
        if (this.costs[i] !== cost || cost > left) continue;
        events[n] = this.machine.events[i] as number;
        costs[n++] = cost;
      }
    }
    const { last, used } = this;
    const branch = { saved, events, costs, next: 0, last, used };
    this.branches.push(branch);
    this.take(branch);
  }

  /** Fills in what each event costs; gives how many can be afforded. */
  private weigh(count: number): number {
    const { machine, costs } = this;
    const goesOn = this.canGoOn(count);
    const left = this.left();
    // Which value is chosen is nobody else's concern: there is no choice here but that.
    const chooses = goesOn && this.options.footprints !== null && this.last?.kind === CHOOSE;
    let choices = 0;
    costs.length = count;
    for (let i = 0; i < count; i++) {
      if (chooses && !this.isOwn(machine.events[i] as number)) {
        costs[i] = EXCLUDED;
        continue;
      }
      const cost = this.options.preemptions === UNBOUNDED ? 0 : this.cost(machine.events[i] as number, goesOn);
      costs[i] = cost;
      if (cost <= left) choices++;
      else this.bounded = true;
    }
    return choices;
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
    if (!goesOn) return 0;
    return this.isOwn(event) ? 0 : 1;
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
    else if (type !== TIMER && type !== SOFTIRQ) this.last = cpu?.active() ?? null;
    const { footprints } = this.options;
    footprints?.record(event);
    machine.footprints = footprints;
    machine.apply(event);
    machine.footprints = null;
    if (type === SOFTIRQ && cpu?.softirq != null) this.last = cpu.softirq;
    this.steps++;
  }

  /** Takes down what was found since the last time. */
  private note(): void {
    const { machine } = this;
    for (; this.seen < machine.findings.length; this.seen++) {
      const finding = machine.findings[this.seen] as Finding;
      const key = findingKey(finding);
      const known = this.findings.get(key);
      if (known !== undefined) known.count++;
      else {
        const schedule = machine.schedule.slice(0, machine.steps);
        this.findings.set(key, { key, finding, schedule, preemptions: this.used, count: 1 });
      }
    }
  }
}
