/** `random`: how long stores stay in a store buffer. */
import { expect, test } from "vitest";
import { eventType, FLUSH } from "../event.ts";
import { plain_task } from "../kernelStructs.ts";
import { kernel, type Ptr } from "../op.ts";
import { load, store } from "../primitives.ts";
import { execute } from "../run.ts";
import { struct, u32 } from "../struct.ts";
import { tiny } from "../tinyProgram.ts";
import { RandomStrategy } from "./random.ts";

const SHARED_T = struct("shared", { stored: u32, other: u32 });
const SHARED = SHARED_T.fields;

const storesOnce = kernel(function* stores_once(shared: Ptr) {
  yield* store(shared, SHARED.stored, 1);
  for (let at = 0; at < 400; at++) yield* load(shared, SHARED.other);
});

test("in some runs stores drain after a few steps, in others after many; nothing changes without store buffers", () => {
  const program = (memory: "sc" | "tso") =>
    tiny(
      (machine) => {
        const shared = machine.allocStaticStruct(SHARED_T);
        const task = machine.allocStaticStruct(plain_task);
        machine.spawn(task, { comm: "stores", pid: 1 }, storesOnce, shared);
      },
      { memory, cpus: 1, checks: [] },
    );
  const stays = Array.from({ length: 60 }, (_, seed) => {
    const { schedule } = execute(program("tso"), new RandomStrategy(String(seed)));
    return schedule.findIndex((event) => eventType(event) === FLUSH);
  });
  expect(stays.filter((steps) => steps >= 0 && steps < 16).length).toBeGreaterThan(10);
  expect(stays.filter((steps) => steps > 64).length).toBeGreaterThan(5);
  const { schedule } = execute(program("sc"), new RandomStrategy("1"));
  expect(schedule.some((event) => eventType(event) === FLUSH)).toBe(false);
});
