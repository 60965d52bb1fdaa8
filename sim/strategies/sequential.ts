/** `sequential`: no interruption that can be helped, and the task that has waited longest is next. For measuring code. */
import { eventArgument, eventType, PREEMPT, STEP, SWITCH } from "../event.ts";
import type { Machine } from "../machine.ts";
import type { Strategy } from "./strategy.ts";

/** Steps first, then switches in the order of the run queue, then whatever else can happen; preemptions never by choice. */
export class SequentialStrategy implements Strategy {
  readonly name = "sequential";

  pick(machine: Machine): number {
    const { events, eventCount } = machine;
    let best = events[0] as number;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let i = 0; i < eventCount; i++) {
      const event = events[i] as number;
      const rank = this.rank(machine, event);
      if (rank < bestRank) {
        best = event;
        bestRank = rank;
      }
    }
    return best;
  }

  private rank(machine: Machine, event: number): number {
    const type = eventType(event);
    if (type === STEP) return -1;
    if (type === SWITCH) return machine.contexts[eventArgument(event)]?.queuedAt ?? 0;
    return type === PREEMPT ? Number.MAX_VALUE : Number.MAX_SAFE_INTEGER;
  }
}
