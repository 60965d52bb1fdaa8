/** The programs of the bench: as many executions as the literature says, and the verdicts of the models for Spin. */
import { describe, expect, test } from "vitest";
import { exploreThreads, type ThreadProgram } from "../../sim/index.ts";
import { AGAINST_SPIN, filesystem, indexer, lastzero, lostUpdates, readers, writers } from "./programs.ts";

const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));

const BRUTE_FORCE = { reductions: { sourceSets: false, sleepSets: false, wakeupTrees: false } };

describe("executions are Mazurkiewicz traces, and none is begun in vain", () => {
  test.each<[string, ThreadProgram, number]>([
    ...[1, 2, 3, 4, 5, 6].map((n): [string, ThreadProgram, number] => [`writers(${n}): N!`, writers(n), factorial(n)]),
    ...[1, 2, 5, 8].map((n): [string, ThreadProgram, number] => [`readers(${n}): 2^N`, readers(n), 2 ** n]),
    ...[2, 3, 5, 9].map((n): [string, ThreadProgram, number] => [
      `lastzero(${n}): (N+3) 2^(N-2)`,
      lastzero(n),
      (n + 3) * 2 ** (n - 2),
    ]),
    ["indexer(11): no two clash", indexer(11), 1],
    ["indexer(12): 8", indexer(12), 8],
    ["indexer(13): 64", indexer(13), 64],
    ["filesystem(14): 2", filesystem(14), 2],
    ["filesystem(18): 32", filesystem(18), 32],
  ])("%s", (_, program, expected) => {
    const { executions, sleepBlocked, complete } = exploreThreads(program);
    expect({ executions, sleepBlocked, complete }).toEqual({ executions: expected, sleepBlocked: 0, complete: true });
  });

  test("brute force comes to as many traces: sleep sets alone complete each once", () => {
    for (const program of [writers(4), readers(4), lastzero(4), lostUpdates(2)]) {
      const alone = exploreThreads(program, { reductions: { sourceSets: false } });
      expect(exploreThreads(program).executions).toBe(alone.executions);
    }
  });

  test("brute force without any reduction comes to the same end states", () => {
    for (const program of [writers(4), readers(3), lastzero(3), lostUpdates(2)]) {
      const all = exploreThreads(program, BRUTE_FORCE);
      const few = exploreThreads(program);
      const states = ({ outcomes }: typeof all): string[] =>
        outcomes.map(({ variables }) => JSON.stringify(variables)).sort();
      expect(states(few)).toEqual(states(all));
      expect(all.executions).toBeGreaterThanOrEqual(few.executions);
    }
  });
});

describe.each(AGAINST_SPIN.map((family) => [family.name, family] as const))("%s", (_, family) => {
  test("is right, and where it has a broken form, that is not", () => {
    for (const search of ["traces", "states"] as const) {
      expect(exploreThreads(family.program(2, false), { search }).verdict).toBe("held");
      if (family.hasBroken) expect(exploreThreads(family.program(2, true), { search }).verdict).toBe("violated");
    }
  });
});
