/** Every error that the calls of the interface can return, each reached by a run. */
import { describe, expect, test } from "vitest";
import { kmem_cache_alloc, type Ptr, schedule } from "../../sim/index.ts";
import { ALLOC, READ_LOCK, SPIN_LOCK, STORE, UPDATE } from "../../sim/op.ts";
import { syscall, user_mode } from "../linux/entry.ts";
import {
  EAGAIN,
  EALREADY,
  EEXIST,
  EINPROGRESS,
  EINVAL,
  ENOENT,
  ENOMEM,
  EOPNOTSUPP,
  EPERM,
  ERESTARTNOINTR,
  ERESTARTSYS,
  ESRCH,
  IS_ERR,
} from "../linux/errno.ts";
import { do_fork } from "../linux/fork.ts";
import { put_pid } from "../linux/pid.ts";
import {
  EXIT_DEAD,
  EXIT_ZOMBIE,
  get_task_struct,
  PF_KTHREAD,
  PF_STARTING,
  put_task_struct,
  TASK_TRACED,
} from "../linux/sched.ts";
import { do_group_exit, kill_pid_info, SIGUSR1 } from "../linux/signal.ts";
import { TASK } from "../linux/structs.ts";
import { at, attach, inUserMode, named, Play, traced, tracedAndStopped, userLoop, within } from "../testProgram.ts";
import { utrace_attach_pid, utrace_attach_task } from "./attach.ts";
import { utrace_barrier, utrace_control, utrace_set_events } from "./control.ts";
import {
  UTRACE_ATTACH_CREATE,
  UTRACE_ATTACH_EXCLUSIVE,
  UTRACE_ATTACH_MATCH_DATA,
  UTRACE_ATTACH_MATCH_OPS,
  UTRACE_BLOCKSTEP,
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_INTERRUPT,
  UTRACE_REPORT,
  UTRACE_RESUME,
  UTRACE_SINGLESTEP,
  UTRACE_STOP,
} from "./events.ts";
import { ENGINE, UTRACE, utrace_attached_engine } from "./structs.ts";

const CREATE = UTRACE_ATTACH_CREATE;
const { QUIESCE, DEATH, REAP, EXEC, JCTL } = UTRACE_EVENT;

/** Exits as soon as it runs again. */
const shortLife = named("short_life", function* () {
  yield* user_mode(1000);
  yield* syscall(do_group_exit, 0);
});

/** A task that was reaped, kept in memory by a reference. */
function reaped(play: Play): Ptr {
  const target = play.process("target", shortLife);
  play.call(() => get_task_struct(target));
  play.run("init").run("target").run("init");
  expect(play.peek(target, TASK.exit_state)).toBe(EXIT_DEAD);
  return target;
}

/** A target that never ran, on a stage of its own. */
function untraced(options: ConstructorParameters<typeof Play>[0] = {}) {
  const play = new Play(options);
  const target = play.process("target", userLoop);
  const ops = play.ops({});
  return { play, target, ops };
}

describe("utrace_attach_task", () => {
  test("-ENOENT without CREATE, of a task that was never traced", () => {
    const { play, target, ops } = untraced();
    expect(play.call(() => utrace_attach_task(target, 0, ops, 0))).toBe(-ENOENT);
  });

  test("-ENOENT without CREATE, when no engine matches", () => {
    const { play, target, ops } = untraced();
    const others = play.ops({
      report_quiesce: named("other", function* () {
        return UTRACE_RESUME;
      }),
    });
    play.call(() => utrace_attach_task(target, CREATE, ops, 7));
    expect(play.call(() => utrace_attach_task(target, UTRACE_ATTACH_MATCH_OPS, others, 0))).toBe(-ENOENT);
    expect(play.call(() => utrace_attach_task(target, UTRACE_ATTACH_MATCH_DATA, ops, 8))).toBe(-ENOENT);
  });

  test("without CREATE an engine that matches is found, with one more reference", () => {
    const { play, target, ops } = untraced();
    const engine = play.call(() => utrace_attach_task(target, CREATE, ops, 7));
    const flags = UTRACE_ATTACH_MATCH_OPS | UTRACE_ATTACH_MATCH_DATA;
    expect(play.call(() => utrace_attach_task(target, flags, ops, 7))).toBe(engine);
    expect(play.call(() => utrace_attach_task(target, 0, 0, 0))).toBe(engine);
    expect(play.peek(engine, ENGINE.kref.refcount)).toBe(4);
  });

  test("-ENOENT without CREATE and -ESRCH with it, of a task that was reaped", () => {
    const play = new Play();
    const target = reaped(play);
    expect(play.call(() => utrace_attach_task(target, 0, 1, 0))).toBe(-ENOENT);
    expect(play.call(() => utrace_attach_task(target, CREATE, 1, 0))).toBe(-ESRCH);
    expect(play.findings()).toEqual([]);
  });

  test("-ESRCH when the target is reaped while the first engine is being attached; all memory comes back", () => {
    const play = new Play();
    const target = play.process("target", shortLife);
    const ops = play.ops({});
    play.call(() => get_task_struct(target));
    const attaching = play.start("tracer", () => utrace_attach_task(target, CREATE, ops, 0));
    play.run("init").run("target").run("tracer", at(STORE, TASK.utrace)).run("init").run("tracer");
    expect(attaching.result).toBe(-ESRCH);
    expect(play.peek(target, TASK.utrace)).toBe(0);
    play.call(() => put_task_struct(target));
    expect(play.rcu().toEnd().findings()).toEqual([]);
  });

  test("-EPERM of a kernel thread", () => {
    const { play, target, ops } = untraced();
    play.poke(target, TASK.flags, PF_KTHREAD);
    expect(play.call(() => utrace_attach_task(target, CREATE, ops, 0))).toBe(-EPERM);
    expect(play.call(() => utrace_attach_task(target, 0, ops, 0))).toBe(-ENOENT);
  });

  test("-EINVAL of an engine without ops, or with those of a detached one, but not of the first engine", () => {
    const { play, target, ops } = untraced();
    const detached = play.booted.globals.utrace.utrace_detached_ops;
    const first = play.call(() => utrace_attach_task(target, CREATE, 0, 0));
    expect(IS_ERR(first)).toBe(false);
    expect(play.call(() => utrace_attach_task(target, CREATE, 0, 0))).toBe(-EINVAL);
    expect(play.call(() => utrace_attach_task(target, CREATE, detached, 0))).toBe(-EINVAL);
    expect(IS_ERR(play.call(() => utrace_attach_task(target, CREATE, ops, 0)))).toBe(false);
  });

  test("-EEXIST under EXCLUSIVE of an engine that matches, but not of the first engine", () => {
    const { play, target, ops } = untraced();
    const exclusive = CREATE | UTRACE_ATTACH_EXCLUSIVE;
    const byData = exclusive | UTRACE_ATTACH_MATCH_DATA;
    expect(IS_ERR(play.call(() => utrace_attach_task(target, exclusive, ops, 1)))).toBe(false);
    // The first is on the attached list, the second on the attaching list.
    expect(IS_ERR(play.call(() => utrace_attach_task(target, byData, ops, 2)))).toBe(false);
    expect(play.call(() => utrace_attach_task(target, byData, ops, 1))).toBe(-EEXIST);
    expect(play.call(() => utrace_attach_task(target, byData, ops, 2))).toBe(-EEXIST);
    expect(play.call(() => utrace_attach_task(target, exclusive, ops, 3))).toBe(-EEXIST);
    expect(IS_ERR(play.call(() => utrace_attach_task(target, byData, ops, 3)))).toBe(false);
  });

  test("an engine that is marked as detached matches nothing", () => {
    const { play, target, engine } = traced();
    const other = attach(play, target, {});
    play.call(() => utrace_control(target, engine, UTRACE_DETACH));
    expect(play.call(() => utrace_attach_task(target, 0, 0, 0))).toBe(other);
  });

  describe("-ENOMEM", () => {
    /** One CPU and no free page; what `prepare` takes is there. */
    function exhausted(prepare: (play: Play) => void) {
      const made = untraced({ cpus: 1 });
      prepare(made.play);
      while (made.play.machine.memory.allocPage() !== 0);
      return made;
    }

    test("when there is none for the first engine", () => {
      const { play, target, ops } = exhausted(() => {});
      expect(play.call(() => utrace_attach_task(target, CREATE, ops, 0))).toBe(-ENOMEM);
    });

    test("when there is none for the struct utrace; the engine is given back", () => {
      const { play, target, ops } = exhausted((play) => {
        play.machine.keep(play.call(() => kmem_cache_alloc(play.booted.globals.utrace.utrace_engine_cachep)));
      });
      expect(play.call(() => utrace_attach_task(target, CREATE, ops, 0))).toBe(-ENOMEM);
      const engines = play.machine.slab.liveObjects().filter(({ cache }) => cache === "utrace_attached_engine");
      expect(engines).toHaveLength(1);
    });

    test("when there is none for a further engine", () => {
      const made = untraced({ cpus: 1 });
      const { play, target, ops } = made;
      play.call(() => utrace_attach_task(target, CREATE, ops, 0));
      const { utrace_engine_cachep } = play.booted.globals.utrace;
      for (let i = 1; i < utrace_engine_cachep.objectsPerPage; i++)
        play.call(() => kmem_cache_alloc(utrace_engine_cachep));
      while (play.machine.memory.allocPage() !== 0);
      expect(play.call(() => utrace_attach_task(target, CREATE, ops, 0))).toBe(-ENOMEM);
    });
  });

  describe("of a newborn task", () => {
    const parent = named("parent", function* () {
      yield* syscall(do_fork, 0, "child", userLoop);
      yield* user_mode(1000);
    });

    function newborn() {
      const play = new Play();
      play.process("parent", parent);
      play.run("parent", at(UPDATE, TASK.flags, "do_fork"));
      const target = play.context("child").task;
      expect(play.peek(target, TASK.flags) & PF_STARTING).toBe(PF_STARTING);
      return { play, target, ops: play.ops({}) };
    }

    test("-ERESTARTNOINTR when a signal comes while it waits for the creator", () => {
      const { play, target, ops } = newborn();
      const attaching = play.start("tracer", () => utrace_attach_task(target, CREATE, ops, 0));
      play.run("tracer", within("utrace_attach_task")).run("tracer", at(ALLOC));
      const pid = play.booted.getPid(play.context("tracer").task);
      play.call(() => kill_pid_info(SIGUSR1, pid));
      play.run("tracer");
      expect(attaching.result).toBe(-ERESTARTNOINTR);
    });

    test("waits until the creator is done, then attaches", () => {
      const { play, target, ops } = newborn();
      const attaching = play.start("tracer", () => utrace_attach_task(target, CREATE, ops, 0));
      for (let yields = 0; yields < 3; yields++) {
        play.run("tracer", at(ALLOC)).step("tracer");
      }
      play.run("parent", inUserMode);
      play.run("tracer");
      expect(IS_ERR(attaching.result as Ptr)).toBe(false);
      expect(play.peek(attaching.result as Ptr, ENGINE.ops)).toBe(ops);
    });
  });

  test("the last detach between its two looks at the pointer: it begins anew with a struct of its own", () => {
    const { play, target, engine } = tracedAndStopped();
    const old = play.peek(target, TASK.utrace);
    const ops = play.ops({});
    const attaching = play.start("tracer", () => utrace_attach_task(target, CREATE, ops, 0));
    play.run("tracer", at(ALLOC));
    expect(play.call(() => utrace_control(target, engine, UTRACE_DETACH))).toBe(0);
    play.run("tracer");
    expect(play.peek(attaching.result as Ptr, ENGINE.ops)).toBe(ops);
    expect(play.peek(target, TASK.utrace)).not.toBe(old);
    expect(play.findings()).toEqual([]);
  });

  test("a detach and an attach of others between its look at the pointer and the lock: it begins anew", () => {
    const { play, target, engine } = tracedAndStopped();
    const ops = play.ops({});
    const attaching = play.start("tracer", () => utrace_attach_task(target, CREATE, ops, 0));
    play.run("tracer", at(ALLOC)).run("tracer", at(SPIN_LOCK, UTRACE.lock));
    play.call(() => utrace_control(target, engine, UTRACE_DETACH));
    play.call(() => utrace_attach_task(target, CREATE, ops, 0));
    play.run("tracer");
    expect(IS_ERR(attaching.result as Ptr)).toBe(false);
    expect(play.machine.slab.liveObjects().filter(({ cache }) => cache === "utrace_attached_engine")).toHaveLength(3);
    expect(play.findings()).toEqual([]);
  });
});

describe("utrace_attach_pid", () => {
  test("-ESRCH of a pid whose task was reaped", () => {
    const play = new Play();
    const target = play.process("target", shortLife);
    const pid = play.booted.getPid(target);
    play.run("init").run("target").run("init");
    expect(play.call(() => utrace_attach_pid(pid, CREATE, 1, 0))).toBe(-ESRCH);
    play.call(() => put_pid(pid));
    expect(play.rcu().toEnd().findings()).toEqual([]);
  });

  test("else as utrace_attach_task, and its own reference to the task is dropped", () => {
    const { play, target, ops } = untraced();
    const pid = play.booted.getPid(target);
    expect(play.call(() => utrace_attach_pid(pid, 0, ops, 0))).toBe(-ENOENT);
    expect(IS_ERR(play.call(() => utrace_attach_pid(pid, CREATE, ops, 0)))).toBe(false);
    expect(play.peek(target, TASK.usage.counter)).toBe(2);
  });
});

/** The calls that lock the struct on behalf of an engine. */
const CALLS = {
  utrace_set_events: (target: Ptr, engine: Ptr) => utrace_set_events(target, engine, QUIESCE),
  utrace_control: (target: Ptr, engine: Ptr) => utrace_control(target, engine, UTRACE_RESUME),
  utrace_barrier: (target: Ptr, engine: Ptr) => utrace_barrier(target, engine),
} as const;
const ATTACHED_ONLY = ["utrace_set_events", "utrace_control"] as const;

describe.each(Object.keys(CALLS) as (keyof typeof CALLS)[])("%s", (name) => {
  const made = CALLS[name];

  test("-EINVAL of an engine that nobody refers to", () => {
    const { play, target } = traced();
    const engine = play.machine.allocStaticStruct(utrace_attached_engine);
    expect(play.call(() => made(target, engine))).toBe(-EINVAL);
  });

  test("-ESRCH of an engine that has been detached", () => {
    const { play, target, engine } = tracedAndStopped();
    play.call(() => utrace_control(target, engine, UTRACE_DETACH));
    expect(play.peek(engine, ENGINE.ops)).toBe(0);
    expect(play.call(() => made(target, engine))).toBe(-ESRCH);
  });

  test("-ESRCH of a target that is reaped: with exit_state EXIT_DEAD, with the pointer gone, and later", () => {
    const { play, target, engine } = traced({ main: shortLife, answers: { report_reap: 0 }, events: REAP });
    play.call(() => get_task_struct(target));
    play.run("init").run("target").run("init", within("release_task"));
    expect(play.peek(target, TASK.utrace)).not.toBe(0);
    expect(play.call(() => made(target, engine))).toBe(-ESRCH);
    play.run("init", within("A_report_reap"));
    expect(play.peek(target, TASK.utrace)).toBe(0);
    expect(play.call(() => made(target, engine))).toBe(-ESRCH);
    play.run("init");
    expect(play.call(() => made(target, engine))).toBe(-ESRCH);
  });

  test("-ESRCH when the engine is detached between the look at its ops and the lock", () => {
    const { play, target, engine } = tracedAndStopped();
    const keeper = attach(play, target, {});
    play.call(() => utrace_control(target, keeper, UTRACE_STOP));
    const calling = play.start("tracer", () => made(target, engine));
    play.run("tracer", at(SPIN_LOCK, UTRACE.lock));
    play.call(() => utrace_control(target, engine, UTRACE_DETACH));
    play.run("tracer");
    expect(calling.result).toBe(-ESRCH);
    expect(play.findings()).toEqual([]);
  });
});

describe.each(ATTACHED_ONLY)("%s", (name) => {
  test("-ESRCH of an engine that is marked as detached, with its target still running", () => {
    const { play, target, engine } = traced();
    expect(play.call(() => utrace_control(target, engine, UTRACE_DETACH))).toBe(0);
    expect(play.peek(engine, ENGINE.ops)).toBe(play.booted.globals.utrace.utrace_detached_ops);
    expect(play.call(() => CALLS[name](target, engine))).toBe(-ESRCH);
  });
});

/** A target in the middle of its engine's report_quiesce. */
function inCallback() {
  let pause = true;
  const made = traced({
    answers: {
      *report_quiesce() {
        while (pause) yield* schedule();
        return UTRACE_RESUME;
      },
    },
    events: QUIESCE,
  });
  const { play, target, engine } = made;
  play.call(() => utrace_control(target, engine, UTRACE_REPORT));
  play.run("target", within("A_report_quiesce"));
  return { ...made, end: () => (pause = false) };
}

/** A target in the middle of its death report, or a zombie after it. */
function dying(events: number) {
  const made = traced({
    main: shortLife,
    answers: { report_quiesce: UTRACE_RESUME, report_death: 0, report_reap: 0 },
    events,
  });
  made.play.run("target", within("A_report_death"));
  return made;
}
function zombie(events: number) {
  const made = traced({
    main: shortLife,
    answers: { report_quiesce: UTRACE_RESUME, report_death: 0, report_reap: 0 },
    events,
  });
  made.play.run("target");
  expect(made.play.peek(made.target, TASK.exit_state)).toBe(EXIT_ZOMBIE);
  return made;
}

describe("utrace_set_events", () => {
  test("-EINPROGRESS while a callback of the engine runs; 0 for any other engine, and once it is over", () => {
    const { play, target, engine, end } = inCallback();
    const other = attach(play, target, {});
    expect(play.call(() => utrace_set_events(target, engine, QUIESCE | EXEC))).toBe(-EINPROGRESS);
    expect(play.peek(engine, ENGINE.flags)).toBe(QUIESCE | EXEC);
    expect(play.call(() => utrace_set_events(target, other, EXEC))).toBe(0);
    end();
    play.run("target", inUserMode);
    expect(play.call(() => utrace_set_events(target, engine, QUIESCE))).toBe(0);
  });

  test.each([
    ["DEATH", DEATH],
    ["QUIESCE", QUIESCE],
  ])("-EALREADY for setting %s of a task that is dead", (_name, event) => {
    const { play, target, engine } = zombie(REAP);
    expect(play.call(() => utrace_set_events(target, engine, REAP | event))).toBe(-EALREADY);
    expect(play.peek(engine, ENGINE.flags)).toBe(REAP);
    expect(play.call(() => utrace_set_events(target, engine, EXEC))).toBe(0);
  });

  test("-EALREADY for clearing DEATH or QUIESCE during the death report, 0 for clearing others, and after it", () => {
    const { play, target, engine } = dying(QUIESCE | DEATH | REAP);
    expect(play.look(target).utrace).toEqual(["death"]);
    expect(play.call(() => utrace_set_events(target, engine, DEATH | REAP))).toBe(-EALREADY);
    expect(play.call(() => utrace_set_events(target, engine, QUIESCE | REAP))).toBe(-EALREADY);
    expect(play.call(() => utrace_set_events(target, engine, QUIESCE | DEATH))).toBe(-EINPROGRESS);
    play.run("target");
    expect(play.call(() => utrace_set_events(target, engine, REAP))).toBe(0);
  });

  test("-EALREADY for DEATH when the task dies between the first look at exit_state and tasklist_lock", () => {
    const { play, target, engine } = traced({ main: shortLife });
    const calling = play.start("tracer", () => utrace_set_events(target, engine, DEATH));
    play.run("tracer", at(READ_LOCK));
    play.run("target");
    expect(play.peek(target, TASK.exit_state)).toBe(EXIT_ZOMBIE);
    play.run("tracer");
    expect(calling.result).toBe(-EALREADY);
    expect(play.peek(engine, ENGINE.flags)).toBe(0);
  });

  test("-EALREADY for clearing REAP of a struct whose reap has begun (built by hand: the pointer goes first)", () => {
    const { play, target, engine } = zombie(REAP);
    play.poke(play.peek(target, TASK.utrace), UTRACE.reap, 1);
    expect(play.call(() => utrace_set_events(target, engine, 0))).toBe(-EALREADY);
    expect(play.call(() => utrace_set_events(target, engine, REAP))).toBe(0);
  });

  test("setting JCTL of a task in a job control stop makes it count as stopped at once", () => {
    const { play, target, engine } = traced();
    play.poke(target, TASK.state, 4);
    expect(play.call(() => utrace_set_events(target, engine, JCTL))).toBe(0);
    expect(play.look(target).utrace).toEqual(["stopped"]);
  });
});

describe("utrace_control", () => {
  test("-EINVAL of an action that there is not", () => {
    const { play, target, engine } = traced();
    expect(play.call(() => utrace_control(target, engine, UTRACE_DETACH + 1))).toBe(-EINVAL);
  });

  test("-EINPROGRESS of STOP, of a target that runs", () => {
    const { play, target, engine } = traced();
    expect(play.call(() => utrace_control(target, engine, UTRACE_STOP))).toBe(-EINPROGRESS);
  });

  test("-EINPROGRESS of DETACH while a callback of the engine runs", () => {
    const { play, target, engine, end } = inCallback();
    const other = attach(play, target, {});
    expect(play.call(() => utrace_control(target, other, UTRACE_DETACH))).toBe(0);
    expect(play.call(() => utrace_control(target, engine, UTRACE_DETACH))).toBe(-EINPROGRESS);
    end();
    play.run("target", inUserMode);
    expect(play.look(target).utrace).toBe(null);
  });

  test.each([
    ["SINGLESTEP", UTRACE_SINGLESTEP],
    ["BLOCKSTEP", UTRACE_BLOCKSTEP],
  ])("-EAGAIN of %s, of a target that runs", (_name, action) => {
    const { play, target, engine } = traced();
    expect(play.call(() => utrace_control(target, engine, action))).toBe(-EAGAIN);
  });

  test("-EOPNOTSUPP and a warning for a step on a machine that has none; the target stays stopped", () => {
    const { play, target, engine } = tracedAndStopped();
    Object.assign(play.booted.globals.utrace, { archHasSingleStep: false, archHasBlockStep: false });
    expect(play.call(() => utrace_control(target, engine, UTRACE_SINGLESTEP))).toBe(-EOPNOTSUPP);
    expect(play.call(() => utrace_control(target, engine, UTRACE_BLOCKSTEP))).toBe(-EOPNOTSUPP);
    expect(play.findings()).toEqual(new Array(3).fill("warn-on: WARNING: at kernel/utrace.c:utrace_control"));
    expect(play.look(target)).toMatchObject({ state: TASK_TRACED, runs: false, utrace: ["stopped"] });
  });

  test("BLOCKSTEP on a machine that has only single steps is one of those, with a warning", () => {
    const { play, target, engine } = tracedAndStopped();
    Object.assign(play.booted.globals.utrace, { archHasBlockStep: false });
    expect(play.call(() => utrace_control(target, engine, UTRACE_BLOCKSTEP))).toBe(0);
    expect(play.findings()).toEqual(["warn-on: WARNING: at kernel/utrace.c:utrace_control"]);
  });

  test.each([
    ["STOP", UTRACE_STOP],
    ["REPORT", UTRACE_REPORT],
    ["INTERRUPT", UTRACE_INTERRUPT],
    ["SINGLESTEP", UTRACE_SINGLESTEP],
    ["BLOCKSTEP", UTRACE_BLOCKSTEP],
    ["RESUME", UTRACE_RESUME],
  ])("-ESRCH of %s, of a dead target", (_name, action) => {
    const { play, target, engine } = zombie(REAP);
    expect(play.call(() => utrace_control(target, engine, action))).toBe(-ESRCH);
    expect(play.wantsStop(engine)).toBe(false);
  });

  test("0 of DETACH, of a dead target with no death report to come", () => {
    const { play, target, engine } = zombie(REAP);
    expect(play.call(() => utrace_control(target, engine, UTRACE_DETACH))).toBe(0);
    expect(play.look(target).utrace).toBe(null);
  });

  test("-EALREADY of DETACH while the death report is on its way, and during it; 0 after it", () => {
    const { play, target, engine } = traced({ main: shortLife, answers: { report_death: 0 }, events: DEATH });
    play.run("target", at(SPIN_LOCK, UTRACE.lock, "utrace_report_death"));
    expect(play.call(() => utrace_control(target, engine, UTRACE_DETACH))).toBe(-EALREADY);
    play.run("target", within("A_report_death"));
    expect(play.call(() => utrace_control(target, engine, UTRACE_DETACH))).toBe(-EALREADY);
    play.run("target");
    expect(play.call(() => utrace_control(target, engine, UTRACE_DETACH))).toBe(0);
    expect(play.findings()).toEqual([]);
  });

  test("-EALREADY and -ESRCH of DETACH for the bits `death` and `reap` alone (built by hand: other tests come first)", () => {
    const { play, target, engine } = zombie(REAP);
    const utrace = play.peek(target, TASK.utrace);
    play.poke(utrace, UTRACE.death, 1);
    expect(play.call(() => utrace_control(target, engine, UTRACE_DETACH))).toBe(-EALREADY);
    play.poke(utrace, UTRACE.reap, 1);
    expect(play.call(() => utrace_control(target, engine, UTRACE_DETACH))).toBe(-ESRCH);
  });
});

describe("utrace_barrier", () => {
  test("0 for the target itself, whatever the engine", () => {
    const play = new Play();
    let result = 1;
    play.process(
      "self",
      named("self", function* () {
        result = yield* utrace_barrier(play.context("self").task, 0);
      }),
    );
    play.run("self");
    expect(result).toBe(0);
  });

  test("0 of an engine with no callback running, and of one whose target is stopped", () => {
    const running = traced();
    expect(running.play.call(() => utrace_barrier(running.target, running.engine))).toBe(0);
    const stopped = tracedAndStopped();
    expect(stopped.play.call(() => utrace_barrier(stopped.target, stopped.engine))).toBe(0);
  });

  test("waits for the callback to end, a tick at a time", () => {
    const { play, target, engine, end } = inCallback();
    const waiting = play.start("tracer", () => utrace_barrier(target, engine));
    play.run("tracer").tick("tracer").run("tracer");
    expect(waiting.result).toBe(undefined);
    end();
    play.run("target", inUserMode).tick("tracer").run("tracer");
    expect(waiting.result).toBe(0);
  });

  test("-ERESTARTSYS when a signal comes first", () => {
    const { play, target, engine } = inCallback();
    const waiting = play.start("tracer", () => utrace_barrier(target, engine));
    play.run("tracer");
    const pid = play.booted.getPid(play.context("tracer").task);
    play.call(() => kill_pid_info(SIGUSR1, pid));
    play.run("tracer");
    expect(waiting.result).toBe(-ERESTARTSYS);
  });

  test("of an engine that is marked as detached: waits, and gives -ESRCH when it is gone", () => {
    const { play, target, engine, end } = inCallback();
    expect(play.call(() => utrace_control(target, engine, UTRACE_DETACH))).toBe(-EINPROGRESS);
    const waiting = play.start("tracer", () => utrace_barrier(target, engine));
    play.run("tracer").tick("tracer").run("tracer");
    expect(waiting.result).toBe(undefined);
    end();
    play.run("target", inUserMode).tick("tracer").run("tracer");
    expect(waiting.result).toBe(-ESRCH);
  });

  test("of an engine that is marked as detached between the look at its ops and the lock: waits too", () => {
    const { play, target, engine, end } = inCallback();
    const waiting = play.start("tracer", () => utrace_barrier(target, engine));
    play.run("tracer", at(SPIN_LOCK, UTRACE.lock));
    play.call(() => utrace_control(target, engine, UTRACE_DETACH));
    play.run("tracer");
    expect(waiting.result).toBe(undefined);
    end();
    play.run("target", inUserMode).tick("tracer").run("tracer");
    expect(waiting.result).toBe(-ESRCH);
  });
});
