/** What searches that share an exploration rely on: numbers of states, work that is handed out, and one witness for all. */
import { describe, expect, test } from "vitest";
import type { Finding } from "../../finding.ts";
import { ALONE } from "./sharedWords.ts";
import { makeStateMemory, packWay, START, States, wayEvent, waySteps } from "./states.ts";
import { Ways } from "./ways.ts";
import { shortestWays } from "./witness.ts";
import { WORK_WORDS, Work } from "./work.ts";

/** Each way of a small graph: from, to, event, steps. State `d` is reached in two ways of the same length. */
const WAYS: readonly (readonly [string, string, number, number])[] = [
  ["start", "a", 0, 2],
  ["a", "b", 8, 5],
  ["a", "c", 16, 3],
  ["b", "d", 8, 1],
  ["c", "d", 24, 3],
  ["c", "e", 8, 9],
  ["d", "e", 16, 1],
];

/** Visits the graph with its ways in some order, as far as a state can be left only once it was come to. */
function witness(order: readonly number[]): readonly number[] | undefined {
  const states = new States(makeStateMemory(256), 256, ALONE);
  const ways = new Ways();
  const known = new Map([["start", START]]);
  const left = order.map((i) => WAYS[i] as (typeof WAYS)[number]);
  while (left.length > 0) {
    const next = left.findIndex(([from]) => known.has(from));
    const [from, to, event, steps] = left.splice(next, 1)[0] as (typeof WAYS)[number];
    const way = packWay(event, steps);
    const state = states.visit(to.charCodeAt(0), 7, known.get(from) as number, way);
    if (state < 0) known.set(to, -state);
    else ways.add(known.get(from) as number, state, way);
  }
  const at = [known.get("e") as number, packWay(32, 4), known.get("d") as number, packWay(8, 5)];
  const sighting = { key: "k", finding: {} as Finding, preemptions: 0, count: 2, at };
  return shortestWays(states, [ways.all()], [sighting]).get("k");
}

describe("the witness of a finding", () => {
  test("is the shortest of all ways, and of two always the same, in whatever order they were seen", () => {
    const inOrder = WAYS.map((_, i) => i);
    // By b it is as far as by c, but c is nearer; from d it is as far by e as at once.
    expect(witness(inOrder)).toEqual([16, 24, 8]);
    for (const order of [inOrder.toReversed(), [2, 4, 6, 0, 5, 1, 3], [0, 2, 5, 4, 1, 3, 6]]) {
      expect(witness(order)).toEqual([16, 24, 8]);
    }
  });
});

describe("states", () => {
  test("have the way by which they were first come to, and are found again when their memory has grown", () => {
    const states = new States(makeStateMemory(128), 2 ** 14, ALONE);
    const numbers = Array.from({ length: 5000 }, (_, i) => -states.visit(i * 7, -i, START, packWay(i & 0xff, i)));
    expect(new Set(numbers).size).toBe(5000);
    for (const [i, number] of numbers.entries()) {
      expect(states.visit(i * 7, -i, START, 0)).toBe(number);
      expect([wayEvent(states.way(number)), waySteps(states.way(number))]).toEqual([i & 0xff, i]);
    }
    const again = new States(makeStateMemory(128), 2 ** 14, ALONE);
    again.takeUp(states.putAside());
    expect(again.visit(7, -1, START, 0)).toBe(numbers[1]);
    expect(again.visit(-7, -1, START, 0)).toBeLessThan(0);
  });

  test("find no more room when there is none", () => {
    const states = new States(makeStateMemory(128), 128, ALONE);
    const visited = Array.from({ length: 128 }, (_, i) => states.visit(i, i, START, 0));
    expect(visited.filter((state) => state < 0)).toHaveLength(64);
    expect(visited.at(-1)).toBe(0);
    expect(states.full).toBe(true);
  });
});

describe("work", () => {
  const item = { state: 70, preempting: true, from: 2, weight: 0.25 };

  test("is handed out a few states at a time, until there are none left", () => {
    const work = new Work(new Int32Array(WORK_WORDS), ALONE);
    work.begin(64, 90);
    expect([work.nextStates(), work.nextStates(), work.nextStates()]).toEqual([[64, 80], [80, 90], null]);
    expect([work.next, work.end]).toEqual([90, 90]);
  });

  test("is wanted once somebody is idle, and over when all are and nothing was given", () => {
    const work = new Work(new Int32Array(WORK_WORDS), ALONE);
    work.begin(0, 0);
    expect(work.isWanted).toBe(false);
    expect(work.idle(2)).toBe(false);
    expect(work.isWanted).toBe(true);
    expect(work.give(item)).toBe(true);
    expect(work.isWanted).toBe(false);
    expect(work.idle(2)).toBe(false);
    expect(work.isOver(2)).toBe(false);
    expect(work.take()).toEqual(item);
    expect(work.take()).toBe(null);
    expect(work.idle(2)).toBe(true);
    expect(work.isOver(2)).toBe(true);
  });
});
