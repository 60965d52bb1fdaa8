/**
 * What is wrong with the code as posted, each defect by one schedule played by hand.
 *
 * These are passing tests of known gaps: one that fails says that the model is no longer the posted code.
 */
import { describe, expect, test } from "vitest";
import { BARRIER, LOAD, SPIN_LOCK, STORE } from "../../sim/op.ts";
import { syscall, user_mode } from "../linux/entry.ts";
import { ESRCH } from "../linux/errno.ts";
import { sys_execve } from "../linux/exec.ts";
import { get_task_struct, put_task_struct, TASK_STOPPED, TASK_TRACED } from "../linux/sched.ts";
import { do_group_exit, kill_pid_info, SIGCONT, SIGKILL, SIGSTOP } from "../linux/signal.ts";
import { TASK } from "../linux/structs.ts";
import { at, inUserMode, named, Play, STOPS, traced, tracedAndStopped, within } from "../testProgram.ts";
import { utrace_attach_task } from "./attach.ts";
import { utrace_control } from "./control.ts";
import { UTRACE_ATTACH_CREATE, UTRACE_DETACH, UTRACE_EVENT, UTRACE_INTERRUPT, UTRACE_RESUME } from "./events.ts";
import { UTRACE } from "./structs.ts";

const { EXEC, QUIESCE, JCTL, REAP } = UTRACE_EVENT;
const USE_AFTER_FREE = (name: string): string => `use-after-free: BUG: KASAN: use-after-free in ${name}`;
const exits = named("exits", function* () {
  yield* user_mode(1000);
  yield* syscall(do_group_exit, 0);
});

describe("the use after free in utrace_stop", () => {
  /** A: a detach wakes the task and gives its struct up; a grace period passes before the task runs. */
  function detachedWhileStopped(options: Parameters<typeof tracedAndStopped>[0]) {
    const made = tracedAndStopped(options);
    made.play.call(() => utrace_control(made.target, made.engine, UTRACE_DETACH));
    made.play.rcu();
    expect(made.play.look(made.target)).toMatchObject({ runs: true, utrace: null });
    expect(made.play.findings()).toEqual([]);
    return made;
  }

  test("a detach of a stopped task, and a grace period before the task runs: it looks at freed memory", () => {
    const { play } = detachedWhileStopped({});
    play.run("target", inUserMode);
    expect(play.findings()).toEqual([USE_AFTER_FREE("utrace_stop")]);
  });

  test("with SLUB_DEBUG the poison says that it is still stopped: BUG at kernel/utrace.c:2275", () => {
    const { play } = detachedWhileStopped({ config: { SLUB_DEBUG: true }, checks: [] });
    play.run("target");
    expect(play.findings()).toEqual(["bug-on: kernel BUG at kernel/utrace.c:2275!"]);
  });

  test("with SLUB_DEBUG and a SIGKILL before the detach it dies in silence, and the next allocation finds the damage", () => {
    const { play, target, engine } = tracedAndStopped({ config: { SLUB_DEBUG: true }, checks: [], cpus: 4 });
    const pid = play.booted.getPid(target);
    play.call(() => kill_pid_info(SIGKILL, pid));
    play.call(() => utrace_control(target, engine, UTRACE_DETACH));
    play.rcu().run("target");
    expect(play.findings()).toEqual([]);
    expect(play.peek(target, TASK.exit_code)).toBe(SIGKILL);
    // Until somebody gets that very object: on the CPU whose slab it is in.
    const ops = play.ops({});
    const others = Array.from({ length: 8 }, (_, i) => play.process(`other${i}`, exits));
    for (const other of others) {
      if (play.findings().length === 0) play.call(() => utrace_attach_task(other, UTRACE_ATTACH_CREATE, ops, 0));
    }
    expect(play.findings()).toEqual(["slab-corruption: BUG utrace: Poison overwritten"]);
  });

  test("without debugging nothing happens at all: the freed struct still says that it is awake", () => {
    const { play } = detachedWhileStopped({
      config: { DEBUG_SPINLOCK: false, LOCKDEP: false, DEBUG_PAGEALLOC: false },
      checks: ["spinlock", "rcu", "atomic-sleep", "hang", "leak", "spec"],
    });
    play.run("target", inUserMode);
    expect(play.findings()).toEqual([]);
  });

  test("stop-relookup mends it", () => {
    const { play } = detachedWhileStopped({ patches: ["stop-relookup"] });
    play.run("target", inUserMode);
    expect(play.findings()).toEqual([]);
  });

  /** B: the task is on its way into the stop when its own reset finds the engine detached and gives the struct up. */
  function detachedWhileReporting(options: Parameters<typeof traced>[0]) {
    const made = traced({ answers: STOPS, events: QUIESCE, ...options });
    const { play, target, engine } = made;
    play.call(() => utrace_control(target, engine, UTRACE_INTERRUPT));
    play.run("target", at(SPIN_LOCK, UTRACE.lock, "finish_resume_report"));
    expect(play.call(() => utrace_control(target, engine, UTRACE_DETACH))).toBe(0);
    return made;
  }

  test("a detach while the task reports: it stops on the struct that it has just given up, and nobody can wake it", () => {
    const { play, target } = detachedWhileReporting({});
    play.run("target");
    expect(play.look(target)).toMatchObject({ state: TASK_TRACED, runs: false, utrace: null });
    play.toEnd();
    expect(play.findings()).toEqual(["hung-task: INFO: task target/100 blocked for more than 120 seconds."]);
  });

  test("and with a grace period in between it does so on freed memory", () => {
    const { play } = detachedWhileReporting({ patches: ["stop-relookup"] });
    play
      .run("target", at(LOAD, UTRACE.stopped, "utrace_stop"))
      .preempt("target")
      .rcu();
    play.run("target");
    expect(play.findings()[0]).toBe(USE_AFTER_FREE("utrace_stop"));
  });

  test("no-stop-after-last-detach mends that", () => {
    const { play, target } = detachedWhileReporting({ patches: ["no-stop-after-last-detach"] });
    play.run("target", inUserMode).rcu();
    expect(play.look(target)).toMatchObject({ runs: true, utrace: null });
    expect(play.findings()).toEqual([]);
  });
});

test("a first attach that loses against release_task frees its struct at once, with a look-up already waiting for its lock", () => {
  const play = new Play();
  const target = play.process("target", exits);
  const ops = play.ops({});
  play.call(() => get_task_struct(target));
  play.run("init").run("target");
  // The struct is in task->utrace, and the barrier before the look at exit_state is next.
  const attaching = play.start("attacher", () => utrace_attach_task(target, UTRACE_ATTACH_CREATE, ops, 0));
  play.run("attacher", (context) => at(BARRIER)(context) && play.peek(target, TASK.utrace) !== 0);
  play.start("looker", () => utrace_attach_task(target, 0, ops, 0));
  play.run("looker");
  expect(play.context("looker").rcuDepth).toBe(1);
  play.run("init");
  play.run("attacher");
  expect(attaching.result).toBe(-ESRCH);
  play.run("looker");
  expect(play.findings()[0]).toBe(USE_AFTER_FREE("utrace_attach_task"));
  play.call(() => put_task_struct(target));
});

describe("a task that comes out of a job control stop while it is being detached", () => {
  function jobStopped(events: number, options: Parameters<typeof traced>[0] = {}) {
    const made = traced({ ...options, answers: { report_quiesce: UTRACE_RESUME, report_jctl: UTRACE_RESUME }, events });
    const { play, target } = made;
    const pid = play.booted.getPid(target);
    play.call(() => kill_pid_info(SIGSTOP, pid));
    play.run("target");
    expect(play.look(target).state).toBe(TASK_STOPPED);
    return { ...made, pid };
  }

  test("finds task->utrace to be NULL after it has found task->utrace_flags not to be 0", () => {
    const main = named("execs", function* () {
      yield* user_mode(1000);
      yield* syscall(sys_execve);
    });
    const { play, target, engine, pid } = jobStopped(EXEC, { main });
    play.start("tracer", () => utrace_control(target, engine, UTRACE_DETACH));
    play.run("tracer", at(STORE, TASK.utrace_flags, "utrace_reset"));
    play.call(() => kill_pid_info(SIGCONT, pid));
    play
      .run("target", at(LOAD, TASK.utrace, "utrace_report_exec"))
      .run("tracer")
      .run("target");
    // Offset of `stopped` under lock debugging.
    const where = "0000000000000070";
    expect(play.findings()).toEqual([
      `paging-fault: BUG: unable to handle kernel NULL pointer dereference at ${where}`,
    ]);
  });

  test("reports JCTL on a struct that was given up before it had the lock: utrace_report_jctl does not look again", () => {
    const { play, target, engine, pid } = jobStopped(JCTL);
    play.start("tracer", () => utrace_control(target, engine, UTRACE_DETACH));
    play.run("tracer", at(STORE, TASK.utrace_flags, "utrace_reset"));
    play.call(() => kill_pid_info(SIGCONT, pid));
    play.run("target");
    expect(play.context("target").kind).toBe(SPIN_LOCK);
    play.run("tracer");
    expect(play.look(target).utrace).toBe(null);
    play.run("target", within("start_report")).preempt("target").rcu();
    play.run("target", inUserMode);
    expect(play.findings()).toEqual([USE_AFTER_FREE("start_report")]);
  });
});

test("the last detach and release_task each leave the struct to the other: it is lost", () => {
  const { play, target, engine } = traced({ main: exits, answers: { report_reap: 0 }, events: REAP });
  play.run("target");
  play.start("tracer", () => utrace_control(target, engine, UTRACE_DETACH));
  play.run("tracer", at(SPIN_LOCK, TASK.alloc_lock, "utrace_reset"));
  play.run("init", at(SPIN_LOCK, UTRACE.lock, "utrace_release_task"));
  expect(play.look(target).utrace).toBe(null);
  play.run("tracer").run("init").rcu();
  const lost = play.machine.slab.liveObjects().filter(({ cache }) => cache === "utrace");
  expect(lost).toHaveLength(1);
  expect(play.peek(lost[0]?.address ?? 0, UTRACE.reap)).toBe(0);
  expect(play.findings()).toEqual([
    "spec-divergence: task-freed: a task is freed only when no engine and no live struct is left of it (task-leaves-nothing)",
  ]);
});
