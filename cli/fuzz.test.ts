/** `fuzz`, `fuzz replay`, and `replay` of what it keeps. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SCENARIOS } from "../scenarios/index.ts";
import { progressLine } from "./commands/fuzz.ts";
import { makeSandbox } from "./fakeIo.ts";
import { type FuzzFile, fuzzFileName, type Ledger } from "./fuzzFiles.ts";
import { type CauseCount, FuzzTotals, fuzzChunk } from "./fuzzing.ts";

const sandbox = makeSandbox(SCENARIOS);
afterAll(() => sandbox.remove());

const FUZZ = ["fuzz", "--lifetime", "pointer", "--programs", "3", "--seed", "4", "--schedules", "8"] as const;

describe("fuzz", () => {
  let first: Awaited<ReturnType<typeof sandbox.cli>>;
  beforeAll(async () => {
    first = await sandbox.cli(...FUZZ, "--known", "--out", "found", "--json");
  }, 60_000);
  const folder = (): string => join(sandbox.cwd, "found");
  const read = (name: string) => JSON.parse(readFileSync(join(folder(), name), "utf8"));
  const names = (): string[] =>
    readdirSync(folder()).filter((name) => name.endsWith(".json") && name !== "campaigns.json");
  const files = (): FuzzFile[] => names().map(read);

  test("counts causes by lifetime, keeps a file for each with --known, and says what it did", () => {
    expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 1, stderr: "" });
    const said = JSON.parse(first.stdout);
    expect(said).toMatchObject({ seed: "4", lifetimes: ["pointer"], programs: 3, executions: 24, stopped: false });
    expect(said.causes.length).toBeGreaterThan(0);
    for (const { cause, known, lifetime, count, program } of said.causes as CauseCount[]) {
      expect(lifetime).toBe("pointer");
      expect(count).toBeGreaterThan(0);
      expect(program).toBeLessThan(3);
      expect(names()).toContain(fuzzFileName(cause, known, lifetime));
    }
    expect(said.findings.map(({ file }: { file: string }) => file).sort()).toEqual(names().sort());
    expect(said.newCauses).toBe(names().length);
    const sizes = said.findings.map(({ size }: FuzzFile) => size.parts);
    expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
  });

  test("keeps what was counted, campaign after campaign, and an index of it all", async () => {
    const before = files();
    const again = await sandbox.cli(...FUZZ, "--out", "found");
    expect(again.stdout).toMatch(/^24 pairs of program and schedule, 3 programs, \d+ steps/);
    expect(files()).toEqual(before);
    const { campaigns } = read("campaigns.json") as Ledger;
    expect(campaigns).toHaveLength(2);
    expect(campaigns[0]).toEqual(campaigns[1]);
    const index = readFileSync(join(folder(), "INDEX.md"), "utf8");
    expect(index).toMatch(/^48 runs of 6 programs in 2 campaigns\./);
    for (const { cause, count } of campaigns[0]?.causes ?? []) {
      expect(index).toContain(`| pointer | \`${cause}\` | yes | ${2 * count} |`);
      expect(again.stdout).toMatch(new RegExp(`^ *${count}  pointer +known +\\d+ +${cause}$`, "m"));
    }
  });

  test("known causes are counted only, unless --known asks for more", async () => {
    const { stdout } = await sandbox.cli(...FUZZ, "--out", "counted", "--json");
    const { causes, historyHash } = JSON.parse(stdout);
    expect(causes).toEqual(JSON.parse(first.stdout).causes);
    expect(historyHash).toBe(JSON.parse(first.stdout).historyHash);
    expect(readdirSync(join(sandbox.cwd, "counted")).sort()).toEqual(["INDEX.md", "campaigns.json"]);
  });

  test("a counter file that somebody edited is refused in one line", async () => {
    await sandbox.cli(...FUZZ, "--programs", "1", "--out", "edited");
    writeFileSync(join(sandbox.cwd, "edited", "campaigns.json"), "{}");
    const { code, stderr } = await sandbox.cli(...FUZZ, "--out", "edited");
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^utrace-sim: edited\/campaigns\.json was edited, or is of another version; move it away.*\n$/,
    );
  });

  test("a file and its token are replayed, to the same finding", async () => {
    const [file] = files() as [FuzzFile];
    const [name] = names() as [string];
    const byToken = await sandbox.cli("fuzz", "replay", file.token);
    expect({ code: byToken.code, stderr: byToken.stderr }).toEqual({ code: 1, stderr: "" });
    expect(byToken.stdout).toContain(file.title.replace(/\d+$/, ""));
    const byFile = await sandbox.cli("replay", join("found", name));
    expect(byFile.stdout).toBe(byToken.stdout);
  });

  test("an edited file is refused in one line", async () => {
    writeFileSync(join(sandbox.cwd, "edited.json"), JSON.stringify({ fuzzFormat: 2, cause: 7 }));
    const { code, stderr } = await sandbox.cli("replay", "edited.json");
    expect(code).toBe(2);
    expect(stderr).toMatch(/^utrace-sim: edited\.json is no fuzz file that this .*\n$/);
  });
});

test.each([
  [["fuzz", "replay", "hello"], /"hello" is no fuzz token: one begins with utrace-fuzz-2:/],
  [["fuzz", "--lifetime", "eternal"], /unknown lifetime "eternal"; known: pointer,/],
  [["fuzz", "--lifetime", "pinter"], /unknown lifetime "pinter"; did you mean "pointer"\?/],
  [["fuzz", "--memory", "weak"], /unknown memory model "weak"; known: sc, tso/],
  [["fuzz", "--patches", "nothing"], /unknown patch "nothing"; known: /],
  [["fuzz", "--minutes", "0"], /Give a number above 0/],
  [["fuzz", "--programs", "0"], /Give a whole number of at least 1/],
  [["fuzz", "--jobs", "0"], /Give a whole number from 1 to/],
  [["fuzz", "--seed", "x"], /"x" is no seed/],
])("%j is bad usage, said in one line", async (words, message) => {
  const { code, stdout, stderr } = await sandbox.cli(...words);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(message);
  expect(stderr.trim().split("\n")).toHaveLength(1);
});

test("what a chunk comes to does not depend on how programs are cut into chunks", () => {
  const options = { seed: "7", lifetimes: ["lazy"], schedules: 3 };
  const whole = new FuzzTotals();
  whole.add(fuzzChunk({ options, first: 0, programs: 6 }));
  const parts = new FuzzTotals();
  for (const [first, programs] of [
    [0, 1],
    [1, 3],
    [4, 2],
  ] as const)
    parts.add(fuzzChunk({ options, first, programs }));
  expect(parts.historyHash).toBe(whole.historyHash);
  expect(parts).toEqual(whole);
});

test("progress: pairs, speed, known and new causes, time left", () => {
  const totals = new FuzzTotals();
  const causes = new Map([
    ["stop-on-freed-struct", { known: true, count: 3, program: 1 }],
    ["leak:nowhere:nothing", { known: false, count: 1, program: 2 }],
  ]) as unknown as Parameters<FuzzTotals["add"]>[0]["causes"];
  totals.add({ lifetime: "lazy", programs: 100, executions: 1000, steps: 1, cutOff: 0, hashes: [], causes });
  expect(progressLine(totals, 2000, 0.25)).toBe("1000 pairs, 500/s; 1 known and 1 new causes; 6 s left");
  expect(progressLine(totals, 2000, 0)).toContain("; 0 s left");
});
