/** What utrace_control does to a target: every action on one that runs, on one that is stopped, and with two engines. */
import { describe, expect, test } from "vitest";
import type { KernelFunction, Ptr } from "../../sim/index.ts";
import { thread_info } from "../../sim/kernelStructs.ts";
import { BARRIER, SPIN_LOCK } from "../../sim/op.ts";
import { syscall, user_mode } from "../linux/entry.ts";
import { EAGAIN, EINPROGRESS } from "../linux/errno.ts";
import { sys_execve } from "../linux/exec.ts";
import { CLONE_THREAD, do_fork } from "../linux/fork.ts";
import {
  TASK_RUNNING,
  TASK_STOPPED,
  TASK_TRACED,
  TIF_NOTIFY_RESUME,
  TIF_SIGPENDING,
  TIF_SINGLESTEP,
  TIF_SYSCALL_TRACE,
} from "../linux/sched.ts";
import {
  actionOf,
  kill_pid_info,
  SIGCONT,
  SIGKILL,
  SIGNAL_STOP_STOPPED,
  SIGSTOP,
  SIGUSR1,
  send_sig_thread,
} from "../linux/signal.ts";
import { k_sigaction, SIGNAL, TASK } from "../linux/structs.ts";
import {
  at,
  attach,
  inUserMode,
  loggingOps,
  named,
  type Play,
  STOPS,
  traced,
  tracedAndStopped,
  userLoop,
  within,
} from "../testProgram.ts";
import { utrace_control, utrace_set_events } from "./control.ts";
import {
  UTRACE_BLOCKSTEP,
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_INTERRUPT,
  UTRACE_REPORT,
  UTRACE_RESUME,
  UTRACE_SIGNAL_IGN,
  UTRACE_SINGLESTEP,
  UTRACE_STOP,
} from "./events.ts";
import { ENGINE } from "./structs.ts";

const { EXEC, QUIESCE, JCTL, SIGNAL_TERM, SYSCALL_ENTRY, SYSCALL_EXIT } = UTRACE_EVENT;

const ACTIONS = {
  STOP: UTRACE_STOP,
  REPORT: UTRACE_REPORT,
  INTERRUPT: UTRACE_INTERRUPT,
  SINGLESTEP: UTRACE_SINGLESTEP,
  BLOCKSTEP: UTRACE_BLOCKSTEP,
  RESUME: UTRACE_RESUME,
  DETACH: UTRACE_DETACH,
} as const;
type Action = keyof typeof ACTIONS;

const control = (play: Play, target: Ptr, engine: Ptr, action: Action): number =>
  play.call(() => utrace_control(target, engine, ACTIONS[action]));

describe("of a target in user mode", () => {
  const NOTHING = { ret: 0, tif: 0, utrace: [] as string[], wantsStop: false, flags: QUIESCE };
  const table: [Action, typeof NOTHING][] = [
    [
      "STOP",
      {
        ...NOTHING,
        ret: -EINPROGRESS,
        tif: TIF_NOTIFY_RESUME,
        utrace: ["report"],
        wantsStop: true,
        flags: QUIESCE | 0x4000,
      },
    ],
    ["REPORT", { ...NOTHING, tif: TIF_NOTIFY_RESUME, utrace: ["report"] }],
    ["INTERRUPT", { ...NOTHING, tif: TIF_SIGPENDING, utrace: ["interrupt"] }],
    ["SINGLESTEP", { ...NOTHING, ret: -EAGAIN }],
    ["BLOCKSTEP", { ...NOTHING, ret: -EAGAIN }],
    ["RESUME", NOTHING],
    ["DETACH", { ...NOTHING, tif: TIF_NOTIFY_RESUME, utrace: ["report"] }],
  ];
  test.each(table)("UTRACE_%s sets what it needs and leaves it running", (action, expected) => {
    const { play, target, engine } = traced({ events: QUIESCE });
    const ret = control(play, target, engine, action);
    const { tif, utrace, state, runs } = play.look(target);
    const made = { ret, tif, utrace, wantsStop: play.wantsStop(engine), flags: play.peek(engine, ENGINE.flags) };
    expect(made).toEqual(expected);
    expect({ state, runs }).toEqual({ state: TASK_RUNNING, runs: true });
  });

  test.each(["STOP", "REPORT"] as const)("UTRACE_%s asks for no second report", (action) => {
    const { play, target, engine } = traced({ events: QUIESCE });
    control(play, target, engine, "INTERRUPT");
    control(play, target, engine, action);
    expect(play.look(target)).toMatchObject({ tif: TIF_SIGPENDING, utrace: ["interrupt"] });
  });

  test("any action takes the engine's own UTRACE_STOP back, even one that fails", () => {
    for (const action of ["REPORT", "INTERRUPT", "SINGLESTEP", "BLOCKSTEP", "RESUME"] as const) {
      const { play, target, engine } = traced({ events: QUIESCE });
      control(play, target, engine, "STOP");
      control(play, target, engine, action);
      expect(play.wantsStop(engine), action).toBe(false);
    }
  });

  test("UTRACE_STOP kicks it out of user mode, it reports and stops", () => {
    const { play, target, engine, log } = traced({ answers: STOPS, events: QUIESCE });
    control(play, target, engine, "STOP");
    play.run("target");
    expect(log).toEqual(["A quiesce(0)"]);
    expect(play.look(target)).toEqual({ state: TASK_TRACED, runs: false, tif: 0, utrace: ["stopped"] });
    expect(control(play, target, engine, "STOP")).toBe(0);
  });

  test("UTRACE_STOP of an engine with events but without QUIESCE stops it without a report", () => {
    const { play, target, engine, log } = traced({ answers: { report_exec: UTRACE_RESUME }, events: EXEC });
    control(play, target, engine, "STOP");
    play.run("target");
    expect(log).toEqual([]);
    expect(play.look(target)).toEqual({ state: TASK_TRACED, runs: false, tif: 0, utrace: ["stopped"] });
  });

  test("UTRACE_STOP of the only engine, without any events, is never noticed: utrace_flags are 0", () => {
    const { play, target, engine } = traced();
    expect(control(play, target, engine, "STOP")).toBe(-EINPROGRESS);
    play.step("target").run("target", inUserMode);
    expect(play.look(target)).toEqual({ state: TASK_RUNNING, runs: true, tif: 0, utrace: ["report"] });
  });

  test("UTRACE_DETACH takes effect at the next report, without a callback of the engine's own", () => {
    const { play, target, engine, log } = traced({ answers: STOPS, events: QUIESCE });
    expect(control(play, target, engine, "DETACH")).toBe(0);
    expect(play.peek(engine, ENGINE.ops)).toBe(play.booted.globals.utrace.utrace_detached_ops);
    play.step("target").run("target", inUserMode);
    expect(log).toEqual([]);
    expect(play.look(target)).toEqual({ state: TASK_RUNNING, runs: true, tif: 0, utrace: null });
    expect(play.peek(engine, ENGINE.ops)).toBe(0);
    expect(play.peek(engine, ENGINE.kref.refcount)).toBe(1);
    expect(play.peek(target, TASK.utrace_flags)).toBe(0);
  });
});

describe("of a target in TASK_TRACED", () => {
  const RUNS = { state: TASK_RUNNING, runs: true };
  const STAYS = { state: TASK_TRACED, runs: false };
  test.each([
    ["STOP", { ...STAYS, tif: 0, utrace: ["stopped"] }, true],
    ["REPORT", { ...RUNS, tif: 0, utrace: [] }, false],
    ["INTERRUPT", { ...RUNS, tif: TIF_SIGPENDING, utrace: ["interrupt"] }, false],
    ["SINGLESTEP", { ...RUNS, tif: TIF_SINGLESTEP, utrace: [] }, false],
    ["BLOCKSTEP", { ...RUNS, tif: TIF_SINGLESTEP, utrace: [] }, false],
    ["RESUME", { ...RUNS, tif: 0, utrace: [] }, false],
    ["DETACH", { ...RUNS, tif: 0, utrace: null }, false],
  ] as const)("UTRACE_%s gives 0", (action, look, wantsStop) => {
    const { play, target, engine } = tracedAndStopped();
    expect(play.look(target)).toEqual({ ...STAYS, tif: 0, utrace: ["stopped"] });
    expect(control(play, target, engine, action)).toBe(0);
    expect(play.look(target)).toEqual(look);
    expect(play.wantsStop(engine)).toBe(wantsStop);
    expect(play.findings()).toEqual([]);
  });

  test.each(["RESUME", "DETACH"] as const)("UTRACE_%s ends an earlier step", (action) => {
    const { play, target, engine } = tracedAndStopped();
    play.poke(play.machine.threadInfo(target), thread_info.fields.flags, TIF_SINGLESTEP);
    control(play, target, engine, action);
    expect(play.look(target).tif).toBe(0);
  });

  test("UTRACE_INTERRUPT makes it report, and stop again, before it gets to user mode", () => {
    const { play, target, engine, log } = tracedAndStopped();
    control(play, target, engine, "INTERRUPT");
    play.run("target");
    expect(log).toEqual(["A quiesce(0)"]);
    expect(play.look(target)).toMatchObject({ state: TASK_TRACED, runs: false });
  });

  test("fixme: UTRACE_REPORT makes it run on without the report that was promised (posted; it takes `stopped` for one)", () => {
    const { play, target, engine, log } = tracedAndStopped();
    control(play, target, engine, "REPORT");
    play.run("target", inUserMode);
    expect(log).toEqual([]);
  });

  test.each(["STOP", "INTERRUPT"] as const)(
    "a signal that came while it was stopped (by UTRACE_%s) is not lost",
    (action) => {
      const { play, target, engine } = traced({ answers: STOPS, events: QUIESCE });
      play.poke(actionOf(play.peek(target, TASK.sighand), SIGUSR1), k_sigaction.fields.sa_handler, 0x4000);
      control(play, target, engine, action);
      play.run("target");
      const pid = play.booted.getPid(target);
      play.call(() => kill_pid_info(SIGUSR1, pid));
      expect(play.look(target)).toMatchObject({ state: TASK_TRACED, runs: false, tif: 0 });
      control(play, target, engine, "RESUME");
      play.run("target", within("handle_signal"));
      expect(play.pending(target)).toEqual({ own: 0, shared: 0 });
    },
  );

  test("UTRACE_DETACH of the last engine frees its structs: no callback, nothing left", () => {
    const { play, target, engine, log } = tracedAndStopped();
    control(play, target, engine, "DETACH");
    play.run("target", inUserMode).rcu();
    expect(log).toEqual([]);
    expect(play.machine.slab.liveObjects().map(({ cache }) => cache)).not.toContain("utrace");
    expect(play.peek(engine, ENGINE.kref.refcount)).toBe(1);
    expect(play.findings()).toEqual([]);
  });

  test("a SIGKILL wakes it for good: UTRACE_STOP finds it running", () => {
    const { play, target, engine } = tracedAndStopped();
    const pid = play.booted.getPid(target);
    play.call(() => kill_pid_info(SIGKILL, pid));
    expect(play.look(target)).toMatchObject({ state: TASK_RUNNING, runs: true, utrace: ["stopped"] });
    // `stopped` still says the opposite until the target has run.
    expect(control(play, target, engine, "STOP")).toBe(0);
    play.run("target", within("do_exit"));
    expect(play.look(target).utrace).toEqual([]);
  });
});

describe("with a second engine that wants the target stopped", () => {
  function two() {
    const made = tracedAndStopped();
    const second = attach(made.play, made.target, loggingOps(made.log, "B", STOPS), QUIESCE);
    expect(control(made.play, made.target, second, "STOP")).toBe(0);
    return { ...made, second };
  }

  test.each(["REPORT", "INTERRUPT", "SINGLESTEP", "BLOCKSTEP", "RESUME", "DETACH"] as const)(
    "UTRACE_%s of the first does not wake it, UTRACE_RESUME of the second then does",
    (action) => {
      const { play, target, engine, second } = two();
      expect(control(play, target, engine, action)).toBe(0);
      expect(play.look(target)).toMatchObject({ state: TASK_TRACED, runs: false });
      expect(play.look(target).utrace).toContain("stopped");
      expect(control(play, target, second, "RESUME")).toBe(0);
      expect(play.look(target)).toMatchObject({ state: TASK_RUNNING, runs: true });
      expect(play.look(target).utrace).not.toContain("stopped");
    },
  );

  test("the detach of one leaves the other's events, and TIF_SYSCALL_TRACE as long as someone wants system calls", () => {
    const { play, target, engine, second } = two();
    play.call(() => utrace_set_events(target, engine, QUIESCE | SYSCALL_ENTRY));
    play.call(() => utrace_set_events(target, second, SYSCALL_EXIT));
    expect(play.look(target).tif & TIF_SYSCALL_TRACE).toBe(TIF_SYSCALL_TRACE);
    control(play, target, engine, "DETACH");
    expect(play.peek(target, TASK.utrace_flags)).toBe(SYSCALL_EXIT | UTRACE_EVENT.REAP | 0x4000);
    expect(play.look(target).tif & TIF_SYSCALL_TRACE).toBe(TIF_SYSCALL_TRACE);
    control(play, target, second, "DETACH");
    expect(play.peek(target, TASK.utrace_flags)).toBe(0);
    expect(play.look(target)).toEqual({ state: TASK_RUNNING, runs: true, tif: 0, utrace: null });
  });

  test("a stop that one asked for from a callback holds when the other resumes", () => {
    const { play, target, engine, log } = traced({ answers: STOPS, events: QUIESCE });
    const second = attach(play, target, loggingOps(log, "B", { report_quiesce: UTRACE_RESUME }), QUIESCE);
    control(play, target, second, "INTERRUPT");
    play.run("target");
    expect(log).toEqual(["A quiesce(0)", "B quiesce(0)"]);
    expect(control(play, target, second, "RESUME")).toBe(0);
    expect(play.look(target)).toMatchObject({ state: TASK_TRACED, runs: false, utrace: ["stopped"] });
    expect(play.wantsStop(engine)).toBe(true);
  });
});

describe("of a target in a job control stop", () => {
  function jobStopped(events: number, main: KernelFunction<[], void> = userLoop, onJctl: number = UTRACE_RESUME) {
    const answers = { ...STOPS, report_jctl: onJctl, report_exec: UTRACE_RESUME };
    const made = traced({ main, answers, events });
    const pid = made.play.booted.getPid(made.target);
    made.play.call(() => kill_pid_info(SIGSTOP, pid));
    made.play.run("target");
    expect(made.play.look(made.target)).toMatchObject({ state: TASK_STOPPED, runs: false });
    made.log.length = 0;
    return { ...made, pid };
  }

  test.each([
    ["without JCTL", QUIESCE, []],
    ["with JCTL", QUIESCE | JCTL, ["stopped"]],
  ] as const)("UTRACE_STOP gives 0 at once, %s", (_name, events, bits) => {
    const { play, target, engine } = jobStopped(events);
    expect(play.look(target).utrace).toEqual(bits);
    expect(control(play, target, engine, "STOP")).toBe(0);
    expect(play.look(target)).toMatchObject({ state: TASK_STOPPED, utrace: ["stopped"] });
  });

  test.each([
    ["and by returning UTRACE_STOP keeps it stopped", UTRACE_STOP, TASK_TRACED],
    ["and by returning UTRACE_RESUME lets it go", UTRACE_RESUME, TASK_RUNNING],
  ])("at SIGCONT an engine with JCTL has a callback, %s", (_name, answer, state) => {
    const { play, target, engine, pid, log } = jobStopped(JCTL, userLoop, answer);
    control(play, target, engine, "STOP");
    play.call(() => kill_pid_info(SIGCONT, pid));
    if (answer === UTRACE_STOP) play.run("target");
    else play.run("target", inUserMode);
    expect(log).toEqual(["A jctl(6)"]);
    expect(play.look(target)).toMatchObject({ state });
  });

  test("fixme: after SIGCONT an engine without JCTL has lost the stop it was granted, and `stopped` stays set", () => {
    const { play, target, engine, pid } = jobStopped(QUIESCE);
    control(play, target, engine, "STOP");
    play.call(() => kill_pid_info(SIGCONT, pid));
    play.run("target", inUserMode);
    expect(play.look(target)).toMatchObject({ state: TASK_RUNNING, utrace: ["stopped"] });
    expect(play.wantsStop(engine)).toBe(true);
  });

  test("fixme: an engine with events for other signals has lost its stop too, but `stopped` is cleared", () => {
    const { play, target, engine, pid } = jobStopped(SIGNAL_TERM);
    control(play, target, engine, "STOP");
    expect(play.look(target).utrace).toEqual(["stopped"]);
    play.call(() => kill_pid_info(SIGCONT, pid));
    play.run("target", inUserMode);
    expect(play.look(target)).toMatchObject({ state: TASK_RUNNING, utrace: [] });
    expect(play.wantsStop(engine)).toBe(true);
  });

  test("fixme: with `stopped` left set its next event is BUG_ON(utrace->stopped) in start_report", () => {
    const main = named("execs", function* () {
      yield* user_mode(1000);
      yield* syscall(sys_execve);
    });
    const { play, target, engine, pid } = jobStopped(EXEC, main);
    control(play, target, engine, "STOP");
    play.call(() => kill_pid_info(SIGCONT, pid));
    play.run("target");
    expect(play.findings()).toEqual([
      "spec-divergence: user-mode: a task runs no user code while an engine holds it (stopped-no-user-code)",
      "bug-on: kernel BUG at kernel/utrace.c:start_report!",
    ]);
  });

  test("UTRACE_RESUME does not end the job control stop, SIGCONT does", () => {
    const { play, target, engine, pid } = jobStopped(QUIESCE);
    control(play, target, engine, "STOP");
    expect(control(play, target, engine, "RESUME")).toBe(0);
    expect(play.look(target)).toMatchObject({ state: TASK_STOPPED, runs: false, utrace: [] });
    play.call(() => kill_pid_info(SIGCONT, pid));
    expect(play.look(target)).toMatchObject({ state: TASK_RUNNING, runs: true });
  });

  test("UTRACE_DETACH of the last engine leaves it in the job control stop", () => {
    const { play, target, engine, pid } = jobStopped(QUIESCE);
    expect(control(play, target, engine, "DETACH")).toBe(0);
    expect(play.look(target)).toEqual({ state: TASK_STOPPED, runs: false, tif: 0, utrace: null });
    play.call(() => kill_pid_info(SIGCONT, pid));
    play.run("target", inUserMode).rcu();
    expect(play.findings()).toEqual([]);
  });

  test("a traced thread of a group that job control stopped goes from TASK_TRACED to TASK_STOPPED", () => {
    const main = named("two_threads", function* () {
      yield* syscall(do_fork, CLONE_THREAD, "thread", userLoop);
      for (;;) yield* user_mode(1000);
    });
    const { play, target, engine } = tracedAndStopped({
      main: named("first_thread", function* () {
        yield* user_mode(1);
        yield* main();
      }),
    });
    // The thread comes later: let the target make it, then stop it again.
    control(play, target, engine, "RESUME");
    play.run("target", inUserMode).run("target", within("two_threads")).run("target", inUserMode);
    play.run("thread", inUserMode);
    control(play, target, engine, "INTERRUPT");
    play.run("target");
    expect(play.look(target)).toMatchObject({ state: TASK_TRACED });
    const pid = play.booted.getPid(target);
    play.call(() => kill_pid_info(SIGSTOP, pid));
    play.run("thread");
    expect(play.look(play.context("thread").task)).toMatchObject({ state: TASK_STOPPED, runs: false });
    expect(play.look(target)).toMatchObject({ state: TASK_TRACED, runs: false });
    control(play, target, engine, "RESUME");
    expect(play.look(target)).toMatchObject({ state: TASK_STOPPED, runs: false, utrace: [] });
    play.call(() => kill_pid_info(SIGCONT, pid));
    expect(play.look(target)).toMatchObject({ state: TASK_RUNNING, runs: true });
  });
});

test("a thread that goes to TASK_TRACED in the middle of a group stop counts as stopped; nobody ends the group stop", () => {
  const main = named("two_threads", function* () {
    yield* user_mode(1000);
    yield* syscall(do_fork, CLONE_THREAD, "thread", userLoop);
    for (;;) yield* user_mode(1000);
  });
  const { play, target, engine } = traced({ main, answers: STOPS, events: QUIESCE });
  play.step("target").run("target", inUserMode).run("thread", inUserMode);
  control(play, target, engine, "STOP");
  play.run("target", at(SPIN_LOCK, undefined, "utrace_stop"));
  const { task: thread } = play.context("thread");
  play.call(() => send_sig_thread(SIGSTOP, thread));
  play.run("thread");
  const signal = play.peek(target, TASK.signal);
  expect(play.peek(signal, SIGNAL.group_stop_count)).toBe(1);
  play.run("target");
  expect(play.peek(signal, SIGNAL.group_stop_count)).toBe(0);
  expect(play.peek(signal, SIGNAL.flags) & SIGNAL_STOP_STOPPED).toBe(0);
  expect([play.look(target).state, play.look(thread).state]).toEqual([TASK_TRACED, TASK_STOPPED]);
});

describe("races with the target", () => {
  test("fixme: a detach between the callback that asked for the stop and the stop leaves the target there for ever", () => {
    const { play, target, engine } = traced({ answers: STOPS, events: QUIESCE });
    control(play, target, engine, "STOP");
    play.run("target", at(SPIN_LOCK, undefined, "utrace_stop"));
    expect(control(play, target, engine, "DETACH")).toBe(0);
    play.run("target").toEnd();
    expect(play.findings()).toEqual(["hung-task: INFO: task target/100 blocked for more than 120 seconds."]);
  });

  test("fixme: an interrupt seen before its TIF_SIGPENDING is set is BUG_ON(!signal_pending(task)) in utrace_resume", () => {
    const { play, target, engine } = traced({ answers: STOPS, events: QUIESCE });
    control(play, target, engine, "REPORT");
    play.start("tracer", () => utrace_control(target, engine, UTRACE_INTERRUPT));
    play.run("tracer", within("lock_task_sighand"));
    play.run("target");
    expect(play.findings()).toEqual(["bug-on: kernel BUG at kernel/utrace.c:utrace_resume!"]);
  });

  test("an action that comes while the target is in a callback does not undo what the callback returns", () => {
    const { play, target, engine } = traced({ answers: STOPS, events: QUIESCE });
    control(play, target, engine, "REPORT");
    play.run("target", at(BARRIER, undefined, "A_report_quiesce"));
    expect(control(play, target, engine, "RESUME")).toBe(0);
    play.run("target");
    expect(play.look(target)).toMatchObject({ state: TASK_TRACED, runs: false });
    expect(play.wantsStop(engine)).toBe(true);
  });

  test("a stop that was asked for in report_signal: the signal that is ignored goes away, the stop stays", () => {
    const { play, target, engine, log } = traced({
      answers: { report_signal: UTRACE_SIGNAL_IGN | UTRACE_STOP },
      events: QUIESCE,
    });
    control(play, target, engine, "INTERRUPT");
    play.run("target");
    expect(log).toEqual(["A signal(0x65, 0)"]);
    expect(play.look(target)).toMatchObject({ state: TASK_TRACED, utrace: ["stopped"] });
    expect(control(play, target, engine, "DETACH")).toBe(0);
    play.run("target", inUserMode);
    expect(play.look(target).utrace).toBe(null);
  });
});
