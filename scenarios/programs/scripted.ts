/**
 * Tasks, tracers and senders of signals that do what a script says: programs as data, for who generates them.
 *
 * A script holds numbers and names only, so it can be written as JSON, read back, and shrunk.
 */
import type { BootedKernel } from "../../model/boot.ts";
import { syscall, user_mode } from "../../model/linux/entry.ts";
import { EINPROGRESS, IS_ERR } from "../../model/linux/errno.ts";
import { sys_execve } from "../../model/linux/exec.ts";
import { do_exit } from "../../model/linux/exit.ts";
import { CLONE_THREAD, do_fork } from "../../model/linux/fork.ts";
import { globals } from "../../model/linux/globals.ts";
import { get_pid_task, put_pid } from "../../model/linux/pid.ts";
import { put_task_struct, schedule_timeout_interruptible } from "../../model/linux/sched.ts";
import { actionOf, do_group_exit, kill_pid_info, SIGCONT, SIGKILL } from "../../model/linux/signal.ts";
import { k_sigaction, TASK } from "../../model/linux/structs.ts";
import { utrace_attach_task } from "../../model/utrace/attach.ts";
import { utrace_barrier, utrace_control, utrace_set_events } from "../../model/utrace/control.ts";
import { type CallbackName, placeOps, type utrace_engine_ops, utrace_engine_put } from "../../model/utrace/engine.ts";
import { UTRACE_DETACH, UTRACE_RESUME } from "../../model/utrace/events.ts";
import { ENGINE } from "../../model/utrace/structs.ts";
import { atomic_add_return, atomic_t, kernel, load, type Ptr, store } from "../../sim/index.ts";
import type { Request } from "../../sim/op.ts";
import { current } from "../../sim/primitives.ts";
import { struct } from "../../sim/struct.ts";
import { populateMergedCache, spinner } from "./target.ts";

/** Callbacks that answer: all but report_reap. */
export const ANSWERS = [
  "report_quiesce",
  "report_signal",
  "report_clone",
  "report_jctl",
  "report_exec",
  "report_syscall_entry",
  "report_syscall_exit",
  "report_exit",
  "report_death",
] as const satisfies readonly CallbackName[];

/** What the callbacks of an engine return: a resume action, with a signal or system call action where there is one. */
export interface EngineScript {
  readonly answers: Readonly<Partial<Record<(typeof ANSWERS)[number], number>>>;
  /** A call that a callback makes on its own engine. */
  readonly inside: { readonly callback: (typeof ANSWERS)[number]; readonly call: OwnCall } | null;
}

/** A call on an engine that is at hand. */
export type OwnCall =
  | { readonly do: "control"; readonly action: number }
  | { readonly do: "events"; readonly mask: number }
  | { readonly do: "barrier" };

/** What a traced task does, one thing after the other; then it exits. */
export type TargetStep =
  | { readonly do: "user" | "exec" | "fork" | "thread" | "exit thread" }
  | { readonly do: "handle" | "ignore"; readonly signal: number };

/** What a tracer does. It has two slots, each for an engine and the target that it was attached to. */
export type TracerStep =
  | { readonly do: "user" }
  | {
      readonly do: "attach";
      readonly slot: number;
      readonly target: number;
      readonly engine: number;
      readonly flags: number;
    }
  | (OwnCall & { readonly slot: number })
  | { readonly do: "put"; readonly slot: number };

/** A whole program. */
export interface Script {
  readonly engines: readonly EngineScript[];
  readonly targets: readonly (readonly TargetStep[])[];
  readonly tracers: readonly (readonly TracerStep[])[];
  /** Signals, by sender; each names a target. */
  readonly senders: readonly (readonly { readonly signal: number; readonly target: number }[])[];
  /** Tracers leave their engines attached when they end, as a module would that is never unloaded; SIGKILL follows. */
  readonly leaves: boolean;
  /** Others use the same slab cache, and keep the CPUs busy. */
  readonly crowded: boolean;
}

/** How far an engine script is known to kernel code: engine->data is the address of the script. */
function* scriptOf(engine: Ptr) {
  return globals().objectOf(yield* load(engine, ENGINE.data)) as EngineScript;
}

function* ownCall(target: Ptr, engine: Ptr, call: OwnCall): Generator<Request, void, unknown> {
  if (call.do === "control") yield* utrace_control(target, engine, call.action);
  else if (call.do === "events") yield* utrace_set_events(target, engine, call.mask);
  else yield* utrace_barrier(target, engine);
}

function* answer(name: (typeof ANSWERS)[number], engine: Ptr, task: Ptr) {
  const { answers, inside } = yield* scriptOf(engine);
  if (inside?.callback === name) yield* ownCall(task, engine, inside.call);
  return answers[name] ?? UTRACE_RESUME;
}

/** The callbacks of every scripted engine. Two tables hold them, so that a match by ops can tell engines apart. */
export const scripted_ops: utrace_engine_ops = {
  report_quiesce: kernel(function* scripted_quiesce(_action: number, engine: Ptr, task: Ptr, _event: number) {
    return yield* answer("report_quiesce", engine, task);
  }),
  report_signal: kernel(function* scripted_signal(_action: number, engine: Ptr, task: Ptr) {
    return yield* answer("report_signal", engine, task);
  }),
  report_clone: kernel(function* scripted_clone(_action: number, engine: Ptr, parent: Ptr) {
    return yield* answer("report_clone", engine, parent);
  }),
  report_jctl: kernel(function* scripted_jctl(_action: number, engine: Ptr, task: Ptr) {
    return yield* answer("report_jctl", engine, task);
  }),
  report_exec: kernel(function* scripted_exec(_action: number, engine: Ptr, task: Ptr) {
    return yield* answer("report_exec", engine, task);
  }),
  report_syscall_entry: kernel(function* scripted_syscall_entry(_action: number, engine: Ptr, task: Ptr) {
    return yield* answer("report_syscall_entry", engine, task);
  }),
  report_syscall_exit: kernel(function* scripted_syscall_exit(_action: number, engine: Ptr, task: Ptr) {
    return yield* answer("report_syscall_exit", engine, task);
  }),
  report_exit: kernel(function* scripted_exit(_action: number, engine: Ptr, task: Ptr) {
    return yield* answer("report_exit", engine, task);
  }),
  report_death: kernel(function* scripted_death(engine: Ptr, task: Ptr) {
    return yield* answer("report_death", engine, task);
  }),
  report_reap: kernel(function* scripted_reap(engine: Ptr, _task: Ptr) {
    yield* scriptOf(engine);
  }),
};

/** Exits. An engine may abort the system call; then a program has nothing left to do but to die of itself. */
function* leave() {
  yield* syscall(do_group_exit, 0);
  yield* do_group_exit(0);
}

const childLife = kernel(function* scripted_child() {
  yield* user_mode(20_000);
  yield* leave();
});
const threadLife = kernel(function* scripted_thread() {
  yield* user_mode(20_000);
  yield* syscall(do_exit, 0);
  yield* leave();
});
const set_handler = kernel(function* sys_rt_sigaction(signal: number, handler: number) {
  const sighand = yield* load(current(), TASK.sighand);
  yield* store(actionOf(sighand, signal), k_sigaction.fields.sa_handler, handler);
});
/** `SIG_IGN`, and the address of a handler. */
const IGNORE = 1;
const HANDLER = 0x400000;

/** A while in user mode, in which others get on. */
function* work(times: number) {
  for (let time = 0; time < times; time++) yield* user_mode(2_000);
}

const targetLife = kernel(function* scripted_target(steps: readonly TargetStep[]) {
  // Long enough for an attach, so that most programs have somebody to trace.
  yield* work(60);
  for (const step of steps) {
    yield* work(10);
    if (step.do === "exec") yield* syscall(sys_execve);
    else if (step.do === "fork") yield* syscall(do_fork, 0, "child", childLife);
    else if (step.do === "thread") yield* syscall(do_fork, CLONE_THREAD, "thread", threadLife);
    else if (step.do === "exit thread") yield* syscall(do_exit, 0);
    else if (step.do === "handle") yield* syscall(set_handler, step.signal, HANDLER);
    else if (step.do === "ignore") yield* syscall(set_handler, step.signal, IGNORE);
  }
  yield* user_mode(20_000);
  yield* leave();
});

/** What a tracer needs besides its script: pids with a reference each, ops tables, and addresses of engine scripts. */
interface Tools {
  readonly pids: readonly Ptr[];
  readonly ops: readonly Ptr[];
  readonly data: readonly Ptr[];
}
interface Slot {
  target: Ptr;
  engine: Ptr;
}

function* letGo(slot: Slot, leaves: boolean) {
  if (slot.engine !== 0) {
    if (!leaves && (yield* utrace_control(slot.target, slot.engine, UTRACE_DETACH)) === -EINPROGRESS) {
      yield* utrace_barrier(slot.target, slot.engine);
    }
    yield* utrace_engine_put(slot.engine);
  }
  if (slot.target !== 0) yield* put_task_struct(slot.target);
  slot.engine = 0;
  slot.target = 0;
}

const tracerStep = kernel(function* scripted_tracer_call(step: TracerStep, slot: Slot, { pids, ops, data }: Tools) {
  if (step.do === "attach") {
    yield* letGo(slot, false);
    const target = yield* get_pid_task(pids[step.target % pids.length] as Ptr);
    if (target === 0) return;
    slot.target = target;
    const which = step.engine % data.length;
    const engine = yield* utrace_attach_task(target, step.flags, ops[which % ops.length] as Ptr, data[which] as Ptr);
    if (IS_ERR(engine)) yield* letGo(slot, false);
    else slot.engine = engine;
  } else if (step.do === "put") yield* letGo(slot, false);
  else if (step.do !== "user" && slot.engine !== 0) yield* ownCall(slot.target, slot.engine, step);
});

const lastDeed = kernel(function* scripted_tracer_end(slots: readonly Slot[], leaves: boolean) {
  for (const slot of slots) yield* letGo(slot, leaves);
});

const tracerLife = kernel(function* scripted_tracer(steps: readonly TracerStep[], tools: Tools, leaves: boolean) {
  const slots: readonly Slot[] = [
    { target: 0, engine: 0 },
    { target: 0, engine: 0 },
  ];
  for (const step of steps) {
    yield* work(12);
    const slot = slots["slot" in step ? step.slot & 1 : 0] as Slot;
    if (step.do !== "user") yield* syscall(tracerStep, step, slot, tools);
  }
  yield* work(50);
  yield* syscall(lastDeed, slots, leaves);
  for (const pid of tools.pids) yield* put_pid(pid);
});

const senderLife = kernel(function* scripted_sender(
  signals: Script["senders"][number],
  pids: readonly Ptr[],
  closing: Ptr,
) {
  for (const { signal, target } of signals) {
    yield* user_mode(10_000);
    yield* syscall(kill_pid_info, signal, pids[target % pids.length] as Ptr);
  }
  yield* atomic_add_return(closing, CLOSING.senders.counter, -1);
  for (const pid of pids) yield* put_pid(pid);
});

const closing_data = struct("closing", { senders: atomic_t });
const CLOSING = closing_data.fields;

/** Whether a pid still names a task. */
function* isThere(pid: Ptr) {
  const task = yield* get_pid_task(pid);
  if (task === 0) return false;
  yield* put_task_struct(task);
  return true;
}
const tick = kernel(function* scripted_tick() {
  yield* schedule_timeout_interruptible(1);
});

/**
 * Sends a SIGCONT when all others are done with signals, and another now and then, as an engine may stop its task for
 * job control too. Where tracers leave their engines, nothing but SIGKILL may end a stop: that follows.
 */
const closer = kernel(function* scripted_closer(pids: readonly Ptr[], closing: Ptr, kills: boolean) {
  for (let round = 0; round < ROUNDS; round++) {
    yield* syscall(tick);
    const sending = (yield* load(closing, CLOSING.senders.counter)) > 0;
    if (sending && round < PATIENCE) continue;
    let left = false;
    for (const pid of pids) {
      if (!(yield* isThere(pid))) continue;
      left = true;
      if (round % PATIENCE === 0) yield* syscall(kill_pid_info, SIGCONT, pid);
      if (kills && round >= PATIENCE) yield* syscall(kill_pid_info, SIGKILL, pid);
    }
    if (!left) break;
  }
  for (const pid of pids) yield* put_pid(pid);
});
const ROUNDS = 60;
const PATIENCE = 12;

/** Fills a booted kernel with the tasks of a script. */
export function populateFromScript(booted: BootedKernel, script: Script): void {
  const { machine } = booted;
  if (script.targets.length === 0) return;
  const targets = script.targets.map((steps, at) =>
    booted.process({ comm: `target${at}`, pid: 300 + at, subject: true }, targetLife, steps),
  );
  const pids = (): Ptr[] => targets.map((target) => booted.getPid(target));
  const ops = [placeOps(machine, scripted_ops), placeOps(machine, { ...scripted_ops })];
  const closing = machine.allocStaticStruct(closing_data);
  machine.poke(closing, CLOSING.senders.counter, script.senders.length);
  const data = script.engines.map((engine) => machine.addressOf(engine, 16));
  for (const [at, steps] of script.tracers.entries()) {
    if (data.length === 0) break;
    booted.process(
      { comm: `tracer${at}`, pid: 400 + at },
      tracerLife,
      steps,
      { pids: pids(), ops, data },
      script.leaves,
    );
  }
  for (const [at, signals] of script.senders.entries()) {
    booted.process({ comm: `sender${at}`, pid: 500 + at }, senderLife, signals, pids(), closing);
  }
  booted.process({ comm: "closer", pid: 600 }, closer, pids(), closing, script.leaves);
  if (!script.crowded) return;
  populateMergedCache(booted);
  booted.process({ comm: "spinner", pid: 700 }, spinner, 2);
}
