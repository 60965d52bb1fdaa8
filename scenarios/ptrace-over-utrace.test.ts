/**
 * The conflicts of ptrace and utrace with ptrace as an engine: which are gone, and which are not. All of utrace's later
 * fixes are on, so that what is found is the conflict's.
 */
import { expect, test } from "vitest";
import { execute, makeStrategy } from "../sim/index.ts";
import { SCENARIOS } from "./index.ts";
import { resolveParameters } from "./parameters.ts";

const RUNS = 40;

/** Kinds of finding that show a conflict, in this many runs. */
function conflictsOf(name: string, ptrace: "y" | "n", runs = RUNS): number {
  const scenario = SCENARIOS.find((other) => other.name === name);
  if (scenario === undefined) throw new Error(`no scenario ${name}`);
  const program = scenario.program(resolveParameters({ config: `UTRACE_PTRACE=${ptrace}`, patches: "all" }));
  let found = 0;
  for (let run = 0; run < runs; run++) {
    const { findings } = execute(program, makeStrategy("random", `1/${run}`));
    if (findings.some(({ kind }) => ["property", "bug-on", "warn-on"].includes(kind))) found++;
  }
  return found;
}

test.each([
  ["C1", "ptrace-wakes-utrace"],
  ["C3", "ptrace-hides-target"],
  ["C4", "ptrace-clears-system-calls"],
  ["C4, the other way", "utrace-clears-system-calls"],
  ["C5", "ptrace-single-step"],
  ["C6", "ptrace-signals"],
  ["C8", "ptrace-wait"],
])(`%s is gone: nothing in ${RUNS} runs of %s`, (_number, name) => {
  expect(conflictsOf(name, "y")).toBe(0);
});

test("C2 is not: SIGCONT ends a job control stop that the tracer works on (CHOSEN: that stop is not the tracer's)", () => {
  expect(conflictsOf("ptrace-loses-stop", "y")).toBeGreaterThan(0);
});

test("C7 is not: a stop of utrace's in the middle of a group stop counts twice, whoever asked for it", () => {
  expect(conflictsOf("ptrace-group-stop", "y", 60)).toBeGreaterThan(0);
});
