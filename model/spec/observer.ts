/**
 * Holds the implementation's notes against the specification, as they come.
 *
 * A note is taken in the step of the op before it, so the specification sees things in the order in which they took
 * effect. A step that it does not allow is a `spec-divergence`; what comes after the first one of a run is not judged.
 */
import type { Context } from "../../sim/context.ts";
import type { Machine } from "../../sim/index.ts";
import { hexPointer } from "../../sim/memory.ts";
import type { StoreBuffer } from "../../sim/storeBuffer.ts";
import { __TASK_TRACED } from "../linux/sched.ts";
import { describeDivergence } from "./divergence.ts";
import type { SpecEvent } from "./events.ts";
import { CALL_NAMES } from "./returns.ts";
import { SpecRun } from "./spec.ts";
import { unseenOf } from "./unseen.ts";

/** What a call that begins is made with besides: noted just before, as a note holds two numbers. */
export const CALL_KEYS = "call-keys";
/** The note at the end of a call. */
export const returnsNote = (call: string): string => `${call} returns`;

const CALLS: ReadonlySet<string> = new Set(CALL_NAMES);
const RETURNS: ReadonlyMap<string, string> = new Map(CALL_NAMES.map((name) => [returnsNote(name), name]));

/** Makes events of notes; keeps what belongs to the next one. */
export class NoteReader {
  private keys = { ops: 0, data: 0 };

  /**
   * The transition that a note stands for; null if it is about something else, or belongs to the next.
   *
   * @param by - The task that runs.
   */
  eventOf(by: number, subject: string, pointer: number, value: number): SpecEvent | null {
    switch (subject) {
      case "struct-live":
        return { type: subject, by, utrace: pointer, task: value };
      case "struct-dying":
      case "struct-freed":
      case "engines-spliced":
      case "report-unannounced":
      case "report-taken":
        return { type: subject, by, utrace: pointer };
      case "engine-attached":
        return { type: subject, by, engine: pointer, utrace: value };
      case "engine-detaching":
      case "engine-detached":
      case "engine-get":
      case "engine-put":
      case "engine-freed":
      case "report-declined":
        return { type: subject, by, engine: pointer };
      case "events-set":
        return { type: subject, by, engine: pointer, events: value };
      case "wants-stop":
        return { type: subject, by, engine: pointer, wants: value !== 0 };
      case "task-dead":
      case "task-reaped":
      case "task-given-back":
      case "task-freed":
      case "task-killed":
      case "task-exiting":
      case "task-stopped":
      case "task-resumed":
      case "kill-wakes":
      case "stop-ended":
      case "user-return":
      case "user-mode":
      case "report-passed-by":
      case "report-end":
        return { type: subject, by, task: pointer };
      case "report-begin":
        return { type: subject, by, task: pointer, event: value };
      case "callback-begin":
        return { type: subject, by, engine: pointer, callback: value };
      case "callback-end":
        return { type: subject, by, engine: pointer, action: value };
      default:
        return this.callOf(by, subject, pointer, value);
    }
  }

  private callOf(by: number, subject: string, pointer: number, value: number): SpecEvent | null {
    if (subject === CALL_KEYS) {
      this.keys = { ops: pointer, data: value };
      return null;
    }
    const ended = RETURNS.get(subject);
    if (ended !== undefined) return { type: "call-end", by, call: ended, result: value };
    if (!CALLS.has(subject)) return null;
    const attach = subject === "utrace_attach_task";
    const { ops, data } = attach ? this.keys : { ops: 0, data: 0 };
    const [target, engine] = attach ? [pointer, 0] : [0, pointer];
    return { type: "call-begin", by, call: subject, target, engine, argument: value, ops, data };
  }
}

/** Keeps account of what is in the store buffers, of all that the specification makes a difference for. */
class Lag {
  /** Oldest first; `step` is that of the store. */
  private waiting: { readonly by: number; readonly cpu: number; readonly step: number }[] = [];

  constructor(
    private readonly buffers: NonNullable<Machine["buffers"]>,
    private readonly run: SpecRun,
  ) {}

  private holds(cpu: number, step: number): boolean {
    const buffer = this.buffers[cpu] as StoreBuffer;
    return buffer.count > 0 && buffer.entry(0).step <= step;
  }

  /** The event, marked if other CPUs cannot see yet what it stands for. */
  note(event: SpecEvent, cpu: number, step: number): SpecEvent {
    const marked = { ...event, unseen: true };
    if (!this.holds(cpu, step) || unseenOf(this.run.state, marked) === null) return event;
    this.waiting.push({ by: event.by, cpu, step });
    return marked;
  }

  /** Tells the specification what has left the buffers since it was last told of anything. */
  settle(): void {
    if (this.waiting.length === 0) return;
    const { run } = this;
    this.waiting = this.waiting.filter(({ by, cpu, step }) => {
      const holds = this.holds(cpu, step);
      if (!holds) run.step({ type: "store-seen", by });
      return holds;
    });
  }
}

/** Watches a machine from its boot on; the first divergence of a run is a finding. */
export function observeSpec(machine: Machine): void {
  machine.onNote = observerOf(machine);
}

/**
 * Makes the observer apart from the function that puts it into the machine: V8 (11.3) keeps a machine alive up to the
 * next full collection if the closure that refers to it is both made and stored there, which costs a hunt a quarter of
 * its time.
 */
function observerOf(machine: Machine): NonNullable<Machine["onNote"]> {
  const reader = new NoteReader();
  const run = new SpecRun();
  const lag = machine.buffers === null ? null : new Lag(machine.buffers, run);
  let diverged = false;
  return (context: Context, subject: string, pointer: number, value: number) => {
    if (diverged || (subject === "user-mode" && run.isCalm(pointer))) return;
    const noted = reader.eventOf(context.softirq ? 0 : context.task, subject, pointer, value);
    if (noted === null) return;
    lag?.settle();
    const resumed = noted.type === "call-end" ? run.resumedBy(noted.by) : 0;
    const met = resumed === 0 ? noted : { ...noted, asleep: (machine.peekState(resumed) & __TASK_TRACED) !== 0 };
    const event = lag?.note(met, context.cpu, machine.steps) ?? met;
    const broken = run.step(event);
    if (broken === null) return;
    diverged = true;
    const message = describeDivergence(run.state, event, broken, hexPointer);
    const title = `${event.type}: ${broken.sentence} (${broken.name})`;
    machine.finding("spec-divergence", title, context, { type: "message", message }, false);
  };
}
