/** utrace's own global variables, and what varies from one run to another: lifetime and patches. */
import type { Cache, Ptr } from "../../sim/index.ts";
import { globals } from "../linux/globals.ts";
import type { Lifetime } from "./lifetime.ts";

/** A fix from utrace's later history. */
export type Patch =
  | "stop-relookup"
  | "no-stop-after-last-detach"
  | "taker-frees"
  | "recheck-before-stop"
  | "sigpending-in-resume"
  | "notify-at-attach"
  | "cloning-before-finish"
  | "jctl-notify";

/** A change that nobody made: what part of the code is for, asked by leaving it out. */
export type Experiment = "no-engine-refcount" | "one-attach-list";

export interface UtraceGlobals {
  readonly utrace_cachep: Cache;
  readonly utrace_engine_cachep: Cache;
  /** Address of the ops of an engine that is marked detached but still on a list. */
  readonly utrace_detached_ops: Ptr;
  /** Address of the ops of ptrace's engine; 0 unless CONFIG_UTRACE_PTRACE and somebody may be ptraced. */
  ptrace_utrace_ops: Ptr;
  readonly lifetime: Lifetime;
  readonly patches: ReadonlySet<Patch | Experiment>;
  /** `arch_has_single_step()` and `arch_has_block_step()`. */
  readonly archHasSingleStep: boolean;
  readonly archHasBlockStep: boolean;
}

/** utrace's part of the running kernel's variables. */
export const utraceGlobals = (): UtraceGlobals => globals().utrace;
export const patched = (patch: Patch | Experiment): boolean => utraceGlobals().patches.has(patch);
