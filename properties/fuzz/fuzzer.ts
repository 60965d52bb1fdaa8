/**
 * The fuzzer: program after program, each under some schedules, from a seed that decides all of them.
 *
 * A run is judged up to its first finding. What it finds is told apart by cause, shrunk (the program by fast-check, the
 * schedule by `sim/shrink.ts`), and kept with one token. It has no clock and no files: who calls {@link Fuzzer.next}
 * says for how long, and keeps what comes.
 */
import fc from "fast-check";
import { costOf } from "../../sim/cost.ts";
import { execute, type Finding, findingKey, makeStrategy, shrink } from "../../sim/index.ts";
import { makeRng } from "../../sim/rng.ts";
import { GuidedStrategy } from "../../sim/strategies/replay.ts";
import { anyCase, anyCaseParameters } from "./arbitraries.ts";
import { type FuzzCase, programOf } from "./case.ts";
import { formatToken } from "./token.ts";

export interface FuzzOptions {
  readonly seed: string;
  readonly lifetimes: readonly string[];
  /** Memory model and patches of every program. */
  readonly memory?: string;
  readonly patches?: string;
  /** Schedules for each program. */
  readonly schedules: number;
}

/**
 * What tells findings of generated programs apart: {@link findingKey} without the names of their tasks, and without
 * sizes, which depend on the config.
 */
export const causeOf = (finding: Pick<Finding, "kind" | "function" | "title">): string =>
  findingKey(finding)
    .replace(/\b(target|tracer|sender)\d*(\/\d+)?/g, "$1")
    .replace(/ \(size \d+\)/, "");

/** A cause, with the simplest run that shows it. */
export interface FuzzFinding {
  /** See {@link causeOf}. */
  readonly cause: string;
  readonly finding: Finding;
  readonly fuzzCase: FuzzCase;
  readonly schedule: Int32Array;
  readonly token: string;
  /** How big it is: parts of the program, preemptions, steps. */
  readonly size: FuzzSize;
}

/** Smaller is simpler; the first difference decides. */
export interface FuzzSize {
  readonly parts: number;
  readonly preemptions: number;
  readonly steps: number;
}

/** What one program came to. */
export interface FuzzRound {
  readonly fuzzCase: FuzzCase;
  readonly runs: number;
  readonly steps: number;
  readonly cutOff: number;
  /** First findings of its runs, by cause, not shrunk. */
  readonly raw: ReadonlyMap<string, RawFinding>;
}
/** A finding as it was found. */
export interface RawFinding {
  readonly finding: Finding;
  readonly schedule: Int32Array;
  count: number;
}

const anyOf = (options: FuzzOptions): fc.Arbitrary<FuzzCase> =>
  anyCase(
    anyCaseParameters(options.lifetimes).map((parameters) => ({
      ...parameters,
      ...(options.memory === undefined ? {} : { memory: options.memory }),
      ...(options.patches === undefined ? {} : { patches: options.patches }),
    })),
  );

/** Generates programs, runs them, and shrinks what they show. */
export class Fuzzer {
  private readonly arbitrary: fc.Arbitrary<FuzzCase>;
  private readonly seeds = new Map<FuzzCase, number>();
  private program = 0;

  constructor(private readonly options: FuzzOptions) {
    this.arbitrary = anyOf(options);
  }

  /** The next program, run under its schedules. */
  next(): FuzzRound {
    const number = this.program++;
    const fcSeed = makeRng(`${this.options.seed}/${number}`).below(0x7fffffff);
    const fuzzCase = this.generate(fcSeed);
    this.seeds.clear();
    this.seeds.set(fuzzCase, fcSeed);
    const program = programOf(fuzzCase);
    const raw = new Map<string, RawFinding>();
    let steps = 0;
    let cutOff = 0;
    for (let run = 0; run < this.options.schedules; run++) {
      const strategy = makeStrategy("random", `${this.options.seed}/${number}/${run}`);
      const result = execute(program, strategy, { until, scheduleOnlyOnFinding: true });
      steps += result.steps;
      if (result.cutOff) cutOff++;
      const [finding] = result.findings;
      if (finding === undefined) continue;
      const cause = causeOf(finding);
      const known = raw.get(cause);
      if (known !== undefined) known.count++;
      else raw.set(cause, { finding, schedule: result.schedule.slice(0, finding.step + 1), count: 1 });
    }
    return { fuzzCase, runs: this.options.schedules, steps, cutOff, raw };
  }

  /**
   * The simplest run that shows what `raw` does, from the program of the round just run.
   *
   * @param tries - How hard to look: runs for each simpler program, and runs for the schedule.
   */
  simplify(round: FuzzRound, raw: RawFinding, tries: ShrinkTries = SHRINK_TRIES): FuzzFinding {
    const cause = causeOf(raw.finding);
    let best = { fuzzCase: round.fuzzCase, schedule: raw.schedule, finding: raw.finding };
    let programs = 0;
    const shows = (candidate: FuzzCase): boolean => {
      if (JSON.stringify(candidate) === JSON.stringify(round.fuzzCase)) return true;
      if (programs++ >= tries.programs) return false;
      const found = this.look(candidate, cause, best.schedule, tries.runs);
      if (found === null) return false;
      best = { fuzzCase: candidate, ...found };
      return true;
    };
    const seed = this.seeds.get(round.fuzzCase);
    if (seed !== undefined)
      fc.check(
        fc.property(this.arbitrary, (candidate) => !shows(candidate)),
        { seed, numRuns: 1 },
      );
    const program = programOf(best.fuzzCase);
    const { schedule } = shrink(program, best.schedule, best.finding, { triesMax: tries.schedule });
    const again = execute(program, new GuidedStrategy(schedule), { until });
    const finding = again.findings.find((one) => causeOf(one) === cause) ?? best.finding;
    return describe(best.fuzzCase, schedule, finding);
  }

  private generate(seed: number): FuzzCase {
    const made: FuzzCase[] = [];
    const keep = fc.property(this.arbitrary, (fuzzCase) => {
      made.push(fuzzCase);
    });
    fc.check(keep, { seed, numRuns: 1 });
    return made[0] as FuzzCase;
  }

  /** Looks for a cause in a program: along a schedule that showed it in another, then at random. */
  private look(
    fuzzCase: FuzzCase,
    cause: string,
    schedule: Int32Array,
    runs: number,
  ): { schedule: Int32Array; finding: Finding } | null {
    const program = programOf(fuzzCase);
    for (let run = 0; run <= runs; run++) {
      const strategy = run === 0 ? new GuidedStrategy(schedule) : makeStrategy("random", `shrink/${run}`);
      const result = execute(program, strategy, { until, scheduleOnlyOnFinding: true });
      const [finding] = result.findings;
      if (finding === undefined || causeOf(finding) !== cause) continue;
      return { schedule: result.schedule.slice(0, finding.step + 1), finding };
    }
    return null;
  }
}

/** How hard {@link Fuzzer.simplify} looks. */
export interface ShrinkTries {
  /** Simpler programs to try. */
  readonly programs: number;
  /** Runs for each of them. */
  readonly runs: number;
  /** Runs to shrink the schedule. */
  readonly schedule: number;
}
const SHRINK_TRIES: ShrinkTries = { programs: 150, runs: 30, schedule: 600 };

const until = (findings: readonly Finding[]): boolean => findings.length > 0;

/** Steps, tasks and answers of a program. */
function partsOf({ script }: FuzzCase): number {
  const { engines, targets, tracers, senders, crowded } = script;
  const steps = [...targets, ...tracers, ...senders];
  return (
    steps.length +
    steps.reduce((sum, list) => sum + list.length, 0) +
    engines.reduce((sum, { answers, inside }) => sum + 1 + Object.keys(answers).length + (inside === null ? 0 : 1), 0) +
    (crowded ? 1 : 0)
  );
}

/** A finding with its token and size. */
export function describe(fuzzCase: FuzzCase, schedule: Int32Array, finding: Finding): FuzzFinding {
  const { preemptions } = costOf(programOf(fuzzCase), schedule);
  const size = { parts: partsOf(fuzzCase), preemptions, steps: schedule.length };
  return { cause: causeOf(finding), finding, fuzzCase, schedule, token: formatToken({ fuzzCase, schedule }), size };
}

/** Whether `a` is simpler than `b`. */
export const simplerThan = (a: FuzzSize, b: FuzzSize): boolean =>
  a.parts < b.parts ||
  (a.parts === b.parts && (a.preemptions < b.preemptions || (a.preemptions === b.preemptions && a.steps < b.steps)));
