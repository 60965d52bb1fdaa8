/** Explorations in parts: the same executions, none lost and none twice. */
import { describe, expect, test } from "vitest";
import { type Exploration, exploreThreads } from "./explore.ts";
import { contradictory, type NthStep, reversed } from "./orders.ts";
import { exploreInParts, isJoined, joinParts, PartExplorer } from "./parts.ts";
import { planParts } from "./plan.ts";
import { programOf, randomPlans } from "./testPrograms.ts";
import { read, type ThreadProgram, threadProgram, write } from "./world.ts";

/** What must not depend on how the work is split. */
const essence = ({
  verdict,
  complete,
  executions,
  sleepBlocked,
  outcomes,
  findings,
  distinctOutcomes,
}: Exploration) => ({
  verdict,
  complete,
  executions,
  sleepBlocked,
  distinctOutcomes,
  outcomes: outcomes.map(({ witness: _, ...outcome }) => JSON.stringify(outcome)).sort(),
  findings: findings.map(({ kind, title, thread, count }) => `${kind} ${title} ${thread} ${count}`).sort(),
});

const writers = (n: number): ThreadProgram =>
  threadProgram(`writers(${n})`, (world) => {
    const x = world.variable("x");
    for (let i = 0; i < n; i++) {
      world.thread(`writer${i}`, function* () {
        yield* write(x, i + 1);
      });
    }
  });

describe.each(["sc", "tso"] as const)("random programs in parts, under %s", (memory) => {
  test("as many executions, and the same outcomes and findings as in one piece; nothing begun in vain", () => {
    let parts = 0;
    let compared = 0;
    for (const plan of randomPlans("parts", 60, 3)) {
      const program = programOf(plan);
      const whole = exploreThreads(program, { memory, executionsMax: 1000 });
      if (!whole.complete) continue;
      expect(essence(exploreInParts(program, { memory }))).toEqual(essence(whole));
      parts += planParts(program, { memory }).parts.length;
      compared++;
    }
    expect(compared).toBeGreaterThan(30);
    expect(parts).toBeGreaterThan(4 * compared);
  });
});

test("the parts share the work: none has more than a quarter of it", () => {
  const plan = planParts(writers(6), {});
  const explorer = new PartExplorer(writers(6), {}, plan);
  const sizes = plan.parts.map((_, part) => explorer.explore(part).counts.executions);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(720);
  expect(Math.max(...sizes)).toBeLessThan(180);
});

test("threads that never meet make one part", () => {
  const apart = threadProgram("apart", (world) => {
    for (const cell of world.array("cell", 3)) {
      world.thread(cell.name, function* () {
        yield* write(cell, 1);
      });
    }
  });
  expect(planParts(apart, {}).parts).toEqual([[]]);
  expect(exploreInParts(apart)).toMatchObject({ complete: true, executions: 1 });
});

test("steps that touch another place than they did in the executions taken at random are not cut at", () => {
  // One schedule in a million: the reader goes where `where` says, which is set last of all and early enough.
  const rare = threadProgram("rare", (world) => {
    const [x, y, where] = [world.variable("x"), world.variable("y"), world.variable("where")];
    const steps = world.array("step", 20);
    world.thread("reader", function* () {
      return (yield* read(where)) === 20 ? yield* read(y) : yield* read(x);
    });
    world.thread("setter", function* () {
      for (const [i, step] of steps.entries()) yield* write(step, i);
      yield* write(where, 20);
    });
    world.thread("writer", function* () {
      yield* write(x, 1);
      yield* write(y, 1);
    });
  });
  const plan = planParts(rare, {});
  expect(plan.pairs.length).toBeGreaterThan(0);
  const explorer = new PartExplorer(rare, {}, plan);
  const results = plan.parts.map((_, part) => explorer.explore(part));
  const joined = joinParts({}, plan, results);
  expect(isJoined(joined)).toBe(false);
  expect(joined).toHaveProperty("givenUp.length");
  expect(exploreInParts(rare)).toMatchObject({ complete: true, executions: exploreThreads(rare).executions });
});

test("part of the parts is not complete", () => {
  const plan = planParts(writers(4), {});
  const first = new PartExplorer(writers(4), {}, plan).explore(0);
  expect(joinParts({}, plan, [first])).toMatchObject({ complete: false, verdict: "none-found" });
});

describe("orders contradict each other", () => {
  const step = (actor: number, nth: number): NthStep => ({ actor, nth });
  const order = (earlier: NthStep, later: NthStep) => ({ earlier, later, mustOccur: false });

  test("if they go in a circle, by themselves or through the order of an actor's steps", () => {
    expect(contradictory([order(step(0, 0), step(1, 0)), order(step(1, 0), step(0, 0))])).toBe(true);
    expect(contradictory([order(step(0, 1), step(1, 0)), order(step(1, 1), step(0, 0))])).toBe(true);
  });

  test("and not otherwise", () => {
    const one = order(step(0, 0), step(1, 0));
    expect(contradictory([one, order(step(1, 1), step(0, 1))])).toBe(false);
    expect(contradictory([reversed(one), order(step(1, 1), step(0, 1))])).toBe(false);
  });
});
