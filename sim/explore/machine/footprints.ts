/**
 * Which ops nobody else can notice, learned while exploring.
 *
 * A *quiet* op commutes with whatever others can do before it, so there need be no choice before it: every schedule in
 * which others come first is the same as one in which it does, with no more preemptions. Quiet are
 *
 * - barriers, the later steps of lock ops (the owner's notes in a lock that is
 *   held, and the release), the ends of RCU, preemption and interrupt-off sections, which only let others do more, and
 *   their beginnings inside another one; with store buffers, only as far as they let nothing out of them;
 * - accesses to live memory that nobody else accesses, or that nobody writes.
 *
 * With store buffers, what others can notice of a store is that it reaches memory. That is quiet by itself if nobody else
 * accesses the word: then it may as well happen at once.
 *
 * The latter cannot be known beforehand. So each word of memory has a record of who has read it, who has written it, and
 * who was still alive when its object was freed. An op is quiet if by the record with which the search began no other
 * conflicts with it. When the record has grown so that an op was wrongly taken to be quiet, the search has to begin again
 * with what is known by then; the one that ends without that is right. For suppose it missed a schedule, and take the
 * first access in it that conflicts with one taken to be quiet. What came before it, the search did come to, with quiet
 * ops done earlier at most; so it came to this access too, and would have put it into the record.
 *
 * The record that is arrived at does not depend on the order in which accesses came to be known. The more is known, the
 * fewer ops are quiet and the more schedules are gone through; so it is the least one that the search made with it does
 * not add to, whatever was known on the way there. Several searches may share a record.
 *
 * Everybody is a bit: tasks by their number, the softirq of a CPU, and the timers.
 */
import type { Context } from "../../context.ts";
import type { Cpu } from "../../cpu.ts";
import { eventCpu, eventType, INTERRUPT, SOFTIRQ, STEP } from "../../event.ts";
import { thread_info } from "../../kernelStructs.ts";
import type { Machine } from "../../machine.ts";
import { ARENA, SHADOW_OK } from "../../memory.ts";
import {
  ALLOC,
  ATOMIC,
  BARRIER,
  CALL_RCU,
  FREE,
  IRQ_DISABLE,
  IRQ_ENABLE,
  LOAD,
  PREEMPT_DISABLE,
  PREEMPT_ENABLE,
  type Ptr,
  RCU_DEREFERENCE,
  RCU_READ_LOCK,
  RCU_READ_UNLOCK,
  READ_LOCK,
  READ_UNLOCK,
  SCHEDULE,
  SET_TIMER,
  SPIN_LOCK,
  SPIN_UNLOCK,
  STORE,
  SYNCHRONIZE_RCU,
  UPDATE,
  USER,
  WAIT_INACTIVE,
  WAKE_UP,
  WARN,
  WRITE_LOCK,
  WRITE_UNLOCK,
  YIELD,
} from "../../op.ts";
import type { Cache } from "../../slab.ts";
import { drains, type StoreBuffer } from "../../storeBuffer.ts";
import { ALONE, type SharedWords } from "./sharedWords.ts";

/** Tasks that have a bit of their own; the others share the last. */
const TASKS = 20;
const FIRST_SOFTIRQ = TASKS + 1;
const TIMERS = 1 << 30;
/** First waiting step of a lock op, as in locks.ts. */
const WAITING = 1;

const bitOf = (context: Context): number =>
  context.softirq ? 1 << (FIRST_SOFTIRQ + (context.cpu & 7)) : 1 << Math.min(context.index, TASKS);
/** Tasks that share a bit are never known to be alone. */
const SHARED_BIT = 1 << TASKS;

// Tables of a record, one word each for eight bytes of memory.
const READERS = 0;
const WRITERS = 1;
const OUTLIVED = 2;
const QUIET_READS = 3;
const QUIET_WRITES = 4;
/** From here on the first three as they were when the search began. */
const KNOWN = 5;
const TABLES = 8;

/** Words that the record of a machine needs: one more than its tables, which says that it was wrong. */
export const footprintWords = (machine: Machine): number => TABLES * (machine.memory.size >> 3) + 1;

/** The record of one program's memory. */
export class Footprints {
  private readonly readers: Int32Array;
  private readonly writers: Int32Array;
  /** Who was alive when the object of this word was freed by another. */
  private readonly outlived: Int32Array;
  private readonly quietReads: Int32Array;
  private readonly quietWrites: Int32Array;
  private readonly wrong: Int32Array;
  // The first three as they were when the search began.
  private readonly knownReaders: Int32Array;
  private readonly knownWriters: Int32Array;
  private readonly knownOutlived: Int32Array;

  /** @param all - {@link footprintWords} words, which others may use too if `words` allows it. */
  constructor(
    private readonly machine: Machine,
    private readonly all: Int32Array = new Int32Array(footprintWords(machine)),
    private readonly words: SharedWords = ALONE,
  ) {
    const length = machine.memory.size >> 3;
    const table = (at: number): Int32Array => all.subarray(at * length, (at + 1) * length);
    this.readers = table(READERS);
    this.writers = table(WRITERS);
    this.outlived = table(OUTLIVED);
    this.quietReads = table(QUIET_READS);
    this.quietWrites = table(QUIET_WRITES);
    this.wrong = all.subarray(TABLES * length);
    this.knownReaders = table(KNOWN + READERS);
    this.knownWriters = table(KNOWN + WRITERS);
    this.knownOutlived = table(KNOWN + OUTLIVED);
  }

  /** An op was taken to be quiet that is not. */
  get broken(): boolean {
    return this.words.load(this.wrong, 0) !== 0;
  }

  /** All searches begin, with what is known; nothing has been taken to be quiet yet. */
  begin(): void {
    this.wrong.fill(0);
    this.quietReads.fill(0);
    this.quietWrites.fill(0);
    this.knownReaders.set(this.readers);
    this.knownWriters.set(this.writers);
    this.knownOutlived.set(this.outlived);
  }

  /** The record as plain data, for {@link takeUp}: number and contents of each word that is not 0. */
  putAside(): number[] {
    const aside: number[] = [];
    this.all.forEach((word, at) => {
      if (word !== 0) aside.push(at, word);
    });
    return aside;
  }

  /** Takes over the record of another search of the same program, in the middle. */
  takeUp(aside: readonly number[]): void {
    for (let i = 0; i + 1 < aside.length; i += 2) this.all[aside[i] as number] = aside[i + 1] as number;
  }

  /** Whether the next step of `context` is quiet. If so it must be taken. */
  isQuiet(cpu: Cpu, context: Context): boolean {
    const buffer = this.machine.buffers?.[cpu.id];
    if (buffer !== undefined && buffer.count > 0 && this.letsOut(buffer, context)) return false;
    switch (context.kind) {
      case LOAD:
      case RCU_DEREFERENCE:
        return this.isQuietAccess(context, false);
      case STORE:
      case ATOMIC:
        return this.isQuietAccess(context, true);
      case UPDATE:
        return this.isQuietAccess(context, true);
      case BARRIER:
      case RCU_READ_UNLOCK:
      case PREEMPT_ENABLE:
      case IRQ_ENABLE:
      case WARN:
        return true;
      case SPIN_LOCK:
      case READ_LOCK:
      case WRITE_LOCK:
        return context.phase > WAITING;
      case SPIN_UNLOCK:
      case READ_UNLOCK:
      case WRITE_UNLOCK:
        return context.phase > 0;
      case RCU_READ_LOCK:
        return this.machine.preemptRcu ? context.rcuDepth > 0 : context.preemptCount > 0 || cpu.irqOff;
      case PREEMPT_DISABLE:
        return context.preemptCount > 0 || cpu.irqOff;
      case IRQ_DISABLE:
        return cpu.irqOff;
      case SET_TIMER:
        return !context.timerArmed && context.value === 0;
      default:
        return false;
    }
  }

  /** Whether the next step of `context` lets a store out of its CPU's store buffer. */
  private letsOut(buffer: StoreBuffer, context: Context): boolean {
    const { kind, field } = context;
    if (buffer.full || kind === READ_LOCK || kind === WRITE_LOCK || kind === READ_UNLOCK || kind === WRITE_UNLOCK) {
      return true;
    }
    if (drains(this.machine, context)) return true;
    if (kind !== LOAD && kind !== RCU_DEREFERENCE && kind !== UPDATE) return false;
    return buffer.coversInPart(this.fieldAt(context), this.machine.layout.size[field] as number);
  }

  /** Whether the oldest store of a CPU that is on its way to memory may as well get there at once. */
  isQuietFlush(cpu: Cpu): boolean {
    const buffer = this.machine.buffers?.[cpu.id];
    const entry = buffer === undefined || buffer.count === 0 ? undefined : buffer.entry(0);
    if (entry === undefined || entry.context === null) return false;
    if (this.machine.memory.shadow[entry.at >> 3] !== SHADOW_OK) return false;
    return this.isQuietAt(entry.at >> 3, bitOf(entry.context), true);
  }

  private isQuietAccess(context: Context, writes: boolean): boolean {
    const { machine } = this;
    const at = context.ptr + (machine.offset[context.field] as number) - ARENA;
    if (!(at >= 0 && at < machine.memory.size)) return false;
    if (machine.memory.shadow[at >> 3] !== SHADOW_OK) return false;
    return this.isQuietAt(at >> 3, bitOf(context), writes);
  }

  private isQuietAt(word: number, bit: number, writes: boolean): boolean {
    const { knownReaders, knownWriters, knownOutlived } = this;
    if (!alone(knownReaders, knownWriters, knownOutlived, word, bit, writes)) return false;
    const quiet = writes ? this.quietWrites : this.quietReads;
    if (((quiet[word] as number) & bit) === 0) {
      this.words.or(quiet, word, bit);
      this.review(word);
    }
    return true;
  }

  /** Takes down what an event that is about to happen reads and writes. */
  record(event: number): void {
    const cpu = this.machine.cpus[eventCpu(event)] as Cpu;
    const context = cpu.active();
    switch (eventType(event)) {
      case STEP:
        if (context !== null) this.recordOp(cpu, context);
        break;
      case INTERRUPT:
        if (context !== null) this.readFlags(context);
        break;
      case SOFTIRQ: {
        const callback = cpu.rcuQueue[0];
        if (callback === undefined) break;
        const bit = 1 << (FIRST_SOFTIRQ + (cpu.id & 7));
        if (callback.sleeper !== null) this.write(bit, this.machine.stateAt(callback.sleeper.task), 8);
        else this.read(bit, callback.head + 8 - ARENA, 8);
        break;
      }
    }
  }

  private recordOp(cpu: Cpu, context: Context): void {
    const { machine } = this;
    const bit = bitOf(context);
    switch (context.kind) {
      case LOAD:
      case RCU_DEREFERENCE:
        this.read(bit, this.fieldAt(context), 1);
        break;
      case STORE:
      case ATOMIC:
      case UPDATE:
        this.write(bit, this.fieldAt(context), 1);
        break;
      case SPIN_LOCK:
      case READ_LOCK:
      case WRITE_LOCK:
      case SPIN_UNLOCK:
      case READ_UNLOCK:
      case WRITE_UNLOCK:
        if (context.phase === 0) this.write(bit, this.fieldAt(context), LOCK_BYTES);
        break;
      case CALL_RCU:
        this.write(bit, this.fieldAt(context), 16);
        if (context.phase === 2 && cpu.rcuTail !== 0) this.write(bit, cpu.rcuTail - ARENA, 8);
        break;
      case SCHEDULE:
      case YIELD:
      case SYNCHRONIZE_RCU:
        this.write(bit, machine.stateAt(context.task), 8);
        this.readFlags(context);
        break;
      case USER:
        this.readFlags(context);
        break;
      case WAKE_UP:
        this.write(bit, machine.stateAt(context.ptr), 8);
        break;
      case WAIT_INACTIVE:
        this.recordWait(context);
        break;
      case SET_TIMER:
        if (context.value > 0) this.write(TIMERS, machine.stateAt(context.task), 8);
        break;
      case ALLOC:
        if (context.phase === 1) this.write(bit, context.scratch - ARENA, (context.payload as Cache).size);
        break;
      case FREE:
        this.recordFree(bit, context.ptr - ARENA, (context.payload as Cache).size);
        break;
    }
  }

  /** Whoever is alive but the one who frees might still access the object. */
  private recordFree(bit: number, at: number, length: number): void {
    let alive = TIMERS;
    for (const context of this.machine.contexts) if (!context.finished) alive |= bitOf(context);
    for (const { softirq } of this.machine.cpus) if (softirq !== null) alive |= bitOf(softirq);
    alive &= ~bit;
    for (let word = at >> 3; word <= (at + length - 1) >> 3; word++) {
      if (!(word >= 0 && word < this.outlived.length)) return;
      const before = this.outlived[word] as number;
      if ((before | alive) === before) continue;
      this.words.or(this.outlived, word, alive);
      this.review(word);
    }
  }

  private readFlags(context: Context): void {
    const { flags } = thread_info.fields;
    this.read(bitOf(context), context.threadInfo + (this.machine.offset[flags.id] as number) - ARENA, 1);
  }

  /** `wait_task_inactive`, which looks at its target from when it is come to. */
  recordWait(context: Context): void {
    this.read(bitOf(context), this.machine.stateAt(context.ptr), 8);
  }

  /** `peek`, by a hook of the program in the step of `context`. */
  recordPeek(context: Context, address: Ptr): void {
    this.read(bitOf(context), address - ARENA, 1);
  }

  private fieldAt(context: Context): number {
    return context.ptr + (this.machine.offset[context.field] as number) - ARENA;
  }

  private read(bit: number, at: number, length: number): void {
    for (let word = at >> 3; word <= (at + length - 1) >> 3; word++) {
      if (!(word >= 0 && word < this.readers.length)) return;
      if (((this.readers[word] as number) & bit) !== 0) continue;
      this.words.or(this.readers, word, bit);
      this.review(word);
    }
  }

  private write(bit: number, at: number, length: number): void {
    for (let word = at >> 3; word <= (at + length - 1) >> 3; word++) {
      if (!(word >= 0 && word < this.writers.length)) return;
      if (((this.writers[word] as number) & bit) !== 0) continue;
      this.words.or(this.writers, word, bit);
      this.review(word);
    }
  }

  /** Whether all that was taken to be quiet at a word still is. */
  private review(word: number): void {
    const { readers, writers, outlived, words } = this;
    const is = (bit: number, writes: boolean): boolean => alone(readers, writers, outlived, word, bit, writes);
    const still = (quiet: Int32Array, writes: boolean): boolean => {
      for (let left = words.load(quiet, word); left !== 0; left &= left - 1)
        if (!is(left & -left, writes)) return false;
      return true;
    };
    if (!(still(this.quietReads, false) && still(this.quietWrites, true))) words.store(this.wrong, 0, 1);
  }
}

/** Whether an access does not conflict with those of others. */
function alone(
  readers: Int32Array,
  writers: Int32Array,
  outlived: Int32Array,
  word: number,
  bit: number,
  writes: boolean,
): boolean {
  const others = writes ? (writers[word] as number) | (readers[word] as number) : (writers[word] as number);
  return bit !== SHARED_BIT && (others & ~bit) === 0 && ((outlived[word] as number) & bit) === 0;
}

/** The largest lock, with all its debug fields. */
const LOCK_BYTES = 24;
