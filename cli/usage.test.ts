import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeSandbox, type Sandbox } from "./fakeIo.ts";

let sandbox: Sandbox;
beforeAll(() => {
  sandbox = makeSandbox();
  writeFileSync(join(sandbox.cwd, "file"), "");
});
afterAll(() => sandbox.remove());

/** Words of a command line, and what its one line of complaint must say. */
const BAD: readonly (readonly [string, RegExp])[] = [
  ["", /no command given; known: list, run/],
  ["hnt", /unknown command 'hnt' \(Did you mean hunt\?\)/],
  ["help huntt", /unknown command "huntt"; did you mean "hunt"\?/],
  ["--jason", /unknown option '--jason'/],
  ["list surplus", /too many arguments for 'list'/],
  ["run", /missing required argument 'SCENARIO' \(see utrace-sim run --help\)/],
  ["run leak surplus", /too many arguments/],
  [
    "run refcounted-objekt",
    /unknown scenario "refcounted-objekt"; did you mean "refcounted-object"\? "utrace-sim list"/,
  ],
  ["run toString", /unknown scenario "toString"/],
  ["run leak --sed 1", /unknown option '--sed' \(Did you mean --seed\?\)/],
  ["run leak --seed", /'--seed <S>' argument missing/],
  ["run leak --seed x", /"x" is no seed; give a whole number of up to 15 digits, or NUMBER\/RUN/],
  ["run leak --seed -1", /argument missing|is no seed/],
  ["run leak --seed 1.5", /"1.5" is no seed/],
  ["run leak --seed 1e3", /"1e3" is no seed/],
  ["run leak --seed 1234567890123456", /is no seed; give a whole number of up to 15 digits/],
  ["run leak --seed 1/", /"1\/" is no seed/],
  ["run leak --seed /1", /"\/1" is no seed/],
  ["run leak --seed 1/2/3", /"1\/2\/3" is no seed/],
  ["run leak --strategy randm", /'randm' is invalid\. Allowed choices are portfolio, random, pct, /],
  ["hunt leak --strategy pct --depth 0", /'0' is invalid\. Give a whole number from 1 to 100/],
  [
    "hunt leak --strategy random --depth 2",
    /--depth is of no use to --strategy random; .* --strategy pct or portfolio/,
  ],
  ["run leak --preemptions 1", /--preemptions is of no use to --strategy timed; leave it out/],
  ["run leak --strategy preemption-bounded --preemptions some", /'some' is invalid/],
  ["run leak --lifetime forever", /unknown lifetime "forever"; known: pointer/],
  ["run leak --patches duct-tape", /unknown patch "duct-tape"; known: /],
  ["run leak --memory alpha", /unknown memory model "alpha"; known: sc/],
  ["run leak --cpus 0", /'0' is invalid\. Give a whole number of at least 1/],
  ["run leak --cpus 99", /99 is no number of CPUs; give a whole number from 1 to 8/],
  ["run leak --cpus two", /'two' is invalid\. Give a whole number/],
  ["run leak --config PREEMT=y", /unknown config option "PREEMT"; known: PREEMPT/],
  ["run leak --config PREEMPT=maybe", /PREEMPT takes y or n/],
  ["run leak --config PREEMPT", /PREEMPT takes y or n/],
  ["run leak --config PREEMPT=n,PREEMPT_RCU=y", /PREEMPT_RCU=y needs PREEMPT=y/],
  ["run leak --checks kassan", /unknown check "kassan"; known: kasan/],
  ["run leak --steps-max 0", /'0' is invalid/],
  ["run leak --steps-max many", /'many' is invalid/],
  ["run leak --jobs 0", /'0' is invalid\. Give a whole number from 1 to/],
  ["run leak --json=3", /unknown option '--json=3'/],
  ["hunt", /missing required argument 'SCENARIO'/],
  ["hunt leek", /unknown scenario "leek"; did you mean "leak"\?/],
  ["hunt leak --seed 1/17", /"1\/17" is the seed of one run; .*--seed 1$/],
  ["hunt leak --seed x", /"x" is no seed/],
  ["hunt leak --runs 0", /'0' is invalid/],
  ["hunt leak --runs 1.5", /'1.5' is invalid/],
  ["hunt leak --runs -5", /argument missing|is invalid|unknown option/],
  ["hunt leak --jobs lots", /'lots' is invalid/],
  ["hunt leak --find leek", /unknown kind of finding "leek"; did you mean "leak"\? known: use-after-free/],
  ["hunt leak --find leak,", /unknown kind of finding ""/],
  ["hunt leak --out file", /cannot save repro files in file: .* is no folder; name another folder with --out/],
  ["hunt leak --out file/below", /cannot save repro files in file\/below/],
  ["hunt leak --history", /unknown option '--history'/],
  ["replay", /missing required argument 'FILE'/],
  ["replay nowhere.json", /cannot read nowhere.json: there is no such file/],
  ["replay .", /cannot read \.: it is a directory/],
  ["replay x.json --last 0", /'0' is invalid/],
  ["replay x.json --lifetime pointer", /unknown option '--lifetime'/],
  ["demo --seed 1/2", /is the seed of one run/],
  ["demo surplus", /too many arguments/],
];

describe("bad usage exits with 2 and one line that names it", () => {
  test.each(BAD)("utrace-sim %s", async (line, message) => {
    const { code, stdout, stderr } = await sandbox.cli(...line.split(" ").filter((word) => word !== ""));
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^utrace-sim: [^\n]+\n$/);
    expect(stderr.trimEnd()).toMatch(message);
  });

  test("and nothing is left in the folder", () => {
    expect(existsSync(join(sandbox.cwd, "repros"))).toBe(false);
  });
});

describe("a defect of the simulator exits with 4", () => {
  test("with one line", async () => {
    const { code, stdout, stderr } = await sandbox.cli("run", "defect");
    expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
    expect(stderr).toBe("utrace-sim: [sim bug] on purpose in two lines (UTRACE_SIM_DEBUG=1 shows where)\n");
  });

  test("whatever was thrown", async () => {
    const { code, stderr } = await sandbox.cli("hunt", "surprise");
    expect(code).toBe(4);
    expect(stderr).toBe("utrace-sim: [sim bug] unexpected error: not on purpose (UTRACE_SIM_DEBUG=1 shows where)\n");
  });

  test("and with the stack where UTRACE_SIM_DEBUG asks for it", async () => {
    const { code, stderr } = await sandbox.cliWith({ UTRACE_SIM_DEBUG: "1" }, "run", "surprise");
    expect(code).toBe(4);
    expect(stderr).toMatch(
      /^utrace-sim: \[sim bug\] unexpected error: not on purpose\nTypeError: not on purpose\n +at /,
    );
  });
});

describe("help", () => {
  test.each(["--help", "list --help", "run --help", "hunt --help", "replay --help", "demo --help", "help hunt"])(
    "utrace-sim %s exits with 0 and has an example",
    async (line) => {
      const { code, stdout, stderr } = await sandbox.cli(...line.split(" "));
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toMatch(/^Usage: utrace-sim/);
      expect(stdout).toMatch(/Examples?:\n {2}\$ utrace-sim \w+/);
    },
  );

  test("--version prints the version of package.json", async () => {
    const { code, stdout } = await sandbox.cli("--version");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^[1-9]\d*\.\d+\.\d+|0\.[1-9]\d*\.\d+\n$/);
  });
});
