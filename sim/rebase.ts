/**
 * Rebasing: a recorded run of a finding, carried over to a program that was edited since.
 *
 * Tries a handful of readings of the record, best first; each is a whole run, and only one that shows the same finding
 * counts. Does not search: what is not found so has to be hunted again.
 */
import { align } from "./alignment.ts";
import { eventCpu, eventType, STEP } from "./event.ts";
import { findingKey } from "./finding.ts";
import { identityText } from "./identity.ts";
import { execute, type Program, type RunResult } from "./run.ts";
import { CarriedStrategy, type Places } from "./strategies/carried.ts";
import { GuidedStrategy } from "./strategies/replay.ts";
import type { Strategy } from "./strategies/strategy.ts";
import { type RecordedEvent, TrailRecorder } from "./trail.ts";

/** Where two runs part. */
export interface Departure {
  readonly step: number;
  /** What the record says, and what came instead; null where a run was over. */
  readonly recorded: string | null;
  readonly now: string | null;
}

/** How far a record could be carried. */
export interface Rebased {
  /** Whether the run shows the finding. */
  readonly found: boolean;
  /** The run that shows it, or the one that followed the record longest. */
  readonly run: RunResult;
  /** Null if the run is the recorded one. */
  readonly departure: Departure | null;
  /** Steps of the run that the record does not have, and steps of the record that the run does not have. */
  readonly added: number;
  readonly missing: number;
}

/** Times that the record is laid beside what came of it, and tried again. */
const ROUNDS = 4;

/**
 * Carries a recorded run over to `program`.
 *
 * @param key - Of the finding that has to come.
 */
export function rebase(program: Program, recorded: readonly RecordedEvent[], key: string): Rebased {
  let longest: Rebased | null = null;
  const attempt = (strategy: Strategy): { made: Rebased; events: readonly RecordedEvent[] } => {
    const recorder = new TrailRecorder(strategy);
    const until = (findings: RunResult["findings"]): boolean => findings.some((one) => findingKey(one) === key);
    const run = execute(program, recorder, { until });
    const made = { found: until(run.findings), run, ...compared(recorded, recorder.events) };
    if (longest === null || reach(made) > reach(longest)) longest = made;
    return { made, events: recorder.events };
  };
  for (const newOps of ["later", "at-once"] as const) {
    let places: Places | null = null;
    for (let round = 0; round < ROUNDS; round++) {
      const { made, events } = attempt(new CarriedStrategy(recorded, newOps, places));
      if (made.found) return made;
      places = align(recorded, events);
    }
  }
  const { made } = attempt(new GuidedStrategy(recorded.map(({ event }) => event)));
  return made.found ? made : (longest ?? made);
}

const reach = ({ departure, run }: Rebased): number => departure?.step ?? run.steps;

function compared(
  before: readonly RecordedEvent[],
  after: readonly RecordedEvent[],
): Pick<Rebased, "departure" | "added" | "missing"> {
  // A softirq is the same on any CPU.
  const keys = (events: readonly RecordedEvent[]): Set<string> =>
    new Set(
      events
        .filter(({ event }) => eventType(event) === STEP)
        .map((step) => sentence(step).replace(/^softirq\/\d+/, "softirq")),
    );
  const [old, made] = [keys(before), keys(after)];
  return {
    departure: departureOf(before, after),
    added: [...made].filter((one) => !old.has(one)).length,
    missing: [...old].filter((one) => !made.has(one)).length,
  };
}

function departureOf(before: readonly RecordedEvent[], after: readonly RecordedEvent[]): Departure | null {
  for (let step = 0; step < Math.max(before.length, after.length); step++) {
    const [recorded, now] = [before[step], after[step]];
    if (recorded !== undefined && now !== undefined && placed(recorded) === placed(now)) continue;
    return {
      step,
      recorded: recorded === undefined ? null : placed(recorded),
      now: now === undefined ? null : placed(now),
    };
  }
  return null;
}

const sentence = (step: RecordedEvent): string => identityText(step, step.occurrence);
const placed = (step: RecordedEvent): string => `${sentence(step)}, on cpu ${eventCpu(step.event)}`;
