/** Every claim of every check: a program that breaks it, and the nearest correct one, over many schedules. */
import { describe, expect, test } from "vitest";
import { CHECK_NAMES, type CheckName, type Finding, type FindingKind, normalTitle } from "./finding.ts";
import { plain_task, rcu_head, rwlock_t, SPINLOCK_MAGIC, spinlock_t, thread_info } from "./kernelStructs.ts";
import { pokeLock } from "./locks.ts";
import type { Machine } from "./machine.ts";
import { container_of, globalsOf, type Kernel, type KernelFunction, kernel, type Ptr, USER } from "./op.ts";
import {
  BUG_ON,
  call_rcu,
  current,
  kmem_cache_alloc,
  kmem_cache_free,
  load,
  local_irq_disable,
  local_irq_enable,
  mod_timer,
  preempt_disable,
  preempt_enable,
  rcu_dereference,
  rcu_read_lock,
  rcu_read_unlock,
  read_lock,
  read_unlock,
  schedule,
  smp_mb,
  spin_lock,
  spin_lock_irq,
  spin_unlock,
  spin_unlock_irq,
  store,
  synchronize_rcu,
  sys_sched_yield,
  user,
  WARN_ON,
  wait_task_inactive,
  wake_up_state,
  write_lock_irq,
  write_unlock_irq,
  xchg,
} from "./primitives.ts";
import type { Cache } from "./slab.ts";
import { ptr, struct, u32, ulong } from "./struct.ts";
import { randomFindings, randomRuns, Stage, type TinyOptions, tiny } from "./tinyProgram.ts";

const RUNS = 500;
const TASK_RUNNING = 0;
const TASK_UNINTERRUPTIBLE = 2;
const TASK_NORMAL = 3;
const STATE = plain_task.fields.state;

const OBJ_T = struct("obj", { value: ulong, lock: spinlock_t, odd: u32, rcu: rcu_head });
const OBJ = OBJ_T.fields;
const OTHER_T = struct("other", { x: u32, y: u32, z: u32 });
const OTHER = OTHER_T.fields;
/** The memory from an object on, for accesses past its end. */
const BEYOND = struct("beyond", { obj: OBJ_T, next: ulong }).fields;
const ROOT_T = struct("root", {
  a: spinlock_t,
  b: spinlock_t,
  c: spinlock_t,
  tasklist: rwlock_t,
  uninitialised: spinlock_t,
  first: ptr,
  slot: ptr,
  flag: ulong,
});
/** What a slot holds once its pointer has been taken. */
const TAKEN = 1;
const ROOT = ROOT_T.fields;

const world = globalsOf<{ root: Ptr; cache: Cache; other: Cache; thread_info: Ptr }>();
const alloc = (): Kernel<Ptr> => kmem_cache_alloc(world().cache);
const free = (obj: Ptr): Kernel<void> => kmem_cache_free(world().cache, obj);
const lock = (field: Lock): Kernel<void> => spin_lock(world().root, field);
const unlock = (field: Lock): Kernel<void> => spin_unlock(world().root, field);
const setState = (state: number): Kernel<void> => store(current(), STATE, state);

type Main = KernelFunction<[], void>;
const twice = (main: Main): Main[] => [main, main];

/** A world with some locks, a slot for a pointer, and tasks named a, b and so on; `first` points to a. */
const tasks =
  (mains: readonly Main[]) =>
  (machine: Machine): void => {
    const root = machine.allocStaticStruct(ROOT_T);
    machine.globals = { root, cache: machine.createCache(OBJ_T), other: machine.createCache(OTHER_T) };
    const at = (field: { id: number }): Ptr => root + (machine.offset[field.id] as number);
    for (const field of [ROOT.a, ROOT.b, ROOT.c]) pokeLock(machine, at(field), spinlock_t);
    pokeLock(machine, at(ROOT.tasklist), rwlock_t);
    mains.forEach((main, i) => {
      const task = machine.spawn(0, { comm: "abcdef"[i] as string }, main);
      if (i === 0) machine.poke(root, ROOT.first, task);
    });
  };

type Lock = typeof ROOT.a;
const locks_and_frees = kernel(function* locks_and_frees(rhead: Ptr) {
  yield* lock(ROOT.a);
  yield* unlock(ROOT.a);
  yield* obj_free(rhead);
});
const obj_free = kernel(function* obj_free(rhead: Ptr) {
  yield* free(container_of(rhead, OBJ.rcu));
});

/** One claim of a check, how to break it, and how to keep it. */
interface Claim {
  /** The check that makes it; null for what is always on. */
  readonly check: CheckName | null;
  readonly kind: FindingKind;
  /** Without numbers and addresses, see `normalTitle`; several if any of them will do. */
  readonly title: string | readonly string[];
  readonly bad: readonly Main[];
  readonly good: readonly Main[];
  readonly options?: TinyOptions;
  /** Whether every schedule shows it, or only some do. Default "always". */
  readonly shows?: "always" | "sometimes";
  /** What else the first finding has to say. */
  readonly also?: (finding: Finding) => void;
}

function claim(name: string, made: Claim): void {
  const { check, kind, options = {} } = made;
  const titles = [made.title].flat();
  const broken = tasks(made.bad);
  const alone = tiny(broken, { ...options, checks: check === null ? [] : [check] });

  test(`${name}: found ${made.shows ?? "always"}, with no other check on (${RUNS} schedules)`, () => {
    const runs = randomRuns(alone, RUNS);
    const findings = runs.flatMap((run) => run.findings);
    expect(new Set(findings.map((finding) => normalTitle(finding.title)))).toEqual(new Set(titles));
    expect(new Set(findings.map((finding) => finding.kind))).toEqual(new Set([kind]));
    const showing = runs.filter((run) => run.findings.length > 0).length;
    if (made.shows === "sometimes") expect(showing).toBeLessThan(RUNS);
    else expect(showing).toBe(RUNS);
    made.also?.(findings[0] as Finding);
  });

  test(`${name}: the correct program is silent with all checks on (${RUNS} schedules)`, () => {
    const runs = randomRuns(tiny(tasks(made.good), options), RUNS);
    expect(new Set(runs.flatMap((run) => run.findings.map((finding) => finding.title)))).toEqual(new Set());
    expect(runs.filter((run) => run.cutOff).length).toBe(0);
  });

  if (check === null) return;
  test(`${name}: nobody else reports it when the ${check} check is off`, () => {
    const others = CHECK_NAMES.filter((other) => other !== check);
    const findings = randomFindings(tiny(broken, { ...options, checks: others }), 50);
    for (const finding of findings) expect(titles).not.toContain(normalTitle(finding.title));
  });
}

describe("kasan", () => {
  claim("a read of freed memory", {
    check: "kasan",
    kind: "use-after-free",
    title: "BUG: KASAN: use-after-free in reads_freed",
    bad: [
      kernel(function* reads_freed() {
        const obj = yield* alloc();
        yield* free(obj);
        yield* load(obj, OBJ.value);
      }),
    ],
    good: [
      kernel(function* reads_then_frees() {
        const obj = yield* alloc();
        yield* load(obj, OBJ.value);
        yield* free(obj);
      }),
    ],
    also: (finding) => {
      expect(finding).toMatchObject({ function: "reads_freed", task: "a", access: "obj->value", fatal: false });
      expect(finding.details).toMatchObject({ type: "memory", write: false, size: 8, address: finding.pointer });
      expect(finding.details).toMatchObject({
        object: { cache: "obj", allocated: { backtrace: ["reads_freed"] }, freed: { comm: "a" } },
      });
    },
  });

  claim("a write to freed memory", {
    check: "kasan",
    kind: "use-after-free",
    title: "BUG: KASAN: use-after-free in writes_freed",
    bad: [
      kernel(function* writes_freed() {
        const obj = yield* alloc();
        yield* free(obj);
        yield* store(obj, OBJ.odd, 1);
      }),
    ],
    good: [
      kernel(function* writes_then_frees() {
        const obj = yield* alloc();
        yield* store(obj, OBJ.odd, 1);
        yield* free(obj);
      }),
    ],
    also: (finding) => expect(finding.details).toMatchObject({ type: "memory", write: true, size: 4 }),
  });

  const looks_up = kernel(function* looks_up() {
    yield* rcu_read_lock();
    const obj = yield* rcu_dereference(world().root, ROOT.slot);
    if (obj !== 0) yield* load(obj, OBJ.value);
    yield* rcu_read_unlock();
  });
  const publishes = kernel(function* publishes() {
    const obj = yield* alloc();
    yield* store(world().root, ROOT.slot, obj);
    yield* store(world().root, ROOT.slot, 0);
    return obj;
  });
  claim("an object freed under a reader of another task", {
    check: "kasan",
    kind: "use-after-free",
    title: "BUG: KASAN: use-after-free in looks_up",
    shows: "sometimes",
    bad: [
      kernel(function* frees_at_once() {
        yield* free(yield* publishes());
      }),
      looks_up,
    ],
    good: [
      kernel(function* frees_after_a_grace_period() {
        yield* call_rcu(yield* publishes(), OBJ.rcu, obj_free);
      }),
      looks_up,
    ],
    also: (finding) => {
      expect(finding.task).toBe("b");
      expect(finding.details).toMatchObject({ object: { freed: { comm: "a", backtrace: ["frees_at_once"] } } });
    },
  });

  claim("a lock operation on freed memory", {
    check: "kasan",
    kind: "use-after-free",
    title: "BUG: KASAN: use-after-free in locks_freed",
    bad: [
      kernel(function* locks_freed() {
        const obj = yield* kmem_cache_alloc(world().cache);
        yield* store(obj, OBJ.lock.raw_lock, 0);
        yield* free(obj);
        yield* spin_lock(obj, OBJ.lock);
        yield* spin_unlock(obj, OBJ.lock);
      }),
    ],
    good: [
      kernel(function* locks_then_frees() {
        const obj = yield* kmem_cache_alloc(world().cache);
        yield* store(obj, OBJ.lock.raw_lock, 0);
        yield* spin_lock(obj, OBJ.lock);
        yield* spin_unlock(obj, OBJ.lock);
        yield* free(obj);
      }),
    ],
    also: (finding) => expect(finding.access).toBe("obj->lock"),
  });

  claim("a read in the alignment bytes behind an object", {
    check: "kasan",
    kind: "use-after-free",
    title: "BUG: KASAN: slab-out-of-bounds in reads_past_the_end",
    bad: [
      kernel(function* reads_past_the_end() {
        const obj = yield* kmem_cache_alloc(world().other);
        yield* load(obj + 4, OTHER.z);
        yield* kmem_cache_free(world().other, obj);
      }),
    ],
    good: [
      kernel(function* reads_the_last_member() {
        const obj = yield* kmem_cache_alloc(world().other);
        yield* load(obj, OTHER.z);
        yield* kmem_cache_free(world().other, obj);
      }),
    ],
    also: (finding) => expect(finding.details).toMatchObject({ write: false, object: { size: 12, freed: null } }),
  });

  claim("a write to the neighbour, which was never handed out", {
    check: "kasan",
    kind: "use-after-free",
    title: "BUG: KASAN: slab-out-of-bounds in writes_the_neighbour",
    bad: [
      kernel(function* writes_the_neighbour() {
        const obj = yield* alloc();
        yield* store(obj, BEYOND.next, 1);
        yield* free(obj);
      }),
    ],
    good: [
      kernel(function* writes_its_own() {
        const obj = yield* alloc();
        yield* store(obj, OBJ.value, 1);
        yield* free(obj);
      }),
    ],
    also: (finding) => expect(finding.details).toMatchObject({ write: true, object: null }),
  });

  claim("an object freed twice", {
    check: "kasan",
    kind: "double-free",
    title: "BUG: KASAN: double-free in frees_twice",
    bad: [
      kernel(function* frees_twice() {
        const obj = yield* alloc();
        yield* free(obj);
        yield* free(obj);
      }),
    ],
    good: [
      kernel(function* frees_two() {
        const first = yield* alloc();
        const second = yield* alloc();
        yield* free(first);
        yield* free(second);
      }),
    ],
    also: (finding) => {
      expect(finding.details).toMatchObject({ type: "free", address: finding.pointer, object: { freed: { pid: 1 } } });
    },
  });

  claim("an object that two tasks take and free", {
    check: "kasan",
    kind: "double-free",
    title: "BUG: KASAN: double-free in takes_and_frees",
    shows: "sometimes",
    bad: [
      kernel(function* publishes_for_all() {
        yield* store(world().root, ROOT.slot, yield* alloc());
      }),
      ...twice(
        kernel(function* takes_and_frees() {
          while ((yield* load(world().root, ROOT.slot)) === 0) yield* user(1000);
          const obj = yield* load(world().root, ROOT.slot);
          if (obj === TAKEN) return;
          yield* store(world().root, ROOT.slot, TAKEN);
          yield* free(obj);
        }),
      ),
    ],
    good: [
      kernel(function* publishes_for_one() {
        yield* store(world().root, ROOT.slot, yield* alloc());
      }),
      ...twice(
        kernel(function* takes_atomically_and_frees() {
          while ((yield* load(world().root, ROOT.slot)) === 0) yield* user(1000);
          const obj = yield* xchg(world().root, ROOT.slot, TAKEN);
          if (obj !== TAKEN) yield* free(obj);
        }),
      ),
    ],
  });

  claim("a pointer into the middle of an object, freed", {
    check: "kasan",
    kind: "invalid-free",
    title: "BUG: KASAN: invalid-free in frees_the_middle",
    bad: [
      kernel(function* frees_the_middle() {
        yield* free((yield* alloc()) + 8);
      }),
    ],
    good: [
      kernel(function* frees_the_start() {
        yield* free(yield* alloc());
      }),
    ],
    also: (finding) => {
      const { pointer, details } = finding;
      expect(details).toMatchObject({ type: "free", address: pointer, object: { address: pointer - 8, freed: null } });
    },
  });

  test("static memory, freed: an invalid-free, and SLUB knows no slab there either", () => {
    const frees_static = kernel(function* frees_static() {
      yield* free(world().root);
    });
    expect(randomFindings(tiny(tasks([frees_static])), 20).map((f) => [f.kind, normalTitle(f.title)])).toEqual(
      Array.from({ length: 20 }, () => [
        ["invalid-free", "BUG: KASAN: invalid-free in frees_static"],
        ["slab-corruption", "BUG obj: SLUB <none>: no slab for object ADDR."],
      ]).flat(),
    );
  });

  test("an object freed into another cache: a page slab pointer that does not match", () => {
    const frees_elsewhere = kernel(function* frees_elsewhere() {
      yield* kmem_cache_free(world().other, yield* alloc());
    });
    const titles = randomFindings(tiny(tasks([frees_elsewhere]), { checks: [] }), 20).map((finding) => finding.title);
    expect(new Set(titles)).toEqual(new Set(["BUG other: page slab pointer corrupt."]));
  });

  test("only the first memory error of a run is reported: the rest may be its consequences", () => {
    const reads_and_reads = kernel(function* reads_and_reads() {
      const obj = yield* alloc();
      yield* free(obj);
      yield* load(obj, OBJ.value);
      yield* load(obj, OBJ.odd);
      yield* free(obj);
    });
    const titles = randomRuns(tiny(tasks([reads_and_reads])), 20).map((run) => run.findings.map((f) => f.title));
    expect(titles).toEqual(Array(20).fill(["BUG: KASAN: use-after-free in reads_and_reads"]));
  });
});

for (const config of [{ DEBUG_SPINLOCK: false }, { DEBUG_SPINLOCK: true }]) {
  const debug = config.DEBUG_SPINLOCK;
  describe(`spinlock, DEBUG_SPINLOCK=${debug ? "y" : "n"}`, () => {
    const locks_and_unlocks = kernel(function* locks_and_unlocks() {
      yield* lock(ROOT.a);
      yield* unlock(ROOT.a);
    });

    claim("an unlock by another task", {
      check: "spinlock",
      kind: "lock-misuse",
      title: "BUG: spinlock wrong owner on CPU, b",
      options: { config },
      bad: [
        kernel(function* locks() {
          yield* lock(ROOT.a);
          yield* store(world().root, ROOT.flag, 1);
          while ((yield* load(world().root, ROOT.flag)) === 1);
        }),
        kernel(function* unlocks() {
          while ((yield* load(world().root, ROOT.flag)) === 0);
          yield* unlock(ROOT.a);
          yield* store(world().root, ROOT.flag, 2);
        }),
      ],
      good: twice(locks_and_unlocks),
      also: (finding) => {
        expect(finding).toMatchObject({ function: "unlocks", access: "root->a" });
        expect(finding.details).toMatchObject({
          type: "spinlock",
          message: "wrong owner (root->a)",
          magic: debug ? "dead4ead" : "--------",
          owner: debug ? "a/1" : "<none>/-1",
        });
      },
    });

    claim("an unlock of a free lock", {
      check: "spinlock",
      kind: "lock-misuse",
      title: "BUG: spinlock already unlocked on CPU, a",
      options: { config },
      bad: [
        kernel(function* unlocks_twice() {
          yield* lock(ROOT.a);
          yield* unlock(ROOT.a);
          yield* unlock(ROOT.a);
        }),
      ],
      good: twice(locks_and_unlocks),
      also: (finding) => expect(finding.details).toMatchObject({ owner: "<none>/-1", ownerCpu: -1 }),
    });

    claim("a lock taken again by its holder", {
      check: "spinlock",
      kind: "lock-misuse",
      title: "BUG: spinlock recursion on CPU, a",
      options: { config },
      bad: [
        kernel(function* locks_twice() {
          yield* lock(ROOT.a);
          yield* lock(ROOT.a);
        }),
      ],
      good: [
        kernel(function* locks_two() {
          yield* lock(ROOT.a);
          yield* lock(ROOT.b);
          yield* unlock(ROOT.b);
          yield* unlock(ROOT.a);
        }),
      ],
      also: (finding) => expect(finding.details).toMatchObject({ owner: debug ? "a/1" : "<none>/-1" }),
    });

    claim("a rwlock taken for writing again by its writer", {
      check: "spinlock",
      kind: "lock-misuse",
      title: "BUG: rwlock recursion on CPU, a",
      options: { config },
      bad: [
        kernel(function* writes_twice() {
          yield* write_lock_irq(world().root, ROOT.tasklist);
          yield* write_lock_irq(world().root, ROOT.tasklist);
        }),
      ],
      good: [
        kernel(function* writes_once() {
          yield* write_lock_irq(world().root, ROOT.tasklist);
          yield* write_unlock_irq(world().root, ROOT.tasklist);
        }),
        kernel(function* reads_nested() {
          yield* read_lock(world().root, ROOT.tasklist);
          yield* read_lock(world().root, ROOT.tasklist);
          yield* read_unlock(world().root, ROOT.tasklist);
          yield* read_unlock(world().root, ROOT.tasklist);
        }),
      ],
    });

    claim("a write_unlock of a free rwlock", {
      check: "spinlock",
      kind: "lock-misuse",
      title: "BUG: rwlock already unlocked on CPU, a",
      options: { config },
      bad: [
        kernel(function* unlocks_a_free_rwlock() {
          yield* write_unlock_irq(world().root, ROOT.tasklist);
        }),
      ],
      good: [
        kernel(function* reads() {
          yield* read_lock(world().root, ROOT.tasklist);
          yield* read_unlock(world().root, ROOT.tasklist);
        }),
      ],
    });

    claim("a lock still held at the end of its task", {
      check: "spinlock",
      kind: "lock-misuse",
      title: "BUG: lock held at task exit time!",
      options: { config },
      bad: [
        kernel(function* never_unlocks() {
          yield* lock(ROOT.a);
        }),
      ],
      good: [locks_and_unlocks],
      also: (finding) => expect(finding.details).toMatchObject({ type: "context", held: ["root->a"] }),
    });

    claim("a lock taken along to user mode", {
      check: "spinlock",
      kind: "lock-misuse",
      title: "BUG: lock held when returning to user space!",
      options: { config },
      bad: [
        kernel(function* holds_in_user_mode() {
          yield* lock(ROOT.b);
          yield* user(1000);
          yield* unlock(ROOT.b);
        }),
      ],
      good: [
        kernel(function* unlocks_before_user_mode() {
          yield* lock(ROOT.b);
          yield* unlock(ROOT.b);
          yield* user(1000);
        }),
      ],
      also: (finding) => expect(finding.details).toMatchObject({ type: "context", held: ["root->b"] }),
    });

    const initialises = kernel(function* initialises(obj: Ptr) {
      yield* store(obj, OBJ.lock.raw_lock, 0);
      if (!debug) return;
      yield* store(obj, OBJ.lock.magic, SPINLOCK_MAGIC);
      yield* store(obj, OBJ.lock.owner_cpu, -1);
      yield* store(obj, OBJ.lock.owner, -1);
    });
    claim("a lock freed with its object while it is held", {
      check: "spinlock",
      kind: "lock-misuse",
      title: "BUG: held lock freed!",
      options: { config },
      bad: [
        kernel(function* frees_a_held_lock() {
          const obj = yield* alloc();
          yield* initialises(obj);
          yield* spin_lock(obj, OBJ.lock);
          yield* free(obj);
          yield* spin_unlock(obj, OBJ.lock);
        }),
      ],
      good: [
        kernel(function* frees_a_free_lock() {
          const obj = yield* alloc();
          yield* initialises(obj);
          yield* spin_lock(obj, OBJ.lock);
          yield* spin_unlock(obj, OBJ.lock);
          yield* free(obj);
        }),
      ],
      also: (finding) => {
        expect(finding.details).toMatchObject({ type: "message" });
        expect((finding.details as { message: string }).message).toMatch(
          /^\[ BUG: held lock freed! \] a\/1 is freeing memory 0xffff8801[0-9a-f]{8}, with a lock still held there!$/,
        );
      },
    });

    const forgets = kernel(function* forgets(rhead: Ptr) {
      yield* lock(ROOT.a);
      yield* free(container_of(rhead, OBJ.rcu));
    });
    claim("a lock that an RCU callback leaves held", {
      check: "spinlock",
      kind: "lock-misuse",
      title: "BUG: lock held at the end of a softirq!",
      options: { config },
      bad: [
        kernel(function* calls_what_forgets() {
          yield* call_rcu(yield* alloc(), OBJ.rcu, forgets);
        }),
      ],
      good: [
        kernel(function* calls_what_unlocks() {
          yield* call_rcu(yield* alloc(), OBJ.rcu, locks_and_frees);
        }),
      ],
    });
  });
}

describe("spinlock, DEBUG_SPINLOCK only", () => {
  const DEBUG = { config: { DEBUG_SPINLOCK: true } };
  const locks_and_schedules = kernel(function* locks_and_schedules() {
    yield* lock(ROOT.a);
    yield* schedule();
    yield* unlock(ROOT.a);
  });
  const schedules_then_locks = kernel(function* schedules_then_locks() {
    yield* schedule();
    yield* lock(ROOT.a);
    yield* unlock(ROOT.a);
  });

  claim("a lock that nobody initialised", {
    check: "spinlock",
    kind: "lock-misuse",
    title: "BUG: spinlock bad magic on CPU, a",
    options: DEBUG,
    bad: [
      kernel(function* takes_an_uninitialised_lock() {
        yield* lock(ROOT.uninitialised);
        yield* unlock(ROOT.uninitialised);
      }),
    ],
    good: [
      kernel(function* takes_an_initialised_lock() {
        yield* lock(ROOT.c);
        yield* unlock(ROOT.c);
      }),
    ],
    also: (finding) => expect(finding.details).toMatchObject({ magic: "00000000" }),
  });

  claim("a lock whose holder gave this CPU away", {
    check: "spinlock",
    kind: "lock-misuse",
    title: "BUG: spinlock cpu recursion on CPU, b",
    shows: "sometimes",
    options: { ...DEBUG, cpus: 1 },
    bad: [locks_and_schedules, schedules_then_locks],
    good: twice(schedules_then_locks),
    also: (finding) => expect(finding.details).toMatchObject({ owner: "a/1", ownerCpu: 0 }),
  });

  claim("a lock released on another CPU", {
    check: "spinlock",
    kind: "lock-misuse",
    title: "BUG: spinlock wrong CPU on CPU, a",
    shows: "sometimes",
    options: DEBUG,
    bad: [locks_and_schedules],
    good: [schedules_then_locks],
  });

  test("the first complaint switches lock debugging off, as in the kernel", () => {
    const complains_once = kernel(function* complains_once() {
      yield* unlock(ROOT.a);
      yield* unlock(ROOT.b);
    });
    const [run] = randomRuns(tiny(tasks([complains_once]), { ...DEBUG, checks: ["spinlock", "lockdep"] }), 1);
    expect(run?.findings.map((finding) => finding.access)).toEqual(["root->a"]);
  });
});

test("a lock taken along to user mode is found when an interrupt ends the stay there, too", () => {
  const holds_for_long = kernel(function* holds_for_long() {
    yield* lock(ROOT.a);
    yield* store(world().thread_info, thread_info.fields.flags, 1);
    yield* user(1000);
  });
  const stage = new Stage(
    tiny((machine) => {
      tasks([holds_for_long])(machine);
      const info = machine.threadInfo(machine.contexts[0]?.task ?? 0);
      machine.globals = { ...(machine.globals as object), thread_info: info };
    }),
  );
  stage.play("c0").stepTo(0, USER).play("i0");
  expect(stage.titles()).toEqual(["BUG: lock held when returning to user space!"]);
});

describe("lockdep", () => {
  const nest = (outer: Lock, inner: Lock): Kernel<void> => nested(outer, inner);
  const nested = kernel(function* nested(outer: Lock, inner: Lock) {
    yield* lock(outer);
    yield* lock(inner);
    yield* unlock(inner);
    yield* unlock(outer);
  });

  claim("two locks taken in both orders", {
    check: "lockdep",
    kind: "lock-misuse",
    title: "[ INFO: possible circular locking dependency detected ]",
    options: { cpus: 1 },
    bad: [
      kernel(function* both_orders() {
        yield* nest(ROOT.a, ROOT.b);
        yield* nest(ROOT.b, ROOT.a);
      }),
    ],
    good: twice(
      kernel(function* one_order() {
        yield* nest(ROOT.a, ROOT.b);
        yield* nest(ROOT.a, ROOT.b);
      }),
    ),
    also: (finding) => {
      const backtrace = ["nested", "both_orders"];
      expect(finding).toMatchObject({ function: "nested", access: "root->a" });
      expect(finding.details).toMatchObject({
        type: "lock-order",
        held: ["root->b"],
        chain: [
          { from: "root->a", to: "root->b", site: { comm: "a", backtrace } },
          { from: "root->b", to: "root->a", site: { comm: "a", backtrace, step: finding.step } },
        ],
      });
      const { chain } = finding.details as unknown as { chain: { site: { step: number } }[] };
      expect(chain[0]?.site.step).toBeLessThan(finding.step);
    },
  });

  claim("two tasks that take two locks in opposite orders", {
    check: "lockdep",
    kind: "lock-misuse",
    title: "[ INFO: possible circular locking dependency detected ]",
    bad: [
      kernel(function* a_then_b() {
        yield* nest(ROOT.a, ROOT.b);
      }),
      kernel(function* b_then_a() {
        yield* nest(ROOT.b, ROOT.a);
      }),
    ],
    good: twice(
      kernel(function* a_then_b_too() {
        yield* nest(ROOT.a, ROOT.b);
      }),
    ),
    also: (finding) => {
      const { chain } = finding.details as unknown as { chain: { site: { comm: string } }[] };
      expect(new Set(chain.map((edge) => edge.site.comm))).toEqual(new Set(["a", "b"]));
    },
  });

  claim("a cycle over three locks", {
    check: "lockdep",
    kind: "lock-misuse",
    title: "[ INFO: possible circular locking dependency detected ]",
    bad: [
      kernel(function* round_the_circle() {
        yield* nest(ROOT.a, ROOT.b);
        yield* nest(ROOT.b, ROOT.c);
        yield* nest(ROOT.c, ROOT.a);
      }),
    ],
    good: twice(
      kernel(function* up_the_ladder() {
        yield* nest(ROOT.a, ROOT.b);
        yield* nest(ROOT.b, ROOT.c);
        yield* nest(ROOT.a, ROOT.c);
      }),
    ),
    also: (finding) => {
      const { chain } = finding.details as unknown as { chain: { from: string; to: string }[] };
      expect(chain.map(({ from, to }) => `${from} ${to}`)).toEqual([
        "root->a root->b",
        "root->b root->c",
        "root->c root->a",
      ]);
    },
  });

  claim("two locks of one class inside each other", {
    check: "lockdep",
    kind: "lock-misuse",
    title: "[ INFO: possible recursive locking detected ]",
    bad: [
      kernel(function* locks_both_objects() {
        const one = yield* alloc();
        const two = yield* alloc();
        for (const obj of [one, two]) yield* store(obj, OBJ.lock.raw_lock, 0);
        yield* spin_lock(one, OBJ.lock);
        yield* spin_lock(two, OBJ.lock);
        yield* spin_unlock(two, OBJ.lock);
        yield* spin_unlock(one, OBJ.lock);
        for (const obj of [one, two]) yield* free(obj);
      }),
    ],
    good: [
      kernel(function* locks_one_after_the_other() {
        const one = yield* alloc();
        const two = yield* alloc();
        for (const obj of [one, two]) {
          yield* store(obj, OBJ.lock.raw_lock, 0);
          yield* spin_lock(obj, OBJ.lock);
          yield* spin_unlock(obj, OBJ.lock);
          yield* free(obj);
        }
      }),
      kernel(function* reads_in_reads() {
        yield* read_lock(world().root, ROOT.tasklist);
        yield* read_lock(world().root, ROOT.tasklist);
        yield* read_unlock(world().root, ROOT.tasklist);
        yield* read_unlock(world().root, ROOT.tasklist);
      }),
    ],
    also: (finding) => expect(finding.details).toMatchObject({ held: ["obj->lock"] }),
  });

  const calls_back = kernel(function* calls_back() {
    yield* call_rcu(yield* alloc(), OBJ.rcu, locks_and_frees);
  });
  const locks_softirqs_on = kernel(function* locks_softirqs_on() {
    yield* lock(ROOT.a);
    yield* unlock(ROOT.a);
  });
  const locks_irqs_off = kernel(function* locks_irqs_off() {
    yield* spin_lock_irq(world().root, ROOT.a);
    yield* spin_unlock_irq(world().root, ROOT.a);
  });
  claim("a lock of a softirq taken with softirqs on", {
    check: "lockdep",
    kind: "lock-misuse",
    title: "[ INFO: inconsistent lock state ]",
    bad: [calls_back, locks_softirqs_on],
    good: [calls_back, locks_irqs_off],
    also: (finding) => expect(finding.details).toMatchObject({ chain: [{ from: "root->a", to: "root->a" }] }),
  });
});

describe("atomic-sleep", () => {
  const sleeps_in_peace = kernel(function* sleeps_in_peace() {
    yield* preempt_disable();
    yield* preempt_enable();
    yield* lock(ROOT.a);
    yield* unlock(ROOT.a);
    yield* local_irq_disable();
    yield* local_irq_enable();
    yield* schedule();
    yield* sys_sched_yield();
    yield* free(yield* alloc());
    yield* synchronize_rcu();
  });
  const atomic = (name: string, title: string, preemptCount: number, bad: Main, options: TinyOptions = {}): void =>
    claim(name, {
      check: "atomic-sleep",
      kind: "atomic-sleep",
      title,
      bad: [bad],
      good: [sleeps_in_peace],
      options,
      also: (finding) => expect(finding.details).toMatchObject({ type: "context", preemptCount }),
    });

  atomic(
    "schedule() with preemption off",
    "BUG: scheduling while atomic: a/0x00000001",
    1,
    kernel(function* schedules_without_preemption() {
      yield* preempt_disable();
      yield* schedule();
      yield* preempt_enable();
    }),
  );
  atomic(
    "yield() under a spinlock",
    "BUG: scheduling while atomic: a/0x00000001",
    1,
    kernel(function* yields_with_a_lock() {
      yield* lock(ROOT.a);
      yield* sys_sched_yield();
      yield* unlock(ROOT.a);
    }),
  );
  atomic(
    "schedule() with interrupts off",
    "BUG: scheduling while atomic: a/0x00000000",
    0,
    kernel(function* schedules_without_interrupts() {
      yield* local_irq_disable();
      yield* schedule();
      yield* local_irq_enable();
    }),
  );
  atomic(
    "schedule() in a classic RCU read section",
    "BUG: scheduling while atomic: a/0x00000001",
    1,
    kernel(function* schedules_as_a_reader() {
      yield* rcu_read_lock();
      yield* schedule();
      yield* rcu_read_unlock();
    }),
  );
  atomic(
    "an allocation under a spinlock",
    "BUG: sleeping function called from invalid context at mm/slub.c",
    1,
    kernel(function* allocates_with_a_lock() {
      yield* lock(ROOT.a);
      const obj = yield* alloc();
      yield* unlock(ROOT.a);
      yield* free(obj);
    }),
  );
  atomic(
    "an allocation with interrupts off",
    "BUG: sleeping function called from invalid context at mm/slub.c",
    0,
    kernel(function* allocates_without_interrupts() {
      yield* local_irq_disable();
      const obj = yield* alloc();
      yield* local_irq_enable();
      yield* free(obj);
    }),
  );
  atomic(
    "synchronize_rcu() with preemption off",
    "BUG: sleeping function called from invalid context at kernel/rcupdate.c",
    1,
    kernel(function* synchronizes_without_preemption() {
      yield* preempt_disable();
      yield* synchronize_rcu();
      yield* preempt_enable();
    }),
  );

  test("schedule() in a softirq: found, and the task below keeps its CPU", () => {
    const sleeps_in_softirq = kernel(function* sleeps_in_softirq(rhead: Ptr) {
      yield* schedule();
      yield* free(container_of(rhead, OBJ.rcu));
    });
    const calls_what_sleeps = kernel(function* calls_what_sleeps() {
      yield* call_rcu(yield* alloc(), OBJ.rcu, sleeps_in_softirq);
      for (let i = 0; i < 10; i++) yield* schedule();
    });
    const runs = randomRuns(tiny(tasks([calls_what_sleeps])), 100);
    for (const run of runs) {
      expect(run.findings.map((f) => [f.kind, f.function])).toEqual([["atomic-sleep", "sleeps_in_softirq"]]);
      expect(run.findings[0]?.title).toMatch(/^BUG: scheduling while atomic: (a\/1|swapper\/0)\/0x00000100$/);
    }
  });
});

for (const config of [{ PREEMPT_RCU: false }, { PREEMPT_RCU: true }]) {
  describe(`rcu, ${config.PREEMPT_RCU ? "PREEMPT_RCU" : "classic"}`, () => {
    const reads_in_peace = kernel(function* reads_in_peace() {
      yield* rcu_read_lock();
      yield* rcu_dereference(world().root, ROOT.slot);
      yield* rcu_read_lock();
      yield* rcu_read_unlock();
      yield* rcu_dereference(world().root, ROOT.slot);
      yield* rcu_read_unlock();
      yield* lock(ROOT.a);
      yield* rcu_dereference(world().root, ROOT.slot);
      yield* unlock(ROOT.a);
      yield* schedule();
      yield* free(yield* alloc());
    });
    const misuse = (name: string, message: string, bad: Main): void =>
      claim(name, {
        check: "rcu",
        kind: "rcu-misuse",
        title: `INFO: ${message}`,
        bad: [bad],
        good: twice(reads_in_peace),
        options: { config },
        also: (finding) => expect(finding.details).toMatchObject({ type: "context", message }),
      });

    misuse(
      "an rcu_dereference outside every read section",
      "suspicious rcu_dereference() usage: no read section, no lock",
      kernel(function* dereferences_outside() {
        yield* rcu_read_lock();
        yield* rcu_read_unlock();
        yield* rcu_dereference(world().root, ROOT.slot);
      }),
    );
    misuse(
      "schedule() inside a read section",
      "schedule() inside an RCU read section",
      kernel(function* schedules_inside() {
        yield* rcu_read_lock();
        yield* schedule();
        yield* rcu_read_unlock();
      }),
    );
    misuse(
      "an allocation inside a read section",
      "call that may sleep inside an RCU read section",
      kernel(function* allocates_inside() {
        yield* rcu_read_lock();
        const obj = yield* alloc();
        yield* rcu_read_unlock();
        yield* free(obj);
      }),
    );
    misuse(
      "an rcu_read_unlock too many",
      "bad unlock balance: rcu_read_unlock without rcu_read_lock",
      kernel(function* unlocks_too_often() {
        yield* rcu_read_lock();
        yield* rcu_read_unlock();
        yield* rcu_read_unlock();
      }),
    );
    misuse(
      "a read section left open by the end of its task",
      "RCU read section left open at task exit time",
      kernel(function* never_ends_reading() {
        yield* rcu_read_lock();
      }),
    );
    misuse(
      "a read section taken along to user mode",
      "RCU read section left open when returning to user space",
      kernel(function* reads_in_user_mode() {
        yield* rcu_read_lock();
        yield* user(1000);
        yield* rcu_read_unlock();
      }),
    );
  });
}

describe("rcu", () => {
  const dereferences_atomically = kernel(function* dereferences_atomically() {
    yield* preempt_disable();
    yield* rcu_dereference(world().root, ROOT.slot);
    yield* preempt_enable();
    yield* local_irq_disable();
    yield* rcu_dereference(world().root, ROOT.slot);
    yield* local_irq_enable();
  });
  const reads = kernel(function* reads() {
    yield* rcu_read_lock();
    yield* rcu_dereference(world().root, ROOT.slot);
    yield* rcu_read_unlock();
  });

  claim("preemption or interrupts off are no read section of PREEMPT_RCU", {
    check: "rcu",
    kind: "rcu-misuse",
    title: "INFO: suspicious rcu_dereference() usage: no read section, no lock",
    options: { config: { PREEMPT_RCU: true } },
    bad: [dereferences_atomically],
    good: [reads],
  });

  test("preemption or interrupts off are a read section of classic RCU", () => {
    expect(randomFindings(tiny(tasks(twice(dereferences_atomically))), 100)).toEqual([]);
  });
});

describe("hang", () => {
  const nested = kernel(function* takes_both(outer: Lock, inner: Lock) {
    yield* lock(outer);
    yield* lock(inner);
    yield* unlock(inner);
    yield* unlock(outer);
  });
  const ab = kernel(function* ab() {
    yield* nested(ROOT.a, ROOT.b);
  });
  const ba = kernel(function* ba() {
    yield* nested(ROOT.b, ROOT.a);
  });
  claim("a deadlock of two CPUs, each spinning on the other's lock", {
    check: "hang",
    kind: "deadlock",
    title: ["BUG: spinlock lockup on CPU, a", "BUG: spinlock lockup on CPU, b"],
    shows: "sometimes",
    bad: [ab, ba],
    good: [ab, ab],
    also: (finding) => {
      expect(finding).toMatchObject({ function: "takes_both", access: "root->b", task: "a" });
      expect(finding.details).toMatchObject({
        type: "stuck",
        waits: expect.stringMatching(/^spins, waiting for root->b at 0xffff8801[0-9a-f]{8}$/),
        tasks: ["a/1 0 in takes_both", "b/2 0 in takes_both"],
      });
    },
  });

  claim("a task that spins on its own lock", {
    check: "hang",
    kind: "deadlock",
    title: "BUG: spinlock lockup on CPU, a",
    bad: [
      kernel(function* spins_on_itself() {
        yield* lock(ROOT.a);
        yield* lock(ROOT.a);
      }),
    ],
    good: [ab],
  });

  claim("a writer that waits for its own read lock", {
    check: "hang",
    kind: "deadlock",
    title: "BUG: write-lock lockup on CPU, a",
    bad: [
      kernel(function* upgrades() {
        yield* read_lock(world().root, ROOT.tasklist);
        yield* write_lock_irq(world().root, ROOT.tasklist);
      }),
    ],
    good: [
      kernel(function* reads_then_writes() {
        yield* read_lock(world().root, ROOT.tasklist);
        yield* read_unlock(world().root, ROOT.tasklist);
        yield* write_lock_irq(world().root, ROOT.tasklist);
        yield* write_unlock_irq(world().root, ROOT.tasklist);
      }),
    ],
  });

  test("a softirq that spins on the lock of the task below it: the softirq is the one that is stuck", () => {
    const holds = kernel(function* holds() {
      yield* call_rcu(yield* alloc(), OBJ.rcu, locks_and_frees);
      yield* schedule();
      yield* lock(ROOT.a);
      yield* smp_mb();
      yield* unlock(ROOT.a);
    });
    const findings = randomFindings(tiny(tasks([holds]), { cpus: 1, checks: ["hang"] }), RUNS);
    expect(findings.length).toBeGreaterThan(0);
    for (const finding of findings) {
      expect(finding).toMatchObject({ kind: "deadlock", title: "BUG: spinlock lockup on CPU#0, a/1" });
      expect(finding).toMatchObject({ function: "locks_and_frees", access: "root->a" });
    }
  });

  claim("a wait for a task to leave the CPU that it never leaves", {
    check: "hang",
    kind: "deadlock",
    title: ["BUG: spinlock lockup on CPU, a", "BUG: soft lockup - CPU stuck for 61s! [b:2]"],
    bad: [
      kernel(function* never_leaves() {
        yield* store(world().root, ROOT.flag, 1);
        yield* setState(TASK_UNINTERRUPTIBLE);
        yield* lock(ROOT.a);
        yield* lock(ROOT.a);
      }),
      kernel(function* waits_for_it() {
        while ((yield* load(world().root, ROOT.flag)) === 0) yield* user(1000);
        while ((yield* load(yield* load(world().root, ROOT.first), STATE)) === TASK_RUNNING) yield* user(1000);
        yield* wait_task_inactive(yield* load(world().root, ROOT.first), TASK_UNINTERRUPTIBLE);
      }),
    ],
    good: [
      kernel(function* leaves() {
        yield* setState(TASK_UNINTERRUPTIBLE);
        yield* mod_timer(10);
        yield* schedule();
      }),
      kernel(function* waits_until_it_left() {
        yield* wait_task_inactive(yield* load(world().root, ROOT.first), TASK_UNINTERRUPTIBLE);
      }),
    ],
  });

  const sleeps = kernel(function* sleeps() {
    yield* setState(TASK_UNINTERRUPTIBLE);
    yield* schedule();
  });
  claim("a task that nobody wakes", {
    check: "hang",
    kind: "hung-task",
    title: "INFO: task a blocked for more than 120 seconds.",
    bad: [sleeps],
    good: [
      kernel(function* sleeps_for_a_while() {
        yield* setState(TASK_UNINTERRUPTIBLE);
        yield* mod_timer(10);
        yield* schedule();
      }),
    ],
    also: (finding) => {
      expect(finding).toMatchObject({ function: "sleeps", task: "a" });
      expect(finding.details).toEqual({ type: "stuck", waits: "sleeps in state 2", tasks: ["a/1 2 in sleeps"] });
    },
  });

  const wakes = kernel(function* wakes() {
    yield* store(world().root, ROOT.flag, 1);
    yield* wake_up_state(yield* load(world().root, ROOT.first), TASK_NORMAL);
  });
  claim("a wake-up lost between the check and the sleep", {
    check: "hang",
    kind: "hung-task",
    title: "INFO: task a blocked for more than 120 seconds.",
    shows: "sometimes",
    bad: [
      kernel(function* checks_then_sets_its_state() {
        if ((yield* load(world().root, ROOT.flag)) !== 0) return;
        yield* setState(TASK_UNINTERRUPTIBLE);
        yield* schedule();
      }),
      wakes,
    ],
    good: [
      kernel(function* sets_its_state_then_checks() {
        for (;;) {
          yield* setState(TASK_UNINTERRUPTIBLE);
          if ((yield* load(world().root, ROOT.flag)) !== 0) break;
          yield* schedule();
        }
        yield* setState(TASK_RUNNING);
      }),
      wakes,
    ],
  });

  test("a daemon may sleep for good, but not spin for good", () => {
    const spins = kernel(function* spins() {
      yield* lock(ROOT.a);
      yield* lock(ROOT.a);
    });
    const found = (main: Main): Set<string> => {
      const setup = (machine: Machine): void => {
        tasks([])(machine);
        machine.spawn(0, { comm: "kthreadd", daemon: true }, main);
      };
      return new Set(randomFindings(tiny(setup, { checks: ["hang"] }), 10).map((f) => normalTitle(f.title)));
    };
    expect(found(sleeps)).toEqual(new Set());
    expect(found(spins)).toEqual(new Set(["BUG: spinlock lockup on CPU, kthreadd"]));
  });

  test("tasks that only wait for a CPU are not reported beside the locked-up CPUs", () => {
    const bystander = kernel(function* bystander() {
      yield* smp_mb();
    });
    const spins = kernel(function* spins_alone() {
      yield* lock(ROOT.a);
      yield* lock(ROOT.a);
    });
    const titles = randomFindings(tiny(tasks([spins, bystander]), { cpus: 1, checks: ["hang"] }), 50).map(
      (f) => f.title,
    );
    expect(new Set(titles)).toEqual(new Set(["BUG: spinlock lockup on CPU#0, a/1"]));
  });
});

describe("leak", () => {
  claim("an object that nobody frees", {
    check: "leak",
    kind: "leak",
    title: "unreferenced object of obj (size 32)",
    bad: [
      kernel(function* allocates() {
        yield* alloc();
      }),
    ],
    good: [
      kernel(function* allocates_and_frees() {
        yield* free(yield* alloc());
      }),
      kernel(function* allocates_and_frees_through_rcu() {
        yield* call_rcu(yield* alloc(), OBJ.rcu, obj_free);
      }),
    ],
    also: (finding) => {
      expect(finding.task).toBe("a");
      expect(finding.details).toMatchObject({
        type: "leak",
        object: { cache: "obj", size: 32, freed: null, allocated: { comm: "a", backtrace: ["allocates"] } },
      });
    },
  });

  test("an object kept on purpose is no leak", () => {
    const program = tiny((machine) => {
      tasks([])(machine);
      machine.keep(machine.slab.alloc((machine.globals as { cache: Cache }).cache));
    });
    expect(randomFindings(program, 1)).toEqual([]);
  });

  test("an object of before the first step is a leak of the boot", () => {
    const idles = kernel(function* idles() {
      yield* smp_mb();
    });
    const program = tiny((machine) => {
      tasks([idles])(machine);
      machine.slab.alloc((machine.globals as { cache: Cache }).cache);
    });
    expect(randomFindings(program, 1)[0]?.details).toMatchObject({
      object: { allocated: { comm: "swapper", pid: 0, cpu: 0, step: -1, backtrace: [] } },
    });
  });
});

describe("always on", () => {
  claim("BUG_ON", {
    check: null,
    kind: "bug-on",
    title: "kernel BUG at kernel/test.c:7!",
    bad: [
      kernel(function* is_wrong() {
        yield* BUG_ON(true, "true", "kernel/test.c:7");
        yield* WARN_ON(true, "never reached", "kernel/test.c:8");
      }),
    ],
    good: [
      kernel(function* is_right() {
        yield* BUG_ON(false, "false", "kernel/test.c:7");
      }),
    ],
    also: (finding) => {
      expect(finding).toMatchObject({ function: "is_wrong", fatal: true });
      expect(finding.details).toEqual({ type: "assertion", at: "kernel/test.c:7", expression: "true" });
    },
  });

  claim("WARN_ON, after which the run goes on", {
    check: null,
    kind: "warn-on",
    title: "WARNING: at kernel/test.c:8",
    bad: [
      kernel(function* is_odd() {
        yield* WARN_ON(true, "odd", "kernel/test.c:8");
        yield* store(world().root, ROOT.flag, 1);
      }),
    ],
    good: [
      kernel(function* is_even() {
        yield* WARN_ON(false, "odd", "kernel/test.c:8");
      }),
    ],
    also: (finding) => {
      expect(finding.fatal).toBe(false);
      expect(finding.details).toEqual({ type: "assertion", at: "kernel/test.c:8", expression: "odd" });
    },
  });

  test("BUG_ON and WARN_ON take no step while they hold", () => {
    const asserts = kernel(function* asserts() {
      yield* BUG_ON(false, "false", "kernel/test.c:7");
      yield* WARN_ON(false, "false", "kernel/test.c:8");
      yield* smp_mb();
    });
    expect(randomRuns(tiny(tasks([asserts])), 1)[0]?.steps).toBe(2);
  });

  for (const [what, address, title] of [
    ["NULL", 0, "BUG: unable to handle kernel NULL pointer dereference at 0000000000000010"],
    ["an error pointer", -30, "BUG: unable to handle kernel paging request at fffffffffffffff2"],
    ["a pointer made of poison", "poison", "general protection fault"],
  ] as const) {
    test(`a load through ${what} ends the run: ${title}`, () => {
      const loads = kernel(function* loads() {
        const obj = yield* alloc();
        yield* load(address === "poison" ? yield* load(obj, OBJ.rcu.next) : address, OBJ.rcu.next);
      });
      const program = tiny(tasks([loads]), { config: { SLUB_DEBUG: true }, checks: [] });
      const [finding] = randomFindings(program, 1);
      expect(finding).toMatchObject({ kind: "paging-fault", title, fatal: true, function: "loads" });
    });
  }
});
