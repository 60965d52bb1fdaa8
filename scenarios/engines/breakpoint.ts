/**
 * Breakpoints in the manner of uprobes: insertion, hit, single step over, removal.
 *
 * The tool writes a trap over an instruction. When the task runs into it, report_signal sees the SIGTRAP, puts the
 * instruction back, and has the task step over it (UTRACE_SINGLESTEP); at the SIGTRAP after the step it writes the trap
 * again and lets the task run. For removal the tool stops the task first, so that it is not in the middle of a step.
 *
 * Question: is every execution of the instruction a hit as long as the breakpoint is there, and does the program notice
 * nothing?
 */
import { do_int3, ret_to_user, syscall, user_mode } from "../../model/linux/entry.ts";
import { EAGAIN, EINPROGRESS } from "../../model/linux/errno.ts";
import { schedule_timeout_interruptible } from "../../model/linux/sched.ts";
import { do_group_exit, SIGTRAP, type siginfo_t } from "../../model/linux/signal.ts";
import { utrace_barrier, utrace_control } from "../../model/utrace/control.ts";
import { placeOps, type utrace_engine_ops } from "../../model/utrace/engine.ts";
import {
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_EVENT_SIGNAL_ALL,
  UTRACE_RESUME,
  UTRACE_SIGNAL_IGN,
  UTRACE_SINGLESTEP,
  UTRACE_STOP,
  utrace_signal_action,
} from "../../model/utrace/events.ts";
import { utrace_prepare_examine } from "../../model/utrace/examine.ts";
import { ENGINE } from "../../model/utrace/structs.ts";
import { add, kernel, load, type Ptr, store } from "../../sim/index.ts";
import { struct, u32 } from "../../sim/struct.ts";
import { claim } from "../programs/claims.ts";
import { example, setEvents, tool, type Work, waitFor } from "./example.ts";

/** The program's text, and what the tool keeps. `inserted`: the breakpoint is wanted; `stepping`: over the original. */
const uprobe = struct("uprobe", { insn: u32, inserted: u32, stepping: u32, hits: u32 });
const UPROBE = uprobe.fields;
const NOP = 0x90;
const INT3 = 0xcc;

const uprobe_report_signal = kernel(function* uprobe_report_signal(
  action: number,
  engine: Ptr,
  _task: Ptr,
  info: siginfo_t,
) {
  const probe = yield* load(engine, ENGINE.data);
  if (info.si_signo !== SIGTRAP) return utrace_signal_action(action) | UTRACE_RESUME;
  if ((yield* load(probe, UPROBE.stepping)) === 0) {
    yield* add(probe, UPROBE.hits, 1);
    yield* store(probe, UPROBE.insn, NOP);
    yield* store(probe, UPROBE.stepping, 1);
    return UTRACE_SIGNAL_IGN | UTRACE_SINGLESTEP;
  }
  yield* store(probe, UPROBE.stepping, 0);
  if ((yield* load(probe, UPROBE.inserted)) !== 0) yield* store(probe, UPROBE.insn, INT3);
  return UTRACE_SIGNAL_IGN | UTRACE_RESUME;
});

/** Any other report: a task in the middle of a step goes on stepping. */
const uprobe_report_quiesce = kernel(function* uprobe_report_quiesce(
  _action: number,
  engine: Ptr,
  _task: Ptr,
  _event: number,
) {
  const probe = yield* load(engine, ENGINE.data);
  if ((yield* load(probe, UPROBE.stepping)) !== 0) return UTRACE_SINGLESTEP;
  return (yield* load(probe, UPROBE.inserted)) !== 0 ? UTRACE_RESUME : UTRACE_STOP;
});

export const uprobe_ops: utrace_engine_ops = {
  report_signal: uprobe_report_signal,
  report_quiesce: uprobe_report_quiesce,
};

/** Inserts a breakpoint, leaves it for a while, and removes it from the stopped task. */
const probeForAWhile: Work = function* (target, engine, probe) {
  if (!(yield* setEvents(target, engine, UTRACE_EVENT.QUIESCE | UTRACE_EVENT_SIGNAL_ALL))) return;
  yield* store(probe, UPROBE.inserted, 1);
  yield* store(probe, UPROBE.insn, INT3);
  for (let i = 0; i < 3; i++) yield* schedule_timeout_interruptible(1);
  yield* store(probe, UPROBE.inserted, 0);
  let stopped = yield* utrace_control(target, engine, UTRACE_STOP);
  for (let i = 0; i < 6 && (stopped === -EINPROGRESS || stopped === -EAGAIN); i++) {
    yield* schedule_timeout_interruptible(1);
    stopped = yield* utrace_prepare_examine(target, engine, { state: 0, ncsw: 0 });
  }
  yield* store(probe, UPROBE.insn, NOP);
  if ((yield* utrace_control(target, engine, UTRACE_DETACH)) === -EINPROGRESS) yield* utrace_barrier(target, engine);
};

/** Executes the probed instruction: whatever is there when it is fetched. */
function* executeProbed(probe: Ptr) {
  while ((yield* load(probe, UPROBE.insn)) === INT3) {
    yield* do_int3();
    yield* ret_to_user();
  }
  const before = yield* load(probe, UPROBE.hits);
  yield* user_mode(20_000);
  return before;
}

const probed = kernel(function* exe_probed(probe: Ptr) {
  yield* waitFor(probe, UPROBE.inserted);
  for (let i = 0; i < 3; i++) {
    const insertedBefore = yield* load(probe, UPROBE.insn);
    const hitsBefore = yield* load(probe, UPROBE.hits);
    const hits = yield* executeProbed(probe);
    yield* claim(
      insertedBefore !== INT3 || hits > hitsBefore || (yield* load(probe, UPROBE.inserted)) === 0,
      "an instruction with a breakpoint was executed without a hit",
    );
  }
  yield* syscall(do_group_exit, 0);
});

export const breakpoint = example(
  "breakpoint",
  "Is every execution of a probed instruction a hit, and does the program live through it?",
  ["use-after-free", "slab-corruption", "bug-on", "deadlock", "hung-task", "lock-misuse", "leak", "paging-fault"],
  (booted) => {
    const probe = booted.machine.allocStaticStruct(uprobe);
    booted.machine.poke(probe, UPROBE.insn, NOP);
    const ops = placeOps(booted.machine, uprobe_ops);
    const task = booted.process({ comm: "exe", pid: 5118, subject: true }, probed, probe);
    booted.process({ comm: "uprobe", pid: 5377 }, tool, booted.getPid(task), ops, probe, probeForAWhile);
  },
);
