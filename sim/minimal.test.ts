/** The simplest witness, the proof that none has fewer preemptions, and the nearest run that passes. */
import { describe, expect, test } from "vitest";
import { costOf } from "./cost.ts";
import { exploreMachine } from "./explore/machine/explore.ts";
import { type Finding, findingKey } from "./finding.ts";
import { minimal } from "./minimal.ts";
import { nearestPassing } from "./nearest.ts";
import { globalsOf, kernel, type Ptr } from "./op.ts";
import { add, BUG_ON, load, smp_mb, store } from "./primitives.ts";
import { execute, type Program } from "./run.ts";
import { FewPreemptionsStrategy } from "./strategies/fewPreemptions.ts";
import { ReplayStrategy } from "./strategies/replay.ts";
import { struct, u32 } from "./struct.ts";
import { stepwise, tiny } from "./tinyProgram.ts";

const COUNTER_T = struct("minimal_counter", { value: u32, done: u32, turn: u32 });
const COUNTER = COUNTER_T.fields;
const counter = globalsOf<Ptr>();

const increments = kernel(function* increments_plainly() {
  const before = yield* load(counter(), COUNTER.value);
  yield* store(counter(), COUNTER.value, before + 1);
  yield* add(counter(), COUNTER.done, 1);
  const done = yield* load(counter(), COUNTER.done);
  const value = yield* load(counter(), COUNTER.value);
  yield* BUG_ON(done === 2 && value !== 2, "value != 2", "counter.c:7");
});
const takesTurns = kernel(function* takes_turns(mine: number) {
  // Only if the two change places twice is it seen that they did.
  const before = yield* load(counter(), COUNTER.turn);
  if (before === mine) yield* store(counter(), COUNTER.turn, mine + 1);
  yield* smp_mb();
  const after = yield* load(counter(), COUNTER.turn);
  yield* BUG_ON(mine === 0 && before === 0 && after === 2, "turn == 2", "counter.c:20");
});
const idles = kernel(function* idles() {
  for (let i = 0; i < 4; i++) yield* smp_mb();
});

const program = (
  ...mains: readonly [string, ReturnType<typeof kernel<[number], void>> | typeof increments][]
): Program =>
  tiny((machine) => {
    const at = machine.allocStaticStruct(COUNTER_T);
    machine.globals = at;
    mains.forEach(([comm, main], i) => {
      machine.spawn(0, { comm }, main as ReturnType<typeof kernel<[number], void>>, i);
    });
  });
const racing = program(["a", increments], ["b", increments], ["idle", idles], ["idle", idles]);
const turning = program(["a", takesTurns], ["b", takesTurns], ["idle", idles]);

const found = (of: Program): { schedule: Int32Array; finding: Finding } => {
  for (let seed = 0; seed < 500; seed++) {
    const { schedule, findings } = execute(of, stepwise(seed));
    if (findings[0] !== undefined) return { schedule, finding: findings[0] };
  }
  throw new Error("nothing found");
};
const shows = (key: string) => (findings: readonly Finding[]) => findings.some((one) => findingKey(one) === key);

describe("the simplest witness", () => {
  test.each([
    ["a lost update", racing, 1],
    ["two changes of turn", turning, 1],
  ])("of %s has as few preemptions as any, and that is proved", (_name, of, preemptions) => {
    const { schedule, finding } = found(of);
    const made = minimal(of, schedule, finding);
    expect(made.cost).toMatchObject({ preemptions, tasks: 2 });
    expect(made.proof).toMatchObject({ kind: "proved", covered: preemptions - 1 });
    expect(made.cost).toEqual(costOf(of, made.schedule));
    const again = execute(of, new ReplayStrategy(made.schedule), { until: shows(findingKey(finding)) });
    expect(again.findings.map(findingKey)).toContain(findingKey(finding));
  });

  test("is not called proved when the search may not go on", () => {
    const { schedule, finding } = found(racing);
    const short = minimal(racing, schedule, finding, { goesOn: () => false });
    expect(short.proof).toMatchObject({ kind: "not-proved" });
  });

  test("is not called proved for what the search does not look for", () => {
    const { schedule, finding } = found(racing);
    const divergence = { ...finding, kind: "spec-divergence" as const };
    const diverging: Program = {
      ...racing,
      setup(machine) {
        racing.setup(machine);
        machine.onNote = null;
        const { findings } = machine;
        const push = findings.push.bind(findings);
        findings.push = (...made) => push(...made.map((one) => ({ ...one, kind: "spec-divergence" as const })));
      },
    };
    expect(minimal(diverging, schedule, divergence).proof).toMatchObject({ kind: "no-search" });
  });
});

test("preemptions are counted as the exhaustive search counts them", () => {
  for (const of of [racing, turning]) {
    const { findings } = exploreMachine(of, { preemptions: 3 });
    expect(findings.length).toBeGreaterThan(0);
    for (const one of findings) expect(costOf(of, one.schedule).preemptions).toBe(one.preemptions);
  }
});

describe("random schedules with few preemptions", () => {
  test("have no more of them than was asked for (300 runs)", () => {
    for (let seed = 0; seed < 300; seed++) {
      const bound = seed % 3;
      const { schedule } = execute(racing, new FewPreemptionsStrategy(String(seed), bound, 20));
      expect(costOf(racing, schedule).preemptions).toBeLessThanOrEqual(bound);
    }
  });

  test("show a lost update with one, and never with none (300 runs each)", () => {
    const count = (bound: number): number =>
      Array.from({ length: 300 }, (_, seed) =>
        execute(racing, new FewPreemptionsStrategy(String(seed), bound, 20)),
      ).filter(({ findings }) => findings.length > 0).length;
    expect(count(0)).toBe(0);
    expect(count(1)).toBeGreaterThan(0);
  });
});

describe("the nearest run that passes", () => {
  test("is the same up to a step, and ends with nothing amiss", () => {
    const { schedule, finding } = found(racing);
    const { schedule: witness } = minimal(racing, schedule, finding);
    const passing = nearestPassing(racing, witness, finding);
    if (passing === null) throw new Error("none found");
    const { step, run } = passing;
    expect(run.findings).toEqual([]);
    expect(run.cutOff).toBe(false);
    expect(Array.from(run.schedule.slice(0, step))).toEqual(Array.from(witness.slice(0, step)));
    expect(run.schedule[step]).not.toBe(witness[step]);
    expect(run.history.length).toBe(run.schedule.length);
  });

  test("is none where every run shows the finding, or where there is no time to look", () => {
    const always = kernel(function* always_bad() {
      yield* smp_mb();
      yield* BUG_ON(true, "true", "counter.c:1");
    });
    const bad = program(["a", always]);
    const { schedule, finding } = found(bad);
    expect(nearestPassing(bad, schedule, finding)).toBe(null);
    const race = found(racing);
    expect(nearestPassing(racing, race.schedule, race.finding, { goesOn: () => false })).toBe(null);
  });
});
