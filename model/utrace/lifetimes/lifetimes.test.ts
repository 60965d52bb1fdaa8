/** Each lifetime under the core: that it serves, what it does when it goes, and what it has no trouble with. */
import { describe, expect, test } from "vitest";
import type { Ptr } from "../../../sim/index.ts";
import { ALLOC, FREE, SPIN_LOCK } from "../../../sim/op.ts";
import { syscall, user_mode } from "../../linux/entry.ts";
import { EPERM, ESRCH } from "../../linux/errno.ts";
import { EXIT_DEAD, get_task_struct, PF_KTHREAD, put_task_struct, TASK_TRACED } from "../../linux/sched.ts";
import { do_group_exit, kill_pid_info, SIGKILL } from "../../linux/signal.ts";
import { TASK } from "../../linux/structs.ts";
import { at, attach, inUserMode, loggingOps, named, Play, STOPS, tracedAndStopped, within } from "../../testProgram.ts";
import { utrace_attach_task } from "../attach.ts";
import { utrace_control, utrace_set_events } from "../control.ts";
import { utrace_engine_put } from "../engine.ts";
import {
  UTRACE_ATTACH_CREATE,
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_INTERRUPT,
  UTRACE_RESUME,
  UTRACE_STOP,
} from "../events.ts";
import type { Lifetime } from "../lifetime.ts";
import { ENGINE, UTRACE } from "../structs.ts";
import { LIFETIMES } from "./index.ts";

const { QUIESCE, REAP } = UTRACE_EVENT;
const CREATE = UTRACE_ATTACH_CREATE;
const ALL = [...LIFETIMES.values()];
/** Those whose struct stays as long as its task. */
const KEPT = ALL.filter(({ layout }) => layout.UTRACE_RCU !== true);

const exits = named("lives_and_exits", function* () {
  yield* user_mode(1000);
  yield* user_mode(1000);
  yield* syscall(do_group_exit, 0);
});

describe.each(ALL)("$name", (lifetime: Lifetime) => {
  test("serves one engine after another, and all memory comes back", () => {
    const play = new Play({ lifetime });
    const target = play.process("target", exits);
    play.run("target", inUserMode);
    for (const prefix of ["A", "B"]) {
      const engine = attach(play, target, loggingOps([], prefix, STOPS), QUIESCE);
      expect(play.call(() => utrace_control(target, engine, UTRACE_INTERRUPT))).toBe(0);
      play.run("target");
      expect(play.look(target)).toMatchObject({ state: TASK_TRACED, runs: false });
      expect(play.call(() => utrace_control(target, engine, UTRACE_DETACH))).toBe(0);
      play.run("target", inUserMode).rcu();
      play.call(() => utrace_engine_put(engine));
    }
    expect(play.toEnd().findings()).toEqual([]);
  });

  test("a task that a SIGKILL wakes does not count as stopped any more, whatever its engines want to hear of", () => {
    const { play, target } = tracedAndStopped({ lifetime });
    play.poke(target, TASK.utrace_flags, UTRACE_EVENT.EXIT | REAP);
    play.call(() => kill_pid_info(SIGKILL, play.booted.getPid(target)));
    play.run("target");
    expect([play.peek(target, TASK.exit_code), play.findings()]).toEqual([SIGKILL, []]);
  });

  test("two engines: it goes on serving the one that stays", () => {
    const { play, target, engine } = tracedAndStopped({ lifetime });
    const other = attach(play, target, loggingOps([], "B", STOPS));
    play.call(() => utrace_control(target, engine, UTRACE_DETACH));
    play.run("target", inUserMode).rcu();
    expect(play.call(() => utrace_set_events(target, other, QUIESCE))).toBe(0);
    expect(play.call(() => utrace_control(target, other, UTRACE_INTERRUPT))).toBe(0);
    play.run("target");
    expect(play.look(target)).toMatchObject({ state: TASK_TRACED, runs: false });
    expect(play.call(() => utrace_control(target, engine, UTRACE_RESUME))).toBe(-ESRCH);
  });

  test("an engine is told of the reap, and gone after it", () => {
    const play = new Play({ lifetime });
    const target = play.process("target", exits);
    const log: string[] = [];
    play.call(() => get_task_struct(target));
    const engine = attach(play, target, loggingOps(log, "A", { report_reap: 0 }), REAP);
    play.run("init").run("target").run("init");
    expect([log, play.peek(target, TASK.exit_state)]).toEqual([["A reap"], EXIT_DEAD]);
    expect(play.call(() => utrace_control(target, engine, UTRACE_STOP))).toBe(-ESRCH);
    expect(play.call(() => utrace_attach_task(target, CREATE, play.ops({}), 0))).toBe(-ESRCH);
    play.call(() => utrace_engine_put(engine));
    play.call(() => put_task_struct(target));
    expect(play.rcu().toEnd().findings()).toEqual([]);
  });

  test("-EPERM of a kernel thread", () => {
    const play = new Play({ lifetime });
    const target = play.process("target", exits);
    play.poke(target, TASK.flags, PF_KTHREAD);
    expect(play.call(() => utrace_attach_task(target, CREATE, play.ops({}), 0))).toBe(-EPERM);
  });
});

describe.each(KEPT)("$name, without patches", (lifetime: Lifetime) => {
  const DEBUG = { SLUB_DEBUG: true };

  test("a detach and a grace period before the stopped task runs: it wakes as if nothing were", () => {
    const { play, target, engine } = tracedAndStopped({ lifetime, config: DEBUG });
    play.call(() => utrace_control(target, engine, UTRACE_DETACH));
    play.rcu().run("target", inUserMode);
    expect(play.findings()).toEqual([]);
  });

  test("the same with a SIGKILL before the detach: it dies, and nothing is written where it should not", () => {
    const { play, target, engine } = tracedAndStopped({ lifetime, config: DEBUG, cpus: 4 });
    const pid = play.booted.getPid(target);
    play.call(() => kill_pid_info(SIGKILL, pid));
    play.call(() => utrace_control(target, engine, UTRACE_DETACH));
    play.rcu().run("target");
    expect([play.peek(target, TASK.exit_code), play.findings()]).toEqual([SIGKILL, []]);
  });

  test("the struct stays when its last engine goes, as new for the next", () => {
    const { play, target, engine } = tracedAndStopped({ lifetime });
    const before = play.utraceOf(target);
    for (const asked of [UTRACE.interrupt, UTRACE.report, UTRACE.signal_handler]) play.poke(before, asked, 1);
    play.call(() => utrace_control(target, engine, UTRACE_DETACH));
    expect([play.utraceOf(target), play.look(target).utrace]).toEqual([before, []]);
    play.run("target", inUserMode).rcu();
    expect(play.utraceOf(target)).toBe(before);
  });

  test("an attach that passed its look at exit_state before the reap finds the struct reaped: -ESRCH", () => {
    const play = new Play({ lifetime });
    const target = play.process("target", exits);
    play.call(() => get_task_struct(target));
    const ops = play.ops({});
    const first = attach(play, target, loggingOps([], "A", {}));
    play.run("init").run("target");
    const attaching = play.start("attacher", () => utrace_attach_task(target, CREATE, ops, 0));
    play.run("attacher", at(SPIN_LOCK, UTRACE.lock));
    play.run("init");
    expect(play.peek(play.utraceOf(target), UTRACE.reap)).toBe(1);
    play.run("attacher");
    expect(attaching.result).toBe(-ESRCH);
    play.call(() => utrace_engine_put(first));
    play.call(() => put_task_struct(target));
    expect(play.rcu().toEnd().findings()).toEqual([]);
  });
});

/** Those that allocate for good, at the first attach. */
const ALLOCATED = KEPT.filter(({ layout }) => layout.UTRACE_INDIRECT === true);

test.each(ALLOCATED)("$name: of two first attaches the loser frees its copy, and both have an engine", (lifetime) => {
  const play = new Play({ lifetime, cpus: 4 });
  const target = play.process("target", exits);
  const ops = play.ops({});
  const slow = play.start("slow", () => utrace_attach_task(target, CREATE, ops, 0));
  play.run("slow", at(SPIN_LOCK, TASK.alloc_lock));
  const quick = play.call(() => utrace_attach_task(target, CREATE, ops, 0));
  const installed = play.utraceOf(target);
  play.run("slow", at(FREE));
  expect(play.context("slow").ptr).not.toBe(installed);
  play.run("slow");
  expect(play.utraceOf(target)).toBe(installed);
  for (const engine of [quick, slow.result as Ptr]) expect(play.peek(engine, ENGINE.ops)).toBe(ops);
});

test.each(ALLOCATED)("$name: a second attach allocates no struct", (lifetime) => {
  const { play, target } = tracedAndStopped({ lifetime });
  play.start("second", () => utrace_attach_task(target, CREATE, play.ops({}), 0));
  play.run("second", at(ALLOC)).step("second");
  play.run("second");
  expect(play.findings()).toEqual([]);
});

/** Those that take the lock for every look at the flags. */
const LOCKED = KEPT.filter(({ layout }) => layout.UTRACE_EMBEDDED === true);

test.each(LOCKED)(
  "$name: whoever sees `interrupt` set sees TIF_SIGPENDING set: the lock is held over both",
  (lifetime) => {
    const play = new Play({ lifetime });
    const target = play.process("target", exits);
    play.run("target", inUserMode);
    const log: string[] = [];
    const engine = attach(play, target, loggingOps(log, "A", STOPS), QUIESCE);
    play.start("tracer", () => utrace_control(target, engine, UTRACE_INTERRUPT));
    play.run("tracer", within("lock_task_sighand"));
    play.run("target");
    expect([play.context("target").kind, play.findings()]).toEqual([SPIN_LOCK, []]);
    play.run("tracer").run("target");
    expect([log, play.findings()]).toEqual([["A quiesce(0)"], []]);
  },
);
