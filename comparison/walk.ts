/**
 * One walk through the life of a traced task, and of untraced ones, with nobody else about: what the paths cost.
 *
 * A prober attaches, is reported to, stops, detaches and reaps, on one CPU and without a preemption, so nothing is
 * contended and no loop goes round twice. Every path is entered through a kernel function of its own (`probe_...`), so
 * that the history can be cut by who was on the call stack. Nothing here knows a lifetime.
 */
import type { BootedKernel } from "../model/boot.ts";
import { syscall } from "../model/linux/entry.ts";
import { EINPROGRESS, IS_ERR } from "../model/linux/errno.ts";
import { do_fork } from "../model/linux/fork.ts";
import { tasklist } from "../model/linux/globals.ts";
import { EXIT_DEAD } from "../model/linux/sched.ts";
import { do_group_exit } from "../model/linux/signal.ts";
import { TASK } from "../model/linux/structs.ts";
import {
  tracehook_finish_clone,
  tracehook_finish_release_task,
  tracehook_notify_death,
  tracehook_prepare_release_task,
  tracehook_report_clone,
  tracehook_report_death,
  tracehook_report_exec,
  tracehook_report_exit,
} from "../model/linux/tracehook.ts";
import { utrace_attach_task } from "../model/utrace/attach.ts";
import { utrace_control, utrace_set_events } from "../model/utrace/control.ts";
import { placeOps, type utrace_engine_ops, utrace_engine_put } from "../model/utrace/engine.ts";
import {
  UTRACE_ATTACH_CREATE,
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_RESUME,
  UTRACE_STOP,
} from "../model/utrace/events.ts";
import type { Parameters } from "../scenarios/scenario.ts";
import { world } from "../scenarios/world.ts";
import {
  BUG_ON,
  current,
  execute,
  kernel,
  type Machine,
  type Program,
  type Ptr,
  type RunResult,
  store,
  sys_sched_yield,
  write_lock_irq,
  write_unlock_irq,
} from "../sim/index.ts";
import { SequentialStrategy } from "../sim/strategies/sequential.ts";

/** A path that is measured: what it is, and the probes that enter it. */
export interface WalkedPath {
  readonly name: string;
  /** What is counted, in a sentence. */
  readonly what: string;
  /** Kernel functions that are on the call stack exactly while it runs. */
  readonly probes: readonly string[];
}

const probe_hook_exec = kernel(function* probe_hook_exec() {
  yield* tracehook_report_exec();
});
const probe_hook_clone = kernel(function* probe_hook_clone(child: Ptr) {
  yield* tracehook_finish_clone(child, 0, 0);
  yield* tracehook_report_clone(0, child, 0);
});
const probe_hook_exit = kernel(function* probe_hook_exit() {
  yield* tracehook_report_exit(0);
  const { signal, deathCookie } = yield* tracehook_notify_death(current());
  yield* tracehook_report_death(current(), signal, deathCookie, true);
});
const probe_hook_reap = kernel(function* probe_hook_reap(task: Ptr) {
  yield* tracehook_prepare_release_task(task);
  yield* tracehook_finish_release_task(task);
});
const probe_attach_first = kernel(function* probe_attach_first(task: Ptr, ops: Ptr) {
  return yield* utrace_attach_task(task, UTRACE_ATTACH_CREATE, ops, 0);
});
const probe_attach_next = kernel(function* probe_attach_next(task: Ptr, ops: Ptr) {
  return yield* utrace_attach_task(task, UTRACE_ATTACH_CREATE, ops, 0);
});
const probe_report = kernel(function* probe_report() {
  yield* tracehook_report_exec();
});
const probe_control_stop = kernel(function* probe_control_stop(task: Ptr, engine: Ptr) {
  return yield* utrace_control(task, engine, UTRACE_STOP);
});
const probe_detach_next = kernel(function* probe_detach_next(task: Ptr, engine: Ptr) {
  const error = yield* utrace_control(task, engine, UTRACE_DETACH);
  yield* utrace_engine_put(engine);
  return error;
});
const probe_detach_last = kernel(function* probe_detach_last(task: Ptr, engine: Ptr) {
  const error = yield* utrace_control(task, engine, UTRACE_DETACH);
  yield* utrace_engine_put(engine);
  return error;
});
const probe_reap = kernel(function* probe_reap(task: Ptr) {
  yield* tracehook_prepare_release_task(task);
  // DEPARTS: release_task holds tasklist_lock around the second hook; it would be counted as the hook's.
  yield* tracehook_finish_release_task(task);
});

/** The paths, in the order in which they are shown. */
export const PATHS: readonly WalkedPath[] = [
  {
    name: "untraced, one event",
    what: "what a task that was never traced pays at each event: the test of its flags (here at an exec)",
    probes: ["probe_hook_exec"],
  },
  {
    name: "untraced, fork to reap",
    what: "all hooks of a task's life outside system calls and signals: clone, exec, exit, death, reap",
    probes: ["probe_hook_clone", "probe_hook_exec", "probe_hook_exit", "probe_hook_reap"],
  },
  { name: "attach, first", what: "utrace_attach_task on an untraced task", probes: ["probe_attach_first"] },
  { name: "attach, second", what: "utrace_attach_task on a traced task", probes: ["probe_attach_next"] },
  {
    name: "event report",
    what: "an exec reported to one engine, whose callback does nothing",
    probes: ["probe_report"],
  },
  {
    name: "detach, not the last",
    what: "utrace_control(DETACH) of a stopped task that another engine keeps stopped, and the last reference",
    probes: ["probe_detach_next"],
  },
  {
    name: "detach, the last",
    what: "utrace_control(DETACH) of a stopped task, which wakes it, and the last reference to the engine",
    probes: ["probe_detach_last"],
  },
  { name: "reap", what: "the hooks of release_task, with one engine attached that is told", probes: ["probe_reap"] },
];

const report_exec = kernel(function* probe_report_exec(_action: number, _engine: Ptr, _task: Ptr) {
  return UTRACE_RESUME;
});
const report_reap = kernel(function* probe_report_reap(_engine: Ptr, _task: Ptr) {});
const OPS: utrace_engine_ops = { report_exec, report_reap };

const nothing_to_do = kernel(function* probe_nothing() {});

/** What is traced: at each turn, one path, in lockstep with {@link prober}. */
const target = kernel(function* probe_target() {
  yield* probe_hook_exec();
  yield* sys_sched_yield();
  yield* probe_report();
  yield* sys_sched_yield();
  // Takes the second engine in.
  yield* tracehook_report_exec();
  yield* sys_sched_yield();
  // On the way back to user mode it stops, and goes on after the last detach.
  yield* syscall(nothing_to_do);
  yield* syscall(do_group_exit, 0);
});

const shortLived = kernel(function* probe_child() {
  yield* probe_hook_exit();
  yield* syscall(do_group_exit, 0);
});

/** An engine that was attached; the walk ends where one was not. */
function* attached(engine: Ptr) {
  yield* BUG_ON(IS_ERR(engine), "IS_ERR(engine)", "comparison/walk.ts");
  return engine;
}

/** A call that succeeded. */
function* done(error: number) {
  yield* BUG_ON(error !== 0, "error", "comparison/walk.ts");
}

/** A child of the prober that has died and is about to be reaped. */
const zombie = kernel(function* probe_zombie(ops: Ptr) {
  const child = yield* do_fork(0, "child", shortLived);
  if (ops === 0) yield* probe_hook_clone(child);
  else {
    const engine = yield* attached(yield* utrace_attach_task(child, UTRACE_ATTACH_CREATE, ops, 0));
    yield* done(yield* utrace_set_events(child, engine, UTRACE_EVENT.REAP));
    yield* utrace_engine_put(engine);
  }
  yield* sys_sched_yield();
  yield* write_lock_irq(...tasklist());
  yield* store(child, TASK.exit_state, EXIT_DEAD);
  yield* write_unlock_irq(...tasklist());
  return child;
});

const prober = kernel(function* prober(task: Ptr, ops: Ptr) {
  const first = yield* attached(yield* probe_attach_first(task, ops));
  yield* done(yield* utrace_set_events(task, first, UTRACE_EVENT.EXEC));
  yield* sys_sched_yield();
  const second = yield* attached(yield* probe_attach_next(task, ops));
  yield* sys_sched_yield();
  // Not stopped yet, it says.
  yield* done((yield* probe_control_stop(task, first)) + EINPROGRESS);
  yield* sys_sched_yield();
  yield* done(yield* probe_detach_next(task, second));
  yield* done(yield* probe_detach_last(task, first));
  yield* sys_sched_yield();
  yield* probe_hook_reap(yield* zombie(0));
  yield* probe_reap(yield* zombie(ops));
});

/** The program of the walk. */
export const walkProgram = (parameters: Parameters): Program =>
  world("walk", { ...parameters, cpus: 1, checks: [] }, (booted: BootedKernel) => {
    const task = booted.process({ comm: "target", pid: 5118, subject: true }, target);
    booted.process({ comm: "prober", pid: 5377 }, prober, task, placeOps(booted.machine, OPS));
  });

/** A walk that was taken. */
export interface Walk {
  readonly run: RunResult;
  /** For the sizes of objects and the addresses of stacks. */
  readonly machine: Machine;
}

/**
 * Takes the walk.
 *
 * @throws if it did not get to its end: then a path does something else than is measured here.
 */
export function takeWalk(parameters: Parameters): Walk {
  const program = walkProgram(parameters);
  let machine: Machine | undefined;
  const setup = (made: Machine): void => {
    machine = made;
    program.setup(made);
  };
  const run = execute({ ...program, setup }, new SequentialStrategy(), { record: true });
  const walked = new Set(run.history.flatMap((row) => row.backtrace));
  const missing = PATHS.flatMap((path) => path.probes).find((probe) => !walked.has(probe));
  if (missing !== undefined || run.cutOff || run.findings.length > 0) {
    throw new Error(`[sim bug] the walk under ${parameters.lifetime} did not come to its end: ${missing ?? "cut off"}`);
  }
  return { run, machine: machine as Machine };
}
