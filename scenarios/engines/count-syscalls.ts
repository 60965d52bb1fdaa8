/**
 * A counter of system calls: an engine that never stops anybody.
 *
 * It wants SYSCALL_ENTRY and SYSCALL_EXIT, counts, and lets everything pass. Before its numbers are read the engine is
 * detached, and utrace_barrier waits for a callback that may be running.
 *
 * Question: do the numbers still change after that?
 */
import { syscall, user_mode } from "../../model/linux/entry.ts";
import { EINPROGRESS } from "../../model/linux/errno.ts";
import { schedule_timeout_interruptible } from "../../model/linux/sched.ts";
import { do_group_exit } from "../../model/linux/signal.ts";
import { TASK } from "../../model/linux/structs.ts";
import { utrace_barrier, utrace_control } from "../../model/utrace/control.ts";
import { placeOps, type utrace_engine_ops } from "../../model/utrace/engine.ts";
import { UTRACE_DETACH, UTRACE_EVENT_SYSCALL, UTRACE_RESUME, UTRACE_SYSCALL_RUN } from "../../model/utrace/events.ts";
import { ENGINE } from "../../model/utrace/structs.ts";
import { add, current, kernel, load, type Ptr } from "../../sim/index.ts";
import { struct, u32 } from "../../sim/struct.ts";
import { claim } from "../programs/claims.ts";
import { example, setEvents, tool, type Work } from "./example.ts";

const counts = struct("syscall_counts", { entries: u32, exits: u32 });
const COUNTS = counts.fields;

const count_syscall_entry = kernel(function* count_syscall_entry(_action: number, engine: Ptr, _task: Ptr) {
  yield* add(yield* load(engine, ENGINE.data), COUNTS.entries, 1);
  return UTRACE_SYSCALL_RUN | UTRACE_RESUME;
});
const count_syscall_exit = kernel(function* count_syscall_exit(_action: number, engine: Ptr, _task: Ptr) {
  yield* add(yield* load(engine, ENGINE.data), COUNTS.exits, 1);
  return UTRACE_RESUME;
});

export const counter_ops: utrace_engine_ops = {
  report_syscall_entry: count_syscall_entry,
  report_syscall_exit: count_syscall_exit,
};

/** Counts for a while, and reads the numbers when they can no longer change. */
const count: Work = function* (target, engine, data) {
  if (!(yield* setEvents(target, engine, UTRACE_EVENT_SYSCALL))) return;
  for (let i = 0; i < 3; i++) yield* schedule_timeout_interruptible(1);
  if ((yield* utrace_control(target, engine, UTRACE_DETACH)) === -EINPROGRESS) yield* utrace_barrier(target, engine);
  const entries = yield* load(data, COUNTS.entries);
  const exits = yield* load(data, COUNTS.exits);
  yield* claim(Math.abs(entries - exits) <= 1, "entries and exits of system calls do not match");
  yield* schedule_timeout_interruptible(2);
  const later = (yield* load(data, COUNTS.entries)) + (yield* load(data, COUNTS.exits));
  yield* claim(later === entries + exits, "a callback ran after detach and barrier");
};

const sys_getppid = kernel(function* sys_getppid() {
  return yield* load(current(), TASK.real_parent);
});

const caller = kernel(function* exe_caller() {
  for (let i = 0; i < 6; i++) {
    yield* user_mode(30_000);
    yield* syscall(sys_getppid);
  }
  yield* syscall(do_group_exit, 0);
});

export const countSyscalls = example(
  "count-syscalls",
  "Do the numbers of a system call counter still change when it is detached?",
  ["paging-fault", "leak"],
  (booted) => {
    const data = booted.machine.allocStaticStruct(counts);
    const ops = placeOps(booted.machine, counter_ops);
    const task = booted.process({ comm: "exe", pid: 5118, subject: true }, caller);
    booted.process({ comm: "counter", pid: 5377 }, tool, booted.getPid(task), ops, data, count);
  },
);
