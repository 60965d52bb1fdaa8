/**
 * What an event is, whatever its number: who takes it, in which kernel function, which op, and the how-manieth of its
 * kind that is for them.
 *
 * A schedule is small integers that mean something only to one program. Identities are how a schedule is held against
 * a program that has been edited since: to see where the two part, and to carry the one over to the other.
 */
import type { Context } from "./context.ts";
import { EVENT_NAMES, eventArgument, eventCpu, eventType, SOFTIRQ, STEP, SWITCH, TIMER } from "./event.ts";
import type { Machine } from "./machine.ts";
import { ALLOC, FREE, KIND_NAMES } from "./op.ts";
import type { Cache } from "./slab.ts";
import { fieldLabel } from "./struct.ts";

/** What an event is. */
export interface Identity {
  /** Who takes the step: `exe/5118`, `softirq/1`. For an event of the machine, the task it is about, or "". */
  readonly actor: string;
  /** Kernel function that takes the step; "" for an event of the machine. */
  readonly in: string;
  /** `load utrace->stopped`; `spin_lock utrace->lock/2` for a further step of an op; else the type of the event. */
  readonly op: string;
}

/** Gives the events of one machine their identities. */
export class Identifier {
  private readonly names = new Map<number, string>();

  constructor(private readonly machine: Machine) {}

  /** What `event` would be if it were applied now. */
  of(event: number): Identity {
    const type = eventType(event);
    const cpu = this.machine.cpus[eventCpu(event)];
    if (type === STEP) {
      const context = cpu?.active() as Context;
      return { actor: this.actor(context), in: this.machine.functionOf(context), op: opOf(context) };
    }
    const op = EVENT_NAMES[type] ?? `event ${type}`;
    if (type === SOFTIRQ) return { actor: `softirq/${eventCpu(event)}`, in: "", op };
    const subject = type === SWITCH || type === TIMER ? this.machine.contexts[eventArgument(event)] : cpu?.current;
    return { actor: subject == null ? "" : this.actor(subject), in: "", op };
  }

  /** Name of a context: its comm and pid, with a number where that is the name of an earlier one. */
  actor(context: Context): string {
    if (context.softirq) return `softirq/${context.cpu}`;
    let name = this.names.get(context.index);
    if (name === undefined) {
      const { comm, pid, index } = context;
      const before = this.machine.contexts.filter((c) => c.index < index && c.comm === comm && c.pid === pid).length;
      name = `${comm}/${pid}${before === 0 ? "" : `~${before + 1}`}`;
      this.names.set(index, name);
    }
    return name;
  }

  /** Names of all contexts so far, by index. */
  actors(): string[] {
    return this.machine.contexts.map((context) => this.actor(context));
  }
}

/** The op that a context asks for next, and which step of it. */
function opOf({ kind, field, phase, payload }: Context): string {
  const name = KIND_NAMES[kind] ?? `op ${kind}`;
  const subject = field >= 0 ? ` ${fieldLabel(field)}` : kind === ALLOC || kind === FREE ? cacheName(payload) : "";
  return `${name}${subject}${phase === 0 ? "" : `/${phase}`}`;
}

const cacheName = (payload: unknown): string => ` ${(payload as Cache).name}`;

/** Counts how often each identity has come. */
export class Occurrences {
  private readonly counts = new Map<string, number>();

  /** The how-manieth of its kind `identity` would be now, from 1. */
  next(identity: Identity): number {
    return (this.counts.get(keyOf(identity)) ?? 0) + 1;
  }

  /** Notes that it came, and says the how-manieth it was. */
  add(identity: Identity): number {
    const n = this.next(identity);
    this.counts.set(keyOf(identity), n);
    return n;
  }
}

const keyOf = (identity: Identity): string => `${identity.actor}|${identity.in}|${identity.op}`;

/** In words: `exe/5118 in utrace_stop: load utrace->stopped, 2nd time`. */
export function identityText(identity: Identity, occurrence: number): string {
  const { actor, op } = identity;
  if (identity.in === "")
    return op === "softirq" ? `${op} ${actor}` : `${op} ${op === "switch" ? "to" : "of"} ${actor}`;
  return `${actor} in ${identity.in}: ${op}, ${ordinal(occurrence)} time`;
}

function ordinal(n: number): string {
  const last = n % 10;
  const suffix =
    n % 100 >= 11 && n % 100 <= 13 ? "th" : last === 1 ? "st" : last === 2 ? "nd" : last === 3 ? "rd" : "th";
  return `${n}${suffix}`;
}
