import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Scenario } from "../scenarios/scenario.ts";
import { type CliResult, makeSandbox, type Sandbox, TEST_SCENARIOS } from "./fakeIo.ts";
import type { ResultJson } from "./output/json.ts";

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = makeSandbox();
});
afterEach(() => sandbox.remove());

const parse = ({ stdout }: CliResult): ResultJson => JSON.parse(stdout) as ResultJson;

/** Everything but the wall clock. */
const timeless = (result: CliResult): object => ({ ...parse(result), elapsedMs: 0 });

const FIELDS = [
  "scenario",
  "lifetime",
  "memory",
  "patches",
  "config",
  "strategy",
  "seed",
  "verdict",
  "executions",
  "steps",
  "states",
  "complete",
  "bounds",
  "cutOff",
  "findings",
  "historyHash",
  "elapsedMs",
];
const FINDING_FIELDS =
  "kind title function task cpu step count seed schedule repro text cost minimal why nearest".split(" ");

const BUGGY = ["hunt", "refcounted-object", "--find", "double-free,use-after-free", "--config", "DEBUG_PAGEALLOC=n"];

describe("--json", () => {
  test("run without a finding: all fields, exit 0", async () => {
    const result = await sandbox.cli("run", "refcounted-object-fixed", "--seed", "5", "--json");
    expect(result).toMatchObject({ code: 0, stderr: "" });
    const json = parse(result);
    expect(Object.keys(json)).toEqual(FIELDS);
    expect(json).toMatchObject({
      scenario: "refcounted-object-fixed",
      lifetime: "pointer",
      memory: "sc",
      patches: [],
      strategy: "timed",
      seed: "5/0",
      verdict: "none-found",
      executions: 1,
      states: 0,
      complete: false,
      bounds: { stepsMax: 20000, runs: 1 },
      cutOff: 0,
      findings: [],
    });
    expect(json.config).toMatchObject({ PREEMPT: true, SLUB_DEBUG: false });
    expect(json.historyHash).toMatch(/^[0-9a-f]{16}$/);
  });

  test("hunt with a finding: all its fields, exit 1, and a saved repro", async () => {
    const result = await sandbox.cli(...BUGGY, "--json");
    expect(result).toMatchObject({ code: 1, stderr: "" });
    const json = parse(result);
    expect(Object.keys(json)).toEqual(FIELDS);
    expect(json).toMatchObject({ verdict: "violated", strategy: "portfolio", seed: "1", bounds: { runs: 20000 } });
    expect(json.findings).toHaveLength(1);
    const [finding] = json.findings;
    expect(Object.keys(finding ?? {})).toEqual(FINDING_FIELDS);
    expect(finding).toMatchObject({ count: 1, seed: `1/${json.executions - 1}` });
    expect(existsSync(resolve(sandbox.cwd, finding?.repro ?? ""))).toBe(true);
    expect(finding?.repro).toMatch(/^repros\/refcounted-object-(double-free|use-after-free)-\w+-[0-9a-f]{8}\.json$/);
  });

  test("is the same twice, but for elapsedMs", async () => {
    expect(timeless(await sandbox.cli(...BUGGY, "--json"))).toEqual(timeless(await sandbox.cli(...BUGGY, "--json")));
  });

  test("list", async () => {
    const { code, stdout } = await sandbox.cli("list", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout).scenarios[2]).toEqual({
      name: "leak",
      title: "Does leak hold?",
      source: "cli tests",
      known: [],
    });
  });

  test("--history adds the interleaving", async () => {
    const json = parse(await sandbox.cli("run", "refcounted-object", "--json", "--history"));
    expect(Object.keys(json)).toEqual([...FIELDS, "history"]);
    expect(json.history).toContain("rcu_read_lock");
  });
});

describe("strategies", () => {
  const HUNT = ["hunt", "refcounted-object", "--runs", "200", "--no-shrink"];

  test("pct says what it promises, in JSON and in words", async () => {
    const json = parse(await sandbox.cli(...HUNT, "--strategy", "pct", "--depth", "2", "--json"));
    const { depth, threads = 0, steps = 0, probability } = json.bounds.pct ?? {};
    expect(json.strategy).toBe("pct");
    expect(depth).toBe(2);
    expect(threads).toBeGreaterThan(2);
    expect(steps).toBeGreaterThan(20);
    expect(probability).toBeCloseTo(1 / (threads * steps), 10);
    const { stdout } = await sandbox.cli(...HUNT, "--strategy", "pct", "--depth", "2");
    expect(stdout).toContain(`a bug of depth 2 with a chance of at least 1/(${threads} * ${steps}) = `);
    expect(parse(await sandbox.cli(...HUNT, "--json")).bounds.pct).toBeUndefined();
  });

  test.each(["pct --depth 4", "pos", "preemption-bounded --preemptions 3", "portfolio --depth 2"])(
    "%s: the line that says how it was found makes the run again",
    async (strategy) => {
      const { stdout } = await sandbox.cli(...HUNT, "--runs", "5000", "--strategy", ...strategy.split(" "));
      const [, step] = /step (\d+) of run/.exec(stdout) ?? [];
      const [, again = ""] = /as found {2}npx utrace-sim (.*)/.exec(stdout) ?? [];
      expect(again).toContain(`--strategy ${strategy}`);
      const result = await sandbox.cli(...again.split(" "));
      expect(result.code).toBe(1);
      expect(result.stdout).toContain(`step ${step} of seed`);
    },
  );

  test("a run of the portfolio names the strategy that had its turn", async () => {
    const { stdout } = await sandbox.cli("run", "leak", "--strategy", "portfolio", "--seed", "1/9");
    expect(stdout).toContain("of seed 1/9 (pct)");
  });
});

describe("run", () => {
  test("NUMBER/RUN is that run of the hunt", async () => {
    const hunted = parse(await sandbox.cli(...BUGGY, "--json", "--no-shrink"));
    const [finding] = hunted.findings;
    const config = ["--config", "DEBUG_PAGEALLOC=n"];
    const args = [
      "run",
      "refcounted-object",
      ...config,
      "--seed",
      finding?.seed ?? "",
      "--strategy",
      hunted.strategy,
      "--json",
    ];
    const result = await sandbox.cli(...args);
    expect(result.code).toBe(1);
    const same = parse(result).findings.find(({ title }) => title === finding?.title);
    expect(same).toMatchObject({ schedule: finding?.schedule, step: finding?.step, text: finding?.text, repro: null });
  });

  test("a plain seed is its run 0, and leading zeros change nothing", async () => {
    const plain = timeless(await sandbox.cli("run", "refcounted-object", "--seed", "7", "--json"));
    expect(timeless(await sandbox.cli("run", "refcounted-object", "--seed", "7/0", "--json"))).toEqual(plain);
    expect(timeless(await sandbox.cli("run", "refcounted-object", "--seed", "007", "--json"))).toEqual(plain);
  });

  test("says that it was cut off", async () => {
    const { code, stdout } = await sandbox.cli("run", "refcounted-object-fixed", "--steps-max", "5");
    expect(code).toBe(0);
    expect(stdout).toContain("1 run was cut off at 5 steps");
    expect(stdout).toContain("this proves nothing");
  });
});

describe("hunt", () => {
  test("says first what happened, then why, then how to see it again", async () => {
    const { code, stdout, stderr } = await sandbox.cli(...BUGGY);
    expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
    expect(stdout).toMatch(/^FOUND (double-free|use-after-free): BUG: KASAN/);
    const parts = ["shrinking ...", "BUG: KASAN", "schedule  ", "npx utrace-sim replay repros/", "npx utrace-sim run "];
    const places = parts.map((part) => stdout.lastIndexOf(part));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places[0]).toBeGreaterThan(0);
  });

  test("without a finding claims nothing", async () => {
    const { code, stdout } = await sandbox.cli("hunt", "refcounted-object-fixed", "--runs", "300");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^none found in 300 runs \(this proves nothing;/);
  });

  test("--find ends only with findings of that kind", async () => {
    const json = parse(await sandbox.cli("hunt", "leak", "--find", "leak", "--runs", "10", "--json"));
    expect(json.findings.map(({ kind }) => kind)).toEqual(["leak"]);
    const none = await sandbox.cli("hunt", "leak", "--find", "deadlock,hung-task", "--runs", "10");
    expect(none.code).toBe(0);
    expect(none.stdout).toMatch(/^none found in 10 runs of kind deadlock, hung-task/);
  });

  test("stops at the first finding, and names what else its run showed", async () => {
    const result = await sandbox.cli("hunt", "leak", "--json");
    expect(parse(result)).toMatchObject({ executions: 1 });
    expect(parse(result).findings.map(({ kind }) => kind)).toEqual(["rcu-misuse"]);
    expect((await sandbox.cli("hunt", "leak")).stdout).toContain("the same run also showed: atomic-sleep in leaker; ");
  });

  test("--keep-going counts every distinct finding and saves each", async () => {
    const json = parse(await sandbox.cli("hunt", "leak", "--keep-going", "--runs", "150", "--json"));
    expect(json).toMatchObject({ executions: 150, verdict: "violated" });
    expect(json.findings.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["rcu-misuse", "leak"]));
    for (const { count, repro } of json.findings) {
      expect(count).toBe(150);
      const replayed = await sandbox.cli("replay", repro ?? "", "--json");
      expect(replayed.code).toBe(1);
    }
  });

  test("--no-shrink keeps the schedule of the run", async () => {
    const raw = parse(await sandbox.cli(...BUGGY, "--no-shrink", "--json")).findings[0]?.schedule ?? "";
    const shrunk = parse(await sandbox.cli(...BUGGY, "--json")).findings[0]?.schedule ?? "";
    expect(shrunk.length).toBeLessThan(raw.length);
    expect((await sandbox.cli(...BUGGY, "--no-shrink")).stdout).toContain("(not shrunk)");
  });

  test("--out names the folder, which is made", async () => {
    const [finding] = parse(await sandbox.cli(...BUGGY, "--out", "deep/down", "--json")).findings;
    expect(finding?.repro).toMatch(/^deep\/down\//);
    expect(existsSync(join(sandbox.cwd, finding?.repro ?? ""))).toBe(true);
  });
});

describe("list", () => {
  test("names scenarios, sources and patches", async () => {
    const { code, stdout } = await sandbox.cli("list");
    expect(code).toBe(0);
    expect(stdout).toContain("refcounted-object-fixed\n    Does refcounted-object-fixed hold?\n    source: cli tests");
    expect(stdout).toContain("stop-relookup");
  });
});

describe("demo", () => {
  test("exits with 3 when a form is not found within its budget", async () => {
    const [, fixed] = TEST_SCENARIOS as [Scenario, Scenario];
    const names = ["attach-detach-exec", "attach-detach-exec-kill"];
    const changed = makeSandbox(names.map((name) => ({ ...fixed, name })));
    const { code, stdout, stderr } = await changed.cli("demo", "--runs", "100");
    changed.remove();
    expect({ code, stderr }).toEqual({ code: 3, stderr: "" });
    expect(stdout).toMatch(/=== 3 of 3: Alexey Dobriyan, 2008-08-27 3:00 pm\n/);
    expect(stdout).toMatch(/0 of 3 forms of the crash found\n$/);
  });
});
