/** A run is a function of its program and its schedule: hashes, replay, the text of a schedule, shrinking, hunting. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { endOfWorld } from "./checks/end.ts";
import { costOf, simpler } from "./cost.ts";
import { describeEvent, eventArgument, eventCpu, eventType, makeEvent, PREEMPT, STEP, SWITCH } from "./event.ts";
import { type Finding, findingKey } from "./finding.ts";
import { combineHashes } from "./history.ts";
import { hunt, makeStrategy, STRATEGY_NAMES, seedOfRun } from "./hunt.ts";
import { kref, plain_task, rcu_head, spinlock_t } from "./kernelStructs.ts";
import { pokeLock } from "./locks.ts";
import { container_of, globalsOf, kernel, LOAD, type Ptr, STORE } from "./op.ts";
import {
  atomic_add_return,
  call_rcu,
  choose,
  current,
  kmem_cache_alloc,
  kmem_cache_free,
  load,
  mod_timer,
  rcu_dereference,
  rcu_read_lock,
  rcu_read_unlock,
  schedule,
  smp_mb,
  spin_lock,
  spin_unlock,
  store,
  user,
} from "./primitives.ts";
import { execute, type Program } from "./run.ts";
import { formatSchedule, parseSchedule } from "./schedule.ts";
import { shrink } from "./shrink.ts";
import type { Cache } from "./slab.ts";
import { RandomStrategy } from "./strategies/random.ts";
import { GuidedStrategy, ReplayMismatch, ReplayStrategy } from "./strategies/replay.ts";
import { TimedStrategy } from "./strategies/timed.ts";
import { ptr, struct, u32, ulong } from "./struct.ts";
import { randomRuns, Stage, stepwise, tiny } from "./tinyProgram.ts";

const OBJ_T = struct("obj", { ref: kref, value: u32, rcu: rcu_head });
const OBJ = OBJ_T.fields;
const ROOT_T = struct("root", { lock: spinlock_t, slot: ptr, last: ulong });
const ROOT = ROOT_T.fields;
const world = globalsOf<{ root: Ptr; cache: Cache }>();
const root = (): Ptr => world().root;

const obj_free = kernel(function* obj_free(rhead: Ptr) {
  yield* kmem_cache_free(world().cache, container_of(rhead, OBJ.rcu));
});
const obj_put = kernel(function* obj_put(obj: Ptr) {
  if ((yield* atomic_add_return(obj, OBJ.ref.refcount, -1)) === 0) yield* call_rcu(obj, OBJ.rcu, obj_free);
});
const publishes = kernel(function* publishes() {
  const obj = yield* kmem_cache_alloc(world().cache);
  yield* store(obj, OBJ.ref.refcount, 1);
  yield* store(root(), ROOT.slot, obj);
  for (let i = 0; i < 10; i++) yield* smp_mb();
  yield* spin_lock(root(), ROOT.lock);
  yield* store(root(), ROOT.slot, 0);
  yield* spin_unlock(root(), ROOT.lock);
  yield* obj_put(obj);
});
const looks_up = kernel(function* looks_up() {
  yield* rcu_read_lock();
  const obj = yield* rcu_dereference(root(), ROOT.slot);
  for (let i = 0; i < 10; i++) yield* smp_mb();
  if (obj !== 0) yield* atomic_add_return(obj, OBJ.ref.refcount, 1);
  yield* rcu_read_unlock();
  if (obj === 0) return;
  yield* load(obj, OBJ.value);
  yield* obj_put(obj);
});
const dawdles = kernel(function* dawdles() {
  yield* store(current(), plain_task.fields.state, 2);
  yield* mod_timer(3);
  yield* schedule();
  yield* user(5000);
  if ((yield* choose(3)) === 2) yield* spin_lock(root(), ROOT.lock);
  else return;
  yield* spin_unlock(root(), ROOT.lock);
});

/** A reference taken too late, with a bit of everything around it. */
const world_of_races = (config: Record<string, boolean>): Program =>
  tiny(
    (machine) => {
      const at = machine.allocStaticStruct(ROOT_T);
      pokeLock(machine, at + (machine.offset[ROOT.lock.id] as number), spinlock_t);
      const cache = machine.createCache(OBJ_T);
      // Something from before the first step, too.
      machine.keep(machine.slab.alloc(cache));
      machine.globals = { root: at, cache };
      for (const main of [publishes, looks_up, looks_up, dawdles]) machine.spawn(0, { comm: main.info.name }, main);
    },
    { config, stepsMax: 3000 },
  );
const CONFIGS = [
  {},
  { SLUB_DEBUG: true, DEBUG_SPINLOCK: true, LOCKDEP: true },
  { PREEMPT_RCU: true, DEBUG_PAGEALLOC: true },
  { PREEMPT: false, SLUB_DEBUG: true },
] as const;
const nameOf = (config: object): string => Object.keys(config).join(", ") || "plain";

const stores = kernel(function* stores(value: number) {
  yield* store(root(), ROOT.last, value);
});
/** Two tasks store to one word: the last one wins. */
const lastWins = (a: number, b: number, stepsMax = 100): Program =>
  tiny(
    (machine) => {
      machine.globals = { root: machine.allocStaticStruct(ROOT_T) };
      for (const value of [a, b]) machine.spawn(0, { comm: `stores${value}` }, stores, value);
    },
    { stepsMax },
  );

describe("determinism", () => {
  for (const config of CONFIGS) {
    for (const strategy of STRATEGY_NAMES) {
      test(`${strategy}, ${nameOf(config)}: the same seed gives the same run, whatever ran in between (30 seeds)`, () => {
        const program = world_of_races(config);
        const run = (seed: number) => {
          const { history: _, ...rest } = execute(program, makeStrategy(strategy, `seed ${seed}`));
          return rest;
        };
        const first = Array.from({ length: 30 }, (_, seed) => run(seed));
        randomRuns(world_of_races({ PREEMPT_RCU: true, SLUB_DEBUG: true }), 5);
        const second = Array.from({ length: 30 }, (_, i) => run(29 - i)).reverse();
        expect(second).toEqual(first);
        expect(new Set(first.map((result) => result.historyHash)).size).toBeGreaterThan(20);
      });
    }
  }

  test("keeping the history changes nothing", () => {
    for (let seed = 0; seed < 20; seed++) {
      const program = world_of_races({ SLUB_DEBUG: true });
      const { history, notes: _, ...recorded } = execute(program, new RandomStrategy(String(seed)), { record: true });
      const { history: none, notes: __, ...plain } = execute(program, new RandomStrategy(String(seed)));
      expect(recorded).toEqual(plain);
      expect(history.map((row) => row.event)).toEqual(Array.from(recorded.schedule));
      expect(none).toEqual([]);
    }
  });

  test("two machines whose steps are interleaved run as each would alone (20 pairs of seeds)", () => {
    const programs = [world_of_races({ SLUB_DEBUG: true }), world_of_races({ PREEMPT_RCU: true })] as const;
    for (let seed = 0; seed < 20; seed++) {
      const alone = programs.map((program) => execute(program, new RandomStrategy(String(seed))));
      const pair = programs.map((program) => ({
        stage: new Stage(program),
        strategy: new RandomStrategy(String(seed)),
        event: -1,
        left: 0,
      }));
      for (let busy = true; busy; ) {
        busy = false;
        for (const one of pair) {
          const { machine } = one.stage;
          if (one.left-- <= 0 || !machine.canRepeat(one.event)) {
            one.left = 0;
            if (machine.stopped || machine.collect() === 0) continue;
            one.event = one.strategy.pick(machine);
            one.left = one.strategy.burst;
          }
          machine.apply(one.event);
          busy = true;
        }
      }
      for (const { stage } of pair) if (!stage.machine.stopped) endOfWorld(stage.machine);
      expect(pair.map(({ stage }) => stage.machine.hash.digest())).toEqual(alone.map((run) => run.historyHash));
      expect(pair.map(({ stage }) => stage.machine.findings)).toEqual(alone.map((run) => run.findings));
    }
  });

  test("the hash tells apart runs with the same events and different values", () => {
    const loads_after = (value: number): Program => {
      const reads_back = kernel(function* reads_back() {
        yield* store(root(), ROOT.last, value);
        yield* load(root(), ROOT.last);
      });
      return tiny((machine) => {
        machine.globals = { root: machine.allocStaticStruct(ROOT_T) };
        machine.spawn(0, { comm: "a" }, reads_back);
      });
    };
    const [one, two, again] = [1, 2, 1].map((value) => execute(loads_after(value), new RandomStrategy("x")));
    expect(one?.schedule).toEqual(two?.schedule);
    expect(one?.historyHash).not.toBe(two?.historyHash);
    expect(one?.historyHash).toBe(again?.historyHash);
    expect(one?.historyHash).toMatch(/^[0-9a-f]{16}$/);
  });

  test("the numbers that stand for poison begin anew in every run, so that they do not show what ran before", () => {
    const numbers = (...members: (typeof OBJ.value)[]): number[] => {
      const loads_poison = kernel(function* loads_poison() {
        const obj = yield* kmem_cache_alloc(world().cache);
        for (const member of members) yield* load(obj, member);
      });
      const program = tiny(
        (machine) => {
          machine.globals = { cache: machine.createCache(OBJ_T) };
          machine.spawn(0, { comm: "a" }, loads_poison);
        },
        { config: { SLUB_DEBUG: true } },
      );
      const run = execute(program, new RandomStrategy("x"), { record: true });
      return run.history.filter((row) => row.kind === LOAD).map((row) => row.result);
    };
    // The last word of an object ends in 0xa5, the one before is 0x6b throughout.
    const { next, func } = OBJ.rcu;
    expect(new Set(numbers(next, func)).size).toBe(2);
    expect(numbers(func, next)).toEqual(numbers(next, func));
  });

  test("the hash of many runs depends on their order", () => {
    const hashes = randomRuns(lastWins(1, 2), 10).map((run) => run.historyHash);
    expect(combineHashes(hashes)).toBe(combineHashes([...hashes]));
    expect(combineHashes(hashes)).not.toBe(combineHashes(hashes.toReversed()));
  });
});

describe("the list of possible events", () => {
  for (const config of CONFIGS) {
    test(`${nameOf(config)}: is never out of date, though it is seldom made anew (100 schedules)`, () => {
      let kept = 0;
      for (let seed = 0; seed < 100; seed++) {
        const { machine } = new Stage(world_of_races(config));
        const strategy = stepwise(seed);
        const internals = machine as unknown as { stale: boolean };
        while (!machine.stopped) {
          if (!internals.stale) kept++;
          const listed = Array.from(machine.events.subarray(0, machine.collect()));
          internals.stale = true;
          expect(listed).toEqual(Array.from(machine.events.subarray(0, machine.collect())));
          if (listed.length === 0) break;
          machine.apply(strategy.pick(machine));
        }
      }
      expect(kept).toBeGreaterThan(1000);
    });
  }
});

describe("strategies", () => {
  for (const strategy of STRATEGY_NAMES) {
    test(`${strategy} shows both outcomes of a race of two tasks (200 seeds)`, () => {
      const seen = new Set<number>();
      for (let seed = 0; seed < 200; seed++) {
        const { machine } = new Stage(lastWins(1, 2)).toEnd(makeStrategy(strategy, String(seed)));
        seen.add(machine.peek((machine.globals as { root: Ptr }).root, ROOT.last));
      }
      expect([...seen].sort()).toEqual([1, 2]);
    });
  }

  test("random takes every choice and every kind of event (300 seeds)", () => {
    const seen = new Set<string>();
    for (const run of randomRuns(world_of_races({}), 300)) {
      for (const event of run.schedule)
        seen.add(
          formatSchedule([event])
            .replace(/^([^s]).*$/, "$1")
            .replace(/^s\d/, "s"),
        );
    }
    expect([...seen].sort()).toEqual(["c", "p", "q", "s", "s:1", "s:2", "t"]);
  });

  test("timed never goes back in time, and lets a millisecond pass for each jiffy of a timer", () => {
    for (let seed = 0; seed < 50; seed++) {
      const run = execute(world_of_races({}), new TimedStrategy(String(seed)), { record: true });
      let before = 0;
      for (const row of run.history) {
        expect(row.time).toBeGreaterThanOrEqual(before);
        before = row.time;
      }
      expect(run.time).toBeGreaterThan(3_000_000);
      expect(run.time).toBeLessThan(100_000_000);
    }
  });

  test("guided follows its schedule, leaves out what is not possible, and goes on without preemption", () => {
    const run = execute(lastWins(1, 2), new GuidedStrategy(parseSchedule("p0 c1:1 q1 t0:3 s1 c0")), { record: true });
    expect(formatSchedule(run.schedule)).toBe("c1:1 s1 c0 s0");
    expect(run.history.filter((row) => row.kind === STORE).map((row) => row.task)).toEqual(["stores2", "stores1"]);
  });
});

describe("replay", () => {
  for (const config of CONFIGS) {
    test(`${nameOf(config)}: a recorded schedule gives the same hash and the same findings (50 seeds)`, () => {
      const program = world_of_races(config);
      for (let seed = 0; seed < 50; seed++) {
        const run = execute(program, new RandomStrategy(String(seed)));
        const again = execute(program, new ReplayStrategy(parseSchedule(formatSchedule(run.schedule))));
        expect(again).toEqual(run);
      }
    });
  }

  const program = lastWins(1, 2);
  const replay = (text: string): string => {
    try {
      return execute(program, new ReplayStrategy(parseSchedule(text))).historyHash;
    } catch (error) {
      expect(error).toBeInstanceOf(ReplayMismatch);
      return (error as Error).message;
    }
  };

  test("an event that is not possible is a mismatch that names the step, the event and what is possible", () => {
    expect(replay("c0 s0 c1:1 s1")).toBe(replay("c0 s0 c1:1 s1"));
    expect(replay("c0 c1:1 s0 s0")).toBe(
      'step 3 of the schedule is "step on cpu 0", but possible are: "stores2/2 in stores: store root->last, 1st time, on cpu 1"',
    );
    expect(replay("c0:1 s0")).toBe(
      'step 0 of the schedule is "switch to context 1 on cpu 0", but possible are: "switch to stores1/1, on cpu 0"; "switch to stores2/2, on cpu 1"',
    );
    expect(replay("c0 s0:1")).toContain('step 1 of the schedule is "step choosing 1 on cpu 0", but possible are: ');
  });

  test("a schedule that is too short is a mismatch that names the step", () => {
    expect(replay("c0 s0")).toBe(
      'the schedule ends at step 2, but the run goes on ("switch to stores2/2, on cpu 0"; "switch to stores2/2, on cpu 1")',
    );
  });

  test("a schedule of another program that fits by chance has another hash", () => {
    const other = execute(lastWins(1, 3), new ReplayStrategy(parseSchedule("c0 s0 c1:1 s1")));
    const own = execute(lastWins(1, 2), new ReplayStrategy(parseSchedule("c0 s0 c1:1 s1")));
    expect(formatSchedule(other.schedule)).toBe(formatSchedule(own.schedule));
    expect(other.historyHash).toBe(own.historyHash);
  });
});

describe("the text of a schedule", () => {
  const event = fc
    .tuple(fc.nat(5), fc.nat(15), fc.oneof(fc.constant(0), fc.nat(999_999)))
    .map(([type, cpu, argument]) => makeEvent(type, cpu, argument));
  const stretches = fc.array(fc.tuple(event, fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 300 }))), {
    maxLength: 40,
  });

  test("comes back as the same events (2000 arbitrary schedules)", () => {
    fc.assert(
      fc.property(stretches, (parts) => {
        const events = parts.flatMap(([each, n]) => Array<number>(n).fill(each));
        expect(Array.from(parseSchedule(formatSchedule(events)))).toEqual(events);
      }),
      { seed: 2008, numRuns: 2000 },
    );
  });

  test("events come apart into the type, CPU and argument they were made of", () => {
    fc.assert(
      fc.property(fc.nat(5), fc.nat(15), fc.nat(999_999), (type, cpu, argument) => {
        const made = makeEvent(type, cpu, argument);
        expect([eventType(made), eventCpu(made), eventArgument(made)]).toEqual([type, cpu, argument]);
      }),
      { seed: 2008, numRuns: 2000 },
    );
  });

  test("is short and readable", () => {
    const events = [makeEvent(SWITCH, 0, 2), ...Array(35).fill(makeEvent(STEP, 0, 0)), makeEvent(PREEMPT, 0, 0)];
    expect(formatSchedule([...events, makeEvent(4, 1, 0), makeEvent(5, 0, 1), makeEvent(3, 3, 0)])).toBe(
      "c0:2 s0*35 p0 q1 t0:1 i3",
    );
    expect(formatSchedule([])).toBe("");
    expect(parseSchedule(" \n ")).toEqual(new Int32Array(0));
    expect(describeEvent(makeEvent(SWITCH, 1, 2))).toBe("switch to context 2 on cpu 1");
    expect(describeEvent(makeEvent(STEP, 0, 2))).toBe("step choosing 2 on cpu 0");
  });

  for (const word of ["x0", "s", "s0:", "s0*", "s0*-1", "s16", "s99", "c0:1234567", "S0", "s0,c1", "s0:1:2", "0"]) {
    test(`refuses "${word}" and names it`, () => {
      expect(() => parseSchedule(`c0 ${word} s0`)).toThrow(`"${word}" is no part of a schedule`);
    });
  }
});

describe("shrinking", () => {
  const keyOf = (finding: Finding): string => findingKey(finding);
  const first = (program: Program, runs = 2000) => {
    const [found] = hunt(program, {
      strategy: "random",
      seed: "s",
      first: 0,
      runs,
      keepGoing: false,
      kinds: [],
    }).findings;
    if (found === undefined) throw new Error("nothing found");
    return found;
  };
  for (const config of CONFIGS) {
    test(`${nameOf(config)}: keeps the finding, and the schedule gets no less simple (10 findings)`, () => {
      const program = world_of_races(config);
      const options = { strategy: "random", seed: "s", runs: 3000, keepGoing: false, kinds: [] } as const;
      for (let n = 0, from = 0; n < 10; n++) {
        const result = hunt(program, { ...options, first: from });
        from += result.executions;
        const [found] = result.findings;
        if (found === undefined) break;
        const shrunk = shrink(program, found.schedule, found.finding, { triesMax: 300 });
        expect(simpler(costOf(program, found.schedule), shrunk.cost)).toBe(false);
        expect(shrunk.cost).toEqual(costOf(program, shrunk.schedule));
        expect(shrunk.tried).toBeLessThanOrEqual(301);
        const shows = (findings: readonly Finding[]): boolean => findings.map(keyOf).includes(keyOf(found.finding));
        const again = execute(program, new ReplayStrategy(shrunk.schedule), { until: shows });
        expect(shows(again.findings)).toBe(true);
        expect(again.schedule).toEqual(shrunk.schedule);
      }
    });
  }

  test("gives the same result each time", () => {
    const program = world_of_races({});
    const { schedule: found, finding } = first(program);
    expect(shrink(program, found, finding)).toEqual(shrink(program, found, finding));
  });

  test("finds a run with as few preemptions as the race needs, and few changes of who runs", () => {
    const program = world_of_races({});
    const { schedule: found, finding } = first(program);
    expect(costOf(program, found).changes).toBeGreaterThan(10);
    const { cost } = shrink(program, found, finding);
    // Left once it has published, and again once the other has looked.
    expect(cost.preemptions).toBe(2);
    expect(cost.changes).toBeLessThanOrEqual(8);
  });
});

describe("hunting", () => {
  const program = world_of_races({});
  const options = { strategy: "random", seed: "s", first: 0, runs: 500, keepGoing: false, kinds: [] } as const;

  test("stops at the first finding and says which run showed it", () => {
    const result = hunt(program, options);
    const [found] = result.findings;
    expect(result.executions).toBe((found?.run ?? -1) + 1);
    expect(result.hashes).toHaveLength(result.executions);
    expect(found?.seed).toBe(seedOfRun("s", found?.run ?? -1));
    const again = execute(program, new RandomStrategy(found?.seed ?? ""));
    expect(again.historyHash).toBe(result.hashes[found?.run ?? -1]);
    expect(again.findings.map(findingKey)).toContain(findingKey(found?.finding as Finding));
    expect(found?.schedule).toEqual(again.schedule.slice(0, (found?.finding.step ?? 0) + 1));
  });

  test("goes on when told to, and counts each finding once per run", () => {
    const result = hunt(program, { ...options, keepGoing: true });
    expect(result.executions).toBe(500);
    expect(result.findings.length).toBeGreaterThan(0);
    for (const found of result.findings) {
      expect(found.count).toBeGreaterThan(0);
      expect(found.count).toBeLessThanOrEqual(500);
    }
    expect(new Set(result.findings.map((found) => findingKey(found.finding))).size).toBe(result.findings.length);
  });

  test("wants only the kinds it is asked for", () => {
    const result = hunt(program, { ...options, kinds: ["bug-on"] });
    expect(result).toMatchObject({ executions: 500, findings: [] });
  });

  test("is the same in one piece and in two, as workers share it out", () => {
    const whole = hunt(program, { ...options, runs: 40, keepGoing: true });
    const parts = [0, 20].map((from) => hunt(program, { ...options, first: from, runs: 20, keepGoing: true }));
    expect(parts.flatMap((part) => part.hashes)).toEqual(whole.hashes);
    expect(parts.reduce((sum, part) => sum + part.steps, 0)).toBe(whole.steps);
  });

  test("counts the runs that were cut off", () => {
    const result = hunt(lastWins(1, 2, 3), { ...options, runs: 10, keepGoing: true });
    expect(result).toMatchObject({ executions: 10, cutOff: 10, steps: 30 });
  });
});

describe("an execution", () => {
  test("is cut off at stepsMax, and not one step before its end", () => {
    expect(execute(lastWins(1, 2, 4), new RandomStrategy("1"))).toMatchObject({ steps: 4, cutOff: false });
    expect(execute(lastWins(1, 2, 3), new RandomStrategy("1"))).toMatchObject({ steps: 3, cutOff: true });
    expect(execute(lastWins(1, 2, 0), new RandomStrategy("1"))).toMatchObject({ steps: 0, cutOff: true });
  });

  test("that is cut off reports nobody as stuck and nothing as leaked", () => {
    const leaks_later = kernel(function* leaks_later() {
      yield* kmem_cache_alloc(world().cache);
      for (;;) yield* smp_mb();
    });
    const program = tiny((machine) => {
      machine.globals = { cache: machine.createCache(OBJ_T) };
      machine.spawn(0, { comm: "a" }, leaks_later);
    });
    expect(execute(program, new RandomStrategy("1"))).toMatchObject({ steps: 2000, cutOff: true, findings: [] });
  });

  test("ends where `until` says so", () => {
    const warned = hunt(world_of_races({}), {
      strategy: "random",
      seed: "s",
      first: 0,
      runs: 2000,
      keepGoing: false,
      kinds: [],
    }).findings[0];
    const replay = new GuidedStrategy(warned?.schedule ?? []);
    const run = execute(world_of_races({}), replay, { until: (findings) => findings.length > 0 });
    expect(run.steps).toBe((warned?.finding.step ?? -1) + 1);
    expect(run.findings).toHaveLength(1);
  });

  test("tells in its history who did what to which bytes", () => {
    const run = execute(lastWins(7, 9), new ReplayStrategy(parseSchedule("c0 s0 c1:1 s1")), { record: true });
    expect(run.contexts).toEqual(["stores7", "stores9"]);
    expect(run.history).toMatchObject([
      { step: 0, kind: 0, task: "stores7", cpu: 0, writes: [] },
      { step: 1, kind: STORE, task: "stores7", pid: 1, cpu: 0, field: ROOT.last.id, backtrace: ["stores"] },
      { step: 2, kind: 0, task: "stores9", cpu: 1 },
      { step: 3, kind: STORE, task: "stores9", pid: 2, cpu: 1, result: 0 },
    ]);
    const { address } = run.history[1] as { address: Ptr };
    expect(run.history[1]?.writes).toEqual([{ address, byte: 7 }]);
    expect(run.history[3]?.writes).toEqual([{ address, byte: 9 }]);
  });

  test("gives two findings the same key when only addresses, CPUs and pids differ", () => {
    const key = (title: string): string => findingKey({ kind: "lock-misuse", function: "f", title });
    expect(key("BUG: spinlock recursion on CPU#0, a/1")).toBe(key("BUG: spinlock recursion on CPU#1, a/27"));
    expect(key("request at ffff88017c31e7b0")).toBe(key("request at ffff880100000000"));
    expect(key("Object at 0xffff88017c31e7b0")).toBe(key("Object at 0xffff880100000000"));
    expect(key("BUG: spinlock recursion on CPU#0, a/1")).not.toBe(key("BUG: spinlock bad magic on CPU#0, a/1"));
  });
});
