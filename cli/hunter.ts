/** A hunt as a person or a program asks for it: find, shrink, save, and say so. Shared by `hunt` and `demo`. */

import { interleaving } from "../reports/columns.ts";
import { storesSinceFree } from "../reports/writes.ts";
import type { Finding } from "../sim/finding.ts";
import type { HuntFinding, HuntOptions } from "../sim/hunt.ts";
import { formatSchedule } from "../sim/schedule.ts";
import type { Tuning } from "../sim/strategies/byName.ts";
import { type Confirmed, confirm } from "./confirm.ts";
import { explain, explanationText, nearestJson } from "./explaining.ts";
import { type HuntOutcome, huntInChunks } from "./hunting.ts";
import type { Io, Output } from "./io.ts";
import type { Subject } from "./options.ts";
import { type FindingJson, findingJson } from "./output/json.ts";
import { kernelText } from "./output/kernelText.ts";
import {
  block,
  commandLine,
  count,
  cutOffNote,
  headline,
  noneFound,
  replayLine,
  scheduleLines,
} from "./output/text.ts";
import { startProgress } from "./progress.ts";
import { makeRepro, writeRepro } from "./reproFile.ts";
import { dealtNote, pctPromise, promiseLine, strategyWords } from "./tuning.ts";

/** A hunt to go on. */
export interface HuntRequest extends Subject {
  readonly options: HuntOptions & { readonly tuning: Tuning };
  readonly jobs: number;
  /** Folder for repro files. */
  readonly out: string;
  readonly shrinks: boolean;
  /** Seconds that shrinking may take, and as many again the search for a run that passes. */
  readonly shrinkSeconds: number;
  /** Whether to say why a finding comes. */
  readonly explains: boolean;
}

/**
 * Whether so many seconds of computing from now are not over yet. Time that other programs take does not count, so that
 * what shrinking comes to depends little on how busy the machine is.
 */
export function within(seconds: number): () => boolean {
  const used = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  };
  const end = used() + seconds;
  return () => used() < end;
}

export interface HuntReport {
  readonly outcome: HuntOutcome;
  readonly findings: readonly FindingJson[];
}

/** What shrinking may take, in seconds of computing, unless something else is asked for. */
export const SHRINK_SECONDS = 10;
/** Rows of the interleaving that a report shows. */
const ROWS = 40;

/**
 * Hunts, shrinks what it finds and saves it.
 *
 * @param say - Where the report goes as it comes up; null for a caller that wants only the values.
 */
export async function goHunting(io: Io, request: HuntRequest, say: Output | null): Promise<HuntReport> {
  const { options } = request;
  const outcome = await huntWithProgress(io, request);
  const kept = options.keepGoing ? outcome.findings : outcome.findings.slice(0, 1);
  const findings: FindingJson[] = [];
  for (const found of kept) {
    const dealt = dealtNote(options.strategy, found.seed);
    say?.write(headline(found.finding, `run ${found.run}${dealt}, seed ${found.seed}`));
    if (request.shrinks) say?.write("      shrinking ...\n");
    const goesOn = within(request.shrinkSeconds);
    const confirmed = confirm(request.program, found.finding, found.schedule, request.shrinks, goesOn);
    const repro = save(io, request, found, confirmed);
    const text = kernelText(confirmed.finding, request.program);
    const stores = storesSinceFree(confirmed.finding, confirmed.run.history);
    say?.write(`\n${block(text)}\n`);
    if (stores !== "") say?.write(`stores into the object since it was freed:\n${block(stores)}\n`);
    say?.write(`${block(interleaving(confirmed.run, rows(io)))}\n`);
    const { finding, run, cost, shrunk } = confirmed;
    const more = request.explains ? explain(request.program, finding, run, within(request.shrinkSeconds)) : null;
    if (more !== null) say?.write(`${explanationText(more, run, io.stdout.columns)}\n`);
    say?.write(`${epilogue(request, found, confirmed, repro)}\n`);
    const schedule = formatSchedule(confirmed.schedule);
    findings.push(
      findingJson(finding, {
        count: found.count,
        seed: found.seed,
        schedule,
        repro,
        text,
        cost,
        ...(shrunk === null ? {} : { minimal: shrunk.proof }),
        ...(more === null ? {} : { why: more.why, nearest: nearestJson(more) }),
      }),
    );
  }
  say?.write(conclusion(request, outcome, kept));
  return { outcome, findings };
}

async function huntWithProgress(io: Io, request: HuntRequest): Promise<HuntOutcome> {
  const progress = startProgress(io.stderr, request.scenario.name, request.options.runs);
  try {
    return await huntInChunks(request, request.options, request.jobs, (runs) => progress.update(runs));
  } finally {
    progress.stop();
  }
}

/** As many columns as the terminal has, where there is one. */
export const rows = (io: Io, last = ROWS): { last: number; width?: number } =>
  io.stdout.columns === undefined ? { last } : { last, width: io.stdout.columns };

function save(io: Io, request: HuntRequest, found: HuntFinding, { finding, schedule, trail, run }: Confirmed): string {
  const { scenario, parameters, options } = request;
  const { historyHash } = run;
  const { seed } = found;
  const source = {
    scenario: scenario.name,
    parameters,
    schedule,
    trail,
    finding,
    historyHash,
    strategy: options.strategy,
    seed,
  };
  return writeRepro(makeRepro(source), request.out, io.cwd);
}

/** Why in short, and how to see it again. */
function epilogue(request: HuntRequest, found: HuntFinding, confirmed: Confirmed, repro: string): string {
  const { scenario, parameters, options } = request;
  const words = strategyWords(options.strategy, request.options.tuning);
  const asFound = commandLine("run", scenario.name, parameters, "--seed", found.seed, ...words);
  const runs = options.keepGoing ? `runs      ${count(found.count, "run")} showed it\n` : "";
  return `${scheduleLines(confirmed.cost, confirmed.shrunk)}${runs}again     ${replayLine(repro)}\nas found  ${asFound}\n`;
}

const placed = ({ kind, function: name }: Finding): string => (name === "" ? kind : `${kind} in ${name}`);

/** The last lines: the verdict, and its limits. */
function conclusion(request: HuntRequest, outcome: HuntOutcome, kept: readonly HuntFinding[]): string {
  const { options, parameters, program } = request;
  const { executions, cutOff } = outcome;
  const promise = pctPromise(program, options.strategy, request.options.tuning);
  const limits = cutOffNote(cutOff, parameters) + (promise === null ? "" : promiseLine(promise, executions));
  if (kept.length === 0) {
    return noneFound(executions, options.kinds.length === 0 ? "" : ` of kind ${options.kinds.join(", ")}`) + limits;
  }
  const others = outcome.findings.slice(kept.length).map(({ finding }) => placed(finding));
  const also = others.length === 0 ? "" : `the same run also showed: ${others.join("; ")} (--keep-going reports all)\n`;
  const distinct = options.keepGoing ? `${count(kept.length, "distinct finding")} in` : "found after";
  return `${also}${distinct} ${count(executions, "run")}\n${limits}`;
}
