/** Scheduling: who runs where, when a task can lose its CPU, and how it sleeps and is woken. */
import { describe, expect, test } from "vitest";
import { eventCpu, eventType, PREEMPT } from "./event.ts";
import { plain_task, spinlock_t, thread_info } from "./kernelStructs.ts";
import { pokeLock } from "./locks.ts";
import { type Machine, TICK } from "./machine.ts";
import {
  COND_RESCHED,
  globalsOf,
  type KernelFunction,
  kernel,
  type Ptr,
  SCHEDULE,
  UPDATE,
  USER,
  WAIT_INACTIVE,
} from "./op.ts";
import {
  add,
  choose,
  cond_resched,
  current,
  kick_process,
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
  spawn,
  spin_lock,
  spin_unlock,
  store,
  sys_sched_yield,
  user,
  wait_task_inactive,
  wake_up_state,
} from "./primitives.ts";
import { ptr, struct, u32, ulong } from "./struct.ts";
import { Stage, stepwise, type TinyOptions, tiny } from "./tinyProgram.ts";

const RUNS = 500;
const TASK_RUNNING = 0;
const TASK_INTERRUPTIBLE = 1;
const TASK_UNINTERRUPTIBLE = 2;
const TASK_STOPPED = 4;
const TASK_TRACED = 8;
const TASK_WAKEKILL = 128;
const TASK_NORMAL = TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE;
const STATE = plain_task.fields.state;

const ROOT_T = struct("root", { lock: spinlock_t, counter: u32, flag: ulong, first: ptr, second: ptr });
const ROOT = ROOT_T.fields;
const world = globalsOf<{ root: Ptr; info: readonly Ptr[] }>();
const root = (): Ptr => world().root;
type Main = KernelFunction<[], void>;

const setup =
  (...mains: Main[]) =>
  (machine: Machine): void => {
    const at = machine.allocStaticStruct(ROOT_T);
    pokeLock(machine, at + (machine.offset[ROOT.lock.id] as number), spinlock_t);
    const info: Ptr[] = [];
    machine.globals = { root: at, info };
    mains.forEach((main, i) => {
      const task = machine.spawn(0, { comm: "abcd"[i] as string }, main);
      info.push(machine.threadInfo(task));
      if (i < 2) machine.poke(at, i === 0 ? ROOT.first : ROOT.second, task);
    });
  };
const play = (options: TinyOptions, ...mains: Main[]): Stage => new Stage(tiny(setup(...mains), options));
const ONE_CPU: TinyOptions = { cpus: 1 };
const stateOf = (stage: Stage, comm: string): number => stage.machine.peekState(stage.context(comm).task);

const loops = kernel(function* loops() {
  for (let i = 0; i < 6; i++) yield* smp_mb();
});
const setState = (state: number) => store(current(), STATE, state);
const sleepsIn = (state: number): Main =>
  kernel(function* sleeps() {
    yield* setState(state);
    yield* schedule();
    yield* note("awake", 0, 0);
    yield* smp_mb();
  });
const wakesWith = (mask: number): Main =>
  kernel(function* wakes() {
    const woke = yield* wake_up_state(yield* load(root(), ROOT.first), mask);
    yield* note("woke", 0, woke);
  });

describe("a wake-up", () => {
  for (const [state, mask, wakes] of [
    [TASK_INTERRUPTIBLE, TASK_INTERRUPTIBLE, true],
    [TASK_UNINTERRUPTIBLE, TASK_INTERRUPTIBLE, false],
    [TASK_UNINTERRUPTIBLE, TASK_NORMAL, true],
    [TASK_STOPPED, TASK_NORMAL, false],
    [TASK_TRACED, TASK_NORMAL, false],
    [TASK_TRACED, TASK_STOPPED, false],
    [TASK_TRACED, TASK_TRACED, true],
    [TASK_TRACED | TASK_WAKEKILL, TASK_WAKEKILL, true],
    [TASK_RUNNING, 0xffff, false],
  ] as const) {
    test(`of mask ${mask} ${wakes ? "wakes" : "does nothing to"} a task in state ${state}`, () => {
      const stage = play({ checks: [] }, sleepsIn(state), wakesWith(mask)).play("c0 s0 s0 c1:1 s1 s1");
      expect(stage.machine.notes.find((row) => row.subject === "woke")?.value).toBe(wakes ? 1 : 0);
      expect(stateOf(stage, "a")).toBe(wakes ? TASK_RUNNING : state);
      expect(stage.context("a").onRunqueue).toBe(wakes || state === TASK_RUNNING);
    });
  }

  test("between the state and the sleep is not lost: schedule() goes on", () => {
    const stage = play({}, sleepsIn(TASK_UNINTERRUPTIBLE), wakesWith(TASK_NORMAL)).play("c0 c1:1 s0 s1 s1");
    expect(stateOf(stage, "a")).toBe(TASK_RUNNING);
    stage.play("s0");
    expect(stage.context("a").onRunqueue).toBe(true);
    expect(stage.toEnd().titles()).toEqual([]);
  });

  test("before the state is lost: nothing remembers it", () => {
    const stage = play({}, sleepsIn(TASK_UNINTERRUPTIBLE), wakesWith(TASK_NORMAL)).play("c0 c1:1 s1 s1 s0 s0");
    expect(stage.context("a").onRunqueue).toBe(false);
    expect(stage.toEnd().titles()).toEqual(["INFO: task a/1 blocked for more than 120 seconds."]);
  });

  test("of a task on its CPU or on a run queue only sets it running, and does not queue it twice", () => {
    const stage = play({}, sleepsIn(TASK_UNINTERRUPTIBLE), wakesWith(TASK_NORMAL), loops);
    stage.play("c0 c1:1 s0 p0 s1 s1");
    expect(stage.context("a").onRunqueue).toBe(true);
    expect(stateOf(stage, "a")).toBe(TASK_RUNNING);
    expect(stage.possible().filter((word) => word === "c0")).toEqual(["c0"]);
  });
});

describe("schedule()", () => {
  test("of a sleeping task: what follows it happens when the task has a CPU again, not before", () => {
    const stage = play(ONE_CPU, sleepsIn(TASK_UNINTERRUPTIBLE), wakesWith(TASK_NORMAL)).play("c0 s0 s0");
    expect(stage.context("a").kind).toBe(SCHEDULE);
    expect(stage.machine.notes).toEqual([]);
    stage.play("c0:1 s0 s0");
    expect(stage.machine.notes.map((row) => row.subject)).toEqual(["woke"]);
    stage.play("c0");
    expect(stage.machine.notes.map((row) => row.subject)).toEqual(["woke", "awake"]);
  });

  test("as the last thing of a task: it is asleep, not over", () => {
    const sleeps_last = kernel(function* sleeps_last() {
      yield* setState(TASK_UNINTERRUPTIBLE);
      yield* schedule();
    });
    const stage = play(ONE_CPU, sleeps_last).play("c0 s0 s0");
    expect(stage.context("a").finished).toBe(false);
    expect(stage.toEnd().machine.findings).toMatchObject([{ kind: "hung-task", function: "sleeps_last" }]);
  });

  test("of a running task puts it at the end of the queue, and the CPU chooses again", () => {
    const schedules = kernel(function* schedules() {
      yield* schedule();
      yield* smp_mb();
    });
    const stage = play(ONE_CPU, schedules, schedules).play("c0 s0");
    expect(stage.possible()).toEqual(["c0", "c0:1"]);
    expect(stage.context("a").queuedAt).toBeGreaterThan(stage.context("b").queuedAt);
  });

  test("does not sleep while a signal is pending that the state lets through", () => {
    const asked: [Ptr, number][] = [];
    const signalPending = (_machine: Machine, task: Ptr, state: number): boolean => {
      asked.push([task, state]);
      return (state & TASK_INTERRUPTIBLE) !== 0;
    };
    const stage = play({ signalPending }, sleepsIn(TASK_INTERRUPTIBLE), sleepsIn(TASK_UNINTERRUPTIBLE));
    stage.play("c0 c1:1 s0*2 s1*2");
    expect([stateOf(stage, "a"), stateOf(stage, "b")]).toEqual([TASK_RUNNING, TASK_UNINTERRUPTIBLE]);
    expect([stage.context("a").onRunqueue, stage.context("b").onRunqueue]).toEqual([true, false]);
    expect(asked).toEqual([
      [stage.context("a").task, TASK_INTERRUPTIBLE],
      [stage.context("b").task, TASK_UNINTERRUPTIBLE],
    ]);
  });

  test("turns interrupts on, whatever they were", () => {
    const schedules_with_irqs_off = kernel(function* schedules_with_irqs_off() {
      yield* local_irq_disable();
      yield* schedule();
      yield* smp_mb();
    });
    const stage = play({ ...ONE_CPU, checks: [] }, schedules_with_irqs_off).play("c0 s0");
    expect(stage.machine.cpus[0]?.irqOff).toBe(true);
    stage.play("s0");
    expect(stage.machine.cpus[0]?.irqOff).toBe(false);
  });

  test("yield() sets the task running whatever its state, and it stays on the queue", () => {
    const yields = kernel(function* yields() {
      yield* setState(TASK_UNINTERRUPTIBLE);
      yield* sys_sched_yield();
      yield* smp_mb();
    });
    const stage = play(ONE_CPU, yields).play("c0 s0 s0");
    expect(stateOf(stage, "a")).toBe(TASK_RUNNING);
    expect(stage.possible()).toEqual(["c0"]);
  });
});

describe("preemption", () => {
  test("PREEMPT_ACTIVE: a preempted task stays on the run queue, though its state says it sleeps", () => {
    const stage = play(ONE_CPU, sleepsIn(TASK_TRACED), loops).play("c0 s0 p0");
    expect(stateOf(stage, "a")).toBe(TASK_TRACED);
    expect(stage.context("a")).toMatchObject({ onRunqueue: true, preempted: true });
    stage.play("c0");
    expect(stateOf(stage, "a")).toBe(TASK_TRACED);
    expect(stage.context("a")).toMatchObject({ onRunqueue: false, preempted: false });
    stage.play("s0");
    expect(stage.context("a").onRunqueue).toBe(false);
    expect(stage.possible()).toEqual(["c0:1"]);
  });

  test("a task woken while it is preempted does not sleep in the schedule() that follows", () => {
    const stage = play(ONE_CPU, sleepsIn(TASK_TRACED), wakesWith(TASK_TRACED)).play("c0 s0 p0 c0:1 s0 s0 c0 s0");
    expect(stage.context("a").onRunqueue).toBe(true);
    expect(stage.toEnd().titles()).toEqual([]);
  });

  test("there is nobody to preempt for: no preemption", () => {
    expect(play({ cpus: 2 }, loops, loops).play("c0 c1:1").possible()).toEqual(["s0", "s1"]);
    expect(play({ cpus: 2 }, loops, loops, loops).play("c0 c1:1").possible()).toEqual(["s0", "p0", "s1"]);
  });

  test("is possible exactly where preempt_count is 0 and interrupts are on", () => {
    const goes_through_all = kernel(function* goes_through_all() {
      yield* smp_mb();
      yield* preempt_disable();
      yield* preempt_disable();
      yield* preempt_enable();
      yield* preempt_enable();
      yield* spin_lock(root(), ROOT.lock);
      yield* spin_unlock(root(), ROOT.lock);
      yield* local_irq_disable();
      yield* local_irq_enable();
      yield* rcu_read_lock();
      yield* rcu_read_unlock();
      yield* smp_mb();
    });
    const where = (options: TinyOptions): string => {
      const stage = play({ ...ONE_CPU, ...options }, goes_through_all, loops).play("c0");
      let seen = "";
      while (!stage.context("a").finished) {
        seen += stage.possible().includes("p0") ? "p" : "-";
        stage.play("s0");
      }
      return seen;
    };
    expect(where({ config: { PREEMPT: true } })).toBe("pp---p-p-p-p");
    expect(where({ config: { PREEMPT: true, PREEMPT_RCU: true } })).toBe("pp---p-p-ppp");
    expect(where({ config: { PREEMPT: false } })).toBe("------------");
  });

  test("PREEMPT=n: only in user mode and at cond_resched()", () => {
    const goes_everywhere = kernel(function* goes_everywhere() {
      yield* smp_mb();
      yield* cond_resched();
      yield* smp_mb();
      yield* user(1000);
      yield* smp_mb();
      yield* preempt_disable();
      yield* cond_resched();
      yield* preempt_enable();
    });
    const kinds = new Set<number>();
    for (let seed = 0; seed < RUNS; seed++) {
      const { machine } = play({ config: { PREEMPT: false } }, goes_everywhere, goes_everywhere, goes_everywhere);
      const strategy = stepwise(seed);
      while (machine.collect() > 0) {
        for (const event of machine.events.subarray(0, machine.eventCount)) {
          if (eventType(event) !== PREEMPT) continue;
          const context = machine.cpus[eventCpu(event)]?.current;
          kinds.add(context?.kind ?? -1);
          expect(context?.preemptCount).toBe(0);
        }
        machine.apply(strategy.pick(machine));
      }
    }
    expect([...kinds].sort()).toEqual([COND_RESCHED, USER].sort());
  });

  test("does not come between the load and the store of one instruction, but another CPU does", () => {
    const adds = kernel(function* adds() {
      yield* add(root(), ROOT.counter, 1);
    });
    const stage = play({}, adds, adds, loops).play("c0 c1:1");
    expect(stage.possible()).toEqual(["s0", "p0", "s1"]);
    stage.play("s0");
    expect(stage.context("a")).toMatchObject({ kind: UPDATE, phase: 1 });
    expect(stage.possible()).toEqual(["s0", "s1"]);
  });

  test("a preempted task can go on elsewhere, as soon as another CPU has nothing to do of its own", () => {
    const stage = play({}, loops, loops, loops).play("c0 s0 p0 c0:2");
    // b waits for CPU 1, so CPU 1 takes that first.
    expect(stage.possible().filter((word) => word.startsWith("c1"))).toEqual(["c1:1"]);
    stage.play("c1:1").play("s1*6");
    expect(stage.possible().filter((word) => word.startsWith("c1"))).toEqual(["c1"]);
    expect(stage.play("c1").context("a").cpu).toBe(1);
  });
});

describe("timers", () => {
  const sleeps_for = (jiffies: number): Main =>
    kernel(function* sleeps_for() {
      yield* setState(TASK_UNINTERRUPTIBLE);
      yield* mod_timer(jiffies);
      yield* schedule();
      yield* mod_timer(0);
    });

  test("wake their task, and virtual time is then no earlier than asked for", () => {
    const stage = play(ONE_CPU, sleeps_for(50)).play("c0 s0 s0 s0");
    expect(stage.possible()).toEqual(["t0"]);
    stage.play("t0");
    expect(stage.machine.now).toBeGreaterThanOrEqual(50 * TICK);
    expect(stateOf(stage, "a")).toBe(TASK_RUNNING);
    expect(stage.possible()).toEqual(["c0"]);
  });

  test("wake any sleep, traced or stopped: process_timeout calls wake_up_process", () => {
    for (const state of [TASK_TRACED, TASK_STOPPED]) {
      const sleeps = kernel(function* sleeps_with_a_timer() {
        yield* setState(state);
        yield* mod_timer(1);
        yield* schedule();
      });
      expect(play(ONE_CPU, sleeps).play("c0 s0 s0 s0 t0 c0").context("a").finished).toBe(true);
    }
  });

  test("may expire at any moment after they are armed, once", () => {
    const stage = play(ONE_CPU, sleeps_for(5)).play("c0 s0 s0");
    expect(stage.possible()).toEqual(["s0", "t0"]);
    stage.play("t0");
    expect(stateOf(stage, "a")).toBe(TASK_RUNNING);
    expect(stage.possible()).toEqual(["s0"]);
  });

  test("that were disarmed do not expire", () => {
    const arms_and_disarms = kernel(function* arms_and_disarms() {
      yield* mod_timer(5);
      yield* mod_timer(7);
      yield* mod_timer(0);
      yield* mod_timer(0);
      yield* smp_mb();
    });
    const stage = play(ONE_CPU, arms_and_disarms).play("c0");
    const seen: boolean[] = [];
    while (!stage.context("a").finished) seen.push(stage.play("s0").possible().includes("t0"));
    expect(seen).toEqual([true, true, false, false, false]);
  });

  test("do not expire while their CPU has its interrupts off", () => {
    const arms_with_irqs_off = kernel(function* arms_with_irqs_off() {
      yield* local_irq_disable();
      yield* mod_timer(5);
      yield* local_irq_enable();
      yield* smp_mb();
    });
    const stage = play(ONE_CPU, arms_with_irqs_off).play("c0 s0 s0");
    expect(stage.possible()).toEqual(["s0"]);
    expect(stage.play("s0").possible()).toEqual(["s0", "t0"]);
  });

  test("of a task that is over do not expire", () => {
    const arms_and_ends = kernel(function* arms_and_ends() {
      yield* mod_timer(5);
    });
    expect(play(ONE_CPU, arms_and_ends).play("c0 s0").possible()).toEqual([]);
  });
});

describe("user mode", () => {
  const in_user_mode = kernel(function* in_user_mode() {
    const interrupted = yield* user(1000);
    yield* note("back", 0, interrupted);
    yield* smp_mb();
  });
  const sets_a_flag = kernel(function* sets_a_flag() {
    yield* smp_mb();
    yield* store(world().info[0] ?? 0, thread_info.fields.flags, 4);
    yield* smp_mb();
  });

  test("is left by itself with 0, or for an interrupt with 1", () => {
    const stage = play(ONE_CPU, in_user_mode).play("c0 s0");
    expect(stage.machine.notes.map((row) => row.value)).toEqual([0]);
    const other = play({}, in_user_mode, sets_a_flag).play("c0 c1:1 s1*2 i0");
    expect(other.machine.notes.map((row) => row.value)).toEqual([1]);
  });

  test("is interrupted only while a work flag is set, seen with the very next step of another CPU's store", () => {
    const stage = play({}, in_user_mode, sets_a_flag).play("c0 c1:1 s1");
    expect(stage.possible()).toEqual(["s0", "s1"]);
    expect(stage.play("s1").possible()).toEqual(["s0", "i0", "s1"]);
  });

  test("kernel code is not interrupted by the flag", () => {
    const stage = play({}, loops, sets_a_flag).play("c0 c1:1 s1*2");
    expect(stage.possible()).toEqual(["s0", "s1"]);
  });

  test("takes its nanoseconds of virtual time when it is left by itself", () => {
    const stage = play(ONE_CPU, in_user_mode).play("c0");
    const before = stage.machine.now;
    expect(stage.play("s0").machine.now - before).toBeGreaterThanOrEqual(1000);
  });

  test("kick_process sends an interrupt to the CPU of the task, if it is another one", () => {
    const kicks = kernel(function* kicks() {
      yield* kick_process(yield* load(root(), ROOT.first));
    });
    const pending = (stage: Stage): boolean[] => stage.machine.cpus.map((cpu) => cpu.ipiPending);
    expect(pending(play({}, in_user_mode, kicks).play("c0 c1:1 s1*2"))).toEqual([true, false]);
    expect(pending(play({}, in_user_mode, kicks).play("c1:1 s1*2"))).toEqual([false, false]);
    const kicks_itself = kernel(function* kicks_itself() {
      yield* kick_process(current());
      yield* smp_mb();
    });
    expect(pending(play({}, kicks_itself).play("c0 s0"))).toEqual([false, false]);
    expect(pending(play({}, in_user_mode, sets_a_flag, kicks).play("c0 c1:1 s1*3 c1:2 s1*2 i0"))).toEqual([
      false,
      false,
    ]);
  });
});

describe("wait_task_inactive", () => {
  const waits = kernel(function* waits() {
    const switches = yield* wait_task_inactive(yield* load(root(), ROOT.first), TASK_TRACED);
    yield* note("inactive", 0, switches);
  });
  const result = (stage: Stage): number[] =>
    stage.machine.notes.filter((n) => n.subject === "inactive").map((n) => n.value);

  test("goes on when the task is off its CPU and off the queue, with a number above 0", () => {
    const stage = play({}, sleepsIn(TASK_TRACED), waits).play("c0 s0 c1:1 s1");
    expect(stage.possible()).toEqual(["s0"]);
    expect(stage.play("s0").possible()).toEqual(["s1"]);
    expect(result(stage.play("s1"))).toEqual([2]);
  });

  test("goes on with 0 as soon as the state is another one, even while the task runs", () => {
    const changes_its_mind = kernel(function* changes_its_mind() {
      yield* setState(TASK_TRACED);
      yield* setState(TASK_RUNNING);
      yield* smp_mb();
    });
    const stage = play({}, changes_its_mind, waits).play("c0 s0 c1:1 s1");
    expect(stage.possible()).toEqual(["s0"]);
    expect(result(stage.play("s0 s1"))).toEqual([0]);
  });

  test("waits for a preempted task, which is still on the queue", () => {
    const stage = play({}, sleepsIn(TASK_TRACED), waits, loops).play("c0 s0 p0 c0:2 c1:1 s1");
    expect(stage.possible()).not.toContain("s1");
    stage.play("s0*6 c0 s0");
    expect(result(stage.play("s1"))).toEqual([3]);
  });

  test("gives a task that is over as inactive, with 0", () => {
    expect(result(play({}, loops, waits).play("c0 s0*6 c1:1 s1*2"))).toEqual([0]);
  });

  for (const preempt of [true, false]) {
    test(`PREEMPT=${preempt ? "y" : "n"}: lets the task run that it waits for, on a single CPU (${RUNS} schedules)`, () => {
      for (let seed = 0; seed < RUNS; seed++) {
        const stage = play(
          { ...ONE_CPU, config: { PREEMPT: preempt } },
          kernel(function* traced_for_a_while() {
            yield* setState(TASK_TRACED);
            yield* user(1);
            yield* mod_timer(10);
            yield* schedule();
          }),
          waits,
        ).toEnd(stepwise(seed));
        expect(stage.titles()).toEqual([]);
        expect(result(stage)).toHaveLength(1);
      }
    });
  }

  test("PREEMPT=n: a task that spins there because the other one runs keeps its CPU", () => {
    const stage = play({ config: { PREEMPT: false } }, sleepsIn(TASK_TRACED), waits, loops, loops);
    stage.play("c0 s0 c1:1").stepTo(1, WAIT_INACTIVE);
    expect(stage.possible()).toEqual(["s0"]);
  });
});

describe("tasks", () => {
  test("a task made to sleep does not run before wake_up_new_task", () => {
    const parent = kernel(function* parent() {
      const child = yield* spawn(0, { comm: "child", pid: 77, sleeping: true }, loops);
      yield* smp_mb();
      const woke = yield* wake_up_state(child, 0);
      yield* note("woke", child, woke);
    });
    const stage = play(ONE_CPU, parent).play("c0 s0");
    expect(stage.context("child")).toMatchObject({ pid: 77, onRunqueue: false });
    expect(stage.possible()).toEqual(["s0"]);
    stage.play("s0 s0");
    expect(stage.machine.notes).toMatchObject([{ subject: "woke", pointer: stage.context("child").task, value: 1 }]);
    expect(stage.possible()).toEqual(["c0:1"]);
  });

  test("a task without a single step is over at once", () => {
    const does_nothing = kernel(function* does_nothing() {});
    const stage = play(ONE_CPU, does_nothing);
    expect(stage.possible()).toEqual([]);
    expect(stage.toEnd().titles()).toEqual([]);
  });

  test("a new task's own struct is zeroed, wherever its memory has been before", () => {
    const spawns_many = kernel(function* spawns_many() {
      for (let i = 0; i < 20; i++) yield* spawn(0, { comm: `child${i}` }, loops);
    });
    const stage = play({ cpus: 1 }, spawns_many);
    const page = stage.machine.memory.allocPage();
    stage.machine.memory.bytes.fill(0x6b, page - 0x7c000000, page - 0x7c000000 + 4096);
    stage.machine.memory.freePage(page, false);
    stage.play("c0 s0*20");
    expect(stage.machine.contexts.map((context) => stage.machine.peekState(context.task))).toEqual(Array(21).fill(0));
  });

  test("tasks begin on the CPUs in turn, and take the pid they ask for", () => {
    const stage = play({ cpus: 3 }, loops, loops, loops, loops);
    expect(stage.machine.contexts.map(({ cpu, pid }) => [cpu, pid])).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
      [0, 4],
    ]);
    expect(stage.possible()).toEqual(["c0", "c0:3", "c1:1", "c2:2"]);
  });

  test("a task that is over is nobody the machine knows", () => {
    const stage = play(ONE_CPU, loops).play("c0");
    const { task } = stage.context("a");
    expect(stage.machine.taskContext(task)).toBe(stage.context("a"));
    expect(stage.machine.threadInfo(task)).toBe(stage.context("a").threadInfo);
    stage.play("s0*6");
    expect(stage.machine.taskContext(task)).toBeUndefined();
    expect(stage.machine.threadInfo(task)).toBe(0);
  });

  test("sixteen CPUs that all pull from one queue: every switch is on offer", () => {
    const program = tiny(
      (machine) => {
        setup()(machine);
        // Every sixteenth task begins on CPU 0; the others sleep.
        for (let i = 0; i < 320; i++) machine.spawn(0, { comm: `t${i}`, sleeping: i % 16 !== 0 }, loops);
      },
      { cpus: 16 },
    );
    expect(new Set(new Stage(program).possible()).size).toBe(320);
    expect(new Stage(program).play("c15:304 c3").possible()).toHaveLength(2 + 14 * 18);
  });

  test("a choice offers every value, also more of them than there is room for at first", () => {
    const chooses = kernel(function* chooses() {
      yield* note("chosen", 0, yield* choose(1000));
    });
    const stage = play(ONE_CPU, chooses).play("c0");
    expect(stage.possible()).toHaveLength(1000);
    stage.play("s0:999");
    expect(stage.machine.notes.map((row) => row.value)).toEqual([999]);
  });
});
