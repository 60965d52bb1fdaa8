/**
 * `random`: every event that can happen may be next, steps more often than interruptions.
 *
 * A preemption at every second step would keep any task from getting anywhere, so the types of events have weights.
 * They shape the search; no schedule has probability 0. Some races want a change of CPU at every step, some want long
 * stretches in between: so each run draws how many steps in a row a CPU may take once it is picked, and how long stores
 * stay in a store buffer.
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

/** Longest stretch of steps of one CPU that one decision covers; each run has one of these limits. */
const BURST_LIMITS = [1, 2, 4, 16];

/**
 * Weights of FLUSH, of which a run with store buffers has one: stores stay in the buffer for as long as another CPU
 * takes for a few steps, or for a whole function, unless something drains it.
 */
const DRAINS = [16, 4, 1];

/** Picks by weight. */
export class RandomStrategy implements Strategy {
  readonly name = "random";
  burst = 0;
  private readonly rng: Rng;
  private readonly burstLimit: number;
  /** Drawn at the first FLUSH, so that runs without store buffers do not depend on it. */
  private drain = 0;

  constructor(seed: string) {
    this.rng = makeRng(seed);
    this.burstLimit = BURST_LIMITS[this.rng.below(BURST_LIMITS.length)] as number;
  }

  pick(machine: Machine): number {
    const { events, eventCount } = machine;
    let total = 0;
    for (let i = 0; i < eventCount; i++) total += this.weightOf(events[i] as number);
    let left = this.rng.below(total * this.burstLimit);
    this.burst = left % this.burstLimit;
    left = (left / this.burstLimit) | 0;
    let i = 0;
    for (; i < eventCount - 1; i++) {
      left -= this.weightOf(events[i] as number);
      if (left < 0) break;
    }
    return events[i] as number;
  }

  private weightOf(event: number): number {
    const type = eventType(event);
    if (type !== FLUSH) return WEIGHT[type] as number;
    if (this.drain === 0) this.drain = DRAINS[this.rng.below(DRAINS.length)] as number;
    return this.drain;
  }
}
