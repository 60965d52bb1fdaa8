/**
 * Mutations of the model: one small mistake each, of the kinds that kernel code is prone to. `npm run mutations` applies
 * them one at a time to a copy, and says which the checks, the specification and the properties of a run catch.
 */

import { LIFETIMES } from "../../scenarios/parameters.ts";

/** One mistake. */
export interface Mutation {
  readonly name: string;
  /** The file it is made in. */
  readonly file: string;
  /** Text that is there exactly once. */
  readonly find: string;
  readonly replace: string;
  /** What kind of mistake it is. */
  readonly why: string;
  /** Store buffers, for what only they show. */
  readonly memory?: "tso";
}

const ENGINE = "model/utrace/engine.ts";
const CONTROL = "model/utrace/control.ts";
const REPORT = "model/utrace/report.ts";
const STOP = "model/utrace/stop.ts";
const ATTACH = "model/utrace/attach.ts";
const DEATH = "model/utrace/death.ts";
const SIGNAL = "model/utrace/signal.ts";
const POINTER = "model/utrace/lifetimes/pointer.ts";
const KERNEL_SIGNAL = "model/linux/signal.ts";
const TRACEHOOK = "model/linux/tracehook.ts";

/** All of them. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: "put does not free",
    file: ENGINE,
    find: "  if (left === 0) {\n    yield* __utrace_engine_release",
    replace: "  if (left === -1) {\n    yield* __utrace_engine_release",
    why: "a lost free",
  },
  {
    name: "put frees one early",
    file: ENGINE,
    find: "  if (left === 0) {\n    yield* __utrace_engine_release",
    replace: "  if (left === 1) {\n    yield* __utrace_engine_release",
    why: "a reference counted short",
  },
  {
    name: "engine born with one reference",
    file: ENGINE,
    find: "yield* store(engine, ENGINE.kref.refcount, 2);",
    replace: "yield* store(engine, ENGINE.kref.refcount, 1);",
    why: "a dropped reference",
  },
  {
    name: "engine born with three references",
    file: ENGINE,
    find: "yield* store(engine, ENGINE.kref.refcount, 2);",
    replace: "yield* store(engine, ENGINE.kref.refcount, 3);",
    why: "a reference too many",
  },
  {
    name: "lookup takes no reference",
    file: ATTACH,
    find: "if (engine !== 0) yield* utrace_engine_get(engine);",
    replace: "",
    why: "a dropped reference",
  },
  {
    name: "detach marks flags before ops",
    file: ENGINE,
    find: '  yield* WRITE_ONCE(engine, ENGINE.ops, utraceGlobals().utrace_detached_ops);\n  yield* note("engine-detaching", engine, 0);\n  yield* smp_wmb();\n  yield* WRITE_ONCE(engine, ENGINE.flags, UTRACE_EVENT.QUIESCE);',
    replace:
      '  yield* WRITE_ONCE(engine, ENGINE.flags, UTRACE_EVENT.QUIESCE);\n  yield* smp_wmb();\n  yield* WRITE_ONCE(engine, ENGINE.ops, utraceGlobals().utrace_detached_ops);\n  yield* note("engine-detaching", engine, 0);',
    why: "two swapped stores",
  },
  {
    name: "detach leaves the old flags",
    file: ENGINE,
    find: "  yield* WRITE_ONCE(engine, ENGINE.flags, UTRACE_EVENT.QUIESCE);\n",
    replace: "",
    why: "a missing store",
  },
  {
    name: "detach does not look who is being called",
    file: CONTROL,
    find: "        if ((yield* READ_ONCE(utrace, UTRACE.reporting)) === engine) ret = -EINPROGRESS;\n      }\n      break;",
    replace: "      }\n      break;",
    why: "a missing check",
  },
  {
    name: "control unlocks before it resets",
    file: CONTROL,
    find: "  if (resume) yield* utrace_reset(target, utrace, true);\n",
    replace:
      "  if (resume) {\n    yield* spin_unlock(utrace, UTRACE.lock);\n    yield* utrace_reset(target, utrace, true);\n  }\n",
    why: "a lock released early",
  },
  {
    name: "control keeps the lock",
    file: CONTROL,
    find: "  if (resume) yield* utrace_reset(target, utrace, true);\n  else yield* spin_unlock(utrace, UTRACE.lock);\n",
    replace: "  if (resume) yield* utrace_reset(target, utrace, true);\n",
    why: "a lock not released",
  },
  {
    name: "resume forgets ENGINE_STOP",
    file: CONTROL,
    find: "  yield* clear_engine_wants_stop(engine);\n  switch",
    replace: "  switch",
    why: "a flag not cleared",
  },
  {
    name: "stop does not mark the engine",
    file: CONTROL,
    find: "      yield* mark_engine_wants_stop(engine);\n      if (!resume",
    replace: "      if (!resume",
    why: "a flag not set",
  },
  {
    name: "reset wakes although another engine wants the stop",
    file: CONTROL,
    find: "      if ((own & ENGINE_STOP) !== 0) wakeUp = false;\n",
    replace: "",
    why: "a wrong condition",
  },
  {
    name: "reset never wakes",
    file: CONTROL,
    find: "  if (wakeUp) yield* utrace_wakeup(task, utrace);\n",
    replace: "",
    why: "a skipped wake-up",
  },
  {
    name: "set_events stores the old mask",
    file: CONTROL,
    find: "yield* WRITE_ONCE(engine, ENGINE.flags, events | ((yield* load(engine, ENGINE.flags)) & ENGINE_STOP));",
    replace: "yield* WRITE_ONCE(engine, ENGINE.flags, oldFlags | ((yield* load(engine, ENGINE.flags)) & ENGINE_STOP));",
    why: "a wrong mask",
  },
  {
    name: "set_events loses ENGINE_STOP",
    file: CONTROL,
    find: "yield* WRITE_ONCE(engine, ENGINE.flags, events | ((yield* load(engine, ENGINE.flags)) & ENGINE_STOP));",
    replace: "yield* WRITE_ONCE(engine, ENGINE.flags, events);",
    why: "a wrong mask",
  },
  {
    name: "barrier does not look who is being called",
    file: CONTROL,
    find: "(yield* load(utrace, UTRACE.stopped)) !== 0 || (yield* READ_ONCE(utrace, UTRACE.reporting)) !== engine;",
    replace: "true;",
    why: "a missing check",
  },
  {
    name: "wake-up leaves the task asleep",
    file: STOP,
    find: "    } else yield* wake_up_state(target, __TASK_STOPPED | __TASK_TRACED);",
    replace: "    }",
    why: "a skipped wake-up",
  },
  {
    name: "wake-up with the wrong mask",
    file: STOP,
    find: "yield* wake_up_state(target, __TASK_STOPPED | __TASK_TRACED);",
    replace: "yield* wake_up_state(target, __TASK_STOPPED);",
    why: "a wrong mask",
  },
  {
    name: "stop although SIGKILL is pending",
    file: STOP,
    find: "  if (((yield* load(task, TASK.pending.signal)) & sigmask(SIGKILL)) !== 0) {\n    yield* unlock_siglock_irq(task);\n    yield* spin_unlock(utrace, UTRACE.lock);\n    return true;\n  }\n",
    replace: "",
    why: "a missing check",
  },
  {
    name: "stop does not sleep",
    file: STOP,
    find: '  yield* schedule();\n  yield* note("stop-ended"',
    replace: '  yield* note("stop-ended"',
    why: "a missing call",
  },
  {
    name: "stop requested, report not",
    file: STOP,
    find: "    yield* assign_bits(utrace, UTRACE.report, 1);\n    yield* set_notify_resume(target);\n  }\n  if (stopped)",
    replace: "  }\n  if (stopped)",
    why: "a missing request",
  },
  {
    name: "stop does not say that it is stopped",
    file: STOP,
    find: "  yield* assign_bits(utrace, UTRACE.stopped, 1);\n  yield* __set_current_state(TASK_TRACED);",
    replace: "  yield* __set_current_state(TASK_TRACED);",
    why: "a missing store",
  },
  {
    name: "callback's stop is not kept",
    file: REPORT,
    find: "      yield* mark_engine_wants_stop(engine);\n",
    replace: "",
    why: "a flag not set",
  },
  {
    name: "callback's detach is not marked",
    file: REPORT,
    find: '    yield* note("engine-detaching", engine, 0);\n    report.detaches = true;\n    return true;',
    replace: '    yield* note("engine-detaching", engine, 0);\n    return true;',
    why: "a lost result",
  },
  {
    name: "engine called without a look at what it wants",
    file: REPORT,
    find: "  if ((want & event) !== 0) {\n    report.takers = true;",
    replace: "  if (ops !== 0 && event !== 0) {\n    report.takers = true;",
    why: "a missing check",
  },
  {
    name: "engine that stops is not heard",
    file: REPORT,
    find: "  if ((want & ENGINE_STOP) !== 0) report.action = UTRACE_STOP;\n",
    replace: "",
    why: "a missing check",
  },
  {
    name: "newcomers stay on their own list",
    file: REPORT,
    find: "  yield* assign_bits(utrace, UTRACE.report, 0);\n  yield* splice_attaching(utrace);\n  yield* spin_unlock(utrace, UTRACE.lock);\n});",
    replace: "  yield* assign_bits(utrace, UTRACE.report, 0);\n  yield* spin_unlock(utrace, UTRACE.lock);\n});",
    why: "a missing call",
  },
  {
    name: "death report does not finish the reap",
    file: REPORT,
    find: "  if ((yield* load(utrace, UTRACE.reap)) !== 0) yield* utrace_reap(task, utrace);\n  else ",
    replace: "  ",
    why: "a missing branch",
  },
  {
    name: "resume does not report again",
    file: REPORT,
    find: '  yield* note("report-begin", task, 0);\n  const head',
    replace:
      '  if (report.takers === false && task !== 0) return;\n  yield* note("report-begin", task, 0);\n  const head',
    why: "a skipped pass",
  },
  {
    name: "reap calls back under the old ops",
    file: DEATH,
    find: "      yield* list_move(at, detached);\n      if",
    replace: "      if",
    why: "an engine left on the list",
  },
  {
    name: "reap holds the lock in the callback",
    file: DEATH,
    find: "        yield* spin_unlock(utrace, UTRACE.lock);\n        const report_reap",
    replace: "        const report_reap",
    why: "a lock not released",
  },
  {
    name: "reap does not wait for the death report",
    file: DEATH,
    find: "    if (((yield* load(target, TASK.utrace_flags)) & UTRACE_EVENT_DEATH_EVENTS) === 0) {\n      yield* utrace_reap",
    replace: "    if (target !== 0) {\n      yield* utrace_reap",
    why: "a missing check",
  },
  {
    name: "signals are reported without a look at what is wanted",
    file: SIGNAL,
    find: "    if ((want & (event | UTRACE_EVENT.QUIESCE)) === 0) yield*",
    replace: "    if (ops === 0) yield*",
    why: "a missing check",
  },
  {
    name: "attach does not look at EXIT_DEAD again",
    file: POINTER,
    find: "      if ((yield* data_race(load(target, TASK.exit_state))) !== EXIT_DEAD) {",
    replace: "      if (target !== 0) {",
    why: "a missing check",
  },
  {
    name: "struct freed without a grace period",
    file: POINTER,
    find: "  yield* call_rcu(utrace, UTRACE.u.dead, utrace_free);",
    replace: "  yield* utrace_free(ref(utrace, UTRACE.u.dead));",
    why: "a missing grace period",
  },
  {
    name: "struct given up without task->utrace cleared",
    file: POINTER,
    find: '    yield* rcu_assign_pointer(task, TASK.utrace, 0);\n    yield* note("struct-dying", utrace, 0);',
    replace: '    yield* note("struct-dying", utrace, 0);',
    why: "a missing store",
  },
  {
    name: "SIGKILL does not wake a stop",
    file: KERNEL_SIGNAL,
    find: "  const mask = TASK_INTERRUPTIBLE | (resume ? TASK_WAKEKILL : 0);",
    replace: "  const mask = TASK_INTERRUPTIBLE;",
    why: "a wrong mask",
  },
  {
    name: "death report ends before its callbacks",
    file: REPORT,
    find: '  yield* REPORT_CALLBACKS(task, utrace, report, UTRACE_EVENT.DEATH, "report_death", (callback, engine) =>\n    callback(engine, task, groupDead, signal),\n  );\n  yield* spin_lock(utrace, UTRACE.lock);\n  yield* assign_bits(utrace, UTRACE.death, 0);\n  if ((yield* load(utrace, UTRACE.reap)) !== 0) yield* utrace_reap(task, utrace);\n  else yield* utrace_reset(task, utrace, false);\n',
    replace:
      '  yield* spin_lock(utrace, UTRACE.lock);\n  yield* assign_bits(utrace, UTRACE.death, 0);\n  if ((yield* load(utrace, UTRACE.reap)) !== 0) yield* utrace_reap(task, utrace);\n  else yield* utrace_reset(task, utrace, false);\n  yield* REPORT_CALLBACKS(task, utrace, report, UTRACE_EVENT.DEATH, "report_death", (callback, engine) =>\n    callback(engine, task, groupDead, signal),\n  );\n',
    why: "two swapped calls",
  },
  {
    name: "death is not reported",
    file: TRACEHOOK,
    find: "  if (yield* flagged(task, UTRACE_EVENT_DEATH_EVENTS)) yield* utrace_report_death",
    replace: "  if (yield* flagged(task, 0)) yield* utrace_report_death",
    why: "a missing call",
  },
  {
    name: "no barrier after `reporting` in start_callback",
    file: REPORT,
    find: "  // Pairs with the barriers in utrace_control and utrace_set_events.\n  yield* smp_mb();",
    replace: "",
    why: "a missing barrier",
    memory: "tso",
  },
  {
    name: "no barrier in front of `reporting` in utrace_set_events",
    file: CONTROL,
    find: "    // Pairs with the barrier in start_callback: the flags are stored before reporting is read.\n    yield* smp_mb();\n",
    replace: "",
    why: "a missing barrier",
    memory: "tso",
  },
];

/** Mistakes that nobody could notice, each with the reason; another of its kind stands in {@link MUTATIONS} instead. */
export const EQUIVALENT: readonly { readonly name: string; readonly why: string; readonly instead: string }[] = [
  {
    name: "release before the death report",
    why: "a task that reaps itself is released before tracehook_report_death: utrace_release_task leaves the reap to the death report, and the parent of any other task may release it at this very place, so no engine can tell.",
    instead: "death report ends before its callbacks",
  },
  {
    name: "no barrier in front of `reporting` in a detach",
    why: "utrace_do_stop takes the siglock between the store of the ops and the load of `reporting`, or has the detach not look at it; a locked operation is a full barrier on x86 (model/utrace/barriers.test.ts).",
    instead: "no barrier in front of `reporting` in utrace_set_events",
  },
];

/** The lifetime to look under: the one that is mutated, or else one that keeps a struct, and so has the fewest defects of its own. */
export function lifetimeFor({ file }: Mutation): string {
  const mutated = /\/lifetimes\/(\w+)\.ts$/.exec(file)?.[1];
  return mutated ?? (LIFETIMES[2] as string);
}
