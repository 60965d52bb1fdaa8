/** Bounds of an exploration: each where it cuts and where it must not; and what is said of the work left. */
import { describe, expect, test } from "vitest";
import { exploreThreads, type Progress } from "./explore.ts";
import { increment, read, type ThreadProgram, threadProgram, write } from "./world.ts";

/** One waits for the other in a loop that never has to end. */
const spinning = threadProgram("spinning", (world) => {
  const flag = world.variable("flag");
  world.thread("waiter", function* () {
    let rounds = 1;
    while ((yield* read(flag)) === 0) rounds++;
    return rounds;
  });
  world.thread("setter", function* () {
    yield* write(flag, 1);
  });
});

/** Reads three variables in a loop, each once. */
const walking = threadProgram("walking", (world) => {
  const cells = world.array("cell", 3);
  world.thread("reader", function* () {
    let sum = 0;
    for (const cell of cells) sum += yield* read(cell);
    return sum;
  });
  for (const cell of cells)
    world.thread(`writer of ${cell.name}`, function* () {
      yield* write(cell, 1);
    });
});

describe.each(["traces", "states"] as const)("a bound on iterations, searching over %s", (search) => {
  test("cuts a loop that goes round once more, and only there", () => {
    const bounded = exploreThreads(spinning, { search, iterationsMax: 3 });
    expect(bounded).toMatchObject({ complete: false, verdict: "none-found", bounds: { iterationsMax: 3 } });
    expect(bounded.cutOff).toBeGreaterThan(0);
    expect(bounded.outcomes.map(({ returned }) => Number(returned.waiter)).sort()).toEqual([1, 2, 3]);
  });

  test("leaves a loop alone that takes another step each time", () => {
    const bounded = exploreThreads(walking, { search, iterationsMax: 1 });
    expect(bounded).toMatchObject({ complete: true, cutOff: 0 });
    expect(bounded.outcomes).toEqual(exploreThreads(walking, { search }).outcomes);
  });
});

test("a bound on iterations below 1 is refused", () => {
  expect(() => exploreThreads(walking, { iterationsMax: 0 })).toThrow("iterationsMax must be 1 or more");
});

test("a bound on steps cuts a loop that has no end", () => {
  const { complete, cutOff } = exploreThreads(spinning, { stepsMax: 6 });
  expect({ complete, cutOff }).toEqual({ complete: false, cutOff: 1 });
  expect(exploreThreads(walking, { stepsMax: 6 })).toMatchObject({ complete: true, cutOff: 0 });
});

describe("a bound on changes of thread", () => {
  /** Sums that two threads come to which add two each, in two steps for each. */
  const lostUpdates = threadProgram("lost updates", (world) => {
    const x = world.variable("x");
    for (const name of ["one", "two"]) {
      world.thread(name, function* () {
        yield* increment(x);
        yield* increment(x);
      });
    }
  });
  const sums = (switchesMax: number): (number | undefined)[] =>
    exploreThreads(lostUpdates, { switchesMax })
      .outcomes.map(({ variables }) => variables.x)
      .sort();

  test("cuts what takes more of them, and nothing else", () => {
    expect(sums(0)).toEqual([]);
    expect(sums(1)).toEqual([4]);
    expect(sums(2)).toEqual([2, 4]);
    expect(sums(3)).toEqual([2, 3, 4]);
    const { complete, bounds } = exploreThreads(lostUpdates, { switchesMax: 1 });
    expect({ complete, bounds }).toMatchObject({ complete: true, bounds: { switchesMax: 1, preemptionsMax: null } });
  });

  test("goes with neither a bound on preemptions nor the search over traces", () => {
    expect(() => exploreThreads(lostUpdates, { switchesMax: 1, preemptionsMax: 1 })).toThrow("give one of them");
    expect(() => exploreThreads(lostUpdates, { switchesMax: 1, search: "traces" })).toThrow(
      "needs the search over states",
    );
  });
});

describe("the estimate", () => {
  const writers = (n: number): ThreadProgram =>
    threadProgram(`writers(${n})`, (world) => {
      const x = world.variable("x");
      for (let i = 0; i < n; i++)
        world.thread(`writer${i}`, function* () {
          yield* write(x, i + 1);
        });
    });

  test("is never below what is done, and comes close before the end", () => {
    const seen: Progress[] = [];
    const { executions } = exploreThreads(writers(8), { onProgress: (soFar) => seen.push(soFar) > 0 });
    expect(seen.length).toBeGreaterThan(20);
    for (const { estimate, executions: done } of seen) expect(estimate).toBeGreaterThanOrEqual(done);
    const half = seen[Math.floor(seen.length / 2)]?.estimate ?? 0;
    expect(half / executions).toBeGreaterThan(0.8);
    expect(half / executions).toBeLessThan(1.25);
  });

  test("there is none over states", () => {
    const seen: Progress[] = [];
    exploreThreads(writers(13), { search: "states", onProgress: (soFar) => seen.push(soFar) < 2, statesMax: 5000 });
    for (const { estimate } of seen) expect(estimate).toBeNull();
  });
});
