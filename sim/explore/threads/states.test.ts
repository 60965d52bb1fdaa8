/** What the search over states takes for one state, on programs that allocate, publish, free and start threads. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { rcu_head } from "../../kernelStructs.ts";
import { container_of, globalsOf, kernel, type Ptr, type Request } from "../../op.ts";
import {
  assign_bits,
  call_rcu,
  kmem_cache_alloc,
  kmem_cache_free,
  load,
  rcu_read_lock,
  rcu_read_unlock,
  spawn,
  store,
  xchg,
} from "../../primitives.ts";
import type { Cache } from "../../slab.ts";
import { bits, type Field, long, ptr, struct, u32 } from "../../struct.ts";
import { type ExploreOptions, exploreThreads } from "./explore.ts";
import {
  atomicAdd,
  increment,
  lock,
  read,
  type ThreadProgram,
  threadProgram,
  unlock,
  type Variable,
  type World,
  write,
} from "./world.ts";

const BRUTE_FORCE: ExploreOptions = { reductions: { sourceSets: false, sleepSets: false, wakeupTrees: false } };

const VARIANTS: readonly (readonly [string, ExploreOptions["reductions"]])[] = [
  ["all reductions", {}],
  ["no forgetting", { forgetting: false }],
  ["no merging", { merging: false }],
  ["no persistent sets", { persistentSets: false }],
  ["forgetting alone", { merging: false, persistentSets: false }],
  ["merging alone", { forgetting: false, persistentSets: false }],
];

/** Distinct outcomes and findings, in a fixed order. */
function resultsOf(program: ThreadProgram, options: ExploreOptions): string[] {
  const { outcomes, findings } = exploreThreads(program, options);
  return [
    ...outcomes.map(({ returned, variables }) => JSON.stringify([Object.entries(returned).sort(), variables])),
    ...findings.map(({ kind, title, thread }) => `${kind} ${title} ${thread}`),
  ].sort();
}

const item = struct("item", { value: long, next: ptr, flag: bits(1), rcu: rcu_head });
const ITEM = item.fields;
/** Pointers are kept out of variables: which address an object has is not part of what an exploration says. */
const slots = struct("slots", { first: ptr, second: ptr, count: u32 });
const SLOT = [slots.fields.first, slots.fields.second] as const;

interface Scene {
  readonly slots: Ptr;
  readonly cache: Cache;
  readonly place: Variable;
  readonly held: Variable;
}
const scene = globalsOf<Scene>();
type Code = Generator<Request, string, unknown>;

const item_free = kernel(function* item_free(rhead: Ptr) {
  yield* kmem_cache_free(scene().cache, container_of(rhead, ITEM.rcu));
});
const adder = kernel(function* adder(by: number) {
  yield* increment(scene().place, by);
});
const reaper = kernel(function* reaper(object: Ptr) {
  yield* kmem_cache_free(scene().cache, object);
});

const ACTS = {
  *publish(of: 0 | 1, value: number): Code {
    const object = yield* kmem_cache_alloc(scene().cache);
    yield* store(object, ITEM.value, value);
    yield* store(scene().slots, SLOT[of], object);
    return "";
  },
  *change(of: 0 | 1, value: number): Code {
    const object = yield* load(scene().slots, SLOT[of]);
    if (object !== 0) yield* store(object, ITEM.value, value);
    return "";
  },
  *inPrivate(of: 0 | 1, value: number): Code {
    const object = yield* kmem_cache_alloc(scene().cache);
    if (of === 0) yield* store(object, ITEM.value, value);
    yield* kmem_cache_free(scene().cache, object);
    return "";
  },
  *look(of: 0 | 1): Code {
    const object = yield* load(scene().slots, SLOT[of]);
    return object === 0 ? "none" : `${yield* load(object, ITEM.value)}`;
  },
  *remove(of: 0 | 1): Code {
    const object = yield* xchg(scene().slots, SLOT[of], 0);
    if (object !== 0) yield* kmem_cache_free(scene().cache, object);
    return object === 0 ? "none" : "freed";
  },
  *removeWithoutCare(of: 0 | 1): Code {
    const object = yield* load(scene().slots, SLOT[of]);
    if (object === 0) return "none";
    yield* store(scene().slots, SLOT[of], 0);
    yield* kmem_cache_free(scene().cache, object);
    return "freed";
  },
  *leaveDangling(of: 0 | 1): Code {
    const object = yield* load(scene().slots, SLOT[of]);
    if (object !== 0) yield* kmem_cache_free(scene().cache, object);
    return "";
  },
  *sameAsBefore(of: 0 | 1): Code {
    const before = yield* load(scene().slots, SLOT[of]);
    return before === (yield* load(scene().slots, SLOT[of])) ? "same" : "other";
  },
  *chain(of: 0 | 1): Code {
    const [one, other] = [yield* load(scene().slots, SLOT[of]), yield* load(scene().slots, SLOT[1 - of] as never)];
    if (one !== 0) yield* store(one, ITEM.next, other);
    return "";
  },
  *follow(of: 0 | 1): Code {
    const object = yield* load(scene().slots, SLOT[of]);
    const next = object === 0 ? 0 : yield* load(object, ITEM.next);
    return next === 0 ? "none" : `${yield* load(next, ITEM.value)}`;
  },
  *flag(of: 0 | 1): Code {
    const object = yield* load(scene().slots, SLOT[of]);
    if (object !== 0) yield* assign_bits(object, ITEM.flag, of);
    return "";
  },
  *deferred(of: 0 | 1): Code {
    const object = yield* xchg(scene().slots, SLOT[of], 0);
    if (object !== 0) yield* call_rcu(object, ITEM.rcu, item_free);
    return "";
  },
  *reader(of: 0 | 1): Code {
    yield* rcu_read_lock();
    const object = yield* load(scene().slots, SLOT[of]);
    const seen = object === 0 ? "none" : `${yield* load(object, ITEM.value)}`;
    yield* rcu_read_unlock();
    return seen;
  },
  *startAdder(of: 0 | 1): Code {
    const seen = yield* read(scene().place);
    if (of === 0) yield* increment(scene().place);
    yield* spawn(0, { comm: "adder" }, adder, seen + 1);
    return "";
  },
  *startReaper(of: 0 | 1): Code {
    const object = yield* xchg(scene().slots, SLOT[of], 0);
    if (object !== 0) yield* spawn(0, { comm: "reaper" }, reaper, object);
    return "";
  },
  *locked(of: 0 | 1): Code {
    yield* lock(scene().held);
    const seen = of === 0 ? yield* increment(scene().place) : yield* read(scene().place);
    yield* unlock(scene().held);
    return `${seen}`;
  },
};
const NAMES = Object.keys(ACTS) as (keyof typeof ACTS)[];

interface Act {
  readonly op: keyof typeof ACTS;
  readonly of: number;
}
const act: fc.Arbitrary<Act> = fc.record({ op: fc.constantFrom(...NAMES), of: fc.nat(1) });

const programOf = (plan: readonly (readonly Act[])[]): ThreadProgram =>
  threadProgram("random", (world) => {
    const cache = world.createCache(item);
    const table = world.allocStaticStruct(slots);
    const [first, second] = [world.allocAtBoot(cache), world.allocAtBoot(cache)];
    world.poke(table, SLOT[0], first);
    world.poke(first, ITEM.next, second);
    world.globals = {
      slots: table,
      cache,
      place: world.variable("place"),
      held: world.lock("held"),
    } satisfies Scene;
    for (const [t, acts] of plan.entries()) {
      world.thread(`thread${t}`, function* () {
        let seen = "";
        for (const [i, { op, of }] of acts.entries()) seen += `${yield* ACTS[op](of as 0 | 1, 10 * (t + 1) + i)},`;
        // Some forget what they saw.
        return t === 0 ? seen : "done";
      });
    }
  });

describe.each(["sc", "tso"] as const)(
  "random programs with objects under %s: the same outcomes and findings",
  (memory) => {
    test.each(VARIANTS)("%s", (_, reductions) => {
      let violated = 0;
      fc.assert(
        fc.property(fc.array(fc.array(act, { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 3 }), (plan) => {
          const program = programOf(plan);
          const all = { ...BRUTE_FORCE, memory, executionsMax: 4000 };
          const whole = exploreThreads(program, all);
          fc.pre(whole.complete);
          if (whole.verdict === "violated") violated++;
          const options: ExploreOptions = { search: "states", memory, reductions: reductions ?? {} };
          expect(resultsOf(program, options)).toEqual(resultsOf(program, all));
          expect(resultsOf(program, { memory })).toEqual(resultsOf(program, all));
        }),
        { seed: 3, numRuns: 30 },
      );
      expect(violated).toBeGreaterThan(5);
    });
  },
);

test.each(["traces", "states"] as const)(
  "%s: under tso a store may be made before or after its object is freed",
  (search) => {
    const program = threadProgram("store to an object", (world) => {
      const cache = world.createCache(item);
      const object = world.allocAtBoot(cache);
      world.thread("stores", function* () {
        yield* store(object, ITEM.value, 1);
      });
      world.thread("frees", function* () {
        yield* kmem_cache_free(cache, object);
      });
    });
    const { findings, complete } = exploreThreads(program, { search, memory: "tso" });
    expect([complete, findings.map(({ kind, thread }) => [kind, thread])]).toEqual([
      true,
      [["use-after-free", "stores"]],
    ]);
  },
);

/** Two threads set the value of an object, and one of them frees it. What others see of it then depends on the order. */
const withFreedObject = (declare: (world: World, object: Ptr, table: Ptr, gone: Variable) => void): ThreadProgram =>
  threadProgram("freed object", (world) => {
    const cache = world.createCache(item);
    const table = world.allocStaticStruct(slots);
    const object = world.allocAtBoot(cache);
    const gone = world.variable("gone");
    const done = world.variable("done");
    for (const value of [1, 2]) {
      world.thread(`sets ${value}`, function* () {
        yield* store(object, ITEM.value, value);
        if ((yield* atomicAdd(done, 1)) < 2) return;
        yield* kmem_cache_free(cache, object);
        yield* write(gone, 1);
      });
    }
    declare(world, object, table, gone);
  });

describe("a freed object is not forgotten while", () => {
  const programs: readonly (readonly [string, ThreadProgram])[] = [
    [
      "its address is in memory",
      withFreedObject((world, object, table, gone) => {
        world.poke(table, SLOT[0], object);
        world.thread("looks", function* () {
          return `${yield* read(gone)}-${yield* load(yield* load(table, SLOT[0]), ITEM.value)}`;
        });
      }),
    ],
    [
      "its address is in an object that can be reached",
      withFreedObject((world, object, table, gone) => {
        const other = world.allocAtBoot(world.createCache(item));
        world.poke(table, SLOT[0], other);
        world.poke(other, ITEM.next, object);
        world.thread("looks", function* () {
          const late = yield* read(gone);
          const next = yield* load(yield* load(table, SLOT[0]), ITEM.next);
          return `${late}-${yield* load(next, ITEM.value)}`;
        });
      }),
    ],
    [
      "a thread may still store its address",
      withFreedObject((world, object, table, gone) => {
        world.thread("publishes", function* () {
          const late = yield* read(gone);
          yield* store(table, SLOT[0], object);
          return late;
        });
        world.thread("looks", function* () {
          const late = yield* read(gone);
          const found = yield* load(table, SLOT[0]);
          return found === 0 ? "none" : `${late}-${yield* load(found, ITEM.value)}`;
        });
      }),
    ],
    [
      "a thread may touch it",
      withFreedObject((world, object, _, gone) => {
        world.thread("looks", function* () {
          return `${yield* read(gone)}-${yield* load(object, ITEM.value)}`;
        });
      }),
    ],
    [
      "a thread that is yet to be started may touch it",
      withFreedObject((world, object, _, gone) => {
        const seen = world.variable("seen");
        const look = kernel(function* look(found: Ptr, late: number) {
          const value = yield* load(found, ITEM.value);
          yield* write(seen, 10 * late + value);
        });
        world.thread("starts", function* () {
          yield* spawn(0, { comm: "looks" }, look, object, yield* read(gone));
        });
      }),
    ],
  ];
  test.each(programs)("%s", (_, program) => {
    const results = resultsOf(program, { search: "states", reductions: { merging: false } });
    expect(results).toEqual(resultsOf(program, {}));
    for (const value of [1, 2]) expect(results.join()).toMatch(new RegExp(`"1-${value}"|"seen":1${value}`));
  });
});

test("what is done to an object before it is published depends on nobody", () => {
  const program = threadProgram("init", (world) => {
    const cache = world.createCache(item);
    const table = world.allocStaticStruct(slots);
    for (const of of [0, 1]) {
      world.thread(`publishes ${of}`, function* () {
        const object = yield* kmem_cache_alloc(cache);
        yield* store(object, ITEM.value, of);
        yield* store(object, ITEM.next, object);
        yield* store(table, SLOT[of] as Field, object);
      });
    }
    world.thread("looks", function* () {
      let seen = "";
      for (const slot of SLOT) {
        const object = yield* load(table, slot);
        if (object !== 0) seen += yield* load(object, ITEM.value);
      }
      return seen;
    });
  });
  const [on, off] = [true, false].map((forgetting) =>
    exploreThreads(program, { search: "states", reductions: { forgetting } }),
  );
  expect(on?.states).toBeLessThan(off?.states as number);
  expect(resultsOf(program, { search: "states" }).map((text) => /"looks","(.*?)"/.exec(text)?.[1])).toEqual(
    resultsOf(program, {}).map((text) => /"looks","(.*?)"/.exec(text)?.[1]),
  );
  expect(on?.distinctOutcomes).toBe(4);
});

test("a freed object out of reach is forgotten", () => {
  const program = threadProgram("private objects", (world) => {
    const cache = world.createCache(item);
    const place = world.variable("place");
    for (const name of ["one", "two", "three"]) {
      world.thread(name, function* () {
        if ((yield* increment(place)) === 1) yield* kmem_cache_free(cache, yield* kmem_cache_alloc(cache));
      });
    }
  });
  const [on, off] = [true, false].map((forgetting) =>
    exploreThreads(program, { search: "states", reductions: { forgetting } }),
  );
  expect(on?.executions).toBeLessThan(off?.executions as number);
  expect(on?.distinctOutcomes).toBe(off?.distinctOutcomes);
});

describe("threads started with what was read", () => {
  const program = threadProgram("starts", (world) => {
    const [from, to] = [world.variable("from"), world.variable("to")];
    const held = world.lock("held");
    const copy = kernel(function* copy(value: number) {
      yield* write(to, value);
    });
    world.thread("writer", function* () {
      yield* write(from, 7);
    });
    world.thread("starter", function* () {
      const seen = yield* read(from);
      // Both histories go on alike here.
      yield* lock(held);
      yield* unlock(held);
      yield* spawn(0, { comm: "copier" }, copy, seen + 1);
    });
  });
  test.each(["traces", "states"] as const)("%s", (search) => {
    const ends = exploreThreads(program, { search }).outcomes.map(({ returned, variables }) => [
      returned,
      variables.to,
    ]);
    const returned = { writer: "0", starter: "0", copier: "0" };
    expect(ends.sort()).toEqual([
      [returned, 1],
      [returned, 8],
    ]);
  });
});

describe("merging", () => {
  const merged = (program: ThreadProgram): [number, number] => {
    const [on, off] = [true, false].map((merging) =>
      exploreThreads(program, { search: "states", reductions: { merging, persistentSets: false } }),
    );
    expect(on?.distinctOutcomes).toBe(off?.distinctOutcomes);
    return [on?.states as number, off?.states as number];
  };
  /** A thread reads twice what another one counts up, and then does something with the first, the second or neither. */
  const twice = (use: (first: number, second: number) => number): ThreadProgram =>
    threadProgram("twice", (world) => {
      const [from, to] = [world.variable("from"), world.variable("to")];
      world.thread("writer", function* () {
        for (const value of [1, 2]) yield* write(from, value);
      });
      world.thread("reader", function* () {
        const first = yield* read(from);
        const second = yield* read(from);
        yield* write(to, 0);
        yield* write(to, use(first, second));
      });
    });

  test("what is forgotten does not keep states apart", () => {
    const [on, off] = merged(twice(() => 5));
    expect(on).toBeLessThan(off);
  });

  test("what of several values is remembered does, and nothing else", () => {
    const [first] = merged(twice((one) => one));
    const [none] = merged(twice(() => 5));
    const [both, whole] = merged(twice((one, two) => one * 3 + two));
    expect(first).toBeGreaterThan(none);
    expect(first).toBeLessThan(both);
    expect(both).toBeLessThanOrEqual(whole);
  });

  test("ways of different length that come together", () => {
    const program = threadProgram("detour", (world) => {
      const [from, to] = [world.variable("from"), world.variable("to")];
      world.thread("writer", function* () {
        yield* write(from, 1);
        yield* write(from, 2);
      });
      world.thread("reader", function* () {
        if ((yield* read(from)) === 0) yield* write(to, 3);
        yield* write(to, 4);
        yield* write(to, 5);
      });
    });
    const [on, off] = merged(program);
    expect(on).toBeLessThan(off);
  });

  test("a loop stays one: it is cut off at the bound on steps", () => {
    const program = threadProgram("spin", (world) => {
      const flag = world.variable("flag");
      world.thread("waits", function* () {
        while ((yield* read(flag)) === 0);
      });
    });
    const { complete, cutOff } = exploreThreads(program, { search: "states", stepsMax: 50 });
    expect(complete).toBe(false);
    expect(cutOff).toBe(1);
  });
});
