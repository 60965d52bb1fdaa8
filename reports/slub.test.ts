import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { SlabReport } from "../sim/finding.ts";
import { WILD } from "../sim/memory.ts";
import { MODELLED_KERNEL } from "./dumpStack.ts";
import { dumpRows, slubText } from "./slub.ts";
import { at, makeFinding, threadKernel } from "./testdata/finding.ts";

const threadText = readFileSync(new URL("testdata/poison-overwritten.txt", import.meta.url), "utf8");

const repeat = (byte: number, count: number): number[] => new Array<number>(count).fill(byte);
const PAGE = at(0x7c31e000);
const OBJECT = at(0x7c31e780);

/** The poisoned object of the thread after utrace_stop took and gave back its lock and cleared `stopped`. */
const bytes = [...repeat(0x6b, 119), 0xa5];
bytes.splice(0x30, 2, 0x6c, 0x6c);
bytes.splice(0x38, 4, ...repeat(0xff, 4));
bytes.splice(0x40, 8, ...repeat(0xff, 8));
bytes[0x70] = 0x6a;

const poison: SlabReport = {
  cache: "utrace",
  title: "Poison overwritten",
  page: { address: PAGE, objects: 21, inuse: 2, freelist: OBJECT, flags: "0x80000000000000c3" },
  object: {
    address: OBJECT,
    freePointer: at(0x7c31e540),
    before: [0xfc, 0x1f, 0xff, 0xff, 0, 0, 0, 0, ...repeat(0x5a, 8)],
    bytes,
    redzone: repeat(0xbb, 8),
    paddingAt: at(0x7c31e838),
    padding: repeat(0x5a, 8),
    tracks: [
      { verb: "Allocated", address: (0x8025f000 | 0) + 0x1f4, age: 13, cpu: 1, pid: 5377 },
      { verb: "Freed", address: (0x8025ef00 | 0) + 0x16, age: 5, cpu: 1, pid: 5377 },
    ],
  },
  range: { first: at(0x7c31e7b0), last: at(0x7c31e7f0), found: 0x6c, expected: 0x6b },
  fixes: ["Restoring 0xffff88017c31e7b0-0xffff88017c31e7f0=0x6b", "Marking all objects used"],
};

const place = makeFinding(
  { type: "slab", slab: poison },
  {
    task: "expl_ptratt",
    pid: 5382,
    backtrace: [
      { name: "print_trailer", address: "print_trailer+0xf9/0x160" },
      { name: "check_bytes_and_report", address: "check_bytes_and_report+0xa5/0xd0" },
      { name: "check_object", address: "check_object+0xa8/0x250" },
      { name: "__slab_alloc", address: "__slab_alloc+0x4f3/0x670" },
    ],
  },
);

test("poison overwritten: the thread's report, line by line, and the FIX lines that it cut off", () => {
  const lines = slubText(poison, place, threadKernel(5)).split("\n");
  const thread = threadText.trimEnd().split("\n");
  expect(lines.slice(0, thread.length)).toEqual(thread);
  expect(lines.slice(thread.length)).toEqual([
    "FIX utrace: Restoring 0xffff88017c31e7b0-0xffff88017c31e7f0=0x6b",
    "",
    "FIX utrace: Marking all objects used",
  ]);
});

test("without symbols a track shows its bare address", () => {
  expect(slubText(poison, place, MODELLED_KERNEL)).toContain(
    "INFO: Freed in 0xffffffff8025ef16 age=5 cpu=1 pid=5377\n",
  );
});

test("a corrupt free pointer that is no kernel address has unknown digits", () => {
  const object = { ...(poison.object as NonNullable<SlabReport["object"]>), freePointer: WILD };
  const text = slubText({ ...poison, object }, place, MODELLED_KERNEL);
  expect(text).toContain("INFO: Object 0xffff88017c31e780 @offset=1920 fp=0x????????????????\n");
});

const pageReport: SlabReport = {
  cache: "utrace",
  title: "Padding overwritten",
  page: { address: PAGE, objects: 21, inuse: 0, freelist: PAGE, flags: "0x8000000000000083" },
  range: { first: at(0x7c31efc0), last: at(0x7c31efc7), found: 0, expected: 0x5a },
  fixes: ["Restoring 0xffff88017c31efc0-0xffff88017c31efc7=0x5a"],
};

test("a report about the page has no object lines, and no empty line after its last FIX", () => {
  const short = { ...place, backtrace: place.backtrace.slice(3) };
  expect(slubText(pageReport, short, MODELLED_KERNEL)).toBe(
    `=============================================================================
BUG utrace: Padding overwritten. 0xffff88017c31efc0-0xffff88017c31efc7
-----------------------------------------------------------------------------

INFO: Slab 0xffffe2000532ae90 objects=21 used=0 fp=0xffff88017c31e000 flags=0x8000000000000083
Pid: 5382, comm: expl_ptratt Not tainted 2.6.27-rc4-next-20080827-utrace #1
Call Trace:
 __slab_alloc+0x4f3/0x670
FIX utrace: Restoring 0xffff88017c31efc0-0xffff88017c31efc7=0x5a`,
  );
});

test("an address that was never in a slab has no Slab line", () => {
  const { range: _, ...stray } = pageReport;
  const page = { ...pageReport.page, address: at(0x7c000010) };
  expect(slubText({ ...stray, page }, place, MODELLED_KERNEL)).not.toContain("INFO: Slab");
});

test("dump rows: Latin-1 graphic characters as they are, all others as dots", () => {
  const row = [0x20, 0x21, 0x7e, 0x7f, 0x80, 0xa0, 0xa1, 0xff];
  expect(dumpRows("Object", OBJECT, row)).toEqual([
    "  Object 0xffff88017c31e780:  20 21 7e 7f 80 a0 a1 ff                         .!~...¡ÿ        ",
  ]);
  expect(dumpRows("Object", OBJECT, [])).toEqual([]);
});
