/** The judged causes: complete, and told apart from each other. */
import { describe, expect, test } from "vitest";
import { LIFETIMES, PATCHES } from "../../scenarios/parameters.ts";
import { KNOWN_CAUSES, knownCause } from "./known.ts";

describe.each(KNOWN_CAUSES)("$name", ({ name, lifetimes, mendedBy, signs, where, order }) => {
  test("says where it is, in what order it comes, and under which lifetimes", () => {
    expect(knownCause(name)?.name).toBe(name);
    expect(KNOWN_CAUSES.filter((other) => other.name === name)).toHaveLength(1);
    expect(lifetimes.length).toBeGreaterThan(0);
    for (const lifetime of lifetimes) expect(LIFETIMES).toContain(lifetime);
    for (const patch of mendedBy) expect(Object.keys(PATCHES)).toContain(patch);
    expect(signs.length).toBeGreaterThan(0);
    expect(where.length).toBeGreaterThan(0);
    expect(order.length).toBeGreaterThan(80);
  });
});

test("no other name is known", () => {
  expect(knownCause("bug-on:nowhere:kernel BUG at nothing!")).toBe(undefined);
});
