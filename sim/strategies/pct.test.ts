import { describe, expect, test } from "vitest";
import { measure, tune } from "../measure.ts";
import { execute, type Program } from "../run.ts";
import { chainOfDepth, stepsOfChain } from "./chain.ts";
import { PctStrategy, pctBound } from "./pct.ts";

const shows = (program: Program, strategy: PctStrategy): boolean =>
  execute(program, strategy).findings.some(({ kind }) => kind === "bug-on");

/** Share of the runs in which pct, aiming at this depth, finds the bug. */
function rate(program: Program, depth: number, steps: number, runs: number): number {
  let hits = 0;
  for (let run = 0; run < runs; run++) if (shows(program, new PctStrategy(`promise/${run}`, depth, steps))) hits++;
  return hits / runs;
}

const RUNS = [0, 2000, 2000, 12_000];

describe("the promise of pct", () => {
  // Two CPUs for more tasks than that: some have to be brought to a CPU by preemptions and switches.
  const CASES = [1, 2, 3].flatMap((depth) => [
    { depth, tasks: 3, cpus: 2 },
    { depth, tasks: 4, cpus: 4 },
  ]);

  test.each(CASES)(
    "a bug of depth $depth among $tasks tasks on $cpus CPUs comes as often",
    ({ depth, tasks, cpus }) => {
      const steps = stepsOfChain(depth, tasks);
      const measured = rate(chainOfDepth(depth, tasks, cpus), depth, steps, RUNS[depth] as number);
      expect(measured).toBeGreaterThanOrEqual(pctBound(depth, steps, tasks));
    },
  );

  test.each([1, 2, 3])(
    "of depth %d among two tasks, where no program has it come less often: exactly as often",
    (depth) => {
      const steps = stepsOfChain(depth, 2);
      const runs = RUNS[depth] as number;
      const promised = pctBound(depth, steps, 2);
      const deviation = Math.sqrt((promised * (1 - promised)) / runs);
      expect(Math.abs(rate(chainOfDepth(depth, 2, 2), depth, steps, runs) - promised)).toBeLessThan(3 * deviation);
    },
  );

  test.each([2, 3])("a bug of depth %d never comes to one who aims lower", (depth) => {
    const steps = stepsOfChain(depth, 3);
    expect(rate(chainOfDepth(depth, 3, 2), depth - 1, steps, 1000)).toBe(0);
  });

  test("threads and steps are measured", () => {
    const { steps, threads } = measure(chainOfDepth(3, 4, 2));
    expect(threads).toBe(4);
    // The bug takes a step of its own, in the runs where it comes.
    expect([0, 1]).toContain(steps - stepsOfChain(3, 4));
    expect(tune(chainOfDepth(3, 4, 2), "pct").steps).toBe(steps);
  });

  test("is the inverse of threads times steps to the power of depth less one", () => {
    expect(pctBound(1, 1000, 7)).toBe(1 / 7);
    expect(pctBound(3, 100, 5)).toBe(1 / 50_000);
  });
});

test("without change points each task runs to its end once it has begun", () => {
  const program = chainOfDepth(1, 3, 1);
  for (let seed = 0; seed < 50; seed++) {
    const { history } = execute(program, new PctStrategy(String(seed), 1, 10), { record: true });
    const tasks = history.filter(({ kind }) => kind !== 0).map(({ pid }) => pid);
    const stretches = tasks.filter((pid, i) => pid !== tasks[i - 1]);
    expect(stretches).toEqual([...new Set(stretches)]);
  }
});
