/**
 * Data races in the kernel's sense: two accesses to the same bytes, at least one of them a write and at least one of
 * them plain, that nothing orders.
 *
 * Checks: loads, stores and plain read-modify-writes of kernel code, and the stores of call_rcu, by vector clocks. What
 * one CPU does is in order, so a clock has one entry for each CPU, and an access is an epoch: (CPU, its clock), as in
 * FastTrack. Between CPUs these order:
 *
 * - a lock: its release before the next acquisition (of an rwlock: readers among themselves are not ordered);
 * - a locked operation before the next one on the same field, and as a full barrier;
 * - rcu_assign_pointer before the rcu_dereference of that field;
 * - WRITE_ONCE after smp_wmb or smp_mb, before READ_ONCE of that field followed by smp_rmb or smp_mb, or of a pointer;
 * - a grace period: what a CPU did before its quiescent state, and what all did before call_rcu, before the callback;
 * - a wake-up, and the sleeper's last switch before it (both hold the run queue's lock); wait_task_inactive;
 * - spawn before the new task; a reschedule IPI before the interrupt; a task's switch out before its next switch in.
 *
 * READ_ONCE, WRITE_ONCE, rcu_dereference and rcu_assign_pointer are marked, and so are locked operations: a race among
 * marked accesses alone is none. `data_race(...)` takes an access out of all this, where kernel code is plain on purpose.
 *
 * Does not check: what the machine does itself (lock words and their debug fields, task state in a wake-up, SLUB, the
 * zeroing of an object); accesses to an object before it was allocated anew. A race that this run's order hides, because
 * the same CPU did both or a lock happened to lie between, is found under another schedule.
 *
 * @see Flanagan and Freund, FastTrack, 2009; kernel: Documentation/dev-tools/kcsan.rst, which is younger (5.8)
 */
import type { Context } from "../context.ts";
import type { Cpu } from "../cpu.ts";
import { eventArgument, eventType, INTERRUPT, PREEMPT, SOFTIRQ, SWITCH } from "../event.ts";
import type { FindingDetails } from "../finding.ts";
import type { Machine } from "../machine.ts";
import { ARENA } from "../memory.ts";
import {
  ALLOC,
  ATOMIC,
  BARRIER,
  CALL_RCU,
  END,
  EXEMPT,
  functionById,
  KICK,
  LOAD,
  MARKED,
  MB,
  type Ptr,
  RCU_DEREFERENCE,
  RCU_READ_UNLOCK,
  READ_LOCK,
  READ_UNLOCK,
  RELEASE,
  SCHEDULE,
  SPAWN,
  SPIN_LOCK,
  SPIN_UNLOCK,
  STORE,
  SYNCHRONIZE_RCU,
  UPDATE,
  USER,
  WAIT_INACTIVE,
  WMB,
  WRITE_LOCK,
  WRITE_UNLOCK,
  YIELD,
} from "../op.ts";
import type { Cache } from "../slab.ts";
import { fieldLabel, POINTER } from "../struct.ts";
import { siteOf } from "../symbols.ts";

type Clock = Int32Array;

// Kinds of access, and of the records of a cell.
const PLAIN_READ = 0;
const PLAIN_WRITE = 1;
const MARKED_READ = 2;
const MARKED_WRITE = 3;
const KINDS = 4;
/** Kinds that a new access of each kind races with. */
const CONFLICTS: readonly (readonly number[])[] = [
  [PLAIN_WRITE, MARKED_WRITE],
  [PLAIN_WRITE, MARKED_WRITE, PLAIN_READ, MARKED_READ],
  [PLAIN_WRITE],
  [PLAIN_WRITE, PLAIN_READ],
];

/** More than there are fields, and than functions times kinds. */
const IDS = 2 ** 16;

/** The last access of one kind by one CPU to some bytes. */
class Access {
  clock = 0;
  step = 0;
  context: Context | null = null;
  field = -1;
  /** The op that made it. */
  op = 0;
  /** The call stack: ids of kernel functions. */
  readonly functions: number[] = [];
  depth = -1;
  /** The bytes that were there before it. */
  readonly before = new Uint8Array(8);
}

/** A race found before a step took effect; it is reported after it. */
interface Race {
  readonly kind: number;
  readonly at: number;
  readonly size: number;
  readonly cell: Cell;
  readonly otherKind: number;
  readonly other: Access;
  readonly cpu: number;
}

/** Some bytes that were accessed together: one entry for each kind of access and CPU. */
interface Cell {
  readonly at: number;
  readonly size: number;
  readonly last: (Access | undefined)[];
}

function join(into: Clock, other: Clock | undefined): void {
  if (other === undefined) return;
  for (let i = 0; i < into.length; i++) if ((other[i] as number) > (into[i] as number)) into[i] = other[i] as number;
}

/** Follows one run. */
export class DataRaces {
  private readonly cpus: number;
  private readonly clocks: Clock[];
  /** Of each CPU: its clock at its last write barrier, and what its marked loads saw, for its next read barrier. */
  private readonly fences: Clock[];
  private readonly seen: Clock[];
  /** Of each CPU: its clock when it last passed a quiescent state, and what an IPI on its way brings. */
  private readonly quiescent: Clock[];
  private readonly interrupts: Clock[];
  /** Of each lock: what its writers, or holders, released; and what its readers did. */
  private readonly released = new Map<Ptr, Clock>();
  private readonly readReleased = new Map<Ptr, Clock>();
  /** What locked operations and marked stores to a field carry. */
  private readonly carried = new Map<number, Clock>();
  /** Of each task that is off its CPU: its clock, and what wakers brought. */
  private readonly waiting = new Map<Context, Clock>();
  /** What was done before each call_rcu, by its number. */
  private readonly calls = new Map<number, Clock>();
  /** Cells by the eight bytes they lie in. */
  private readonly cells = new Map<number, Cell[]>();
  private readonly found: Race[] = [];
  private readonly reported = new Set<number>();

  constructor(private readonly m: Machine) {
    this.cpus = m.cpus.length;
    const each = (): Clock[] => m.cpus.map(() => new Int32Array(this.cpus));
    this.clocks = each();
    this.fences = each();
    this.seen = each();
    this.quiescent = each();
    this.interrupts = each();
    this.clocks.forEach((clock, i) => {
      clock[i] = 1;
    });
  }

  private clock(cpu: Cpu): Clock {
    return this.clocks[cpu.id] as Clock;
  }

  /** What the CPU does from here on is later than what it has handed over. */
  private tick(cpu: Cpu): void {
    const clock = this.clock(cpu);
    clock[cpu.id] = (clock[cpu.id] as number) + 1;
  }

  /** Hands over what the CPU has done so far, on top of what `table` has for the key already. */
  private hand<K>(cpu: Cpu, table: Map<K, Clock>, key: K): void {
    const there = table.get(key);
    if (there === undefined) table.set(key, this.clock(cpu).slice());
    else join(there, this.clock(cpu));
    this.tick(cpu);
  }

  // --- What orders ------------------------------------------------------------------------------------------------

  /** Before a step takes effect. */
  before(cpu: Cpu, context: Context): void {
    const { kind, mode } = context;
    switch (kind) {
      case LOAD:
        if ((mode & EXEMPT) !== 0) return;
        if ((mode & MARKED) !== 0) {
          // What a marked pointer leads to depends on it; anything else waits for a read barrier.
          const leads = this.m.layout.code[context.field] === POINTER;
          join(leads ? this.clock(cpu) : (this.seen[cpu.id] as Clock), this.carried.get(this.addressOf(context)));
        }
        this.access(cpu, context, (mode & MARKED) !== 0 ? MARKED_READ : PLAIN_READ);
        return;
      case RCU_DEREFERENCE:
        join(this.clock(cpu), this.carried.get(this.addressOf(context)));
        this.access(cpu, context, MARKED_READ);
        return;
      case STORE:
        if ((mode & EXEMPT) !== 0) return;
        this.access(cpu, context, (mode & (MARKED | RELEASE)) !== 0 ? MARKED_WRITE : PLAIN_WRITE);
        if ((mode & RELEASE) !== 0) this.hand(cpu, this.carried, this.addressOf(context));
        else if ((mode & MARKED) !== 0) {
          this.carried.set(this.addressOf(context), (this.fences[cpu.id] as Clock).slice());
        }
        return;
      case UPDATE:
        if ((mode & EXEMPT) !== 0) return;
        this.access(cpu, context, context.phase === 0 ? PLAIN_READ : PLAIN_WRITE);
        return;
      case ATOMIC:
        join(this.clock(cpu), this.carried.get(this.addressOf(context)));
        this.access(cpu, context, MARKED_WRITE);
        this.hand(cpu, this.carried, this.addressOf(context));
        this.fullBarrier(cpu);
        return;
      case CALL_RCU:
        // The stores to its own rcu_head: function, then link.
        if (context.phase < 2) this.accessAt(cpu, context, this.addressOf(context) + (context.phase === 0 ? 8 : 0), 8);
        return;
      case SCHEDULE:
      case YIELD:
      case SYNCHRONIZE_RCU:
        join(this.clock(cpu), this.waiting.get(context));
        return;
      case WAIT_INACTIVE: {
        const target = this.m.taskContext(context.ptr);
        if (target !== undefined) join(this.clock(cpu), this.waiting.get(target));
        return;
      }
      case USER:
        this.passQuiescent(cpu);
        return;
    }
  }

  /** After it. `done`: the op is complete, with this result. */
  after(cpu: Cpu, context: Context, kind: number, done: boolean, result: unknown): void {
    for (const race of this.found) this.report(context, race);
    this.found.length = 0;
    switch (kind) {
      case BARRIER:
        if (context.mode !== WMB) join(this.clock(cpu), this.seen[cpu.id]);
        if (context.mode === MB || context.mode === WMB) this.fence(cpu);
        return;
      case SPIN_LOCK:
      case WRITE_LOCK:
      case READ_LOCK:
        if (!done) return;
        join(this.clock(cpu), this.released.get(this.addressOf(context)));
        if (kind === WRITE_LOCK) join(this.clock(cpu), this.readReleased.get(this.addressOf(context)));
        this.fullBarrier(cpu);
        return;
      case SPIN_UNLOCK:
      case WRITE_UNLOCK:
        if (done) this.hand(cpu, this.released, this.addressOf(context));
        return;
      case READ_UNLOCK:
        if (done) this.hand(cpu, this.readReleased, this.addressOf(context));
        return;
      case RCU_READ_UNLOCK:
        if (context.rcuDepth === 0 && this.m.preemptRcu) this.passQuiescent(cpu);
        return;
      case CALL_RCU:
        if (done) this.call(cpu);
        return;
      case SYNCHRONIZE_RCU:
        if (!done && context.scratch === 0) this.call(cpu);
        break;
      case ALLOC:
        if (typeof result === "number" && result !== 0) this.forget(result, (context.payload as Cache).size);
        return;
      case SPAWN: {
        const child = this.m.taskContext(result as Ptr);
        if (child !== undefined) this.hand(cpu, this.waiting, child);
        return;
      }
      case KICK:
        for (const other of this.m.cpus) {
          if (!other.ipiPending) continue;
          join(this.interrupts[other.id] as Clock, this.clock(cpu));
          this.tick(cpu);
        }
        return;
      case END:
        this.passQuiescent(cpu);
        return;
    }
    // schedule() and the like: whoever gave the CPU away is off it now.
    if (cpu.active() !== context) this.switchedOut(cpu, context);
  }

  /** Before an event that is no step. */
  event(event: number, cpu: Cpu): void {
    switch (eventType(event)) {
      case SWITCH:
        join(this.clock(cpu), this.waiting.get(this.m.contexts[eventArgument(event)] as Context));
        this.passQuiescent(cpu);
        return;
      case PREEMPT:
        this.switchedOut(cpu, cpu.current as Context);
        return;
      case INTERRUPT:
        join(this.clock(cpu), this.interrupts[cpu.id]);
        this.passQuiescent(cpu);
        return;
      case SOFTIRQ:
        this.gracePeriodOver(cpu);
        return;
    }
  }

  /** A task is woken, or could have been: both hold the lock of its run queue. */
  wake(cpu: Cpu, woken: Context): void {
    join(this.clock(cpu), this.waiting.get(woken));
    this.hand(cpu, this.waiting, woken);
  }

  private switchedOut(cpu: Cpu, context: Context): void {
    // On top of what those have brought who tried to wake it while it ran.
    this.hand(cpu, this.waiting, context);
    this.passQuiescent(cpu);
  }

  private fence(cpu: Cpu): void {
    (this.fences[cpu.id] as Clock).set(this.clock(cpu));
    this.tick(cpu);
  }

  private fullBarrier(cpu: Cpu): void {
    join(this.clock(cpu), this.seen[cpu.id]);
    this.fence(cpu);
  }

  private passQuiescent(cpu: Cpu): void {
    (this.quiescent[cpu.id] as Clock).set(this.clock(cpu));
    this.tick(cpu);
  }

  /** A callback was just queued: all that any CPU has done so far comes before it. */
  private call(cpu: Cpu): void {
    const sequence = cpu.rcuQueue.at(-1)?.sequence ?? 0;
    if (this.calls.has(sequence)) return;
    const all = new Int32Array(this.cpus);
    for (const other of this.m.cpus) {
      join(all, this.clock(other));
      this.tick(other);
    }
    this.calls.set(sequence, all);
  }

  private gracePeriodOver(cpu: Cpu): void {
    const clock = this.clock(cpu);
    join(clock, this.calls.get(cpu.rcuQueue[0]?.sequence ?? 0));
    for (const other of this.m.cpus) {
      const idle = other.softirq === null && (other.current === null || other.current.kind === USER);
      if (idle) {
        join(clock, this.clock(other));
        this.tick(other);
      } else join(clock, this.quiescent[other.id]);
    }
  }

  // --- Accesses ---------------------------------------------------------------------------------------------------

  private addressOf(context: Context): number {
    return context.ptr + (this.m.offset[context.field] as number);
  }

  private access(cpu: Cpu, context: Context, kind: number): void {
    const { layout } = this.m;
    this.note(cpu, context, this.addressOf(context), layout.size[context.field] as number, kind);
  }

  private accessAt(cpu: Cpu, context: Context, address: Ptr, size: number): void {
    this.note(cpu, context, address, size, PLAIN_WRITE);
  }

  /** Holds an access against those before it, and keeps it. */
  private note(cpu: Cpu, context: Context, address: Ptr, size: number, kind: number): void {
    const at = address - ARENA;
    if (!(at >= 0 && at + size <= this.m.memory.size)) return;
    const clock = this.clock(cpu);
    let cells = this.cells.get(at >> 3);
    if (cells === undefined) {
      cells = [];
      this.cells.set(at >> 3, cells);
    }
    let own: Cell | undefined;
    for (const cell of cells) {
      if (cell.at === at && cell.size === size) own = cell;
      if (cell.at >= at + size || cell.at + cell.size <= at) continue;
      for (const other of CONFLICTS[kind] as readonly number[]) {
        for (let c = 0; c < this.cpus; c++) {
          const last = cell.last[other * this.cpus + c];
          if (last !== undefined && c !== cpu.id && last.clock > (clock[c] as number)) {
            if (this.isNew(context, kind, last, other)) {
              this.found.push({ kind, at, size, cell, otherKind: other, other: last, cpu: c });
            }
          }
        }
      }
    }
    if (own === undefined) {
      own = { at, size, last: new Array<Access | undefined>(KINDS * this.cpus).fill(undefined) };
      cells.push(own);
    }
    const slot = kind * this.cpus + cpu.id;
    let last = own.last[slot];
    if (last === undefined) {
      last = new Access();
      own.last[slot] = last;
    } else if (last.clock === clock[cpu.id] && last.context === context) return;
    last.clock = clock[cpu.id] as number;
    last.step = this.m.steps;
    last.context = context;
    last.field = context.field;
    last.depth = context.depth;
    for (let i = 0; i <= context.depth; i++) last.functions[i] = context.functions[i] as number;
    last.op = context.kind;
    for (let i = 0; i < size; i++) last.before[i] = this.m.memory.bytes[at + i] as number;
  }

  /** Memory is handed out anew: what was there before is no concern of the new owner. */
  private forget(address: Ptr, size: number): void {
    for (let at = address - ARENA; at < address - ARENA + size; at += 8) this.cells.delete(at >> 3);
    for (let at = address; at < address + size; at += 4) {
      this.released.delete(at);
      this.readReleased.delete(at);
      this.carried.delete(at);
    }
  }

  /** Whether no race of these two functions on this field has been reported yet. */
  private isNew(context: Context, kind: number, last: Access, lastKind: number): boolean {
    const ours = (context.functions[context.depth] ?? 0) * KINDS + kind;
    const theirs = (last.functions[last.depth] ?? 0) * KINDS + lastKind;
    const key = (ours * IDS + theirs) * IDS + context.field + 1;
    if (this.reported.has(key)) return false;
    this.reported.add(key);
    return true;
  }

  private report(context: Context, race: Race): void {
    const { m } = this;
    const { other, at, size, cell } = race;
    const functions = [m.functionOf(context), functionById(other.functions[other.depth] ?? 0).name].sort();
    const label = fieldLabel(context.field);
    const title = `BUG: KCSAN: data-race in ${functions.join(" / ")} (${label})`;
    const { comm, pid } = other.context as Context;
    const names = other.functions.slice(0, other.depth + 1).map((id) => functionById(id).name);
    const before = hexBytes(other.before.subarray(0, cell.size));
    const after = hexBytes(m.memory.bytes.subarray(cell.at, cell.at + cell.size));
    const details: FindingDetails = {
      type: "race",
      access: { ...accessOf(race.kind), address: at + ARENA, size },
      other: {
        ...accessOf(race.otherKind),
        address: cell.at + ARENA,
        size: cell.size,
        comm,
        pid,
        cpu: race.cpu,
        step: other.step,
        backtrace: m.frames(names.reverse(), siteOf(other.op, other.field)),
      },
      ...(before === after ? {} : { change: { before, after } }),
    };
    m.finding("data-race", title, context, details, false);
  }
}

const accessOf = (kind: number): { write: boolean; marked: boolean } => ({
  write: kind === PLAIN_WRITE || kind === MARKED_WRITE,
  marked: kind === MARKED_READ || kind === MARKED_WRITE,
});

/** A little-endian value as KCSAN prints it. */
const hexBytes = (bytes: Uint8Array): string =>
  `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
    .reverse()
    .join("")}`;
