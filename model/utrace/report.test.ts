/** Reporting passes: which callbacks run, in which order, and when what they ask for takes effect. */
import { describe, expect, test } from "vitest";
import { choose, execute, type KernelFunction, kernel, load, makeStrategy, type Ptr } from "../../sim/index.ts";
import { thread_info } from "../../sim/kernelStructs.ts";
import { LOAD, type Request, SPIN_LOCK, WAKE_UP, YIELD } from "../../sim/op.ts";
import { syscall, user_mode } from "../linux/entry.ts";
import { EINPROGRESS, ESRCH, IS_ERR } from "../linux/errno.ts";
import { sys_execve } from "../linux/exec.ts";
import { do_exit } from "../linux/exit.ts";
import { CLONE_THREAD, do_fork } from "../linux/fork.ts";
import { get_pid_task, put_pid } from "../linux/pid.ts";
import {
  __set_current_state,
  EXIT_ZOMBIE,
  PF_STARTING,
  put_task_struct,
  TASK_RUNNING,
  TASK_STOPPED,
  TASK_TRACED,
  TIF_NOTIFY_RESUME,
  TIF_SIGPENDING,
  TIF_SINGLESTEP,
} from "../linux/sched.ts";
import {
  actionOf,
  do_group_exit,
  kill_pid_info,
  SA_ONESHOT,
  SIGCHLD,
  SIGCONT,
  SIGHUP,
  SIGKILL,
  SIGSTOP,
  SIGTERM,
  SIGUSR1,
  sigmask,
} from "../linux/signal.ts";
import { k_sigaction, SIGNAL, TASK } from "../linux/structs.ts";
import {
  at,
  attach,
  functionNames,
  inUserMode,
  loggingOps,
  modelProgram,
  named,
  Play,
  STOPS,
  traced,
  tracedAndStopped,
  userLoop,
  within,
} from "../testProgram.ts";
import { utrace_attach_task } from "./attach.ts";
import { utrace_barrier, utrace_control, utrace_set_events } from "./control.ts";
import { placeOps, type utrace_engine_ops, utrace_engine_put } from "./engine.ts";
import {
  UTRACE_ATTACH_CREATE,
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_EVENT_SIGNAL_ALL,
  UTRACE_INTERRUPT,
  UTRACE_REPORT,
  UTRACE_RESUME,
  UTRACE_SIGNAL_DELIVER,
  UTRACE_SIGNAL_HANDLER,
  UTRACE_SIGNAL_HOLD,
  UTRACE_SIGNAL_IGN,
  UTRACE_SIGNAL_REPORT,
  UTRACE_SIGNAL_STOP,
  UTRACE_SIGNAL_TERM,
  UTRACE_STOP,
  UTRACE_SYSCALL_ABORT,
} from "./events.ts";
import { ENGINE, UTRACE } from "./structs.ts";

const E = UTRACE_EVENT;
const RESUME = UTRACE_RESUME;

/** Every callback, all letting the target go on. */
const ALL = {
  report_quiesce: RESUME,
  report_clone: RESUME,
  report_jctl: RESUME,
  report_exec: RESUME,
  report_syscall_entry: RESUME,
  report_syscall_exit: RESUME,
  report_exit: RESUME,
  report_death: RESUME,
  report_reap: 0,
};

/** A system call that does nothing but take note. */
const calls: string[] = [];
const sys_getpid = kernel(function* sys_getpid() {
  calls.push("getpid");
  return 100;
});

type Deed = () => Generator<Request, unknown, unknown>;

/** Does these things one after the other, with some user mode before, between and after them. */
const doing = (name: string, ...deeds: Deed[]) =>
  named(name, function* (): Generator<Request, void, unknown> {
    yield* user_mode(1000);
    for (const deed of deeds) {
      yield* deed();
      yield* user_mode(1000);
    }
  });
const getpid = () => syscall(sys_getpid);
const execs = () => syscall(sys_execve);
const exits = () => syscall(do_group_exit, 3);
const forks = () => syscall(do_fork, 0, "child", userLoop);

describe("a pass", () => {
  const three = (main: KernelFunction<[], void>, events: number, answers: Parameters<typeof loggingOps>[2] = ALL) => {
    const made = traced({ main, answers, events });
    for (const name of ["B", "C"]) attach(made.play, made.target, loggingOps(made.log, name, answers), events);
    return made;
  };

  test("calls the engines in the order in which they were attached", () => {
    const { play, log } = three(doing("execs", execs), E.EXEC);
    play.run("target");
    expect(log).toEqual(["A exec", "B exec", "C exec"]);
    expect(play.findings()).toEqual([]);
  });

  test("calls report_quiesce of each engine before its callback for the event", () => {
    const { play, log } = three(doing("execs", execs), E.EXEC | E.QUIESCE);
    play.run("target");
    const pass = ["A quiesce(8)", "A exec", "B quiesce(8)", "B exec", "C quiesce(8)", "C exec"];
    expect(log).toEqual(pass);
  });

  test("calls only those who asked for the event", () => {
    const { play, target, engine, log } = three(doing("execs", execs), E.EXEC);
    play.call(() => utrace_set_events(target, engine, E.EXIT));
    play.run("target");
    expect(log).toEqual(["B exec", "C exec"]);
  });

  test("an engine that leaves in its report_quiesce gets no callback for the event, nor any later", () => {
    const { play, target, log } = three(doing("execs", execs, execs), E.EXEC | E.QUIESCE, {
      ...ALL,
      report_quiesce: (_action, _engine, _task, event) => (log.length <= 2 && event !== 0 ? UTRACE_DETACH : RESUME),
    });
    play.run("target");
    const once = ["C quiesce(8)", "C exec"];
    expect(log).toEqual(["A quiesce(8)", "B quiesce(8)", ...once, ...once]);
    expect(play.look(target).utrace).toEqual([]);
  });

  test("an engine whose callback returns UTRACE_DETACH gets no other; with the last one the struct goes", () => {
    const { play, target, engine, log } = traced({
      main: doing("execs", execs, execs, exits),
      answers: { ...ALL, report_exec: UTRACE_DETACH },
      events: E.EXEC | E.EXIT | E.DEATH | E.REAP | E.QUIESCE,
    });
    play.run("init").run("target").run("init");
    expect(log).toEqual(["A quiesce(8)", "A exec"]);
    expect(play.peek(engine, ENGINE.kref.refcount)).toBe(1);
    expect(play.findings()).toEqual([]);
    expect(play.machine.taskContext(target)).toBe(undefined);
  });

  test("an engine that is attached during a pass joins at the next one", () => {
    const { play, target, log } = traced({ main: doing("execs", execs, execs), answers: ALL, events: E.EXEC });
    play.run("target", within("A_report_exec"));
    attach(play, target, loggingOps(log, "B", ALL), E.EXEC);
    play.run("target", inUserMode);
    expect(log).toEqual(["A exec"]);
    expect(play.look(target).utrace).toEqual(["report"]);
    play.run("target");
    expect(log).toEqual(["A exec", "A exec", "B exec"]);
  });

  test("the smallest action of all engines wins", () => {
    const { play, target, log } = traced({
      main: doing("execs", execs),
      answers: { report_exec: UTRACE_REPORT },
      events: E.EXEC,
    });
    attach(play, target, loggingOps(log, "B", { report_exec: RESUME, report_quiesce: RESUME }), E.EXEC | E.QUIESCE);
    play.run("target");
    expect(log).toEqual(["A exec", "B quiesce(8)", "B exec", "B quiesce(0)"]);
  });

  test("a callback learns which action those before it chose", () => {
    const seen: number[] = [];
    const looks = (answer: number) => (action: number) => {
      seen.push(action);
      return answer;
    };
    const { play, target, log } = traced({
      main: doing("execs", execs),
      answers: { report_exec: looks(UTRACE_REPORT) },
      events: E.EXEC,
    });
    attach(play, target, loggingOps(log, "B", { report_exec: looks(RESUME) }), E.EXEC);
    attach(play, target, loggingOps(log, "C", { report_exec: looks(RESUME) }), E.EXEC);
    play.run("target");
    expect(seen).toEqual([RESUME, UTRACE_REPORT, UTRACE_REPORT]);
  });

  test("without takers takes events that nobody wants any more out of task->utrace_flags", () => {
    const { play, target, engine } = traced({ main: doing("execs", execs), answers: ALL, events: E.EXEC | E.EXIT });
    play.call(() => utrace_set_events(target, engine, E.EXIT));
    expect(play.peek(target, TASK.utrace_flags)).toBe(E.EXEC | E.EXIT);
    play.run("target");
    expect(play.peek(target, TASK.utrace_flags)).toBe(E.EXIT | E.REAP);
  });

  test("UTRACE_INTERRUPT of a callback brings another report, in the signal path", () => {
    const { play, log } = traced({
      main: doing("execs", execs),
      answers: { report_quiesce: RESUME, report_exec: UTRACE_INTERRUPT, report_signal: UTRACE_SIGNAL_IGN | RESUME },
      events: E.EXEC | E.QUIESCE,
    });
    play.run("target");
    expect(log).toEqual(["A quiesce(8)", "A exec", `A signal(0x${(UTRACE_SIGNAL_REPORT | RESUME).toString(16)}, 0)`]);
  });

  test("fixme: QUIESCE without a report_quiesce is a jump through a NULL pointer", () => {
    const { play } = traced({
      main: doing("execs", execs),
      answers: { report_exec: RESUME },
      events: E.EXEC | E.QUIESCE,
    });
    play.run("target");
    expect(play.findings()).toEqual([
      expect.stringContaining("paging-fault: BUG: unable to handle kernel NULL pointer"),
    ]);
  });
});

describe("UTRACE_STOP of a callback", () => {
  /** Runs until the target sleeps; the functions it sleeps in. */
  const stop = (play: Play): string[] => {
    play.run("target");
    return functionNames(play.context("target"));
  };

  test("for EXEC takes effect before the next user mode", () => {
    const { play, target } = traced({
      main: doing("execs", execs),
      answers: { report_exec: UTRACE_STOP },
      events: E.EXEC,
    });
    play.run("target", within("A_report_exec")).run("target", (context) => !within("sys_execve")(context));
    expect(play.look(target)).toMatchObject({ state: TASK_RUNNING, tif: TIF_NOTIFY_RESUME, utrace: ["report"] });
    expect(stop(play)).toEqual([
      "utrace_stop",
      "finish_resume_report",
      "utrace_resume",
      "do_notify_resume",
      "int_signal",
      "execs",
    ]);
    expect(play.look(target)).toEqual({ state: TASK_TRACED, runs: false, tif: 0, utrace: ["stopped"] });
  });

  test("for SYSCALL_EXIT takes effect before the next user mode; the call has been made", () => {
    calls.length = 0;
    const { play, target } = traced({
      main: doing("calls", getpid),
      answers: { report_syscall_exit: UTRACE_STOP },
      events: E.SYSCALL_EXIT,
    });
    expect(stop(play).slice(0, 3)).toEqual(["utrace_stop", "finish_resume_report", "utrace_resume"]);
    expect(calls).toEqual(["getpid"]);
    expect(play.look(target).state).toBe(TASK_TRACED);
  });

  test("for SYSCALL_ENTRY takes effect before the call, which is made when the target runs again", () => {
    calls.length = 0;
    const { play, target, engine } = traced({
      main: doing("calls", getpid),
      answers: { report_syscall_entry: UTRACE_STOP },
      events: E.SYSCALL_ENTRY,
    });
    expect(stop(play).slice(0, 2)).toEqual(["utrace_stop", "utrace_report_syscall_entry"]);
    expect(calls).toEqual([]);
    play.call(() => utrace_control(target, engine, UTRACE_RESUME));
    play.run("target");
    expect(calls).toEqual(["getpid"]);
  });

  test("for SYSCALL_ENTRY, ended by SIGKILL: the call is not made, its exit is reported, the target dies", () => {
    calls.length = 0;
    const { play, target, log } = traced({
      main: doing("calls", getpid),
      answers: { report_syscall_entry: UTRACE_STOP, report_syscall_exit: RESUME },
      events: E.SYSCALL_ENTRY | E.SYSCALL_EXIT,
    });
    play.run("target");
    const pid = play.booted.getPid(target);
    play.call(() => kill_pid_info(SIGKILL, pid));
    play.run("target");
    expect(calls).toEqual([]);
    expect(log).toEqual(["A syscall_entry", "A syscall_exit"]);
    expect(play.peek(target, TASK.exit_state)).toBe(EXIT_ZOMBIE);
    expect(play.peek(target, TASK.exit_code)).toBe(SIGKILL);
  });

  test("for EXIT takes effect in do_exit, before anything of the task is gone", () => {
    const { play, target, engine } = traced({
      main: doing("exits", exits),
      answers: { report_exit: UTRACE_STOP },
      events: E.EXIT,
    });
    expect(stop(play).slice(0, 3)).toEqual(["utrace_stop", "utrace_report_exit", "do_exit"]);
    expect(play.peek(target, TASK.mm)).not.toBe(0);
    play.call(() => utrace_control(target, engine, UTRACE_RESUME));
    play.run("target");
    expect(play.peek(target, TASK.exit_state)).toBe(EXIT_ZOMBIE);
  });

  test("for CLONE takes effect in the creator after the child has been woken", () => {
    const { play, target } = traced({
      main: doing("forks", forks),
      answers: { report_clone: UTRACE_STOP },
      events: E.CLONE,
    });
    expect(stop(play).slice(0, 3)).toEqual(["utrace_stop", "finish_resume_report", "utrace_resume"]);
    expect(play.look(target).state).toBe(TASK_TRACED);
    expect(play.look(play.context("child").task)).toMatchObject({ state: TASK_RUNNING, runs: true, utrace: null });
  });

  test("holds although other engines' callbacks follow, and is taken back by the engine's own next callback", () => {
    const { play, target, log } = traced({
      main: doing("execs", execs),
      answers: { report_exec: UTRACE_STOP, report_quiesce: RESUME },
      events: E.EXEC | E.QUIESCE,
    });
    attach(play, target, loggingOps(log, "B", ALL), E.EXEC);
    play.run("target");
    expect(log).toEqual(["A quiesce(8)", "A exec", "B exec", "A quiesce(0)"]);
    expect(play.context("target").finished).toBe(true);
  });
});

describe("report_syscall_entry", () => {
  test("UTRACE_SYSCALL_ABORT: the call is not made, its exit is reported", () => {
    calls.length = 0;
    const { play, log } = traced({
      main: doing("calls", getpid, getpid),
      answers: {
        report_syscall_entry: () => (calls.length === 0 ? UTRACE_SYSCALL_ABORT | RESUME : RESUME),
        report_syscall_exit: RESUME,
      },
      events: E.SYSCALL_ENTRY | E.SYSCALL_EXIT,
    });
    play.run("target");
    expect(log).toEqual(["A syscall_entry", "A syscall_exit", "A syscall_entry", "A syscall_exit"]);
    expect(calls).toEqual([]);
  });

  test("fixme: of two engines only the last one's abort counts", () => {
    calls.length = 0;
    const { play, target, log } = traced({
      main: doing("calls", getpid),
      answers: { report_syscall_entry: UTRACE_SYSCALL_ABORT | RESUME },
      events: E.SYSCALL_ENTRY,
    });
    attach(play, target, loggingOps(log, "B", { report_syscall_entry: RESUME }), E.SYSCALL_ENTRY);
    play.run("target");
    expect(calls).toEqual(["getpid"]);
  });

  test("a TIF_SIGPENDING that was set for a report alone does not reach the call", () => {
    let pending: boolean | undefined;
    const looks = kernel(function* sys_looks() {
      pending = (play.tif(target) & TIF_SIGPENDING) !== 0;
    });
    const { play, target, engine } = traced({
      main: doing("calls", () => syscall(looks)),
      answers: {
        *report_syscall_entry() {
          yield* load(engine, ENGINE.flags);
          return RESUME;
        },
      },
      events: E.SYSCALL_ENTRY,
    });
    play.run("target", within("A_report_syscall_entry"));
    play.poke(play.machine.threadInfo(target), thread_info.fields.flags, play.tif(target) | TIF_SIGPENDING);
    play.run("target");
    expect(pending).toBe(false);
  });
});

describe("report_clone", () => {
  /** A tracer that follows forks: its report_clone attaches to the child. */
  function follows(childAction: number | null) {
    const log: string[] = [];
    const childLog: string[] = [];
    let childEngine = 0;
    const play = new Play();
    const target = play.process("target", doing("forks", forks, exits));
    const childOps = play.ops(loggingOps(childLog, "child", STOPS));
    const ops: utrace_engine_ops = loggingOps(log, "A", {
      *report_clone(_action, _engine, _parent, _flags, child) {
        expect(play.peek(child as Ptr, TASK.flags) & PF_STARTING).toBe(PF_STARTING);
        childEngine = yield* utrace_attach_task(child as Ptr, UTRACE_ATTACH_CREATE, childOps, 0);
        yield* utrace_set_events(child as Ptr, childEngine, E.QUIESCE);
        if (childAction !== null) yield* utrace_control(child as Ptr, childEngine, childAction);
        return RESUME;
      },
    });
    play.run("target", inUserMode);
    attach(play, target, ops, E.CLONE);
    return { play, target, log, childLog, childEngine: () => childEngine };
  }

  test("can attach to the child, which others have to wait for", () => {
    const { play, log, childEngine } = follows(null);
    play.run("target", at(WAKE_UP, undefined, "do_fork"));
    expect(log).toEqual(["A clone"]);
    const child = play.context("child").task;
    expect(play.peek(childEngine(), ENGINE.flags)).toBe(E.QUIESCE);
    expect(play.peek(child, TASK.utrace_flags)).toBe(E.QUIESCE);
  });

  test("and stop it before its first user instruction", () => {
    const { play, childLog, childEngine } = follows(UTRACE_STOP);
    play.run("target", at(WAKE_UP, undefined, "do_fork")).step("target");
    play.run("child");
    expect(childLog).toEqual(["child quiesce(0)"]);
    const child = play.context("child").task;
    expect(play.look(child)).toMatchObject({ state: TASK_TRACED, runs: false });
    expect(functionNames(play.context("child")).at(-1)).toBe("ret_from_fork");
    expect(functionNames(play.context("child"))).not.toContain("user_loop");
    play.call(() => utrace_control(child, childEngine(), UTRACE_DETACH));
    play.run("child", inUserMode);
    expect(play.findings()).toEqual([]);
  });

  test("an attach by someone else waits for the creator's", () => {
    const { play, childEngine } = follows(null);
    play.run("target", within("A_report_clone"));
    const child = play.context("child").task;
    const ops = play.ops({});
    const other = play.start("other", () => utrace_attach_task(child, UTRACE_ATTACH_CREATE, ops, 0));
    for (let yields = 0; yields < 3; yields++) play.run("other", at(YIELD)).step("other");
    expect(other.result).toBe(undefined);
    play.run("target", inUserMode).run("other");
    expect(other.result).toBeGreaterThan(0);
    expect(other.result).not.toBe(childEngine());
  });

  test("fixme: a detach of the last engine from report_clone leaves `cloning` to be written to a struct that is given up", () => {
    const { play, target } = traced({
      main: doing("forks", forks),
      answers: { report_clone: UTRACE_DETACH },
      events: E.CLONE,
    });
    const utrace = play.peek(target, TASK.utrace);
    play.run(
      "target",
      (context) => functionNames(context)[0] === "utrace_report_clone" && play.peek(target, TASK.utrace) === 0,
    );
    expect(play.peek(utrace, UTRACE.u.dead.func)).not.toBe(0);
    play.preempt("target").rcu();
    play.run("target", inUserMode);
    expect(play.findings()).toEqual([
      expect.stringContaining("use-after-free: BUG: KASAN: use-after-free in utrace_report_clone"),
    ]);
  });
});

describe("report_jctl", () => {
  function jobControl(answers: Parameters<typeof loggingOps>[2] = ALL, events: number = E.JCTL) {
    const made = traced({ answers, events });
    return { ...made, pid: made.play.booted.getPid(made.target) };
  }

  test("is made when the group has stopped, and when it goes on: CLD_STOPPED 5, CLD_CONTINUED 6", () => {
    const { play, target, log, pid } = jobControl();
    play.call(() => kill_pid_info(SIGSTOP, pid));
    play.run("target");
    expect(log).toEqual(["A jctl(5)"]);
    expect(play.look(target)).toMatchObject({ state: TASK_STOPPED, utrace: ["stopped"] });
    play.call(() => kill_pid_info(SIGCONT, pid));
    play.run("target", inUserMode);
    expect(log).toEqual(["A jctl(5)", "A jctl(6)"]);
    expect(play.look(target)).toMatchObject({ state: TASK_RUNNING, utrace: [] });
  });

  test("a SIGCONT during the callback ends the stop: the target does not sleep", () => {
    const { play, target, log, pid } = jobControl();
    play.call(() => kill_pid_info(SIGSTOP, pid));
    play.run("target", within("A_report_jctl"));
    play.call(() => kill_pid_info(SIGCONT, pid));
    play.run("target", inUserMode);
    expect(log).toEqual(["A jctl(5)", "A jctl(6)"]);
    expect(play.look(target)).toMatchObject({ state: TASK_RUNNING });
  });

  test("a callback that slept leaves the target in its stop, unless that has ended", () => {
    for (const ended of [false, true]) {
      const { play, target, pid } = jobControl({
        *report_jctl() {
          // What is left of the state after a callback that had to wait for something.
          yield* __set_current_state(TASK_RUNNING);
          yield* load(target, TASK.state);
          return RESUME;
        },
      });
      play.call(() => kill_pid_info(SIGSTOP, pid));
      play.run("target", at(LOAD, TASK.state, "A_report_jctl"));
      if (ended) play.call(() => kill_pid_info(SIGCONT, pid));
      if (ended)
        play.run("target", within("int_signal")).run("target", at(LOAD, SIGNAL.flags, "get_signal_to_deliver"));
      else play.run("target");
      expect(play.look(target).state).toBe(ended ? TASK_RUNNING : TASK_STOPPED);
    }
  });

  test("until it is over the target does not count as stopped", () => {
    const { play, target, engine, pid } = jobControl();
    play.call(() => kill_pid_info(SIGSTOP, pid));
    play.run("target", within("A_report_jctl"));
    expect(play.look(target)).toMatchObject({ state: TASK_STOPPED, utrace: [] });
    expect(play.call(() => utrace_control(target, engine, UTRACE_STOP))).toBe(-EINPROGRESS);
  });
});

describe("the end of a task", () => {
  const LAST = E.EXIT | E.DEATH | E.REAP;

  test("EXIT, DEATH, REAP, each once and in this order; nothing comes after", () => {
    const { play, log } = traced({ main: doing("exits", exits), answers: ALL, events: LAST });
    play.run("init").run("target").run("init").rcu();
    expect(log).toEqual(["A exit(3)", "A death", "A reap"]);
    expect(play.findings()).toEqual([]);
  });

  test("report_exit can change the exit code", () => {
    const { play, target } = traced({
      main: doing("exits", exits),
      answers: {
        report_exit: (...args) => {
          (args[4] as unknown as { value: number }).value = 42;
          return RESUME;
        },
      },
      events: E.EXIT,
    });
    play.run("target");
    expect(play.peek(target, TASK.exit_code)).toBe(42);
  });

  test("each engine is told of the reap, in the order of attachment, in the reaper's context", () => {
    const { play, target, log } = traced({ main: doing("exits", exits), answers: ALL, events: LAST });
    const second = attach(play, target, loggingOps(log, "B", ALL), LAST);
    const third = attach(play, target, loggingOps(log, "C", ALL), E.DEATH);
    play.run("init").run("target");
    expect(log).toEqual(["A exit(3)", "B exit(3)", "A death", "B death", "C death"]);
    play.run("init", within("B_report_reap"));
    expect(play.peek(second, ENGINE.ops)).toBe(0);
    expect(play.peek(third, ENGINE.ops)).not.toBe(0);
    expect(functionNames(play.context("init"))).toEqual([
      "B_report_reap",
      "utrace_reap",
      "utrace_release_task",
      "release_task",
      "wait_task_zombie",
      "do_wait",
      "kernel_init",
    ]);
    play.run("init").rcu();
    expect(log.slice(5)).toEqual(["A reap", "B reap"]);
    expect(play.findings()).toEqual([]);
  });

  test("a reap that comes before the death report is left to it", () => {
    const { play, target, log } = traced({ main: doing("exits", exits), answers: ALL, events: LAST });
    play.run("init").run("target", at(SPIN_LOCK, UTRACE.lock, "utrace_report_death"));
    expect(log).toEqual(["A exit(3)"]);
    play.run("init");
    expect(log).toEqual(["A exit(3)"]);
    expect(play.peek(target, TASK.utrace)).toBe(0);
    play.run("target", within("A_report_reap"));
    expect(log).toEqual(["A exit(3)", "A death", "A reap"]);
    play.run("target").rcu();
    expect(play.findings()).toEqual([]);
  });

  test("a reap in the middle of the death report waits for it too", () => {
    const { play, log } = traced({ main: doing("exits", exits), answers: ALL, events: LAST });
    play.run("init").run("target", within("A_report_death")).run("init").run("target").rcu();
    expect(log).toEqual(["A exit(3)", "A death", "A reap"]);
    expect(play.findings()).toEqual([]);
  });

  test("a report or an interrupt that was asked for before is forgotten when the death report begins", () => {
    const { play, target, engine } = traced({ main: doing("exits", exits), answers: ALL, events: LAST });
    play.run("target", within("A_report_exit"));
    play.call(() => utrace_control(target, engine, UTRACE_REPORT));
    play.call(() => utrace_control(target, engine, UTRACE_INTERRUPT));
    expect(play.look(target).utrace).toEqual(["report", "interrupt"]);
    play.run("target", within("A_report_death"));
    expect(play.look(target).utrace).toEqual(["death"]);
  });

  test("an engine that was detached before the reap is not told of it", () => {
    const { play, target, engine, log } = traced({ main: doing("exits", exits), answers: ALL, events: LAST });
    attach(play, target, loggingOps(log, "B", ALL), LAST);
    play.run("target");
    expect(play.call(() => utrace_control(target, engine, UTRACE_DETACH))).toBe(0);
    play.run("init").rcu();
    expect(log).toEqual(["A exit(3)", "B exit(3)", "A death", "B death", "B reap"]);
    expect(play.findings()).toEqual([]);
  });

  test("UTRACE_DETACH from report_death: no reap, and the struct is given up at once", () => {
    const { play, target, log } = traced({
      main: doing("exits", exits),
      answers: { ...ALL, report_death: UTRACE_DETACH },
      events: LAST,
    });
    play.run("target");
    expect(play.look(target).utrace).toBe(null);
    play.run("init").rcu();
    expect(log).toEqual(["A exit(3)", "A death"]);
    expect(play.findings()).toEqual([]);
  });

  test("of a thread: it reaps itself, and its engine is told in its own context", () => {
    const thread = named("exits_thread", function* () {
      yield* user_mode(1000);
      yield* syscall(do_exit, 0);
    });
    const play = new Play();
    const log: string[] = [];
    play.process(
      "target",
      doing("threads", () => syscall(do_fork, CLONE_THREAD, "thread", thread), exits),
    );
    play
      .run("target", at(WAKE_UP, undefined, "do_fork"))
      .step("target")
      .run("thread", inUserMode);
    attach(play, play.context("thread").task, loggingOps(log, "A", ALL), LAST);
    play.run("thread");
    expect(log).toEqual(["A exit(0)", "A death", "A reap"]);
    play.run("init").run("target").run("init").rcu();
    expect(play.findings()).toEqual([]);
  });

  test("SIGKILL ends a stop: EXIT, DEATH and REAP follow, with the signal as exit code", () => {
    const { play, target, log } = tracedAndStopped({ answers: { ...ALL, ...STOPS }, events: LAST | E.QUIESCE });
    const pid = play.booted.getPid(target);
    play.call(() => kill_pid_info(SIGKILL, pid));
    play.run("init").run("target");
    expect(log).toEqual(["A quiesce(16)", "A exit(9)", "A quiesce(32)", "A death"]);
    play.run("init").rcu();
    expect(log.at(-1)).toBe("A reap");
    expect(play.findings()).toEqual([]);
  });
});

describe("report_signal", () => {
  const SIGNALS = UTRACE_EVENT_SIGNAL_ALL;
  const signalled = (answer: (action: number) => number, sig: number) => {
    const made = traced({ answers: { report_signal: answer }, events: SIGNALS });
    const pid = made.play.booted.getPid(made.target);
    made.play.call(() => kill_pid_info(sig, pid));
    return made;
  };
  const keep = (action: number): number => (action & 0xf0) | RESUME;

  test("is made for a fatal signal, which does not kill the group behind its back; UTRACE_SIGNAL_IGN saves the task", () => {
    const { play, target, log } = signalled(() => UTRACE_SIGNAL_IGN | RESUME, SIGTERM);
    expect(play.pending(target)).toEqual({ own: 0, shared: sigmask(SIGTERM) });
    play.step("target").run("target", inUserMode);
    expect(log).toEqual([`A signal(0x${(UTRACE_SIGNAL_TERM | RESUME).toString(16)}, 15)`]);
    expect(play.look(target).state).toBe(TASK_RUNNING);
  });

  test("lets the signal do what it would", () => {
    const { play, target, log } = signalled(keep, SIGTERM);
    play.run("target");
    expect(log).toHaveLength(1);
    expect(play.peek(target, TASK.exit_code)).toBe(SIGTERM);
  });

  test("can make a harmless signal fatal; the exit code is the signal's own", () => {
    const { play, target } = signalled(() => UTRACE_SIGNAL_TERM | RESUME, SIGCHLD);
    play.run("target");
    expect(play.peek(target, TASK.exit_code)).toBe(SIGCHLD);
  });

  test("is never made for SIGKILL", () => {
    const { play, target, log } = signalled(() => UTRACE_SIGNAL_IGN | RESUME, SIGKILL);
    play.run("target");
    expect(log).toEqual([]);
    expect(play.peek(target, TASK.exit_code)).toBe(SIGKILL);
  });

  test("of a signal with a handler: DELIVER, then with its frame set up UTRACE_SIGNAL_HANDLER, as a stop was asked for", () => {
    const { play, target, log } = traced({
      answers: {
        report_signal: () => (log.length === 1 ? UTRACE_SIGNAL_DELIVER | UTRACE_STOP : UTRACE_SIGNAL_IGN | RESUME),
      },
      events: SIGNALS | E.QUIESCE,
    });
    play.poke(actionOf(play.peek(target, TASK.sighand), SIGUSR1), k_sigaction.fields.sa_handler, 0x4000);
    const pid = play.booted.getPid(target);
    play.call(() => kill_pid_info(SIGUSR1, pid));
    play.step("target").run("target", inUserMode);
    expect(log).toEqual(["A signal(0x5, 10)", `A signal(0x${(UTRACE_SIGNAL_HANDLER | RESUME).toString(16)}, 0)`]);
    expect(play.peek(target, TASK.blocked)).toBe(sigmask(SIGUSR1));
  });

  test.each([
    ["UTRACE_REPORT", UTRACE_REPORT],
    ["UTRACE_INTERRUPT", UTRACE_INTERRUPT],
  ])("%s is taken for UTRACE_RESUME, so that no report asks for the next", (_name, action) => {
    const { play, target, log } = traced({
      answers: { report_signal: UTRACE_SIGNAL_DELIVER | action },
      events: SIGNALS | E.QUIESCE,
    });
    play.poke(actionOf(play.peek(target, TASK.sighand), SIGUSR1), k_sigaction.fields.sa_handler, 0x4000);
    const pid = play.booted.getPid(target);
    play.call(() => kill_pid_info(SIGUSR1, pid));
    play.step("target").run("target", inUserMode);
    expect(log).toEqual(["A signal(0x5, 10)"]);
  });

  test("can turn a fatal signal into a stop", () => {
    const { play, target } = signalled(() => UTRACE_SIGNAL_STOP | RESUME, SIGTERM);
    play.run("target");
    expect(play.look(target)).toMatchObject({ state: TASK_STOPPED, runs: false });
    expect(play.findings()).toEqual([]);
  });

  test("of a signal with a one-shot handler: utrace takes the handler off", () => {
    const { play, target } = traced({ answers: { report_signal: keep }, events: SIGNALS });
    const action = actionOf(play.peek(target, TASK.sighand), SIGUSR1);
    play.poke(action, k_sigaction.fields.sa_handler, 0x4000);
    play.poke(action, k_sigaction.fields.sa_flags, SA_ONESHOT);
    const pid = play.booted.getPid(target);
    play.call(() => kill_pid_info(SIGUSR1, pid));
    play.step("target").run("target", inUserMode);
    expect(play.peek(action, k_sigaction.fields.sa_handler)).toBe(0);
    expect(play.peek(target, TASK.blocked)).toBe(sigmask(SIGUSR1));
  });

  test("after a handler's frame of a task that is stepped there is a report before its first instruction", () => {
    const { play, target, log } = traced({
      answers: { report_signal: (action) => (log.length === 1 ? UTRACE_SIGNAL_DELIVER : action & 0xf0) | RESUME },
      events: SIGNALS | E.QUIESCE,
    });
    play.poke(actionOf(play.peek(target, TASK.sighand), SIGUSR1), k_sigaction.fields.sa_handler, 0x4000);
    play.poke(play.machine.threadInfo(target), thread_info.fields.flags, TIF_SINGLESTEP);
    const pid = play.booted.getPid(target);
    play.call(() => kill_pid_info(SIGUSR1, pid));
    play.step("target").run("target", inUserMode);
    expect(log).toEqual(["A signal(0x5, 10)", `A signal(0x${(UTRACE_SIGNAL_HANDLER | RESUME).toString(16)}, 0)`]);
  });

  test("UTRACE_SIGNAL_HOLD puts the signal back on the thread's own queue", () => {
    const { play, target, log } = signalled(
      (action) => (log.length === 1 ? UTRACE_SIGNAL_HOLD | UTRACE_SIGNAL_IGN : action & 0xf0) | RESUME,
      SIGTERM,
    );
    play.run("target", at(SPIN_LOCK, undefined, "push_back_signal"));
    expect(play.pending(target)).toEqual({ own: 0, shared: 0 });
    play.run("target");
    expect(log).toHaveLength(2);
    expect(play.peek(target, TASK.exit_code)).toBe(SIGTERM);
  });

  test("fixme: an engine that lets a report without a signal be delivered delivers the signal before it again", () => {
    const { play, target, engine, log } = signalled(
      () => (log.length === 1 ? UTRACE_SIGNAL_IGN : UTRACE_SIGNAL_DELIVER) | RESUME,
      SIGHUP,
    );
    play.call(() => utrace_set_events(target, engine, SIGNALS | E.QUIESCE));
    play.run("target", within("A_report_signal"));
    play.call(() => utrace_control(target, engine, UTRACE_INTERRUPT));
    play.run("target");
    // SIGHUP was ignored by the first report; *info still names it at the second.
    expect(log).toEqual(["A signal(0x25, 1)", "A signal(0x65, 1)"]);
    expect(play.peek(target, TASK.exit_code)).toBe(SIGHUP);
  });
});

describe("in random runs of a task and two tracers that come and go", () => {
  const EVENTS = 0x3fff & ~E.JCTL & ~UTRACE_EVENT_SIGNAL_ALL;
  let diaries: string[][] = [];

  /** Attaches, perhaps asks for a report, and detaches; "gone" in its diary says that the detach is complete. */
  const comesAndGoes = named("comes_and_goes", function* (pid: Ptr, ops: Ptr, diary: string[]) {
    const task = yield* get_pid_task(pid);
    yield* put_pid(pid);
    if (task === 0) return;
    const engine = yield* utrace_attach_task(task, UTRACE_ATTACH_CREATE, ops, 0);
    if (!IS_ERR(engine)) {
      yield* utrace_set_events(task, engine, EVENTS);
      if ((yield* choose(2)) === 1) yield* utrace_control(task, engine, UTRACE_INTERRUPT);
      yield* user_mode(100_000);
      let ret = yield* utrace_control(task, engine, UTRACE_DETACH);
      if (ret === -EINPROGRESS) {
        ret = yield* utrace_barrier(task, engine);
        if (ret === -ESRCH) ret = 0;
      }
      if (ret === 0) diary.push("gone");
      yield* utrace_engine_put(engine);
    }
    yield* put_task_struct(task);
  });
  const busy = named("busy", function* () {
    for (const deed of [getpid, execs, getpid]) {
      yield* user_mode(50_000);
      yield* deed();
    }
    yield* syscall(do_group_exit, 3);
  });
  const program = modelProgram((booted) => {
    diaries = [];
    const target = booted.process({ comm: "target", pid: 200, subject: true }, busy);
    for (const pid of [201, 202]) {
      const diary: string[] = [];
      diaries.push(diary);
      const ops = placeOps(booted.machine, loggingOps(diary, "A", ALL));
      booted.process({ comm: "tracer", pid }, comesAndGoes, booted.getPid(target), ops, diary);
    }
  });

  test.each(["random", "timed"] as const)(
    "DEATH comes before REAP, REAP once and last, and nothing after a detach: 200 runs, %s",
    (strategy) => {
      const seen = new Set<string>();
      for (let run = 0; run < 200; run++) {
        const { findings } = execute(program, makeStrategy(strategy, `callbacks/${run}`), {
          scheduleOnlyOnFinding: true,
        });
        const kinds = findings.map(({ kind, function: name }) => `${kind} in ${name}`);
        // Nobody stops here, so of the posted defects only these can show.
        expect(
          kinds.filter((kind) => !POSTED.has(kind)),
          `run ${run}`,
        ).toEqual([]);
        for (const diary of diaries) {
          for (const entry of diary) seen.add(entry.replace(/\(.*/, ""));
          const names = diary.map((entry) => entry.replace(/^A |\(.*/g, ""));
          const gone = names.indexOf("gone");
          if (gone >= 0) expect(names.slice(gone + 1), `run ${run}`).toEqual([]);
          const rank = (name: string): number => ["exit", "death", "reap"].indexOf(name);
          const last = names.filter((name) => rank(name) >= 0);
          expect(last, `run ${run}`).toEqual([...new Set(last)].sort((a, b) => rank(a) - rank(b)));
          if (names.includes("reap")) expect(names.filter((name) => name !== "gone").at(-1), `run ${run}`).toBe("reap");
        }
      }
      expect([...seen].sort()).toEqual(
        [
          "gone",
          ...["death", "exec", "exit", "quiesce", "reap", "syscall_entry", "syscall_exit"].map((name) => `A ${name}`),
        ].sort(),
      );
    },
  );
  const POSTED = new Set([
    "leak in utrace_attach_task",
    "spec-divergence in __put_task_struct",
    "bug-on in utrace_resume",
  ]);
});
