/** Every mutation still fits the model: its text is there, once, and what it becomes is another text. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { EQUIVALENT, MUTATIONS } from "./mutations.ts";

test.each(MUTATIONS)("$name ($file): applies exactly once", ({ file, find, replace }) => {
  const source = readFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), "utf8");
  expect(source.split(find)).toHaveLength(2);
  expect(replace).not.toBe(find);
});

test("there are at least thirty, each with a name of its own", () => {
  expect(MUTATIONS.length).toBeGreaterThanOrEqual(30);
  expect(new Set(MUTATIONS.map(({ name }) => name)).size).toBe(MUTATIONS.length);
});

test("a mistake that nobody could notice is no mutation, and has another of its kind in its place", () => {
  const names = MUTATIONS.map(({ name }) => name);
  for (const { name, why, instead } of EQUIVALENT) {
    expect(names).not.toContain(name);
    expect(names).toContain(instead);
    expect(why).toMatch(/\.$/);
  }
});
