/**
 * Arbitraries for fast-check: programs of tasks, engines with scripted callbacks, calls, signals, exec, clone and exit,
 * and the parameters they run under.
 *
 * They are made so that most programs do something: a tracer begins with an attach and asks for events, and goes on
 * with calls on what it has. Shrinking leaves out tasks, steps and answers, and goes to plain ones.
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
  type OwnCall,
  type Script,
  type TargetStep,
  type TracerStep,
} from "../../scenarios/programs/scripted.ts";
import type { CaseParameters, FuzzCase } from "./case.ts";

const { QUIESCE, REAP, CLONE, EXEC, EXIT, DEATH, JCTL } = UTRACE_EVENT;

/** Event masks that debuggers ask for, and any other. */
export const anyMask: fc.Arbitrary<number> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(QUIESCE, QUIESCE | EXEC | UTRACE_EVENT_SIGNAL_ALL, DEATH | REAP, 0x3fff) },
  { weight: 2, arbitrary: fc.constantFrom(0, JCTL, EXIT, CLONE | EXEC, UTRACE_EVENT_SYSCALL, UTRACE_EVENT_SIGNAL_ALL) },
  { weight: 1, arbitrary: fc.nat({ max: 0x3fff }) },
);

const CONTROLS = [
  UTRACE_DETACH,
  UTRACE_STOP,
  UTRACE_INTERRUPT,
  UTRACE_RESUME,
  UTRACE_REPORT,
  UTRACE_SINGLESTEP,
  UTRACE_BLOCKSTEP,
];

/** A call on an engine at hand. */
export const anyOwnCall: fc.Arbitrary<OwnCall> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("control"), action: fc.constantFrom(...CONTROLS) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("events"), mask: anyMask }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("barrier") }) },
) as fc.Arbitrary<OwnCall>;

const anyAction = fc.constantFrom(
  UTRACE_RESUME,
  UTRACE_STOP,
  UTRACE_DETACH,
  UTRACE_REPORT,
  UTRACE_INTERRUPT,
  UTRACE_SINGLESTEP,
);
const anySignalAction = fc.constantFrom(
  UTRACE_SIGNAL_DELIVER,
  UTRACE_SIGNAL_IGN,
  UTRACE_SIGNAL_STOP,
  UTRACE_SIGNAL_TERM,
  UTRACE_SIGNAL_IGN | UTRACE_SIGNAL_HOLD,
);

/** What a callback returns. HOLD with a resume would come again for ever, so it goes with a detach or a stop only. */
const anyAnswer = (name: (typeof ANSWERS)[number]): fc.Arbitrary<number> => {
  if (name === "report_signal") {
    return fc
      .tuple(anyAction, anySignalAction)
      .map(([action, signal]) =>
        (signal & UTRACE_SIGNAL_HOLD) !== 0 && action !== UTRACE_DETACH ? action | UTRACE_SIGNAL_IGN : action | signal,
      );
  }
  if (name === "report_syscall_entry") {
    return fc.tuple(anyAction, fc.boolean()).map(([action, abort]) => action | (abort ? UTRACE_SYSCALL_ABORT : 0));
  }
  return anyAction;
};

/** The script of an engine's callbacks. */
export const anyEngine: fc.Arbitrary<EngineScript> = fc.record({
  answers: fc.record(Object.fromEntries(ANSWERS.map((name) => [name, anyAnswer(name)])), { requiredKeys: [] }),
  inside: fc.option(fc.record({ callback: fc.constantFrom(...ANSWERS), call: anyOwnCall }), { freq: 4 }),
}) as fc.Arbitrary<EngineScript>;

const CAUGHT = [SIGUSR1, SIGTERM, SIGCONT, SIGTSTP];

/** One step of a traced task. */
export const anyTargetStep: fc.Arbitrary<TargetStep> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("user", "exec", "fork", "thread") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("handle", "ignore"), signal: fc.constantFrom(...CAUGHT) }) },
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
const anySlot = fc.nat({ max: 1 });
const anyAttach = fc.record({
  do: fc.constant("attach"),
  slot: anySlot,
  target: fc.nat({ max: 1 }),
  engine: fc.nat({ max: 2 }),
  flags: anyFlags,
});
/** One step of a tracer. */
export const anyTracerStep: fc.Arbitrary<TracerStep> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(anyOwnCall, fc.constantFrom(0, 0, 0, 1)).map(([call, slot]) => ({ ...call, slot })),
  },
  { weight: 2, arbitrary: anyAttach },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("put"), slot: anySlot }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("user") }) },
) as fc.Arbitrary<TracerStep>;

/** A tracer: attaches, asks for events, and goes on from there. */
export const anyTracer: fc.Arbitrary<readonly TracerStep[]> = fc
  .tuple(anyAttach, fc.option(anyMask, { freq: 8 }), fc.array(anyTracerStep, { maxLength: 6 }))
  .map(([attach, mask, rest]) => [
    { ...attach, slot: 0 } as TracerStep,
    ...(mask === null ? [] : [{ do: "events", slot: 0, mask } as const]),
    ...rest,
  ]);

const anySignal = fc.record({
  signal: fc.constantFrom(SIGKILL, SIGSTOP, SIGCONT, SIGUSR1, SIGTERM, SIGTSTP),
  target: fc.nat({ max: 1 }),
});

/** A whole program. */
export const anyScript: fc.Arbitrary<Script> = fc.record({
  engines: fc.array(anyEngine, { minLength: 1, maxLength: 3 }),
  targets: fc.array(fc.array(anyTargetStep, { maxLength: 4 }), { minLength: 1, maxLength: 2 }),
  tracers: fc.array(anyTracer, { minLength: 1, maxLength: 3 }),
  senders: fc.array(fc.array(anySignal, { minLength: 1, maxLength: 3 }), { maxLength: 2 }),
  leaves: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  crowded: fc.boolean(),
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

/** A program with its parameters. */
export const anyCase = (parameters: fc.Arbitrary<CaseParameters> = anyCaseParameters()): fc.Arbitrary<FuzzCase> =>
  fc.record({ parameters, script: anyScript });
