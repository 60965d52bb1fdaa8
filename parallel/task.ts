/** What the workers of an exploration are asked to do. */
import type { Known, PartOptions, Plan } from "../sim/explore/threads/plan.ts";
import type { ThreadProgram } from "../sim/explore/threads/world.ts";

/** Where a worker finds the program: what a module exports, which is a program or a function that gives one. */
export interface ProgramSource {
  /** URL of a JavaScript module, say `import.meta.url`. */
  readonly module: string;
  /** Name of the export. */
  readonly name: string;
  /** Arguments, if it is a function; plain data. */
  readonly args?: readonly unknown[];
}

/** Work for a worker: to cut the program into parts, or to explore one of them. */
export type WorkerTask = PlanTask | PartTask;

export interface PlanTask {
  readonly source: ProgramSource;
  readonly options: PartOptions;
  /** What an earlier plan turned out not to know; null for the first. */
  readonly known: Known | null;
}

export interface PartTask {
  readonly source: ProgramSource;
  readonly options: PartOptions;
  readonly plan: Plan;
  readonly part: number;
  /** Executions of all workers, and whether to stop. */
  readonly shared: BigInt64Array;
}

/** Places in {@link PartTask.shared}. */
export const EXECUTIONS = 0;
export const STOP = 1;

/** Loads a program. */
export async function programAt({ module, name, args = [] }: ProgramSource): Promise<ThreadProgram> {
  const found = ((await import(module)) as Record<string, unknown>)[name];
  const program = typeof found === "function" ? (found as (...all: readonly unknown[]) => unknown)(...args) : found;
  if (typeof program !== "object" || program === null || !("setup" in program)) {
    throw new Error(`${module} exports no thread program "${name}"`);
  }
  return program as ThreadProgram;
}
