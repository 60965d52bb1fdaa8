/** The size of the argument: what there is to know about a lifetime, and in how many places it is not just the lock. */
import type { Lifetime } from "../model/utrace/lifetime.ts";
import { UTRACE, utrace } from "../model/utrace/structs.ts";
import type { Argument } from "../reports/comparison.ts";
import type { Parameters } from "../scenarios/scenario.ts";
import { exploreMachine } from "../sim/explore/machine/explore.ts";
import type { HistoryRow } from "../sim/history.ts";
import { ALLOC, FREE, SPIN_LOCK, SPIN_UNLOCK } from "../sim/op.ts";
import { fieldById, fieldLabel, type Layout } from "../sim/struct.ts";
import { smallWorld } from "./smallWorld.ts";
import { takeWalk } from "./walk.ts";

/** The argument of a lifetime: its own words, and what the walk shows. */
export function argumentOf(lifetime: Lifetime, parameters: Parameters): Argument {
  const { run, machine } = takeWalk({ ...parameters, lifetime: lifetime.name });
  return {
    lifetime: lifetime.name,
    summary: lifetime.title,
    retryLoops: lifetime.argument.retryLoops,
    rules: lifetime.argument.rules,
    unlocked: unlockedAccesses(run.history, machine.layout),
    ...countStates({ ...parameters, lifetime: lifetime.name }),
  };
}

/** Preemptions of the schedules of the small world that are gone through. */
const PREEMPTIONS = 1;

/** Counts the states of the small world: all that are reached by a schedule with few preemptions. */
function countStates(parameters: Parameters): Pick<Argument, "states" | "statesBounds"> {
  const { complete, states } = exploreMachine(smallWorld(parameters), { preemptions: PREEMPTIONS });
  if (!complete) throw new Error(`[sim bug] the small world is not small under ${parameters.lifetime}`);
  return { states, statesBounds: `${parameters.cpus} CPUs, at most ${PREEMPTIONS} preemption` };
}

/**
 * Places that touch a struct utrace without its lock: `function: struct->field`, each once, in alphabetical order, with
 * the spinlocks that are held instead.
 *
 * Setting one up does not count: it begins to count with the first time its lock is taken, and ends with its free.
 */
export function unlockedAccesses(history: readonly HistoryRow[], layout: Layout): string[] {
  const size = layout.sizeOf(utrace);
  const lockAt = layout.offset[UTRACE.lock.id] as number;
  const locks = new LocksHeld();
  const structs = new Set<number>();
  const places = new Set<string>();
  for (const row of history) {
    const held = locks.see(row);
    if (row.field === UTRACE.lock.id) structs.add(row.address - lockAt);
    else if (row.kind === ALLOC) structs.delete(row.result);
    else if (row.kind === FREE) structs.delete(row.address);
    else if (row.field >= 0) {
      for (const address of structs) {
        const inside = row.address >= address && row.address < address + size;
        if (inside && !held.has(address + lockAt)) places.add(placeOf(row, [...held.values()]));
      }
    }
  }
  return [...places].sort();
}

function placeOf(row: HistoryRow, held: readonly number[]): string {
  const others = held.map((field) => fieldById(field).path).sort();
  const instead = others.length === 0 ? "" : ` (under ${others.join(" and ")})`;
  return `${row.backtrace[0] ?? ""}: ${fieldLabel(row.field)}${instead}`;
}

/** Who holds which spinlocks, as far as a history tells. */
class LocksHeld {
  /** Field of each lock by its address, for each task or softirq. */
  private readonly held = new Map<string, Map<number, number>>();
  /** The lock each is taking: it has it when it does something else. */
  private readonly taking = new Map<string, { readonly address: number; readonly field: number }>();

  /** Takes the next row in; gives what its actor holds while it happens. */
  see(row: HistoryRow): ReadonlyMap<number, number> {
    const actor = row.softirq ? `softirq/${row.cpu}` : `${row.task}/${row.pid}`;
    let own = this.held.get(actor);
    if (own === undefined) {
      own = new Map();
      this.held.set(actor, own);
    }
    const taking = this.taking.get(actor);
    const goesOn = row.kind === SPIN_LOCK && row.phase > 0;
    if (taking !== undefined && row.kind !== 0 && !goesOn) {
      own.set(taking.address, taking.field);
      this.taking.delete(actor);
    }
    if (row.kind === SPIN_LOCK) this.taking.set(actor, { address: row.address, field: row.field });
    else if (row.kind === SPIN_UNLOCK) own.delete(row.address);
    return own;
  }
}
