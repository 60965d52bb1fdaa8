/** Sizes, memory and costs: figures that are known from elsewhere, and what must hold of any lifetime. */
import { expect, test } from "vitest";
import { LIFETIMES } from "../model/utrace/lifetimes/index.ts";
import { resolveParameters } from "../scenarios/parameters.ts";
import { CRASHED, compareLifetimes, MEASURED, POISONED, PTRACE_MOVED } from "./compare.ts";
import { costsOf } from "./cost.ts";
import { memoryFor } from "./memory.ts";
import { cachesOf } from "./sizes.ts";
import { PATHS } from "./walk.ts";

const lifetimes = [...LIFETIMES.values()];
const named = (name: string) => {
  const lifetime = LIFETIMES.get(name);
  if (lifetime === undefined) throw new Error(name);
  return lifetime;
};

test("struct utrace is 72 bytes where it was measured, 120 in the crash dump, in slots of 192 under slub_debug", () => {
  expect(cachesOf(named("pointer"), MEASURED).utrace).toMatchObject({ objectSize: 72, slabSize: 72 });
  expect(cachesOf(named("pointer"), CRASHED).utrace).toMatchObject({ objectSize: 120, slabSize: 120 });
  expect(cachesOf(named("pointer"), POISONED).utrace).toMatchObject({ slabSize: 192, objectsPerSlab: 21 });
});

test("the table of 2008-09-03, to the byte: object and slab of each cache", () => {
  const pair = ({ slabSize, objectSize }: { readonly slabSize: number; readonly objectSize: number }) =>
    `${slabSize}/${objectSize}`;
  const clean = cachesOf(null, MEASURED);
  const pointer = cachesOf(named("pointer"), MEASURED);
  const embedded = cachesOf(named("embedded"), MEASURED);
  expect(pair(clean.task)).toBe("1392/1384");
  expect(pair(pointer.task)).toBe("1408/1400");
  expect(pair(pointer.utrace as NonNullable<typeof pointer.utrace>)).toBe("72/72");
  expect(pair(embedded.task)).toBe("1456/1456");
  expect(embedded.utrace).toBeNull();
});

test("ptrace's fields are 48 bytes, in every task or in every engine", () => {
  expect(cachesOf(null, PTRACE_MOVED).task.objectSize).toBe(1384 - 48);
  expect(cachesOf(named("pointer"), PTRACE_MOVED).engine?.objectSize).toBe(48 + 56);
});

test("memory is whole slabs: one traced task costs a page for each of its caches", () => {
  const caches = cachesOf(named("pointer"), MEASURED);
  expect(memoryFor(caches, 10, 1) - memoryFor(caches, 10, 0)).toBe(2 * 4096);
  expect(memoryFor(caches, 100, 57) - memoryFor(caches, 100, 56)).toBe(4096);
  expect(memoryFor(caches, 100, 56)).toBe(memoryFor(caches, 100, 2));
});

test("a break-even is where it is said to be: less before, more from there on", () => {
  const [chart] = compareLifetimes(lifetimes).memory;
  for (const { smaller, larger, first, always } of chart?.breakEven ?? []) {
    const more = (traced: number): boolean =>
      memoryFor(cachesOf(named(smaller), MEASURED), chart?.tasks ?? 0, traced) >
      memoryFor(cachesOf(named(larger), MEASURED), chart?.tasks ?? 0, traced);
    expect(more(0)).toBe(false);
    if (first !== null) expect([more(first - 1), more(first)]).toEqual([false, true]);
    if (always !== null) expect([more(always - 1), more(always), more(chart?.tasks ?? 0)]).toEqual([false, true, true]);
  }
  expect(chart?.breakEven.some(({ first }) => first !== null)).toBe(true);
});

test.each(lifetimes)("$name: the walk comes to its end, and every path costs something", ({ name }) => {
  const costs = costsOf(resolveParameters({ lifetime: name, config: "DEBUG_SPINLOCK=n" }));
  expect(costs.map(({ path }) => path)).toEqual(PATHS.map((path) => path.name));
  for (const cost of costs) {
    expect(cost.ops).toBeGreaterThan(0);
    expect(cost.cacheLines).toBeGreaterThan(0);
    expect(cost.atomics).toBeGreaterThanOrEqual(cost.locks);
  }
  expect(costs[0]).toMatchObject({ path: "untraced, one event", ops: 1, loads: 1, atomics: 0, cacheLines: 1 });
});

test("as posted, the first attach allocates struct and engine, and the last detach frees the struct through RCU", () => {
  const costs = costsOf(resolveParameters({ lifetime: "pointer", config: "DEBUG_SPINLOCK=n" }));
  const path = (name: string) => costs.find((cost) => cost.path === name);
  expect(path("attach, first")).toMatchObject({ allocations: 2, locks: 2, rcuCallbacks: 0 });
  expect(path("attach, second")).toMatchObject({ allocations: 1, locks: 1 });
  expect(path("detach, the last")).toMatchObject({ rcuCallbacks: 1, deferredOps: 1 });
  expect(path("detach, not the last")).toMatchObject({ rcuCallbacks: 0, deferredOps: 0 });
});

test("lock debugging adds to no op, only to their steps", () => {
  const ops = (config: string) => costsOf(resolveParameters({ config })).map((cost) => cost.locks);
  expect(ops("LOCKDEP=y")).toEqual(ops("DEBUG_SPINLOCK=n"));
});
