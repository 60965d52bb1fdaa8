/**
 * Another lifetime is one new file and one line: here a wrong one. The command line, the layouts, the comparison and
 * every scenario take it in by themselves, and it is found out.
 */
import { afterAll, describe, expect, test, vi } from "vitest";
import { makeSandbox } from "../cli/fakeIo.ts";
import { compareLifetimes } from "../comparison/compare.ts";
import { LIFETIMES } from "../model/utrace/lifetimes/index.ts";
import { SCENARIOS } from "../scenarios/index.ts";
import { resolveParameters } from "../scenarios/parameters.ts";
import { hunt } from "../sim/index.ts";

// The one line, which would stand in lifetimes/index.ts.
vi.mock("../model/utrace/lifetimes/index.ts", async (original) => {
  const { LIFETIMES: known } = await original<typeof import("../model/utrace/lifetimes/index.ts")>();
  const { hasty } = await import("./brokenLifetime/hasty.ts");
  return { LIFETIMES: new Map([...known, [hasty.name, hasty]]) };
});

const sandbox = makeSandbox(SCENARIOS);
afterAll(() => sandbox.remove());

/** The scenario in which two attach at once: someone may have read the pointer that a detach takes away. */
const SCENARIO = "two-engines";

/** Kinds of finding in functions where the struct of `pointer` is always there: before the task sleeps in utrace_stop. */
function foundIn(lifetime: string): string[] {
  const scenario = SCENARIOS.find(({ name }) => name === SCENARIO);
  const program = scenario?.program(resolveParameters({ lifetime, patches: "all" }));
  if (program === undefined) throw new Error(SCENARIO);
  const options = { strategy: "random", seed: "1", first: 0, runs: 100, keepGoing: true } as const;
  const { findings } = hunt(program, { ...options, kinds: ["use-after-free"] });
  return findings.map(({ finding }) => finding.function);
}

describe("a lifetime that frees without a grace period", () => {
  test("is found out by search, and pointer is not by the same search", () => {
    expect(foundIn("hasty")).not.toEqual([]);
    expect(foundIn("pointer")).toEqual([]);
  });

  test("is on the command line: listed, run, and named in the error for an unknown one", async () => {
    const { stdout } = await sandbox.cli("list", "--json");
    expect(JSON.parse(stdout).lifetimes).toEqual([...LIFETIMES.keys()]);
    expect([...LIFETIMES.keys()]).toContain("hasty");
    const hunted = await sandbox.cli(
      "hunt",
      SCENARIO,
      "--lifetime",
      "hasty",
      "--find",
      "use-after-free",
      "--no-shrink",
    );
    expect(hunted.code).toBe(1);
    const wrong = await sandbox.cli("run", SCENARIO, "--lifetime", "eternal");
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringMatching(/known: .*hasty/)]);
  });

  test("is in the comparison", () => {
    expect(compareLifetimes([...LIFETIMES.values()]).lifetimes).toContain("hasty");
  });
});
