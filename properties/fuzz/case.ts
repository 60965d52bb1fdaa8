/** A fuzzed program with the parameters it runs under: everything a run depends on besides its schedule, as data. */

import { type GivenParameters, resolveParameters } from "../../scenarios/parameters.ts";
import type { Script } from "../../scenarios/programs/script.ts";
import { populateFromScript } from "../../scenarios/programs/scripted.ts";
import type { Parameters } from "../../scenarios/scenario.ts";
import { world } from "../../scenarios/world.ts";
import type { Program } from "../../sim/index.ts";

/** Parameters as a command line gives them; what is left out takes its default. */
export type CaseParameters = Pick<GivenParameters, "lifetime" | "patches" | "memory" | "cpus" | "config">;

export interface FuzzCase {
  readonly parameters: CaseParameters;
  readonly script: Script;
}

/** Steps before a run is cut off: most take a tenth. */
const STEPS_MAX = 8_000;

/**
 * The program of a case.
 *
 * @throws BadParameter if its parameters make no sense.
 */
export function programOf({ parameters, script }: FuzzCase): Program {
  const resolved: Parameters = resolveParameters({ ...parameters, stepsMax: STEPS_MAX });
  return world("fuzz", resolved, (booted) => populateFromScript(booted, script));
}
