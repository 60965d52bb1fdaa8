/**
 * Keeps a folder of repro files up to date: `npm run corpus`, for scenarios/corpus.
 *
 * After a change that was meant to change runs, files that replay exactly stay; the others are carried over by the
 * identity of their events, and where that does not show the finding, it is hunted again with the hunt that found it.
 * What cannot be brought up to date so is named, and left as it is.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { findingKey } from "../sim/finding.ts";
import { hunt, STRATEGY_NAMES } from "../sim/hunt.ts";
import { confirm } from "./confirm.ts";
import { EXIT_CLEAN, EXIT_DEFECT, EXIT_FINDING, EXIT_USAGE, messageOf, oneLine, UsageError } from "./errors.ts";
import type { Io } from "./io.ts";
import type { Subject } from "./options.ts";
import { huntLine } from "./output/text.ts";
import { rebaseRepro } from "./rebasing.ts";
import { exactOrNot, subjectOfRepro, withTrail } from "./replaying.ts";
import { makeRepro, REPRO_FORMAT, type Repro, readRepro, writeReproAs } from "./reproFile.ts";

const USAGE =
  "usage: npm run corpus [-- [--rebase] [--runs N] [FOLDER]]; without --rebase it only says which files replay";
/** Runs that a finding is hunted for with one seed, and seeds that are tried. */
const RUNS = 5000;
const SEEDS = 8;

/** What became of a file. */
interface Outcome {
  readonly state: "exact" | "rebased" | "hunted" | "outdated" | "lost";
  readonly text: string;
  /** What the file has to hold now; absent if nothing new. */
  readonly repro?: Repro;
}

/** Looks at each file of `folder`, and with `rebase` brings it up to date. */
function keepCorpus(io: Io, folder: string, options: { rebase: boolean; runs: number }): number {
  let wrong = 0;
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith(".json")) continue;
    const path = join(folder, file);
    const { state, text, repro } = look(io, path, options);
    io.stdout.write(`${state.padEnd(8)}  ${file}${text === "" ? "" : `: ${oneLine(text)}`}\n`);
    if (state === "outdated" || state === "lost") wrong++;
    if (repro === undefined || !options.rebase) continue;
    writeReproAs(repro, path, io.cwd, "make the folder writable");
    if (state === "hunted") tellReadme(io, folder, file, repro);
  }
  return wrong === 0 ? EXIT_CLEAN : EXIT_FINDING;
}

function look(io: Io, path: string, { rebase, runs }: { rebase: boolean; runs: number }): Outcome {
  const repro = readRepro(path, io.cwd);
  const subject = subjectOfRepro(io, repro, path);
  const replayed = exactOrNot(subject, repro, path);
  if (typeof replayed !== "string") {
    const text = repro.format === REPRO_FORMAT ? "" : `of format ${repro.format}`;
    return { state: "exact", text, ...(text === "" ? {} : { repro: withTrail(repro, replayed.trail) }) };
  }
  if (!rebase) return { state: "outdated", text: replayed };
  const rebased = rebaseRepro(subject, repro, path);
  if (rebased !== null && rebased.repro !== null) return { state: "rebased", text: rebased.text, repro: rebased.repro };
  const hunted = huntAgain(subject, repro, runs);
  if (hunted !== null) return { state: "hunted", text: `found again with seed ${hunted.seed}`, repro: hunted };
  return { state: "lost", text: `not found again in ${SEEDS} hunts of ${runs} runs; ${rebased?.text ?? replayed}` };
}

/** Hunts the finding of a repro, first with the seed that found it. */
function huntAgain(subject: Subject, repro: Repro, runs: number): Repro | null {
  const { key, kind } = repro.finding;
  const strategy = STRATEGY_NAMES.find((name) => name === repro.strategy) ?? STRATEGY_NAMES[0];
  const given = Number(repro.seed.split("/")[0]);
  const seeds = [given, ...Array.from({ length: SEEDS }, (_, i) => i + 1).filter((seed) => seed !== given)];
  for (const seed of seeds.slice(0, SEEDS).map(String)) {
    const options = { strategy, seed, first: 0, runs, keepGoing: false, kinds: [kind] };
    const found = hunt(subject.program, options).findings.find(({ finding }) => findingKey(finding) === key);
    if (found === undefined) continue;
    const { finding, schedule, run, trail } = confirm(subject.program, found.finding, found.schedule, true);
    const { scenario, parameters } = subject;
    const { historyHash } = run;
    return makeRepro({
      scenario: scenario.name,
      parameters,
      schedule,
      trail,
      finding,
      historyHash,
      strategy,
      seed: found.seed,
    });
  }
  return null;
}

/** The README of the corpus names the hunt of each file. */
function tellReadme(io: Io, folder: string, file: string, repro: Repro): void {
  const path = join(folder, "README.md");
  const row = new RegExp(`^\\| \`${file.replaceAll(".", "\\.")}\` \\| \`npx .*$`, "m");
  const text = readFileSync(path, "utf8");
  const hunts = `| \`${file}\` | \`${huntLine(repro, subjectOfRepro(io, repro, file))}\` |`;
  writeFileSync(
    path,
    text.replace(row, () => hunts),
  );
}

/**
 * Runs the words of one command line.
 *
 * @returns the exit code: 0 if every file replays now, 1 if one does not.
 */
export function runKeepCorpus(argv: readonly string[], io: Io): number {
  const words = [...argv];
  let rebase = false;
  let runs = RUNS;
  let folder = "scenarios/corpus";
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "--rebase") rebase = true;
    else if (word === "--runs" && /^[1-9]\d{0,8}$/.test(words[0] ?? "")) runs = Number(words.shift());
    else if (!word.startsWith("-")) folder = word;
    else {
      io.stderr.write(`corpus: "${word}" makes no sense here; ${USAGE}\n`);
      return EXIT_USAGE;
    }
  }
  try {
    return keepCorpus(io, resolve(io.cwd, folder), { rebase, runs });
  } catch (error) {
    io.stderr.write(`corpus: ${oneLine(messageOf(error))}\n`);
    return error instanceof UsageError ? EXIT_USAGE : EXIT_DEFECT;
  }
}
