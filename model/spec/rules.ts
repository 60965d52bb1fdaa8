/**
 * The rules: what must hold for an event to be allowed, each with a name and a sentence.
 *
 * Checks: lives, references, callbacks (whose, when, in what order), stops, results of calls; and that what was promised
 * (a report, a stop, the end of a stop) has come when the task is on its way back to user mode, or the call returns. Does
 * not check: that a task gets there at last; `properties/` has claims of that kind.
 */
import { EINPROGRESS } from "../linux/errno.ts";
import { UTRACE_DETACH, UTRACE_EVENT, UTRACE_EVENT_SIGNAL_ALL, UTRACE_STOP } from "../utrace/events.ts";
import type { EventOf, SpecEvent, SpecEventType } from "./events.ts";
import { returnOf } from "./returns.ts";
import { type EngineState, enginesOf, every, nextLife, type SpecState, some, taskOf } from "./state.ts";

/** One rule. */
export interface Rule {
  readonly name: string;
  readonly sentence: string;
  /** Events that it is about. */
  readonly on: readonly SpecEventType[];
  /** Whether it allows `event` in `state`. */
  allows(state: SpecState, event: SpecEvent): boolean;
}

/** A rule about events of some types, for which its predicate is typed. */
function rule<T extends SpecEventType>(
  name: string,
  on: readonly T[],
  sentence: string,
  allows: (state: SpecState, event: EventOf<T>) => boolean,
): Rule {
  return { name, sentence, on, allows: allows as Rule["allows"] };
}

type CallbackBegin = EventOf<"callback-begin">;
const called = (state: SpecState, { engine }: CallbackBegin): Readonly<EngineState> | undefined =>
  state.engines.get(engine);
const taskOfEngine = (state: SpecState, { engine }: CallbackBegin) =>
  taskOf(state, state.engines.get(engine)?.task ?? 0);
const isReap = ({ callback }: CallbackBegin): boolean => callback === UTRACE_EVENT.REAP;

/** Events of which an engine must have asked for one to get this callback. */
const wanted = (callback: number): number =>
  callback === UTRACE_EVENT.SIGNAL ? UTRACE_EVENT_SIGNAL_ALL | UTRACE_EVENT.QUIESCE : callback;

/** Whether a report of `event` may make this callback. */
const belongs = (callback: number, event: number): boolean =>
  callback === UTRACE_EVENT.QUIESCE ||
  (callback === UTRACE_EVENT.SIGNAL ? event === UTRACE_EVENT_SIGNAL_ALL : event === callback);

/** Engines that keep a task from user mode. */
const holders = (state: SpecState, task: number) => enginesOf(state, task).filter(({ holds }) => holds);

const structLife = (state: SpecState, event: { readonly type: SpecEventType; readonly utrace: number }): boolean =>
  nextLife("struct", state.structs.get(event.utrace)?.life ?? "absent", event.type) !== undefined;

const STRUCTS: readonly Rule[] = [
  rule("struct-once", ["struct-live"], "a struct begins to live only once", (state, { utrace }) => {
    return state.structs.get(utrace) === undefined;
  }),
  rule("one-struct", ["struct-live"], "a task has one live struct at most", (state, { task }) =>
    every(state.structs, (other) => other.life !== "live" || other.task !== task),
  ),
  rule("struct-taken", ["struct-dying"], "a struct is taken from its task once, while it lives", structLife),
  rule("struct-freed", ["struct-freed"], "only a struct that was taken from its task is freed, once", structLife),
  rule("struct-empty", ["struct-freed"], "a struct is freed only when no engine is on its lists", (state, { utrace }) =>
    every(state.engines, (engine) => engine.utrace !== utrace || engine.life === "detached"),
  ),
];

const engineLife = (state: SpecState, event: { readonly type: SpecEventType; readonly engine: number }): boolean =>
  nextLife("engine", state.engines.get(event.engine)?.life ?? "absent", event.type) !== undefined;

const ENGINES: readonly Rule[] = [
  rule("attached-once", ["engine-attached"], "an engine is attached only once", engineLife),
  rule("attached-to-live", ["engine-attached"], "an engine is attached only to a live struct", (state, { utrace }) => {
    return state.structs.get(utrace)?.life === "live";
  }),
  rule("marked-on-list", ["engine-detaching"], "an engine is marked as detached only while on a list", engineLife),
  rule("detached-once", ["engine-detached"], "an engine is taken off its list exactly once", engineLife),
  rule("released-detached", ["engine-freed"], "only an engine that is off all lists is released, once", engineLife),
  rule("released-last", ["engine-freed"], "an engine is released only with its last reference", (state, { engine }) => {
    return (state.engines.get(engine)?.refs ?? 0) === 0;
  }),
  rule(
    "reference-held",
    ["engine-get", "engine-put"],
    "a reference is taken or dropped only while there is one",
    (state, { engine }) => (state.engines.get(engine)?.refs ?? 0) >= 1,
  ),
  rule(
    "attached-reference",
    ["engine-put"],
    "an engine on a list keeps the reference for being attached",
    (state, { engine }) => {
      const known = state.engines.get(engine);
      return known === undefined || known.life === "detached" || known.refs > 1;
    },
  ),
];

const CALLBACKS: readonly Rule[] = [
  rule(
    "callback-attached",
    ["callback-begin"],
    "a callback is made only of an engine on the task's own list",
    (state, event) => {
      const life = called(state, event)?.life;
      return isReap(event) ? life === "detached" : life === "attached" || life === "detaching";
    },
  ),
  rule(
    "callback-wanted",
    ["callback-begin"],
    "a callback is made only if the engine asked for such an event",
    (state, event) => {
      return ((called(state, event)?.may ?? 0) & wanted(event.callback)) !== 0;
    },
  ),
  rule(
    "callback-own-context",
    ["callback-begin"],
    "a callback runs in the traced task itself, but for report_reap",
    (state, event) => {
      return isReap(event) || event.by === called(state, event)?.task;
    },
  ),
  rule(
    "callback-in-report",
    ["callback-begin"],
    "a callback is made within a report of its event, but for report_reap",
    (state, event) => {
      return isReap(event) || belongs(event.callback, taskOfEngine(state, event).report);
    },
  ),
  rule("callback-alone", ["callback-begin"], "no two callbacks run on behalf of one task at once", (state, event) => {
    return taskOfEngine(state, event).running === 0;
  }),
  rule(
    "callback-order",
    ["callback-begin"],
    "a report calls engines in the order in which they were attached",
    (state, event) => {
      return isReap(event) || (called(state, event)?.order ?? 0) >= taskOfEngine(state, event).lastOrder;
    },
  ),
  rule(
    "callback-once",
    ["callback-begin"],
    "a report calls an engine once, or twice if report_quiesce comes first",
    (state, event) => {
      const { lastOrder, callback } = taskOfEngine(state, event);
      if (isReap(event) || called(state, event)?.order !== lastOrder) return true;
      return callback === UTRACE_EVENT.QUIESCE && event.callback !== UTRACE_EVENT.QUIESCE;
    },
  ),
  rule("detached-silent", ["callback-begin"], "no callback comes after a detach that returned 0", (state, event) => {
    return called(state, event)?.silent !== true;
  }),
  rule("callback-left", ["callback-begin"], "no callback comes after one that returned DETACH", (state, event) => {
    return called(state, event)?.left !== true;
  }),
  rule("reap-once", ["callback-begin"], "report_reap is made once at most", (state, event) => {
    return !(isReap(event) && called(state, event)?.reaped === true);
  }),
  rule(
    "reap-last",
    ["callback-begin"],
    "no other callback, report_death least of all, comes after report_reap",
    (state, event) => {
      return isReap(event) || called(state, event)?.reaped !== true;
    },
  ),
  rule("reap-reaped", ["callback-begin"], "report_reap is made only when the task is reaped", (state, event) => {
    return !isReap(event) || taskOfEngine(state, event).life === "reaped";
  }),
  rule("callback-ends", ["callback-end"], "a callback ends that runs", (state, { engine }) => {
    return taskOf(state, state.engines.get(engine)?.task ?? 0).running === engine;
  }),
];

const REPORTS: readonly Rule[] = [
  rule("report-alone", ["report-begin"], "a task makes one report at a time, itself", (state, { task, by }) => {
    return by === task && taskOf(state, task).report < 0;
  }),
  rule("report-unstopped", ["report-begin"], "a stopped task makes no report", (state, { task }) => {
    return taskOf(state, task).stop === "running";
  }),
  rule(
    "report-dead",
    ["report-begin"],
    "a dead task reports its death and nothing else, a living one all but that",
    (state, { task, event }) => {
      return (taskOf(state, task).life === "alive") === (event !== UTRACE_EVENT.DEATH);
    },
  ),
  rule("report-ends", ["report-end"], "a report ends when its last callback has ended", (state, { task }) => {
    const { report, running } = taskOf(state, task);
    return report >= 0 && running === 0;
  }),
  rule(
    "report-complete",
    ["report-end"],
    "a report has called every engine that was on the list when it began, and wanted it",
    (state, { task }) => enginesOf(state, task).every(({ expects }) => expects === 0),
  ),
];

const PROMISES: readonly Rule[] = [
  rule(
    "report-comes",
    ["user-return"],
    "a task that was asked for a report makes one on its way back to user mode",
    (state, { task }) => none(state, task, ({ owed }) => owed),
  ),
  rule(
    "stop-comes",
    ["user-return"],
    "a task that was asked to stop does so on its way back to user mode",
    (state, { task }) => taskOf(state, task).killed || none(state, task, ({ stopDue }) => stopDue),
  ),
  rule(
    "detach-comes",
    ["user-return"],
    "an engine that was detached is off the list when its task goes back to user mode",
    (state, { task }) => none(state, task, ({ life, leaveDue }) => leaveDue && life === "detaching"),
  ),
  rule(
    "last-resume-wakes",
    ["call-end"],
    "a call that finds a task stopped, and leaves no engine that wants it so, resumes it",
    (state, { by, result }) => {
      const call = state.calls.get(by);
      if (call?.call !== "utrace_control" || !call.stopped || result !== 0) return true;
      const traced = state.engines.get(call.engine)?.task;
      if (traced === undefined || call.argument === UTRACE_STOP) return true;
      const { killed, life } = taskOf(state, traced);
      return killed || life !== "alive" || isWantedStopped(state, traced) || othersCall(state, by, traced);
    },
  ),
  rule("resumed-wakes", ["call-end"], "a call that resumes a task leaves it awake", (state, { by, asleep }) => {
    return asleep !== true || state.calls.get(by)?.resumed !== true;
  }),
];

const none = (state: SpecState, task: number, holds: (engine: Readonly<EngineState>) => boolean): boolean =>
  !enginesOf(state, task).some(holds);
const isWantedStopped = (state: SpecState, task: number): boolean =>
  enginesOf(state, task).some(({ life, wantsStop }) => wantsStop && life !== "detaching");
/** Another call about the same task is under way, and may be what it waits for. */
const othersCall = (state: SpecState, by: number, task: number): boolean =>
  some(state.calls, (other) => other.by !== by && state.engines.get(other.engine)?.task === task);

const TASKS: readonly Rule[] = [
  rule(
    "task-dies-once",
    ["task-dead", "task-reaped", "task-given-back"],
    "a task dies once, and is reaped once",
    (state, event) => {
      return nextLife("task", taskOf(state, event.task).life, event.type) !== undefined;
    },
  ),
  rule(
    "task-leaves-nothing",
    ["task-freed"],
    "a task is freed only when no engine and no live struct is left of it",
    (state, { task }) =>
      enginesOf(state, task).length === 0 &&
      every(state.structs, (struct) => struct.task !== task || struct.life !== "live"),
  ),
  rule("stop-itself", ["task-stopped"], "a task stops by itself, once, while it lives", (state, event) => {
    const { life, stop } = taskOf(state, event.task);
    return event.by === event.task && life === "alive" && nextLife("stop", stop, event.type) !== undefined;
  }),
  rule("stop-not-killed", ["task-stopped"], "a task that SIGKILL is on its way to does not stop", (state, { task }) => {
    return !taskOf(state, task).killed;
  }),
  rule("stop-wanted", ["task-resumed"], "nobody resumes a task that an engine wants stopped", (state, { task }) => {
    return !isWantedStopped(state, task);
  }),
  rule("stop-ends", ["stop-ended"], "a stop ends by a resume, or by SIGKILL", (state, { task }) => {
    const { stop, killed } = taskOf(state, task);
    return stop === "resumed" || (stop === "stopped" && killed);
  }),
  rule(
    "stopped-no-user-code",
    ["user-mode"],
    "a task runs no user code while an engine holds it",
    (state, { task }) => {
      const { stop, killed } = taskOf(state, task);
      return killed || (stop === "running" && holders(state, task).length === 0);
    },
  ),
  rule("dead-no-user-code", ["user-mode"], "a dead task runs no user code", (state, { task }) => {
    return taskOf(state, task).life === "alive";
  }),
];

const CALLS: readonly Rule[] = [
  rule("call-alone", ["call-begin"], "a caller makes one call at a time", (state, { by }) => {
    return state.calls.get(by) === undefined;
  }),
  rule(
    "call-ends",
    ["call-end"],
    "a call ends that began",
    (state, { by, call }) => state.calls.get(by)?.call === call,
  ),
  rule("call-returns", ["call-end"], "a call returns what it is documented to return", (_state, { call, result }) => {
    return returnOf(call, result) !== undefined;
  }),
  rule(
    "call-has-reason",
    ["call-end"],
    "a call returns what there was a reason for while it ran",
    (state, { by, result }) => {
      return state.calls.get(by)?.possible.includes(Math.min(result, 0)) === true;
    },
  ),
  rule(
    "last-word",
    ["call-end"],
    "who asks for a stop wants it from then on, and who asks for anything else no longer does",
    (state, { by, result }) => {
      const call = state.calls.get(by);
      if (call?.call !== "utrace_control" || call.argument === UTRACE_DETACH || call.overruled) return true;
      if (result !== 0 && result !== -EINPROGRESS) return true;
      const engine = state.engines.get(call.engine);
      if (engine === undefined || engine.life === "detaching" || engine.life === "detached") return true;
      return engine.wantsStop === (call.argument === UTRACE_STOP);
    },
  ),
  rule(
    "detach-done",
    ["call-end"],
    "a detach that returns 0 has detached, and no callback of the engine runs",
    (state, event) => {
      const call = state.calls.get(event.by);
      if (call?.call !== "utrace_control" || call.argument !== UTRACE_DETACH || event.result !== 0) return true;
      const engine = state.engines.get(call.engine);
      if (engine === undefined) return true;
      return (
        (engine.life === "detaching" || engine.life === "detached") &&
        taskOf(state, engine.task).running !== call.engine
      );
    },
  ),
  rule(
    "attach-gives-engine",
    ["call-end"],
    "an attach gives an engine that the caller has a reference to",
    (state, event) => {
      return (
        event.call !== "utrace_attach_task" || event.result < 0 || (state.engines.get(event.result)?.refs ?? 0) >= 1
      );
    },
  ),
];

/** All rules, in the order in which they are read best. */
export const RULES: readonly Rule[] = [
  ...STRUCTS,
  ...ENGINES,
  ...CALLBACKS,
  ...REPORTS,
  ...PROMISES,
  ...TASKS,
  ...CALLS,
];

const BY_TYPE = new Map<SpecEventType, Rule[]>();
for (const each of RULES) {
  for (const type of each.on) BY_TYPE.set(type, [...(BY_TYPE.get(type) ?? []), each]);
}
const NONE: readonly Rule[] = [];

/** The first rule that `event` breaks; null if it is allowed. */
export function brokenRule(state: SpecState, event: SpecEvent): Rule | null {
  for (const each of BY_TYPE.get(event.type) ?? NONE) if (!each.allows(state, event)) return each;
  return null;
}
