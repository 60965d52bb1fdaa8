/**
 * Shrinking: from a schedule that shows a finding to a simpler one that shows the same.
 *
 * A schedule is read as stretches of steps of one task or softirq. Tasks, groups of stretches and single stretches are
 * left out, and stretches joined with the actor's own before or after, for as long as the finding stays and the schedule
 * gets simpler: see {@link Cost}. What is tried is always run; the result is the recorded schedule of a real run.
 *
 * Does not prove that the result is minimal.
 */
import { type Cost, CostMeter, simpler } from "./cost.ts";
import { type Finding, findingKey } from "./finding.ts";
import { execute, type Program, type RunResult } from "./run.ts";
import { GuidedStrategy } from "./strategies/replay.ts";
import type { Strategy } from "./strategies/strategy.ts";
import { type Stretch, type Stretches, StretchRecorder, StretchStrategy } from "./strategies/stretches.ts";

export interface ShrinkResult {
  readonly schedule: Int32Array;
  readonly cost: Cost;
  /** Runs it took. */
  readonly tried: number;
}

export interface ShrinkOptions {
  /** Runs it may take. Default 4000. */
  readonly triesMax?: number;
  /** Asked before each run; false ends the shrinking. */
  readonly goesOn?: () => boolean;
  /** Whether a run that shows the finding will do, for who asks for more than the same key. Default: any will. */
  readonly accepts?: (run: Pick<RunResult, "findings" | "schedule">) => boolean;
}

/** Shrinks `schedule` while the finding with the same key stays. */
export function shrink(
  program: Program,
  schedule: Int32Array,
  finding: Finding,
  options: ShrinkOptions = {},
): ShrinkResult {
  const shrinker = new Shrinker(program, findingKey(finding), options);
  return shrinker.shrink(schedule);
}

/** A run that shows the finding. */
interface Candidate {
  readonly schedule: Int32Array;
  readonly cost: Cost;
  readonly stretches: Stretches;
}

class Shrinker {
  private readonly program: Program;
  private readonly triesMax: number;
  private readonly goesOn: () => boolean;
  private readonly accepts: NonNullable<ShrinkOptions["accepts"]>;
  private tried = 0;
  private best: Candidate | null = null;

  constructor(
    program: Program,
    private readonly key: string,
    { triesMax, goesOn, accepts }: ShrinkOptions,
  ) {
    this.program = program;
    this.triesMax = triesMax ?? 4000;
    this.goesOn = goesOn ?? (() => true);
    this.accepts = accepts ?? (() => true);
  }

  shrink(schedule: Int32Array): ShrinkResult {
    this.best = this.run(new GuidedStrategy(schedule));
    const { best } = this;
    if (best === null) throw new Error(`[sim bug] ${this.key} does not come when its schedule is run again`);
    this.attempt(best.stretches.list);
    for (let improved = true; improved && this.mayGoOn(); ) {
      improved = this.leaveOutTasks();
      improved = this.leaveOutStretches() || improved;
    }
    return { schedule: this.now.schedule, cost: this.now.cost, tried: this.tried };
  }

  private get now(): Candidate {
    return this.best as Candidate;
  }

  private mayGoOn(): boolean {
    return this.tried < this.triesMax && this.goesOn();
  }

  private leaveOutTasks(): boolean {
    let improved = false;
    const actors = new Set(this.now.stretches.list.map((stretch) => ("actor" in stretch ? stretch.actor : -1)));
    for (const actor of actors) {
      if (actor < 0 || !this.mayGoOn()) continue;
      const without = this.now.stretches.list.filter((stretch) => !("actor" in stretch && stretch.actor === actor));
      if (this.attempt(without)) improved = true;
    }
    return improved;
  }

  private leaveOutStretches(): boolean {
    let improved = false;
    for (let size = Math.max(1, this.now.stretches.list.length >> 1); size >= 1; size >>= 1) {
      for (let at = 0; at < this.now.stretches.list.length && this.mayGoOn(); ) {
        const { list } = this.now.stretches;
        const changed =
          this.attempt([...list.slice(0, at), ...list.slice(at + size)]) ||
          (size === 1 && (this.attempt(joinedBefore(list, at)) || this.attempt(joinedAfter(list, at))));
        if (changed) improved = true;
        else at += size;
      }
    }
    return improved;
  }

  private attempt(list: readonly Stretch[]): boolean {
    const made = this.run(new StretchStrategy(list, this.now.stretches.choices));
    if (made === null || !simpler(made.cost, this.now.cost)) return false;
    this.best = made;
    return true;
  }

  private run(strategy: Strategy): Candidate | null {
    this.tried++;
    const meter = new CostMeter(strategy);
    const recorder = new StretchRecorder(meter);
    const shows = (findings: readonly Finding[]): boolean => findings.some((found) => findingKey(found) === this.key);
    const result = execute(this.program, recorder, { until: shows });
    if (!shows(result.findings) || !this.accepts(result)) return null;
    return { schedule: result.schedule, cost: meter.cost(), stretches: recorder.stretches() };
  }
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
