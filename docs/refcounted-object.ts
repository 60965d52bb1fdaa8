/**
 * A refcounted object that is looked up under RCU, and the classic bug of it. `tutorial.md` explains it step by step.
 *
 * RCU keeps the memory of an object until the reader is done; the object itself it does not keep. Its last reference
 * may be gone already, and a reference taken then protects nothing.
 *
 * @see Documentation/RCU/rcuref.txt: why `search_and_reference` needs atomic_inc_not_zero
 */
import {
  atomic_add_return,
  type Cache,
  CHECK_NAMES,
  call_rcu,
  cmpxchg,
  container_of,
  globalsOf,
  kernel,
  kmem_cache_alloc,
  kmem_cache_free,
  kref,
  load,
  type Program,
  type Ptr,
  ptr,
  rcu_dereference,
  rcu_head,
  rcu_read_lock,
  rcu_read_unlock,
  store,
  struct,
  u32,
  xchg,
} from "../sim/index.ts";

const obj_struct = struct("obj", { ref: kref, value: u32, rcu: rcu_head });
const OBJ = obj_struct.fields;
/** Where readers look the object up. */
const table_struct = struct("table", { slot: ptr });
const TABLE = table_struct.fields;

/** The program's global variables. */
const globals = globalsOf<{ table: Ptr; obj_cachep: Cache; get: typeof obj_get }>();

/** The grace period is over: the memory goes back. */
const obj_free = kernel(function* obj_free(rhead: Ptr) {
  yield* kmem_cache_free(globals().obj_cachep, container_of(rhead, OBJ.rcu));
});

/** Drops a reference; the last one gives the object up. */
const obj_put = kernel(function* obj_put(obj: Ptr) {
  const left = yield* atomic_add_return(obj, OBJ.ref.refcount, -1);
  if (left === 0) yield* call_rcu(obj, OBJ.rcu, obj_free);
});

/** Takes a reference. BUG: there may be none left, and then this one does not count. */
const obj_get = kernel(function* obj_get(obj: Ptr) {
  yield* atomic_add_return(obj, OBJ.ref.refcount, 1);
  return true;
});

/** Takes a reference as long as there is another. */
const obj_get_unless_zero = kernel(function* obj_get_unless_zero(obj: Ptr) {
  for (;;) {
    const refs = yield* load(obj, OBJ.ref.refcount);
    if (refs === 0) return false;
    if ((yield* cmpxchg(obj, OBJ.ref.refcount, refs, refs + 1)) === refs) return true;
  }
});

/** Publishes an object in place of the one before, and drops the reference that kept that one published. */
const replace = kernel(function* replace(obj: Ptr) {
  const old = yield* xchg(globals().table, TABLE.slot, obj);
  if (old !== 0) yield* obj_put(old);
});

/** Publishes three objects, one after the other, and in the end none. */
const owner = kernel(function* owner() {
  for (const value of [1, 2, 3]) {
    const obj = yield* kmem_cache_alloc(globals().obj_cachep);
    yield* store(obj, OBJ.ref.refcount, 1);
    yield* store(obj, OBJ.value, value);
    yield* replace(obj);
  }
  yield* replace(0);
});

/** Looks the object up and uses it after the read section, under its own reference. */
const reader = kernel(function* reader() {
  yield* rcu_read_lock();
  const obj = yield* rcu_dereference(globals().table, TABLE.slot);
  const got = obj !== 0 && (yield* globals().get(obj));
  yield* rcu_read_unlock();
  if (!got) return;
  yield* load(obj, OBJ.value);
  yield* obj_put(obj);
});

/** One owner and one reader on two CPUs; the `fixed` reader takes its reference the careful way. */
export const refcountedObject = (fixed: boolean): Program => ({
  name: fixed ? "refcounted-object-fixed" : "refcounted-object",
  options: { config: { PREEMPT: true }, cpus: 2, checks: new Set(CHECK_NAMES), stepsMax: 1000 },
  setup(machine) {
    machine.globals = {
      table: machine.allocStaticStruct(table_struct),
      obj_cachep: machine.createCache(obj_struct),
      get: fixed ? obj_get_unless_zero : obj_get,
    };
    machine.spawn(0, { comm: "owner", pid: 1 }, owner);
    machine.spawn(0, { comm: "reader", pid: 2 }, reader);
  },
});
