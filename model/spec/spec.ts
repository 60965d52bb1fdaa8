/**
 * The specification as a machine: from a state and an event to the next state, or to the rule that forbids it.
 *
 * {@link transition} is the pure form. {@link SpecRun} takes the same steps in a state of its own, for who takes many.
 */
import { type Draft, Immer } from "immer";
import { UTRACE_EVENT, UTRACE_STOP, utrace_resume_action } from "../utrace/events.ts";
import type { EventOf, SpecEvent } from "./events.ts";
import { returnsOf } from "./returns.ts";
import { brokenRule, type Rule } from "./rules.ts";
import {
  type CallState,
  EMPTY_WORLD,
  type EngineLife,
  type EngineState,
  NEW_TASK,
  nextLife,
  type SpecState,
  type StructLife,
  type TaskLife,
  type TaskState,
} from "./state.ts";

/** States are handed from transition to transition and nowhere else, so freezing them would be wasted work. */
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
  readonly state = structuredClone(EMPTY_WORLD) as Draft<SpecState>;

  /**
   * Takes a step.
   *
   * @returns the rule that forbids it, in which case nothing has changed; null if none does.
   */
  step(event: SpecEvent): Rule | null {
    const broken = brokenRule(this.state, event);
    if (broken === null) apply(this.state, event);
    return broken;
  }
}

type Mutable = Draft<SpecState>;

/** What an event that is allowed changes. */
function apply(state: Mutable, event: SpecEvent): void {
  change(state, event);
  for (const call of Object.values(state.calls)) noteReasons(state, call);
}

/** Adds the results for which there is a reason now. */
function noteReasons(state: SpecState, call: Draft<CallState>): void {
  for (const { code, possible } of returnsOf(call.call)) {
    if (!call.possible.includes(code) && possible(state, call)) call.possible.push(code);
  }
}

function task(state: Mutable, number: number): Draft<TaskState> {
  let known = state.tasks[number];
  if (known === undefined) {
    known = { ...NEW_TASK };
    state.tasks[number] = known;
  }
  return known;
}
const engineOf = (state: Mutable, engine: number): Draft<EngineState> => state.engines[engine] as Draft<EngineState>;

function change(state: Mutable, event: SpecEvent): void {
  switch (event.type) {
    case "struct-live":
      state.structs[event.utrace] = { life: "live", task: event.task };
      break;
    case "struct-dying": {
      const struct = state.structs[event.utrace];
      if (struct !== undefined) struct.life = nextLife("struct", struct.life, event.type) as StructLife;
      break;
    }
    case "struct-freed":
      delete state.structs[event.utrace];
      break;
    case "engine-attached":
      attach(state, event);
      break;
    case "engines-spliced":
      for (const engine of Object.values(state.engines)) {
        if (engine.utrace === event.utrace && engine.life === "attaching") engine.life = "attached";
      }
      break;
    case "engine-detaching":
    case "engine-detached": {
      const engine = engineOf(state, event.engine);
      engine.life = nextLife("engine", engine.life, event.type) as EngineLife;
      engine.holds = false;
      break;
    }
    case "engine-get":
      engineOf(state, event.engine).refs++;
      break;
    case "engine-put":
      engineOf(state, event.engine).refs--;
      break;
    case "engine-freed":
      delete state.engines[event.engine];
      break;
    case "events-set": {
      const engine = state.engines[event.engine];
      if (engine === undefined) break;
      engine.mask = event.events;
      engine.may |= event.events;
      break;
    }
    case "wants-stop": {
      const engine = state.engines[event.engine];
      if (engine === undefined) break;
      engine.wantsStop = event.wants;
      // What others ask for has to wait for a report; the task itself asks in one.
      engine.holds = event.wants && (engine.holds || event.by === engine.task) && engine.life !== "detaching";
      break;
    }
    case "task-dead":
    case "task-reaped":
    case "task-given-back": {
      const died = task(state, event.task);
      died.life = nextLife("task", died.life, event.type) as TaskLife;
      break;
    }
    case "task-freed":
      delete state.tasks[event.task];
      break;
    case "task-killed":
      task(state, event.task).killed = true;
      break;
    case "task-exiting":
      // Dying by now: it may still stop to report its exit, until another SIGKILL comes.
      task(state, event.task).killed = false;
      break;
    case "task-stopped":
      task(state, event.task).stop = "stopped";
      for (const engine of Object.values(state.engines)) {
        if (engine.task === event.task && engine.wantsStop && engine.life !== "detaching") engine.holds = true;
      }
      break;
    case "task-resumed":
    case "kill-wakes": {
      const resumed = task(state, event.task);
      if (resumed.stop === "stopped") resumed.stop = "resumed";
      break;
    }
    case "stop-ended":
      task(state, event.task).stop = "running";
      break;
    case "user-mode":
      break;
    case "report-begin":
      Object.assign(task(state, event.task), { report: event.event, callback: 0, lastOrder: -1 });
      break;
    case "report-end":
      task(state, event.task).report = -1;
      break;
    case "callback-begin":
      beginCallback(state, event);
      break;
    case "callback-end":
      endCallback(state, event);
      break;
    case "call-begin": {
      const { call, target, engine, argument, ops, data } = event;
      state.calls[event.by] = { by: event.by, call, target, engine, argument, ops, data, possible: [] };
      break;
    }
    case "call-end":
      endCall(state, event);
      break;
  }
}

function attach(state: Mutable, { engine, utrace, by }: EventOf<"engine-attached">): void {
  const call = state.calls[by];
  state.engines[engine] = {
    life: "attaching",
    task: state.structs[utrace]?.task ?? 0,
    utrace,
    order: state.attached++,
    refs: 2,
    ops: call?.ops ?? 0,
    data: call?.data ?? 0,
    mask: 0,
    may: 0,
    wantsStop: false,
    holds: false,
    silent: false,
    reaped: false,
  };
}

function beginCallback(state: Mutable, { engine, callback }: EventOf<"callback-begin">): void {
  const called = engineOf(state, engine);
  Object.assign(task(state, called.task), { running: engine, callback, lastOrder: called.order });
}

function endCallback(state: Mutable, { engine, action }: EventOf<"callback-end">): void {
  const called = engineOf(state, engine);
  const traced = task(state, called.task);
  traced.running = 0;
  if (traced.callback === UTRACE_EVENT.REAP) called.reaped = true;
  if (utrace_resume_action(action) !== UTRACE_STOP || traced.life !== "alive") return;
  if (called.life !== "attached") return;
  called.wantsStop = true;
  called.holds = true;
}

function endCall(state: Mutable, { by, result }: EventOf<"call-end">): void {
  const call = state.calls[by] as Draft<CallState>;
  delete state.calls[by];
  const engine = state.engines[call.engine];
  if (engine === undefined) return;
  if (call.call === "utrace_control" && result === 0) {
    if (call.argument === UTRACE_STOP && engine.life !== "detaching") engine.holds = engine.wantsStop;
    if (engine.life === "detaching" || engine.life === "detached") engine.silent = true;
  }
  const events = call.call === "utrace_set_events" || call.call === "utrace_barrier";
  if (events && result === 0 && !Object.values(state.calls).some(setsEvents(call.engine))) engine.may = engine.mask;
}

const setsEvents =
  (engine: number) =>
  (call: Readonly<CallState>): boolean =>
    call.engine === engine && call.call === "utrace_set_events";
