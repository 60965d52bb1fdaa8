/**
 * CONFIG_UTRACE_PTRACE: ptrace as an engine. Parents and children, options and wait stay classic; stopping, resuming and
 * noticing go through utrace.
 *
 * What is known of the patch: task_ptrace() and ptrace_event() are constant 0, ptrace_utrace_exit() is a function of its
 * own, and ptrace uses utrace "for noticing events, stopping and resuming threads". Everything below that this does not
 * say is marked CHOSEN.
 *
 * CHOSEN: `last_siginfo` is what says that a tracee has announced a stop; there is no siginfo behind it, so
 * PTRACE_GETSIGINFO and PTRACE_SETSIGINFO give -EIO. CHOSEN: a job control stop is not the tracer's to end: requests
 * work on it, PTRACE_CONT leaves it as it is.
 *
 * @see [PATCH 2/2] of 2008-08-26
 */
import {
  current,
  kernel,
  load,
  type Ptr,
  read_lock,
  read_unlock,
  ref,
  store,
  write_lock_irq,
  write_unlock_irq,
} from "../../sim/index.ts";
import { EAGAIN, EINPROGRESS, EINVAL, EIO, EPERM, ESRCH, IS_ERR } from "../linux/errno.ts";
import { globals, tasklist } from "../linux/globals.ts";
import { list_entry, list_next } from "../linux/list.ts";
import {
  __ptrace_unlink,
  cloneEvent,
  PT_PTRACED,
  PT_TRACE_EXEC,
  PT_TRACE_EXIT,
  PT_TRACESYSGOOD,
  PTRACE_EVENT_EXEC,
  PTRACE_EVENT_EXIT,
  PTRACE_SINGLESTEP,
  PTRACE_SYSCALL,
  ptraceBits,
} from "../linux/ptrace.ts";
import {
  get_task_struct,
  put_task_struct,
  schedule_timeout_interruptible,
  signal_pending,
  task_is_stopped,
} from "../linux/sched.ts";
import {
  actionOf,
  do_notify_parent_cldstop,
  SIGTRAP,
  send_sig_thread,
  type sigaction,
  type siginfo_t,
  sigmask,
} from "../linux/signal.ts";
import { k_sigaction, TASK } from "../linux/structs.ts";
import { utrace_attach_task } from "./attach.ts";
import { utrace_barrier, utrace_control, utrace_set_events } from "./control.ts";
import { type utrace_engine_ops, utrace_engine_put } from "./engine.ts";
import {
  UTRACE_ATTACH_CREATE,
  UTRACE_ATTACH_EXCLUSIVE,
  UTRACE_ATTACH_MATCH_OPS,
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_EVENT_SIGNAL_ALL,
  UTRACE_EVENT_SYSCALL,
  UTRACE_INTERRUPT,
  UTRACE_RESUME,
  UTRACE_SIGNAL_DELIVER,
  UTRACE_SIGNAL_HANDLER,
  UTRACE_SIGNAL_IGN,
  UTRACE_SINGLESTEP,
  UTRACE_STOP,
  UTRACE_SYSCALL_RUN,
  utrace_signal_action,
} from "./events.ts";
import { utrace_prepare_examine } from "./examine.ts";
import { utraceGlobals } from "./globals.ts";
import { ENGINE } from "./structs.ts";

/** CHOSEN: engine->data is how to go on (UTRACE_RESUME or UTRACE_SINGLESTEP) and the signal to go on with. */
const SIGNAL_SHIFT = 8;
const actionOfData = (data: number): number => data & 0xf;
const signalOfData = (data: number): number => data >> SIGNAL_SHIFT;

const EVENTS =
  UTRACE_EVENT.QUIESCE | UTRACE_EVENT.CLONE | UTRACE_EVENT.EXEC | UTRACE_EVENT.EXIT | UTRACE_EVENT_SIGNAL_ALL;

/** The running task is about to stop for its tracer. @param code - What wait tells. */
const announce = kernel(function* ptrace_report(engine: Ptr, code: number) {
  const task = current();
  yield* store(task, TASK.last_siginfo, engine);
  yield* store(task, TASK.exit_code, code);
  yield* read_lock(...tasklist());
  if (((yield* ptraceBits(task)) & PT_PTRACED) !== 0) yield* do_notify_parent_cldstop(task);
  yield* read_unlock(...tasklist());
  return UTRACE_STOP;
});

function* announced(task: Ptr) {
  return (yield* load(task, TASK.last_siginfo)) !== 0;
}

const ptrace_report_quiesce = kernel(function* ptrace_report_quiesce(
  _action: number,
  engine: Ptr,
  task: Ptr,
  event: number,
) {
  // Whatever a dying task had announced: a SIGKILL ended that.
  if (event === UTRACE_EVENT.EXIT) yield* store(task, TASK.last_siginfo, 0);
  if (yield* announced(task)) return UTRACE_STOP;
  return actionOfData(yield* load(engine, ENGINE.data));
});

/** Goes on with the signal that the tracer chose: its action is looked up, as nobody else has. */
function* inject(engine: Ptr, task: Ptr, info: siginfo_t, returned: sigaction) {
  const data = yield* load(engine, ENGINE.data);
  const sig = signalOfData(data);
  yield* store(engine, ENGINE.data, actionOfData(data));
  if (sig === 0) return UTRACE_SIGNAL_IGN | actionOfData(data);
  if (((yield* load(task, TASK.blocked)) & sigmask(sig)) !== 0) {
    yield* send_sig_thread(sig, task);
    return UTRACE_SIGNAL_IGN | actionOfData(data);
  }
  info.si_signo = sig;
  const action = actionOf(yield* load(task, TASK.sighand), sig);
  returned.sa_handler = yield* load(action, k_sigaction.fields.sa_handler);
  returned.sa_flags = yield* load(action, k_sigaction.fields.sa_flags);
  return UTRACE_SIGNAL_DELIVER | actionOfData(data);
}

const ptrace_report_signal = kernel(function* ptrace_report_signal(
  action: number,
  engine: Ptr,
  task: Ptr,
  info: siginfo_t,
  original: sigaction | null,
  returned: sigaction,
) {
  // A report that somebody else asked for does not end a stop.
  if (yield* announced(task)) return UTRACE_SIGNAL_IGN | UTRACE_STOP;
  // What the engine before said of it does not count: to the tracer it is a signal, or none.
  if (original !== null) return UTRACE_SIGNAL_IGN | (yield* announce(engine, info.si_signo));
  const stepped = actionOfData(yield* load(engine, ENGINE.data)) === UTRACE_SINGLESTEP;
  if (utrace_signal_action(action) !== UTRACE_SIGNAL_HANDLER || !stepped)
    return yield* inject(engine, task, info, returned);
  return UTRACE_SIGNAL_IGN | (yield* announce(engine, SIGTRAP));
});

function* reportSyscall(engine: Ptr, task: Ptr) {
  const good = ((yield* ptraceBits(task)) & PT_TRACESYSGOOD) !== 0;
  return yield* announce(engine, SIGTRAP | (good ? 0x80 : 0));
}
const ptrace_report_syscall_entry = kernel(function* ptrace_report_syscall_entry(
  _action: number,
  engine: Ptr,
  task: Ptr,
) {
  return UTRACE_SYSCALL_RUN | (yield* reportSyscall(engine, task));
});
const ptrace_report_syscall_exit = kernel(function* ptrace_report_syscall_exit(
  _action: number,
  engine: Ptr,
  task: Ptr,
) {
  return yield* reportSyscall(engine, task);
});

/** Stops for an option, if it is set. */
function* reportEvent(engine: Ptr, task: Ptr, option: number, event: number, message: number) {
  if (((yield* ptraceBits(task)) & option) === 0) return actionOfData(yield* load(engine, ENGINE.data));
  yield* store(task, TASK.ptrace_message, message);
  return yield* announce(engine, (event << 8) | SIGTRAP);
}

const ptrace_report_exec = kernel(function* ptrace_report_exec(_action: number, engine: Ptr, task: Ptr) {
  if (((yield* ptraceBits(task)) & PT_TRACE_EXEC) === 0) {
    yield* send_sig_thread(SIGTRAP, task);
    return actionOfData(yield* load(engine, ENGINE.data));
  }
  return yield* reportEvent(engine, task, PT_TRACE_EXEC, PTRACE_EVENT_EXEC, 0);
});

const ptrace_report_exit = kernel(function* ptrace_report_exit(
  _action: number,
  engine: Ptr,
  task: Ptr,
  _originalCode: number,
  code: { value: number },
) {
  return yield* reportEvent(engine, task, PT_TRACE_EXIT, PTRACE_EVENT_EXIT, code.value);
});

const ptrace_report_clone = kernel(function* ptrace_report_clone(
  _action: number,
  engine: Ptr,
  task: Ptr,
  cloneFlags: number,
  child: Ptr,
) {
  // What finish_clone has linked to the tracer gets an engine, before it first runs.
  if (((yield* ptraceBits(child)) & PT_PTRACED) !== 0) yield* attachEngine(child);
  const event = yield* cloneEvent(task, cloneFlags);
  if (event === 0) return actionOfData(yield* load(engine, ENGINE.data));
  yield* store(task, TASK.ptrace_message, yield* load(child, TASK.pid));
  return yield* announce(engine, (event << 8) | SIGTRAP);
});

/** The ops of ptrace's engine. */
export const ptrace_utrace_ops: utrace_engine_ops = {
  report_quiesce: ptrace_report_quiesce,
  report_signal: ptrace_report_signal,
  report_syscall_entry: ptrace_report_syscall_entry,
  report_syscall_exit: ptrace_report_syscall_exit,
  report_exec: ptrace_report_exec,
  report_exit: ptrace_report_exit,
  report_clone: ptrace_report_clone,
};

/** Gives a task ptrace's engine. 0, or the error of utrace_attach_task. */
function* attachEngine(task: Ptr) {
  const flags = UTRACE_ATTACH_CREATE | UTRACE_ATTACH_EXCLUSIVE | UTRACE_ATTACH_MATCH_OPS;
  const engine = yield* utrace_attach_task(task, flags, utraceGlobals().ptrace_utrace_ops, UTRACE_RESUME);
  if (IS_ERR(engine)) return engine;
  yield* utrace_set_events(task, engine, EVENTS);
  yield* utrace_engine_put(engine);
  return 0;
}

/** ptrace's engine on a task, with a reference; an error pointer if there is none. */
const engineOf = (task: Ptr) => utrace_attach_task(task, UTRACE_ATTACH_MATCH_OPS, utraceGlobals().ptrace_utrace_ops, 0);

function* detachEngine(task: Ptr) {
  const engine = yield* engineOf(task);
  if (IS_ERR(engine)) return;
  yield* store(task, TASK.last_siginfo, 0);
  if ((yield* utrace_control(task, engine, UTRACE_DETACH)) === -EINPROGRESS) yield* utrace_barrier(task, engine);
  yield* utrace_engine_put(engine);
}

/**
 * Attaches the engine first, so that the SIGSTOP to come is seen by it; `link` does the classic part.
 *
 * @returns 0, or -EPERM as of the classic part. CHOSEN: also where utrace refuses.
 */
export function* utrace_ptrace_attach(task: Ptr, link: (task: Ptr) => Iterable<unknown>) {
  if (((yield* ptraceBits(task)) & PT_PTRACED) !== 0 || (yield* attachEngine(task)) !== 0) return -EPERM;
  const error = (yield* link(task) as Generator<never, number, unknown>) as number;
  if (error !== 0) yield* detachEngine(task);
  return error;
}

/** Whether the caller's tracee is stopped; waits for a stop that is announced. 0 or -ESRCH. */
export const utrace_ptrace_check_attach = kernel(function* utrace_ptrace_check_attach(child: Ptr, kill: boolean) {
  yield* read_lock(...tasklist());
  const own = ((yield* ptraceBits(child)) & PT_PTRACED) !== 0 && (yield* load(child, TASK.parent)) === current();
  yield* read_unlock(...tasklist());
  if (!own) return -ESRCH;
  if (kill || (yield* task_is_stopped(child))) return 0;
  const engine = yield* engineOf(child);
  if (IS_ERR(engine)) return -ESRCH;
  let ret = -ESRCH;
  while ((yield* announced(child)) && ret !== 0) {
    ret = yield* utrace_prepare_examine(child, engine, { state: 0, ncsw: 0 });
    if ((ret !== -EINVAL && ret !== -EAGAIN) || (yield* signal_pending(current()))) break;
    yield* schedule_timeout_interruptible(1);
  }
  yield* utrace_engine_put(engine);
  return ret === 0 ? 0 : -ESRCH;
});

/** `ptrace_resume` over utrace: with a signal the tracee reports once more, and is given it then. */
export const utrace_ptrace_resume = kernel(function* utrace_ptrace_resume(child: Ptr, request: number, sig: number) {
  if (sig < 0 || sig > 64) return -EIO;
  if (yield* task_is_stopped(child)) return 0;
  const engine = yield* engineOf(child);
  if (IS_ERR(engine)) return -ESRCH;
  const action = request === PTRACE_SINGLESTEP ? UTRACE_SINGLESTEP : UTRACE_RESUME;
  yield* utrace_set_events(child, engine, EVENTS | (request === PTRACE_SYSCALL ? UTRACE_EVENT_SYSCALL : 0));
  yield* store(engine, ENGINE.data, action | (sig << SIGNAL_SHIFT));
  yield* store(child, TASK.exit_code, 0);
  yield* store(child, TASK.last_siginfo, 0);
  yield* utrace_control(child, engine, sig === 0 ? action : UTRACE_INTERRUPT);
  yield* utrace_engine_put(engine);
  return 0;
});

/** `ptrace_detach` over utrace. CHOSEN: a signal to go on with is sent. */
export const utrace_ptrace_detach = kernel(function* utrace_ptrace_detach(child: Ptr, sig: number) {
  if (sig < 0 || sig > 64) return -EIO;
  yield* write_lock_irq(...tasklist());
  if ((yield* ptraceBits(child)) !== 0) yield* __ptrace_unlink(child);
  yield* write_unlock_irq(...tasklist());
  yield* store(child, TASK.exit_code, 0);
  if (sig !== 0) yield* send_sig_thread(sig, child);
  yield* detachEngine(child);
  return 0;
});

/**
 * A tracer exits: its tracees lose their engines. CHOSEN: at the beginning of do_exit, tracee by tracee, because
 * utrace_control must not be called under tasklist_lock, where ptrace_exit unlinks them.
 */
export const ptrace_utrace_exit = kernel(function* ptrace_utrace_exit(tracer: Ptr) {
  if (!globals().ptracers) return;
  const head = ref(tracer, TASK.ptraced);
  for (;;) {
    yield* write_lock_irq(...tasklist());
    const at = yield* list_next(head);
    if (at === head) {
      yield* write_unlock_irq(...tasklist());
      return;
    }
    const child = list_entry(at, TASK.ptrace_entry);
    // Those that are dead already are for ptrace_exit, which knows whom to tell.
    const dead = (yield* load(child, TASK.exit_state)) !== 0;
    if (!dead) {
      yield* get_task_struct(child);
      yield* __ptrace_unlink(child);
    }
    yield* write_unlock_irq(...tasklist());
    if (dead) return;
    yield* detachEngine(child);
    yield* put_task_struct(child);
  }
});
