/** `fuzz`: generated programs under random schedules, for a while; what they show is counted, and what is new is shrunk and kept. */
import { programOf } from "../../properties/fuzz/case.ts";
import { Fuzzer } from "../../properties/fuzz/fuzzer.ts";
import { BadToken, parseToken, type Reproduction } from "../../properties/fuzz/token.ts";
import { interleaving } from "../../reports/columns.ts";
import { LIFETIMES, resolveParameters } from "../../scenarios/parameters.ts";
import { execute } from "../../sim/index.ts";
import { ReplayMismatch, ReplayStrategy } from "../../sim/strategies/replay.ts";
import { EXIT_CLEAN, EXIT_FINDING, UsageError } from "../errors.ts";
import { FuzzFolder, fuzzFileName, recordOf } from "../fuzzFiles.ts";
import { type Campaign, type CauseCount, FuzzTotals, fuzzInChunks, type SeenCause } from "../fuzzing.ts";
import { rows } from "../hunter.ts";
import type { Io } from "../io.ts";
import { printJson } from "../output/json.ts";
import { kernelText } from "../output/kernelText.ts";
import { block, count, headline } from "../output/text.ts";
import { checkFolder } from "../reproFile.ts";
import { parseHuntSeed } from "../seed.ts";
import { didYouMean } from "../suggest.ts";

export interface FuzzCommandOptions {
  readonly minutes?: number;
  readonly programs?: number;
  readonly schedules: number;
  readonly seed: string;
  readonly lifetime: string;
  readonly patches?: string;
  readonly memory?: string;
  readonly jobs: number;
  /** Known causes are shrunk and kept too. */
  readonly known?: boolean;
  readonly out: string;
  readonly json?: boolean;
}

/** How often progress is shown, and how often the counts are saved, in milliseconds. */
const PROGRESS_EVERY = 1000;
const SAVE_EVERY = 10_000;

/** What is to be done, made complete and checked for sense. */
function campaignOf({ seed, lifetime, schedules, patches, memory, minutes, programs }: FuzzCommandOptions): Campaign {
  const lifetimes = lifetime === "all" ? LIFETIMES : [lifetime];
  if (!lifetimes.every((name) => LIFETIMES.includes(name))) {
    const guess = didYouMean(lifetime, [...LIFETIMES, "all"]);
    throw new UsageError(`unknown lifetime "${lifetime}";${guess} known: ${LIFETIMES.join(", ")}, all`);
  }
  for (const one of lifetimes) resolveParameters({ lifetime: one, patches, memory });
  return {
    lifetimes,
    programs: programs ?? (minutes === undefined ? 1000 : Number.POSITIVE_INFINITY),
    options: {
      seed: parseHuntSeed(seed),
      schedules,
      ...(patches === undefined ? {} : { patches }),
      ...(memory === undefined ? {} : { memory }),
    },
  };
}

/** Fuzzes until the time is up, the programs are done, or somebody says stop. */
export async function fuzzCommand(io: Io, options: FuzzCommandOptions): Promise<number> {
  const campaign = campaignOf(options);
  checkFolder(options.out, io.cwd);
  const folder = new FuzzFolder(options.out, io.cwd);
  const fuzzing = new Fuzzing(io, options, campaign, folder);
  await fuzzing.run();
  return fuzzing.conclude();
}

/** One campaign that goes on. */
class Fuzzing {
  private readonly totals = new FuzzTotals();
  private readonly began = performance.now();
  /** Causes that the folder had no file of. */
  private newFiles = 0;
  private stopped = false;
  private shown = 0;
  /** When the counts were saved: soon after the start, and then now and then. */
  private saved = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly io: Io,
    private readonly options: FuzzCommandOptions,
    private readonly campaign: Campaign,
    private readonly folder: FuzzFolder,
  ) {}

  private get elapsed(): number {
    return performance.now() - this.began;
  }

  async run(): Promise<void> {
    const { minutes, jobs } = this.options;
    const until = minutes === undefined ? Number.POSITIVE_INFINITY : minutes * 60_000;
    const stop = (): void => {
      this.stopped = true;
    };
    process.on("SIGINT", stop);
    process.on("SIGTERM", stop);
    try {
      for await (const result of fuzzInChunks(this.campaign, jobs)) {
        for (const [cause, seen] of this.totals.add(result)) this.keep(cause, seen, result.lifetime);
        this.progress();
        if (this.stopped || this.elapsed >= until) break;
      }
    } finally {
      process.off("SIGINT", stop);
      process.off("SIGTERM", stop);
      this.folder.save(this.record);
      if (this.shown > 0) this.io.stderr.write("\r\x1b[K");
    }
  }

  /** Says what came of it. */
  conclude(): number {
    const { io, options, totals } = this;
    const causes = totals.causes();
    const elapsedMs = Math.round(this.elapsed);
    if (options.json === true) {
      const { seed } = this.campaign.options;
      const { lifetimes } = this.campaign;
      const { programs, executions, steps, cutOff, historyHash } = totals;
      const files = this.folder.all().map(([file, { script: _, ...found }]) => ({ file, ...found }));
      printJson(io.stdout, {
        seed,
        lifetimes,
        programs,
        executions,
        steps,
        cutOff,
        stopped: this.stopped,
        newCauses: this.newFiles,
        causes,
        findings: files,
        historyHash,
        elapsedMs,
      });
    } else io.stdout.write(summary(totals, causes, options.out));
    return causes.length > 0 ? EXIT_FINDING : EXIT_CLEAN;
  }

  private get record() {
    const { lifetimes, options } = this.campaign;
    const { seed, memory = "sc", patches = "none" } = options;
    return recordOf({ seed, lifetimes: [...lifetimes], memory, patches }, this.totals);
  }

  /** Shrinks what is new, or wanted all the same, and keeps it. */
  private keep(cause: string, seen: SeenCause, lifetime: string): void {
    const { folder, io, options, campaign } = this;
    if (seen.known && options.known !== true) return;
    if (folder.file(cause, seen.known, lifetime) === undefined) this.newFiles++;
    else if (!seen.known) return;
    const found = new Fuzzer({ ...campaign.options, lifetimes: [lifetime] }).simplify(seen.program, seen);
    folder.keep(found, lifetime);
    if (options.json === true) return;
    const file = fuzzFileName(cause, seen.known, lifetime);
    io.stdout.write(`${headline(found.finding, `fuzzing, lifetime ${lifetime}`)}      ${file}\n`);
  }

  private progress(): void {
    const { io, elapsed } = this;
    if (elapsed - this.saved > SAVE_EVERY) {
      this.saved = elapsed;
      this.folder.save(this.record);
    }
    if (io.stderr.isTTY !== true || elapsed - this.shown < PROGRESS_EVERY) return;
    this.shown = elapsed;
    const { programs, lifetimes } = this.campaign;
    const { minutes } = this.options;
    const done = Math.max(
      this.totals.programs / (programs * lifetimes.length),
      minutes === undefined ? 0 : elapsed / (minutes * 60_000),
    );
    io.stderr.write(`\r${progressLine(this.totals, elapsed, done)}\x1b[K`);
  }
}

/**
 * Where a campaign is, in a line.
 *
 * @param done - The share of it that is done.
 */
export function progressLine(totals: FuzzTotals, elapsed: number, done: number): string {
  const { executions } = totals;
  const fresh = new Set(totals.causes().flatMap(({ cause, known }) => (known ? [] : [cause])));
  const known = new Set(totals.causes().flatMap(({ cause, known }) => (known ? [cause] : [])));
  const speed = Math.round((executions * 1000) / Math.max(elapsed, 1));
  const left = done > 0 ? Math.round((elapsed * (1 - done)) / done / 1000) : 0;
  return `${count(executions, "pair")}, ${speed}/s; ${known.size} known and ${fresh.size} new causes; ${Math.max(left, 0)} s left`;
}

/** The table at the end. */
function summary(totals: FuzzTotals, causes: readonly CauseCount[], out: string): string {
  const { executions, programs, steps, cutOff } = totals;
  const table = causes.map(({ lifetime, cause, known, count: seen, program }) => [
    String(seen),
    lifetime,
    known ? "known" : "NEW",
    `${program}`,
    cause,
  ]);
  const cells = [["runs", "lifetime", "", "first program", "cause"], ...table];
  const widths = [0, 1, 2, 3].map((at) => Math.max(...cells.map((row) => (row[at] as string).length)));
  const lines = cells.map(([runs = "", ...rest]) =>
    [runs.padStart(widths[0] as number), ...rest.map((cell, at) => cell.padEnd(widths[at + 1] ?? 0))]
      .join("  ")
      .trimEnd(),
  );
  const cut = cutOff === 0 ? "" : `, ${count(cutOff, "run")} cut off`;
  const head = `${count(executions, "pair")} of program and schedule, ${count(programs, "program")}, ${count(steps, "step")}${cut}; counts and files in ${out}\n`;
  return causes.length === 0 ? `${head}none found (this proves nothing)\n` : `${head}${lines.join("\n")}\n`;
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
