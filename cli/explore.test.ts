/** `explore` as a person or a script meets it. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SCENARIOS } from "../scenarios/index.ts";
import { makeSandbox, type Sandbox, TEST_SCENARIOS } from "./fakeIo.ts";

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = makeSandbox([...TEST_SCENARIOS, ...SCENARIOS]);
});
afterEach(() => sandbox.remove());

const json = async (...argv: string[]) => {
  const { code, stdout, stderr } = await sandbox.cli("explore", ...argv, "--json");
  return { code, stderr, result: JSON.parse(stdout) };
};

describe("explore", () => {
  test("finds every finding, and saves a witness of each that can be replayed", async () => {
    const { code, result } = await json("refcounted-object", "--preemptions", "2");
    expect(code).toBe(1);
    expect(result).toMatchObject({
      verdict: "violated",
      complete: true,
      bounds: { preemptions: 2, preemptionsMax: 2 },
    });
    expect(result.findings.length).toBeGreaterThan(0);
    for (const { repro, kind } of result.findings) {
      const replayed = await sandbox.cli("replay", repro);
      expect(replayed.code).toBe(1);
      expect(replayed.stdout).toContain(`FOUND ${kind}`);
    }
  });

  test("says held, and how far that goes, where there is nothing to find", async () => {
    const { code, result } = await json("refcounted-object-fixed", "--preemptions", "any");
    expect(code).toBe(0);
    expect(result).toMatchObject({ verdict: "held", complete: true, findings: [], bounds: { preemptions: null } });
    expect(result.states).toBeGreaterThan(10);
    const { stdout } = await sandbox.cli("explore", "refcounted-object-fixed", "--preemptions", "1");
    expect(stdout).toContain("held: nothing found; complete: every schedule with at most 1 preemption\n");
  });

  test("takes bounds on context switches and on rounds of loops, and says what they left out", async () => {
    const few = await json("refcounted-object", "--preemptions", "any", "--context-switches", "1");
    expect(few.result).toMatchObject({
      complete: true,
      bounds: { contextSwitches: 1, contextSwitchesMax: 1, tasks: 2 },
    });
    const { stdout } = await sandbox.cli("explore", "refcounted-object-fixed", "--context-switches", "1");
    expect(stdout).toContain(" and 1 context switch\n");
    const full = await sandbox.cli("explore", "reap-detach", "--preemptions", "1", "--states-max", "1000");
    expect(full.code).toBe(3);
    expect(full.stdout).toContain("there is no room for more than 1024 states (--states-max)\n");
    const loops = await sandbox.cli("explore", "reap-detach", "--preemptions", "0", "--loop-rounds", "1");
    expect(loops.code).toBe(3);
    expect(loops.stdout).toContain(
      "runs were cut off that came to the head of a loop more than 1 time (--loop-rounds)\n",
    );
  });

  test("stops at its budget with code 3, and goes on where it stopped", async () => {
    const words = ["refcounted-object-fixed", "--no-reduce"];
    const whole = await json(...words);
    const { code, result } = await json(...words, "--budget", "0", "--save", "later");
    expect(code).toBe(3);
    expect(result).toMatchObject({ verdict: "none-found", complete: false, estimate: { preemptions: 1 } });
    const resumed = await json(...words, "--resume", "later");
    expect(resumed.code).toBe(0);
    const { states, executions, steps } = whole.result;
    expect(resumed.result).toMatchObject({ verdict: "held", complete: true, states, executions, steps });
  });

  test("refuses a file of another exploration, a cut file, and none, in one line", async () => {
    await json("refcounted-object-fixed", "--budget", "0", "--save", "later");
    const other = await sandbox.cli("explore", "refcounted-object", "--resume", "later");
    expect(other).toMatchObject({ code: 2, stdout: "" });
    expect(other.stderr).toMatch(/^utrace-sim: later is of ".*"; give the same scenario and options\n$/);
    const path = join(sandbox.cwd, "later");
    writeFileSync(path, readFileSync(path).subarray(0, 50));
    const cut = await sandbox.cli("explore", "refcounted-object-fixed", "--resume", "later");
    expect(cut.stderr).toContain("was cut off");
    const none = await sandbox.cli("explore", "refcounted-object-fixed", "--resume", "nowhere");
    expect(none.stderr).toContain("cannot read nowhere: there is no such file");
    expect([cut.code, none.code]).toEqual([2, 2]);
  });

  test("comes to the same with any number of threads: counts, outcomes, findings and witnesses", async () => {
    const words = ["reap-detach", "--preemptions", "1", "--steps-max", "2000"];
    const { result: alone } = await json(...words);
    expect(alone).toMatchObject({ complete: true, findings: [{ kind: "leak" }] });
    expect(alone.states).toBeGreaterThan(1000);
    const { result } = await json(...words, "--jobs", "3");
    expect({ ...result, elapsedMs: 0 }).toEqual({ ...alone, elapsedMs: 0 });
  });

  test("goes on with another number of threads than it was put aside by", async () => {
    const words = ["exit-attach", "--preemptions", "0"];
    const { result: whole } = await json(...words);
    const { code, result } = await json(...words, "--jobs", "2", "--budget", "0", "--save", "later");
    expect({ code, complete: result.complete }).toEqual({ code: 3, complete: false });
    await json(...words, "--jobs", "1", "--budget", "0", "--resume", "later", "--save", "later");
    const resumed = await json(...words, "--jobs", "2", "--resume", "later");
    expect({ ...resumed.result, elapsedMs: 0 }).toEqual({ ...whole, elapsedMs: 0 });
  });

  test("goes on with the room it had for states; refuses, in one line, less than there are", async () => {
    const words = ["reap-detach", "--preemptions", "1", "--no-reduce", "--budget", "0"];
    const { result } = await json(...words, "--states-max", "16384", "--save", "later");
    expect(result.states).toBeGreaterThan(256);
    const few = await sandbox.cli("explore", ...words, "--resume", "later", "--states-max", "256");
    expect(few).toMatchObject({ code: 2, stdout: "" });
    expect(few.stderr).toMatch(
      /^utrace-sim: later has \d+ states, more than --states-max 256; leave it out to have room for 16384\n$/,
    );
    const resumed = await json(...words, "--resume", "later");
    expect(resumed.result).toMatchObject({ complete: false, bounds: { statesMax: 16384 } });
    expect(resumed.result.states).toBeGreaterThanOrEqual(result.states);
  });

  test("--resume wants the same reductions as before", async () => {
    await json("refcounted-object-fixed", "--budget", "0", "--no-cache", "--save", "later");
    const other = await sandbox.cli("explore", "refcounted-object-fixed", "--resume", "later");
    expect(other.code).toBe(2);
    expect(other.stderr).toMatch(/is of ".* --no-cache .*"; give the same scenario and options\n$/);
    expect((await json("refcounted-object-fixed", "--no-cache", "--resume", "later")).code).toBe(0);
  });

  test("a world that starts tasks: what is found can be replayed", async () => {
    const { code, result } = await json("thread-exec", "--preemptions", "0");
    expect(code).toBe(1);
    expect(result.complete).toBe(true);
    expect(result.findings).toMatchObject([{ kind: "use-after-free" }]);
    expect((await sandbox.cli("replay", result.findings[0].repro)).code).toBe(1);
  });

  test("says so when a worker fails, and comes to the same with several threads where runs are cut off", async () => {
    const unknown = await sandbox.cli("explore", "refcounted-object", "--jobs", "2");
    expect(unknown.code).toBe(4);
    expect(unknown.stderr).toContain('worker knows no scenario "refcounted-object"');
    const words = ["reap-detach", "--preemptions", "0", "--steps-max", "300"];
    const { result: alone } = await json(...words);
    expect(alone).toMatchObject({ complete: false });
    expect(alone.cutOff).toBeGreaterThan(0);
    const { result } = await json(...words, "--jobs", "2");
    expect({ ...result, elapsedMs: 0 }).toEqual({ ...alone, elapsedMs: 0 });
  });

  test("goes through store buffers too, and there are more states with them", async () => {
    const words = ["reap-detach", "--preemptions", "0"];
    const { result: sc } = await json(...words);
    const { code, result: tso } = await json(...words, "--memory", "tso");
    expect(code).toBe(0);
    expect(tso).toMatchObject({ memory: "tso", verdict: "held", complete: true });
    expect(tso.states).toBeGreaterThan(10 * sc.states);
  });

  test("refuses a bound that is none", async () => {
    const bound = await sandbox.cli("explore", "refcounted-object", "--preemptions", "few");
    expect(bound.code).toBe(2);
  });
});
