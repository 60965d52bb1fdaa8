/** `fuzz`: generated programs under random schedules, for a while; what they show is shrunk and kept. */
import { setImmediate } from "node:timers/promises";
import { programOf } from "../../properties/fuzz/case.ts";
import { Fuzzer, type FuzzFinding } from "../../properties/fuzz/fuzzer.ts";
import { BadToken, parseToken, type Reproduction } from "../../properties/fuzz/token.ts";
import { interleaving } from "../../reports/columns.ts";
import { LIFETIMES } from "../../scenarios/parameters.ts";
import { execute } from "../../sim/index.ts";
import { ReplayMismatch, ReplayStrategy } from "../../sim/strategies/replay.ts";
import { EXIT_CLEAN, EXIT_FINDING, UsageError } from "../errors.ts";
import { FuzzFolder, fuzzFileName } from "../fuzzFiles.ts";
import { rows } from "../hunter.ts";
import type { Io } from "../io.ts";
import { printJson } from "../output/json.ts";
import { kernelText } from "../output/kernelText.ts";
import { block, headline } from "../output/text.ts";
import { checkFolder } from "../reproFile.ts";
import { parseHuntSeed } from "../seed.ts";

export interface FuzzCommandOptions {
  readonly minutes?: number;
  readonly programs?: number;
  readonly schedules: number;
  readonly seed: string;
  readonly lifetime: string;
  readonly patches?: string;
  readonly memory?: string;
  readonly out: string;
  readonly json?: boolean;
}

/** How often progress is shown, in milliseconds. */
const PROGRESS_EVERY = 1000;

/** Fuzzes until the time is up, the programs are done, or somebody says stop. */
export async function fuzzCommand(io: Io, options: FuzzCommandOptions): Promise<number> {
  const seed = parseHuntSeed(options.seed);
  const lifetimes = options.lifetime === "all" ? LIFETIMES : [options.lifetime];
  if (!lifetimes.every((name) => LIFETIMES.includes(name))) {
    throw new UsageError(`unknown lifetime "${options.lifetime}"; known: ${LIFETIMES.join(", ")}, all`);
  }
  checkFolder(options.out, io.cwd);
  const folder = new FuzzFolder(options.out, io.cwd);
  const began = performance.now();
  const until = options.minutes === undefined ? Number.POSITIVE_INFINITY : began + options.minutes * 60_000;
  const limit = options.programs ?? (options.minutes === undefined ? 1000 : Number.POSITIVE_INFINITY);
  const { patches, memory, schedules } = options;
  const fuzzers = lifetimes.map((lifetime) => ({
    lifetime,
    fuzzer: new Fuzzer({
      seed,
      lifetimes: [lifetime],
      schedules,
      ...(patches === undefined ? {} : { patches }),
      ...(memory === undefined ? {} : { memory }),
    }),
  }));
  const totals = { programs: 0, executions: 0, steps: 0, cutOff: 0 };
  const fresh = new Map<string, FuzzFinding>();
  let stopped = false;
  const stop = (): void => {
    stopped = true;
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  try {
    let shown = began;
    for (let at = 0; at < limit && !stopped && performance.now() < until; at++) {
      for (const { lifetime, fuzzer } of fuzzers) {
        const round = fuzzer.next();
        totals.programs++;
        totals.executions += round.runs;
        totals.steps += round.steps;
        totals.cutOff += round.cutOff;
        for (const [cause, raw] of round.raw) {
          if (folder.has(cause, lifetime)) {
            folder.count(cause, raw.count);
            continue;
          }
          const found = fuzzer.simplify(round, raw);
          folder.keep(found, lifetime, raw.count);
          fresh.set(cause, found);
          if (options.json !== true) {
            io.stdout.write(`${headline(found.finding, `fuzzing, lifetime ${lifetime}`)}\n  ${fuzzFileName(cause)}\n`);
          }
        }
      }
      if (io.stderr.isTTY === true && performance.now() - shown > PROGRESS_EVERY) {
        shown = performance.now();
        io.stderr.write(`\r${totals.executions} runs of ${totals.programs} programs, ${fresh.size} new causes `);
      }
      await setImmediate();
    }
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
    folder.close();
  }
  if (io.stderr.isTTY === true) io.stderr.write("\n");
  const elapsedMs = Math.round(performance.now() - began);
  const findings = folder.all().map(({ script: _, ...file }) => ({ ...file, file: fuzzFileName(file.cause) }));
  if (options.json === true) {
    printJson(io.stdout, { seed, lifetimes, ...totals, stopped, newCauses: fresh.size, findings, elapsedMs });
  } else {
    io.stdout.write(
      `${totals.executions} runs of ${totals.programs} programs, ${totals.steps} steps; ${fresh.size} new causes, ${findings.length} in ${options.out}\n`,
    );
  }
  return findings.length > 0 ? EXIT_FINDING : EXIT_CLEAN;
}

/** `fuzz replay TOKEN`: the run that a token stands for, again. */
export function fuzzReplayCommand(io: Io, token: string, options: { readonly history?: boolean }): number {
  let reproduction: Reproduction;
  try {
    reproduction = parseToken(token);
  } catch (error) {
    if (error instanceof BadToken) throw new UsageError(error.message);
    throw error;
  }
  const program = programOf(reproduction.fuzzCase);
  try {
    const until = (findings: readonly unknown[]): boolean => findings.length > 0;
    const run = execute(program, new ReplayStrategy(reproduction.schedule), { until, record: true });
    const [finding] = run.findings;
    if (finding === undefined) {
      io.stdout.write(`none found: the run ended after ${run.steps} steps without a finding\n`);
      return EXIT_CLEAN;
    }
    io.stdout.write(`${headline(finding, "replay of a fuzz token")}\n${block(kernelText(finding, program))}\n`);
    if (options.history === true) io.stdout.write(`${block(interleaving(run, rows(io, run.history.length)))}\n`);
    io.stdout.write(`replayed  ${run.steps} steps, history hash ${run.historyHash}\n`);
    return EXIT_FINDING;
  } catch (error) {
    if (!(error instanceof ReplayMismatch)) throw error;
    throw new UsageError(
      `the token does not replay: ${error.message}; the model or the tool has changed since it was made`,
    );
  }
}
