/**
 * What the specification knows of a traced world: structs, engines, tasks, and the calls that are under way.
 *
 * Nothing here is memory: a number names an object, as its address does while it lives. What the lives are, and what
 * leads from one to the next, is in {@link LIVES}; the diagram in `docs/spec.md` is drawn from it.
 */
import type { SpecEventType } from "./events.ts";
import type { Unseen } from "./unseen.ts";

/** A struct utrace. Absent: not in the table. */
export interface StructState {
  life: StructLife;
  readonly task: number;
  /** A report is due of which nobody has told the task: see `EXCUSES`. */
  unannounced: boolean;
}
/** Lives of a struct utrace. */
export type StructLife = "live" | "dying";

/** An engine. Absent and released: not in the table. */
export interface EngineState {
  life: EngineLife;
  readonly task: number;
  readonly utrace: number;
  /** Its place among all engines, in the order in which they were attached. */
  readonly order: number;
  /** References: one for being attached, and one for everyone who holds it. */
  refs: number;
  ops: number;
  data: number;
  /** Events that it has asked for. */
  mask: number;
  /** Events of which it may still be told: the mask, and old ones until it is sure that nobody has read them. */
  may: number;
  /** Its last word was to stop the task. */
  wantsStop: boolean;
  /** ... and that has been noted for others to see, as what a callback returns is a little later. */
  stopNoted: boolean;
  /** ... and the task is stopped, or has to be before it next runs user code. */
  holds: boolean;
  /** Detached for good: who detached it was told that nothing is to come. */
  silent: boolean;
  /** One of its callbacks has returned DETACH. */
  left: boolean;
  /** report_reap was made. */
  reaped: boolean;
  /** Was promised a report that has not begun. */
  owed: boolean;
  /** Was promised that the task stops if it still wants that then. */
  stopDue: boolean;
  /** Was promised, or promised itself, to be off the lists. */
  leaveDue: boolean;
  /** The callback that the report being made has to come to; 0 if none has to. Any will do of {@link ANY_CALLBACK}. */
  expects: number;
}
/** Of {@link EngineState.expects}: it is to be called, whatever the callback. */
export const ANY_CALLBACK = -1;
/** Lives of an engine. */
export type EngineLife = "attaching" | "attached" | "detaching" | "detached";

/** A task. One that is in no table is alive and running, and nobody has traced it. */
export interface TaskState {
  life: TaskLife;
  stop: StopState;
  /** SIGKILL is on its way to it. */
  killed: boolean;
  /** The event of the report that it is making; -1 outside. */
  report: number;
  /** The engine whose callback is running on its behalf; 0 if none. */
  running: number;
  /** The callback that runs, or ran last in this report. */
  callback: number;
  /** Place of the engine that was last called in this report; -1 if none was. */
  lastOrder: number;
  /** The last report was of a job control stop. */
  jctl: boolean;
  /** It is in a stop that no engine is there to end: see `EXCUSES`. */
  orphan: boolean;
}
/** Lives of a task. */
export type TaskLife = "alive" | "dead" | "reaped";
/** Whether utrace keeps a task from running. */
export type StopState = "running" | "stopped" | "resumed";

/** A call that has begun, and not ended. One for each caller. */
export interface CallState {
  readonly by: number;
  readonly call: string;
  readonly target: number;
  readonly engine: number;
  /** Action, event mask, or flags of an attach. */
  readonly argument: number;
  readonly ops: number;
  readonly data: number;
  /** Results for which there was a reason at some point since it began. */
  possible: number[];
  /** A report that may be the one it asks for has begun since. */
  answered: boolean;
  /** A known defect may have kept it from asking: see `EXCUSES`. */
  excused: boolean;
  /** Its task was in a stop when it began, and has been since. */
  stopped: boolean;
  /** It has ended that stop. */
  resumed: boolean;
  /** Somebody else has said since whether its engine wants a stop. */
  overruled: boolean;
}

/** What utrace_prepare_examine has begun. One for each caller. */
export interface ExamState {
  readonly engine: number;
  readonly task: number;
  /** The task has run since. */
  ran: boolean;
}

/** Everything. Engines and the rest by their number, calls by the caller's. */
export interface SpecState {
  readonly structs: ReadonlyMap<number, Readonly<StructState>>;
  readonly engines: ReadonlyMap<number, Readonly<EngineState>>;
  readonly tasks: ReadonlyMap<number, Readonly<TaskState>>;
  readonly calls: ReadonlyMap<number, Readonly<CallState>>;
  /** Examinations by the caller's number. */
  readonly exams: ReadonlyMap<number, Readonly<ExamState>>;
  /** What callers may still see as it was, oldest first: empty unless there are store buffers. */
  readonly unseen: readonly Unseen[];
  /** Engines attached so far. */
  readonly attached: number;
  /** Known defects of the posted code are no excuse. */
  readonly strict: boolean;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
/** The same, for who changes it. */
export interface Mutable {
  readonly structs: Map<number, Writable<StructState>>;
  readonly engines: Map<number, MutableEngine>;
  readonly tasks: Map<number, MutableTask>;
  readonly calls: Map<number, MutableCall>;
  readonly exams: Map<number, Writable<ExamState>>;
  readonly unseen: Unseen[];
  attached: number;
  readonly strict: boolean;
}
export type MutableTask = Writable<TaskState>;
export type MutableEngine = Writable<EngineState>;
export type MutableCall = Writable<CallState>;

/** A world in which nothing has happened yet. */
export const newWorld = (strict: boolean): Mutable => ({
  structs: new Map(),
  engines: new Map(),
  tasks: new Map(),
  calls: new Map(),
  exams: new Map(),
  unseen: [],
  attached: 0,
  strict,
});
/** Nothing has happened yet. */
export const EMPTY_WORLD: SpecState = newWorld(false);

/** Whether one of the objects in a table is so. */
export function some<T>(table: ReadonlyMap<number, T>, holds: (object: T) => boolean): boolean {
  for (const object of table.values()) if (holds(object)) return true;
  return false;
}
/** Whether all of them are. */
export const every = <T>(table: ReadonlyMap<number, T>, holds: (object: T) => boolean): boolean =>
  !some(table, (object) => !holds(object));
/** Those that are. */
export function filter<T>(table: ReadonlyMap<number, T>, holds: (object: T) => boolean): T[] {
  const found: T[] = [];
  for (const object of table.values()) if (holds(object)) found.push(object);
  return found;
}

/** A task of which nothing is known. */
export const NEW_TASK: Readonly<TaskState> = {
  life: "alive",
  stop: "running",
  killed: false,
  report: -1,
  running: 0,
  callback: 0,
  lastOrder: -1,
  jctl: false,
  orphan: false,
};

/** The task of this number. */
export const taskOf = ({ tasks }: SpecState, task: number): Readonly<TaskState> => tasks.get(task) ?? NEW_TASK;

/** Engines of a task that are on its lists. */
export const enginesOf = ({ engines }: SpecState, task: number): Readonly<EngineState>[] =>
  filter(engines, (engine) => engine.task === task && engine.life !== "detached");

/** The live struct of a task. */
export const hasStruct = ({ structs }: SpecState, task: number): boolean =>
  some(structs, (struct) => struct.task === task && struct.life === "live");

/** One step of a life. */
export interface Transition {
  readonly from: string;
  readonly event: SpecEventType;
  readonly to: string;
  /** Who brings it about. */
  readonly by: string;
}

/** The lives: each event leads from the states named to the next one, and from no other. */
export const LIVES = {
  struct: [
    { from: "absent", event: "struct-live", to: "live", by: "the first attach" },
    { from: "live", event: "struct-dying", to: "dying", by: "the last detach, or the reap" },
    { from: "dying", event: "struct-freed", to: "gone", by: "RCU, or the free of its task" },
  ],
  engine: [
    { from: "absent", event: "engine-attached", to: "attaching", by: "utrace_attach_task" },
    { from: "attaching", event: "engines-spliced", to: "attached", by: "the task, or whoever finds it stopped" },
    { from: "attaching", event: "engine-detaching", to: "detaching", by: "UTRACE_DETACH" },
    { from: "attached", event: "engine-detaching", to: "detaching", by: "UTRACE_DETACH" },
    { from: "detaching", event: "engine-detaching", to: "detaching", by: "UTRACE_DETACH once more" },
    { from: "attaching", event: "engine-detached", to: "detached", by: "the reap" },
    { from: "attached", event: "engine-detached", to: "detached", by: "the reap" },
    { from: "detaching", event: "engine-detached", to: "detached", by: "utrace_reset, or the reap" },
    { from: "detached", event: "engine-freed", to: "released", by: "the last reference" },
  ],
  task: [
    { from: "alive", event: "task-dead", to: "dead", by: "do_exit" },
    { from: "alive", event: "task-reaped", to: "reaped", by: "do_exit, if nobody is to wait for it" },
    { from: "dead", event: "task-reaped", to: "reaped", by: "wait4, or an exec" },
    { from: "reaped", event: "task-given-back", to: "dead", by: "wait4 of a ptracer that is not the parent" },
    { from: "reaped", event: "task-freed", to: "gone", by: "the last reference" },
  ],
  stop: [
    { from: "running", event: "task-stopped", to: "stopped", by: "utrace_stop" },
    { from: "stopped", event: "task-resumed", to: "resumed", by: "utrace_wakeup, as nobody wants the stop any more" },
    { from: "stopped", event: "kill-wakes", to: "resumed", by: "SIGKILL" },
    { from: "resumed", event: "stop-ended", to: "running", by: "the task, as it runs again" },
    { from: "stopped", event: "stop-ended", to: "running", by: "the task, as SIGKILL is pending" },
  ],
} as const satisfies Readonly<Record<string, readonly Transition[]>>;

/** Where `event` leads from `state`; undefined if it leads nowhere. */
export const nextLife = (life: keyof typeof LIVES, state: string, event: SpecEventType): string | undefined =>
  (LIVES[life] as readonly Transition[]).find((step) => step.from === state && step.event === event)?.to;
