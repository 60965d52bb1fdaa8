/**
 * A hunt in chunks of runs: in this thread, or by workers.
 *
 * The result does not depend on the number of jobs. Chunks are put together in the order of their runs, and what comes
 * after the run that ends the hunt is dropped, whoever was faster. Of a run only its hash and what it found is kept,
 * so memory does not grow with the number of runs.
 */
import { setImmediate } from "node:timers/promises";
import { Tinypool } from "tinypool";
import type { Parameters } from "../scenarios/scenario.ts";
import { findingKey } from "../sim/finding.ts";
import { HistoryHash } from "../sim/history.ts";
import { type HuntFinding, type HuntOptions, type HuntResult, hunt } from "../sim/hunt.ts";
import type { Subject } from "./options.ts";

/** What a worker is asked to do. */
export interface HuntTask {
  readonly scenario: string;
  readonly parameters: Parameters;
  readonly options: HuntOptions;
}

/** A hunt that is over. */
export interface HuntOutcome {
  readonly executions: number;
  readonly steps: number;
  /** Runs that were cut off at the bound on steps. */
  readonly cutOff: number;
  /** Distinct findings, in order of their first run. */
  readonly findings: readonly HuntFinding[];
  /** Over the hashes of all runs, in order: `combineHashes` of them. */
  readonly historyHash: string;
}

/** How many runs a job takes at a time. */
const CHUNK = 64;
/** Chunks in flight for each worker, so that none waits for the one whose turn it is. */
const AHEAD = 4;

/**
 * Hunts in `options.runs` runs.
 *
 * @param onRuns - Told how many runs are done, now and then.
 */
export async function huntInChunks(
  subject: Subject,
  options: HuntOptions,
  jobs: number,
  onRuns: (runs: number) => void = () => undefined,
): Promise<HuntOutcome> {
  const totals = new HuntTotals();
  const results = jobs === 1 ? here(subject, options) : byWorkers(subject, options, jobs);
  for await (const result of results) {
    totals.add(result);
    onRuns(totals.executions);
    if (totals.found.size > 0 && !options.keepGoing) break;
  }
  return totals.outcome();
}

/** The parts of a hunt, first to last. */
function* chunks(options: HuntOptions): Generator<HuntOptions> {
  const end = options.first + options.runs;
  for (let first = options.first; first < end; first += CHUNK) {
    yield { ...options, first, runs: Math.min(CHUNK, end - first) };
  }
}

/** Chunk after chunk in this thread, with a breath in between for the progress bar and Ctrl-C. */
async function* here(subject: Subject, options: HuntOptions): AsyncGenerator<HuntResult> {
  for (const chunk of chunks(options)) {
    yield hunt(subject.program, chunk);
    await setImmediate();
  }
}

/** Chunks by workers, some ahead of the one whose turn it is. Who stops listening ends the workers. */
async function* byWorkers(subject: Subject, options: HuntOptions, jobs: number): AsyncGenerator<HuntResult> {
  const pool = new Tinypool({ filename: workerFile(), minThreads: jobs, maxThreads: jobs, isolateWorkers: false });
  try {
    const waiting: Promise<HuntResult>[] = [];
    const submit = (chunk: HuntOptions): void => {
      const task: HuntTask = { scenario: subject.scenario.name, parameters: subject.parameters, options: chunk };
      const result: Promise<HuntResult> = pool.run(task);
      // A chunk that nobody waits for any more may fail when the workers end.
      result.catch(() => undefined);
      waiting.push(result);
    };
    const left = chunks(options);
    for (;;) {
      while (waiting.length < jobs * AHEAD) {
        const next = left.next();
        if (next.done === true) break;
        submit(next.value);
      }
      const first = waiting.shift();
      if (first === undefined) return;
      yield await first;
    }
  } finally {
    await pool.destroy();
  }
}

/** The compiled worker: a worker thread of Node 20 cannot run TypeScript, so from the sources it is the one in dist. */
export function workerFile(): string {
  const fromSources = import.meta.url.endsWith(".ts");
  return new URL(fromSources ? "../dist/cli/huntWorker.js" : "./huntWorker.js", import.meta.url).href;
}

/** Sums up chunks, in order. */
export class HuntTotals {
  readonly found = new Map<string, HuntFinding>();
  executions = 0;
  private steps = 0;
  private cutOff = 0;
  private readonly hash = new HistoryHash();

  add(result: HuntResult): void {
    this.executions += result.executions;
    this.steps += result.steps;
    this.cutOff += result.cutOff;
    for (const hash of result.hashes) this.hash.addDigest(hash);
    for (const found of result.findings) {
      const key = findingKey(found.finding);
      const known = this.found.get(key);
      if (known === undefined) this.found.set(key, found);
      else known.count += found.count;
    }
  }

  outcome(): HuntOutcome {
    const { executions, steps, cutOff } = this;
    return { executions, steps, cutOff, findings: [...this.found.values()], historyHash: this.hash.digest() };
  }
}
