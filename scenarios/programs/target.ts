/** Processes to be traced, and what goes on around them. */

import type { BootedKernel } from "../../model/boot.ts";
import { syscall, user_mode } from "../../model/linux/entry.ts";
import { sys_execve } from "../../model/linux/exec.ts";
import { do_exit } from "../../model/linux/exit.ts";
import { CLONE_THREAD, do_fork } from "../../model/linux/fork.ts";
import { put_pid } from "../../model/linux/pid.ts";
import { __set_current_state, TASK_INTERRUPTIBLE } from "../../model/linux/sched.ts";
import { do_group_exit, kill_pid_info, SIGCONT, SIGKILL, SIGSTOP } from "../../model/linux/signal.ts";
import { TASK } from "../../model/linux/structs.ts";
import { utraceGlobals } from "../../model/utrace/globals.ts";
import {
  current,
  forget,
  kernel,
  kmem_cache_alloc,
  kmem_cache_free,
  load,
  type Ptr,
  schedule,
} from "../../sim/index.ts";

/** Execs itself again and again, then exits. */
export const execLoop = kernel(function* exe(rounds: number) {
  for (let round = 0; round < rounds; round++) {
    yield* user_mode(300_000);
    yield* forget("exec", round);
    yield* syscall(sys_execve);
  }
  yield* user_mode(300_000);
  yield* forget("exit");
  yield* syscall(do_group_exit, 0);
});

const sys_getpid = kernel(function* sys_getpid() {
  return yield* load(current(), TASK.pid);
});

/** Makes a system call that does next to nothing, a number of times, then exits. */
export const syscallLoop = kernel(function* exe_syscalls(rounds: number) {
  for (let round = 0; round < rounds; round++) {
    yield* user_mode(50_000);
    yield* syscall(sys_getpid);
  }
  yield* syscall(do_group_exit, 0);
});

const sys_pause = kernel(function* sys_pause() {
  yield* __set_current_state(TASK_INTERRUPTIBLE);
  yield* schedule();
});

/** Sleeps until it is killed. */
export const pausing = kernel(function* exe_pausing() {
  for (;;) yield* syscall(sys_pause);
});

/** Does some work, then exits. */
export const shortLife = kernel(function* exe_short() {
  yield* user_mode(100_000);
  yield* syscall(do_group_exit, 0);
});

/** A thread that does some work and ends by itself. */
const worker = kernel(function* exe_thread() {
  yield* user_mode(200_000);
  yield* syscall(do_exit, 0);
});

/** Starts a thread, execs while it may still be there, and exits. */
export const threadedExec = kernel(function* exe_threaded() {
  yield* syscall(do_fork, CLONE_THREAD, "exe", worker);
  yield* user_mode(100_000);
  yield* syscall(sys_execve);
  yield* user_mode(100_000);
  yield* syscall(do_group_exit, 0);
});

/** Sends SIGSTOP and SIGCONT in turn, then a last SIGCONT. Owns a reference to the pid. */
export const jobControl = kernel(function* job_control(pid: Ptr, rounds: number) {
  for (let round = 0; round < rounds; round++) {
    yield* user_mode(50_000);
    yield* syscall(kill_pid_info, SIGSTOP, pid);
    yield* user_mode(50_000);
    yield* syscall(kill_pid_info, SIGCONT, pid);
  }
  yield* put_pid(pid);
});

/** Sends SIGCONT now and then. Owns a reference to the pid. */
export const continues = kernel(function* continues(pid: Ptr, rounds: number) {
  for (let round = 0; round < rounds; round++) {
    yield* user_mode(100_000);
    yield* syscall(kill_pid_info, SIGCONT, pid);
  }
  yield* put_pid(pid);
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
 * Another user of a slab cache that is merged with utrace's: without slub_debug all caches of one slot size are one.
 * Takes a few objects more, so that a slab that is nearly full is put aside, and gives all back, so that pages empty.
 *
 * @param held - Objects it has held since before the world began.
 */
export const mergedCacheUser = kernel(function* merged_cache_user(held: readonly Ptr[]) {
  const cache = utraceGlobals().utrace_cachep;
  const objects = [...held];
  yield* user_mode(100_000);
  for (let i = 0; i < FREE_AT_BOOT + 1; i++) objects.push(yield* kmem_cache_alloc(cache));
  for (const object of objects) yield* kmem_cache_free(cache, object);
});
/**
 * The least that lets the page of a struct utrace empty: one other user of the cache, on one CPU. It holds all objects
 * of that CPU's slab but one, takes one more, which puts the slab aside if somebody took the last, and gives all back.
 */
export const lastObjectUser = kernel(function* merged_cache_last_user(held: readonly Ptr[]) {
  const cache = utraceGlobals().utrace_cachep;
  const more = yield* kmem_cache_alloc(cache);
  for (const object of held) yield* kmem_cache_free(cache, object);
  yield* kmem_cache_free(cache, more);
});

/** Adds a {@link lastObjectUser} for CPU 0; gives its task. */
export function populateLastObject(booted: BootedKernel): Ptr {
  const cache = booted.globals.utrace.utrace_cachep;
  const held: Ptr[] = [];
  while (held.length < cache.objectsPerPage - 1) held.push(booted.machine.allocAtBoot(cache, 0));
  return booted.process({ comm: "kswapd0", pid: 60 }, lastObjectUser, held);
}

/** Objects that the other users of the merged cache leave free in each CPU's slab. */
const FREE_AT_BOOT = 3;

/** Fills each CPU's slab of the merged cache but for a few objects, and adds the tasks that hold them. */
export function populateMergedCache(booted: BootedKernel): void {
  const cache = booted.globals.utrace.utrace_cachep;
  for (const cpu of booted.machine.cpus) {
    const held: Ptr[] = [];
    while (held.length < cache.objectsPerPage - FREE_AT_BOOT) held.push(booted.machine.allocAtBoot(cache, cpu.id));
    booted.process({ comm: "kswapd0", pid: 60 + cpu.id }, mergedCacheUser, held);
  }
}
