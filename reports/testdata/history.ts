/** Histories made by hand: rows of a struct that is declared here as in the posted patch, as far as the tests need. */
import { makeEvent, STEP } from "../../sim/event.ts";
import type { HistoryRow } from "../../sim/history.ts";
import { spinlock_t } from "../../sim/kernelStructs.ts";
import type { RunResult } from "../../sim/run.ts";
import { bits, struct } from "../../sim/struct.ts";
import { at } from "./finding.ts";

export const UTRACE = struct("utrace", { lock: spinlock_t, stopped: bits(1), report: bits(1) }).fields;
export const OBJECT = at(0x7c31e780);
export const LOCK = OBJECT + 0x30;
export const FLAGS = OBJECT + 0x70;

const TASKS: Readonly<Record<string, Partial<HistoryRow>>> = {
  exe: { task: "exe", pid: 5118, cpu: 0, backtrace: ["utrace_stop", "utrace_get_signal"] },
  tracer: { task: "tracer", pid: 5377, cpu: 1, backtrace: ["utrace_control"] },
  // The softirq runs on top of the tracer.
  softirq: { task: "tracer", pid: 5377, cpu: 1, softirq: true, backtrace: ["utrace_free"] },
};

/** A step of one of the tasks; its number is its place in {@link makeRun}. */
export function row(task: string, kind: number, more: Partial<HistoryRow> = {}): HistoryRow {
  const cpu = TASKS[task]?.cpu ?? 0;
  return {
    step: 0,
    time: 0,
    event: makeEvent(STEP, cpu, 0),
    cpu,
    task: "",
    pid: 0,
    softirq: false,
    kind,
    phase: 0,
    address: 0,
    field: -1,
    result: 0,
    fatal: false,
    backtrace: [],
    writes: [],
    ...TASKS[task],
    ...more,
  };
}

/** An event of the machine that concerns a task. */
export const event = (task: string, type: number, more: Partial<HistoryRow> = {}): HistoryRow => {
  const cpu = more.cpu ?? TASKS[task]?.cpu ?? 0;
  return row(task, 0, { event: makeEvent(type, cpu, 0), softirq: false, backtrace: [], ...more });
};

/** Bytes written from an address on. */
export const writes = (address: number, ...bytes: number[]): HistoryRow["writes"] =>
  bytes.map((byte, i) => ({ address: address + i, byte }));

export function makeRun(first: number, rows: readonly HistoryRow[], findings: RunResult["findings"] = []): RunResult {
  return {
    findings,
    steps: first + rows.length,
    historyHash: "0123456789abcdef",
    schedule: new Int32Array(0),
    cutOff: false,
    time: 0,
    history: rows.map((each, i) => ({ ...each, step: first + i })),
    notes: [],
    contexts: ["exe", "tracer"],
  };
}
