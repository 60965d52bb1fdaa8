/**
 * A refcounted object with RCU lookup, and its classic bug: a reader takes a reference to an object whose last
 * reference is already gone. `fixed` takes one only while there is still another (`kref_get_unless_zero`).
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
  rcu_assign_pointer,
  rcu_dereference,
  rcu_head,
  rcu_read_lock,
  rcu_read_unlock,
  store,
  struct,
  u32,
} from "../sim/index.ts";

const OBJ_T = struct("obj", { ref: kref, value: u32, rcu: rcu_head });
const OBJ = OBJ_T.fields;
const TABLE = struct("table", { slot: ptr });

const world = globalsOf<{ table: Ptr; cache: Cache; fixed: boolean }>();

const obj_free = kernel(function* obj_free(rhead: Ptr) {
  yield* kmem_cache_free(world().cache, container_of(rhead, OBJ.rcu));
});

const obj_put = kernel(function* obj_put(obj: Ptr) {
  if ((yield* atomic_add_return(obj, OBJ.ref.refcount, -1)) === 0) yield* call_rcu(obj, OBJ.rcu, obj_free);
});

const obj_get = kernel(function* obj_get(obj: Ptr) {
  if (!world().fixed) return (yield* atomic_add_return(obj, OBJ.ref.refcount, 1)) > 0;
  for (;;) {
    const refs = yield* load(obj, OBJ.ref.refcount);
    if (refs === 0) return false;
    if ((yield* cmpxchg(obj, OBJ.ref.refcount, refs, refs + 1)) === refs) return true;
  }
});

const reader = kernel(function* reader() {
  yield* rcu_read_lock();
  const obj = yield* rcu_dereference(world().table, TABLE.fields.slot);
  const got = obj !== 0 && (yield* obj_get(obj));
  yield* rcu_read_unlock();
  if (!got) return;
  yield* load(obj, OBJ.value);
  yield* obj_put(obj);
});

const owner = kernel(function* owner() {
  const obj = yield* kmem_cache_alloc(world().cache);
  yield* store(obj, OBJ.ref.refcount, 1);
  yield* store(obj, OBJ.value, 42);
  yield* rcu_assign_pointer(world().table, TABLE.fields.slot, obj);
  yield* rcu_assign_pointer(world().table, TABLE.fields.slot, 0);
  yield* obj_put(obj);
});

/** The world: one owner, two readers, two CPUs. */
export const refcountedObject = (fixed: boolean): Program => ({
  name: fixed ? "refcounted-object-fixed" : "refcounted-object",
  options: { config: { PREEMPT: true }, cpus: 2, checks: new Set(CHECK_NAMES), stepsMax: 1000 },
  setup(machine) {
    const table = machine.allocStaticStruct(TABLE);
    machine.globals = { table, cache: machine.createCache(OBJ_T), fixed };
    machine.spawn(0, { comm: "owner" }, owner);
    machine.spawn(0, { comm: "reader" }, reader);
    machine.spawn(0, { comm: "reader" }, reader);
  },
});
