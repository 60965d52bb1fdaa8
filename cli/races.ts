/**
 * Every scenario, and every entry of the corpus, under every lifetime: what a search of so many runs finds.
 *
 * The same schedules are tried under each lifetime as far as schedules of different code can be the same: those of one
 * seed. An entry of the corpus is replayed under its own lifetime; under another its schedule is followed as far as it
 * goes, and then searched for. Where the search of a scenario finds nothing, all schedules with few preemptions are gone
 * through, as far as the budget goes. Nothing found is never called well: the number of runs is all that is said, or
 * the bounds within which there is nothing.
 */
import { join, relative } from "node:path";
import { setImmediate } from "node:timers/promises";
import { Tinypool } from "tinypool";
import type { RaceCell, RaceFinding, RaceRow } from "../reports/comparison.ts";
import { resolveParameters } from "../scenarios/parameters.ts";
import type { Parameters, Scenario } from "../scenarios/scenario.ts";
import { exploreMachine, type MachineExploration } from "../sim/explore/machine/explore.ts";
import { CannotExplore } from "../sim/explore/machine/exploringMachine.ts";
import { findingKey } from "../sim/finding.ts";
import { type HuntFinding, type HuntOptions, type HuntResult, hunt } from "../sim/hunt.ts";
import { execute } from "../sim/run.ts";
import { GuidedStrategy, ReplayMismatch } from "../sim/strategies/replay.ts";
import { confirm, findByKey, replayTo } from "./confirm.ts";
import { type CorpusEntry, readCorpus } from "./corpus.ts";
import { type HuntTask, workerFile } from "./hunting.ts";
import type { Io } from "./io.ts";
import { findScenario, givenOf, optionsFor } from "./options.ts";
import { count } from "./output/text.ts";
import { makeRepro, scheduleOf, writeRepro } from "./reproFile.ts";

/** What is searched, and how. */
export interface RaceRequest {
  readonly lifetimes: readonly string[];
  readonly runs: number;
  readonly seed: string;
  readonly jobs: number;
  /** Preemptions at most of the schedules that are gone through, and how many such runs there may be; 0 runs: none. */
  readonly preemptions: number;
  readonly exploreRuns: number;
  /** Folder for repro files. */
  readonly out: string;
  /** Told how many searches are over. */
  readonly onCell: (done: number, of: number) => void;
}

/** Kernel configs under which each scenario is searched: that of the first crash, and that of the two after it. */
const CONFIGS = ["", "SLUB_DEBUG=y"];

/** A scenario with its parameters but for the lifetime. */
interface World {
  readonly scenario: Scenario;
  readonly parameters: Parameters;
}

/** A row before it is searched. */
interface Question extends World {
  readonly entry: CorpusEntry | null;
}

/** A search that is over: what it found, each with its repro file. */
interface Searched {
  readonly lifetime: string;
  readonly runs: number;
  /** Bounds within which there is nothing, if that is known. */
  readonly ruledOut: string | null;
  readonly findings: readonly RaceFinding[];
}

const withLifetime = ({ parameters }: World, lifetime: string): Parameters => ({ ...parameters, lifetime });

/** The options that give a world, whatever the lifetime. */
const optionsOfWorld = (world: World): string[] => optionsFor(withLifetime(world, resolveParameters({}).lifetime));

/** Worlds are the same if nothing but the lifetime can tell them apart. */
const worldKey = ({ scenario, parameters }: World): string =>
  JSON.stringify([scenario.name, { ...parameters, lifetime: null }]);

/** Searches everything. */
export async function searchRaces(io: Io, request: RaceRequest): Promise<RaceRow[]> {
  const questions = [...scenarioQuestions(io), ...corpusQuestions(io)];
  // Of those that are the same, the first: a scenario on its own.
  const worlds = new Map([...questions].reverse().map((question) => [worldKey(question), question]));
  const cells = [...worlds.values()]
    .reverse()
    .flatMap((world) => request.lifetimes.map((lifetime) => ({ world, lifetime })));
  const searched = new Map<string, Searched>();
  let done = 0;
  for await (const { world, lifetime, result } of searchAll(cells, request)) {
    const own = keep(io, world, lifetime, result, request);
    const explores = own.findings.length === 0 && world.entry === null;
    searched.set(`${worldKey(world)} ${lifetime}`, explores ? explore(io, world, own, request) : own);
    request.onCell(++done, cells.length);
  }
  return questions.map((question) => rowOf(io, question, searched, request));
}

const scenarioQuestions = (io: Io): Question[] =>
  io.scenarios.flatMap((scenario) =>
    CONFIGS.map((config) => ({ scenario, parameters: resolveParameters({ config }), entry: null })),
  );

const corpusQuestions = (io: Io): Question[] =>
  readCorpus()
    .filter(({ repro }) => io.scenarios.some((scenario) => scenario.name === repro.scenario))
    .map((entry) => ({
      scenario: findScenario(io, entry.repro.scenario),
      parameters: resolveParameters(givenOf(entry.repro.parameters)),
      entry,
    }));

interface SearchResult {
  readonly world: Question;
  readonly lifetime: string;
  readonly result: HuntResult;
}

const optionsOf = ({ seed, runs }: RaceRequest): HuntOptions => ({
  strategy: "portfolio",
  seed,
  first: 0,
  runs,
  keepGoing: true,
  kinds: [],
});

/** One search after the other, by worker threads if there are several; the results come in the order of the cells. */
async function* searchAll(
  cells: readonly { readonly world: Question; readonly lifetime: string }[],
  request: RaceRequest,
): AsyncGenerator<SearchResult> {
  const options = optionsOf(request);
  if (request.jobs === 1) {
    for (const { world, lifetime } of cells) {
      yield { world, lifetime, result: hunt(world.scenario.program(withLifetime(world, lifetime)), options) };
      await setImmediate();
    }
    return;
  }
  const { jobs } = request;
  const pool = new Tinypool({ filename: workerFile(), minThreads: jobs, maxThreads: jobs, isolateWorkers: false });
  try {
    const waiting = cells.map(({ world, lifetime }) => {
      const task: HuntTask = { scenario: world.scenario.name, parameters: withLifetime(world, lifetime), options };
      const result: Promise<HuntResult> = pool.run(task);
      // A search that nobody waits for any more may fail when the workers end.
      result.catch(() => undefined);
      return { world, lifetime, result };
    });
    for (const { world, lifetime, result } of waiting) yield { world, lifetime, result: await result };
  } finally {
    await pool.destroy();
  }
}

/** Saves what a search found; a folder for each lifetime and set of options, since the runs may be the same. */
function keep(io: Io, world: World, lifetime: string, result: HuntResult, request: RaceRequest): Searched {
  const findings = result.findings.map((found) => save(io, world, lifetime, found, request));
  return { lifetime, runs: result.executions, ruledOut: null, findings };
}

/** Goes through all schedules with few preemptions, where a search found nothing. */
function explore(io: Io, world: World, own: Searched, request: RaceRequest): Searched {
  const { preemptions, exploreRuns } = request;
  if (exploreRuns === 0) return own;
  const parameters = withLifetime(world, own.lifetime);
  const goesOn = ({ executions }: { readonly executions: number }): boolean => executions < exploreRuns;
  let explored: MachineExploration;
  try {
    explored = exploreMachine(world.scenario.program(parameters), { preemptions, goesOn });
  } catch (error) {
    if (error instanceof CannotExplore) return own;
    throw error;
  }
  if (explored.findings.length > 0) {
    const findings = explored.findings.flatMap(({ finding, schedule, count }) => {
      const found: HuntFinding = { finding, schedule, count, run: 0, seed: request.seed };
      return saveIfReal(io, world, own.lifetime, found, request);
    });
    return { ...own, findings };
  }
  if (!explored.complete) return own;
  const bounds = `${count(preemptions, "preemption")} on ${count(parameters.cpus, "CPU")}: ${count(explored.states, "state")}`;
  return { ...own, ruledOut: bounds };
}

/** What exploring came upon, if a run with all checks shows it too: exploring has a machine of its own. */
function saveIfReal(
  io: Io,
  world: World,
  lifetime: string,
  found: HuntFinding,
  request: RaceRequest,
): readonly RaceFinding[] {
  const program = world.scenario.program(withLifetime(world, lifetime));
  const key = findingKey(found.finding);
  try {
    const { run } = replayTo(program, found.schedule, key);
    if (findByKey(run.findings, key) === undefined) return [];
  } catch (error) {
    if (error instanceof ReplayMismatch) return [];
    throw error;
  }
  return [save(io, world, lifetime, found, request)];
}

function save(io: Io, world: World, lifetime: string, found: HuntFinding, request: RaceRequest): RaceFinding {
  const { scenario } = world;
  const parameters = withLifetime(world, lifetime);
  const { finding, schedule, trail, run } = confirm(scenario.program(parameters), found.finding, found.schedule, false);
  const { historyHash } = run;
  const source = { parameters, schedule, trail, finding, historyHash, strategy: "portfolio", seed: found.seed };
  const folder = join(request.out, [lifetime, ...optionsOfWorld(world)].join(" ").replaceAll(/[^\w=.]+/g, "-"));
  const repro = writeRepro(makeRepro({ scenario: scenario.name, ...source }), folder, io.cwd);
  return { kind: finding.kind, function: finding.function, title: finding.title, count: found.count, repro };
}

function rowOf(io: Io, question: Question, searched: ReadonlyMap<string, Searched>, request: RaceRequest): RaceRow {
  const { scenario, entry } = question;
  const finding = entry === null ? null : { kind: entry.repro.finding.kind, function: entry.repro.finding.function };
  const cells = request.lifetimes.map((lifetime): RaceCell => {
    const own = searched.get(`${worldKey(question)} ${lifetime}`) as Searched;
    const all = entry === null ? own.findings : entryFindings(io, question, entry, own, request);
    const bounds = entry === null && all.length === 0 ? own.ruledOut : null;
    const verdict = all.length > 0 ? "found" : bounds === null ? "none-found" : "ruled-out";
    return { lifetime, verdict, runs: own.runs, bounds, findings: all };
  });
  const options = optionsOfWorld(question).join(" ");
  return { scenario: scenario.name, options, entry: entry?.name ?? null, finding, cells };
}

/** What of an entry's finding there is under a lifetime: its own file, its schedule followed, or what the search found. */
function entryFindings(io: Io, world: World, entry: CorpusEntry, own: Searched, request: RaceRequest): RaceFinding[] {
  const { finding, parameters } = entry.repro;
  const same = (other: { readonly kind: string; readonly function: string }): boolean =>
    other.kind === finding.kind && other.function === finding.function;
  if (parameters.lifetime === own.lifetime) {
    const { kind, title } = finding;
    return [{ kind, title, function: finding.function, count: 1, repro: relative(io.cwd, entry.path) }];
  }
  const found = own.findings.filter(same);
  if (found.length > 0) return found;
  const program = world.scenario.program(withLifetime(world, own.lifetime));
  const run = execute(program, new GuidedStrategy(scheduleOf(entry.repro, entry.path)));
  const followed = run.findings.find(same);
  if (followed === undefined) return [];
  const schedule = run.schedule.slice(0, followed.step + 1);
  const hit: HuntFinding = { finding: followed, run: 0, seed: entry.repro.seed, schedule, count: 1 };
  return [save(io, world, own.lifetime, hit, request)];
}
