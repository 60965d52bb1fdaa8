/**
 * Shrinking: from a schedule that shows a finding to a shorter one that shows the same.
 *
 * A schedule is cut into stretches of events of one CPU without a preemption or switch in between. Stretches are left
 * out, from large groups down to single ones, then moved together, for as long as the finding stays and the schedule
 * gets simpler: first fewer preemptions, then fewer changes of CPU, then fewer steps. What is tried is always run; the
 * result is the recorded schedule of a real run.
 *
 * Does not prove that the result is minimal.
 */
import { eventCpu, eventType, PREEMPT, STEP } from "./event.ts";
import { type Finding, findingKey } from "./finding.ts";
import { execute, type Program } from "./run.ts";
import { GuidedStrategy } from "./strategies/replay.ts";

/** How simple a schedule is; smaller is simpler, the first difference decides. */
export interface Cost {
  readonly preemptions: number;
  /** Places where another CPU goes on. */
  readonly changes: number;
  readonly steps: number;
}

export interface ShrinkResult {
  readonly schedule: Int32Array;
  readonly cost: Cost;
  /** Runs it took. */
  readonly tried: number;
}

/** The cost of a schedule. */
export function costOf(schedule: ArrayLike<number>): Cost {
  let preemptions = 0;
  let changes = 0;
  for (let i = 0; i < schedule.length; i++) {
    const event = schedule[i] as number;
    if (eventType(event) === PREEMPT) preemptions++;
    if (i > 0 && eventCpu(event) !== eventCpu(schedule[i - 1] as number)) changes++;
  }
  return { preemptions, changes, steps: schedule.length };
}

const simpler = (a: Cost, b: Cost): boolean =>
  a.preemptions - b.preemptions < 0 ||
  (a.preemptions === b.preemptions && (a.changes < b.changes || (a.changes === b.changes && a.steps < b.steps)));

/**
 * Shrinks `schedule` while the finding with the same key stays.
 *
 * @param triesMax - Runs it may take.
 */
export function shrink(program: Program, schedule: Int32Array, finding: Finding, triesMax = 4000): ShrinkResult {
  const key = findingKey(finding);
  const shows = (findings: readonly Finding[]): boolean => findings.some((found) => findingKey(found) === key);
  let tried = 0;
  const run = (candidate: ArrayLike<number>): Int32Array | null => {
    tried++;
    const result = execute(program, new GuidedStrategy(candidate), { until: shows });
    return shows(result.findings) ? result.schedule : null;
  };

  let best = run(schedule) ?? schedule;
  let cost = costOf(best);
  const attempt = (candidate: ArrayLike<number>): boolean => {
    const made = run(candidate);
    if (made === null) return false;
    const madeCost = costOf(made);
    if (!simpler(madeCost, cost)) return false;
    best = made;
    cost = madeCost;
    return true;
  };

  for (let improved = true; improved && tried < triesMax; ) {
    improved = false;
    let size = Math.max(1, stretches(best).length >> 1);
    while (size >= 1 && tried < triesMax) {
      for (let at = 0; tried < triesMax; ) {
        const parts = stretches(best);
        if (at >= parts.length) break;
        const without = [...parts.slice(0, at), ...parts.slice(at + size)].flat();
        const later = [...parts.slice(0, at), ...parts.slice(at + size, at + 2 * size), ...parts.slice(at, at + size)];
        const swapped = [...later, ...parts.slice(at + 2 * size)].flat();
        if (attempt(without) || attempt(swapped)) improved = true;
        else at += size;
      }
      size >>= 1;
    }
  }
  return { schedule: best, cost, tried };
}

/** Cuts a schedule where the CPU changes or the event is not a plain step. */
function stretches(schedule: Int32Array): number[][] {
  const parts: number[][] = [];
  let last = -1;
  for (const event of schedule) {
    const previous = parts[parts.length - 1];
    if (previous !== undefined && eventType(event) === STEP && eventCpu(event) === eventCpu(last)) previous.push(event);
    else parts.push([event]);
    last = event;
  }
  return parts;
}
