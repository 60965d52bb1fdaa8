/**
 * What is promised for later: a report to whoever asked for one, a stop, a detach that is finished. A promise is made
 * when a call returns, or by a callback's action; it has to be kept by the task's next way back to user mode, which is
 * where it looks for such work.
 *
 * Does not check: how soon a task that stays in user mode, or sleeps in a system call, is on that way.
 */
import { EINPROGRESS } from "../linux/errno.ts";
import {
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_EVENT_SIGNAL_ALL,
  UTRACE_INTERRUPT,
  UTRACE_REPORT,
  UTRACE_STOP,
} from "../utrace/events.ts";
import type { EventOf } from "./events.ts";
import {
  ANY_CALLBACK,
  type EngineState,
  every,
  filter,
  type Mutable,
  type MutableCall,
  type MutableEngine,
  some,
} from "./state.ts";

/** A defect of the posted code by which a promise is not kept, and which the specification excuses. */
export interface Excuse {
  readonly name: string;
  readonly sentence: string;
}

/**
 * All of them. They excuse what was promised in the situation that the sentence names, and nothing else; where the
 * situation cannot be seen from outside, the model notes it at its `BUG(kernel)`. A strict world excuses nothing.
 */
export const EXCUSES: readonly Excuse[] = [
  {
    name: "report-of-stopped",
    sentence:
      "UTRACE_REPORT of a task that counts as stopped asks for nothing, though it is resumed (note report-declined)",
  },
  {
    name: "report-unannounced",
    sentence:
      "an attach sets `report` without TIF_NOTIFY_RESUME, and whoever asks after it believes both to be set (note report-unannounced; mended by the patch notify-at-attach)",
  },
  {
    name: "no-events",
    sentence:
      "a task none of whose engines has asked for events has utrace_flags 0, and goes by every hook (note report-passed-by)",
  },
  {
    name: "jctl-takes-report",
    sentence:
      "the report of a job control stop clears `report`, but does not take in engines that are attaching; and while the task is in it, nobody is told of what is asked",
  },
  {
    name: "signal-pass",
    sentence:
      "a pass in the signal path does not look at ENGINE_STOP of an engine without QUIESCE; nor does it take detached engines off if a signal is delivered",
  },
  {
    name: "stop-after-last-detach",
    sentence:
      "a task stops for an engine that has left since, or on a struct that was given up; nobody is there to resume it",
  },
];

/** Whether any engine of a task may have been heard of by its hooks: it has asked for events, or is just about to. */
function asksForEvents(state: Mutable, task: number): boolean {
  for (const engine of state.engines.values()) {
    if (engine.task === task && engine.life !== "detached" && engine.mask !== 0) {
      return !some(
        state.calls,
        ({ call, engine: of }) => call === "utrace_set_events" && state.engines.get(of)?.task === task,
      );
    }
  }
  return false;
}

const callsOn = (state: Mutable, task: number): MutableCall[] =>
  filter(state.calls, ({ engine }) => state.engines.get(engine)?.task === task);

const forget = (engine: MutableEngine): void => {
  engine.owed = false;
  engine.stopDue = false;
  engine.leaveDue = false;
};

/** Whether a call that begins now may come upon a known defect. */
export const beginsExcused = (state: Mutable, task: number): boolean =>
  !state.strict &&
  (state.tasks.get(task)?.jctl === true || some(state.structs, (struct) => struct.task === task && struct.unannounced));

/** An attach has set `report` without a word to the task. */
export function noteUnannounced(state: Mutable, { utrace }: EventOf<"report-unannounced">): void {
  const struct = state.structs.get(utrace);
  if (struct === undefined) return;
  struct.unannounced = true;
  if (!state.strict) for (const call of callsOn(state, struct.task)) call.excused = true;
}

/** The task has gone by a hook at which it would have found what it was asked. */
export function notePassedBy(state: Mutable, { task }: EventOf<"report-passed-by">): void {
  if (state.strict || asksForEvents(state, task)) return;
  for (const engine of state.engines.values()) if (engine.task === task) forget(engine);
  for (const call of callsOn(state, task)) call.excused = true;
  // What was asked stays noted in the struct, so that the next who asks believes the task to be told of it.
  for (const struct of state.structs.values()) if (struct.task === task) struct.unannounced = true;
}

/** Whether a task stops though nobody would resume it. */
export const isOrphan = (state: Mutable, task: number): boolean =>
  !(
    state.strict ||
    (some(
      state.engines,
      (engine) =>
        engine.task === task && engine.wantsStop && (engine.life === "attached" || engine.life === "attaching"),
    ) &&
      every(state.structs, (struct) => struct.task !== task || struct.life === "live"))
  );

/** The callback that a report has to come to, of an engine that is on the list and stays as it is. */
function expected({ life, mask }: Readonly<EngineState>, event: number): number {
  if (life !== "attached") return 0;
  if (event === UTRACE_EVENT_SIGNAL_ALL) return (mask & UTRACE_EVENT.QUIESCE) !== 0 ? ANY_CALLBACK : 0;
  return (mask & event) !== 0 ? event : mask & UTRACE_EVENT.QUIESCE;
}

/** A report keeps what was promised to the engines on the list. */
export function beginReport(state: Mutable, { task, event }: EventOf<"report-begin">): void {
  for (const engine of state.engines.values()) {
    if (engine.task !== task || engine.life === "detached") continue;
    engine.expects = expected(engine, event);
    if (engine.life !== "attaching") engine.owed = false;
    if (event === UTRACE_EVENT.JCTL && engine.life === "attaching" && !state.strict) forget(engine);
  }
  for (const call of callsOn(state, task)) {
    const engine = state.engines.get(call.engine) as MutableEngine;
    if (engine.life !== "attaching") call.answered = true;
    else if (event === UTRACE_EVENT.JCTL && !state.strict) call.excused = true;
    if (call.call === "utrace_set_events") engine.expects = 0;
  }
  if (event === UTRACE_EVENT_SIGNAL_ALL) overlookInSignalPass(state, task);
}

/** A pass in the signal path, at its begin and at its end: what an engine wants may have changed in between. */
export function overlookInSignalPass(state: Mutable, task: number): void {
  if (state.strict) return;
  for (const engine of state.engines.values()) {
    if (engine.task !== task) continue;
    if ((engine.mask & UTRACE_EVENT.QUIESCE) === 0) engine.stopDue = false;
    engine.leaveDue = false;
  }
  for (const call of callsOn(state, task)) {
    const overlooked = ((state.engines.get(call.engine)?.mask ?? 0) & UTRACE_EVENT.QUIESCE) === 0;
    if (overlooked || call.argument === UTRACE_DETACH) call.excused = true;
  }
}

/** What utrace_control promises by returning `result`. */
export function endControl(state: Mutable, call: Readonly<MutableCall>, engine: MutableEngine, result: number): void {
  if ((state.tasks.get(engine.task)?.life ?? "alive") !== "alive" || call.excused) return;
  const listed = engine.life === "attached" || engine.life === "attaching";
  const { argument } = call;
  const asked =
    ((argument === UTRACE_REPORT || argument === UTRACE_INTERRUPT) && result === 0) ||
    (argument === UTRACE_STOP && result === -EINPROGRESS);
  if (asked && listed && !call.answered) engine.owed = true;
  if (argument === UTRACE_STOP && result === -EINPROGRESS && listed) engine.stopDue = engine.wantsStop;
  const leaves = argument === UTRACE_DETACH && (result === 0 || result === -EINPROGRESS);
  if (leaves && engine.life === "detaching") engine.leaveDue = true;
}
