/** From clone to the last reference: who is whose child, who takes whose pid, who reaps whom, and when memory goes. */
import { describe, expect, test } from "vitest";
import { choose, execute, load, makeStrategy, type Ptr, rcu_read_lock, rcu_read_unlock } from "../../sim/index.ts";
import { CALL_RCU, LOAD, type Request, SPIN_LOCK, STORE, UPDATE, USER, WAKE_UP } from "../../sim/op.ts";
import type { BootedKernel } from "../boot.ts";
import { at, inUserMode, modelProgram, named, Play, userLoop, within } from "../testProgram.ts";
import { syscall, user_mode } from "./entry.ts";
import { EAGAIN, ECHILD, ERESTARTNOINTR, ERESTARTSYS } from "./errno.ts";
import { sys_execve } from "./exec.ts";
import { do_exit, do_wait } from "./exit.ts";
import { CLONE_THREAD, do_fork } from "./fork.ts";
import { get_pid_task, put_pid } from "./pid.ts";
import {
  EXIT_DEAD,
  EXIT_ZOMBIE,
  get_task_struct,
  PF_EXITING,
  PF_STARTING,
  put_task_struct,
  TASK_RUNNING,
  TASK_UNINTERRUPTIBLE,
} from "./sched.ts";
import {
  actionOf,
  do_group_exit,
  group_send_sig_info,
  SIG_IGN,
  SIGCHLD,
  SIGKILL,
  SIGNAL_GROUP_EXIT,
  SIGUSR1,
  sigmask,
} from "./signal.ts";
import { k_sigaction, PID, SIGHAND, SIGNAL, TASK } from "./structs.ts";

const { sa_handler } = k_sigaction.fields;

type Deed = () => Generator<Request, unknown, unknown>;

/** Does these things one after the other, each after some user mode, then runs in user mode for ever. */
const doing = (name: string, ...deeds: Deed[]) =>
  named(name, function* (): Generator<Request, void, unknown> {
    for (const deed of deeds) {
      yield* user_mode(1000);
      yield* deed();
    }
    for (;;) yield* user_mode(1000);
  });
const forks =
  (main = exits): Deed =>
  () =>
    syscall(do_fork, 0, "child", main);
const clones =
  (main = exits, comm = "thread"): Deed =>
  () =>
    syscall(do_fork, CLONE_THREAD, comm, main);
const exits = doing("exits", () => syscall(do_group_exit, 1));
const exitsAlone = doing("exits_alone", () => syscall(do_exit, 1));
const execs = doing("execs", () => syscall(sys_execve));

/** A stage with one process, which has run to its first user mode. */
function stage(main: ReturnType<typeof doing>) {
  const play = new Play();
  const target = play.process("target", main);
  play.run("init").run("target", inUserMode);
  return { play, target };
}

/** Names and sizes of what has not been freed. */
const live = (play: Play): string[] => play.machine.slab.liveObjects().map(({ cache }) => cache);

describe("clone", () => {
  test("of a process: a child with structs of its own, that runs only once its creator has woken it", () => {
    const { play, target } = stage(doing("forks", forks(userLoop)));
    play.run("target", at(UPDATE, TASK.flags, "do_fork"));
    const child = play.context("child").task;
    expect(play.peek(child, TASK.flags) & PF_STARTING).toBe(PF_STARTING);
    expect(play.look(child).runs).toBe(false);
    play.run("target", inUserMode);
    expect(play.look(child)).toMatchObject({ state: TASK_RUNNING, runs: true, utrace: null });
    expect(play.peek(child, TASK.flags) & PF_STARTING).toBe(0);
    expect(play.peek(child, TASK.real_parent)).toBe(target);
    expect(play.peek(child, TASK.tgid)).toBe(play.peek(child, TASK.pid));
    expect(play.peek(child, TASK.group_leader)).toBe(child);
    for (const field of [TASK.signal, TASK.sighand, TASK.thread_pid]) {
      expect(play.peek(child, field)).not.toBe(play.peek(target, field));
    }
  });

  test("of a thread: the creator's signal and sighand, its group and its parent", () => {
    const { play, target } = stage(doing("clones", clones(userLoop)));
    play.run("target", at(WAKE_UP, undefined, "do_fork")).step("target");
    const thread = play.context("thread").task;
    for (const field of [TASK.signal, TASK.sighand, TASK.real_parent, TASK.tgid, TASK.group_leader]) {
      expect(play.peek(thread, field)).toBe(play.peek(target, field));
    }
    expect(play.peek(thread, TASK.pid)).not.toBe(play.peek(target, TASK.pid));
    expect(play.peek(thread, TASK.exit_signal)).toBe(-1);
    const signal = play.peek(target, TASK.signal);
    expect([play.peek(signal, SIGNAL.count.counter), play.peek(signal, SIGNAL.live.counter)]).toEqual([2, 2]);
  });

  test("a child inherits handlers and mask, not what is pending", () => {
    const { play, target } = stage(doing("forks", forks(userLoop)));
    const own = actionOf(play.peek(target, TASK.sighand), SIGUSR1);
    play.poke(own, sa_handler, 0x4000);
    play.poke(target, TASK.blocked, sigmask(SIGUSR1));
    play.poke(target, TASK.pending.signal, sigmask(SIGUSR1));
    play.run("target", at(UPDATE, TASK.flags, "do_fork"));
    const child = play.context("child").task;
    expect(play.peek(actionOf(play.peek(child, TASK.sighand), SIGUSR1), sa_handler)).toBe(0x4000);
    expect(play.peek(child, TASK.blocked)).toBe(sigmask(SIGUSR1));
    expect(play.pending(child)).toEqual({ own: 0, shared: 0 });
  });

  test.each([
    ["process", 0],
    ["thread", CLONE_THREAD],
  ])("of a %s under a signal: -ERESTARTNOINTR, and everything is given back", (_name, flags) => {
    let result: unknown;
    const { play, target } = stage(
      doing("forks", function* () {
        result = yield* do_fork(flags, "child", userLoop);
      }),
    );
    const before = live(play);
    play.poke(actionOf(play.peek(target, TASK.sighand), SIGUSR1), sa_handler, 0x4000);
    play.run("target", within("do_fork"));
    play.call(() => group_send_sig_info(SIGUSR1, target));
    play.run("target", inUserMode);
    expect(result).toBe(-ERESTARTNOINTR);
    expect(live(play)).toEqual(before);
    const signal = play.peek(target, TASK.signal);
    expect([play.peek(signal, SIGNAL.count.counter), play.peek(signal, SIGNAL.live.counter)]).toEqual([1, 1]);
    expect(play.peek(play.peek(target, TASK.sighand), SIGHAND.count.counter)).toBe(1);
    expect(play.findings()).toEqual([]);
  });
});

describe("exec", () => {
  test("of a process of one thread keeps everything but its memory", () => {
    const { play, target } = stage(execs);
    const pid = play.peek(target, TASK.pid);
    const mm = play.peek(target, TASK.mm);
    play.step("target").run("target", inUserMode);
    expect(play.peek(target, TASK.pid)).toBe(pid);
    expect(play.peek(target, TASK.mm)).not.toBe(mm);
    expect(play.peek(target, TASK.self_exec_id)).toBe(1);
  });

  test("by the leader kills the other threads and waits for them", () => {
    const { play, target } = stage(
      doing("execs", clones(userLoop, "thread1"), clones(userLoop, "thread2"), () => syscall(sys_execve)),
    );
    play.run("target");
    expect(play.look(target)).toMatchObject({ state: TASK_UNINTERRUPTIBLE, runs: false });
    const signal = play.peek(target, TASK.signal);
    expect(play.peek(signal, SIGNAL.group_exit_task)).toBe(target);
    for (const comm of ["thread1", "thread2"]) expect(play.pending(play.context(comm).task).own).toBe(sigmask(SIGKILL));
    play.run("thread1");
    expect(play.look(target).runs).toBe(false);
    play.run("thread2");
    expect(play.look(target)).toMatchObject({ state: TASK_RUNNING, runs: true });
    play.run("target", inUserMode).rcu();
    expect(play.peek(signal, SIGNAL.group_exit_task)).toBe(0);
    expect(play.peek(signal, SIGNAL.flags) & SIGNAL_GROUP_EXIT).toBe(0);
    expect(play.peek(signal, SIGNAL.count.counter)).toBe(1);
    expect(live(play).filter((cache) => cache === "task_struct")).toHaveLength(1);
    expect(play.findings()).toEqual([]);
  });

  /** "thread" execs while the leader and "other" are alive. */
  function byThread() {
    const { play, target } = stage(doing("leader", clones(execs), clones(userLoop, "other")));
    play.run("target", (context) => inUserMode(context) && play.machine.contexts.some(({ comm }) => comm === "other"));
    const thread = play.context("thread").task;
    return { play, target, thread, pid: play.peek(target, TASK.pid), leaderPid: play.peek(target, TASK.thread_pid) };
  }

  test("by another thread: it takes over the leader's pid, and releases the leader", () => {
    const { play, target, thread, pid, leaderPid } = byThread();
    play.call(() => get_task_struct(target));
    play.run("thread");
    expect(play.look(thread)).toMatchObject({ state: TASK_UNINTERRUPTIBLE, runs: false });
    play.run("other").run("target");
    expect(play.peek(target, TASK.exit_state)).toBe(EXIT_ZOMBIE);
    play.run("thread", inUserMode);
    expect(play.peek(target, TASK.exit_state)).toBe(EXIT_DEAD);
    expect(play.peek(thread, TASK.pid)).toBe(pid);
    expect(play.peek(leaderPid, PID.task)).toBe(thread);
    expect(play.peek(thread, TASK.group_leader)).toBe(thread);
    expect(play.peek(thread, TASK.exit_signal)).toBe(SIGCHLD);
    expect(play.peek(thread, TASK.real_parent)).toBe(play.booted.init);
    play.call(() => put_task_struct(target));
    play.rcu();
    expect(live(play).filter((cache) => cache === "task_struct")).toHaveLength(1);
    expect(play.findings()).toEqual([]);
  });

  test("afterwards init reaps it as its child, under the old pid", () => {
    const { play, thread } = byThread();
    play.run("thread").run("other").run("target").run("thread", inUserMode);
    play.call(() => group_send_sig_info(SIGKILL, thread));
    play.run("thread").run("init").rcu();
    expect(play.context("init").finished).toBe(true);
    expect(live(play)).toEqual([]);
    expect(play.findings()).toEqual([]);
  });

  test("the leader waits as a zombie if it exits before the other thread does", () => {
    const { play, target, thread } = byThread();
    play.run("thread").run("target").run("init");
    expect(play.peek(target, TASK.exit_state)).toBe(EXIT_ZOMBIE);
    expect(play.look(thread).runs).toBe(false);
    play.run("other");
    expect(play.look(thread).runs).toBe(true);
    play.run("thread", inUserMode);
    expect(play.findings()).toEqual([]);
  });

  test("two at once: the second gives -EAGAIN, and its thread dies", () => {
    let second: unknown;
    const races = doing("races", function* () {
      second = yield* sys_execve();
    });
    const { play, target } = stage(doing("leader", clones(races), () => syscall(sys_execve)));
    play
      .run("target", within("de_thread"))
      .run("thread", at(SPIN_LOCK, undefined, "de_thread"))
      .run("target");
    expect(play.look(target)).toMatchObject({ state: TASK_UNINTERRUPTIBLE });
    play.run("thread");
    expect(second).toBe(-EAGAIN);
    play.run("target", inUserMode).rcu();
    expect(play.look(target).state).toBe(TASK_RUNNING);
    expect(live(play).filter((cache) => cache === "task_struct")).toHaveLength(1);
    expect(play.findings()).toEqual([]);
  });

  test("an exit_group of another thread meanwhile does not kill the exec", () => {
    const groupExits = doing("group_exits", () => syscall(do_group_exit, 7));
    const { play, target } = stage(doing("leader", clones(groupExits), () => syscall(sys_execve)));
    play.run(
      "target",
      (context) => context.kind === USER && play.machine.contexts.some(({ comm }) => comm === "thread"),
    );
    play.run("thread", within("do_group_exit")).run("target");
    expect(play.look(target)).toMatchObject({ state: TASK_UNINTERRUPTIBLE });
    play.run("thread").run("target", inUserMode);
    expect(play.pending(target).own).toBe(0);
    expect(play.peek(play.peek(target, TASK.signal), SIGNAL.flags) & SIGNAL_GROUP_EXIT).toBe(0);
    play.rcu();
    expect(play.findings()).toEqual([]);
  });

  test("by a thread whose parent died meanwhile: init is the parent", () => {
    const grandchild = doing("grandchild", clones(execs));
    const { play, target } = stage(doing("forks", forks(grandchild), () => syscall(do_group_exit, 0)));
    play.run("target", (context) => inUserMode(context) && play.machine.contexts.some(({ comm }) => comm === "child"));
    play.run("child", (context) => inUserMode(context) && play.machine.contexts.some(({ comm }) => comm === "thread"));
    const thread = play.context("thread").task;
    expect(play.peek(thread, TASK.real_parent)).toBe(target);
    play.run("target").run("init").rcu();
    expect(play.peek(thread, TASK.real_parent)).toBe(play.booted.init);
    play.run("thread").run("child").run("thread", inUserMode);
    play.call(() => group_send_sig_info(SIGKILL, thread));
    play.run("thread").run("init").rcu();
    expect(live(play)).toEqual([]);
    expect(play.findings()).toEqual([]);
  });
});

describe("exit", () => {
  test("makes a zombie, wakes the parent, and the parent reaps it", () => {
    let reaped: unknown;
    const { play, target } = stage(
      doing("waits", forks(), function* () {
        reaped = yield* syscall(do_wait);
      }),
    );
    play.run("target");
    expect(play.look(target).runs).toBe(false);
    const child = play.context("child").task;
    const pid = play.peek(child, TASK.pid);
    play.call(() => get_task_struct(child));
    play.run("child");
    expect(play.peek(child, TASK.exit_state)).toBe(EXIT_ZOMBIE);
    expect(play.peek(child, TASK.exit_code)).toBe(1);
    expect(play.look(target).runs).toBe(true);
    play.run("target", inUserMode);
    expect(reaped).toBe(pid);
    expect(play.peek(child, TASK.exit_state)).toBe(EXIT_DEAD);
    expect([play.peek(child, TASK.signal), play.peek(child, TASK.sighand), play.peek(child, TASK.thread_pid)]).toEqual([
      0, 0, 0,
    ]);
    play.call(() => put_task_struct(child));
    play.rcu();
    expect(play.findings()).toEqual([]);
  });

  test("wait gives -ECHILD without children, -ERESTARTSYS when a signal comes first", () => {
    const results: unknown[] = [];
    const waits = function* () {
      results.push(yield* do_wait());
    };
    const { play, target } = stage(doing("waits", waits, forks(userLoop), waits));
    play.poke(actionOf(play.peek(target, TASK.sighand), SIGUSR1), sa_handler, 0x4000);
    play.run("target");
    play.call(() => group_send_sig_info(SIGUSR1, target));
    play.run("target", inUserMode);
    expect(results).toEqual([-ECHILD, -ERESTARTSYS]);
  });

  test("of a child whose parent ignores SIGCHLD: it reaps itself", () => {
    const { play, target } = stage(doing("forks", forks()));
    play.poke(actionOf(play.peek(target, TASK.sighand), SIGCHLD), sa_handler, SIG_IGN);
    play.run("target", at(WAKE_UP, undefined, "do_fork")).step("target");
    const child = play.context("child").task;
    play.call(() => get_task_struct(child));
    play.run("child");
    expect(play.peek(child, TASK.exit_state)).toBe(EXIT_DEAD);
    play.call(() => put_task_struct(child));
    play.run("target", inUserMode).rcu();
    expect(live(play).filter((cache) => cache === "task_struct")).toHaveLength(1);
    expect(play.findings()).toEqual([]);
  });

  test("of a thread: it reaps itself; a leader stays a zombie until its last thread is gone", () => {
    const { play, target } = stage(doing("clones", clones(exitsAlone), () => syscall(do_exit, 0)));
    play.run("target");
    expect(play.peek(target, TASK.exit_state)).toBe(EXIT_ZOMBIE);
    play.run("init");
    expect(play.peek(target, TASK.exit_state)).toBe(EXIT_ZOMBIE);
    expect(play.context("init").finished).toBe(false);
    play.run("thread").run("init").rcu();
    expect(play.context("init").finished).toBe(true);
    expect(live(play)).toEqual([]);
    expect(play.findings()).toEqual([]);
  });

  test("of the last thread of a zombie leader whose parent ignores SIGCHLD: it releases the leader too", () => {
    const family = doing("family", clones(exitsAlone), () => syscall(do_exit, 0));
    const { play, target } = stage(doing("forks", forks(family)));
    play.poke(actionOf(play.peek(target, TASK.sighand), SIGCHLD), sa_handler, SIG_IGN);
    play.run("target", at(WAKE_UP, undefined, "do_fork")).step("target");
    play.run("child");
    expect(play.peek(play.context("child").task, TASK.exit_state)).toBe(EXIT_ZOMBIE);
    play.run("thread").run("target", inUserMode).rcu();
    expect(live(play).filter((cache) => cache === "task_struct")).toHaveLength(1);
    expect(play.findings()).toEqual([]);
  });

  test("of a parent: its children go to init, which reaps them, zombies and those that die later", () => {
    const { play } = stage(doing("forks", forks(), forks(userLoop), () => syscall(do_group_exit, 0)));
    const childrenOf = () => play.machine.contexts.filter(({ comm }) => comm === "child").map(({ task }) => task);
    play
      .run("target", at(WAKE_UP, undefined, "do_fork"))
      .step("target")
      .run("child");
    const [zombie] = childrenOf() as [Ptr];
    expect(play.peek(zombie, TASK.exit_state)).toBe(EXIT_ZOMBIE);
    play.call(() => get_task_struct(zombie));
    play.run("target").run("init");
    expect(play.peek(zombie, TASK.exit_state)).toBe(EXIT_DEAD);
    expect(play.peek(zombie, TASK.real_parent)).toBe(play.booted.init);
    play.call(() => put_task_struct(zombie));
    const [, orphan] = childrenOf() as [Ptr, Ptr];
    expect(play.peek(orphan, TASK.real_parent)).toBe(play.booted.init);
    play.call(() => group_send_sig_info(SIGKILL, orphan));
    play.toEnd();
    expect(live(play)).toEqual([]);
    expect(play.findings()).toEqual([]);
  });

  test("of a thread that has children: another thread of the group becomes their parent", () => {
    const thread = doing("forks", forks(userLoop), () => syscall(do_exit, 0));
    const { play, target } = stage(doing("leader", clones(thread)));
    play.run("target", at(WAKE_UP, undefined, "do_fork")).step("target");
    play.run("thread");
    expect(play.peek(play.context("child").task, TASK.real_parent)).toBe(target);
    expect(play.findings()).toEqual([]);
  });

  test("of a thread whose child is a zombie: its process has heard of that and is not told again", () => {
    const thread = doing("forks", forks(), () => syscall(do_exit, 0));
    const { play, target } = stage(doing("leader", clones(thread)));
    play.poke(actionOf(play.peek(target, TASK.sighand), SIGCHLD), sa_handler, 0x4000);
    play.poke(target, TASK.blocked, sigmask(SIGCHLD));
    play
      .run("target", at(WAKE_UP, undefined, "do_fork"))
      .step("target")
      .run("target", inUserMode);
    play
      .run("thread", at(WAKE_UP, undefined, "do_fork"))
      .step("thread")
      .run("child");
    expect(play.pending(target).shared).toBe(sigmask(SIGCHLD));
    play.poke(play.peek(target, TASK.signal), SIGNAL.shared_pending.signal, 0);
    play.run("thread");
    expect(play.peek(play.context("child").task, TASK.real_parent)).toBe(target);
    expect(play.pending(target).shared).toBe(0);
    expect(play.findings()).toEqual([]);
  });

  test("no signal reaches a task from exit_signals on", () => {
    const { play, target } = stage(exits);
    play.run("target", at(STORE, TASK.exit_code));
    expect(play.peek(target, TASK.flags) & PF_EXITING).toBe(PF_EXITING);
  });
});

describe("the memory of a task", () => {
  test("stays while an RCU reader that found it is still reading, and goes after", () => {
    const { play, target } = stage(exits);
    const reader = play.start("reader", function* () {
      yield* rcu_read_lock();
      const state = yield* load(target, TASK.exit_state);
      yield* rcu_read_unlock();
      return state;
    });
    play.run("reader", at(LOAD, TASK.exit_state));
    play.run("target").run("init").rcu();
    expect(play.findings()).toEqual([]);
    expect(live(play)).toContain("task_struct");
    play.run("reader");
    expect(reader.result).toBe(EXIT_DEAD);
    play.rcu();
    expect(live(play)).toEqual([]);
  });

  test("stays while somebody holds a reference", () => {
    const { play, target } = stage(exits);
    const pid = play.booted.getPid(target);
    expect(play.call(() => get_pid_task(pid))).toBe(target);
    play.run("target").run("init").rcu();
    expect(live(play).sort()).toEqual(["pid", "task_struct"]);
    play.call(() => put_task_struct(target));
    play.call(() => put_pid(pid));
    play.rcu();
    expect(live(play)).toEqual([]);
    expect(play.findings()).toEqual([]);
  });

  test("is freed by an RCU callback, after release_task and the task's own last step", () => {
    const { play } = stage(exits);
    play.run("target").run("init", at(CALL_RCU, TASK.rcu));
    expect(live(play)).toContain("task_struct");
    play.run("init");
    expect(live(play)).toContain("task_struct");
    play.rcu();
    expect(live(play)).not.toContain("task_struct");
  });
});

describe("a whole family, untraced", () => {
  /** Forks, threads, execs, exits in all orders; some parents wait, one ignores its children, some die first. */
  function populate(booted: BootedKernel): void {
    const worker = named("worker", function* () {
      yield* user_mode(10_000);
      yield* syscall(do_exit, 0);
    });
    const child = named("child", function* () {
      yield* user_mode(10_000);
      if ((yield* choose(2)) === 1) {
        yield* syscall(do_fork, CLONE_THREAD, "worker", worker);
        yield* user_mode(10_000);
        yield* syscall(sys_execve);
      }
      yield* syscall(do_group_exit, 0);
    });
    const execer = named("execer", function* () {
      yield* syscall(sys_execve);
      yield* user_mode(10_000);
      yield* syscall(do_group_exit, 0);
    });
    const waits = named("waits", function* () {
      yield* syscall(do_fork, 0, "child", child);
      yield* syscall(do_fork, 0, "child", child);
      if ((yield* choose(2)) === 1) while ((yield* syscall(do_wait)) !== -ECHILD);
      yield* syscall(do_group_exit, 0);
    });
    const ignores = named("ignores", function* () {
      yield* syscall(do_fork, CLONE_THREAD, "execer", execer);
      yield* syscall(do_fork, 0, "child", child);
      yield* user_mode(10_000);
      yield* syscall(do_group_exit, 0);
    });
    booted.process({ comm: "waits", pid: 200, subject: true }, waits);
    const task = booted.process({ comm: "ignores", pid: 201, subject: true }, ignores);
    const { machine } = booted;
    machine.poke(
      machine.peek(task, TASK.sighand) + (machine.offset[SIGHAND.action.id] as number) + (SIGCHLD - 1) * 32,
      sa_handler,
      SIG_IGN,
    );
  }

  test.each([
    ["random", {}, 300],
    ["timed", {}, 50],
    ["random", { PREEMPT_RCU: true, SLUB_DEBUG: true }, 50],
    ["random", { PREEMPT: false, DEBUG_SPINLOCK: false, LOCKDEP: false }, 50],
  ] as const)("ends, with nothing found and nothing left: %s, %o, %i schedules", (strategy, config, runs) => {
    const program = modelProgram(populate, { config });
    const found: string[] = [];
    let steps = 0;
    for (let run = 0; run < runs; run++) {
      const result = execute(program, makeStrategy(strategy, `family/${run}`), { scheduleOnlyOnFinding: true });
      expect(result.cutOff, `run ${run}`).toBe(false);
      steps += result.steps;
      found.push(
        ...result.findings.map(({ title, function: name, task }) => `run ${run}: ${title} (${task}, ${name})`),
      );
    }
    expect(found).toEqual([]);
    expect(steps).toBeGreaterThan(1000 * runs);
  });
});
