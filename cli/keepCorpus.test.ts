/** `npm run corpus`: what replays stays, what does not is carried over, hunted again, or named. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeSandbox, type Sandbox, TEST_SCENARIOS } from "./fakeIo.ts";
import type { Io } from "./io.ts";
import { runKeepCorpus } from "./keepCorpus.ts";
import type { Repro } from "./reproFile.ts";

let sandbox: Sandbox;
let saved: string;

/** Runs the tool; gives its exit code and what it said. */
function keep(...argv: string[]): { code: number; text: string } {
  let text = "";
  const write = (more: string): void => {
    text += more;
  };
  const io: Io = { stdout: { write }, stderr: { write }, cwd: sandbox.cwd, env: {}, scenarios: TEST_SCENARIOS };
  return { code: runKeepCorpus([...argv, "corpus"], io), text };
}
const file = (): string => readFileSync(join(sandbox.cwd, "corpus/one.json"), "utf8");
const put = (change: (repro: Repro) => object): void =>
  writeFileSync(join(sandbox.cwd, "corpus/one.json"), `${JSON.stringify(change(JSON.parse(saved)), null, 2)}\n`);

beforeEach(async () => {
  sandbox = makeSandbox();
  const hunt = ["hunt", "refcounted-object", "--config", "DEBUG_PAGEALLOC=n", "--json", "--no-explain"];
  const [finding] = JSON.parse((await sandbox.cli(...hunt)).stdout).findings;
  saved = readFileSync(join(sandbox.cwd, finding.repro), "utf8");
  mkdirSync(join(sandbox.cwd, "corpus"));
  writeFileSync(join(sandbox.cwd, "corpus/README.md"), "| `one.json` | `npx utrace-sim hunt old` |\nrest\n");
  put((repro) => repro);
});
afterEach(() => sandbox.remove());

describe("a file", () => {
  test("that replays exactly is left alone", () => {
    expect(keep("--rebase")).toEqual({ code: 0, text: "exact     one.json\n" });
    expect(file()).toBe(saved);
  });

  test("of the format before is written anew, with its trail", () => {
    put(({ trail: _, ...repro }) => ({ ...repro, format: 1 }));
    expect(keep("--rebase")).toEqual({ code: 0, text: "exact     one.json: of format 1\n" });
    expect(file()).toBe(saved);
  });

  test("that does not replay is named, and carried over only with --rebase", () => {
    put((repro) => ({ ...repro, historyHash: "0123456789abcdef" }));
    const before = file();
    expect(keep()).toMatchObject({ code: 1, text: expect.stringMatching(/^outdated {2}one\.json: .*history hash/) });
    expect(file()).toBe(before);
    expect(keep("--rebase")).toMatchObject({ code: 0, text: expect.stringMatching(/^rebased {3}one\.json: the same/) });
    expect(file()).toBe(saved);
  });

  test("whose trail leads nowhere is hunted again, and the README told", () => {
    put(({ trail: _, ...repro }) => ({ ...repro, format: 1, historyHash: "0123456789abcdef" }));
    expect(keep("--rebase").text).toMatch(/^hunted {4}one\.json: found again with seed 1\/\d+\n$/);
    expect(JSON.parse(file()).finding).toEqual(JSON.parse(saved).finding);
    expect(readFileSync(join(sandbox.cwd, "corpus/README.md"), "utf8")).toMatch(
      /^\| `one\.json` \| `npx utrace-sim hunt refcounted-object --seed 1 .*DEBUG_PAGEALLOC=n` \|\nrest\n$/,
    );
  });

  test("whose finding is gone is named and left alone", () => {
    put((repro) => ({ ...repro, scenario: "refcounted-object-fixed" }));
    const before = file();
    const { code, text } = keep("--rebase", "--runs", "20");
    expect(code).toBe(1);
    expect(text).toMatch(
      /^lost {6}one\.json: not found again in 8 hunts of 20 runs; the finding does not come: it departs/,
    );
    expect(file()).toBe(before);
  });
});

test("an option that is none is refused in one line", () => {
  expect(keep("--rebsae")).toMatchObject({
    code: 2,
    text: expect.stringMatching(/^corpus: "--rebsae" makes no sense/),
  });
});
