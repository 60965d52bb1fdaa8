/** Explorations that are stopped and gone on with. */
import { describe, expect, test } from "vitest";
import type { Checkpoint } from "./checkpoint.ts";
import { type Exploration, type ExploreOptions, exploreThreads } from "./explore.ts";
import { programOf, randomPlans } from "./testPrograms.ts";
import { increment, type ThreadProgram, threadProgram, write } from "./world.ts";

/** Explores, stopped after every `every` executions, with only what JSON keeps carried over. */
function inPieces(program: ThreadProgram, options: ExploreOptions, every: number): [Exploration, number] {
  let pieces = 1;
  let executionsMax = every;
  let exploration = exploreThreads(program, { ...options, executionsMax });
  while (exploration.rest !== null) {
    const resume = JSON.parse(JSON.stringify(exploration.rest)) as Checkpoint;
    executionsMax += every;
    pieces++;
    exploration = exploreThreads(program, { ...options, resume, executionsMax });
  }
  return [exploration, pieces];
}

const lostUpdates = (by: number): ThreadProgram =>
  threadProgram("lost updates", (world) => {
    const x = world.variable("x");
    for (const name of ["one", "two"]) {
      world.thread(name, function* () {
        for (let i = 0; i < 3; i++) yield* increment(x, by);
      });
    }
  });

describe.each(["sc", "tso"] as const)("an exploration in pieces, under %s", (memory) => {
  test("comes to what one in one piece comes to, down to counts and witnesses", () => {
    let pieces = 0;
    for (const plan of randomPlans("pieces", 60, 2)) {
      const program = programOf(plan);
      const whole = exploreThreads(program, { memory, executionsMax: 400 });
      if (!whole.complete) continue;
      const [exploration, count] = inPieces(program, { memory }, 7);
      expect(exploration).toEqual(whole);
      pieces += count;
    }
    expect(pieces).toBeGreaterThan(60);
  });
});

test("a stopped exploration says so, and that there is more", () => {
  const stopped = exploreThreads(lostUpdates(1), { executionsMax: 3 });
  expect(stopped).toMatchObject({ complete: false, verdict: "none-found", executions: 3 });
  expect(stopped.rest).not.toBeNull();
  expect(exploreThreads(lostUpdates(1)).rest).toBeNull();
});

test("one that ends with the last execution is complete", () => {
  const { executions } = exploreThreads(lostUpdates(1));
  expect(exploreThreads(lostUpdates(1), { executionsMax: executions })).toMatchObject({ complete: true, rest: null });
});

describe("what cannot be gone on with is refused", () => {
  const resume = exploreThreads(lostUpdates(1), { executionsMax: 3 }).rest as Checkpoint;
  test("another program", () => {
    const other = threadProgram("other", (world) => {
      const x = world.variable("x");
      world.thread("one", function* () {
        yield* write(x, 1);
      });
    });
    expect(() => exploreThreads(other, { resume })).toThrow("has program lost updates, not other");
  });
  test("another memory model", () => {
    expect(() => exploreThreads(lostUpdates(1), { resume, memory: "tso" })).toThrow("has memory model sc, not tso");
  });
  test("other bounds", () => {
    expect(() => exploreThreads(lostUpdates(1), { resume, stepsMax: 5 })).toThrow('options {}, not {"stepsMax":5}');
  });
  test("a program of that name that has changed", () => {
    const changed = threadProgram("lost updates", (world) => {
      const x = world.variable("x");
      world.thread("one", function* () {
        yield* write(x, 1);
      });
    });
    expect(() => exploreThreads(changed, { resume })).toThrow("lost updates has changed since");
  });
  test("a search over states", () => {
    expect(() => exploreThreads(lostUpdates(1), { resume, search: "states" })).toThrow("only a search over traces");
  });
});
