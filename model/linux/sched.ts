/**
 * Task states, thread flags, task references.
 *
 * @see include/linux/sched.h, include/asm-x86/thread_info.h of 2.6.28 (NOTIFY_RESUME is from the tracehook branch)
 */
import {
  atomic_add_return,
  atomic_andnot,
  atomic_or,
  call_rcu,
  container_of,
  current,
  type Kernel,
  kernel,
  kmem_cache_free,
  load,
  mod_timer,
  note,
  type Ptr,
  READ_ONCE,
  schedule,
  WRITE_ONCE,
  wake_up_state,
} from "../../sim/index.ts";
import { thread_info } from "../../sim/kernelStructs.ts";
import { globals } from "./globals.ts";
import { sighand_struct, TASK } from "./structs.ts";

/** `task->state`, and from EXIT_ZOMBIE on `task->exit_state`. */
export const TASK_RUNNING = 0;
export const TASK_INTERRUPTIBLE = 1;
export const TASK_UNINTERRUPTIBLE = 2;
export const __TASK_STOPPED = 4;
export const __TASK_TRACED = 8;
export const TASK_DEAD = 64;
export const TASK_WAKEKILL = 128;
export const TASK_STOPPED = TASK_WAKEKILL | __TASK_STOPPED;
export const TASK_TRACED = TASK_WAKEKILL | __TASK_TRACED;
export const EXIT_ZOMBIE = 16;
export const EXIT_DEAD = 32;
/** Mask of `wake_up_process`. */
export const TASK_ALL = TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE | __TASK_STOPPED | __TASK_TRACED;

/** `task->flags`. */
export const PF_STARTING = 0x2;
export const PF_EXITING = 0x4;
export const PF_FORKNOEXEC = 0x40;
export const PF_SIGNALED = 0x400;
export const PF_KTHREAD = 0x200000;

/** Flags of `thread_info`, here as masks. */
export const TIF_SYSCALL_TRACE = 1 << 0;
export const TIF_NOTIFY_RESUME = 1 << 1;
export const TIF_SIGPENDING = 1 << 2;
export const TIF_SINGLESTEP = 1 << 4;

/** Name of a task state, as `show_task` prints it. */
export function stateName(state: number): string {
  if (state === TASK_RUNNING) return "R";
  if ((state & __TASK_STOPPED) !== 0) return "T (stopped)";
  if ((state & __TASK_TRACED) !== 0) return "t (traced)";
  if ((state & TASK_UNINTERRUPTIBLE) !== 0) return "D";
  if ((state & TASK_INTERRUPTIBLE) !== 0) return "S";
  return (state & TASK_DEAD) !== 0 ? "X" : String(state);
}

const FLAGS = thread_info.fields.flags;

/** `test_tsk_thread_flag`: through task->stack, as a task's thread_info is found. test_bit takes a pointer to volatile. */
export function* test_tsk_thread_flag(task: Ptr, flag: number) {
  const info = yield* load(task, TASK.stack);
  return ((yield* READ_ONCE(info, FLAGS)) & flag) !== 0;
}
export function* set_tsk_thread_flag(task: Ptr, flag: number) {
  const info = yield* load(task, TASK.stack);
  yield* atomic_or(info, FLAGS, flag);
}
export function* clear_tsk_thread_flag(task: Ptr, flag: number) {
  const info = yield* load(task, TASK.stack);
  yield* atomic_andnot(info, FLAGS, flag);
}
/** `test_and_set_tsk_thread_flag`. */
export function* test_and_set_tsk_thread_flag(task: Ptr, flag: number) {
  const info = yield* load(task, TASK.stack);
  return ((yield* atomic_or(info, FLAGS, flag)) & flag) !== 0;
}

/** The running task's thread flags: found from the stack pointer, so one load, by assembly or test_bit. */
export const thread_flags = (): Kernel<number> => READ_ONCE(globals().threadInfo(current()), FLAGS);
export const clear_thread_flag = (flag: number): Kernel<number> =>
  atomic_andnot(globals().threadInfo(current()), FLAGS, flag);

/** `signal_pending(task)`: lock-free. */
export const signal_pending = (task: Ptr): Kernel<boolean> => test_tsk_thread_flag(task, TIF_SIGPENDING);

/** `__set_current_state`: a store without a barrier. task->state is declared volatile: others look at it any time. */
export const __set_current_state = (state: number): Kernel<void> => WRITE_ONCE(current(), TASK.state, state);

/** Wakes the task whatever it sleeps in. */
export const wake_up_process = (task: Ptr): Kernel<number> => wake_up_state(task, TASK_ALL);

/** `task_is_stopped(task)`. */
export function* task_is_stopped(task: Ptr) {
  return ((yield* READ_ONCE(task, TASK.state)) & __TASK_STOPPED) !== 0;
}
/** `task_is_stopped_or_traced(task)`. */
export function* task_is_stopped_or_traced(task: Ptr) {
  return ((yield* READ_ONCE(task, TASK.state)) & (__TASK_STOPPED | __TASK_TRACED)) !== 0;
}

/**
 * `schedule_timeout_interruptible(timeout)`.
 *
 * @param jiffies - Ticks to sleep at most.
 */
export const schedule_timeout_interruptible = kernel(function* schedule_timeout_interruptible(jiffies: number) {
  yield* __set_current_state(TASK_INTERRUPTIBLE);
  yield* mod_timer(jiffies);
  yield* schedule();
  yield* mod_timer(0);
});

/** Takes a reference. */
export const get_task_struct = (task: Ptr): Kernel<number> => atomic_add_return(task, TASK.usage.counter, 1);

/** Frees a task struct whose last reference is gone. */
export const __put_task_struct = kernel(function* __put_task_struct(task: Ptr) {
  yield* globals().utrace.lifetime.utrace_free_task(task);
  yield* note("task-freed", task, 0);
  yield* kmem_cache_free(globals().task_struct_cachep, task);
});

/** Drops a reference; the last one frees the task struct. */
export function* put_task_struct(task: Ptr) {
  if ((yield* atomic_add_return(task, TASK.usage.counter, -1)) === 0) yield* __put_task_struct(task);
}

/** The callback of {@link call_rcu_put_task_struct}. */
export const delayed_put_task_struct = kernel(function* delayed_put_task_struct(rhead: Ptr) {
  yield* put_task_struct(container_of(rhead, TASK.rcu));
});

/** The reference that `release_task` drops, once RCU lookups of the task are over. */
export const call_rcu_put_task_struct = (task: Ptr): Kernel<void> => call_rcu(task, TASK.rcu, delayed_put_task_struct);

/** `task_lock(task)` as the lock primitives take it: `spin_lock(...task_lock(task))`. */
export const task_lock = (task: Ptr): [Ptr, typeof TASK.alloc_lock] => [task, TASK.alloc_lock];

/** `next_thread(task)`. */
export function* next_thread(task: Ptr) {
  return container_of(yield* load(task, TASK.thread_group.next), TASK.thread_group);
}

/** `thread_group_empty(task)`. */
export function* thread_group_empty(task: Ptr) {
  return (yield* next_thread(task)) === task;
}

/** `__cleanup_sighand`. */
export const __cleanup_sighand = kernel(function* __cleanup_sighand(sighand: Ptr) {
  if ((yield* atomic_add_return(sighand, sighand_struct.fields.count.counter, -1)) === 0) {
    yield* kmem_cache_free(globals().sighand_cachep, sighand);
  }
});
