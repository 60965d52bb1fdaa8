/** One step of a history in words: who took it, what it did, and to which field. */
import { EVENT_NAMES, eventType, SOFTIRQ } from "../sim/event.ts";
import type { HistoryRow } from "../sim/history.ts";
import { ARENA, hexPointer, WILD } from "../sim/memory.ts";
import {
  ALLOC,
  ATOMIC,
  CALL_RCU,
  CHOOSE,
  FREE,
  KICK,
  KIND_NAMES,
  LOAD,
  RCU_DEREFERENCE,
  READ_LOCK,
  READ_UNLOCK,
  SPIN_LOCK,
  SPIN_UNLOCK,
  UPDATE,
  WAIT_INACTIVE,
  WAKE_UP,
  WRITE_LOCK,
  WRITE_UNLOCK,
} from "../sim/op.ts";
import { fieldLabel } from "../sim/struct.ts";

// Numbers from ARENA up to here stand for pointers: beyond it, a pointer's low word would be negative.
const ARENA_END = 0x80000000;
/** Numbers above this and below 0 are errnos and the like; lower ones are addresses of kernel text. */
const LOWEST_ERRNO = -4096;

const LOCK_STEPS = ["", " (taken)", " (owner_cpu)", " (owner)"];
const UNLOCK_STEPS = ["", " (owner_cpu)", " (release)"];
/** What the further steps of an op do; the first is the op itself. */
const STEP_NAMES: Readonly<Record<number, readonly string[]>> = {
  [SPIN_LOCK]: LOCK_STEPS,
  [READ_LOCK]: LOCK_STEPS,
  [WRITE_LOCK]: LOCK_STEPS,
  [SPIN_UNLOCK]: UNLOCK_STEPS,
  [READ_UNLOCK]: UNLOCK_STEPS,
  [WRITE_UNLOCK]: UNLOCK_STEPS,
  [CALL_RCU]: ["", " (next)", " (queued)"],
  [ALLOC]: ["", " (zeroed)"],
  [UPDATE]: [" (read)", ""],
};
const SHOWS_RESULT = new Set([LOAD, RCU_DEREFERENCE, UPDATE, ATOMIC, ALLOC, WAKE_UP, WAIT_INACTIVE, CHOOSE]);
/** Ops on a whole object, which name no field. */
const SHOWS_ADDRESS = new Set([FREE, WAKE_UP, WAIT_INACTIVE, KICK]);

/** Who took a step: `exe/5118`, or `softirq/1` for the softirq of CPU 1, on top of whichever task. */
export function actorOf(row: HistoryRow): string {
  if (row.softirq || eventType(row.event) === SOFTIRQ) return `softirq/${row.cpu}`;
  return row.task === "" ? "" : `${row.task}/${row.pid}`;
}

/** The op of a step and the field it touches: `spin_lock utrace->lock`. */
export function opText(row: HistoryRow): string {
  const name = KIND_NAMES[row.kind] ?? `op ${row.kind}`;
  const buffered = row.buffer === "stored" ? " (buffered)" : row.buffer === "forwarded" ? " (own store)" : "";
  const step = (STEP_NAMES[row.kind]?.[row.phase] ?? "") + buffered;
  if (row.field >= 0) return `${name} ${fieldLabel(row.field)}${step}`;
  return SHOWS_ADDRESS.has(row.kind) ? `${name} ${valueText(row.address)}${step}` : name + step;
}

/** As {@link opText}, with the value the op gave, where it gives one. */
export function doneText(row: HistoryRow): string {
  // The read of a read-modify-write is of the whole word that holds the field; only the write gives the field's value.
  const half = row.kind === UPDATE && row.phase === 0;
  if (row.fatal && row.address !== 0) return `${opText(row)} faults`;
  return SHOWS_RESULT.has(row.kind) && !half ? `${opText(row)} = ${valueText(row.result)}` : opText(row);
}

/** An event of the machine in muted form: `-- preempted --`. */
export function eventText(row: HistoryRow): string {
  if (row.storedAt !== undefined) return `-- ${fieldLabel(row.field)} of step ${row.storedAt} reaches memory --`;
  const name = EVENT_NAMES[eventType(row.event)] ?? "event";
  const words: Readonly<Record<string, string>> = {
    switch: `runs on cpu ${row.cpu}`,
    preempt: "preempted",
    interrupt: "interrupted",
    timer: "timer expires",
  };
  return `-- ${words[name] ?? name} --`;
}

/** A pointer in full, a small number as it is, any other in hexadecimal. */
export function valueText(value: number): string {
  if (value >= WILD) return "a wild pointer";
  if ((value >= ARENA && value < ARENA_END) || value < LOWEST_ERRNO) return hexPointer(value);
  return value < 10 ? String(value) : `0x${value.toString(16)}`;
}
