/**
 * Events: what a strategy can pick next. An event is one small integer, so that a schedule is an array of integers.
 *
 *     bits 0-2 type, bits 3-6 cpu, bits 7-30 argument (index of a context, or the value chosen)
 */

/** The next step of what runs on the CPU; the argument is the value of a `choose`, else 0. */
export const STEP = 0;
/** An idle CPU switches to a runnable task. */
export const SWITCH = 1;
/** An interrupt ends in a preemption of the CPU's task. */
export const PREEMPT = 2;
/** An interrupt stops the CPU's task in user mode, so that it looks at its work flags. */
export const INTERRUPT = 3;
/** The CPU begins the RCU softirq with its first callback whose grace period is over. */
export const SOFTIRQ = 4;
/** A task's sleep timer expires. */
export const TIMER = 5;
/** The oldest store in the CPU's store buffer reaches memory; under TSO only. */
export const FLUSH = 6;

/** CPUs that an event has room for. */
export const CPUS_MAX = 16;

/** Name of each type, as shown in histories. */
export const EVENT_NAMES: readonly string[] = ["step", "switch", "preempt", "interrupt", "softirq", "timer", "flush"];

/** An event, and its parts. */
export const makeEvent = (type: number, cpu: number, argument: number): number => type | (cpu << 3) | (argument << 7);
export const eventType = (event: number): number => event & 7;
export const eventCpu = (event: number): number => (event >> 3) & 15;
export const eventArgument = (event: number): number => event >> 7;

/** How an event is named in a message. */
export function describeEvent(event: number): string {
  const argument = eventArgument(event);
  const type = eventType(event);
  const more =
    type === SWITCH || type === TIMER ? ` to context ${argument}` : argument > 0 ? ` choosing ${argument}` : "";
  return `${EVENT_NAMES[type] ?? `event type ${type}`}${more} on cpu ${eventCpu(event)}`;
}
