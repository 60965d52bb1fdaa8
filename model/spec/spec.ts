/**
 * The specification as a machine: from a state and an event to the next state, or to the rule that forbids it.
 *
 * {@link transition} is the pure form. {@link SpecRun} takes the same steps in a state of its own, for who takes many.
 */
import { enableMapSet, Immer } from "immer";
import {
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_EVENT_SIGNAL_ALL,
  UTRACE_STOP,
  utrace_resume_action,
} from "../utrace/events.ts";
import type { EventOf, SpecEvent, SpecEventType } from "./events.ts";
import {
  beginReport,
  beginsExcused,
  endControl,
  isOrphan,
  notePassedBy,
  noteUnannounced,
  overlookInSignalPass,
} from "./promises.ts";
import { returnsOf } from "./returns.ts";
import { brokenRule, type Rule } from "./rules.ts";
import {
  ANY_CALLBACK,
  type LIVES,
  type Mutable,
  type MutableCall,
  type MutableEngine,
  type MutableTask,
  NEW_TASK,
  newWorld,
  nextLife,
  type SpecState,
  some,
} from "./state.ts";
import { laggingStates, unseenOf } from "./unseen.ts";

/** States are handed from transition to transition and nowhere else, so freezing them would be wasted work. */
enableMapSet();
const immer = new Immer({ autoFreeze: false });

/** A transition that the specification does not have. */
export class Illegal extends Error {
  override readonly name = "Illegal";
  constructor(
    readonly rule: Rule,
    readonly event: SpecEvent,
  ) {
    super(`${event.type}: ${rule.sentence} (${rule.name})`);
  }
}

/**
 * The state after `event`.
 *
 * @throws Illegal naming the rule that is broken.
 */
export function transition(state: SpecState, event: SpecEvent): SpecState {
  const broken = brokenRule(state, event);
  if (broken !== null) throw new Illegal(broken, event);
  return immer.produce(state, (draft) => apply(draft, event));
}

/** A run under the eyes of the specification. */
export class SpecRun {
  readonly state: Mutable;
  /** Tasks whose last step in user mode was right, while nothing has happened since but such steps: they change nothing. */
  private readonly calm: number[] = [];
  /** How many of them hold now: a table that is emptied so often is not to be made anew each time. */
  private calmTasks = 0;

  /**
   * @param strict - Known defects of the posted code are no excuse.
   */
  constructor(strict = false) {
    this.state = newWorld(strict);
  }

  /**
   * Takes a step.
   *
   * @returns the rule that forbids it, in which case nothing has changed; null if none does.
   */
  step(event: SpecEvent): Rule | null {
    const inUserMode = event.type === "user-mode";
    if (!inUserMode) this.calmTasks = 0;
    const broken = brokenRule(this.state, event);
    if (broken !== null) return broken;
    apply(this.state, event);
    if (inUserMode && !this.isCalm(event.task)) this.calm[this.calmTasks++] = event.task;
    return null;
  }

  /** Whether another step in user mode of this task needs no look: most of what happens is such steps. */
  isCalm(task: number): boolean {
    for (let at = 0; at < this.calmTasks; at++) if (this.calm[at] === task) return true;
    return false;
  }

  /** The task that the call of this caller has resumed, and that has not gone on since; 0 if there is none. */
  resumedBy(by: number): number {
    const call = this.state.calls.get(by);
    if (call?.resumed !== true) return 0;
    const traced = this.state.engines.get(call.engine)?.task ?? 0;
    return this.state.tasks.get(traced)?.stop === "resumed" ? traced : 0;
  }
}

/** What an event that is allowed changes. */
function apply(state: Mutable, event: SpecEvent): void {
  const unseen = unseenOf(state, event);
  change(state, event);
  if (unseen !== null) state.unseen.push(unseen);
  if (state.calls.size === 0 || GIVE_NO_REASON.has(event.type)) return;
  for (const call of state.calls.values()) noteReasons(state, call);
}

/** Events after which there is a reason for no other result than before. */
const GIVE_NO_REASON: ReadonlySet<SpecEventType> = new Set([
  "struct-live",
  "struct-dying",
  "struct-freed",
  "events-set",
  "report-taken",
  "report-unannounced",
  "report-declined",
  "report-passed-by",
  "call-end",
  "store-seen",
]);

/** Adds the results for which there is a reason now. */
function noteReasons(state: SpecState, call: MutableCall): void {
  for (const { code, possible } of returnsOf(call.call)) {
    if (!call.possible.includes(code) && possible(state, call)) call.possible.push(code);
  }
  if (state.unseen.length === 0) return;
  for (const seen of laggingStates(state, call)) noteReasons({ ...seen, unseen: [] }, call);
}

function task(state: Mutable, number: number): MutableTask {
  let known = state.tasks.get(number);
  if (known === undefined) {
    known = { ...NEW_TASK };
    state.tasks.set(number, known);
  }
  return known;
}
const engineOf = (state: Mutable, engine: number): MutableEngine => state.engines.get(engine) as MutableEngine;

/** Takes the step of a life that an event stands for; the rules have seen to it that there is one. */
function advance<L extends string>(
  life: keyof typeof LIVES,
  object: { life: L } | undefined,
  event: SpecEventType,
): void {
  if (object !== undefined) object.life = nextLife(life, object.life, event) as L;
}

function change(state: Mutable, event: SpecEvent): void {
  switch (event.type) {
    case "store-seen": {
      const oldest = state.unseen.findIndex(({ by }) => by === event.by);
      if (oldest < 0) break;
      const [seen] = state.unseen.splice(oldest, 1);
      if (seen?.lost === true) unwish(state, seen.engine, event.by);
      break;
    }
    case "struct-live":
      state.structs.set(event.utrace, { life: "live", task: event.task, unannounced: false });
      break;
    case "struct-dying":
      advance("struct", state.structs.get(event.utrace), event.type);
      break;
    case "struct-freed":
      state.structs.delete(event.utrace);
      break;
    case "engine-attached":
      attach(state, event);
      break;
    case "engines-spliced":
      for (const engine of state.engines.values()) {
        if (engine.utrace === event.utrace && engine.life === "attaching") engine.life = "attached";
      }
      break;
    case "engine-detaching":
    case "engine-detached": {
      const engine = engineOf(state, event.engine);
      engine.expects = 0;
      advance("engine", engine, event.type);
      engine.holds = false;
      // A callback that detaches takes back what its engine asked for, without a word of the mark that says so.
      engine.stopDue = false;
      break;
    }
    case "engine-get":
      engineOf(state, event.engine).refs++;
      break;
    case "engine-put":
      engineOf(state, event.engine).refs--;
      break;
    case "engine-freed":
      state.engines.delete(event.engine);
      break;
    case "events-set": {
      const engine = state.engines.get(event.engine);
      if (engine === undefined) break;
      engine.mask = event.events;
      engine.may |= event.events;
      engine.expects = 0;
      break;
    }
    case "wants-stop": {
      const engine = state.engines.get(event.engine);
      if (engine === undefined) break;
      engine.wantsStop = event.wants;
      overrule(state, event);
      setLost(state, event.engine, false);
      engine.stopNoted = event.wants;
      engine.stopDue &&= event.wants;
      // What others ask for has to wait for a report; the task itself asks in one.
      engine.holds = event.wants && (engine.holds || event.by === engine.task) && engine.life !== "detaching";
      break;
    }
    case "task-dead":
    case "task-reaped":
    case "task-given-back":
      advance("task", task(state, event.task), event.type);
      break;
    case "task-freed":
      state.tasks.delete(event.task);
      break;
    case "task-killed":
      task(state, event.task).killed = true;
      break;
    case "task-exiting":
      // Dying by now: it may still stop to report its exit, until another SIGKILL comes.
      task(state, event.task).killed = false;
      break;
    case "task-stopped":
      Object.assign(task(state, event.task), { stop: "stopped", orphan: isOrphan(state, event.task) });
      for (const engine of state.engines.values()) {
        if (engine.task === event.task && engine.wantsStop && engine.life !== "detaching") engine.holds = true;
        if (engine.task === event.task) engine.stopDue = false;
      }
      break;
    case "task-resumed":
    case "kill-wakes": {
      const resumed = task(state, event.task);
      if (resumed.stop === "stopped") resumed.stop = "resumed";
      endStop(state, event);
      break;
    }
    case "stop-ended":
      task(state, event.task).stop = "running";
      endStop(state, event);
      noteRan(state, event.task);
      break;
    case "user-return":
      noteRan(state, event.task);
      if (state.tasks.get(event.task)?.jctl === true) task(state, event.task).jctl = false;
      break;
    case "user-mode":
      noteRan(state, event.task);
      break;
    case "report-unannounced":
      noteUnannounced(state, event);
      break;
    case "report-taken": {
      const struct = state.structs.get(event.utrace);
      if (struct !== undefined) struct.unannounced = false;
      break;
    }
    case "report-declined": {
      const call = state.calls.get(event.by);
      if (call !== undefined && !state.strict) call.excused = true;
      break;
    }
    case "report-passed-by":
      notePassedBy(state, event);
      break;
    case "report-begin": {
      const jctl = event.event === UTRACE_EVENT.JCTL;
      Object.assign(task(state, event.task), { report: event.event, callback: 0, lastOrder: -1, jctl });
      beginReport(state, event);
      break;
    }
    case "report-end":
      if (task(state, event.task).report === UTRACE_EVENT_SIGNAL_ALL) overlookInSignalPass(state, event.task);
      task(state, event.task).report = -1;
      break;
    case "callback-begin":
      beginCallback(state, event);
      break;
    case "callback-end":
      endCallback(state, event);
      break;
    case "call-begin": {
      beginCall(state, event);
      break;
    }
    case "call-end":
      endCall(state, event);
      break;
  }
}

function attach(state: Mutable, { engine, utrace, by }: EventOf<"engine-attached">): void {
  const call = state.calls.get(by);
  state.engines.set(engine, {
    life: "attaching",
    task: state.structs.get(utrace)?.task ?? 0,
    utrace,
    order: state.attached++,
    refs: 2,
    ops: call?.ops ?? 0,
    data: call?.data ?? 0,
    mask: 0,
    may: 0,
    wantsStop: false,
    stopNoted: false,
    holds: false,
    silent: false,
    left: false,
    reaped: false,
    owed: false,
    stopDue: false,
    leaveDue: false,
    expects: 0,
  });
}

/** In a stop that somebody is there to end. */
const isHeld = (traced: MutableTask | undefined): boolean => traced?.stop === "stopped" && !traced.orphan;

function beginCall(state: Mutable, event: EventOf<"call-begin">): void {
  const { by, call, target, engine, argument, ops, data } = event;
  const traced = state.engines.get(engine)?.task ?? target;
  state.calls.set(by, {
    by,
    call,
    target,
    engine,
    argument,
    ops,
    data,
    possible: [],
    answered: false,
    excused: beginsExcused(state, traced),
    stopped: isHeld(state.tasks.get(traced)),
    resumed: false,
    overruled: false,
  });
}

/** Whoever examines the task has seen what no longer holds. */
function noteRan(state: Mutable, ran: number): void {
  for (const exam of state.exams.values()) if (exam.task === ran) exam.ran = true;
}

/** Calls that found a task stopped look at another task from now on. */
function endStop(state: Mutable, event: { readonly by: number; readonly task: number }): void {
  for (const call of state.calls.values()) {
    if (!call.stopped || state.engines.get(call.engine)?.task !== event.task) continue;
    call.stopped = false;
    call.resumed = call.by === event.by;
  }
}

/** Whether an engine wants a stop has been said: other calls about that may no longer have the last word. */
function overrule(state: Mutable, { engine, by }: { readonly engine: number; readonly by: number }): void {
  for (const call of state.calls.values()) if (call.engine === engine && call.by !== by) call.overruled = true;
}

/** What is on its way to the mark of an engine's wish to stop will take back what its callback has said. */
function setLost(state: Mutable, engine: number, lost: boolean): void {
  for (const unseen of state.unseen)
    if (unseen.engine === engine && unseen.before.stopNoted === true) unseen.lost = lost;
}

/** The mark is gone, and with it the wish: as if who took it back had come after the callback. */
function unwish(state: Mutable, engine: number, by: number): void {
  const known = state.engines.get(engine);
  if (known === undefined) return;
  overrule(state, { engine, by });
  Object.assign(known, { wantsStop: false, stopDue: false, holds: false });
}

function beginCallback(state: Mutable, { engine, callback }: EventOf<"callback-begin">): void {
  const called = engineOf(state, engine);
  Object.assign(task(state, called.task), { running: engine, callback, lastOrder: called.order });
  if (called.expects === callback || called.expects === ANY_CALLBACK) called.expects = 0;
}

function endCallback(state: Mutable, { engine, action, by }: EventOf<"callback-end">): void {
  const called = engineOf(state, engine);
  const traced = task(state, called.task);
  traced.running = 0;
  if (traced.callback === UTRACE_EVENT.REAP) called.reaped = true;
  if (called.life !== "attached") return;
  const asked = utrace_resume_action(action);
  if (asked === UTRACE_DETACH) {
    called.left = true;
    called.expects = 0;
  }
  if (traced.life !== "alive") return;
  if (asked === UTRACE_DETACH) called.leaveDue = traced.report !== UTRACE_EVENT_SIGNAL_ALL;
  else if (asked === UTRACE_STOP) {
    overrule(state, { engine, by });
    called.wantsStop = true;
    called.holds = true;
    setLost(state, engine, true);
  }
}

function endCall(state: Mutable, { by, result }: EventOf<"call-end">): void {
  const call = state.calls.get(by) as MutableCall;
  state.calls.delete(by);
  const engine = state.engines.get(call.engine);
  if (engine === undefined) return;
  if (call.call === "utrace_prepare_examine" && result === 0) {
    state.exams.set(by, { engine: call.engine, task: engine.task, ran: false });
  } else if (call.call === "utrace_finish_examine") state.exams.delete(by);
  if (call.call === "utrace_control") endControl(state, call, engine, result);
  if (call.call === "utrace_control" && result === 0) {
    if (call.argument === UTRACE_STOP && engine.life !== "detaching") engine.holds = engine.wantsStop;
    // Of another call that returns 0, it may be the reap that has taken the engine off meanwhile: report_reap is to come.
    const gone = engine.life === "detaching" || engine.life === "detached";
    if (call.argument === UTRACE_DETACH && gone) engine.silent = true;
  }
  const events = call.call === "utrace_set_events" || call.call === "utrace_barrier";
  if (events && result === 0 && !some(state.calls, setsEvents(call.engine))) engine.may = engine.mask;
}

const setsEvents =
  (engine: number) =>
  (call: Readonly<MutableCall>): boolean =>
    call.engine === engine && call.call === "utrace_set_events";
