/** `explore`: every schedule of a small world, up to a number of preemptions. */
import { setImmediate } from "node:timers/promises";
import type { Parameters } from "../../scenarios/scenario.ts";
import {
  type Estimate,
  type ExploredFinding,
  type Exploring,
  type MachineExploration,
  MachineExplorer,
  type PutAside,
  STATE_CHECKS,
  STATES_MAX,
} from "../../sim/explore/machine/explore.ts";
import { CannotExplore } from "../../sim/explore/machine/exploringMachine.ts";
import { asideStates } from "../../sim/explore/machine/states.ts";
import { formatSchedule } from "../../sim/schedule.ts";
import { findByKey, replayTo } from "../confirm.ts";
import { EXIT_BUDGET, EXIT_CLEAN, EXIT_FINDING, UsageError } from "../errors.ts";
import { readExploration, writeExploration } from "../explorationFile.ts";
import { ExploreCrew } from "../exploreCrew.ts";
import type { Io } from "../io.ts";
import { findScenario, type ParameterOptions, type Subject, subjectOf } from "../options.ts";
import { type FindingJson, findingJson, printJson } from "../output/json.ts";
import { kernelText } from "../output/kernelText.ts";
import { block, commandLine, count, headline, replayLine, size } from "../output/text.ts";
import { checkFolder, makeRepro, writeRepro } from "../reproFile.ts";

export interface ExploreCommandOptions extends ParameterOptions {
  /** Preemptions at most; `any` for no bound. */
  readonly preemptions: number;
  /** Seconds it may take. */
  readonly budget?: number;
  readonly save?: string;
  readonly resume?: string;
  readonly out: string;
  readonly jobs: number;
  readonly contextSwitches?: number;
  readonly loopRounds?: number;
  /** States there is room for; rounded up to a power of 2. */
  readonly statesMax?: number;
  readonly reduce: boolean;
  readonly cache: boolean;
}

/** Seconds between two progress lines. */
const PROGRESS_MS = 500;

/** Explores a scenario and says what it found. */
export async function exploreCommand(io: Io, name: string, options: ExploreCommandOptions): Promise<number> {
  const began = performance.now();
  const subject = smallSubject(io, name, options);
  checkFolder(options.out, io.cwd);
  const words = commandLine("explore", subject.scenario.name, subject.parameters, ...boundWords(options));
  const aside = options.resume === undefined ? null : readExploration(options.resume, io.cwd, words);
  const explorer = makeExplorer(subject, options, roomFor(aside, options));
  try {
    if (aside !== null) await explorer.takeUp(aside);
    if (options.json !== true) io.stdout.write(opening(subject, options));
    const over = await explore(io, explorer, began, options);
    if (explorer instanceof ExploreCrew) await explorer.settle();
    const result = explorer.result();
    const findings = result.findings.map((found) => confirmed(io, subject, found, options));
    if (!over) {
      const path = options.save ?? `${options.out}/${subject.scenario.name}.exploration`;
      writeExploration(path, io.cwd, words, explorer.putAside());
      if (options.json !== true) io.stdout.write(`put aside in ${path}; to go on: ${words} --resume ${path}\n`);
    }
    const elapsedMs = Math.round(performance.now() - began);
    if (options.json === true) printJson(io.stdout, exploreJson(subject, options, result, findings, elapsedMs));
    else io.stdout.write(conclusion(result, elapsedMs));
    if (findings.length > 0) return EXIT_FINDING;
    return result.complete ? EXIT_CLEAN : EXIT_BUDGET;
  } finally {
    explorer.release();
  }
}

/** What is explored: the small form of a scenario where it has one, with the checks that look at states. */
function smallSubject(io: Io, name: string, options: ExploreCommandOptions): Subject {
  const asked = findScenario(io, name);
  const given = subjectOf(io, (asked.small ?? asked).name, options);
  const checks = STATE_CHECKS.filter((check) => given.parameters.checks.includes(check));
  const parameters: Parameters = { ...given.parameters, checks };
  return { ...given, parameters, program: given.scenario.program(parameters) };
}

/** States that there is room for: as many as are asked for, or as there was room for before. */
function roomFor(aside: PutAside | null, { statesMax: asked, resume }: ExploreCommandOptions): number {
  const wanted = asked === undefined ? undefined : 2 ** Math.ceil(Math.log2(asked));
  if (aside === null) return wanted ?? STATES_MAX;
  const needed = asideStates(aside.states);
  if (wanted !== undefined && wanted < needed) {
    throw new UsageError(
      `${resume} has ${needed} states, more than --states-max ${asked}; leave it out to have room for ${aside.statesMax}`,
    );
  }
  return wanted ?? aside.statesMax;
}

function makeExplorer(
  subject: Subject,
  options: ExploreCommandOptions,
  statesMax: number,
): MachineExplorer | ExploreCrew {
  const { scenario, program } = subject;
  const { preemptions, contextSwitches, loopRounds, reduce: reduces, cache: caches, jobs } = options;
  try {
    const bounds = {
      preemptions,
      reduces,
      caches,
      ...(contextSwitches === undefined ? {} : { switches: contextSwitches }),
      ...(loopRounds === undefined ? {} : { loopRounds }),
      statesMax,
    };
    return jobs > 1 ? new ExploreCrew(subject, bounds, jobs) : new MachineExplorer(program, bounds);
  } catch (error) {
    throw explained(error, scenario.name);
  }
}

function explained(error: unknown, name: string): unknown {
  if (!(error instanceof CannotExplore)) return error;
  return new UsageError(`explore cannot go through ${error.message}, which ${name} has; hunt can`);
}

/** Goes on until it is over, the budget is spent, or someone presses Ctrl-C. */
async function explore(
  io: Io,
  explorer: MachineExplorer | ExploreCrew,
  began: number,
  options: ExploreCommandOptions,
): Promise<boolean> {
  let stopped = false;
  const stop = (): void => {
    stopped = true;
  };
  process.once("SIGINT", stop);
  let shown = 0;
  try {
    while (await explorer.advance()) {
      const elapsed = performance.now() - began;
      if (io.stderr.isTTY === true && elapsed - shown > PROGRESS_MS) {
        shown = elapsed;
        io.stderr.write(`\r${progressLine(explorer.soFar(), elapsed)}\x1b[K`);
      }
      if (stopped || (options.budget !== undefined && elapsed >= options.budget * 1000)) return false;
      await setImmediate();
    }
    return true;
  } catch (error) {
    throw explained(error, "this scenario");
  } finally {
    process.removeListener("SIGINT", stop);
    if (shown > 0) io.stderr.write("\r\x1b[K");
  }
}

const progressLine = (so: Exploring, elapsed: number): string =>
  `${count(so.preemptions, "preemption")}: ${guess(so.estimate)}; ${count(so.states, "state")}, ${count(so.executions, "run")}, ${so.findings.length} found, ${Math.round(elapsed / 1000)} s`;

/** How much is done and left of a number of preemptions. */
const guess = ({ done, runsLeft }: Estimate): string =>
  `about ${Math.floor(100 * done)} % done${runsLeft === null ? "" : `, ${rounded(runsLeft)} runs left`}`;

/** Two digits of a number are all that a guess is good for. */
function rounded(value: number): number {
  const scale = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, value))) - 1);
  return Math.round(value / scale) * scale;
}

const boundWords = ({ preemptions, contextSwitches, loopRounds, reduce, cache }: ExploreCommandOptions): string[] => [
  "--preemptions",
  Number.isFinite(preemptions) ? String(preemptions) : "any",
  ...(contextSwitches === undefined ? [] : ["--context-switches", String(contextSwitches)]),
  ...(loopRounds === undefined ? [] : ["--loop-rounds", String(loopRounds)]),
  ...(reduce ? [] : ["--no-reduce"]),
  ...(cache ? [] : ["--no-cache"]),
];

function opening({ scenario, parameters }: Subject, { preemptions }: ExploreCommandOptions): string {
  const bound = Number.isFinite(preemptions)
    ? `at most ${count(preemptions, "preemption")}`
    : "any number of preemptions";
  return (
    `exploring ${scenario.name}: ${scenario.title}\n` +
    `lifetime ${parameters.lifetime}, ${count(parameters.cpus, "CPU")}, schedules with ${bound}\n` +
    `checks ${parameters.checks.join(", ")} (not lock order and the specification, which look at the past of a run)\n`
  );
}

/** Runs the witness again as it will be replayed, saves it, and says so. */
function confirmed(io: Io, subject: Subject, found: ExploredFinding, options: ExploreCommandOptions): FindingJson {
  const { scenario, parameters, program } = subject;
  const { run, trail, cost } = replayTo(program, found.schedule, found.key);
  const finding = findByKey(run.findings, found.key);
  if (finding === undefined) throw new Error(`[sim bug] ${found.key} does not come when its schedule is run again`);
  const { schedule, historyHash } = run;
  const source = { scenario: scenario.name, parameters, schedule, trail, finding, historyHash };
  const repro = writeRepro(makeRepro({ ...source, strategy: "exhaustive", seed: "" }), options.out, io.cwd);
  const text = kernelText(finding, program);
  if (options.json !== true) {
    io.stdout.write(`\n${headline(finding, "its first witness")}\n${block(text)}\n`);
    io.stdout.write(`schedule  ${size(cost)}; no schedule with fewer preemptions shows it\n`);
    io.stdout.write(`again     ${replayLine(repro)}\n`);
  }
  return findingJson(finding, { count: found.count, seed: "", schedule: formatSchedule(schedule), repro, text });
}

function conclusion(result: MachineExploration, elapsedMs: number): string {
  const { complete, bounds, executions, states, steps, findings, cutOff, estimate } = result;
  const covered =
    bounds.preemptions === null
      ? "every schedule"
      : bounds.preemptions < 0
        ? "not even every schedule without preemptions"
        : `every schedule with at most ${count(bounds.preemptions, "preemption")}`;
  const switches =
    bounds.switches === null ? "" : ` and ${count(bounds.switches, "context switch", "context switches")}`;
  const verdict =
    findings.length > 0
      ? `${count(findings.length, "distinct finding")}`
      : complete
        ? "held: nothing found"
        : "none found";
  const looped =
    bounds.hit.includes("loopRounds") && bounds.loopRounds !== null
      ? `runs were cut off that came to the head of a loop more than ${count(bounds.loopRounds, "time")} (--loop-rounds)\n`
      : "";
  const full = bounds.hit.includes("statesMax")
    ? `there is no room for more than ${bounds.statesMax} states (--states-max)\n`
    : "";
  const cut = cutOff > 0 ? `${count(cutOff, "run was", "runs were")} cut off at ${bounds.stepsMax} steps\n` : "";
  const left =
    estimate === null ? "" : `of those with ${count(estimate.preemptions, "preemption")} ${guess(estimate)}\n`;
  return (
    `\n${verdict}; ${complete ? "complete" : "not complete"}: ${covered}${switches}\n${looped}${full}${cut}${left}` +
    `${count(states, "state")}, ${count(executions, "run")}, ${count(steps, "step")}, ${(elapsedMs / 1000).toFixed(1)} s\n`
  );
}

function exploreJson(
  { scenario, parameters }: Subject,
  options: ExploreCommandOptions,
  result: MachineExploration,
  findings: readonly FindingJson[],
  elapsedMs: number,
): object {
  const { lifetime, memory, patches, config, checks, cpus } = parameters;
  const { complete, executions, steps, states, cutOff, bounds, estimate } = result;
  return {
    scenario: scenario.name,
    lifetime,
    memory,
    patches,
    config,
    checks,
    strategy: "exhaustive",
    seed: "",
    verdict: findings.length > 0 ? "violated" : complete ? "held" : "none-found",
    executions,
    steps,
    states,
    complete,
    bounds: {
      preemptions: bounds.preemptions,
      preemptionsMax: Number.isFinite(options.preemptions) ? options.preemptions : null,
      contextSwitches: bounds.switches,
      contextSwitchesMax: options.contextSwitches ?? null,
      loopRounds: bounds.loopRounds,
      stepsMax: bounds.stepsMax,
      statesMax: bounds.statesMax,
      tasks: bounds.tasks,
      cpus,
      hit: bounds.hit,
    },
    cutOff,
    estimate,
    findings,
    historyHash: "",
    elapsedMs,
  };
}
