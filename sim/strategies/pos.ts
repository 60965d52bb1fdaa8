/**
 * `pos`: partial order sampling.
 *
 * The next step of each thread gets a random priority when it first appears, and the enabled one of the highest
 * priority is next. When a step has been taken, the pending steps that race with it (`footprint.ts`) get new
 * priorities; those that it cannot matter to keep theirs. So chance is spent on the order of racing steps alone, and
 * schedules that differ only in the order of independent steps are not sampled again and again.
 *
 * Threads and steps are those of `threads.ts`. Departs from the paper where a thread waits for time to pass (a yield, an
 * expired timer, a loop that waits): its next step goes below all that are pending.
 *
 * @see Yuan, Yang, Gu: Partial Order Aware Concurrency Sampling, CAV 2018
 */
import type { Machine } from "../machine.ts";
import { makeRng } from "../rng.ts";
import { Footprint } from "./footprint.ts";
import { isMove, isTimer, RankingStrategy, sleeperOf, threadOf } from "./threads.ts";

/** Ranks pending steps. */
export class PosStrategy extends RankingStrategy {
  readonly name = "pos";
  /** Priority of the next step of each thread that has shown up. */
  private readonly priorities = new Map<number, number>();
  private floor = 0;
  private readonly taken = new Footprint();
  private readonly pending = new Footprint();

  constructor(seed: string) {
    super(makeRng(seed));
  }

  pick(machine: Machine): number {
    const event = this.best(machine);
    if (isMove(event)) return event;
    const thread = threadOf(machine, event);
    this.taken.ofThread(machine, thread);
    for (const other of this.priorities.keys()) {
      if (other === thread) continue;
      this.pending.ofThread(machine, other);
      if (this.taken.racesWith(this.pending)) this.priorities.set(other, this.rng.fraction());
    }
    this.priorities.set(thread, this.rng.fraction());
    return event;
  }

  protected rank(thread: number): number {
    let priority = this.priorities.get(thread);
    if (priority === undefined) {
      priority = this.rng.fraction();
      this.priorities.set(thread, priority);
    }
    return priority;
  }

  protected giveWay(thread: number): void {
    this.priorities.set(thread, --this.floor);
    // Its first step after that sleep, which it may begin anew: every step has a priority of its own, so it could go on
    // for long before a step of a low priority comes.
    if (isTimer(thread)) this.priorities.set(sleeperOf(thread), --this.floor);
  }
}
