/** From a repro file to the run that it holds: exactly that one, or an error that says where they part. */
import { BadParameter } from "../scenarios/parameters.ts";
import type { Finding } from "../sim/finding.ts";
import type { RunResult } from "../sim/run.ts";
import { ReplayMismatch } from "../sim/strategies/replay.ts";
import type { WrittenTrail } from "../sim/trail.ts";
import { findByKey, type Replayed, replayTo } from "./confirm.ts";
import { UsageError } from "./errors.ts";
import type { Io } from "./io.ts";
import { givenOf, type Subject, subjectOf } from "./options.ts";
import { REPRO_FORMAT, type Repro, scheduleOf, trailOf } from "./reproFile.ts";
import { describeTool, TOOL } from "./tool.ts";

/** The run of a repro, which is the one that was saved. */
export interface ExactReplay extends Replayed {
  readonly finding: Finding;
}

/**
 * Replays a repro.
 *
 * @throws UsageError if what comes is not the run that was saved.
 */
export function replayExactly(subject: Subject, repro: Repro, path: string): ExactReplay {
  const schedule = scheduleOf(repro, path);
  const replayed = replay(subject, repro, schedule, path);
  return { ...replayed, finding: checkSame(replayed.run, repro, schedule, path) };
}

/** Replays a repro; or says why that does not give the saved run, if the file itself is sound. */
export function exactOrNot(subject: Subject, repro: Repro, path: string): ExactReplay | string {
  trailOf(repro, scheduleOf(repro, path), path);
  try {
    return replayExactly(subject, repro, path);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
}

/** A repro with a trail, which files of the first format do not have. */
export function withTrail(repro: Repro, trail: WrittenTrail): Repro {
  const { format: _, tool, scenario, parameters, schedule, trail: __, ...rest } = repro;
  const { tasks, ops, stretches } = trail;
  const written = { tasks: [...tasks], ops: { ...ops }, stretches: [...stretches] };
  return { format: REPRO_FORMAT, tool, scenario, parameters, schedule, trail: written, ...rest };
}

/**
 * What a repro is about.
 *
 * @throws UsageError if its scenario or parameters make no sense.
 */
export function subjectOfRepro(io: Io, repro: Repro, path: string): Subject {
  try {
    // Resolving reads every value anew, so that nothing of the file is taken on trust.
    return subjectOf(io, repro.scenario, givenOf(repro.parameters));
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${path}: ${error.message}`);
    if (!(error instanceof BadParameter)) throw error;
    throw new UsageError(`${path}: its parameters make no sense ${sinceThen(repro)}: ${error.message}`);
  }
}

function replay(subject: Subject, repro: Repro, schedule: Int32Array, path: string): Replayed {
  const trail = trailOf(repro, schedule, path);
  try {
    return replayTo(subject.program, schedule, repro.finding.key, trail);
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
