/** The specification of lives: what it forbids, rule by rule, and that it forbids nothing else. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EMPTY_WORLD, Illegal, type LifeEvent, type LifeState, startLives, transition } from "./life.ts";

const live = (utrace: number, task = 1): LifeEvent => ({ type: "struct-live", utrace, task });
const dying = (utrace: number): LifeEvent => ({ type: "struct-dying", utrace });
const freed = (utrace: number): LifeEvent => ({ type: "struct-freed", utrace });
const attached = (engine: number, utrace: number): LifeEvent => ({ type: "engine-attached", engine, utrace });
const detached = (engine: number): LifeEvent => ({ type: "engine-detached", engine });
const released = (engine: number): LifeEvent => ({ type: "engine-freed", engine });

/** The rule that each illegal history breaks with its last event. */
const ILLEGAL: readonly (readonly [rule: string, ...history: LifeEvent[]])[] = [
  ["a struct begins to live only once", live(10), live(10, 2)],
  ["a struct begins to live only once", live(10), dying(10), live(10, 2)],
  ["a task has one live struct at most", live(10), live(11)],
  ["a struct is taken from its task exactly once, while it lives", dying(10)],
  ["a struct is taken from its task exactly once, while it lives", live(10), dying(10), dying(10)],
  ["a struct is taken from its task exactly once, while it lives", live(10), dying(10), freed(10), dying(10)],
  ["only a struct that was taken from its task is freed", freed(10)],
  ["only a struct that was taken from its task is freed", live(10), freed(10)],
  ["only a struct that was taken from its task is freed", live(10), dying(10), freed(10), freed(10)],
  ["an engine is attached only once", live(10), attached(20, 10), attached(20, 10)],
  ["an engine is attached only once", live(10), attached(20, 10), detached(20), attached(20, 10)],
  ["an engine is attached only to a live struct", attached(20, 10)],
  ["an engine is attached only to a live struct", live(10), dying(10), attached(20, 10)],
  ["an engine is attached only to a live struct", live(10), dying(10), freed(10), attached(20, 10)],
  ["an engine is detached exactly once", detached(20)],
  ["an engine is detached exactly once", live(10), attached(20, 10), detached(20), detached(20)],
  ["an engine is detached exactly once", live(10), attached(20, 10), detached(20), released(20), detached(20)],
  ["only a detached engine is freed", released(20)],
  ["only a detached engine is freed", live(10), attached(20, 10), released(20)],
  ["only a detached engine is freed", live(10), attached(20, 10), detached(20), released(20), released(20)],
];

const text = (history: readonly LifeEvent[]): string => history.map(({ type }) => type).join(", ");

describe("rejects, naming the rule", () => {
  test.each(ILLEGAL.map(([rule, ...history]) => [rule, text(history), history] as const))(
    "%s: %s",
    (rule, _text, history) => {
      const last = history.at(-1) as LifeEvent;
      const before = history.slice(0, -1).reduce(transition, EMPTY_WORLD);
      const rejected = expect.objectContaining({
        name: "Illegal",
        rule,
        event: last,
        message: `${last.type}: ${rule}`,
      });
      expect(() => transition(before, last)).toThrow(rejected);
      const lives = startLives();
      for (const event of history.slice(0, -1)) lives.step(event);
      expect(() => lives.step(last)).toThrow(rejected);
      // What is rejected changes nothing.
      expect(lives.state()).toEqual(before);
    },
  );

  test("every rule that there is", () => {
    const rules = [
      "a struct begins to live only once",
      "a task has one live struct at most",
      "a struct is taken from its task exactly once, while it lives",
      "only a struct that was taken from its task is freed",
      "an engine is attached only once",
      "an engine is attached only to a live struct",
      "an engine is detached exactly once",
      "only a detached engine is freed",
    ];
    expect([...new Set(ILLEGAL.map(([rule]) => rule))]).toEqual(rules);
  });
});

describe("accepts", () => {
  test("a whole life, and the same addresses again in the next", () => {
    const life = [
      live(10),
      attached(20, 10),
      attached(21, 10),
      detached(20),
      released(20),
      detached(21),
      dying(10),
      released(21),
      freed(10),
    ];
    const once = life.reduce(transition, EMPTY_WORLD);
    expect(once).toEqual(EMPTY_WORLD);
    expect(life.reduce(transition, once)).toEqual(EMPTY_WORLD);
  });

  test("a new struct of a task whose old one is dying", () => {
    expect([live(10), dying(10), live(11)].reduce(transition, EMPTY_WORLD).structs).toEqual({
      10: { phase: "dying", task: 1 },
      11: { phase: "live", task: 1 },
    });
  });

  test("an engine that outlives its struct", () => {
    const world = [live(10), attached(20, 10), dying(10), freed(10), detached(20)].reduce(transition, EMPTY_WORLD);
    expect(world).toEqual({ structs: {}, engines: { 20: { phase: "detached" } } });
  });

  /** All legal events in a world of a few tasks and addresses, worked out without the specification's own code. */
  function legal(state: LifeState): LifeEvent[] {
    const events: LifeEvent[] = [];
    const structs = Object.entries(state.structs);
    for (const utrace of [10, 11, 12, 13]) {
      const struct = state.structs[utrace];
      if (struct === undefined) {
        for (const task of [1, 2, 3]) {
          if (!structs.some(([, other]) => other.phase === "live" && other.task === task))
            events.push(live(utrace, task));
        }
      } else events.push(struct.phase === "live" ? dying(utrace) : freed(utrace));
    }
    for (const engine of [20, 21, 22, 23, 24]) {
      const known = state.engines[engine];
      if (known !== undefined) events.push(known.phase === "attached" ? detached(engine) : released(engine));
      else
        for (const [utrace, { phase }] of structs) if (phase === "live") events.push(attached(engine, Number(utrace)));
    }
    return events;
  }

  test("10,000 random legal events, 100 histories of 100", () => {
    let events = 0;
    const history = fc.array(fc.nat({ max: 0xffff }), { minLength: 100, maxLength: 100 });
    fc.assert(
      fc.property(history, (choices) => {
        const lives = startLives();
        let state = EMPTY_WORLD;
        for (const choice of choices) {
          const possible = legal(state);
          const event = possible[choice % possible.length] as LifeEvent;
          state = transition(state, event);
          lives.step(event);
          events++;
        }
        expect(lives.state()).toEqual(state);
      }),
      { numRuns: 100, seed: 20080826 },
    );
    expect(events).toBe(10_000);
  });

  test("nothing but those: every other event is rejected", () => {
    const everything: LifeEvent[] = [10, 11, 12, 13].flatMap((utrace) => [
      ...[1, 2, 3].map((task) => live(utrace, task)),
      dying(utrace),
      freed(utrace),
      ...[20, 21, 22, 23, 24].map((engine) => attached(engine, utrace)),
    ]);
    everything.push(...[20, 21, 22, 23, 24].flatMap((engine) => [detached(engine), released(engine)]));
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 0xffff }), { maxLength: 40 }), (choices) => {
        let state = EMPTY_WORLD;
        for (const choice of choices) {
          const possible = legal(state);
          state = transition(state, possible[choice % possible.length] as LifeEvent);
        }
        const possible = new Set(legal(state).map((event) => JSON.stringify(event)));
        for (const event of everything) {
          if (possible.has(JSON.stringify(event))) continue;
          expect(() => transition(state, event), JSON.stringify(event)).toThrow(Illegal);
        }
      }),
      { numRuns: 50, seed: 20080826 },
    );
  });
});

test("a transition leaves the state it was given as it was", () => {
  const before = transition(EMPTY_WORLD, live(10));
  const copy = structuredClone(before);
  transition(before, dying(10));
  expect(before).toEqual(copy);
});
