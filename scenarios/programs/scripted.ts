/** Tasks, tracers and senders of signals that do what a script says. */
import type { BootedKernel } from "../../model/boot.ts";
import { syscall, user_mode } from "../../model/linux/entry.ts";
import { EINPROGRESS, IS_ERR } from "../../model/linux/errno.ts";
import { sys_execve } from "../../model/linux/exec.ts";
import { do_exit } from "../../model/linux/exit.ts";
import { CLONE_THREAD, do_fork } from "../../model/linux/fork.ts";
import { globals } from "../../model/linux/globals.ts";
import { get_pid_task, put_pid } from "../../model/linux/pid.ts";
import {
  __set_current_state,
  __TASK_STOPPED,
  __TASK_TRACED,
  put_task_struct,
  schedule_timeout_interruptible,
  TASK_DEAD,
  TASK_INTERRUPTIBLE,
  TASK_RUNNING,
} from "../../model/linux/sched.ts";
import {
  actionOf,
  do_group_exit,
  kill_pid_info,
  SIGCONT,
  SIGKILL,
  SIGSTOP,
  SIGTSTP,
} from "../../model/linux/signal.ts";
import { k_sigaction, TASK } from "../../model/linux/structs.ts";
import { utrace_attach_task } from "../../model/utrace/attach.ts";
import { utrace_barrier, utrace_control, utrace_set_events } from "../../model/utrace/control.ts";
import { placeOps, type utrace_engine_ops, utrace_engine_put } from "../../model/utrace/engine.ts";
import {
  UTRACE_ATTACH_CREATE,
  UTRACE_DETACH,
  UTRACE_RESUME,
  UTRACE_SIGNAL_STOP,
  UTRACE_SIGNAL_TSTP,
  utrace_signal_action,
} from "../../model/utrace/events.ts";
import { type utrace_examiner, utrace_finish_examine, utrace_prepare_examine } from "../../model/utrace/examine.ts";
import { ENGINE } from "../../model/utrace/structs.ts";
import {
  atomic_add_return,
  atomic_t,
  kernel,
  load,
  type Ptr,
  READ_ONCE,
  schedule,
  smp_mb,
  store,
  wake_up_state,
} from "../../sim/index.ts";
import type { Request } from "../../sim/op.ts";
import { current } from "../../sim/primitives.ts";
import { int, struct } from "../../sim/struct.ts";
import type { ANSWERS, EngineScript, Nap, OwnCall, Script, SenderStep, TargetStep, TracerStep } from "./script.ts";
import { populateLastObject, spinner } from "./target.ts";

/** What engine->data points to. */
interface EngineData {
  readonly script: EngineScript;
  /** Ops of the engines that it attaches to children. */
  readonly followers: Ptr;
}

const engine_data = struct("engine_data", {
  /** Callbacks made so far. */
  told: int,
});

function* dataOf(engine: Ptr) {
  return globals().objectOf(yield* load(engine, ENGINE.data)) as EngineData;
}

const nap = kernel(function* scripted_nap() {
  yield* schedule_timeout_interruptible(1);
});

function* ownCall(target: Ptr, engine: Ptr, call: OwnCall): Generator<Request, void, unknown> {
  if (call.do === "control") yield* utrace_control(target, engine, call.action);
  else if (call.do === "events") yield* utrace_set_events(target, engine, call.mask);
  else if (call.do === "barrier") yield* utrace_barrier(target, engine);
  else {
    const exam: utrace_examiner = { state: 0, ncsw: 0 };
    if ((yield* utrace_prepare_examine(target, engine, exam)) === 0) yield* utrace_finish_examine(target, engine, exam);
  }
}

/** What a callback does. After some of them an engine only resumes, as else one report could ask for the next for ever. */
function* answer(name: (typeof ANSWERS)[number], engine: Ptr, task: Ptr) {
  const data = yield* load(engine, ENGINE.data);
  const { answers, inside } = (globals().objectOf(data) as EngineData).script;
  // Not atomic, as that would be a full barrier in every callback: two tasks at once may count as one.
  const told = yield* load(data, engine_data.fields.told);
  yield* store(data, engine_data.fields.told, told + 1);
  if (told >= TALKS) return UTRACE_RESUME;
  if (inside?.callback === name) {
    if (inside.call.do === "nap") yield* nap();
    else if (inside.call.do === "look") for (let at = 0; at < LOOKS; at++) yield* load(task, TASK.pid);
    else yield* ownCall(task, engine, inside.call);
  }
  return answers[name] ?? UTRACE_RESUME;
}

const TALKS = 4;
const LOOKS = 16;

function* follow(engine: Ptr, child: Ptr) {
  const { script, followers } = yield* dataOf(engine);
  if (script.follows === 0) return;
  const follower = yield* utrace_attach_task(child, UTRACE_ATTACH_CREATE, followers, 0);
  if (IS_ERR(follower)) return;
  yield* utrace_set_events(child, follower, script.follows);
  yield* utrace_engine_put(follower);
}

/** The callbacks of every scripted engine. Two tables hold them, so that a match by ops can tell engines apart. */
export const scripted_ops: utrace_engine_ops = {
  report_quiesce: kernel(function* scripted_quiesce(_action: number, engine: Ptr, task: Ptr, _event: number) {
    return yield* answer("report_quiesce", engine, task);
  }),
  report_signal: kernel(function* scripted_signal(_action: number, engine: Ptr, task: Ptr) {
    return yield* answer("report_signal", engine, task);
  }),
  report_clone: kernel(function* scripted_clone(
    _action: number,
    engine: Ptr,
    parent: Ptr,
    _cloneFlags: number,
    child: Ptr,
  ) {
    yield* follow(engine, child);
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
    yield* dataOf(engine);
  }),
};

const follower = kernel(function* scripted_follower() {
  yield* load(current(), TASK.pid);
  return UTRACE_RESUME;
});
/** The callbacks of an engine on a child: whatever it is told, the child goes on. */
export const follower_ops: utrace_engine_ops = {
  report_quiesce: follower,
  report_signal: follower,
  report_clone: follower,
  report_jctl: follower,
  report_exec: follower,
  report_syscall_entry: follower,
  report_syscall_exit: follower,
  report_exit: follower,
  report_death: follower,
  report_reap: kernel(function* scripted_follower_reap() {
    yield* load(current(), TASK.pid);
  }),
};

/** Exits. An engine may abort the system call; then a program has nothing left to do but to die of itself. */
function* leave() {
  yield* syscall(do_group_exit, 0);
  yield* do_group_exit(0);
}

const childLife = kernel(function* scripted_child() {
  yield* work();
  yield* leave();
});
const threadLife = kernel(function* scripted_thread() {
  yield* work();
  yield* syscall(do_exit, 0);
  yield* leave();
});
const set_handler = kernel(function* sys_rt_sigaction(signal: number, handler: number) {
  const sighand = yield* load(current(), TASK.sighand);
  yield* store(actionOf(sighand, signal), k_sigaction.fields.sa_handler, handler);
});
const sys_getpid = kernel(function* scripted_getpid() {
  yield* load(current(), TASK.pid);
});
/** `SIG_IGN`, and the address of a handler. */
const IGNORE = 1;
const HANDLER = 0x400000;

/** Some instructions in user mode. */
const work = () => user_mode(2_000);

/** What all tasks of a script know. */
const yard_struct = struct("yard", {
  /** Tracers that have not made their first attaches. */
  newcomers: atomic_t,
  /** Tracers and senders that are not done. */
  actors: atomic_t,
});
const YARD = yard_struct.fields;

/** Sleeps until {@link openYard}, or a signal. */
const sys_await_tracers = kernel(function* scripted_await_tracers(yard: Ptr) {
  yield* __set_current_state(TASK_INTERRUPTIBLE);
  yield* smp_mb();
  if ((yield* load(yard, YARD.newcomers.counter)) > 0) yield* schedule();
  else yield* __set_current_state(TASK_RUNNING);
});

const targetLife = kernel(function* scripted_target(steps: readonly TargetStep[], waits: boolean, yard: Ptr) {
  if (waits) yield* syscall(sys_await_tracers, yard);
  // Else as long as an attach or two take.
  else for (let time = 0; time < 40; time++) yield* work();
  for (const step of steps) {
    yield* work();
    if (step.do === "exec") yield* syscall(sys_execve);
    else if (step.do === "call") yield* syscall(sys_getpid);
    else if (step.do === "fork") yield* syscall(do_fork, 0, "child", childLife);
    else if (step.do === "thread") yield* syscall(do_fork, CLONE_THREAD, "thread", threadLife);
    else if (step.do === "exit thread") yield* syscall(do_exit, 0);
    else if (step.do === "handle") yield* syscall(set_handler, step.signal, HANDLER);
    else if (step.do === "ignore") yield* syscall(set_handler, step.signal, IGNORE);
  }
  yield* work();
  yield* leave();
});

/** What tracers and senders need besides their script. */
interface Tools {
  readonly yard: Ptr;
  /** Of the targets, with a reference each. */
  readonly pids: readonly Ptr[];
  readonly waits: boolean;
  /** What the last one to be done does to targets that are still there. */
  readonly last: { readonly continues: boolean; readonly kills: boolean };
}
/** ... and tracers besides: ops tables, an EngineData for each script of an engine, and the pids of who waits for them. */
interface TracerTools extends Tools {
  readonly sleepers: readonly Ptr[];
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

/** Sleeps until a target has stopped or died, for so many ticks at most. */
function* awaitStop(target: Ptr) {
  if (target === 0) return;
  for (let tick = 0; tick < TICKS; tick++) {
    if (((yield* READ_ONCE(target, TASK.state)) & (__TASK_STOPPED | __TASK_TRACED | TASK_DEAD)) !== 0) break;
    yield* nap();
  }
}
const TICKS = 10;

const tracerStep = kernel(function* scripted_tracer_call(
  step: Exclude<TracerStep, { do: "user" } | Nap>,
  slot: Slot,
  { pids, ops, data }: TracerTools,
) {
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
  else if (step.do === "await") yield* awaitStop(slot.target);
  else if (slot.engine !== 0) yield* ownCall(slot.target, slot.engine, step);
});

/** The last tracer to have made its first attaches wakes all who wait for that. */
const openYard = kernel(function* scripted_open({ yard, sleepers, waits }: TracerTools) {
  const others = yield* atomic_add_return(yard, YARD.newcomers.counter, -1);
  for (const pid of sleepers) {
    if (waits && others === 0) {
      const sleeper = yield* get_pid_task(pid);
      if (sleeper !== 0) {
        yield* wake_up_state(sleeper, TASK_INTERRUPTIBLE);
        yield* put_task_struct(sleeper);
      }
    }
    yield* put_pid(pid);
  }
});

/** Who is done drops its pids; the last one sees to it that the targets come to an end. */
const closeYard = kernel(function* scripted_close({ yard, pids, last }: Tools) {
  const ends = (yield* atomic_add_return(yard, YARD.actors.counter, -1)) === 0 && (last.continues || last.kills);
  for (let round = 0; ends && round < ROUNDS; round++) {
    let left = false;
    for (const pid of pids) {
      if (!(yield* isThere(pid))) continue;
      left = true;
      yield* kill_pid_info(last.kills ? SIGKILL : SIGCONT, pid);
    }
    if (!left) break;
    yield* nap();
  }
  for (const pid of pids) yield* put_pid(pid);
});
const ROUNDS = 60;

/** Whether a pid still names a task. */
function* isThere(pid: Ptr) {
  const task = yield* get_pid_task(pid);
  if (task === 0) return false;
  yield* put_task_struct(task);
  return true;
}

const lastDeed = kernel(function* scripted_tracer_end(slots: readonly Slot[], leaves: boolean) {
  for (const slot of slots) yield* letGo(slot, leaves);
});

const tracerLife = kernel(function* scripted_tracer(steps: readonly TracerStep[], tools: TracerTools, leaves: boolean) {
  const slots: readonly Slot[] = [
    { target: 0, engine: 0 },
    { target: 0, engine: 0 },
  ];
  let opening = true;
  for (const step of steps) {
    if (opening && step.do !== "attach" && step.do !== "events") {
      opening = false;
      yield* openYard(tools);
    }
    if (step.do === "user") yield* work();
    else if (step.do === "nap") yield* nap();
    else yield* tracerStep(step, slots[step.slot & 1] as Slot, tools);
  }
  if (opening) yield* openYard(tools);
  yield* nap();
  yield* lastDeed(slots, leaves);
  yield* closeYard(tools);
});

const senderLife = kernel(function* scripted_sender(signals: readonly SenderStep[], tools: Tools) {
  if (tools.waits) yield* sys_await_tracers(tools.yard);
  for (const { signal, target, naps } of signals) {
    yield* work();
    for (let slept = 0; slept < naps; slept++) yield* nap();
    yield* kill_pid_info(signal, tools.pids[target % tools.pids.length] as Ptr);
  }
  yield* closeYard(tools);
});

/** Whether a target may be left in a job control stop when all others are done. */
function mayStop({ senders, engines }: Script): boolean {
  const stops = (answer: number): boolean =>
    [UTRACE_SIGNAL_STOP, UTRACE_SIGNAL_TSTP].includes(utrace_signal_action(answer));
  return (
    senders.flat().some(({ signal }) => signal === SIGSTOP || signal === SIGTSTP) ||
    engines.some(({ answers }) => stops(answers.report_signal ?? UTRACE_RESUME))
  );
}

/** Fills a booted kernel with the tasks of a script. */
export function populateFromScript(booted: BootedKernel, script: Script): void {
  const { machine } = booted;
  if (script.targets.length === 0) return;
  const yard = machine.allocStaticStruct(yard_struct);
  const tracers = script.engines.length === 0 ? [] : script.tracers;
  machine.poke(yard, YARD.newcomers.counter, tracers.length);
  machine.poke(yard, YARD.actors.counter, tracers.length + script.senders.length);
  const waits = script.waits && tracers.length > 0;
  const targets = script.targets.map((steps, at) =>
    booted.process({ comm: `target${at}`, pid: 300 + at, subject: true }, targetLife, steps, waits, yard),
  );
  const last = { continues: mayStop(script), kills: script.leaves };
  const pidsOf = (tasks: readonly Ptr[]): Ptr[] => tasks.map((task) => booted.getPid(task));
  const tools = (): Tools => ({ yard, waits, pids: pidsOf(targets), last });
  const senders = script.senders.map((signals, at) =>
    booted.process({ comm: `sender${at}`, pid: 500 + at }, senderLife, signals, tools()),
  );
  const ops = [placeOps(machine, scripted_ops), placeOps(machine, { ...scripted_ops })];
  const followers = placeOps(machine, follower_ops);
  const data = script.engines.map((engine): Ptr => {
    const known: EngineData = { script: engine, followers };
    return machine.addressOf(known, machine.layout.sizeOf(engine_data));
  });
  for (const [at, steps] of tracers.entries()) {
    const sleepers = pidsOf([...targets, ...senders]);
    const who = { comm: `tracer${at}`, pid: 400 + at };
    booted.process(who, tracerLife, steps, { ...tools(), sleepers, ops, data }, script.leaves);
  }
  if (!script.crowded) return;
  populateLastObject(booted);
  booted.process({ comm: "spinner", pid: 700 }, spinner, 2);
}
