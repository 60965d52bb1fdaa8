/**
 * A machine that can go back: its memory block by block, its tables by copies, its kernel code by the graph of
 * `kernelCode.ts`. And that knows its state by a hash.
 *
 * In the hash: memory and what is mapped, the allocator, each CPU, each task's place in its code and what the scheduler
 * knows of it, RCU (not its sequence numbers, but what waits for what), whether a memory error or a lock complaint was
 * reported. Not in it, as nothing that happens next depends on it: time, steps, the order in which tasks were queued,
 * SLUB's tracks (who allocated and freed, in memory under SLUB_DEBUG), which are not kept at all here.
 */
import type { Context } from "../../context.ts";
import type { Cpu, RcuCallback } from "../../cpu.ts";
import type { Site } from "../../finding.ts";
import { Machine, type MachineOptions } from "../../machine.ts";
import { type SavedPages, WILD } from "../../memory.ts";
import { functionById, type Ptr, type Request, running, WAIT_INACTIVE } from "../../op.ts";
import type { SavedSlab } from "../../slab.ts";
import type { BufferedStore, StoreBuffer } from "../../storeBuffer.ts";
import type { Field } from "../../struct.ts";
import type { Footprints } from "./footprints.ts";
import { Hash64 } from "./hash64.ts";
import { KernelCode, type Place } from "./kernelCode.ts";
import { UndoLog } from "./undoLog.ts";

interface SavedContext {
  readonly context: Context;
  readonly place: number;
  readonly kind: number;
  readonly value: number;
  readonly phase: number;
  readonly scratch: number;
  readonly cpu: number;
  readonly preemptCount: number;
  readonly rcuDepth: number;
  readonly rcuStart: number;
  readonly onRunqueue: boolean;
  readonly queuedAt: number;
  readonly timerArmed: boolean;
  readonly timerExpires: number;
  readonly finished: boolean;
  readonly switches: number;
  readonly switchesTold: boolean;
  readonly preempted: boolean;
  readonly heldLock: readonly Ptr[];
  readonly heldField: readonly number[];
}

interface SavedCpu {
  readonly current: Context | null;
  readonly softirq: Context | null;
  readonly queued: number;
  readonly irqOff: boolean;
  readonly ipiPending: boolean;
  readonly quiescentAt: number;
  readonly irqOffSince: number;
  readonly rcuQueue: readonly RcuCallback[];
  readonly rcuTail: Ptr;
  readonly clock: number;
}

/** A state to go back to. */
export interface Saved {
  readonly mark: number;
  readonly contexts: readonly SavedContext[];
  readonly tasks: number;
  readonly numbersTaken: number;
  readonly staticNext: Ptr;
  readonly staticEnd: Ptr;
  readonly cpus: readonly SavedCpu[];
  readonly pages: SavedPages;
  readonly slab: SavedSlab;
  readonly steps: number;
  readonly now: number;
  readonly stopped: boolean;
  readonly debugLocks: boolean;
  readonly memoryErrorSeen: boolean;
  readonly twoOwnersSeen: boolean;
  readonly rcuSequence: number;
  readonly rcuPending: number;
  readonly timersArmed: number;
  readonly queueStamp: number;
  /** Of each CPU, what is on its way to memory; null without store buffers. */
  readonly buffers: readonly (readonly BufferedStore[])[] | null;
}

/** Kernel code asked for something that the way back does not cover. The message says what. */
export class CannotExplore extends Error {
  override readonly name = "CannotExplore";
}

const NO_LOCKS: readonly number[] = [];

/** A machine for exploring one program. */
export class ExploringMachine extends Machine {
  /** Hash of the state; valid after {@link fingerprint}. */
  readonly hash64 = new Hash64();
  /** Who accesses what, while an event is being made to happen. */
  footprints: Footprints | null = null;
  /** The task that has taken numbers; -1 if none has. */
  private takerIndex = -1;
  private undo: UndoLog | null = null;
  private slabSaved: SavedSlab | null = null;
  private slabHashVersion = -1;
  private slabLo = 0;
  private slabHi = 0;
  private readonly siteHashes = new WeakMap<Site, number>();
  private readonly scratchHash = new Hash64();
  private readonly sequences: number[] = [];

  /** What was learned of the program's kernel code so far. It holds objects of this machine. */
  readonly kernelCode = new KernelCode({
    numberOf: (object) => this.slab.numberOf(object),
    mixNumber: (hash, value) => this.mixNumber(hash, value),
  });

  /** Kernel code has gone round a loop more often than it may. */
  beyondLoop = false;

  /** @param loopRounds - How often kernel code may come to the head of a loop, in one call of its function. */
  constructor(options: MachineOptions, loopRounds = Number.POSITIVE_INFINITY) {
    super(options);
    this.kernelCode.loopRounds = loopRounds;
    this.slab.keepsTracks = false;
  }

  override boot(): void {
    super.boot();
    this.undo = new UndoLog(this.memory);
  }

  // --- Kernel code --------------------------------------------------------------------------------------------------

  protected override start(
    context: Context,
    functionId: number,
    body: () => Generator<Request, unknown, unknown>,
    argument: Ptr,
  ): void {
    const key = context.softirq
      ? `softirq ${functionById(functionId).name} ${this.memory.hex(argument)} ${context.task} ${context.stackPointer}`
      : `task ${context.index}${this.booting ? "" : this.startedBy(context)}`;
    this.takeRegisters();
    this.arrive(context, this.kernelCode.enter(this, context, key, functionId, argument, body));
  }

  /** Where the running task is that starts another, and the other's stack: what that will do depends on nothing else. */
  private startedBy(context: Context): string {
    const { lo, hi } = this.kernelCode.places[running.context.place] as Place;
    return ` of ${lo} ${hi} on ${context.threadInfo}`;
  }

  override resume(context: Context, result: unknown): void {
    const place = this.kernelCode.places[context.place] as Place;
    this.takeRegisters();
    this.arrive(context, this.kernelCode.next(this, place, result));
  }

  private arrive(context: Context, place: Place): void {
    this.load(context, place);
    if (place.beyondLoop) this.beyondLoop = true;
    context.phase = 0;
    if (place.op.kind === 0) {
      context.depth = -1;
      this.finish(context);
    } else if (place.op.kind === WAIT_INACTIVE) this.footprints?.recordWait(context);
  }

  private load(context: Context, place: Place): void {
    const { op } = place;
    context.place = place.id;
    context.kind = op.kind;
    context.ptr = op.ptr;
    context.field = op.field;
    context.value = op.value;
    context.mode = op.mode;
    context.extra = op.extra;
    context.payload = op.payload;
    context.depth = place.depth;
    context.functions = place.functions;
    context.stackPointer = place.stackPointer;
  }

  override peek(pointer: Ptr, field: Field): number {
    // A hook of the program looks, in the step of whoever is running.
    if (this.footprints !== null)
      this.footprints.recordPeek(running.context, pointer + (this.offset[field.id] as number));
    if (!this.kernelCode.isLearning) return super.peek(pointer, field);
    return this.kernelCode.hiddenRead("peek", pointer, () => super.peek(pointer, field), field) as number;
  }

  override takeNumber(): number {
    const { index } = running.context;
    // Who is first would be for others to notice, and not by an op.
    if (this.takerIndex >= 0 && this.takerIndex !== index) throw new CannotExplore("tasks that fork at the same time");
    this.takerIndex = index;
    const number = this.kernelCode.hiddenRead("nextNumber", 0, () => this.numbersTaken) as number;
    if (!this.kernelCode.isReplaying) this.skipNumber();
    return number;
  }

  nextNumber(): number {
    return this.numbersTaken;
  }

  skipNumber(): void {
    this.numbersTaken++;
  }

  override isCurrent(task: Ptr): boolean {
    return this.kernelCode.hiddenRead("isCurrent", task, () => super.isCurrent(task)) as boolean;
  }

  override threadInfo(task: Ptr): Ptr {
    return this.kernelCode.hiddenRead("threadInfo", task, () => super.threadInfo(task)) as Ptr;
  }

  override threadFlags(task: Ptr): number {
    return this.kernelCode.hiddenRead("threadFlags", task, () => super.threadFlags(task)) as number;
  }

  // --- Going back ---------------------------------------------------------------------------------------------------

  /** Brings the hash of memory up to date, for {@link fingerprint}; {@link save} does so too. */
  mark(): void {
    (this.undo as UndoLog).mark();
  }

  /** Saves the state. Between two calls of this, memory is hashed only where it changed. */
  save(): Saved {
    const contexts = this.contexts.map(saveContext);
    for (const { softirq } of this.cpus) if (softirq !== null) contexts.push(saveContext(softirq));
    if (this.slabSaved === null || this.slabSaved.version !== this.slab.version) this.slabSaved = this.slab.save();
    return {
      mark: (this.undo as UndoLog).mark(),
      contexts,
      tasks: this.contexts.length,
      numbersTaken: this.numbersTaken,
      staticNext: this.staticNext,
      staticEnd: this.staticEnd,
      cpus: this.cpus.map(saveCpu),
      pages: this.memory.savePages(),
      slab: this.slabSaved,
      steps: this.steps,
      now: this.now,
      stopped: this.stopped,
      debugLocks: this.debugLocks,
      memoryErrorSeen: this.memoryErrorSeen,
      twoOwnersSeen: this.twoOwnersSeen,
      rcuSequence: this.rcuSequence,
      rcuPending: this.rcuPending,
      timersArmed: this.timersArmed,
      queueStamp: this.queueStamp,
      buffers: this.buffers === null ? null : this.buffers.map((buffer) => buffer.save()),
    };
  }

  /** Goes back to a state saved on the way to this one. */
  restore(saved: Saved): void {
    (this.undo as UndoLog).rewind(saved.mark);
    while (this.contexts.length > saved.tasks) this.forgetTask(this.contexts.pop() as Context);
    this.numbersTaken = saved.numbersTaken;
    this.staticNext = saved.staticNext;
    this.staticEnd = saved.staticEnd;
    for (const one of saved.contexts) this.restoreContext(one);
    for (const cpu of this.cpus) restoreCpu(cpu, saved.cpus[cpu.id] as SavedCpu);
    this.memory.restorePages(saved.pages);
    if (saved.slab.version !== this.slab.version) this.slab.restore(saved.slab);
    this.slabSaved = saved.slab;
    this.steps = saved.steps;
    this.now = saved.now;
    this.stopped = saved.stopped;
    this.debugLocks = saved.debugLocks;
    this.memoryErrorSeen = saved.memoryErrorSeen;
    this.twoOwnersSeen = saved.twoOwnersSeen;
    this.rcuSequence = saved.rcuSequence;
    this.rcuPending = saved.rcuPending;
    this.timersArmed = saved.timersArmed;
    this.queueStamp = saved.queueStamp;
    this.buffers?.forEach((buffer, cpu) => {
      buffer.restore(saved.buffers?.[cpu] ?? []);
    });
    this.findings.length = 0;
    this.beyondLoop = false;
    this.stale = true;
  }

  /** Of a task that was not there yet. */
  private forgetTask(context: Context): void {
    if (this.contextOf.get(context.task) === context) this.contextOf.delete(context.task);
  }

  private restoreContext(saved: SavedContext): void {
    const { context } = saved;
    if (context.place !== saved.place) this.load(context, this.kernelCode.places[saved.place] as Place);
    if (context.finished && !saved.finished && !context.softirq) this.contextOf.set(context.task, context);
    context.kind = saved.kind;
    context.value = saved.value;
    context.phase = saved.phase;
    context.scratch = saved.scratch;
    context.cpu = saved.cpu;
    context.preemptCount = saved.preemptCount;
    context.rcuDepth = saved.rcuDepth;
    context.rcuStart = saved.rcuStart;
    context.onRunqueue = saved.onRunqueue;
    context.queuedAt = saved.queuedAt;
    context.timerArmed = saved.timerArmed;
    context.timerExpires = saved.timerExpires;
    context.finished = saved.finished;
    context.switches = saved.switches;
    context.switchesTold = saved.switchesTold;
    context.preempted = saved.preempted;
    copyInto(context.heldLock, saved.heldLock);
    copyInto(context.heldField, saved.heldField);
  }

  // --- The state as a hash ------------------------------------------------------------------------------------------

  /** Hashes the state as it was at the last {@link save} or {@link mark}. `more` is whatever else tells states apart. */
  fingerprint(more: number): Hash64 {
    const hash = this.hash64.begin(more);
    const undo = this.undo as UndoLog;
    hash.word(undo.lo);
    hash.word(undo.hi);
    this.foldSlab(hash);
    const { mapped } = this.memory;
    for (let i = 0; i < mapped.length; i += 32) {
      let bits = 0;
      for (let j = 0; j < 32; j++) bits |= (mapped[i + j] as number) << j;
      hash.word(bits);
    }
    hash.word((this.twoOwnersSeen ? 4 : 0) | (this.debugLocks ? 2 : 0) | (this.memoryErrorSeen ? 1 : 0));
    hash.word(this.numbersTaken);
    this.gatherSequences();
    for (const context of this.contexts) {
      if (context.finished) hash.word(0x77);
      else this.foldContext(hash, context);
    }
    for (const cpu of this.cpus) this.foldCpu(hash, cpu);
    if (this.buffers !== null) for (const buffer of this.buffers) this.foldBuffer(hash, buffer);
    return hash.end();
  }

  /** What is on its way to memory, and whose it is, which a finding names. */
  private foldBuffer(hash: Hash64, buffer: StoreBuffer): void {
    hash.word(buffer.count);
    for (let i = 0; i < buffer.count; i++) {
      const { at, size, code, value, context, functions, depth } = buffer.entry(i);
      hash.word(at);
      hash.word(size * 256 + code);
      this.mixNumber(hash, value);
      hash.word(context?.index ?? -1);
      if (depth >= 0) hash.text(functionById(functions[depth] as number).name);
    }
  }

  /** Takes a number into a hash; a wild one as the eight bytes that it stands for. */
  private mixNumber(hash: Hash64, value: number): void {
    if (value < WILD) hash.number(value);
    else {
      const { low, high } = this.memory.wildWords(value);
      hash.word(high);
      hash.word(low);
    }
  }

  private foldContext(hash: Hash64, context: Context): void {
    const place = this.kernelCode.places[context.place] as Place;
    hash.word(place.lo);
    hash.word(place.hi);
    hash.word(
      context.phase |
        (context.cpu << 4) |
        (context.onRunqueue ? 0x100 : 0) |
        (context.timerArmed ? 0x200 : 0) |
        (context.rcuDepth << 12) |
        (context.preemptCount << 16),
    );
    this.mixNumber(hash, context.value);
    this.mixNumber(hash, context.phase === 0 ? 0 : context.scratch);
    // Nobody can tell how often a task was switched out but by two answers of wait_task_inactive.
    if (context.switchesTold) hash.word(context.switches);
    if (this.preemptRcu && context.rcuDepth > 0) hash.word(this.callbacksAfter(context.rcuStart));
    hash.word(context.heldLock.length);
    for (const lock of context.heldLock) this.mixNumber(hash, lock);
  }

  private foldCpu(hash: Hash64, cpu: Cpu): void {
    hash.word(cpu.current === null ? -1 : cpu.current.index);
    hash.word((cpu.irqOff ? 1 : 0) | (cpu.softirq !== null ? 2 : 0));
    if (cpu.softirq !== null) this.foldContext(hash, cpu.softirq);
    if (this.preemptRcu) hash.word(cpu.irqOff ? this.callbacksAfter(cpu.irqOffSince) : 0);
    else hash.word(this.callbacksAfter(cpu.quiescentAt));
    this.mixNumber(hash, cpu.rcuTail);
    for (const { head, sleeper, callee, sequence } of cpu.rcuQueue) {
      this.mixNumber(hash, head);
      if (sleeper === null) hash.text(functionById(callee).name);
      else hash.word(-2 - sleeper.index);
      hash.word(this.callbacksAfter(sequence));
    }
    hash.word(0x99);
  }

  /** Sequence numbers that something waits for, in any order. */
  private gatherSequences(): void {
    this.sequences.length = 0;
    for (const { rcuQueue } of this.cpus) for (const { sequence } of rcuQueue) this.sequences.push(sequence);
  }

  /** How many of them come after `sequence`: all that a number decides. */
  private callbacksAfter(sequence: number): number {
    let count = 0;
    for (const other of this.sequences) if (other > sequence) count++;
    return count;
  }

  private foldSlab(hash: Hash64): void {
    if (this.slabHashVersion !== this.slab.version) {
      const own = this.scratchHash.begin(0);
      this.slab.fold(
        (value) => this.mixNumber(own, value),
        (site) => this.siteHash(site),
      );
      own.end();
      this.slabLo = own.lo;
      this.slabHi = own.hi;
      this.slabHashVersion = this.slab.version;
    }
    hash.word(this.slabLo);
    hash.word(this.slabHi);
  }

  /** Of an allocation, what a leak is known by: the function that made it. */
  private siteHash(site: Site): number {
    let known = this.siteHashes.get(site);
    if (known === undefined) {
      const own = new Hash64().begin(1);
      own.text(site.backtrace[0] ?? "");
      known = own.end().lo | 2;
      this.siteHashes.set(site, known);
    }
    return known;
  }
}

function copyInto(array: number[], contents: readonly number[]): void {
  array.length = contents.length;
  for (let i = 0; i < contents.length; i++) array[i] = contents[i] as number;
}

const saveContext = (context: Context): SavedContext => ({
  context,
  place: context.place,
  kind: context.kind,
  value: context.value,
  phase: context.phase,
  scratch: context.scratch,
  cpu: context.cpu,
  preemptCount: context.preemptCount,
  rcuDepth: context.rcuDepth,
  rcuStart: context.rcuStart,
  onRunqueue: context.onRunqueue,
  queuedAt: context.queuedAt,
  timerArmed: context.timerArmed,
  timerExpires: context.timerExpires,
  finished: context.finished,
  switches: context.switches,
  switchesTold: context.switchesTold,
  preempted: context.preempted,
  heldLock: context.heldLock.length === 0 ? NO_LOCKS : context.heldLock.slice(),
  heldField: context.heldField.length === 0 ? NO_LOCKS : context.heldField.slice(),
});

const NO_CALLBACKS: readonly RcuCallback[] = [];

const saveCpu = (cpu: Cpu): SavedCpu => ({
  current: cpu.current,
  softirq: cpu.softirq,
  queued: cpu.queued,
  irqOff: cpu.irqOff,
  ipiPending: cpu.ipiPending,
  quiescentAt: cpu.quiescentAt,
  irqOffSince: cpu.irqOffSince,
  rcuQueue: cpu.rcuQueue.length === 0 ? NO_CALLBACKS : cpu.rcuQueue.slice(),
  rcuTail: cpu.rcuTail,
  clock: cpu.clock,
});

function restoreCpu(cpu: Cpu, saved: SavedCpu): void {
  cpu.current = saved.current;
  cpu.softirq = saved.softirq;
  cpu.queued = saved.queued;
  cpu.irqOff = saved.irqOff;
  cpu.ipiPending = saved.ipiPending;
  cpu.quiescentAt = saved.quiescentAt;
  cpu.irqOffSince = saved.irqOffSince;
  cpu.rcuQueue.length = 0;
  cpu.rcuQueue.push(...saved.rcuQueue);
  cpu.rcuTail = saved.rcuTail;
  cpu.clock = saved.clock;
}
