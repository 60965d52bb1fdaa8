/**
 * `npm run bake-off`: how many executions each strategy needs to the first finding of each race of the corpus.
 *
 * A race is a file of `scenarios/corpus`: its scenario and parameters, and the key of its finding. For each strategy and
 * each of several seeds all runs of the budget are made, and those noted that show the race; the first of them is the
 * figure. The portfolio is not run: its runs are the very runs of the strategies that it deals to.
 *
 * Prints a table in Markdown, see docs/bake-off.md. Options: `--runs N` (budget), `--seeds N`, `--hits FILE` (all hits,
 * as JSON).
 */
import { readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { givenOf } from "../cli/options.ts";
import { readRepro } from "../cli/reproFile.ts";
import { SCENARIOS } from "../scenarios/index.ts";
import { resolveParameters } from "../scenarios/parameters.ts";
import { findingKey } from "../sim/finding.ts";
import { makeStrategy, STRATEGY_NAMES, type StrategyName, seedOfRun } from "../sim/hunt.ts";
import { tune } from "../sim/measure.ts";
import { execute, type Program } from "../sim/run.ts";
import { dealt } from "../sim/strategies/byName.ts";

/** Runs of one hunt that show a race, by number. */
type Hits = readonly number[];

interface Race {
  readonly file: string;
  readonly key: string;
  /** For each strategy, for each seed. */
  readonly hits: Partial<Record<StrategyName, Hits[]>>;
}

/** Races that can show in the same runs. */
interface World {
  readonly program: Program;
  readonly races: Race[];
}

const CORPUS = fileURLToPath(new URL("../../scenarios/corpus", import.meta.url));
const OWN_RUNS = STRATEGY_NAMES.filter((name) => name !== "portfolio");

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "2000" },
    seeds: { type: "string", default: "7" },
    hits: { type: "string" },
  },
});
const RUNS = Number(values.runs);
const SEEDS = Array.from({ length: Number(values.seeds) }, (_, i) => String(i + 1));

function worldsOfCorpus(): World[] {
  const worlds = new Map<string, World>();
  for (const file of readdirSync(CORPUS).sort()) {
    if (!file.endsWith(".json")) continue;
    const repro = readRepro(file, CORPUS);
    const parameters = resolveParameters(givenOf(repro.parameters));
    const scenario = SCENARIOS.find(({ name }) => name === repro.scenario);
    if (scenario === undefined) throw new Error(`${file}: no scenario ${repro.scenario}`);
    const name = JSON.stringify([repro.scenario, parameters]);
    const world = worlds.get(name) ?? { program: scenario.program(parameters), races: [] };
    worlds.set(name, world);
    world.races.push({ file: file.replace(/\.json$/, ""), key: repro.finding.key, hits: {} });
  }
  return [...worlds.values()];
}

/** Makes all runs of a strategy in a world. */
function bake({ program, races }: World, strategy: StrategyName): void {
  const tuning = tune(program, strategy);
  for (const race of races) race.hits[strategy] = [];
  for (const seed of SEEDS) {
    const hits = races.map((): number[] => []);
    for (let run = 0; run < RUNS; run++) {
      const picks = makeStrategy(strategy, seedOfRun(seed, run), tuning);
      const keys = execute(program, picks, { scheduleOnlyOnFinding: true }).findings.map(findingKey);
      for (const [i, { key }] of races.entries()) if (keys.includes(key)) hits[i]?.push(run);
    }
    for (const [i, race] of races.entries()) race.hits[strategy]?.push(hits[i] as number[]);
  }
}

/** The hits of a portfolio are those that the strategy had whose turn it was. */
function portfolioHits({ hits }: Race): Hits[] {
  return SEEDS.map((seed, i) => {
    const all = OWN_RUNS.flatMap((name) =>
      (hits[name]?.[i] ?? []).filter((run) => dealt("portfolio", seedOfRun(seed, run)) === name),
    );
    return all.sort((a, b) => a - b);
  });
}

/** Executions to the first finding for each seed, least first; infinity where the budget was not enough. */
const firsts = (hits: readonly Hits[]): number[] =>
  hits.map(([first]) => (first === undefined ? Number.POSITIVE_INFINITY : first + 1)).sort((a, b) => a - b);

const shown = (n: number): string => (Number.isFinite(n) ? String(n) : `>${RUNS}`);

/** `median (min-max)`, and how many seeds had none. */
function cell(hits: readonly Hits[]): string {
  const sorted = firsts(hits);
  const [min, median, max] = [0, sorted.length >> 1, sorted.length - 1].map((i) => sorted[i] as number);
  if (min === Number.POSITIVE_INFINITY) return "-";
  const missed = sorted.filter((n) => !Number.isFinite(n)).length;
  return `${shown(median as number)} (${shown(min as number)}-${shown(max as number)})${missed > 0 ? `, ${missed} missed` : ""}`;
}

const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

function main(): void {
  const began = process.cpuUsage();
  const worlds = worldsOfCorpus();
  for (const world of worlds) {
    for (const strategy of OWN_RUNS) bake(world, strategy);
    for (const race of world.races) race.hits.portfolio = portfolioHits(race);
    process.stderr.write(`${world.races.map(({ file }) => file).join(", ")}\n`);
  }
  const races = worlds.flatMap((world) => world.races).sort((a, b) => (a.file < b.file ? -1 : 1));
  if (values.hits !== undefined) writeFileSync(values.hits, JSON.stringify(races));
  const hitsOf = (race: Race, name: StrategyName): Hits[] => race.hits[name] ?? [];
  console.log(row(["race", ...STRATEGY_NAMES]));
  console.log(row(STRATEGY_NAMES.map(() => "---").concat("---")));
  for (const race of races) console.log(row([race.file, ...STRATEGY_NAMES.map((name) => cell(hitsOf(race, name)))]));
  const pairs = races.length * SEEDS.length;
  const total = (name: StrategyName, of: (hits: readonly Hits[]) => number): number =>
    races.reduce((sum, race) => sum + of(hitsOf(race, name)), 0);
  const found = (hits: readonly Hits[]): number => firsts(hits).filter(Number.isFinite).length;
  const capped = (hits: readonly Hits[]): number => firsts(hits).reduce((sum, n) => sum + Math.min(n, RUNS), 0);
  console.log(row([`hunts of ${pairs} that found it`, ...STRATEGY_NAMES.map((name) => String(total(name, found)))]));
  console.log(
    row(["races never found", ...STRATEGY_NAMES.map((name) => String(total(name, (h) => (found(h) === 0 ? 1 : 0))))]),
  );
  console.log(
    row([
      "executions per hunt, at most the budget",
      ...STRATEGY_NAMES.map((name) => String(Math.round(total(name, capped) / pairs))),
    ]),
  );
  const { user } = process.cpuUsage(began);
  console.log(`\n${RUNS} runs for each of ${SEEDS.length} seeds; ${Math.round(user / 1e6)} s of CPU.`);
}

main();
