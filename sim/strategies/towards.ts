/** Ways to get at what is wanted next: what the strategies share that think in actors instead of CPUs. */
import type { Context } from "../context.ts";
import { eventArgument, eventType, makeEvent, PREEMPT, SOFTIRQ, STEP, SWITCH, TIMER } from "../event.ts";
import type { Machine } from "../machine.ts";
import { CHOOSE } from "../op.ts";

/** Says what a context chooses at its `choose`. */
export type Chooser = (context: Context) => number;

/** The first possible event that matches; -1 if there is none. */
export function possible(machine: Machine, matches: (event: number) => boolean): number {
  for (let i = 0; i < machine.eventCount; i++) {
    const event = machine.events[i] as number;
    if (matches(event)) return event;
  }
  return -1;
}

/** The event, or for a softirq or timer the same elsewhere: on which CPU it happens matters less than that it does. */
export function findEvent(machine: Machine, wanted: number): number {
  const exact = possible(machine, (event) => event === wanted);
  const type = eventType(wanted);
  if (exact >= 0 || (type !== SOFTIRQ && type !== TIMER)) return exact;
  return possible(machine, (event) => eventType(event) === type && eventArgument(event) === eventArgument(wanted));
}

/** The next step of what runs on a CPU; -1 if it cannot step. */
export function stepOf(machine: Machine, cpu: number, context: Context, choose: Chooser): number {
  const value = context.kind === CHOOSE ? choose(context) : 0;
  return possible(machine, (event) => event === makeEvent(STEP, cpu, value));
}

/**
 * The event that lets a task or softirq take its next step, or brings it nearer to it; -1 if there is none.
 *
 * @param context - It, if it runs somewhere or is a task.
 * @param cpu - Where it is to run, if it has to be given a CPU.
 */
export function towards(machine: Machine, context: Context, cpu: number, choose: Chooser): number {
  for (const { id, current, softirq } of machine.cpus) {
    if ((softirq ?? current) === context) return stepOf(machine, id, context, choose);
  }
  if (!context.onRunqueue) return -1;
  const { index } = context;
  const there = possible(machine, (event) => event === makeEvent(SWITCH, cpu, index));
  if (there >= 0) return there;
  const elsewhere = possible(machine, (event) => eventType(event) === SWITCH && eventArgument(event) === index);
  if (elsewhere >= 0) return elsewhere;
  return possible(machine, (event) => event === makeEvent(PREEMPT, context.cpu, 0));
}

/** Lets whoever runs run on; interrupts and preempts only where nothing else is possible. */
export function runOn(machine: Machine, choose: Chooser): number {
  for (const cpu of machine.cpus) {
    const active = cpu.active();
    const event = active === null ? -1 : stepOf(machine, cpu.id, active, choose);
    if (event >= 0) return event;
  }
  const gentle = possible(machine, (event) => eventType(event) !== PREEMPT && eventType(event) !== TIMER);
  return gentle >= 0 ? gentle : (machine.events[0] as number);
}
