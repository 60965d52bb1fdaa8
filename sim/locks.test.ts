/** Locks, byte for byte and step for step. */
import { describe, expect, test } from "vitest";
import { eventCpu, eventType, PREEMPT, SOFTIRQ } from "./event.ts";
import { RW_LOCK_BIAS, rcu_head, rwlock_t, spinlock_t } from "./kernelStructs.ts";
import { pokeLock } from "./locks.ts";
import { ARENA } from "./memory.ts";
import { globalsOf, type KernelFunction, kernel, type Ptr, SPIN_LOCK } from "./op.ts";
import {
  add,
  call_rcu,
  local_irq_disable,
  local_irq_enable,
  note,
  read_lock,
  read_unlock,
  smp_mb,
  spin_lock,
  spin_lock_irq,
  spin_lock_irqsave,
  spin_unlock,
  spin_unlock_irq,
  spin_unlock_irqrestore,
  write_lock_irq,
  write_unlock_irq,
} from "./primitives.ts";
import { struct, u32 } from "./struct.ts";
import { Stage, stepwise, type TinyOptions, tiny } from "./tinyProgram.ts";

const ROOT_T = struct("root", { lock: spinlock_t, rw: rwlock_t, counter: u32, head: rcu_head });
const ROOT = ROOT_T.fields;
const world = globalsOf<{ root: Ptr }>();
const root = (): Ptr => world().root;
type Main = KernelFunction<[], void>;

interface LockOptions extends TinyOptions {
  /** The lock word before the first step, low byte first; a free lock if not given. */
  readonly word?: readonly number[];
}

const program = (options: LockOptions, ...mains: Main[]) =>
  tiny((machine) => {
    const at = machine.allocStaticStruct(ROOT_T);
    machine.globals = { root: at };
    const address = (field: { id: number }): Ptr => at + (machine.offset[field.id] as number);
    pokeLock(machine, address(ROOT.lock), spinlock_t);
    pokeLock(machine, address(ROOT.rw), rwlock_t);
    if (options.word !== undefined) machine.memory.bytes.set(options.word, address(ROOT.lock) - ARENA);
    mains.forEach((main, i) => void machine.spawn(0, { comm: "abcd"[i] as string }, main));
  }, options);
const play = (options: LockOptions, ...mains: Main[]): Stage => new Stage(program(options, ...mains));

const rootOf = (stage: Stage): Ptr => (stage.machine.globals as { root: Ptr }).root;
const word = (stage: Stage): string => stage.hex(rootOf(stage), 4);

const locks_and_unlocks = kernel(function* locks_and_unlocks() {
  yield* spin_lock(root(), ROOT.lock);
  yield* note("got it", 0, 0);
  yield* smp_mb();
  yield* spin_unlock(root(), ROOT.lock);
});
const DEBUG: TinyOptions = { config: { DEBUG_SPINLOCK: true } };

describe("the bytes of a spinlock", () => {
  for (const [what, before, locked, after] of [
    ["a free lock", [0, 0, 0, 0], "00 01 00 00", "01 01 00 00"],
    ["a poisoned word, which looks free", [0x6b, 0x6b, 0x6b, 0x6b], "6b 6c 6b 6b", "6c 6c 6b 6b"],
    ["tickets about to wrap", [0xff, 0xff, 0x11, 0x22], "ff 00 11 22", "00 00 11 22"],
  ] as const) {
    for (const options of [{}, DEBUG]) {
      test(`${what}, ${options === DEBUG ? "DEBUG_SPINLOCK" : "no debugging"}: ${locked} while locked, ${after} after`, () => {
        const stage = play({ ...options, checks: [], word: before }, locks_and_unlocks).play("c0 s0");
        expect(word(stage)).toBe(locked);
        stage.toEnd();
        expect(word(stage)).toBe(after);
      });
    }
  }

  test("without debugging a waiter takes its ticket at once, and the unlock serves the next one", () => {
    const stage = play({}, locks_and_unlocks, locks_and_unlocks).play("c0 c1:1 s0 s1");
    expect(word(stage)).toBe("00 02 00 00");
    expect(stage.possible()).toEqual(["s0"]);
    stage.play("s0 s0");
    expect(word(stage)).toBe("01 02 00 00");
    stage.toEnd();
    expect(word(stage)).toBe("02 02 00 00");
  });

  test("with debugging a waiter has no ticket before it has the lock", () => {
    const stage = play(DEBUG, locks_and_unlocks, locks_and_unlocks).play("c0 c1:1 s0 s1");
    expect(word(stage)).toBe("00 01 00 00");
    expect(stage.possible()).toEqual(["s0"]);
    stage.toEnd();
    expect(word(stage)).toBe("02 02 00 00");
  });
});

describe("the debug fields", () => {
  test("owner_cpu then owner are stored after the acquisition, owner then owner_cpu before the release", () => {
    const stage = play(DEBUG, locks_and_unlocks, locks_and_unlocks);
    const task = stage.context("b").task;
    const { raw_lock, owner_cpu, owner, magic } = ROOT.lock;
    const fields = (): number[] => [raw_lock, owner_cpu, owner].map((field) => stage.peek(rootOf(stage), field));
    stage.play("c1:1");
    expect(fields()).toEqual([0, -1, -1]);
    const seen: number[][] = [];
    while (!stage.context("b").finished) {
      stage.play("s1");
      seen.push(fields());
    }
    expect(seen).toEqual([
      [0x100, -1, -1],
      [0x100, 1, -1],
      [0x100, 1, task],
      [0x100, 1, task],
      [0x100, 1, -1],
      [0x100, -1, -1],
      [0x101, -1, -1],
    ]);
    expect(stage.peek(rootOf(stage), magic)).toBe(0xdead4ead);
  });

  test("a reader of a rwlock stores none of them, a writer all", () => {
    const reads = kernel(function* reads() {
      yield* read_lock(root(), ROOT.rw);
      yield* smp_mb();
      yield* read_unlock(root(), ROOT.rw);
    });
    const writes = kernel(function* writes() {
      yield* write_lock_irq(root(), ROOT.rw);
      yield* smp_mb();
      yield* write_unlock_irq(root(), ROOT.rw);
    });
    const stage = play(DEBUG, reads, writes).play("c0 s0");
    const owner = (): number[] => [ROOT.rw.owner_cpu, ROOT.rw.owner].map((field) => stage.peek(rootOf(stage), field));
    expect(owner()).toEqual([-1, -1]);
    stage.play("s0*2 c1:1 s1*3");
    expect(owner()).toEqual([1, stage.context("b").task]);
    stage.toEnd();
    expect(owner()).toEqual([-1, -1]);
  });

  test("a lock that was never initialised keeps its magic: only the init writes it", () => {
    const stage = play({ ...DEBUG, checks: [] }, locks_and_unlocks);
    stage.machine.poke(rootOf(stage), ROOT.lock.magic, 0x6b6b6b6b);
    stage.toEnd();
    expect(stage.peek(rootOf(stage), ROOT.lock.magic)).toBe(0x6b6b6b6b);
  });

  test("the dep_map is never written", () => {
    const stage = play({ config: { DEBUG_SPINLOCK: true, LOCKDEP: true }, checks: ["lockdep"] }, locks_and_unlocks);
    const at = rootOf(stage) + 24;
    stage.machine.memory.bytes.fill(0x6b, at - ARENA, at - ARENA + 24);
    stage.toEnd();
    expect(stage.hex(at, 24)).toBe(Array(24).fill("6b").join(" "));
  });
});

describe("who is next", () => {
  /** Order of arrival at the lock and order of getting it, in runs under many random schedules. */
  const orders = (options: TinyOptions): { came: string; got: string }[] =>
    Array.from({ length: 500 }, (_, seed) => {
      const stage = play({ ...options, cpus: 4 }, ...Array<Main>(4).fill(locks_and_unlocks));
      stage.toEnd(stepwise(seed));
      const came = stage.machine.history?.filter((row) => row.kind === SPIN_LOCK && row.phase === 0);
      return {
        came: (came ?? []).map((row) => row.task).join(""),
        got: stage.machine.notes.map((row) => row.task).join(""),
      };
    });

  test("without debugging: strictly in order of arrival (500 schedules)", () => {
    const all = orders({});
    for (const { came, got } of all) expect(got).toBe(came);
    expect(new Set(all.map(({ got }) => got)).size).toBe(24);
  });

  test("with DEBUG_SPINLOCK: any waiter can be next (500 schedules)", () => {
    const overtaken = orders(DEBUG).filter(({ came, got }) => got !== came);
    expect(overtaken.length).toBeGreaterThan(50);
    for (const { got } of overtaken) expect([...got].sort().join("")).toBe("abcd");
  });

  for (const options of [{}, DEBUG]) {
    test(`the holder is alone, ${options === DEBUG ? "DEBUG_SPINLOCK" : "no debugging"} (500 schedules)`, () => {
      const counts = kernel(function* counts() {
        for (let i = 0; i < 3; i++) {
          yield* spin_lock(root(), ROOT.lock);
          yield* add(root(), ROOT.counter, 1);
          yield* spin_unlock(root(), ROOT.lock);
        }
      });
      for (let seed = 0; seed < 500; seed++) {
        const stage = play({ ...options, cpus: 3 }, counts, counts, counts).toEnd(stepwise(seed));
        expect(stage.titles()).toEqual([]);
        expect(stage.peek(rootOf(stage), ROOT.counter)).toBe(9);
      }
    });
  }
});

describe("a rwlock", () => {
  const value = (stage: Stage): number => stage.peek(rootOf(stage), ROOT.rw.raw_lock);
  const reads = kernel(function* reads() {
    yield* read_lock(root(), ROOT.rw);
    yield* smp_mb();
    yield* read_unlock(root(), ROOT.rw);
  });
  const writes = kernel(function* writes() {
    yield* write_lock_irq(root(), ROOT.rw);
    yield* smp_mb();
    yield* write_unlock_irq(root(), ROOT.rw);
  });

  test("goes down by one for each reader and to 0 for a writer", () => {
    const stage = play({ cpus: 3 }, reads, reads, writes);
    expect(value(stage)).toBe(RW_LOCK_BIAS);
    stage.play("c0 c1:1 c2:2 s0");
    expect(value(stage)).toBe(0x00ffffff);
    stage.play("s1");
    expect(value(stage)).toBe(0x00fffffe);
    stage.play("s0 s0 s1 s1");
    expect(value(stage)).toBe(RW_LOCK_BIAS);
    stage.play("s2");
    expect(value(stage)).toBe(0);
    stage.play("s2 s2");
    expect(value(stage)).toBe(RW_LOCK_BIAS);
  });

  test("a writer waits for all readers, and a reader for the writer", () => {
    const stage = play({ cpus: 3 }, reads, reads, writes).play("c0 c1:1 c2:2 s0 s2");
    expect(stage.possible()).toEqual(["s0", "s1"]);
    stage.play("s0 s0 s2");
    expect(value(stage)).toBe(0);
    stage.play("s1");
    expect(stage.possible()).toEqual(["s2"]);
  });

  test("is unfair: a reader gets in while a writer waits for another reader", () => {
    const stage = play({ cpus: 3 }, reads, reads, writes).play("c0 c1:1 c2:2 s0 s2 s1");
    expect(value(stage)).toBe(0x00fffffe);
    expect(stage.possible()).toEqual(["s0", "s1"]);
  });
});

describe("interrupts and preemption", () => {
  const off = (stage: Stage): boolean | undefined => stage.machine.cpus[0]?.irqOff;
  const count = (stage: Stage): number => stage.context("a").preemptCount;

  const locks_irq = kernel(function* locks_irq() {
    yield* spin_lock_irq(root(), ROOT.lock);
    yield* smp_mb();
    yield* spin_unlock_irq(root(), ROOT.lock);
    yield* smp_mb();
  });

  test("spin_lock_irq turns interrupts off before it has the lock, spin_unlock_irq on again", () => {
    const stage = play({}, locks_irq, locks_and_unlocks).play("c0 c1:1 s1");
    expect([off(stage), count(stage)]).toEqual([false, 0]);
    stage.play("s0");
    expect([off(stage), count(stage)]).toEqual([true, 1]);
    stage.play("s1 s1 s0 s0");
    expect([off(stage), count(stage)]).toEqual([true, 1]);
    stage.play("s0");
    expect([off(stage), count(stage)]).toEqual([false, 0]);
  });

  test("spin_lock leaves interrupts as they are, on or off", () => {
    const locks_both_ways = kernel(function* locks_both_ways() {
      yield* spin_lock(root(), ROOT.lock);
      yield* spin_unlock(root(), ROOT.lock);
      yield* local_irq_disable();
      yield* spin_lock(root(), ROOT.lock);
      yield* spin_unlock(root(), ROOT.lock);
      yield* local_irq_enable();
    });
    const stage = play({}, locks_both_ways).play("c0");
    const seen: (boolean | undefined)[] = [];
    while (!stage.context("a").finished) seen.push(off(stage.play("s0")));
    expect(seen).toEqual([false, false, true, true, true, false]);
  });

  test("spin_lock_irqsave nested: only the outer restore turns interrupts on", () => {
    const flags: number[] = [];
    const nests = kernel(function* nests() {
      const outer = yield* spin_lock_irqsave(root(), ROOT.lock);
      const inner = yield* spin_lock_irqsave(root(), ROOT.rw as never);
      flags.push(outer, inner);
      yield* spin_unlock_irqrestore(root(), ROOT.rw as never, inner);
      yield* smp_mb();
      yield* spin_unlock_irqrestore(root(), ROOT.lock, outer);
      yield* smp_mb();
    });
    const stage = play({ checks: [] }, nests).play("c0");
    stage.machine.poke(rootOf(stage), ROOT.rw.raw_lock, 0);
    const seen: [boolean | undefined, number][] = [];
    while (!stage.context("a").finished) seen.push([off(stage.play("s0")), count(stage)]);
    expect(flags).toEqual([0, 1]);
    expect(seen).toEqual([
      [true, 1],
      [true, 2],
      [true, 1],
      [true, 1],
      [false, 0],
      [false, 0],
    ]);
  });

  test("write_lock_irq turns interrupts off, read_lock does not", () => {
    const reads_then_writes = kernel(function* reads_then_writes() {
      yield* read_lock(root(), ROOT.rw);
      yield* read_unlock(root(), ROOT.rw);
      yield* write_lock_irq(root(), ROOT.rw);
      yield* write_unlock_irq(root(), ROOT.rw);
      yield* smp_mb();
    });
    const stage = play({}, reads_then_writes).play("c0");
    const seen: (boolean | undefined)[] = [];
    while (!stage.context("a").finished) seen.push(off(stage.play("s0")));
    expect(seen).toEqual([false, false, true, false, false]);
  });

  const obj_free = kernel(function* obj_free() {
    yield* smp_mb();
  });
  const calls_back = kernel(function* calls_back() {
    yield* call_rcu(root(), ROOT.head, obj_free);
    yield* locks_and_unlocks();
  });
  const calls_back_irq = kernel(function* calls_back_irq() {
    yield* call_rcu(root(), ROOT.head, obj_free);
    yield* locks_irq();
  });

  for (const [what, mains, come] of [
    ["spin_lock: no preemption while it is waited for or held, but softirqs", [calls_back, locks_and_unlocks], true],
    ["spin_lock_irq: neither preemption nor softirqs", [calls_back_irq, locks_irq], false],
  ] as const) {
    test(`${what} (500 schedules)`, () => {
      let softirqs = 0;
      let preemptions = 0;
      for (let seed = 0; seed < 500; seed++) {
        const stage = play({ config: { PREEMPT_RCU: true } }, ...mains, mains[1]);
        const strategy = stepwise(seed);
        const { machine } = stage;
        while (machine.collect() > 0) {
          const inside = machine.cpus.map((cpu) => {
            const context = cpu.current;
            return (
              context !== null && (context.heldLock.length > 0 || (context.kind === SPIN_LOCK && context.phase > 0))
            );
          });
          for (const event of machine.events.subarray(0, machine.eventCount)) {
            if (eventType(event) === PREEMPT) {
              preemptions++;
              expect(inside[eventCpu(event)]).toBe(false);
            }
            if (eventType(event) === SOFTIRQ && inside[eventCpu(event)]) softirqs++;
          }
          machine.apply(strategy.pick(machine));
        }
      }
      expect(preemptions).toBeGreaterThan(0);
      expect(softirqs > 0).toBe(come);
    });
  }
});
