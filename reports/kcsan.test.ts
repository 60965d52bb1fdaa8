import { expect, test } from "vitest";
import type { FindingDetails } from "../sim/finding.ts";
import { findingText } from "./findingText.ts";
import { at, makeFinding, threadKernel } from "./testdata/finding.ts";

const race: FindingDetails = {
  type: "race",
  access: { write: false, marked: false, address: at(0x7c31e7f0), size: 1 },
  other: {
    write: true,
    marked: true,
    address: at(0x7c31e7f0),
    size: 4,
    comm: "expl_ptratt",
    pid: 5377,
    cpu: 1,
    step: 790,
    backtrace: [{ name: "utrace_control", address: "utrace_control+0x1f0/0x300" }],
  },
  change: { before: "0x00000001", after: "0x00000000" },
};
const title = "BUG: KCSAN: data-race in utrace_control / utrace_get_signal (utrace->stopped)";

test("a data race: both accesses with their stacks, and what became of the value", () => {
  expect(findingText(makeFinding(race, { title }), {})).toBe(
    `==================================================================
BUG: KCSAN: data-race in utrace_control / utrace_get_signal (utrace->stopped)

read to ffff88017c31e7f0 of 1 bytes by task 5118 on cpu 0:
 utrace_get_signal+0x6ff/0x710
 get_signal_to_deliver+0x24c/0x310
 do_notify_resume+0xd4/0x860

write (marked) to ffff88017c31e7f0 of 4 bytes by task 5377 on cpu 1 at step 790:
 utrace_control+0x1f0/0x300

value changed: 0x00000001 -> 0x00000000

Reported by Kernel Concurrency Sanitizer on:
CPU: 0 PID: 5118 Comm: exe Not tainted 2.6.27-rc4-next-20080827-utrace #1
==================================================================`,
  );
});

test("the value is left out where it is the same, and addresses come with the symbol table", () => {
  const { change: _, ...same } = race;
  const text = findingText(makeFinding(same, { title }), {}, threadKernel(5));
  expect(text).not.toContain("value changed");
  expect(text).toMatch(/^ \[<ffffffff[0-9a-f]{8}>\] utrace_get_signal\+0x6ff\/0x710$/m);
});
