/**
 * The machine: memory, CPUs, locks, RCU, slabs and time, and the one place where anything changes.
 *
 * A run is a loop of three calls: {@link Machine.collect} lists the events that can happen now, a strategy picks one,
 * {@link Machine.apply} makes it happen. `apply` depends on nothing but the machine's state and the event, so the list
 * of events is the run.
 *
 * What each op means is in {@link Machine.perform}, one case each; locks are in `locks.ts`, slabs in `slab.ts`. Checks
 * sit beside what they watch and are told apart by the flags in {@link Machine.checks}; they never change a run.
 *
 * Abstractions: a tick can fall at any moment, so a preemption needs no reason, and a grace period is over as soon as
 * every CPU has passed a quiescent state; time is counted (for timers, jiffies and reports) but decides nothing here.
 * There are no hard interrupt handlers that touch memory.
 */
import {
  checkBalance,
  checkDereference,
  checkLocksFreed,
  checkSchedule,
  mightSleep,
  rcuFinding,
} from "./checks/context.ts";
import { DataRaces } from "./checks/dataRace.ts";
import { Lockdep } from "./checks/lockdep.ts";
import { badAccess, fault } from "./checks/memory.ts";
import { Context } from "./context.ts";
import { Cpu } from "./cpu.ts";
import {
  eventArgument,
  eventCpu,
  eventType,
  FLUSH,
  INTERRUPT,
  makeEvent,
  PREEMPT,
  SOFTIRQ,
  STEP,
  SWITCH,
  TIMER,
} from "./event.ts";
import type { CheckName, Finding, FindingDetails, FindingKind, Site, SlabReport } from "./finding.ts";
import { HistoryHash, type HistoryRow, type Note } from "./history.ts";
import { plain_task, thread_info } from "./kernelStructs.ts";
import { beginLock, lockReady, stepLock, stepUnlock } from "./locks.ts";
import { ARENA, Memory, PAGE_SIZE, SHADOW_OK, SOFTIRQ_STACKS } from "./memory.ts";
import {
  ADD,
  ALLOC,
  ASSIGN,
  ATOMIC,
  BARRIER,
  BUG,
  CALL,
  CALL_RCU,
  CHOOSE,
  COMPARE_EXCHANGE,
  COND_RESCHED,
  END,
  FORGET,
  FREE,
  functionById,
  functionByName,
  IRQ_DISABLE,
  IRQ_ENABLE,
  type KernelBody,
  type KernelFunction,
  KICK,
  LOAD,
  NOTE,
  PREEMPT_DISABLE,
  PREEMPT_ENABLE,
  type Ptr,
  RCU_DEREFERENCE,
  RCU_READ_LOCK,
  RCU_READ_UNLOCK,
  READ_LOCK,
  READ_UNLOCK,
  type Request,
  request,
  running,
  SCHEDULE,
  SET_TIMER,
  SPAWN,
  SPIN_LOCK,
  SPIN_UNLOCK,
  STORE,
  SYNCHRONIZE_RCU,
  UPDATE,
  UPDATE_MODE,
  USER,
  WAIT_INACTIVE,
  WAKE_UP,
  WARN,
  WRITE_LOCK,
  WRITE_UNLOCK,
  YIELD,
} from "./op.ts";
import type { Assertion, SpawnOptions, SpawnPayload } from "./primitives.ts";
import { updated } from "./readModifyWrite.ts";
import { bytesAt, endRecord, recordEvent } from "./recording.ts";
import { type Cache, type CacheOptions, Slab, type SlabHost } from "./slab.ts";
import {
  bufferStore,
  drain,
  drainForEvent,
  drainForOp,
  type MemoryModel,
  readThrough,
  StoreBuffer,
} from "./storeBuffer.ts";
import { type AnyStruct, type Config, type Field, fieldLabel, type Layout, layoutFor, POINTER } from "./struct.ts";
import { type KnownSymbols, Symbols, siteOf } from "./symbols.ts";

/** Everything a run depends on besides its schedule and its program. */
export interface MachineOptions {
  readonly config: Config;
  readonly cpus: number;
  readonly checks: ReadonlySet<CheckName>;
  /** `sc` (default): a store is seen by all at once. `tso`: each CPU has a store buffer, see `storeBuffer.ts`. */
  readonly memory?: MemoryModel;
  /** An experiment: the kernel functions whose `smp_mb` does nothing. It stays a step, so `sc` runs are the same. */
  readonly withoutBarrier?: ReadonlySet<string>;
  /** Steps before a run is cut off. */
  readonly stepsMax: number;
  readonly symbols?: Symbols;
  /** The `state` member of the program's task struct. */
  readonly stateField?: Field;
  /** Whether a task in `state` must not sleep because a signal is pending: `signal_pending_state`. */
  readonly signalPending?: (machine: Machine, task: Ptr, state: number) => boolean;
  /** Name of a task state in reports. */
  readonly stateName?: (state: number) => string;
}

/** How long each kind of op takes, in nanoseconds of virtual time; 5 where nothing is said. */
const COST = new Int32Array(64).fill(5);
COST[ATOMIC] = 20;
COST[BARRIER] = 20;
COST[SPIN_LOCK] = 25;
COST[SCHEDULE] = 1000;
COST[WAKE_UP] = 300;
COST[ALLOC] = 80;
COST[FREE] = 80;
COST[SPAWN] = 20000;

// When a step of an op changes which events are possible.
const ALWAYS = 0;
const NEVER = 1;
/** Only while some context waits for memory to change, and only if it may be that memory. */
const IF_WATCHED = 2;
const WHEN_DONE = 3;
/** Its first two steps: those that wait and take. */
const AT_FIRST = 4;
const CHANGES_EVENTS = new Uint8Array(64).fill(ALWAYS);
for (const kind of [LOAD, BARRIER, RCU_DEREFERENCE]) CHANGES_EVENTS[kind] = NEVER;
for (const kind of [STORE, ATOMIC, ALLOC, FREE]) CHANGES_EVENTS[kind] = IF_WATCHED;
for (const kind of [SPIN_UNLOCK, READ_UNLOCK, WRITE_UNLOCK, CALL_RCU]) CHANGES_EVENTS[kind] = WHEN_DONE;
for (const kind of [SPIN_LOCK, READ_LOCK, WRITE_LOCK]) CHANGES_EVENTS[kind] = AT_FIRST;
/** Kinds of op that change which events are possible by being what a context is about to do. */
const WAITS_FOR_EVENTS = new Uint8Array(64);
for (const kind of [CHOOSE, WAIT_INACTIVE, USER, COND_RESCHED]) WAITS_FOR_EVENTS[kind] = 1;

/** Nanoseconds per tick: HZ=1000. */
export const TICK = 1_000_000;
/** jiffies start at -300 seconds; the machine has been up for 242 when a run begins. */
const JIFFIES_AT_START = 0xffff1f00;
/** Bytes of a kernel stack, with `struct thread_info` at its bottom. */
export const STACK_SIZE = 512;
/** preempt_count of softirq context. */
const SOFTIRQ_OFFSET = 0x100;

/** What a task in user mode waits for: no other field names these bytes. */
const WORK_FLAGS = thread_info.fields.flags.id;

/** Phase of an op that gave up the CPU. */
const SWITCHED_OUT = 9;

// Task states that the machine itself sets.
const TASK_RUNNING = 0;
const TASK_UNINTERRUPTIBLE = 2;
const TASK_NORMAL = 3;
const TASK_ALL = 15;

let builtinSymbols: Symbols | undefined;
/** Symbols for programs that know of none; `known` names those a model does know. */
export const symbolsFor = (known?: KnownSymbols): Symbols => {
  if (known !== undefined) return new Symbols(known);
  builtinSymbols ??= new Symbols();
  return builtinSymbols;
};

/** What a machine needs of buffers: kept between runs, so that a hunt of many runs allocates them once. */
interface Workspace {
  readonly memory: Memory;
  readonly events: Int32Array;
  readonly schedule: Int32Array;
  readonly lockdep: Lockdep;
}
const workspaces: Workspace[] = [];
const makeWorkspace = (): Workspace => ({
  memory: new Memory(),
  events: new Int32Array(256),
  schedule: new Int32Array(4096),
  lockdep: new Lockdep(),
});

/**
 * `next` of every generator. Each generator function has a prototype of its own, so looking the method up on the
 * generator at hand would be a look-up of a different shape every time.
 */
const generatorNext = Object.getPrototypeOf(function* () {}).prototype.next as (
  this: unknown,
  value: unknown,
) => IteratorResult<Request, unknown>;

/** Where a context was at some step; its functions are named only when someone asks. */
class ContextSite implements Site {
  readonly comm: string;
  readonly pid: number;
  readonly cpu: number;
  private readonly functions: readonly number[];

  constructor(
    context: Context,
    readonly step: number,
  ) {
    this.comm = context.comm;
    this.pid = context.pid;
    this.cpu = context.cpu;
    this.functions = context.functions.slice(0, context.depth + 1);
  }

  get backtrace(): readonly string[] {
    return this.functions.map((id) => functionById(id).name).reverse();
  }
}

/** One machine, for one run. */
export class Machine implements SlabHost {
  readonly memory: Memory;
  readonly layout: Layout;
  readonly slab: Slab;
  readonly cpus: Cpu[] = [];
  /** Store buffers, by CPU; null under sequential consistency. */
  readonly buffers: readonly StoreBuffer[] | null;
  readonly contexts: Context[] = [];
  readonly findings: Finding[] = [];
  readonly hash = new HistoryHash();
  readonly symbols: Symbols;
  readonly config: Config;
  readonly checks: ReadonlySet<CheckName>;

  /** The program's global variables, as its kernel code reaches them. */
  globals: unknown = null;

  /** Steps taken. */
  steps = 0;
  /** Virtual nanoseconds since the run began. */
  now = 0;
  /** The events that can happen now; valid after {@link collect}, up to {@link eventCount}. */
  events: Int32Array;
  eventCount = 0;
  /** The run is over: an oops, or nothing left to do. */
  stopped = false;
  /** Lock debugging still on: it goes off with its first complaint, and with an oops. */
  debugLocks = true;
  /** An object with two owners has been reported. */
  protected twoOwnersSeen = false;
  /** The first memory error has been reported; later ones are its consequences. */
  memoryErrorSeen = false;

  /** The schedule of this run so far. */
  schedule: Int32Array;
  /** Rows of the history, when {@link record} was called. */
  history: HistoryRow[] | null = null;
  readonly notes: Note[] = [];
  /** Called for every note; for checks that follow what kernel code says of itself. */
  onNote: ((context: Context, subject: string, pointer: Ptr, value: number) => void) | null = null;

  readonly kasan: boolean;
  readonly spinlockCheck: boolean;
  readonly rcuCheck: boolean;
  readonly atomicSleepCheck: boolean;
  readonly lockdep: Lockdep | null;
  readonly races: DataRaces | null;
  private readonly ownLockdep: Lockdep;
  readonly preemptRcu: boolean;
  readonly debugSpinlock: boolean;
  readonly unmapFreedPages: boolean;
  private readonly preemptible: boolean;

  // Tables of the layout, at hand for the step loop.
  readonly offset: Int32Array;
  private readonly size: Int32Array;
  private readonly code: Int32Array;
  private readonly shift: Int32Array;
  private readonly mask: Int32Array;

  protected readonly stateField: number;
  protected readonly contextOf = new Map<Ptr, Context>();
  protected rcuSequence = 0;
  protected rcuPending = 0;
  protected timersArmed = 0;
  protected queueStamp = 0;
  /** {@link events} has to be collected anew. */
  protected stale = true;
  /** Something was done since {@link events} were collected for which a burst ends, whether or not it changed them. */
  private interrupted = false;
  /** A context waits for a lock or a task, so any store may change the events. */
  private memoryWatched = false;
  /** A task is in user mode, so a change of its work flags may. */
  private flagsWatched = false;
  protected booting = true;
  /** Who allocates before the first step. */
  readonly bootContext = new Context(-1, "swapper", 0, 0, 0, 0, false, false);
  protected staticNext: Ptr;
  protected staticEnd: Ptr;
  /** Numbers that {@link takeNumber} has given. */
  protected numbersTaken = 0;
  /** Objects that outlive the run on purpose. */
  readonly kept = new Set<Ptr>();
  private readonly objects = new Map<Ptr, unknown>();
  private readonly objectAddress = new Map<unknown, Ptr>();
  /** Result of the op that {@link perform} has just completed. */
  result: unknown = 0;

  constructor(readonly options: MachineOptions) {
    const { memory, events, schedule, lockdep } = workspaces.pop() ?? makeWorkspace();
    this.memory = memory;
    this.events = events;
    this.schedule = schedule;
    this.ownLockdep = lockdep;
    this.config = options.config;
    this.layout = layoutFor(options.config);
    this.offset = this.layout.offset;
    this.size = this.layout.size;
    this.code = this.layout.code;
    this.shift = this.layout.shift;
    this.mask = this.layout.mask;
    this.symbols = options.symbols ?? symbolsFor();
    this.checks = options.checks;
    this.kasan = options.checks.has("kasan");
    this.spinlockCheck = options.checks.has("spinlock");
    this.rcuCheck = options.checks.has("rcu");
    this.atomicSleepCheck = options.checks.has("atomic-sleep");
    this.lockdep = options.checks.has("lockdep") ? lockdep : null;
    this.preemptible = this.config.PREEMPT === true;
    this.preemptRcu = this.config.PREEMPT_RCU === true;
    this.debugSpinlock = this.config.DEBUG_SPINLOCK === true;
    this.unmapFreedPages = this.config.DEBUG_PAGEALLOC === true;
    this.stateField = (options.stateField ?? plain_task.fields.state).id;
    for (let i = 0; i < options.cpus; i++) this.cpus.push(new Cpu(i));
    this.buffers = options.memory === "tso" ? this.cpus.map(() => new StoreBuffer()) : null;
    this.races = options.checks.has("data-race") ? new DataRaces(this) : null;
    this.slab = new Slab(this);
    this.staticNext = this.memory.allocPage();
    this.staticEnd = this.staticNext + PAGE_SIZE;
  }

  /** Ends the use of this machine; its buffers go to the next one. */
  release(): void {
    this.memory.clear();
    this.ownLockdep.clear();
    const { memory, events, schedule, ownLockdep: lockdep } = this;
    workspaces.push({ memory, events, schedule, lockdep });
  }

  // --- Boot: setting up the world before the first step ---------------------------------------------------------

  /** Static kernel memory, zeroed. */
  allocStatic(bytes: number): Ptr {
    const size = (bytes + 15) & ~15;
    if (this.staticNext + size > this.staticEnd) {
      this.staticNext = this.memory.allocPage();
      this.staticEnd = this.staticNext + PAGE_SIZE;
      this.memory.fill(this.staticNext - ARENA, PAGE_SIZE, 0);
    }
    const address = this.staticNext;
    this.staticNext += size;
    this.memory.setShadow(address, size, SHADOW_OK);
    return address;
  }

  /** A zeroed static struct. */
  allocStaticStruct(declared: AnyStruct): Ptr {
    return this.allocStatic(this.layout.sizeOf(declared));
  }

  /** Address that stands for a JavaScript object in kernel memory: a table of function pointers, a module's data. */
  addressOf(object: object, bytes = 16): Ptr {
    let address = this.objectAddress.get(object);
    if (address === undefined) {
      address = this.allocStatic(bytes);
      this.objectAddress.set(object, address);
      this.objects.set(address, object);
    }
    return address;
  }

  /** The object at an address given by {@link addressOf}, or undefined. */
  objectOf(address: Ptr): unknown {
    return this.objects.get(address);
  }

  /** Reads a field without a step; for boot, hooks and reports. Never from kernel code. */
  peek(pointer: Ptr, field: Field): number {
    return this.loadRaw(pointer + (this.offset[field.id] as number) - ARENA, field.id);
  }

  /** Writes a field without a step, at boot. */
  poke(pointer: Ptr, field: Field, value: number): void {
    const id = field.id;
    this.storeRaw(pointer + (this.offset[id] as number) - ARENA, id, value);
  }

  /** Takes an object from a cache, at boot; from the slab of `cpu`. */
  allocAtBoot(cache: Cache, cpu = 0): Ptr {
    this.bootContext.cpu = cpu;
    const object = this.slab.alloc(cache);
    if (cache.options.typeStable === undefined) {
      this.memory.fill(object - ARENA, cache.size, 0);
    }
    return object;
  }

  /** Marks an object as one that outlives the run on purpose, so that it is no leak. */
  keep(object: Ptr): void {
    this.kept.add(object);
  }

  /**
   * Creates a task.
   *
   * @param task - Its task struct, 0 for one of the machine's own.
   * @returns the task struct.
   */
  spawn<A extends readonly unknown[]>(
    task: Ptr,
    options: SpawnOptions,
    main: KernelFunction<A, void>,
    ...args: A
  ): Ptr {
    return this.addTask(task, options, main.info.id, () => main.body(...args)).task;
  }

  /** Binds a task to a CPU, at boot: it runs nowhere else, as after `sched_setaffinity`. */
  bind(task: Ptr, cpu: number): void {
    const context = this.contextOf.get(task);
    if (context === undefined) throw new Error("[sim bug] no such task to bind");
    if (context.onRunqueue) {
      (this.cpus[context.cpu] as Cpu).queued--;
      (this.cpus[cpu] as Cpu).queued++;
    }
    context.cpu = cpu;
    context.boundTo = cpu;
    this.stale = true;
  }

  private addTask(
    task: Ptr,
    options: SpawnOptions,
    functionId: number,
    body: () => Generator<Request, unknown, unknown>,
  ): Context {
    const address = task !== 0 ? task : this.allocStaticStruct(plain_task);
    const stack = this.allocStatic(STACK_SIZE);
    const index = this.contexts.length;
    const pid = options.pid ?? index + 1;
    const daemon = options.daemon ?? false;
    const context = new Context(index, options.comm, pid, address, stack, stack + STACK_SIZE, daemon, false);
    this.poke(stack, thread_info.fields.task, address);
    this.contexts.push(context);
    this.contextOf.set(address, context);
    context.cpu = index % this.cpus.length;
    this.start(context, functionId, body, 0);
    if (!((options.sleeping ?? false) || context.finished)) this.enqueue(context);
    this.stale = true;
    return context;
  }

  /**
   * Starts the kernel code of a context, up to its first op.
   *
   * @param argument - What tells this start from others of the same function: the `rcu_head` of a callback, 0 for a task.
   */
  protected start(
    context: Context,
    functionId: number,
    makeFrame: () => Generator<Request, unknown, unknown>,
    _argument: Ptr,
  ): void {
    this.begin(context, functionId, makeFrame());
  }

  private begin(context: Context, functionId: number, frame: Generator<Request, unknown, unknown>): void {
    context.depth = 0;
    context.frames[0] = frame;
    context.functions[0] = functionId;
    const before = running.context;
    this.resume(context, undefined);
    running.context = before;
  }

  /** The context of a task struct; undefined once the machine no longer knows it. */
  taskContext(task: Ptr): Context | undefined {
    return this.contextOf.get(task);
  }

  /** Whether a task has a CPU just now: the kernel's `task_curr`. */
  isCurrent(task: Ptr): boolean {
    return this.cpus.some((cpu) => cpu.current?.task === task);
  }

  /** Where the kernel finds a task's `thread_info`. */
  threadInfo(task: Ptr): Ptr {
    return this.contextOf.get(task)?.threadInfo ?? 0;
  }

  /** The flags in a task's thread_info, as the processor sees them at a trap: no step of kernel code. */
  threadFlags(task: Ptr): number {
    return this.peek(this.contextOf.get(task)?.threadInfo ?? 0, thread_info.fields.flags);
  }

  /** A number that nobody else gets: 0, 1, 2 and so on. What a kernel has a bitmap for; no step. */
  takeNumber(): number {
    return this.numbersTaken++;
  }

  /**
   * `KMEM_CACHE(struct)`.
   *
   * @param typeStable - For a SLAB_DESTROY_BY_RCU cache: sets up an object of a new page.
   */
  createCache(declared: AnyStruct, options: Omit<CacheOptions, "debug"> = {}): Cache {
    const debug = this.config.SLUB_DEBUG === true;
    return this.slab.createCache(declared.name, this.layout.sizeOf(declared), { ...options, debug }, this.cpus.length);
  }

  /** Ends the boot: from here on everything is a step. */
  boot(): void {
    this.memory.setShadow(SOFTIRQ_STACKS, this.cpus.length * STACK_SIZE, SHADOW_OK);
    this.booting = false;
  }

  /** Keeps the history from now on. */
  record(): void {
    this.history = [];
  }

  // --- The events that can happen --------------------------------------------------------------------------------

  /** Lists the events that can happen now, in a fixed order. None means the run is over. */
  collect(): number {
    this.interrupted = false;
    if (!this.stale) return this.eventCount;
    this.stale = false;
    this.memoryWatched = false;
    this.flagsWatched = false;
    this.eventCount = 0;
    for (const cpu of this.cpus) {
      const softirq = cpu.softirq;
      if (softirq !== null) {
        if (this.ready(softirq, cpu)) this.push(makeEvent(STEP, cpu.id, 0));
        continue;
      }
      const task = cpu.current;
      const midInstruction = task !== null && task.kind === UPDATE && task.phase === 1;
      if (task !== null) {
        if (this.ready(task, cpu)) {
          if (task.kind === CHOOSE) for (let i = 0; i < task.value; i++) this.push(makeEvent(STEP, cpu.id, i));
          else this.push(makeEvent(STEP, cpu.id, 0));
        }
        if (midInstruction) continue;
        if (this.canPreempt(task, cpu) && cpu.queued > 0) this.push(makeEvent(PREEMPT, cpu.id, 0));
        if (task.kind === USER) {
          this.flagsWatched = true;
          if (this.hasUserWork(task)) this.push(makeEvent(INTERRUPT, cpu.id, 0));
        }
      } else this.collectSwitches(cpu);
      if (this.rcuPending > 0 && !cpu.irqOff && this.rcuReady(cpu)) this.push(makeEvent(SOFTIRQ, cpu.id, 0));
    }
    if (this.timersArmed > 0) {
      for (const context of this.contexts) {
        if (context.timerArmed && !(this.cpus[context.cpu] as Cpu).irqOff) {
          this.push(makeEvent(TIMER, context.cpu, context.index));
        }
      }
    }
    if (this.buffers !== null) {
      for (const cpu of this.cpus) {
        if ((this.buffers[cpu.id] as StoreBuffer).count > 0) this.push(makeEvent(FLUSH, cpu.id, 0));
      }
    }
    return this.eventCount;
  }

  /** What can happen next may be different from now on. */
  eventsChanged(): void {
    this.stale = true;
  }

  private push(event: number): void {
    if (this.eventCount === this.events.length) {
      const longer = new Int32Array(2 * this.events.length);
      longer.set(this.events);
      this.events = longer;
    }
    this.events[this.eventCount++] = event;
  }

  private ready(context: Context, cpu: Cpu): boolean {
    switch (context.kind) {
      case SPIN_LOCK:
      case READ_LOCK:
      case WRITE_LOCK:
        if (context.phase !== 1) return true;
        this.memoryWatched = true;
        return lockReady(this, context);
      case WAIT_INACTIVE:
        this.memoryWatched = true;
        return this.inactive(context, cpu);
      default:
        return true;
    }
  }

  private inactive(waiter: Context, cpu: Cpu): boolean {
    const target = this.contextOf.get(waiter.ptr);
    if (target === undefined || target.finished) return true;
    const onCpu = this.cpus.some((other) => other !== cpu && other.current === target);
    return !(onCpu || target.onRunqueue) || this.peekState(waiter.ptr) !== waiter.value;
  }

  private canPreempt(task: Context, cpu: Cpu): boolean {
    if (task.kind === USER) return true;
    if (task.preemptCount !== 0 || cpu.irqOff) return false;
    return this.preemptible || task.kind === COND_RESCHED || (task.kind === WAIT_INACTIVE && this.sleepsATick(task));
  }

  /** `wait_task_inactive` spins while its target runs, and sleeps for a tick at a time while it is queued. */
  private sleepsATick(waiter: Context): boolean {
    return this.contextOf.get(waiter.ptr)?.onRunqueue === true;
  }

  /** A CPU takes tasks of its own queue; when it has none it pulls from the others. */
  private collectSwitches(cpu: Cpu): void {
    const own = cpu.queued > 0;
    for (const context of this.contexts) {
      if (!context.onRunqueue) continue;
      if (context.cpu === cpu.id || (!own && context.boundTo < 0)) {
        this.push(makeEvent(SWITCH, cpu.id, context.index));
      }
    }
  }

  private hasUserWork(task: Context): boolean {
    return this.peek(task.threadInfo, thread_info.fields.flags) !== 0;
  }

  /** Whether a preempted reader or a busy CPU still holds back the CPU's first callback. */
  private rcuReady(cpu: Cpu): boolean {
    const callback = cpu.rcuQueue[0];
    if (callback === undefined) return false;
    if (this.preemptRcu) {
      for (const context of this.contexts) {
        if (context.rcuDepth > 0 && context.rcuStart < callback.sequence) return false;
      }
      for (const other of this.cpus) {
        if (other.irqOff && other.irqOffSince < callback.sequence) return false;
        const { softirq } = other;
        if (softirq !== null && softirq.rcuDepth > 0 && softirq.rcuStart < callback.sequence) return false;
      }
      return true;
    }
    for (const other of this.cpus) {
      const extended = other.softirq === null && (other.current === null || other.current.kind === USER);
      if (!extended && other.quiescentAt < callback.sequence) return false;
    }
    return true;
  }

  // --- Making one happen -----------------------------------------------------------------------------------------

  /** Makes `event` happen. It must be one of those that {@link collect} listed. */
  apply(event: number): void {
    if (this.steps >= this.schedule.length) {
      const longer = new Int32Array(this.schedule.length * 2);
      longer.set(this.schedule);
      this.schedule = longer;
    }
    this.schedule[this.steps] = event;
    const cpu = this.cpus[eventCpu(event)] as Cpu;
    if (eventType(event) === STEP) this.step(cpu, event);
    else {
      this.stale = true;
      this.hash.add(event, 0, 0);
      if (this.buffers !== null) drainForEvent(this, event, cpu);
      if (this.races !== null) this.races.event(event, cpu);
      if (this.history !== null && eventType(event) !== FLUSH) recordEvent(this, event, cpu);
      switch (eventType(event)) {
        case SWITCH:
          this.switchTo(cpu, this.contexts[eventArgument(event)] as Context);
          break;
        case PREEMPT:
          this.switchOut(cpu, true);
          break;
        case INTERRUPT:
          cpu.ipiPending = false;
          checkBalance(this, cpu.current as Context, "when returning to user space");
          this.leaveUserMode(cpu);
          this.resume(cpu.current as Context, 1);
          break;
        case SOFTIRQ:
          this.beginSoftirq(cpu);
          break;
        case TIMER:
          this.expireTimer(this.contexts[eventArgument(event)] as Context);
          break;
      }
    }
    this.steps++;
  }

  /**
   * Whether the step that was just applied can be followed by the next of the same CPU, with nothing else to choose.
   *
   * @param steadily - Goes on for as long as the events are the same. Else it ends with whatever might have changed
   *   them: that is what `random` calls a stretch, and its seeds are in reports that people keep.
   */
  canRepeat(event: number, steadily = false): boolean {
    if (this.stale || this.stopped || (this.interrupted && !steadily)) return false;
    return eventType(event) === STEP && this.steps < this.options.stepsMax;
  }

  private step(cpu: Cpu, event: number): void {
    const context = cpu.active() as Context;
    const kind = context.kind;
    const field = context.field;
    const phase = context.phase;
    const address = field >= 0 ? context.ptr + (this.offset[field] as number) : context.ptr;
    const before = this.history !== null ? bytesAt(this, address) : null;
    cpu.clock += COST[kind] as number;
    if (kind === USER) cpu.clock += context.value;
    if (cpu.clock > this.now) this.now = cpu.clock;
    running.context = context;
    if (this.buffers !== null) drainForOp(this, cpu, context);
    if (this.races !== null) this.races.before(cpu, context);
    const done = this.perform(cpu, context, event);
    const result = this.result;
    if (this.races !== null) this.races.after(cpu, context, kind, done, result);
    this.hash.add(event, address, typeof result === "number" ? result : 0);
    if (before !== null) endRecord(this, before, cpu, context, event, kind, phase, address, field);
    if (!this.stale) this.noteChange(CHANGES_EVENTS[kind] as number, phase, done, field);
    if (!done || this.stopped) return;
    context.phase = 0;
    this.resume(context, result);
    if (WAITS_FOR_EVENTS[context.kind] !== 0) this.stale = true;
  }

  /** Notes whether a step changed which events are possible. */
  private noteChange(when: number, phase: number, done: boolean, field: number): void {
    switch (when) {
      case NEVER:
        return;
      case IF_WATCHED:
        this.stale = this.memoryWatched || (this.flagsWatched && field === WORK_FLAGS);
        break;
      case WHEN_DONE:
        this.stale = done || this.memoryWatched;
        break;
      case AT_FIRST:
        this.stale = phase <= 1 || this.memoryWatched;
        break;
      default:
        this.stale = true;
    }
    if (this.flagsWatched) this.interrupted = true;
  }

  /** Runs kernel code until it asks for its next op, or ends. The step loop's own; also for measuring it alone. */
  resume(context: Context, result: unknown): void {
    running.context = context;
    if (running.globals !== this.globals || running.offset !== this.offset) this.takeRegisters();
    let value: unknown = result;
    for (;;) {
      const next = generatorNext.call(context.frames[context.depth], value);
      if (next.done === true) {
        value = next.value === undefined ? 0 : next.value;
        if (--context.depth < 0) {
          this.finish(context);
          return;
        }
        continue;
      }
      const kind = request.kind;
      if (kind === CALL) {
        const depth = ++context.depth;
        context.frames[depth] = request.payload as Generator<Request, unknown, unknown>;
        context.functions[depth] = request.value;
        value = undefined;
        continue;
      }
      if (kind === NOTE) {
        this.takeNote(context);
        value = 0;
        continue;
      }
      if (kind === FORGET) {
        value = 0;
        continue;
      }
      context.kind = kind;
      context.ptr = request.ptr;
      context.field = request.field;
      context.value = request.value;
      context.mode = request.mode;
      if (kind >= CALL_RCU || kind === ATOMIC) {
        context.extra = request.extra;
        context.payload = request.payload;
      }
      context.phase = 0;
      return;
    }
  }

  /** Kernel code of this machine runs from here on. */
  protected takeRegisters(): void {
    running.offset = this.offset;
    running.config = this.config;
    running.globals = this.globals;
  }

  private takeNote(context: Context): void {
    const subject = request.payload as string;
    if (this.onNote !== null) this.onNote(context, subject, request.ptr, request.value);
    if (this.history !== null) {
      this.notes.push({
        step: this.steps,
        task: context.comm,
        subject,
        pointer: request.ptr,
        value: request.value,
      });
    }
  }

  protected finish(context: Context): void {
    this.stale = true;
    context.finished = true;
    context.kind = 0;
    if (context.timerArmed) this.disarm(context);
    const cpu = this.cpus[context.cpu] as Cpu;
    checkBalance(this, context, context.softirq ? "at the end of a softirq" : "at task exit time");
    if (context.softirq) {
      cpu.softirq = null;
      return;
    }
    if (this.contextOf.get(context.task) === context) this.contextOf.delete(context.task);
    if (cpu.current === context) {
      cpu.current = null;
      cpu.quiescentAt = this.rcuSequence;
      cpu.irqOff = false;
    }
  }

  /**
   * What an op does. One case each; the hot ones first.
   *
   * @returns whether the op is complete, with its result in {@link result}; if not, its next step is `context.phase`.
   */
  private perform(cpu: Cpu, context: Context, event: number): boolean {
    switch (context.kind) {
      case LOAD:
      case RCU_DEREFERENCE: {
        const field = context.field;
        const at = context.ptr + (this.offset[field] as number) - ARENA;
        if (!this.accessible(context, at, field, false)) return false;
        if (context.kind === RCU_DEREFERENCE && this.rcuCheck) checkDereference(this, context);
        this.result = this.valueOf(this.read(cpu, at, this.size[field] as number, this.code[field] as number), field);
        return true;
      }
      case STORE: {
        const field = context.field;
        const at = context.ptr + (this.offset[field] as number) - ARENA;
        if (!this.accessible(context, at, field, true)) return false;
        this.write(cpu, context, at, this.size[field] as number, this.code[field] as number, context.value, field);
        this.result = 0;
        return true;
      }
      case UPDATE: {
        const field = context.field;
        const at = context.ptr + (this.offset[field] as number) - ARENA;
        const size = this.size[field] as number;
        const code = this.code[field] as number;
        if (!this.accessible(context, at, field, context.phase === 1)) return false;
        if (context.phase === 0) {
          context.scratch = this.read(cpu, at, size, code);
          context.phase = 1;
          this.result = context.scratch;
          return false;
        }
        const made = this.updated(context.scratch, field, context.mode & UPDATE_MODE, context.value);
        this.write(cpu, context, at, size, code, made, field);
        this.result = this.valueOf(made, field);
        return true;
      }
      case ATOMIC: {
        const field = context.field;
        const at = context.ptr + (this.offset[field] as number) - ARENA;
        if (!this.accessible(context, at, field, true)) return false;
        const raw = this.memory.load(at, this.size[field] as number, this.code[field] as number);
        const old = this.valueOf(raw, field);
        this.result = old;
        if (context.mode === COMPARE_EXCHANGE) {
          if (old === context.extra) this.storeRaw(at, field, context.value);
          return true;
        }
        const made = this.updated(raw, field, context.mode, context.value);
        this.memory.store(at, this.size[field] as number, this.code[field] as number, made);
        if (context.mode === ADD) this.result = this.valueOf(made, field);
        return true;
      }
      case BARRIER:
      case COND_RESCHED:
        this.result = 0;
        return true;
      case SPIN_LOCK:
      case READ_LOCK:
      case WRITE_LOCK:
        this.result = 0;
        if (context.phase === 0) return beginLock(this, cpu, context);
        return stepLock(this, cpu, context);
      case SPIN_UNLOCK:
      case READ_UNLOCK:
      case WRITE_UNLOCK:
        this.result = 0;
        return stepUnlock(this, cpu, context);
      case PREEMPT_DISABLE:
        context.preemptCount++;
        return this.complete(0);
      case PREEMPT_ENABLE:
        context.preemptCount--;
        return this.complete(0);
      case IRQ_DISABLE:
        this.setIrqs(cpu, true);
        return this.complete(0);
      case IRQ_ENABLE:
        this.setIrqs(cpu, false);
        return this.complete(0);
      case RCU_READ_LOCK:
        if (context.rcuDepth++ === 0) context.rcuStart = this.rcuSequence;
        if (!this.preemptRcu) context.preemptCount++;
        return this.complete(0);
      case RCU_READ_UNLOCK:
        if (context.rcuDepth === 0) {
          if (this.rcuCheck) rcuFinding(this, context, "bad unlock balance: rcu_read_unlock without rcu_read_lock");
          return this.complete(0);
        }
        context.rcuDepth--;
        if (!this.preemptRcu) context.preemptCount--;
        return this.complete(0);
      case CALL_RCU:
        return this.callRcu(cpu, context);
      case SYNCHRONIZE_RCU:
        if (context.phase === 0) {
          mightSleep(this, context, "kernel/rcupdate.c");
          if (context.softirq) return this.complete(0);
          cpu.rcuQueue.push({ head: 0, sleeper: context, sequence: ++this.rcuSequence, callee: -1 });
          this.rcuPending++;
          context.scratch = 0;
        } else if (context.scratch === 1) return this.complete(0);
        this.setState(context.task, TASK_UNINTERRUPTIBLE);
        return this.sleepOrYield(cpu, context);
      case SCHEDULE:
        checkSchedule(this, context, cpu);
        return this.sleepOrYield(cpu, context);
      case YIELD:
        checkSchedule(this, context, cpu);
        this.setState(context.task, TASK_RUNNING);
        return this.sleepOrYield(cpu, context);
      case WAKE_UP: {
        const at = context.ptr + (this.offset[this.stateField] as number) - ARENA;
        if (!this.accessible(context, at, this.stateField, true)) return false;
        return this.complete(this.wakeUp(cpu, context.ptr, context.value) ? 1 : 0);
      }
      case SET_TIMER: {
        if (context.timerArmed) this.timersArmed--;
        context.timerArmed = context.value > 0;
        if (context.timerArmed) this.timersArmed++;
        context.timerExpires = this.now + context.value * TICK;
        return this.complete(0);
      }
      case KICK: {
        const target = this.contextOf.get(context.ptr);
        for (const other of this.cpus) {
          if (other === cpu || target === undefined || other.current !== target) continue;
          this.drain(cpu);
          other.ipiPending = true;
        }
        return this.complete(0);
      }
      case USER:
        checkBalance(this, context, "when returning to user space");
        this.leaveUserMode(cpu);
        return this.complete(0);
      case WAIT_INACTIVE: {
        const target = this.contextOf.get(context.ptr);
        const same = target !== undefined && !target.finished && this.peekState(context.ptr) === context.value;
        if (same) target.switchesTold = true;
        return this.complete(same ? target.switches + 1 : 0);
      }
      case ALLOC:
        return this.allocate(context);
      case FREE:
        this.free(context);
        return this.complete(0);
      case SPAWN: {
        const { options, body } = context.payload as SpawnPayload;
        const before = running.context;
        const made = this.addTask(context.ptr, options, context.extra, body);
        running.context = before;
        return this.complete(made.task);
      }
      case END:
        this.finish(context);
        return false;
      case CHOOSE:
        return this.complete(eventArgument(event));
      case BUG: {
        const { expression, at } = context.payload as Assertion;
        this.finding("bug-on", `kernel BUG at ${at}!`, context, { type: "assertion", at, expression }, true);
        return false;
      }
      case WARN: {
        const { expression, at } = context.payload as Assertion;
        this.finding("warn-on", `WARNING: at ${at}`, context, { type: "assertion", at, expression }, false);
        return this.complete(0);
      }
      default:
        throw new Error(`[sim bug] no such op: ${context.kind}`);
    }
  }

  /** Completes the op being performed. */
  complete(result: number): boolean {
    this.result = result;
    return true;
  }

  /** What kernel code on `cpu` reads. `at` is an offset into the arena. */
  read(cpu: Cpu, at: number, size: number, code: number): number {
    return this.buffers === null ? this.memory.load(at, size, code) : readThrough(this, cpu, at, size, code);
  }

  /** A plain store of kernel code on `cpu`; `field` names it in the history. */
  write(cpu: Cpu, context: Context, at: number, size: number, code: number, value: number, field: number): void {
    if (this.buffers === null) this.memory.store(at, size, code, value);
    else bufferStore(this, cpu, context, at, size, code, value, field);
  }

  /** A locked operation: everything that `cpu` has stored so far reaches memory first. */
  drain(cpu: Cpu): void {
    if (this.buffers !== null) drain(this, cpu);
  }

  /** What memory holds of a field after a change: for a bit-field, all of its byte; else wrapped as its type wraps. */
  private updated(old: number, field: number, mode: number, value: number): number {
    const size = this.size[field] as number;
    const code = this.code[field] as number;
    const shift = this.shift[field] as number;
    return updated(this.memory, old, size, code, shift, this.mask[field] as number, mode, value);
  }

  /** The field in what memory holds of it. */
  private valueOf(raw: number, field: number): number {
    const mask = this.mask[field] as number;
    return mask === 0 ? raw : (raw >> (this.shift[field] as number)) & mask;
  }

  private loadRaw(at: number, field: number): number {
    return this.valueOf(this.memory.load(at, this.size[field] as number, this.code[field] as number), field);
  }

  private storeRaw(at: number, field: number, value: number): void {
    const mask = this.mask[field] as number;
    const size = this.size[field] as number;
    const code = this.code[field] as number;
    const made = mask === 0 ? value : this.updated(this.memory.load(at, size, code), field, ASSIGN, value);
    this.memory.store(at, size, code, made);
  }

  // --- Memory access ----------------------------------------------------------------------------------------------

  /**
   * Whether an access goes through. It does unless it faults; touching freed memory is reported and goes through.
   *
   * @param at - Offset into the arena.
   */
  accessible(context: Context, at: number, field: number, write: boolean): boolean {
    if (at >= 0 && at < this.memory.size && this.memory.shadow[at >> 3] === SHADOW_OK) return true;
    return badAccess(this, context, at, this.size[field] as number, write);
  }

  /** As {@link accessible}, for an access that no field describes. */
  accessibleBytes(context: Context, address: Ptr, size: number, write: boolean): boolean {
    const at = address - ARENA;
    if (at >= 0 && at < this.memory.size && this.memory.shadow[at >> 3] === SHADOW_OK) return true;
    return badAccess(this, context, at, size, write);
  }

  /** Whether the kernel's own code can read the word at `address`; it dies of it if not. */
  private readable(context: Context, address: Ptr): boolean {
    const at = address - ARENA;
    if (at >= 0 && at < this.memory.size && this.memory.mapped[at >> 12] === 1) return true;
    fault(this, context, address, false);
    return false;
  }

  // --- Scheduling -------------------------------------------------------------------------------------------------

  /** Offset of a task's state into the arena. */
  stateAt(task: Ptr): number {
    return task + (this.offset[this.stateField] as number) - ARENA;
  }

  /** A task's state, without a step. */
  peekState(task: Ptr): number {
    return this.loadRaw(this.stateAt(task), this.stateField);
  }

  private setState(task: Ptr, state: number): void {
    this.storeRaw(this.stateAt(task), this.stateField, state);
  }

  private enqueue(context: Context): void {
    context.onRunqueue = true;
    (this.cpus[context.cpu] as Cpu).queued++;
    context.queuedAt = this.queueStamp++;
    this.stale = true;
  }

  private switchTo(cpu: Cpu, context: Context): void {
    context.onRunqueue = false;
    (this.cpus[context.cpu] as Cpu).queued--;
    context.cpu = cpu.id;
    context.preempted = false;
    cpu.current = context;
    cpu.clock = Math.max(cpu.clock, this.now);
    cpu.quiescentAt = this.rcuSequence;
    if (context.kind === USER) cpu.ipiPending = false;
    if (context.phase === SWITCHED_OUT && this.sleptEnough(context)) this.resume(context, 0);
  }

  private switchOut(cpu: Cpu, preempted: boolean): void {
    const context = cpu.current as Context;
    context.switches++;
    context.preempted = preempted;
    cpu.current = null;
    cpu.quiescentAt = this.rcuSequence;
    this.enqueue(context);
  }

  /** The CPU leaves user mode: whatever it was, a tick may have seen it there. */
  private leaveUserMode(cpu: Cpu): void {
    cpu.quiescentAt = this.rcuSequence;
  }

  /**
   * A call of `schedule()`: off the run queue if the state says so and no signal forbids it. Interrupts are on when it
   * is over, whatever they were. The op is complete when the task gets a CPU again, see {@link switchTo}.
   */
  private sleepOrYield(cpu: Cpu, context: Context): boolean {
    this.result = 0;
    // A softirq that calls schedule() has been reported; it cannot give away the CPU of the task below it.
    if (context.softirq) return true;
    const state = this.peekState(context.task);
    context.phase = SWITCHED_OUT;
    this.setIrqs(cpu, false);
    cpu.quiescentAt = this.rcuSequence;
    context.switches++;
    cpu.current = null;
    if (state !== TASK_RUNNING && this.options.signalPending?.(this, context.task, state) === true) {
      this.setState(context.task, TASK_RUNNING);
      this.enqueue(context);
    } else if (state === TASK_RUNNING) this.enqueue(context);
    return false;
  }

  /** Whether a switched-out op has nothing more to wait for: a sleeper of synchronize_rcu has its grace period. */
  private sleptEnough(context: Context): boolean {
    return context.kind !== SYNCHRONIZE_RCU || context.scratch === 1;
  }

  /** `try_to_wake_up`. Mask 0 is `wake_up_new_task`: it queues a task that never ran. */
  private wakeUp(cpu: Cpu, task: Ptr, mask: number): boolean {
    const state = this.peekState(task);
    const context = this.contextOf.get(task);
    if (this.races !== null && context !== undefined) this.races.wake(cpu, context);
    if (mask !== 0) {
      if ((state & mask) === 0) return false;
      this.setState(task, TASK_RUNNING);
    }
    if (context === undefined || context.finished) return true;
    const onCpu = this.cpus.some((cpu) => cpu.current === context);
    if (!(onCpu || context.onRunqueue)) this.enqueue(context);
    return true;
  }

  private expireTimer(context: Context): void {
    this.disarm(context);
    this.now = Math.max(this.now, context.timerExpires);
    this.wakeUp(this.cpus[context.cpu] as Cpu, context.task, TASK_ALL);
  }

  private disarm(context: Context): void {
    context.timerArmed = false;
    this.timersArmed--;
  }

  // --- RCU --------------------------------------------------------------------------------------------------------

  /** Turns a CPU's interrupts off or on. */
  setIrqs(cpu: Cpu, off: boolean): void {
    if (off && !cpu.irqOff) cpu.irqOffSince = this.rcuSequence;
    cpu.irqOff = off;
  }

  /** Three stores: the function, a NULL link, then the link from the callback queued before it on this CPU. */
  private callRcu(cpu: Cpu, context: Context): boolean {
    const head = context.ptr + (this.offset[context.field] as number);
    const at = context.phase === 0 ? head + 8 : context.phase === 1 ? head : cpu.rcuTail;
    if (at !== 0 && !this.accessibleBytes(context, at, 8, true)) return false;
    this.result = 0;
    if (context.phase === 0) {
      const func = this.symbols.base(functionById(context.value).name);
      this.write(cpu, context, at - ARENA, 8, POINTER, func, context.field);
      context.phase = 1;
      return false;
    }
    if (context.phase === 1) {
      this.write(cpu, context, at - ARENA, 8, POINTER, 0, context.field);
      context.phase = 2;
      return false;
    }
    if (at !== 0) this.write(cpu, context, at - ARENA, 8, POINTER, head, context.field);
    cpu.rcuTail = head;
    cpu.rcuQueue.push({ head, sleeper: null, sequence: ++this.rcuSequence, callee: context.value });
    this.rcuPending++;
    return true;
  }

  private beginSoftirq(cpu: Cpu): void {
    const callback = cpu.rcuQueue.shift();
    if (callback === undefined) throw new Error("[sim bug] RCU softirq without a callback");
    this.rcuPending--;
    if (cpu.rcuQueue.every((other) => other.head === 0)) cpu.rcuTail = 0;
    if (callback.sleeper !== null) {
      callback.sleeper.scratch = 1;
      this.wakeUp(cpu, callback.sleeper.task, TASK_NORMAL);
      return;
    }
    const over = cpu.current;
    const context = new Context(
      1000 + cpu.id,
      over?.comm ?? "swapper",
      over?.pid ?? 0,
      over?.task ?? 0,
      over?.threadInfo ?? 0,
      SOFTIRQ_STACKS + (cpu.id + 1) * STACK_SIZE,
      false,
      true,
    );
    context.cpu = cpu.id;
    context.preemptCount = SOFTIRQ_OFFSET;
    cpu.softirq = context;
    // A freed rcu_head is no finding here: the callback runs and frees the object again, which says more.
    if (!this.readable(context, callback.head + 8)) return;
    const address = this.memory.load(callback.head + 8 - ARENA, 8, POINTER);
    const name = this.symbols.at(address);
    // Two functions can have one name; the one that was queued is meant, unless its pointer has been overwritten.
    const queued = functionById(callback.callee);
    const callee = queued.name === name ? queued : functionByName(name ?? "");
    if (callee === undefined) {
      fault(this, context, address, false);
      return;
    }
    const body = callee.body as KernelBody<[Ptr], void>;
    this.start(context, callee.id, () => body(callback.head), callback.head);
  }

  // --- Slab -------------------------------------------------------------------------------------------------------

  private allocate(context: Context): boolean {
    if (context.phase === 1) {
      const cache = context.payload as Cache;
      const object = context.scratch;
      this.memory.fill(object - ARENA, cache.size, 0);
      return this.complete(object);
    }
    mightSleep(this, context, "mm/slub.c");
    const object = this.slab.alloc(context.payload as Cache);
    this.result = object;
    if (this.stopped) return false;
    if (context.value === 0 || object === 0) return true;
    context.scratch = object;
    context.phase = 1;
    return false;
  }

  private free(context: Context): void {
    const cache = context.payload as Cache;
    const address = context.ptr;
    if (this.spinlockCheck && this.debugLocks && context.heldLock.length > 0) {
      checkLocksFreed(this, context, address, cache.size);
    }
    if (this.kasan && !this.memoryErrorSeen && !this.slab.isLiveObject(cache, address)) {
      const object = this.slab.objectAt(address);
      const twice = object !== null && object.freed !== null && object.address === address;
      this.memoryErrorSeen = true;
      const kind: FindingKind = twice ? "double-free" : "invalid-free";
      this.finding(
        kind,
        `BUG: KASAN: ${kind} in ${this.functionOf(context)}`,
        context,
        { type: "free", address, object },
        false,
      );
    }
    this.slab.free(cache, address);
  }

  private acting(): Context {
    return this.booting ? this.bootContext : running.context;
  }

  cpuId(): number {
    return this.acting().cpu;
  }
  pid(): number {
    return this.acting().pid;
  }
  jiffies(): number {
    return JIFFIES_AT_START + Math.floor(this.now / TICK);
  }
  caller(): number {
    const context = this.acting();
    const name = context.depth < 0 ? "boot" : functionById(context.functions[context.depth] as number).name;
    return this.symbols.site(name, siteOf(context.kind, -1));
  }
  slabReadable(address: Ptr): boolean {
    return this.readable(this.acting(), address);
  }
  slabFinding(report: SlabReport): void {
    const title = `BUG ${report.cache}: ${report.title}`;
    this.finding("slab-corruption", title, this.acting(), { type: "slab", slab: report }, false);
  }
  /** What comes of a double free where nobody notices it: reported besides the free, as it is what one sees of it. */
  slabHandedOutTwice(cache: string, address: Ptr, allocated: Site): void {
    if (!this.kasan || this.twoOwnersSeen) return;
    this.twoOwnersSeen = true;
    const context = this.acting();
    const first = `allocated in ${allocated.backtrace[0]} by ${allocated.comm}/${allocated.pid} at step ${allocated.step}`;
    const message = `object 0x${this.memory.hex(address)} of ${cache} is handed out again while in use: ${first}`;
    const title = `BUG: KASAN: object of ${cache} handed out twice in ${this.functionOf(context)}`;
    this.finding("slab-corruption", title, context, { type: "message", message }, false);
  }

  /**
   * Reports a finding of the step being taken.
   *
   * @param by - Who is to blame, when that is not whoever takes the step.
   */
  finding(
    kind: FindingKind,
    title: string,
    context: Context,
    details: FindingDetails,
    fatal: boolean,
    by?: Site,
  ): void {
    const field = by === undefined ? context.field : -1;
    this.findings.push({
      kind,
      title,
      function: by?.backtrace[0] ?? this.functionOf(context),
      task: by?.comm ?? context.comm,
      pid: by?.pid ?? context.pid,
      cpu: by?.cpu ?? context.cpu,
      step: this.steps,
      time: this.now,
      backtrace: this.frames(by?.backtrace ?? this.functionNames(context), siteOf(context.kind, field)),
      access: field >= 0 ? fieldLabel(field) : "",
      taskAddress: context.task,
      interruptsOff: (this.cpus[context.cpu] as Cpu).irqOff,
      pointer: context.ptr,
      fatal,
      details,
    });
    if (fatal) {
      this.stopped = true;
      this.debugLocks = false;
    }
  }

  /** The kernel function a context is in. */
  functionOf(context: Context): string {
    if (context.depth < 0) return context.softirq ? "rcu_process_callbacks" : "";
    return functionById(context.functions[context.depth] as number).name;
  }

  /** Each function with the address in it, innermost first; `site` is what the innermost was doing. */
  frames(names: readonly string[], site: string): { name: string; address: string }[] {
    return names.map((name, i) => {
      const callee = i === 0 ? site : (names[i - 1] as string);
      return { name, address: this.symbols.describe(this.symbols.site(name, callee)) };
    });
  }

  /** The kernel functions a context is in, innermost first. */
  functionNames(context: Context): string[] {
    const names: string[] = [];
    for (let i = context.depth; i >= 0; i--) names.push(functionById(context.functions[i] as number).name);
    return names;
  }

  /** Where a context is now. */
  siteOfContext(context: Context): Site {
    return new ContextSite(context, this.booting ? -1 : this.steps);
  }

  /** Who is doing what now; for slab tracks. */
  site(): Site {
    return this.siteOfContext(this.acting());
  }
}
