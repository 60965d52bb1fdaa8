import { expect, test } from "vitest";
import type { FindingDetails } from "../sim/finding.ts";
import { findingText } from "./findingText.ts";
import { at, makeFinding } from "./testdata/finding.ts";

const object = { cache: "utrace", address: at(0x7c31e780), size: 120, allocated: null, freed: null };
const page = { address: at(0x7c31e000), objects: 21, inuse: 2, freelist: 0, flags: "0x8000000000000081" };

/** One of each type; the compiler says so when one is missing. */
const EVERY_TYPE: { readonly [T in FindingDetails["type"]]: Extract<FindingDetails, { type: T }> } = {
  memory: { type: "memory", write: true, address: object.address, size: 8, object },
  free: { type: "free", address: object.address, object },
  race: {
    type: "race",
    access: { write: true, marked: false, address: object.address, size: 4 },
    other: {
      write: false,
      marked: false,
      address: object.address,
      size: 4,
      comm: "exe",
      pid: 1,
      cpu: 0,
      step: 3,
      backtrace: [],
    },
  },
  fault: { type: "fault", fault: "paging", address: "ffff88017c51c958", write: false },
  assertion: { type: "assertion", at: "kernel/utrace.c:532", expression: "utrace->stopped" },
  slab: {
    type: "slab",
    slab: { cache: "utrace", title: "Freechain corrupt", page, fixes: ["Restoring 0x1-0x2=0x6b"] },
  },
  spinlock: { type: "spinlock", message: "recursion", lock: "0", magic: "0", owner: "<none>/-1", ownerCpu: -1 },
  "lock-order": { type: "lock-order", message: "inconsistent lock state", chain: [], held: [] },
  context: { type: "context", message: "", preemptCount: 0, held: [] },
  stuck: { type: "stuck", tasks: [], waits: "sleeps" },
  leak: { type: "leak", object },
  message: { type: "message", message: "a message" },
};

test.each(Object.values(EVERY_TYPE))("$type: a text of its own that ends without a newline", (details) => {
  const text = findingText(makeFinding(details), { PREEMPT: true });
  expect(text).not.toMatch(/^\s|\n$|undefined|NaN|\[object/);
  expect(text.split("\n").length).toBeGreaterThan(1);
});

test("the same finding gives the same text", () => {
  const finding = makeFinding(EVERY_TYPE.memory);
  expect(findingText(finding, {})).toBe(findingText(structuredClone(finding), {}));
});
