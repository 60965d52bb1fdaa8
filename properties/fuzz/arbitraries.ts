/**
 * Arbitraries for fast-check: engines with scripted callbacks, calls, signals, what traced tasks and tracers do, and the
 * parameters that a program runs under. `shapes.ts` makes whole programs of them.
 *
 * Shrinking leaves out steps and answers, and goes to plain ones.
 */
import fc from "fast-check";
import { SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGTSTP, SIGUSR1 } from "../../model/linux/signal.ts";
import {
  UTRACE_ATTACH_CREATE,
  UTRACE_ATTACH_EXCLUSIVE,
  UTRACE_ATTACH_MATCH_DATA,
  UTRACE_ATTACH_MATCH_OPS,
  UTRACE_BLOCKSTEP,
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_EVENT_SIGNAL_ALL,
  UTRACE_EVENT_SYSCALL,
  UTRACE_INTERRUPT,
  UTRACE_REPORT,
  UTRACE_RESUME,
  UTRACE_SIGNAL_DELIVER,
  UTRACE_SIGNAL_HOLD,
  UTRACE_SIGNAL_IGN,
  UTRACE_SIGNAL_STOP,
  UTRACE_SIGNAL_TERM,
  UTRACE_SINGLESTEP,
  UTRACE_STOP,
  UTRACE_SYSCALL_ABORT,
} from "../../model/utrace/events.ts";
import { CONFIG_DEFAULTS, LIFETIMES } from "../../scenarios/parameters.ts";
import {
  ANSWERS,
  type EngineScript,
  LOOK,
  NAP,
  type OwnCall,
  type SenderStep,
  type TargetStep,
  type TracerStep,
} from "../../scenarios/programs/script.ts";
import type { CaseParameters } from "./case.ts";

const { QUIESCE, REAP, CLONE, EXEC, EXIT, DEATH, JCTL } = UTRACE_EVENT;

/** One of these, by weight. Shrinks to the first. */
export const weighted = <T>(
  ...choices: readonly (readonly [weight: number, value: T | fc.Arbitrary<T>])[]
): fc.Arbitrary<T> =>
  fc.oneof(
    { withCrossShrink: true },
    ...choices.map(([weight, value]) => ({
      weight,
      arbitrary: value instanceof fc.Arbitrary ? value : fc.constant(value),
    })),
  );

/** Event masks that debuggers ask for, and any other. */
export const anyMask: fc.Arbitrary<number> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(QUIESCE, QUIESCE | EXEC | UTRACE_EVENT_SIGNAL_ALL, DEATH | REAP, 0x3fff) },
  { weight: 2, arbitrary: fc.constantFrom(0, JCTL, EXIT, CLONE | EXEC, UTRACE_EVENT_SYSCALL, UTRACE_EVENT_SIGNAL_ALL) },
  { weight: 1, arbitrary: fc.nat({ max: 0x3fff }) },
);

/** A mask with these events, and perhaps others. */
export const maskWith = (events: number): fc.Arbitrary<number> =>
  weighted<number>([2, events], [2, events | QUIESCE], [1, anyMask.map((others) => events | others)]);

const anyControl = weighted(
  [2, UTRACE_RESUME],
  [3, UTRACE_STOP],
  [2, UTRACE_REPORT],
  [2, UTRACE_INTERRUPT],
  [1, UTRACE_SINGLESTEP],
  [1, UTRACE_BLOCKSTEP],
  [1, UTRACE_DETACH],
);

/** A call on an engine at hand. */
export const anyOwnCall: fc.Arbitrary<OwnCall> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("control"), action: anyControl }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("events"), mask: anyMask }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("barrier", "examine") }) },
) as fc.Arbitrary<OwnCall>;

/** The resume action that a callback returns. */
export const anyAction: fc.Arbitrary<number> = weighted(
  [4, UTRACE_RESUME],
  [8, UTRACE_STOP],
  [2, UTRACE_REPORT],
  [2, UTRACE_INTERRUPT],
  [1, UTRACE_SINGLESTEP],
  [1, UTRACE_DETACH],
);
const anySignalAction = fc.constantFrom(
  UTRACE_SIGNAL_DELIVER,
  UTRACE_SIGNAL_IGN,
  UTRACE_SIGNAL_STOP,
  UTRACE_SIGNAL_TERM,
  UTRACE_SIGNAL_IGN | UTRACE_SIGNAL_HOLD,
);

/** A callback that answers. */
export type AnswerName = (typeof ANSWERS)[number];

/** What a callback returns. */
export const anyAnswer = (name: AnswerName, actions = anyAction): fc.Arbitrary<number> => {
  if (name === "report_signal") return fc.tuple(actions, anySignalAction).map(([action, signal]) => action | signal);
  if (name === "report_syscall_entry") {
    return fc.tuple(actions, fc.boolean()).map(([action, abort]) => action | (abort ? UTRACE_SYSCALL_ABORT : 0));
  }
  return actions;
};

/** Most of these callbacks answer something; the others resume. */
export const anyAnswers = (
  names: readonly AnswerName[] = ANSWERS,
  actions = anyAction,
): fc.Arbitrary<EngineScript["answers"]> =>
  fc
    .tuple(...names.map((name) => fc.option(anyAnswer(name, actions), { freq: 8 })))
    .map((answers) =>
      Object.fromEntries(names.flatMap((name, at) => (answers[at] === null ? [] : [[name, answers[at]]]))),
    );

/** What a callback does besides; those named, or any. */
export const anyInside = (names: readonly AnswerName[] = ANSWERS): fc.Arbitrary<EngineScript["inside"]> =>
  fc.record({
    callback: fc.constantFrom(...names),
    call: fc.oneof({ weight: 1, arbitrary: anyOwnCall }, { weight: 1, arbitrary: fc.constantFrom(NAP, LOOK) }),
  });

/** The script of an engine's callbacks. */
export const anyEngine: fc.Arbitrary<EngineScript> = fc.record({
  answers: anyAnswers(),
  inside: fc.option(anyInside(), { freq: 4 }),
  follows: weighted<number>([3, 0], [1, anyMask]),
});

const CAUGHT = [SIGUSR1, SIGTERM, SIGCONT, SIGTSTP];

/** One step of a traced task. */
export const anyTargetStep: fc.Arbitrary<TargetStep> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom("user", "call", "exec") }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("fork", "thread") }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("handle", "ignore"), signal: fc.constantFrom(...CAUGHT) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("exit thread") }) },
) as fc.Arbitrary<TargetStep>;

const anyFlags = fc.oneof(
  { weight: 4, arbitrary: fc.constant(UTRACE_ATTACH_CREATE) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      UTRACE_ATTACH_CREATE | UTRACE_ATTACH_EXCLUSIVE | UTRACE_ATTACH_MATCH_OPS,
      UTRACE_ATTACH_MATCH_OPS,
      UTRACE_ATTACH_MATCH_DATA,
    ),
  },
);
const anySlot = weighted([5, 0], [1, 1]);
const anyAttach = fc.record({
  do: fc.constant("attach"),
  slot: anySlot,
  target: weighted([5, 0], [1, 1]),
  engine: fc.nat({ max: 2 }),
  flags: anyFlags,
}) as fc.Arbitrary<TracerStep>;
/** One step of a tracer. */
export const anyTracerStep: fc.Arbitrary<TracerStep> = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(anyOwnCall, anySlot).map(([call, slot]) => ({ ...call, slot })) },
  { weight: 2, arbitrary: fc.constant(NAP) },
  { weight: 2, arbitrary: anyAttach },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("await", "put"), slot: anySlot }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("user") }) },
) as fc.Arbitrary<TracerStep>;

/** A tracer: attaches, asks for events, and goes on from there. */
export const anyTracer: fc.Arbitrary<readonly TracerStep[]> = fc
  .tuple(anyAttach, fc.option(maskWith(QUIESCE), { freq: 8 }), fc.array(anyTracerStep, { maxLength: 5 }))
  .map(([attach, mask, rest]) => [
    { ...attach, slot: 0 } as TracerStep,
    ...(mask === null ? [] : [{ do: "events", slot: 0, mask } as const]),
    ...rest,
  ]);

/** A signal to one of the first two targets. */
export const anySignal: fc.Arbitrary<SenderStep> = fc.record({
  signal: fc.constantFrom(SIGUSR1, SIGCONT, SIGSTOP, SIGTERM, SIGTSTP, SIGKILL),
  target: weighted([3, 0], [1, 1]),
  naps: fc.nat({ max: 2 }),
});

/** Config options that change what a run does. The rest only adds checks, and those are left on. */
const FLIPPED = ["PREEMPT", "SLUB_DEBUG", "DEBUG_PAGEALLOC", "UTRACE_DEBUG"];
const config = (flipped: readonly string[]): string =>
  flipped.map((key) => `${key}=${CONFIG_DEFAULTS[key] === true ? "n" : "y"}`).join(",");

/** Parameters to run under. */
export const anyCaseParameters = (lifetimes: readonly string[] = LIFETIMES): fc.Arbitrary<CaseParameters> =>
  fc.record({
    lifetime: fc.constantFrom(...lifetimes),
    cpus: fc.constantFrom(2, 1, 3),
    config: fc.oneof(
      { weight: 3, arbitrary: fc.constant("") },
      { weight: 1, arbitrary: fc.subarray(FLIPPED).map(config) },
    ),
  });
