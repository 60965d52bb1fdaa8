/**
 * The kernel's structs, as far as lifetimes, signals and tracing touch them. What is left out is filler of the size it
 * has in 2.6.27 for x86_64, so that `sizeof` and the cache slots are right.
 *
 * @see include/linux/sched.h, include/linux/pid.h, include/linux/wait.h of 2.6.27
 */
import { atomic_t, list_head, rcu_head, rwlock_t, spinlock_t } from "../../sim/index.ts";
import { array, type Config, int, long, ptr, struct, u8, u32, ulong, when } from "../../sim/struct.ts";
import { utrace } from "../utrace/structs.ts";

/** A queue of pending signals. Only the set is kept: see DEPARTS in signal.ts. */
export const sigpending = struct("sigpending", { list: list_head, signal: ulong });

/** A wait queue. */
export const wait_queue_head_t = struct("wait_queue_head_t", { lock: spinlock_t, task_list: list_head });
/** An entry on the stack of the task that waits. */
export const wait_queue_t = struct("wait_queue_t", { flags: u32, private: ptr, func: ptr, task_list: list_head });

/** What a signal does: part of {@link sighand_struct}. */
export const k_sigaction = struct("k_sigaction", {
  sa_handler: ptr,
  sa_flags: ulong,
  sa_restorer: ptr,
  sa_mask: ulong,
});

/** A process identifier: outlives its task. */
export const pid = struct("pid", { count: atomic_t, level: u32, task: ptr, nr: int, rcu: rcu_head });

/** Signal handlers, and the siglock. Shared by the threads of a process. */
export const sighand_struct = struct("sighand_struct", {
  count: atomic_t,
  action: array(k_sigaction, 64),
  siglock: spinlock_t,
  signalfd_wqh: wait_queue_head_t,
});

/** What the threads of a process share besides handlers. */
export const signal_struct = struct("signal_struct", {
  count: atomic_t,
  live: atomic_t,
  wait_chldexit: wait_queue_head_t,
  curr_target: ptr,
  shared_pending: sigpending,
  group_exit_code: int,
  group_exit_task: ptr,
  notify_count: int,
  group_stop_count: int,
  flags: u32,
  /** Timers, process groups, accounting, limits. */
  filler: array(u8, 656),
});

/** What the cache of {@link task_struct} is aligned to: its slots are longer than the struct by up to 15 bytes. */
export const ARCH_MIN_TASKALIGN = 16;

/**
 * Classic ptrace's state is in the task, unless it has moved into the engine: PTRACE_IN_ENGINE, a question of sizes
 * alone. @see Christoph Hellwig, 2008-08-30 6:43 am and 2008-09-03 11:41 am
 */
const inTask = (config: Config): boolean => config.PTRACE_IN_ENGINE !== true;

/**
 * A task. The filler is measured: with it `sizeof` is 1384 without utrace and without lock debugging, which is what
 * Alexey Dobriyan's table of 2008-09-03 begins with.
 *
 * DEPARTS: what LOCKDEP and DEBUG_MUTEXES add to a task besides its locks (held_locks and so on) is left out.
 */
export const task_struct = struct("task_struct", {
  state: long,
  stack: ptr,
  usage: atomic_t,
  flags: u32,
  ptrace: when(inTask, u32),
  lock_depth: int,
  /** Scheduler entities, policy, cpus_allowed, statistics. */
  scheduling: array(ulong, 47),
  tasks: list_head,
  mm: ptr,
  active_mm: ptr,
  binfmt: ptr,
  exit_state: int,
  exit_code: int,
  exit_signal: int,
  pdeath_signal: int,
  personality: u32,
  did_exec: u32,
  pid: int,
  tgid: int,
  real_parent: ptr,
  parent: ptr,
  children: list_head,
  sibling: list_head,
  group_leader: ptr,
  ptraced: when(inTask, list_head),
  ptrace_entry: when(inTask, list_head),
  thread_pid: ptr,
  /** The other two pid links. */
  pids: array(ulong, 8),
  thread_group: list_head,
  vfork_done: ptr,
  /** Times, faults, credentials, keys. */
  accounting: array(ulong, 37),
  comm: array(u8, 16),
  /** Path walking, semaphore undo, the thread's registers, fs, files. */
  thread: array(ulong, 28),
  signal: ptr,
  sighand: ptr,
  blocked: ulong,
  real_blocked: ulong,
  saved_sigmask: ulong,
  pending: sigpending,
  sas_ss_sp: ulong,
  sas_ss_size: ulong,
  audit_context: ptr,
  /** The struct itself, or a pointer to it, as the lifetime has it. */
  utrace: when("UTRACE_EMBEDDED", utrace, when("UTRACE_INDIRECT", ptr)),
  utrace_flags: when((config) => config.UTRACE_EMBEDDED === true || config.UTRACE_INDIRECT === true, ulong),
  parent_exec_id: u32,
  self_exec_id: u32,
  alloc_lock: spinlock_t,
  pi_lock: spinlock_t,
  ptrace_message: when(inTask, ulong),
  last_siginfo: when(inTask, ptr),
  /** Futexes, block and I/O state, cpusets. */
  rest: array(ulong, 6),
  rcu: rcu_head,
});

/** What is known of a signal. Of its 128 bytes only what a tracer may look at and change. */
export const siginfo = struct("siginfo", { si_signo: int, si_errno: int, si_code: int, filler: array(u8, 116) });

/** Something one task waits for and another says is done. On the stack of the task that waits. */
export const completion = struct("completion", { done: u32, wait: spinlock_t, task: ptr });

/** Locks and lists that are variables of the kernel itself. */
export const kernel_statics = struct("kernel", { tasklist_lock: rwlock_t });

/** Fields, for short. */
export const TASK = task_struct.fields;
export const SIGNAL = signal_struct.fields;
export const SIGHAND = sighand_struct.fields;
export const PID = pid.fields;
