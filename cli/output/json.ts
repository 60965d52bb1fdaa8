/** The object that `--json` prints. Its fields are a contract: they stay. */
import type { Parameters } from "../../scenarios/scenario.ts";
import type { Cost } from "../../sim/cost.ts";
import type { Finding } from "../../sim/finding.ts";
import type { Shrunk } from "../confirm.ts";
import type { NearestJson } from "../explaining.ts";
import type { Output } from "../io.ts";
import type { PctPromise } from "../tuning.ts";

/** One finding, as JSON has it. */
export interface FindingJson {
  readonly kind: string;
  readonly title: string;
  /** The kernel function that took the bad step. */
  readonly function: string;
  readonly task: string;
  readonly cpu: number;
  /** Its step in the run of `schedule`, from 0. */
  readonly step: number;
  /** Runs that showed it. */
  readonly count: number;
  /** Seed of the first run that showed it, as `run --seed` takes it. */
  readonly seed: string;
  readonly schedule: string;
  /** Path of the saved repro file; null if none was saved. */
  readonly repro: string | null;
  /** What a kernel would have printed. */
  readonly text: string;
  /** How simple `schedule` is. */
  readonly cost?: Cost;
  /** Whether any schedule shows it with fewer preemptions; absent where nothing was shrunk. */
  readonly minimal?: Shrunk["proof"];
  /** Why it comes, in sentences; absent where nothing was to be explained. */
  readonly why?: readonly string[];
  /** The nearest run that passes; null if none was found. */
  readonly nearest?: NearestJson | null;
}

/** The result of a command. */
export interface ResultJson {
  readonly scenario: string;
  readonly lifetime: string;
  readonly memory: string;
  readonly patches: readonly string[];
  readonly config: Readonly<Record<string, boolean>>;
  readonly strategy: string;
  readonly seed: string;
  readonly verdict: "violated" | "none-found";
  readonly executions: number;
  readonly steps: number;
  /** Distinct states; 0 where none are told apart. */
  readonly states: number;
  /** Whether every schedule was tried; a search never does. */
  readonly complete: boolean;
  /** `pct`: what that strategy promises, where it was the one. */
  readonly bounds: { readonly stepsMax: number; readonly runs: number; readonly pct?: PctPromise };
  /** Runs cut off at `bounds.stepsMax`. */
  readonly cutOff: number;
  readonly findings: readonly FindingJson[];
  readonly historyHash: string;
  readonly elapsedMs: number;
  /** The interleaving, where `--history` asked for it. */
  readonly history?: string;
}

/** What a command adds to scenario and parameters to make its result. */
export interface Outcome {
  readonly strategy: string;
  readonly seed: string;
  readonly executions: number;
  readonly steps: number;
  readonly runs: number;
  readonly pct?: PctPromise | null;
  readonly cutOff: number;
  readonly findings: readonly FindingJson[];
  readonly historyHash: string;
  readonly elapsedMs: number;
  readonly history?: string;
}

/** The finding as JSON, with what the search knows of it. */
export function findingJson(
  finding: Finding,
  more: Omit<FindingJson, "kind" | "title" | "function" | "task" | "cpu" | "step">,
): FindingJson {
  const { kind, title, task, cpu, step } = finding;
  return { kind, title, function: finding.function, task, cpu, step, ...more };
}

/** The result as JSON. */
export function resultJson(scenario: string, parameters: Parameters, outcome: Outcome): ResultJson {
  const { lifetime, memory, patches, config, stepsMax } = parameters;
  const { strategy, seed, executions, steps, runs, pct, cutOff, findings, historyHash, elapsedMs, history } = outcome;
  return {
    scenario,
    lifetime,
    memory,
    patches,
    config,
    strategy,
    seed,
    verdict: findings.length > 0 ? "violated" : "none-found",
    executions,
    steps,
    states: 0,
    complete: false,
    bounds: { stepsMax, runs, ...(pct == null ? {} : { pct }) },
    cutOff,
    findings,
    historyHash,
    elapsedMs,
    ...(history === undefined ? {} : { history }),
  };
}

/** Prints one object. */
export const printJson = (stdout: Output, value: object): void => {
  stdout.write(`${JSON.stringify(value, null, 2)}\n`);
};
