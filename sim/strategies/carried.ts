/**
 * A recorded run, carried over to a program that was edited since: each actor runs up to where it was left.
 *
 * Where it was left is told by the identities of its ops, not by their number. Ops that are new run with the ops around
 * them; ops that are gone are not missed. Switches and preemptions are made where an actor has to get a CPU.
 */
import type { Context } from "../context.ts";
import { eventArgument, eventCpu, eventType, makeEvent, SOFTIRQ, STEP, SWITCH, TIMER } from "../event.ts";
import { Identifier, type Identity, Occurrences } from "../identity.ts";
import type { Machine } from "../machine.ts";
import type { RecordedEvent } from "../trail.ts";
import type { Strategy } from "./strategy.ts";
import { findEvent, possible, runOn, towards } from "./towards.ts";

/** Part of a recorded run: what an actor did on a CPU before something else happened, or an event of the machine. */
type Part =
  | { readonly actor: string; readonly cpu: number; readonly last: number }
  | { readonly actor: string; readonly event: number };

/** For each actor, the place that an op has in the record of it, by {@link placeKey}. */
export type Places = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** What becomes of new ops where an actor is to be left: they wait for its next part, or come with the one before. */
export type NewOps = "later" | "at-once";

/** What an actor did: the place in its own sequence of each op that it took, and the values it chose. */
class Recorded {
  place: ReadonlyMap<string, number> = new Map();
  readonly choices = new Map<string, number>();
  length = 0;
  /** How far it has come. */
  passed = -1;
}

/** Follows a recorded run as far as it can be told where; then lets whoever runs run on. */
export class CarriedStrategy implements Strategy {
  readonly name = "carried";
  private readonly parts: Part[] = [];
  private readonly actors = new Map<string, Recorded>();
  private readonly occurrences = new Occurrences();
  /** The recorded softirq that each CPU's stands for: on which CPU one runs matters less than that it does. */
  private readonly softirqOf = new Map<string, string>();
  private identifier: Identifier | null = null;
  private at = 0;

  /**
   * @param run - The record.
   * @param places - Which op is which one of the record, for each actor, where that is known better than by counting.
   */
  constructor(
    run: readonly RecordedEvent[],
    private readonly newOps: NewOps,
    places: Places | null = null,
  ) {
    for (const step of run) this.add(step);
    for (const [actor, recorded] of this.actors) recorded.place = places?.get(actor) ?? recorded.place;
  }

  private add(step: RecordedEvent): void {
    const { actor, event } = step;
    const cpu = eventCpu(event);
    if (eventType(event) !== STEP) {
      this.parts.push({ actor, event });
      return;
    }
    const recorded = this.actors.get(actor) ?? new Recorded();
    this.actors.set(actor, recorded);
    const key = placeKey(step, step.occurrence);
    (recorded.place as Map<string, number>).set(key, recorded.length);
    recorded.choices.set(key, eventArgument(event));
    const before = this.parts.at(-1);
    if (before !== undefined && "last" in before && before.actor === actor && before.cpu === cpu) this.parts.pop();
    this.parts.push({ actor, cpu, last: recorded.length++ });
  }

  pick(machine: Machine): number {
    this.identifier ??= new Identifier(machine);
    const event = this.next(machine, this.identifier);
    const identity = this.identify(this.identifier, event);
    const occurrence = this.occurrences.add(identity);
    const recorded = eventType(event) === STEP ? this.actors.get(identity.actor) : undefined;
    const place = recorded?.place.get(placeKey(identity, occurrence));
    if (recorded !== undefined && place !== undefined) recorded.passed = Math.max(recorded.passed, place);
    return event;
  }

  /** What an event is, with the actor's name in the record. */
  private identify(identifier: Identifier, event: number): Identity {
    const identity = identifier.of(event);
    return { ...identity, actor: this.softirqOf.get(identity.actor) ?? identity.actor };
  }

  private next(machine: Machine, identifier: Identifier): number {
    const choose = (context: Context): number => this.choice(identifier, context);
    for (; this.at < this.parts.length; this.at++) {
      const part = this.parts[this.at] as Part;
      if ("event" in part) {
        const event = this.machineEvent(machine, identifier, part.actor, part.event);
        if (event < 0) continue;
        this.at++;
        return event;
      }
      const context = this.actorNamed(machine, identifier, part.actor);
      const event = context === null ? -1 : towards(machine, context, part.cpu, choose);
      if (event < 0 || !this.belongs(this.identify(identifier, event), event, part)) continue;
      return event;
    }
    return runOn(machine, choose);
  }

  /** Whether an actor's next step, or the event that leads to it, is still of this part. */
  private belongs(identity: Identity, event: number, part: { actor: string; last: number }): boolean {
    const recorded = this.actors.get(part.actor) as Recorded;
    if (eventType(event) !== STEP) return recorded.passed < part.last;
    const place = recorded.place.get(placeKey(identity, this.occurrences.next(identity)));
    if (place !== undefined) return place <= part.last;
    return recorded.passed < part.last || this.newOps === "at-once";
  }

  /** An event of the machine, about the task that it was about, wherever that is now. */
  private machineEvent(machine: Machine, identifier: Identifier, actor: string, event: number): number {
    const type = eventType(event);
    if (type === SOFTIRQ) return this.softirq(machine, actor, event);
    const context = this.actorNamed(machine, identifier, actor);
    if (context === null) return findEvent(machine, event);
    if (type === SWITCH || type === TIMER) {
      const there = makeEvent(type, eventCpu(event), context.index);
      const matches = (other: number): boolean => eventType(other) === type && eventArgument(other) === context.index;
      return possible(machine, (other) => other === there) >= 0 ? there : possible(machine, matches);
    }
    const cpu = machine.cpus.find(({ current }) => current === context)?.id ?? eventCpu(event);
    return findEvent(machine, makeEvent(type, cpu, eventArgument(event)));
  }

  private softirq(machine: Machine, actor: string, event: number): number {
    const found = findEvent(machine, event);
    if (found >= 0) {
      for (const [here, recorded] of this.softirqOf) if (recorded === actor) this.softirqOf.delete(here);
      this.softirqOf.set(`softirq/${eventCpu(found)}`, actor);
    }
    return found;
  }

  private choice(identifier: Identifier, context: Context): number {
    const identity = this.identify(identifier, makeEvent(STEP, context.cpu, 0));
    return this.actors.get(identity.actor)?.choices.get(placeKey(identity, this.occurrences.next(identity))) ?? 0;
  }

  private actorNamed(machine: Machine, identifier: Identifier, actor: string): Context | null {
    const isIt = (context: Context): boolean => identifier.actor(context) === actor;
    const task = machine.contexts.find(isIt);
    if (task !== undefined) return task;
    for (const { id, softirq } of machine.cpus) {
      if (softirq !== null && (this.softirqOf.get(`softirq/${id}`) ?? `softirq/${id}`) === actor) return softirq;
    }
    return null;
  }
}

/** What an op of an actor is, among all that it takes. */
export const placeKey = (identity: Identity, occurrence: number): string =>
  `${identity.in}|${identity.op}|${occurrence}`;
