/** `hunt`: many schedules, up to the first with a finding. */
import type { FindingKind } from "../../sim/finding.ts";
import { EXIT_CLEAN, EXIT_FINDING } from "../errors.ts";
import { goHunting, type HuntRequest } from "../hunter.ts";
import type { Io } from "../io.ts";
import { type ParameterOptions, subjectOf } from "../options.ts";
import { printJson, resultJson } from "../output/json.ts";
import { checkFolder } from "../reproFile.ts";
import { parseHuntSeed } from "../seed.ts";
import { pctPromise, type StrategyOptions, tuningOf } from "../tuning.ts";

export interface HuntCommandOptions extends ParameterOptions, StrategyOptions {
  readonly seed: string;
  readonly runs: number;
  readonly keepGoing?: boolean;
  readonly find?: readonly FindingKind[];
  readonly out: string;
  readonly shrink: boolean;
  /** Seconds it may take. */
  readonly shrinkSeconds: number;
  readonly explain: boolean;
}

/** Hunts in a scenario and says what it found. */
export async function huntCommand(io: Io, name: string, options: HuntCommandOptions): Promise<number> {
  const began = performance.now();
  const seed = parseHuntSeed(options.seed);
  const { strategy, runs, jobs, out } = options;
  const subject = subjectOf(io, name, options);
  const tuning = tuningOf(subject.program, options);
  const keepGoing = options.keepGoing === true;
  const request: HuntRequest = {
    ...subject,
    options: { strategy, tuning, seed, first: 0, runs, keepGoing, kinds: options.find ?? [] },
    jobs,
    out,
    shrinks: options.shrink,
    shrinkSeconds: options.shrinkSeconds,
    explains: options.explain,
  };
  checkFolder(out, io.cwd);
  const { outcome, findings } = await goHunting(io, request, options.json === true ? null : io.stdout);
  if (options.json === true) {
    const { executions, steps, cutOff, historyHash } = outcome;
    const elapsedMs = Math.round(performance.now() - began);
    const pct = pctPromise(subject.program, strategy, tuning);
    const result = { strategy, seed, executions, steps, runs, pct, cutOff, findings, historyHash, elapsedMs };
    printJson(io.stdout, resultJson(request.scenario.name, request.parameters, result));
  }
  return findings.length > 0 ? EXIT_FINDING : EXIT_CLEAN;
}
