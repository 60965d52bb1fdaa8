/**
 * What differs between the ways struct utrace can live: where it comes from, who frees it, and when.
 *
 * The core above (attach, control, reports, signals, death) is one and the same code for all of them.
 */
import type { Ptr } from "../../sim/index.ts";
import type { Request } from "../../sim/op.ts";

/** A piece of kernel code without a frame of its own. */
export type Inline<R> = Generator<Request, R, unknown>;

export interface Lifetime {
  readonly name: string;
  /**
   * Makes sure the target has a struct utrace with `engine` as the first on its list.
   *
   * @returns it, locked; 0 to look again; or `ERR_PTR` of -ENOMEM or -ERESTARTNOINTR.
   */
  utrace_first_engine(target: Ptr, engine: Ptr): Inline<Ptr>;
  /**
   * The last engine has gone. Lock held on entry, released.
   *
   * @param task - Its task.
   */
  lastEngineGone(task: Ptr, utrace: Ptr): Inline<void>;
  /** `release_task` takes the struct away from the task: its address, 0 if there is none. */
  takeForRelease(target: Ptr): Inline<Ptr>;
  /** All engines have been reaped. Lock held on entry, released. */
  reaped(utrace: Ptr): Inline<void>;
}
