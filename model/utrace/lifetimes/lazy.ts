/**
 * `lazy`: as utrace ended up in October 2009. task->utrace points to a struct that the first attach allocates and
 * installs under task_lock; from then on the pointer never changes, until the task struct itself is freed, and the
 * struct with it. No RCU for the struct.
 *
 * Who may hold a stale pointer: nobody who has a reference to the task.
 *
 * DEPARTS: release_task looks at the pointer, as posted, where the later kernel looks at utrace_flags (dfc0917c8fc) and
 * needs an RCU section in utrace_reset for that (a24e89126c6).
 *
 * @see kernel/utrace.c, c661ddb6295 and 28aa15a6b49 (2009-10): utrace_task_alloc, utrace_free_task
 */
import {
  data_race,
  kmem_cache_free,
  kmem_cache_zalloc,
  load,
  note,
  type Ptr,
  READ_ONCE,
  ref,
  smp_mb,
  smp_wmb,
  spin_lock,
  spin_unlock,
  store,
  WRITE_ONCE,
} from "../../../sim/index.ts";
import { ENOMEM, EPERM, ERR_PTR } from "../../linux/errno.ts";
import { INIT_LIST_HEAD } from "../../linux/list.ts";
import { PF_KTHREAD } from "../../linux/sched.ts";
import { spin_lock_init } from "../../linux/spinlock.ts";
import { TASK } from "../../linux/structs.ts";
import { utraceGlobals } from "../globals.ts";
import type { Inline, Lifetime } from "../lifetime.ts";
import { UTRACE } from "../structs.ts";
import { keptWithTask } from "./keptWithTask.ts";

/**
 * Installs a struct. When two attaches do this at once, the loser frees its copy, which nobody has seen.
 *
 * @returns false if there is no memory.
 */
function* utrace_task_alloc(task: Ptr): Inline<boolean> {
  const utrace = yield* kmem_cache_zalloc(utraceGlobals().utrace_cachep);
  if (utrace === 0) return false;
  yield* spin_lock_init(ref(utrace, UTRACE.lock));
  yield* INIT_LIST_HEAD(ref(utrace, UTRACE.attached));
  yield* INIT_LIST_HEAD(ref(utrace, UTRACE.attaching));
  yield* spin_lock(task, TASK.alloc_lock);
  const first = (yield* load(task, TASK.utrace)) === 0;
  if (first) {
    // The struct is set up before it can be found. Pairs with the data dependency of whoever follows the pointer.
    yield* smp_wmb();
    yield* WRITE_ONCE(task, TASK.utrace, utrace);
    yield* note("struct-live", utrace, task);
  }
  yield* spin_unlock(task, TASK.alloc_lock);
  if (!first) yield* kmem_cache_free(utraceGlobals().utrace_cachep, utrace);
  return true;
}

/** The lifetime of the later kernels. */
export const lazy: Lifetime = {
  ...keptWithTask,
  name: "lazy",
  title: "as utrace ended up: allocated on first attach, then kept until the task itself is freed",
  layout: { UTRACE_INDIRECT: true },
  argument: {
    retryLoops: [
      "utrace_attach_task: after a first attach has installed the struct",
      "utrace_attach_task: the target has not been woken for the first time, and its creator attaches first",
      "utrace_attach_task: the target is being reaped by now; the next look gives -ESRCH",
    ],
    rules: [
      "Who touches the struct has a reference to its task.",
      "utrace->reap, set once and under the lock, ends its service: who takes the lock looks at it.",
      "task->utrace is set once, under task_lock, after the struct was set up and a write barrier; it never changes until the task is freed.",
      "A first attach installs the pointer, then looks at exit_state; release_task sets exit_state, then looks at the pointer; each with a full barrier in between.",
      "Flags are read without the lock by the task itself.",
    ],
  },

  // Set once and never changed: whoever finds it follows the pointer.
  own: (task) => READ_ONCE(task, TASK.utrace),
  task_utrace_struct: (task) => READ_ONCE(task, TASK.utrace),

  *utrace_init_task(task: Ptr): Inline<void> {
    yield* store(task, TASK.utrace_flags, 0);
    yield* store(task, TASK.utrace, 0);
  },

  *utrace_first_engine(target: Ptr): Inline<Ptr> {
    if (((yield* data_race(load(target, TASK.flags))) & PF_KTHREAD) !== 0) return ERR_PTR(-EPERM);
    if (!(yield* utrace_task_alloc(target))) return ERR_PTR(-ENOMEM);
    // The struct is there for good now, so what comes next is an attach like any other, beginning with the look at
    // exit_state. Pairs with the barrier in needsRelease: either that sees the pointer, or the look sees EXIT_DEAD.
    yield* smp_mb();
    return 0;
  },

  *needsRelease(task: Ptr): Inline<boolean> {
    // Pairs with the barrier in utrace_first_engine: EXIT_DEAD was stored before.
    yield* smp_mb();
    return (yield* READ_ONCE(task, TASK.utrace)) !== 0;
  },
  takeForRelease: (task) => READ_ONCE(task, TASK.utrace),

  *utrace_free_task(task: Ptr): Inline<void> {
    const utrace = yield* load(task, TASK.utrace);
    if (utrace === 0) return;
    yield* note("struct-dying", utrace, 0);
    yield* note("struct-freed", utrace, 0);
    yield* kmem_cache_free(utraceGlobals().utrace_cachep, utrace);
  },
};
