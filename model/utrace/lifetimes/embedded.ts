/**
 * `embedded`: as asked for on the list. struct utrace is a member of task_struct, lives and dies with it, and one lock,
 * utrace->lock, guards every field of it. No RCU head, no check_dead, no allocation.
 *
 * Who may hold a stale pointer: nobody who has a reference to the task.
 *
 * Where one lock cannot guard: utrace_get_signal and utrace_interrupt_pending begin under the siglock, which comes
 * inside utrace->lock in the order of locks. They look at the flags without it, as every version did.
 *
 * @see Alexey Dobriyan, Christoph Hellwig, Peter Zijlstra on the list; 742f1206423 (2009-03-02) is the nearest to it
 *   that was written, with the follow-ups 2233b065d14, 81ed51706e3 and f067223c3c2. That reads most flags unlocked.
 */
import {
  type Kernel,
  list_head,
  load,
  note,
  type Ptr,
  pokeLock,
  ref,
  spin_lock,
  spin_unlock,
  spinlock_t,
  store,
} from "../../../sim/index.ts";
import { INIT_LIST_HEAD, list_next } from "../../linux/list.ts";
import { spin_lock_init } from "../../linux/spinlock.ts";
import { TASK } from "../../linux/structs.ts";
import { type Inline, type Lifetime, noStep } from "../lifetime.ts";
import { UTRACE } from "../structs.ts";
import { keptWithTask } from "./keptWithTask.ts";

/** `&task->utrace`: an address, no access. */
const addressIn = (task: Ptr): Ptr => ref(task, TASK.utrace);

/** The lock for one access. */
function* locked<R>(utrace: Ptr, access: () => Kernel<R>): Inline<R> {
  yield* spin_lock(utrace, UTRACE.lock);
  const result = yield* access();
  yield* spin_unlock(utrace, UTRACE.lock);
  return result;
}

/** The lifetime asked for on the list. */
export const embedded: Lifetime = {
  ...keptWithTask,
  name: "embedded",
  title: "as asked for on the list: a member of task_struct, with one lock that guards every field",
  layout: { UTRACE_EMBEDDED: true },
  argument: {
    retryLoops: [
      "utrace_attach_task: the target has not been woken for the first time, and its creator attaches first",
      "utrace_attach_task: the target is being reaped by now; the next look gives -ESRCH",
    ],
    rules: [
      "Who touches the struct has a reference to its task.",
      "utrace->reap, set once and under the lock, ends its service: who takes the lock looks at it.",
      "Under the siglock the flags are read without the lock, which comes first in the order of locks.",
    ],
  },

  own: (task) => noStep(addressIn(task)),
  task_utrace_struct: (task) => noStep(addressIn(task)),

  peek: (utrace, field) => locked(utrace, () => load(utrace, field)),
  poke: (utrace, field, value) => locked(utrace, () => store(utrace, field, value)),
  nextAttached: (utrace, at) => locked(utrace, () => list_next(at)),

  boot(machine, task) {
    const utrace = task + (machine.offset[TASK.utrace.id] as number);
    const at = (field: { readonly id: number }): Ptr => utrace + (machine.offset[field.id] as number);
    for (const list of [at(UTRACE.attached), at(UTRACE.attaching)]) {
      machine.poke(list, list_head.fields.next, list);
      machine.poke(list, list_head.fields.prev, list);
    }
    pokeLock(machine, at(UTRACE.lock), spinlock_t);
    machine.onNote?.(machine.bootContext, "struct-live", utrace, task);
  },
  *utrace_init_task(task: Ptr): Inline<void> {
    const utrace = addressIn(task);
    yield* store(task, TASK.utrace_flags, 0);
    yield* INIT_LIST_HEAD(ref(utrace, UTRACE.attached));
    yield* INIT_LIST_HEAD(ref(utrace, UTRACE.attaching));
    yield* spin_lock_init(ref(utrace, UTRACE.lock));
    yield* note("struct-live", utrace, task);
  },

  utrace_first_engine() {
    throw new Error("[sim bug] no task is without a struct utrace here");
  },
  needsRelease: () => noStep(true),
  takeForRelease: (task) => noStep(addressIn(task)),

  *utrace_free_task(task: Ptr): Inline<void> {
    yield* note("struct-dying", addressIn(task), 0);
    yield* note("struct-freed", addressIn(task), 0);
  },
};
