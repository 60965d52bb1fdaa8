/** Footprints say what races, and `pos` draws anew for that alone. */
import { describe, expect, test } from "vitest";
import { makeEvent, STEP, SWITCH } from "../event.ts";
import { seedOfRun } from "../hunt.ts";
import { plain_task, rcu_head, spinlock_t } from "../kernelStructs.ts";
import { pokeLock } from "../locks.ts";
import type { Machine } from "../machine.ts";
import { globalsOf, type Kernel, kernel, type Ptr } from "../op.ts";
import {
  atomic_add_return,
  call_rcu,
  current,
  kmem_cache_alloc,
  kmem_cache_free,
  load,
  rcu_read_lock,
  schedule,
  set_bits,
  smp_mb,
  spin_lock,
  store,
  user,
  wake_up_state,
} from "../primitives.ts";
import { execute } from "../run.ts";
import type { Cache } from "../slab.ts";
import { struct, u32 } from "../struct.ts";
import { Stage, tiny } from "../tinyProgram.ts";
import { Footprint } from "./footprint.ts";
import { PosStrategy } from "./pos.ts";
import { threadOf } from "./threads.ts";

const OBJ_T = struct("obj", { lock: spinlock_t, a: u32, b: u32, rcu: rcu_head });
const OBJ = OBJ_T.fields;
interface World {
  readonly obj: Ptr;
  readonly cache: Cache;
  readonly task: Ptr;
}
const world = globalsOf<World>();
const nops = kernel(function* nops(_rhead: Ptr) {
  yield* smp_mb();
});

/** Ops by name. Each is asked for by a task of its own, which is about to take its first step. */
const OPS: Readonly<Record<string, (w: World) => Kernel<unknown>>> = {
  "load a": ({ obj }) => load(obj, OBJ.a),
  "store a": ({ obj }) => store(obj, OBJ.a, 1),
  "atomic a": ({ obj }) => atomic_add_return(obj, OBJ.a, 1),
  "first step of a |= 1": ({ obj }) => set_bits(obj, OBJ.a, 1),
  "store b": ({ obj }) => store(obj, OBJ.b, 1),
  "store into the lock": ({ obj }) => store(obj, OBJ.lock.raw_lock, 0),
  lock: ({ obj }) => spin_lock(obj, OBJ.lock),
  barrier: () => smp_mb(),
  alloc: ({ cache }) => kmem_cache_alloc(cache),
  "free obj": ({ cache, obj }) => kmem_cache_free(cache, obj),
  call_rcu: ({ obj }) => call_rcu(obj, OBJ.rcu, nops),
  rcu_read_lock: () => rcu_read_lock(),
  schedule: () => schedule(),
  "wake up": ({ task }) => wake_up_state(task, 3),
  user: () => user(10),
};

const asks = kernel(function* asks(op: string) {
  yield* (OPS[op] as (w: World) => Kernel<unknown>)(world());
});

const setup = (machine: Machine, ops: readonly string[]): void => {
  const cache = machine.createCache(OBJ_T);
  const obj = machine.allocAtBoot(cache);
  pokeLock(machine, obj + (machine.offset[OBJ.lock.id] as number), spinlock_t);
  // The task that is woken is the first.
  const task = machine.allocStaticStruct(plain_task);
  machine.globals = { obj, cache, task };
  for (const [i, op] of ops.entries()) machine.spawn(i === 0 ? task : 0, { comm: op }, asks, op);
};

/** Whether the next steps of two tasks race. */
function race(first: string, second: string): boolean {
  const { machine } = new Stage(tiny((m) => setup(m, [first, second])));
  const [a, b] = [new Footprint(), new Footprint()];
  a.ofThread(machine, threadOf(machine, makeEvent(SWITCH, 0, 0)));
  b.ofThread(machine, threadOf(machine, makeEvent(SWITCH, 0, 1)));
  expect(b.racesWith(a)).toBe(a.racesWith(b));
  return a.racesWith(b);
}

describe("footprints", () => {
  test.each([
    ["load a", "store a"],
    ["store a", "store a"],
    ["atomic a", "load a"],
    ["store a", "first step of a |= 1"],
    ["lock", "lock"],
    ["lock", "store into the lock"],
    ["free obj", "load a"],
    ["free obj", "lock"],
    ["alloc", "alloc"],
    ["alloc", "free obj"],
    ["call_rcu", "rcu_read_lock"],
    ["schedule", "wake up"],
  ])("%s and %s race", (first, second) => {
    expect(race(first, second)).toBe(true);
  });

  test.each([
    ["load a", "load a"],
    ["load a", "first step of a |= 1"],
    ["store a", "store b"],
    ["store a", "lock"],
    ["barrier", "store a"],
    ["barrier", "barrier"],
    ["alloc", "store a"],
    ["rcu_read_lock", "rcu_read_lock"],
    ["user", "user"],
    ["schedule", "schedule"],
  ])("%s and %s do not", (first, second) => {
    expect(race(first, second)).toBe(false);
  });
});

/** Tells what a strategy thinks of its threads. */
class Open extends PosStrategy {
  rankOf(machine: Machine, context: number): number {
    return this.rank(threadOf(machine, makeEvent(SWITCH, 0, context)));
  }
}

test.each([
  ["store a", "store a", true],
  ["store a", "load a", true],
  ["store a", "store b", false],
  ["barrier", "load a", false],
])("after %s a pending %s has a new priority: %s", (first, second, anew) => {
  for (let seed = 0; seed < 20; seed++) {
    const { machine } = new Stage(tiny((m) => setup(m, [first, second])));
    const strategy = new Open(`open/${seed}`);
    let before = -1;
    for (;;) {
      machine.collect();
      const event = strategy.pick(machine);
      const stepped = event % 8 === STEP ? machine.cpus[(event >> 3) & 15]?.current?.index : undefined;
      if (stepped === 0) {
        expect(strategy.rankOf(machine, 1) !== before).toBe(anew);
        break;
      }
      // The other one was first this time.
      if (stepped === 1) break;
      before = strategy.rankOf(machine, 1);
      machine.apply(event);
    }
  }
});

test("schedules that differ only in the order of independent steps are not sampled as often as others", () => {
  // One step races with one of another task's; all the rest is noise.
  const races = kernel(function* races(value: number) {
    for (let i = 0; i < 5; i++) yield* load(current(), plain_task.fields.state);
    yield* store(world().obj, OBJ.a, value);
  });
  const program = tiny((machine) => {
    setup(machine, []);
    machine.spawn(0, { comm: "one" }, races, 1);
    machine.spawn(0, { comm: "two" }, races, 2);
  });
  let first = 0;
  const runs = 400;
  for (let run = 0; run < runs; run++) {
    const { history } = execute(program, new PosStrategy(seedOfRun("pos", run)), { record: true });
    const stores = history.filter(({ writes, kind }) => kind !== 0 && writes.length > 0);
    if (stores[0]?.task === "one") first++;
  }
  expect(first / runs).toBeGreaterThan(0.4);
  expect(first / runs).toBeLessThan(0.6);
});
