/** Finding tasks by pid. @see kernel/pid.c */
import {
  atomic_add_return,
  call_rcu,
  container_of,
  kernel,
  kmem_cache_free,
  type Ptr,
  rcu_dereference,
  rcu_read_lock,
  rcu_read_unlock,
} from "../../sim/index.ts";
import { globals } from "./globals.ts";
import { get_task_struct } from "./sched.ts";
import { PID } from "./structs.ts";

/** `get_pid_task`: the task with a reference, 0 if it has been reaped. */
export const get_pid_task = kernel(function* get_pid_task(pid: Ptr) {
  yield* rcu_read_lock();
  const task = yield* rcu_dereference(pid, PID.task);
  if (task !== 0) yield* get_task_struct(task);
  yield* rcu_read_unlock();
  return task;
});

/** Takes a reference. */
export const get_pid = (pid: Ptr) => atomic_add_return(pid, PID.count.counter, 1);

/** Drops a reference; the last one frees the `struct pid`. */
export const put_pid = kernel(function* put_pid(pid: Ptr) {
  if ((yield* atomic_add_return(pid, PID.count.counter, -1)) === 0) {
    yield* kmem_cache_free(globals().pid_cachep, pid);
  }
});

/** The callback of {@link free_pid}. */
export const delayed_put_pid = kernel(function* delayed_put_pid(rhead: Ptr) {
  yield* put_pid(container_of(rhead, PID.rcu));
});

/** `free_pid`: the reference of the hash goes after a grace period. */
export const free_pid = kernel(function* free_pid(pid: Ptr) {
  yield* call_rcu(pid, PID.rcu, delayed_put_pid);
});
