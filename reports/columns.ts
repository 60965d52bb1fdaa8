/**
 * The interleaving of a run: one column per task, one row per step, oldest first.
 *
 * A step shows the function it was taken in, the op and the field; before it a row of its own says which functions
 * the task has called since its last step shown. Steps that cannot matter to another task are gathered into
 * `... 23 steps of exe/5118`: accesses to memory that no other task touches in this run, and ops on no memory at all.
 *
 * Memory is told apart by object where the history has seen the object allocated or freed, else by address.
 */
import { eventType, SOFTIRQ, STEP } from "../sim/event.ts";
import type { HistoryRow } from "../sim/history.ts";
import { PAGE_SIZE } from "../sim/memory.ts";
import {
  ALLOC,
  ATOMIC,
  BARRIER,
  COND_RESCHED,
  FREE,
  IRQ_DISABLE,
  IRQ_ENABLE,
  LOAD,
  PREEMPT_DISABLE,
  PREEMPT_ENABLE,
  type Ptr,
  RCU_DEREFERENCE,
  READ_LOCK,
  SPIN_LOCK,
  STORE,
  UPDATE,
  USER,
  WRITE_LOCK,
} from "../sim/op.ts";
import type { RunResult } from "../sim/run.ts";
import { actorOf, doneText, eventText } from "./step.ts";

export interface InterleavingOptions {
  /** Steps shown, counted from the end; what came before is one elided row. Default all. */
  readonly last?: number;
  /** First step shown; those before it are one elided row. Default the first of the run. */
  readonly from?: number;
  /** Rows shown at most, counted from the first one; the steps of the others are one elided row. Default all. */
  readonly first?: number;
  /** Characters per line, kept to as long as every column can be 12 wide. Default 160. */
  readonly width?: number;
  /** Tasks shown, each as `exe`, `exe/5118`, `softirq` or `softirq/1`; the steps of others are elided. Default all. */
  readonly only?: readonly string[];
  /** Elides no steps but those that `last` and `only` leave out. Default false. */
  readonly all?: boolean;
}

const DEFAULT_WIDTH = 160;
const NARROWEST_COLUMN = 12;
const COLUMN_GAP = 2;
const MARK = "  <==";
/** Dull steps in a row from which on they are elided: fewer take no more room than the row that would stand for them. */
const SHORTEST_ELISION = 3;

const ACCESSES = new Set([LOAD, STORE, UPDATE, ATOMIC, RCU_DEREFERENCE]);
const NO_MEMORY = new Set([BARRIER, COND_RESCHED, IRQ_DISABLE, IRQ_ENABLE, PREEMPT_DISABLE, PREEMPT_ENABLE, USER]);
const LOCKS = new Set([SPIN_LOCK, READ_LOCK, WRITE_LOCK]);

/** One line of the picture before it has a width. */
type Line =
  | { readonly type: "elided"; readonly text: string }
  | {
      readonly type: "cell";
      readonly actor: string;
      readonly text: string;
      /** For a column too narrow: without the function, where it is still that of the task's step before. */
      readonly short: string;
      /** Step and CPU; absent in the row of a call. */
      readonly row?: HistoryRow;
      readonly marked: boolean;
    };

/**
 * The interleaving of a recorded run as text, without a newline at the end. The steps of findings end in `<==`.
 *
 * @param result - A run with its history.
 */
export function interleaving(result: RunResult, options: InterleavingOptions = {}): string {
  const { history } = result;
  if (history.length === 0) return "(no history: the run was not recorded)";
  const marked = new Set(result.findings.map((finding) => finding.step));
  const hidden = hiddenRows(history, marked, options);
  return render(linesOf(history, hidden, marked), options.width ?? DEFAULT_WIDTH);
}

// --- What is left out ---------------------------------------------------------------------------------------------

/** Which rows are not shown, by index. */
function hiddenRows(
  history: readonly HistoryRow[],
  marked: ReadonlySet<number>,
  options: InterleavingOptions,
): boolean[] {
  const first = history.length - Math.min(history.length, options.last ?? history.length);
  const from = options.from ?? 0;
  const excluded = history.map((row, i) => i < first || row.step < from || !selected(actorOf(row), options.only));
  if (options.all === true) return cutAfter(excluded, options.first);
  const dull = dullRows(history);
  const hidden = history.map((row, i) => excluded[i] === true || (dull[i] === true && !marked.has(row.step)));
  for (const [from, to] of runsOf(hidden)) {
    const short = to - from < SHORTEST_ELISION;
    if (short && !excluded.slice(from, to).includes(true)) hidden.fill(false, from, to);
  }
  return cutAfter(hidden, options.first);
}

/** Hides all rows after the first few that are shown. */
function cutAfter(hidden: boolean[], shown = hidden.length): boolean[] {
  let left = shown;
  return hidden.map((isHidden) => isHidden || left-- <= 0);
}

const selected = (actor: string, only: readonly string[] | undefined): boolean =>
  only === undefined || only.some((name) => actor === name || actor.startsWith(`${name}/`));

/** The stretches of true values, each from its first index to one past its last. */
function runsOf(flags: readonly boolean[]): [from: number, to: number][] {
  const runs: [number, number][] = [];
  for (let i = 0; i < flags.length; i++) {
    if (flags[i] !== true) continue;
    const from = i;
    while (flags[i] === true) i++;
    runs.push([from, i]);
  }
  return runs;
}

/** Which steps cannot matter to another task. */
function dullRows(history: readonly HistoryRow[]): boolean[] {
  const place = placeOf(history);
  const actors = new Map<Ptr, string>();
  const shared = new Set<Ptr>();
  for (const row of history) {
    const at = touched(row);
    if (at === null) continue;
    const actor = actorOf(row);
    const before = actors.get(place(at));
    if (before !== undefined && before !== actor) shared.add(place(at));
    actors.set(place(at), actor);
  }
  return history.map((row) => {
    const arrives = row.storedAt !== undefined;
    if (eventType(row.event) !== STEP && !arrives) return false;
    return NO_MEMORY.has(row.kind) || ((arrives || ACCESSES.has(row.kind)) && !shared.has(place(row.address)));
  });
}

/** The memory a step is about: the field's address, or the object that an allocation gave or a free takes back. */
function touched(row: HistoryRow): Ptr | null {
  if (row.kind === ALLOC) return row.result === 0 ? null : row.result;
  return row.field >= 0 || row.kind === FREE ? row.address : null;
}

/** Tells memory apart: the start of the object an address lies in, where one is known in its page, else the address. */
function placeOf(history: readonly HistoryRow[]): (address: Ptr) => Ptr {
  const objects = new Set<Ptr>();
  for (const row of history) {
    const at = row.kind === ALLOC || row.kind === FREE ? touched(row) : null;
    if (at !== null) objects.add(at);
  }
  const sorted = [...objects].sort((a, b) => a - b);
  return (address) => {
    const start = sorted.findLast((object) => object <= address);
    return start !== undefined && start >= address - (address % PAGE_SIZE) ? start : address;
  };
}

// --- What is said -------------------------------------------------------------------------------------------------

function linesOf(
  history: readonly HistoryRow[],
  hidden: readonly boolean[],
  marked: ReadonlySet<number>,
): readonly Line[] {
  const waits = waitingRows(history);
  const lines: Line[] = [];
  const stacks = new Map<string, readonly string[]>();
  let elided: HistoryRow[] = [];
  const flush = (): void => {
    if (elided.length > 0) lines.push({ type: "elided", text: `... ${countText(elided)}` });
    elided = [];
  };
  history.forEach((row, i) => {
    if (hidden[i] === true) {
      elided.push(row);
      return;
    }
    flush();
    const actor = actorOf(row);
    const marks = marked.has(row.step);
    if (eventType(row.event) !== STEP) {
      // Each softirq begins with an empty stack of its own.
      if (eventType(row.event) === SOFTIRQ) stacks.delete(actor);
      const text = eventText(row);
      lines.push({ type: "cell", actor, text, short: text, row, marked: marks });
      return;
    }
    lines.push(...stepLines(row, stacks.get(actor) ?? [], waits.has(row), marks));
    stacks.set(actor, row.backtrace);
  });
  flush();
  return lines;
}

/** A step, after a line for the functions called since the task's step before. */
function stepLines(row: HistoryRow, stackBefore: readonly string[], waits: boolean, marked: boolean): Line[] {
  const actor = actorOf(row);
  const [name = "?"] = row.backtrace;
  const what = doneText(row) + (waits ? " (waits)" : "");
  const text = `${name}: ${what}`;
  const call = callText(stackBefore, row.backtrace);
  if (call === "") {
    return [{ type: "cell", actor, text, short: stackBefore[0] === name ? what : text, row, marked }];
  }
  return [
    { type: "cell", actor, text: call, short: call, marked: false },
    { type: "cell", actor, text, short: what, row, marked },
  ];
}

/** `23 steps of exe/5118, 1 of softirq/0`. */
function countText(rows: readonly HistoryRow[]): string {
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(actorOf(row), (counts.get(actorOf(row)) ?? 0) + 1);
  const texts = [...counts].map(([actor, n], i) => {
    const noun = i > 0 ? "" : n === 1 ? " step" : " steps";
    return `${n}${noun} of ${actor === "" ? "the machine" : actor}`;
  });
  return texts.join(", ");
}

/** The functions called since, innermost first, down to the one that was there before; "" if none. */
function callText(before: readonly string[], after: readonly string[]): string {
  let common = 0;
  while (common < after.length && before.at(-1 - common) === after.at(-1 - common)) common++;
  const called = after.slice(0, after.length - common);
  if (called.length === 0) return "";
  return `call ${[...called, ...after.slice(called.length, called.length + 1)].join(" < ")}`;
}

/**
 * First steps of lock ops that did not get the lock: those that changed nothing, and those whose task then goes on
 * with the step that takes it.
 */
function waitingRows(history: readonly HistoryRow[]): ReadonlySet<HistoryRow> {
  const waiting = new Set<HistoryRow>();
  const trying = new Map<string, HistoryRow>();
  for (const row of history) {
    if (eventType(row.event) !== STEP) continue;
    const actor = actorOf(row);
    const tried = trying.get(actor);
    if (tried !== undefined && row.kind === tried.kind && row.phase === 1) waiting.add(tried);
    trying.delete(actor);
    if (!LOCKS.has(row.kind) || row.phase !== 0) continue;
    trying.set(actor, row);
    if (row.writes.length === 0) waiting.add(row);
  }
  return waiting;
}

// --- How it is laid out -------------------------------------------------------------------------------------------

function render(lines: readonly Line[], width: number): string {
  const natural = new Map<string, number>();
  let stepWidth = "step".length;
  for (const line of lines) {
    if (line.type === "elided") continue;
    const { actor, text, row } = line;
    natural.set(actor, Math.max(natural.get(actor) ?? actor.length, text.length));
    if (row !== undefined) stepWidth = Math.max(stepWidth, String(row.step).length);
  }
  const actors = [...natural.keys()];
  const prefix = stepWidth + " cpu".length;
  const room = width - prefix - MARK.length - COLUMN_GAP * actors.length;
  const fitted = shareOut([...natural.values()], room);
  const widths = new Map(actors.map((actor, i) => [actor, fitted[i] ?? 0]));
  const gap = " ".repeat(COLUMN_GAP);
  const across = (cell: (actor: string) => string): string =>
    actors.map((actor) => gap + cut(cell(actor), widths.get(actor) ?? 0)).join("");
  const header = `${"step".padStart(stepWidth)} cpu${across((actor) => actor)}`.trimEnd();
  const body = lines.map((line) => {
    if (line.type === "elided") return cut(" ".repeat(prefix) + gap + line.text, width).trimEnd();
    const { row, text, short, marked } = line;
    const shown = text.length > (widths.get(line.actor) ?? 0) ? short : text;
    const cpu = row === undefined ? "" : ` ${String(row.cpu).padStart(3)}`;
    const where = (row === undefined ? "" : String(row.step).padStart(stepWidth)) + cpu;
    return (
      (where.padEnd(prefix) + across((actor) => (actor === line.actor ? shown : ""))).trimEnd() + (marked ? MARK : "")
    );
  });
  return [header, ...body].join("\n");
}

/** Shares out `room`: a column gets what it needs, or an even share of what the narrower ones leave. */
function shareOut(needs: readonly number[], room: number): number[] {
  const widths: number[] = [];
  let left = room;
  const narrowestFirst = needs.map((need, i) => ({ need, i })).sort((a, b) => a.need - b.need);
  narrowestFirst.forEach(({ need, i }, n) => {
    const share = Math.max(NARROWEST_COLUMN, Math.floor(left / (needs.length - n)));
    widths[i] = Math.min(need, share);
    left -= widths[i];
  });
  return widths;
}

const cut = (text: string, width: number): string =>
  text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width);
