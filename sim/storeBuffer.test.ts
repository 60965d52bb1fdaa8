/**
 * Store buffers: litmus tests over every schedule of the whole machine, what drains, what is forwarded, how memory
 * safety and the history see a store that is on its way.
 */
import { describe, expect, test } from "vitest";
import { eventArgument, eventCpu, eventType, SWITCH } from "./event.ts";
import { plain_task, rcu_head, spinlock_t } from "./kernelStructs.ts";
import { pokeLock } from "./locks.ts";
import { Machine, type MachineOptions } from "./machine.ts";
import { container_of, type Kernel, type KernelFunction, kernel, type Ptr } from "./op.ts";
import {
  assign_bits,
  atomic_add_return,
  call_rcu,
  current,
  kmem_cache_free,
  kmem_cache_zalloc,
  load,
  mod_timer,
  rcu_assign_pointer,
  rcu_read_lock,
  rcu_read_unlock,
  schedule,
  set_bits,
  smp_mb,
  smp_rmb,
  smp_wmb,
  spin_lock,
  spin_unlock,
  store,
  user,
  wake_up_state,
  xchg,
} from "./primitives.ts";
import { execute, type Program } from "./run.ts";
import { formatSchedule, parseSchedule } from "./schedule.ts";
import type { Cache } from "./slab.ts";
import type { MemoryModel } from "./storeBuffer.ts";
import { ReplayStrategy } from "./strategies/replay.ts";
import { array, bits, struct, u8, u32, ulong } from "./struct.ts";
import { randomFindings, randomRuns, Stage, stepwise, tiny } from "./tinyProgram.ts";

const VARS_T = struct("vars", {
  x: u32,
  y: u32,
  z: u32,
  lock: spinlock_t,
  low: bits(4),
  high: bits(4),
  bytes: array(u8, 4),
});
const V = VARS_T.fields;
type Var = "x" | "y" | "z";

// The variables of the program at hand, and the registers of its threads.
let vars: Ptr = 0;
let r: number[] = [];
const st = (name: Var, value: number): Kernel<void> => store(vars, V[name], value);
const ld = (name: Var): Kernel<number> => load(vars, V[name]);
type Thread = KernelFunction<[], void>;

/** Threads on zeroed variables, thread i on CPU i. */
const program = (threads: readonly Thread[], options: Partial<MachineOptions> = {}): Program =>
  tiny(
    (machine) => {
      r = [];
      vars = machine.allocStaticStruct(VARS_T);
      pokeLock(machine, vars + (machine.offset[V.lock.id] as number), spinlock_t);
      threads.forEach((thread, i) => {
        machine.spawn(0, { comm: `P${i}` }, thread);
      });
    },
    { memory: "tso", cpus: threads.length, config: { PREEMPT: false }, ...options } as never,
  );

/** Runs a program under every schedule in which context i runs on CPU i. */
function everySchedule(subject: Program, atEnd: (machine: Machine) => void): void {
  const taken: number[] = [];
  const offered: number[][] = [];
  do {
    const machine = new Machine(subject.options);
    subject.setup(machine);
    machine.boot();
    for (let depth = 0; machine.collect() > 0; depth++) {
      if (offered[depth] === undefined) {
        const possible = Array.from(machine.events.subarray(0, machine.eventCount));
        const own = possible.find((event) => eventType(event) === SWITCH && eventArgument(event) === eventCpu(event));
        offered[depth] = own !== undefined ? [own] : possible.filter((event) => eventType(event) !== SWITCH);
        taken[depth] = 0;
      }
      machine.apply(offered[depth]?.[taken[depth] as number] as number);
    }
    atEnd(machine);
    machine.release();
    while (offered.length > 0 && (taken.at(-1) as number) + 1 === offered.at(-1)?.length) {
      offered.pop();
      taken.pop();
    }
    if (taken.length > 0) taken[taken.length - 1] = (taken.at(-1) as number) + 1;
  } while (offered.length > 0);
}

/** Every combination of registers, then of final values, that some schedule leads to. */
function outcomes(memory: MemoryModel, threads: readonly Thread[], finals: readonly Var[] = []): string[] {
  const seen = new Set<string>();
  everySchedule(program(threads, { memory }), (machine) => {
    seen.add([...r, ...finals.map((name) => machine.peek(vars, V[name]))].join(""));
  });
  return [...seen].sort();
}

/** `first = 1; fence; register = second`. */
const stThenLd = (first: Var, second: Var, register: number, fence?: () => Kernel<unknown>): Thread =>
  kernel(function* store_then_load() {
    yield* st(first, 1);
    if (fence !== undefined) yield* fence();
    r[register] = yield* ld(second);
  });
/** `register = variable`, twice. */
const reads = (a: Var, b: Var, register: number): Thread =>
  kernel(function* two_loads() {
    r[register] = yield* ld(a);
    r[register + 1] = yield* ld(b);
  });
const writes = (...all: readonly [Var, number][]): Thread =>
  kernel(function* stores() {
    for (const [name, value] of all) yield* st(name, value);
  });

describe("litmus tests", () => {
  interface Case {
    readonly name: string;
    readonly threads: readonly Thread[];
    readonly finals?: readonly Var[];
    /** The outcome the test is about, and which models allow it. */
    readonly outcome: string;
    readonly allowed: readonly MemoryModel[];
  }
  const dummy = (name: Var): Kernel<number> => xchg(vars, V[name], 1);
  const locked: Thread = kernel(function* xchg_then_load() {
    yield* dummy("x");
    r[0] = yield* ld("y");
  });
  const lockedOther: Thread = kernel(function* xchg_then_load_other() {
    yield* dummy("y");
    r[1] = yield* ld("x");
  });
  const cases: readonly Case[] = [
    { name: "SB", threads: [stThenLd("x", "y", 0), stThenLd("y", "x", 1)], outcome: "00", allowed: ["tso"] },
    {
      name: "SB, smp_mb in both",
      threads: [stThenLd("x", "y", 0, smp_mb), stThenLd("y", "x", 1, smp_mb)],
      outcome: "00",
      allowed: [],
    },
    {
      name: "SB, smp_mb in one",
      threads: [stThenLd("x", "y", 0, smp_mb), stThenLd("y", "x", 1)],
      outcome: "00",
      allowed: ["tso"],
    },
    {
      name: "SB, smp_rmb and smp_wmb",
      threads: [stThenLd("x", "y", 0, smp_rmb), stThenLd("y", "x", 1, smp_wmb)],
      outcome: "00",
      allowed: ["tso"],
    },
    { name: "SB, locked stores", threads: [locked, lockedOther], outcome: "00", allowed: [] },
    {
      name: "SB, a locked operation on something else between",
      threads: [
        stThenLd("x", "y", 0, () => atomic_add_return(vars, V.z, 1)),
        stThenLd("y", "x", 1, () => atomic_add_return(vars, V.z, 1)),
      ],
      outcome: "00",
      allowed: [],
    },
    { name: "MP", threads: [writes(["x", 1], ["y", 1]), reads("y", "x", 0)], outcome: "10", allowed: [] },
    {
      name: "MP by rcu_assign_pointer",
      threads: [
        kernel(function* publish() {
          yield* st("x", 1);
          yield* rcu_assign_pointer(vars, V.y, 1);
        }),
        reads("y", "x", 0),
      ],
      outcome: "10",
      allowed: [],
    },
    {
      name: "LB",
      threads: [
        kernel(function* load_then_store() {
          r[0] = yield* ld("x");
          yield* st("y", 1);
        }),
        kernel(function* load_then_store_other() {
          r[1] = yield* ld("y");
          yield* st("x", 1);
        }),
      ],
      outcome: "11",
      allowed: [],
    },
    {
      name: "R",
      threads: [
        writes(["x", 1], ["y", 1]),
        kernel(function* r_other() {
          yield* st("y", 2);
          r[0] = yield* ld("x");
        }),
      ],
      finals: ["y"],
      outcome: "02",
      allowed: ["tso"],
    },
    {
      name: "S",
      threads: [
        writes(["x", 2], ["y", 1]),
        kernel(function* s_other() {
          r[0] = yield* ld("y");
          yield* st("x", 1);
        }),
      ],
      finals: ["x"],
      outcome: "12",
      allowed: [],
    },
    {
      name: "2+2W",
      threads: [writes(["x", 1], ["y", 2]), writes(["y", 1], ["x", 2])],
      finals: ["x", "y"],
      outcome: "11",
      allowed: [],
    },
    { name: "CoRR", threads: [writes(["x", 1]), reads("x", "x", 0)], outcome: "10", allowed: [] },
    {
      name: "n5",
      threads: [
        kernel(function* own_store() {
          yield* st("x", 1);
          r[0] = yield* ld("x");
        }),
        kernel(function* own_store_other() {
          yield* st("x", 2);
          r[1] = yield* ld("x");
        }),
      ],
      outcome: "21",
      allowed: [],
    },
    {
      name: "n6",
      threads: [
        kernel(function* n6() {
          yield* st("x", 1);
          r[0] = yield* ld("x");
          r[1] = yield* ld("y");
        }),
        writes(["y", 2], ["x", 2]),
      ],
      finals: ["x"],
      outcome: "101",
      allowed: ["tso"],
    },
    {
      name: "own stores are seen early (iwp2.4)",
      threads: [
        kernel(function* own_first() {
          yield* st("x", 1);
          r[0] = yield* ld("x");
          r[1] = yield* ld("y");
        }),
        kernel(function* own_first_other() {
          yield* st("y", 1);
          r[2] = yield* ld("y");
          r[3] = yield* ld("x");
        }),
      ],
      outcome: "1010",
      allowed: ["tso"],
    },
    {
      name: "IRIW",
      threads: [writes(["x", 1]), writes(["y", 1]), reads("x", "y", 0), reads("y", "x", 2)],
      outcome: "1010",
      allowed: [],
    },
    {
      name: "SB with plain read-modify-writes",
      threads: [
        kernel(function* or_then_load() {
          yield* set_bits(vars, V.x, 1);
          r[0] = yield* ld("y");
        }),
        kernel(function* or_then_load_other() {
          yield* set_bits(vars, V.y, 1);
          r[1] = yield* ld("x");
        }),
      ],
      outcome: "00",
      allowed: ["tso"],
    },
  ];
  test.each(cases)("$name", ({ threads, finals, outcome, allowed }) => {
    const seen = { sc: outcomes("sc", threads, finals), tso: outcomes("tso", threads, finals) };
    expect((["sc", "tso"] as const).filter((model) => seen[model].includes(outcome))).toEqual(allowed);
    // Whatever sequential consistency allows, a store buffer that is flushed at once allows.
    expect(seen.tso).toEqual(expect.arrayContaining(seen.sc));
  });
});

describe("of one CPU", () => {
  test("a load sees the newest of its own stores, others see memory", () => {
    const writer = kernel(function* writer() {
      yield* st("x", 1);
      yield* st("x", 2);
      r[0] = yield* ld("x");
    });
    const reader = kernel(function* reader() {
      r[1] = yield* ld("x");
      r[2] = yield* ld("x");
    });
    const stage = new Stage(program([writer, reader])).play("c0 c1:1 s0*3 s1 f0 s1");
    expect(r).toEqual([2, 0, 1]);
    expect(stage.possible()).toEqual(["f0"]);
    stage.play("f0");
    expect(stage.peek(vars, V.x)).toBe(2);
  });

  test("bit-fields of one byte: the second change starts from the first, and both arrive", () => {
    const writer = kernel(function* writer() {
      yield* assign_bits(vars, V.low, 5);
      yield* assign_bits(vars, V.high, 9);
      r[0] = yield* load(vars, V.low);
    });
    const stage = new Stage(program([writer])).play("c0 s0*5");
    expect(r).toEqual([5]);
    expect(stage.peek(vars, V.low)).toBe(0);
    stage.play("f0 f0");
    expect([stage.peek(vars, V.low), stage.peek(vars, V.high)]).toEqual([5, 9]);
  });

  test("a load wider than the store waits until the store is in memory", () => {
    const words = struct("words", { whole: u32 });
    const parts = struct("parts", { first: u8, rest: array(u8, 3) });
    let at = 0;
    const writer = kernel(function* writer() {
      yield* st("y", 7);
      yield* store(at, parts.fields.first, 0xff);
      r[0] = yield* load(at, words.fields.whole);
    });
    const subject = tiny(
      (machine) => {
        r = [];
        vars = machine.allocStaticStruct(VARS_T);
        at = machine.allocStatic(16);
        machine.poke(at, words.fields.whole, 0x11223344);
        machine.spawn(0, { comm: "writer" }, writer);
      },
      { memory: "tso", cpus: 1 },
    );
    const stage = new Stage(subject).play("c0 s0*3");
    expect(r).toEqual([0x112233ff]);
    // In order: the older store is there as well.
    expect(stage.peek(vars, V.y)).toBe(7);
    expect(stage.possible()).toEqual([]);
  });

  test("a full queue sends its oldest store on", () => {
    const writer = kernel(function* writer() {
      for (let i = 1; i <= 40; i++) yield* st("x", i);
    });
    const stage = new Stage(program([writer])).play("c0 s0*40");
    expect(stage.peek(vars, V.x)).toBe(8);
    expect(stage.toEnd().peek(vars, V.x)).toBe(40);
  });
});

describe("what drains", () => {
  const storeThen = (op: () => Kernel<unknown>): Thread =>
    kernel(function* stores_and_goes_on() {
      yield* st("x", 1);
      yield* op();
      yield* user(10);
    });
  const drained = (op: () => Kernel<unknown>, events: string, config = {}): boolean => {
    const stage = new Stage(program([storeThen(op)], { config: { PREEMPT: true, ...config } }));
    stage.play(`c0 s0 ${events}`);
    return stage.peek(vars, V.x) === 1;
  };
  test.each([
    ["smp_mb", () => smp_mb(), "s0", true],
    ["smp_rmb", () => smp_rmb(), "s0", false],
    ["smp_wmb", () => smp_wmb(), "s0", false],
    ["a locked operation", () => xchg(vars, V.y, 1), "s0", true],
    ["a load", () => ld("y"), "s0", false],
    ["the taking of a spinlock", () => spin_lock(vars, V.lock), "s0", true],
    ["schedule", () => schedule(), "s0", true],
    ["the arming of a timer", () => mod_timer(1), "s0", true],
    ["rcu_read_lock", () => rcu_read_lock(), "s0", false],
  ] as const)("%s: %s", (_name, op, events, expected) => {
    expect(drained(op, events)).toBe(expected);
    expect(drained(op, events, { DEBUG_SPINLOCK: true })).toBe(expected);
  });

  test("a preemption, and an interrupt of user mode", () => {
    const other = kernel(function* other() {
      yield* user(10);
    });
    const subject = program([storeThen(() => ld("y")), other], { cpus: 1, config: { PREEMPT: true } });
    const stage = new Stage(subject).play("c0 s0");
    expect(stage.peek(vars, V.x)).toBe(0);
    expect(stage.play("p0").peek(vars, V.x)).toBe(1);
  });

  test("the release of a spinlock does not, and nobody takes the lock before it has arrived", () => {
    const holder = kernel(function* holder() {
      yield* spin_lock(vars, V.lock);
      yield* st("x", 1);
      yield* spin_unlock(vars, V.lock);
      r[0] = yield* ld("y");
    });
    const waiter = kernel(function* waiter() {
      yield* spin_lock(vars, V.lock);
      r[1] = yield* ld("x");
      yield* spin_unlock(vars, V.lock);
    });
    const stage = new Stage(program([holder, waiter])).play("c0 c1:1 s0*3 s1");
    expect(stage.possible()).toEqual(["s0", "f0"]);
    // The store made under the lock arrives first, then the release.
    stage.play("f0");
    expect(stage.possible()).toEqual(["s0", "f0"]);
    stage.play("f0 s1 s1");
    expect(r[1]).toBe(1);
  });

  test.each([{ DEBUG_SPINLOCK: false }, { DEBUG_SPINLOCK: true }])("locks exclude each other: %o", (config) => {
    const counts = kernel(function* counts() {
      for (let i = 0; i < 3; i++) {
        yield* spin_lock(vars, V.lock);
        yield* st("x", (yield* ld("x")) + 1);
        yield* spin_unlock(vars, V.lock);
      }
    });
    const subject = program([counts, counts], { config: { PREEMPT: true, ...config } });
    for (let seed = 0; seed < 100; seed++) {
      const stage = new Stage(subject).toEnd(stepwise(seed));
      expect(stage.titles()).toEqual([]);
      expect(stage.peek(vars, V.x)).toBe(6);
      stage.machine.release();
    }
  });

  test("the scheduler: a state set without a barrier loses the wake-up, one set with it does not", () => {
    const state = plain_task.fields.state;
    const hangs = (barrier: boolean, memory: MemoryModel): boolean => {
      let sleeper = 0;
      const sleeps = kernel(function* sleeps() {
        yield* store(current(), state, 2);
        if (barrier) yield* smp_mb();
        if ((yield* ld("x")) === 0) yield* schedule();
        yield* store(current(), state, 0);
      });
      const wakes = kernel(function* wakes() {
        yield* st("x", 1);
        yield* wake_up_state(sleeper, 3);
      });
      const subject = tiny(
        (machine) => {
          vars = machine.allocStaticStruct(VARS_T);
          sleeper = machine.spawn(0, { comm: "sleeper" }, sleeps);
          machine.spawn(0, { comm: "waker" }, wakes);
        },
        { memory },
      );
      return randomFindings(subject, 300).some(({ kind }) => kind === "hung-task");
    };
    expect(hangs(false, "sc")).toBe(false);
    expect(hangs(false, "tso")).toBe(true);
    expect(hangs(true, "tso")).toBe(false);
  });

  test("an experiment can leave a function's barriers out; they stay steps", () => {
    const threads = [stThenLd("x", "y", 0, smp_mb), stThenLd("y", "x", 1, smp_mb)];
    const seen = new Set<string>();
    const without = program(threads, { withoutBarrier: new Set(["store_then_load"]) });
    everySchedule(without, () => seen.add(r.join("")));
    expect(seen).toContain("00");
    const sc = { memory: "sc" } as const;
    const hash = (subject: Program): string => execute(subject, stepwise(1)).historyHash;
    expect(hash(program(threads, { ...sc, withoutBarrier: new Set(["store_then_load"]) }))).toBe(
      hash(program(threads, sc)),
    );
  });
});

describe("memory safety", () => {
  const OBJ_T = struct("obj", { value: ulong, pad: array(u8, 48), rcu: rcu_head });
  const OBJ = OBJ_T.fields;
  const objects = (threads: (cache: Cache, object: Ptr) => readonly Thread[], config = {}): Program =>
    tiny(
      (machine) => {
        const cache = machine.createCache(OBJ_T);
        const object = machine.allocAtBoot(cache);
        threads(cache, object).forEach((main, i) => {
          machine.spawn(0, { comm: `P${i}` }, main);
        });
      },
      { memory: "tso", checks: ["kasan"], config: { PREEMPT: false, ...config } },
    );
  const storeAndFree = (cache: Cache, object: Ptr): readonly Thread[] => [
    kernel(function* stores() {
      yield* store(object, OBJ.value, 1);
    }),
    kernel(function* frees() {
      yield* kmem_cache_free(cache, object);
    }),
  ];

  test("a store that arrives after the free is a use-after-free of the function that stored", () => {
    const stage = new Stage(objects(storeAndFree)).play("c0 c1:1 s0 s1");
    expect(stage.titles()).toEqual([]);
    stage.play("f0");
    expect(stage.titles()).toEqual(["BUG: KASAN: use-after-free in stores"]);
    const [finding] = stage.machine.findings;
    expect(finding).toMatchObject({ kind: "use-after-free", task: "P0", cpu: 0, access: "obj->value", step: 4 });
    expect(finding?.details).toMatchObject({ type: "memory", write: true, size: 8, storedAt: 2 });
  });

  test("it corrupts the freed object: SLUB finds it when it hands the object out", () => {
    const threads = (cache: Cache, object: Ptr): readonly Thread[] => [
      ...storeAndFree(cache, object),
      kernel(function* allocates() {
        yield* kmem_cache_zalloc(cache);
      }),
    ];
    const stage = new Stage(objects(threads, { SLUB_DEBUG: true })).play("c0 c1:1 s0 s1 f0 c0:2").toEnd();
    expect(stage.titles().at(-1)).toBe("BUG obj: Poison overwritten");
  });

  test("one that arrives before it, or is made after it, is what it is without a buffer", () => {
    expect(new Stage(objects(storeAndFree)).play("c0 c1:1 s0 f0 s1").toEnd().titles()).toEqual([]);
    const late = new Stage(objects(storeAndFree)).play("c0 c1:1 s1 s0");
    expect(late.titles()).toEqual(["BUG: KASAN: use-after-free in stores"]);
    expect(late.machine.findings[0]?.details).not.toHaveProperty("storedAt");
  });

  test("the free of the CPU itself comes after its stores", () => {
    const threads = (cache: Cache, object: Ptr): readonly Thread[] => [
      kernel(function* stores_and_frees() {
        yield* store(object, OBJ.value, 1);
        yield* kmem_cache_free(cache, object);
      }),
    ];
    for (const seed of [1, 2, 3]) {
      expect(new Stage(objects(threads)).toEnd(stepwise(seed)).titles()).toEqual([]);
    }
  });

  test.each([{}, { PREEMPT: true, PREEMPT_RCU: true }])(
    "a reader's stores arrive before the grace period ends: %o",
    (config) => {
      const readsAndFrees = (cache: Cache, object: Ptr): readonly Thread[] => {
        const obj_free = kernel(function* obj_free(head: Ptr) {
          yield* kmem_cache_free(cache, container_of(head, OBJ.rcu));
        });
        return [
          kernel(function* reader() {
            yield* rcu_read_lock();
            yield* store(object, OBJ.value, 1);
            yield* rcu_read_unlock();
            yield* user(100);
          }),
          kernel(function* updater() {
            yield* call_rcu(object, OBJ.rcu, obj_free);
          }),
        ];
      };
      // The reader may be late: then it uses what was freed, buffer or not.
      const inTime = new Stage(objects(readsAndFrees, config)).play("c0 s0*3 c1:1 s1*3 q1 s1");
      expect(inTime.toEnd().titles()).toEqual([]);
      expect(inTime.machine.steps).toBeGreaterThan(8);
    },
  );
});

describe("the history", () => {
  const writer = kernel(function* writer() {
    yield* st("x", 0x0102);
    r[0] = yield* ld("x");
    yield* smp_mb();
  });
  test("has what a step left in the buffer, what it took from there, and a row for each store that arrives", () => {
    const stage = new Stage(program([writer])).play("c0 s0*3");
    const rows = (stage.machine.history ?? []).slice(1).map(({ step, storedAt, buffer, writes: bytes }) => ({
      step,
      storedAt,
      buffer,
      bytes: bytes.map(({ address, byte }) => [address - vars, byte]),
    }));
    expect(rows).toEqual([
      { step: 1, storedAt: undefined, buffer: "stored", bytes: [] },
      { step: 2, storedAt: undefined, buffer: "forwarded", bytes: [] },
      {
        step: 3,
        storedAt: 1,
        buffer: undefined,
        bytes: [
          [0, 2],
          [1, 1],
        ],
      },
      { step: 3, storedAt: undefined, buffer: undefined, bytes: [] },
    ]);
  });

  test("a schedule has a letter for a flush, and replays exactly", () => {
    const subject = program([stThenLd("x", "y", 0), stThenLd("y", "x", 1)]);
    const [run] = randomRuns(subject, 1);
    const text = formatSchedule(run?.schedule ?? []);
    expect(text).toMatch(/\bf[01]\b/);
    const again = execute(subject, new ReplayStrategy(parseSchedule(text)));
    expect(again.historyHash).toBe(run?.historyHash);
  });
});
