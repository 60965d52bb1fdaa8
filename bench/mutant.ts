/**
 * One model, mutated or not, under the fuzzer: counts its causes, and stops once one of them cannot be the original's.
 *
 *     node mutant.js FOLDER '{"lifetime", "memory", "runs", "seed", "baseline"}'
 *
 * FOLDER is a built copy of the project. `baseline` has the share of runs in which the original shows each cause.
 */
import { pathToFileURL } from "node:url";
import type { Fuzzer as FuzzerClass } from "../properties/fuzz/fuzzer.ts";

/** What is asked for. */
export interface MutantTask {
  readonly lifetime: string;
  readonly memory?: string;
  readonly runs: number;
  readonly seed: string;
  /** Null for the original itself, which is run to the end. */
  readonly baseline: Readonly<Record<string, number>> | null;
}

/** What came of it. */
export interface MutantResult {
  readonly runs: number;
  /** Runs that showed each cause. */
  readonly causes: Readonly<Record<string, number>>;
  /** The cause that gave it away; null if none did. */
  readonly caught: string | null;
}

/** So much more often than the original must a mutant show a cause that both show. */
const TIMES = 5;
/** ... and so often at least. */
const AT_LEAST = 15;
const SCHEDULES = 5;
/** What the original never shows gives a mutant away at once in this many runs, and after that if it shows so often. */
const EARLY = 1000;
const SEVERAL = 3;
/** The share of runs in which the original may show what it is known to show, and did not show here, or hardly. */
const RARE = 0.001;
/** What becomes of a run that does not end. */
const CUT_OFF = "no end";

const [folder = "", task = "{}"] = process.argv.slice(2);
const { lifetime, memory, runs, seed, baseline } = JSON.parse(task) as MutantTask;
const { Fuzzer } = (await import(`${pathToFileURL(folder).href}/properties/fuzz/fuzzer.js`)) as {
  readonly Fuzzer: typeof FuzzerClass;
};
const fuzzer = new Fuzzer({
  seed,
  lifetimes: [lifetime],
  schedules: SCHEDULES,
  ...(memory === undefined ? {} : { memory }),
});

function run(): MutantResult {
  const causes: Record<string, number> = {};
  let done = 0;
  /** Counts a cause; true if that gives the mutant away. */
  const shows = (cause: string, known: boolean, count: number): boolean => {
    const times = (causes[cause] ?? 0) + count;
    causes[cause] = times;
    if (baseline === null) return false;
    const share = baseline[cause];
    if (share === undefined && !known) return done <= EARLY || times >= SEVERAL;
    return times >= AT_LEAST && times >= TIMES * Math.max(share ?? 0, RARE) * done;
  };
  while (done < runs) {
    const round = fuzzer.next();
    done += round.runs;
    for (const [cause, { count, known }] of round.raw) {
      if (shows(cause, known, count)) return { runs: done, causes, caught: cause };
    }
    if (round.cutOff > 0 && shows(CUT_OFF, true, round.cutOff)) return { runs: done, causes, caught: CUT_OFF };
  }
  return { runs: done, causes, caught: null };
}

/** A model so broken that it throws is caught too. */
function runOrThrow(): MutantResult {
  try {
    return run();
  } catch (error) {
    return { runs: 0, causes: {}, caught: `exception: ${(error as Error).message}` };
  }
}

process.stdout.write(`${JSON.stringify(runOrThrow())}\n`);
