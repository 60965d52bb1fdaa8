/**
 * Two debuggers on one task, each of which knows nothing of the other.
 *
 * Each interrupts the task, waits until its own engine has been called for the stop, looks at it, and lets it run. The
 * task stays stopped as long as one of them wants that.
 *
 * Question: does the task run while one debugger looks at it, because the other let it go?
 */
import { EINPROGRESS } from "../../model/linux/errno.ts";
import { schedule_timeout_interruptible } from "../../model/linux/sched.ts";
import { utrace_barrier, utrace_control } from "../../model/utrace/control.ts";
import { placeOps, type utrace_engine_ops } from "../../model/utrace/engine.ts";
import {
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_INTERRUPT,
  UTRACE_RESUME,
  UTRACE_STOP,
} from "../../model/utrace/events.ts";
import { utrace_finish_examine, utrace_prepare_examine } from "../../model/utrace/examine.ts";
import { ENGINE } from "../../model/utrace/structs.ts";
import { kernel, load, type Ptr, store } from "../../sim/index.ts";
import { struct, u32 } from "../../sim/struct.ts";
import { claim } from "../programs/claims.ts";
import { execLoop } from "../programs/target.ts";
import { example, setEvents, tool, type Work } from "./example.ts";

const debuggerData = struct("debugger", { asked: u32, stopped: u32 });
const DEBUGGER = debuggerData.fields;

const debugger_report_quiesce = kernel(function* debugger_report_quiesce(
  _action: number,
  engine: Ptr,
  _task: Ptr,
  event: number,
) {
  const data = yield* load(engine, ENGINE.data);
  // The stop is this debugger's only if it asked for one: the other's interrupt makes a report too.
  if (event !== 0 || (yield* load(data, DEBUGGER.asked)) === 0) return UTRACE_RESUME;
  yield* store(data, DEBUGGER.stopped, 1);
  return UTRACE_STOP;
});

export const debugger_ops: utrace_engine_ops = { report_quiesce: debugger_report_quiesce };

/** Stops the task, looks at it, and lets it run. */
const lookOnce: Work = function* (target, engine, data) {
  if (!(yield* setEvents(target, engine, UTRACE_EVENT.QUIESCE))) return;
  yield* store(data, DEBUGGER.asked, 1);
  yield* utrace_control(target, engine, UTRACE_INTERRUPT);
  for (let i = 0; i < 3 && (yield* load(data, DEBUGGER.stopped)) === 0; i++) yield* schedule_timeout_interruptible(1);
  const exam = { state: 0, ncsw: 0 };
  if ((yield* utrace_prepare_examine(target, engine, exam)) === 0) {
    yield* schedule_timeout_interruptible(1);
    const finished = yield* utrace_finish_examine(target, engine, exam);
    yield* claim(finished === 0, "a task ran while a debugger that had stopped it looked at it");
  }
  yield* store(data, DEBUGGER.asked, 0);
  yield* utrace_control(target, engine, UTRACE_RESUME);
  if ((yield* utrace_control(target, engine, UTRACE_DETACH)) === -EINPROGRESS) yield* utrace_barrier(target, engine);
};

export const twoDebuggers = example(
  "two-debuggers",
  "Does a task run while one debugger looks at it, because another let it go?",
  ["use-after-free", "slab-corruption", "bug-on", "deadlock", "hung-task", "lock-misuse", "leak", "paging-fault"],
  (booted) => {
    const ops = placeOps(booted.machine, debugger_ops);
    const task = booted.process({ comm: "exe", pid: 5118, subject: true }, execLoop, 1);
    for (const pid of [5377, 5382]) {
      const data = booted.machine.allocStaticStruct(debuggerData);
      booted.process({ comm: "debugger", pid }, tool, booted.getPid(task), ops, data, lookOnce);
    }
  },
);
