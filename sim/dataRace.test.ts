/** The check of data races: for each thing that orders, a program that has it and one that has not. */
import { describe, expect, test } from "vitest";
import { plain_task, rcu_head, rwlock_t, spinlock_t, thread_info } from "./kernelStructs.ts";
import { pokeLock } from "./locks.ts";
import { container_of, data_race, type Kernel, type KernelFunction, kernel, type Ptr } from "./op.ts";
import {
  atomic_add_return,
  atomic_or,
  call_rcu,
  cmpxchg,
  current,
  kick_process,
  kmem_cache_alloc,
  kmem_cache_free,
  load,
  READ_ONCE,
  rcu_assign_pointer,
  rcu_dereference,
  rcu_read_lock,
  rcu_read_unlock,
  read_lock,
  read_unlock,
  schedule,
  set_bits,
  smp_rmb,
  smp_wmb,
  spawn,
  spin_lock,
  spin_unlock,
  store,
  synchronize_rcu,
  user,
  WRITE_ONCE,
  wait_task_inactive,
  wake_up_state,
  write_lock_irq,
  write_unlock_irq,
} from "./primitives.ts";
import { execute, type Program } from "./run.ts";
import type { Cache } from "./slab.ts";
import { array, bits, ptr, struct, u8, u16, u32, ulong } from "./struct.ts";
import { randomFindings, Stage, stepwise, type TinyOptions, tiny } from "./tinyProgram.ts";

const SHARED_T = struct("shared", {
  x: u32,
  flag: u32,
  lock: spinlock_t,
  other: spinlock_t,
  rwlock: rwlock_t,
  slot: ptr,
  low: bits(4),
  high: bits(4),
  halves: struct("halves", { first: u16, second: u16 }),
});
const S = SHARED_T.fields;
const OBJ_T = struct("obj", { value: ulong, rcu: rcu_head, rest: array(u8, 40) });
const OBJ = OBJ_T.fields;
const STATE = plain_task.fields.state;

let shared: Ptr = 0;
let cache: Cache;
let object: Ptr = 0;
const tasks: Ptr[] = [];

const thread = (body: () => Generator): KernelFunction<[], void> =>
  kernel(body as never) as unknown as KernelFunction<[], void>;

const program = (bodies: readonly (() => Generator)[], options: TinyOptions = {}): Program =>
  tiny(
    (machine) => {
      shared = machine.allocStaticStruct(SHARED_T);
      pokeLock(machine, shared + (machine.offset[S.lock.id] as number), spinlock_t);
      pokeLock(machine, shared + (machine.offset[S.other.id] as number), spinlock_t);
      pokeLock(machine, shared + (machine.offset[S.rwlock.id] as number), rwlock_t);
      cache = machine.createCache(OBJ_T);
      object = machine.allocAtBoot(cache);
      machine.keep(object);
      tasks.length = 0;
      bodies.forEach((body, i) => {
        tasks.push(machine.spawn(0, { comm: `P${i}` }, thread(body)));
      });
    },
    { checks: ["data-race"], ...options },
  );

const RUNS = 150;
const races = (bodies: readonly (() => Generator)[], options: TinyOptions = {}): string[] => [
  ...new Set(randomFindings(program(bodies, options), RUNS).map(({ title }) => title)),
];

const write = (): Kernel<void> => store(shared, S.x, 1);
const read = (): Kernel<number> => load(shared, S.x);
const locked = (lock: typeof S.lock, access: () => Kernel<unknown>): (() => Generator) =>
  function* under_lock() {
    yield* spin_lock(shared, lock);
    yield* access();
    yield* spin_unlock(shared, lock);
  };

/** Two threads each: in the first pair something orders the accesses to x (or to the object), in the second not. */
interface Pair {
  readonly what: string;
  readonly ordered: readonly (() => Generator)[];
  readonly racy: readonly (() => Generator)[];
  readonly field?: string;
  readonly options?: TinyOptions;
}

function* plainWrite() {
  yield* write();
}
function* plainRead() {
  yield* read();
}
const readerOf = (dereference: () => Kernel<Ptr>): (() => Generator) =>
  function* reader() {
    yield* rcu_read_lock();
    const found = yield* dereference();
    if (found !== 0) yield* load(found, OBJ.value);
    yield* rcu_read_unlock();
    // Through a quiescent state, and not idle after it.
    yield* schedule();
    for (let i = 0; i < 4; i++) yield* load(shared, S.low);
  };
const publishBy = (publish: () => Kernel<unknown>): (() => Generator) =>
  function* publisher() {
    yield* store(object, OBJ.value, 7);
    yield* publish();
  };
/** Takes the object off, and writes to it after `wait`. */
const unpublisher = (wait?: () => Kernel<void>): (() => Generator) =>
  function* unpublisher() {
    // Published here, so that the reader may find it; its own CPU has done nothing to the object yet.
    yield* rcu_assign_pointer(shared, S.slot, object);
    yield* WRITE_ONCE(shared, S.slot, 0);
    if (wait !== undefined) yield* wait();
    yield* store(object, OBJ.value, 9);
  };
const obj_rewrite = kernel(function* obj_rewrite(head: Ptr) {
  yield* store(container_of(head, OBJ.rcu), OBJ.value, 9);
});
const messages = (write_barrier: boolean, read_barrier: boolean): readonly (() => Generator)[] => [
  function* sender() {
    yield* write();
    if (write_barrier) yield* smp_wmb();
    yield* WRITE_ONCE(shared, S.flag, 1);
  },
  function* receiver() {
    if ((yield* READ_ONCE(shared, S.flag)) === 0) return;
    if (read_barrier) yield* smp_rmb();
    yield* read();
  },
];
function* sleepsThenReads() {
  yield* store(current(), STATE, 2);
  yield* schedule();
  yield* read();
}
function* readsThenSleeps() {
  yield* read();
  yield* store(current(), STATE, 2);
  yield* schedule();
}
const child = kernel(function* child() {
  yield* read();
});
const spawnChild = (): Kernel<Ptr> => spawn(0, { comm: "child" }, child);
const idle = function* idle() {};

const PAIRS: readonly Pair[] = [
  {
    what: "a spinlock",
    ordered: [locked(S.lock, write), locked(S.lock, read)],
    racy: [locked(S.lock, write), locked(S.other, read)],
  },
  {
    what: "an rwlock: a writer and a reader, not two readers",
    ordered: [
      function* writer() {
        yield* write_lock_irq(shared, S.rwlock);
        yield* write();
        yield* write_unlock_irq(shared, S.rwlock);
      },
      function* reader() {
        yield* read_lock(shared, S.rwlock);
        yield* read();
        yield* read_unlock(shared, S.rwlock);
      },
    ],
    racy: [write, read].map(
      (access) =>
        function* reader() {
          yield* read_lock(shared, S.rwlock);
          yield* access();
          yield* read_unlock(shared, S.rwlock);
        },
    ),
  },
  {
    what: "a locked operation on the same field",
    ordered: [
      function* counts() {
        yield* write();
        yield* atomic_add_return(shared, S.flag, 1);
      },
      function* looks() {
        if ((yield* cmpxchg(shared, S.flag, 1, 2)) === 1) yield* read();
      },
    ],
    racy: [
      function* counts() {
        yield* atomic_add_return(shared, S.flag, 1);
        yield* write();
      },
      function* looks() {
        if ((yield* cmpxchg(shared, S.flag, 1, 2)) === 1) yield* read();
      },
    ],
  },
  {
    what: "rcu_assign_pointer and rcu_dereference",
    ordered: [
      publishBy(() => rcu_assign_pointer(shared, S.slot, object)),
      readerOf(() => rcu_dereference(shared, S.slot)),
    ],
    racy: [publishBy(() => WRITE_ONCE(shared, S.slot, object)), readerOf(() => rcu_dereference(shared, S.slot))],
    field: "obj->value",
  },
  { what: "smp_wmb on the one side", ordered: messages(true, true), racy: messages(false, true) },
  { what: "smp_rmb on the other", ordered: messages(true, true), racy: messages(true, false) },
  {
    what: "a grace period (synchronize_rcu)",
    ordered: [unpublisher(synchronize_rcu), readerOf(() => rcu_dereference(shared, S.slot))],
    racy: [unpublisher(), readerOf(() => rcu_dereference(shared, S.slot))],
    field: "obj->value",
  },
  {
    what: "a grace period (call_rcu, PREEMPT_RCU)",
    ordered: [
      function* unpublisher() {
        yield* rcu_assign_pointer(shared, S.slot, object);
        yield* WRITE_ONCE(shared, S.slot, 0);
        yield* call_rcu(object, OBJ.rcu, obj_rewrite);
      },
      readerOf(() => rcu_dereference(shared, S.slot)),
    ],
    racy: [unpublisher(), readerOf(() => rcu_dereference(shared, S.slot))],
    field: "obj->value",
    options: { config: { PREEMPT_RCU: true } },
  },
  {
    what: "a wake-up",
    ordered: [
      sleepsThenReads,
      function* wakes() {
        yield* write();
        yield* wake_up_state(tasks[0] as Ptr, 3);
      },
    ],
    racy: [
      sleepsThenReads,
      function* wakes() {
        yield* wake_up_state(tasks[0] as Ptr, 3);
        yield* write();
      },
    ],
  },
  {
    what: "the switch away of a task that is waited for",
    ordered: [
      readsThenSleeps,
      function* waits() {
        if ((yield* wait_task_inactive(tasks[0] as Ptr, 2)) !== 0) yield* write();
      },
    ],
    racy: [readsThenSleeps, plainWrite],
  },
  {
    what: "spawn",
    ordered: [
      function* spawns() {
        yield* write();
        yield* spawnChild();
      },
      idle,
    ],
    racy: [
      function* spawns() {
        yield* spawnChild();
        yield* write();
      },
      idle,
    ],
  },
  {
    what: "marks on both sides",
    ordered: [
      function* marked() {
        yield* WRITE_ONCE(shared, S.x, 1);
      },
      function* marked() {
        yield* READ_ONCE(shared, S.x);
      },
    ],
    racy: [
      function* marked() {
        yield* WRITE_ONCE(shared, S.x, 1);
      },
      plainRead,
    ],
  },
  {
    what: "data_race",
    ordered: [
      plainWrite,
      function* on_purpose() {
        yield* data_race(read());
      },
    ],
    racy: [plainWrite, plainRead],
  },
  {
    what: "a read-modify-write that is locked",
    ordered: [
      function* counts() {
        yield* atomic_add_return(shared, S.x, 1);
      },
      function* counts() {
        yield* atomic_add_return(shared, S.x, 1);
      },
    ],
    racy: [
      function* counts() {
        yield* set_bits(shared, S.x, 1);
      },
      function* counts() {
        yield* set_bits(shared, S.x, 2);
      },
    ],
  },
  {
    what: "different bytes, which are no conflict; bit-fields of one byte are",
    ordered: [
      function* first() {
        yield* store(shared, S.halves.first, 1);
      },
      function* second() {
        yield* store(shared, S.halves.second, 1);
      },
    ],
    racy: [
      function* first() {
        yield* set_bits(shared, S.low, 1);
      },
      function* second() {
        yield* set_bits(shared, S.high, 1);
      },
    ],
    field: "shared->high",
  },
];

describe("accesses are ordered by", () => {
  test.each(PAIRS)("$what", ({ ordered, racy, field, options }) => {
    expect(races(ordered, options)).toEqual([]);
    const found = races(racy, options);
    expect(found.length).toBeGreaterThan(0);
    for (const title of found) expect(title).toContain("BUG: KCSAN: data-race in ");
    expect(found.some((title) => title.endsWith(`(${field ?? "shared->x"})`))).toBe(true);
  });

  test("one CPU, which does one thing after another", () => {
    expect(races([plainWrite, plainRead], { cpus: 1 })).toEqual([]);
    expect(races([plainWrite, plainRead], { cpus: 2 })).not.toEqual([]);
  });

  test("a grace period, for what other CPUs did before call_rcu without a read section", () => {
    const reads_x = kernel(function* reads_x(_head: Ptr) {
      yield* read();
    });
    const bodies = [
      function* writes() {
        yield* write();
        yield* load(shared, S.flag);
      },
      function* calls() {
        yield* call_rcu(object, OBJ.rcu, reads_x);
      },
    ];
    const found = (schedule: string): string[] =>
      new Stage(program(bodies, { config: { PREEMPT_RCU: true } })).play(schedule).titles();
    expect(found("c0 s0 c1:1 s1*3 q1 s1")).toEqual([]);
    expect(found("c0 c1:1 s1*3 s0 q1 s1")).toEqual(["BUG: KCSAN: data-race in reads_x / writes (shared->x)"]);
  });

  test("a reschedule interrupt, and the interrupt of a tick not", () => {
    let info: Ptr = 0;
    const kicks = (kick: boolean): (() => Generator)[] => [
      function* runs_in_user_mode() {
        if ((yield* user(1000)) === 1) yield* read();
      },
      function* kicker() {
        yield* write();
        yield* atomic_or(info, thread_info.fields.flags, 1);
        if (kick) yield* kick_process(tasks[0] as Ptr);
      },
    ];
    const found = (kick: boolean, schedule: string): string[] => {
      const stage = new Stage(program(kicks(kick)));
      info = stage.machine.threadInfo(tasks[0] as Ptr);
      return stage.play(schedule).titles();
    };
    expect(found(true, "c0 c1:1 s1*3 i0 s0")).toEqual([]);
    expect(found(false, "c0 c1:1 s1*2 i0 s0")).toHaveLength(1);
  });

  test("an object's new life: the accesses of its last owner are over", () => {
    const large = struct("large", { value: ulong, rest: array(u8, 2000) });
    let first = 0;
    let again = 0;
    const two: Cache[] = [];
    const bodies = [
      function* owner() {
        first = yield* kmem_cache_alloc(two[0] as Cache);
        yield* kmem_cache_alloc(two[0] as Cache);
        again = yield* kmem_cache_alloc(two[0] as Cache);
        yield* store(again, large.fields.value, 1);
      },
      function* frees_it() {
        yield* user(1);
        yield* store(first, large.fields.value, 2);
        yield* kmem_cache_free(two[0] as Cache, first);
      },
    ];
    const stage = new Stage(
      tiny(
        (machine) => {
          two[0] = machine.createCache(large);
          bodies.forEach((body, i) => {
            machine.spawn(0, { comm: `P${i}` }, thread(body));
          });
        },
        { checks: ["data-race"] },
      ),
    );
    stage.play("c0 s0 c1:1 s1*3 s0*3");
    expect(again).toBe(first);
    expect(stage.titles()).toEqual([]);
  });

  test("an access of a word races with one of its half", () => {
    const words = struct("words", { whole: u32 });
    const at = (): Ptr => shared + 0;
    const found = races([
      function* whole() {
        yield* store(at(), words.fields.whole, 1);
      },
      plainRead,
    ]);
    expect(found).toHaveLength(2);
  });
});

describe("a finding", () => {
  test("has both sides, their sizes and kinds, and what became of the value; each race once in a run", () => {
    const subject = program([
      function* writer() {
        yield* user(10);
        for (let i = 0; i < 3; i++) yield* store(shared, S.x, 5);
      },
      function* reader() {
        for (let i = 0; i < 3; i++) yield* read();
      },
    ]);
    for (let seed = 0; ; seed++) {
      const { findings, historyHash } = execute(subject, stepwise(seed));
      const found = findings.find(({ function: name }) => name === "writer");
      if (found === undefined) continue;
      expect(findings.filter(({ function: name }) => name === "writer")).toHaveLength(1);
      expect(found).toMatchObject({ kind: "data-race", task: "P0", access: "shared->x", fatal: false });
      expect(found.title).toBe("BUG: KCSAN: data-race in reader / writer (shared->x)");
      expect(found.details).toMatchObject({
        type: "race",
        access: { write: true, marked: false, address: shared, size: 4 },
        other: { write: false, marked: false, address: shared, size: 4, comm: "P1", pid: 2 },
        change: { before: "0x00000000", after: "0x00000005" },
      });
      // The check changes nothing in a run.
      const without = { ...subject, options: { ...subject.options, checks: new Set<never>() } };
      expect(execute(without, stepwise(seed)).historyHash).toBe(historyHash);
      return;
    }
  });
});
