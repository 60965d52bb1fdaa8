/** `replay`: a recorded schedule, event for event. */
import { describeEvent, eventCpu } from "../event.ts";
import { Identifier, identityText, Occurrences } from "../identity.ts";
import type { Machine } from "../machine.ts";
import { hashDigits, type RecordedEvent } from "../trail.ts";
import type { Strategy } from "./strategy.ts";

/** A schedule does not fit the program: it, the model or the tool has changed since it was recorded. */
export class ReplayMismatch extends Error {
  override readonly name = "ReplayMismatch";
}

/**
 * Follows a schedule exactly; throws {@link ReplayMismatch} where it cannot.
 *
 * With a trail, it also throws where an event is not what it was when it was recorded, even if one of the same number is
 * possible.
 */
export class ReplayStrategy implements Strategy {
  readonly name = "replay";
  private at = 0;
  private readonly occurrences = new Occurrences();
  private identifier: Identifier | null = null;
  /** Where the values of a run were last seen to be as recorded. */
  private sameUpTo = 0;

  constructor(
    private readonly schedule: ArrayLike<number>,
    private readonly trail: readonly RecordedEvent[] | null = null,
  ) {}

  pick(machine: Machine): number {
    this.identifier ??= new Identifier(machine);
    const event = this.schedule[this.at];
    if (event === undefined) {
      throw new ReplayMismatch(`the schedule ends at step ${this.at}, but the run goes on (${this.possible(machine)})`);
    }
    const recorded = this.trail?.[this.at];
    if (!isPossible(machine, event)) throw this.parted(machine, event, recorded);
    const now = this.identifier.of(event);
    if (recorded !== undefined) {
      if (now.actor !== recorded.actor || now.in !== recorded.in || now.op !== recorded.op) {
        throw this.parted(machine, event, recorded);
      }
      if (recorded.hash !== "" && recorded.hash !== hashDigits(machine)) throw this.otherValues(recorded);
      if (recorded.hash !== "") this.sameUpTo = this.at;
    }
    this.occurrences.add(now);
    this.at++;
    return event;
  }

  private parted(machine: Machine, event: number, recorded: RecordedEvent | undefined): ReplayMismatch {
    const was =
      recorded === undefined
        ? describeEvent(event)
        : `${identityText(recorded, recorded.occurrence)}, on cpu ${eventCpu(event)}`;
    return new ReplayMismatch(
      `step ${this.at} of the schedule is "${was}", but possible are: ${this.possible(machine)}`,
    );
  }

  private otherValues(recorded: RecordedEvent): ReplayMismatch {
    const next = identityText(recorded, recorded.occurrence);
    return new ReplayMismatch(
      `steps ${this.sameUpTo} to ${this.at - 1}, before "${next}", are the recorded ops, but give other values or use other addresses`,
    );
  }

  /** What can happen now, in words. */
  private possible(machine: Machine): string {
    const texts: string[] = [];
    for (let i = 0; i < machine.eventCount; i++) {
      const event = machine.events[i] as number;
      const identity = this.identifier?.of(event);
      if (identity === undefined) continue;
      texts.push(`"${identityText(identity, this.occurrences.next(identity))}, on cpu ${eventCpu(event)}"`);
    }
    return [...new Set(texts)].join("; ");
  }
}

function isPossible(machine: Machine, event: number): boolean {
  for (let i = 0; i < machine.eventCount; i++) if (machine.events[i] === event) return true;
  return false;
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
