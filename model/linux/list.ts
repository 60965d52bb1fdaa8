/**
 * Doubly linked lists, every pointer a load or store of its own.
 *
 * All of it is inline in the kernel, so these are plain generators that leave no frame in a backtrace.
 *
 * @see include/linux/list.h
 */
import {
  container_of,
  type Field,
  type Kernel,
  list_head,
  load,
  type Ptr,
  stackPop,
  stackPush,
  store,
} from "../../sim/index.ts";

const L = list_head.fields;
const LIST_HEAD_SIZE = 16;

/** `INIT_LIST_HEAD(list)`. */
export function* INIT_LIST_HEAD(list: Ptr) {
  yield* store(list, L.next, list);
  yield* store(list, L.prev, list);
}

function* __list_add(added: Ptr, prev: Ptr, next: Ptr) {
  yield* store(next, L.prev, added);
  yield* store(added, L.next, next);
  yield* store(added, L.prev, prev);
  yield* store(prev, L.next, added);
}

/** Adds at the front. */
export function* list_add(added: Ptr, head: Ptr) {
  yield* __list_add(added, head, yield* load(head, L.next));
}

/** Adds at the end. */
export function* list_add_tail(added: Ptr, head: Ptr) {
  yield* __list_add(added, yield* load(head, L.prev), head);
}

function* __list_del(entry: Ptr) {
  const prev = yield* load(entry, L.prev);
  const next = yield* load(entry, L.next);
  yield* store(next, L.prev, prev);
  yield* store(prev, L.next, next);
}

/** Takes an entry off its list and links it to itself. */
export function* list_del_init(entry: Ptr) {
  yield* __list_del(entry);
  yield* store(entry, L.next, entry);
  yield* store(entry, L.prev, entry);
}

/** Takes an entry off its list and puts it at the front of another. */
export function* list_move(entry: Ptr, head: Ptr) {
  yield* __list_del(entry);
  yield* __list_add(entry, head, yield* load(head, L.next));
}

/** Moves all entries of `list` to the end of `head`; `list` is empty then. */
export function* list_splice_tail_init(list: Ptr, head: Ptr) {
  const first = yield* load(list, L.next);
  if (first === list) return;
  const last = yield* load(list, L.prev);
  const at = yield* load(head, L.prev);
  yield* store(first, L.prev, at);
  yield* store(at, L.next, first);
  yield* store(last, L.next, head);
  yield* store(head, L.prev, last);
  yield* store(list, L.next, list);
  yield* store(list, L.prev, list);
}

/** `entry->next`. */
export const list_next = (entry: Ptr): Kernel<Ptr> => load(entry, L.next);

/** `list_entry(pos, struct, member)`. */
export const list_entry = (position: Ptr, member: Field): Ptr => container_of(position, member);

/** `LIST_HEAD(name)` on the stack: to be given back with {@link endListHead}. The two stores are the task's own. */
export function* LIST_HEAD() {
  const list = stackPush(LIST_HEAD_SIZE);
  yield* store(list, L.next, list);
  yield* store(list, L.prev, list);
  return list;
}

/** Ends the life of a {@link LIST_HEAD}. */
export const endListHead = (): void => stackPop(LIST_HEAD_SIZE);

/** `list_empty(head)`. */
export function* list_empty(head: Ptr) {
  return (yield* load(head, L.next)) === head;
}
