/**
 * `pct`: probabilistic concurrency testing.
 *
 * Each thread gets a random priority when it first appears, and the enabled thread of the highest priority takes the
 * next step. At d-1 moments of the run, drawn beforehand, whoever takes the step falls below all others (and the
 * moments decide in which order they stand there).
 *
 * What is promised: a bug of depth d, that is, one that d ordering constraints between steps are enough for, is found
 * by each run with a chance of at least 1 / (k * n^(d-1)), for k threads and n steps in a run. Threads and steps are
 * those of `threads.ts`: tasks, softirqs, the interrupts of each CPU and timers are threads; switches and preemptions
 * follow from the priorities and are no steps. So a constraint may be "the softirq runs before the task reads", but
 * which CPU a task gets is drawn at random and stands outside the promise, as do the values of a `choose`. k and n are
 * measured (`measure.ts`): the promise holds for bugs within the first n steps of a run.
 *
 * Departs from the paper where a thread waits for time to pass (a yield, an expired timer, a loop that waits): it falls
 * below all others then, lest it wait forever for those that it keeps from running.
 *
 * @see Burckhardt, Kothari, Musuvathi, Nagarakatte: A Randomized Scheduler with Probabilistic Guarantees of Finding
 *   Bugs, ASPLOS 2010
 */
import type { Machine } from "../machine.ts";
import { makeRng } from "../rng.ts";
import { isMove, RankingStrategy, threadOf } from "./threads.ts";

/** Follows priorities. */
export class PctStrategy extends RankingStrategy {
  readonly name = "pct";
  readonly steady = true;
  burst = 0;
  private readonly priorities: number[] = [];
  /** Change points: number of the step, from 1, after which its thread falls; in order of time. */
  private readonly changes: { readonly step: number; readonly priority: number }[];
  private changed = 0;
  /** The lowest priority so far. */
  private floor = 0;

  /**
   * @param depth - Depth of the bugs it is to find, from 1.
   * @param steps - Steps in a run.
   */
  constructor(seed: string, depth: number, steps: number) {
    super(makeRng(seed));
    this.changes = Array.from({ length: depth - 1 }, (_, i) => ({ step: 1 + this.rng.below(steps), priority: i + 1 }));
    this.changes.sort((a, b) => a.step - b.step);
    this.above = depth;
  }

  /** Priorities from here on are first ones. */
  private readonly above: number;

  pick(machine: Machine): number {
    const event = this.best(machine);
    this.burst = 0;
    if (isMove(event)) return event;
    const step = machine.steps - this.moves + 1;
    let change = this.changes[this.changed];
    while (change !== undefined && change.step <= step) {
      this.priorities[threadOf(machine, event)] = change.priority;
      change = this.changes[++this.changed];
      if (change === undefined || change.step > step) return event;
    }
    this.burst = change === undefined ? UNBROKEN : change.step - step - 1;
    return event;
  }

  protected rank(thread: number): number {
    this.priorities[thread] ??= this.above + this.rng.fraction();
    return this.priorities[thread] as number;
  }

  protected giveWay(thread: number): void {
    this.priorities[thread] = --this.floor;
  }
}

/** A burst that lasts until something changes. */
const UNBROKEN = 1 << 30;

/** The least chance with which a run finds a bug of this depth. */
export const pctBound = (depth: number, steps: number, threads: number): number => 1 / (threads * steps ** (depth - 1));
