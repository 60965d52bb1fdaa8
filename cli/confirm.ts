/** From a finding of a hunt to one that can be kept: shrunk, run again exactly as it will be replayed, and hashed. */
import { type Cost, CostMeter, costOf } from "../sim/cost.ts";
import { type Finding, findingKey } from "../sim/finding.ts";
import { minimal, type Proof } from "../sim/minimal.ts";
import { execute, type Program, type RunResult } from "../sim/run.ts";
import { ReplayStrategy } from "../sim/strategies/replay.ts";
import { type RecordedEvent, TrailRecorder, type WrittenTrail, writeTrail } from "../sim/trail.ts";

/** A finding with the run that shows it, which ends at its step. */
export interface Confirmed {
  readonly finding: Finding;
  readonly schedule: Int32Array;
  readonly run: RunResult;
  readonly trail: WrittenTrail;
  readonly cost: Cost;
  readonly shrunk: Shrunk | null;
}

/** What shrinking began with, the runs it took, and whether its result is proved to be minimal. */
export interface Shrunk {
  readonly before: Cost;
  readonly tried: number;
  readonly proof: Proof;
}

/** The finding with this key, if there is one. */
export const findByKey = (findings: readonly Finding[], key: string): Finding | undefined =>
  findings.find((finding) => findingKey(finding) === key);

/** A run that was run again, and what its events were. */
export interface Replayed {
  readonly run: RunResult;
  readonly trail: WrittenTrail;
  readonly cost: Cost;
}

/**
 * Runs a schedule again, up to the finding with this key.
 *
 * @param recorded - What its events were, if that is known.
 * @throws ReplayMismatch if the schedule does not fit the program.
 */
export function replayTo(
  program: Program,
  schedule: ArrayLike<number>,
  key: string,
  recorded: readonly RecordedEvent[] | null = null,
): Replayed {
  const until = (findings: readonly Finding[]): boolean => findByKey(findings, key) !== undefined;
  const meter = new CostMeter(new ReplayStrategy(schedule, recorded));
  const recorder = new TrailRecorder(meter);
  const run = execute(program, recorder, { record: true, until });
  return { run, trail: writeTrail(recorder.events, recorder.tasks()), cost: meter.cost() };
}

/**
 * Shrinks the schedule of a finding, if wanted, and runs the result again.
 *
 * @param goesOn - Asked while shrinking; false makes do with what there is.
 */
export function confirm(
  program: Program,
  found: Finding,
  schedule: Int32Array,
  wantsShrinking: boolean,
  goesOn: () => boolean = () => true,
): Confirmed {
  const shrinking = wantsShrinking ? minimal(program, schedule, found, { goesOn }) : null;
  const kept = shrinking?.schedule ?? schedule;
  const key = findingKey(found);
  const { run, trail, cost } = replayTo(program, kept, key);
  const finding = findByKey(run.findings, key);
  if (finding === undefined) throw new Error(`[sim bug] ${key} does not come when its schedule is run again`);
  return {
    finding,
    schedule: run.schedule,
    run,
    trail,
    cost,
    shrunk:
      shrinking === null ? null : { before: costOf(program, schedule), tried: shrinking.tried, proof: shrinking.proof },
  };
}
