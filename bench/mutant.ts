/**
 * One model, mutated or not, under the fuzzer: counts its causes, and stops once one of them cannot be the original's.
 *
 *     node mutant.js FOLDER '{"lifetime", "memory", "runs", "seed", "baseline"}'
 *
 * FOLDER is a built copy of the project. `baseline` has the share of runs in which the original shows each cause.
 */
import { pathToFileURL } from "node:url";
import type { Fuzzer as FuzzerClass } from "../properties/fuzz/fuzzer.ts";
import type { knownCause as knownCauseFunction } from "../properties/fuzz/known.ts";

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
const AT_LEAST = 10;
const SCHEDULES = 5;
/** The share of runs in which the original may show a judged cause that it did not show here: those are rare. */
const RARE = 0.001;

const [folder = "", task = "{}"] = process.argv.slice(2);
const { lifetime, memory, runs, seed, baseline } = JSON.parse(task) as MutantTask;
const { knownCause } = (await import(`${pathToFileURL(folder).href}/properties/fuzz/known.js`)) as {
  readonly knownCause: typeof knownCauseFunction;
};
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
  while (done < runs) {
    const round = fuzzer.next();
    done += round.runs;
    for (const [cause, { count }] of round.raw) {
      const times = (causes[cause] ?? 0) + count;
      causes[cause] = times;
      if (baseline === null) continue;
      const share = baseline[cause] ?? (knownCause(cause) === undefined ? undefined : RARE);
      if (share === undefined || (times >= AT_LEAST && times >= TIMES * share * done)) {
        return { runs: done, causes, caught: cause };
      }
    }
  }
  return { runs: done, causes, caught: null };
}

/** A model so broken that it throws, or never comes back, is caught too. */
function runOrThrow(): MutantResult {
  try {
    return run();
  } catch (error) {
    return { runs: 0, causes: {}, caught: `exception: ${(error as Error).message}` };
  }
}

process.stdout.write(`${JSON.stringify(runOrThrow())}\n`);
