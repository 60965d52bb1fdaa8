/**
 * Schedules by who runs, not by which CPU steps: what shrinking works on.
 *
 * A stretch is a number of steps of one actor (a task, or the softirq of a CPU) or one event of another kind. A switch
 * or preemption that a stretch needs is made even if it is not on the list, so a stretch can be left out or moved, and
 * the others still mean what they meant.
 */

import type { Context } from "../context.ts";
import { eventArgument, eventCpu, eventType, makeEvent, PREEMPT, SOFTIRQ, STEP, SWITCH, TIMER } from "../event.ts";
import type { Machine } from "../machine.ts";
import { CHOOSE } from "../op.ts";
import type { Strategy } from "./strategy.ts";

/** Steps of an actor, or one event. */
export type Stretch =
  | { readonly actor: number; readonly cpu: number; readonly steps: number }
  | { readonly event: number };

/** A schedule as stretches, and what each actor chose, in order. */
export interface Stretches {
  readonly list: readonly Stretch[];
  readonly choices: ReadonlyMap<number, readonly number[]>;
}

/** A task is its context's index; the softirq of CPU n is -1 - n. */
const actorOf = (context: Context): number => (context.softirq ? -1 - context.cpu : context.index);

/** Follows another strategy and notes who ran. */
export class StretchRecorder implements Strategy {
  readonly name = "recorder";
  private readonly list: Stretch[] = [];
  private readonly choices = new Map<number, number[]>();
  private actor: number | null = null;
  private cpu = 0;
  private steps = 0;

  constructor(private readonly followed: Strategy) {}

  pick(machine: Machine): number {
    const event = this.followed.pick(machine);
    const type = eventType(event);
    if (type === STEP) this.note(machine.cpus[eventCpu(event)]?.active() as Context, event);
    else {
      this.close();
      this.list.push({ event });
    }
    return event;
  }

  private note(context: Context, event: number): void {
    const actor = actorOf(context);
    if (actor !== this.actor || context.cpu !== this.cpu) {
      this.close();
      this.actor = actor;
      this.cpu = context.cpu;
    }
    this.steps++;
    if (context.kind !== CHOOSE) return;
    const chosen = this.choices.get(actor) ?? [];
    chosen.push(eventArgument(event));
    this.choices.set(actor, chosen);
  }

  private close(): void {
    if (this.actor !== null) this.list.push({ actor: this.actor, cpu: this.cpu, steps: this.steps });
    this.actor = null;
    this.steps = 0;
  }

  /** What was noted so far. */
  stretches(): Stretches {
    this.close();
    return { list: this.list, choices: this.choices };
  }
}

/** Follows stretches as far as they are possible, skipping what is not; then lets whoever runs run on. */
export class StretchStrategy implements Strategy {
  readonly name = "stretches";
  private at = 0;
  private taken = 0;
  private readonly chosen = new Map<number, number>();

  constructor(
    private readonly list: readonly Stretch[],
    private readonly choices: Stretches["choices"],
  ) {}

  pick(machine: Machine): number {
    for (; this.at < this.list.length; this.at++, this.taken = 0) {
      const stretch = this.list[this.at] as Stretch;
      if ("event" in stretch) {
        const event = this.find(machine, stretch.event);
        if (event < 0) continue;
        this.at++;
        return event;
      }
      if (this.taken >= stretch.steps) continue;
      const event = this.towards(machine, stretch.actor, stretch.cpu);
      if (event < 0) continue;
      if (eventType(event) === STEP) this.taken++;
      return event;
    }
    return this.runOn(machine);
  }

  private possible(machine: Machine, matches: (event: number) => boolean): number {
    for (let i = 0; i < machine.eventCount; i++) {
      const event = machine.events[i] as number;
      if (matches(event)) return event;
    }
    return -1;
  }

  private find(machine: Machine, wanted: number): number {
    const exact = this.possible(machine, (event) => event === wanted);
    const type = eventType(wanted);
    if (exact >= 0 || (type !== SOFTIRQ && type !== TIMER)) return exact;
    // On which CPU it happens matters less than that it does.
    return this.possible(
      machine,
      (event) => eventType(event) === type && eventArgument(event) === eventArgument(wanted),
    );
  }

  /** The event that lets an actor take its next step, or brings it nearer to it; -1 if there is none. */
  private towards(machine: Machine, actor: number, cpu: number): number {
    for (const { id, current, softirq } of machine.cpus) {
      const active = softirq ?? current;
      if (active !== null && actorOf(active) === actor) return this.stepOf(machine, id, active);
    }
    if (actor < 0) return -1;
    const context = machine.contexts[actor];
    if (context === undefined || !context.onRunqueue) return -1;
    const there = this.possible(machine, (event) => event === makeEvent(SWITCH, cpu, actor));
    if (there >= 0) return there;
    const elsewhere = this.possible(machine, (event) => eventType(event) === SWITCH && eventArgument(event) === actor);
    if (elsewhere >= 0) return elsewhere;
    return this.possible(machine, (event) => event === makeEvent(PREEMPT, context.cpu, 0));
  }

  private stepOf(machine: Machine, cpu: number, context: Context): number {
    let value = 0;
    if (context.kind === CHOOSE) {
      const actor = actorOf(context);
      const nth = this.chosen.get(actor) ?? 0;
      this.chosen.set(actor, nth + 1);
      value = this.choices.get(actor)?.[nth] ?? 0;
    }
    return this.possible(machine, (event) => event === makeEvent(STEP, cpu, value));
  }

  private runOn(machine: Machine): number {
    for (const cpu of machine.cpus) {
      const active = cpu.active();
      const event = active === null ? -1 : this.stepOf(machine, cpu.id, active);
      if (event >= 0) return event;
    }
    const gentle = this.possible(machine, (event) => eventType(event) !== PREEMPT && eventType(event) !== TIMER);
    return gentle >= 0 ? gentle : (machine.events[0] as number);
  }
}
