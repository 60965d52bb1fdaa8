/** A run to be: scenario, parameters, strategy and seed; and any of them, for fast-check. */
import fc from "fast-check";
import { SCENARIOS } from "../scenarios/index.ts";
import {
  BadParameter,
  CONFIG_DEFAULTS,
  type GivenParameters,
  LIFETIMES,
  PATCHES,
  resolveParameters,
} from "../scenarios/parameters.ts";
import type { Parameters, Scenario } from "../scenarios/scenario.ts";
import { makeStrategy, type Program, STRATEGY_NAMES, type Strategy, type StrategyName, tune } from "../sim/index.ts";

/** Everything a run is a function of, with a seed for its schedule. */
export class Situation {
  constructor(
    readonly scenario: Scenario,
    readonly parameters: Parameters,
    readonly strategyName: StrategyName,
    readonly seed: string,
  ) {}

  program(): Program {
    return this.scenario.program(this.parameters);
  }

  strategy(): Strategy {
    return makeStrategy(this.strategyName, this.seed, tune(this.program(), this.strategyName));
  }

  /** The same world with none of its checks made. */
  unchecked(): Program {
    return this.scenario.program({ ...this.parameters, checks: [] });
  }

  /** The command line that makes this run. */
  toString(): string {
    const { lifetime, patches, cpus, config } = this.parameters;
    const pairs = Object.entries(config).map(([key, on]) => `${key}=${on ? "y" : "n"}`);
    return [
      `npx utrace-sim run ${this.scenario.name} --strategy ${this.strategyName} --seed ${this.seed} --cpus ${cpus}`,
      `--lifetime ${lifetime} --patches ${patches.length === 0 ? "none" : patches.join(",")} --config ${pairs.join(",")}`,
    ].join(" ");
  }

  /** How fast-check shows it. */
  [fc.toStringMethod](): string {
    return this.toString();
  }
}

const { lifetime, cpus } = resolveParameters({});

/**
 * Scenarios that ptrace is in, known by what only they find; the claims are about utrace, so they are the
 * smaller part; and those in which somebody is killed come more often.
 */
const [withPtrace, ofUtraceAlone] = [true, false].map((of) =>
  SCENARIOS.filter(({ known }) => known.includes("property") === of),
) as [Scenario[], Scenario[]];
const ofKills = SCENARIOS.filter(({ name }) => name.endsWith("-kill"));
const anyScenario = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...ofUtraceAlone) },
  { weight: 1, arbitrary: fc.constantFrom(...withPtrace) },
  { weight: 1, arbitrary: fc.constantFrom(...ofKills) },
);

/** Any scenario under any parameters that make sense, with a schedule of any strategy that a seed is enough for. */
export const anySituation: fc.Arbitrary<Situation> = fc
  .record({
    scenario: anyScenario,
    lifetime: fc.constantFrom(lifetime, ...LIFETIMES),
    patches: fc.subarray(Object.keys(PATCHES)),
    cpus: fc.oneof(fc.constant(cpus), fc.integer({ min: 1, max: 4 })),
    flipped: fc.subarray(Object.keys(CONFIG_DEFAULTS)),
    strategy: fc.constantFrom(...STRATEGY_NAMES),
    seed: fc.nat({ max: 1_000_000 }),
  })
  .map(({ scenario, patches, flipped, strategy, seed, ...given }) => {
    const config = flipped.map((key) => `${key}=${CONFIG_DEFAULTS[key] === true ? "n" : "y"}`).join(",");
    const parameters = parametersIfSane({
      ...given,
      patches: patches.length === 0 ? "none" : patches.join(","),
      config,
    });
    return parameters === null ? null : new Situation(scenario, parameters, strategy, `${seed}/0`);
  })
  .filter((situation) => situation !== null);

function parametersIfSane(given: GivenParameters): Parameters | null {
  try {
    return resolveParameters(given);
  } catch (error) {
    if (error instanceof BadParameter) return null;
    throw error;
  }
}
