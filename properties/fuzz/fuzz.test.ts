/** The fuzzer: a fixed budget from a fixed seed; tokens; shrinking. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LIFETIMES } from "../../scenarios/parameters.ts";
import { execute, type Finding, makeStrategy } from "../../sim/index.ts";
import { ReplayStrategy } from "../../sim/strategies/replay.ts";
import { programOf } from "./case.ts";
import { Fuzzer, judge, simplerThan } from "./fuzzer.ts";
import { anyCase, anyScript } from "./shapes.ts";
import { BadToken, formatToken, parseToken } from "./token.ts";

const SEED = "20080827";

describe(`a fixed budget: 20 programs, 6 schedules each, seed ${SEED}`, () => {
  test.each(LIFETIMES)("%s shows nothing that docs/fuzz-findings.md does not tell of", (lifetime) => {
    const fuzzer = new Fuzzer({ seed: SEED, lifetimes: [lifetime], schedules: 6 });
    const unknown = new Map<string, string>();
    let steps = 0;
    for (let program = 0; program < 20; program++) {
      const round = fuzzer.next();
      steps += round.steps;
      for (const [cause, { schedule, known }] of round.raw) {
        if (!known) unknown.set(cause, formatToken({ fuzzCase: round.fuzzCase, schedule }));
      }
    }
    expect([...unknown]).toEqual([]);
    expect(steps).toBeGreaterThan(20_000);
  });
});

describe("a token", () => {
  const fuzzCases = fc.sample(anyCase(), { seed: 7, numRuns: 5 });
  test("holds program, parameters and schedule: the run that it makes is the same", () => {
    for (const [at, fuzzCase] of fuzzCases.entries()) {
      const run = execute(programOf(fuzzCase), makeStrategy("random", `${at}`));
      const read = parseToken(formatToken({ fuzzCase, schedule: run.schedule }));
      expect(read.fuzzCase).toEqual(fuzzCase);
      const again = execute(programOf(read.fuzzCase), new ReplayStrategy(read.schedule));
      expect(again.historyHash).toBe(run.historyHash);
    }
  });

  const token = formatToken({ fuzzCase: fuzzCases[0] as (typeof fuzzCases)[0], schedule: Int32Array.of() });
  test.each([
    ["of nothing", "", /is no fuzz token/],
    ["that is another text", "hello world", /"hello world" is no fuzz token/],
    ["of another version", token.replace("-2:", "-1:"), /has version 1, and this reads version 2/],
    ["that was cut off", token.slice(0, -20), /is damaged: it was cut off or edited/],
    ["of other JSON", `utrace-fuzz-2:${Buffer.from("x").toString("base64url")}`, /is damaged/],
  ])("%s is refused in one line", (_what, text, message) => {
    expect(() => parseToken(text)).toThrow(BadToken);
    expect(() => parseToken(text)).toThrow(message);
  });

  test("that makes no program is refused", () => {
    const [fuzzCase] = fuzzCases as [(typeof fuzzCases)[0]];
    const bad = (change: object) => formatToken({ fuzzCase: { ...fuzzCase, ...change }, schedule: Int32Array.of() });
    expect(() => parseToken(bad({ parameters: { lifetime: "none" } }))).toThrow(/makes no program: unknown lifetime/);
    for (const [part, value] of [
      ["tracers", [[{ do: "control" }]]],
      ["targets", [[{ do: "dance" }]]],
      ["senders", [[{ signal: 32, target: 0, naps: 0 }]]],
      ["engines", [{ answers: { report_all: 1 }, inside: null, follows: 0 }]],
      ["engines", [{ answers: {}, inside: { callback: "report_exec" }, follows: 0 }]],
      ["waits", 1],
    ] as const) {
      const token = bad({ script: { ...fuzzCase.script, [part]: value } });
      expect(() => parseToken(token), part).toThrow(`makes no program: its ${part} are not as they should be`);
    }
  });
});

test("what is found is shrunk: a simpler program and schedule, with the same cause, which the token shows again", () => {
  const fuzzer = new Fuzzer({ seed: "3", lifetimes: ["pointer"], schedules: 10 });
  for (let number = 0; number < 60; number++) {
    const round = fuzzer.round(number);
    const [seen] = round.raw;
    if (seen === undefined) continue;
    const [cause, raw] = seen;
    const found = fuzzer.simplify(number, raw, { programs: 30, runs: 6, schedule: 60 });
    expect(found).toMatchObject({ cause, known: raw.known });
    const { fuzzCase, schedule } = parseToken(found.token);
    const program = programOf(fuzzCase);
    const again = execute(program, new ReplayStrategy(schedule), { until: (findings) => findings.length > 0 });
    expect(judge(fuzzCase, program, again.findings[0] as Finding, schedule).cause).toBe(cause);
    expect(JSON.stringify(fuzzCase).length).toBeLessThan(JSON.stringify(round.fuzzCase).length);
    return;
  }
  throw new Error("nothing found in 60 programs");
});

test("a program depends on its number alone, not on those before it", () => {
  const options = { seed: "5", lifetimes: ["lazy"], schedules: 2 };
  const inTurn = new Fuzzer(options);
  const [first, second] = [inTurn.next(), inTurn.next()];
  expect([first.number, second.number]).toEqual([0, 1]);
  expect(new Fuzzer(options).round(1)).toEqual(second);
});

test("simplerThan looks at the program first, then at preemptions, then at steps", () => {
  const size = { parts: 5, preemptions: 2, steps: 100 };
  expect(simplerThan({ parts: 4, preemptions: 9, steps: 900 }, size)).toBe(true);
  expect(simplerThan({ ...size, preemptions: 1, steps: 900 }, size)).toBe(true);
  expect(simplerThan({ ...size, steps: 99 }, size)).toBe(true);
  expect(simplerThan(size, size)).toBe(false);
});

test("in somebody else's suite: any script, under the lifetime that is to be tried", () => {
  let tested = 0;
  const claim = fc.property(anyScript, fc.nat(), (script, seed) => {
    const program = programOf({ parameters: { lifetime: "lazy", cpus: 2 }, script });
    const { findings } = execute(program, makeStrategy("random", `${seed}`), { until: (found) => found.length > 0 });
    tested++;
    expect(findings.filter(({ kind }) => kind === "double-free")).toEqual([]);
  });
  fc.assert(claim, { seed: 1, numRuns: 20 });
  expect(tested).toBe(20);
});
