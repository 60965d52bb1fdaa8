/**
 * Schedules by who runs, not by which CPU steps: what shrinking works on.
 *
 * A stretch is a number of steps of one actor (a task, or the softirq of a CPU) or one event of another kind. A switch
 * or preemption that a stretch needs is made even if it is not on the list, so a stretch can be left out or moved, and
 * the others still mean what they meant.
 */

import type { Context } from "../context.ts";
import { eventArgument, eventCpu, eventType, STEP } from "../event.ts";
import type { Machine } from "../machine.ts";
import { CHOOSE } from "../op.ts";
import type { Strategy } from "./strategy.ts";
import { findEvent, runOn, towards } from "./towards.ts";

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
        const event = findEvent(machine, stretch.event);
        if (event < 0) continue;
        this.at++;
        return event;
      }
      if (this.taken >= stretch.steps) continue;
      const context = contextOf(machine, stretch.actor);
      const event = context === null ? -1 : towards(machine, context, stretch.cpu, this.choose);
      if (event < 0) continue;
      if (eventType(event) === STEP) this.taken++;
      return event;
    }
    return runOn(machine, this.choose);
  }

  private readonly choose = (context: Context): number => {
    const actor = actorOf(context);
    const nth = this.chosen.get(actor) ?? 0;
    this.chosen.set(actor, nth + 1);
    return this.choices.get(actor)?.[nth] ?? 0;
  };
}

function contextOf(machine: Machine, actor: number): Context | null {
  return (actor < 0 ? machine.cpus[-1 - actor]?.softirq : machine.contexts[actor]) ?? null;
}
