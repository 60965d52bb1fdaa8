/** `replay`: a recorded schedule, event for event. */
import { describeEvent } from "../event.ts";
import type { Machine } from "../machine.ts";
import type { Strategy } from "./strategy.ts";

/** A schedule does not fit the program: it, the model or the tool has changed since it was recorded. */
export class ReplayMismatch extends Error {
  override readonly name = "ReplayMismatch";
}

/** Follows a schedule exactly; throws {@link ReplayMismatch} where it cannot. */
export class ReplayStrategy implements Strategy {
  readonly name = "replay";
  private at = 0;

  constructor(private readonly schedule: ArrayLike<number>) {}

  pick(machine: Machine): number {
    const possible = Array.from(machine.events.subarray(0, machine.eventCount));
    const event = this.schedule[this.at];
    const list = possible.map(describeEvent).join(", ");
    if (event === undefined) {
      throw new ReplayMismatch(`the schedule ends at step ${this.at}, but the run goes on (${list})`);
    }
    if (!possible.includes(event)) {
      throw new ReplayMismatch(
        `step ${this.at} of the schedule is "${describeEvent(event)}", but possible are: ${list}`,
      );
    }
    this.at++;
    return event;
  }
}

/**
 * Follows a schedule as far as it goes, skipping what is not possible; after its end each CPU runs on without
 * preemption. What shrinking tries schedules with.
 */
export class GuidedStrategy implements Strategy {
  readonly name = "guided";
  private at = 0;
  private last = -1;

  constructor(private readonly schedule: ArrayLike<number>) {}

  pick(machine: Machine): number {
    const { events, eventCount } = machine;
    while (this.at < this.schedule.length) {
      const event = this.schedule[this.at++] as number;
      for (let i = 0; i < eventCount; i++) if (events[i] === event) return this.take(event);
    }
    for (let i = 0; i < eventCount; i++) if (events[i] === this.last) return this.last;
    return this.take(events[0] as number);
  }

  private take(event: number): number {
    this.last = event;
    return event;
  }
}
