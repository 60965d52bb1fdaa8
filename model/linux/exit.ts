/**
 * Dying, being reaped, and waiting for those who died.
 *
 * DEPARTS: no memory, files, timers or process groups: of the steps of do_exit only those that others can see.
 * DEPARTS: no SA_NOCLDWAIT. A task leaves its thread group with its own link reset, not kept for RCU readers; and its
 * private signals and TIF_SIGPENDING stay as they are, as it never looks at them again.
 *
 * @see kernel/exit.c of 2.6.27
 */
import {
  add,
  atomic_add_return,
  clear_bits,
  cmpxchg,
  current,
  data_race,
  end_task,
  type Field,
  forget,
  kernel,
  kmem_cache_free,
  load,
  note,
  type Ptr,
  preempt_disable,
  read_lock,
  read_unlock,
  ref,
  schedule,
  set_bits,
  smp_mb,
  spin_lock,
  spin_lock_irqsave,
  spin_unlock,
  spin_unlock_irqrestore,
  store,
  WRITE_ONCE,
  wake_up_state,
  write_lock_irq,
  write_unlock_irq,
} from "../../sim/index.ts";
import { running } from "../../sim/op.ts";
import { ECHILD, ERESTARTSYS } from "./errno.ts";
import { mm_release } from "./fork.ts";
import { globals, tasklist } from "./globals.ts";
import { list_add_tail, list_del_init, list_empty, list_entry, list_next } from "./list.ts";
import { free_pid } from "./pid.ts";
import { ptrace_exit, ptrace_exit_finish, ptrace_reparented, ptrace_unlink, ptraceBits } from "./ptrace.ts";
import {
  __cleanup_sighand,
  __set_current_state,
  call_rcu_put_task_struct,
  EXIT_DEAD,
  EXIT_ZOMBIE,
  next_thread,
  PF_EXITING,
  put_task_struct,
  signal_pending,
  TASK_ALL,
  TASK_DEAD,
  TASK_INTERRUPTIBLE,
  TASK_RUNNING,
  task_is_stopped_or_traced,
  thread_group_empty,
} from "./sched.ts";
import {
  actionOf,
  CLD_STOPPED,
  do_notify_parent_cldstop,
  lock_siglock_irq,
  recalc_sigpending_and_wake,
  SIG_IGN,
  SIGCHLD,
  SIGNAL_GROUP_EXIT,
  SIGNAL_STOP_CONTINUED,
  SIGNAL_STOP_STOPPED,
  send_signal,
  signal_group_exit,
  unlock_siglock_irq,
} from "./signal.ts";
import { k_sigaction, PID, SIGHAND, SIGNAL, TASK } from "./structs.ts";
import {
  DEATH_REAP,
  tracehook_finish_release_task,
  tracehook_notify_death,
  tracehook_notify_jctl,
  tracehook_prepare_release_task,
  tracehook_report_death,
  tracehook_report_exit,
} from "./tracehook.ts";
import { __wake_up, add_wait_queue, DECLARE_WAITQUEUE, endWait, remove_wait_queue } from "./wait.ts";

/** Tells the parent of a death. -1 if the parent does not want to know: then the task reaps itself. */
export const do_notify_parent = kernel(function* do_notify_parent(task: Ptr, sig: number) {
  const parent = yield* load(task, TASK.parent);
  const sighand = yield* load(parent, TASK.sighand);
  const flags = yield* spin_lock_irqsave(sighand, SIGHAND.siglock);
  let result = sig;
  const traced = (yield* ptraceBits(task)) !== 0;
  if (
    !traced &&
    sig === SIGCHLD &&
    (yield* load(actionOf(sighand, SIGCHLD), k_sigaction.fields.sa_handler)) === SIG_IGN
  ) {
    yield* store(task, TASK.exit_signal, -1);
    result = DEATH_REAP;
  } else if (sig > 0) yield* send_signal(sig, parent, true);
  yield* __wake_up(yield* load(parent, TASK.signal), SIGNAL.wait_chldexit);
  yield* spin_unlock_irqrestore(sighand, SIGHAND.siglock, flags);
  return result;
});

/** Under `tasklist_lock` for writing. Afterwards the task has no signals, and no one finds it by pid. */
const __exit_signal = kernel(function* __exit_signal(task: Ptr) {
  const signal = yield* load(task, TASK.signal);
  const sighand = yield* load(task, TASK.sighand);
  yield* spin_lock(sighand, SIGHAND.siglock);
  const last = (yield* atomic_add_return(signal, SIGNAL.count.counter, -1)) === 0;
  if (!last) {
    const waiter = yield* load(signal, SIGNAL.group_exit_task);
    // An exec'ing thread waits until only it, and perhaps the leader, are left.
    if (waiter !== 0 && (yield* load(signal, SIGNAL.count.counter)) === (yield* load(signal, SIGNAL.notify_count))) {
      yield* wake_up_state(waiter, TASK_ALL);
    }
  }
  if ((yield* load(signal, SIGNAL.curr_target)) === task) {
    yield* store(signal, SIGNAL.curr_target, yield* next_thread(task));
  }
  yield* __unhash_process(task);
  yield* store(task, TASK.signal, 0);
  // Lock-free readers are meant to see this: lock_task_sighand looks again under the lock.
  yield* WRITE_ONCE(task, TASK.sighand, 0);
  yield* spin_unlock(sighand, SIGHAND.siglock);
  yield* __cleanup_sighand(sighand);
  if (last) yield* kmem_cache_free(globals().signal_cachep, signal);
});

const __unhash_process = kernel(function* __unhash_process(task: Ptr) {
  const pid = yield* load(task, TASK.thread_pid);
  if (pid !== 0) {
    // hlist_del_rcu: get_pid_task sees the old or the new.
    yield* WRITE_ONCE(pid, PID.task, 0);
    yield* store(task, TASK.thread_pid, 0);
    yield* free_pid(pid);
  }
  yield* list_del_init(ref(task, TASK.thread_group));
  yield* list_del_init(ref(task, TASK.sibling));
});

/** Takes a dead task out of the world. The caller set `exit_state` to EXIT_DEAD. May go on with the group leader. */
export const release_task = kernel(function* release_task(first: Ptr) {
  for (let p = first; p !== 0; ) {
    yield* tracehook_prepare_release_task(p);
    yield* write_lock_irq(...tasklist());
    yield* tracehook_finish_release_task(p);
    const leader = yield* load(p, TASK.group_leader);
    yield* __exit_signal(p);
    let zap = false;
    if (leader !== p && (yield* thread_group_empty(leader)) && (yield* load(leader, TASK.exit_state)) === EXIT_ZOMBIE) {
      const told = yield* do_notify_parent(leader, yield* load(leader, TASK.exit_signal));
      zap = told === DEATH_REAP;
      if (zap) {
        yield* store(leader, TASK.exit_state, EXIT_DEAD);
        yield* note("task-reaped", leader, 0);
      }
    }
    yield* write_unlock_irq(...tasklist());
    yield* call_rcu_put_task_struct(p);
    p = zap ? leader : 0;
  }
});

/** From here on the task takes no more signals. */
const exit_signals = kernel(function* exit_signals(task: Ptr) {
  const signal = yield* load(task, TASK.signal);
  if ((yield* thread_group_empty(task)) || (yield* signal_group_exit(signal))) {
    yield* set_bits(task, TASK.flags, PF_EXITING);
    return;
  }
  yield* lock_siglock_irq(task);
  yield* set_bits(task, TASK.flags, PF_EXITING);
  let stopped = false;
  if (yield* signal_pending(task)) {
    // A signal for the group may have been left to this thread.
    for (let t = yield* next_thread(task); t !== task; t = yield* next_thread(t)) {
      if ((yield* signal_pending(t)) || ((yield* data_race(load(t, TASK.flags))) & PF_EXITING) !== 0) continue;
      yield* recalc_sigpending_and_wake(t);
    }
    if ((yield* load(signal, SIGNAL.group_stop_count)) > 0 && (yield* add(signal, SIGNAL.group_stop_count, -1)) === 0) {
      yield* store(signal, SIGNAL.flags, SIGNAL_STOP_STOPPED);
      stopped = true;
    }
  }
  yield* unlock_siglock_irq(task);
  if (stopped && (yield* tracehook_notify_jctl(true, CLD_STOPPED)) !== 0) {
    yield* read_lock(...tasklist());
    yield* do_notify_parent_cldstop(task);
    yield* read_unlock(...tasklist());
  }
});

/** Gives the task's children to another thread of the group, or to the reaper of all orphans. */
const forget_original_parent = kernel(function* forget_original_parent(father: Ptr) {
  yield* write_lock_irq(...tasklist());
  const dead = yield* ptrace_exit(father);
  let reaper = globals().child_reaper;
  let sameGroup = false;
  for (let t = yield* next_thread(father); t !== father; t = yield* next_thread(t)) {
    if (((yield* data_race(load(t, TASK.flags))) & PF_EXITING) === 0) {
      reaper = t;
      sameGroup = true;
      break;
    }
  }
  const head = ref(father, TASK.children);
  for (let at = yield* list_next(head); at !== head; at = yield* list_next(head)) {
    const child = list_entry(at, TASK.sibling);
    const elsewhere = globals().ptracers && (yield* load(child, TASK.parent)) !== father;
    yield* store(child, TASK.real_parent, reaper);
    if (!elsewhere) yield* store(child, TASK.parent, reaper);
    yield* list_del_init(at);
    yield* list_add_tail(at, ref(reaper, TASK.children));
    // A zombie's new parent has to hear of it, unless it is the old one's thread.
    if (
      !sameGroup &&
      !elsewhere &&
      (yield* load(child, TASK.exit_state)) === EXIT_ZOMBIE &&
      (yield* load(child, TASK.exit_signal)) !== -1 &&
      (yield* thread_group_empty(child))
    ) {
      yield* do_notify_parent(child, yield* load(child, TASK.exit_signal));
    }
  }
  yield* write_unlock_irq(...tasklist());
  yield* ptrace_exit_finish(dead);
});

const exit_notify = kernel(function* exit_notify(task: Ptr, groupDead: boolean) {
  yield* forget_original_parent(task);
  yield* write_lock_irq(...tasklist());
  const told = yield* tracehook_notify_death(task);
  let signal = told.signal;
  if (signal >= 0) signal = yield* do_notify_parent(task, signal);
  yield* store(task, TASK.exit_state, signal === DEATH_REAP ? EXIT_DEAD : EXIT_ZOMBIE);
  yield* note(signal === DEATH_REAP ? "task-reaped" : "task-dead", task, 0);
  const group = yield* load(task, TASK.signal);
  const execing = yield* load(group, SIGNAL.group_exit_task);
  if (
    execing !== 0 &&
    (yield* load(task, TASK.group_leader)) === task &&
    (yield* load(group, SIGNAL.notify_count)) < 0
  ) {
    yield* wake_up_state(execing, TASK_ALL);
  }
  yield* write_unlock_irq(...tasklist());
  yield* tracehook_report_death(task, signal, told.deathCookie, groupDead);
  if (signal === DEATH_REAP) yield* release_task(task);
});

/** Ends the running task; never returns. */
export const do_exit = kernel(function* do_exit(exitCode: number) {
  const task = current();
  yield* note("task-exiting", task, exitCode);
  const code = yield* tracehook_report_exit(exitCode);
  yield* exit_signals(task);
  yield* smp_mb();
  const signal = yield* load(task, TASK.signal);
  const groupDead = (yield* atomic_add_return(signal, SIGNAL.live.counter, -1)) === 0;
  yield* store(task, TASK.exit_code, code);
  yield* mm_release(task);
  yield* spin_lock(task, TASK.alloc_lock);
  yield* store(task, TASK.mm, 0);
  yield* spin_unlock(task, TASK.alloc_lock);
  yield* exit_notify(task, groupDead);
  yield* preempt_disable();
  yield* WRITE_ONCE(task, TASK.state, TASK_DEAD);
  // finish_task_switch drops the reference of "current". DEPARTS: in the kernel the next task does it.
  yield* put_task_struct(task);
  yield* end_task();
});

/** Options of `wait4`. WUNTRACED: tell of children that stopped, too. WCONTINUED: of those that went on. */
export const WNOHANG = 1;
export const WUNTRACED = 2;
export const WCONTINUED = 8;

/** What `wait4` says of a child, as user space sees it; kept only for who asks. */
export interface WaitStatus {
  value: number;
}

/** Reaps one zombie, if nobody else is quicker. `tasklist_lock` held for reading on entry, dropped if it succeeds. */
const wait_task_zombie = kernel(function* wait_task_zombie(p: Ptr, status: WaitStatus | null) {
  if ((yield* cmpxchg(p, TASK.exit_state, EXIT_ZOMBIE, EXIT_DEAD)) !== EXIT_ZOMBIE) return 0;
  yield* note("task-reaped", p, 0);
  const traced = globals().ptracers && (yield* ptrace_reparented(p));
  const pid = yield* load(p, TASK.pid);
  yield* read_unlock(...tasklist());
  if (status !== null) {
    const signal = yield* load(p, TASK.signal);
    const group = ((yield* load(signal, SIGNAL.flags)) & SIGNAL_GROUP_EXIT) !== 0;
    status.value = group ? yield* load(signal, SIGNAL.group_exit_code) : yield* load(p, TASK.exit_code);
  }
  if (traced && (yield* give_back(p))) return pid;
  yield* release_task(p);
  return pid;
});

/** A tracer has seen its tracee die: now the real parent may. True if the task is that one's to reap. */
function* give_back(p: Ptr) {
  let kept = false;
  yield* write_lock_irq(...tasklist());
  yield* ptrace_unlink(p);
  const exitSignal = yield* load(p, TASK.exit_signal);
  if (exitSignal !== -1) {
    kept = (yield* do_notify_parent(p, exitSignal)) !== DEATH_REAP;
    if (kept) {
      yield* store(p, TASK.exit_state, EXIT_ZOMBIE);
      yield* note("task-given-back", p, 0);
    }
  }
  yield* write_unlock_irq(...tasklist());
  return kept;
}

const overUtrace = (): boolean => running.config.UTRACE_PTRACE === true;

/** Tells of a stop, once: exit_code is zeroed. `tasklist_lock` held for reading, dropped if there is one to tell of. */
const wait_task_stopped = kernel(function* wait_task_stopped(p: Ptr, traced: boolean, status: WaitStatus | null) {
  yield* lock_siglock_irq(p);
  let exitCode = 0;
  // CHOSEN: over utrace a tracee is told of when it has announced its stop; it may still be on its way there.
  const told = traced && overUtrace() && (yield* load(p, TASK.last_siginfo)) !== 0;
  if (told || (yield* task_is_stopped_or_traced(p))) {
    // Of a group stop the parent hears when it is complete.
    const early = !traced && (yield* load(yield* load(p, TASK.signal), SIGNAL.group_stop_count)) > 0;
    if (!early) exitCode = yield* load(p, TASK.exit_code);
    if (exitCode !== 0) yield* store(p, TASK.exit_code, 0);
  }
  yield* unlock_siglock_irq(p);
  if (exitCode === 0) return 0;
  const pid = yield* load(p, TASK.pid);
  yield* read_unlock(...tasklist());
  if (status !== null) status.value = (exitCode << 8) | 0x7f;
  return pid;
});

/** Tells of a SIGCONT, once. `tasklist_lock` held for reading, dropped if there is one to tell of. */
const wait_task_continued = kernel(function* wait_task_continued(p: Ptr, status: WaitStatus | null) {
  const signal = yield* load(p, TASK.signal);
  if (((yield* load(signal, SIGNAL.flags)) & SIGNAL_STOP_CONTINUED) === 0) return 0;
  yield* lock_siglock_irq(p);
  const continued = ((yield* load(signal, SIGNAL.flags)) & SIGNAL_STOP_CONTINUED) !== 0;
  if (continued) yield* clear_bits(signal, SIGNAL.flags, SIGNAL_STOP_CONTINUED);
  yield* unlock_siglock_irq(p);
  if (!continued) return 0;
  const pid = yield* load(p, TASK.pid);
  yield* read_unlock(...tasklist());
  if (status !== null) status.value = 0xffff;
  return pid;
});

/** Whether a zombie may be reaped: a leader only when its threads are gone. */
function* eligible(p: Ptr) {
  if ((yield* load(p, TASK.exit_state)) !== EXIT_ZOMBIE) return false;
  return (yield* load(p, TASK.group_leader)) !== p || (yield* thread_group_empty(p));
}

/** `wait_consider_task`: whether there is something to tell of one task, its pid then. `tasklist_lock` as above. */
function* wait_consider_task(p: Ptr, traced: boolean, options: number, status: WaitStatus | null) {
  // Hidden by ptrace: its tracer is told first.
  if (!traced && (yield* ptraceBits(p)) !== 0) return 0;
  if (yield* eligible(p)) return yield* wait_task_zombie(p, status);
  if ((options & (WUNTRACED | WCONTINUED)) === 0 || (yield* load(p, TASK.exit_state)) !== 0) return 0;
  if ((traced && overUtrace()) || (yield* task_is_stopped_or_traced(p))) {
    return (options & WUNTRACED) !== 0 ? yield* wait_task_stopped(p, traced, status) : 0;
  }
  return (options & WCONTINUED) !== 0 ? yield* wait_task_continued(p, status) : 0;
}

/** Goes through one list of children or tracees; the pid of the first with something to tell, else 0. */
function* do_wait_list(head: Ptr, link: Field, traced: boolean, options: number, status: WaitStatus | null) {
  for (let at = yield* list_next(head); at !== head; at = yield* list_next(at)) {
    const pid = yield* wait_consider_task(list_entry(at, link), traced, options, status);
    if (pid !== 0) return pid;
  }
  return 0;
}

/**
 * `wait4(-1, ...)`: waits for a child to die and reaps it, or to stop. DEPARTS: the children of the calling thread only,
 * as with __WNOTHREAD. Threads are on the list of children too, but unless traced they are never zombies, and never
 * there without their leader. Tracees are waited for as with __WALL.
 *
 * @param options - WNOHANG, WUNTRACED (always so for tracees), WCONTINUED.
 * @param status - Takes what is to tell.
 * @returns its pid, 0 (WNOHANG), -ECHILD without children and tracees, -ERESTARTSYS when a signal comes first.
 */
export const do_wait = kernel(function* do_wait(options: number = 0, status: WaitStatus | null = null) {
  const task = current();
  const signal = yield* load(task, TASK.signal);
  const entry = yield* DECLARE_WAITQUEUE(task);
  yield* add_wait_queue(signal, SIGNAL.wait_chldexit, entry);
  let result = 0;
  for (;;) {
    yield* forget("again", signal, entry);
    yield* __set_current_state(TASK_INTERRUPTIBLE);
    yield* read_lock(...tasklist());
    const children = ref(task, TASK.children);
    let childless = yield* list_empty(children);
    result = yield* do_wait_list(children, TASK.sibling, false, options, status);
    if (result === 0 && globals().ptracers) {
      const tracees = ref(task, TASK.ptraced);
      childless &&= yield* list_empty(tracees);
      result = yield* do_wait_list(tracees, TASK.ptrace_entry, true, options | WUNTRACED, status);
    }
    if (result !== 0) break;
    yield* read_unlock(...tasklist());
    if (childless) result = -ECHILD;
    else if ((options & WNOHANG) !== 0) break;
    else if (yield* signal_pending(task)) result = -ERESTARTSYS;
    if (result !== 0) break;
    yield* schedule();
  }
  yield* __set_current_state(TASK_RUNNING);
  yield* remove_wait_queue(signal, SIGNAL.wait_chldexit, entry);
  endWait();
  return result;
});
