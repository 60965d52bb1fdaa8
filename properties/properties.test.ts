/** Every property over runs of every kind; and for each a doctored run that breaks it, so that none is asleep. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TASK_TRACED } from "../model/linux/sched.ts";
import { FREE, LOAD, RCU_READ_UNLOCK } from "../sim/op.ts";
import { PROPERTIES } from "./index.ts";
import { engineReleasedOnce, freedOnce, memoryOutlivesReaders } from "./lives.ts";
import { type ObservedRun, observe } from "./observe.ts";
import type { Property } from "./property.ts";
import { anySituation } from "./situation.ts";
import { killEndsStop, silentAfterReap, stoppedRunsNoUserCode } from "./tracing.ts";

const SEED = 20080827;
const RUNS = 200;

describe(`every run up to its first finding (fast-check seed ${SEED}, ${RUNS} runs)`, () => {
  test.each(PROPERTIES)("$name", (property) => {
    let tested = 0;
    const claim = fc.property(anySituation, (situation) => {
      const judgement = property.holds(observe(situation.program(), situation.strategy()));
      tested += judgement.tested;
      expect(judgement.breach).toBe(null);
    });
    fc.assert(claim, { seed: SEED, numRuns: RUNS });
    expect(tested).toBeGreaterThan(0);
  });
});

/** A change to a run after which it breaks a property. */
interface Twin {
  readonly property: Property;
  readonly what: string;
  readonly says: RegExp;
  doctored(run: ObservedRun): ObservedRun;
}

const TWINS: readonly Twin[] = [
  {
    property: freedOnce,
    what: "a free happens twice",
    says: /^step \d+: \S+ frees 0xffff88017c[0-9a-f]{6}, which was freed in step \d+$/,
    doctored: (run) => ({ ...run, history: run.history.flatMap((row) => (row.kind === FREE ? [row, row] : [row])) }),
  },
  {
    property: memoryOutlivesReaders,
    what: "no read section is ever closed",
    says: /^step \d+: 0xffff88017c[0-9a-f]{6} is freed; \S+ has been reading since step \d+$/,
    doctored: (run) => ({ ...run, history: run.history.filter(({ kind }) => kind !== RCU_READ_UNLOCK) }),
  },
  {
    property: engineReleasedOnce,
    what: "a release happens twice",
    says: /^step \d+: \S+ releases 0xffff88017c[0-9a-f]{6} once more$/,
    doctored: (run) => ({
      ...run,
      notes: run.notes.flatMap((note) => (note.subject === "engine-freed" ? [note, note] : [note])),
    }),
  },
  {
    property: engineReleasedOnce,
    what: "no release happens",
    says: /^0xffff88017c[0-9a-f]{6} is never released$/,
    doctored: (run) => ({ ...run, notes: run.notes.filter(({ subject }) => subject !== "engine-freed") }),
  },
  {
    property: silentAfterReap,
    what: "a reap is followed by the same callback",
    says: /^step \d+: tracer_report_reap, after the reap in step \d+$/,
    doctored: (run) => ({
      ...run,
      history: run.history.flatMap((row) =>
        row.kind === LOAD && row.backtrace[0] === "tracer_report_reap" ? [row, row] : [row],
      ),
    }),
  },
  {
    property: stoppedRunsNoUserCode,
    what: "user mode in TASK_TRACED",
    says: /^step \d+: \S+ runs in user mode in state 136$/,
    doctored: (run) => ({ ...run, userSteps: run.userSteps.map((step) => ({ ...step, state: TASK_TRACED })) }),
  },
  {
    property: killEndsStop,
    what: "nothing is ever freed, and everyone is still there",
    says: /^somebody is still there, after SIGKILL in step \d+$/,
    doctored: (run) => ({
      ...run,
      history: run.history.filter(({ kind }) => kind !== FREE),
      tasksLeft: tasksOf(run).map((task) => ({ task, who: "somebody", daemon: false })),
    }),
  },
];

/** Every address that was freed: among them are the task structs of all tasks that ended. */
const tasksOf = ({ history }: ObservedRun): number[] =>
  history.filter(({ kind }) => kind === FREE).map(({ address }) => address);

describe("each property is broken by a doctored run, and by nothing in the run itself", () => {
  test.each(TWINS)("$property.name: $what", ({ property, says, doctored }) => {
    for (const situation of fc.sample(anySituation, { seed: SEED, numRuns: RUNS })) {
      const run = observe(situation.program(), situation.strategy());
      const { tested, breach } = property.holds(run);
      if (!run.toEnd || tested === 0) continue;
      expect(breach).toBe(null);
      expect(property.holds(doctored(run)).breach).toMatch(says);
      return;
    }
    throw new Error(`none of ${RUNS} runs puts it to the test`);
  });
});
