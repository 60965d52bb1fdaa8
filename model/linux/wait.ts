/** Wait queues. @see include/linux/wait.h, kernel/wait.c */
import {
  type Field,
  kernel,
  load,
  type Ptr,
  ref,
  spin_lock_irqsave,
  spin_unlock_irqrestore,
  stackPop,
  stackPush,
  store,
  wake_up_state,
} from "../../sim/index.ts";
import { INIT_LIST_HEAD, list_add, list_del_init, list_entry, list_next } from "./list.ts";
import { TASK_INTERRUPTIBLE } from "./sched.ts";
import { wait_queue_head_t, wait_queue_t } from "./structs.ts";

const HEAD = wait_queue_head_t.fields;
const ENTRY = wait_queue_t.fields;
const ENTRY_SIZE = 48;

/** A wait entry of `task` on its stack, not queued yet; to be given back with {@link endWait}. */
export function* DECLARE_WAITQUEUE(task: Ptr) {
  const entry = stackPush(ENTRY_SIZE);
  yield* store(entry, ENTRY.private, task);
  yield* INIT_LIST_HEAD(ref(entry, ENTRY.task_list));
  return entry;
}
/** Ends the life of a {@link DECLARE_WAITQUEUE}. */
export const endWait = (): void => stackPop(ENTRY_SIZE);

/** Queues an entry. */
export const add_wait_queue = kernel(function* add_wait_queue(owner: Ptr, queue: Field, entry: Ptr) {
  const head = ref(owner, queue);
  const flags = yield* spin_lock_irqsave(head, HEAD.lock);
  yield* list_add(ref(entry, ENTRY.task_list), ref(head, HEAD.task_list));
  yield* spin_unlock_irqrestore(head, HEAD.lock, flags);
});

/** Takes an entry off its queue, if it is on one. */
export const remove_wait_queue = kernel(function* remove_wait_queue(owner: Ptr, queue: Field, entry: Ptr) {
  const head = ref(owner, queue);
  const flags = yield* spin_lock_irqsave(head, HEAD.lock);
  yield* list_del_init(ref(entry, ENTRY.task_list));
  yield* spin_unlock_irqrestore(head, HEAD.lock, flags);
});

/** `wake_up_interruptible`: wakes every sleeper of the queue; entries stay queued. */
export const __wake_up = kernel(function* __wake_up(owner: Ptr, queue: Field) {
  const head = ref(owner, queue);
  const list = ref(head, HEAD.task_list);
  const flags = yield* spin_lock_irqsave(head, HEAD.lock);
  for (let at = yield* list_next(list); at !== list; at = yield* list_next(at)) {
    const task = yield* load(list_entry(at, ENTRY.task_list), ENTRY.private);
    yield* wake_up_state(task, TASK_INTERRUPTIBLE);
  }
  yield* spin_unlock_irqrestore(head, HEAD.lock, flags);
});
