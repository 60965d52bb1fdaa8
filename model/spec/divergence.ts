/** A divergence in words: the rule, the step, what the specification knows of those it is about, what it would allow. */
import { UTRACE_EVENT, UTRACE_EVENT_SIGNAL_ALL, UTRACE_RESUME } from "../utrace/events.ts";
import type { SpecEvent, SpecEventType } from "./events.ts";
import { returnsOf } from "./returns.ts";
import { brokenRule, type Rule } from "./rules.ts";
import { type SpecState, taskOf } from "./state.ts";

/** Names of the callbacks by the event bit that stands for each. */
const CALLBACKS = Object.entries(UTRACE_EVENT);

/** The task that an event is about; 0 if it is about none that is known. */
function subjectOf({ engines, structs, calls }: SpecState, event: SpecEvent): number {
  if ("task" in event) return event.task;
  const engine = "engine" in event ? event.engine : (calls.get(event.by)?.engine ?? 0);
  if (engine !== 0) return engines.get(engine)?.task ?? 0;
  if ("utrace" in event) return structs.get(event.utrace)?.task ?? 0;
  if ("target" in event) return event.target;
  return calls.get(event.by)?.target ?? 0;
}

/** Events of every type with the objects of `event`; of those with an argument, all that make a difference. */
function* alternatives(state: SpecState, event: SpecEvent): Generator<readonly [text: string, SpecEvent]> {
  const { by } = event;
  const task = subjectOf(state, event);
  const simple = (type: SpecEventType, object: object): readonly [string, SpecEvent] => [
    type,
    { type, by, ...object } as SpecEvent,
  ];
  if (event.type === "call-end") {
    for (const { code, codeName } of returnsOf(event.call)) {
      const result = code === 0 ? Math.max(event.result, 0) : code;
      yield [`${event.call} returns ${codeName}`, { ...event, result }];
    }
  } else if ("engine" in event && event.type !== "call-begin") {
    const { engine } = event;
    if ("utrace" in event) yield simple("engine-attached", { engine, utrace: event.utrace });
    for (const type of ["engine-detaching", "engine-detached", "engine-get", "engine-put", "engine-freed"] as const) {
      yield simple(type, { engine });
    }
    for (const [name, callback] of CALLBACKS) {
      const begin = simple("callback-begin", { engine, callback })[1];
      if (callback <= UTRACE_EVENT.SIGNAL || callback === UTRACE_EVENT.JCTL) yield [`callback of ${name}`, begin];
    }
    yield simple("callback-end", { engine, action: UTRACE_RESUME });
  } else if ("utrace" in event) {
    const { utrace } = event;
    if ("task" in event) yield simple("struct-live", { utrace, task });
    yield simple("struct-dying", { utrace });
    yield simple("struct-freed", { utrace });
  } else if ("task" in event) {
    for (const type of TASK_EVENTS) yield simple(type, { task });
    for (const [name, bit] of CALLBACKS) {
      const report = (bit & UTRACE_EVENT_SIGNAL_ALL) !== 0 ? UTRACE_EVENT_SIGNAL_ALL : bit;
      yield [`report of ${name}`, { type: "report-begin", by, task, event: report }];
    }
  }
}
const TASK_EVENTS = [
  "task-dead",
  "task-reaped",
  "task-freed",
  "task-stopped",
  "task-resumed",
  "stop-ended",
  "user-mode",
  "report-end",
] as const;

/** What the specification would have allowed in place of `event`, with the same objects. */
export function allowedInstead(state: SpecState, event: SpecEvent): string[] {
  const allowed: string[] = [];
  for (const [text, other] of alternatives(state, event)) if (brokenRule(state, other) === null) allowed.push(text);
  return allowed;
}

/**
 * The whole text.
 *
 * @param hex - How a number that names an object is written.
 */
export function describeDivergence(
  state: SpecState,
  event: SpecEvent,
  { name, sentence }: Rule,
  hex: (object: number) => string,
): string {
  const task = subjectOf(state, event);
  const write = (object: object): string =>
    Object.entries(object)
      .map(([key, value]) => `${key}=${OBJECTS.has(key) && value !== 0 ? hex(value as number) : String(value)}`)
      .join(" ");
  const { type, ...rest } = event;
  const lines = [`${sentence} (rule ${name})`, `step: ${type} ${write(rest)}`];
  if (task !== 0) lines.push(`task ${hex(task)}: ${write(taskOf(state, task))}`);
  for (const [utrace, struct] of state.structs) {
    if (struct.task === task) lines.push(`struct ${hex(Number(utrace))}: ${struct.life}`);
  }
  const engine = "engine" in event ? event.engine : 0;
  for (const [number, known] of state.engines) {
    if (known.task === task || Number(number) === engine) lines.push(`engine ${hex(Number(number))}: ${write(known)}`);
  }
  const call = state.calls.get(event.by);
  if (call !== undefined) lines.push(`call: ${write(call)}`);
  const allowed = allowedInstead(state, event);
  lines.push(`allowed: ${allowed.length === 0 ? "nothing of its kind" : allowed.join(", ")}`);
  return lines.join("; ");
}
const OBJECTS: ReadonlySet<string> = new Set(["by", "task", "engine", "utrace", "target", "ops", "data", "running"]);
