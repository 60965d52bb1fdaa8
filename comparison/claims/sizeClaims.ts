/** Claims about bytes: settled by arithmetic on the declarations. */
import { task_struct } from "../../model/linux/structs.ts";
import { utrace } from "../../model/utrace/structs.ts";
import type { Claim } from "../../reports/claims.ts";
import { CRASHED, MEASURED, PTRACE_MOVED } from "../compare.ts";
import { memoryChart, memoryFor } from "../memory.ts";
import { type Build, cacheSize, cachesOf } from "../sizes.ts";
import { type ClaimExaminer, inTask, posted } from "./examine.ts";

const COMMAND = "npx utrace-sim compare --runs 0";

/** Bytes that the embedded struct adds to a task. */
const growth = (build: Build): number =>
  cacheSize(task_struct, inTask, build).objectSize - cacheSize(task_struct, null, build).objectSize;

/** Bytes that a traced task has more under the posted lifetime. */
function tracedPosted(build: Build): number {
  const { task, utrace: own } = cachesOf(posted, build);
  return task.objectSize - cacheSize(task_struct, null, build).objectSize + (own?.objectSize ?? 0);
}

/** The table of the mail: slab size and object size of each cache. */
const TABLE: readonly { readonly what: string; readonly slab: number; readonly object: number }[] = [
  { what: "task_struct of a clean kernel", slab: 1392, object: 1384 },
  { what: "task_struct with a pointer", slab: 1408, object: 1400 },
  { what: "struct utrace behind the pointer", slab: 72, object: 72 },
  { what: "task_struct with struct utrace inside", slab: 1456, object: 1456 },
];

function table(): Claim {
  const computed = [
    cacheSize(task_struct, null, MEASURED),
    cacheSize(task_struct, posted, MEASURED),
    cacheSize(utrace, posted, MEASURED),
    cacheSize(task_struct, inTask, MEASURED),
  ];
  const same = TABLE.every(
    ({ slab, object }, i) => computed[i]?.slabSize === slab && computed[i]?.objectSize === object,
  );
  return {
    name: "sizes",
    claim: "The measured table: task_struct 1392/1384, with a pointer 1408/1400 and utrace 72/72, embedded 1456/1456.",
    author: "Alexey Dobriyan",
    date: "2008-09-03 10:01 am",
    verdict: same ? "confirmed" : "refuted",
    because: same
      ? "Each figure of the table comes out of the declarations; the first of a pair is the slot, rounded up to 16 bytes."
      : "Not every figure of the table comes out of the declarations.",
    evidence: TABLE.map(
      ({ what, slab, object }, i) =>
        `${what}: ${slab}/${object} in the mail, ${computed[i]?.slabSize}/${computed[i]?.objectSize} computed`,
    ),
    limits: "the parts of task_struct that utrace does not touch are filler of measured length",
    commands: [COMMAND],
  };
}

/** A claim about how much an untraced task grows by embedding. */
function growthClaim(
  about: Pick<Claim, "name" | "claim" | "author" | "date">,
  isSo: (bytes: number) => boolean,
  meaning: string,
): Claim {
  const [measured, debugging] = [growth(MEASURED), growth(CRASHED)];
  const holds = isSo(measured);
  const there = isSo(debugging);
  return {
    ...about,
    verdict: holds ? "confirmed" : "refuted",
    because: `${measured} bytes are ${holds ? "" : "not "}${meaning}; with lock debugging and lockdep it is ${debugging}, which ${there ? "is" : "is not either"}.`,
    evidence: [
      `task_struct grows by ${measured} bytes in the kernel that was measured on the list (${cacheSize(utrace, inTask, MEASURED).objectSize} of struct utrace, the rest utrace_flags)`,
      `it grows by ${debugging} bytes in the kernel of the crash dump (${cacheSize(utrace, inTask, CRASHED).objectSize} of struct utrace)`,
      `struct utrace as posted is ${cacheSize(utrace, posted, MEASURED).objectSize} bytes in the one and ${cacheSize(utrace, posted, CRASHED).objectSize} in the other`,
    ],
    limits: "",
    commands: [COMMAND],
  };
}

function tracedCase(): Claim {
  const [a, b] = [tracedPosted(MEASURED), growth(MEASURED)];
  const [chart] = [memoryChart([posted, inTask], { title: "", build: MEASURED, tasks: 1000 })];
  const pair = chart.breakEven[0];
  const from = pair?.first === null || pair === undefined ? "never" : `from ${pair.first} of 1000 traced tasks on`;
  return {
    name: "traced-case",
    claim: '"In traced case, more memory will be used" by the pointer than by the embedded struct.',
    author: "Alexey Dobriyan",
    date: "2008-09-03 10:01 am",
    verdict: a > b ? "confirmed" : "refuted",
    because: `A traced task has ${a} bytes more with the pointer and ${b} with the struct inside: a difference of ${a - b}.`,
    evidence: [
      `with the pointer: ${a} bytes for a traced task, ${a - cacheSize(utrace, posted, MEASURED).objectSize} for an untraced one`,
      `with the struct inside: ${b} bytes for either`,
      `for all tasks together, in whole slabs, the pointer needs more ${from}`,
    ],
    limits: "the engine of a traced task, the same under both, is not counted",
    commands: [COMMAND],
  };
}

function ptraceMoved(): Claim {
  const before = cacheSize(task_struct, null, MEASURED);
  const moved = cacheSize(task_struct, null, PTRACE_MOVED);
  const embedded = cacheSize(task_struct, inTask, PTRACE_MOVED);
  const freed = before.objectSize - moved.objectSize;
  const slabs = (build: Build) => memoryFor(cachesOf(inTask, build), 1000, 0);
  const clean = memoryFor(cachesOf(null, MEASURED), 1000, 0);
  const inSlabs = slabs(PTRACE_MOVED) - clean;
  const needed = growth(MEASURED);
  // "Almost": most of it, and no more slabs than before.
  const holds = freed > needed / 2 && inSlabs <= 0;
  return {
    name: "ptrace-moved",
    claim:
      'Moving the ptrace state into the engine "would almost cancel out the additional members required for utrace".',
    author: "Christoph Hellwig",
    date: "2008-08-30 6:43 am",
    verdict: holds ? "confirmed" : "refuted",
    because: `${freed} of the ${needed} bytes are won back, and 1000 untraced tasks take ${inSlabs === 0 ? "not a page" : `${inSlabs} bytes`} more than without utrace.`,
    evidence: [
      `ptrace's fields in task_struct: ${freed} bytes (ptrace, ptraced, ptrace_entry, ptrace_message, last_siginfo)`,
      `task_struct: ${before.objectSize} bytes without utrace, ${embedded.objectSize} with struct utrace inside and ptrace's fields moved`,
      `objects per slab: ${before.objectsPerSlab} and ${embedded.objectsPerSlab}; without moving: ${cacheSize(task_struct, inTask, MEASURED).objectsPerSlab}`,
    ],
    limits: "every traced task is reckoned to be traced by ptrace",
    commands: [COMMAND],
  };
}

const size = (name: string, examine: () => Claim): ClaimExaminer => ({ name, examine });

/** All of them. */
export const SIZE_CLAIMS: readonly ClaimExaminer[] = [
  size("sizes", table),
  size("120-bytes", () =>
    growthClaim(
      {
        name: "120-bytes",
        claim: 'Embedding would "bloat task_struct by ~120 bytes".',
        author: "Roland McGrath",
        date: "2008-09-03 5:11 am",
      },
      (bytes) => Math.abs(bytes - 120) <= 12,
      "about 120",
    ),
  ),
  size("hundred-odd-bytes", () =>
    growthClaim(
      {
        name: "hundred-odd-bytes",
        claim: 'Embedding would penalize every thread "with a hundred-odd bytes extra".',
        author: "Frank Ch. Eigler",
        date: "2008-08-26 5:17 pm",
      },
      (bytes) => bytes >= 100,
      "a hundred or more",
    ),
  ),
  size("traced-case", tracedCase),
  size("ptrace-moved", ptraceMoved),
];
