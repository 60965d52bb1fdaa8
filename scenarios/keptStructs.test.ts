/**
 * Where the struct stays as long as its task, no search finds the forms of the thread's crashes, in any scenario; the
 * same search finds them where it is freed earlier. A few runs of each here; the hunts of many are named in
 * docs/decisions/011-what-a-lifetime-is.md.
 */
import { expect, test } from "vitest";
import { LIFETIMES } from "../model/utrace/lifetimes/index.ts";
import { type Finding, hunt } from "../sim/index.ts";
import { SCENARIOS } from "./index.ts";
import { resolveParameters } from "./parameters.ts";
import type { Scenario } from "./scenario.ts";

const RUNS = 6;

/**
 * Without classic ptrace. That wakes a task out of utrace_stop, which takes it for a SIGKILL: BUG 2275 by another cause,
 * which no lifetime mends (corpus: ptrace-cont-wakes-utrace-stop).
 */
const ALONE = SCENARIOS.filter(({ name }) => !name.includes("ptrace"));

/** A paging fault in utrace_stop, BUG at kernel/utrace.c:2275, poison of a struct overwritten, and what precedes them. */
const ofTheCrash = ({ kind, title, function: where }: Finding): boolean =>
  (kind === "paging-fault" && where === "utrace_stop") ||
  title.includes("kernel/utrace.c:2275") ||
  title.startsWith("BUG utrace:") ||
  (kind === "use-after-free" && where === "utrace_stop") ||
  kind === "double-free";

/** Those of a lifetime, in some scenarios. */
function crashes(lifetime: string, scenarios: readonly Scenario[], runs: number): string[] {
  return scenarios.flatMap((scenario) => {
    const program = scenario.program(resolveParameters({ lifetime, config: "SLUB_DEBUG=y" }));
    const options = { strategy: "random", seed: "1", first: 0, runs, keepGoing: true, kinds: [] } as const;
    const { findings } = hunt(program, options);
    return findings
      .filter(({ finding }) => ofTheCrash(finding))
      .map(({ finding }) => `${scenario.name}: ${finding.title}`);
  });
}

const byStay = (stays: boolean): string[] =>
  [...LIFETIMES.values()].filter(({ layout }) => (layout.UTRACE_RCU !== true) === stays).map(({ name }) => name);

test.each(byStay(true))("%s: none of them", (lifetime) => {
  expect(crashes(lifetime, ALONE, RUNS)).toEqual([]);
});

test("freed earlier: some of them", () => {
  expect(byStay(false).flatMap((lifetime) => crashes(lifetime, ALONE.slice(0, 3), 5 * RUNS))).not.toEqual([]);
});
