/** Random programs of correct pieces: whatever the schedule, nothing is found, and the machine keeps its own promises. */
import { describe, expect, test } from "vitest";
import { list_head, plain_task, rcu_head, rwlock_t, spinlock_t, thread_info } from "./kernelStructs.ts";
import { pokeLock } from "./locks.ts";
import { container_of, globalsOf, type Kernel, kernel, type Ptr } from "./op.ts";
import {
  add,
  assign_bits,
  atomic_or,
  call_rcu,
  choose,
  cmpxchg,
  cond_resched,
  current,
  kick_process,
  kmem_cache_alloc,
  kmem_cache_free,
  kmem_cache_zalloc,
  load,
  local_irq_disable,
  local_irq_enable,
  mod_timer,
  preempt_disable,
  preempt_enable,
  rcu_assign_pointer,
  rcu_dereference,
  rcu_read_lock,
  rcu_read_unlock,
  read_lock,
  read_unlock,
  schedule,
  smp_mb,
  spawn,
  spin_lock,
  spin_lock_irq,
  spin_lock_irqsave,
  spin_unlock,
  spin_unlock_irq,
  spin_unlock_irqrestore,
  store,
  synchronize_rcu,
  sys_sched_yield,
  user,
  wait_task_inactive,
  wake_up_state,
  write_lock_irq,
  write_unlock_irq,
  xchg,
} from "./primitives.ts";
import { makeRng } from "./rng.ts";
import { execute, type Program } from "./run.ts";
import type { Cache } from "./slab.ts";
import type { MemoryModel } from "./storeBuffer.ts";
import { RandomStrategy } from "./strategies/random.ts";
import { ReplayStrategy } from "./strategies/replay.ts";
import { TimedStrategy } from "./strategies/timed.ts";
import { array, bits, ptr, struct, u8, u32, ulong } from "./struct.ts";
import { Stage, stepwise, tiny } from "./tinyProgram.ts";

const TASK_UNINTERRUPTIBLE = 2;
const TASK_TRACED = 8;
const STATE = plain_task.fields.state;

const OBJ_T = struct("obj", { value: ulong, rcu: rcu_head, links: list_head, rest: array(u8, 80) });
const OBJ = OBJ_T.fields;
const ROOT_T = struct("root", {
  outer: spinlock_t,
  inner: spinlock_t,
  softirq: spinlock_t,
  tasklist: rwlock_t,
  slot: ptr,
  counter: u32,
  flags: ulong,
  some: bits(3),
  more: bits(4),
});
const ROOT = ROOT_T.fields;
interface World {
  readonly root: Ptr;
  readonly cache: Cache;
  readonly tasks: readonly { readonly task: Ptr; readonly info: Ptr }[];
}
const world = globalsOf<World>();
const root = (): Ptr => world().root;
const taskAt = (n: number): { readonly task: Ptr; readonly info: Ptr } =>
  world().tasks[n % world().tasks.length] as { task: Ptr; info: Ptr };

const obj_free = kernel(function* obj_free(rhead: Ptr) {
  yield* kmem_cache_free(world().cache, container_of(rhead, OBJ.rcu));
});
const obj_free_counted = kernel(function* obj_free_counted(rhead: Ptr) {
  yield* rcu_read_lock();
  yield* spin_lock(root(), ROOT.softirq);
  yield* add(root(), ROOT.counter, 1);
  yield* spin_unlock(root(), ROOT.softirq);
  yield* rcu_read_unlock();
  yield* obj_free(rhead);
});
const child = kernel(function* child() {
  yield* user(100);
  yield* spin_lock(root(), ROOT.inner);
  yield* spin_unlock(root(), ROOT.inner);
});

/** Correct pieces of kernel code. `n` says which of several; they hold nothing when they are over. */
const pieces: readonly ((n: number) => Kernel<unknown>)[] = [
  kernel(function* nests_locks() {
    yield* spin_lock(root(), ROOT.outer);
    yield* add(root(), ROOT.counter, 1);
    yield* spin_lock(root(), ROOT.inner);
    yield* assign_bits(root(), ROOT.some, 5);
    yield* spin_unlock(root(), ROOT.inner);
    yield* spin_unlock(root(), ROOT.outer);
  }),
  kernel(function* shares_with_softirqs() {
    yield* spin_lock_irq(root(), ROOT.softirq);
    yield* assign_bits(root(), ROOT.more, 9);
    yield* spin_unlock_irq(root(), ROOT.softirq);
  }),
  kernel(function* saves_interrupts() {
    yield* local_irq_disable();
    const flags = yield* spin_lock_irqsave(root(), ROOT.softirq);
    yield* smp_mb();
    yield* spin_unlock_irqrestore(root(), ROOT.softirq, flags);
    yield* local_irq_enable();
  }),
  kernel(function* reads_the_list() {
    yield* read_lock(root(), ROOT.tasklist);
    yield* spin_lock(root(), ROOT.inner);
    yield* spin_unlock(root(), ROOT.inner);
    yield* read_unlock(root(), ROOT.tasklist);
  }),
  kernel(function* writes_the_list() {
    yield* write_lock_irq(root(), ROOT.tasklist);
    yield* add(root(), ROOT.counter, 1);
    yield* write_unlock_irq(root(), ROOT.tasklist);
  }),
  kernel(function* looks_up() {
    yield* rcu_read_lock();
    const obj = yield* rcu_dereference(root(), ROOT.slot);
    if (obj !== 0) yield* load(obj, OBJ.value);
    yield* rcu_read_unlock();
  }),
  kernel(function* replaces(n: number) {
    const obj = yield* kmem_cache_zalloc(world().cache);
    yield* store(obj, OBJ.value, n);
    const old = yield* xchg(root(), ROOT.slot, obj);
    if (old !== 0) yield* call_rcu(old, OBJ.rcu, n % 2 === 0 ? obj_free : obj_free_counted);
  }),
  kernel(function* removes() {
    const obj = yield* load(root(), ROOT.slot);
    if (obj === 0 || (yield* cmpxchg(root(), ROOT.slot, obj, 0)) !== obj) return;
    yield* synchronize_rcu();
    yield* kmem_cache_free(world().cache, obj);
  }),
  kernel(function* allocates_some(n: number) {
    const objects: Ptr[] = [];
    for (let i = 0; i < 2 + (n % 40); i++) objects.push(yield* kmem_cache_alloc(world().cache));
    for (const obj of objects) yield* store(obj, OBJ.value, 1);
    for (const obj of n % 2 === 0 ? objects : objects.reverse()) yield* kmem_cache_free(world().cache, obj);
  }),
  kernel(function* sleeps(n: number) {
    yield* store(current(), STATE, n % 2 === 0 ? TASK_UNINTERRUPTIBLE : TASK_TRACED);
    yield* mod_timer(1 + (n % 5));
    yield* schedule();
    yield* mod_timer(0);
    yield* store(current(), STATE, 0);
  }),
  kernel(function* wakes(n: number) {
    // The task may be gone; its struct here is not.
    yield* wake_up_state(taskAt(n).task, n % 3 === 0 ? TASK_TRACED : TASK_UNINTERRUPTIBLE);
  }),
  kernel(function* waits_for_another(n: number) {
    if (taskAt(n).task !== current()) yield* wait_task_inactive(taskAt(n).task, TASK_TRACED);
  }),
  kernel(function* flags_another(n: number) {
    yield* store(taskAt(n).info, thread_info.fields.flags, 1);
    yield* kick_process(taskAt(n).task);
  }),
  kernel(function* goes_to_user_mode() {
    while ((yield* user(500)) === 1) {
      for (const { task, info } of world().tasks) {
        if (task === current()) yield* store(info, thread_info.fields.flags, 0);
      }
    }
  }),
  kernel(function* gives_way(n: number) {
    yield* [cond_resched, schedule, sys_sched_yield][n % 3]?.() as Kernel<void>;
  }),
  kernel(function* disables_preemption() {
    yield* preempt_disable();
    yield* atomic_or(root(), ROOT.flags, 1);
    yield* preempt_enable();
  }),
  kernel(function* chooses() {
    if ((yield* choose(3)) === 2) yield* rcu_assign_pointer(root(), ROOT.flags, 7);
  }),
  kernel(function* has_a_child() {
    yield* spawn(0, { comm: "child" }, child);
  }),
];

const runs_pieces = kernel(function* runs_pieces(list: readonly { piece: number; n: number }[]) {
  // The first step comes after the setup: by then every task is there.
  yield* smp_mb();
  for (const { piece, n } of list) yield* (pieces[piece] as (n: number) => Kernel<unknown>)(n);
});
const cleans_up = kernel(function* cleans_up() {
  const obj = yield* xchg(root(), ROOT.slot, 0);
  if (obj !== 0) yield* call_rcu(obj, OBJ.rcu, obj_free);
});

const CONFIGS = [
  { PREEMPT: true },
  { PREEMPT: false, DEBUG_SPINLOCK: true },
  { PREEMPT: true, PREEMPT_RCU: true, DEBUG_PAGEALLOC: true },
  { PREEMPT: true, DEBUG_SPINLOCK: true, LOCKDEP: true, SLUB_DEBUG: true },
  { PREEMPT: false, SLUB_DEBUG: true, DEBUG_PAGEALLOC: true },
] as const;

/** Two to four tasks of two to eight random pieces each, on one to three CPUs. */
function randomProgram(seed: number, memory: MemoryModel): Program {
  const rng = makeRng(`program ${seed}`);
  const lists = Array.from({ length: 2 + rng.below(3) }, () =>
    Array.from({ length: 2 + rng.below(7) }, () => ({ piece: rng.below(pieces.length), n: rng.below(1000) })),
  );
  return tiny(
    (machine) => {
      const at = machine.allocStaticStruct(ROOT_T);
      const address = (field: { id: number }): Ptr => at + (machine.offset[field.id] as number);
      for (const field of [ROOT.outer, ROOT.inner, ROOT.softirq]) pokeLock(machine, address(field), spinlock_t);
      pokeLock(machine, address(ROOT.tasklist), rwlock_t);
      const known: { task: Ptr; info: Ptr }[] = [];
      machine.globals = { root: at, cache: machine.createCache(OBJ_T), tasks: known } satisfies World;
      lists.forEach((list, i) => {
        const task = machine.spawn(0, { comm: `task${i}` }, runs_pieces, list);
        known.push({ task, info: machine.threadInfo(task) });
      });
      // It may come too early: then the last object is still in the slot when the world ends.
      machine.spawn(0, { comm: "cleaner" }, cleans_up);
    },
    { config: CONFIGS[seed % CONFIGS.length] ?? {}, cpus: 1 + rng.below(3), stepsMax: 20_000, memory },
  );
}

describe.each(["sc", "tso"] as const)("random correct programs under %s", (memory) => {
  const PROGRAMS = memory === "sc" ? 150 : 100;
  const strategies = (seed: number) => [
    stepwise(`${seed}a`),
    stepwise(`${seed}b`),
    new RandomStrategy(`${seed}c`),
    new TimedStrategy(`${seed}d`),
  ];

  test(`nothing is found in them but what they leave in the slot (${PROGRAMS} programs, 4 schedules each)`, () => {
    let steps = 0;
    for (let seed = 0; seed < PROGRAMS; seed++) {
      for (const strategy of strategies(seed)) {
        const run = execute(randomProgram(seed, memory), strategy);
        steps += run.steps;
        expect(run.cutOff).toBe(false);
        const left = run.findings.filter((finding) => finding.kind === "leak" && finding.function === "replaces");
        expect(left.length).toBeLessThan(2);
        expect(run.findings.filter((finding) => !left.includes(finding)).map((f) => `${seed}: ${f.title}`)).toEqual([]);
      }
    }
    expect(steps).toBeGreaterThan(PROGRAMS * 4 * 50);
  });

  test(`each run is repeated by its schedule (${PROGRAMS} programs)`, () => {
    for (let seed = 0; seed < PROGRAMS; seed++) {
      const run = execute(randomProgram(seed, memory), stepwise(seed));
      expect(execute(randomProgram(seed, memory), new ReplayStrategy(run.schedule))).toEqual(run);
    }
  });

  test(`the list of possible events is never out of date (${PROGRAMS} programs)`, () => {
    for (let seed = 0; seed < PROGRAMS; seed++) {
      const { machine } = new Stage(randomProgram(seed, memory));
      const internals = machine as unknown as { stale: boolean };
      const strategy = stepwise(seed);
      while (!machine.stopped) {
        const listed = Array.from(machine.events.subarray(0, machine.collect()));
        internals.stale = true;
        expect(listed).toEqual(Array.from(machine.events.subarray(0, machine.collect())));
        if (listed.length === 0) break;
        machine.apply(strategy.pick(machine));
      }
    }
  });

  test(`no two CPUs ever run one task, and nothing runs that is queued (${PROGRAMS} programs)`, () => {
    for (let seed = 0; seed < PROGRAMS; seed++) {
      const { machine } = new Stage(randomProgram(seed, memory));
      const strategy = stepwise(seed);
      while (machine.collect() > 0) {
        machine.apply(strategy.pick(machine));
        const current = machine.cpus.flatMap((cpu) => (cpu.current === null ? [] : [cpu.current]));
        expect(new Set(current).size).toBe(current.length);
        expect(current.filter((context) => context.onRunqueue || context.finished)).toEqual([]);
        for (const cpu of machine.cpus) {
          const queued = machine.contexts.filter((context) => context.onRunqueue && context.cpu === cpu.id);
          expect(cpu.queued).toBe(queued.length);
          if (cpu.current !== null) expect(cpu.current.cpu).toBe(cpu.id);
        }
      }
    }
  });
});
