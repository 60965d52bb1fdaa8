import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { resolveParameters } from "../scenarios/parameters.ts";
import { combineHashes } from "../sim/history.ts";
import { type HuntOptions, hunt } from "../sim/hunt.ts";
import { TEST_SCENARIOS } from "./fakeIo.ts";
import { huntInChunks } from "./hunting.ts";
import type { Subject } from "./options.ts";

const parameters = resolveParameters({ config: "DEBUG_PAGEALLOC=n" });

function subject(name: string): Subject {
  const scenario = TEST_SCENARIOS.find((known) => known.name === name);
  if (scenario === undefined) throw new Error(`no such test scenario: ${name}`);
  return { scenario, parameters, program: scenario.program(parameters) };
}

const options = (more: Partial<HuntOptions>): HuntOptions => ({
  strategy: "random",
  seed: "1",
  first: 0,
  runs: 300,
  keepGoing: false,
  kinds: [],
  ...more,
});

describe("chunks add up to one hunt", () => {
  test.each([
    ["refcounted-object-fixed", {}],
    ["refcounted-object", {}],
    ["refcounted-object", { keepGoing: true }],
    ["refcounted-object", { keepGoing: true, runs: 64 }],
    ["refcounted-object", { keepGoing: true, runs: 1 }],
    ["leak", { keepGoing: true, kinds: ["leak" as const] }],
    ["refcounted-object", { keepGoing: true, strategy: "portfolio" as const }],
    ["refcounted-object", { keepGoing: true, strategy: "pct" as const, runs: 130 }],
  ])("%s %o", async (name, more) => {
    const { hashes, ...whole } = hunt(subject(name).program, options(more));
    const seen: number[] = [];
    const parts = await huntInChunks(subject(name), options(more), 1, (runs) => seen.push(runs));
    expect(parts).toEqual({ ...whole, historyHash: combineHashes(hashes) });
    expect(seen.at(-1)).toBe(whole.executions);
  });
});

const MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

const OUT = mkdtempSync(join(tmpdir(), "utrace-sim-built-"));
afterAll(() => rmSync(OUT, { recursive: true, force: true }));

async function built(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [MAIN, ...argv])) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

describe.skipIf(!existsSync(MAIN))(
  "the built program (skipped without dist/cli/main.js: run `npm run build` first)",
  () => {
    test("bad usage: exit 2, one line", async () => {
      const { code, stdout, stderr } = await built("hunt", "no-such-scenario", "--jobs", "2");
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(/^utrace-sim: unknown scenario "no-such-scenario";[^\n]*\n$/);
    });

    test("demo finds the three forms of the crash, and each replays", { timeout: 120_000 }, async () => {
      const { code, stdout } = await built("demo", "--out", OUT);
      expect(code).toBe(0);
      expect(stdout).toContain("Alexey Dobriyan, 2008-08-27 2:32 pm");
      expect(stdout).toContain("utrace_stop+0x9b/0x120");
      expect(stdout).toContain("kernel BUG at kernel/utrace.c:2275!");
      expect(stdout).toContain("BUG utrace: Poison overwritten");
      expect(stdout.match(/^minimal {3}\d+ preemptions?, proved minimal: /gm)).toHaveLength(3);
      expect(stdout.match(/^and the nearest run that passes/gm)).toHaveLength(3);
      const files = [...stdout.matchAll(/npx utrace-sim replay (\S+)/g)].map((match) => match[1] as string);
      expect(files).toHaveLength(3);
      for (const file of files) expect((await built("replay", file, "--json")).code).toBe(1);
    });

    test.each([
      [0, "--keep-going"],
      [1, "--no-keep-going"],
    ] as const)(
      "scenarios give the same result for --jobs 1 and 2 (every second one, from number %i on: %s)",
      {
        timeout: 120_000,
      },
      async (from, mode) => {
        const { scenarios } = JSON.parse((await built("list", "--json")).stdout) as { scenarios: { name: string }[] };
        const some = scenarios.filter((_, i) => i % 2 === from);
        expect(some.length).toBeGreaterThan(0);
        for (const { name } of some) {
          const [one, two] = await Promise.all([huntResult(name, mode, 1), huntResult(name, mode, 2)]);
          expect(two).toEqual(one);
        }
      },
    );
  },
);

/** What a hunt of three chunks printed, but for the wall clock. */
async function huntResult(scenario: string, mode: string, jobs: number): Promise<object> {
  const more = mode === "--keep-going" ? [mode] : [];
  const argv = [
    "hunt",
    scenario,
    "--runs",
    "150",
    "--no-shrink",
    "--no-explain",
    ...more,
    "--out",
    OUT,
    "--json",
    "--jobs",
    String(jobs),
  ];
  const { code, stdout, stderr } = await built(...argv);
  return { code, stderr, ...JSON.parse(stdout), elapsedMs: 0 };
}
