/**
 * `random`: every event that can happen may be next, steps more often than interruptions.
 *
 * A preemption at every second step would keep any task from getting anywhere, so the types of events have weights.
 * They shape the search; no schedule has probability 0. A CPU that is picked takes up to sixteen steps in a row: races
 * are seldom about one step, and a decision costs more than a step.
 */
import { eventType, INTERRUPT, PREEMPT, SOFTIRQ, STEP, SWITCH, TIMER } from "../event.ts";
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

/** Longest stretch of steps of one CPU that one decision covers. */
const BURST_MAX = 16;

/** Picks by weight. */
export class RandomStrategy implements Strategy {
  readonly name = "random";
  burst = 0;
  private readonly rng: Rng;

  constructor(seed: string) {
    this.rng = makeRng(seed);
  }

  pick(machine: Machine): number {
    const { events, eventCount } = machine;
    let total = 0;
    for (let i = 0; i < eventCount; i++) total += WEIGHT[eventType(events[i] as number)] as number;
    let left = this.rng.below(total * BURST_MAX);
    this.burst = left % BURST_MAX;
    left = (left / BURST_MAX) | 0;
    let i = 0;
    for (; i < eventCount - 1; i++) {
      left -= WEIGHT[eventType(events[i] as number)] as number;
      if (left < 0) break;
    }
    return events[i] as number;
  }
}
