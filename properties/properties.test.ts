/** Every property over runs of every kind; and for each a doctored run that breaks it, so that none is asleep. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PROPERTIES } from "./index.ts";
import { observe } from "./observe.ts";
import { anySituation } from "./situation.ts";
import { TWINS } from "./twins.ts";

const SEED = 20080827;
const RUNS = 200;

describe(`every run up to its first finding (fast-check seed ${SEED}, ${RUNS} runs)`, () => {
  const tested = new Map<string, number>();

  test("keeps every property", () => {
    const claim = fc.property(anySituation, (situation) => {
      const run = observe(situation.program(), situation.strategy());
      for (const property of PROPERTIES) {
        const judgement = property.holds(run);
        tested.set(property.name, (tested.get(property.name) ?? 0) + judgement.tested);
        expect(judgement.breach, property.name).toBe(null);
      }
    });
    fc.assert(claim, { seed: SEED, numRuns: RUNS });
  });

  test.each(PROPERTIES)("sometimes puts it to the test: $name", ({ name }) => {
    expect(tested.get(name) ?? 0).toBeGreaterThan(0);
  });
});

describe("each property is broken by a doctored run, and by nothing in the run itself", () => {
  test.each(TWINS)("$property.name: $what", ({ property, says, doctored }) => {
    for (const situation of fc.sample(anySituation, { seed: SEED, numRuns: RUNS })) {
      const run = observe(situation.program(), situation.strategy());
      const { tested, breach } = property.holds(run);
      if (!run.toEnd || tested === 0) continue;
      expect(breach).toBe(null);
      const broken = property.holds(doctored(run)).breach;
      // What it claims may be excused in this run, or come to nothing in another way.
      if (broken === null || !says.test(broken)) continue;
      expect(broken).toMatch(says);
      return;
    }
    throw new Error(`none of ${RUNS} doctored runs breaks it`);
  });
});
