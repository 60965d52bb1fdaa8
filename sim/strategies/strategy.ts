/** A strategy says which of the events that can happen is next. Nothing else in a run may choose. */
import type { Machine } from "../machine.ts";

export interface Strategy {
  readonly name: string;
  /** One of `machine.events[0 .. machine.eventCount)`; there is at least one. */
  pick(machine: Machine): number;
  /**
   * How often the event just picked may be repeated without another question, while it stays possible and nothing
   * else becomes so. Absent for strategies that decide every step.
   */
  readonly burst?: number;
  /** Asking more often would change nothing, while the events are the same: a burst may go on until they are not. */
  readonly steady?: boolean;
}
