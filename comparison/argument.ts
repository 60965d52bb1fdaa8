/** The size of the argument: what there is to know about a lifetime, and in how many places it is not just the lock. */
import type { Lifetime } from "../model/utrace/lifetime.ts";
import { UTRACE, utrace } from "../model/utrace/structs.ts";
import type { Argument } from "../reports/comparison.ts";
import type { Parameters } from "../scenarios/scenario.ts";
import type { HistoryRow } from "../sim/history.ts";
import type { Machine } from "../sim/machine.ts";
import { ALLOC, FREE, SPIN_LOCK, SPIN_UNLOCK } from "../sim/op.ts";
import { fieldLabel } from "../sim/struct.ts";
import { takeWalk } from "./walk.ts";

/** The argument of a lifetime: its own words, and what the walk shows. */
export function argumentOf(lifetime: Lifetime, parameters: Parameters): Argument {
  const { run, machine } = takeWalk({ ...parameters, lifetime: lifetime.name });
  return {
    lifetime: lifetime.name,
    summary: lifetime.title,
    retryLoops: lifetime.argument.retryLoops,
    rules: lifetime.argument.rules,
    unlocked: unlockedAccesses(run.history, machine),
    states: null,
  };
}

/**
 * Places that touch a struct utrace without its lock: `function: struct->field`, each once, in alphabetical order.
 *
 * Setting one up does not count: it begins to count with the first time its lock is taken, and ends with its free.
 */
export function unlockedAccesses(history: readonly HistoryRow[], machine: Machine): string[] {
  const size = machine.layout.sizeOf(utrace);
  const lockAt = machine.layout.offset[UTRACE.lock.id] as number;
  /** Who holds the lock of each struct that is in use, by address; "" for nobody. */
  const holder = new Map<number, string>();
  const places = new Set<string>();
  for (const row of history) {
    const actor = row.softirq ? `softirq/${row.cpu}` : `${row.task}/${row.pid}`;
    if (row.field === UTRACE.lock.id && row.kind === SPIN_LOCK) holder.set(row.address - lockAt, actor);
    else if (row.field === UTRACE.lock.id && row.kind === SPIN_UNLOCK) holder.set(row.address - lockAt, "");
    else if (row.kind === ALLOC || row.kind === FREE) holder.delete(row.kind === FREE ? row.address : row.result);
    else if (row.field >= 0) {
      for (const [address, owner] of holder) {
        if (owner !== actor && row.address >= address && row.address < address + size) {
          places.add(`${row.backtrace[0] ?? ""}: ${fieldLabel(row.field)}`);
        }
      }
    }
  }
  return [...places].sort();
}
