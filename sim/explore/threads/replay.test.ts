/** Witnesses run again, and thread programs on the machine. */
import { describe, expect, test } from "vitest";
import { hunt } from "../../hunt.ts";
import { smp_mb } from "../../primitives.ts";
import { exploreThreads } from "./explore.ts";
import { onMachine } from "./onMachine.ts";
import { replayThreads } from "./replay.ts";
import { increment, lock, read, type ThreadProgram, threadProgram, unlock, write } from "./world.ts";

/** Two threads that take two locks, in the same order or not. */
const locking = (sameOrder: boolean): ThreadProgram =>
  threadProgram("locking", (world) => {
    const [one, two] = [world.lock("one"), world.lock("two")];
    world.thread("ahead", function* () {
      yield* lock(one);
      yield* lock(two);
      yield* unlock(two);
      yield* unlock(one);
    });
    world.thread("back", function* () {
      yield* lock(sameOrder ? one : two);
      yield* lock(sameOrder ? two : one);
      yield* unlock(sameOrder ? two : one);
      yield* unlock(sameOrder ? one : two);
    });
  });

const dekker = threadProgram("dekker", (world) => {
  const [x, y] = [world.variable("x"), world.variable("y")];
  world.thread("one", function* () {
    yield* write(x, 1);
    return yield* read(y);
  });
  world.thread("two", function* () {
    yield* write(y, 1);
    return yield* read(x);
  });
});

describe("a witness", () => {
  test("of a finding shows it again: a deadlock", () => {
    const { findings, verdict } = exploreThreads(locking(false));
    expect(verdict).toBe("violated");
    const [deadlock] = findings;
    const again = replayThreads(locking(false), deadlock?.witness as never);
    expect(again.findings.map(({ kind, thread }) => `${kind} ${thread}`)).toEqual(["deadlock ahead", "deadlock back"]);
    expect(again.steps.map(({ thread, op }) => `${thread} ${op}`)).toEqual(["ahead spin_lock", "back spin_lock"]);
  });

  test("of an outcome leads to it: under tso both stores are still on their way", () => {
    const { outcomes } = exploreThreads(dekker, { memory: "tso" });
    const both = outcomes.find(({ returned }) => returned.one === "0" && returned.two === "0");
    const { steps } = replayThreads(dekker, both?.witness as never, "tso");
    expect(steps.filter(({ op }) => op === "load").map(({ value }) => value)).toEqual([0, 0]);
    expect(steps.slice(-2).map(({ op }) => op)).toEqual(["flush", "flush"]);
  });

  test("that does not fit the program names the step and who could go on", () => {
    const witness = { actors: [0, 1, 1, 0], choices: [0, 0, 0, 0], preemptions: 0 };
    expect(() => replayThreads(locking(false), witness)).toThrow(
      "step 2 is one of back, which cannot go on there; possible: none",
    );
  });
});

describe("a thread program on the machine", () => {
  const options = { strategy: "random", seed: "1", first: 0, runs: 300, keepGoing: false, kinds: [] } as const;

  test("shows what the exploration shows: a lock order that deadlocks", () => {
    const checks = new Set(["hang"] as const);
    expect(hunt(onMachine(locking(false), { checks }), options).findings[0]?.finding.kind).toBe("deadlock");
  });

  test("shows nothing where there is nothing", () => {
    expect(hunt(onMachine(locking(true)), options).findings).toEqual([]);
  });

  test("finds its variables where the exploration finds them", () => {
    const program = threadProgram("sum", (world) => {
      const sum = world.variable("sum", 40);
      world.thread("adder", function* () {
        yield* smp_mb();
        return yield* increment(sum, 2);
      });
    });
    expect(exploreThreads(program).outcomes[0]?.variables).toEqual({ sum: 42 });
    expect(hunt(onMachine(program), options).executions).toBe(300);
  });
});

describe("bounds", () => {
  test("a bound on preemptions leaves out what needs more of them, and says so", () => {
    const lost = threadProgram("lost update", (world) => {
      const x = world.variable("x");
      for (const name of ["one", "two"]) {
        world.thread(name, function* () {
          yield* increment(x);
        });
      }
    });
    const sums = (preemptionsMax: number): (number | undefined)[] =>
      exploreThreads(lost, { preemptionsMax }).outcomes.map(({ variables }) => variables.x);
    expect(sums(0)).toEqual([2]);
    expect(sums(1).sort()).toEqual([1, 2]);
    expect(exploreThreads(lost, { preemptionsMax: 0 })).toMatchObject({
      complete: true,
      bounds: { preemptionsMax: 0 },
    });
  });

  test("a loop that never ends is cut off, and nothing is claimed", () => {
    const spinning = threadProgram("spinning", (world) => {
      const x = world.variable("x");
      world.thread("spinner", function* () {
        while ((yield* read(x)) === 0);
      });
    });
    const { complete, cutOff, verdict } = exploreThreads(spinning, { stepsMax: 50 });
    expect({ complete, cutOff, verdict }).toEqual({ complete: false, cutOff: 1, verdict: "none-found" });
  });

  test("more threads than there is room for are refused by name", () => {
    const crowd = threadProgram("crowd", (world) => {
      for (let i = 0; i < 40; i++) world.thread(`t${i}`, function* () {});
    });
    expect(() => exploreThreads(crowd)).toThrow("crowd has more than 31 threads");
  });
});
