/**
 * A module that freezes a task right before its core dump, for somebody to look at it.
 *
 * report_signal sees the signal that is about to dump core, puts it back on the queue (UTRACE_SIGNAL_HOLD), and stops
 * the task instead. Once it is let go, the signal comes again, and this time may do what it does.
 *
 * Question: is the task that was frozen still whole, and does it die of its signal when it is thawed?
 */
import { ret_to_user, user_mode } from "../../model/linux/entry.ts";
import { EAGAIN, EINPROGRESS, EINVAL } from "../../model/linux/errno.ts";
import { PF_SIGNALED, schedule_timeout_interruptible } from "../../model/linux/sched.ts";
import { force_sig_info, SIGSEGV, type siginfo_t } from "../../model/linux/signal.ts";
import { TASK } from "../../model/linux/structs.ts";
import { utrace_barrier, utrace_control } from "../../model/utrace/control.ts";
import { placeOps, type utrace_engine_ops } from "../../model/utrace/engine.ts";
import {
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_RESUME,
  UTRACE_SIGNAL_CORE,
  UTRACE_SIGNAL_HOLD,
  UTRACE_SIGNAL_IGN,
  UTRACE_STOP,
  utrace_signal_action,
} from "../../model/utrace/events.ts";
import { utrace_finish_examine, utrace_prepare_examine } from "../../model/utrace/examine.ts";
import { ENGINE } from "../../model/utrace/structs.ts";
import { current, kernel, load, type Ptr, store } from "../../sim/index.ts";
import { struct, u32 } from "../../sim/struct.ts";
import { claim } from "../programs/claims.ts";
import { example, setEvents, tool, type Work, waitFor } from "./example.ts";

const freezer = struct("freezer", { ready: u32, frozen: u32, thawed: u32 });
const FREEZER = freezer.fields;

const freezer_report_signal = kernel(function* freezer_report_signal(
  action: number,
  engine: Ptr,
  _task: Ptr,
  _info: siginfo_t,
) {
  const data = yield* load(engine, ENGINE.data);
  const crash = utrace_signal_action(action) === UTRACE_SIGNAL_CORE;
  if (!crash || (yield* load(data, FREEZER.thawed)) !== 0) return utrace_signal_action(action) | UTRACE_RESUME;
  yield* store(data, FREEZER.frozen, 1);
  return UTRACE_STOP | UTRACE_SIGNAL_IGN | UTRACE_SIGNAL_HOLD;
});

export const freezer_ops: utrace_engine_ops = { report_signal: freezer_report_signal };

/** Looks at the frozen task, and thaws it. */
const examine: Work = function* (target, engine, data) {
  if (!(yield* setEvents(target, engine, UTRACE_EVENT.SIGNAL_CORE))) return;
  yield* store(data, FREEZER.ready, 1);
  for (let i = 0; i < 8 && (yield* load(data, FREEZER.frozen)) === 0; i++) yield* schedule_timeout_interruptible(1);
  const exam = { state: 0, ncsw: 0 };
  // -EINVAL while report_signal has not returned yet, -EAGAIN until the task is off its CPU.
  let prepared = yield* utrace_prepare_examine(target, engine, exam);
  for (let i = 0; i < 20 && (prepared === -EINVAL || prepared === -EAGAIN); i++) {
    yield* schedule_timeout_interruptible(1);
    prepared = yield* utrace_prepare_examine(target, engine, exam);
  }
  if (prepared === 0) {
    const dying = ((yield* load(target, TASK.flags)) & PF_SIGNALED) !== 0;
    if ((yield* utrace_finish_examine(target, engine, exam)) === 0) {
      yield* claim(!dying, "a task that was frozen before its core dump is dying already");
    }
  }
  yield* store(data, FREEZER.thawed, 1);
  // The last that the module does: whatever comes later takes its usual course.
  if ((yield* utrace_control(target, engine, UTRACE_DETACH)) === -EINPROGRESS) yield* utrace_barrier(target, engine);
};

/** Makes a wrong memory access. */
const crasher = kernel(function* exe_crasher(data: Ptr) {
  yield* user_mode(50_000);
  yield* waitFor(data, FREEZER.ready);
  yield* force_sig_info(SIGSEGV, current());
  yield* ret_to_user();
  yield* user_mode(50_000);
  yield* claim(false, "a program went on after its segmentation fault");
});

export const freezeBeforeCore = example(
  "freeze-before-core",
  "Can a module freeze a task right before its core dump, and let it die of its signal later?",
  ["use-after-free", "slab-corruption", "bug-on", "deadlock", "hung-task", "lock-misuse", "leak", "paging-fault"],
  (booted) => {
    const data = booted.machine.allocStaticStruct(freezer);
    const ops = placeOps(booted.machine, freezer_ops);
    const task = booted.process({ comm: "exe", pid: 5118, subject: true }, crasher, data);
    booted.process({ comm: "freezer", pid: 5377 }, tool, booted.getPid(task), ops, data, examine);
  },
);
