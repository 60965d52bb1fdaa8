/**
 * Scripts: programs of traced tasks, tracers and senders of signals as data, for who generates them.
 *
 * A script holds numbers and names only, so it can be written as JSON, read back, and shrunk.
 */
import type { CallbackName } from "../../model/utrace/engine.ts";

/** Callbacks that answer: all but report_reap. */
export const ANSWERS = [
  "report_quiesce",
  "report_signal",
  "report_clone",
  "report_jctl",
  "report_exec",
  "report_syscall_entry",
  "report_syscall_exit",
  "report_exit",
  "report_death",
] as const satisfies readonly CallbackName[];

/** What the callbacks of an engine return: a resume action, with a signal or system call action where there is one. */
export interface EngineScript {
  readonly answers: Readonly<Partial<Record<(typeof ANSWERS)[number], number>>>;
  /** What a callback does besides: a call on its own engine, or what takes a while. */
  readonly inside: { readonly callback: (typeof ANSWERS)[number]; readonly call: OwnCall | Nap | Look } | null;
  /** report_clone attaches an engine to the child, which asks for these events and resumes; 0: it does not. */
  readonly follows: number;
}

/** A call on an engine that is at hand. Those who examine begin, and end. */
export type OwnCall =
  | { readonly do: "control"; readonly action: number }
  | { readonly do: "events"; readonly mask: number }
  | { readonly do: "barrier" | "examine" };
/** To sleep up to the next tick, so that others get on. */
export interface Nap {
  readonly do: "nap";
}

/** The only one there is. */
export const NAP: Nap = { do: "nap" };

/** To look at the task for a while, without a sleep or a lock. */
export interface Look {
  readonly do: "look";
}
/** The only one there is. */
export const LOOK: Look = { do: "look" };

/** What a traced task does, one thing after the other; then it exits. A "call" is a system call that does nothing. */
export type TargetStep =
  | { readonly do: "user" | "call" | "exec" | "fork" | "thread" | "exit thread" }
  | { readonly do: "handle" | "ignore"; readonly signal: number };

/** What a tracer does. It has two slots, each for an engine and the target that it was attached to. */
export type TracerStep =
  | { readonly do: "user" }
  | Nap
  | {
      readonly do: "attach";
      readonly slot: number;
      readonly target: number;
      readonly engine: number;
      readonly flags: number;
    }
  | (OwnCall & { readonly slot: number })
  /** "await" sleeps until the target has stopped or died, but for a bounded number of ticks. */
  | { readonly do: "await"; readonly slot: number }
  | { readonly do: "put"; readonly slot: number };

/** A signal that is sent, and how many times its sender sleeps before that. */
export interface SenderStep {
  readonly signal: number;
  readonly target: number;
  readonly naps: number;
}

/** A whole program. */
export interface Script {
  readonly engines: readonly EngineScript[];
  readonly targets: readonly (readonly TargetStep[])[];
  readonly tracers: readonly (readonly TracerStep[])[];
  readonly senders: readonly (readonly SenderStep[])[];
  /** Targets sleep until every tracer has made the attaches, with their events, that it begins with. */
  readonly waits: boolean;
  /** Tracers leave their engines attached when they end, as a module would that is never unloaded; SIGKILL follows. */
  readonly leaves: boolean;
  /** Somebody else uses the same slab cache, and somebody keeps a CPU busy. */
  readonly crowded: boolean;
}
