/**
 * A utrace that behaves: a few tasks, traced by a few callers, written down without a look at the rules.
 *
 * It makes random legal histories, to show that the specification forbids nothing that is right. Each actor is a
 * generator that says what it does, one event at a time; which of them goes on is chance.
 */
import { EAGAIN, EALREADY, EEXIST, EINPROGRESS, EINVAL, ENOENT, ERESTARTSYS, ESRCH } from "../linux/errno.ts";
import {
  UTRACE_ATTACH_CREATE,
  UTRACE_ATTACH_EXCLUSIVE,
  UTRACE_ATTACH_MATCH_OPS,
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_EVENT_SIGNAL_ALL,
  UTRACE_INTERRUPT,
  UTRACE_REPORT,
  UTRACE_RESUME,
  UTRACE_SINGLESTEP,
  UTRACE_STOP,
} from "../utrace/events.ts";
import type { SpecEvent } from "./events.ts";

type Actor = Generator<SpecEvent | null, void, unknown>;

interface Tracee {
  readonly number: number;
  struct: number;
  engines: Attached[];
  alive: boolean;
  reaped: boolean;
  stopped: boolean;
  woken: boolean;
  killed: boolean;
  reporting: boolean;
  /** Stops that have ended. */
  runs: number;
  /** Somebody waits for a report. */
  asked: boolean;
  running: Attached | null;
}

interface Attached {
  readonly number: number;
  readonly task: Tracee;
  readonly ops: number;
  refs: number;
  listed: boolean;
  leaving: boolean;
  gone: boolean;
  mask: number;
  stops: boolean;
}

const { QUIESCE, REAP, DEATH, EXEC, CLONE, EXIT, SIGNAL } = UTRACE_EVENT;
const MASKS = [0, QUIESCE, QUIESCE | EXEC, EXEC | CLONE | EXIT, DEATH | REAP, QUIESCE | SIGNAL | REAP, 0x3fff];
const REPORTS = [0, EXEC, CLONE, UTRACE_EVENT_SIGNAL_ALL];
const TASKS = [1, 2, 3];
const CALLERS = [7, 8, 9];
const CONTROLS = [UTRACE_STOP, UTRACE_DETACH, UTRACE_RESUME, UTRACE_SINGLESTEP, UTRACE_REPORT, UTRACE_INTERRUPT];
const REAPER = 6;

/** Gives legal events for ever. */
export class WellBehaved {
  private readonly actors: Actor[] = [];
  private readonly tasks: Tracee[];
  private readonly used = new Set<number>();
  private seed: number;
  private current: Actor | null = null;
  private holder: Actor | null = null;

  constructor(seed: number) {
    this.seed = seed >>> 0;
    this.tasks = TASKS.map((number) => this.newborn(number));
    this.tasks.forEach((_, at) => {
      this.actors.push(this.tracee(at));
    });
    for (const caller of CALLERS) this.actors.push(this.caller(caller));
  }

  /** What happens next. */
  next(): SpecEvent {
    for (;;) {
      if (this.holder === null) this.current = this.one(this.actors);
      const { value, done } = (this.current as Actor).next();
      if (done === true) this.actors.splice(this.actors.indexOf(this.current as Actor), 1);
      else if (value !== null) return value;
    }
  }

  /** What an actor does as one: nobody else goes on in between. */
  private *locked<R>(section: Generator<SpecEvent | null, R, unknown>): Generator<SpecEvent | null, R, unknown> {
    this.holder = this.current;
    const result = yield* section;
    this.holder = null;
    return result;
  }

  /** Numerical Recipes' generator: enough for this, and the same everywhere. */
  private below(n: number): number {
    this.seed = (Math.imul(this.seed, 1664525) + 1013904223) >>> 0;
    return ((this.seed >>> 8) * n) >>> 24;
  }
  private one<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
  /** A number that names nothing now. */
  private fresh(from: number): number {
    let number = from;
    while (this.used.has(number)) number++;
    this.used.add(number);
    return number;
  }

  private newborn(number: number): Tracee {
    return {
      number,
      struct: 0,
      engines: [],
      alive: true,
      reaped: false,
      stopped: false,
      woken: false,
      killed: false,
      reporting: false,
      runs: 0,
      asked: false,
      running: null,
    };
  }

  /** A task's lives, one after the other, all under its number. */
  private *tracee(at: number): Actor {
    for (;;) {
      const task = this.tasks[at] as Tracee;
      const by = task.number;
      for (let rounds = 5 + this.below(40); rounds > 0 && !task.killed; rounds--) {
        if (task.asked || this.below(3) === 0) yield* this.report(task, this.one(REPORTS));
        if (task.engines.some(({ stops, leaving }) => stops && !leaving)) yield* this.stop(task);
        else if (!(task.asked || task.engines.some(({ leaving }) => leaving))) {
          yield { type: "user-return", by, task: by };
          // A stop may be asked for from now on: it comes with the next report.
          if (!task.killed) yield { type: "user-mode", by, task: by };
        }
      }
      task.killed = false;
      yield { type: "task-exiting", by, task: by };
      yield* this.report(task, EXIT);
      yield* this.die(task);
      this.tasks[at] = this.newborn(by);
    }
  }

  private *stop(task: Tracee): Actor {
    const by = task.number;
    if (task.killed) return;
    task.stopped = true;
    task.woken = false;
    yield { type: "task-stopped", by, task: by };
    while (!(task.woken || task.killed)) {
      // SIGKILL comes sooner or later; who wants the stop may have forgotten it.
      if (this.below(40) === 0) {
        task.killed = true;
        yield { type: "task-killed", by: REAPER, task: by };
        if (this.below(2) === 0) {
          task.woken = true;
          yield { type: "kill-wakes", by: REAPER, task: by };
        }
      } else yield null;
    }
    task.stopped = false;
    task.runs++;
    yield { type: "stop-ended", by, task: by };
  }

  private *report(task: Tracee, event: number): Actor {
    const by = task.number;
    task.asked = false;
    yield* this.splice(task, by);
    task.reporting = true;
    yield { type: "report-begin", by, task: by, event };
    for (const engine of task.engines.filter(({ listed }) => listed)) {
      if (!engine.leaving && (engine.mask & QUIESCE) !== 0 && event !== UTRACE_EVENT_SIGNAL_ALL) {
        yield* this.callback(engine, QUIESCE);
      }
      const signal = event === UTRACE_EVENT_SIGNAL_ALL;
      const wants = engine.mask & (signal ? UTRACE_EVENT_SIGNAL_ALL | QUIESCE : event);
      if (!engine.leaving && wants !== 0) yield* this.callback(engine, signal ? SIGNAL : event);
    }
    task.reporting = false;
    yield { type: "report-end", by, task: by };
    yield* this.locked(this.reset(task, by));
  }

  /** Takes off who is leaving, and gives the struct up after the last. */
  private *reset(task: Tracee, by: number): Actor {
    for (const engine of task.engines.filter(({ leaving }) => leaving)) yield* this.takeOff(engine, by);
    yield* this.giveUp(task, by);
  }

  private *callback(engine: Attached, callback: number): Actor {
    const { task, number } = engine;
    const by = task.number;
    task.running = engine;
    yield { type: "callback-begin", by, engine: number, callback };
    const action = this.one([UTRACE_RESUME, UTRACE_RESUME, UTRACE_STOP, UTRACE_DETACH]);
    task.running = null;
    yield { type: "callback-end", by, engine: number, action };
    if (engine.leaving) return;
    if (action === UTRACE_DETACH) {
      engine.leaving = true;
      yield { type: "engine-detaching", by, engine: number };
    } else if (engine.stops !== (action === UTRACE_STOP)) {
      engine.stops = action === UTRACE_STOP;
      yield { type: "wants-stop", by, engine: number, wants: engine.stops };
    }
  }

  private *splice(task: Tracee, by: number): Actor {
    if (task.engines.every(({ listed }) => listed)) return;
    for (const engine of task.engines) engine.listed = true;
    yield { type: "engines-spliced", by, utrace: task.struct };
  }

  private *takeOff(engine: Attached, by: number): Actor {
    engine.task.engines = engine.task.engines.filter((other) => other !== engine);
    engine.gone = true;
    yield { type: "engine-detached", by, engine: engine.number };
    yield* this.put(engine, by);
  }

  private *put(engine: Attached, by: number): Actor {
    const last = --engine.refs === 0;
    yield { type: "engine-put", by, engine: engine.number };
    if (!last) return;
    yield { type: "engine-freed", by, engine: engine.number };
    this.used.delete(engine.number);
  }

  /** The struct goes with the last engine, and is freed some time later. */
  private *giveUp(task: Tracee, by: number): Actor {
    const { struct } = task;
    if (struct === 0 || task.engines.length > 0) return;
    task.struct = 0;
    this.actors.push(this.free(struct));
    yield { type: "struct-dying", by, utrace: struct };
  }
  private *free(struct: number): Actor {
    yield null;
    yield { type: "struct-freed", by: 0, utrace: struct };
    this.used.delete(struct);
  }

  private *die(task: Tracee): Actor {
    const by = task.number;
    task.alive = false;
    const byItself = this.below(4) === 0;
    task.reaped = byItself;
    yield { type: byItself ? "task-reaped" : "task-dead", by, task: by };
    yield* this.report(task, DEATH);
    if (!byItself) {
      task.reaped = true;
      yield { type: "task-reaped", by: REAPER, task: by };
    }
    yield* this.locked(this.reap(task));
  }

  private *reap(task: Tracee): Actor {
    yield* this.splice(task, REAPER);
    for (const engine of [...task.engines]) {
      const wants = !engine.leaving && (engine.mask & REAP) !== 0;
      task.engines = task.engines.filter((other) => other !== engine);
      engine.gone = true;
      yield { type: "engine-detached", by: REAPER, engine: engine.number };
      if (wants) {
        yield { type: "callback-begin", by: REAPER, engine: engine.number, callback: REAP };
        yield { type: "callback-end", by: REAPER, engine: engine.number, action: UTRACE_RESUME };
      }
      yield* this.put(engine, REAPER);
    }
    yield* this.giveUp(task, REAPER);
    yield { type: "task-freed", by: REAPER, task: task.number };
  }

  /** Attaches, asks for this and that, and forgets some of it. */
  private *caller(by: number): Actor {
    let own: Attached[] = [];
    for (;;) {
      own = own.filter(({ refs }) => refs > 0);
      if (own.length === 0 || this.below(6) === 0) {
        const engine = yield* this.attach(by);
        if (engine !== null) own.push(engine);
      } else {
        const engine = this.one(own);
        const what = own.length > 5 || (engine.gone && this.below(2) === 0) ? 0 : this.below(9);
        if (what === 0) {
          own.splice(own.indexOf(engine), 1);
          yield* this.put(engine, by);
        } else if (what === 1) {
          engine.refs++;
          own.push(engine);
          yield { type: "engine-get", by, engine: engine.number };
        } else if (what === 2) yield* this.barrier(by, engine);
        else if (what === 3) yield* this.examine(by, engine);
        else if (what < 6) yield* this.setEvents(by, engine);
        else yield* this.control(by, engine);
      }
    }
  }

  private *attach(by: number): Generator<SpecEvent | null, Attached | null, unknown> {
    const call = "utrace_attach_task";
    const task = this.one(this.tasks);
    const ops = 100 + this.below(2);
    const create = this.below(4) > 0;
    const exclusive = create && this.below(3) === 0;
    const match = this.below(2) === 0;
    const flags =
      (create ? UTRACE_ATTACH_CREATE : 0) |
      (exclusive ? UTRACE_ATTACH_EXCLUSIVE : 0) |
      (match ? UTRACE_ATTACH_MATCH_OPS : 0);
    yield { type: "call-begin", by, call, target: task.number, engine: 0, argument: flags, ops, data: 0 };
    const engine = yield* this.locked(this.attachNow(by, task, { ops, create, exclusive, match }));
    yield { type: "call-end", by, call, result: typeof engine === "number" ? engine : engine.number };
    return typeof engine === "number" ? null : engine;
  }

  private *attachNow(
    by: number,
    task: Tracee,
    { ops, create, exclusive, match }: { ops: number; create: boolean; exclusive: boolean; match: boolean },
  ): Generator<SpecEvent | null, Attached | number, unknown> {
    const found = task.engines.find((other) => !other.leaving && (!match || other.ops === ops));
    if (task.reaped) return create ? -ESRCH : -ENOENT;
    if (!create) {
      if (found === undefined) return -ENOENT;
      found.refs++;
      yield { type: "engine-get", by, engine: found.number };
      return found;
    }
    if (exclusive && found !== undefined) return -EEXIST;
    if (task.struct === 0) {
      task.struct = this.fresh(10_000);
      yield { type: "struct-live", by, utrace: task.struct, task: task.number };
    }
    const engine = this.newEngine(task, ops);
    yield { type: "engine-attached", by, engine: engine.number, utrace: task.struct };
    return engine;
  }

  private newEngine(task: Tracee, ops: number): Attached {
    const engine = {
      number: this.fresh(20_000),
      task,
      ops,
      refs: 2,
      listed: false,
      leaving: false,
      gone: false,
      mask: 0,
      stops: false,
    };
    task.engines.push(engine);
    return engine;
  }

  private begin(by: number, call: string, engine: Attached, argument: number): SpecEvent {
    return { type: "call-begin", by, call, target: 0, engine: engine.number, argument, ops: 0, data: 0 };
  }

  private *setEvents(by: number, engine: Attached): Actor {
    const call = "utrace_set_events";
    const mask = this.one(MASKS);
    yield this.begin(by, call, engine, mask);
    let result = 0;
    if (engine.gone || engine.leaving) result = -ESRCH;
    else if (!engine.task.alive) result = -EALREADY;
    else {
      engine.mask = mask;
      if (engine.task.reporting) result = -EINPROGRESS;
      yield { type: "events-set", by, engine: engine.number, events: mask };
    }
    yield { type: "call-end", by, call, result };
  }

  private *control(by: number, engine: Attached): Actor {
    const call = "utrace_control";
    const { task } = engine;
    const action = this.one(CONTROLS);
    yield this.begin(by, call, engine, action);
    let result = 0;
    if (engine.gone || engine.leaving) result = -ESRCH;
    else if (!task.alive) result = action === UTRACE_DETACH ? -EALREADY : -ESRCH;
    else if (action === UTRACE_STOP) {
      task.asked = true;
      engine.stops = true;
      if (!task.stopped || task.woken) result = -EINPROGRESS;
      yield { type: "wants-stop", by, engine: engine.number, wants: true };
    } else {
      task.asked = true;
      engine.stops = false;
      const { stopped } = task;
      if (action === UTRACE_DETACH) {
        engine.leaving = true;
        if (task.running === engine) result = -EINPROGRESS;
      } else if (action === UTRACE_SINGLESTEP && !stopped) result = -EAGAIN;
      yield* this.locked(this.letGo(by, engine));
    }
    yield { type: "call-end", by, call, result };
  }

  /** An engine no longer wants its task stopped, and perhaps nobody does. */
  private *letGo(by: number, engine: Attached): Actor {
    const { task, number } = engine;
    yield { type: "wants-stop", by, engine: number, wants: false };
    if (engine.leaving) yield { type: "engine-detaching", by, engine: number };
    if (task.stopped && !task.woken && task.engines.every((other) => !other.stops || other.leaving)) {
      task.woken = true;
      yield { type: "task-resumed", by, task: task.number };
    }
  }

  /** Looks at a stopped task, and whether it has stayed in its stop for that long. */
  private *examine(by: number, engine: Attached): Actor {
    const runs = yield* this.look(by, engine, "utrace_prepare_examine", null);
    if (runs === null) return;
    yield null;
    // What the caller may do meanwhile, such as the resume that ends the stop.
    if (this.below(4) === 0) yield* this.control(by, engine);
    yield* this.look(by, engine, "utrace_finish_examine", runs);
  }
  private *look(
    by: number,
    engine: Attached,
    call: string,
    before: number | null,
  ): Generator<SpecEvent | null, number | null, unknown> {
    const { task } = engine;
    yield this.begin(by, call, engine, 0);
    const { runs } = task;
    let result = 0;
    if (!engine.stops || engine.gone || engine.leaving) result = -EINVAL;
    else if (before === null && !task.alive) result = -ESRCH;
    else if (!task.stopped || task.woken || (before !== null && runs !== before)) result = -EAGAIN;
    yield { type: "call-end", by, call, result };
    return result === 0 ? runs : null;
  }

  private *barrier(by: number, engine: Attached): Actor {
    const call = "utrace_barrier";
    yield this.begin(by, call, engine, 0);
    let result = 0;
    if (engine.gone) result = -ESRCH;
    else if (engine.leaving || engine.task.running === engine) result = -ERESTARTSYS;
    yield { type: "call-end", by, call, result };
  }
}
