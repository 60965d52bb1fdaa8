/**
 * Who wrote to a stretch of memory, in order: how poison came to be overwritten.
 *
 * Shows the stores of ops. Does not show what the allocator writes of its own (poison, red zones, free pointers,
 * zeroing of a new object), except where it falls in the few bytes behind an op's address that a history keeps; nor a
 * store that leaves a byte as it was.
 */
import type { Finding } from "../sim/finding.ts";
import type { HistoryRow } from "../sim/history.ts";
import { hexPointer } from "../sim/memory.ts";
import { FREE, type Ptr } from "../sim/op.ts";
import { actorOf, opText } from "./step.ts";

/**
 * The steps that changed a byte from `start` up to and not including `end`, one line for each unbroken run of bytes.
 *
 * @param history - `RunResult.history` of a recorded run.
 * @returns the lines, oldest first; empty if no step changed a byte there.
 */
export function writesText(history: readonly HistoryRow[], start: Ptr, end: Ptr): string {
  const lines: string[] = [];
  for (const row of history) {
    const inside = row.writes.filter(({ address }) => address >= start && address < end);
    const what = `step ${row.step} ${actorOf(row)} cpu${row.cpu} ${row.backtrace[0] ?? "?"}: ${opText(row)}`;
    for (const run of unbroken(inside)) lines.push(`${what}: ${runText(run)}`);
  }
  return lines.join("\n");
}

type Write = HistoryRow["writes"][number];

function runText(run: readonly Write[]): string {
  const bytes = run.map(({ byte }) => byte.toString(16).padStart(2, "0"));
  return `0x${hexPointer(run[0]?.address ?? 0)}: ${bytes.join(" ")}`;
}

/** Splits writes, which are in order of address, where a byte is missing between them. */
function unbroken(writes: readonly Write[]): Write[][] {
  const runs: Write[][] = [];
  let next = Number.NaN;
  for (const write of writes) {
    if (write.address === next) runs.at(-1)?.push(write);
    else runs.push([write]);
    next = write.address + 1;
  }
  return runs;
}

/**
 * The stores into a slab object between its free and the check that found them: who wrote the bytes of a SLUB report.
 *
 * @returns one line for each store, as {@link writesText}; empty for a finding of another kind.
 */
export function storesSinceFree(finding: Finding, history: readonly HistoryRow[]): string {
  const object = finding.details.type === "slab" ? finding.details.slab.object : undefined;
  if (object === undefined) return "";
  const { address, bytes } = object;
  const before = history.filter((row) => row.step < finding.step);
  const freed = before.findLast((row) => row.kind === FREE && row.address === address)?.step ?? -1;
  const since = before.filter((row) => row.step > freed);
  return writesText(since, address, address + bytes.length);
}
