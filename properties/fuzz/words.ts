/** A fuzzed program in words, a line for each of its tasks and engines: for people. */
import * as signals from "../../model/linux/signal.ts";
import {
  UTRACE_ATTACH_CREATE,
  UTRACE_ATTACH_EXCLUSIVE,
  UTRACE_ATTACH_MATCH_DATA,
  UTRACE_ATTACH_MATCH_OPS,
  UTRACE_EVENT,
  UTRACE_SIGNAL_HOLD,
  UTRACE_SYSCALL_ABORT,
  utrace_resume_action,
  utrace_signal_action,
} from "../../model/utrace/events.ts";
import type { FuzzCase } from "./case.ts";

const RESUME_ACTIONS = ["STOP", "REPORT", "INTERRUPT", "SINGLESTEP", "BLOCKSTEP", "RESUME", "DETACH"];
const SIGNAL_ACTIONS = ["DELIVER", "IGN", "TERM", "CORE", "STOP", "TSTP", "REPORT", "HANDLER"];
const ATTACH_FLAGS = {
  CREATE: UTRACE_ATTACH_CREATE,
  EXCLUSIVE: UTRACE_ATTACH_EXCLUSIVE,
  MATCH_OPS: UTRACE_ATTACH_MATCH_OPS,
  MATCH_DATA: UTRACE_ATTACH_MATCH_DATA,
};
const ALL_EVENTS = Object.values(UTRACE_EVENT).reduce((all, bit) => all | bit, 0);

/** Names of the bits of a mask. */
function bitNames(mask: number, names: Readonly<Record<string, number>>): string {
  const set = Object.entries(names).flatMap(([name, bit]) => ((mask & bit) !== 0 ? [name] : []));
  return set.length === 0 ? "none" : set.join("|");
}

const eventNames = (mask: number): string => (mask === ALL_EVENTS ? "all" : bitNames(mask, UTRACE_EVENT));
const actionName = (action: number): string => RESUME_ACTIONS[utrace_resume_action(action)] ?? String(action);
const signalName = (signal: number): string =>
  Object.entries(signals).find(([name, value]) => /^SIG[A-Z]+[0-9]?$/.test(name) && value === signal)?.[0] ??
  `signal ${signal}`;

/** What a callback answers: its resume action, and a signal or system call action where it has one. */
function answerWords(callback: string, answer: number): string {
  const words = [actionName(answer)];
  if (callback === "report_signal") {
    words.push(SIGNAL_ACTIONS[utrace_signal_action(answer) >> 4] ?? "");
    if ((answer & UTRACE_SIGNAL_HOLD) !== 0) words.push("HOLD");
  } else if (callback === "report_syscall_entry" && (answer & UTRACE_SYSCALL_ABORT) !== 0) words.push("ABORT");
  return words.join("|");
}

/** A step of any kind: what it does, and with what. */
function stepWords({ do: deed, ...rest }: { readonly do: string }): string {
  const words = Object.entries(rest).map(([key, value]: [string, unknown]) => {
    const given = value as number;
    if (key === "action") return actionName(given);
    if (key === "mask") return eventNames(given);
    if (key === "signal") return signalName(given);
    if (key === "flags") return given === UTRACE_ATTACH_CREATE ? "" : bitNames(given, ATTACH_FLAGS);
    if (key === "target" || key === "engine") return `${key}${given}`;
    return given === 0 ? "" : `${key} ${given}`;
  });
  return [deed, ...words].filter((word) => word !== "").join(" ");
}

const steps = (list: readonly { readonly do: string }[]): string =>
  list.length === 0 ? "nothing" : list.map(stepWords).join("; ");

/** The lines of a program. */
export function programWords({ parameters, script }: FuzzCase): string[] {
  const { targets, tracers, senders, engines, ...circumstances } = script;
  const { lifetime, cpus, config = "", memory = "sc" } = parameters;
  const world = [lifetime, `${cpus} CPU${cpus === 1 ? "" : "s"}`, memory === "sc" ? "" : memory, config];
  const how = Object.entries(circumstances).flatMap(([name, holds]) => (holds === true ? [name] : []));
  return [
    [...world, ...how].filter((word) => word !== "" && word !== undefined).join(", "),
    ...targets.map((list, at) => `target${at}  ${steps(list)}`),
    ...tracers.map((list, at) => `tracer${at}  ${steps(list)}`),
    ...senders.map((list, at) => `sender${at}  ${steps(list.map((signal) => ({ do: "kill", ...signal })))}`),
    ...engines.map((engine, at) => `engine${at}  ${engineWords(engine)}`),
  ];
}

function engineWords({ answers, inside, ...more }: FuzzCase["script"]["engines"][number]): string {
  const said = Object.entries(answers).map(([name, answer]) => `${name}: ${answerWords(name, answer as number)}`);
  if (inside !== null) said.push(`in ${inside.callback}: ${stepWords(inside.call)}`);
  for (const [name, mask] of Object.entries(more)) {
    if (typeof mask === "number" && mask !== 0) said.push(`${name}: ${eventNames(mask)}`);
  }
  return said.length === 0 ? "answers RESUME" : said.join("; ");
}
