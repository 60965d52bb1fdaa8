import { expect, test } from "vitest";
import { hunt, makeStrategy, seedOfRun } from "../hunt.ts";
import { execute } from "../run.ts";
import { dealt, TUNING } from "./byName.ts";
import { chainOfDepth } from "./chain.ts";

const program = chainOfDepth(2, 3, 2);

test("a run of the portfolio is that run of the strategy whose turn it is", () => {
  for (let run = 0; run < 40; run++) {
    const seed = seedOfRun("7", run);
    const hash = (name: Parameters<typeof makeStrategy>[0]) =>
      execute(program, makeStrategy(name, seed, TUNING)).historyHash;
    expect(hash("portfolio")).toBe(hash(dealt("portfolio", seed)));
  }
});

test("every strategy that it deals to has its turn, whatever the seed", () => {
  const turns = (seed: string) => Array.from({ length: 40 }, (_, run) => dealt("portfolio", seedOfRun(seed, run)));
  expect(new Set(turns("1"))).toEqual(new Set(["random", "pct", "pos", "preemption-bounded"]));
  expect(turns("2")).toEqual(turns("1"));
});

test("a hunt in two parts is the hunt in one", () => {
  const options = { strategy: "portfolio", seed: "1", keepGoing: true, kinds: [] } as const;
  const whole = hunt(program, { ...options, first: 0, runs: 100 });
  const parts = [hunt(program, { ...options, first: 0, runs: 37 }), hunt(program, { ...options, first: 37, runs: 63 })];
  expect(parts.flatMap(({ hashes }) => hashes)).toEqual(whole.hashes);
});

test("other names are dealt to themselves", () => {
  expect(dealt("timed", "1/5")).toBe("timed");
});
