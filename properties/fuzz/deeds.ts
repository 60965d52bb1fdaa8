/**
 * What a run of a fuzzed program came to, from its notes and its history: stops, wake-ups, callbacks, calls that had to
 * wait. For who wants to know whether generated programs do anything.
 */
import { EINPROGRESS } from "../../model/linux/errno.ts";
import { UTRACE_DETACH, UTRACE_EVENT } from "../../model/utrace/events.ts";
import type { RunResult } from "../../sim/index.ts";

const SIGNAL_EVENTS = ["SIGNAL", "SIGNAL_IGN", "SIGNAL_STOP", "SIGNAL_TERM", "SIGNAL_CORE"];
/** Names of callbacks by the bit that they are noted with. */
const CALLBACKS = new Map(
  Object.entries(UTRACE_EVENT).map(([name, bit]) => [
    bit as number,
    `report_${SIGNAL_EVENTS.includes(name) ? "signal" : name.toLowerCase()}`,
  ]),
);

/** What can be done, besides a callback of each kind. */
export const DEEDS = [
  "attach",
  "callback",
  "stop",
  "wake-up by utrace_wakeup",
  "SIGKILL ends a stop",
  "job control stop",
  "two engines on a task",
  "barrier waits",
  "detach meets a callback",
] as const;

/** All callbacks that a script can hear of, by name. */
export const HEARD = [...new Set(CALLBACKS.values())];

/** What was done in a run that was recorded. */
export function deedsOf({ notes, history }: RunResult): ReadonlySet<string> {
  const done = new Set<string>();
  const stopped = new Set<number>();
  const taskOf = new Map<number, number>();
  const engines = new Map<number, number>();
  const asked = new Map<string, number>();
  const count = (utrace: number, by: number): number => {
    const task = taskOf.get(utrace) ?? utrace;
    const left = (engines.get(task) ?? 0) + by;
    engines.set(task, left);
    return left;
  };
  const structOf = new Map<number, number>();
  for (const { subject, pointer, value, task } of notes) {
    switch (subject) {
      case "struct-live":
        taskOf.set(pointer, value);
        break;
      case "engine-attached":
        done.add("attach");
        structOf.set(pointer, value);
        if (count(value, 1) > 1) done.add("two engines on a task");
        break;
      case "engine-detached":
        count(structOf.get(pointer) ?? 0, -1);
        break;
      case "callback-begin":
        done.add("callback");
        done.add(CALLBACKS.get(value) ?? "");
        break;
      case "task-stopped":
        done.add("stop");
        stopped.add(pointer);
        break;
      case "task-resumed":
        if (stopped.has(pointer)) done.add("wake-up by utrace_wakeup");
        break;
      case "kill-wakes":
        if (stopped.has(pointer)) done.add("SIGKILL ends a stop");
        break;
      case "stop-ended":
        stopped.delete(pointer);
        break;
      case "utrace_control":
        asked.set(task, value);
        break;
      case "utrace_control returns":
        if (asked.get(task) === UTRACE_DETACH && value === -EINPROGRESS) done.add("detach meets a callback");
        break;
    }
  }
  for (const { backtrace } of history) {
    if (backtrace[0] === "finish_stop") done.add("job control stop");
    if (backtrace[0] === "schedule_timeout_interruptible" && backtrace[1] === "utrace_barrier")
      done.add("barrier waits");
  }
  return done;
}
