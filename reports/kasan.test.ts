import { expect, test } from "vitest";
import type { FindingDetails, ObjectInfo } from "../sim/finding.ts";
import { WILD } from "../sim/memory.ts";
import { findingText } from "./findingText.ts";
import { at, makeFinding, makeSite, threadKernel } from "./testdata/finding.ts";

const object: ObjectInfo = {
  cache: "utrace",
  address: at(0x7c31e780),
  size: 120,
  allocated: makeSite("expl_ptratt", 5377, 1, 104, ["utrace_attach_task", "ptrace_attach"]),
  freed: makeSite("expl_ptratt", 5377, 1, 790, ["utrace_free"]),
};
const read: FindingDetails = { type: "memory", write: false, address: at(0x7c31e7f0), size: 1, object };
const title = "BUG: KASAN: use-after-free in utrace_get_signal";

test("use after free: access, stack, both tracks, the place in the object", () => {
  expect(findingText(makeFinding(read, { title }), {})).toBe(
    `==================================================================
BUG: KASAN: use-after-free in utrace_get_signal+0x6ff/0x710
Read of size 1 at addr ffff88017c31e7f0 by task exe/5118

Pid: 5118, comm: exe Not tainted 2.6.27-rc4-next-20080827-utrace #1
Call Trace:
 utrace_get_signal+0x6ff/0x710
 get_signal_to_deliver+0x24c/0x310
 do_notify_resume+0xd4/0x860

Allocated by task expl_ptratt/5377 on cpu 1 at step 104:
 utrace_attach_task
 ptrace_attach

Freed by task expl_ptratt/5377 on cpu 1 at step 790:
 utrace_free

The buggy address belongs to the object at ffff88017c31e780
 which belongs to the cache utrace of size 120
The buggy address is located 112 bytes inside of
 120-byte region [ffff88017c31e780, ffff88017c31e7f8)
==================================================================`,
  );
});

test("with symbols the first line has the address of the access", () => {
  const lines = findingText(makeFinding(read, { title }), {}, threadKernel(5)).split("\n");
  expect(lines[1]).toBe("BUG: KASAN: use-after-free in [<ffffffff802608ef>] utrace_get_signal+0x6ff/0x710");
});

test("a write behind a live object that was made at boot: to the right, no Freed track", () => {
  const allocated = makeSite("swapper", 0, 0, -1, []);
  const live = { ...object, allocated, freed: null };
  const text = findingText(
    makeFinding({ type: "memory", write: true, address: at(0x7c31e7fa), size: 4, object: live }, { title }),
    {},
  );
  expect(text).toContain("\nWrite of size 4 at addr ffff88017c31e7fa by task exe/5118\n");
  expect(text).toContain("\n\nAllocated by task swapper/0 at boot:\n\nThe buggy address");
  expect(text).toContain("\nThe buggy address is located 2 bytes to the right of\n");
  expect(text).not.toContain("Freed by");
});

test("double free, and a free of what no object is known for", () => {
  const twice = makeFinding({ type: "free", address: object.address, object }, { kind: "double-free" });
  expect(findingText(twice, {})).toContain("\nFree of addr ffff88017c31e780 by task exe/5118\n");
  const wild = makeFinding({ type: "free", address: WILD, object: null }, { kind: "invalid-free", backtrace: [] });
  expect(findingText(wild, {})).toBe(
    `==================================================================
a title
Free of addr ???????????????? by task exe/5118

Pid: 5118, comm: exe Not tainted 2.6.27-rc4-next-20080827-utrace #1
Call Trace:
==================================================================`,
  );
});
