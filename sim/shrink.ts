/**
 * Shrinking: from a schedule that shows a finding to a shorter one that shows the same.
 *
 * A schedule is read as stretches of steps of one task. Stretches are left out, from large groups down to single ones,
 * and joined with the task's stretch before or after, for as long as the finding stays and the schedule gets simpler:
 * first fewer preemptions, then fewer changes of CPU, then fewer steps. What is tried is always run; the result is the
 * recorded schedule of a real run.
 *
 * Does not prove that the result is minimal.
 */
import { eventCpu, eventType, PREEMPT } from "./event.ts";
import { type Finding, findingKey } from "./finding.ts";
import { execute, type Program } from "./run.ts";
import { GuidedStrategy } from "./strategies/replay.ts";
import type { Strategy } from "./strategies/strategy.ts";
import { type Stretch, type Stretches, StretchRecorder, StretchStrategy } from "./strategies/stretches.ts";

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
  const run = (strategy: Strategy): Candidate | null => {
    tried++;
    const recorder = new StretchRecorder(strategy);
    const result = execute(program, recorder, { until: shows });
    if (!shows(result.findings)) return null;
    return { schedule: result.schedule, cost: costOf(result.schedule), stretches: recorder.stretches() };
  };

  let best = run(new GuidedStrategy(schedule));
  if (best === null) return { schedule, cost: costOf(schedule), tried };
  const attempt = (list: readonly Stretch[]): boolean => {
    const made = run(new StretchStrategy(list, (best as Candidate).stretches.choices));
    if (made === null || !simpler(made.cost, (best as Candidate).cost)) return false;
    best = made;
    return true;
  };

  attempt(best.stretches.list);
  for (let improved = true; improved && tried < triesMax; ) {
    improved = false;
    for (let size = Math.max(1, best.stretches.list.length >> 1); size >= 1; size >>= 1) {
      for (let at = 0; at < best.stretches.list.length && tried < triesMax; ) {
        const list = best.stretches.list;
        const changed =
          attempt([...list.slice(0, at), ...list.slice(at + size)]) ||
          (size === 1 && (attempt(joinedBefore(list, at)) || attempt(joinedAfter(list, at))));
        if (changed) improved = true;
        else at += size;
      }
    }
  }
  const { schedule: shrunk, cost } = best;
  return { schedule: shrunk, cost, tried };
}

/** A run that shows the finding. */
interface Candidate {
  readonly schedule: Int32Array;
  readonly cost: Cost;
  readonly stretches: Stretches;
}

/** The stretch at `at` moved to right after the one of the same actor before it. */
function joinedBefore(list: readonly Stretch[], at: number): Stretch[] {
  const moved = list[at] as Stretch;
  for (let i = at - 1; i >= 0; i--) {
    if (!sameActor(list[i] as Stretch, moved)) continue;
    return [...list.slice(0, i + 1), moved, ...list.slice(i + 1, at), ...list.slice(at + 1)];
  }
  return [...list];
}

/** The stretch at `at` moved to right before the next one of the same actor. */
function joinedAfter(list: readonly Stretch[], at: number): Stretch[] {
  const moved = list[at] as Stretch;
  for (let i = at + 1; i < list.length; i++) {
    if (!sameActor(list[i] as Stretch, moved)) continue;
    return [...list.slice(0, at), ...list.slice(at + 1, i), moved, ...list.slice(i)];
  }
  return [...list];
}

const sameActor = (a: Stretch, b: Stretch): boolean => "actor" in a && "actor" in b && a.actor === b.actor;
