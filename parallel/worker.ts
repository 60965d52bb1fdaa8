/** A worker thread of an exploration: cuts a program into parts, and takes parts of it, one after the other. */
import { PartExplorer, type PartResult } from "../sim/explore/threads/parts.ts";
import { type Plan, planParts } from "../sim/explore/threads/plan.ts";
import { EXECUTIONS, type PartTask, programAt, STOP, type WorkerTask } from "./task.ts";

/** The explorer of the last task: what it has learned of the code serves the next part. */
let last: { readonly key: string; readonly explorer: PartExplorer; shared: BigInt64Array; counted: number } | null =
  null;

/** @returns null for a part that it was told to stop before it was done. */
export default async function work(task: WorkerTask): Promise<Plan | PartResult | null> {
  if ("part" in task) return await explorePart(task);
  return planParts(await programAt(task.source), task.options, task.known ?? undefined);
}

async function explorePart({ source, options, plan, part, shared }: PartTask): Promise<PartResult | null> {
  if (Atomics.load(shared, STOP) !== 0n) return null;
  const key = JSON.stringify([source, options, plan]);
  if (last === null || last.key !== key) {
    const onProgress = ({ executions }: { readonly executions: number }): boolean => {
      count(executions);
      return Atomics.load((last as NonNullable<typeof last>).shared, STOP) === 0n;
    };
    const explorer = new PartExplorer(await programAt(source), { ...options, onProgress }, plan);
    last = { key, explorer, shared, counted: 0 };
  }
  last.shared = shared;
  last.counted = 0;
  const result = last.explorer.explore(part);
  count(result.counts.executions);
  return Atomics.load(shared, STOP) !== 0n && !result.complete && result.counts.cutOff === 0 ? null : result;
}

/** Adds what has come since the last time to the count of all workers. */
function count(executions: number): void {
  if (last === null) return;
  Atomics.add(last.shared, EXECUTIONS, BigInt(executions - last.counted));
  last.counted = executions;
}
