/**
 * A debugger in the manner of the thread's attach/detach program, written against the utrace interface: attach, ask
 * for an interruption, perhaps wait for the stop, detach, and again.
 */

import { syscall, user_mode } from "../../model/linux/entry.ts";
import { EINPROGRESS, IS_ERR } from "../../model/linux/errno.ts";
import { get_pid_task, put_pid } from "../../model/linux/pid.ts";
import { __set_current_state, put_task_struct, TASK_INTERRUPTIBLE, TASK_RUNNING } from "../../model/linux/sched.ts";
import { kill_pid_info, SIGKILL } from "../../model/linux/signal.ts";
import { utrace_attach_task } from "../../model/utrace/attach.ts";
import { utrace_barrier, utrace_control, utrace_set_events } from "../../model/utrace/control.ts";
import { placeOps, type utrace_engine_ops, utrace_engine_put } from "../../model/utrace/engine.ts";
import {
  UTRACE_ATTACH_CREATE,
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_EVENT_SIGNAL_ALL,
  UTRACE_INTERRUPT,
  UTRACE_RESUME,
  UTRACE_SIGNAL_IGN,
  UTRACE_SIGNAL_REPORT,
  UTRACE_STOP,
  utrace_signal_action,
} from "../../model/utrace/events.ts";
import { ENGINE } from "../../model/utrace/structs.ts";
import {
  choose,
  current,
  forget,
  kernel,
  load,
  type Machine,
  mod_timer,
  type Ptr,
  READ_ONCE,
  schedule,
  store,
  synchronize_rcu,
  WRITE_ONCE,
  wake_up_state,
} from "../../sim/index.ts";
import type { Request } from "../../sim/op.ts";
import { ptr, struct, u32 } from "../../sim/struct.ts";

/** What an engine's callbacks and its tracer share; engine->data points to it. */
const tracer_data = struct("tracer", { stopped: u32, task: ptr });
/** Its fields. */
export const TRACER = tracer_data.fields;

/** The events such a debugger wants. */
export const TRACER_EVENTS = UTRACE_EVENT.QUIESCE | UTRACE_EVENT.EXEC | UTRACE_EVENT_SIGNAL_ALL;

/** Tells the tracer that the target is about to stop. */
export function* announce(engine: Ptr) {
  const data = yield* load(engine, ENGINE.data);
  yield* WRITE_ONCE(data, TRACER.stopped, 1);
  yield* wake_up_state(yield* load(data, TRACER.task), TASK_INTERRUPTIBLE);
}

const report_signal = kernel(function* tracer_report_signal(action: number, engine: Ptr) {
  const kind = utrace_signal_action(action);
  if (kind !== UTRACE_SIGNAL_REPORT) return kind | UTRACE_RESUME;
  yield* announce(engine);
  return UTRACE_SIGNAL_IGN | UTRACE_STOP;
});

const report_quiesce = kernel(function* tracer_report_quiesce(_action: number, engine: Ptr, _task: Ptr, event: number) {
  if (event !== 0) return UTRACE_RESUME;
  yield* announce(engine);
  return UTRACE_STOP;
});

const report_exec = kernel(function* tracer_report_exec(_action: number, _engine: Ptr, _task: Ptr) {
  return UTRACE_RESUME;
});

const report_death = kernel(function* tracer_report_death(
  engine: Ptr,
  _task: Ptr,
  _groupDead: boolean,
  _signal: number,
) {
  yield* announce(engine);
  return UTRACE_RESUME;
});

const report_reap = kernel(function* tracer_report_reap(engine: Ptr, _task: Ptr) {
  yield* announce(engine);
});

/** The callbacks: stop at every report that was asked for, let everything else pass. */
export const tracer_ops: utrace_engine_ops = {
  report_signal,
  report_quiesce,
  report_exec,
  report_death,
  report_reap,
};

const report_syscall_entry = kernel(function* tracer_report_syscall_entry(_action: number, engine: Ptr, _task: Ptr) {
  yield* announce(engine);
  return UTRACE_STOP;
});

/** The callbacks of a debugger that stops its target at every system call. */
export const syscall_tracer_ops: utrace_engine_ops = { ...tracer_ops, report_syscall_entry };

/** `wait4` for the stop, or for a tick or two. */
export const waitForStop = kernel(function* tracer_wait(data: Ptr) {
  yield* __set_current_state(TASK_INTERRUPTIBLE);
  if ((yield* READ_ONCE(data, TRACER.stopped)) !== 0) {
    yield* __set_current_state(TASK_RUNNING);
    return;
  }
  yield* mod_timer(2);
  yield* schedule();
  yield* mod_timer(0);
});

/** One round of a tracer on a target it holds a reference to. The engine is attached; its reference is dropped after. */
export type Round = (target: Ptr, engine: Ptr, data: Ptr) => Generator<Request, void, unknown>;

/** Detaches, and waits for a callback that may be running. */
export function* detach(target: Ptr, engine: Ptr): Generator<Request, void, unknown> {
  if ((yield* utrace_control(target, engine, UTRACE_DETACH)) === -EINPROGRESS) yield* utrace_barrier(target, engine);
}

/** Interrupts the target, waits for the stop or not, and detaches: what the thread's program does. */
export function* stopDetach(target: Ptr, engine: Ptr, data: Ptr): ReturnType<Round> {
  yield* utrace_set_events(target, engine, TRACER_EVENTS);
  yield* utrace_control(target, engine, UTRACE_INTERRUPT);
  if ((yield* choose(4)) !== 0) yield* waitForStop(data);
  yield* detach(target, engine);
}

/** Lets the target stop at its next system call, and detaches. */
export function* stopAtSyscallDetach(target: Ptr, engine: Ptr, data: Ptr): ReturnType<Round> {
  yield* utrace_set_events(target, engine, UTRACE_EVENT.QUIESCE | UTRACE_EVENT.SYSCALL_ENTRY);
  yield* waitForStop(data);
  yield* detach(target, engine);
}

const hasStopped = kernel(function* has_stopped(data: Ptr) {
  return (yield* READ_ONCE(data, TRACER.stopped)) !== 0;
});

/** `kill -9` of a tracer's target, about when it has stopped. Owns a reference to the pid. */
export const killAtStop = kernel(function* kill_at_stop(pid: Ptr, data: Ptr) {
  for (let looks = 0; looks < PATIENCE && !(yield* syscall(hasStopped, data)); looks++) yield* user_mode(20_000);
  for (let left = yield* choose(10); left > 0; left--) yield* user_mode(1_000);
  yield* syscall(kill_pid_info, SIGKILL, pid);
  yield* put_pid(pid);
});
/** Looks after which the killer waits no longer. */
const PATIENCE = 60;

/** As {@link stopDetach}, with no more choices than it takes: for worlds that are explored. */
export function* stopDetachEvenly(target: Ptr, engine: Ptr, data: Ptr): ReturnType<Round> {
  yield* utrace_set_events(target, engine, TRACER_EVENTS);
  yield* utrace_control(target, engine, UTRACE_INTERRUPT);
  if ((yield* choose(2)) !== 0) yield* waitForStop(data);
  yield* detach(target, engine);
}

/** Interrupts the target, waits for the stop, lets it run again, and detaches. */
export function* stopResumeDetach(target: Ptr, engine: Ptr, data: Ptr): ReturnType<Round> {
  yield* utrace_set_events(target, engine, TRACER_EVENTS);
  yield* utrace_control(target, engine, UTRACE_INTERRUPT);
  yield* waitForStop(data);
  yield* utrace_control(target, engine, UTRACE_RESUME);
  yield* detach(target, engine);
}

/** Wants to hear of death and reap, and detaches at some moment. */
export function* watchDeath(target: Ptr, engine: Ptr, data: Ptr): ReturnType<Round> {
  yield* utrace_set_events(target, engine, UTRACE_EVENT.DEATH | UTRACE_EVENT.REAP);
  if ((yield* choose(2)) !== 0) yield* waitForStop(data);
  yield* detach(target, engine);
}

/** Detaches without a look at the target. */
export function* justDetach(target: Ptr, engine: Ptr): ReturnType<Round> {
  yield* detach(target, engine);
}

const attachRound = kernel(function* tracer_round(pid: Ptr, ops: Ptr, data: Ptr, round: Round) {
  const target = yield* get_pid_task(pid);
  if (target === 0) return;
  yield* WRITE_ONCE(data, TRACER.stopped, 0);
  const engine = yield* utrace_attach_task(target, UTRACE_ATTACH_CREATE, ops, data);
  if (!IS_ERR(engine)) {
    yield* round(target, engine, data);
    yield* utrace_engine_put(engine);
  }
  yield* put_task_struct(target);
});

/** The tracer's main: `rounds` rounds on each of the targets in turn. Owns a reference to each pid. */
export const tracerMain = kernel(function* tracer(
  pids: readonly Ptr[],
  ops: Ptr,
  data: Ptr,
  rounds: number,
  round: Round,
) {
  yield* store(data, TRACER.task, current());
  for (let i = 0; i < rounds; i++) {
    for (const pid of pids) {
      yield* user_mode(20_000);
      yield* forget("round", i, pid);
      yield* syscall(attachRound, pid, ops, data, round);
    }
  }
  for (const pid of pids) yield* put_pid(pid);
});

const attachTo = kernel(function* tracer_attach(pid: Ptr, ops: Ptr, data: Ptr) {
  const target = yield* get_pid_task(pid);
  if (target === 0) return null;
  const engine = yield* utrace_attach_task(target, UTRACE_ATTACH_CREATE, ops, data);
  if (!IS_ERR(engine)) return { target, engine };
  yield* put_task_struct(target);
  return null;
});

const letGoOf = kernel(function* tracer_let_go(target: Ptr, engine: Ptr) {
  yield* detach(target, engine);
  yield* utrace_engine_put(engine);
  yield* put_task_struct(target);
});

const tracer_wait_for_rcu = kernel(function* tracer_wait_for_rcu() {
  yield* synchronize_rcu();
});

/** One round on the first target; then an engine on each of the others, all at the same time; last they are killed. */
export const tracerOfMany = kernel(function* tracer_of_many(
  pids: readonly [Ptr, ...Ptr[]],
  ops: Ptr,
  data: Ptr,
  round: Round,
) {
  const [first, ...others] = pids;
  yield* store(data, TRACER.task, current());
  yield* syscall(attachRound, first, ops, data, round);
  const held: { target: Ptr; engine: Ptr }[] = [];
  // What the round has left to RCU is free by the time the others want something of the same size.
  yield* syscall(tracer_wait_for_rcu);
  for (const pid of others) {
    yield* user_mode(20_000);
    const got = yield* syscall(attachTo, pid, ops, data);
    if (got !== null && got !== undefined) held.push(got);
  }
  for (const { target, engine } of held) yield* syscall(letGoOf, target, engine);
  for (const pid of others) yield* syscall(kill_pid_info, SIGKILL, pid);
  for (const pid of pids) yield* put_pid(pid);
});

/**
 * Kernel memory a tracer needs: its ops table, shared by all with the same ops, and its own data.
 */
export const tracerMemory = (machine: Machine, ops = tracer_ops): { ops: Ptr; data: Ptr } => ({
  ops: placeOps(machine, ops),
  data: machine.allocStaticStruct(tracer_data),
});
