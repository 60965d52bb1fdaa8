/** `replay`: a saved run again, step for step; or, with `--rebase`, what has become of it. */
import { join } from "node:path";
import { interleaving } from "../../reports/columns.ts";
import type { RunResult } from "../../sim/run.ts";
import type { Replayed } from "../confirm.ts";
import { EXIT_FINDING, UsageError } from "../errors.ts";
import { explain, explanationText, nearestJson } from "../explaining.ts";
import { readFuzzFile } from "../fuzzFiles.ts";
import { rows, SHRINK_SECONDS, within } from "../hunter.ts";
import type { Io } from "../io.ts";
import type { Subject } from "../options.ts";
import { findingJson, printJson, resultJson } from "../output/json.ts";
import { kernelText } from "../output/kernelText.ts";
import { block, headline, huntLine, size } from "../output/text.ts";
import { rebaseRepro } from "../rebasing.ts";
import { exactOrNot, replayExactly, subjectOfRepro, withTrail } from "../replaying.ts";
import { type Repro, readRepro, reproName, writeReproAs } from "../reproFile.ts";
import { describeTool } from "../tool.ts";
import { fuzzReplayCommand } from "./fuzz.ts";

export interface ReplayCommandOptions {
  readonly json?: boolean;
  readonly history?: boolean;
  readonly last?: number;
  /** Carries the schedule over to the program as it is now, where it does not fit any more. */
  readonly rebase?: boolean;
  /** Where the file goes that rebasing makes. */
  readonly out?: string;
  readonly explain: boolean;
}

/** Replays a repro file, and refuses if what comes is not the run that was saved. */
export function replayCommand(io: Io, path: string, options: ReplayCommandOptions): number {
  if (options.out !== undefined && options.rebase !== true) {
    throw new UsageError("--out is where --rebase saves; a plain replay saves nothing");
  }
  const fuzzed = readFuzzFile(path, io.cwd);
  if (fuzzed !== null) return fuzzReplayCommand(io, fuzzed.token, { history: options.history === true });
  const began = performance.now();
  const repro = readRepro(path, io.cwd);
  const subject = subjectOfRepro(io, repro, path);
  const replayed = options.rebase === true ? exactOrNot(subject, repro, path) : replayExactly(subject, repro, path);
  if (typeof replayed === "string") return rebaseCommand(io, subject, { path, repro, why: replayed }, options);
  const { run, finding, cost } = replayed;
  const more = options.explain ? explain(subject.program, finding, run, within(SHRINK_SECONDS)) : null;
  const text = kernelText(finding, subject.program);
  const history = historyOf(io, run, options);
  if (options.json === true) {
    const outcome = {
      strategy: "replay",
      seed: repro.seed,
      executions: 1,
      steps: run.steps,
      runs: 1,
      cutOff: 0,
      findings: [
        findingJson(finding, {
          count: 1,
          seed: repro.seed,
          schedule: repro.schedule,
          repro: path,
          text,
          cost,
          ...(more === null ? {} : { why: more.why, nearest: nearestJson(more) }),
        }),
      ],
      historyHash: run.historyHash,
      elapsedMs: Math.round(performance.now() - began),
      ...(history === undefined ? {} : { history }),
    };
    printJson(io.stdout, resultJson(repro.scenario, subject.parameters, outcome));
  } else {
    io.stdout.write(`${headline(finding, `replay of ${path}`)}\n${block(text)}\n`);
    io.stdout.write(history === undefined ? "" : `${block(history)}\n`);
    if (more !== null) io.stdout.write(`${explanationText(more, run, io.stdout.columns)}\n`);
    io.stdout.write(`replayed  ${describeRun(replayed)}, as saved by ${describeTool(repro.tool)}\n`);
    if (options.rebase === true) io.stdout.write(`rebased   nothing to do: ${path} replays exactly\n`);
  }
  if (options.out !== undefined) writeReproAs(withTrail(repro, replayed.trail), options.out, io.cwd, ELSEWHERE);
  return EXIT_FINDING;
}

const ELSEWHERE = "name another file with --out";

/** A file that does not replay any more. */
interface Outdated {
  readonly path: string;
  readonly repro: Repro;
  readonly why: string;
}

function rebaseCommand(
  io: Io,
  subject: Subject,
  { path, repro, why }: Outdated,
  options: ReplayCommandOptions,
): number {
  const rebased = rebaseRepro(subject, repro, path);
  if (rebased === null) {
    throw new UsageError(
      `${path} is of a format that does not say what its steps were, so it cannot be rebased: ${why}`,
    );
  }
  if (rebased.repro === null) {
    throw new UsageError(`${path} cannot be rebased: ${rebased.text}; hunt it again: ${huntLine(repro, subject)}`);
  }
  const made = options.out ?? join("repros", reproName(rebased.repro));
  writeReproAs(rebased.repro, made, io.cwd, ELSEWHERE);
  const { rebase: _, out: __, ...plain } = options;
  const code = replayCommand(io, made, plain);
  if (options.json !== true) io.stdout.write(`rebased   ${rebased.text}\nsaved     ${made}\n`);
  return code;
}

const describeRun = ({ run, cost }: Replayed): string => `${size(cost)}, history hash ${run.historyHash}`;

function historyOf(io: Io, run: RunResult, { history, last }: ReplayCommandOptions): string | undefined {
  if (history !== true && last === undefined) return undefined;
  return interleaving(run, rows(io, last ?? run.history.length));
}
