/** Signals: who is woken by what, where a signal waits, group stops, and who dies. */
import { describe, expect, test } from "vitest";
import { type Ptr, schedule } from "../../sim/index.ts";
import { thread_info } from "../../sim/kernelStructs.ts";
import { LOAD, SPIN_LOCK, UPDATE } from "../../sim/op.ts";
import { at, inUserMode, named, Play, tracedAndStopped, userLoop, within } from "../testProgram.ts";
import { syscall, user_mode } from "./entry.ts";
import { ESRCH } from "./errno.ts";
import { do_exit, do_wait } from "./exit.ts";
import { CLONE_THREAD, do_fork } from "./fork.ts";
import { put_pid } from "./pid.ts";
import {
  __set_current_state,
  EXIT_DEAD,
  EXIT_ZOMBIE,
  get_task_struct,
  PF_EXITING,
  put_task_struct,
  TASK_INTERRUPTIBLE,
  TASK_RUNNING,
  TASK_STOPPED,
  TASK_TRACED,
  TIF_SIGPENDING,
} from "./sched.ts";
import {
  actionOf,
  do_group_exit,
  group_send_sig_info,
  kill_pid_info,
  lock_task_sighand,
  SIG_IGN,
  SIGCHLD,
  SIGCONT,
  SIGHUP,
  SIGINT,
  SIGKILL,
  SIGNAL_GROUP_EXIT,
  SIGNAL_STOP_CONTINUED,
  SIGNAL_STOP_DEQUEUED,
  SIGNAL_STOP_STOPPED,
  SIGSTOP,
  SIGTERM,
  SIGTSTP,
  SIGUSR1,
  send_sig_thread,
  sigmask,
  signal_wake_up,
  unlock_task_sighand,
} from "./signal.ts";
import { k_sigaction, SIGNAL, TASK } from "./structs.ts";

const HANDLER = 0x4000;

/** What the tests do to a process. */
function handles(play: Play, target: Ptr) {
  const signal = play.peek(target, TASK.signal);
  return {
    play,
    target,
    signal,
    kill: (sig: number): number => play.call(() => group_send_sig_info(sig, target)),
    tkill: (sig: number, task: Ptr): number => play.call(() => send_sig_thread(sig, task)),
    handle: (sig: number, handler: number): void =>
      play.poke(actionOf(play.peek(target, TASK.sighand), sig), k_sigaction.fields.sa_handler, handler),
    flags: (): number => play.peek(signal, SIGNAL.flags),
  };
}

/** A process in user mode, with this many threads besides its leader: "target", "thread1", "thread2"... */
function group(threads: number, cpus = 8) {
  const play = new Play({ cpus });
  const main = named("leader", function* () {
    for (let i = 1; i <= threads; i++) yield* syscall(do_fork, CLONE_THREAD, `thread${i}`, userLoop);
    for (;;) yield* user_mode(1000);
  });
  const target = play.process("target", main);
  play.run("init").run("target", inUserMode);
  const all = [target];
  for (let i = 1; i <= threads; i++) {
    play.run(`thread${i}`, inUserMode);
    all.push(play.context(`thread${i}`).task);
  }
  return { ...handles(play, target), all, threads: all.slice(1) };
}

/** A process in user mode with one more thread, which exits when it runs again. */
function exitingThread() {
  const play = new Play();
  const thread = named("exits_thread", function* () {
    yield* user_mode(1000);
    yield* syscall(do_exit, 0);
  });
  const main = named("leader", function* () {
    yield* syscall(do_fork, CLONE_THREAD, "thread", thread);
    for (;;) yield* user_mode(1000);
  });
  const target = play.process("target", main);
  play.run("target", inUserMode).run("thread", inUserMode);
  return handles(play, target);
}

describe("waking", () => {
  const signalLocked = (play: Play, target: Ptr, resume: boolean) =>
    play.call(function* () {
      const lock = yield* lock_task_sighand(target);
      yield* signal_wake_up(target, resume);
      yield* unlock_task_sighand(lock);
    });

  test("SIGKILL wakes a task in TASK_TRACED", () => {
    const { play, target } = tracedAndStopped();
    play.call(() => group_send_sig_info(SIGKILL, target));
    expect(play.look(target)).toMatchObject({ state: TASK_RUNNING, runs: true, tif: TIF_SIGPENDING });
  });

  test("signal_wake_up(0) does not, signal_wake_up(1) does", () => {
    const { play, target } = tracedAndStopped();
    signalLocked(play, target, false);
    expect(play.look(target)).toMatchObject({ state: TASK_TRACED, runs: false, tif: TIF_SIGPENDING });
    signalLocked(play, target, true);
    expect(play.look(target)).toMatchObject({ state: TASK_RUNNING, runs: true });
  });

  test.each([
    ["SIGCONT", SIGCONT],
    ["SIGTERM", SIGTERM],
    ["SIGUSR1", SIGUSR1],
    ["SIGSTOP", SIGSTOP],
  ])("%s does not: it waits", (_name, sig) => {
    const { play, target } = tracedAndStopped();
    play.poke(actionOf(play.peek(target, TASK.sighand), SIGCONT), k_sigaction.fields.sa_handler, HANDLER);
    play.call(() => group_send_sig_info(sig, target));
    expect(play.look(target)).toMatchObject({ state: TASK_TRACED, runs: false });
    expect(play.pending(target)).toEqual({ own: 0, shared: sigmask(sig) });
  });

  test("a task in TASK_STOPPED is woken by SIGCONT and by SIGKILL, and by nothing else", () => {
    for (const [sig, runs] of [
      [SIGCONT, true],
      [SIGKILL, true],
      [SIGTERM, false],
      [SIGSTOP, false],
      [SIGUSR1, false],
    ] as const) {
      const { play, target, kill } = group(0);
      kill(SIGSTOP);
      play.run("target");
      expect(play.look(target)).toMatchObject({ state: TASK_STOPPED, runs: false });
      kill(sig);
      expect(play.look(target).runs, String(sig)).toBe(runs);
    }
  });

  test("a task that sleeps interruptibly is woken by a signal it takes", () => {
    const play = new Play();
    const parent = named("parent", function* () {
      yield* syscall(do_fork, 0, "child", userLoop);
      yield* syscall(do_wait);
    });
    const target = play.process("parent", parent);
    play.run("parent");
    expect(play.look(target)).toMatchObject({ state: TASK_INTERRUPTIBLE, runs: false });
    play.call(() => group_send_sig_info(SIGTERM, target));
    expect(play.look(target)).toMatchObject({ state: TASK_RUNNING, runs: true });
  });

  test.each([
    ["SIGKILL", SIGKILL, false],
    ["SIGUSR1", SIGUSR1, true],
  ])("%s is pending before schedule() in TASK_TRACED: signal %i, sleeps %s", (_name, sig, sleeps) => {
    const play = new Play();
    play.start("sleeper", function* () {
      yield* __set_current_state(TASK_TRACED);
      yield* schedule();
    });
    const { task } = play.context("sleeper");
    play.poke(actionOf(play.peek(task, TASK.sighand), SIGUSR1), k_sigaction.fields.sa_handler, HANDLER);
    play.call(() => group_send_sig_info(sig, task));
    play.run("sleeper");
    expect(play.context("sleeper").finished).toBe(!sleeps);
  });
});

describe("a pending signal", () => {
  test("of kill waits in the shared set, of tkill in the thread's own", () => {
    const { play, target, threads, kill, tkill } = group(1);
    const [thread] = threads as [Ptr];
    play.poke(target, TASK.blocked, -1 & ~sigmask(SIGKILL));
    play.poke(thread, TASK.blocked, -1 & ~sigmask(SIGKILL));
    kill(SIGUSR1);
    tkill(SIGHUP, thread);
    expect(play.pending(target)).toEqual({ own: 0, shared: sigmask(SIGUSR1) });
    expect(play.pending(thread)).toEqual({ own: sigmask(SIGHUP), shared: sigmask(SIGUSR1) });
  });

  test("is there once, however often it is sent: its handler runs once", () => {
    const { play, target, handle, kill } = group(0);
    handle(SIGUSR1, HANDLER);
    kill(SIGUSR1);
    kill(SIGUSR1);
    play.run("target", within("handle_signal")).run("target", inUserMode);
    expect(play.pending(target)).toEqual({ own: 0, shared: 0 });
    expect(play.tif(target)).toBe(0);
  });

  test("is dropped when it is ignored, by default or by choice, unless it is blocked", () => {
    const { play, target, handle, kill } = group(0);
    handle(SIGUSR1, SIG_IGN);
    kill(SIGUSR1);
    kill(SIGCHLD);
    expect(play.pending(target)).toEqual({ own: 0, shared: 0 });
    play.poke(target, TASK.blocked, sigmask(SIGUSR1));
    kill(SIGUSR1);
    expect(play.pending(target)).toEqual({ own: 0, shared: sigmask(SIGUSR1) });
    expect(play.tif(target)).toBe(0);
  });

  test("is taken from the thread's own set first, the lowest first; so SIGKILL comes before the signal that killed", () => {
    const { play, target, signal, kill } = group(0);
    kill(SIGTERM);
    expect(play.pending(target)).toEqual({ own: sigmask(SIGKILL), shared: sigmask(SIGTERM) });
    play.poke(signal, SIGNAL.shared_pending.signal, sigmask(SIGHUP) | sigmask(SIGTERM));
    play.run("target");
    // The code is that of the signal the group was killed by.
    expect(play.peek(target, TASK.exit_code)).toBe(SIGTERM);
    expect(play.pending(target).shared & sigmask(SIGHUP)).toBe(sigmask(SIGHUP));
  });

  test("a stop signal removes SIGCONT from all sets of the group, and SIGCONT removes the stop signals", () => {
    const { play, target, threads, kill, tkill, handle } = group(1);
    const [thread] = threads as [Ptr];
    handle(SIGCONT, HANDLER);
    for (const task of [target, thread]) play.poke(task, TASK.blocked, -1 & ~sigmask(SIGKILL));
    kill(SIGCONT);
    tkill(SIGCONT, thread);
    expect(play.pending(thread)).toEqual({ own: sigmask(SIGCONT), shared: sigmask(SIGCONT) });
    kill(SIGTSTP);
    expect(play.pending(thread)).toEqual({ own: 0, shared: sigmask(SIGTSTP) });
    tkill(SIGTSTP, thread);
    kill(SIGSTOP);
    kill(SIGCONT);
    expect(play.pending(thread)).toEqual({ own: 0, shared: sigmask(SIGCONT) });
    expect(play.pending(target).own).toBe(0);
  });

  test("for the group goes to a thread that takes it when the leader does not", () => {
    const { play, target, threads, kill, handle } = group(1);
    const [thread] = threads as [Ptr];
    handle(SIGUSR1, HANDLER);
    play.poke(target, TASK.blocked, sigmask(SIGUSR1));
    kill(SIGUSR1);
    expect(play.tif(target)).toBe(0);
    expect(play.tif(thread)).toBe(TIF_SIGPENDING);
  });

  test("for the group goes past a thread that has one to look at already and waits for a CPU", () => {
    const { play, target, threads, kill, handle } = group(1);
    const [thread] = threads as [Ptr];
    handle(SIGUSR1, HANDLER);
    play.poke(play.machine.threadInfo(target), thread_info.fields.flags, TIF_SIGPENDING);
    play.preempt("target");
    kill(SIGUSR1);
    expect(play.tif(thread)).toBe(TIF_SIGPENDING);
  });

  test("goes to the threads in turn; one that has exited loses its turn to the next", () => {
    const play = new Play();
    const exits = named("exits_thread", function* () {
      yield* user_mode(1000);
      yield* syscall(do_exit, 0);
    });
    const main = named("leader", function* () {
      yield* syscall(do_fork, CLONE_THREAD, "thread1", exits);
      yield* syscall(do_fork, CLONE_THREAD, "thread2", userLoop);
      for (;;) yield* user_mode(1000);
    });
    const target = play.process("target", main);
    play.run("target", inUserMode).run("thread1", inUserMode).run("thread2", inUserMode);
    const { signal, kill, handle } = handles(play, target);
    handle(SIGUSR1, HANDLER);
    play.poke(target, TASK.blocked, sigmask(SIGUSR1));
    kill(SIGUSR1);
    expect(play.peek(signal, SIGNAL.curr_target)).toBe(play.context("thread1").task);
    play.run("thread1");
    expect(play.context("thread1").finished).toBe(true);
    expect(play.peek(signal, SIGNAL.curr_target)).toBe(play.context("thread2").task);
  });

  test("left to a thread that exits is left to the others", () => {
    const { play, target, kill, handle } = exitingThread();
    handle(SIGUSR1, HANDLER);
    // The leader looks away while the signal is sent, so the thread is chosen.
    play.poke(target, TASK.blocked, sigmask(SIGUSR1));
    play.run("thread", within("do_exit"));
    kill(SIGUSR1);
    expect(play.tif(play.context("thread").task)).toBe(TIF_SIGPENDING);
    play.poke(target, TASK.blocked, 0);
    expect(play.tif(target)).toBe(0);
    play.run("thread");
    expect(play.tif(target)).toBe(TIF_SIGPENDING);
    play.run("target", within("handle_signal"));
    expect(play.findings()).toEqual([]);
  });

  test("a handler blocks its own signal while it runs, and SA_ONESHOT takes it off", () => {
    const { play, target, handle, kill } = group(0);
    handle(SIGUSR1, HANDLER);
    const action = actionOf(play.peek(target, TASK.sighand), SIGUSR1);
    play.poke(action, k_sigaction.fields.sa_flags, 0x80000000);
    kill(SIGUSR1);
    play.step("target").run("target", inUserMode);
    expect(play.peek(target, TASK.blocked)).toBe(sigmask(SIGUSR1));
    expect(play.peek(action, k_sigaction.fields.sa_handler)).toBe(0);
    expect(play.tif(target)).toBe(0);
  });
});

describe("a group stop", () => {
  test("stops both threads, whichever takes the signal, and tells the parent when the last has stopped", () => {
    const { play, all, signal, kill, flags } = group(1);
    kill(SIGSTOP);
    play.run("target");
    expect(play.peek(signal, SIGNAL.group_stop_count)).toBe(1);
    expect(flags() & SIGNAL_STOP_STOPPED).toBe(0);
    play.run("thread1");
    expect(play.peek(signal, SIGNAL.group_stop_count)).toBe(0);
    expect(flags()).toBe(SIGNAL_STOP_STOPPED);
    for (const task of all) expect(play.look(task)).toMatchObject({ state: TASK_STOPPED, runs: false });
    expect(play.findings()).toEqual([]);
  });

  test("SIGCONT lets both run, and says so in the flags", () => {
    const { play, all, kill, flags } = group(1);
    kill(SIGSTOP);
    play.run("target").run("thread1");
    kill(SIGCONT);
    for (const task of all) expect(play.look(task)).toMatchObject({ state: TASK_RUNNING, runs: true });
    expect(flags() & SIGNAL_STOP_CONTINUED).toBe(SIGNAL_STOP_CONTINUED);
    expect(flags() & SIGNAL_STOP_STOPPED).toBe(0);
    play.run("target", inUserMode).run("thread1", inUserMode);
    expect(play.findings()).toEqual([]);
  });

  test("a SIGCONT in the middle of one lets go the thread that stopped, and the other never stops", () => {
    const { play, all, signal, kill } = group(1);
    kill(SIGSTOP);
    play.run("target");
    kill(SIGCONT);
    expect(play.peek(signal, SIGNAL.group_stop_count)).toBe(0);
    play.run("target", inUserMode).step("thread1").run("thread1", inUserMode);
    for (const task of all) expect(play.look(task)).toMatchObject({ state: TASK_RUNNING, runs: true });
  });

  test("a SIGCONT between the dequeue of SIGTSTP and the stop, where the siglock is dropped, leaves no stop", () => {
    const { play, target, kill, flags } = group(0);
    kill(SIGTSTP);
    play
      .run("target", at(UPDATE, SIGNAL.flags, "dequeue_signal"))
      .step("target")
      .step("target");
    expect(flags() & SIGNAL_STOP_DEQUEUED).toBe(SIGNAL_STOP_DEQUEUED);
    play.run("target", (context) => context.heldLock.length === 0);
    kill(SIGCONT);
    play.run("target", inUserMode);
    expect(play.look(target).state).toBe(TASK_RUNNING);
    expect(flags() & SIGNAL_STOP_DEQUEUED).toBe(0);
  });

  test("does not wait for a thread that exits in the middle of it", () => {
    const { play, target, kill, flags, signal } = exitingThread();
    play.run("thread", within("do_exit"));
    kill(SIGSTOP);
    play.run("target");
    expect(play.peek(signal, SIGNAL.group_stop_count)).toBe(1);
    expect(flags() & SIGNAL_STOP_STOPPED).toBe(0);
    play.run("thread");
    expect(play.peek(signal, SIGNAL.group_stop_count)).toBe(0);
    expect(flags()).toBe(SIGNAL_STOP_STOPPED);
    expect(play.look(target).state).toBe(TASK_STOPPED);
    kill(SIGCONT);
    play.run("target", inUserMode).rcu();
    expect(play.findings()).toEqual([]);
  });

  test("SIGKILL ends it: all threads wake up and die", () => {
    const { play, all, signal, kill } = group(1);
    kill(SIGSTOP);
    play.run("target");
    kill(SIGKILL);
    expect(play.peek(signal, SIGNAL.group_stop_count)).toBe(0);
    for (const task of all) expect(play.look(task).runs).toBe(true);
    play.run("thread1").run("target").run("init").rcu();
    expect(play.findings()).toEqual([]);
    expect(play.context("init").finished).toBe(true);
  });
});

describe("a fatal signal", () => {
  test.each([
    ["SIGKILL", SIGKILL],
    ["SIGTERM", SIGTERM],
    ["SIGINT", SIGINT],
  ])("%s kills every thread of the group, and the exit code is the signal", (_name, sig) => {
    const { play, all, target, kill, flags } = group(2);
    play.call(() => get_task_struct(target));
    kill(sig);
    expect(flags()).toBe(SIGNAL_GROUP_EXIT);
    for (const task of all) {
      expect(play.pending(task).own).toBe(sigmask(SIGKILL));
      expect(play.tif(task)).toBe(TIF_SIGPENDING);
    }
    play.run("target").run("thread1").run("thread2").run("init");
    expect(play.peek(target, TASK.exit_code)).toBe(sig);
    expect(play.peek(target, TASK.exit_state)).toBe(EXIT_DEAD);
    play.call(() => put_task_struct(target));
    play.rcu();
    expect(play.findings()).toEqual([]);
  });

  test("by tkill kills the whole group all the same", () => {
    const { play, all, threads, tkill, flags } = group(1);
    tkill(SIGTERM, (threads as [Ptr])[0]);
    expect(flags()).toBe(SIGNAL_GROUP_EXIT);
    for (const task of all) expect(play.pending(task).own & sigmask(SIGKILL)).toBe(sigmask(SIGKILL));
  });

  test("sent a second time changes nothing", () => {
    const { play, target, kill } = group(1);
    kill(SIGTERM);
    const before = play.pending(target);
    kill(SIGTERM);
    kill(SIGINT);
    expect(play.pending(target)).toEqual({ ...before, shared: before.shared | sigmask(SIGINT) });
  });

  test("is not noticed by a task that is exiting already", () => {
    const { play, target, kill } = group(0);
    kill(SIGTERM);
    play.run("target", at(LOAD, TASK.signal, "do_exit"));
    expect(play.peek(target, TASK.flags) & PF_EXITING).toBe(PF_EXITING);
    expect(kill(SIGKILL)).toBe(0);
    play.run("target");
    expect(play.peek(target, TASK.exit_state)).toBe(EXIT_ZOMBIE);
    expect(play.peek(target, TASK.exit_code)).toBe(SIGTERM);
  });
});

describe("to a task that is gone", () => {
  const shortLife = named("short_life", function* () {
    yield* user_mode(1000);
    yield* syscall(do_group_exit, 0);
  });

  test("kill of a zombie succeeds, of a reaped task gives -ESRCH", () => {
    const play = new Play();
    const target = play.process("target", shortLife);
    const pid = play.booted.getPid(target);
    play.run("init").run("target");
    expect(play.call(() => kill_pid_info(SIGTERM, pid))).toBe(0);
    play.run("init");
    expect(play.call(() => kill_pid_info(SIGTERM, pid))).toBe(-ESRCH);
    play.call(() => put_pid(pid));
    expect(play.rcu().findings()).toEqual([]);
  });

  test("a signal that was under way when it was reaped gives -ESRCH", () => {
    const play = new Play();
    const target = play.process("target", shortLife);
    play.call(() => get_task_struct(target));
    play.run("init").run("target");
    const sending = play.start("kill", () => group_send_sig_info(SIGTERM, target));
    play.run("kill", (context) => within("lock_task_sighand")(context) && at(SPIN_LOCK)(context));
    play.run("init").run("kill");
    expect(sending.result).toBe(-ESRCH);
    play.call(() => put_task_struct(target));
    expect(play.rcu().findings()).toEqual([]);
  });
});
