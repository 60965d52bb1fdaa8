/** Counts of traces known from the literature and confirmed by brute force; and random programs against brute force. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ExploreOptions, exploreThreads } from "./explore.ts";
import { atomicAdd, lock, read, type ThreadProgram, threadProgram, unlock, type Variable, write } from "./world.ts";

const BRUTE_FORCE: ExploreOptions = { reductions: { sourceSets: false, sleepSets: false, wakeupTrees: false } };

const writers = (n: number): ThreadProgram =>
  threadProgram(`writers(${n})`, (world) => {
    const x = world.variable("x");
    for (let i = 0; i < n; i++) {
      world.thread(`writer${i}`, function* () {
        yield* write(x, i + 1);
      });
    }
  });

const readers = (n: number): ThreadProgram =>
  threadProgram(`readers(${n})`, (world) => {
    const x = world.variable("x");
    const cells = world.array("cell", n);
    world.thread("writer", function* () {
      yield* write(x, 1);
    });
    for (const [i, cell] of cells.entries()) {
      world.thread(`reader${i}`, function* () {
        yield* write(cell, yield* read(x));
      });
    }
  });

const lastzero = (n: number): ThreadProgram =>
  threadProgram(`lastzero(${n})`, (world) => {
    const cells = world.array("cell", n + 1);
    const cell = (i: number): Variable => cells[i] as Variable;
    world.thread("reader", function* () {
      let i = n;
      while ((yield* read(cell(i))) !== 0) i--;
      return i;
    });
    for (let i = 1; i <= n; i++) {
      world.thread(`writer${i}`, function* () {
        yield* write(cell(i), (yield* read(cell(i - 1))) + 1);
      });
    }
  });

const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));

/** Outcomes without their counts, in a fixed order. */
const outcomesOf = (program: ThreadProgram, options: ExploreOptions): string[] =>
  exploreThreads(program, options)
    .outcomes.map(({ returned, variables }) => JSON.stringify([returned, variables]))
    .sort();

const findingsOf = (program: ThreadProgram, options: ExploreOptions): string[] =>
  exploreThreads(program, options)
    .findings.map(({ kind, title, thread }) => `${kind} ${title} ${thread}`)
    .sort();

describe("executions are Mazurkiewicz traces", () => {
  test.each([1, 2, 3, 4, 5, 6])("%i writers to one variable: N!", (n) => {
    const { executions, sleepBlocked, complete } = exploreThreads(writers(n));
    expect({ executions, sleepBlocked, complete }).toEqual({
      executions: factorial(n),
      sleepBlocked: 0,
      complete: true,
    });
  });

  test.each([1, 2, 5, 8])("readers(%i): 2^N", (n) => {
    const { executions, sleepBlocked } = exploreThreads(readers(n));
    expect({ executions, sleepBlocked }).toEqual({ executions: 2 ** n, sleepBlocked: 0 });
  });

  test.each([2, 3, 5, 9])("lastzero(%i): (N+3) 2^(N-2)", (n) => {
    const { executions, sleepBlocked } = exploreThreads(lastzero(n));
    expect({ executions, sleepBlocked }).toEqual({ executions: (n + 3) * 2 ** (n - 2), sleepBlocked: 0 });
  });
});

/** What a random thread does. */
type Act =
  | { readonly op: "read" | "write" | "atomic"; readonly of: number }
  | { readonly op: "locked"; readonly of: number; readonly by: number };

const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ op: fc.constantFrom("read" as const, "write" as const, "atomic" as const), of: fc.nat(1) }),
  fc.record({ op: fc.constant("locked" as const), of: fc.nat(1), by: fc.nat(1) }),
);

/** Threads of at most `most` acts each. */
const threads = (most: number): fc.Arbitrary<Act[][]> =>
  fc.array(fc.array(act, { minLength: 1, maxLength: most }), { minLength: 2, maxLength: 3 });

/** A program that logs, in a place apart, in which order each place was touched. */
const programOf = (plan: readonly (readonly Act[])[]): ThreadProgram =>
  threadProgram("random", (world) => {
    const places = world.array("place", 2);
    const locks = [world.lock("lock0"), world.lock("lock1")];
    for (const [t, acts] of plan.entries()) {
      world.thread(`thread${t}`, function* () {
        let seen = "";
        for (const [i, { op, of, ...rest }] of acts.entries()) {
          const place = places[of] as Variable;
          if (op === "read") seen += yield* read(place);
          else if (op === "write") yield* write(place, 10 * (t + 1) + i);
          else if (op === "atomic") seen += yield* atomicAdd(place, 100 * (t + 1));
          else {
            const outer = locks[of] as Variable;
            const inner = locks["by" in rest ? rest.by : 0] as Variable;
            yield* lock(outer);
            seen += yield* read(place);
            if (inner !== outer) {
              yield* lock(inner);
              yield* unlock(inner);
            }
            yield* unlock(outer);
          }
          seen += ",";
        }
        return seen;
      });
    }
  });

describe("with each reduction off, the same end states and findings", () => {
  const variants: readonly (readonly [string, ExploreOptions])[] = [
    ["optimal", {}],
    ["no wakeup trees", { reductions: { wakeupTrees: false } }],
    ["no sleep sets", { reductions: { sleepSets: false, wakeupTrees: false } }],
    ["no source sets", { reductions: { sourceSets: false } }],
    ["states", { search: "states" }],
    ["states, no persistent sets", { search: "states", reductions: { persistentSets: false } }],
  ];

  test.each(variants)("%s, against brute force", (_, options) => {
    fc.assert(
      fc.property(threads(2), (plan) => {
        const program = programOf(plan);
        expect(outcomesOf(program, options)).toEqual(outcomesOf(program, BRUTE_FORCE));
        expect(findingsOf(program, options)).toEqual(findingsOf(program, BRUTE_FORCE));
      }),
      { seed: 1, numRuns: 60 },
    );
  });

  test("optimal: nothing is begun in vain, and source sets with sleep sets alone run no fewer", () => {
    fc.assert(
      fc.property(threads(3), (plan) => {
        const program = programOf(plan);
        const optimal = exploreThreads(program);
        expect(optimal.sleepBlocked).toBe(0);
        const plain = exploreThreads(program, { reductions: { sourceSets: false, wakeupTrees: false } });
        // Sleep sets alone run each trace exactly once to its end; the rest of their work is in vain.
        expect(optimal.executions).toBe(plain.executions);
      }),
      { seed: 2, numRuns: 100 },
    );
  });
});
