/** What counts as a preemption, and which of two schedules is the simpler one. */
import { describe, expect, test } from "vitest";
import { type Cost, costOf, simpler } from "./cost.ts";
import { plain_task, rcu_head } from "./kernelStructs.ts";
import { globalsOf, kernel, type Ptr } from "./op.ts";
import {
  call_rcu,
  current,
  kmem_cache_alloc,
  kmem_cache_free,
  mod_timer,
  schedule,
  smp_mb,
  store,
} from "./primitives.ts";
import type { Program } from "./run.ts";
import { parseSchedule } from "./schedule.ts";
import type { Cache } from "./slab.ts";
import { struct } from "./struct.ts";
import { tiny } from "./tinyProgram.ts";

const steps = kernel(function* steps(n: number) {
  for (let i = 0; i < n; i++) yield* smp_mb();
});
const naps = kernel(function* naps() {
  yield* store(current(), plain_task.fields.state, 2);
  yield* mod_timer(1);
  yield* schedule();
  yield* smp_mb();
});
const HEAP_T = struct("cost_object", { rcu: rcu_head });
const world = globalsOf<{ cache: Cache }>();
const frees = kernel(function* frees(head: Ptr) {
  yield* kmem_cache_free(world().cache, head);
});
const defers = kernel(function* defers() {
  const object = yield* kmem_cache_alloc(world().cache);
  yield* call_rcu(object, HEAP_T.fields.rcu, frees);
  for (let i = 0; i < 3; i++) yield* smp_mb();
});

/** Tasks 0 and 1 take steps, task 2 sleeps once, task 3 leaves an object to RCU. */
const program: Program = tiny(
  (machine) => {
    machine.globals = { cache: machine.createCache(HEAP_T) };
    machine.spawn(0, { comm: "a" }, steps, 3);
    machine.spawn(0, { comm: "b" }, steps, 3);
    machine.spawn(0, { comm: "naps" }, naps);
    machine.spawn(0, { comm: "defers" }, defers);
  },
  { config: { PREEMPT_RCU: true } },
);
const of = (text: string): Cost => costOf(program, parseSchedule(text));

describe("a preemption", () => {
  const cases: readonly [string, number, string][] = [
    ["none while one task runs to its end, and the next after it", 0, "c0 s0*3 c1:1 s1*3"],
    ["another CPU goes on although the first could", 1, "c0 s0 c1:1 s1*3"],
    ["and comes back free once the other has ended", 1, "c0 s0 c1:1 s1*3 s0*2"],
    ["each change of CPU counts while both can go on", 3, "c0 s0 c1:1 s1 s0 s1"],
    ["the CPU is taken from the task; the switch after it is free", 1, "c0 s0 p0 c0:2"],
    ["a task that sleeps gives way for free", 0, "c0:2 s0*3 c0 s0*3"],
    ["a timer is free where nothing else could go on", 0, "c0:2 s0*3 c0 s0*3 t0:2 c0:2 s0"],
    ["a timer that comes while a task could go on", 1, "c0:2 s0*3 c0 s0 t0:2 s0*2"],
    ["a softirq that comes in between; its end is free", 1, "c1:3 s1*4 q1 s1 s1*3"],
    ["a softirq after the task is free", 0, "c1:3 s1*7 q1 s1"],
  ];
  test.each(cases)("%s", (_name, preemptions, text) => {
    const cost = of(text);
    expect(cost.steps).toBe(parseSchedule(text).length);
    expect(cost.preemptions).toBe(preemptions);
  });
});

test("tasks and changes are counted by who takes steps", () => {
  expect(of("c0 s0 c1:1 s1 s0*2 s1*2 c0:2")).toMatchObject({ tasks: 2, changes: 4 });
  expect(of("c1:3 s1*4 q1 s1 s1")).toMatchObject({ tasks: 1, changes: 3 });
});

test("fewer preemptions come first, then fewer tasks, changes and steps", () => {
  const cost = (preemptions: number, tasks: number, changes: number, steps: number): Cost => ({
    preemptions,
    tasks,
    changes,
    steps,
  });
  const inOrder = [cost(0, 9, 9, 9), cost(1, 1, 9, 9), cost(1, 2, 1, 9), cost(1, 2, 2, 1), cost(1, 2, 2, 2)];
  inOrder.forEach((a, i) => {
    inOrder.forEach((b, j) => {
      expect(simpler(a, b)).toBe(i < j);
    });
  });
});
