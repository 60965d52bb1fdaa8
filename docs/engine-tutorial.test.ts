/** The tutorial for engine writers shows the code that is run: every piece of it stands in the file it names. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const text = readFileSync(join(ROOT, "docs/engine-tutorial.md"), "utf8");

/** Each piece of code with the file that was named last before it. */
const pieces = [...text.matchAll(/From `(scenarios\/engines\/[\w-]+\.ts)`|^```ts\n([\s\S]*?)^```$/gm)].reduce<{
  file: string;
  codes: [string, string][];
}>(
  ({ file, codes }, [, named, code]) =>
    named !== undefined ? { file: named, codes } : { file, codes: [...codes, [file, code as string]] },
  { file: "", codes: [] },
).codes;

test.each(pieces)("%s: %s", (file, code) => {
  expect(readFileSync(join(ROOT, file), "utf8")).toContain(code);
});

test("there is one piece at least of each of the five engines", () => {
  expect(new Set(pieces.map(([file]) => file)).size).toBe(5);
});

test("every file that it names is there", () => {
  for (const [, file] of text.matchAll(/`((?:scenarios|docs)\/[\w/-]+\.(?:ts|json))`/g)) {
    expect(readFileSync(join(ROOT, file as string), "utf8")).not.toBe("");
  }
});
