/** What holds for every strategy that a seed is enough for. */
import { describe, expect, test } from "vitest";
import { describeEvent } from "../event.ts";
import { hunt, makeStrategy, STRATEGY_NAMES, seedOfRun } from "../hunt.ts";
import { plain_task, rcu_head, spinlock_t } from "../kernelStructs.ts";
import { pokeLock } from "../locks.ts";
import type { Machine } from "../machine.ts";
import { tune } from "../measure.ts";
import { container_of, globalsOf, kernel, type Ptr } from "../op.ts";
import {
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
  spin_lock,
  spin_unlock,
  store,
  synchronize_rcu,
  sys_sched_yield,
  user,
  wait_task_inactive,
  wake_up_state,
} from "../primitives.ts";
import { execute, type Program } from "../run.ts";
import type { Cache } from "../slab.ts";
import type { MemoryModel } from "../storeBuffer.ts";
import { ptr, struct, u32 } from "../struct.ts";
import { tiny } from "../tinyProgram.ts";
import type { Strategy } from "./strategy.ts";

const OBJ_T = struct("obj", { value: u32, rcu: rcu_head });
const OBJ = OBJ_T.fields;
const ROOT_T = struct("root", { lock: spinlock_t, slot: ptr, busy: u32, sleeper: ptr });
const ROOT = ROOT_T.fields;
const world = globalsOf<{ root: Ptr; cache: Cache }>();

const obj_free = kernel(function* obj_free(rhead: Ptr) {
  yield* kmem_cache_free(world().cache, container_of(rhead, OBJ.rcu));
});
const replaces = kernel(function* replaces() {
  const { root, cache } = world();
  for (let i = 0; i < 3; i++) {
    const made = yield* kmem_cache_alloc(cache);
    yield* spin_lock(root, ROOT.lock);
    const old = yield* load(root, ROOT.slot);
    yield* store(root, ROOT.slot, made);
    yield* spin_unlock(root, ROOT.lock);
    yield* call_rcu(old, OBJ.rcu, obj_free);
  }
  yield* synchronize_rcu();
  yield* store(root, ROOT.busy, 0);
});
/** The bug: it goes on using what it found when the read section is over. */
const looks = kernel(function* looks() {
  const { root } = world();
  yield* rcu_read_lock();
  const obj = yield* rcu_dereference(root, ROOT.slot);
  yield* rcu_read_unlock();
  if ((yield* choose(2)) === 1) yield* user(5_000_000);
  yield* load(obj, OBJ.value);
});
/** Waits in every way there is. */
const waits = kernel(function* waits() {
  const { root } = world();
  yield* store(root, ROOT.sleeper, current());
  yield* store(current(), plain_task.fields.state, 1);
  yield* mod_timer(2);
  yield* schedule();
  yield* mod_timer(0);
  for (let i = 0; i < 10 && (yield* load(root, ROOT.busy)) !== 0; i++) yield* sys_sched_yield();
});
const wakes = kernel(function* wakes() {
  const sleeper = yield* load(world().root, ROOT.sleeper);
  if (sleeper === 0) return;
  yield* wait_task_inactive(sleeper, 1);
  yield* wake_up_state(sleeper, 3);
});

const program = (cpus: number, config: Record<string, boolean> = {}, memory: MemoryModel = "sc"): Program =>
  tiny(
    (machine) => {
      const cache = machine.createCache(OBJ_T);
      const root = machine.allocStaticStruct(ROOT_T);
      pokeLock(machine, root + (machine.offset[ROOT.lock.id] as number), spinlock_t);
      machine.poke(root, ROOT.slot, machine.allocAtBoot(cache));
      machine.poke(root, ROOT.busy, 1);
      machine.globals = { root, cache };
      for (const main of [replaces, looks, looks, waits, wakes]) machine.spawn(0, { comm: main.info.name }, main);
    },
    { cpus, config, memory, checks: ["kasan", "hang"] },
  );

/** Another strategy's picks, each of which must be possible. */
class Checked implements Strategy {
  readonly name = "checked";
  picks = 0;

  constructor(private readonly followed: Strategy) {}

  get burst(): number {
    return this.followed.burst ?? 0;
  }

  pick(machine: Machine): number {
    const event = this.followed.pick(machine);
    const possible = [...machine.events.subarray(0, machine.eventCount)];
    if (!possible.includes(event)) throw new Error(`${describeEvent(event)} is not possible`);
    this.picks++;
    return event;
  }
}

const WORLDS = [
  { cpus: 1, config: {}, memory: "sc" },
  { cpus: 2, config: {}, memory: "sc" },
  { cpus: 2, config: { PREEMPT: false }, memory: "sc" },
  { cpus: 2, config: {}, memory: "tso" },
  { cpus: 3, config: { PREEMPT_RCU: true, DEBUG_SPINLOCK: true }, memory: "tso" },
] as const;
const SEEDS = Array.from({ length: 60 }, (_, run) => seedOfRun("3", run));

describe.each(STRATEGY_NAMES)("%s", (name) => {
  const hashes = (world: Program): string[] => {
    const tuning = tune(world, name);
    return SEEDS.map((seed) => execute(world, makeStrategy(name, seed, tuning)).historyHash);
  };

  test.each(WORLDS)(
    "picks only what is possible, and every run comes to its end: $cpus CPUs, $memory, $config",
    (given) => {
      const world = program(given.cpus, given.config, given.memory);
      const tuning = tune(world, name);
      for (const seed of SEEDS) {
        const strategy = new Checked(makeStrategy(name, seed, tuning));
        const { cutOff, steps } = execute(world, strategy);
        expect(cutOff).toBe(false);
        expect(strategy.picks).toBeGreaterThan(0);
        expect(strategy.picks).toBeLessThanOrEqual(steps);
      }
    },
  );

  test("gives the same run for the same seed, and others for others", () => {
    const first = hashes(program(2));
    expect(hashes(program(2))).toEqual(first);
    expect(new Set(first).size).toBeGreaterThan(SEEDS.length / 4);
  });

  test("finds a use after free", () => {
    const options = { strategy: name, seed: "1", first: 0, runs: 2000, keepGoing: false, kinds: [] } as const;
    const { findings } = hunt(program(2), options);
    expect(findings.map(({ finding }) => finding.kind)).toContain("use-after-free");
  });

  test("makes again the run that a hunt found, from its seed", () => {
    const world = program(2);
    const options = { strategy: name, seed: "2", first: 0, runs: 2000, keepGoing: false, kinds: [] } as const;
    const [found] = hunt(world, options).findings;
    const again = execute(world, makeStrategy(name, found?.seed ?? "", tune(world, name)));
    expect([...again.schedule.slice(0, found?.schedule.length)]).toEqual([...(found?.schedule ?? [])]);
  });
});

describe.each(["pct", "preemption-bounded"] as const)("%s in bursts", (name) => {
  test("makes the same run as when it is asked at every step", () => {
    const world = program(2);
    const tuning = tune(world, name);
    for (const seed of SEEDS) {
      const asked = makeStrategy(name, seed, tuning);
      const stepwise: Strategy = { name: "stepwise", pick: (machine) => asked.pick(machine) };
      const inBursts = execute(world, makeStrategy(name, seed, tuning));
      expect(execute(world, stepwise).historyHash).toBe(inBursts.historyHash);
    }
  });
});

describe.each(["pct", "pos", "preemption-bounded"] as const)("%s and who waits in a loop", (name) => {
  const releases = kernel(function* releases() {
    for (let i = 0; i < 20; i++) yield* load(world().root, ROOT.busy);
    yield* store(world().root, ROOT.busy, 0);
  });
  const yields = kernel(function* yields() {
    while ((yield* load(world().root, ROOT.busy)) !== 0) yield* sys_sched_yield();
  });
  const sleeps = kernel(function* sleeps() {
    while ((yield* load(world().root, ROOT.busy)) !== 0) {
      yield* store(current(), plain_task.fields.state, 1);
      yield* mod_timer(1);
      yield* schedule();
    }
  });
  const waitsFor = kernel(function* waits_for(task: Ptr) {
    yield* wait_task_inactive(task, 0);
  });

  test.each([1, 2])("lets those that it waits for get on: %d CPUs", (cpus) => {
    const loops = tiny(
      (machine) => {
        const root = machine.allocStaticStruct(ROOT_T);
        machine.poke(root, ROOT.busy, 1);
        machine.globals = { root };
        for (const main of [yields, yields, sleeps]) machine.spawn(0, { comm: main.info.name }, main);
        const task = machine.spawn(0, { comm: "releases" }, releases);
        machine.spawn(0, { comm: "waits_for" }, waitsFor, task);
      },
      { cpus, checks: ["hang"], stepsMax: 3000 },
    );
    const tuning = tune(loops, name);
    for (const seed of SEEDS) {
      const { cutOff, findings } = execute(loops, makeStrategy(name, seed, tuning));
      expect({ cutOff, findings }).toEqual({ cutOff: false, findings: [] });
    }
  });
});
