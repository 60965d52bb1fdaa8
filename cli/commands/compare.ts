/** `compare`: the lifetimes of struct utrace side by side. */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { compareLifetimes } from "../../comparison/compare.ts";
import { LIFETIMES } from "../../model/utrace/lifetimes/index.ts";
import type { Comparison } from "../../reports/comparison.ts";
import { comparisonPage } from "../../reports/comparisonPage.ts";
import { comparisonText } from "../../reports/comparisonText.ts";
import { EXIT_CLEAN, ioReason, UsageError } from "../errors.ts";
import type { Io } from "../io.ts";
import { printJson } from "../output/json.ts";
import { startProgress } from "../progress.ts";
import { searchRaces } from "../races.ts";
import { checkFolder } from "../reproFile.ts";
import { parseHuntSeed } from "../seed.ts";
import { describeTool, TOOL } from "../tool.ts";

export interface CompareCommandOptions {
  readonly runs: number;
  readonly seed: string;
  readonly jobs: number;
  readonly preemptions: number;
  readonly exploreRuns: number;
  readonly out: string;
  /** Path of the page to write. */
  readonly html?: string;
  readonly json?: boolean;
}

/** Compares all lifetimes and says so. */
export async function compareCommand(io: Io, options: CompareCommandOptions): Promise<number> {
  const began = performance.now();
  const seed = parseHuntSeed(options.seed);
  if (options.runs > 0) checkFolder(options.out, io.cwd);
  // Written twice: a path that cannot be written is not found out after the search.
  if (options.html !== undefined) writePage(io, options.html, "");
  const lifetimes = [...LIFETIMES.values()];
  const measured = compareLifetimes(lifetimes);
  const { runs } = options;
  const rows = runs === 0 ? [] : await racesWithProgress(io, measured.lifetimes, seed, options);
  const comparison: Comparison = { ...measured, races: { runs, seed, rows } };
  if (options.html !== undefined) writePage(io, options.html, comparisonPage(comparison, madeBy(options)));
  if (options.json === true) {
    printJson(io.stdout, { ...comparison, elapsedMs: Math.round(performance.now() - began) });
  } else io.stdout.write(`${comparisonText(comparison)}\n`);
  return EXIT_CLEAN;
}

const madeBy = ({ runs, seed }: CompareCommandOptions): string =>
  `Made by ${describeTool(TOOL)}: npx ${TOOL.name} compare --runs ${runs} --seed ${seed}`;

function writePage(io: Io, path: string, html: string): void {
  try {
    writeFileSync(resolve(io.cwd, path), html);
  } catch (error) {
    throw new UsageError(`cannot write ${path}: ${ioReason(error)}; name another file with --html`);
  }
}

async function racesWithProgress(io: Io, lifetimes: readonly string[], seed: string, options: CompareCommandOptions) {
  const { runs, jobs, preemptions, exploreRuns, out } = options;
  let progress: ReturnType<typeof startProgress> | null = null;
  const onCell = (done: number, of: number): void => {
    progress ??= startProgress(io.stderr, "searches", of);
    progress.update(done);
  };
  try {
    return await searchRaces(io, { lifetimes, runs, seed, jobs, preemptions, exploreRuns, out, onCell });
  } finally {
    (progress as ReturnType<typeof startProgress> | null)?.stop();
  }
}
