/**
 * `preemption-bounded`: random schedules with few preemptions.
 *
 * One thread runs at a time, on whatever CPU it has, for as long as it can; where it cannot go on, chance says who is
 * next. Besides, at a given number of moments, drawn beforehand over the length of a run, the running thread has to let
 * another go on. That is a preemption in the sense of this bound, be it on the same CPU or by another that goes on.
 *
 * Threads and steps are those of `threads.ts`, the length of a run is measured (`measure.ts`).
 *
 * @see Musuvathi, Qadeer: Iterative Context Bounding for Systematic Testing of Multithreaded Programs, PLDI 2007, for why
 *   few preemptions are enough for most bugs
 */
import type { Machine } from "../machine.ts";
import { makeRng } from "../rng.ts";
import { isMove, RankingStrategy, threadOf } from "./threads.ts";

const NOBODY = -1;
// Ranks besides those that are drawn, which are from 0 to 1.
const GOES_ON = 2;
const WAITS = 0;
const STANDS_BACK = -1;
/** A burst that lasts until something changes. */
const UNBROKEN = 1 << 30;

/** Lets one thread run on. */
export class PreemptionBoundedStrategy extends RankingStrategy {
  readonly name = "preemption-bounded";
  readonly steady = true;
  burst = 0;
  private running = NOBODY;
  /** Who has to let another go first. */
  private standingBack = NOBODY;
  /** What the threads have drawn, while nobody runs. */
  private readonly drawn = new Map<number, number>();
  /** Steps before which the running thread has to stand back, from 1, in order of time. */
  private readonly preemptions: number[];
  private preempted = 0;

  /**
   * @param preemptions - Most preemptions in a run.
   * @param steps - Steps in a run.
   */
  constructor(seed: string, preemptions: number, steps: number) {
    super(makeRng(seed));
    this.preemptions = Array.from({ length: preemptions }, () => 1 + this.rng.below(steps)).sort((a, b) => a - b);
  }

  pick(machine: Machine): number {
    const step = machine.steps - this.moves + 1;
    let next = this.preemptions[this.preempted];
    if (next !== undefined && next <= step) {
      while (next !== undefined && next <= step) next = this.preemptions[++this.preempted];
      this.letAnotherGo(this.running);
    } else if (this.running !== NOBODY && !this.canGoOn(machine)) this.letAnotherGo(NOBODY);
    const event = this.best(machine);
    this.burst = 0;
    if (isMove(event)) return event;
    this.running = threadOf(machine, event);
    this.standingBack = NOBODY;
    this.burst = next === undefined ? UNBROKEN : next - step - 1;
    return event;
  }

  /** While one runs on nobody draws, so that asking more often changes nothing. */
  protected rank(thread: number): number {
    if (this.running !== NOBODY) return thread === this.running ? GOES_ON : WAITS;
    if (thread === this.standingBack) return STANDS_BACK;
    let rank = this.drawn.get(thread);
    if (rank === undefined) {
      rank = this.rng.fraction();
      this.drawn.set(thread, rank);
    }
    return rank;
  }

  protected giveWay(thread: number): void {
    this.letAnotherGo(thread);
  }

  private canGoOn(machine: Machine): boolean {
    for (let i = 0; i < machine.eventCount; i++) {
      const event = machine.events[i] as number;
      if (!isMove(event) && threadOf(machine, event) === this.running) return true;
    }
    return false;
  }

  private letAnotherGo(standingBack: number): void {
    this.standingBack = standingBack;
    this.running = NOBODY;
    this.drawn.clear();
  }
}
