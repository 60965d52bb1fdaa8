/** The built fuzzer as people run it: with several jobs, and stopped in the middle. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import type { Ledger } from "../cli/fuzzFiles.ts";

const MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "utrace-sim-fuzzing-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Starts a fuzzer; gives its end, and what it wrote. */
function start(...words: string[]) {
  const child = spawn(process.execPath, [MAIN, "fuzz", ...words, "--json"], { cwd: folder });
  const written = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].on("data", (data) => {
      written[name] += data;
    });
  }
  const ended = once(child, "close").then(([code]) => ({ code, ...written }));
  return { child, ended };
}

test("counts, first programs and history do not depend on the number of jobs", async () => {
  const said = [];
  for (const jobs of ["1", "3"]) {
    const words = [
      "--lifetime",
      "lazy",
      "--programs",
      "50",
      "--schedules",
      "2",
      "--jobs",
      jobs,
      "--out",
      `jobs${jobs}`,
    ];
    const { code, stdout, stderr } = await start(...words).ended;
    expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
    const { elapsedMs: _, ...rest } = JSON.parse(stdout);
    expect(rest).toMatchObject({ programs: 50, executions: 100 });
    said.push(rest);
  }
  expect(said[1]).toEqual(said[0]);
});

test.each(["SIGINT", "SIGTERM"] as const)("%s ends it in good order: what was counted is kept", async (signal) => {
  const out = `until-${signal}`;
  const { child, ended } = start("--minutes", "60", "--lifetime", "pointer", "--schedules", "5", "--out", out);
  // Written first when it has something to tell.
  while (!existsSync(join(folder, out, "campaigns.json")) && child.exitCode === null) await setTimeout(20);
  child.kill(signal);
  const { code, stdout, stderr } = await ended;
  expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
  const said = JSON.parse(stdout);
  expect(said.stopped).toBe(true);
  expect(said.programs).toBeGreaterThan(0);
  const { campaigns } = JSON.parse(readFileSync(join(folder, out, "campaigns.json"), "utf8")) as Ledger;
  expect(campaigns).toMatchObject([{ programs: said.programs, causes: said.causes, historyHash: said.historyHash }]);
  expect(existsSync(join(folder, out, "INDEX.md"))).toBe(true);
});
