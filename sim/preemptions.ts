/**
 * What a preemption is.
 *
 * As in context-bounded search (Musuvathi and Qadeer, 2007), CPUs are taken to run one at a time: whoever took the last
 * step goes on for free; that something else happens although it could is one preemption, be it that its own CPU is taken
 * from it, that another CPU goes on, or that a softirq or timer comes in between. Where it cannot go on (it waits for a
 * lock, sleeps, has ended), what happens next is free. So is an interrupt that sends a task from user mode to its work,
 * and a store that leaves its store buffer. The exhaustive search in `explore/machine` counts in the same way.
 */
import type { Context } from "./context.ts";
import { eventArgument, eventCpu, eventType, FLUSH, INTERRUPT, PREEMPT, SOFTIRQ, STEP, SWITCH } from "./event.ts";
import type { Machine } from "./machine.ts";

/** Follows a run and tells which events would be preemptions. */
export class Preemptions {
  private last: Context | null = null;
  /** CPU of a softirq that was just begun: who that is shows when it is there. */
  private begun = -1;

  /** Whether `event` would be a preemption now. */
  isOne(machine: Machine, event: number): boolean {
    this.settle(machine);
    const type = eventType(event);
    if (type === PREEMPT) return true;
    if (type === FLUSH || this.last === null) return false;
    const own = (type === STEP || type === INTERRUPT) && machine.cpus[eventCpu(event)]?.active() === this.last;
    return !own && this.lastCanGoOn(machine);
  }

  /** `event` is going to happen. */
  follow(machine: Machine, event: number): void {
    this.settle(machine);
    switch (eventType(event)) {
      case STEP:
      case INTERRUPT:
        this.last = machine.cpus[eventCpu(event)]?.active() ?? null;
        break;
      case SWITCH:
        this.last = machine.contexts[eventArgument(event)] ?? null;
        break;
      case PREEMPT:
        this.last = null;
        break;
      case SOFTIRQ:
        this.begun = eventCpu(event);
        break;
      default:
    }
  }

  private settle(machine: Machine): void {
    if (this.begun >= 0) this.last = machine.cpus[this.begun]?.softirq ?? this.last;
    this.begun = -1;
  }

  private lastCanGoOn(machine: Machine): boolean {
    for (let i = 0; i < machine.eventCount; i++) {
      const event = machine.events[i] as number;
      if (eventType(event) === STEP && machine.cpus[eventCpu(event)]?.active() === this.last) return true;
    }
    return false;
  }
}
