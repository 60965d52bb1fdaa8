/**
 * `execve`.
 *
 * DEPARTS: no images, credentials or files: of the steps of an exec those that other tasks can see. Signal handlers are
 * not reset. compute_creds, whose answer nobody uses here, is left out where no task may be ptraced.
 *
 * @see fs/exec.c of 2.6.27: do_execve, flush_old_exec, de_thread
 */
import {
  add,
  current,
  kernel,
  load,
  note,
  type Ptr,
  READ_ONCE,
  schedule,
  spin_lock,
  spin_unlock,
  store,
  write_lock_irq,
  write_unlock_irq,
} from "../../sim/index.ts";
import { EAGAIN } from "./errno.ts";
import { release_task } from "./exit.ts";
import { mm_release } from "./fork.ts";
import { globals, tasklist } from "./globals.ts";
import { __set_current_state, EXIT_DEAD, TASK_UNINTERRUPTIBLE, thread_group_empty } from "./sched.ts";
import { lock_siglock_irq, SIGCHLD, signal_group_exit, unlock_siglock_irq, zap_other_threads } from "./signal.ts";
import { PID, SIGNAL, TASK } from "./structs.ts";
import { tracehook_report_exec, tracehook_unsafe_exec } from "./tracehook.ts";

/** Makes the running thread the only one of its group, and its leader. -EAGAIN if the group is dying already. */
const de_thread = kernel(function* de_thread(task: Ptr) {
  if (yield* thread_group_empty(task)) return 0;
  const signal = yield* load(task, TASK.signal);
  const leader = yield* load(task, TASK.group_leader);
  yield* lock_siglock_irq(task);
  if (yield* signal_group_exit(signal)) {
    yield* unlock_siglock_irq(task);
    return -EAGAIN;
  }
  yield* store(signal, SIGNAL.group_exit_task, task);
  yield* zap_other_threads(task);
  const count = leader === task ? 1 : 2;
  yield* store(signal, SIGNAL.notify_count, count);
  while ((yield* READ_ONCE(signal, SIGNAL.count.counter)) > count) {
    yield* __set_current_state(TASK_UNINTERRUPTIBLE);
    yield* unlock_siglock_irq(task);
    yield* schedule();
    yield* lock_siglock_irq(task);
  }
  yield* unlock_siglock_irq(task);
  if (leader !== task) yield* take_over(task, leader, signal);
  yield* store(signal, SIGNAL.group_exit_task, 0);
  yield* store(signal, SIGNAL.notify_count, 0);
  if (leader !== task) yield* release_task(leader);
  return 0;
});

/**
 * The exec'ing thread waits for the old leader to die and takes its pid. DEPARTS: its own pid goes to the leader; the
 * kernel gives that up at once, and a look-up by it would find nobody.
 */
function* take_over(task: Ptr, leader: Ptr, signal: Ptr) {
  yield* store(signal, SIGNAL.notify_count, -1);
  for (;;) {
    yield* write_lock_irq(...tasklist());
    if ((yield* load(leader, TASK.exit_state)) !== 0) break;
    yield* __set_current_state(TASK_UNINTERRUPTIBLE);
    yield* write_unlock_irq(...tasklist());
    yield* schedule();
  }
  const ownPid = yield* load(task, TASK.thread_pid);
  const leaderPid = yield* load(leader, TASK.thread_pid);
  yield* store(task, TASK.pid, yield* load(leader, TASK.pid));
  yield* store(task, TASK.thread_pid, leaderPid);
  yield* store(leader, TASK.thread_pid, ownPid);
  yield* store(leaderPid, PID.task, task);
  yield* store(ownPid, PID.task, leader);
  yield* store(task, TASK.group_leader, task);
  yield* store(leader, TASK.group_leader, task);
  yield* store(task, TASK.exit_signal, SIGCHLD);
  yield* store(leader, TASK.exit_state, EXIT_DEAD);
  yield* note("task-reaped", leader, 0);
  yield* write_unlock_irq(...tasklist());
}

/** `exec_mmap`: the switch of address spaces, under task_lock. */
const exec_mmap = kernel(function* exec_mmap(task: Ptr) {
  yield* mm_release(task);
  yield* spin_lock(task, TASK.alloc_lock);
  yield* add(task, TASK.mm, 1);
  yield* spin_unlock(task, TASK.alloc_lock);
});

/** `compute_creds`: asks, under task_lock, whether someone traces the task, and what that means for its credentials. */
export const compute_creds = kernel(function* compute_creds(task: Ptr) {
  yield* spin_lock(task, TASK.alloc_lock);
  const unsafe = yield* tracehook_unsafe_exec(task);
  yield* spin_unlock(task, TASK.alloc_lock);
  return unsafe;
});

/**
 * `sys_execve`.
 *
 * @returns 0, or -EAGAIN.
 */
export const sys_execve = kernel(function* sys_execve() {
  const task = current();
  const error = yield* de_thread(task);
  if (error !== 0) return error;
  yield* exec_mmap(task);
  yield* add(task, TASK.self_exec_id, 1);
  if (globals().ptracers) yield* compute_creds(task);
  yield* tracehook_report_exec();
  return 0;
});
