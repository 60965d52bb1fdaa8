/**
 * Threads: who the events of a machine belong to, for strategies that rank threads and not events.
 *
 * A *thread* here is whatever has steps of its own that can come sooner or later:
 *
 * - a task: its steps;
 * - the softirq of a CPU: its beginning, and its steps;
 * - the interrupts of a CPU, which stop user mode: each is one step;
 * - the sleep timer of a task: its expiry is one step;
 * - the store buffer of a CPU: each flush is one step;
 * - any other kind of event of a CPU: one step each.
 *
 * A *step* is one event of a thread. Switches and preemptions are no steps: they are *moves*, made to bring a task that
 * should run to a CPU, and only then. A task is enabled while its next step can be taken, or while a move can bring it
 * nearer to that: a task queued behind one that cannot be preempted now is not enabled.
 */
import type { Context } from "../context.ts";
import { eventArgument, eventCpu, eventType, makeEvent, PREEMPT, SOFTIRQ, STEP, SWITCH, TIMER } from "../event.ts";
import type { Machine } from "../machine.ts";
import { YIELD } from "../op.ts";
import type { Rng } from "../rng.ts";
import type { Strategy } from "./strategy.ts";

/** Threads below this number belong to CPUs: type of event * 16 + CPU. Above it, each task has two: itself and its timer. */
const FIRST_TASK = 128;

/** Number of the thread that is a task, and of its timer. */
const taskThread = (context: number): number => FIRST_TASK + 2 * context;
const timerThread = (context: number): number => FIRST_TASK + 2 * context + 1;
/** Number of the thread that is a kind of event of a CPU. */
const cpuThread = (type: number, cpu: number): number => type * 16 + cpu;

/** The parts of a thread's number: the type of event and CPU, or the context and whether it is its timer. */
export const isOfCpu = (thread: number): boolean => thread < FIRST_TASK;
export const typeOfThread = (thread: number): number => thread >> 4;
export const cpuOfThread = (thread: number): number => thread & 15;
export const contextOfThread = (thread: number): number => (thread - FIRST_TASK) >> 1;
export const isTimer = (thread: number): boolean => !isOfCpu(thread) && (thread & 1) === 1;
/** The task that a timer wakes. */
export const sleeperOf = (timer: number): number => timer - 1;

const threadOfContext = (context: Context): number =>
  context.softirq ? cpuThread(SOFTIRQ, context.cpu) : taskThread(context.index);

/** Whether an event is a move, and no step. */
export const isMove = (event: number): boolean => eventType(event) === SWITCH || eventType(event) === PREEMPT;

/** The thread that a step belongs to, or the task that a switch is made for; for a preemption, the task it stops. */
export function threadOf(machine: Machine, event: number): number {
  const cpu = eventCpu(event);
  switch (eventType(event)) {
    case STEP:
    case PREEMPT:
      return threadOfContext(machine.cpus[cpu]?.active() as Context);
    case SWITCH:
      return taskThread(eventArgument(event));
    case TIMER:
      return timerThread(eventArgument(event));
    default:
      return cpuThread(eventType(event), cpu);
  }
}

const NO_EVENT = -1;
const NO_RANK = Number.NEGATIVE_INFINITY;

/** A strategy that ranks threads: at each step, the enabled thread of the highest rank is next. */
export abstract class RankingStrategy implements Strategy {
  abstract readonly name: string;
  /** Moves picked so far. */
  protected moves = 0;
  /** The step picked last, if nothing was picked since, and the context that took it. */
  private lastStep = NO_EVENT;
  private lastContext: Context | null = null;
  private readonly ranks: number[] = [];

  constructor(protected readonly rng: Rng) {}

  abstract pick(machine: Machine): number;

  /** The rank of a thread; the higher goes first. No two threads should have the same. */
  protected abstract rank(thread: number): number;

  /** The thread waits for time to pass, so that it should not go on before anyone else has. */
  protected abstract giveWay(thread: number): void;

  /**
   * The event to pick for the enabled thread of the highest rank: its step, else a move that brings it nearer to one. A
   * preemption is the last resort. Where several events would do (the CPU it goes to, the value it chooses), chance
   * decides.
   */
  protected best(machine: Machine): number {
    this.noteWaiting();
    const { events, eventCount } = machine;
    const { ranks } = this;
    let best = NO_RANK;
    let ties = 0;
    let first = 0;
    for (let i = 0; i < eventCount; i++) {
      const event = events[i] as number;
      const preempts = eventType(event) === PREEMPT;
      const rank = preempts ? this.rankBehind(machine, eventCpu(event)) : this.rank(threadOf(machine, event));
      ranks[i] = rank;
      // A task that can be had without a preemption is not had with one.
      if (rank > best || (rank === best && ties > 0 && eventType(events[first] as number) === PREEMPT && !preempts)) {
        best = rank;
        ties = 1;
        first = i;
      } else if (rank === best && !preempts) ties++;
    }
    const event = events[ties > 1 ? this.tie(machine, best, ties) : first] as number;
    this.noteEvent(machine, event);
    return event;
  }

  private tie(machine: Machine, rank: number, ties: number): number {
    let left = this.rng.below(ties);
    for (let i = 0; i < machine.eventCount; i++) {
      if (this.ranks[i] !== rank || eventType(machine.events[i] as number) === PREEMPT) continue;
      if (left-- === 0) return i;
    }
    throw new Error("[sim bug] fewer ties than were counted");
  }

  /** Rank of the best task that a preemption of the CPU would make room for; none if whoever runs there comes first. */
  private rankBehind(machine: Machine, cpu: number): number {
    let best = NO_RANK;
    for (const context of machine.contexts) {
      if (!context.onRunqueue || context.cpu !== cpu) continue;
      const rank = this.rank(taskThread(context.index));
      if (rank > best) best = rank;
    }
    const running = threadOfContext(machine.cpus[cpu]?.active() as Context);
    return best > this.rank(running) || !this.steps(machine, cpu) ? best : NO_RANK;
  }

  private steps(machine: Machine, cpu: number): boolean {
    const step = makeEvent(STEP, cpu, 0);
    for (let i = 0; i < machine.eventCount; i++) if (machine.events[i] === step) return true;
    return false;
  }

  private noteEvent(machine: Machine, event: number): void {
    const type = eventType(event);
    this.lastStep = isMove(event) ? NO_EVENT : event;
    this.lastContext = type === STEP ? (machine.cpus[eventCpu(event)]?.active() as Context) : null;
    if (!isMove(event)) return;
    this.moves++;
    // Who is preempted though it comes first waits in a loop for something that others do.
    if (type === PREEMPT && !this.steps(machine, eventCpu(event))) this.giveWay(threadOf(machine, event));
  }

  /** A yield and a sleep that has ended by itself wait for others to get on. Seen afterwards: a burst may end in them. */
  private noteWaiting(): void {
    const { lastStep, lastContext } = this;
    if (lastStep === NO_EVENT) return;
    if (eventType(lastStep) === TIMER) this.giveWay(timerThread(eventArgument(lastStep)));
    else if (lastContext?.kind === YIELD && lastContext.onRunqueue) this.giveWay(taskThread(lastContext.index));
  }
}
