import { expect, test } from "vitest";
import type { FindingDetails } from "../sim/finding.ts";
import { findingText } from "./findingText.ts";
import { makeFinding, threadKernel } from "./testdata/finding.ts";

const CONFIG = { PREEMPT: true, DEBUG_PAGEALLOC: true };

const readFault: FindingDetails = { type: "fault", fault: "paging", address: "ffff88017c51c958", write: false };

test("page fault: the lines of the thread's first oops that the model knows", () => {
  const finding = makeFinding(readFault, {
    kind: "paging-fault",
    pid: 32731,
    fatal: true,
    backtrace: [
      { name: "utrace_stop", address: "utrace_stop+0x9b/0x120" },
      { name: "finish_resume_report", address: "finish_resume_report+0xa0/0xd0" },
      { name: "utrace_get_signal", address: "utrace_get_signal+0x305/0x710" },
    ],
  });
  expect(findingText(finding, CONFIG, threadKernel(4)).split("\n")).toEqual([
    "BUG: unable to handle kernel paging request at ffff88017c51c958",
    "IP: [<ffffffff8025e38b>] utrace_stop+0x9b/0x120",
    "Oops: 0000 [1] PREEMPT SMP DEBUG_PAGEALLOC",
    "CPU 0 ",
    "Pid: 32731, comm: exe Tainted: G        W 2.6.27-rc4-next-20080827-utrace #4",
    "RIP: 0010:[<ffffffff8025e38b>]  [<ffffffff8025e38b>] utrace_stop+0x9b/0x120",
    "EFLAGS: 00010246",
    "Process exe (pid: 32731, task ffff88017c02b880)",
    "Call Trace:",
    " [<ffffffff8025e4b0>] finish_resume_report+0xa0/0xd0",
    // The thread has ffffffff8025fb05 here, from build #4; the symbols in testdata are those of build #5.
    " [<ffffffff802604f5>] utrace_get_signal+0x305/0x710",
    "RIP  [<ffffffff8025e38b>] utrace_stop+0x9b/0x120",
    "CR2: ffff88017c51c958",
  ]);
});

test("page fault of a write, without PREEMPT, DEBUG_PAGEALLOC and symbols", () => {
  const finding = makeFinding({ type: "fault", fault: "null", address: "0000000000000030", write: true });
  expect(findingText(finding, {})).toBe(
    `BUG: unable to handle kernel NULL pointer dereference at 0000000000000030
IP: utrace_get_signal+0x6ff/0x710
Oops: 0002 [1] SMP${" "}
CPU 0${" "}
Pid: 5118, comm: exe Not tainted 2.6.27-rc4-next-20080827-utrace #1
RIP: 0010:utrace_get_signal+0x6ff/0x710
EFLAGS: 00010246
Process exe (pid: 5118, task ffff88017c02b880)
Call Trace:
 get_signal_to_deliver+0x24c/0x310
 do_notify_resume+0xd4/0x860
RIP  utrace_get_signal+0x6ff/0x710
CR2: 0000000000000030`,
  );
});

test("general protection fault: no BUG, IP and CR2 lines", () => {
  const finding = makeFinding({ type: "fault", fault: "general", address: "6b6b6b6b6b6b6b6b", write: true });
  const lines = findingText(finding, CONFIG).split("\n");
  expect(lines[0]).toBe("general protection fault: 0000 [1] PREEMPT SMP DEBUG_PAGEALLOC");
  expect(lines.at(-1)).toBe("RIP  utrace_get_signal+0x6ff/0x710");
});

test("jump to an address without code, by a softirq on an idle CPU: an instruction fetch, no task, an empty trace", () => {
  const jump: FindingDetails = { type: "fault", fault: "paging", address: "ffff88017c51c958", write: false };
  const idle = { task: "swapper", pid: 0, cpu: 1, taskAddress: 0, backtrace: [] };
  expect(findingText(makeFinding(jump, idle), CONFIG)).toBe(
    `BUG: unable to handle kernel paging request at ffff88017c51c958
IP: 0xffff88017c51c958
Oops: 0010 [1] PREEMPT SMP DEBUG_PAGEALLOC
CPU 1${" "}
Pid: 0, comm: swapper Not tainted 2.6.27-rc4-next-20080827-utrace #1
RIP: 0010:0xffff88017c51c958
EFLAGS: 00010246
Process swapper (pid: 0)
Call Trace:
RIP  0xffff88017c51c958
CR2: ffff88017c51c958`,
  );
});

const bug: FindingDetails = { type: "assertion", at: "kernel/utrace.c:2275", expression: "signr != SIGKILL" };

test("BUG: the lines of the thread's second oops that the model knows, interrupts off", () => {
  const finding = makeFinding(bug, { kind: "bug-on", fatal: true, interruptsOff: true });
  expect(findingText(finding, CONFIG, threadKernel(5)).split("\n")).toEqual([
    "------------[ cut here ]------------",
    "kernel BUG at kernel/utrace.c:2275!",
    "invalid opcode: 0000 [1] PREEMPT SMP DEBUG_PAGEALLOC",
    "CPU 0 ",
    "Pid: 5118, comm: exe Tainted: G        W 2.6.27-rc4-next-20080827-utrace #5",
    "RIP: 0010:[<ffffffff802608ef>]  [<ffffffff802608ef>] utrace_get_signal+0x6ff/0x710",
    "EFLAGS: 00010093",
    // The thread has task ffff88017acc5640; see testdata/finding.ts.
    "Process exe (pid: 5118, task ffff88017c02b880)",
    "Call Trace:",
    " [<ffffffff802412fc>] get_signal_to_deliver+0x24c/0x310",
    " [<ffffffff8020ab54>] do_notify_resume+0xd4/0x860",
    "RIP  [<ffffffff802608ef>] utrace_get_signal+0x6ff/0x710",
  ]);
});

test("WARN_ON goes on, so it has a stack dump and no oops", () => {
  const finding = makeFinding(bug, { kind: "warn-on" });
  expect(findingText(finding, CONFIG)).toBe(
    `------------[ cut here ]------------
WARNING: at kernel/utrace.c:2275 utrace_get_signal+0x6ff/0x710()
Pid: 5118, comm: exe Not tainted 2.6.27-rc4-next-20080827-utrace #1
Call Trace:
 utrace_get_signal+0x6ff/0x710
 get_signal_to_deliver+0x24c/0x310
 do_notify_resume+0xd4/0x860`,
  );
});
