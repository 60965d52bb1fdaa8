/** Counting what a path costs: the rows of the walk's history that belong to it. */
import type { Cost } from "../reports/comparison.ts";
import type { Parameters } from "../scenarios/scenario.ts";
import { eventType, SOFTIRQ } from "../sim/event.ts";
import type { HistoryRow } from "../sim/history.ts";
import { STACK_SIZE } from "../sim/machine.ts";
import { ARENA } from "../sim/memory.ts";
import {
  ALLOC,
  ATOMIC,
  BARRIER,
  CALL_RCU,
  FREE,
  LOAD,
  RCU_DEREFERENCE,
  RCU_READ_LOCK,
  READ_LOCK,
  READ_UNLOCK,
  SPIN_LOCK,
  STORE,
  UPDATE,
  WRITE_LOCK,
  WRITE_UNLOCK,
} from "../sim/op.ts";
import { PATHS, takeWalk, type Walk, type WalkedPath } from "./walk.ts";

const LINE_SHIFT = 6;

const LOADS = new Set([LOAD, RCU_DEREFERENCE, UPDATE]);
const STORES = new Set([STORE, UPDATE]);
const LOCKS = new Set([SPIN_LOCK, READ_LOCK, WRITE_LOCK]);
/** On x86 the unlock of an rwlock is a locked instruction too, that of a spinlock is not. */
const ATOMICS = new Set([ATOMIC, ...LOCKS, READ_UNLOCK, WRITE_UNLOCK]);

/** The cost of every path, under one lifetime. */
export function costsOf(parameters: Parameters): Cost[] {
  const walk = takeWalk(parameters);
  const deferred = deferredOps(walk.run.history);
  return PATHS.map((path) => costOf(path, parameters.lifetime, walk, deferred));
}

function costOf(path: WalkedPath, lifetime: string, walk: Walk, deferred: readonly number[]): Cost {
  let callbacks = -1;
  const own: HistoryRow[] = [];
  let deferredOps = 0;
  for (const row of walk.run.history) {
    const isCallback = row.kind === CALL_RCU && row.phase === 0;
    if (isCallback) callbacks++;
    if (row.softirq || !row.backtrace.some((name) => path.probes.includes(name))) continue;
    own.push(row);
    if (isCallback) deferredOps += deferred[callbacks] ?? 0;
  }
  const ops = own.filter((row) => row.phase === 0);
  const count = (kinds: { has(kind: number): boolean }): number => ops.filter((row) => kinds.has(row.kind)).length;
  const only = (kind: number): number => ops.filter((row) => row.kind === kind).length;
  return {
    path: path.name,
    what: path.what,
    lifetime,
    ops: ops.length,
    loads: count(LOADS),
    stores: count(STORES),
    atomics: count(ATOMICS),
    locks: count(LOCKS),
    barriers: only(BARRIER),
    rcuSections: only(RCU_READ_LOCK),
    rcuCallbacks: only(CALL_RCU),
    allocations: only(ALLOC),
    frees: only(FREE),
    cacheLines: linesOf(own, walk).size,
    deferredOps,
  };
}

/** Ops of each RCU callback, in the order in which they were queued: on one CPU they run in that order. */
function deferredOps(history: readonly HistoryRow[]): number[] {
  const ops: number[] = [];
  for (const row of history) {
    if (eventType(row.event) === SOFTIRQ && !row.softirq) ops.push(0);
    else if (row.softirq && row.phase === 0) ops[ops.length - 1] = (ops.at(-1) ?? 0) + 1;
  }
  return ops;
}

/** Cache lines that the rows touch. A stack is hot whatever the lifetime, and left out. */
function linesOf(rows: readonly HistoryRow[], walk: Walk): Set<number> {
  const lines = new Set<number>();
  const touch = (address: number, bytes: number): void => {
    for (let line = address >> LINE_SHIFT; line <= (address + bytes - 1) >> LINE_SHIFT; line++) lines.add(line);
  };
  for (const row of rows) {
    // Handing out and taking back are the allocator's business; zeroing touches the whole object.
    if (row.kind === FREE) continue;
    if (row.kind === ALLOC) {
      if (row.phase === 1) touch(row.result, walk.machine.slab.objectAt(row.result)?.size ?? 0);
    } else if (row.address >= ARENA && !onStack(row.address, walk)) {
      touch(row.address, row.field < 0 ? 1 : (walk.machine.layout.size[row.field] as number));
    }
  }
  return lines;
}

function onStack(address: number, { machine }: Walk): boolean {
  return machine.contexts.some((context) => address >= context.threadInfo && address < context.threadInfo + STACK_SIZE);
}
