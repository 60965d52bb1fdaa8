/**
 * What kernel code asks of the machine: one op per access to shared state.
 *
 * A *step* is the effect of one op on shared state, and it is atomic. The scheduling point lies just *before* the op
 * takes effect: between two ops only locals change, so nothing can be seen half-way in between.
 *
 * Kernel code is generators. An op is asked for with `yield*`, which gives its result:
 *
 *     const flags = yield* load(task, TASK.flags);
 *
 * No object is made for an op. The primitive writes the {@link request} registers and returns one shared iterable
 * whose only work is to hand control to the machine and, later, the result back. A kernel function is wrapped by
 * {@link kernel}; calling it is a request of its own, so the machine keeps the call stack (which makes resuming cost
 * the same at every depth, and gives a backtrace for nothing).
 */
import type { Context } from "./context.ts";
import type { Field } from "./struct.ts";

/** A kernel address, or any value kept in a pointer field. 0 is NULL. */
export type Ptr = number;

/** What a kernel function or a primitive returns to `yield*`. */
export interface Kernel<R> {
  [Symbol.iterator](): Iterator<Request, R, unknown>;
}

/** Body of a kernel function, as written. */
export type KernelBody<A extends readonly unknown[], R> = (...args: A) => Generator<Request, R, unknown>;

/** What the machine and the reports know of a kernel function. */
export interface FunctionInfo {
  /** Its name in the kernel. */
  readonly name: string;
  /** Its place in the table of all kernel functions of this process. */
  readonly id: number;
  readonly body: unknown;
}

// Kinds of op. The machine's `switch` is over these; the hot ones come first.
export const LOAD = 1;
export const STORE = 2;
export const CALL = 3;
export const UPDATE = 4;
export const ATOMIC = 5;
export const BARRIER = 6;
export const SPIN_LOCK = 7;
export const SPIN_UNLOCK = 8;
export const READ_LOCK = 9;
export const READ_UNLOCK = 10;
export const WRITE_LOCK = 11;
export const WRITE_UNLOCK = 12;
export const PREEMPT_DISABLE = 13;
export const PREEMPT_ENABLE = 14;
export const IRQ_DISABLE = 15;
export const IRQ_ENABLE = 16;
export const RCU_READ_LOCK = 17;
export const RCU_READ_UNLOCK = 18;
export const RCU_DEREFERENCE = 19;
export const CALL_RCU = 20;
export const SYNCHRONIZE_RCU = 21;
export const SCHEDULE = 22;
export const WAKE_UP = 23;
export const COND_RESCHED = 24;
export const YIELD = 25;
export const SET_TIMER = 26;
export const KICK = 27;
export const USER = 28;
export const ALLOC = 29;
export const FREE = 30;
export const SPAWN = 31;
export const CHOOSE = 32;
export const BUG = 33;
export const WARN = 34;
export const NOTE = 35;
export const WAIT_INACTIVE = 36;
export const END = 37;
export const FORGET = 38;
/** What a {@link FORGET} takes out of the past of a function: all, or what came since the last {@link BEGIN_ROUNDS}. */
export const FORGET_ALL = 0;
export const BEGIN_ROUNDS = 1;
export const FORGET_ROUND = 2;

/** Name of each kind, as shown in histories. */
export const KIND_NAMES: readonly string[] = [
  "",
  "load",
  "store",
  "call",
  "update",
  "atomic",
  "barrier",
  "spin_lock",
  "spin_unlock",
  "read_lock",
  "read_unlock",
  "write_lock",
  "write_unlock",
  "preempt_disable",
  "preempt_enable",
  "local_irq_disable",
  "local_irq_enable",
  "rcu_read_lock",
  "rcu_read_unlock",
  "rcu_dereference",
  "call_rcu",
  "synchronize_rcu",
  "schedule",
  "wake_up",
  "cond_resched",
  "yield",
  "set_timer",
  "kick",
  "user",
  "alloc",
  "free",
  "spawn",
  "choose",
  "BUG",
  "WARN",
  "note",
  "wait_inactive",
  "end",
  "forget",
];

// How UPDATE and ATOMIC change memory (request.mode).
export const SET_BITS = 1;
export const CLEAR_BITS = 2;
export const ADD = 3;
export const ASSIGN = 4;
export const COMPARE_EXCHANGE = 5;

// How a LOAD, STORE or UPDATE counts for the check of data races (bits of request.mode).
/** READ_ONCE, WRITE_ONCE. */
export const MARKED = 0x10;
/** rcu_assign_pointer: a marked store that publishes what was done before it. */
export const RELEASE = 0x20;
/** `data_race(...)`: plain on purpose. */
export const EXEMPT = 0x40;
/** The bits of an UPDATE's mode that say what it does. */
export const UPDATE_MODE = 0xf;

// Barriers (request.mode).
export const MB = 1;
export const RMB = 2;
export const WMB = 3;

// Interrupt handling of a lock op (request.mode).
export const IRQ_AS_IS = 0;
/** `_irq`: disable on lock, enable on unlock. */
export const IRQ_OFF = 1;
/** `_irqrestore` where interrupts were already off: leave them off. */
export const IRQ_KEEP = 2;

/** The op being asked for. Written by a primitive, copied by the machine before any other code runs. */
export interface Request {
  kind: number;
  ptr: Ptr;
  /** Field id; -1 where the op names none. */
  field: number;
  value: number;
  mode: number;
  extra: number;
  /** Anything that is no number: a generator for CALL and SPAWN, a text for BUG, WARN, NOTE. */
  payload: unknown;
  /** Arguments of a CALL. */
  args: readonly unknown[];
}

const NO_ARGUMENTS: readonly unknown[] = [];

/** The registers, of which there is one set: a request is copied before the next can be made. */
export const request: Request = {
  kind: 0,
  ptr: 0,
  field: -1,
  value: 0,
  mode: 0,
  extra: 0,
  payload: null,
  args: NO_ARGUMENTS,
};

const pending: IteratorResult<Request, never> = { value: request, done: false } as IteratorYieldResult<Request>;
const finished: { value: unknown; done: true } = { value: 0, done: true };

/**
 * The one iterable behind every primitive. `yield*` first calls `next(undefined)`, which passes the request up to the
 * machine; the machine resumes with the result (never `undefined`), which ends the `yield*` with that value.
 */
const primitive = {
  [Symbol.iterator](): unknown {
    return primitive;
  },
  next(result?: unknown): unknown {
    if (result === undefined) return pending;
    finished.value = result;
    return finished;
  },
};

/**
 * `data_race(access)`: an access that is plain on purpose, so that the check of data races leaves it alone. The access
 * is the same op with or without.
 */
export function data_race<R>(access: Kernel<R>): Kernel<R> {
  if ((access as unknown) !== primitive)
    throw new Error("[sim bug] data_race() takes a load, a store or the like itself");
  request.mode |= EXEMPT;
  return access;
}

/** Asks for nothing: `yield* nothing` goes on at once. */
export const nothing = {
  [Symbol.iterator](): unknown {
    return nothing;
  },
  next: (): unknown => NOTHING_ASKED,
} as unknown as Kernel<void>;
const NOTHING_ASKED = { value: 0, done: true };

/** Fills the registers and returns the iterable to `yield*`. */
export function ask<R>(kind: number, ptr: Ptr, field: number, value: number, mode: number): Kernel<R> {
  request.kind = kind;
  request.ptr = ptr;
  request.field = field;
  request.value = value;
  request.mode = mode;
  return primitive as unknown as Kernel<R>;
}

/** As {@link ask}, with the two registers that few ops use. */
export function askWith<R>(
  kind: number,
  ptr: Ptr,
  field: number,
  value: number,
  mode: number,
  extra: number,
  payload: unknown,
): Kernel<R> {
  request.extra = extra;
  request.payload = payload;
  return ask(kind, ptr, field, value, mode);
}

const functions: FunctionInfo[] = [];
const byName = new Map<string, FunctionInfo>();

/** Names of all kernel functions declared so far. */
export const declaredFunctions = (): string[] => functions.map((f) => f.name);

/** A kernel function by its id. */
export const functionById = (id: number): FunctionInfo => functions[id] as FunctionInfo;

/** The kernel function of this name, if there is one: what a function pointer in memory leads to. */
export const functionByName = (name: string): FunctionInfo | undefined => byName.get(name);

/** The function of this name, made up if there is none: what a thread is in whose body has no name of its own. */
export function namedFunction(name: string): FunctionInfo {
  const known = byName.get(name);
  if (known !== undefined) return known;
  const made: FunctionInfo = { name, id: functions.length, body: null };
  functions.push(made);
  byName.set(name, made);
  return made;
}

/** A kernel function: called with `yield*`, entered by the machine, known by its kernel name. */
export type KernelFunction<A extends readonly unknown[], R> = ((...args: A) => Kernel<R>) & {
  readonly info: FunctionInfo;
  /** Makes the body without asking for a call: how the machine starts a task or a callback. */
  readonly body: KernelBody<A, R>;
};

/**
 * Makes a kernel function of a generator function. The generator's own name is the name in backtraces.
 *
 * @param body - The function as written, named as in the kernel.
 */
export function kernel<A extends readonly unknown[], R>(body: KernelBody<A, R>): KernelFunction<A, R> {
  const info: FunctionInfo = { name: body.name, id: functions.length, body };
  functions.push(info);
  byName.set(info.name, info);
  const enter = (...args: A): Kernel<R> => {
    const generator = body(...args);
    request.kind = CALL;
    request.value = info.id;
    request.payload = generator;
    request.args = args;
    return primitive as unknown as Kernel<R>;
  };
  return Object.assign(enter, { info, body });
}

/** What the machine is running right now; kernel code reads it as the kernel reads per-CPU variables. */
export const running: {
  context: Context;
  offset: Int32Array;
  config: Readonly<Record<string, boolean>>;
  globals: unknown;
} = { context: null as unknown as Context, offset: new Int32Array(0), config: {}, globals: null };

/** How kernel code reaches the global variables that its program's `setup` returned. */
export const globalsOf =
  <G>(): (() => G) =>
  () =>
    running.globals as G;

/** `&pointer->field`. */
export const ref = (pointer: Ptr, field: Field): Ptr => pointer + (running.offset[field.id] as number);

/** `container_of(member, struct, field)`. */
export const container_of = (member: Ptr, field: Field): Ptr => member - (running.offset[field.id] as number);
