/** The fast path: what a task pays for utrace that nobody has ever attached to. */
import { TASK } from "../model/linux/structs.ts";
import {
  utrace_report_clone,
  utrace_report_death,
  utrace_report_exec,
  utrace_report_exit,
  utrace_report_jctl,
  utrace_report_syscall_entry,
  utrace_report_syscall_exit,
  utrace_resume,
} from "../model/utrace/report.ts";
import { utrace_get_signal, utrace_interrupt_pending, utrace_signal_handler } from "../model/utrace/signal.ts";
import { utrace_stop } from "../model/utrace/stop.ts";
import { utrace } from "../model/utrace/structs.ts";
import type { HistoryRow } from "../sim/history.ts";
import { LOAD, type Ptr } from "../sim/op.ts";
import { type ObservedRun, structOf } from "./observe.ts";
import { Judge, type Property } from "./property.ts";

/** What the hooks call once they have seen a flag: code for engines, in the traced task itself. */
const BEHIND_THE_FLAGS = new Set(
  [
    utrace_report_clone,
    utrace_report_death,
    utrace_report_exec,
    utrace_report_exit,
    utrace_report_jctl,
    utrace_report_syscall_entry,
    utrace_report_syscall_exit,
    utrace_resume,
    utrace_get_signal,
    utrace_interrupt_pending,
    utrace_signal_handler,
    utrace_stop,
  ].map(({ info }) => info.name),
);

/** The tasks that have been attached to so far; found as one goes through the notes. */
class Traced {
  private readonly structs = new Map<Ptr, Ptr>();
  private readonly tasks = new Set<Ptr>();
  private at = 0;

  constructor(private readonly run: ObservedRun) {}

  /** Whether anybody has attached to `task` by this step, or may be about to. */
  has(task: Ptr, step: number): boolean {
    const { notes } = this.run;
    for (; this.at < notes.length; this.at++) {
      const { step: said, subject, pointer, value } = notes[this.at] as ObservedRun["notes"][number];
      if (said > step) break;
      if (subject === "struct-live") this.structs.set(pointer, value);
      else if (subject === "utrace_attach_task") this.tasks.add(pointer);
      else if (subject === "task-freed") this.tasks.delete(pointer);
    }
    return this.tasks.has(task);
  }
}

/** What a step does to the running task's own part of utrace: null if it has nothing to do with it. */
function ownUtrace(run: ObservedRun, row: HistoryRow, task: Ptr): "look" | "work" | null {
  if (row.backtrace.some((name) => BEHIND_THE_FLAGS.has(name))) return "work";
  for (const field of [TASK.utrace_flags, TASK.utrace]) {
    if (row.field !== field.id || structOf(run, row.address, field) !== task) continue;
    return row.kind === LOAD ? "look" : "work";
  }
  // Under `embedded` the struct is there all the same, and nobody but the reaper takes its lock.
  const own = run.layout.offset[TASK.utrace.id] as number;
  const inside = row.field >= 0 && row.address >= task + own && row.address < task + own + run.layout.sizeOf(utrace);
  return inside && run.embedded && !row.backtrace.includes("release_task") ? "work" : null;
}

/**
 * Checks: every step of a task that nobody has begun to attach to: it enters no code that works for engines, changes
 * neither its flags nor its pointer, and touches no struct utrace of its own. How often it looks at the flags is counted
 * as tests of this, and bounded in `comparison/` ("untraced, one event": one load, of one cache line).
 * Does not check: calls that a task makes on others, as a tracer; the reaper, who takes the struct away.
 */
export const untracedTouchesNothing: Property = {
  name: "a task that nobody traces looks at its flags and touches nothing else of utrace",
  sometimes: "a task that nobody traces looks at its flags",
  holds(run) {
    const judge = new Judge();
    const traced = new Traced(run);
    for (const row of run.history) {
      if (row.softirq || row.task === "") continue;
      const who = `${row.task}/${row.pid}`;
      const task = run.tasks.get(who);
      if (task === undefined) continue;
      const done = ownUtrace(run, row, task);
      if (done === null || traced.has(task, row.step)) continue;
      judge.expect(done === "look", () => `step ${row.step}: ${who} works on utrace in ${row.backtrace[0]}`);
    }
    return judge;
  },
};
