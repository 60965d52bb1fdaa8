/** RCU: rules R1 to R7 of the classic flavour, P1 to P4 of PREEMPT_RCU. */
import { describe, expect, test } from "vitest";
import { rcu_head, spinlock_t } from "./kernelStructs.ts";
import { pokeLock } from "./locks.ts";
import type { Machine } from "./machine.ts";
import { globalsOf, type KernelFunction, kernel, type Ptr, ref, running, SCHEDULE } from "./op.ts";
import {
  call_rcu,
  cond_resched,
  kmem_cache_alloc,
  kmem_cache_free,
  load,
  local_irq_disable,
  local_irq_enable,
  mod_timer,
  note,
  preempt_disable,
  preempt_enable,
  rcu_read_lock,
  rcu_read_unlock,
  schedule,
  smp_mb,
  spin_lock,
  spin_unlock,
  store,
  synchronize_rcu,
  user,
  wake_up_state,
} from "./primitives.ts";
import type { Cache } from "./slab.ts";
import { ptr, struct, ulong } from "./struct.ts";
import { randomFindings, Stage, stepwise, type TinyOptions, tiny } from "./tinyProgram.ts";

const RUNS = 500;
const ROOT_T = struct("root", {
  lock: spinlock_t,
  one: rcu_head,
  two: rcu_head,
  three: rcu_head,
  slot: ptr,
  sleeper: ptr,
});
const ROOT = ROOT_T.fields;
const OBJ_T = struct("obj", { value: ulong, rcu: rcu_head });
const OBJ = OBJ_T.fields;

const world = globalsOf<{ root: Ptr; cache: Cache }>();
const root = (): Ptr => world().root;
type Main = KernelFunction<[], void>;

const setup =
  (...mains: Main[]) =>
  (machine: Machine): void => {
    const at = machine.allocStaticStruct(ROOT_T);
    pokeLock(machine, at + (machine.offset[ROOT.lock.id] as number), spinlock_t);
    machine.globals = { root: at, cache: machine.createCache(OBJ_T) };
    mains.forEach((main, i) => {
      const task = machine.spawn(0, { comm: "abcd"[i] as string }, main);
      if (i === 0) machine.poke(at, ROOT.sleeper, task);
    });
  };
const CLASSIC: TinyOptions = { config: { PREEMPT_RCU: false } };
const PREEMPTIBLE: TinyOptions = { config: { PREEMPT_RCU: true } };
const FLAVOURS = [
  ["classic", CLASSIC],
  ["PREEMPT_RCU", PREEMPTIBLE],
] as const;
const play = (options: TinyOptions, ...mains: Main[]): Stage => new Stage(tiny(setup(...mains), options));

const callback = kernel(function* callback(_rhead: Ptr) {
  yield* note("callback", 0, 0);
  yield* smp_mb();
});
const calls = kernel(function* calls() {
  yield* call_rcu(root(), ROOT.one, callback);
  for (let i = 0; i < 5; i++) yield* smp_mb();
});
const calls_and_schedules = kernel(function* calls_and_schedules() {
  yield* call_rcu(root(), ROOT.one, callback);
  yield* schedule();
});
const loops = kernel(function* loops() {
  for (let i = 0; i < 5; i++) yield* smp_mb();
  yield* schedule();
  for (let i = 0; i < 5; i++) yield* smp_mb();
});
const reads = kernel(function* reads() {
  yield* rcu_read_lock();
  yield* smp_mb();
  yield* rcu_read_unlock();
});

/** A stretch of kernel code that may or may not hold back a grace period. */
type Region = "rcu_read_lock" | "nested rcu_read_lock" | "preempt_disable" | "spin_lock" | "local_irq_disable";
const enter = kernel(function* enter(region: Region) {
  if (region === "preempt_disable") yield* preempt_disable();
  else if (region === "spin_lock") yield* spin_lock(root(), ROOT.lock);
  else if (region === "local_irq_disable") yield* local_irq_disable();
  else yield* rcu_read_lock();
});
const leave = kernel(function* leave(region: Region) {
  if (region === "preempt_disable") yield* preempt_enable();
  else if (region === "spin_lock") yield* spin_unlock(root(), ROOT.lock);
  else if (region === "local_irq_disable") yield* local_irq_enable();
  else yield* rcu_read_unlock();
});

/** What happened in runs under many schedules of two tasks in regions and two that queue callbacks. */
function regionsAndCallbacks(options: TinyOptions, region: Region) {
  const seen = { callbacks: 0, waited: 0, early: 0, elsewhere: 0, overlapped: 0, outOfOrder: 0 };
  let nextRegion = 0;
  let nextOrder = 0;
  const open = new Set<number>();
  const queued: { rhead: Ptr; cpu: number; open: Set<number>; order: number }[] = [];
  const lastRun: number[] = [];

  const checks_regions = kernel(function* checks_regions(rhead: Ptr) {
    const index = queued.findIndex((call) => call.rhead === rhead);
    const [call] = queued.splice(index, 1);
    if (call === undefined) throw new Error("a callback that nobody queued");
    const { cpu } = running.context;
    seen.callbacks++;
    if (call.open.size > 0) seen.waited++;
    if ([...call.open].some((id) => open.has(id))) seen.early++;
    if (cpu !== call.cpu) seen.elsewhere++;
    if (open.size > 0) seen.overlapped++;
    if (call.order < (lastRun[cpu] ?? -1)) seen.outOfOrder++;
    lastRun[cpu] = call.order;
    yield* smp_mb();
  });
  const stays_inside = kernel(function* stays_inside() {
    for (let i = 0; i < 3; i++) {
      yield* enter(region);
      const id = nextRegion++;
      open.add(id);
      if (region === "nested rcu_read_lock") {
        yield* rcu_read_lock();
        yield* rcu_read_unlock();
      }
      for (let n = 0; n < 4; n++) yield* smp_mb();
      yield* leave(region);
      open.delete(id);
      yield* schedule();
    }
  });
  const queues = kernel(function* queues(first: 0 | 1) {
    const heads = first === 0 ? [ROOT.one, ROOT.two] : [ROOT.three];
    for (const head of heads) {
      yield* call_rcu(root(), head, checks_regions);
      queued.push({ rhead: ref(root(), head), cpu: running.context.cpu, open: new Set(open), order: nextOrder++ });
      yield* cond_resched();
    }
    for (let n = 0; n < 4; n++) yield* schedule();
  });
  const program = tiny(
    (machine) => {
      open.clear();
      queued.length = 0;
      lastRun.length = 0;
      setup(stays_inside, stays_inside)(machine);
      machine.spawn(0, { comm: "c" }, queues, 0);
      machine.spawn(0, { comm: "d" }, queues, 1);
    },
    { ...options, checks: ["kasan", "hang"] },
  );
  for (let seed = 0; seed < RUNS; seed++) {
    expect(new Stage(program).toEnd(stepwise(seed)).titles()).toEqual([]);
  }
  return seen;
}

describe("a callback and the regions that were open at its call_rcu", () => {
  for (const [flavour, options] of FLAVOURS) {
    for (const region of ["rcu_read_lock", "nested rcu_read_lock", "local_irq_disable"] as const) {
      test(`${flavour}: never runs while a ${region} region of then is still open (${RUNS} schedules)`, () => {
        const seen = regionsAndCallbacks(options, region);
        expect(seen).toMatchObject({ callbacks: 3 * RUNS, early: 0, elsewhere: 0, outOfOrder: 0 });
        expect(seen.waited).toBeGreaterThan(50);
      });
    }

    test(`${flavour}: runs beside readers that came later (${RUNS} schedules)`, () => {
      expect(regionsAndCallbacks(options, "rcu_read_lock").overlapped).toBeGreaterThan(50);
    });
  }

  for (const region of ["preempt_disable", "spin_lock"] as const) {
    test(`classic: never runs while a ${region} region of then is still open (${RUNS} schedules)`, () => {
      const seen = regionsAndCallbacks(CLASSIC, region);
      expect(seen).toMatchObject({ callbacks: 3 * RUNS, early: 0, elsewhere: 0, outOfOrder: 0 });
      expect(seen.waited).toBeGreaterThan(50);
    });

    test(`PREEMPT_RCU: ${region} alone is no protection (${RUNS} schedules)`, () => {
      const seen = regionsAndCallbacks(PREEMPTIBLE, region);
      expect(seen).toMatchObject({ callbacks: 3 * RUNS, elsewhere: 0, outOfOrder: 0 });
      expect(seen.early).toBeGreaterThan(50);
    });
  }
});

describe("classic", () => {
  test("R2: no reader is open, but the callback waits until every CPU has called schedule()", () => {
    const stage = play(CLASSIC, calls_and_schedules, loops).play("c0 c1:1 s0*3");
    expect(stage.possible()).not.toContain("q0");
    stage.play("s0");
    expect(stage.possible()).not.toContain("q0");
    stage.stepTo(1, SCHEDULE);
    expect(stage.possible()).not.toContain("q0");
    stage.play("s1");
    expect(stage.possible()).toContain("q0");
  });

  test("R2: a CPU that is preempted has called schedule(), too", () => {
    const stage = play({ ...CLASSIC, cpus: 2 }, calls_and_schedules, loops, loops, loops).play("c0 c1:1 s0*4 s1");
    expect(stage.possible()).not.toContain("q0");
    stage.play("p1");
    expect(stage.possible()).toContain("q0");
  });

  test("R2: a quiescent state before the call_rcu does not count", () => {
    const schedules_first = kernel(function* schedules_first() {
      yield* schedule();
      for (let i = 0; i < 5; i++) yield* smp_mb();
    });
    const stage = play(CLASSIC, calls_and_schedules, schedules_first).play("c0 c1:1 s1 c1:1 s0*4");
    expect(stage.possible()).not.toContain("q0");
  });

  test("R2: a task that waits for a CPU does not hold it back, wherever it was preempted", () => {
    const stage = play({ ...CLASSIC, cpus: 1 }, calls_and_schedules, loops).play("c0:1 s0 p0 c0 s0*4");
    expect(stage.context("b").onRunqueue).toBe(true);
    expect(stage.possible()).toContain("q0");
    stage.play("q0");
    expect(stage.machine.notes.map((row) => row.subject)).toEqual(["callback"]);
    expect(stage.context("b").onRunqueue).toBe(true);
  });

  test("R3: a reader that began after the grace period does not hold it back", () => {
    const stage = play(CLASSIC, calls_and_schedules, loops, reads).play("c0 c1:1 s0*4").stepTo(1, SCHEDULE).play("s1");
    stage.play("c0:2 s0");
    expect(stage.context("c").rcuDepth).toBe(1);
    stage.play("q0");
    expect(stage.machine.notes).toHaveLength(1);
  });

  test("R5: a CPU in user mode or idle never holds it back", () => {
    const stays_in_user_mode = kernel(function* stays_in_user_mode() {
      yield* user(1_000_000_000);
    });
    const stage = play({ ...CLASSIC, cpus: 3 }, calls_and_schedules, stays_in_user_mode).play("c1:1 c0 s0*4");
    expect(stage.machine.cpus.map((cpu) => cpu.current?.comm)).toEqual([undefined, "b", undefined]);
    expect(stage.possible()).toContain("q0");
  });

  test("R5: a task that loops with preemption off holds it back for as long as it likes", () => {
    const stays_atomic = kernel(function* stays_atomic() {
      yield* preempt_disable();
      for (let i = 0; i < 300; i++) yield* smp_mb();
      yield* preempt_enable();
    });
    const stage = play(CLASSIC, calls_and_schedules, stays_atomic).play("c0 c1:1 s0*4");
    for (let i = 0; i < 300; i++) expect(stage.play("s1").possible()).not.toContain("q0");
  });

  test("R7: not inside the preempt-off region that queued it", () => {
    const calls_atomically = kernel(function* calls_atomically() {
      yield* preempt_disable();
      yield* call_rcu(root(), ROOT.one, callback);
      yield* smp_mb();
      yield* preempt_enable();
      yield* smp_mb();
      yield* schedule();
    });
    const stage = play({ ...CLASSIC, cpus: 1 }, calls_atomically).play("c0");
    for (let i = 0; i < 7; i++) expect(stage.play("s0").possible()).not.toContain("q0");
    expect(stage.play("s0").possible()).toContain("q0");
  });

  test("R6: as soon as every CPU has passed one, it can run", () => {
    const stage = play({ ...CLASSIC, cpus: 4 }, calls_and_schedules).play("c0 s0*4");
    expect(stage.possible()).toEqual(["c0", "q0", "c1", "c2", "c3"]);
  });
});

describe("PREEMPT_RCU", () => {
  test("P1: a reader that was preempted holds it back, however often others call schedule()", () => {
    const stage = play({ ...PREEMPTIBLE, cpus: 1 }, reads, calls, loops).play("c0 s0 p0 c0:1 s0*4 p0 c0:2");
    stage.stepTo(0, SCHEDULE).play("s0");
    expect(stage.context("a").rcuDepth).toBe(1);
    expect(stage.possible()).not.toContain("q0");
    stage.play("c0 s0");
    expect(stage.possible()).not.toContain("q0");
    stage.play("s0");
    expect(stage.possible()).toContain("q0");
  });

  test("P1: a reader that stage to another CPU holds it back there", () => {
    const stage = play(PREEMPTIBLE, reads, calls, loops).play("c0 s0 p0 c1:1 s1*4");
    expect(stage.context("a").onRunqueue).toBe(true);
    stage.play("s1*4 c1 s1");
    expect(stage.machine.cpus[1]?.current?.comm).toBe("a");
    expect(stage.possible()).not.toContain("q1");
    stage.play("s1");
    expect(stage.possible()).toContain("q1");
  });

  test("P1: a reader in another CPU's softirq holds it back", () => {
    const reads_in_softirq = kernel(function* reads_in_softirq() {
      yield* rcu_read_lock();
      yield* smp_mb();
      yield* rcu_read_unlock();
    });
    const calls_a_reader = kernel(function* calls_a_reader() {
      yield* call_rcu(root(), ROOT.two, reads_in_softirq);
    });
    const stage = play(PREEMPTIBLE, calls_a_reader, calls).play("c0 s0*3 q0 s0 c1:1 s1*3");
    expect(stage.machine.cpus[0]?.softirq?.rcuDepth).toBe(1);
    expect(stage.possible()).not.toContain("q1");
    stage.play("s0*2");
    expect(stage.possible()).toContain("q1");
  });

  test("P2: a spinlock or preempt_disable of then does not hold it back", () => {
    const holds = kernel(function* holds() {
      yield* preempt_disable();
      yield* spin_lock(root(), ROOT.lock);
      yield* smp_mb();
      yield* spin_unlock(root(), ROOT.lock);
      yield* preempt_enable();
    });
    const stage = play(PREEMPTIBLE, calls, holds).play("c1:1 s1*2 c0 s0*3");
    expect(stage.context("b").heldLock).toHaveLength(1);
    expect(stage.possible()).toContain("q0");
  });

  test("P3: a CPU that has had its interrupts off since before holds it back, one that turned them off later does not", () => {
    const irqs_off = kernel(function* irqs_off() {
      yield* local_irq_disable();
      yield* smp_mb();
      yield* local_irq_enable();
    });
    const before = play(PREEMPTIBLE, calls, irqs_off).play("c0 c1:1 s1 s0*3");
    expect(before.possible()).not.toContain("q0");
    expect(before.play("s1*2").possible()).toContain("q0");
    expect(play(PREEMPTIBLE, calls, irqs_off).play("c0 c1:1 s0*3 s1").possible()).toContain("q0");
  });

  test("P4: no schedule() is needed, not even on the CPU itself", () => {
    const stage = play(PREEMPTIBLE, calls, loops).play("c0 c1:1 s1 s0*3");
    expect(stage.possible()).toContain("q0");
    stage.play("q0");
    expect(stage.machine.cpus[0]?.softirq?.comm).toBe("a");
    expect(stage.machine.cpus[0]?.current?.comm).toBe("a");
  });
});

for (const [flavour, options] of FLAVOURS) {
  describe(`callbacks, ${flavour}`, () => {
    const calls_three = kernel(function* calls_three() {
      for (const head of [ROOT.one, ROOT.two, ROOT.three]) yield* call_rcu(root(), head, tells);
      yield* schedule();
      for (let i = 0; i < 9; i++) yield* smp_mb();
    });
    const tells = kernel(function* tells(rhead: Ptr) {
      yield* note("callback", rhead, 0);
      yield* smp_mb();
    });

    test("run in the order of their call_rcu, one after the other, on top of the task (100 schedules)", () => {
      for (let seed = 0; seed < 100; seed++) {
        const stage = play({ ...options, cpus: 1 }, calls_three).toEnd(stepwise(seed));
        const at = (stage.machine.globals as { root: Ptr }).root;
        const heads = [ROOT.one, ROOT.two, ROOT.three].map((head) => at + (stage.machine.offset[head.id] as number));
        expect(stage.machine.notes.map((row) => row.pointer)).toEqual(heads);
      }
    });

    test("do not interrupt each other, and nothing but the callback steps on their CPU", () => {
      const stage = play({ ...options, cpus: 1 }, calls_three)
        .play("c0")
        .stepTo(0, SCHEDULE)
        .play("s0 c0 q0");
      expect(stage.machine.cpus[0]?.softirq).toMatchObject({ softirq: true, preemptCount: 0x100, pid: 1 });
      expect(stage.possible()).toEqual(["s0"]);
      expect(stage.play("s0").possible()).toEqual(["s0", "q0"]);
    });

    test("do not run while their CPU has its interrupts off", () => {
      const calls_then_disables = kernel(function* calls_then_disables() {
        yield* call_rcu(root(), ROOT.one, callback);
        yield* schedule();
        yield* local_irq_disable();
        yield* smp_mb();
        yield* local_irq_enable();
        yield* smp_mb();
      });
      const stage = play({ ...options, cpus: 1 }, calls_then_disables).play("c0 s0*4 c0");
      expect(stage.possible()).toContain("q0");
      expect(stage.play("s0").possible()).toEqual(["s0"]);
      expect(stage.play("s0").possible()).toEqual(["s0"]);
      expect(stage.play("s0").possible()).toEqual(["s0", "q0"]);
    });

    test("have no task below them on an idle CPU: swapper, pid 0", () => {
      const stage = play({ ...options, cpus: 1 }, calls_and_schedules).play("c0 s0*4 q0");
      expect(stage.machine.cpus[0]?.softirq).toMatchObject({ comm: "swapper", pid: 0 });
    });

    test("stay with the CPU of the call_rcu when the task moves on", () => {
      const stage = play({ ...options, cpus: 2 }, calls_and_schedules).play("c0 s0*4 c1");
      expect(stage.machine.cpus.map((cpu) => cpu.rcuQueue.length)).toEqual([1, 0]);
      expect(stage.possible().filter((word) => word.startsWith("q"))).toEqual(["q0"]);
    });
  });
}

describe("call_rcu", () => {
  test("stores the function, then NULL, then links itself behind the one before", () => {
    const calls_two = kernel(function* calls_two() {
      yield* call_rcu(root(), ROOT.one, callback);
      yield* call_rcu(root(), ROOT.two, callback);
    });
    const stage = play({ ...CLASSIC, cpus: 1 }, calls_two);
    const { machine } = stage;
    const at = (machine.globals as { root: Ptr }).root;
    machine.poke(at, ROOT.one.next, 1);
    machine.poke(at, ROOT.two.next, 1);
    const words = (): number[] =>
      [ROOT.one.func, ROOT.one.next, ROOT.two.func, ROOT.two.next].map((field) => machine.peek(at, field));
    const func = machine.symbols.base("callback");
    const two = at + (machine.offset[ROOT.two.id] as number);
    stage.play("c0");
    expect(words()).toEqual([0, 1, 0, 1]);
    const seen: number[][] = [];
    for (let i = 0; i < 6; i++) {
      stage.play("s0");
      seen.push(words());
    }
    expect(seen).toEqual([
      [func, 1, 0, 1],
      [func, 0, 0, 1],
      [func, 0, 0, 1],
      [func, 0, func, 1],
      [func, 0, func, 0],
      [func, two, func, 0],
    ]);
    expect(func).toBeLessThan(0);
  });

  test("calls what the memory says: a function pointer made of poison is a general protection fault", () => {
    const stage = play({ ...PREEMPTIBLE, cpus: 1 }, calls).play("c0 s0*3");
    const at = (stage.machine.globals as { root: Ptr }).root;
    const head = at + (stage.machine.offset[ROOT.one.func.id] as number);
    stage.machine.memory.bytes.fill(0x6b, head - 0x7c000000, head - 0x7c000000 + 8);
    stage.play("q0");
    expect(stage.titles()).toEqual(["general protection fault"]);
    expect(stage.machine.findings[0]).toMatchObject({
      kind: "paging-fault",
      function: "rcu_process_callbacks",
      details: { fault: "general", address: "6b6b6b6b6b6b6b6b" },
    });
  });

  test("calls the function that was queued, even when another one has the same name", () => {
    const first = kernel(function* same_name() {
      yield* note("first", 0, 0);
    });
    const second = kernel(function* same_name() {
      yield* note("second", 0, 0);
    });
    const calls_both = kernel(function* calls_both() {
      yield* call_rcu(root(), ROOT.one, first);
      yield* call_rcu(root(), ROOT.two, second);
    });
    const stage = play({ ...PREEMPTIBLE, cpus: 1 }, calls_both).toEnd();
    expect(stage.machine.notes.map((row) => row.subject)).toEqual(["first", "second"]);
  });

  test("faults when the page of the rcu_head has gone, under DEBUG_PAGEALLOC", () => {
    const frees_its_page = kernel(function* frees_its_page() {
      const objects: Ptr[] = [];
      for (let i = 0; i < 4096 / 24; i++) objects.push(yield* kmem_cache_alloc(world().cache));
      const [obj] = objects as [Ptr];
      yield* call_rcu(obj, OBJ.rcu, callback);
      for (const each of objects.slice(0, Math.floor(4096 / 24))) yield* kmem_cache_free(world().cache, each);
    });
    const options = { cpus: 1, checks: [], config: { PREEMPT_RCU: true, DEBUG_PAGEALLOC: true } };
    const stage = play(options, frees_its_page).toEnd();
    expect(stage.machine.findings[0]).toMatchObject({ kind: "paging-fault", function: "rcu_process_callbacks" });
    expect(stage.titles()[0]).toMatch(/^BUG: unable to handle kernel paging request at ffff8801[0-9a-f]{8}$/);
  });
});

describe("synchronize_rcu", () => {
  const unpublishes = kernel(function* unpublishes(waits: boolean) {
    const obj = yield* kmem_cache_alloc(world().cache);
    yield* store(root(), ROOT.slot, obj);
    yield* store(root(), ROOT.slot, 0);
    if (waits) yield* synchronize_rcu();
    yield* kmem_cache_free(world().cache, obj);
  });
  const looks_up = kernel(function* looks_up() {
    yield* rcu_read_lock();
    const obj = yield* load(root(), ROOT.slot);
    if (obj !== 0) yield* load(obj, OBJ.value);
    yield* rcu_read_unlock();
  });
  const program = (options: TinyOptions, waits: boolean) =>
    tiny((machine) => {
      setup(looks_up, looks_up)(machine);
      machine.spawn(0, { comm: "c" }, unpublishes, waits);
    }, options);

  for (const [flavour, options] of FLAVOURS) {
    test(`${flavour}: waits for every reader of then (${RUNS} schedules), and the wait is needed`, () => {
      const without = randomFindings(program(options, false), RUNS).map((finding) => finding.title);
      expect(new Set(without)).toEqual(new Set(["BUG: KASAN: use-after-free in looks_up"]));
      expect(randomFindings(program(options, true), RUNS)).toEqual([]);
    });

    test(`${flavour}: a wake-up from elsewhere does not end it early`, () => {
      const waits = kernel(function* waits() {
        yield* synchronize_rcu();
        yield* note("over", 0, 0);
        yield* smp_mb();
      });
      const wakes = kernel(function* wakes() {
        yield* wake_up_state(yield* load(root(), ROOT.sleeper), 3);
      });
      const stage = play({ ...options, cpus: 3 }, waits, reads, wakes).play("c1:1 s1 c0 s0 c2:2 s2*2");
      expect(stage.context("a").onRunqueue).toBe(true);
      stage.play("c0 s0");
      expect(stage.machine.notes).toEqual([]);
      expect(stage.machine.peekState(stage.context("a").task)).toBe(2);
      expect(stage.possible().filter((word) => word.startsWith("q"))).toEqual([]);
      stage.toEnd();
      expect(stage.machine.notes.map((row) => row.subject)).toEqual(["over"]);
      expect(stage.titles()).toEqual([]);
    });

    test(`${flavour}: a grace period that ends while the woken task waits for a CPU is not slept through`, () => {
      const waits = kernel(function* waits_anyhow() {
        yield* mod_timer(5);
        yield* synchronize_rcu();
        yield* note("over", 0, 0);
      });
      for (let seed = 0; seed < 200; seed++) {
        const stage = play(options, waits, reads, loops).toEnd(stepwise(seed));
        expect(stage.machine.notes.map((row) => row.subject)).toEqual(["over"]);
        expect(stage.titles()).toEqual([]);
      }
    });
  }

  test("sleeps uninterruptibly and is woken by the softirq of its CPU", () => {
    const waits = kernel(function* waits_once() {
      yield* synchronize_rcu();
    });
    const stage = play({ ...CLASSIC, cpus: 1 }, waits).play("c0 s0");
    expect(stage.machine.peekState(stage.context("a").task)).toBe(2);
    expect(stage.possible()).toEqual(["q0"]);
    stage.play("q0");
    expect(stage.machine.peekState(stage.context("a").task)).toBe(0);
    expect(stage.play("c0").context("a").finished).toBe(true);
  });
});
