/** Keeping the history of a run, row by row. */
import type { Context } from "./context.ts";
import type { Cpu } from "./cpu.ts";
import { eventArgument, eventType, FLUSH, makeEvent, SWITCH, TIMER } from "./event.ts";
import type { HistoryRow } from "./history.ts";
import type { Machine } from "./machine.ts";
import { ARENA } from "./memory.ts";
import type { Ptr } from "./op.ts";

const RECORDED_BYTES = 64;

/** The bytes an op can change, before it does. A lock with its debug fields is the longest. */
export function bytesAt(m: Machine, address: Ptr): Uint8Array {
  const at = address - ARENA;
  return at < 0 ? new Uint8Array(0) : m.memory.bytes.slice(at, at + RECORDED_BYTES);
}

/** Adds the row of a step that was just taken. */
export function endRecord(
  m: Machine,
  before: Uint8Array,
  cpu: Cpu,
  context: Context,
  event: number,
  kind: number,
  phase: number,
  address: Ptr,
  field: number,
): void {
  const writes: { address: Ptr; byte: number }[] = [];
  const after = bytesAt(m, address);
  const arrived = m.buffers === null ? NOTHING : arrivedInStep(m);
  for (let i = 0; i < after.length; i++) {
    const byte = after[i] as number;
    if (byte !== before[i] && arrived.get(address + i) !== byte) writes.push({ address: address + i, byte });
  }
  m.history?.push({
    step: m.steps,
    time: m.now,
    event,
    cpu: cpu.id,
    task: context.comm,
    pid: context.pid,
    softirq: context.softirq,
    kind,
    phase,
    address,
    field,
    result: typeof m.result === "number" ? m.result : 0,
    fatal: m.stopped,
    backtrace: m.functionNames(context),
    writes,
    ...bufferUse(m, cpu),
  });
}

const NOTHING: ReadonlyMap<Ptr, number> = new Map();

/** Bytes that older stores brought to memory in this step; they have rows of their own. */
function arrivedInStep(m: Machine): ReadonlyMap<Ptr, number> {
  const arrived = new Map<Ptr, number>();
  const rows = m.history ?? [];
  for (let i = rows.length - 1; i >= 0; i--) {
    const row = rows[i] as HistoryRow;
    if (row.step !== m.steps) break;
    for (const { address, byte } of row.writes) if (!arrived.has(address)) arrived.set(address, byte);
  }
  return arrived;
}

/** What the step had to do with its CPU's store buffer. */
function bufferUse(m: Machine, cpu: Cpu): { buffer?: "stored" | "forwarded" } {
  const buffer = m.buffers?.[cpu.id];
  if (buffer?.storedAt === m.steps) return { buffer: "stored" };
  return buffer?.forwardedAt === m.steps ? { buffer: "forwarded" } : {};
}

/**
 * Adds the row of a store that has just reached memory.
 *
 * @param context - Who made it, as it was then.
 * @param before - The bytes that were there.
 */
export function recordFlush(
  m: Machine,
  cpu: Cpu,
  context: Context,
  before: Uint8Array,
  at: number,
  storedAt: number,
): void {
  const writes: { address: Ptr; byte: number }[] = [];
  for (let i = 0; i < before.length; i++) {
    const byte = m.memory.bytes[at + i] as number;
    if (byte !== before[i]) writes.push({ address: at + i + ARENA, byte });
  }
  m.history?.push({
    step: m.steps,
    time: m.now,
    event: makeEvent(FLUSH, cpu.id, 0),
    cpu: cpu.id,
    task: context.comm,
    pid: context.pid,
    softirq: context.softirq,
    kind: 0,
    phase: 0,
    address: at + ARENA,
    field: context.field,
    result: 0,
    fatal: false,
    backtrace: m.functionNames(context),
    writes,
    storedAt,
  });
}

/** Adds the row of an event that is no step. */
export function recordEvent(m: Machine, event: number, cpu: Cpu): void {
  const subject = eventType(event) === SWITCH || eventType(event) === TIMER ? eventArgument(event) : -1;
  const context = subject >= 0 ? m.contexts[subject] : cpu.current;
  m.history?.push({
    step: m.steps,
    time: m.now,
    event,
    cpu: cpu.id,
    task: context?.comm ?? "",
    pid: context?.pid ?? 0,
    softirq: false,
    kind: 0,
    phase: 0,
    address: 0,
    field: -1,
    result: 0,
    fatal: false,
    backtrace: [],
    writes: [],
  });
}
