/** Examination of a stopped task, the calls by pid, tracer_task, unsafe_exec, and the line in /proc. */
import { describe, expect, test } from "vitest";
import { type Ptr, wake_up_state } from "../../sim/index.ts";
import { SCHEDULE, WAIT_INACTIVE } from "../../sim/op.ts";
import { EAGAIN, EINPROGRESS, EINVAL, ESRCH } from "../linux/errno.ts";
import { compute_creds } from "../linux/exec.ts";
import { put_pid } from "../linux/pid.ts";
import {
  __TASK_TRACED,
  EXIT_ZOMBIE,
  get_task_struct,
  put_task_struct,
  TASK_RUNNING,
  TASK_TRACED,
} from "../linux/sched.ts";
import { group_send_sig_info, SIGKILL } from "../linux/signal.ts";
import { TASK } from "../linux/structs.ts";
import {
  LSM_UNSAFE_PTRACE,
  LSM_UNSAFE_PTRACE_CAP,
  tracehook_expect_breakpoints,
  tracehook_tracer_task,
  tracehook_unsafe_exec,
} from "../linux/tracehook.ts";
import { at, attach, loggingOps, named, type Play, STOPS, traced, tracedAndStopped } from "../testProgram.ts";
import { utrace_control } from "./control.ts";
import { UTRACE_DETACH, UTRACE_EVENT, UTRACE_INTERRUPT, UTRACE_REPORT, UTRACE_RESUME, UTRACE_STOP } from "./events.ts";
import {
  task_utrace_proc_status,
  utrace_barrier_pid,
  utrace_control_pid,
  type utrace_examiner,
  utrace_finish_examine,
  utrace_prepare_examine,
  utrace_set_events_pid,
} from "./examine.ts";
import { utrace_tracer_task } from "./tracerTask.ts";

const NOTHING: utrace_examiner = { state: -1, ncsw: -1 };

/** A target that its engine keeps in TASK_TRACED. */
function examined() {
  const made = tracedAndStopped();
  const exam = { ...NOTHING };
  const { play, target, engine } = made;
  return {
    ...made,
    exam,
    prepare: () => play.call(() => utrace_prepare_examine(target, engine, exam)),
    finish: () => play.call(() => utrace_finish_examine(target, engine, exam)),
  };
}

/** Lets a stopped target run until it has stopped again, on its own. */
function onceMore(play: Play, target: Ptr, engine: Ptr): void {
  play.call(() => utrace_control(target, engine, UTRACE_INTERRUPT));
  play.run("target");
  expect(play.peek(target, TASK.state)).toBe(TASK_TRACED);
}

describe("utrace_prepare_examine", () => {
  test("0 of a target that its engine keeps stopped: its state and its context switches are kept", () => {
    const { prepare, exam } = examined();
    expect(prepare()).toBe(0);
    expect(exam.state).toBe(TASK_TRACED);
    expect(exam.ncsw).toBeGreaterThan(0);
  });

  test("0 of the running task, whatever the engine, with nothing kept", () => {
    const { play, engine } = traced();
    const self = play.start("self", () => utrace_prepare_examine(play.context("self").task, engine, NOTHING));
    play.run("self");
    expect(self.result).toBe(0);
    expect(NOTHING).toEqual({ state: -1, ncsw: -1 });
  });

  test("-EINVAL of an engine that has not asked for a stop, though another keeps the target stopped", () => {
    const { play, target, prepare } = examined();
    const other = attach(play, target, {});
    expect(play.call(() => utrace_prepare_examine(target, other, { ...NOTHING }))).toBe(-EINVAL);
    expect(prepare()).toBe(0);
  });

  test("-ESRCH of a dead target that an engine wants stopped still", () => {
    const { play, target, engine } = traced({ events: UTRACE_EVENT.EXEC, answers: { report_exec: UTRACE_RESUME } });
    play.call(() => get_task_struct(target));
    play.call(() => utrace_control(target, engine, UTRACE_STOP));
    play.run("target");
    play.call(() => group_send_sig_info(SIGKILL, target));
    play.run("target");
    expect(play.peek(target, TASK.exit_state)).toBe(EXIT_ZOMBIE);
    expect(play.call(() => utrace_prepare_examine(target, engine, { ...NOTHING }))).toBe(-ESRCH);
    play.call(() => put_task_struct(target));
  });

  test("-EAGAIN of a target that runs", () => {
    const { play, target, engine } = traced({ answers: STOPS, events: UTRACE_EVENT.QUIESCE });
    expect(play.call(() => utrace_control(target, engine, UTRACE_STOP))).toBe(-EINPROGRESS);
    expect(play.call(() => utrace_prepare_examine(target, engine, { ...NOTHING }))).toBe(-EAGAIN);
  });

  test("waits while the target is in TASK_TRACED and still on its CPU", () => {
    const { play, target, engine } = traced({ answers: STOPS, events: UTRACE_EVENT.QUIESCE });
    play.call(() => utrace_control(target, engine, UTRACE_INTERRUPT));
    play.run("target", at(SCHEDULE, undefined, "utrace_stop"));
    expect(play.peek(target, TASK.state)).toBe(TASK_TRACED);
    const exam = { ...NOTHING };
    const examining = play.start("examiner", () => utrace_prepare_examine(target, engine, exam));
    play.runsTo("examiner");
    expect(examining.result).toBe(undefined);
    play.run("target").run("examiner");
    expect(examining.result).toBe(0);
  });

  test("-EAGAIN of a target that wakes up before it is off its CPU", () => {
    const { play, target, engine } = traced({ answers: STOPS, events: UTRACE_EVENT.QUIESCE });
    play.call(() => utrace_control(target, engine, UTRACE_INTERRUPT));
    play.run("target", at(SCHEDULE, undefined, "utrace_stop"));
    const examining = play.start("examiner", () => utrace_prepare_examine(target, engine, { ...NOTHING }));
    play.run("examiner", at(WAIT_INACTIVE));
    play.call(() => utrace_control(target, engine, UTRACE_RESUME));
    play.run("examiner");
    expect(examining.result).toBe(-EAGAIN);
  });
});

describe("utrace_finish_examine", () => {
  test("0 if the target has not run", () => {
    const { prepare, finish } = examined();
    expect(prepare()).toBe(0);
    expect(finish()).toBe(0);
    expect(finish()).toBe(0);
  });

  test("0 of the running task", () => {
    const { play, engine } = traced();
    const self = play.start("self", () => utrace_finish_examine(play.context("self").task, engine, NOTHING));
    play.run("self");
    expect(self.result).toBe(0);
  });

  test("-EINVAL if the engine no longer keeps it stopped", () => {
    const { play, target, engine, prepare, finish } = examined();
    expect(prepare()).toBe(0);
    play.call(() => utrace_control(target, engine, UTRACE_RESUME));
    expect(finish()).toBe(-EINVAL);
  });

  test("-EAGAIN if it runs", () => {
    const { play, target, prepare, finish } = examined();
    expect(prepare()).toBe(0);
    play.call(() => wake_up_state(target, __TASK_TRACED));
    expect(play.peek(target, TASK.state)).toBe(TASK_RUNNING);
    expect(finish()).toBe(-EAGAIN);
  });

  test("-EAGAIN if it has run, and has stopped again", () => {
    const { play, target, engine, prepare, finish } = examined();
    expect(prepare()).toBe(0);
    onceMore(play, target, engine);
    expect(finish()).toBe(-EAGAIN);
  });
});

describe("by pid", () => {
  test("utrace_set_events_pid, utrace_control_pid and utrace_barrier_pid do as the calls by task", () => {
    const { play, target, engine } = tracedAndStopped();
    const pid = play.booted.getPid(target);
    expect(play.call(() => utrace_set_events_pid(pid, engine, UTRACE_EVENT.EXEC))).toBe(0);
    expect(play.peek(target, TASK.utrace_flags) & UTRACE_EVENT.EXEC).not.toBe(0);
    expect(play.call(() => utrace_barrier_pid(pid, engine))).toBe(0);
    expect(play.call(() => utrace_control_pid(pid, engine, UTRACE_DETACH))).toBe(0);
    expect(play.peek(target, TASK.utrace)).toBe(0);
  });

  test("-ESRCH of each if the task has been reaped", () => {
    const { play, target, engine } = tracedAndStopped();
    const pid = play.booted.getPid(target);
    play.call(() => group_send_sig_info(SIGKILL, target));
    play.run("init").run("target").run("init");
    expect(play.call(() => utrace_set_events_pid(pid, engine, 0))).toBe(-ESRCH);
    expect(play.call(() => utrace_control_pid(pid, engine, UTRACE_RESUME))).toBe(-ESRCH);
    expect(play.call(() => utrace_barrier_pid(pid, engine))).toBe(-ESRCH);
    play.call(() => put_pid(pid));
  });
});

describe("who traces", () => {
  const ops = (tracer: Ptr, unsafe: number) => ({
    tracer_task: named(`tracer_task_${tracer}`, function* () {
      return tracer;
    }),
    unsafe_exec: named(`unsafe_exec_${tracer}`, function* () {
      return unsafe;
    }),
  });

  test("tracer_task: the first engine that knows of one; 0 of a task without struct or flags, or without such an engine", () => {
    const { play, target, engine } = tracedAndStopped();
    expect(play.call(() => tracehook_tracer_task(target))).toBe(0);
    for (const tracer of [0, -4096, -8192]) attach(play, target, ops(tracer, 0));
    expect(
      play.call(() => utrace_tracer_task(target)),
      "they are on the attaching list",
    ).toBe(0);
    onceMore(play, target, engine);
    expect(play.call(() => tracehook_tracer_task(target))).toBe(-4096);
    expect(play.call(() => utrace_tracer_task(play.booted.init))).toBe(0);
  });

  test("unsafe_exec: what all engines say, asked under task_lock", () => {
    const { play, target, engine } = tracedAndStopped();
    attach(play, target, ops(0, LSM_UNSAFE_PTRACE));
    attach(play, target, ops(-4096, LSM_UNSAFE_PTRACE_CAP));
    onceMore(play, target, engine);
    expect(play.call(() => compute_creds(target))).toBe(LSM_UNSAFE_PTRACE | LSM_UNSAFE_PTRACE_CAP);
    expect(play.call(() => tracehook_tracer_task(target))).toBe(-4096);
    const plain = traced();
    expect(plain.play.call(() => tracehook_unsafe_exec(plain.target))).toBe(0);
  });

  test("expect_breakpoints: of a task whose core dumps somebody wants to see", () => {
    const { play, target } = traced({ events: UTRACE_EVENT.SIGNAL_CORE, answers: { report_signal: UTRACE_RESUME } });
    expect(play.call(() => tracehook_expect_breakpoints(target))).toBe(true);
    attach(play, target, loggingOps([], "B", {}));
    const other = traced({ events: UTRACE_EVENT.SIGNAL_TERM, answers: { report_signal: UTRACE_RESUME } });
    expect(other.play.call(() => tracehook_expect_breakpoints(other.target))).toBe(false);
  });
});

test("the line in /proc: flags in hex and what is set; none of a task without engines", () => {
  const { play, target, engine } = tracedAndStopped();
  const line = (task = target) => play.call(() => task_utrace_proc_status(task));
  expect(line()).toBe("Utrace: 4003 (stopped)\n");
  play.call(() => utrace_control(target, engine, UTRACE_INTERRUPT));
  expect(line()).toBe("Utrace: 3 (interrupt)\n");
  expect(line(play.booted.init)).toBe("");
  const running = traced({ events: UTRACE_EVENT.QUIESCE, answers: STOPS });
  running.play.call(() => utrace_control(running.target, running.engine, UTRACE_REPORT));
  expect(running.play.call(() => task_utrace_proc_status(running.target))).toBe("Utrace: 1 (report)\n");
});
