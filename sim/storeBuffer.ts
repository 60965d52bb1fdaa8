/**
 * Store buffers: what `memory: "tso"` adds to the machine, which is the memory model of x86.
 *
 * A plain store of a CPU goes into a queue of its own and from there to memory, oldest first: by a FLUSH event, which
 * can happen at any time, or because something drains the queue. The CPU's own loads see its queue first; no other CPU
 * does. So a load can be done before an older store of the same CPU is seen by others, and nothing else is reordered:
 * smp_rmb, smp_wmb and rcu_assign_pointer are barriers of the compiler.
 *
 * Through the queue go: STORE, the write of an UPDATE, owner and owner_cpu of a lock, the release of a spinlock (an
 * `incb` without lock prefix), and the links of call_rcu. It is drained by: smp_mb; locked operations, which are
 * ATOMIC, a taken spinlock, each try for an rwlock and its release; what takes the run queue's or a timer's lock, which
 * are schedule, yield, wake_up, wait_task_inactive, set_timer and spawn; a reschedule IPI, at the sender; an interrupt,
 * which ends in iret, so a preemption, the start of a softirq, a timer, an interrupt of user mode; a context switch.
 * The end of a grace period finds no store in any queue that could be older than it.
 *
 * A load of bytes that one entry covers gets them from the newest such entry; a load that an entry covers only in part
 * waits, as on the real CPU, until that entry is in memory.
 *
 * Memory safety is looked at twice. When the CPU executes the store: translation and faults happen then, and KASAN's
 * check in front of it. And when the store reaches memory: if its object was live then and is freed now, the store
 * corrupts the freed object, and that is a use-after-free of the function that stored. A kernel's KASAN would not notice
 * the second; SLUB's poison would.
 *
 * DEPARTS: an alloc or free drains the queue first and writes to memory itself; SLUB of 2.6.27 has no locked operation
 * on its fast path. Leaving user mode drains, although sysret and syscall need not. Nothing drains at random but by
 * FLUSH, so the size of the queue matters only when it is full.
 *
 * @see Sewell et al., x86-TSO, 2010; kernel: include/asm-x86/system.h and spinlock.h of 2.6.27
 */
import { Context } from "./context.ts";
import type { Cpu } from "./cpu.ts";
import { eventType, FLUSH, SOFTIRQ } from "./event.ts";
import type { Machine } from "./machine.ts";
import { ARENA, SHADOW_OK } from "./memory.ts";
import {
  ALLOC,
  ATOMIC,
  BARRIER,
  END,
  FREE,
  MB,
  SCHEDULE,
  SET_TIMER,
  SPAWN,
  STORE,
  SYNCHRONIZE_RCU,
  USER,
  WAIT_INACTIVE,
  WAKE_UP,
  YIELD,
} from "./op.ts";
import { recordFlush } from "./recording.ts";

/** Memory models of a machine. */
export const MEMORY_MODELS = ["sc", "tso"] as const;
export type MemoryModel = (typeof MEMORY_MODELS)[number];

/** Entries of a CPU's queue; a Core 2 has 20, its successor 32. */
const CAPACITY = 32;
const STACK_DEPTH_MAX = 64;

/** Kinds of op that drain their CPU's queue before they do anything. Locks do it where they take or release. */
const DRAINS = new Uint8Array(64);
for (const kind of [ATOMIC, SCHEDULE, YIELD, SYNCHRONIZE_RCU, WAKE_UP, WAIT_INACTIVE, SET_TIMER, SPAWN]) {
  DRAINS[kind] = 1;
}
for (const kind of [ALLOC, FREE, USER, END]) DRAINS[kind] = 1;

/** A store that its CPU has executed and no other CPU can see. */
export class BufferedStore {
  at = 0;
  size = 0;
  code = 0;
  value = 0;
  /** What the op named: a field id. */
  field = -1;
  step = 0;
  context: Context | null = null;
  ptr = 0;
  /** The call stack at that moment: ids of kernel functions. */
  readonly functions = new Int32Array(STACK_DEPTH_MAX);
  depth = -1;

  /** Takes over another's contents. */
  set(other: BufferedStore): void {
    this.at = other.at;
    this.size = other.size;
    this.code = other.code;
    this.value = other.value;
    this.field = other.field;
    this.step = other.step;
    this.context = other.context;
    this.ptr = other.ptr;
    this.functions.set(other.functions);
    this.depth = other.depth;
  }
}

/** Nothing on its way. */
const NO_STORES: readonly BufferedStore[] = [];

/** The stores of one CPU that are on their way to memory. */
export class StoreBuffer {
  private readonly ring = Array.from({ length: CAPACITY }, () => new BufferedStore());
  private first = 0;
  count = 0;
  /** Step of the last store that went in, and of the last load that was answered from here; for the history. */
  storedAt = -1;
  forwardedAt = -1;

  /** The entry `i` places behind the oldest. */
  entry(i: number): BufferedStore {
    return this.ring[(this.first + i) % CAPACITY] as BufferedStore;
  }

  /** A free entry at the end; there is room. */
  append(): BufferedStore {
    return this.entry(this.count++);
  }

  /** Takes the oldest off; its contents stay until the next {@link append}. */
  shift(): BufferedStore {
    const oldest = this.entry(0);
    this.first = (this.first + 1) % CAPACITY;
    this.count--;
    return oldest;
  }

  get full(): boolean {
    return this.count === CAPACITY;
  }

  /** The entries, oldest first, for {@link restore}. */
  save(): readonly BufferedStore[] {
    if (this.count === 0) return NO_STORES;
    return Array.from({ length: this.count }, (_, i) => {
      const copy = new BufferedStore();
      copy.set(this.entry(i));
      return copy;
    });
  }

  restore(saved: readonly BufferedStore[]): void {
    this.count = 0;
    for (const entry of saved) this.append().set(entry);
  }

  /** Whether a load of these bytes has to wait for an entry that covers a part of them. */
  coversInPart(at: number, size: number): boolean {
    for (let i = this.count - 1; i >= 0; i--) {
      const entry = this.entry(i);
      if (entry.at >= at + size || entry.at + entry.size <= at) continue;
      return entry.at > at || entry.at + entry.size < at + size;
    }
    return false;
  }
}

const bufferOf = (m: Machine, cpu: Cpu): StoreBuffer => (m.buffers as StoreBuffer[])[cpu.id] as StoreBuffer;

/** Puts a store into its CPU's queue. `at` is an offset into the arena. */
export function bufferStore(
  m: Machine,
  cpu: Cpu,
  context: Context,
  at: number,
  size: number,
  code: number,
  value: number,
  field: number,
): void {
  const buffer = bufferOf(m, cpu);
  if (buffer.full) flushOldest(m, cpu);
  if (buffer.count === 0) m.eventsChanged();
  const entry = buffer.append();
  entry.at = at;
  entry.size = size;
  entry.code = code;
  entry.value = value;
  entry.field = field;
  entry.step = m.steps;
  entry.context = context;
  entry.ptr = context.ptr;
  entry.depth = Math.min(context.depth, STACK_DEPTH_MAX - 1);
  for (let i = 0; i <= entry.depth; i++) entry.functions[i] = context.functions[i] as number;
  buffer.storedAt = m.steps;
}

/** What `cpu` reads: its own newest store, or memory. */
export function readThrough(m: Machine, cpu: Cpu, at: number, size: number, code: number): number {
  const buffer = bufferOf(m, cpu);
  for (let i = buffer.count - 1; i >= 0; i--) {
    const entry = buffer.entry(i);
    if (entry.at >= at + size || entry.at + entry.size <= at) continue;
    if (entry.at <= at && entry.at + entry.size >= at + size) {
      buffer.forwardedAt = m.steps;
      return forwarded(m, entry, at, size, code);
    }
    for (let left = i; left >= 0; left--) flushOldest(m, cpu);
    break;
  }
  return m.memory.load(at, size, code);
}

/** The value that a load would find if the store were in memory. */
function forwarded(m: Machine, entry: BufferedStore, at: number, size: number, code: number): number {
  const { memory } = m;
  const kept = memory.bytes.slice(entry.at, entry.at + entry.size);
  memory.store(entry.at, entry.size, entry.code, entry.value);
  const value = memory.load(at, size, code);
  memory.bytes.set(kept, entry.at);
  return value;
}

/** The oldest store of a CPU reaches memory. */
export function flushOldest(m: Machine, cpu: Cpu): void {
  const entry = bufferOf(m, cpu).shift();
  const { at, size } = entry;
  m.eventsChanged();
  const before = m.history === null ? null : m.memory.bytes.slice(at, at + size);
  m.memory.store(at, size, entry.code, entry.value);
  if (before !== null) recordFlush(m, cpu, asItWas(entry), before, at, entry.step);
  if (m.kasan && !m.memoryErrorSeen && m.memory.shadow[at >> 3] !== SHADOW_OK) checkFlush(m, entry);
}

/** Everything that a CPU has stored reaches memory. */
export function drain(m: Machine, cpu: Cpu): void {
  const buffer = bufferOf(m, cpu);
  while (buffer.count > 0) flushOldest(m, cpu);
}

/** Before an op: those that drain do. */
export function drainForOp(m: Machine, cpu: Cpu, context: Context): void {
  if (drains(m, context)) drain(m, cpu);
}

/** Whether the op that a context is about to do drains its CPU's queue before it does anything. */
export function drains(m: Machine, context: Context): boolean {
  const { kind } = context;
  if (DRAINS[kind] !== 0) return true;
  return kind === BARRIER && context.mode === MB && m.options.withoutBarrier?.has(m.functionOf(context)) !== true;
}

/** Before an event that is no step: an interrupt or a switch drains its CPU, a FLUSH is this and nothing else. */
export function drainForEvent(m: Machine, event: number, cpu: Cpu): void {
  const type = eventType(event);
  if (type === FLUSH) {
    flushOldest(m, cpu);
    return;
  }
  drain(m, cpu);
  if (type !== SOFTIRQ) return;
  // The grace period: with PREEMPT_RCU each CPU has made a barrier since the last reader. With classic RCU each has
  // passed a quiescent state, which drains, but for those counted as quiescent where they are: idle, or in user mode.
  for (const other of m.cpus) {
    const extended = other.softirq === null && (other.current === null || other.current.kind === USER);
    if (m.preemptRcu || extended) drain(m, other);
  }
}

/** A store that was right when it was made reaches memory that has been freed since. */
function checkFlush(m: Machine, entry: BufferedStore): void {
  const address = entry.at + ARENA;
  const code = m.memory.shadow[entry.at >> 3] as number;
  if (code < 8 && (entry.at & 7) + entry.size <= code) return;
  m.memoryErrorSeen = true;
  const context = asItWas(entry);
  const object = m.slab.objectAt(address);
  const { size, step } = entry;
  const title = `BUG: KASAN: use-after-free in ${m.functionOf(context)}`;
  m.finding(
    "use-after-free",
    title,
    context,
    { type: "memory", write: true, address, size, object, storedAt: step },
    false,
  );
}

/** The context that made a store, as it was then, for who reports on it. */
function asItWas(entry: BufferedStore): Context {
  const { comm, pid, task, threadInfo, daemon, softirq, index, cpu } = entry.context as Context;
  const context = new Context(index, comm, pid, task, threadInfo, 0, daemon, softirq);
  context.cpu = cpu;
  context.kind = STORE;
  context.ptr = entry.ptr;
  context.field = entry.field;
  context.depth = entry.depth;
  for (let i = 0; i <= entry.depth; i++) context.functions[i] = entry.functions[i] as number;
  return context;
}
