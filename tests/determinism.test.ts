/** The same scenario, parameters and seed give the same history: again, in another process, and beside another run. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SCENARIOS } from "../scenarios/index.ts";
import { resolveParameters } from "../scenarios/parameters.ts";
import { combineHashes } from "../sim/history.ts";
import { seedOfRun } from "../sim/hunt.ts";
import { execute, Machine, makeStrategy, type Program, type StrategyName, tune } from "../sim/index.ts";

const SEEDS = 12;
const CLI = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/** The portfolio has runs of all strategies but one. */
const STRATEGIES = ["portfolio", "timed"] as const;
const CASES = SCENARIOS.flatMap((scenario) => STRATEGIES.map((strategy) => ({ scenario, strategy })));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "utrace-sim-determinism-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the built command line prints as JSON, in a process of its own. */
function inAnotherProcess(...argv: string[]): { readonly historyHash: string; readonly executions: number } {
  try {
    return JSON.parse(execFileSync(process.execPath, [CLI, ...argv, "--json"], { cwd: folder, encoding: "utf8" }));
  } catch (error) {
    // Exit code 1 is a finding.
    if ((error as { status?: number }).status !== 1) throw error;
    return JSON.parse((error as { stdout: string }).stdout);
  }
}

/** The hash of each of {@link SEEDS} runs. */
function hashesOf(program: Program, strategy: StrategyName): string[] {
  const tuning = tune(program, strategy);
  const seeds = Array.from({ length: SEEDS }, (_, run) => seedOfRun("1", run));
  return seeds.map((seed) => execute(program, makeStrategy(strategy, seed, tuning)).historyHash);
}

describe.each(CASES)("$scenario.name under $strategy", ({ scenario, strategy }) => {
  const hashes = hashesOf(scenario.program(resolveParameters({})), strategy);

  test(`${SEEDS} seeds give different histories, and the same again`, () => {
    expect(new Set(hashes).size).toBeGreaterThan(1);
    expect(hashesOf(scenario.program(resolveParameters({})), strategy)).toEqual(hashes);
  });

  test("another process gives the same", () => {
    const more = ["--strategy", strategy, "--runs", String(SEEDS), "--keep-going", "--no-shrink", "--no-explain"];
    const hunted = inAnotherProcess("hunt", scenario.name, ...more);
    expect(hunted).toMatchObject({ executions: SEEDS, historyHash: combineHashes(hashes) });
    const run = inAnotherProcess("run", scenario.name, "--strategy", strategy, "--seed", "1/7");
    expect(run.historyHash).toBe(hashes[7]);
  });
});

describe("two machines take turns", () => {
  const worlds = SCENARIOS.map((scenario, i) => {
    // Neighbours differ in config, so in the layout of every struct.
    const config = i % 2 === 0 ? "SLUB_DEBUG=y" : "DEBUG_SPINLOCK=n";
    const program = scenario.program(resolveParameters({ config, cpus: 1 + (i % 3) }));
    return { name: scenario.name, program, alone: execute(program, makeStrategy("random", `turns/${i}`)) };
  });
  const pairs = worlds.map((world, i) => [world, worlds[(i + 1) % worlds.length] ?? world] as const);

  test.each(pairs)("$0.name and $1.name: the histories are those of each alone", (...pair) => {
    const machines = pair.map(({ program }) => {
      const machine = new Machine(program.options);
      program.setup(machine);
      machine.boot();
      return machine;
    });
    for (let step = 0; step < Math.max(...pair.map(({ alone }) => alone.steps)); step++) {
      for (const [i, { alone }] of pair.entries()) {
        if (step >= alone.steps) continue;
        machines[i]?.collect();
        machines[i]?.apply(alone.schedule[step] as number);
      }
    }
    expect(machines.map((machine) => machine.hash.digest())).toEqual(pair.map(({ alone }) => alone.historyHash));
    for (const machine of machines) machine.release();
  });
});
