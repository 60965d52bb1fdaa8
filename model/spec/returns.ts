/**
 * What each call may return, and when: the part of the documentation that callers read first.
 *
 * A call takes effect somewhere between its begin and its end, so a result is right if there was a reason for it at any
 * point in between. That each result had a reason is all that is asked here: that the call did what it says is the
 * business of the rules.
 *
 * Does not check: -ENOMEM, -EPERM and -ERESTARTSYS, whose reasons lie outside (memory, kernel threads, signals of the
 * caller); of those only to whom they may be said.
 */
import {
  EAGAIN,
  EALREADY,
  EEXIST,
  EINPROGRESS,
  EINVAL,
  ENOENT,
  ENOMEM,
  EOPNOTSUPP,
  EPERM,
  ERESTARTNOINTR,
  ERESTARTSYS,
  ESRCH,
} from "../linux/errno.ts";
import {
  UTRACE_ATTACH_CREATE,
  UTRACE_ATTACH_EXCLUSIVE,
  UTRACE_ATTACH_MATCH_DATA,
  UTRACE_ATTACH_MATCH_OPS,
  UTRACE_BLOCKSTEP,
  UTRACE_DETACH,
  UTRACE_SINGLESTEP,
  UTRACE_STOP,
} from "../utrace/events.ts";
import { type CallState, type ExamState, enginesOf, type SpecState, type TaskState, taskOf } from "./state.ts";

/** One thing a call may return. */
export interface Return {
  readonly call: CallName;
  /** 0 for success, whatever the value. */
  readonly code: number;
  readonly codeName: string;
  /** When, as a sentence that begins with "if". */
  readonly sentence: string;
  /** Whether there is a reason for it now. */
  possible(state: SpecState, call: Readonly<CallState>): boolean;
}

/** Calls of the interface. */
export const CALL_NAMES = [
  "utrace_attach_task",
  "utrace_control",
  "utrace_set_events",
  "utrace_barrier",
  "utrace_prepare_examine",
  "utrace_finish_examine",
] as const;
export type CallName = (typeof CALL_NAMES)[number];

const has = (call: Readonly<CallState>, flag: number): boolean => (call.argument & flag) !== 0;
const matches = (state: SpecState, call: Readonly<CallState>): boolean =>
  enginesOf(state, call.target).some(
    (engine) =>
      engine.life !== "detaching" &&
      (!has(call, UTRACE_ATTACH_MATCH_OPS) || engine.ops === call.ops) &&
      (!has(call, UTRACE_ATTACH_MATCH_DATA) || engine.data === call.data),
  );

const engineOf = ({ engines }: SpecState, { engine }: Readonly<CallState>) => engines.get(engine);
/** The task that an engine was attached to; the caller may not know that it is gone. */
const tracedBy = (state: SpecState, call: Readonly<CallState>): Readonly<TaskState> =>
  taskOf(state, engineOf(state, call)?.task ?? call.target);
const isAttached = (state: SpecState, call: Readonly<CallState>): boolean => {
  const life = engineOf(state, call)?.life;
  return life === "attached" || life === "attaching";
};
const unreferenced = (state: SpecState, call: Readonly<CallState>): boolean => (engineOf(state, call)?.refs ?? 0) < 1;
const steps = ({ argument }: Readonly<CallState>): boolean =>
  argument === UTRACE_SINGLESTEP || argument === UTRACE_BLOCKSTEP;
const isStopped = (state: SpecState, call: Readonly<CallState>): boolean => tracedBy(state, call).stop === "stopped";
const isReporting = (state: SpecState, call: Readonly<CallState>): boolean => tracedBy(state, call).report >= 0;

const isSelf = (state: SpecState, call: Readonly<CallState>): boolean => call.by === engineOf(state, call)?.task;
const wantsStop = (state: SpecState, call: Readonly<CallState>): boolean => engineOf(state, call)?.stopNoted === true;
/** A detach takes the wish back some steps after it has marked the engine. */
const wantsNoStop = (state: SpecState, call: Readonly<CallState>): boolean =>
  !(wantsStop(state, call) && isAttached(state, call));
/** What the caller has examined with this engine. */
const examOf = ({ exams }: SpecState, { by, engine }: Readonly<CallState>): Readonly<ExamState> | undefined =>
  exams.get(by)?.engine === engine ? exams.get(by) : undefined;

const returns = (call: CallName, ...rows: readonly Omit<Return, "call">[]): Return[] =>
  rows.map((row) => ({ ...row, call }));

/** All of it. */
export const RETURNS: readonly Return[] = [
  ...returns(
    "utrace_attach_task",
    {
      code: 0,
      codeName: "an engine",
      sentence:
        "if, with CREATE, the target was not reaped yet, nor, with EXCLUSIVE, had a matching engine; without CREATE, if one matched",
      possible: (state, call) =>
        has(call, UTRACE_ATTACH_CREATE)
          ? taskOf(state, call.target).life !== "reaped" &&
            !(has(call, UTRACE_ATTACH_EXCLUSIVE) && matches(state, call))
          : matches(state, call),
    },
    {
      code: -ENOENT,
      codeName: "-ENOENT",
      sentence: "if, without CREATE, no engine matched, or the target was reaped",
      possible: (state, call) =>
        !has(call, UTRACE_ATTACH_CREATE) && (!matches(state, call) || taskOf(state, call.target).life === "reaped"),
    },
    {
      code: -ESRCH,
      codeName: "-ESRCH",
      sentence: "if, with CREATE, the target was reaped",
      possible: (state, call) => has(call, UTRACE_ATTACH_CREATE) && taskOf(state, call.target).life === "reaped",
    },
    {
      code: -EEXIST,
      codeName: "-EEXIST",
      sentence: "if, with EXCLUSIVE, an engine matched",
      possible: (state, call) => has(call, UTRACE_ATTACH_EXCLUSIVE) && matches(state, call),
    },
    {
      code: -EINVAL,
      codeName: "-EINVAL",
      sentence: "if, with CREATE, there are no ops",
      possible: (_state, call) => has(call, UTRACE_ATTACH_CREATE) && call.ops === 0,
    },
    {
      code: -EPERM,
      codeName: "-EPERM",
      sentence: "if, with CREATE, the target is a kernel thread",
      possible: (_state, call) => has(call, UTRACE_ATTACH_CREATE),
    },
    {
      code: -ENOMEM,
      codeName: "-ENOMEM",
      sentence: "if, with CREATE, memory is exhausted",
      possible: (_state, call) => has(call, UTRACE_ATTACH_CREATE),
    },
    {
      code: -ERESTARTNOINTR,
      codeName: "-ERESTARTNOINTR",
      sentence: "if, with CREATE, the caller got a signal while it waited for a newborn target",
      possible: (_state, call) => has(call, UTRACE_ATTACH_CREATE),
    },
  ),
  ...returns(
    "utrace_control",
    {
      code: 0,
      codeName: "0",
      sentence: "if the engine was attached, and the target alive, or dead and the action DETACH",
      possible: (state, call) => {
        const { life } = tracedBy(state, call);
        return isAttached(state, call) && (life === "alive" || (life === "dead" && call.argument === UTRACE_DETACH));
      },
    },
    {
      code: -EINVAL,
      codeName: "-EINVAL",
      sentence: "if there is no such action, or the caller has no reference to the engine",
      possible: (state, call) => call.argument > UTRACE_DETACH || unreferenced(state, call),
    },
    {
      code: -ESRCH,
      codeName: "-ESRCH",
      sentence: "if the engine was detached, or the target reaped, or dead and the action not DETACH",
      possible: (state, call) => {
        const { life } = tracedBy(state, call);
        return !isAttached(state, call) || life === "reaped" || (life === "dead" && call.argument !== UTRACE_DETACH);
      },
    },
    {
      code: -EALREADY,
      codeName: "-EALREADY",
      sentence: "if the action is DETACH and the target was dead, as its death report may be on its way",
      possible: (state, call) => call.argument === UTRACE_DETACH && tracedBy(state, call).life !== "alive",
    },
    {
      code: -EINPROGRESS,
      codeName: "-EINPROGRESS",
      sentence: "if the action is STOP and the target was not stopped, or DETACH and the target was reporting",
      possible: (state, call) =>
        (call.argument === UTRACE_STOP && !isStopped(state, call)) ||
        (call.argument === UTRACE_DETACH && isReporting(state, call)),
    },
    {
      code: -EAGAIN,
      codeName: "-EAGAIN",
      sentence: "if the action is a step and the target was not stopped",
      possible: (state, call) => steps(call) && !isStopped(state, call),
    },
    {
      code: -EOPNOTSUPP,
      codeName: "-EOPNOTSUPP",
      sentence: "if the action is a step that the machine does not have",
      possible: (_state, call) => steps(call),
    },
  ),
  ...returns(
    "utrace_set_events",
    {
      code: 0,
      codeName: "0",
      sentence: "if the engine was attached",
      possible: isAttached,
    },
    {
      code: -EINVAL,
      codeName: "-EINVAL",
      sentence: "if the caller has no reference to the engine",
      possible: unreferenced,
    },
    {
      code: -ESRCH,
      codeName: "-ESRCH",
      sentence: "if the engine was detached, or the target reaped",
      possible: (state, call) => !isAttached(state, call) || tracedBy(state, call).life === "reaped",
    },
    {
      code: -EALREADY,
      codeName: "-EALREADY",
      sentence: "if the target was dead, so that it was too late for some of the events",
      possible: (state, call) => tracedBy(state, call).life !== "alive",
    },
    {
      code: -EINPROGRESS,
      codeName: "-EINPROGRESS",
      sentence: "if the target was reporting, and so might have used the old events",
      possible: isReporting,
    },
  ),
  ...returns(
    "utrace_barrier",
    {
      code: 0,
      codeName: "0",
      sentence: "if the caller is the target itself, or no callback of the engine was running",
      possible: (state, call) =>
        call.by === engineOf(state, call)?.task ||
        (tracedBy(state, call).running !== call.engine && isAttached(state, call)),
    },
    {
      code: -EINVAL,
      codeName: "-EINVAL",
      sentence: "if the caller has no reference to the engine",
      possible: unreferenced,
    },
    {
      code: -ESRCH,
      codeName: "-ESRCH",
      sentence: "if the engine was off all lists, or the target reaped",
      possible: (state, call) =>
        (engineOf(state, call)?.life ?? "detached") === "detached" || tracedBy(state, call).life === "reaped",
    },
    {
      code: -ERESTARTSYS,
      codeName: "-ERESTARTSYS",
      sentence: "if the caller got a signal first",
      possible: () => true,
    },
  ),
  ...returns(
    "utrace_prepare_examine",
    {
      code: 0,
      codeName: "0",
      sentence: "if the caller is the target itself, or the engine wanted the target stopped, and that was alive",
      possible: (state, call) =>
        isSelf(state, call) || (wantsStop(state, call) && tracedBy(state, call).life === "alive"),
    },
    {
      code: -EINVAL,
      codeName: "-EINVAL",
      sentence: "if the engine did not want the target stopped, or was detached",
      possible: wantsNoStop,
    },
    {
      code: -ESRCH,
      codeName: "-ESRCH",
      sentence: "if the target was dead",
      possible: (state, call) => tracedBy(state, call).life !== "alive",
    },
    {
      code: -EAGAIN,
      codeName: "-EAGAIN",
      sentence: "if the target was in no stop, or left it",
      possible: (state, call) => !isStopped(state, call),
    },
  ),
  ...returns(
    "utrace_finish_examine",
    {
      code: 0,
      codeName: "0",
      sentence:
        "if the caller is the target itself, or the engine wanted the target stopped, and that has not run since a utrace_prepare_examine of the caller returned 0",
      possible: (state, call) => isSelf(state, call) || (wantsStop(state, call) && examOf(state, call)?.ran === false),
    },
    {
      code: -EINVAL,
      codeName: "-EINVAL",
      sentence: "if the engine no longer wanted the target stopped, or was detached",
      possible: wantsNoStop,
    },
    {
      code: -EAGAIN,
      codeName: "-EAGAIN",
      sentence: "if the target has not stayed in one stop since then",
      possible: (state, call) => examOf(state, call)?.ran !== false || !isStopped(state, call),
    },
  ),
];

/** What a call may return for its results, by call and code. */
export const returnOf = (call: string, result: number): Return | undefined =>
  RETURNS.find((row) => row.call === call && row.code === Math.min(result, 0));

const OF_CALL: Readonly<Record<string, readonly Return[]>> = Object.fromEntries(
  CALL_NAMES.map((name) => [name, RETURNS.filter(({ call }) => call === name)]),
);
/** All rows of a call. */
export const returnsOf = (call: string): readonly Return[] => OF_CALL[call] ?? [];
