/** Generated programs do something: how many of them do what, counted; and what they become when shrunk. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UTRACE_STOP } from "../../model/utrace/events.ts";
import type { Script } from "../../scenarios/programs/script.ts";
import { execute, makeStrategy } from "../../sim/index.ts";
import { programOf } from "./case.ts";
import { DEEDS, deedsOf, HEARD } from "./deeds.ts";
import { anyCase, anyScript, SHAPES } from "./shapes.ts";
import { formatToken, parseToken } from "./token.ts";

describe("of 400 programs under two schedules each", () => {
  const counts = new Map<string, number>();
  let steps = 0;
  let cutOff = 0;
  const pairs = 800;
  for (const [at, fuzzCase] of fc.sample(anyCase(), { seed: 20080827, numRuns: pairs / 2 }).entries()) {
    const program = programOf(fuzzCase);
    for (const schedule of [0, 1]) {
      const until = (findings: readonly unknown[]): boolean => findings.length > 0;
      const run = execute(program, makeStrategy("random", `${at}/${schedule}`), { record: true, until });
      steps += run.steps;
      if (run.cutOff) cutOff++;
      for (const deed of deedsOf(run)) counts.set(deed, (counts.get(deed) ?? 0) + 1);
    }
  }
  const atLeast = new Map<string, number>([
    ["attach", 0.9],
    ["callback", 0.8],
    ["stop", 0.4],
  ]);
  test.each([...DEEDS, ...HEARD])("%s", (deed) => {
    expect((counts.get(deed) ?? 0) / pairs).toBeGreaterThanOrEqual(atLeast.get(deed) ?? 0.03);
  });
  test("a run takes less than a thousand steps, and next to none is cut off", () => {
    expect(steps / pairs).toBeLessThan(1000);
    expect(cutOff / pairs).toBeLessThan(0.01);
  });
});

/** How much of a program is left. */
const deeds = ({ targets, tracers, senders, leaves, crowded }: Script): readonly unknown[] => [
  ...[...targets, ...tracers, ...senders].flat(),
  ...[leaves, crowded].filter((yes) => yes),
];

test.each(Object.entries(SHAPES))("%s: shrinks until nothing is left that is not needed", (_name, arbitrary) => {
  const shrunk = (holds: (script: Script) => boolean): Script => {
    const { counterexample } = fc.check(
      fc.property(arbitrary, (script) => !holds(script)),
      { seed: 1, numRuns: 100 },
    );
    return counterexample?.[0] as Script;
  };
  expect(deeds(shrunk(() => true)).length).toBeLessThan(2);
  const attaches = ({ tracers }: Script): boolean => tracers.flat().some((step) => step.do === "attach");
  const stops = ({ tracers }: Script): boolean =>
    tracers.flat().some((step) => step.do === "control" && step.action === UTRACE_STOP);
  const both = shrunk((script) => attaches(script) && stops(script));
  if (both !== undefined) expect(deeds(both).length).toBeLessThan(4);
});

test("every script survives its token", () => {
  for (const script of fc.sample(anyScript, { seed: 3, numRuns: 200 })) {
    const fuzzCase = { parameters: { lifetime: "lazy" }, script };
    expect(parseToken(formatToken({ fuzzCase, schedule: Int32Array.of() })).fuzzCase).toEqual(fuzzCase);
  }
});
