/**
 * Arbitraries for whole programs: some of a certain shape, so that most do something worth a look, and some of any.
 *
 * A shape says which steps come in which order; what they are about, and what else happens, is generated. Every step of
 * it can be left out: that is how it shrinks, and now and then how it is generated.
 */
import fc from "fast-check";
import { SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGTSTP, SIGUSR1 } from "../../model/linux/signal.ts";
import {
  UTRACE_ATTACH_CREATE,
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_EVENT_SIGNAL_ALL,
  UTRACE_EVENT_SYSCALL,
  UTRACE_INTERRUPT,
  UTRACE_REPORT,
  UTRACE_RESUME,
  UTRACE_SINGLESTEP,
  UTRACE_STOP,
} from "../../model/utrace/events.ts";
import {
  type EngineScript,
  LOOK,
  NAP,
  type Script,
  type SenderStep,
  type TargetStep,
  type TracerStep,
} from "../../scenarios/programs/script.ts";
import {
  type AnswerName,
  anyAction,
  anyAnswers,
  anyCaseParameters,
  anyEngine,
  anyInside,
  anySignal,
  anyTargetStep,
  anyTracer,
  anyTracerStep,
  maskWith,
  weighted,
} from "./arbitraries.ts";
import type { CaseParameters, FuzzCase } from "./case.ts";

const { QUIESCE, REAP, CLONE, EXEC, EXIT, DEATH, JCTL } = UTRACE_EVENT;

type Part<T> = fc.Arbitrary<T | readonly T[]>;

/** These steps in this order; any of them can be missing. */
const inOrder = <T extends object>(...parts: readonly Part<T>[]): fc.Arbitrary<readonly T[]> =>
  fc
    .tuple(...parts.map((part) => fc.option(part, { freq: 60 })))
    .map((made) => made.flatMap((part) => (part === null ? [] : (part as T | readonly T[]))));

const few = <T>(one: fc.Arbitrary<T>, maxLength: number): fc.Arbitrary<readonly T[]> => fc.array(one, { maxLength });

/** An attach of this engine to the first target, or now and then to another. */
const attach = (engine: number, slot = 0): fc.Arbitrary<TracerStep> =>
  weighted([8, 0], [1, 1]).map((target) => ({ do: "attach", slot, target, engine, flags: UTRACE_ATTACH_CREATE }));
const events = (mask: number, slot = 0): fc.Arbitrary<TracerStep> =>
  maskWith(mask).map((all) => ({ do: "events", slot, mask: all }));
const control = (...actions: readonly number[]): fc.Arbitrary<TracerStep> =>
  fc.constantFrom(...actions).map((action) => ({ do: "control", slot: 0, action }));
const aNap = fc.constant(NAP);
const awaitStop = fc.constant<TracerStep>({ do: "await", slot: 0 });
const barrier = fc.constant<TracerStep>({ do: "barrier", slot: 0 });
const anythingElse = few(anyTracerStep, 1);
const resume = control(UTRACE_RESUME, UTRACE_INTERRUPT, UTRACE_REPORT, UTRACE_SINGLESTEP);

const ask = control(UTRACE_REPORT, UTRACE_INTERRUPT);
/** Other events than before. */
const mind: fc.Arbitrary<TracerStep> = weighted<number>(
  [2, 0],
  [2, UTRACE_EVENT_SYSCALL | QUIESCE],
  [1, UTRACE_EVENT_SYSCALL],
  [1, QUIESCE],
).map((mask) => ({ do: "events", slot: 0, mask }));

/** An engine in which some of these callbacks answer something. */
const engineOf = (
  names: readonly AnswerName[],
  actions = anyAction,
  inside: fc.Arbitrary<EngineScript["inside"]> = fc.option(anyInside(names), { freq: 2 }),
): fc.Arbitrary<EngineScript> => fc.record({ answers: anyAnswers(names, actions), inside, follows: fc.constant(0) });

const step = (...deeds: readonly ("user" | "call" | "exec" | "fork" | "thread")[]): fc.Arbitrary<TargetStep> =>
  fc.constantFrom(...deeds).map((deed) => ({ do: deed }));
const signal = (naps: readonly number[], ...signals: readonly number[]): fc.Arbitrary<SenderStep> =>
  fc.record({ signal: fc.constantFrom(...signals), target: weighted([8, 0], [1, 1]), naps: fc.constantFrom(...naps) });

/** What a debugger answers that wants its task stopped: a callback that does not ask for the stop again ends it. */
const stays = weighted([1, UTRACE_RESUME], [10, UTRACE_STOP], [1, UTRACE_REPORT]);

/** ... and now and then something else. */
const stops = weighted([2, UTRACE_STOP], [1, anyAction]);

const rarely = weighted([9, false], [1, true]);
const mostly = weighted([1, false], [9, true]);

type Parts = Pick<Script, "engines" | "targets" | "tracers">;
/** A program of these parts, and of no senders and no special circumstances if it does not say otherwise. */
const program = (
  parts: {
    readonly [K in keyof Parts]: fc.Arbitrary<Script[K]>;
  } & { readonly [K in Exclude<keyof Script, keyof Parts>]?: fc.Arbitrary<Script[K]> },
): fc.Arbitrary<Script> =>
  fc.record({ senders: fc.constant([]), waits: mostly, leaves: rarely, crowded: rarely, ...parts });

/** Programs by shape. */
export const SHAPES = {
  "stop and resume": program({
    engines: fc.tuple(engineOf(["report_quiesce"], stays)),
    targets: fc.tuple(inOrder(step("user", "call"), few(anyTargetStep, 1))),
    tracers: fc.tuple(
      inOrder(attach(0), events(QUIESCE), control(UTRACE_STOP), awaitStop, anythingElse, resume, aNap, anythingElse),
    ),
  }),
  "two debuggers": program({
    engines: fc.tuple(
      engineOf(["report_quiesce", "report_exit"], stays),
      engineOf(["report_quiesce", "report_syscall_exit"], stays),
    ),
    targets: fc.tuple(inOrder(step("user", "call"), step("user", "call", "exec"))),
    tracers: fc.tuple(
      inOrder(attach(0), events(QUIESCE), control(UTRACE_STOP), awaitStop, anythingElse, resume, aNap),
      inOrder(attach(1), events(QUIESCE | EXIT), anythingElse, control(UTRACE_STOP, UTRACE_DETACH), aNap, resume),
    ),
  }),
  "system calls under trace": program({
    engines: fc.tuple(engineOf(["report_syscall_entry", "report_syscall_exit", "report_quiesce"], stops)),
    targets: fc.tuple(inOrder(step("call"), step("call", "user"), step("call", "exec"))),
    tracers: fc.tuple(
      inOrder(
        attach(0),
        events(UTRACE_EVENT_SYSCALL | QUIESCE),
        awaitStop,
        resume,
        awaitStop,
        resume,
        control(UTRACE_DETACH),
      ),
    ),
  }),
  "signals under trace": program({
    engines: fc.tuple(engineOf(["report_signal", "report_quiesce"])),
    targets: fc.tuple(
      inOrder<TargetStep>(
        fc.record({ do: fc.constantFrom("handle", "ignore"), signal: fc.constantFrom(SIGUSR1, SIGTERM) }),
        step("user", "call"),
        step("user"),
      ),
    ),
    tracers: fc.tuple(
      inOrder(attach(0), events(UTRACE_EVENT_SIGNAL_ALL), control(UTRACE_INTERRUPT, UTRACE_REPORT), awaitStop, resume),
    ),
    senders: fc.tuple(inOrder(signal([0, 1], SIGUSR1, SIGTERM), signal([0, 1, 2], SIGUSR1, SIGTERM, SIGCONT))),
  }),
  "detach in callback": program({
    engines: fc.tuple(
      engineOf(["report_quiesce", "report_exec", "report_exit"], weighted([2, UTRACE_DETACH], [1, UTRACE_STOP])),
      engineOf(
        ["report_quiesce"],
        anyAction,
        fc.constant({ callback: "report_quiesce", call: { do: "control", action: UTRACE_DETACH } }),
      ),
    ),
    targets: fc.tuple(inOrder(step("user", "exec"), few(anyTargetStep, 1))),
    tracers: fc.tuple(
      inOrder(attach(0), events(EXEC | EXIT), attach(1, 1), events(QUIESCE, 1), control(UTRACE_REPORT), anythingElse),
    ),
  }),
  "exec under trace": program({
    engines: fc.tuple(engineOf(["report_exec", "report_quiesce"], stops)),
    targets: fc.tuple(inOrder(step("exec"), step("exec", "thread", "user"))),
    tracers: fc.tuple(inOrder(attach(0), events(EXEC | QUIESCE), awaitStop, resume, anythingElse)),
  }),
  "exit while stopped": program({
    engines: fc.tuple(
      engineOf(["report_quiesce", "report_exit", "report_death"], weighted([3, UTRACE_STOP], [1, anyAction])),
    ),
    targets: fc.tuple(inOrder(step("user", "call"))),
    tracers: fc.tuple(inOrder(attach(0), events(EXIT | DEATH | REAP), control(UTRACE_STOP), awaitStop, anythingElse)),
    senders: fc.tuple(inOrder(signal([1, 2, 4], SIGKILL), signal([0, 2], SIGKILL, SIGTERM))),
    leaves: weighted([2, false], [1, true]),
  }),
  "job control": program({
    engines: fc.tuple(engineOf(["report_jctl", "report_quiesce"], stops)),
    targets: fc.tuple(inOrder(step("user"), step("user"), step("user", "call"), step("user", "call"))),
    tracers: fc.tuple(
      inOrder(
        attach(0),
        events(JCTL | QUIESCE),
        control(UTRACE_STOP, UTRACE_REPORT),
        awaitStop,
        resume,
        aNap,
        anythingElse,
      ),
    ),
    senders: fc.tuple(inOrder(signal([0, 1], SIGSTOP, SIGTSTP), signal([2, 4], SIGCONT), few(anySignal, 1))),
  }),
  "clone follower": program({
    engines: fc.tuple(
      fc.record({
        answers: anyAnswers(["report_clone", "report_quiesce"], stops),
        inside: fc.option(anyInside(["report_clone"]), { freq: 4 }),
        follows: maskWith(QUIESCE | REAP),
      }),
    ),
    targets: fc.tuple(inOrder(step("fork", "thread"), few(step("user", "call", "exec"), 1))),
    tracers: fc.tuple(inOrder(attach(0), events(CLONE), awaitStop, resume, anythingElse)),
  }),
  "barrier after detach": program({
    engines: fc.tuple(
      engineOf(
        ["report_quiesce", "report_exec"],
        anyAction,
        fc.constantFrom(NAP, LOOK).map((call) => ({ callback: "report_quiesce", call })),
      ),
    ),
    targets: fc.tuple(inOrder(step("user", "exec"), step("user", "call"))),
    tracers: fc.tuple(
      inOrder(
        attach(0),
        events(QUIESCE),
        control(UTRACE_REPORT, UTRACE_INTERRUPT),
        aNap,
        few(
          maskWith(0).map((mask): TracerStep => ({ do: "events", slot: 0, mask })),
          1,
        ),
        control(UTRACE_DETACH),
        barrier,
        anythingElse,
      ),
    ),
  }),
  "change of mind": program({
    engines: fc.tuple(
      engineOf(["report_syscall_entry", "report_syscall_exit"], weighted([3, UTRACE_RESUME], [1, anyAction])),
    ),
    targets: fc.tuple(inOrder(step("call"), step("call"), step("call", "user"), step("call", "exec"), step("call"))),
    tracers: fc.tuple(
      inOrder(attach(0), events(UTRACE_EVENT_SYSCALL | QUIESCE), aNap, mind, mind, ask, mind, aNap, mind, mind),
    ),
  }),
  anything: program({
    engines: fc.array(anyEngine, { minLength: 1, maxLength: 3 }),
    targets: fc.oneof(
      { weight: 3, arbitrary: fc.tuple(few(anyTargetStep, 3)) },
      { weight: 1, arbitrary: fc.tuple(few(anyTargetStep, 3), few(anyTargetStep, 2)) },
    ),
    tracers: fc.array(anyTracer, { minLength: 1, maxLength: 2 }),
    senders: few(fc.array(anySignal, { minLength: 1, maxLength: 2 }), 1),
    waits: weighted([1, false], [4, true]),
    leaves: weighted([3, false], [1, true]),
  }),
} as const satisfies Readonly<Record<string, fc.Arbitrary<Script>>>;

const OFTEN: Readonly<Record<string, number>> = {
  "stop and resume": 10,
  "two debuggers": 5,
  "job control": 6,
  "exit while stopped": 4,
  "clone follower": 5,
  anything: 4,
};

/** A whole program: of any shape. */
export const anyScript: fc.Arbitrary<Script> = fc.oneof(
  ...Object.entries(SHAPES).map(([name, arbitrary]) => ({ weight: OFTEN[name] ?? 2, arbitrary })),
);

/** A program with its parameters. */
export const anyCase = (parameters: fc.Arbitrary<CaseParameters> = anyCaseParameters()): fc.Arbitrary<FuzzCase> =>
  fc.record({ parameters, script: anyScript });
