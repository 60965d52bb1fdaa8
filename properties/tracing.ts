/** What a tracer can rely on: when it is called, what a stop is, and what ends one. */
import { __TASK_STOPPED, __TASK_TRACED } from "../model/linux/sched.ts";
import { SIGKILL, sigmask } from "../model/linux/signal.ts";
import { TASK } from "../model/linux/structs.ts";
import { UTRACE_DETACH, utrace_resume_action } from "../model/utrace/events.ts";
import { ENGINE } from "../model/utrace/structs.ts";
import { tracer_ops } from "../scenarios/programs/tracer.ts";
import type { HistoryRow } from "../sim/history.ts";
import { FREE, LOAD, type Ptr, STORE, UPDATE, WAKE_UP } from "../sim/op.ts";
import { structOf } from "./observe.ts";
import { Judge, type Property } from "./property.ts";

const CALLBACKS = new Set(Object.values(tracer_ops).map(({ info }) => info.name));
const REAP = tracer_ops.report_reap?.info.name;

/**
 * Checks: callbacks of the scenarios' tracer that look at their engine's data, which those for a signal, a stop, a
 * death and a reap do.
 * Does not check: callbacks that touch no memory.
 */
export const silentAfterReap: Property = {
  name: "no callback of an engine runs after its reap",
  sometimes: "report_reap is made",
  holds(run) {
    const judge = new Judge();
    const reaped = new Map<Ptr, number>();
    for (const row of run.history) {
      const [name = ""] = row.backtrace;
      if (row.kind === STORE && row.field === ENGINE.kref.refcount.id) {
        // A new engine, perhaps in the memory of an old one.
        reaped.delete(structOf(run, row.address, ENGINE.kref.refcount));
      }
      if (row.kind !== LOAD || row.field !== ENGINE.data.id || !CALLBACKS.has(name)) continue;
      const engine = structOf(run, row.address, ENGINE.data);
      const before = reaped.get(engine);
      if (before !== undefined || name === REAP) {
        judge.expect(before === undefined, () => `step ${row.step}: ${name}, after the reap in step ${before}`);
      }
      if (name === REAP) reaped.set(engine, row.step);
    }
    return judge;
  },
};

/** Whether a step puts a task into a stop: the store to `task->state` that says so. */
const stops = ({ kind, field, address, writes }: HistoryRow): boolean =>
  kind === STORE &&
  field === TASK.state.id &&
  writes.some((write) => write.address === address && (write.byte & (__TASK_STOPPED | __TASK_TRACED)) !== 0);

/**
 * Checks: `task->state` at every step in user mode of a task that has been stopped before.
 * Does not check: `utrace->stopped`, by which utrace says that a task counts as stopped.
 */
export const stoppedRunsNoUserCode: Property = {
  name: "a stopped task runs no user code",
  sometimes: "a task is in user mode that was stopped before",
  holds({ history, userSteps }) {
    const judge = new Judge();
    const firstStop = new Map<string, number>();
    for (const row of history) {
      const who = `${row.task}/${row.pid}`;
      if (stops(row) && !firstStop.has(who)) firstStop.set(who, row.step);
    }
    for (const { step, who, state } of userSteps) {
      const since = firstStop.get(who);
      if (since === undefined || step < since) continue;
      const stopped = (state & (__TASK_STOPPED | __TASK_TRACED)) !== 0;
      judge.expect(!stopped, () => `step ${step}: ${who} runs in user mode in state ${state}`);
    }
    return judge;
  },
};

/**
 * Checks: the notes of what utrace_control and utrace_barrier return, and of callbacks: none begins after a detach that
 * returned 0, nor one that returned DETACH; none runs across a whole utrace_barrier that returned 0.
 * Does not check: utrace_barrier of a task on itself, which does not wait.
 */
export const silentAfterDetach: Property = {
  name: "no callback comes after its engine's detach has returned success, nor runs on once utrace_barrier has",
  sometimes: "a detach or utrace_barrier returns 0",
  holds({ notes }) {
    const judge = new Judge();
    const calls = new Map<Ptr, { call: string; engine: Ptr; action: number; step: number }>();
    const detached = new Map<Ptr, number>();
    const began = new Map<Ptr, { step: number; by: Ptr }>();
    for (const { step, by, subject, pointer, value } of notes) {
      if (subject === "engine-attached") detached.delete(pointer);
      else if (subject === "utrace_control" || subject === "utrace_barrier") {
        calls.set(by, { call: subject, engine: pointer, action: value, step });
      } else if (subject === "utrace_control returns") {
        if (value === 0 && calls.get(by)?.action === UTRACE_DETACH) {
          judge.expect(true, () => "");
          detached.set(pointer, step);
        }
      } else if (subject === "utrace_barrier returns") {
        const running = began.get(pointer);
        if (value !== 0 || running?.by === by) continue;
        const since = calls.get(by)?.step ?? step;
        judge.expect(
          running === undefined || running.step > since,
          () => `step ${step}: utrace_barrier returns 0 in a callback that began in step ${running?.step}`,
        );
      } else if (subject === "callback-begin") {
        began.set(pointer, { step, by });
        const since = detached.get(pointer);
        judge.expect(since === undefined, () => `step ${step}: a callback, after the detach of step ${since}`);
      } else if (subject === "callback-end") {
        began.delete(pointer);
        if (utrace_resume_action(value) === UTRACE_DETACH) detached.set(pointer, step);
      }
    }
    return judge;
  },
};

/**
 * Checks: that a task to which SIGKILL was given, in a stop or not, is gone when nothing can happen any more.
 * Does not check: how soon; a task that nobody reaps is gone when it is dead.
 */
export const killKills: Property = {
  name: "SIGKILL always kills",
  sometimes: "a task that got SIGKILL exits",
  holds(run) {
    const judge = new Judge();
    const killed = new Map<Ptr, number>();
    for (const { step, subject, pointer } of run.notes) {
      if (subject === "task-killed") killed.set(pointer, step);
      else if (subject === "task-exiting" && killed.delete(pointer)) judge.expect(true, () => "");
      else if (subject === "task-freed") killed.delete(pointer);
    }
    if (!run.toEnd) return judge;
    const left = new Map(run.tasksLeft.map(({ task, who }) => [task, who]));
    for (const [task, step] of killed) {
      judge.expect(!left.has(task), () => `${left.get(task)} has not begun to exit, after SIGKILL in step ${step}`);
    }
    return judge;
  },
};

/**
 * Checks: that a task which was sent SIGKILL while it was stopped is gone when nothing can happen any more. Its struct
 * may be freed, and used anew, before.
 * Does not check: how soon.
 */
export const killEndsStop: Property = {
  name: "SIGKILL ends every stop",
  sometimes: "a task that got SIGKILL in a stop is freed",
  holds(run) {
    const judge = new Judge();
    const stopped = new Set<Ptr>();
    const killed = new Map<Ptr, number>();
    for (const row of run.history) {
      const { kind, address, field, step } = row;
      if (stops(row)) stopped.add(structOf(run, address, TASK.state));
      else if (kind === WAKE_UP && row.result === 1) stopped.delete(address);
      else if (kind === FREE && killed.delete(address)) judge.expect(true, () => "");
      else if (kind === UPDATE && row.phase === 1 && field === TASK.pending.signal.id) {
        const task = structOf(run, address, TASK.pending.signal);
        if ((row.result & sigmask(SIGKILL)) !== 0 && stopped.has(task)) killed.set(task, step);
      }
    }
    if (!run.toEnd) return judge;
    const left = new Map(run.tasksLeft.map(({ task, who }) => [task, who]));
    for (const [task, step] of killed) {
      judge.expect(!left.has(task), () => `${left.get(task)} is still there, after SIGKILL in step ${step}`);
    }
    return judge;
  },
};
