/** `npm run witnesses`: what holds stays, what does not is looked for anew, what cannot be found is named. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeEach, expect, test } from "vitest";
import { formatToken, parseToken } from "../properties/fuzz/token.ts";
import { makeSandbox, TEST_SCENARIOS } from "./fakeIo.ts";
import type { FuzzFile } from "./fuzzFiles.ts";
import { runKeepWitnesses } from "./keepWitnesses.ts";

const NAME = "stop-on-freed-struct.pointer.json";
const ORIGINAL = fileURLToPath(new URL(`../properties/fuzz/witnesses/${NAME}`, import.meta.url));
const sandbox = makeSandbox();
const path = join(sandbox.cwd, "witnesses", NAME);
mkdirSync(join(sandbox.cwd, "witnesses"));
beforeEach(() => cpSync(ORIGINAL, path));
afterAll(() => sandbox.remove());

const read = (): FuzzFile => JSON.parse(readFileSync(path, "utf8"));

/** Runs the tool; gives its exit code and what it said. */
function keep(): { code: number; text: string } {
  let text = "";
  const write = (more: string): void => {
    text += more;
  };
  const io = { stdout: { write }, stderr: { write }, cwd: sandbox.cwd, env: {}, scenarios: TEST_SCENARIOS };
  return { code: runKeepWitnesses(["witnesses"], io), text };
}

test("one that shows its cause is left alone", () => {
  const before = read();
  expect(keep()).toEqual({ code: 0, text: "" });
  expect(read()).toEqual(before);
});

test("one whose schedule no longer fits is looked for anew, and holds then", () => {
  const { fuzzCase, schedule } = parseToken(read().token);
  const token = formatToken({ fuzzCase, schedule: schedule.slice(0, schedule.length >> 1) });
  writeFileSync(path, JSON.stringify({ ...read(), token }));
  expect(keep()).toEqual({ code: 0, text: `${NAME}: found anew\n` });
  expect(read()).toMatchObject({ cause: "stop-on-freed-struct", known: true, lifetime: "pointer" });
  expect(keep()).toEqual({ code: 0, text: "" });
});

test("one whose token is none any more is named", () => {
  writeFileSync(path, JSON.stringify({ ...read(), token: "utrace-fuzz-1:x" }));
  expect(keep()).toEqual({ code: 2, text: `${NAME}: lost\n` });
});
