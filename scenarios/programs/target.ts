/** Processes to be traced, and what goes on around them. */
import { kernel, kmem_cache_alloc, kmem_cache_free, type Ptr } from "../../sim/index.ts";
import { syscall, user_mode } from "../../model/linux/entry.ts";
import { sys_execve } from "../../model/linux/exec.ts";
import { utraceGlobals } from "../../model/utrace/globals.ts";
import { put_pid } from "../../model/linux/pid.ts";
import { do_group_exit, kill_pid_info, SIGKILL } from "../../model/linux/signal.ts";

/** Execs itself again and again, then exits. */
export const execLoop = kernel(function* exe(rounds: number) {
  for (let round = 0; round < rounds; round++) {
    yield* user_mode(300_000);
    yield* syscall(sys_execve);
  }
  yield* user_mode(300_000);
  yield* syscall(do_group_exit, 0);
});

/** Runs in user mode: whoever is queued behind it has to wait. */
export const spinner = kernel(function* spinner(rounds: number) {
  for (let round = 0; round < rounds; round++) yield* user_mode(5_000_000);
});

/** `killall -9`, a number of times. Owns a reference to each pid. */
export const killall = kernel(function* killall(pids: readonly Ptr[], rounds: number) {
  for (let round = 0; round < rounds; round++) {
    for (const pid of pids) {
      yield* user_mode(400_000);
      yield* syscall(kill_pid_info, SIGKILL, pid);
    }
  }
  for (const pid of pids) yield* put_pid(pid);
});

/**
 * The other users of a slab cache that is merged with utrace's: without slub_debug all caches of one slot size are one.
 * Takes a page of objects and more, so that slabs fill up, and gives them back, so that pages empty.
 */
export const mergedCacheUser = kernel(function* merged_cache_user(rounds: number) {
  const cache = utraceGlobals().utrace_cachep;
  for (let round = 0; round < rounds; round++) {
    const objects: Ptr[] = [];
    for (let i = 0; i < cache.objectsPerPage + 2; i++) objects.push(yield* kmem_cache_alloc(cache));
    for (const object of objects) yield* kmem_cache_free(cache, object);
  }
});
