/** The options that commands share, and the way from them to parameters and back. */
import { type Command, InvalidArgumentError } from "commander";
import { named } from "../scenarios/index.ts";
import {
  CONFIG_DEFAULTS,
  type GivenParameters,
  LIFETIMES,
  PATCHES,
  resolveParameters,
} from "../scenarios/parameters.ts";
import type { Parameters, Scenario } from "../scenarios/scenario.ts";
import {
  CHECK_NAMES,
  EXTRA_CHECK_NAMES,
  FINDING_KINDS,
  type FindingKind,
  MEMORY_MODELS,
  type Program,
} from "../sim/index.ts";
import { UsageError } from "./errors.ts";
import type { Io } from "./io.ts";
import { didYouMean } from "./suggest.ts";

/** Parameters as commander hands them over, with the options every running command has. */
export interface ParameterOptions extends GivenParameters {
  readonly json?: boolean;
  readonly jobs: number;
}

const JOBS_MAX = 256;

/**
 * A parser of whole numbers for commander.
 *
 * @param min - Smallest that makes sense.
 */
export const wholeNumber =
  (min: number, max = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    const upTo = max === Number.MAX_SAFE_INTEGER ? ` of at least ${min}` : ` from ${min} to ${max}`;
    throw new InvalidArgumentError(`Give a whole number${upTo}.`);
  };

/** The values of an option that may be given several times, as one list. */
const append = (text: string, before?: string): string => (before === undefined ? text : `${before},${text}`);

/** Adds the options that describe the world: lifetime, patches, memory, CPUs, config, checks, bound on steps. */
export function addParameterOptions(command: Command): Command {
  const { lifetime, memory, cpus, stepsMax } = resolveParameters({});
  const config = Object.entries(CONFIG_DEFAULTS).map(([key, on]) => `${key}=${on ? "y" : "n"}`);
  return command
    .option("--lifetime <NAME>", `lifetime of struct utrace: ${LIFETIMES.join(", ")} (default: ${lifetime})`)
    .option(
      "--patches <LIST>",
      `fixes to apply: all, none, or some of ${Object.keys(PATCHES).join(", ")} (default: none)`,
    )
    .option("--memory <MODEL>", `memory model: ${MEMORY_MODELS.join(", ")} (default: ${memory})`)
    .option("--cpus <N>", `number of CPUs (default: ${cpus})`, wholeNumber(1))
    .option("--config <KEY=VALUE,...>", `kernel config, y or n (default: ${config.join(", ")})`, append)
    .option(
      "--checks <LIST>",
      `checks to make: all (${CHECK_NAMES.join(", ")}), some of them, or more: ${EXTRA_CHECK_NAMES.join(", ")} (default: all)`,
    )
    .option("--steps-max <N>", `steps before a run is cut off (default: ${stepsMax})`, wholeNumber(1));
}

/** Adds `--json`. */
export const addJsonOption = (command: Command): Command =>
  command.option("--json", "print one JSON object and nothing else");

/** Adds `--jobs`. */
export const addJobsOption = (command: Command): Command =>
  command.option("--jobs <N>", "worker threads; the result is the same for any number", wholeNumber(1, JOBS_MAX), 1);

/**
 * Kinds of finding, separated by commas.
 *
 * @throws UsageError if one is unknown.
 */
export function parseKinds(text: string, before: readonly FindingKind[] = []): FindingKind[] {
  const kinds = [...before];
  for (const word of text.split(",").map((part) => part.trim())) {
    const kind = FINDING_KINDS.find((known) => known === word);
    if (kind === undefined) {
      const guess = didYouMean(word, FINDING_KINDS);
      throw new UsageError(`unknown kind of finding "${word}";${guess} known: ${FINDING_KINDS.join(", ")}`);
    }
    if (!kinds.includes(kind)) kinds.push(kind);
  }
  return kinds;
}

/** A scenario by name. */
export function findScenario(io: Io, name: string): Scenario {
  const scenario = named(io.scenarios).find((known) => known.name === name);
  if (scenario !== undefined) return scenario;
  const guess = didYouMean(
    name,
    named(io.scenarios).map((known) => known.name),
  );
  throw new UsageError(`unknown scenario "${name}";${guess} "utrace-sim list" shows all`);
}

/** What a command runs: a scenario, its parameters, and the program they make. */
export interface Subject {
  readonly scenario: Scenario;
  readonly parameters: Parameters;
  readonly program: Program;
}

/**
 * The subject that a command line names.
 *
 * @throws UsageError or BadParameter if it makes no sense.
 */
export function subjectOf(io: Io, name: string, given: GivenParameters): Subject {
  const scenario = findScenario(io, name);
  const parameters = resolveParameters(given);
  return { scenario, parameters, program: scenario.program(parameters) };
}

/** Parameters as a file holds them: complete, but their names are only words. */
export type WrittenParameters = Omit<Parameters, "memory" | "checks"> & {
  readonly memory: string;
  readonly checks: readonly string[];
};

/** Parameters in the form in which they are given. */
export function givenOf(parameters: WrittenParameters) {
  const { lifetime, memory, cpus, stepsMax } = parameters;
  return {
    lifetime,
    patches: parameters.patches.length === 0 ? "none" : parameters.patches.join(","),
    memory,
    cpus,
    config: Object.entries(parameters.config)
      .map(([key, on]) => `${key}=${on ? "y" : "n"}`)
      .join(","),
    checks: parameters.checks.join(","),
    stepsMax,
  } satisfies GivenParameters;
}

/** The options that give these parameters, as words of a command line; nothing for what is the default. */
export function optionsFor(parameters: Parameters): string[] {
  const byDefault = resolveParameters({});
  const given = givenOf(parameters);
  const usual = givenOf(byDefault);
  const words: string[] = [];
  if (given.lifetime !== usual.lifetime) words.push("--lifetime", parameters.lifetime);
  if (given.patches !== usual.patches) words.push("--patches", given.patches);
  if (given.memory !== usual.memory) words.push("--memory", parameters.memory);
  if (given.cpus !== usual.cpus) words.push("--cpus", String(parameters.cpus));
  const config = Object.entries(parameters.config).filter(([key, on]) => byDefault.config[key] !== on);
  if (config.length > 0) words.push("--config", config.map(([key, on]) => `${key}=${on ? "y" : "n"}`).join(","));
  if (given.checks !== usual.checks) words.push("--checks", given.checks === "" ? '""' : given.checks);
  if (given.stepsMax !== usual.stepsMax) words.push("--steps-max", String(parameters.stepsMax));
  return words;
}
