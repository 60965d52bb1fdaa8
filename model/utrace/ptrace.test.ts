/** ptrace as an engine (CONFIG_UTRACE_PTRACE): what a tracer sees is what classic ptrace shows it. */
import { expect, test } from "vitest";
import type { Ptr } from "../../sim/index.ts";
import { ECHILD, EIO, EPERM, ESRCH } from "../linux/errno.ts";
import { do_wait, type WaitStatus, WNOHANG } from "../linux/exit.ts";
import { do_fork } from "../linux/fork.ts";
import {
  PT_PTRACED,
  PTRACE_ATTACH,
  PTRACE_CONT,
  PTRACE_DETACH,
  PTRACE_EVENT_EXIT,
  PTRACE_EVENT_FORK,
  PTRACE_GETEVENTMSG,
  PTRACE_GETSIGINFO,
  PTRACE_KILL,
  PTRACE_O_TRACEEXIT,
  PTRACE_O_TRACEFORK,
  PTRACE_SETOPTIONS,
  PTRACE_SINGLESTEP,
  PTRACE_SYSCALL,
  PTRACE_TRACEME,
  sys_ptrace,
} from "../linux/ptrace.ts";
import { EXIT_ZOMBIE, TASK_RUNNING, TASK_TRACED, TIF_NOTIFY_RESUME, TIF_SIGPENDING } from "../linux/sched.ts";
import {
  actionOf,
  do_group_exit,
  group_send_sig_info,
  SIGKILL,
  SIGSTOP,
  SIGTRAP,
  SIGUSR1,
  sigmask,
} from "../linux/signal.ts";
import { k_sigaction, TASK } from "../linux/structs.ts";
import { Actor, attach, inUserMode, loggingOps, Play, STOPS, userLoop } from "../testProgram.ts";
import { UTRACE_EVENT } from "./events.ts";

const WORK = TIF_SIGPENDING | TIF_NOTIFY_RESUME;

/** A tracer and its tracee over utrace. */
function stage() {
  const play = new Play({ config: { UTRACE_PTRACE: true } });
  play.booted.allowPtrace();
  const tracer = new Actor(play, "tracer");
  const tracee = new Actor(play, "tracee");
  const pid: Ptr = play.booted.getPid(tracee.task);
  play.run("init").run("tracer", inUserMode).run("tracee", inUserMode);
  const run = (): void => {
    play.runsTo("tracee", (context) => inUserMode(context) && (play.tif(tracee.task) & WORK) === 0);
  };
  const ptrace = (request: number, data = 0) => tracer.call(sys_ptrace, request, pid, data);
  /** The code of the stop that wait tells of, or what else it gives. */
  const wait = (): number => {
    const status: WaitStatus = { value: -1 };
    const told = tracer.call(do_wait, WNOHANG, status) as number;
    return told > 0 && (status.value & 0xff) === 0x7f ? status.value >> 8 : told > 0 ? status.value : told;
  };
  const state = (): number => play.peek(tracee.task, TASK.state);
  return { play, tracer, tracee, pid, run, ptrace, wait, state };
}

function attached() {
  const made = stage();
  expect(made.ptrace(PTRACE_ATTACH)).toBe(0);
  made.run();
  expect(made.wait()).toBe(SIGSTOP);
  return made;
}

test("attach: SIGSTOP is reported by the engine, wait tells of it, once; the tracee is in TASK_TRACED", () => {
  const { state, wait, ptrace, play, tracee } = attached();
  expect(state()).toBe(TASK_TRACED);
  expect(wait()).toBe(0);
  expect(ptrace(PTRACE_ATTACH)).toBe(-EPERM);
  expect(play.peek(tracee.task, TASK.utrace)).not.toBe(0);
  expect(play.findings()).toEqual([]);
});

test("CONT lets it run without the signal; with one, the handler runs", () => {
  const { ptrace, run, state, play, tracee, wait } = attached();
  expect(ptrace(PTRACE_CONT)).toBe(0);
  run();
  expect(state()).toBe(TASK_RUNNING);
  expect(ptrace(PTRACE_CONT)).toBe(-ESRCH);
  const handler = actionOf(play.peek(tracee.task, TASK.sighand), SIGUSR1);
  play.poke(handler, k_sigaction.fields.sa_handler, 0x400000);
  for (const given of [0, SIGUSR1]) {
    play.call(() => group_send_sig_info(SIGUSR1, tracee.task));
    run();
    expect(wait()).toBe(SIGUSR1);
    expect(ptrace(PTRACE_CONT, given)).toBe(0);
    run();
    expect(play.peek(tracee.task, TASK.blocked)).toBe(given === 0 ? 0 : sigmask(SIGUSR1));
  }
  expect(play.findings()).toEqual([]);
});

test("SYSCALL stops at the entry of a call, and before the next user mode at its exit", () => {
  const { ptrace, run, wait, tracee } = attached();
  ptrace(PTRACE_SYSCALL);
  run();
  tracee.begin(do_wait, 0, null);
  expect(wait()).toBe(SIGTRAP);
  expect(ptrace(PTRACE_SYSCALL)).toBe(0);
  tracee.goOn();
  expect(wait()).toBe(SIGTRAP);
  expect(ptrace(PTRACE_CONT)).toBe(0);
  expect(tracee.goOn().gave).toBe(-ECHILD);
});

test("SINGLESTEP stops after one instruction", () => {
  const { ptrace, run, wait, play } = attached();
  expect(ptrace(PTRACE_SINGLESTEP)).toBe(0);
  play.runsTo("tracee", inUserMode);
  play.step("tracee");
  run();
  expect(wait()).toBe(SIGTRAP);
});

test("TRACEFORK and TRACEEXIT: the stop with its event, and the child is traced by an engine of its own", () => {
  const { ptrace, run, wait, play, tracee, tracer, pid } = attached();
  ptrace(PTRACE_SETOPTIONS, PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXIT);
  ptrace(PTRACE_CONT);
  run();
  tracee.begin(do_fork, 0, "child", userLoop);
  expect(wait()).toBe((PTRACE_EVENT_FORK << 8) | SIGTRAP);
  const child = play.context("child");
  const out = { value: 0 };
  tracer.call(sys_ptrace, PTRACE_GETEVENTMSG, pid, 0, out);
  expect(out.value).toBe(child.pid);
  play.run("child");
  expect(wait()).toBe(SIGSTOP);
  ptrace(PTRACE_CONT);
  tracee.goOn();
  run();
  tracee.begin(do_group_exit, 3);
  expect(wait()).toBe((PTRACE_EVENT_EXIT << 8) | SIGTRAP);
});

test("KILL kills it, and wait tells of that", () => {
  const { ptrace, play, wait, tracee } = attached();
  expect(ptrace(PTRACE_KILL)).toBe(0);
  play.run("tracee");
  expect(play.peek(tracee.task, TASK.exit_state)).toBe(EXIT_ZOMBIE);
  expect(wait()).toBe(SIGKILL);
});

test("DETACH gives the struct utrace up while the tracee is in utrace_stop, and lets it run", () => {
  const { ptrace, run, play, tracee, state } = attached();
  expect(ptrace(PTRACE_DETACH)).toBe(0);
  expect(play.peek(tracee.task, TASK.utrace)).toBe(0);
  run();
  expect(state()).toBe(TASK_RUNNING);
  expect(play.peek(tracee.task, TASK.ptrace)).toBe(0);
});

test("a tracer that exits lets its tracees go", () => {
  const { tracer, run, play, tracee, state } = attached();
  tracer.begin(do_group_exit, 0);
  run();
  expect(state()).toBe(TASK_RUNNING);
  expect(play.peek(tracee.task, TASK.ptrace) & PT_PTRACED).toBe(0);
  expect(play.findings()).toEqual([]);
});

test("traceme: the parent is the tracer; -EPERM the second time. No siginfo is to be had: -EIO", () => {
  const { tracee, ptrace } = attached();
  const other = stage();
  expect(other.tracee.call(sys_ptrace, PTRACE_TRACEME, 0)).toBe(0);
  expect(other.tracee.call(sys_ptrace, PTRACE_TRACEME, 0)).toBe(-EPERM);
  expect(ptrace(PTRACE_GETSIGINFO)).toBe(-EIO);
  expect(tracee.gave).toBe(undefined);
});

test("a stop of another engine's is none of ptrace's: requests find the tracee running", () => {
  const { ptrace, run, play, tracee, wait, state } = attached();
  attach(play, tracee.task, loggingOps([], "B", STOPS), UTRACE_EVENT.QUIESCE);
  ptrace(PTRACE_CONT);
  run();
  expect(state()).toBe(TASK_TRACED);
  expect(wait()).toBe(0);
  expect(ptrace(PTRACE_CONT)).toBe(-ESRCH);
});
