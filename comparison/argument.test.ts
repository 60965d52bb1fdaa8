/** What counts as touching a struct without its lock. */
import { expect, test } from "vitest";
import { UTRACE } from "../model/utrace/structs.ts";
import { makeEvent, STEP } from "../sim/event.ts";
import type { HistoryRow } from "../sim/history.ts";
import { ARENA } from "../sim/memory.ts";
import { FREE, LOAD, SPIN_LOCK, SPIN_UNLOCK } from "../sim/op.ts";
import { layoutFor } from "../sim/struct.ts";
import { unlockedAccesses } from "./argument.ts";

const layout = layoutFor({ UTRACE_INDIRECT: true });
const STRUCT = ARENA + 0x1000;

function row(task: string, kind: number, field: { readonly id: number } | null, phase = 0): HistoryRow {
  return {
    step: 0,
    time: 0,
    event: makeEvent(STEP, 0, 0),
    cpu: 0,
    task,
    pid: 1,
    softirq: false,
    kind,
    phase,
    address: field === null ? STRUCT : STRUCT + (layout.offset[field.id] as number),
    field: field?.id ?? -1,
    result: 0,
    fatal: false,
    backtrace: [`${task}_function`],
    writes: [],
  };
}
const lock = (task: string, phase = 0): HistoryRow => row(task, SPIN_LOCK, UTRACE.lock, phase);
const unlock = (task: string): HistoryRow => row(task, SPIN_UNLOCK, UTRACE.lock);
const look = (task: string): HistoryRow => row(task, LOAD, UTRACE.stopped);

test("a look under the lock does not count, one after it does", () => {
  expect(unlockedAccesses([lock("a"), look("a"), unlock("a")], layout)).toEqual([]);
  expect(unlockedAccesses([lock("a"), look("a"), unlock("a"), look("a")], layout)).toEqual([
    "a_function: utrace->stopped",
  ]);
});

test("who only waits for the lock does not have it, and takes it from nobody", () => {
  const rows = [lock("a"), lock("b"), look("a"), unlock("a"), lock("b", 1), look("b"), unlock("b")];
  expect(unlockedAccesses(rows, layout)).toEqual([]);
  expect(unlockedAccesses([lock("a"), lock("b"), look("c")], layout)).toEqual(["c_function: utrace->stopped"]);
});

test("before its lock was ever taken, and after its free, a struct is not one", () => {
  expect(unlockedAccesses([look("a"), lock("a"), unlock("a"), row("a", FREE, null), look("a")], layout)).toEqual([]);
});
