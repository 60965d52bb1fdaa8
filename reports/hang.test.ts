import { expect, test } from "vitest";
import type { FindingDetails, ObjectInfo } from "../sim/finding.ts";
import { findingText } from "./findingText.ts";
import { at, makeFinding, makeSite } from "./testdata/finding.ts";

const stuck = (waits: string): FindingDetails => ({
  type: "stuck",
  waits,
  tasks: ["exe/5118 TASK_TRACED in utrace_stop", "tracer/5377 TASK_RUNNING in do_wait"],
});

test("hung task: the kernel's text, then who waits for what", () => {
  const finding = makeFinding(stuck("sleeps in state TASK_TRACED"), { kind: "hung-task" });
  expect(findingText(finding, {})).toBe(
    `INFO: task exe:5118 blocked for more than 120 seconds.
"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
Call Trace:
 utrace_get_signal+0x6ff/0x710
 get_signal_to_deliver+0x24c/0x310
 do_notify_resume+0xd4/0x860

exe/5118 sleeps in state TASK_TRACED
Tasks at this moment:
 exe/5118 TASK_TRACED in utrace_stop
 tracer/5377 TASK_RUNNING in do_wait`,
  );
});

test("spinlock lockup: a stack dump under its title", () => {
  const title = "BUG: spinlock lockup on CPU#0, exe/5118";
  const finding = makeFinding(stuck("spins on utrace->lock at 0xffff88017c31e780"), { kind: "deadlock", title });
  expect(findingText({ ...finding, backtrace: finding.backtrace.slice(0, 1) }, {})).toBe(
    `${title}
Pid: 5118, comm: exe Not tainted 2.6.27-rc4-next-20080827-utrace #1
Call Trace:
 utrace_get_signal+0x6ff/0x710

exe/5118 spins on utrace->lock at 0xffff88017c31e780
Tasks at this moment:
 exe/5118 TASK_TRACED in utrace_stop
 tracer/5377 TASK_RUNNING in do_wait`,
  );
});

const object: ObjectInfo = {
  cache: "utrace_attached_engine",
  address: at(0x7c31e780),
  size: 48,
  allocated: makeSite("tracer", 5377, 1, 104, ["utrace_attach_task", "ptrace_attach"]),
  freed: null,
};

test("leak: who allocated it, as kmemleak says it", () => {
  expect(findingText(makeFinding({ type: "leak", object }), {})).toBe(
    `unreferenced object 0xffff88017c31e780 (size 48):
  comm "tracer", pid 5377, cache utrace_attached_engine, allocated on cpu 1 at step 104
  backtrace:
    utrace_attach_task
    ptrace_attach`,
  );
});

test("leak of an object whose allocation nobody saw", () => {
  expect(findingText(makeFinding({ type: "leak", object: { ...object, allocated: null } }), {})).toBe(
    "unreferenced object 0xffff88017c31e780 (size 48):\n  cache utrace_attached_engine",
  );
});
