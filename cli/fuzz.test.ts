/** `fuzz`, `fuzz replay`, and `replay` of what it keeps. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SCENARIOS } from "../scenarios/index.ts";
import { makeSandbox } from "./fakeIo.ts";
import type { FuzzFile } from "./fuzzFiles.ts";

const sandbox = makeSandbox(SCENARIOS);
afterAll(() => sandbox.remove());

const FUZZ = ["fuzz", "--lifetime", "pointer", "--programs", "4", "--seed", "2", "--schedules", "8"] as const;

describe("fuzz", () => {
  let first: Awaited<ReturnType<typeof sandbox.cli>>;
  beforeAll(async () => {
    first = await sandbox.cli(...FUZZ, "--out", "found", "--json");
  }, 60_000);
  const folder = (): string => join(sandbox.cwd, "found");
  const files = (): FuzzFile[] =>
    readdirSync(folder())
      .filter((name) => name.endsWith(".json"))
      .map((name) => JSON.parse(readFileSync(join(folder(), name), "utf8")) as FuzzFile);

  test("keeps one file for each cause and an index, and says what it did", () => {
    expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 1, stderr: "" });
    const said = JSON.parse(first.stdout);
    expect(said).toMatchObject({ seed: "2", lifetimes: ["pointer"], programs: 4, executions: 32, stopped: false });
    const causes = files().map(({ cause }) => cause);
    expect(causes.length).toBeGreaterThan(0);
    expect(new Set(causes).size).toBe(causes.length);
    expect(said.findings.map(({ cause }: FuzzFile) => cause).sort()).toEqual([...causes].sort());
    const index = readFileSync(join(folder(), "INDEX.md"), "utf8");
    for (const cause of causes) expect(index).toContain(`\`${cause}\``);
    const sizes = said.findings.map(({ size }: FuzzFile) => size.parts);
    expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
  });

  test("goes on where it was: what is known is counted, not found anew", async () => {
    const before = files();
    const again = await sandbox.cli(...FUZZ, "--out", "found", "--json");
    expect(JSON.parse(again.stdout).newCauses).toBe(0);
    for (const file of files()) {
      const old = before.find(({ cause }) => cause === file.cause);
      expect(file.count).toBeGreaterThan(old?.count ?? 0);
      expect(file.token).toBe(old?.token);
    }
  });

  test("a file and its token are replayed, to the same finding", async () => {
    const [file] = files() as [FuzzFile];
    const name = readdirSync(folder()).find((one) => one.endsWith(".json")) as string;
    const byToken = await sandbox.cli("fuzz", "replay", file.token);
    expect({ code: byToken.code, stderr: byToken.stderr }).toEqual({ code: 1, stderr: "" });
    expect(byToken.stdout).toContain(file.title.replace(/\d+$/, ""));
    const byFile = await sandbox.cli("replay", join("found", name));
    expect(byFile.stdout).toBe(byToken.stdout);
  });

  test("an edited file is refused in one line", async () => {
    writeFileSync(join(sandbox.cwd, "edited.json"), JSON.stringify({ fuzzFormat: 1, cause: 7 }));
    const { code, stderr } = await sandbox.cli("replay", "edited.json");
    expect(code).toBe(2);
    expect(stderr).toMatch(/^utrace-sim: edited\.json is no fuzz file that this .*\n$/);
  });
});

test.each([
  [["fuzz", "replay", "hello"], /"hello" is no fuzz token: one begins with utrace-fuzz-1:/],
  [["fuzz", "--lifetime", "eternal"], /unknown lifetime "eternal"; known: pointer,/],
  [["fuzz", "--minutes", "0"], /Give a number above 0/],
  [["fuzz", "--seed", "x"], /"x" is no seed/],
])("%j is bad usage, said in one line", async (words, message) => {
  const { code, stdout, stderr } = await sandbox.cli(...words);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(message);
  expect(stderr.trim().split("\n")).toHaveLength(1);
});
