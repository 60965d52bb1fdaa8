/** Keeping the history of a run, row by row. */
import type { Context } from "./context.ts";
import type { Cpu } from "./cpu.ts";
import { eventArgument, eventType, SWITCH, TIMER } from "./event.ts";
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
  for (let i = 0; i < after.length; i++) {
    if (after[i] !== before[i]) writes.push({ address: address + i, byte: after[i] as number });
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
