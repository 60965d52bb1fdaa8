import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CliResult, makeSandbox, type Sandbox, TEST_SCENARIOS } from "./fakeIo.ts";
import { parseRepro, type Repro, reproName } from "./reproFile.ts";
import { TOOL } from "./tool.ts";

let sandbox: Sandbox;
let path: string;
let text: string;

beforeAll(async () => {
  sandbox = makeSandbox();
  const hunted = await sandbox.cli("hunt", "refcounted-object", "--config", "DEBUG_PAGEALLOC=n", "--json");
  path = JSON.parse(hunted.stdout).findings[0].repro;
  text = readFileSync(join(sandbox.cwd, path), "utf8");
});
afterAll(() => sandbox.remove());

/** The saved repro, changed, in a file of its own. */
function edited(change: (repro: Record<string, unknown> & Repro) => object | undefined): string {
  const repro = JSON.parse(text);
  const made = change(repro) ?? repro;
  writeFileSync(join(sandbox.cwd, "edited.json"), JSON.stringify(made));
  return "edited.json";
}

function expectRefused({ code, stdout, stderr }: CliResult, message: RegExp): void {
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(/^utrace-sim: [^\n]+\n$/);
  expect(stderr).toMatch(message);
}

describe("a saved repro", () => {
  test("replays to the same finding, exit 1", async () => {
    const { code, stdout, stderr } = await sandbox.cli("replay", path);
    expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
    const repro = parseRepro(text, path);
    expect(stdout).toContain(`FOUND ${repro.finding.kind}: ${repro.finding.title}`);
    expect(stdout).toContain(`history hash ${repro.historyHash}`);
  });

  test("gives the same JSON every time", async () => {
    const json = async () => JSON.parse((await sandbox.cli("replay", path, "--json")).stdout);
    const first = await json();
    expect(first).toMatchObject({
      verdict: "violated",
      strategy: "replay",
      executions: 1,
      historyHash: parseRepro(text, path).historyHash,
      bounds: { runs: 1 },
    });
    expect(first.findings).toHaveLength(1);
    expect(first.findings[0]).toMatchObject({ repro: path, schedule: parseRepro(text, path).schedule });
    expect({ ...(await json()), elapsedMs: 0 }).toEqual({ ...first, elapsedMs: 0 });
  });

  test("prints the interleaving on request, or its last rows", async () => {
    const plain = (await sandbox.cli("replay", path)).stdout.length;
    const last = (await sandbox.cli("replay", path, "--last", "5")).stdout.length;
    const all = (await sandbox.cli("replay", path, "--history")).stdout.length;
    expect(plain).toBeLessThan(last);
    expect(last).toBeLessThan(all);
  });

  test("is named after what it shows, and no temporary file is left", () => {
    const repro = parseRepro(text, path);
    expect(readdirSync(join(sandbox.cwd, "repros"))).toEqual([reproName(repro)]);
    expect(path).toBe(`repros/${reproName(repro)}`);
    expect(repro.tool).toEqual(TOOL);
  });

  test.each(["leak", "rcu-misuse"])("of a %s replays, though it may come when the run is over", async (kind) => {
    const hunted = await sandbox.cli("hunt", "leak", "--find", kind, "--json");
    const [finding] = JSON.parse(hunted.stdout).findings;
    const replayed = await sandbox.cli("replay", finding.repro, "--json");
    expect(replayed.code).toBe(1);
    expect(JSON.parse(replayed.stdout).findings[0]).toMatchObject({ kind, text: finding.text });
  });
});

describe("a repro of the format before", () => {
  const old = () => edited(({ trail: _, ...repro }) => ({ ...repro, format: 1 }));

  test("replays", async () => {
    expect((await sandbox.cli("replay", old())).code).toBe(1);
  });

  test("is made one of this format with --rebase --out", async () => {
    expect((await sandbox.cli("replay", old(), "--rebase", "--out", "new.json")).code).toBe(1);
    expect(readFileSync(join(sandbox.cwd, "new.json"), "utf8")).toBe(text);
  });

  test("cannot be rebased", async () => {
    const file = edited(({ trail: _, ...repro }) => ({ ...repro, format: 1, historyHash: "0123456789abcdef" }));
    expectRefused(
      await sandbox.cli("replay", file, "--rebase"),
      /does not say what its steps were, so it cannot be rebased/,
    );
  });
});

describe("rebasing", () => {
  test("a file that replays needs none", async () => {
    const { code, stdout } = await sandbox.cli("replay", path, "--rebase");
    expect(code).toBe(1);
    expect(stdout).toContain(`nothing to do: ${path} replays exactly`);
  });

  test("where the finding does not come any more is refused, with where it departs and how to hunt it", async () => {
    const [, fixed] = TEST_SCENARIOS;
    if (fixed === undefined) throw new Error("no such test scenario");
    const changed = makeSandbox([{ ...fixed, name: "refcounted-object" }]);
    const result = await changed.cli("replay", join(sandbox.cwd, path), "--rebase");
    changed.remove();
    expectRefused(result, /cannot be rebased: .* departs at step \d+, where the file has ".*" and now comes ".*"/);
    expect(result.stderr).toContain("hunt it again: npx utrace-sim hunt refcounted-object --seed 1 --find ");
  });

  test("--out without --rebase is refused", async () => {
    expectRefused(await sandbox.cli("replay", path, "--out", "x.json"), /--out is where --rebase saves/);
  });

  test("gives a file that replays, and says where it departed", async () => {
    const hash = parseRepro(text, path).historyHash;
    const file = edited((repro) => ({ ...repro, historyHash: "0123456789abcdef" }));
    const { code, stdout } = await sandbox.cli("replay", file, "--rebase", "--out", "again.json");
    expect(code).toBe(1);
    expect(stdout).toContain("saved     again.json");
    expect(stdout).toContain("rebased   the same events, but other values or addresses");
    expect(parseRepro(readFileSync(join(sandbox.cwd, "again.json"), "utf8"), "again.json").historyHash).toBe(hash);
    expect((await sandbox.cli("replay", "again.json")).code).toBe(1);
  });
});

describe("a file that is no good repro", () => {
  test("empty", async () => {
    writeFileSync(join(sandbox.cwd, "edited.json"), "");
    expectRefused(await sandbox.cli("replay", "edited.json"), /edited.json is empty: it was cut off/);
  });

  test("cut off, wherever it was cut", async () => {
    for (let at = 1; at < text.trimEnd().length; at += 97) {
      writeFileSync(join(sandbox.cwd, "edited.json"), text.slice(0, at));
      expectRefused(await sandbox.cli("replay", "edited.json"), /edited.json is not JSON: it was cut off/);
    }
  });

  test("other JSON", async () => {
    for (const other of ["[]", "null", "1", '"x"', "{}"]) {
      writeFileSync(join(sandbox.cwd, "edited.json"), other);
      expectRefused(
        await sandbox.cli("replay", "edited.json"),
        /edited.json is no repro file: it has no field "format"/,
      );
    }
  });

  test("of another format version", async () => {
    const file = edited((repro) => ({ ...repro, format: 3 }));
    expectRefused(await sandbox.cli("replay", file), /has repro format 3, and this utrace-sim reads formats 1 and 2/);
  });

  const fields: readonly [string, (repro: Repro) => object, RegExp][] = [
    ["a field missing", ({ schedule: _, ...rest }) => rest, /field "schedule": /],
    ["a field too many", (repro) => ({ ...repro, note: "" }), /"note"/],
    ["a field of another type", (repro) => ({ ...repro, seed: 5 }), /field "seed": /],
    [
      "a bad inner field",
      (repro) => ({ ...repro, parameters: { ...repro.parameters, cpus: "2" } }),
      /field "parameters.cpus": /,
    ],
    [
      "a kind that is none",
      (repro) => ({ ...repro, finding: { ...repro.finding, kind: "x" } }),
      /field "finding.kind": /,
    ],
    [
      "a hash that is none",
      (repro) => ({ ...repro, historyHash: "x" }),
      /field "historyHash": .*16 hexadecimal digits/,
    ],
    [
      "another title",
      (repro) => ({ ...repro, finding: { ...repro.finding, title: "x" } }),
      /"finding.key" does not fit/,
    ],
  ];
  test.each(fields)("%s", async (_name, change, message) => {
    expectRefused(await sandbox.cli("replay", edited(change)), message);
  });

  test("unknown scenario", async () => {
    const file = edited((repro) => ({ ...repro, scenario: "refcounted-objects" }));
    expectRefused(
      await sandbox.cli("replay", file),
      /edited.json: unknown scenario "refcounted-objects"; did you mean/,
    );
  });

  const parameters: readonly [string, object, RegExp][] = [
    ["lifetime", { lifetime: "eternal" }, /unknown lifetime "eternal"/],
    ["memory", { memory: "alpha" }, /unknown memory model "alpha"/],
    ["patches", { patches: ["gone"] }, /unknown patch "gone"/],
    ["cpus", { cpus: 0 }, /0 is no number of CPUs/],
    ["config", { config: { GONE: true } }, /unknown config option "GONE"/],
    ["checks", { checks: ["gone"] }, /unknown check "gone"/],
    ["stepsMax", { stepsMax: 0 }, /0 is no bound on steps/],
  ];
  test.each(parameters)("parameters that make no sense: %s", async (_name, change, message) => {
    const file = edited((repro) => ({ ...repro, parameters: { ...repro.parameters, ...change } }));
    const result = await sandbox.cli("replay", file);
    expectRefused(result, message);
    expect(result.stderr).toContain(`its parameters make no sense to this utrace-sim ${TOOL.version}`);
  });

  test("no schedule", async () => {
    const file = edited((repro) => ({ ...repro, schedule: "c0:1 z9" }));
    expectRefused(await sandbox.cli("replay", file), /was edited: field "schedule": "z9" is no part of a schedule/);
  });

  test("a schedule with a CPU there is no room for", async () => {
    const file = edited((repro) => ({ ...repro, schedule: `${repro.schedule} s16` }));
    expectRefused(await sandbox.cli("replay", file), /was edited: field "schedule": "s16" is no part of a schedule/);
  });

  test("a schedule that would fill the memory", async () => {
    const file = edited((repro) => ({ ...repro, schedule: "s0*9999999 ".repeat(1000) }));
    expectRefused(await sandbox.cli("replay", file), /was edited: field "schedule": 9999999000 events, but/);
  });

  test("a schedule that does not fit", async () => {
    const file = edited((repro) => ({ ...repro, schedule: `t1:7 ${repro.schedule}` }));
    expectRefused(
      await sandbox.cli("replay", file),
      /does not replay: step 0 .* or the tool has changed since \(utrace-sim /,
    );
  });

  test("a schedule that ends early", async () => {
    const file = edited((repro) => ({ ...repro, schedule: repro.schedule.split(" ").slice(0, -2).join(" ") }));
    expectRefused(await sandbox.cli("replay", file), /field "trail": it tells of more steps than the schedule/);
    const old = edited(({ trail: _, ...repro }) => ({
      ...repro,
      format: 1,
      schedule: repro.schedule.split(" ").slice(0, -2).join(" "),
    }));
    expectRefused(await sandbox.cli("replay", old), /does not replay: the schedule ends at step/);
  });

  test("a schedule that goes on after the finding", async () => {
    const file = edited((repro) => ({ ...repro, schedule: `${repro.schedule} c0:1` }));
    expectRefused(
      await sandbox.cli("replay", file),
      /was edited: its schedule has \d+ events, but the finding comes with event/,
    );
  });

  test("a schedule that still runs, to the same finding by another way", async () => {
    const raw = await sandbox.cli(
      "hunt",
      "refcounted-object",
      "--config",
      "DEBUG_PAGEALLOC=n",
      "--json",
      "--no-shrink",
    );
    const { schedule, title } = JSON.parse(raw.stdout).findings[0];
    expect(title).toBe(parseRepro(text, path).finding.title);
    const { schedule: before } = parseRepro(text, path);
    expect(schedule).not.toBe(before);
    expectRefused(
      await sandbox.cli(
        "replay",
        edited((repro) => ({ ...repro, schedule })),
      ),
      /was edited|does not replay/,
    );
    const file = edited(({ trail: _, ...repro }) => ({ ...repro, format: 1, schedule }));
    const { historyHash } = parseRepro(text, path);
    expectRefused(
      await sandbox.cli("replay", file),
      new RegExp(`history hash [0-9a-f]{16}, the file expects ${historyHash}`),
    );
  });

  const trails: readonly [string, (trail: NonNullable<Repro["trail"]>) => object | undefined, RegExp][] = [
    ["missing", () => undefined, /field "trail": missing/],
    [
      "cut off",
      (trail) => ({ ...trail, stretches: trail.stretches.slice(0, -1) }),
      /ends before step \d+ of the schedule/,
    ],
    ["no stretch", (trail) => ({ ...trail, stretches: ["x", ...trail.stretches] }), /"x" is no stretch of a trail/],
    ["an op that is none", (trail) => ({ ...trail, ops: {} }), /no op is number 0 in "/],
    [
      "another op",
      (trail) => ({ ...trail, ops: { ...trail.ops, reader: "load obj->value" } }),
      /step \d+ of the schedule is ".*", but possible are: ".*"|no op is number/,
    ],
    [
      "other values",
      (trail) => ({
        ...trail,
        stretches: trail.stretches.map((one, i) => (i === 1 ? `${one.slice(0, -4)}0000` : one)),
      }),
      /steps \d+ to \d+, before ".*", are the recorded ops, but give other values/,
    ],
  ];
  test.each(trails)("a trail that is not the one saved: %s", async (_name, change, message) => {
    const file = edited((repro) => ({ ...repro, trail: repro.trail === undefined ? undefined : change(repro.trail) }));
    expectRefused(await sandbox.cli("replay", file), message);
  });

  test("another hash", async () => {
    const file = edited((repro) => ({ ...repro, historyHash: "0123456789abcdef" }));
    const { historyHash } = parseRepro(text, path);
    expectRefused(
      await sandbox.cli("replay", file),
      new RegExp(
        `history hash ${historyHash}, the file expects 0123456789abcdef; the file was edited, or the scenario`,
      ),
    );
  });

  test("a finding that does not come", async () => {
    const hunted = await sandbox.cli("hunt", "leak", "--find", "leak", "--json", "--out", "leaks");
    const repro: Repro = JSON.parse(
      readFileSync(join(sandbox.cwd, JSON.parse(hunted.stdout).findings[0].repro), "utf8"),
    );
    const other = edited(() => ({ ...repro, parameters: { ...repro.parameters, checks: ["kasan"] } }));
    const message = new RegExp(
      `the run ended without ".*" \\(history hash [0-9a-f]{16}, the file expects ${repro.historyHash}\\)`,
    );
    expectRefused(await sandbox.cli("replay", other), message);
  });

  test("of a scenario that has changed since", async () => {
    const [, fixed] = TEST_SCENARIOS;
    if (fixed === undefined) throw new Error("no such test scenario");
    const changed = makeSandbox([{ ...fixed, name: "refcounted-object" }]);
    const result = await changed.cli("replay", join(sandbox.cwd, path));
    changed.remove();
    expectRefused(
      result,
      /does not replay: .* the scenario, the model or the tool has changed since \(utrace-sim .* wrote it/,
    );
  });
});

test("a repro that cannot be written is bad input, not a defect", async () => {
  const blocked = makeSandbox();
  // A folder of the repro's own name is in the way.
  const { mkdirSync } = await import("node:fs");
  mkdirSync(join(blocked.cwd, path, "x"), { recursive: true });
  const { code, stderr } = await blocked.cli("hunt", "refcounted-object", "--config", "DEBUG_PAGEALLOC=n", "--json");
  expect(code).toBe(2);
  expect(stderr).toMatch(/^utrace-sim: cannot write repros\/.*; name another folder with --out\n$/);
  expect(readdirSync(join(blocked.cwd, "repros"))).toHaveLength(1);
  blocked.remove();
});
