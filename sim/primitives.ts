/**
 * The primitives: what kernel code can do to shared state. Each is asked for with `yield*` and is one op; locks and
 * plain read-modify-writes take more than one step (see `Machine.apply`).
 *
 * Names are the kernel's where the kernel has one.
 */
import {
  ADD,
  ALLOC,
  ASSIGN,
  ATOMIC,
  ask,
  askWith,
  BARRIER,
  BEGIN_ROUNDS,
  BUG as BUG_OP,
  CALL_RCU,
  CHOOSE,
  CLEAR_BITS,
  COMPARE_EXCHANGE,
  COND_RESCHED,
  END,
  FORGET,
  FORGET_ALL,
  FORGET_ROUND,
  FREE,
  IRQ_AS_IS,
  IRQ_DISABLE,
  IRQ_ENABLE,
  IRQ_KEEP,
  IRQ_OFF,
  type Kernel,
  type KernelBody,
  type KernelFunction,
  KICK,
  LOAD,
  MARKED,
  MB,
  NOTE,
  nothing,
  PREEMPT_DISABLE,
  PREEMPT_ENABLE,
  type Ptr,
  RCU_DEREFERENCE,
  RCU_READ_LOCK,
  RCU_READ_UNLOCK,
  READ_LOCK,
  READ_UNLOCK,
  RELEASE,
  RMB,
  running,
  SCHEDULE,
  SET_BITS,
  SET_TIMER,
  SPAWN,
  SPIN_LOCK,
  SPIN_UNLOCK,
  STORE,
  SYNCHRONIZE_RCU,
  UPDATE,
  USER,
  WAIT_INACTIVE,
  WAKE_UP,
  WARN,
  WMB,
  WRITE_LOCK,
  WRITE_UNLOCK,
  YIELD,
} from "./op.ts";
import type { Cache } from "./slab.ts";
import type { Field } from "./struct.ts";

/** Reads `pointer->field`. A bit-field gives its value shifted down. */
export const load = (pointer: Ptr, field: Field): Kernel<number> => ask(LOAD, pointer, field.id, 0, 0);
/** Writes `pointer->field`. Not for bit-fields: those take a read and a write, see {@link assign_bits}. */
export const store = (pointer: Ptr, field: Field, value: number): Kernel<void> =>
  ask(STORE, pointer, field.id, value, 0);

/** A load or store that the compiler must leave as it is, as of a volatile field: marked for the check of data races. */
export const READ_ONCE = (pointer: Ptr, field: Field): Kernel<number> => ask(LOAD, pointer, field.id, 0, MARKED);
export const WRITE_ONCE = (pointer: Ptr, field: Field, value: number): Kernel<void> =>
  ask(STORE, pointer, field.id, value, MARKED);

/** `pointer->field |= bits`: one instruction, but a read and a write that another CPU can come between. */
export const set_bits = (pointer: Ptr, field: Field, bits: number): Kernel<number> =>
  ask(UPDATE, pointer, field.id, bits, SET_BITS);
/** `pointer->field &= ~bits`; see {@link set_bits}. */
export const clear_bits = (pointer: Ptr, field: Field, bits: number): Kernel<number> =>
  ask(UPDATE, pointer, field.id, bits, CLEAR_BITS);
/** `pointer->field += n`, not atomic; gives the new value. */
export const add = (pointer: Ptr, field: Field, n: number): Kernel<number> => ask(UPDATE, pointer, field.id, n, ADD);
/** `pointer->bitfield = value`: reads the byte, changes the bits, writes the byte. */
export const assign_bits = (pointer: Ptr, field: Field, value: number): Kernel<number> =>
  ask(UPDATE, pointer, field.id, value, ASSIGN);

/** Locked `set_bit`-like or; gives the old value. */
export const atomic_or = (pointer: Ptr, field: Field, bits: number): Kernel<number> =>
  ask(ATOMIC, pointer, field.id, bits, SET_BITS);
/** Locked and-not; gives the old value. */
export const atomic_andnot = (pointer: Ptr, field: Field, bits: number): Kernel<number> =>
  ask(ATOMIC, pointer, field.id, bits, CLEAR_BITS);
/** Locked add; gives the new value. */
export const atomic_add_return = (pointer: Ptr, field: Field, n: number): Kernel<number> =>
  ask(ATOMIC, pointer, field.id, n, ADD);
/** Locked exchange; gives the old value. */
export const xchg = (pointer: Ptr, field: Field, value: number): Kernel<number> =>
  ask(ATOMIC, pointer, field.id, value, ASSIGN);
/** Locked compare and exchange; gives the old value. */
export const cmpxchg = (pointer: Ptr, field: Field, expected: number, value: number): Kernel<number> =>
  askWith(ATOMIC, pointer, field.id, value, COMPARE_EXCHANGE, expected, null);

/** Barriers: full, of reads, of writes. */
export const smp_mb = (): Kernel<void> => ask(BARRIER, 0, -1, 0, MB);
export const smp_rmb = (): Kernel<void> => ask(BARRIER, 0, -1, 0, RMB);
export const smp_wmb = (): Kernel<void> => ask(BARRIER, 0, -1, 0, WMB);

/** Takes or releases a spinlock; preemption is off in between. */
export const spin_lock = (pointer: Ptr, lock: Field): Kernel<void> => ask(SPIN_LOCK, pointer, lock.id, 0, IRQ_AS_IS);
export const spin_unlock = (pointer: Ptr, lock: Field): Kernel<void> =>
  ask(SPIN_UNLOCK, pointer, lock.id, 0, IRQ_AS_IS);
/** The same with interrupts off in between. */
export const spin_lock_irq = (pointer: Ptr, lock: Field): Kernel<void> => ask(SPIN_LOCK, pointer, lock.id, 0, IRQ_OFF);
export const spin_unlock_irq = (pointer: Ptr, lock: Field): Kernel<void> =>
  ask(SPIN_UNLOCK, pointer, lock.id, 0, IRQ_OFF);
/** Takes the lock with interrupts off; gives the flags that {@link spin_unlock_irqrestore} wants. */
export const spin_lock_irqsave = (pointer: Ptr, lock: Field): Kernel<number> =>
  ask(SPIN_LOCK, pointer, lock.id, 0, IRQ_OFF);
export const spin_unlock_irqrestore = (pointer: Ptr, lock: Field, flags: number): Kernel<void> =>
  ask(SPIN_UNLOCK, pointer, lock.id, 0, flags === 0 ? IRQ_OFF : IRQ_KEEP);

/** The reading side of an rwlock. */
export const read_lock = (pointer: Ptr, lock: Field): Kernel<void> => ask(READ_LOCK, pointer, lock.id, 0, IRQ_AS_IS);
export const read_unlock = (pointer: Ptr, lock: Field): Kernel<void> =>
  ask(READ_UNLOCK, pointer, lock.id, 0, IRQ_AS_IS);
/** The writing side of an rwlock, with interrupts off. */
export const write_lock_irq = (pointer: Ptr, lock: Field): Kernel<void> =>
  ask(WRITE_LOCK, pointer, lock.id, 0, IRQ_OFF);
export const write_unlock_irq = (pointer: Ptr, lock: Field): Kernel<void> =>
  ask(WRITE_UNLOCK, pointer, lock.id, 0, IRQ_OFF);

/** Nested; no lock involved. */
export const preempt_disable = (): Kernel<void> => ask(PREEMPT_DISABLE, 0, -1, 0, 0);
export const preempt_enable = (): Kernel<void> => ask(PREEMPT_ENABLE, 0, -1, 0, 0);
/** Interrupts of this CPU; not nested. */
export const local_irq_disable = (): Kernel<void> => ask(IRQ_DISABLE, 0, -1, 0, 0);
export const local_irq_enable = (): Kernel<void> => ask(IRQ_ENABLE, 0, -1, 0, 0);

/** An RCU read section; nested. */
export const rcu_read_lock = (): Kernel<void> => ask(RCU_READ_LOCK, 0, -1, 0, 0);
export const rcu_read_unlock = (): Kernel<void> => ask(RCU_READ_UNLOCK, 0, -1, 0, 0);
/** One load of a pointer that RCU protects. */
export const rcu_dereference = (pointer: Ptr, field: Field): Kernel<Ptr> =>
  ask(RCU_DEREFERENCE, pointer, field.id, 0, 0);
/** On x86 the barrier before the store is the compiler's alone, so this is the store, marked as one that publishes. */
export const rcu_assign_pointer = (pointer: Ptr, field: Field, value: Ptr): Kernel<void> =>
  ask(STORE, pointer, field.id, value, RELEASE);
/**
 * Queues `callback` to run after a grace period, on this CPU, in softirq context.
 *
 * @param pointer - The object.
 * @param head - Its `struct rcu_head` field. Both words of it are overwritten.
 * @param callback - Called with the address of the `rcu_head`.
 */
export const call_rcu = (pointer: Ptr, head: Field, callback: KernelFunction<[rhead: Ptr], void>): Kernel<void> =>
  ask(CALL_RCU, pointer, head.id, callback.info.id, 0);
/** Sleeps until every read section that is open now has ended. */
export const synchronize_rcu = (): Kernel<void> => ask(SYNCHRONIZE_RCU, 0, -1, 0, 0);

/** Gives up the CPU; sleeps if the task's state is not running. */
export const schedule = (): Kernel<void> => ask(SCHEDULE, 0, -1, 0, 0);
/** `try_to_wake_up(task, mask)`: 1 if the task's state was in the mask. */
export const wake_up_state = (task: Ptr, mask: number): Kernel<number> => ask(WAKE_UP, task, -1, mask, 0);
export const cond_resched = (): Kernel<void> => ask(COND_RESCHED, 0, -1, 0, 0);
/** `yield()`, under a name that JavaScript allows. */
export const sys_sched_yield = (): Kernel<void> => ask(YIELD, 0, -1, 0, 0);
/** Arms the task's sleep timer: it is woken (`wake_up_process`) after `jiffies` ticks. 0 disarms. */
export const mod_timer = (jiffies: number): Kernel<void> => ask(SET_TIMER, 0, -1, jiffies, 0);
/** The last switch away of a dying task: it never runs again, whatever called it. */
export const end_task = (): Kernel<never> => ask(END, 0, -1, 0, 0);
/** If `task` runs on another CPU, makes it pass through the interrupt return path soon. */
export const kick_process = (task: Ptr): Kernel<void> => ask(KICK, task, -1, 0, 0);
/** Waits until `task` is off its CPU for good; its switch count, or 0 once its state is not `state`. */
export const wait_task_inactive = (task: Ptr, state: number): Kernel<number> => ask(WAIT_INACTIVE, task, -1, state, 0);

/**
 * Runs in user mode for `ns` nanoseconds of virtual time.
 *
 * @returns 1 if an interrupt with work to do on the way back to user mode cut it short, else 0.
 */
export const user = (ns: number): Kernel<number> => ask(USER, 0, -1, ns, 0);

/** `kmem_cache_alloc(cache, GFP_KERNEL)`: may sleep; 0 when memory is exhausted. */
export const kmem_cache_alloc = (cache: Cache): Kernel<Ptr> => askWith(ALLOC, 0, -1, 0, 0, 0, cache);
/** As {@link kmem_cache_alloc}; the object is zeroed in a second step, after interrupts are back on. */
export const kmem_cache_zalloc = (cache: Cache): Kernel<Ptr> => askWith(ALLOC, 0, -1, 1, 0, 0, cache);
export const kmem_cache_free = (cache: Cache, object: Ptr): Kernel<void> => askWith(FREE, object, -1, 0, 0, 0, cache);

/**
 * Starts a task.
 *
 * @param task - Address of its task struct, 0 for one of the machine's own.
 * @param options - Name and pid; `daemon` tasks may still be there when the world ends.
 * @param main - What it runs.
 * @returns the address of its task struct.
 */
export const spawn = <A extends readonly unknown[]>(
  task: Ptr,
  options: SpawnOptions,
  main: KernelFunction<A, void>,
  ...args: A
): Kernel<Ptr> => {
  const payload: SpawnPayload = { options, body: () => main.body(...args), main, args };
  return askWith(SPAWN, task, -1, 0, 0, main.info.id, payload);
};
/** What {@link spawn} needs to know of a task. */
export interface SpawnOptions {
  readonly comm: string;
  readonly pid?: number;
  readonly daemon?: boolean;
  /** Not put on a run queue until `wake_up_new_task`, a {@link wake_up_state} with mask 0. */
  readonly sleeping?: boolean;
}
/** What a SPAWN op carries. */
export interface SpawnPayload {
  readonly options: SpawnOptions;
  readonly body: () => ReturnType<KernelBody<[], void>>;
  /** What `body` calls, and with what. */
  readonly main: unknown;
  readonly args: readonly unknown[];
}

/** A number below `n`, chosen by the strategy and kept in the schedule. */
export const choose = (n: number): Kernel<number> => ask(CHOOSE, 0, -1, n, 0);

/** `BUG()`: the kernel dies here. `at` is file:line as the oops prints it. */
export const BUG = (expression: string, at: string): Kernel<void> =>
  askWith(BUG_OP, 0, -1, 0, 0, 0, { expression, at } satisfies Assertion);
/** `BUG_ON(condition)`. No op while the condition is false. */
export const BUG_ON = (condition: boolean, expression: string, at: string): Kernel<void> =>
  condition ? BUG(expression, at) : nothing;
/** `WARN_ON(condition)`. No op while the condition is false. */
export const WARN_ON = (condition: boolean, expression: string, at: string): Kernel<void> =>
  condition ? askWith(WARN, 0, -1, 0, 0, 0, { expression, at } satisfies Assertion) : nothing;
/** What a BUG or WARN op carries. */
export interface Assertion {
  readonly expression: string;
  /** `file:line`, as the kernel prints it. */
  readonly at: string;
}

/** Tells observers of the run something; no step, no effect on the run. */
export const note = (subject: string, ptr: Ptr, value: number): Kernel<void> =>
  askWith(NOTE, ptr, -1, value, 0, 0, subject);

/**
 * Says that of all that the running function was handed so far, only its arguments and `live` still count. No step and no
 * effect on a run: it tells an exploration that one round of a loop is as good as another.
 *
 * Stands in the body of a {@link kernel} function itself, not in a generator that it goes through.
 *
 * @param label - Tells the places apart at which one function does this.
 * @param live - The locals that are read before they are set again.
 */
export const forget = (label: string, ...live: readonly number[]): Kernel<void> =>
  askWith(FORGET, 0, -1, FORGET_ALL, 0, 0, [label, ...live]);

/**
 * Stands before a loop in a generator that a {@link kernel} function goes through: {@link forgetRound} takes back to here
 * what the function has been handed. No step, no effect on a run. One such loop may not stand inside another.
 */
export const beginRounds = (): Kernel<void> => askWith(FORGET, 0, -1, BEGIN_ROUNDS, 0, 0, null);
/** Stands at the end of each round of a loop that leaves nothing behind: one round is as good as another. */
export const forgetRound = (): Kernel<void> => askWith(FORGET, 0, -1, FORGET_ROUND, 0, 0, null);

/** The running task's struct: the kernel's `current`. */
export const current = (): Ptr => running.context.task;

/** Memory on the running task's kernel stack, until {@link stackPop} of the same size. */
export function stackPush(bytes: number): Ptr {
  running.context.stackPointer -= bytes;
  return running.context.stackPointer;
}
/** Gives stack memory back. */
export function stackPop(bytes: number): void {
  running.context.stackPointer += bytes;
}
