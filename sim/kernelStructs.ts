/** The C structs that the machine itself reads and writes. */
import { int, ptr, struct, u32, ulong, when } from "./struct.ts";

/** Counters and list links. */
export const atomic_t = struct("atomic_t", { counter: int });
export const kref = struct("kref", { refcount: int });
export const list_head = struct("list_head", { next: ptr, prev: ptr });
export const rcu_head = struct("rcu_head", { next: ptr, func: ptr });

/** LOCK_STAT adds a CPU number to the map, and from 2.6.29 on an address; both are off here. */
export const lockdep_map = struct("lockdep_map", { key: ptr, class_cache: ptr, name: ptr });

/** `raw_lock` is the ticket pair: byte 0 is now serving, byte 1 the next ticket. */
export const spinlock_t = struct("spinlock_t", {
  raw_lock: u32,
  magic: when("DEBUG_SPINLOCK", u32),
  owner_cpu: when("DEBUG_SPINLOCK", int),
  owner: when("DEBUG_SPINLOCK", ptr),
  dep_map: when("LOCKDEP", lockdep_map),
});

/** `raw_lock` starts at RW_LOCK_BIAS, goes down by one for each reader and by the bias for a writer. */
export const rwlock_t = struct("rwlock_t", {
  raw_lock: int,
  magic: when("DEBUG_SPINLOCK", u32),
  owner_cpu: when("DEBUG_SPINLOCK", int),
  owner: when("DEBUG_SPINLOCK", ptr),
  dep_map: when("LOCKDEP", lockdep_map),
});

/** The part of `struct thread_info` that lies at the bottom of each kernel stack. */
export const thread_info = struct("thread_info", { task: ptr, flags: ulong, cpu: u32, preempt_count: int });

/** The task struct of programs that bring none of their own. */
export const plain_task = struct("task", { state: ulong });

/** Values that lock debugging and rwlocks start from. */
export const SPINLOCK_MAGIC = 0xdead4ead;
export const RWLOCK_MAGIC = 0xdeaf1eed;
export const RW_LOCK_BIAS = 0x01000000;
/** `(void *)-1`: owner of a free lock. */
export const SPINLOCK_OWNER_INIT = -1;
