/** Twins: runs doctored to break a property each, to show that none is asleep. */
import { TASK_TRACED } from "../model/linux/sched.ts";
import { TASK } from "../model/linux/structs.ts";
import { FREE, LOAD, RCU_READ_UNLOCK, STORE } from "../sim/op.ts";
import { engineReleasedOnce, freedOnce, leavesNothing, memoryOutlivesReaders, structUnreachable } from "./lives.ts";
import type { ObservedRun } from "./observe.ts";
import { requestedReportComes, stopsEnd } from "./promised.ts";
import type { Property } from "./property.ts";
import { killEndsStop, killKills, silentAfterDetach, silentAfterReap, stoppedRunsNoUserCode } from "./tracing.ts";
import { untracedTouchesNothing } from "./untraced.ts";

/** A change to a run after which it breaks a property. */
export interface Twin {
  readonly property: Property;
  /** What was done to the run. */
  readonly what: string;
  /** What the property says of it. */
  readonly says: RegExp;
  /** The run as changed. */
  doctored(run: ObservedRun): ObservedRun;
}

/** For each property one at least. */
export const TWINS: readonly Twin[] = [
  {
    property: freedOnce,
    what: "a free happens twice",
    says: /^step \d+: \S+ frees 0xffff88017c[0-9a-f]{6}, which was freed in step \d+$/,
    doctored: (run) => ({ ...run, history: run.history.flatMap((row) => (row.kind === FREE ? [row, row] : [row])) }),
  },
  {
    property: memoryOutlivesReaders,
    what: "no read section is ever closed",
    says: /^step \d+: 0xffff88017c[0-9a-f]{6} is freed; \S+ has been reading since step \d+$/,
    doctored: (run) => ({ ...run, history: run.history.filter(({ kind }) => kind !== RCU_READ_UNLOCK) }),
  },
  {
    property: engineReleasedOnce,
    what: "a release happens twice",
    says: /^step \d+: \S+ releases 0xffff88017c[0-9a-f]{6} once more$/,
    doctored: (run) => ({
      ...run,
      notes: run.notes.flatMap((note) => (note.subject === "engine-freed" ? [note, note] : [note])),
    }),
  },
  {
    property: engineReleasedOnce,
    what: "no release happens",
    says: /^0xffff88017c[0-9a-f]{6} is never released$/,
    doctored: (run) => ({ ...run, notes: run.notes.filter(({ subject }) => subject !== "engine-freed") }),
  },
  {
    property: silentAfterReap,
    what: "a reap is followed by the same callback",
    says: /^step \d+: tracer_report_reap, after the reap in step \d+$/,
    doctored: (run) => ({
      ...run,
      history: run.history.flatMap((row) =>
        row.kind === LOAD && row.backtrace[0] === "tracer_report_reap" ? [row, row] : [row],
      ),
    }),
  },
  {
    property: stoppedRunsNoUserCode,
    what: "user mode in TASK_TRACED",
    says: /^step \d+: \S+ runs in user mode in state 136$/,
    doctored: (run) => ({ ...run, userSteps: run.userSteps.map((step) => ({ ...step, state: TASK_TRACED })) }),
  },
  {
    property: killEndsStop,
    what: "nothing is ever freed, and everyone is still there",
    says: /^somebody is still there, after SIGKILL in step \d+$/,
    doctored: (run) => ({
      ...run,
      history: run.history.filter(({ kind }) => kind !== FREE),
      tasksLeft: tasksOf(run).map((task) => ({ task, who: "somebody", daemon: false })),
    }),
  },
  {
    property: structUnreachable,
    what: "whoever looks finds the one that was freed",
    says: /^step \d+: \S+ finds 0xffff88017c[0-9a-f]{6}, which was freed in step \d+$/,
    doctored: (run) => {
      const freed = run.notes.find(({ subject }) => subject === "struct-freed")?.pointer ?? 0;
      return {
        ...run,
        history: run.history.map((row) => (row.field === TASK.utrace.id ? { ...row, result: freed } : row)),
      };
    },
  },
  {
    property: leavesNothing,
    what: "no free happens",
    says: /^0xffff88017c[0-9a-f]{6}, made by \S+ in step \d+, is left behind$/,
    doctored: (run) => without(run, "struct-freed"),
  },
  {
    property: silentAfterDetach,
    what: "every callback comes once more at the end",
    says: /^step \d+: a callback, after the detach of step \d+$/,
    doctored: (run) => ({
      ...run,
      notes: [...run.notes, ...run.notes.filter(({ subject }) => subject.startsWith("callback-"))],
    }),
  },
  {
    property: silentAfterDetach,
    what: "no callback ever ends, and utrace_barrier waits for none",
    says: /^step \d+: utrace_barrier returns 0 in a callback that began in step \d+$/,
    doctored: (run) => ({
      ...run,
      notes: run.notes
        .filter(({ subject }) => subject !== "callback-end")
        .flatMap((note) =>
          note.subject === "utrace_control returns"
            ? [
                note,
                { ...note, subject: "utrace_barrier", value: 0 },
                { ...note, subject: "utrace_barrier returns", value: 0 },
              ]
            : [note],
        ),
    }),
  },
  {
    property: requestedReportComes,
    what: "no report is made",
    says: /^step \d+: .*\((report|stop|detach)-comes\)$/,
    doctored: (run) => without(run, "report-begin", "report-end", "callback-begin", "callback-end"),
  },
  {
    property: requestedReportComes,
    what: "reports call nobody",
    says: /^step \d+: .*\(report-complete\)$/,
    doctored: (run) => without(run, "callback-begin", "callback-end"),
  },
  {
    property: stopsEnd,
    what: "stops end though nobody ends them",
    says: /^step \d+: a stop ends by a resume, or by SIGKILL \(stop-ends\)$/,
    doctored: (run) => without(run, "task-resumed", "kill-wakes", "task-killed"),
  },
  {
    property: stopsEnd,
    what: "all is over in the first stop, and no engine wants it any more",
    says: /^somebody is left in a stop that no engine wants$/,
    doctored: (run) => {
      const at = run.notes.findIndex(({ subject }) => subject === "task-stopped");
      const stop = run.notes[at] as ObservedRun["notes"][number];
      const notes = run.notes.slice(0, at + 1);
      const engines = notes.filter(({ subject }) => subject === "engine-attached");
      const forgotten = engines.map((note) => ({ ...note, subject: "wants-stop", value: 0 }));
      return {
        ...run,
        notes: [...notes, ...forgotten],
        tasksLeft: [{ task: stop.pointer, who: "somebody", daemon: false }],
      };
    },
  },
  {
    property: killKills,
    what: "nobody exits, and everyone is still there",
    says: /^somebody has not begun to exit, after SIGKILL in step \d+$/,
    doctored: (run) => ({
      ...without(run, "task-exiting", "task-freed"),
      tasksLeft: run.notes
        .filter(({ subject }) => subject === "task-killed")
        .map(({ pointer }) => ({ task: pointer, who: "somebody", daemon: false })),
    }),
  },
  {
    property: untracedTouchesNothing,
    what: "a look at the flags is a store",
    says: /^step \d+: \S+ works on utrace in \w+$/,
    doctored: (run) => ({
      ...run,
      history: run.history.map((row) =>
        row.kind === LOAD && row.field === TASK.utrace_flags.id ? { ...row, kind: STORE } : row,
      ),
    }),
  },
];

/** A run of which some things were never said. */
const without = (run: ObservedRun, ...subjects: string[]): ObservedRun => ({
  ...run,
  notes: run.notes.filter(({ subject }) => !subjects.includes(subject)),
});

/** Every address that was freed: among them are the task structs of all tasks that ended. */
const tasksOf = ({ history }: ObservedRun): number[] =>
  history.filter(({ kind }) => kind === FREE).map(({ address }) => address);
