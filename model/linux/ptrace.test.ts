/** Classic ptrace: who may trace whom, what a tracee stops for, what its tracer is told and may do, and how it ends. */
import { describe, expect, test } from "vitest";
import type { Ptr } from "../../sim/index.ts";
import type { Request } from "../../sim/op.ts";
import { Actor, inUserMode, named, Play, userLoop, within } from "../testProgram.ts";
import { user_mode } from "./entry.ts";
import { ECHILD, EINVAL, EIO, EPERM, ESRCH } from "./errno.ts";
import { compute_creds, sys_execve } from "./exec.ts";
import { do_exit, do_wait, type WaitStatus, WCONTINUED, WNOHANG, WUNTRACED } from "./exit.ts";
import { CLONE_PTRACE, CLONE_THREAD, CLONE_UNTRACED, CLONE_VFORK, do_fork } from "./fork.ts";
import {
  PT_PTRACED,
  PT_TRACE_EXIT,
  PTRACE_ATTACH,
  PTRACE_CONT,
  PTRACE_DETACH,
  PTRACE_EVENT_CLONE,
  PTRACE_EVENT_EXEC,
  PTRACE_EVENT_EXIT,
  PTRACE_EVENT_FORK,
  PTRACE_EVENT_VFORK,
  PTRACE_EVENT_VFORK_DONE,
  PTRACE_GETEVENTMSG,
  PTRACE_GETSIGINFO,
  PTRACE_KILL,
  PTRACE_O_TRACECLONE,
  PTRACE_O_TRACEEXEC,
  PTRACE_O_TRACEEXIT,
  PTRACE_O_TRACEFORK,
  PTRACE_O_TRACESYSGOOD,
  PTRACE_O_TRACEVFORK,
  PTRACE_O_TRACEVFORKDONE,
  PTRACE_SETOPTIONS,
  PTRACE_SETSIGINFO,
  PTRACE_SINGLESTEP,
  PTRACE_SYSCALL,
  PTRACE_TRACEME,
  sys_ptrace,
} from "./ptrace.ts";
import {
  EXIT_ZOMBIE,
  TASK_INTERRUPTIBLE,
  TASK_RUNNING,
  TASK_STOPPED,
  TASK_TRACED,
  TIF_NOTIFY_RESUME,
  TIF_SIGPENDING,
  TIF_SINGLESTEP,
  TIF_SYSCALL_TRACE,
} from "./sched.ts";
import {
  actionOf,
  do_group_exit,
  group_send_sig_info,
  SIG_IGN,
  SIGCHLD,
  SIGCONT,
  SIGHUP,
  SIGINT,
  SIGKILL,
  SIGSTOP,
  SIGTERM,
  SIGTRAP,
  SIGUSR1,
  sigmask,
} from "./signal.ts";
import { k_sigaction, SIGNAL, TASK } from "./structs.ts";
import { LSM_UNSAFE_PTRACE_CAP, tracehook_expect_breakpoints, tracehook_tracer_task } from "./tracehook.ts";

const HANDLER = 0x400000;
/** What there is to do on the way to user mode. */
const WORK = TIF_SIGPENDING | TIF_NOTIFY_RESUME;

/** A tracer and its tracee-to-be, both children of init, on a stage where everyone may ptrace. */
class Stage {
  readonly play = new Play();
  readonly tracer: Actor;
  readonly tracee: Actor;
  readonly pid: Ptr;

  constructor() {
    this.play.booted.allowPtrace();
    this.tracer = new Actor(this.play, "tracer");
    this.tracee = new Actor(this.play, "tracee");
    this.pid = this.play.booted.getPid(this.tracee.task);
    this.play.run("init").run("tracer", inUserMode).run("tracee", inUserMode);
  }

  ptrace(request: number, data = 0): number | undefined {
    return this.tracer.call(sys_ptrace, request, this.pid, data);
  }

  /** What a request reads. */
  read(request: number): number {
    const out = { value: -1 };
    expect(this.tracer.call(sys_ptrace, request, this.pid, 0, out)).toBe(0);
    return out.value;
  }

  /** What the tracer is told if it asks without waiting: pid and status; null if there is nothing. */
  wait(options = 0, who = this.tracer): [pid: number, status: number] | null {
    const status: WaitStatus = { value: -1 };
    const pid = who.call(do_wait, WNOHANG | options, status) as number;
    return pid === 0 ? null : [pid, status.value];
  }

  send(sig: number, task = this.tracee.task): void {
    this.play.call(() => group_send_sig_info(sig, task));
  }

  /** Lets the tracee run as far as it goes without making a call. */
  run(): this {
    const { task } = this.tracee;
    this.play.runsTo("tracee", (context) => inUserMode(context) && (this.play.tif(task) & WORK) === 0);
    return this;
  }

  get state(): number {
    return this.play.peek(this.tracee.task, TASK.state);
  }

  get traceePid(): number {
    return this.play.peek(this.tracee.task, TASK.pid);
  }

  /** As wait tells of a stop. */
  stopped(code: number): [number, number] {
    return [this.traceePid, (code << 8) | 0x7f];
  }

  attached(): this {
    expect(this.ptrace(PTRACE_ATTACH)).toBe(0);
    this.run();
    expect(this.wait()).toEqual(this.stopped(SIGSTOP));
    return this;
  }

  handle(sig: number, handler: number): void {
    const action = actionOf(this.play.peek(this.tracee.task, TASK.sighand), sig);
    this.play.poke(action, k_sigaction.fields.sa_handler, handler);
  }
}

describe("attach", () => {
  test("makes the caller the parent, sends SIGSTOP, and the tracee stops in TASK_TRACED, not TASK_STOPPED", () => {
    const stage = new Stage();
    expect(stage.ptrace(PTRACE_ATTACH)).toBe(0);
    const { task } = stage.tracee;
    expect(stage.play.peek(task, TASK.parent)).toBe(stage.tracer.task);
    expect(stage.play.peek(task, TASK.real_parent)).toBe(stage.play.booted.init);
    expect(stage.wait()).toBe(null);
    stage.run();
    expect(stage.state).toBe(TASK_TRACED);
    expect(stage.wait()).toEqual(stage.stopped(SIGSTOP));
    expect(stage.wait(), "told once").toBe(null);
  });

  test("-EPERM of a task of the own process, of one that is traced already, and of one without memory", () => {
    const stage = new Stage().attached();
    expect(stage.ptrace(PTRACE_ATTACH)).toBe(-EPERM);
    expect(stage.tracer.call(sys_ptrace, PTRACE_ATTACH, stage.play.booted.getPid(stage.tracer.task))).toBe(-EPERM);
    const gone = new Actor(stage.play, "gone");
    const pid = stage.play.booted.getPid(gone.task);
    gone.begin(do_group_exit, 0);
    expect(stage.play.peek(gone.task, TASK.exit_state)).toBe(EXIT_ZOMBIE);
    expect(stage.tracer.call(sys_ptrace, PTRACE_ATTACH, pid)).toBe(-EPERM);
  });

  test("-ESRCH of a pid whose task was reaped", () => {
    const stage = new Stage();
    stage.tracee.begin(do_group_exit, 0);
    stage.play.run("init");
    expect(stage.ptrace(PTRACE_ATTACH)).toBe(-ESRCH);
  });

  test("a stopped tracee stays in its job control stop until the tracer asks something of it", () => {
    const stage = new Stage();
    stage.send(SIGSTOP);
    stage.run();
    expect(stage.state).toBe(TASK_STOPPED);
    expect(stage.ptrace(PTRACE_ATTACH)).toBe(0);
    expect(stage.state).toBe(TASK_STOPPED);
    expect(stage.wait()).toEqual(stage.stopped(SIGSTOP));
    expect(stage.ptrace(PTRACE_SETOPTIONS)).toBe(0);
    expect(stage.state).toBe(TASK_TRACED);
    expect(stage.play.peek(stage.tracee.task, TASK.last_siginfo), "no stop of ptrace's own").toBe(0);
  });

  test("traceme: the real parent becomes the tracer; -EPERM the second time", () => {
    const stage = new Stage();
    expect(stage.tracee.call(sys_ptrace, PTRACE_TRACEME, 0)).toBe(0);
    expect(stage.play.peek(stage.tracee.task, TASK.ptrace)).toBe(PT_PTRACED);
    expect(stage.play.peek(stage.tracee.task, TASK.parent)).toBe(stage.play.booted.init);
    expect(stage.tracee.call(sys_ptrace, PTRACE_TRACEME, 0)).toBe(-EPERM);
  });

  test("the tracer is asked for as tracer_task, means LSM_UNSAFE_PTRACE_CAP for an exec, and expects breakpoints", () => {
    const stage = new Stage();
    const { task } = stage.tracee;
    expect(stage.play.call(() => tracehook_tracer_task(task))).toBe(0);
    expect(stage.play.call(() => compute_creds(task))).toBe(0);
    expect(stage.play.call(() => tracehook_expect_breakpoints(task))).toBe(false);
    stage.attached();
    expect(stage.play.call(() => tracehook_tracer_task(task))).toBe(stage.tracer.task);
    expect(stage.play.call(() => compute_creds(task))).toBe(LSM_UNSAFE_PTRACE_CAP);
    expect(stage.play.call(() => tracehook_expect_breakpoints(task))).toBe(true);
  });
});

describe("a request", () => {
  test("-ESRCH of a task that is not traced by the caller, or is not stopped; but PTRACE_KILL need not find it so", () => {
    const stage = new Stage();
    expect(stage.ptrace(PTRACE_CONT)).toBe(-ESRCH);
    stage.attached();
    const other = new Actor(stage.play, "other");
    expect(other.call(sys_ptrace, PTRACE_CONT, stage.pid)).toBe(-ESRCH);
    expect(stage.ptrace(PTRACE_CONT)).toBe(0);
    expect(stage.ptrace(PTRACE_CONT)).toBe(-ESRCH);
    expect(stage.ptrace(PTRACE_KILL)).toBe(0);
  });

  test("-EIO if there is no such request or signal, -EINVAL of options that there are not", () => {
    const stage = new Stage().attached();
    expect(stage.ptrace(99)).toBe(-EIO);
    expect(stage.ptrace(PTRACE_CONT, 65)).toBe(-EIO);
    expect(stage.ptrace(PTRACE_DETACH, 65)).toBe(-EIO);
    expect(stage.ptrace(PTRACE_SETOPTIONS, 0x100 | PTRACE_O_TRACEEXIT)).toBe(-EINVAL);
    expect(stage.play.peek(stage.tracee.task, TASK.ptrace) & PT_TRACE_EXIT).toBe(PT_TRACE_EXIT);
  });

  test("CONT lets the tracee run without the signal it stopped for, or with it, or with another", () => {
    const stage = new Stage().attached();
    expect(stage.ptrace(PTRACE_CONT)).toBe(0);
    expect(stage.run().state).toBe(TASK_RUNNING);
    stage.handle(SIGUSR1, HANDLER);
    const { task } = stage.tracee;
    const blocked = (): number => stage.play.peek(task, TASK.blocked);
    for (const [sent, given, ran] of [
      [SIGUSR1, 0, 0],
      [SIGHUP, SIGUSR1, sigmask(SIGUSR1)],
    ] as const) {
      stage.send(sent);
      stage.run();
      expect(stage.wait()).toEqual(stage.stopped(sent));
      expect(stage.ptrace(PTRACE_CONT, given)).toBe(0);
      stage.run();
      expect(blocked(), `${sent} as ${given}`).toBe(ran);
    }
  });

  test("a signal that the tracer puts in place of another while it is blocked stays pending", () => {
    const stage = new Stage().attached();
    stage.play.poke(stage.tracee.task, TASK.blocked, sigmask(SIGTERM));
    expect(stage.ptrace(PTRACE_CONT, SIGTERM)).toBe(0);
    stage.run();
    expect(stage.play.pending(stage.tracee.task).own).toBe(sigmask(SIGTERM));
  });

  test("GETSIGINFO and SETSIGINFO: of the signal it is stopped with; -EINVAL in a stop that is none of ptrace's", () => {
    const stage = new Stage().attached();
    expect(stage.read(PTRACE_GETSIGINFO)).toBe(SIGSTOP);
    expect(stage.ptrace(PTRACE_SETSIGINFO, SIGINT)).toBe(0);
    expect(stage.read(PTRACE_GETSIGINFO)).toBe(SIGINT);
    const other = new Stage();
    other.send(SIGSTOP);
    other.run();
    other.ptrace(PTRACE_ATTACH);
    expect(other.ptrace(PTRACE_GETSIGINFO)).toBe(-EINVAL);
  });

  test("SYSCALL stops at both ends of a system call, with 0x80 under TRACESYSGOOD; CONT in between skips the second", () => {
    const stage = new Stage().attached();
    expect(stage.ptrace(PTRACE_SETOPTIONS, PTRACE_O_TRACESYSGOOD)).toBe(0);
    for (const second of [PTRACE_SYSCALL, PTRACE_CONT]) {
      expect(stage.ptrace(PTRACE_SYSCALL)).toBe(0);
      stage.run().tracee.begin(do_wait, 0, null);
      expect(stage.wait()).toEqual(stage.stopped(SIGTRAP | 0x80));
      expect(stage.tracee.gave).toBe(undefined);
      expect(stage.ptrace(second)).toBe(0);
      stage.tracee.goOn();
      if (second === PTRACE_CONT) break;
      expect(stage.wait()).toEqual(stage.stopped(SIGTRAP | 0x80));
      expect(stage.ptrace(PTRACE_CONT)).toBe(0);
      expect(stage.tracee.goOn().gave).toBe(-ECHILD);
      stage.send(SIGSTOP);
      stage.run();
      expect(stage.wait()).toEqual(stage.stopped(SIGSTOP));
    }
    expect(stage.tracee.gave).toBe(-ECHILD);
    expect(stage.play.tif(stage.tracee.task) & TIF_SYSCALL_TRACE).toBe(0);
  });

  test("a signal given at a system call's stop is sent to the tracee", () => {
    const stage = new Stage().attached();
    stage.ptrace(PTRACE_SYSCALL);
    stage.run().tracee.begin(do_wait, 0, null);
    stage.ptrace(PTRACE_CONT, SIGUSR1);
    stage.tracee.goOn();
    expect(stage.wait()).toEqual(stage.stopped(SIGUSR1));
  });

  test("SINGLESTEP traps after one instruction; the trap flag stays until another request takes it off", () => {
    const stage = new Stage().attached();
    expect(stage.ptrace(PTRACE_SINGLESTEP)).toBe(0);
    for (let i = 0; i < 2; i++) {
      stage.play.run("tracee", inUserMode).step("tracee");
      stage.run();
      expect(stage.wait()).toEqual(stage.stopped(SIGTRAP));
      expect(stage.play.tif(stage.tracee.task) & TIF_SINGLESTEP).not.toBe(0);
      expect(stage.ptrace(i === 0 ? PTRACE_SINGLESTEP : PTRACE_CONT)).toBe(0);
    }
    expect(stage.play.tif(stage.tracee.task) & TIF_SINGLESTEP).toBe(0);
    expect(stage.run().state).toBe(TASK_RUNNING);
  });

  test("a step into a handler stops once it is set up, and a step over a system call traps after it", () => {
    const stage = new Stage().attached();
    stage.handle(SIGUSR1, HANDLER);
    expect(stage.ptrace(PTRACE_SINGLESTEP, SIGUSR1)).toBe(0);
    stage.play.runsTo("tracee", within("user_loop"));
    expect(stage.wait()).toEqual(stage.stopped(SIGTRAP));
    expect(stage.play.peek(stage.tracee.task, TASK.blocked)).toBe(sigmask(SIGUSR1));
  });

  test("KILL makes the tracee die of SIGKILL", () => {
    const stage = new Stage().attached();
    expect(stage.ptrace(PTRACE_KILL)).toBe(0);
    stage.run();
    expect(stage.play.peek(stage.tracee.task, TASK.exit_state)).toBe(EXIT_ZOMBIE);
    expect(stage.wait()).toEqual([stage.traceePid, SIGKILL]);
  });

  test("DETACH gives the tracee back and lets it run, with a signal; it clears system call tracing and stepping", () => {
    const stage = new Stage().attached();
    stage.handle(SIGUSR1, HANDLER);
    expect(stage.ptrace(PTRACE_DETACH, SIGUSR1)).toBe(0);
    stage.run();
    const { task } = stage.tracee;
    expect(stage.play.peek(task, TASK.ptrace)).toBe(0);
    expect(stage.play.peek(task, TASK.parent)).toBe(stage.play.booted.init);
    expect(stage.play.peek(task, TASK.blocked)).toBe(sigmask(SIGUSR1));
    expect(stage.wait()?.[0]).toBe(-ECHILD);
  });
});

describe("options", () => {
  /** A tracee with these options, running again. */
  function following(options: number): Stage {
    const stage = new Stage().attached();
    expect(stage.ptrace(PTRACE_SETOPTIONS, options)).toBe(0);
    expect(stage.ptrace(PTRACE_CONT)).toBe(0);
    return stage.run();
  }
  const event = (number: number): number => (number << 8) | SIGTRAP;

  test.each([
    ["TRACEFORK", PTRACE_O_TRACEFORK, 0, PTRACE_EVENT_FORK],
    ["TRACECLONE", PTRACE_O_TRACECLONE, CLONE_THREAD, PTRACE_EVENT_CLONE],
    ["TRACEVFORK", PTRACE_O_TRACEVFORK, CLONE_VFORK, PTRACE_EVENT_VFORK],
  ] as const)(
    "%s: the creator stops, the child is traced too and begins with SIGSTOP",
    (_name, option, flags, number) => {
      const stage = following(option);
      stage.tracee.begin(do_fork, flags, "child", userLoop);
      expect(stage.wait()).toEqual(stage.stopped(event(number)));
      const child = stage.play.context("child");
      expect(stage.read(PTRACE_GETEVENTMSG)).toBe(child.pid);
      expect(stage.play.peek(child.task, TASK.parent)).toBe(stage.tracer.task);
      stage.play.run("child");
      expect(stage.wait()).toEqual([child.pid, (SIGSTOP << 8) | 0x7f]);
    },
  );

  test.each([
    ["a plain fork without the option", 0, 0],
    ["a thread under TRACEFORK", PTRACE_O_TRACEFORK, CLONE_THREAD],
    ["CLONE_UNTRACED", PTRACE_O_TRACEFORK, CLONE_UNTRACED],
  ] as const)("%s: neither event nor tracing", (_name, option, flags) => {
    const stage = following(option);
    stage.tracee.call(do_fork, flags, "child", userLoop);
    expect(stage.play.peek(stage.play.context("child").task, TASK.ptrace)).toBe(0);
    expect(stage.wait()).toBe(null);
  });

  test("CLONE_PTRACE: the child of a tracee is traced, without an event", () => {
    const stage = following(0);
    stage.tracee.call(do_fork, CLONE_PTRACE, "child", userLoop);
    expect(stage.play.peek(stage.play.context("child").task, TASK.parent)).toBe(stage.tracer.task);
    stage.play.run("child");
    expect(stage.wait()?.[1]).toBe((SIGSTOP << 8) | 0x7f);
  });

  test("TRACEVFORKDONE: when the child of a vfork has exec'ed", () => {
    const stage = following(PTRACE_O_TRACEVFORKDONE);
    const execs = named("execs", function* (): Generator<Request, void, unknown> {
      yield* user_mode(1000);
      yield* sys_execve();
      for (;;) yield* user_mode(1000);
    });
    stage.tracee.begin(do_fork, CLONE_VFORK, "child", execs);
    expect(stage.wait()).toBe(null);
    stage.play.run("child", within("sys_execve")).runsTo("child", inUserMode);
    stage.tracee.goOn();
    expect(stage.wait()).toEqual(stage.stopped(event(PTRACE_EVENT_VFORK_DONE)));
    expect(stage.read(PTRACE_GETEVENTMSG)).toBe(stage.play.context("child").pid);
  });

  test("TRACEEXEC: a stop after the exec; without it a SIGTRAP", () => {
    const stage = following(PTRACE_O_TRACEEXEC);
    stage.tracee.begin(sys_execve);
    expect(stage.wait()).toEqual(stage.stopped(event(PTRACE_EVENT_EXEC)));
    const plain = following(0);
    plain.tracee.begin(sys_execve);
    expect(plain.wait()).toEqual(plain.stopped(SIGTRAP));
  });

  test("TRACEEXIT: a stop before the death, with the exit code", () => {
    const stage = following(PTRACE_O_TRACEEXIT);
    stage.tracee.begin(do_group_exit, 7);
    expect(stage.wait()).toEqual(stage.stopped(event(PTRACE_EVENT_EXIT)));
    expect(stage.read(PTRACE_GETEVENTMSG)).toBe(7);
    expect(stage.ptrace(PTRACE_CONT)).toBe(0);
    stage.tracee.goOn();
    expect(stage.wait()).toEqual([stage.traceePid, 7]);
  });
});

describe("signals of a tracee", () => {
  test("one that would be ignored stops it all the same, and one that would kill its process at once does not", () => {
    const stage = new Stage().attached();
    stage.ptrace(PTRACE_CONT);
    stage.run();
    for (const sig of [SIGCHLD, SIGTERM]) {
      stage.send(sig);
      stage.run();
      expect(stage.wait()).toEqual(stage.stopped(sig));
      stage.ptrace(PTRACE_CONT);
      stage.run();
    }
    expect(stage.state).toBe(TASK_RUNNING);
  });

  test("SIGKILL needs no leave and ends a stop; SIGCONT waits", () => {
    const stage = new Stage().attached();
    stage.send(SIGCONT);
    expect(stage.run().state).toBe(TASK_TRACED);
    stage.send(SIGKILL);
    stage.run();
    expect(stage.wait()).toEqual([stage.traceePid, SIGKILL]);
  });

  test("a job control stop is told to the tracer, thread by thread", () => {
    const stage = new Stage();
    stage.tracee.call(do_fork, CLONE_THREAD, "thread", userLoop);
    stage.play.run("thread", inUserMode);
    stage.attached();
    stage.ptrace(PTRACE_CONT, SIGSTOP);
    stage.run();
    expect(stage.state).toBe(TASK_STOPPED);
    expect(stage.wait(), "the thread has not stopped yet").toEqual(stage.stopped(SIGSTOP));
    stage.play.run("thread");
    const signal = stage.play.peek(stage.tracee.task, TASK.signal);
    expect(stage.play.peek(signal, SIGNAL.group_stop_count)).toBe(0);
  });
});

describe("wait", () => {
  test("of the real parent does not see a tracee; when the tracer has seen it die the parent may", () => {
    const stage = new Stage();
    stage.tracee.call(
      do_fork,
      0,
      "child",
      named("child_main", function* () {
        yield* user_mode(1000);
        yield* do_group_exit(3);
      }),
    );
    const child = stage.play.context("child");
    const pid = stage.play.booted.getPid(child.task);
    expect(stage.tracer.call(sys_ptrace, PTRACE_ATTACH, pid)).toBe(0);
    stage.play.run("child");
    expect(stage.wait(0, stage.tracee)).toBe(null);
    expect(stage.wait()).toEqual([child.pid, (SIGSTOP << 8) | 0x7f]);
    expect(stage.tracer.call(sys_ptrace, PTRACE_CONT, pid)).toBe(0);
    stage.play.run("child");
    expect(stage.play.peek(child.task, TASK.exit_state)).toBe(EXIT_ZOMBIE);
    expect(stage.wait(0, stage.tracee)).toBe(null);
    expect(stage.wait()).toEqual([child.pid, 3]);
    expect(stage.play.peek(child.task, TASK.exit_state), "a zombie again").toBe(EXIT_ZOMBIE);
    expect(stage.wait(0, stage.tracee)).toEqual([child.pid, 3]);
  });

  test("with WUNTRACED a parent is told of a job control stop, with WCONTINUED of its end, each once", () => {
    const stage = new Stage();
    stage.tracee.call(do_fork, 0, "child", userLoop);
    const child = stage.play.context("child");
    stage.play.run("child", inUserMode);
    stage.send(SIGSTOP, child.task);
    stage.play.run("child");
    expect(stage.wait(0, stage.tracee)).toBe(null);
    expect(stage.wait(WUNTRACED, stage.tracee)).toEqual([child.pid, (SIGSTOP << 8) | 0x7f]);
    expect(stage.wait(WUNTRACED, stage.tracee)).toBe(null);
    expect(stage.wait(WCONTINUED, stage.tracee)).toBe(null);
    stage.send(SIGCONT, child.task);
    expect(stage.wait(WCONTINUED, stage.tracee)).toEqual([child.pid, 0xffff]);
    expect(stage.wait(WCONTINUED, stage.tracee)).toBe(null);
  });

  test("sleeps until a tracee stops", () => {
    const stage = new Stage();
    stage.ptrace(PTRACE_ATTACH);
    const status: WaitStatus = { value: 0 };
    stage.tracer.begin(do_wait, 0, status);
    expect(stage.play.peek(stage.tracer.task, TASK.state)).toBe(TASK_INTERRUPTIBLE);
    stage.run();
    expect(stage.tracer.goOn().gave).toBe(stage.traceePid);
    expect(status.value).toBe((SIGSTOP << 8) | 0x7f);
  });
});

describe("the end", () => {
  test("a traced thread that exits becomes a zombie for its tracer, where it would have reaped itself", () => {
    const stage = new Stage();
    stage.tracee.call(
      do_fork,
      CLONE_THREAD,
      "thread",
      named("thread_main", function* () {
        yield* user_mode(1000);
        yield* do_exit(5);
      }),
    );
    const { task, pid } = stage.play.context("thread");
    expect(stage.tracer.call(sys_ptrace, PTRACE_ATTACH, stage.play.booted.getPid(task))).toBe(0);
    stage.play.run("thread");
    expect(stage.wait()).toEqual([pid, (SIGSTOP << 8) | 0x7f]);
    expect(stage.tracer.call(sys_ptrace, PTRACE_CONT, stage.play.peek(task, TASK.thread_pid))).toBe(0);
    stage.play.run("thread");
    expect(stage.play.peek(task, TASK.exit_state)).toBe(EXIT_ZOMBIE);
    expect(stage.wait()).toEqual([pid, 5]);
  });

  test("of the tracer: its tracee runs on by itself, or stays in a job control stop", () => {
    for (const stop of [false, true]) {
      const stage = new Stage();
      if (stop) {
        stage.send(SIGSTOP);
        stage.run();
        stage.ptrace(PTRACE_ATTACH);
        stage.ptrace(PTRACE_SETOPTIONS);
      } else stage.attached();
      expect(stage.state).toBe(TASK_TRACED);
      stage.tracer.begin(do_group_exit, 0);
      expect(stage.play.peek(stage.tracee.task, TASK.ptrace)).toBe(0);
      expect(stage.run().state).toBe(stop ? TASK_STOPPED : TASK_RUNNING);
    }
  });

  test("of the tracer, with a zombie: its real parent is told now; one that would have reaped itself is released", () => {
    const stage = new Stage();
    stage.tracee.call(
      do_fork,
      CLONE_THREAD,
      "thread",
      named("thread_main", function* () {
        yield* user_mode(1000);
        yield* do_exit(5);
      }),
    );
    stage.handle(SIGCHLD, SIG_IGN);
    const { task } = stage.play.context("thread");
    stage.tracer.call(sys_ptrace, PTRACE_ATTACH, stage.play.booted.getPid(task));
    stage.play.run("thread");
    stage.tracer.call(sys_ptrace, PTRACE_CONT, stage.play.peek(task, TASK.thread_pid));
    stage.play.run("thread");
    stage.attached();
    stage.tracer.call(sys_ptrace, PTRACE_KILL, stage.pid);
    stage.run();
    expect(stage.play.peek(stage.tracee.task, TASK.exit_state)).toBe(EXIT_ZOMBIE);
    stage.tracer.begin(do_group_exit, 0);
    stage.play.run("init").rcu().run("init").rcu();
    expect(stage.play.findings()).toEqual([]);
    const live = stage.play.machine.slab.liveObjects().map(({ cache }) => cache);
    expect(live.filter((cache) => cache === "task_struct" || cache === "signal_struct")).toEqual([]);
  });
});
