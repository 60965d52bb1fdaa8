/**
 * `npm run mutations`: every mutation of the model, one at a time, in a built copy; writes docs/mutations.md.
 *
 * The original is fuzzed first, under each lifetime and memory model that a mutation names, on the same programs and
 * schedules. What counts as a catch is in `mutant.ts`. `MUTATION_RUNS` (50000) bounds the runs of each,
 * `MUTATION_BASELINE` (50000) those of the original, `MUTATION_ONLY` picks by a part of the name.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { EQUIVALENT, lifetimeFor, MUTATIONS, type Mutation } from "../properties/mutations/mutations.ts";
import type { MutantResult, MutantTask } from "./mutant.ts";

const RUNS = Number(process.env.MUTATION_RUNS ?? 50_000);
const BASELINE_RUNS = Number(process.env.MUTATION_BASELINE ?? 50_000);
const ONLY = process.env.MUTATION_ONLY ?? "";
const SEED = "1";
const HOUR = 3_600_000;
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A built copy of the project in which something can be broken. */
function makeCopy(): string {
  const folder = mkdtempSync(join(tmpdir(), "utrace-sim-mutant-"));
  cpSync(join(ROOT, "dist"), folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "mutant", type: "module" }));
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  return folder;
}

/** Builds one file of the copy from `source`. */
function build(folder: string, file: string, source: string): void {
  const { outputText } = ts.transpileModule(source, {
    fileName: file,
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  });
  writeFileSync(join(folder, file.replace(/\.ts$/, ".js")), outputText);
}

function fuzz(folder: string, task: MutantTask): MutantResult {
  const mutant = fileURLToPath(new URL("mutant.js", import.meta.url));
  const child = spawnSync(process.execPath, [mutant, folder, JSON.stringify(task)], {
    encoding: "utf8",
    timeout: HOUR,
    maxBuffer: 1 << 26,
  });
  // What keeps the fuzzer from its answer is no catch, but a defect here, or a busy machine.
  if (child.status !== 0) throw new Error(`mutant.js failed: ${child.error?.message ?? child.stderr}`);
  return JSON.parse(child.stdout) as MutantResult;
}

const settings = (mutation: Mutation): string => `${lifetimeFor(mutation)} ${mutation.memory ?? "sc"}`;
const baselines = new Map<string, Readonly<Record<string, number>>>();

/** How often the original shows what, as shares of its runs. */
function baselineFor(folder: string, mutation: Mutation): Readonly<Record<string, number>> {
  const known = baselines.get(settings(mutation));
  if (known !== undefined) return known;
  const task = taskFor(mutation, BASELINE_RUNS, null);
  const { runs, causes } = fuzz(folder, task);
  const shares = Object.fromEntries(Object.entries(causes).map(([cause, times]) => [cause, times / runs]));
  baselines.set(settings(mutation), shares);
  process.stderr.write(`original, ${settings(mutation)}: ${runs} runs, ${Object.keys(shares).length} causes\n`);
  return shares;
}

const taskFor = (mutation: Mutation, runs: number, baseline: MutantTask["baseline"]): MutantTask => ({
  lifetime: lifetimeFor(mutation),
  ...(mutation.memory === undefined ? {} : { memory: mutation.memory }),
  runs,
  seed: SEED,
  baseline,
});

/** What the document says above its table. */
const opening = (share: string): string[] => [
  "# Mutations of the model",
  "",
  "Written by `npm run mutations`. Each mistake of `properties/mutations/mutations.ts` was made in a copy of the model,",
  `which was then fuzzed for up to ${RUNS} runs, or until the checks and the specification caught it.`,
  "",
  `**${share}.**`,
  "",
  "## What counts as a catch",
  "",
  "The posted code has defects of its own, so a finding alone says nothing. The original is fuzzed first, on the same",
  `programs under the same schedules, for ${BASELINE_RUNS} runs. A mutation is caught by`,
  "",
  "- a cause that is none of the judged ones (`properties/fuzz/known.ts`) and that the original does not show in those",
  "  runs: at once within the first 1000 runs, later only if it comes three times. If the original did show it after",
  "  all, at whatever rate, the chance to miss it there in 50,000 runs and meet it here is at its worst one in a hundred",
  "  up to run 20,000, and one in twenty at the end; campaigns of the fuzzer (docs/fuzz-findings.md) make it smaller;",
  "- a cause that the original shows too, at least fifteen times and five times as often as there. No cause is taken to",
  "  be rarer than one run in a thousand there. At an unchanged rate the chance of that is below one in a million;",
  "- runs that do not end within 8000 steps, counted like the latter; a model that throws.",
  "",
  "The last column has the rule, check or BUG that fired, with the functions that led there. Runs are counted in fives,",
  "as each program is run under five schedules.",
  "",
];

function main(): void {
  const folder = makeCopy();
  const rows: string[] = [];
  let caught = 0;
  const mutations = MUTATIONS.filter(({ name }) => name.includes(ONLY));
  // As they are now: they may be edited before their turn comes.
  const sources = new Map(mutations.map(({ file }) => [file, readFileSync(join(ROOT, file), "utf8")]));
  try {
    for (const mutation of mutations) {
      const baseline = baselineFor(folder, mutation);
      const { name, file, find, replace, why } = mutation;
      const source = sources.get(file) as string;
      build(
        folder,
        file,
        source.replace(find, () => replace),
      );
      const result = fuzz(folder, taskFor(mutation, RUNS, baseline));
      build(folder, file, source);
      if (result.caught !== null) caught++;
      const by = result.caught === null ? "**not caught**" : `\`${result.caught.replaceAll("|", "\\|")}\``;
      rows.push(`| ${name} | ${why} | \`${file}\` | ${settings(mutation)} | ${result.runs} | ${by} |`);
      process.stderr.write(
        `${result.caught === null ? "SURVIVES" : "caught  "} ${name}: ${result.runs} runs, ${result.caught}\n`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const share = `${caught} of ${mutations.length} mutations caught (${((100 * caught) / mutations.length).toFixed(1)} %)`;
  process.stdout.write(`${share}\n`);
  if (ONLY !== "") return;
  const text = [
    ...opening(share),
    "| mutation | kind | file | lifetime, memory | runs | caught by |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows,
    "",
    "## Left out",
    "",
    "Mistakes that nobody could notice, so that they say nothing of the checks; another of its kind stands for each.",
    "",
    "| mistake | why nobody could | instead |",
    "| --- | --- | --- |",
    ...EQUIVALENT.map(({ name, why, instead }) => `| ${name} | ${why} | ${instead} |`),
    "",
  ];
  writeFileSync(join(ROOT, "docs/mutations.md"), text.join("\n"));
}

main();
