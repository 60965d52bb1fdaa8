/**
 * Random schedules with at most so many preemptions, in the sense in which shrinking counts them.
 *
 * At moments drawn beforehand something other than the running task's next step happens; everywhere else it goes on
 * while it can, and chance says what happens where it cannot.
 */
import { eventArgument, eventType, SWITCH } from "../event.ts";
import type { Machine } from "../machine.ts";
import { Preemptions } from "../preemptions.ts";
import { makeRng, type Rng } from "../rng.ts";
import type { Strategy } from "./strategy.ts";

/** Picks freely where that is no preemption, and preempts a few times. */
export class FewPreemptionsStrategy implements Strategy {
  readonly name = "few-preemptions";
  private readonly rng: Rng;
  private readonly rule = new Preemptions();
  private readonly moments: Set<number>;

  /**
   * @param preemptions - Most of them.
   * @param steps - Steps among which their moments are drawn.
   * @param only - Contexts that get a CPU, as long as something else is possible; all if absent.
   */
  constructor(
    seed: string,
    preemptions: number,
    steps: number,
    private readonly only: ReadonlySet<number> | null = null,
  ) {
    this.rng = makeRng(seed);
    this.moments = new Set(Array.from({ length: preemptions }, () => this.rng.below(steps)));
  }

  pick(machine: Machine): number {
    const wanted = this.moments.has(machine.steps);
    const free: number[] = [];
    const costly: number[] = [];
    for (let i = 0; i < machine.eventCount; i++) {
      const event = machine.events[i] as number;
      if (this.only !== null && eventType(event) === SWITCH && !this.only.has(eventArgument(event))) continue;
      (this.rule.isOne(machine, event) ? costly : free).push(event);
    }
    const list = free.length === 0 || (wanted && costly.length > 0) ? costly : free;
    const event = (list.length === 0 ? machine.events[0] : list[this.rng.below(list.length)]) as number;
    this.rule.follow(machine, event);
    return event;
  }
}
