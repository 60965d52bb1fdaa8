/** `compare` and `claims` as commands: what they print, write and refuse. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { LIFETIMES } from "../model/utrace/lifetimes/index.ts";
import type { Comparison, RaceRow } from "../reports/comparison.ts";
import { SCENARIOS } from "../scenarios/index.ts";
import { makeSandbox } from "./fakeIo.ts";

// Real scenarios, but one: the search is tried, not the scenarios.
const few = SCENARIOS.filter(({ name }) => name === "reap-detach");
const sandbox = makeSandbox(few);
const empty = makeSandbox([]);
afterAll(() => {
  sandbox.remove();
  empty.remove();
});
const names = [...LIFETIMES.keys()];

describe("compare", () => {
  test("without a search, as JSON: sizes, memory, costs and arguments of every lifetime", async () => {
    const { code, stdout, stderr } = await empty.cli("compare", "--runs", "0", "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const comparison: Comparison = JSON.parse(stdout);
    expect(comparison.lifetimes).toEqual(names);
    for (const { lifetimes } of comparison.sizes) {
      expect(lifetimes.map(({ lifetime }) => lifetime)).toEqual([null, ...names]);
    }
    for (const { curves } of comparison.memory) expect(curves.map(({ lifetime }) => lifetime)).toEqual(names);
    expect(new Set(comparison.costs.map(({ lifetime }) => lifetime))).toEqual(new Set(names));
    expect(comparison.arguments.map(({ lifetime }) => lifetime)).toEqual(names);
    expect(comparison.races).toEqual({ runs: 0, seed: "1", rows: [] });
  });

  let first: Comparison;
  test("a search says what was found, with a file that replays, or in how many runs nothing was", async () => {
    const { code, stdout } = await sandbox.cli("compare", "--runs", "8", "--explore-runs", "2000", "--json");
    expect(code).toBe(0);
    first = JSON.parse(stdout);
    const { rows } = first.races;
    const scenarios = rows.filter(({ entry }) => entry === null);
    expect([...new Set(scenarios.map(({ scenario }) => scenario))].sort()).toEqual(few.map(({ name }) => name).sort());
    const cells = rows.flatMap((row) => row.cells);
    expect(new Set(cells.map(({ verdict }) => verdict))).toEqual(new Set(["found", "none-found", "ruled-out"]));
    for (const { verdict, runs, bounds, findings } of cells) {
      expect(runs).toBe(8);
      expect(findings.length > 0).toBe(verdict === "found");
      if (verdict === "ruled-out") expect(bounds).toMatch(/^0 preemptions on 2 CPUs: \d+ states$/);
      else expect(bounds).toBeNull();
    }
    const found = cells.flatMap(({ findings }) => findings);
    for (const { repro } of found.slice(0, 4)) {
      const replayed = await sandbox.cli("replay", repro, "--json");
      expect(replayed).toMatchObject({ code: 1, stderr: "" });
    }
  });

  test("every entry of the corpus is found under its own lifetime", () => {
    const entries = first.races.rows.filter((row): row is RaceRow & { entry: string } => row.entry !== null);
    expect(entries.length).toBeGreaterThan(0);
    for (const { cells, finding } of entries) {
      const [own] = cells;
      expect(own?.verdict).toBe("found");
      for (const one of cells.flatMap(({ findings }) => findings)) expect(one).toMatchObject({ kind: finding?.kind });
    }
  });

  test("the same twice, as text and as a page", async () => {
    const page = join(sandbox.cwd, "page.html");
    const run = () => sandbox.cli("compare", "--runs", "2", "--explore-runs", "0", "--html", "page.html");
    const { stdout } = await run();
    const html = readFileSync(page, "utf8");
    expect((await run()).stdout).toBe(stdout);
    expect(readFileSync(page, "utf8")).toBe(html);
    expect(stdout).toContain("none in 2 runs");
    expect(stdout).not.toMatch(/\bok\b/i);
    expect(html).toContain("npx utrace-sim compare --runs 2 --seed 1");
  });

  test("a page that cannot be written is refused before anything is searched", async () => {
    const { code, stdout, stderr } = await empty.cli("compare", "--html", "no/such/folder/page.html");
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("cannot write no/such/folder/page.html: there is no such file");
    expect(existsSync(join(empty.cwd, "repros"))).toBe(false);
  });
});

describe("claims", () => {
  test("one by name, as text and as JSON", async () => {
    const text = await empty.cli("claims", "sizes");
    expect(text).toMatchObject({ code: 0, stderr: "" });
    expect(text.stdout).toMatch(/^CONFIRMED {2}sizes\n/);
    const json = await empty.cli("claims", "sizes", "--json", "--runs", "7");
    expect(JSON.parse(json.stdout)).toMatchObject({
      runs: 7,
      seed: "1",
      claims: [{ name: "sizes", author: "Alexey Dobriyan", verdict: "confirmed" }],
    });
  });

  test("an unknown name is refused, with a guess", async () => {
    const { code, stderr } = await empty.cli("claims", "size");
    expect(code).toBe(2);
    expect(stderr).toContain('unknown claim "size"; did you mean "sizes"?');
  });
});
