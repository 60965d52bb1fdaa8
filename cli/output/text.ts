/** What the commands say in words. Every text ends with a newline. */
import type { Parameters } from "../../scenarios/scenario.ts";
import type { Cost } from "../../sim/cost.ts";
import type { Finding } from "../../sim/finding.ts";
import type { Proof } from "../../sim/minimal.ts";
import type { Shrunk } from "../confirm.ts";
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

/** How simple a schedule is, what shrinking did to it, and whether there is a simpler one. */
export function scheduleLines(cost: Cost, shrunk: Shrunk | null): string {
  if (shrunk === null) return `schedule  ${size(cost)} (not shrunk)\n`;
  const how = `shrunk from ${size(shrunk.before)}; ${count(shrunk.tried, "run")} tried`;
  return `schedule  ${size(cost)} (${how})\nminimal   ${minimalText(cost, shrunk.proof)}\n`;
}

/** Whether a schedule is proved to have as few preemptions as any. */
function minimalText({ preemptions }: Cost, proof: Proof): string {
  const given = count(preemptions, "preemption");
  if (proof.kind === "no-search") return `${given}, not proved minimal: ${proof.reason}`;
  if (preemptions === 0) return `${given}, proved minimal: there are none fewer`;
  const { executions, states } = proof;
  const searched = `(${count(executions, "execution")}, ${count(states, "state")})`;
  if (proof.kind === "proved") {
    return `${given}, proved minimal: all schedules with ${upTo(preemptions - 1)} ${searched} show no such finding`;
  }
  const partly = proof.covered < 0 ? "" : `; none with ${upTo(proof.covered)} shows it`;
  return `${given}, not proved minimal within the budget ${searched}${partly}`;
}

const upTo = (n: number): string => (n === 0 ? "0 preemptions" : `up to ${count(n, "preemption")}`);

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
