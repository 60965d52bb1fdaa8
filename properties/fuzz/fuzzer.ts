/**
 * The fuzzer: program after program, each under some schedules, from a seed that decides all of them.
 *
 * A run is judged up to its first finding. What it finds is told apart by cause (`known.ts`); it can be shrunk, the
 * program by fast-check and the schedule by `sim/shrink.ts`, to one token. It has no clock and no files: who calls
 * {@link Fuzzer.next} says for how long, and keeps what comes.
 */
import fc from "fast-check";
import { costOf } from "../../sim/cost.ts";
import {
  execute,
  type Finding,
  findingKey,
  makeStrategy,
  type Program,
  type RunResult,
  shrink,
} from "../../sim/index.ts";
import { makeRng } from "../../sim/rng.ts";
import { GuidedStrategy } from "../../sim/strategies/replay.ts";
import { anyCaseParameters } from "./arbitraries.ts";
import { type FuzzCase, programOf } from "./case.ts";
import { Evidence } from "./evidence.ts";
import { causesOf } from "./known.ts";
import { anyCase } from "./shapes.ts";
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

/** A cause, with the simplest run that shows it. */
export interface FuzzFinding {
  /** See {@link Judged.cause}. */
  readonly cause: string;
  readonly known: boolean;
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
  /** Which program of the seed it was, from 0. */
  readonly number: number;
  readonly fuzzCase: FuzzCase;
  readonly runs: number;
  readonly steps: number;
  readonly cutOff: number;
  /** First findings of its runs, by cause, not shrunk. */
  readonly raw: ReadonlyMap<string, RawFinding>;
  /** Hash of each run, in order. */
  readonly hashes: readonly string[];
}
/** A finding as it was found. */
export interface RawFinding {
  readonly finding: Finding;
  readonly schedule: Int32Array;
  readonly known: boolean;
  count: number;
}

/** Whether a finding is one that somebody has judged. */
export interface Judged {
  /** Name of the known cause; of an unknown one, what tells it apart: see {@link symptomOf}. */
  readonly cause: string;
  readonly known: boolean;
}

/**
 * What tells findings of generated programs apart that nobody has judged: kind, function and title, the functions that
 * led there, and what was touched; without the names of their tasks, and without sizes, which depend on the config.
 */
export function symptomOf(finding: Finding): string {
  const functions = finding.backtrace.slice(1, 3).map(({ name }) => name);
  const where = [...functions, finding.access].filter((word) => word !== "");
  return `${findingKey(finding)}${where.length === 0 ? "" : ` (${where.join(", ")})`}`
    .replace(/\b(target|tracer|sender)\d+(\/\d+)?/g, "$1")
    .replace(/ \(size \d+\)/, "");
}

/** Judges a finding by the run that ended with it. */
export function judge(fuzzCase: FuzzCase, program: Program, finding: Finding, schedule: Int32Array): Judged {
  const [cause, ...others] = causesOf(new Evidence(finding, program, schedule), fuzzCase.parameters);
  // Two whose signs fit are not told apart, so it is neither for sure.
  if (cause === undefined || others.length > 0) return { cause: symptomOf(finding), known: false };
  return { cause: cause.name, known: true };
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
  private program = 0;

  constructor(private readonly options: FuzzOptions) {
    this.arbitrary = anyOf(options);
  }

  /** The next program, run under its schedules. */
  next(): FuzzRound {
    return this.round(this.program++);
  }

  /** A program by its number, run under its schedules. Depends on the options and the number alone. */
  round(number: number): FuzzRound {
    const fuzzCase = this.generate(number);
    const program = programOf(fuzzCase);
    const raw = new Map<string, RawFinding>();
    const hashes: string[] = [];
    let steps = 0;
    let cutOff = 0;
    for (let run = 0; run < this.options.schedules; run++) {
      const strategy = makeStrategy("random", `${this.options.seed}/${number}/${run}`);
      const result = execute(program, strategy, { until, scheduleOnlyOnFinding: true });
      steps += result.steps;
      hashes.push(result.historyHash);
      if (result.cutOff) cutOff++;
      const [finding] = result.findings;
      if (finding === undefined) continue;
      const schedule = result.schedule.slice(0, finding.step + 1);
      const { cause, known } = judge(fuzzCase, program, finding, schedule);
      const before = raw.get(cause);
      if (before !== undefined) before.count++;
      else raw.set(cause, { finding, schedule, known, count: 1 });
    }
    return { number, fuzzCase, runs: this.options.schedules, steps, cutOff, raw, hashes };
  }

  /**
   * The simplest run that shows the cause of `raw`, which program `number` showed.
   *
   * @param tries - How hard to look: runs for each simpler program, and runs for the schedule.
   */
  simplify(
    number: number,
    raw: Pick<RawFinding, "finding" | "schedule">,
    tries: ShrinkTries = SHRINK_TRIES,
  ): FuzzFinding {
    const given = this.generate(number);
    const { cause } = judge(given, programOf(given), raw.finding, raw.schedule);
    let best = { fuzzCase: given, schedule: raw.schedule, finding: raw.finding };
    let programs = 0;
    const shows = (candidate: FuzzCase): boolean => {
      if (JSON.stringify(candidate) === JSON.stringify(given)) return true;
      if (programs++ >= tries.programs) return false;
      const found = look(candidate, cause, best.schedule, tries.runs);
      if (found === null) return false;
      best = { fuzzCase: candidate, ...found };
      return true;
    };
    fc.check(
      fc.property(this.arbitrary, (candidate) => !shows(candidate)),
      { seed: this.seedOf(number), numRuns: 1 },
    );
    const { schedule, finding } = simplerSchedule(best.fuzzCase, cause, best, tries.schedule);
    return describe(best.fuzzCase, schedule, finding);
  }

  /** The program of a number. */
  generate(number: number): FuzzCase {
    const made: FuzzCase[] = [];
    const keep = fc.property(this.arbitrary, (fuzzCase) => {
      made.push(fuzzCase);
    });
    fc.check(keep, { seed: this.seedOf(number), numRuns: 1 });
    return made[0] as FuzzCase;
  }

  private seedOf(number: number): number {
    return makeRng(`${this.options.seed}/${number}`).below(0x7fffffff);
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
const SHRINK_TRIES: ShrinkTries = { programs: 120, runs: 10, schedule: 300 };

const until = (findings: readonly Finding[]): boolean => findings.length > 0;

/** Looks for a cause in a program: along a schedule that showed it in another, then at random. */
function look(fuzzCase: FuzzCase, cause: string, schedule: Int32Array, runs: number): Shown | null {
  const program = programOf(fuzzCase);
  for (let run = 0; run <= runs; run++) {
    const strategy = run === 0 ? new GuidedStrategy(schedule) : makeStrategy("random", `shrink/${run}`);
    const result = execute(program, strategy, { until, scheduleOnlyOnFinding: true });
    const shown = shownBy(fuzzCase, cause, result);
    if (shown !== null) return shown;
  }
  return null;
}

/** A run up to its first finding, if that is of this cause. */
function shownBy(
  fuzzCase: FuzzCase,
  cause: string,
  { findings, schedule }: Pick<RunResult, "findings" | "schedule">,
): Shown | null {
  const [finding] = findings;
  if (finding === undefined) return null;
  const along = schedule.slice(0, finding.step + 1);
  if (judge(fuzzCase, programOf(fuzzCase), finding, along).cause !== cause) return null;
  return { schedule: along, finding };
}

/** A run that shows what it should. */
interface Shown {
  readonly schedule: Int32Array;
  readonly finding: Finding;
}

/** The simplest schedule of a program that shows what `shown` does, of those that can be tried. */
function simplerSchedule(fuzzCase: FuzzCase, cause: string, shown: Shown, triesMax: number): Shown {
  const { schedule } = shrink(programOf(fuzzCase), shown.schedule, shown.finding, {
    triesMax,
    // The same words may come for another reason.
    accepts: (run) => shownBy(fuzzCase, cause, run) !== null,
  });
  return look(fuzzCase, cause, schedule, 0) ?? shown;
}

/**
 * A cause shown anew by a program that showed it before something was changed: along the old schedule, or another.
 *
 * @returns null if no run that was tried shows it.
 */
export function renew(fuzzCase: FuzzCase, cause: string, schedule: Int32Array, runs = 3000): FuzzFinding | null {
  const shown = look(fuzzCase, cause, schedule, runs);
  if (shown === null) return null;
  const { schedule: simplest, finding } = simplerSchedule(fuzzCase, cause, shown, SHRINK_TRIES.schedule * 5);
  return describe(fuzzCase, simplest, finding);
}

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
  const judged = judge(fuzzCase, programOf(fuzzCase), finding, schedule);
  return { ...judged, finding, fuzzCase, schedule, token: formatToken({ fuzzCase, schedule }), size };
}

/** Whether `a` is simpler than `b`. */
export const simplerThan = (a: FuzzSize, b: FuzzSize): boolean =>
  a.parts < b.parts ||
  (a.parts === b.parts && (a.preemptions < b.preemptions || (a.preemptions === b.preemptions && a.steps < b.steps)));
