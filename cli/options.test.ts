import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CONFIG_DEFAULTS,
  type GivenParameters,
  LIFETIMES,
  PATCHES,
  resolveParameters,
} from "../scenarios/parameters.ts";
import { CHECK_NAMES, EXTRA_CHECK_NAMES } from "../sim/finding.ts";
import { MEMORY_MODELS } from "../sim/storeBuffer.ts";
import { givenOf, optionsFor } from "./options.ts";
import { parseHuntSeed, parseRunSeed } from "./seed.ts";
import { nearest } from "./suggest.ts";

/** Parameters as someone may give them; those that make no sense are left out. */
const sensible = fc
  .record<GivenParameters>({
    lifetime: fc.constantFrom(...LIFETIMES),
    patches: fc.subarray(Object.keys(PATCHES)).map((names) => (names.length === 0 ? "none" : names.join(","))),
    memory: fc.constantFrom(...MEMORY_MODELS),
    cpus: fc.integer({ min: 1, max: 8 }),
    config: fc
      .subarray(Object.keys(CONFIG_DEFAULTS))
      .chain((keys) => fc.tuple(...keys.map((key) => fc.constantFrom(`${key}=y`, `${key}=n`))))
      .map((pairs) => pairs.join(",")),
    checks: fc.subarray([...CHECK_NAMES, ...EXTRA_CHECK_NAMES]).map((names) => names.join(",")),
    stepsMax: fc.integer({ min: 1, max: 100_000 }),
  })
  .filter((given) => {
    try {
      return resolveParameters(given) !== undefined;
    } catch {
      return false;
    }
  });

/** Options back to what commander makes of them. */
function parseOptions(words: readonly string[]): GivenParameters {
  const given: Record<string, string | number> = {};
  for (let i = 0; i < words.length; i += 2) {
    const name = (words[i] as string).slice(2).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    const value = (words[i + 1] as string).replace('""', "");
    given[name] = name === "cpus" || name === "stepsMax" ? Number(value) : value;
  }
  return given;
}

describe("parameters survive the way through text", () => {
  test("as the options of a command line that runs them again", () => {
    fc.assert(
      fc.property(sensible, (given) => {
        const parameters = resolveParameters(given);
        expect(resolveParameters(parseOptions(optionsFor(parameters)))).toEqual(parameters);
      }),
    );
  });

  test("as a repro file gives them back", () => {
    fc.assert(
      fc.property(sensible, (given) => {
        const parameters = resolveParameters(given);
        expect(resolveParameters(givenOf(parameters))).toEqual(parameters);
      }),
    );
  });

  test("the defaults need no options", () => {
    expect(optionsFor(resolveParameters({}))).toEqual([]);
  });
});

describe("seeds", () => {
  test("every number of up to 15 digits is one, as itself", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999_999_999_999_999 }), fc.nat(), (seed, run) => {
        expect(parseHuntSeed(String(seed))).toBe(String(seed));
        expect(parseRunSeed(String(seed))).toBe(`${seed}/0`);
        expect(parseRunSeed(`${seed}/${run}`)).toBe(`${seed}/${run}`);
      }),
    );
  });
});

describe("near misses", () => {
  test.each([
    ["huntt", "hunt"],
    ["rn", "run"],
    ["xyzzy", undefined],
    ["", undefined],
  ])("%s: %s", (word, guess) => {
    expect(nearest(word, ["list", "run", "hunt", "replay"])).toBe(guess);
  });
});

test("`all` are the checks made by default; one that is not is added to them by name", () => {
  expect(resolveParameters({ checks: "all" }).checks).toEqual([...CHECK_NAMES]);
  expect(resolveParameters({}).checks).not.toContain("data-race");
  expect(resolveParameters({ checks: "all,data-race" }).checks).toEqual([...CHECK_NAMES, "data-race"]);
  expect(resolveParameters({ checks: "data-race,kasan" }).checks).toEqual(["kasan", "data-race"]);
});
