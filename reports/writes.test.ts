import { expect, test } from "vitest";
import { FREE, SPIN_LOCK, SPIN_UNLOCK, UPDATE } from "../sim/op.ts";
import { FLAGS, LOCK, makeRun, OBJECT, row, UTRACE, writes } from "./testdata/history.ts";
import { writesText } from "./writes.ts";

const lock = { address: LOCK, field: UTRACE.lock.id };

/** What utrace_stop does to its poisoned struct in the thread's report, after the free that began it. */
const { history } = makeRun(810, [
  row("softirq", FREE, { address: OBJECT, writes: writes(OBJECT, 0x6b, 0x6b) }),
  row("exe", SPIN_LOCK, { ...lock, writes: writes(LOCK + 1, 0x6c) }),
  row("exe", SPIN_LOCK, { ...lock, phase: 2, writes: writes(LOCK + 8, 0, 0, 0, 0) }),
  row("exe", UPDATE, { address: FLAGS, field: UTRACE.stopped.id, phase: 1, writes: writes(FLAGS, 0x6a) }),
  row("exe", SPIN_UNLOCK, { ...lock, phase: 1, writes: writes(LOCK + 8, 0xff, 0xff, 0xff, 0xff) }),
  row("exe", SPIN_UNLOCK, { ...lock, phase: 2, writes: writes(LOCK, 0x6c) }),
]);

test("stores into a range, oldest first, the further steps of an op by their names", () => {
  expect(writesText(history, LOCK, FLAGS + 1)).toBe(
    `step 811 exe/5118 cpu0 utrace_stop: spin_lock utrace->lock: 0xffff88017c31e7b1: 6c
step 812 exe/5118 cpu0 utrace_stop: spin_lock utrace->lock (owner_cpu): 0xffff88017c31e7b8: 00 00 00 00
step 813 exe/5118 cpu0 utrace_stop: update utrace->stopped: 0xffff88017c31e7f0: 6a
step 814 exe/5118 cpu0 utrace_stop: spin_unlock utrace->lock (owner_cpu): 0xffff88017c31e7b8: ff ff ff ff
step 815 exe/5118 cpu0 utrace_stop: spin_unlock utrace->lock (release): 0xffff88017c31e7b0: 6c`,
  );
});

test("only the bytes inside count, the end is not inside, and a softirq goes by its CPU", () => {
  expect(writesText(history, OBJECT + 1, LOCK + 1)).toBe(
    `step 810 softirq/1 cpu1 utrace_free: free ffff88017c31e780: 0xffff88017c31e781: 6b
step 815 exe/5118 cpu0 utrace_stop: spin_unlock utrace->lock (release): 0xffff88017c31e7b0: 6c`,
  );
  expect(writesText(history, FLAGS + 1, FLAGS + 8)).toBe("");
});

test("bytes that are not neighbours get a line each", () => {
  const gap = [...writes(LOCK, 1, 2), ...writes(LOCK + 4, 3)];
  const run = makeRun(7, [row("tracer", UPDATE, { ...lock, phase: 1, writes: gap })]);
  expect(writesText(run.history, LOCK, LOCK + 8)).toBe(
    `step 7 tracer/5377 cpu1 utrace_control: update utrace->lock: 0xffff88017c31e7b0: 01 02
step 7 tracer/5377 cpu1 utrace_control: update utrace->lock: 0xffff88017c31e7b4: 03`,
  );
});
