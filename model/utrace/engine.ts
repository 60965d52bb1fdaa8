/**
 * Engines: their references, their ops, and how one is marked as leaving.
 *
 * @see kernel/utrace.c as posted: alloc_engine, engine_matches, mark_engine_detached, put_detached_list
 */
import {
  atomic_add_return,
  BUG,
  BUG_ON,
  clear_bits,
  container_of,
  type Field,
  type Kernel,
  type KernelFunction,
  kernel,
  kmem_cache_alloc,
  kmem_cache_free,
  load,
  type Machine,
  note,
  type Ptr,
  ref,
  set_bits,
  smp_wmb,
  store,
  WRITE_ONCE,
} from "../../sim/index.ts";
import { nothing } from "../../sim/op.ts";
import { ptr, struct } from "../../sim/struct.ts";
import { globals } from "../linux/globals.ts";
import { list_del_init, list_empty, list_entry, list_next } from "../linux/list.ts";
import type { sigaction, siginfo_t } from "../linux/signal.ts";
import {
  ENGINE_STOP,
  UTRACE_ATTACH_MATCH_DATA,
  UTRACE_ATTACH_MATCH_OPS,
  UTRACE_DETACH,
  UTRACE_EVENT,
} from "./events.ts";
import { patched, utraceGlobals } from "./globals.ts";
import type { Inline } from "./lifetime.ts";
import { ENGINE, UTRACE } from "./structs.ts";

/**
 * What an engine is called back with, always in the traced task's own context and without locks, except `report_reap`,
 * which runs in the context of whoever reaps the task. Those with a result return a resume action, and in report_signal
 * and report_syscall_entry a signal or system call action besides.
 */
export interface utrace_engine_ops {
  /** Before any other report, and on its own when a report was asked for; `event` is 0 then. */
  readonly report_quiesce?: KernelFunction<[action: number, engine: Ptr, task: Ptr, event: number], number>;
  readonly report_signal?: KernelFunction<
    [action: number, engine: Ptr, task: Ptr, info: siginfo_t, original: sigaction | null, returned: sigaction],
    number
  >;
  readonly report_clone?: KernelFunction<
    [action: number, engine: Ptr, parent: Ptr, cloneFlags: number, child: Ptr],
    number
  >;
  /** As posted, the last argument is the CLD_ code, not whether the parent is told. BUG(kernel), fixed in 68f389909cd */
  readonly report_jctl?: KernelFunction<[action: number, engine: Ptr, task: Ptr, type: number, notify: number], number>;
  readonly report_exec?: KernelFunction<[action: number, engine: Ptr, task: Ptr], number>;
  readonly report_syscall_entry?: KernelFunction<[action: number, engine: Ptr, task: Ptr], number>;
  readonly report_syscall_exit?: KernelFunction<[action: number, engine: Ptr, task: Ptr], number>;
  readonly report_exit?: KernelFunction<
    [action: number, engine: Ptr, task: Ptr, originalCode: number, code: { value: number }],
    number
  >;
  readonly report_death?: KernelFunction<[engine: Ptr, task: Ptr, groupDead: boolean, signal: number], number>;
  readonly report_reap?: KernelFunction<[engine: Ptr, task: Ptr], void>;
  /** At exec, under task_lock: LSM_UNSAFE_ bits that this tracing stands for. Must not sleep. */
  readonly unsafe_exec?: KernelFunction<[engine: Ptr, task: Ptr], number>;
  /** The task that traces by this engine, 0 if none: in an RCU read section, perhaps under task_lock. */
  readonly tracer_task?: KernelFunction<[engine: Ptr, task: Ptr], Ptr>;
}
export type CallbackName = keyof utrace_engine_ops;

const ops_table = struct("utrace_engine_ops", {
  report_quiesce: ptr,
  report_signal: ptr,
  report_clone: ptr,
  report_jctl: ptr,
  report_exec: ptr,
  report_syscall_entry: ptr,
  report_syscall_exit: ptr,
  report_exit: ptr,
  report_death: ptr,
  report_reap: ptr,
  unsafe_exec: ptr,
  tracer_task: ptr,
});
const OPS = ops_table.fields;

/** Puts an ops table into kernel memory: a module's constant data. Gives its address. */
export function placeOps(machine: Machine, ops: utrace_engine_ops): Ptr {
  const address = machine.addressOf(ops, machine.layout.sizeOf(ops_table));
  for (const name of Object.keys(OPS) as (keyof typeof OPS)[]) {
    const callback = (ops as Partial<Record<string, { info: { name: string } }>>)[name];
    if (callback !== undefined) machine.poke(address, OPS[name], machine.symbols.base(callback.info.name));
  }
  return address;
}

/** `ops->callback`: reads the function pointer, and gives the function; undefined if the pointer is NULL. */
export function* callbackOf<N extends CallbackName>(ops: Ptr, name: N): Inline<utrace_engine_ops[N]> {
  const address = yield* load(ops, OPS[name] as Field);
  if (address === 0) return undefined as utrace_engine_ops[N];
  const table = globals().objectOf(ops) as utrace_engine_ops | undefined;
  if (table?.[name] === undefined) yield* BUG("jump to a wild address", "(no source line)");
  return (table as utrace_engine_ops)[name];
}

/** As {@link callbackOf}, for a callback that is called without a look: NULL is a jump to address 0. */
export function* callbackToCall<N extends CallbackName>(ops: Ptr, name: N): Inline<NonNullable<utrace_engine_ops[N]>> {
  const callback = yield* callbackOf(ops, name);
  if (callback === undefined) yield* load(0, OPS.report_quiesce);
  return callback as NonNullable<utrace_engine_ops[N]>;
}

/**
 * Says that a callback of `engine` begins. Those of an engine marked detached are utrace's own.
 *
 * @param event - Bit of the event that it is named after.
 */
export const callbackBegins = (engine: Ptr, ops: Ptr, event: number): Kernel<void> =>
  isDetached(ops) ? nothing : note("callback-begin", engine, event);
/** Says that it has returned. */
export const callbackEnds = (engine: Ptr, ops: Ptr, ret: number): Kernel<void> =>
  isDetached(ops) ? nothing : note("callback-end", engine, ret);

const utrace_detached_quiesce = kernel(function* utrace_detached_quiesce(
  _action: number,
  _engine: Ptr,
  _task: Ptr,
  _event: number,
) {
  return UTRACE_DETACH;
});
const utrace_detached_reap = kernel(function* utrace_detached_reap(_engine: Ptr, _task: Ptr) {});

/** Ops of an engine marked detached: the task may still call them, with any old flags. */
export const utrace_detached_ops: utrace_engine_ops = {
  report_quiesce: utrace_detached_quiesce,
  report_reap: utrace_detached_reap,
};

/** Whether `ops` are {@link utrace_detached_ops}. */
export const isDetached = (ops: Ptr): boolean => ops === utraceGlobals().utrace_detached_ops;

/** A new engine with two references: one for being attached, one for the caller of utrace_attach_task. 0 if no memory. */
export function* alloc_engine(): Inline<Ptr> {
  const engine = yield* kmem_cache_alloc(utraceGlobals().utrace_engine_cachep);
  if (engine === 0) return 0;
  yield* store(engine, ENGINE.flags, 0);
  // DEPARTS: kref_set ends with a full barrier, which nothing relies on: the engine is not visible yet.
  yield* store(engine, ENGINE.kref.refcount, 2);
  return engine;
}

/** Gives an engine that was never attached, or is no longer referred to, back to its cache. */
export const free_engine = (engine: Ptr): Kernel<void> => kmem_cache_free(utraceGlobals().utrace_engine_cachep, engine);

/** Frees an engine whose last reference is gone; it must be off every list. No grace period. */
export const __utrace_engine_release = kernel(function* __utrace_engine_release(kref: Ptr) {
  const engine = container_of(kref, ENGINE.kref);
  const linked = !(yield* list_empty(ref(engine, ENGINE.entry)));
  yield* BUG_ON(linked, "!list_empty(&engine->entry)", "kernel/utrace.c:__utrace_engine_release");
  yield* note("engine-freed", engine, 0);
  yield* free_engine(engine);
});

/** Takes a reference. */
export function* utrace_engine_get(engine: Ptr): Inline<void> {
  yield* atomic_add_return(engine, ENGINE.kref.refcount, 1);
  yield* note("engine-get", engine, 0);
}

/** Drops a reference; the last one frees the engine. */
export function* utrace_engine_put(engine: Ptr): Inline<void> {
  if (patched("no-engine-refcount")) return;
  const left = yield* atomic_add_return(engine, ENGINE.kref.refcount, -1);
  yield* note("engine-put", engine, 0);
  if (left === 0) {
    yield* __utrace_engine_release(ref(engine, ENGINE.kref));
  }
}

function* engine_matches(engine: Ptr, flags: number, ops: Ptr, data: Ptr): Inline<boolean> {
  const own = yield* load(engine, ENGINE.ops);
  if ((flags & UTRACE_ATTACH_MATCH_OPS) !== 0 && own !== ops) return false;
  if ((flags & UTRACE_ATTACH_MATCH_DATA) !== 0 && (yield* load(engine, ENGINE.data)) !== data) return false;
  return own !== 0 && !isDetached(own);
}

/** The first engine that matches, of those attached and then of those attaching; 0 if none. Under utrace->lock. */
export const matching_engine = kernel(function* matching_engine(utrace: Ptr, flags: number, ops: Ptr, data: Ptr) {
  for (const list of [ref(utrace, UTRACE.attached), ref(utrace, UTRACE.attaching)]) {
    for (let at = yield* list_next(list); at !== list; at = yield* list_next(at)) {
      const engine = list_entry(at, ENGINE.entry);
      if (yield* engine_matches(engine, flags, ops, data)) return engine;
    }
  }
  return 0;
});

/**
 * Marks an engine as detached while the task may be about to call it.
 *
 * The barrier pairs with the one between the loads of flags and ops in start_callback and utrace_get_signal: new flags
 * are never seen with old ops.
 */
export function* mark_engine_detached(engine: Ptr): Inline<void> {
  yield* WRITE_ONCE(engine, ENGINE.ops, utraceGlobals().utrace_detached_ops);
  yield* note("engine-detaching", engine, 0);
  yield* smp_wmb();
  yield* WRITE_ONCE(engine, ENGINE.flags, UTRACE_EVENT.QUIESCE);
}

/** ENGINE_STOP: whether the engine keeps its task stopped. */
export function* mark_engine_wants_stop(engine: Ptr): Inline<void> {
  yield* set_bits(engine, ENGINE.flags, ENGINE_STOP);
  yield* note("wants-stop", engine, 1);
}
export function* clear_engine_wants_stop(engine: Ptr): Inline<void> {
  yield* clear_bits(engine, ENGINE.flags, ENGINE_STOP);
  yield* note("wants-stop", engine, 0);
}
export function* engine_wants_stop(engine: Ptr): Inline<boolean> {
  return ((yield* load(engine, ENGINE.flags)) & ENGINE_STOP) !== 0;
}

/** Drops the reference of an engine for being attached. */
function* putAttached(engine: Ptr): Inline<void> {
  if (patched("no-engine-refcount")) yield* __utrace_engine_release(ref(engine, ENGINE.kref));
  else yield* utrace_engine_put(engine);
}

/** Drops the attached references of engines taken off a task's lists. Without locks. */
export const put_detached_list = kernel(function* put_detached_list(list: Ptr) {
  let at = yield* list_next(list);
  let next = yield* list_next(at);
  while (at !== list) {
    yield* list_del_init(at);
    yield* putAttached(list_entry(at, ENGINE.entry));
    at = next;
    next = yield* list_next(at);
  }
});
