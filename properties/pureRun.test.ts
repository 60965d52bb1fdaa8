/** A run is a function of scenario, parameters and schedule, and of nothing else. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { execute } from "../sim/index.ts";
import { formatSchedule, parseSchedule } from "../sim/schedule.ts";
import { GuidedStrategy, ReplayStrategy } from "../sim/strategies/replay.ts";
import { anySituation, type Situation } from "./situation.ts";

const SEED = 20080826;
const RUNS = 150;

/** What two runs have in common if they are the same. */
const essence = ({ historyHash, steps, time, cutOff, schedule, findings }: ReturnType<typeof execute>): object => ({
  historyHash,
  steps,
  time,
  cutOff,
  schedule: formatSchedule(schedule),
  findings: findings.map(({ title, step }) => `${step} ${title}`),
});

describe(`every run (fast-check seed ${SEED}, ${RUNS} runs)`, () => {
  const everyRun = (holds: (situation: Situation) => void): void =>
    fc.assert(fc.property(anySituation, holds), { seed: SEED, numRuns: RUNS });

  test("is the same when it is made again, after another run", () => {
    const pairs = fc.tuple(anySituation, anySituation);
    const claim = fc.property(pairs, ([situation, other]) => {
      const first = execute(situation.program(), situation.strategy());
      execute(other.program(), other.strategy());
      expect(essence(execute(situation.program(), situation.strategy()))).toEqual(essence(first));
    });
    fc.assert(claim, { seed: SEED, numRuns: RUNS });
  });

  test("is the same whether it is recorded or not", () => {
    everyRun((situation) => {
      const plain = execute(situation.program(), situation.strategy());
      expect(essence(execute(situation.program(), situation.strategy(), { record: true }))).toEqual(essence(plain));
    });
  });

  test("replays from the text of its schedule", () => {
    everyRun((situation) => {
      const run = execute(situation.program(), situation.strategy());
      const schedule = parseSchedule(formatSchedule(run.schedule));
      expect(essence(execute(situation.program(), new ReplayStrategy(schedule)))).toEqual(essence(run));
    });
  });

  test("is the one that its schedule guides to", () => {
    everyRun((situation) => {
      const run = execute(situation.program(), situation.strategy());
      expect(essence(execute(situation.program(), new GuidedStrategy(run.schedule)))).toEqual(essence(run));
    });
  });

  test("goes the same way with no check made", () => {
    everyRun((situation) => {
      const checked = execute(situation.program(), situation.strategy());
      const unchecked = execute(situation.unchecked(), situation.strategy());
      expect({ ...essence(unchecked), findings: [] }).toEqual({ ...essence(checked), findings: [] });
    });
  });
});
