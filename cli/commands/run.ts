/** `run`: one run, whose schedule the seed decides. */
import { interleaving } from "../../reports/columns.ts";
import { type Finding, findingKey } from "../../sim/finding.ts";
import { makeStrategy } from "../../sim/hunt.ts";
import { execute, type RunResult } from "../../sim/run.ts";
import { formatSchedule } from "../../sim/schedule.ts";
import { EXIT_CLEAN, EXIT_FINDING } from "../errors.ts";
import type { Io } from "../io.ts";
import { type ParameterOptions, type Subject, subjectOf } from "../options.ts";
import { type FindingJson, findingJson, printJson, resultJson } from "../output/json.ts";
import { kernelText } from "../output/kernelText.ts";
import { block, commandLine, count, cutOffNote, headline } from "../output/text.ts";
import { parseRunSeed } from "../seed.ts";
import { dealtNote, type StrategyOptions, strategyWords, tuningOf } from "../tuning.ts";

export interface RunCommandOptions extends ParameterOptions, StrategyOptions {
  readonly seed: string;
  readonly history?: boolean;
}

/** Runs a scenario once and says what came of it. */
export function runCommand(io: Io, name: string, options: RunCommandOptions): number {
  const began = performance.now();
  const seed = parseRunSeed(options.seed);
  const subject = subjectOf(io, name, options);
  const { strategy } = options;
  const tuning = tuningOf(subject.program, options);
  const run = execute(subject.program, makeStrategy(strategy, seed, tuning), { record: options.history === true });
  const findings = distinct(run.findings);
  const columns = io.stdout.columns;
  const history =
    options.history === true ? interleaving(run, columns === undefined ? {} : { width: columns }) : undefined;
  if (options.json === true) {
    const outcome = {
      strategy,
      seed,
      executions: 1,
      steps: run.steps,
      runs: 1,
      cutOff: run.cutOff ? 1 : 0,
      findings: findings.map((finding) => toJson(subject, run, finding, seed)),
      historyHash: run.historyHash,
      elapsedMs: Math.round(performance.now() - began),
      ...(history === undefined ? {} : { history }),
    };
    printJson(io.stdout, resultJson(subject.scenario.name, subject.parameters, outcome));
  } else {
    io.stdout.write(history === undefined ? "" : `${block(history)}\n`);
    io.stdout.write(
      describe(subject, run, findings, `seed ${seed}${dealtNote(strategy, seed)}`, [
        "--seed",
        seed,
        ...strategyWords(strategy, tuning),
      ]),
    );
  }
  return findings.length > 0 ? EXIT_FINDING : EXIT_CLEAN;
}

function distinct(findings: readonly Finding[]): Finding[] {
  const byKey = new Map<string, Finding>();
  for (const finding of findings) if (!byKey.has(findingKey(finding))) byKey.set(findingKey(finding), finding);
  return [...byKey.values()];
}

const toJson = (subject: Subject, run: RunResult, finding: Finding, seed: string): FindingJson =>
  findingJson(finding, {
    count: 1,
    seed,
    schedule: formatSchedule(run.schedule.subarray(0, finding.step + 1)),
    repro: null,
    text: kernelText(finding, subject.program),
  });

function describe(
  subject: Subject,
  run: RunResult,
  findings: readonly Finding[],
  where: string,
  words: readonly string[],
): string {
  const { scenario, parameters } = subject;
  const found = findings.map(
    (finding) => `${headline(finding, where)}\n${block(kernelText(finding, subject.program))}\n`,
  );
  const again = commandLine("run", scenario.name, parameters, ...words);
  const time = `${(run.time / 1000).toFixed(1)} us of virtual time`;
  return (
    found.join("") +
    `run       ${count(run.steps, "step")}, ${time}, history hash ${run.historyHash}\n` +
    `again     ${again}\n` +
    cutOffNote(run.cutOff ? 1 : 0, parameters) +
    (findings.length > 0 ? "" : "nothing found in this one run (this proves nothing; hunt tries many)\n")
  );
}
