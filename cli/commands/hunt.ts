/** `hunt`: many schedules, up to the first with a finding. */
import type { FindingKind } from "../../sim/finding.ts";
import type { StrategyName } from "../../sim/hunt.ts";
import { EXIT_CLEAN, EXIT_FINDING } from "../errors.ts";
import { goHunting, type HuntRequest } from "../hunter.ts";
import type { Io } from "../io.ts";
import { type ParameterOptions, subjectOf } from "../options.ts";
import { printJson, resultJson } from "../output/json.ts";
import { checkFolder } from "../reproFile.ts";
import { parseHuntSeed } from "../seed.ts";

export interface HuntCommandOptions extends ParameterOptions {
  readonly seed: string;
  readonly runs: number;
  readonly strategy: StrategyName;
  readonly keepGoing?: boolean;
  readonly find?: readonly FindingKind[];
  readonly out: string;
  readonly shrink: boolean;
}

/** Hunts in a scenario and says what it found. */
export async function huntCommand(io: Io, name: string, options: HuntCommandOptions): Promise<number> {
  const began = performance.now();
  const seed = parseHuntSeed(options.seed);
  const { strategy, runs, jobs, out } = options;
  const request: HuntRequest = {
    ...subjectOf(io, name, options),
    options: { strategy, seed, first: 0, runs, keepGoing: options.keepGoing === true, kinds: options.find ?? [] },
    jobs,
    out,
    shrinks: options.shrink,
  };
  checkFolder(out, io.cwd);
  const { outcome, findings } = await goHunting(io, request, options.json === true ? null : io.stdout);
  if (options.json === true) {
    const { executions, steps, cutOff, historyHash } = outcome;
    const elapsedMs = Math.round(performance.now() - began);
    const result = { strategy, seed, executions, steps, runs, cutOff, findings, historyHash, elapsedMs };
    printJson(io.stdout, resultJson(request.scenario.name, request.parameters, result));
  }
  return findings.length > 0 ? EXIT_FINDING : EXIT_CLEAN;
}
