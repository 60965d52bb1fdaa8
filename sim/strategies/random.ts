/**
 * `random`: every event that can happen may be next, steps more often than interruptions.
 *
 * A preemption at every second step would keep any task from getting anywhere, so the types of events have weights.
 * They shape the search; no schedule has probability 0. Some races want a change of CPU at every step, some want long
 * stretches in between: so each run draws how many steps in a row a CPU may take once it is picked.
 */
import { eventType, FLUSH, INTERRUPT, PREEMPT, SOFTIRQ, STEP, SWITCH, TIMER } from "../event.ts";
import type { Machine } from "../machine.ts";
import { makeRng, type Rng } from "../rng.ts";
import type { Strategy } from "./strategy.ts";

const WEIGHT = new Int32Array(8);
WEIGHT[STEP] = 64;
WEIGHT[SWITCH] = 64;
WEIGHT[PREEMPT] = 2;
WEIGHT[INTERRUPT] = 16;
WEIGHT[SOFTIRQ] = 16;
WEIGHT[TIMER] = 4;
// About as long in the buffer as another CPU takes for a few steps.
WEIGHT[FLUSH] = 16;

/** Longest stretch of steps of one CPU that one decision covers; each run has one of these limits. */
const BURST_LIMITS = [1, 2, 4, 16];

/** Picks by weight. */
export class RandomStrategy implements Strategy {
  readonly name = "random";
  burst = 0;
  private readonly rng: Rng;
  private readonly burstLimit: number;

  constructor(seed: string) {
    this.rng = makeRng(seed);
    this.burstLimit = BURST_LIMITS[this.rng.below(BURST_LIMITS.length)] as number;
  }

  pick(machine: Machine): number {
    const { events, eventCount } = machine;
    let total = 0;
    for (let i = 0; i < eventCount; i++) total += WEIGHT[eventType(events[i] as number)] as number;
    let left = this.rng.below(total * this.burstLimit);
    this.burst = left % this.burstLimit;
    left = (left / this.burstLimit) | 0;
    let i = 0;
    for (; i < eventCount - 1; i++) {
      left -= WEIGHT[eventType(events[i] as number)] as number;
      if (left < 0) break;
    }
    return events[i] as number;
  }
}
