/** The exploration against brute force: same findings, and its witnesses are real runs. */
import { describe, expect, test } from "vitest";
import { costOf } from "../../cost.ts";
import { findingKey } from "../../finding.ts";
import { plain_task, rcu_head, spinlock_t } from "../../kernelStructs.ts";
import { pokeLock } from "../../locks.ts";
import { container_of, globalsOf, type KernelFunction, kernel, type Ptr } from "../../op.ts";
import {
  add,
  BUG_ON,
  beginRounds,
  call_rcu,
  choose,
  current,
  forget,
  forgetRound,
  kmem_cache_free,
  load,
  mod_timer,
  rcu_dereference,
  rcu_read_lock,
  rcu_read_unlock,
  schedule,
  smp_mb,
  spawn,
  spin_lock,
  spin_unlock,
  stackPop,
  stackPush,
  store,
  sys_sched_yield,
  wait_task_inactive,
  wake_up_state,
} from "../../primitives.ts";
import { execute, type Program } from "../../run.ts";
import type { Cache } from "../../slab.ts";
import { ReplayStrategy } from "../../strategies/replay.ts";
import { type Field, ptr, struct, u32 } from "../../struct.ts";
import { randomRuns, type TinyOptions, tiny } from "../../tinyProgram.ts";
import { exploreMachine, MachineExplorer } from "./explore.ts";

const cell = struct("explored_cell", { a: u32, b: u32, lock: spinlock_t });
const C = cell.fields;

/** A cell and tasks that share it. */
function sharing(mains: readonly KernelFunction<[at: Ptr], void>[], options: TinyOptions = {}): Program {
  return tiny((m) => {
    const at = m.allocStaticStruct(cell);
    pokeLock(m, at + (m.offset[C.lock.id] as number), spinlock_t);
    mains.forEach((main, i) => {
      m.spawn(0, { comm: `task${i}` }, main, at);
    });
  }, options);
}
const increments = kernel(function* increments_plainly(at: Ptr) {
  const before = yield* load(at, C.a);
  yield* store(at, C.a, before + 1);
  yield* add(at, C.b, 1);
  const done = yield* load(at, C.b);
  const value = yield* load(at, C.a);
  yield* BUG_ON(done === 2 && value !== 2, "lost update", "explored.c:1");
});
const incrementsLocked = kernel(function* increments_locked(at: Ptr) {
  yield* spin_lock(at, C.lock);
  yield* increments(at);
  yield* spin_unlock(at, C.lock);
});
const choosesBadly = kernel(function* chooses_badly(at: Ptr) {
  yield* store(at, C.a, yield* choose(3));
  yield* BUG_ON((yield* load(at, C.a)) === 2, "chose 2", "explored.c:2");
});
/** An object that its users may free, or not, while another reads it under RCU. */
const object = struct("explored_object", { value: u32, rcu: rcu_head });
const O = object.fields;
interface Globals {
  readonly cache: Cache;
}
const globals = globalsOf<Globals>();
const freesObject = kernel(function* frees_object(rhead: Ptr) {
  yield* kmem_cache_free(globals().cache, container_of(rhead, O.rcu));
});
const reads = kernel(function* reads_object(at: Ptr) {
  yield* rcu_read_lock();
  const found = yield* rcu_dereference(at, H.object);
  if (found !== 0) yield* load(found, O.value);
  yield* rcu_read_unlock();
});
const readsLate = kernel(function* reads_object_late(at: Ptr) {
  yield* rcu_read_lock();
  const found = yield* rcu_dereference(at, H.object);
  yield* rcu_read_unlock();
  if (found !== 0) yield* load(found, O.value);
});
const removes = kernel(function* removes_object(at: Ptr) {
  const found = yield* load(at, H.object);
  yield* store(at, H.object, 0);
  yield* call_rcu(found, O.rcu, freesObject);
});
const holder = struct("explored_holder", { object: ptr });
const H = holder.fields;

/** A reader and a remover of one object, on one CPU: there the reader can be preempted for a whole grace period. */
const rcuProgram = (reader: KernelFunction<[at: Ptr], void>): Program =>
  tiny(
    (m) => {
      const cache = m.createCache(object);
      m.globals = { cache } satisfies Globals;
      const at = m.allocStaticStruct(holder);
      m.poke(at, H.object, m.allocAtBoot(cache));
      m.spawn(0, { comm: "reader" }, reader, at);
      m.spawn(0, { comm: "remover" }, removes, at);
    },
    { cpus: 1 },
  );

/** Sleeps until it is woken, or a tick has passed. */
const sleeps = kernel(function* sleeps_for_a_tick(at: Ptr) {
  yield* store(at, C.a, 1);
  yield* store(current(), plain_task.fields.state, 1);
  yield* mod_timer(1);
  yield* schedule();
  yield* mod_timer(0);
  yield* BUG_ON((yield* load(at, C.b)) === 0, "woken early", "explored.c:3");
});
const polls = kernel(function* polls_until_set(at: Ptr) {
  for (;;) {
    yield* forget("again");
    if ((yield* load(at, C.a)) !== 0) break;
    yield* sys_sched_yield();
  }
  yield* store(at, C.b, 1);
});

/** As {@link polls}, with its loop in a generator that the function goes through. */
function* waitUntilSet(at: Ptr) {
  yield* beginRounds();
  while ((yield* load(at, C.a)) === 0) {
    yield* sys_sched_yield();
    yield* forgetRound();
  }
}
const pollsElsewhere = kernel(function* polls_elsewhere(at: Ptr) {
  const before = yield* load(at, C.b);
  yield* waitUntilSet(at);
  yield* store(at, C.b, before + 1);
});

const look = struct("explored_look", { x: u32, y: u32, misses: u32, lock: spinlock_t });
const L = look.fields;
/** Two tasks, each with a flag of its own that it sets before it looks at the other's; a BUG if neither sees the other. */
function blind(memory: "sc" | "tso", barriers: boolean): Program {
  const looks = kernel(function* looks_at_the_other(at: Ptr, mine: Field, other: Field) {
    yield* store(at, mine, 1);
    if (barriers) yield* smp_mb();
    if ((yield* load(at, other)) !== 0) return;
    yield* spin_lock(at, L.lock);
    const before = yield* load(at, L.misses);
    yield* store(at, L.misses, before + 1);
    yield* BUG_ON(before === 1, "neither sees the other", "explored.c:5");
    yield* spin_unlock(at, L.lock);
  });
  return tiny(
    (m) => {
      const at = m.allocStaticStruct(look);
      pokeLock(m, at + (m.offset[L.lock.id] as number), spinlock_t);
      m.bind(m.spawn(0, { comm: "one" }, looks, at, L.x, L.y), 0);
      m.bind(m.spawn(0, { comm: "two" }, looks, at, L.y, L.x), 1);
    },
    { memory },
  );
}

/** Sleeps twice, each time until it is woken. */
const sleepsTwice = kernel(function* sleeps_twice(at: Ptr) {
  for (let i = 0; i < 2; i++) {
    yield* store(current(), plain_task.fields.state, 1);
    yield* store(at, C.a, i + 1);
    yield* schedule();
  }
});
const wakes = kernel(function* wakes_twice(task: Ptr) {
  for (let left = 2; left > 0; ) {
    yield* forget("again", left);
    if ((yield* wake_up_state(task, 1)) !== 0) left--;
    else yield* sys_sched_yield();
  }
});
/** Examines a sleeper, and would not notice that it has run in between, but for the number of its switches. */
const examines = kernel(function* examines_a_sleeper(at: Ptr, task: Ptr, notices: boolean) {
  const ncsw = yield* wait_task_inactive(task, 1);
  if (ncsw === 0) return;
  const before = yield* load(at, C.a);
  const after = yield* load(at, C.a);
  const again = yield* wait_task_inactive(task, 1);
  yield* BUG_ON(again !== 0 && before !== after && (again === ncsw || !notices), "it ran", "explored.c:6");
});
const examined = (notices: boolean): Program =>
  tiny((m) => {
    const at = m.allocStaticStruct(cell);
    const task = m.spawn(0, { comm: "sleeper" }, sleepsTwice, at);
    m.bind(task, 0);
    m.bind(m.spawn(0, { comm: "waker" }, wakes, task), 0);
    m.bind(m.spawn(0, { comm: "debugger" }, examines, at, task, notices), 1);
  });

const keys = (program: Program, options: Parameters<typeof exploreMachine>[1]) =>
  exploreMachine(program, options)
    .findings.map(({ key }) => key)
    .sort();

describe("exploring a program on the machine", () => {
  const plain = sharing([increments, increments]);
  const locked = sharing([incrementsLocked, incrementsLocked]);

  test("finds a lost update, and its witness is a run that shows it", () => {
    const { findings, complete, bounds } = exploreMachine(plain);
    expect(complete).toBe(true);
    expect(bounds.preemptions).toBe(null);
    expect(findings.map(({ finding }) => finding.kind)).toEqual(["bug-on"]);
    const [found] = findings;
    const replay = new ReplayStrategy(found?.schedule ?? []);
    const run = execute(plain, replay, { until: (all) => all.some((one) => findingKey(one) === found?.key) });
    expect(run.findings.map(findingKey)).toEqual([found?.key]);
  });

  test("says with how few preemptions: the update is lost with 1, not with 0", () => {
    expect(exploreMachine(plain, { preemptions: 0 })).toMatchObject({ complete: true, findings: [] });
    expect(exploreMachine(plain, { preemptions: 1 }).findings).toMatchObject([{ preemptions: 1 }]);
  });

  test("finds nothing where a lock holds the update together", () => {
    expect(exploreMachine(locked)).toMatchObject({ complete: true, findings: [], bounds: { preemptions: null } });
  });

  test("lets stores wait in store buffers: only there, and only without a barrier, neither of two sees the other", () => {
    expect(keys(blind("sc", false), {})).toEqual([]);
    expect(keys(blind("tso", true), {})).toEqual([]);
    const program = blind("tso", false);
    const { findings, complete } = exploreMachine(program);
    expect(complete).toBe(true);
    expect(findings).toMatchObject([{ finding: { kind: "bug-on" } }]);
    for (const { key, schedule, preemptions } of findings) {
      expect(costOf(program, schedule).preemptions).toBe(preemptions);
      const run = execute(program, new ReplayStrategy(schedule), { until: (all) => all.length > 0 });
      expect(run.findings.map(findingKey)).toEqual([key]);
    }
  });

  test.each([true, false])("store buffers, barriers %s: the same ends with each reduction on and off", (barriers) => {
    for (const preemptions of [0, 1]) {
      const shown = (options: Parameters<typeof exploreMachine>[1]) => {
        const { complete, outcomes, findings } = exploreMachine(blind("tso", barriers), { preemptions, ...options });
        return { complete, outcomes, findings: findings.map(({ key }) => key) };
      };
      const all = shown({});
      expect(all.complete).toBe(true);
      expect(shown({ reduces: false })).toEqual(all);
      expect(shown({ caches: false })).toEqual(all);
    }
  });

  test("takes every value of a choose", () => {
    const { findings } = exploreMachine(sharing([choosesBadly]));
    expect(findings.map(({ finding }) => finding.title)).toEqual(["kernel BUG at explored.c:2!"]);
  });

  const late = rcuProgram(readsLate);
  const programs: readonly [string, Program, readonly string[]][] = [
    ["a lost update", plain, ["bug-on"]],
    ["an update under a lock", locked, []],
    ["a reader inside its read section", rcuProgram(reads), []],
    ["a reader that reads after its read section", late, ["use-after-free"]],
    ["a sleeper that a timer wakes before the other is done", sharing([sleeps, polls]), ["bug-on"]],
  ];

  test.each(programs)("%s: finds what it should, with every reduction on and off", (_name, program, kinds) => {
    const preemptions = 2;
    const all = exploreMachine(program, { preemptions });
    expect(all.complete).toBe(true);
    expect(all.findings.map(({ finding }) => finding.kind).sort()).toEqual(kinds);
    const found = keys(program, { preemptions });
    expect(keys(program, { preemptions, reduces: false })).toEqual(found);
    expect(keys(program, { preemptions: 1, caches: false })).toEqual(keys(program, { preemptions: 1 }));
    expect(keys(program, { preemptions: 1, caches: false, reduces: false })).toEqual(keys(program, { preemptions: 1 }));
  });

  test("goes round a polling loop once, and is done without any bound", () => {
    const { complete, bounds } = exploreMachine(sharing([sleeps, polls]));
    expect({ complete, bounds }).toMatchObject({ complete: true, bounds: { preemptions: null } });
  });

  test("goes round a loop in a generator once, and keeps what the function knew before it", () => {
    const ends = exploreMachine(sharing([pollsElsewhere, sleeps]), { preemptions: 2 });
    expect(ends).toMatchObject({ complete: true, cutOff: 0 });
    expect(ends.findings.map(({ finding }) => finding.kind)).toEqual(["bug-on"]);
    const without = exploreMachine(sharing([pollsElsewhere, sleeps]), { preemptions: 2, caches: false });
    expect(without.cutOff).toBeGreaterThan(0);
  });

  test("comes to the same when it is put aside after every piece and taken up again", () => {
    const options = { preemptions: 2, reduces: false };
    const whole = exploreMachine(late, options);
    let explorer = new MachineExplorer(late, options);
    let pieces = 0;
    while (explorer.advance(7)) {
      pieces++;
      const aside = structuredClone(explorer.putAside());
      explorer.release();
      explorer = new MachineExplorer(late, options);
      explorer.takeUp(aside);
    }
    const { complete, states, executions, steps } = explorer.result();
    explorer.release();
    expect(pieces).toBeGreaterThan(3);
    expect({ complete, states, executions, steps }).toEqual({
      complete: true,
      states: whole.states,
      executions: whole.executions,
      steps: whole.steps,
    });
    expect(keys(late, options)).toEqual(whole.findings.map(({ key }) => key).sort());
  });

  test("says how much is left: exactly where all choices lead to equally much", () => {
    const chooses = kernel(function* chooses_three_times(at: Ptr) {
      for (let i = 0; i < 3; i++) yield* store(at, C.a, 10 * i + (yield* choose(4)));
    });
    const explorer = new MachineExplorer(sharing([chooses], { cpus: 1 }), { caches: false });
    const left: (number | null)[] = [];
    const done: number[] = [];
    do {
      const { estimate, executions } = explorer.soFar();
      done.push(estimate.done);
      if (executions > 0) left.push(executions + (estimate.runsLeft ?? 0));
    } while (explorer.advance(5));
    const result = explorer.result();
    explorer.release();
    expect(result).toMatchObject({ complete: true, executions: 64, estimate: null });
    expect(left.length).toBeGreaterThan(5);
    expect([...new Set(left)]).toEqual([64]);
    expect(done).toEqual([...done].sort((a, b) => a - b));
  });

  test("says how much is left: about, where they do not, and to the run in the end", () => {
    const lopsided = kernel(function* chooses_on(at: Ptr) {
      for (let i = 0; i < 6 && (yield* choose(3)) !== 0; i++) yield* store(at, C.a, i);
    });
    const explorer = new MachineExplorer(sharing([lopsided], { cpus: 1 }), { caches: false });
    const guesses: number[] = [];
    while (explorer.advance(10)) {
      const { estimate, executions } = explorer.soFar();
      guesses.push(executions + (estimate.runsLeft ?? 0));
    }
    const { executions } = explorer.result();
    explorer.release();
    // 1 + 2 + 4 + ... + 32 that stop somewhere, and 64 that go on to the end.
    expect(executions).toBe(127);
    expect(guesses.length).toBeGreaterThan(5);
    for (const guess of guesses) expect(Math.abs(Math.log2(guess / 127))).toBeLessThan(3);
    expect(Math.abs((guesses.at(-1) ?? 0) - 127)).toBeLessThan(20);
  });

  test("says of an exploration that was stopped how much is left of the round", () => {
    const explorer = new MachineExplorer(late, { preemptions: 2, reduces: false });
    explorer.advance(2);
    const { complete, estimate } = explorer.result();
    explorer.release();
    expect(complete).toBe(false);
    expect(estimate?.preemptions).toBe(0);
    expect(estimate?.done).toBeGreaterThan(0);
    expect(estimate?.done).toBeLessThan(1);
    expect(estimate?.runsLeft).toBeGreaterThan(0);
  });

  test("bounds context switches: an update is lost with 2, not with 1; a bound that is not reached leaves nothing out", () => {
    const one = exploreMachine(plain, { switches: 1 });
    expect(one).toMatchObject({ complete: true, findings: [], bounds: { switches: 1, preemptions: null, hit: [] } });
    expect(exploreMachine(plain, { switches: 2 }).findings).toMatchObject([{ preemptions: 1 }]);
    const all = exploreMachine(plain);
    const many = exploreMachine(plain, { switches: 100 });
    expect(many).toMatchObject({ complete: true, outcomes: all.outcomes, bounds: { switches: null } });
    expect(many.findings.map(({ key }) => key)).toEqual(all.findings.map(({ key }) => key));
    const slow = exploreMachine(plain, { switches: 3, reduces: false, caches: false });
    expect(exploreMachine(plain, { switches: 3 }).outcomes).toEqual(slow.outcomes);
  });

  test("bounds the rounds of a loop: one that goes on for longer is cut off, and nothing is complete", () => {
    const goesRound = kernel(function* goes_round_three_times(at: Ptr) {
      for (let left = 3; left > 0; left--) {
        yield* forget("again", left);
        yield* add(at, C.a, 1);
      }
      yield* BUG_ON(true, "came out of it", "explored.c:4");
    });
    const rounds = (loopRounds: number) => exploreMachine(sharing([goesRound]), { loopRounds });
    expect(rounds(2)).toMatchObject({ complete: false, findings: [], bounds: { loopRounds: 2, hit: ["loopRounds"] } });
    expect(rounds(3)).toMatchObject({ complete: true, bounds: { loopRounds: 3, hit: [] } });
    expect(rounds(3).findings).toHaveLength(1);
    // Whoever polls may do so for ever.
    const polling = exploreMachine(sharing([sleeps, polls]), { loopRounds: 4 });
    expect(polling).toMatchObject({ complete: false, bounds: { hit: ["loopRounds"], tasks: 2 } });
    expect(polling.findings.map(({ finding }) => finding.kind)).toEqual(["bug-on"]);
    const elsewhere = exploreMachine(sharing([pollsElsewhere, sleeps]), { loopRounds: 4 });
    expect(elsewhere.bounds.hit).toEqual(["loopRounds"]);
  });

  test("bounds the number of states, and says that there was no room for more", () => {
    const few = exploreMachine(plain, { statesMax: 128, reduces: false });
    expect(few).toMatchObject({ complete: false, bounds: { statesMax: 128, hit: ["statesMax"] } });
    expect(exploreMachine(plain, { statesMax: 2 ** 16 })).toMatchObject({ complete: true, bounds: { hit: [] } });
  });

  test("counts the switches of a task that somebody was told of", () => {
    const preemptions = 2;
    const sure = exploreMachine(examined(true), { preemptions });
    expect(sure).toMatchObject({ complete: true, findings: [] });
    const blindly = exploreMachine(examined(false), { preemptions });
    expect(blindly.findings.map(({ finding }) => finding.kind)).toEqual(["bug-on"]);
    for (const notices of [true, false]) {
      const shown = (options: Parameters<typeof exploreMachine>[1]) => {
        const { outcomes, findings, cutOff } = exploreMachine(examined(notices), { preemptions: 1, ...options });
        return { outcomes, findings: findings.map(({ key }) => key), cutOff };
      };
      expect(shown({ reduces: false })).toEqual(shown({}));
    }
  });

  const forks = kernel(function* forks_a_task(at: Ptr) {
    yield* spawn(0, { comm: "child" }, increments, at);
    yield* increments(at);
  });
  test("goes through a task that another starts: the same ends with each reduction on and off", () => {
    const program = sharing([forks]);
    for (const preemptions of [0, 1]) {
      const shown = (options: Parameters<typeof exploreMachine>[1]) => {
        const { complete, outcomes, findings } = exploreMachine(program, { preemptions, ...options });
        return { complete, outcomes, kinds: findings.map(({ finding }) => finding.kind) };
      };
      const all = shown({});
      expect(all).toMatchObject({ complete: true, kinds: preemptions === 0 ? [] : ["bug-on"] });
      expect(shown({ reduces: false })).toEqual(all);
      expect(shown({ caches: false })).toEqual(all);
    }
    for (const { key, schedule } of exploreMachine(program).findings) {
      const run = execute(program, new ReplayStrategy(schedule), { until: (found) => found.length > 0 });
      expect(run.findings.map(findingKey)).toEqual([key]);
    }
  });

  /** Where the stacks of started tasks are, in all schedules without a preemption, and in some. */
  function stacksOf(programNoting: (note: (stack: Ptr) => void) => Program) {
    const [explored, run] = [new Set<Ptr>(), new Set<Ptr>()];
    const result = exploreMachine(
      programNoting((stack) => explored.add(stack)),
      { preemptions: 0 },
    );
    randomRuns(
      programNoting((stack) => run.add(stack)),
      100,
    );
    return { explored: [...explored].sort(), run: [...run].sort(), ...result };
  }
  const startsOne = (note: (stack: Ptr) => void) => {
    const usesItsStack = kernel(function* uses_its_stack() {
      const local = stackPush(16);
      note(local);
      yield* store(local, H.object, 1);
      yield* store(local, H.object, 0);
      stackPop(16);
    });
    return kernel(function* starts_one(_at: Ptr, task?: Ptr) {
      yield* spawn(task ?? 0, { comm: "child" }, usesItsStack);
    });
  };
  test("knows on which stack a started task is, where that depends on who started others before", () => {
    const { complete, findings, explored, run } = stacksOf((note) =>
      tiny((m) => {
        // A task that brings its task struct takes less room: the second to be started has one of two stacks.
        const given = m.allocStaticStruct(plain_task);
        const starts = startsOne(note);
        for (const task of [0, given, 0]) m.spawn(0, { comm: "parent" }, starts, 0, task);
      }),
    );
    expect({ complete, findings }).toEqual({ complete: true, findings: [] });
    expect(explored.length).toBeGreaterThan(3);
    expect(explored).toEqual(run);
  });

  test("a started task has its stack where it has it in a run, whether or not there was a softirq before", () => {
    const { complete, explored, run } = stacksOf((note) => rcuProgram(startsOne(note)));
    expect(complete).toBe(true);
    expect(explored).toHaveLength(1);
    expect(run).toEqual(explored);
  });

  /** Takes numbers, as a fork takes a pid, in one task or in two. */
  const counting = (takers: number): Program =>
    tiny((m) => {
      const at = m.allocStaticStruct(cell);
      m.globals = { cache: m.createCache(object), take: () => m.takeNumber() };
      const takes = kernel(function* takes_two_numbers() {
        for (let i = 0; i < 2; i++) yield* add(at, C.a, (globals() as unknown as { take(): number }).take());
        yield* BUG_ON((yield* load(at, C.a)) !== 1, "not 0 and 1", "explored.c:7");
      });
      for (let i = 0; i < takers; i++) m.spawn(0, { comm: "taker" }, takes);
    });
  test("gives numbers anew on each way, and refuses two tasks that take them", () => {
    // It may begin on either CPU: two ways, and on each its numbers are 0 and 1.
    expect(exploreMachine(counting(1))).toMatchObject({ complete: true, executions: 2, findings: [] });
    expect(() => exploreMachine(counting(2))).toThrow("fork at the same time");
  });

  test("is not complete when it is told to stop, or when a run is cut off", () => {
    expect(exploreMachine(plain, { goesOn: () => false }).complete).toBe(false);
    const short = sharing([increments, increments], { stepsMax: 5 });
    expect(exploreMachine(short)).toMatchObject({ complete: false, bounds: { preemptions: -1 } });
  });
});
