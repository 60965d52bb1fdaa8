/**
 * `exploreThreads` by several worker threads.
 *
 * The exploration is cut into parts that share nothing (`sim/explore/threads/parts.ts`), and each worker takes the next
 * part that is left. The result does not depend on the number of workers, nor on who is quicker.
 */
import { Tinypool } from "tinypool";
import type { Exploration } from "../sim/explore/threads/explore.ts";
import { isJoined, joinParts, type PartResult } from "../sim/explore/threads/parts.ts";
import type { Known, PartOptions, Plan } from "../sim/explore/threads/plan.ts";
import { EXECUTIONS, type PartTask, type PlanTask, type ProgramSource, STOP } from "./task.ts";

export type { ProgramSource } from "./task.ts";

/** What an exploration by workers can be told, besides what bounds it. */
export interface WorkerOptions extends Omit<PartOptions, "onProgress"> {
  /** Number of worker threads. */
  readonly jobs: number;
  /** Told now and then how far it has come. */
  readonly onProgress?: (soFar: PartsProgress) => void;
  /** Ends it; what is done by then is kept in {@link ExplorationByWorkers.rest}. */
  readonly signal?: AbortSignal;
  /** Goes on where an exploration of the same program with the same options ended. */
  readonly resume?: PartsRest;
}

/** How far an exploration by workers has come. */
export interface PartsProgress {
  readonly executions: number;
  readonly parts: number;
  readonly partsDone: number;
  /** About how many executions there will be, from the parts that are done; null before the first is. */
  readonly estimate: number | null;
}

/** The parts that are done of an exploration that was ended. Plain data. */
export interface PartsRest {
  /** Program and options. */
  readonly asked: string;
  readonly plan: Plan;
  readonly done: readonly (readonly [part: number, result: PartResult])[];
}

/** What an exploration by workers came to. */
export interface ExplorationByWorkers {
  readonly exploration: Exploration;
  /** null if nothing is left to be done. */
  readonly rest: PartsRest | null;
}

const PROGRESS_MS = 200;

/**
 * Explores every schedule of a program with `options.jobs` worker threads.
 *
 * @throws Error if the module has no such program; if `resume` is of another program or other options; and as
 *   `exploreThreads` does.
 */
export async function exploreThreadsByWorkers(
  source: ProgramSource,
  options: WorkerOptions,
): Promise<ExplorationByWorkers> {
  const { jobs, onProgress, signal, resume, ...bounds } = options;
  if (!Number.isInteger(jobs) || jobs < 1) throw new Error(`jobs is ${jobs}; give a whole number from 1 on`);
  const asked = JSON.stringify([source, bounds]);
  if (resume !== undefined && resume.asked !== asked) {
    throw new Error(`the exploration to go on with is that of ${resume.asked}, not of ${asked}`);
  }
  const pool = new Tinypool({ filename: workerFile(), minThreads: jobs, maxThreads: jobs, isolateWorkers: false });
  const planWith = (known: Known | null): Promise<Plan> =>
    pool.run({ source, options: bounds, known } satisfies PlanTask);
  try {
    let plan = resume?.plan ?? (await planWith(null));
    let done = new Map(resume?.done);
    for (;;) {
      await exploreParts(pool, source, bounds, plan, done, onProgress, signal);
      const inOrder = [...done].sort(([a], [b]) => a - b).map(([, result]) => result);
      const joined = joinParts(bounds, plan, inOrder);
      if (isJoined(joined)) {
        const rest = done.size < plan.parts.length ? { asked, plan, done: [...done] } : null;
        return { exploration: joined, rest };
      }
      plan = await planWith(joined);
      done = new Map();
    }
  } finally {
    await pool.destroy();
  }
}

/** Has all parts explored that are not in `done` yet, and puts them there; those that a stop cut off are left out. */
async function exploreParts(
  pool: Tinypool,
  source: ProgramSource,
  options: PartOptions,
  plan: Plan,
  done: Map<number, PartResult>,
  onProgress: WorkerOptions["onProgress"],
  signal: AbortSignal | undefined,
): Promise<void> {
  const shared = new BigInt64Array(new SharedArrayBuffer(16));
  for (const { counts } of done.values())
    shared[EXECUTIONS] = (shared[EXECUTIONS] as bigint) + BigInt(counts.executions);
  const stop = (): void => void Atomics.store(shared, STOP, 1n);
  if (signal?.aborted === true) return;
  signal?.addEventListener("abort", stop);
  const tell = (): void => onProgress?.(progressOf(shared, plan, done));
  const timer = setInterval(tell, PROGRESS_MS);
  try {
    const left = plan.parts.map((_, part) => part).filter((part) => !done.has(part));
    await Promise.all(
      left.map(async (part) => {
        const task: PartTask = { source, options, plan, part, shared };
        const result: PartResult | null = await pool.run(task);
        if (result === null) return;
        done.set(part, result);
        tell();
      }),
    );
  } finally {
    clearInterval(timer);
    signal?.removeEventListener("abort", stop);
  }
}

function progressOf(shared: BigInt64Array, plan: Plan, done: ReadonlyMap<number, PartResult>): PartsProgress {
  let inParts = 0;
  for (const { counts } of done.values()) inParts += counts.executions;
  const executions = Number(Atomics.load(shared, EXECUTIONS));
  const parts = plan.parts.length;
  const estimate = done.size === 0 ? null : Math.max(executions, Math.round((inParts / done.size) * parts));
  return { executions, parts, partsDone: done.size, estimate };
}

/** The compiled worker: a worker thread of Node 20 cannot run TypeScript, so from the sources it is the one in dist. */
function workerFile(): string {
  const fromSources = import.meta.url.endsWith(".ts");
  return new URL(fromSources ? "../dist/parallel/worker.js" : "./worker.js", import.meta.url).href;
}
