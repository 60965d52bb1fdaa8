/** What the commands say in words. Every text ends with a newline. */
import type { Parameters } from "../../scenarios/scenario.ts";
import type { Cost } from "../../sim/cost.ts";
import type { Finding } from "../../sim/finding.ts";
import { optionsFor, type Subject } from "../options.ts";
import type { Repro } from "../reproFile.ts";
import { TOOL } from "../tool.ts";

/** `1 step`, `2 steps`. */
export const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;

/** What was found, by whom and where, in two lines. */
export function headline(finding: Finding, where: string): string {
  const { kind, title, task, pid, cpu, step } = finding;
  const at = finding.function === "" ? "" : `in ${finding.function}, `;
  return `FOUND ${kind}: ${title}\n      ${at}task ${task}/${pid} on cpu ${cpu}, step ${step} of ${where}\n`;
}

/** A text with exactly one newline at its end. */
export const block = (text: string): string => `${text.trimEnd()}\n`;

/** How complicated a schedule is, and what shrinking did to it. Preemptions first: they are what shrinking saves first. */
export function scheduleLine(cost: Cost, shrunk: { readonly before: Cost; readonly tried: number } | null): string {
  const how =
    shrunk === null ? "not shrunk" : `shrunk from ${size(shrunk.before)}; ${count(shrunk.tried, "run")} tried`;
  return `schedule  ${size(cost)} (${how})\n`;
}

/** `2 preemptions, 3 tasks, 41 events`. */
export const size = ({ preemptions, tasks, steps }: Cost): string =>
  `${count(preemptions, "preemption")}, ${count(tasks, "task")}, ${count(steps, "event")}`;

/** The command line of a command on a scenario with these parameters. */
export const commandLine = (command: string, scenario: string, parameters: Parameters, ...more: string[]): string =>
  ["npx", TOOL.name, command, scenario, ...more, ...optionsFor(parameters)].join(" ");

/** The command line of the hunt that finds what a repro holds first of all. */
export function huntLine({ finding, strategy, seed }: Repro, { scenario, parameters }: Subject): string {
  const search = ["--seed", seed.split("/")[0] as string, "--find", finding.kind, "--strategy", strategy];
  return commandLine("hunt", scenario.name, parameters, ...search);
}

/** The command line that replays a file. */
export const replayLine = (path: string): string =>
  `npx ${TOOL.name} replay ${/^[\w./@:+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`}`;

/** A note on runs that were cut off, if there were any. */
export const cutOffNote = (cutOff: number, parameters: Parameters): string =>
  cutOff === 0
    ? ""
    : `${count(cutOff, "run was", "runs were")} cut off at ${parameters.stepsMax} steps (--steps-max)\n`;

/** What a hunt without a finding says, and does not say. */
export const noneFound = (runs: number, what: string): string =>
  `none found in ${count(runs, "run")}${what} (this proves nothing; another --seed or --strategy, or more --runs, may find something)\n`;
