/**
 * Why a finding comes, in sentences, read off the recorded history of a run; and which order would have forbidden it,
 * read off the nearest run that passes.
 *
 * Says only what the history shows: who got at the pointer by which load, who freed the object, which value that was
 * looked at had changed by the time it mattered. It knows nothing of intentions: the check named as stale is the last one
 * before the bad step whose memory another task changed in between.
 */
import { eventType, STEP } from "../sim/event.ts";
import type { Finding } from "../sim/finding.ts";
import type { HistoryRow } from "../sim/history.ts";
import { PAGE_SIZE } from "../sim/memory.ts";
import {
  ALLOC,
  ATOMIC,
  BUG,
  CALL_RCU,
  FREE,
  LOAD,
  type Ptr,
  RCU_DEREFERENCE,
  RCU_READ_LOCK,
  RCU_READ_UNLOCK,
  READ_LOCK,
  READ_UNLOCK,
  SCHEDULE,
  SPIN_LOCK,
  SPIN_UNLOCK,
  WAKE_UP,
  WARN,
  WRITE_LOCK,
  WRITE_UNLOCK,
} from "../sim/op.ts";
import type { RunResult } from "../sim/run.ts";
import { type Config, layoutFor } from "../sim/struct.ts";
import { actorOf, doneText, eventText, opText } from "./step.ts";

/** A run that passes, and the step at which it parts from the one that does not. */
export interface Parting {
  readonly step: number;
  readonly run: RunResult;
}

/**
 * Why `finding` comes.
 *
 * @param run - A recorded run that shows it.
 * @param config - Of the run: sizes of fields depend on it.
 * @param passing - The nearest run that passes, if one is known.
 * @returns sentences, in the order in which they are best read.
 */
export function why(finding: Finding, run: RunResult, config: Config, passing: Parting | null = null): string[] {
  const story = new Story(run.history, config);
  const sentences = story.tell(finding, run.findings);
  return passing === null ? sentences : [...sentences, ...order(story, finding, run, passing)];
}

const LOADS = new Set([LOAD, RCU_DEREFERENCE, ATOMIC]);
const LOCKS = new Set([SPIN_LOCK, READ_LOCK, WRITE_LOCK]);
const UNLOCKS = new Set([SPIN_UNLOCK, READ_UNLOCK, WRITE_UNLOCK]);

/** A stretch of memory: an object. */
interface Range {
  readonly start: Ptr;
  readonly end: Ptr;
}

class Story {
  private readonly sizes: Int32Array;

  constructor(
    readonly history: readonly HistoryRow[],
    config: Config,
  ) {
    this.sizes = layoutFor(config).size;
  }

  tell(finding: Finding, all: readonly Finding[]): string[] {
    const { details } = finding;
    switch (details.type) {
      case "memory":
      case "free":
      case "fault":
        return this.ofMemory(finding);
      case "stuck":
        return finding.kind === "deadlock" ? this.ofLock(finding) : this.ofSleep(finding);
      case "leak":
        return this.ofLeak({
          start: details.object.address,
          end: details.object.address + details.object.size,
        });
      case "slab":
      case "spinlock":
      case "assertion":
        return this.ofConsequence(finding, all);
      default:
        return [];
    }
  }

  /** The row of a finding's step: the last one of it, which is what the step itself did. */
  rowOf(finding: Finding): HistoryRow | undefined {
    return this.history.findLast((row) => row.step === finding.step && eventType(row.event) === STEP);
  }

  // --- Memory -------------------------------------------------------------------------------------------------------

  private ofMemory(finding: Finding): string[] {
    const bad = this.rowOf(finding);
    if (bad === undefined) return [];
    const object = this.objectOf(finding, bad);
    if (object === null) return this.staleCheck(bad);
    const freed = this.freeOf(object, bad.step);
    const pointer = this.pointerLoad(object, bad, new Set(finding.backtrace.map(({ name }) => name)));
    const sentences: string[] = [];
    if (pointer !== null) sentences.push(this.taking(pointer, bad));
    else if (bad.softirq) sentences.push(...this.queueing(object, bad));
    if (freed !== null) sentences.push(...this.freeing(freed, object, finding));
    sentences.push(...this.staleCheck(bad));
    return sentences;
  }

  /** The object that the bad step was at: as the finding knows it, or the last one that was allocated or freed there. */
  private objectOf(finding: Finding, bad: HistoryRow): Range | null {
    const { details } = finding;
    if ((details.type === "memory" || details.type === "free") && details.object !== null) {
      const { address, size } = details.object;
      return { start: address, end: address + size };
    }
    return this.objectAt(bad.address, bad.step);
  }

  private objectAt(address: Ptr, before: number): Range | null {
    const starts: Ptr[] = [];
    for (const row of this.history) {
      if (row.step >= before) break;
      const at = row.kind === ALLOC ? row.result : row.kind === FREE ? row.address : 0;
      if (at !== 0 && at <= address && at >= address - (address % PAGE_SIZE)) starts.push(at);
    }
    if (starts.length === 0) return null;
    const start = Math.max(...starts);
    // How long it is, is not in the history; but nothing beyond the address is asked for.
    return { start, end: address + 1 };
  }

  private freeOf(object: Range, before: number): HistoryRow | null {
    const isFree = (row: HistoryRow): boolean => row.step < before && row.kind === FREE && row.address === object.start;
    return this.history.findLast(isFree) ?? null;
  }

  /**
   * The load that gave the actor of a bad step its pointer: the last one in a function that it is still in, if any; one
   * that gave the object itself rather than something in it.
   */
  private pointerLoad(object: Range, bad: HistoryRow, stack: ReadonlySet<string>): HistoryRow | null {
    const actor = actorOf(bad);
    const gave = this.history.filter(
      (row) =>
        row.step < bad.step &&
        LOADS.has(row.kind) &&
        inside(row.result, object) &&
        row.field >= 0 &&
        actorOf(row) === actor,
    );
    const here = gave.filter((row) => stack.has(row.backtrace[0] ?? ""));
    const whole = (rows: readonly HistoryRow[]): HistoryRow | undefined =>
      rows.findLast((row) => row.result === object.start);
    return whole(here) ?? whole(gave) ?? here.at(-1) ?? gave.at(-1) ?? null;
  }

  private taking(pointer: HistoryRow, bad: HistoryRow): string {
    const took = `${actorOf(pointer)} took the pointer in step ${pointer.step}, ${place(pointer)}: ${doneText(pointer)}`;
    const left = this.leftSection(pointer, bad);
    const kept =
      left === null ? "" : `; it left its RCU read section in step ${left.step} and kept the pointer all the same`;
    const gone = pointer.kind === ATOMIC ? null : this.changeOf(pointer, pointer.step, bad.step);
    const since =
      gone === null || left !== null
        ? ""
        : `; ${actorOf(gone)} took it away there in step ${gone.step}, ${place(gone)}`;
    return `${took}${kept}${since}.`;
  }

  /** The end of the read section that a load was in, if that comes before the bad step. */
  private leftSection(load: HistoryRow, bad: HistoryRow): HistoryRow | null {
    const actor = actorOf(load);
    let depth = 0;
    for (const row of this.history) {
      if (row.step >= bad.step) break;
      if (actorOf(row) !== actor) continue;
      if (row.kind === RCU_READ_LOCK) depth++;
      if (row.kind !== RCU_READ_UNLOCK) continue;
      depth = Math.max(0, depth - 1);
      if (depth === 0 && row.step > load.step) return this.wasReading(load) ? row : null;
    }
    return null;
  }

  private wasReading(load: HistoryRow): boolean {
    let depth = 0;
    for (const row of this.history) {
      if (row.step >= load.step) break;
      if (actorOf(row) !== actorOf(load)) continue;
      if (row.kind === RCU_READ_LOCK) depth++;
      if (row.kind === RCU_READ_UNLOCK) depth--;
    }
    return depth > 0;
  }

  /** Who freed it, and if that was a callback of RCU, who had asked for it. */
  private freeing(freed: HistoryRow, object: Range, finding: Finding): string[] {
    const sentences: string[] = [];
    if (freed.softirq) sentences.push(...this.queueing(object, freed));
    const again = finding.details.type === "free" ? "first freed" : "freed";
    const gone = finding.details.type === "fault" ? "; its page was given back and unmapped" : "";
    sentences.push(`It was ${again} in step ${freed.step} by ${actorOf(freed)}, ${place(freed)}${gone}.`);
    return sentences;
  }

  /** The call_rcu behind what a softirq does. */
  private queueing(object: Range, callback: HistoryRow): string[] {
    const queued = this.history.findLast(
      (row) => row.step < callback.step && isFirst(row, CALL_RCU) && inside(row.address, object),
    );
    if (queued === undefined) return [];
    const by = `${actorOf(queued)} gave the object to call_rcu in step ${queued.step}, ${place(queued)}`;
    return [`${by}; the callback came in step ${callback.step}, after a grace period.`];
  }

  // --- Checks that had become wrong -----------------------------------------------------------------------------------

  /** The last thing that the actor looked at before a bad step, and that another one has changed since. */
  private staleCheck(bad: HistoryRow): string[] {
    const actor = actorOf(bad);
    for (let i = this.history.length - 1; i >= 0; i--) {
      const row = this.history[i] as HistoryRow;
      if (row.step >= bad.step || actorOf(row) !== actor || row.field < 0) continue;
      if (row.kind !== LOAD && row.kind !== RCU_DEREFERENCE) continue;
      const changed = this.changeOf(row, row.step, bad.step);
      if (changed === null) continue;
      return [
        `What ${actor} had last looked at and was no longer so: ${opText(row)}, in step ${row.step}, ${place(row)}, gave ${doneText(row).replace(/^.* = /, "")}; ${change(changed)}.`,
      ];
    }
    return [];
  }

  /** The first change of a field by another actor after one step and before another. */
  private changeOf(load: HistoryRow, after: number, before: number): HistoryRow | null {
    const end = load.address + Math.max(1, this.sizes[load.field] ?? 1);
    const actor = actorOf(load);
    const changes = (row: HistoryRow): boolean =>
      row.step > after &&
      row.step < before &&
      actorOf(row) !== actor &&
      row.kind !== FREE &&
      row.kind !== ALLOC &&
      row.writes.some(({ address }) => address >= load.address && address < end);
    return this.history.find(changes) ?? null;
  }

  // --- What comes of an earlier error, or of a check --------------------------------------------------------------------

  private ofConsequence(finding: Finding, all: readonly Finding[]): string[] {
    const first = memoryErrorBefore(finding, all);
    const sentences: string[] = [];
    if (first !== undefined) {
      sentences.push(
        `It began in step ${first.step}: ${first.title}, ${first.task}/${first.pid}.`,
        ...this.ofMemory(first),
      );
    }
    const bad = this.rowOf(finding);
    if (bad?.kind === BUG || bad?.kind === WARN) sentences.push(...this.deciding(bad));
    return first === undefined && bad !== undefined ? [...sentences, ...this.staleCheck(bad)] : sentences;
  }

  /** The load that a BUG_ON or WARN_ON decided on, and who had changed what it gave. */
  private deciding(bug: HistoryRow): string[] {
    const actor = actorOf(bug);
    const isLoad = (row: HistoryRow): boolean =>
      row.step < bug.step && actorOf(row) === actor && LOADS.has(row.kind) && row.field >= 0;
    const load = this.history.findLast(isLoad);
    if (load === undefined) return [];
    const end = load.address + Math.max(1, this.sizes[load.field] ?? 1);
    const set = this.history.findLast(
      (row) => row.step < load.step && row.writes.some(({ address }) => address >= load.address && address < end),
    );
    const since = set === undefined ? "nobody had changed it in this run" : change(set);
    const before = `The check failed after ${doneText(load)}, in step ${load.step}, ${place(load)}; ${since}.`;
    return [before];
  }

  // --- Those who never go on --------------------------------------------------------------------------------------------

  private ofSleep(finding: Finding): string[] {
    const actor = `${finding.task}/${finding.pid}`;
    const slept = this.history.findLast((row) => row.kind === SCHEDULE && actorOf(row) === actor);
    if (slept === undefined) return [];
    const sentences = [`${actor} went to sleep in step ${slept.step}, ${place(slept)}.`];
    const wakes = this.history.filter((row) => row.kind === WAKE_UP && row.address === finding.taskAddress);
    const late = wakes.filter((row) => row.step > slept.step);
    const early = wakes.filter((row) => row.step < slept.step && row.step > this.sleptBefore(slept));
    for (const row of late) {
      sentences.push(`The wake-up in step ${row.step} by ${actorOf(row)}, ${place(row)}, did not wake it.`);
    }
    if (late.length === 0) {
      const last = early.at(-1);
      sentences.push(
        last === undefined
          ? "No wake-up came for it after that, nor since it last slept."
          : `No wake-up came for it after that; the last one, in step ${last.step} by ${actorOf(last)}, ${place(last)}, came before it slept.`,
      );
    }
    return [...sentences, ...this.staleCheck(slept)];
  }

  private sleptBefore(slept: HistoryRow): number {
    const before = this.history.findLast(
      (row) => row.step < slept.step && row.kind === SCHEDULE && actorOf(row) === actorOf(slept),
    );
    return before?.step ?? -1;
  }

  private ofLock(finding: Finding): string[] {
    const actor = `${finding.task}/${finding.pid}`;
    const waits = this.history.findLast((row) => LOCKS.has(row.kind) && actorOf(row) === actor);
    if (waits === undefined) return [];
    const sentences = [`${actor} has waited for the lock since step ${waits.step}, ${place(waits)}: ${opText(waits)}.`];
    const holder = this.holderOf(waits);
    sentences.push(
      holder === null
        ? "Nobody who took it still holds it: it was overwritten, or set up anew, while it was held or waited for."
        : `${actorOf(holder)} took it in step ${holder.step}, ${place(holder)}, and never gave it back.`,
    );
    return sentences;
  }

  private holderOf(waits: HistoryRow): HistoryRow | null {
    const held = new Map<string, HistoryRow>();
    for (const row of this.history) {
      if (row.address !== waits.address) continue;
      if (LOCKS.has(row.kind) && row !== waits) held.set(actorOf(row), held.get(actorOf(row)) ?? row);
      if (UNLOCKS.has(row.kind)) held.delete(actorOf(row));
    }
    held.delete(actorOf(waits));
    return [...held.values()].at(-1) ?? null;
  }

  private ofLeak(object: Range): string[] {
    const allocated = this.history.findLast((row) => row.kind === ALLOC && row.result === object.start);
    const sentences: string[] = [];
    if (allocated !== undefined) {
      sentences.push(`${actorOf(allocated)} allocated it in step ${allocated.step}, ${place(allocated)}.`);
    }
    const last = this.history.findLast((row) => row.kind !== ALLOC && inside(row.address, object));
    if (last !== undefined) {
      sentences.push(
        `The last to touch it was ${actorOf(last)} in step ${last.step}, ${place(last)}: ${doneText(last)}.`,
      );
    }
    const load = this.history.findLast((row) => LOADS.has(row.kind) && row.result === object.start && row.field >= 0);
    const gone = load === undefined ? null : this.removal(load);
    if (load !== undefined && gone !== null) {
      sentences.push(`The pointer in ${opText(load).replace(/^\S+ /, "")} went away: ${change(gone)}.`);
    }
    if (!this.history.some((row) => isFirst(row, CALL_RCU) && inside(row.address, object))) {
      sentences.push("Nobody gave it to call_rcu, and nobody freed it.");
    }
    return sentences;
  }

  /** The last change of where a pointer was loaded from. */
  private removal(load: HistoryRow): HistoryRow | null {
    const end = load.address + Math.max(1, this.sizes[load.field] ?? 1);
    const changes = (row: HistoryRow): boolean =>
      row.step > load.step && row.writes.some(({ address }) => address >= load.address && address < end);
    return this.history.findLast(changes) ?? null;
  }
}

/** The memory error that a finding may be a consequence of. */
const memoryErrorBefore = (finding: Finding, all: readonly Finding[]): Finding | undefined =>
  all.find(({ step, details }) => step <= finding.step && (details.type === "memory" || details.type === "free"));

// --- The order that would have forbidden it ---------------------------------------------------------------------------

function order(story: Story, finding: Finding, run: RunResult, passing: Parting): string[] {
  const { step } = passing;
  const [here, there] = [run.history, passing.run.history].map((rows) => rows.find((row) => row.step === step));
  if (here === undefined || there === undefined) return [];
  const instead = `In the nearest run that passes, ${doing(there)} in step ${step}, where here ${doing(here)}`;
  return [`${instead}; ${consequence(story, finding, run, passing)}.`];
}

/** What becomes of the finding in the run that passes. */
function consequence(story: Story, finding: Finding, run: RunResult, passing: Parting): string {
  const others = passing.run.findings.map(({ title }) => title);
  const end = others.length === 0 ? "and nothing is amiss" : `and it ends in ${others[0]} instead`;
  if (finding.details.type === "stuck") return `there every task gets on, ${end}`;
  if (finding.details.type === "leak") return `there somebody frees the object, ${end}`;
  const bad = story.rowOf(memoryErrorBefore(finding, run.findings) ?? finding);
  if (bad === undefined) return end;
  const same = passing.run.history.find((row) => row.step >= passing.step && isSame(row, bad));
  if (same === undefined) return `there ${actorOf(bad)} never comes to ${opText(bad)}, ${end}`;
  const pair = swapped(run.history, passing.run.history, passing.step, bad);
  return pair === null ? `there ${opText(bad)} of ${actorOf(bad)} finds things in order, ${end}` : `so ${pair}, ${end}`;
}

/** The last event before the bad step that comes after it, or not at all, in the run that passes. */
function swapped(
  failing: readonly HistoryRow[],
  passing: readonly HistoryRow[],
  from: number,
  bad: HistoryRow,
): string | null {
  const passed = passing.find((row) => row.step >= from && isSame(row, bad));
  const before = failing.filter((row) => row.step >= from && row.step < bad.step && matters(row));
  for (const row of before.reverse()) {
    if (actorOf(row) === actorOf(bad)) continue;
    const there = passing.find((other) => other.step >= from && isSame(other, row));
    const what = `${opText(bad)} of ${actorOf(bad)} (step ${passed?.step})`;
    const other = `${opText(row)} of ${actorOf(row)}`;
    if (there === undefined) return `${what} comes without ${other} before it`;
    if (passed !== undefined && there.step > passed.step) return `${what} comes before ${other} (step ${there.step})`;
  }
  return null;
}

const MATTERS = new Set([FREE, CALL_RCU, WAKE_UP]);
const matters = (row: HistoryRow): boolean => MATTERS.has(row.kind) || row.writes.length > 0;

/** Whether two rows of two runs are the same op of the same actor; a softirq is the same on any CPU. */
function isSame(a: HistoryRow, b: HistoryRow): boolean {
  const actor = (row: HistoryRow): string => (row.softirq ? "softirq" : actorOf(row));
  return (
    a.kind === b.kind &&
    a.field === b.field &&
    a.phase === b.phase &&
    a.backtrace[0] === b.backtrace[0] &&
    actor(a) === actor(b)
  );
}

// --- Words ------------------------------------------------------------------------------------------------------------

const isFirst = (row: HistoryRow, kind: number): boolean => row.kind === kind && row.phase === 0;
const inside = (address: Ptr, { start, end }: Range): boolean => address >= start && address < end;

/** `in utrace_reset < utrace_control`. */
const place = (row: HistoryRow): string => `in ${row.backtrace.slice(0, 2).join(" < ") || "no function"}`;

const change = (row: HistoryRow): string =>
  `${actorOf(row)} changed it in step ${row.step}, ${place(row)}: ${opText(row)}`;

function doing(row: HistoryRow): string {
  const actor = actorOf(row) || "the machine";
  if (eventType(row.event) === STEP) return `${actor} goes on with ${opText(row)}`;
  const event = eventText(row).replaceAll("--", "").trim();
  return event === "softirq" ? `${actor} begins` : `${actor} ${/^(runs|timer)/.test(event) ? event : `is ${event}`}`;
}
