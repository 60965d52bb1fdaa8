/** Setting locks up. Taking and releasing them is the machine's. @see lib/spinlock_debug.c, kernel/lockdep.c */
import { type Ptr, spinlock_t, store } from "../../sim/index.ts";
import { SPINLOCK_MAGIC, SPINLOCK_OWNER_INIT } from "../../sim/kernelStructs.ts";
import { running } from "../../sim/op.ts";

const LOCK = spinlock_t.fields;
/** Where the lock class keys and names of the kernel lie: its data section. */
const KERNEL_DATA = 0x80700000 | 0;

/**
 * `spin_lock_init(lock)`. DEPARTS: the class cache of dep_map stays NULL; the kernel fills it at the first acquisition.
 *
 * @param lock - Address of the lock.
 */
export function* spin_lock_init(lock: Ptr) {
  if (running.config.LOCKDEP === true) {
    yield* store(lock, LOCK.dep_map.class_cache, 0);
    yield* store(lock, LOCK.dep_map.name, KERNEL_DATA);
    yield* store(lock, LOCK.dep_map.key, KERNEL_DATA + 16);
  }
  yield* store(lock, LOCK.raw_lock, 0);
  if (running.config.DEBUG_SPINLOCK !== true) return;
  yield* store(lock, LOCK.magic, SPINLOCK_MAGIC);
  yield* store(lock, LOCK.owner, SPINLOCK_OWNER_INIT);
  yield* store(lock, LOCK.owner_cpu, -1);
}
