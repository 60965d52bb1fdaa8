/** Events for the tests of the specification, made short: tasks are 1 and 2, callers 8 and 9, structs 10 and up, engines 20 and up. */
import { UTRACE_EVENT } from "../utrace/events.ts";
import type { SpecEvent } from "./events.ts";

/** A caller of the interface that is not traced itself. */
export const TRACER = 8;
/** Another one. */
export const OTHER_TRACER = 9;

/** A struct begins to live. */
export const live = (utrace = 10, task = 1): SpecEvent => ({ type: "struct-live", by: TRACER, utrace, task });
/** The other things that happen to one. */
export const struct = (
  type: Exclude<Extract<SpecEvent, { readonly utrace: number }>["type"], "struct-live" | "engine-attached">,
  utrace = 10,
): SpecEvent => ({
  type,
  by: 0,
  utrace,
});
/** An engine is attached. */
export const attached = (engine = 20, utrace = 10): SpecEvent => ({
  type: "engine-attached",
  by: TRACER,
  engine,
  utrace,
});
/** An engine is marked, taken off, referred to, dropped, released. */
export const engine = (
  type: "engine-detaching" | "engine-detached" | "engine-get" | "engine-put" | "engine-freed",
  number = 20,
): SpecEvent => ({ type, by: TRACER, engine: number });
/** It asks for events. */
export const events = (mask: number, number = 20): SpecEvent => ({
  type: "events-set",
  by: TRACER,
  engine: number,
  events: mask,
});
/** It wants its task stopped, or no longer. */
export const wants = (stop: boolean, by = TRACER, number = 20): SpecEvent => ({
  type: "wants-stop",
  by,
  engine: number,
  wants: stop,
});
/** Something happens to a task, by itself unless told otherwise. */
export const task = (type: Extract<SpecEvent, { readonly task: number }>["type"], number = 1, by = number): SpecEvent =>
  ({ type, by, task: number }) as SpecEvent;
/** A task begins a report. */
export const report = (event: number, number = 1, by = number): SpecEvent => ({
  type: "report-begin",
  by,
  task: number,
  event,
});
/** A callback begins. */
export const callback = (event: number, number = 20, by = 1): SpecEvent => ({
  type: "callback-begin",
  by,
  engine: number,
  callback: event,
});
/** A callback has returned. */
export const returned = (action: number, number = 20, by = 1): SpecEvent => ({
  type: "callback-end",
  by,
  engine: number,
  action,
});
/** A call on an engine begins. */
export const call = (name: string, argument = 0, by = TRACER, number = 20): SpecEvent => ({
  type: "call-begin",
  by,
  call: name,
  target: 0,
  engine: number,
  argument,
  ops: 0,
  data: 0,
});
/** An attach begins. */
export const attach = (flags: number, ops = 5, data = 6, target = 1, by = TRACER): SpecEvent => ({
  type: "call-begin",
  by,
  call: "utrace_attach_task",
  target,
  engine: 0,
  argument: flags,
  ops,
  data,
});
/** A call has returned. */
export const returns = (name: string, result: number, by = TRACER): SpecEvent => ({
  type: "call-end",
  by,
  call: name,
  result,
});

const { QUIESCE, EXEC, DEATH, REAP } = UTRACE_EVENT;
/** An engine of task 1 on its list, which wants to hear of everything that tests tell it of. */
export const TRACED: readonly SpecEvent[] = [
  live(),
  attached(),
  struct("engines-spliced"),
  events(QUIESCE | EXEC | DEATH | REAP),
];
/** The same task, reaped, with its engine off the list. */
export const REAPED: readonly SpecEvent[] = [
  ...TRACED,
  task("task-dead"),
  task("task-reaped", 1, 9),
  engine("engine-detached"),
];
