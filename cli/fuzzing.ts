/**
 * A fuzzing campaign in chunks of programs: in this thread, or by workers.
 *
 * The result does not depend on the number of jobs: chunks are put together in the order of their programs, whoever was
 * faster. Of a program only its counts, its hashes and the first run of each cause are kept.
 */
import { setImmediate } from "node:timers/promises";
import { Tinypool } from "tinypool";
import { Fuzzer, type FuzzOptions, type RawFinding } from "../properties/fuzz/fuzzer.ts";
import { HistoryHash } from "../sim/history.ts";

/** Programs of one lifetime, by their numbers. */
export interface FuzzChunk {
  readonly options: FuzzOptions;
  readonly first: number;
  readonly programs: number;
}

/** A cause as a chunk showed it: how often, and first by which program. */
export interface SeenCause extends RawFinding {
  readonly program: number;
}

/** What a chunk came to. Everything in it can be cloned. */
export interface FuzzChunkResult {
  readonly lifetime: string;
  readonly programs: number;
  readonly executions: number;
  readonly steps: number;
  readonly cutOff: number;
  /** Hash of each run, in order. */
  readonly hashes: readonly string[];
  readonly causes: ReadonlyMap<string, SeenCause>;
}

/** A campaign: so many programs under each lifetime, the lifetimes in turn. */
export interface Campaign {
  readonly lifetimes: readonly string[];
  readonly programs: number;
  readonly options: Omit<FuzzOptions, "lifetimes">;
}

/** Programs that a job takes at a time: some tenths of a second. */
const CHUNK = 20;
/** Chunks in flight for each worker, so that none waits for the one whose turn it is. */
const AHEAD = 3;

/** Runs one chunk. */
export function fuzzChunk({ options, first, programs }: FuzzChunk): FuzzChunkResult {
  const fuzzer = new Fuzzer(options);
  const causes = new Map<string, SeenCause>();
  const hashes: string[] = [];
  const totals = { executions: 0, steps: 0, cutOff: 0 };
  for (let number = first; number < first + programs; number++) {
    const round = fuzzer.round(number);
    totals.executions += round.runs;
    totals.steps += round.steps;
    totals.cutOff += round.cutOff;
    hashes.push(...round.hashes);
    for (const [cause, raw] of round.raw) {
      const before = causes.get(cause);
      if (before === undefined) causes.set(cause, { ...raw, program: number });
      else before.count += raw.count;
    }
  }
  return { lifetime: options.lifetimes.join(), programs, ...totals, hashes, causes };
}

/** The chunks of a campaign, first to last. */
function* chunksOf({ lifetimes, programs, options }: Campaign): Generator<FuzzChunk> {
  for (let first = 0; first < programs; first += CHUNK) {
    for (const lifetime of lifetimes) {
      yield { options: { ...options, lifetimes: [lifetime] }, first, programs: Math.min(CHUNK, programs - first) };
    }
  }
}

/** The results of a campaign's chunks, in order. Who stops listening ends it. */
export async function* fuzzInChunks(campaign: Campaign, jobs: number): AsyncGenerator<FuzzChunkResult> {
  const chunks = chunksOf(campaign);
  if (jobs > 1) {
    yield* byWorkers(chunks, jobs);
    return;
  }
  for (const chunk of chunks) {
    yield fuzzChunk(chunk);
    // For Ctrl-C.
    await setImmediate();
  }
}

async function* byWorkers(chunks: Generator<FuzzChunk>, jobs: number): AsyncGenerator<FuzzChunkResult> {
  const pool = new Tinypool({ filename: workerFile(), minThreads: jobs, maxThreads: jobs, isolateWorkers: false });
  try {
    const waiting: Promise<FuzzChunkResult>[] = [];
    for (;;) {
      while (waiting.length < jobs * AHEAD) {
        const next = chunks.next();
        if (next.done === true) break;
        const result: Promise<FuzzChunkResult> = pool.run(next.value);
        // A chunk that nobody waits for any more may fail when the workers end.
        result.catch(() => undefined);
        waiting.push(result);
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
function workerFile(): string {
  const fromSources = import.meta.url.endsWith(".ts");
  return new URL(fromSources ? "../dist/cli/fuzzWorker.js" : "./fuzzWorker.js", import.meta.url).href;
}

/** How often a cause was seen under a lifetime. */
export interface CauseCount {
  readonly lifetime: string;
  readonly cause: string;
  readonly known: boolean;
  count: number;
  /** Number of the first program that showed it. */
  readonly program: number;
}

/** Sums up chunks, in order. */
export class FuzzTotals {
  programs = 0;
  executions = 0;
  steps = 0;
  cutOff = 0;
  private readonly counts = new Map<string, CauseCount>();
  private readonly hash = new HistoryHash();

  /**
   * Takes a chunk in.
   *
   * @returns the causes that no chunk before it showed under its lifetime.
   */
  add(result: FuzzChunkResult): [cause: string, seen: SeenCause][] {
    const { lifetime } = result;
    this.programs += result.programs;
    this.executions += result.executions;
    this.steps += result.steps;
    this.cutOff += result.cutOff;
    for (const hash of result.hashes) this.hash.addDigest(hash);
    const first: [string, SeenCause][] = [];
    for (const [cause, seen] of result.causes) {
      const before = this.counts.get(`${lifetime} ${cause}`);
      if (before !== undefined) {
        before.count += seen.count;
        continue;
      }
      const { known, count, program } = seen;
      this.counts.set(`${lifetime} ${cause}`, { lifetime, cause, known, count, program });
      first.push([cause, seen]);
    }
    return first;
  }

  /** Causes by lifetime, the most frequent first; new ones before known ones. */
  causes(): CauseCount[] {
    return [...this.counts.values()].sort(
      (a, b) => Number(a.known) - Number(b.known) || b.count - a.count || (a.cause < b.cause ? -1 : 1),
    );
  }

  /** Over the hashes of all runs, in order. */
  get historyHash(): string {
    return this.hash.digest();
  }
}
