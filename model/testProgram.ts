/**
 * Programs over the model, and a stage to play them on by hand: what the tests of `model` are written with.
 *
 *     const play = new Play();
 *     const target = play.process("target", userLoop);
 *     play.run("target", inUserMode);
 *     const engine = play.call(() => utrace_attach_task(target, UTRACE_ATTACH_CREATE, play.ops({}), 0));
 *
 * On the stage nothing happens by itself: a task runs only while {@link Play.run} or {@link Play.call} lets it, every
 * task has a CPU of its own, and timers and RCU callbacks wait until they are asked for.
 */
import { endOfWorld } from "../sim/checks/end.ts";
import type { Context } from "../sim/context.ts";
import {
  eventArgument,
  eventType,
  FLUSH,
  INTERRUPT,
  makeEvent,
  PREEMPT,
  SOFTIRQ,
  STEP,
  SWITCH,
  TIMER,
} from "../sim/event.ts";
import {
  CHECK_NAMES,
  type CheckName,
  type Config,
  type Field,
  kernel,
  Machine,
  type MemoryModel,
  type Program,
  type Ptr,
  smp_mb,
} from "../sim/index.ts";
import { thread_info } from "../sim/kernelStructs.ts";
import { CHOOSE, functionById, type Kernel, type KernelFunction, type Request, USER } from "../sim/op.ts";
import { BootedKernel, kernelMachineOptions } from "./boot.ts";
import { syscall, user_mode } from "./linux/entry.ts";
import { TIF_NOTIFY_RESUME, TIF_SIGPENDING } from "./linux/sched.ts";
import { SIGNAL, TASK } from "./linux/structs.ts";
import { observeSpec } from "./spec/observer.ts";
import { utrace_attach_task } from "./utrace/attach.ts";
import { utrace_control, utrace_set_events } from "./utrace/control.ts";
import { type CallbackName, placeOps, type utrace_engine_ops } from "./utrace/engine.ts";
import {
  ENGINE_STOP,
  UTRACE_ATTACH_CREATE,
  UTRACE_EVENT,
  UTRACE_INTERRUPT,
  UTRACE_RESUME,
  UTRACE_STOP,
} from "./utrace/events.ts";
import type { Patch } from "./utrace/globals.ts";
import { configUnder, type Lifetime } from "./utrace/lifetime.ts";
import { pointer } from "./utrace/lifetimes/pointer.ts";
import { ENGINE, UTRACE } from "./utrace/structs.ts";

export interface ModelOptions {
  readonly config?: Config;
  readonly cpus?: number;
  readonly checks?: readonly CheckName[];
  readonly stepsMax?: number;
  readonly patches?: readonly Patch[];
  /** Default: as posted. */
  readonly lifetime?: Lifetime;
  readonly memory?: MemoryModel;
  /** Kernel functions whose `smp_mb` does nothing. */
  readonly withoutBarrier?: readonly string[];
}

/** A program over the kernel as posted, with every check and the config of the thread's first crash unless told otherwise. */
export const modelProgram = (populate: (booted: BootedKernel) => void, options: ModelOptions = {}): Program => {
  const checks = options.checks ?? CHECK_NAMES;
  const lifetime = options.lifetime ?? pointer;
  return {
    name: "model",
    options: {
      config: configUnder(lifetime, {
        PREEMPT: true,
        DEBUG_SPINLOCK: true,
        LOCKDEP: true,
        DEBUG_PAGEALLOC: true,
        UTRACE_DEBUG: true,
        ...options.config,
      }),
      cpus: options.cpus ?? 2,
      memory: options.memory ?? "sc",
      withoutBarrier: new Set(options.withoutBarrier ?? []),
      checks: new Set(checks),
      stepsMax: options.stepsMax ?? 20_000,
      ...kernelMachineOptions(),
    },
    setup(machine) {
      if (checks.includes("spec")) observeSpec(machine);
      populate(new BootedKernel(machine, { lifetime, patches: options.patches ?? [] }));
    },
  };
};

/** Kernel code without a name of its own. */
type Script<R> = () => Generator<Request, R, unknown> | Kernel<R>;

/** A kernel function of this name. */
export const named = <A extends readonly unknown[], R>(
  name: string,
  body: (...args: A) => Generator<Request, R, unknown>,
): KernelFunction<A, R> => kernel(Object.defineProperty(body, "name", { value: name }));

/** Runs in user mode for ever. */
export const userLoop = kernel(function* user_loop() {
  for (;;) yield* user_mode(1000);
});

/** A task is about to run in user mode, or does. */
export const inUserMode = (context: Context): boolean => context.kind === USER;

/** The task is inside this kernel function. */
export const within =
  (name: string) =>
  (context: Context): boolean =>
    functionNames(context).includes(name);

/** The task is about to take the first step of an op of this kind, on this field, in this function. */
export const at =
  (kind: number, field?: Field, name?: string) =>
  (context: Context): boolean =>
    context.kind === kind &&
    context.phase === 0 &&
    (field === undefined || context.field === field.id) &&
    (name === undefined || functionNames(context)[0] === name);

/** Functions of a task's call stack, innermost first. */
export const functionNames = (context: Context): string[] =>
  context.functions
    .slice(0, context.depth + 1)
    .map((id) => functionById(id).name)
    .reverse();

/** What a tracer can see, or would like to see, of its target. */
export interface Look {
  readonly state: number;
  /** On a CPU or waiting for one. */
  readonly runs: boolean;
  readonly tif: number;
  /** Bits of struct utrace that are set; null without one. */
  readonly utrace: readonly string[] | null;
}

/** A booted kernel, played on step by step. */
export class Play {
  readonly machine: Machine;
  readonly booted: BootedKernel;
  private nextPid = 100;
  private begun = false;

  constructor(options: ModelOptions = {}) {
    let booted: BootedKernel | undefined;
    const program = modelProgram(
      (made) => {
        booted = made;
      },
      { cpus: 8, ...options },
    );
    this.machine = new Machine(program.options);
    program.setup(this.machine);
    this.booted = booted as unknown as BootedKernel;
  }

  /** A child of init whose structs must be freed in the end; it runs when told. */
  process(comm: string, main: KernelFunction<[], void>): Ptr {
    return this.booted.process({ comm, pid: this.nextPid++, subject: true }, main);
  }

  /** A task of the scenery; it runs when told. */
  start<R>(comm: string, script: Script<R>): { result?: R } {
    const made: { result?: R } = {};
    const main = named(comm, function* () {
      made.result = yield* script();
    });
    this.booted.process({ comm, pid: this.nextPid++ }, main);
    return made;
  }

  /** What one piece of kernel code gives, run from beginning to end by a task of its own while all others wait. */
  call<R>(script: Script<R>): R {
    const comm = `caller${this.nextPid}`;
    const made = this.start(comm, script);
    this.run(comm);
    if (!this.context(comm).finished) throw new Error(`a call does not end: ${this.where(comm)}`);
    return made.result as R;
  }

  /**
   * Runs one task, up to where `until` holds between two of its steps; without it, as long as it can go on.
   *
   * @throws Error if `until` never holds.
   */
  run(comm: string, until?: (context: Context) => boolean): this {
    const there = this.runsTo(comm, until);
    if (until !== undefined && !there && !this.machine.stopped) {
      throw new Error(`${comm} never gets there: ${this.where(comm)}`);
    }
    return this;
  }

  /** As {@link run}, and whether `until` came to hold: else the task sleeps, has ended, or goes on for ever. */
  runsTo(comm: string, until?: (context: Context) => boolean): boolean {
    const context = this.context(comm);
    for (let steps = 0; steps < 20_000 && !this.machine.stopped; steps++) {
      if (!context.finished && this.running(context) && until?.(context) === true) return true;
      const event = this.nextEventOf(context);
      if (event === undefined) return false;
      this.happen(event);
    }
    return false;
  }

  /** Takes one step of a task. */
  step(comm: string): this {
    const event = this.nextEventOf(this.context(comm));
    if (event === undefined) throw new Error(`no step: ${this.where(comm)}`);
    this.happen(event);
    return this;
  }

  /** A task loses its CPU to another that waits for it. */
  preempt(comm: string): this {
    const cpu = this.machine.cpus.find(({ current }) => current === this.context(comm));
    if (cpu === undefined) throw new Error(`not on a CPU: ${this.where(comm)}`);
    // Tasks are dealt out to the CPUs in turn.
    for (let i = this.machine.cpus.length; cpu.queued === 0 && i > 0; i--) this.start("rival", smp_mb);
    return this.apply((event) => event === makeEvent(PREEMPT, cpu.id, 0));
  }

  /** Under TSO: whatever the CPUs have stored reaches memory. */
  flush(): this {
    for (;;) {
      const event = this.events().find((e) => eventType(e) === FLUSH);
      if (event === undefined) return this;
      this.happen(event);
    }
  }

  /** A task's sleep timer expires. */
  tick(comm: string): this {
    const { index } = this.context(comm);
    return this.apply((event) => eventType(event) === TIMER && eventArgument(event) === index);
  }

  /** Runs the RCU callbacks whose grace period is over. */
  rcu(): this {
    for (let steps = 0; steps < 20_000; steps++) {
      const cpu = this.machine.cpus.find(({ softirq }) => softirq !== null);
      const event =
        cpu !== undefined ? makeEvent(STEP, cpu.id, 0) : this.events().find((e) => eventType(e) === SOFTIRQ);
      if (event === undefined || !this.events().includes(event)) return this;
      this.happen(event);
    }
    throw new Error("RCU callbacks without end");
  }

  /** Lets everything happen that can, in a fixed order, and looks for what is stuck or was never freed. */
  toEnd(): this {
    const { machine } = this;
    for (let steps = 0; !machine.stopped && machine.collect() > 0; steps++) {
      if (steps > 100_000) throw new Error("the world does not end");
      this.happen(machine.events[0] as number);
    }
    if (!machine.stopped) endOfWorld(machine);
    return this;
  }

  /** Places a table of callbacks in kernel memory. */
  ops(ops: utrace_engine_ops): Ptr {
    return placeOps(this.machine, ops);
  }

  peek(pointer: Ptr, field: Field): number {
    return this.machine.peek(pointer, field);
  }
  poke(pointer: Ptr, field: Field, value: number): void {
    this.machine.poke(pointer, field, value);
  }

  /** Thread flags of a task. */
  tif(task: Ptr): number {
    return this.peek(this.machine.threadInfo(task), thread_info.fields.flags);
  }

  /** The struct utrace of a task, wherever it is; 0 if it has none. */
  utraceOf(task: Ptr): Ptr {
    const { present, offset } = this.machine.layout;
    const embedded = present[TASK.utrace.attached.id] === 1;
    return embedded ? task + (offset[TASK.utrace.id] as number) : this.peek(task, TASK.utrace);
  }

  look(task: Ptr): Look {
    const context = this.machine.taskContext(task);
    const utrace = this.utraceOf(task);
    const bits = ["stopped", "report", "interrupt", "signal_handler", "death", "reap"] as const;
    return {
      state: this.peek(task, TASK.state),
      runs: context !== undefined && !context.finished && (context.onRunqueue || this.running(context)),
      tif: this.tif(task),
      utrace: utrace === 0 ? null : bits.filter((bit) => this.peek(utrace, UTRACE[bit]) !== 0),
    };
  }

  /** Whether an engine keeps its target stopped. */
  wantsStop(engine: Ptr): boolean {
    return (this.peek(engine, ENGINE.flags) & ENGINE_STOP) !== 0;
  }

  /** Signals pending for a thread alone, and for its process: sets of bits. */
  pending(task: Ptr): { own: number; shared: number } {
    const signal = this.peek(task, TASK.signal);
    return {
      own: this.peek(task, TASK.pending.signal),
      shared: signal === 0 ? 0 : this.peek(signal, SIGNAL.shared_pending.signal),
    };
  }

  /** Kinds and titles of what the checks have found. */
  findings(): string[] {
    return this.machine.findings.map(({ kind, title }) => `${kind}: ${title}`);
  }

  /** The newest task of this name. */
  context(comm: string): Context {
    const found = this.machine.contexts.findLast((context) => context.comm === comm);
    if (found === undefined) throw new Error(`no task ${comm}`);
    return found;
  }

  private where(comm: string): string {
    const context = this.context(comm);
    const how = this.running(context) ? "stands" : context.onRunqueue ? "waits for a CPU" : "sleeps";
    return context.finished ? `${comm} has ended` : `${comm} ${how} in ${functionNames(context).join(" < ")}`;
  }

  private running(context: Context): boolean {
    return this.machine.cpus.some((cpu) => cpu.current === context);
  }

  private events(): number[] {
    const count = this.machine.collect();
    return Array.from(this.machine.events.subarray(0, count));
  }

  private nextEventOf(context: Context): number | undefined {
    const events = this.events();
    const cpu = this.machine.cpus.find(({ current }) => current === context);
    if (cpu === undefined) return events.find((e) => eventType(e) === SWITCH && eventArgument(e) === context.index);
    const interrupt = makeEvent(INTERRUPT, cpu.id, 0);
    // Flags that are no work on the way back to user mode interrupt nothing.
    const work = (this.tif(context.task) & (TIF_SIGPENDING | TIF_NOTIFY_RESUME)) !== 0;
    if (work && events.includes(interrupt)) return interrupt;
    const step = makeEvent(STEP, cpu.id, 0);
    // The first value of a `choose` is 0, so this is its event too.
    return events.includes(step) && (context.kind !== CHOOSE || context.value > 0) ? step : undefined;
  }

  /** The boot ends with the first step. */
  private happen(event: number): void {
    if (!this.begun) this.machine.boot();
    this.begun = true;
    this.machine.apply(event);
  }

  private apply(wanted: (event: number) => boolean): this {
    const event = this.events().find(wanted);
    if (event === undefined) throw new Error("not possible now");
    this.happen(event);
    return this;
  }
}

type Answers = {
  readonly [N in CallbackName]?: number | ((...args: number[]) => number | Generator<Request, number, unknown>);
};

/**
 * An ops table whose callbacks write their name and arguments to a log.
 *
 * @param prefix - Written before each callback's name: which engine.
 * @param answers - The callbacks it has: what each returns, or a function of the arguments.
 */
export function loggingOps(log: string[], prefix: string, answers: Answers): utrace_engine_ops {
  const ops: Record<string, unknown> = {};
  for (const [name, answer] of Object.entries(answers)) {
    ops[name] = named(`${prefix}_${name}`, function* (...args: number[]) {
      log.push(`${prefix} ${describe(name as CallbackName, args)}`);
      // A moment in which others can see it running.
      yield* smp_mb();
      if (typeof answer !== "function") return answer ?? UTRACE_RESUME;
      const made = answer(...args);
      return typeof made === "number" ? made : yield* made;
    });
  }
  return ops as utrace_engine_ops;
}

/** A callback's name and what of its arguments is no address. */
function describe(name: CallbackName, args: readonly unknown[]): string {
  const short = name.replace("report_", "");
  switch (name) {
    case "report_quiesce":
      return `${short}(${args[3]})`;
    case "report_signal":
      return `${short}(0x${(args[0] as number).toString(16)}, ${(args[3] as { si_signo: number }).si_signo})`;
    case "report_jctl":
    case "report_exit":
      return `${short}(${args[3]})`;
    default:
      return short;
  }
}

/** A target named "target" in user mode, and one engine on it. */
export interface Traced {
  readonly play: Play;
  readonly target: Ptr;
  readonly engine: Ptr;
  readonly log: string[];
}

export interface TracedOptions extends ModelOptions {
  /** What the target does; runs in user mode for ever if left out. It is run to its first user mode. */
  readonly main?: KernelFunction<[], void>;
  /** Callbacks of the engine; see {@link loggingOps}. */
  readonly answers?: Answers;
  readonly events?: number;
}

/** Sets the stage for a tracer. */
export function traced(options: TracedOptions = {}): Traced {
  const play = new Play(options);
  const log: string[] = [];
  const target = play.process("target", options.main ?? userLoop);
  play.run("target", inUserMode);
  const engine = attach(play, target, loggingOps(log, "A", options.answers ?? {}), options.events ?? 0);
  return { play, target, engine, log };
}

/** Attaches one more engine and sets its events. */
export function attach(play: Play, target: Ptr, ops: utrace_engine_ops, events = 0): Ptr {
  const engine = play.call(() => utrace_attach_task(target, UTRACE_ATTACH_CREATE, play.ops(ops), 0));
  if (events !== 0) play.call(() => utrace_set_events(target, engine, events));
  return engine;
}

/** Answers of an engine that stops its target at every report that was asked for, and lets all else pass. */
export const STOPS: Answers = {
  report_quiesce: (_action, _engine, _task, event) => (event === 0 ? UTRACE_STOP : UTRACE_RESUME),
};

/** As {@link traced}, with the target in TASK_TRACED, where UTRACE_INTERRUPT got it. */
export function tracedAndStopped(options: TracedOptions = {}): Traced {
  const made = traced({ answers: STOPS, events: UTRACE_EVENT.QUIESCE, ...options });
  const { play, target, engine } = made;
  play.call(() => utrace_control(target, engine, UTRACE_INTERRUPT));
  play.run("target");
  made.log.length = 0;
  return made;
}

/** A process that does one thing after another as it is told, and waits in user mode in between. */
export class Actor {
  readonly task: Ptr;
  private readonly deeds: (() => Generator<Request, unknown, unknown>)[] = [];
  private result: unknown;
  private busy = false;

  constructor(
    private readonly play: Play,
    private readonly comm: string,
  ) {
    const actor = this;
    this.task = play.process(
      comm,
      named(`${comm}_main`, function* () {
        for (;;) {
          yield* user_mode(1000);
          const deed = actor.deeds.shift();
          if (deed === undefined) continue;
          actor.result = yield* deed();
          actor.busy = false;
        }
      }),
    );
  }

  /**
   * Lets it make a system call, to the end of it.
   *
   * @throws Error if it sleeps on the way, or ends.
   */
  call<A extends readonly unknown[], R>(call: KernelFunction<A, R>, ...args: A): R | undefined {
    this.begin(call, ...args);
    if (this.busy) throw new Error(`a call of ${this.comm} does not end`);
    return this.result as R | undefined;
  }

  /** Lets it make a system call that may sleep, or be its last: it goes as far as it can. */
  begin<A extends readonly unknown[], R>(call: KernelFunction<A, R>, ...args: A): this {
    this.busy = true;
    const deed = function* (): Generator<Request, R | undefined, unknown> {
      return yield* syscall(call, ...args);
    };
    this.deeds.push(deed);
    return this.goOn();
  }

  /** Lets it go on with a call in which it slept. */
  goOn(): this {
    this.play.runsTo(this.comm, () => !this.busy);
    return this;
  }

  /** What its last call gave; undefined while it is in it. */
  get gave(): unknown {
    return this.busy ? undefined : this.result;
  }
}
