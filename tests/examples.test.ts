/**
 * Every example in the documentation is run, and shows what it shows.
 *
 * An example is a block that is fenced as `console`: `$ command`, then what the command prints. A line `...` stands for
 * any number of lines. `npm run bless` writes what really comes into the documents.
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const FOLDERS = [
  ".",
  "docs",
  "docs/decisions",
  "sim",
  "model",
  "scenarios",
  "properties",
  "reports",
  "comparison",
  "cli",
  "bench",
];
const REST = "...";
/** A finding is what an example is about, so 0 and 1 are both well. */
const WORST_EXIT_CODE = 1;

const documents = FOLDERS.flatMap((folder) =>
  readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(folder, name)),
);

/** Commands run here as a reader runs them in the checked out project, but leave nothing behind in it. */
class Shell {
  private readonly folder = mkdtempSync(join(tmpdir(), "utrace-sim-examples-"));
  private readonly bin = join(this.folder, ".bin");

  constructor() {
    symlinkSync(join(ROOT, "dist"), join(this.folder, "dist"));
    mkdirSync(this.bin);
    const npx = join(this.bin, "npx");
    writeFileSync(npx, '#!/bin/sh\n[ "$1" = utrace-sim ] || exit 99\nshift\nexec node dist/cli/main.js "$@"\n');
    chmodSync(npx, 0o755);
  }

  run(command: string): readonly string[] {
    const env = { ...process.env, PATH: `${this.bin}:${dirname(process.execPath)}:${process.env.PATH}` };
    const { status, stdout, stderr } = spawnSync("sh", ["-c", command], { cwd: this.folder, encoding: "utf8", env });
    if (status === null || status > WORST_EXIT_CODE) throw new Error(`$ ${command}\nexit code ${status}\n${stderr}`);
    return linesOf(stdout + stderr);
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const linesOf = (text: string): readonly string[] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => line.trimEnd());

/** Whether lines are what an example shows of them. */
function fits(shown: readonly string[], actual: readonly string[]): boolean {
  const [first, ...later] = shown;
  if (first === undefined) return actual.length === 0;
  if (first !== REST) return first === actual[0] && fits(later, actual.slice(1));
  return actual.some((_, i) => fits(later, actual.slice(i))) || later.length === 0;
}

/** What the lines of a document that has become wrong show of the lines that come now: as much, and in like places. */
function elidedAlike(shown: readonly string[], actual: readonly string[]): readonly string[] {
  const parts = shown
    .join("\n")
    .split(/^\.{3}$/m)
    .map((part) => linesOf(part.replace(/^\n/, "")));
  if (parts.length === 1) return actual;
  let at = 0;
  const made = parts.map((part, i) => {
    const length = part.length === 1 && part[0] === "" ? 0 : part.length;
    if (i === parts.length - 1) at = Math.max(at, actual.length - length);
    else if (i > 0) at = likest(part, actual, at);
    const lines = actual.slice(at, at + length);
    at += length;
    return lines;
  });
  return made.flatMap((lines, i) => (i === 0 ? lines : [REST, ...lines]));
}

/** Where, from `from` on, lines look most like these, apart from their numbers. */
function likest(part: readonly string[], actual: readonly string[], from: number): number {
  const shape = (line: string | undefined): string => (line ?? "").replace(/[0-9a-f]*\d[0-9a-f]*/g, "N");
  const alike = (at: number): number => part.filter((line, i) => shape(line) === shape(actual[at + i])).length;
  let best = from;
  for (let at = from; at < actual.length; at++) if (alike(at) > alike(best)) best = at;
  return best;
}

/** The document as it has to be: an output that does not fit gives way to the real one. */
function corrected(text: string, run: (command: string) => readonly string[]): string {
  return text.replace(/^```console\n([\s\S]*?)^```$/gm, (_, block: string) => {
    const [before = "", ...examples] = block.split(/^\$ /m);
    if (before !== "") throw new Error(`an example begins with "$ command", not with: ${before}`);
    return `\`\`\`console\n${examples.map((example) => correctedExample(example, run)).join("")}\`\`\``;
  });
}

function correctedExample(example: string, run: (command: string) => readonly string[]): string {
  const [command = "", ...shown] = example.replace(/\n+$/, "").split("\n");
  const actual = run(command);
  const lines = shown.map((line) => line.trimEnd());
  const output = fits(lines, actual) ? shown : elidedAlike(lines, actual);
  const blank = example.endsWith("\n\n") ? "\n" : "";
  return `${[`$ ${command}`, ...output].join("\n")}\n${blank}`;
}

describe("the examples of", () => {
  const withExamples = documents.filter((path) => readFileSync(join(ROOT, path), "utf8").includes("```console"));

  test.each(withExamples)("%s are real", async (path) => {
    const text = readFileSync(join(ROOT, path), "utf8");
    const shell = new Shell();
    try {
      await expect(corrected(text, (command) => shell.run(command))).toMatchFileSnapshot(join(ROOT, path));
    } finally {
      shell.close();
    }
  });
});

describe("an example", () => {
  const answer = (): readonly string[] => ["one", "two", "", "three"];
  const document = (...shown: string[]): string => ["# T", "```console", "$ f", ...shown, "```", "text", ""].join("\n");

  test.each([
    [["one", "two", "", "three"]],
    [["...", "", "three"]],
    [["one", "..."]],
    [["one", "...", "three"]],
    [["..."]],
    [["one", "two", "", "three", "..."]],
  ])("may show %j", (shown) => {
    expect(corrected(document(...shown), answer)).toBe(document(...shown));
  });

  test.each([
    [["one", "two"], answer()],
    [[], answer()],
    [
      ["one", "...", "two"],
      ["one", "...", "three"],
    ],
    [
      ["...", "four"],
      ["...", "three"],
    ],
    [
      ["two", "..."],
      ["one", "..."],
    ],
    [
      ["0", "...", "two", "3", "..."],
      ["one", "...", "two", "", "..."],
    ],
  ])("may not show %j, but %j", (shown, actual) => {
    expect(corrected(document(...shown), answer)).toBe(document(...actual));
  });

  test("needs a command", () => {
    expect(() => corrected("```console\nf\n```\n", answer)).toThrow(/begins with/);
  });
});
