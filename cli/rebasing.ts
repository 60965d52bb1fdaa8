/** A saved finding, carried over to the program as it is now. Shared by `replay --rebase` and the tool for the corpus. */
import { type Departure, type Rebased, rebase } from "../sim/rebase.ts";
import { findByKey, replayTo } from "./confirm.ts";
import type { Subject } from "./options.ts";
import { count, size } from "./output/text.ts";
import { makeRepro, type Repro, scheduleOf, trailOf } from "./reproFile.ts";

/** A repro of the same finding that fits the program, or how far the old one got. */
export interface RebasedRepro {
  /** Null if the finding did not come. */
  readonly repro: Repro | null;
  /** What happened to the schedule, in words. */
  readonly text: string;
}

/**
 * Carries a repro over.
 *
 * @param path - Names it in messages.
 * @throws UsageError if it has no trail, or a bad one.
 */
export function rebaseRepro(
  { program, scenario, parameters }: Subject,
  repro: Repro,
  path: string,
): RebasedRepro | null {
  const schedule = scheduleOf(repro, path);
  const trail = trailOf(repro, schedule, path);
  if (trail === null) return null;
  const { key } = repro.finding;
  const rebased = rebase(program, trail, key);
  if (!rebased.found) return { repro: null, text: `the finding does not come: ${rebasedText(rebased)}` };
  const again = replayTo(program, rebased.run.schedule, key);
  const finding = findByKey(again.run.findings, key);
  if (finding === undefined) throw new Error(`[sim bug] ${key} does not come when its rebased schedule is run again`);
  const { strategy, seed } = repro;
  const made = makeRepro({
    scenario: scenario.name,
    parameters,
    schedule: again.run.schedule,
    trail: again.trail,
    finding,
    historyHash: again.run.historyHash,
    strategy,
    seed,
  });
  return { repro: made, text: `${rebasedText(rebased)}; now ${size(again.cost)}` };
}

function rebasedText({ departure, added, missing }: Rebased): string {
  if (departure === null) return "the same events, but other values or addresses";
  return `${departureText(departure)}; in all ${count(added, "step")} not in the file, ${count(missing, "step")} of it gone`;
}

function departureText({ step, recorded, now }: Departure): string {
  const was = recorded === null ? "the file ends" : `the file has "${recorded}"`;
  return `it departs at step ${step}, where ${was} and ${now === null ? "the run is over" : `now comes "${now}"`}`;
}
