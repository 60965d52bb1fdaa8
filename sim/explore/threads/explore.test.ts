/** Random programs, each reduction off, against brute force. Counts from the literature: `bench/threads/programs.test.ts`. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { rwlock_t } from "../../kernelStructs.ts";
import { read_lock, read_unlock, write_lock_irq, write_unlock_irq } from "../../primitives.ts";
import { struct } from "../../struct.ts";
import { type ExploreOptions, exploreThreads } from "./explore.ts";
import { type Act, NAMES, programOf } from "./testPrograms.ts";
import { read, type ThreadProgram, threadProgram, write } from "./world.ts";

const BRUTE_FORCE: ExploreOptions = { reductions: { sourceSets: false, sleepSets: false, wakeupTrees: false } };

/** Outcomes without their counts, in a fixed order. */
const outcomesOf = (program: ThreadProgram, options: ExploreOptions): string[] =>
  exploreThreads(program, options)
    // Threads that are started on the way come in the order in which they came up.
    .outcomes.map(({ returned, variables }) => JSON.stringify([Object.entries(returned).sort(), variables]))
    .sort();

const findingsOf = (program: ThreadProgram, options: ExploreOptions): string[] =>
  exploreThreads(program, options)
    .findings.map(({ kind, title, thread }) => `${kind} ${title} ${thread}`)
    .sort();

const act = fc.record({ op: fc.constantFrom(...NAMES), of: fc.nat(1) });

/** Two or three threads of at most `most` acts each. */
const plans = (most: number): fc.Arbitrary<Act[][]> =>
  fc.array(fc.array(act, { minLength: 1, maxLength: most }), { minLength: 2, maxLength: 3 });

const TOO_MANY = 3000;

describe.each(["sc", "tso"] as const)(
  "random programs under %s: each reduction off, the same outcomes and findings",
  (memory) => {
    const variants: readonly (readonly [string, ExploreOptions])[] = [
      ["optimal", {}],
      ["no wakeup trees", { reductions: { wakeupTrees: false } }],
      ["no sleep sets", { reductions: { sleepSets: false } }],
      ["no source sets", { reductions: { sourceSets: false } }],
      ["states", { search: "states" }],
      ["states, no persistent sets", { search: "states", reductions: { persistentSets: false } }],
      ["states, no merging", { search: "states", reductions: { merging: false } }],
    ];
    test.each(variants)("%s", (_, options) => {
      let compared = 0;
      fc.assert(
        fc.property(plans(2), (plan) => {
          const program = programOf(plan);
          const all = { ...BRUTE_FORCE, memory, executionsMax: TOO_MANY };
          fc.pre(exploreThreads(program, all).complete);
          compared++;
          expect(outcomesOf(program, { ...options, memory })).toEqual(outcomesOf(program, all));
          expect(findingsOf(program, { ...options, memory })).toEqual(findingsOf(program, all));
        }),
        { seed: 1, numRuns: 60 },
      );
      expect(compared).toBe(60);
    });
  },
);

test("optimal: nothing is begun in vain, and as many executions as sleep sets alone complete", () => {
  let most = 0;
  fc.assert(
    fc.property(plans(2), (plan) => {
      const program = programOf(plan);
      const optimal = exploreThreads(program, { executionsMax: TOO_MANY });
      fc.pre(optimal.complete);
      expect(optimal.sleepBlocked).toBe(0);
      // Sleep sets alone complete each trace exactly once; the rest of their work is in vain.
      const { executions } = exploreThreads(program, { reductions: { sourceSets: false } });
      expect(optimal.executions).toBe(executions);
      most = Math.max(most, executions);
    }),
    { seed: 2, numRuns: 150 },
  );
  expect(most).toBeGreaterThan(50);
});

test("a lock that others hold for reading is not taken before they let go of it", () => {
  const rw = struct("rw", { lock: rwlock_t });
  const program = threadProgram("readers that write", (world) => {
    const rwlock = world.allocStaticStruct(rw);
    const x = world.variable("x");
    world.thread("reader", function* () {
      yield* read_lock(rwlock, rw.fields.lock);
      const seen = yield* read(x);
      yield* read_unlock(rwlock, rw.fields.lock);
      return seen;
    });
    world.thread("writer", function* () {
      yield* write_lock_irq(rwlock, rw.fields.lock);
      yield* write(x, 5);
      yield* write_unlock_irq(rwlock, rw.fields.lock);
    });
    world.thread("setter", function* () {
      yield* read_lock(rwlock, rw.fields.lock);
      yield* write(x, (yield* read(x)) + 1);
      yield* read_unlock(rwlock, rw.fields.lock);
      yield* write(x, 9);
    });
  });
  expect(outcomesOf(program, {})).toEqual(outcomesOf(program, BRUTE_FORCE));
  const { executions, sleepBlocked } = exploreThreads(program);
  expect(sleepBlocked).toBe(0);
  expect(executions).toBe(exploreThreads(program, { reductions: { sourceSets: false } }).executions);
});
