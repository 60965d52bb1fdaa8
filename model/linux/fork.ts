/**
 * `clone`.
 *
 * @see kernel/fork.c of 2.6.27: do_fork, copy_process
 */
import {
  atomic_add_return,
  clear_bits,
  current,
  type KernelFunction,
  kernel,
  kmem_cache_alloc,
  kmem_cache_free,
  kmem_cache_zalloc,
  load,
  type Ptr,
  ref,
  schedule,
  spawn,
  spin_lock_irq,
  spin_lock_irqsave,
  spin_unlock_irq,
  spin_unlock_irqrestore,
  stackPop,
  stackPush,
  store,
  wake_up_state,
  write_lock_irq,
  write_unlock_irq,
} from "../../sim/index.ts";
import { ret_to_user } from "./entry.ts";
import { ERESTARTNOINTR } from "./errno.ts";
import { globals, tasklist } from "./globals.ts";
import { INIT_LIST_HEAD, list_add_tail } from "./list.ts";
import { __set_current_state, PF_FORKNOEXEC, PF_STARTING, signal_pending, TASK_UNINTERRUPTIBLE } from "./sched.ts";
import { actionOf, recalc_sigpending, SIGCHLD } from "./signal.ts";
import { spin_lock_init } from "./spinlock.ts";
import { completion, k_sigaction, PID, SIGHAND, SIGNAL, TASK, wait_queue_head_t } from "./structs.ts";
import {
  tracehook_finish_clone,
  tracehook_prepare_clone,
  tracehook_report_clone,
  tracehook_report_clone_complete,
  tracehook_report_vfork_done,
} from "./tracehook.ts";

/** The new task is a thread of its creator's group. Here it implies CLONE_SIGHAND and CLONE_VM, as it must. */
export const CLONE_THREAD = 0x10000;
/** The tracer of the creator traces the new task too. */
export const CLONE_PTRACE = 0x2000;
/** The creator waits until the new task execs or exits. */
export const CLONE_VFORK = 0x4000;
/** No tracer is told. */
export const CLONE_UNTRACED = 0x800000;

function* init_waitqueue_head(queue: Ptr) {
  yield* spin_lock_init(ref(queue, wait_queue_head_t.fields.lock));
  yield* INIT_LIST_HEAD(ref(queue, wait_queue_head_t.fields.task_list));
}

const ACTION = k_sigaction.fields;
/** Highest number of the signals that the model handles: those that fit in one word of a set. */
const SIGNALS = 31;

const copy_signal = kernel(function* copy_signal() {
  const signal = yield* kmem_cache_zalloc(globals().signal_cachep);
  yield* store(signal, SIGNAL.count.counter, 1);
  yield* store(signal, SIGNAL.live.counter, 1);
  yield* init_waitqueue_head(ref(signal, SIGNAL.wait_chldexit));
  return signal;
});

const copy_sighand = kernel(function* copy_sighand() {
  // The siglock is set up by the cache's constructor: lock_task_sighand may still be after a former user's.
  const sighand = yield* kmem_cache_alloc(globals().sighand_cachep);
  yield* store(sighand, SIGHAND.count.counter, 1);
  const own = yield* load(current(), TASK.sighand);
  for (let sig = 1; sig <= SIGNALS; sig++) {
    yield* store(actionOf(sighand, sig), ACTION.sa_handler, yield* load(actionOf(own, sig), ACTION.sa_handler));
    yield* store(actionOf(sighand, sig), ACTION.sa_flags, yield* load(actionOf(own, sig), ACTION.sa_flags));
  }
  return sighand;
});

const alloc_pid = kernel(function* alloc_pid(task: Ptr) {
  const pid = yield* kmem_cache_zalloc(globals().pid_cachep);
  const nr = globals().takePid();
  yield* store(pid, PID.count.counter, 1);
  yield* store(pid, PID.nr, nr);
  yield* store(pid, PID.task, task);
  return { pid, nr };
});

/** A task struct like the creator's, not linked anywhere yet. The byte copy is one memset and what differs from zero. */
const dup_task_struct = kernel(function* dup_task_struct() {
  const child = yield* kmem_cache_zalloc(globals().task_struct_cachep);
  yield* store(child, TASK.usage.counter, 2);
  yield* store(child, TASK.flags, PF_STARTING | PF_FORKNOEXEC);
  yield* store(child, TASK.blocked, yield* load(current(), TASK.blocked));
  yield* store(child, TASK.mm, yield* load(current(), TASK.mm));
  yield* spin_lock_init(ref(child, TASK.alloc_lock));
  yield* INIT_LIST_HEAD(ref(child, TASK.children));
  yield* INIT_LIST_HEAD(ref(child, TASK.sibling));
  yield* INIT_LIST_HEAD(ref(child, TASK.thread_group));
  return child;
});

/** Where a new task begins: with the work that came up before it first ran. */
const ret_from_fork = kernel(function* ret_from_fork(main: KernelFunction<[], void>) {
  yield* ret_to_user();
  yield* main();
});

/**
 * `do_fork`: creates a task that runs `main` from its first user instruction on.
 *
 * @param cloneFlags - 0 for a new process, CLONE_THREAD, CLONE_VFORK, CLONE_PTRACE, CLONE_UNTRACED.
 * @returns its task struct, or -ERESTARTNOINTR if a signal came first.
 */
export const do_fork = kernel(function* do_fork(cloneFlags: number, comm: string, main: KernelFunction<[], void>) {
  const task = current();
  const thread = (cloneFlags & CLONE_THREAD) !== 0;
  const trace = yield* tracehook_prepare_clone(cloneFlags);
  const child = yield* dup_task_struct();
  let signal = yield* load(task, TASK.signal);
  let sighand = yield* load(task, TASK.sighand);
  if (thread) {
    yield* atomic_add_return(signal, SIGNAL.count.counter, 1);
    yield* atomic_add_return(signal, SIGNAL.live.counter, 1);
    yield* atomic_add_return(sighand, SIGHAND.count.counter, 1);
  } else {
    sighand = yield* copy_sighand();
    signal = yield* copy_signal();
  }
  yield* store(child, TASK.signal, signal);
  yield* store(child, TASK.sighand, sighand);
  const { pid, nr } = yield* alloc_pid(child);
  yield* store(child, TASK.pid, nr);
  yield* store(child, TASK.thread_pid, pid);
  yield* store(child, TASK.exit_signal, thread ? -1 : SIGCHLD);

  yield* write_lock_irq(...tasklist());
  const leader = yield* load(task, TASK.group_leader);
  const parent = thread ? yield* load(task, TASK.real_parent) : task;
  yield* store(child, TASK.real_parent, parent);
  yield* store(child, TASK.parent, parent);
  const own = yield* load(task, TASK.sighand);
  yield* spin_lock_irq(own, SIGHAND.siglock);
  yield* recalc_sigpending();
  if (yield* signal_pending(task)) {
    yield* spin_unlock_irq(own, SIGHAND.siglock);
    yield* write_unlock_irq(...tasklist());
    yield* copy_process_undo(child, signal, sighand, pid, thread);
    return -ERESTARTNOINTR;
  }
  yield* store(child, TASK.group_leader, thread ? leader : child);
  yield* store(child, TASK.tgid, thread ? yield* load(leader, TASK.pid) : nr);
  if (thread) yield* list_add_tail(ref(child, TASK.thread_group), ref(leader, TASK.thread_group));
  yield* list_add_tail(ref(child, TASK.sibling), ref(parent, TASK.children));
  yield* tracehook_finish_clone(child, cloneFlags, trace);
  yield* spawn(child, { comm, pid: nr, sleeping: true }, ret_from_fork, main);
  yield* store(child, TASK.stack, globals().threadInfo(child));
  yield* spin_unlock_irq(own, SIGHAND.siglock);
  yield* write_unlock_irq(...tasklist());

  const vfork = (cloneFlags & CLONE_VFORK) !== 0 ? yield* init_completion(child) : 0;
  yield* tracehook_report_clone(cloneFlags, child, trace);
  yield* clear_bits(child, TASK.flags, PF_STARTING);
  yield* wake_up_state(child, 0);
  yield* tracehook_report_clone_complete(trace, nr);
  if (vfork !== 0) {
    yield* wait_for_completion(vfork);
    yield* tracehook_report_vfork_done(nr);
  }
  return child;
});

const COMPLETION = completion.fields;
const COMPLETION_SIZE = 80;

/** A completion on the creator's stack, for the child to complete. */
function* init_completion(child: Ptr) {
  const vfork = stackPush(COMPLETION_SIZE);
  yield* store(vfork, COMPLETION.done, 0);
  yield* spin_lock_init(ref(vfork, COMPLETION.wait));
  yield* store(vfork, COMPLETION.task, current());
  yield* store(child, TASK.vfork_done, vfork);
  return vfork;
}

/** Sleeps until {@link complete}. No signal ends it, not even SIGKILL. */
const wait_for_completion = kernel(function* wait_for_completion(x: Ptr) {
  yield* spin_lock_irq(x, COMPLETION.wait);
  while ((yield* load(x, COMPLETION.done)) === 0) {
    yield* __set_current_state(TASK_UNINTERRUPTIBLE);
    yield* spin_unlock_irq(x, COMPLETION.wait);
    yield* schedule();
    yield* spin_lock_irq(x, COMPLETION.wait);
  }
  yield* spin_unlock_irq(x, COMPLETION.wait);
  stackPop(COMPLETION_SIZE);
});

/** Wakes who waits; under the lock, without which the completion could be gone from the waiter's stack. */
const complete = kernel(function* complete(x: Ptr) {
  const flags = yield* spin_lock_irqsave(x, COMPLETION.wait);
  yield* store(x, COMPLETION.done, 1);
  yield* wake_up_state(yield* load(x, COMPLETION.task), TASK_UNINTERRUPTIBLE);
  yield* spin_unlock_irqrestore(x, COMPLETION.wait, flags);
});

/** The running task lets go of its memory, in exec and exit: a creator that waits in vfork goes on. */
export function* mm_release(task: Ptr) {
  const vfork = globals().vforkDone(task);
  if (vfork === 0) return;
  yield* store(task, TASK.vfork_done, 0);
  yield* complete(vfork);
}

/** A signal came before the child was linked: everything back. */
const copy_process_undo = kernel(function* copy_process_undo(
  child: Ptr,
  signal: Ptr,
  sighand: Ptr,
  pid: Ptr,
  thread: boolean,
) {
  yield* kmem_cache_free(globals().pid_cachep, pid);
  if (thread) {
    yield* atomic_add_return(signal, SIGNAL.live.counter, -1);
    yield* atomic_add_return(signal, SIGNAL.count.counter, -1);
    yield* atomic_add_return(sighand, SIGHAND.count.counter, -1);
  } else {
    yield* kmem_cache_free(globals().signal_cachep, signal);
    yield* kmem_cache_free(globals().sighand_cachep, sighand);
  }
  yield* kmem_cache_free(globals().task_struct_cachep, child);
});
