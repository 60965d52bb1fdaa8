/** `replay`: a saved run again, step for step. */
import { interleaving } from "../../reports/columns.ts";
import { BadParameter } from "../../scenarios/parameters.ts";
import type { Finding } from "../../sim/finding.ts";
import type { RunResult } from "../../sim/run.ts";
import { costOf } from "../../sim/shrink.ts";
import { ReplayMismatch } from "../../sim/strategies/replay.ts";
import { findByKey, replayTo } from "../confirm.ts";
import { EXIT_FINDING, UsageError } from "../errors.ts";
import { rows } from "../hunter.ts";
import type { Io } from "../io.ts";
import { givenOf, type Subject, subjectOf } from "../options.ts";
import { findingJson, printJson, resultJson } from "../output/json.ts";
import { kernelText } from "../output/kernelText.ts";
import { block, headline, size } from "../output/text.ts";
import { type Repro, readRepro, scheduleOf } from "../reproFile.ts";
import { describeTool, TOOL } from "../tool.ts";

export interface ReplayCommandOptions {
  readonly json?: boolean;
  readonly history?: boolean;
  readonly last?: number;
}

/** Replays a repro file, and refuses if what comes is not the run that was saved. */
export function replayCommand(io: Io, path: string, options: ReplayCommandOptions): number {
  const began = performance.now();
  const repro = readRepro(path, io.cwd);
  const subject = subjectOfRepro(io, repro, path);
  const schedule = scheduleOf(repro, path);
  const run = replay(subject, repro, schedule, path);
  const finding = checkSame(run, repro, schedule, path);
  const text = kernelText(finding, subject.program);
  const history = historyOf(io, run, options);
  if (options.json === true) {
    const outcome = {
      strategy: "replay",
      seed: repro.seed,
      executions: 1,
      steps: run.steps,
      runs: 1,
      cutOff: 0,
      findings: [findingJson(finding, { count: 1, seed: repro.seed, schedule: repro.schedule, repro: path, text })],
      historyHash: run.historyHash,
      elapsedMs: Math.round(performance.now() - began),
      ...(history === undefined ? {} : { history }),
    };
    printJson(io.stdout, resultJson(repro.scenario, subject.parameters, outcome));
  } else {
    io.stdout.write(`${headline(finding, `replay of ${path}`)}\n${block(text)}\n`);
    io.stdout.write(history === undefined ? "" : `${block(history)}\n`);
    io.stdout.write(`replayed  ${describeRun(run)}, as saved by ${describeTool(repro.tool)}\n`);
  }
  return EXIT_FINDING;
}

const describeRun = ({ schedule, historyHash }: RunResult): string =>
  `${size(costOf(schedule))}, history hash ${historyHash}`;

function historyOf(io: Io, run: RunResult, { history, last }: ReplayCommandOptions): string | undefined {
  if (history !== true && last === undefined) return undefined;
  return interleaving(run, rows(io, last ?? run.history.length));
}

function subjectOfRepro(io: Io, repro: Repro, path: string): Subject {
  try {
    // Resolving reads every value anew, so that nothing of the file is taken on trust.
    return subjectOf(io, repro.scenario, givenOf(repro.parameters));
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${path}: ${error.message}`);
    if (!(error instanceof BadParameter)) throw error;
    throw new UsageError(`${path}: its parameters make no sense ${sinceThen(repro)}: ${error.message}`);
  }
}

function replay(subject: Subject, repro: Repro, schedule: Int32Array, path: string): RunResult {
  try {
    return replayTo(subject.program, schedule, repro.finding.key);
  } catch (error) {
    if (!(error instanceof ReplayMismatch)) throw error;
    throw new UsageError(`${path} does not replay: ${error.message}; ${changed(repro)}`);
  }
}

/** The finding of the replay, if this is the run that was saved. */
function checkSame(run: RunResult, repro: Repro, schedule: Int32Array, path: string): Finding {
  const finding = findByKey(run.findings, repro.finding.key);
  const hashes = `history hash ${run.historyHash}, the file expects ${repro.historyHash}`;
  if (finding === undefined) {
    const cut = run.cutOff ? `was cut off at ${repro.parameters.stepsMax} steps` : "ended";
    throw new UsageError(
      `${path} does not replay: the run ${cut} without "${repro.finding.title}" (${hashes}); ${changed(repro)}`,
    );
  }
  if (run.historyHash !== repro.historyHash)
    throw new UsageError(`${path} does not replay: ${hashes}; ${changed(repro)}`);
  if (run.schedule.length !== schedule.length) {
    const [at, length] = [run.schedule.length, schedule.length];
    throw new UsageError(
      `${path} was edited: its schedule has ${length} events, but the finding comes with event ${at}`,
    );
  }
  if (finding.title !== repro.finding.title) {
    throw new UsageError(
      `${path} does not replay: it expects "${repro.finding.title}", but found was "${finding.title}"; ${changed(repro)}`,
    );
  }
  return finding;
}

const sinceThen = (repro: Repro): string => `to this ${describeTool(TOOL)} (${describeTool(repro.tool)} wrote it)`;

const changed = (repro: Repro): string =>
  `the file was edited, or the scenario, the model or the tool has changed since (${describeTool(repro.tool)} wrote it, this is ${describeTool(TOOL)})`;
