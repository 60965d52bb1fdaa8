/**
 * The way back of an exploring machine leads to where it began: every property of it, found by looking and not by a list.
 * Whoever gives the machine new state and forgets `ExploringMachine.save` fails here.
 */
import { describe, expect, test } from "vitest";
import { attachDetachExecSmall } from "../scenarios/attach-detach-exec.ts";
import { resolveParameters } from "../scenarios/parameters.ts";
import { explorable } from "../sim/explore/machine/explore.ts";
import { ExploringMachine } from "../sim/explore/machine/exploringMachine.ts";
import { RandomStrategy } from "../sim/strategies/random.ts";

/** What only grows, is worked out anew, is never read again, or is the means of going back. */
const NOT_STATE = new Set([
  "schedule",
  "hash",
  "events",
  "eventCount",
  "stale",
  "memoryWatched",
  "flagsWatched",
  "result",
  "undo",
  "observer",
  "kernelCode",
  "hash64",
  "scratchHash",
  "slabSaved",
  "slabHashVersion",
  "slabLo",
  "slabHi",
  "siteHashes",
  "sequences",
  "versions",
  "strayEnd",
  "wild",
  "frames",
  "findings",
  // Places of a ring that are not in use keep what was there; those in use are in the hash.
  "buffers",
  "footprints",
  "symbols",
  "layout",
  "options",
  "globals",
]);

/** Every number, text and array that can be reached from a value, by its path. */
function* leaves(value: unknown, path: string, seen: Map<object, string>): Generator<string> {
  // A hole in an array comes back as undefined.
  if (typeof value === "function" || value === undefined) return;
  if (typeof value !== "object" || value === null) {
    yield `${path} = ${String(value)}`;
    return;
  }
  const before = seen.get(value);
  if (before !== undefined) {
    yield `${path} is ${before}`;
    return;
  }
  seen.set(value, path);
  if (ArrayBuffer.isView(value))
    yield `${path} = ${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64")}`;
  else if (value instanceof Map) yield* leaves([...value.entries()], path, seen);
  else if (value instanceof Set) yield* leaves([...value], path, seen);
  else {
    for (const name of Object.keys(value).sort()) {
      if (!NOT_STATE.has(name)) yield* leaves((value as Record<string, unknown>)[name], `${path}.${name}`, seen);
    }
  }
}

/** A task that has ended has no registers; the order of the map of tasks is not state. */
const dump = (machine: ExploringMachine): string[] =>
  [...leaves(machine, "machine", new Map())].filter((line) => !line.includes(".contextOf")).sort();

describe("an exploring machine", () => {
  test.each([
    ["", "sc"],
    ["SLUB_DEBUG=y", "sc"],
    ["PREEMPT_RCU=y", "sc"],
    ["DEBUG_SPINLOCK=n", "sc"],
    ["", "tso"],
  ])("goes back to where it was (%s, %s)", (config, memory) => {
    const program = explorable(attachDetachExecSmall.program(resolveParameters({ config, memory })));
    const machine = new ExploringMachine(program.options);
    program.setup(machine);
    machine.onNote = null;
    machine.boot();
    const strategy = new RandomStrategy(`way back ${config}`);
    const walk = (steps: number): void => {
      for (let i = 0; i < steps && !machine.stopped && machine.collect() > 0; i++)
        machine.apply(strategy.pick(machine));
    };
    for (let place = 0; place < 12 && !machine.stopped; place++) {
      walk(60);
      const saved = machine.save();
      const { lo, hi } = machine.fingerprint(0);
      const before = dump(machine);
      for (const steps of [1, 7, 50, 1000]) {
        walk(steps);
        machine.restore(saved);
        const again = dump(machine);
        expect(again.filter((line) => !before.includes(line))).toEqual([]);
        expect(before.filter((line) => !again.includes(line))).toEqual([]);
        machine.save();
        expect(machine.fingerprint(0)).toMatchObject({ lo, hi });
      }
    }
    machine.release();
  });
});
