/** The exploration against brute force: same findings, and its witnesses are real runs. */
import { describe, expect, test } from "vitest";
import { findingKey } from "../../finding.ts";
import { spinlock_t } from "../../kernelStructs.ts";
import { pokeLock } from "../../locks.ts";
import { type KernelFunction, kernel, type Ptr } from "../../op.ts";
import { add, BUG_ON, choose, load, spin_lock, spin_unlock, store } from "../../primitives.ts";
import { execute, type Program } from "../../run.ts";
import { ReplayStrategy } from "../../strategies/replay.ts";
import { struct, u32 } from "../../struct.ts";
import { type TinyOptions, tiny } from "../../tinyProgram.ts";
import { exploreMachine } from "./explore.ts";

const cell = struct("explored_cell", { a: u32, b: u32, lock: spinlock_t });
const C = cell.fields;

/** A cell and tasks that share it. */
function sharing(mains: readonly KernelFunction<[at: Ptr], void>[], options: TinyOptions = {}): Program {
  return tiny((m) => {
    const at = m.allocStaticStruct(cell);
    pokeLock(m, at + (m.offset[C.lock.id] as number), spinlock_t);
    mains.forEach((main, i) => {
      m.spawn(0, { comm: `task${i}` }, main, at);
    });
  }, options);
}
const increments = kernel(function* increments_plainly(at: Ptr) {
  const before = yield* load(at, C.a);
  yield* store(at, C.a, before + 1);
  yield* add(at, C.b, 1);
  const done = yield* load(at, C.b);
  const value = yield* load(at, C.a);
  yield* BUG_ON(done === 2 && value !== 2, "lost update", "explored.c:1");
});
const incrementsLocked = kernel(function* increments_locked(at: Ptr) {
  yield* spin_lock(at, C.lock);
  yield* increments(at);
  yield* spin_unlock(at, C.lock);
});
const choosesBadly = kernel(function* chooses_badly(at: Ptr) {
  yield* store(at, C.a, yield* choose(3));
  yield* BUG_ON((yield* load(at, C.a)) === 2, "chose 2", "explored.c:2");
});
const keys = (program: Program, options: Parameters<typeof exploreMachine>[1]) =>
  exploreMachine(program, options)
    .findings.map(({ key }) => key)
    .sort();

describe("exploring a program on the machine", () => {
  const plain = sharing([increments, increments]);
  const locked = sharing([incrementsLocked, incrementsLocked]);

  test("finds a lost update, and its witness is a run that shows it", () => {
    const { findings, complete, bounds } = exploreMachine(plain);
    expect(complete).toBe(true);
    expect(bounds.preemptions).toBe(null);
    expect(findings.map(({ finding }) => finding.kind)).toEqual(["bug-on"]);
    const [found] = findings;
    const replay = new ReplayStrategy(found?.schedule ?? []);
    const run = execute(plain, replay, { until: (all) => all.some((one) => findingKey(one) === found?.key) });
    expect(run.findings.map(findingKey)).toEqual([found?.key]);
  });

  test("refuses store buffers, which it cannot go back over", () => {
    expect(() => exploreMachine(sharing([increments], { memory: "tso" }))).toThrow("store buffers");
  });

  test("says with how few preemptions: the update is lost with 1, not with 0", () => {
    expect(exploreMachine(plain, { preemptions: 0 })).toMatchObject({ complete: true, findings: [] });
    expect(exploreMachine(plain, { preemptions: 1 }).findings).toMatchObject([{ preemptions: 1 }]);
  });

  test("finds nothing where a lock holds the update together", () => {
    expect(exploreMachine(locked)).toMatchObject({ complete: true, findings: [], bounds: { preemptions: null } });
  });

  test("takes every value of a choose", () => {
    const { findings } = exploreMachine(sharing([choosesBadly]));
    expect(findings.map(({ finding }) => finding.title)).toEqual(["kernel BUG at explored.c:2!"]);
  });

  test("finds the same without remembering states", () => {
    for (const program of [plain, locked]) {
      expect(keys(program, { caches: false, preemptions: 2 })).toEqual(keys(program, { preemptions: 2 }));
    }
  });

  test("is not complete when it is told to stop, or when a run is cut off", () => {
    expect(exploreMachine(plain, { goesOn: () => false }).complete).toBe(false);
    const short = sharing([increments, increments], { stepsMax: 5 });
    expect(exploreMachine(short)).toMatchObject({ complete: false, bounds: { preemptions: -1 } });
  });
});
