/**
 * A lifetime that is wrong on purpose: as `pointer`, but the last detach gives the struct back at once, without a grace
 * period for those who have read the pointer under RCU.
 */
import { TASK } from "../../model/linux/structs.ts";
import { utraceGlobals } from "../../model/utrace/globals.ts";
import type { Inline, Lifetime } from "../../model/utrace/lifetime.ts";
import { pointer } from "../../model/utrace/lifetimes/pointer.ts";
import { UTRACE } from "../../model/utrace/structs.ts";
import { kmem_cache_free, note, type Ptr, rcu_assign_pointer, spin_lock, spin_unlock } from "../../sim/index.ts";

/** Frees too early. */
export const hasty: Lifetime = {
  ...pointer,
  name: "hasty",
  title: "wrong on purpose: freed without a grace period",

  *lastEngineGone(task: Ptr, utrace: Ptr): Inline<void> {
    yield* spin_lock(task, TASK.alloc_lock);
    yield* rcu_assign_pointer(task, TASK.utrace, 0);
    yield* note("struct-dying", utrace, 0);
    yield* spin_unlock(task, TASK.alloc_lock);
    yield* spin_unlock(utrace, UTRACE.lock);
    yield* note("struct-freed", utrace, 0);
    yield* kmem_cache_free(utraceGlobals().utrace_cachep, utrace);
  },
};
