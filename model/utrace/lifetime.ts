/**
 * What differs between the ways struct utrace can live: where it sits, where it comes from, who may still have its
 * address when it goes, who frees it, and when.
 *
 * The core above (attach, control, reports, signals, death) is one and the same code for all of them. What the core
 * does here costs a step only where that lifetime's kernel code has one: {@link noStep} and `nothing` have none.
 */
import type { Field, Kernel, Machine, Ptr } from "../../sim/index.ts";
import type { Request } from "../../sim/op.ts";
import { type Config, type Layout, layoutFor } from "../../sim/struct.ts";

/** A piece of kernel code without a frame of its own. */
export type Inline<R> = Generator<Request, R, unknown>;

/** Goes on at once with `value`. */
export function* noStep<R>(value: R): Inline<R> {
  return value;
}

/** The argument that a lifetime is right, in words. */
export interface LifetimeArgument {
  /** Loops that go round again because the struct has come, gone or changed meanwhile: `function: why`. */
  readonly retryLoops: readonly string[];
  /** What whoever touches the struct has to keep to. */
  readonly rules: readonly string[];
}

export interface Lifetime {
  /** As on the command line. */
  readonly name: string;
  /** What it is, in a sentence. */
  readonly title: string;
  /**
   * What it makes of the structs: UTRACE_INDIRECT (task->utrace is a pointer) or UTRACE_EMBEDDED (it is the struct),
   * UTRACE_RCU (the struct is freed through RCU). Options of the build, not of the user.
   */
  readonly layout: Config;
  /** What there is to be known of it that no run counts. */
  readonly argument: LifetimeArgument;

  // Where the struct is.
  /** The struct of a task that cannot lose it meanwhile, mostly the running one; 0 if it has none. */
  own(task: Ptr): Kernel<Ptr>;
  /** The struct of any task, between {@link readLock} and {@link readUnlock}; 0 if it has none. */
  task_utrace_struct(task: Ptr): Kernel<Ptr>;
  /** What orders that look before a look at the task's exit_state. */
  readBarrier(): Kernel<void>;
  /** Begins and ends a section in which a struct that was found does not go away. */
  readLock(): Kernel<void>;
  readUnlock(): Kernel<void>;
  /** Whether a struct that was found, and is locked now, still serves its task. */
  stillServes(task: Ptr, utrace: Ptr): Kernel<boolean>;

  // Its fields, for someone without the lock.
  peek(utrace: Ptr, field: Field): Kernel<number>;
  poke(utrace: Ptr, field: Field, value: number): Kernel<void>;
  /** The entry behind `at` on the list of attached engines. */
  nextAttached(utrace: Ptr, at: Ptr): Kernel<Ptr>;

  // Its life, from the task's birth to its end.
  /** A task that was there before the first step. */
  boot(machine: Machine, task: Ptr): void;
  /** A new task has no engines. `tasklist_lock` held for writing. */
  utrace_init_task(task: Ptr): Kernel<void>;
  /**
   * The target has no struct: makes one, with `engine` as the first on its list.
   *
   * @returns it, locked; 0 to look again; or `ERR_PTR` of -ENOMEM, -EPERM or -ERESTARTNOINTR.
   */
  utrace_first_engine(target: Ptr, engine: Ptr): Kernel<Ptr>;
  /** Whether an engine may join a struct that is there: 0, -EAGAIN to look again, or the error. Without locks. */
  mayJoin(target: Ptr): Kernel<number>;
  /** An engine has just been put on the `attaching` list. Lock held. */
  joined(target: Ptr, utrace: Ptr): Kernel<void>;
  /**
   * What utrace_stop does when it runs again.
   *
   * @param utrace - The struct that it stopped with.
   * @returns true if a SIGKILL ended the stop.
   */
  afterStop(task: Ptr, utrace: Ptr): Kernel<boolean>;
  /** The last engine has gone. Lock held on entry, released. */
  lastEngineGone(task: Ptr, utrace: Ptr): Kernel<void>;
  /** Whether `release_task` has to look after the task's struct. */
  needsRelease(task: Ptr): Kernel<boolean>;
  /** `release_task` takes the struct away from the task, if it is to go now: its address, 0 if there is none. */
  takeForRelease(task: Ptr): Kernel<Ptr>;
  /** Whether the struct that release_task took and locked is still to be reaped. */
  stillToReap(utrace: Ptr): Kernel<boolean>;
  /** All engines have been reaped. Lock held on entry, released. */
  reaped(task: Ptr, utrace: Ptr): Kernel<void>;
  /** The last word of `release_task` on the struct, under `tasklist_lock`. */
  tracehook_finish_release_task(task: Ptr): Kernel<void>;
  /** The task struct is about to be freed. */
  utrace_free_task(task: Ptr): Kernel<void>;
}

/** The config that structs are laid out by: the user's, and what the lifetime makes of it; null for no utrace at all. */
export const configUnder = (lifetime: Lifetime | null, config: Config): Config => ({ ...config, ...lifetime?.layout });

/** Where every field of every struct is under a lifetime; null for a kernel without utrace. */
export const layoutOf = (lifetime: Lifetime | null, config: Config): Layout => layoutFor(configUnder(lifetime, config));
