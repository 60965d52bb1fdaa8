import { describe, expect, test } from "vitest";
import { costOf } from "../sim/cost.ts";
import { execute, findingKey, hunt, makeStrategy, type Program, ReplayStrategy, shrink } from "../sim/index.ts";
import { ATOMIC, LOAD } from "../sim/op.ts";
import { refcountedObject } from "./refcounted-object.ts";

const RUNS = 5000;

const huntIn = (program: Program, keepGoing: boolean) =>
  hunt(program, { strategy: "random", seed: "1", first: 0, runs: RUNS, keepGoing, kinds: [] });

describe("the careless reader", () => {
  const program = refcountedObject(false);
  const [found] = huntIn(program, false).findings;

  test("takes a reference that does not count, and so the object is freed twice", () => {
    expect(found?.finding).toMatchObject({ kind: "double-free", function: "obj_free" });
  });

  test("its witness shrinks to a schedule that is no longer, needs fewer changes of CPU, and replays", () => {
    if (found === undefined) throw new Error("nothing to shrink");
    const { schedule, cost } = shrink(program, found.schedule, found.finding);
    const before = costOf(program, found.schedule);
    // The writer has to be left once it has published, the reader once it has looked.
    expect(cost.preemptions).toBe(2);
    expect(cost.changes).toBeLessThan(before.changes);
    expect(cost.steps).toBeLessThanOrEqual(40);
    const runs = [1, 2].map(() => execute(program, new ReplayStrategy(schedule), { until: () => true }));
    expect(runs.map(({ findings }) => findings.map(findingKey))).toEqual([
      [findingKey(found.finding)],
      [findingKey(found.finding)],
    ]);
    expect(runs[0]?.historyHash).toBe(runs[1]?.historyHash);
  });
});

describe("the careful reader", () => {
  const program = refcountedObject(true);

  test(`gives no cause for complaint in ${RUNS} runs`, () => {
    expect(huntIn(program, true)).toMatchObject({ executions: RUNS, findings: [], cutOff: 0 });
  });

  test("meets the case that it is careful about: no reference left, and one that comes or goes as it looks", () => {
    let gone = 0;
    let changed = 0;
    for (let run = 0; run < RUNS; run++) {
      const { history } = execute(program, makeStrategy("random", `1/${run}`), { record: true });
      const gets = history.filter(({ backtrace }) => backtrace[0] === "obj_get_unless_zero");
      if (gets.some(({ kind, result }) => kind === LOAD && result === 0)) gone++;
      if (gets.filter(({ kind }) => kind === ATOMIC).length > 1 || (gets.length > 2 && gets.length % 2 === 1))
        changed++;
    }
    expect(gone).toBeGreaterThan(0);
    expect(changed).toBeGreaterThan(0);
  });
});
