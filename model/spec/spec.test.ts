/** The specification: what it forbids, rule by rule and result by result, and that it forbids nothing else. */
import { describe, expect, test } from "vitest";
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
  UTRACE_ATTACH_MATCH_OPS,
  UTRACE_DETACH,
  UTRACE_EVENT,
  UTRACE_EVENT_SIGNAL_ALL,
  UTRACE_INTERRUPT,
  UTRACE_REPORT,
  UTRACE_RESUME,
  UTRACE_SINGLESTEP,
  UTRACE_STOP,
} from "../utrace/events.ts";
import type { SpecEvent } from "./events.ts";
import { takeLegalSteps } from "./legalSteps.ts";
import { EXCUSES } from "./promises.ts";
import { RETURNS } from "./returns.ts";
import { RULES } from "./rules.ts";
import { Illegal, SpecRun, transition } from "./spec.ts";
import { EMPTY_WORLD, type SpecState } from "./state.ts";
import {
  attach,
  attached,
  call,
  callback,
  engine,
  events,
  live,
  OTHER_TRACER,
  REAPED,
  report,
  returned,
  returns,
  struct,
  TRACED,
  TRACER,
  task,
  wants,
} from "./testEvents.ts";
import { WellBehaved } from "./wellBehaved.ts";

const { QUIESCE, EXEC, DEATH, REAP, CLONE } = UTRACE_EVENT;
const CREATE = UTRACE_ATTACH_CREATE;
const CONTROL = "utrace_control";
const PREPARE = "utrace_prepare_examine";
const FINISH = "utrace_finish_examine";

/** A whole call of utrace_control that asks for something. */
const asked = (action: number, result = 0, number = 20): SpecEvent[] => [
  call(CONTROL, action, TRACER, number),
  ...(action === UTRACE_STOP ? [wants(true, TRACER, number)] : []),
  returns(CONTROL, result),
];
/** A task that its engine has stopped. */
const STOPPED: readonly SpecEvent[] = [...TRACED, wants(true), task("task-stopped")];

/** ... and looks at. */
const EXAMINED: readonly SpecEvent[] = [...STOPPED, call(PREPARE), returns(PREPARE, 0)];

/** The rule that each illegal history breaks with its last event. */
const ILLEGAL: readonly (readonly [rule: string, ...history: SpecEvent[]])[] = [
  ["struct-once", live(10), live(10, 2)],
  ["struct-once", live(10), struct("struct-dying"), live(10, 2)],
  ["one-struct", live(10), live(11)],
  ["struct-taken", struct("struct-dying")],
  ["struct-taken", live(), struct("struct-dying"), struct("struct-dying")],
  ["struct-taken", live(), struct("struct-dying"), struct("struct-freed"), struct("struct-dying")],
  ["struct-freed", struct("struct-freed")],
  ["struct-freed", live(), struct("struct-freed")],
  ["struct-freed", live(), struct("struct-dying"), struct("struct-freed"), struct("struct-freed")],
  ["struct-empty", live(), attached(), struct("struct-dying"), struct("struct-freed")],

  ["attached-once", live(), attached(), attached()],
  ["attached-to-live", attached()],
  ["attached-to-live", live(), struct("struct-dying"), attached()],
  ["marked-on-list", engine("engine-detaching")],
  ["marked-on-list", ...TRACED, engine("engine-detaching"), engine("engine-detached"), engine("engine-detaching")],
  ["detached-once", engine("engine-detached")],
  ["detached-once", ...TRACED, engine("engine-detached"), engine("engine-detached")],
  ["released-detached", engine("engine-freed")],
  ["released-detached", ...TRACED, engine("engine-freed")],
  ["released-last", ...TRACED, engine("engine-detached"), engine("engine-put"), engine("engine-freed")],
  ["reference-held", engine("engine-get")],
  [
    "reference-held",
    ...TRACED,
    engine("engine-detached"),
    engine("engine-put"),
    engine("engine-put"),
    engine("engine-put"),
  ],
  ["attached-reference", ...TRACED, engine("engine-put"), engine("engine-put")],

  ["callback-attached", live(), attached(), events(QUIESCE), report(EXEC), callback(QUIESCE)],
  ["callback-attached", ...TRACED, report(EXEC), engine("engine-detached"), callback(EXEC)],
  ["callback-attached", ...TRACED, task("task-dead"), task("task-reaped"), callback(REAP)],
  ["callback-wanted", live(), attached(), struct("engines-spliced"), report(EXEC), callback(EXEC)],
  [
    "callback-wanted",
    ...TRACED,
    call("utrace_set_events"),
    events(EXEC),
    returns("utrace_set_events", 0),
    report(0),
    callback(QUIESCE),
  ],
  ["callback-own-context", ...TRACED, report(EXEC), callback(EXEC, 20, TRACER)],
  ["callback-in-report", ...TRACED, callback(EXEC)],
  ["callback-in-report", ...TRACED, report(CLONE), callback(EXEC)],
  [
    "callback-alone",
    ...TRACED,
    attached(21),
    struct("engines-spliced"),
    events(EXEC, 21),
    report(EXEC),
    callback(EXEC),
    callback(EXEC, 21),
  ],
  [
    "callback-order",
    ...TRACED,
    attached(21),
    struct("engines-spliced"),
    events(EXEC, 21),
    report(EXEC),
    callback(EXEC, 21),
    returned(UTRACE_RESUME, 21),
    callback(EXEC),
  ],
  ["callback-once", ...TRACED, report(EXEC), callback(EXEC), returned(UTRACE_RESUME), callback(EXEC)],
  ["callback-once", ...TRACED, report(EXEC), callback(EXEC), returned(UTRACE_RESUME), callback(QUIESCE)],
  ["callback-once", ...TRACED, report(EXEC), callback(QUIESCE), returned(UTRACE_RESUME), callback(QUIESCE)],
  [
    "detached-silent",
    ...TRACED,
    call(CONTROL, UTRACE_DETACH),
    engine("engine-detaching"),
    returns(CONTROL, 0),
    report(EXEC),
    callback(EXEC),
  ],
  ["callback-left", ...TRACED, report(EXEC), callback(QUIESCE), returned(UTRACE_DETACH), callback(EXEC)],
  ["reap-once", ...REAPED, callback(REAP, 20, 9), returned(UTRACE_RESUME, 20, 9), callback(REAP, 20, 9)],
  ["reap-reaped", ...TRACED, task("task-dead"), engine("engine-detached"), callback(REAP, 20, 9)],
  ["callback-ends", ...TRACED, returned(UTRACE_RESUME)],

  ["report-alone", ...TRACED, report(EXEC), report(EXEC)],
  ["report-alone", ...TRACED, report(EXEC, 1, TRACER)],
  ["report-unstopped", ...TRACED, task("task-stopped"), report(EXEC)],
  ["report-dead", ...TRACED, task("task-dead"), report(EXEC)],
  ["report-dead", ...TRACED, report(DEATH)],
  ["report-ends", task("report-end")],
  ["report-ends", ...TRACED, report(EXEC), callback(EXEC), task("report-end")],
  ["report-complete", ...TRACED, report(EXEC), task("report-end")],
  ["report-complete", ...TRACED, report(CLONE), task("report-end")],
  ["report-complete", ...TRACED, report(EXEC), callback(QUIESCE), returned(UTRACE_RESUME), task("report-end")],
  ["report-complete", ...TRACED, report(UTRACE_EVENT_SIGNAL_ALL), task("report-end")],
  ["report-comes", ...TRACED, ...asked(UTRACE_REPORT), task("user-return")],
  ["report-comes", ...TRACED, ...asked(UTRACE_INTERRUPT), task("user-return")],
  ["report-comes", ...TRACED, ...asked(UTRACE_STOP, -EINPROGRESS), task("user-return")],
  // The report that is under way began before it was asked for.
  [
    "report-comes",
    ...TRACED,
    report(EXEC),
    ...asked(UTRACE_REPORT),
    callback(EXEC),
    returned(UTRACE_RESUME),
    task("report-end"),
    task("user-return"),
  ],
  // A newcomer that is not on the list is not heard.
  [
    "report-comes",
    ...TRACED,
    attached(21),
    events(QUIESCE, 21),
    ...asked(UTRACE_REPORT, 0, 21),
    report(EXEC),
    callback(EXEC),
    returned(UTRACE_RESUME),
    task("report-end"),
    task("user-return"),
  ],
  [
    "stop-comes",
    ...TRACED,
    events(EXEC),
    call(CONTROL, UTRACE_STOP),
    wants(true),
    returns(CONTROL, -EINPROGRESS),
    report(0),
    task("report-end"),
    task("user-return"),
  ],
  [
    "detach-comes",
    ...TRACED,
    call(CONTROL, UTRACE_DETACH),
    engine("engine-detaching"),
    returns(CONTROL, 0),
    report(0),
    task("report-end"),
    task("user-return"),
  ],
  [
    "detach-comes",
    ...TRACED,
    report(EXEC),
    callback(EXEC),
    returned(UTRACE_DETACH),
    engine("engine-detaching"),
    task("report-end"),
    task("user-return"),
  ],
  ["last-word", ...TRACED, wants(true), call(CONTROL, UTRACE_RESUME), returns(CONTROL, 0)],
  ["last-word", ...TRACED, call(CONTROL, UTRACE_STOP), returns(CONTROL, -EINPROGRESS)],
  ["last-resume-wakes", ...STOPPED, call(CONTROL, UTRACE_RESUME), wants(false), returns(CONTROL, 0)],
  ["last-resume-wakes", ...STOPPED, call(CONTROL, UTRACE_DETACH), engine("engine-detaching"), returns(CONTROL, 0)],
  [
    "resumed-wakes",
    ...STOPPED,
    call(CONTROL, UTRACE_RESUME),
    wants(false),
    task("task-resumed", 1, TRACER),
    { ...returns(CONTROL, 0), asleep: true } as SpecEvent,
  ],

  ["task-dies-once", task("task-dead"), task("task-dead")],
  ["task-dies-once", task("task-reaped"), task("task-dead")],
  ["task-dies-once", task("task-reaped"), task("task-reaped")],
  ["task-dies-once", task("task-dead"), task("task-given-back")],
  ["task-leaves-nothing", live(), task("task-dead"), task("task-reaped"), task("task-freed")],
  ["task-leaves-nothing", ...TRACED, struct("struct-dying"), task("task-reaped"), task("task-freed")],
  ["stop-itself", task("task-stopped", 1, TRACER)],
  ["stop-itself", task("task-stopped"), task("task-stopped")],
  ["stop-itself", task("task-dead"), task("task-stopped")],
  ["stop-not-killed", task("task-killed", 1, TRACER), task("task-stopped")],
  ["stop-wanted", ...TRACED, wants(true), task("task-stopped"), task("task-resumed", 1, TRACER)],
  ["stop-ends", task("task-stopped"), task("stop-ended")],
  ["stop-ends", task("stop-ended")],
  ["stopped-no-user-code", task("task-stopped"), task("user-mode")],
  [
    "stopped-no-user-code",
    ...TRACED,
    report(EXEC),
    callback(EXEC),
    returned(UTRACE_STOP),
    task("report-end"),
    task("user-mode"),
  ],
  ["stopped-no-user-code", ...TRACED, report(CLONE), callback(QUIESCE), wants(true, 1), task("user-mode")],
  ["stopped-no-user-code", ...TRACED, call(CONTROL, UTRACE_STOP), wants(true), returns(CONTROL, 0), task("user-mode")],
  ["dead-no-user-code", task("task-dead"), task("user-mode")],

  ["call-alone", call(CONTROL), call(CONTROL)],
  ["call-ends", returns(CONTROL, 0)],
  ["call-ends", ...TRACED, call("utrace_barrier"), returns(CONTROL, 0)],
  ["call-returns", ...TRACED, call(CONTROL), returns(CONTROL, -ENOENT)],
  ["call-has-reason", ...TRACED, call(CONTROL, UTRACE_RESUME), returns(CONTROL, -ESRCH)],
  ["detach-done", ...TRACED, call(CONTROL, UTRACE_DETACH), returns(CONTROL, 0)],
  [
    "detach-done",
    ...TRACED,
    report(EXEC),
    callback(EXEC),
    call(CONTROL, UTRACE_DETACH),
    engine("engine-detaching"),
    returns(CONTROL, 0),
  ],
  ["attach-gives-engine", attach(CREATE), returns("utrace_attach_task", 20)],
];

/** A history after which the call just begun returns something without a reason: the call, the code, what was before. */
const UNREASONABLE: readonly (readonly [
  call: string,
  code: number,
  begin: SpecEvent,
  ...before: readonly SpecEvent[],
])[] = [
  ["utrace_attach_task", 0, attach(CREATE), task("task-reaped")],
  ["utrace_attach_task", 0, attach(CREATE | UTRACE_ATTACH_EXCLUSIVE), ...TRACED],
  ["utrace_attach_task", 0, attach(0), live()],
  ["utrace_attach_task", 0, attach(UTRACE_ATTACH_MATCH_OPS), ...TRACED],
  ["utrace_attach_task", -ENOENT, attach(0), ...TRACED],
  ["utrace_attach_task", -ENOENT, attach(CREATE)],
  ["utrace_attach_task", -ESRCH, attach(CREATE), task("task-dead")],
  ["utrace_attach_task", -EEXIST, attach(CREATE), ...TRACED],
  ["utrace_attach_task", -EEXIST, attach(CREATE | UTRACE_ATTACH_EXCLUSIVE), ...TRACED, engine("engine-detaching")],
  ["utrace_attach_task", -EINVAL, attach(CREATE)],
  ["utrace_attach_task", -EPERM, attach(0)],
  ["utrace_attach_task", -ENOMEM, attach(0)],
  ["utrace_attach_task", -ERESTARTNOINTR, attach(0)],
  [CONTROL, 0, call(CONTROL, UTRACE_RESUME), ...TRACED, task("task-dead")],
  [CONTROL, 0, call(CONTROL, UTRACE_RESUME), ...TRACED, engine("engine-detaching")],
  [CONTROL, -EINVAL, call(CONTROL, UTRACE_DETACH), ...TRACED],
  [CONTROL, -ESRCH, call(CONTROL, UTRACE_DETACH), ...TRACED, task("task-dead")],
  [CONTROL, -EALREADY, call(CONTROL, UTRACE_DETACH), ...TRACED],
  [CONTROL, -EALREADY, call(CONTROL, UTRACE_RESUME), ...TRACED, task("task-dead")],
  [CONTROL, -EINPROGRESS, call(CONTROL, UTRACE_STOP), ...TRACED, task("task-stopped")],
  [CONTROL, -EINPROGRESS, call(CONTROL, UTRACE_DETACH), ...TRACED],
  [CONTROL, -EINPROGRESS, call(CONTROL, UTRACE_RESUME), ...TRACED, report(EXEC)],
  [CONTROL, -EAGAIN, call(CONTROL, UTRACE_SINGLESTEP), ...TRACED, task("task-stopped")],
  [CONTROL, -EAGAIN, call(CONTROL, UTRACE_RESUME), ...TRACED],
  [CONTROL, -EOPNOTSUPP, call(CONTROL, UTRACE_RESUME), ...TRACED],
  ["utrace_set_events", 0, call("utrace_set_events"), ...TRACED, engine("engine-detaching")],
  ["utrace_set_events", -EINVAL, call("utrace_set_events"), ...TRACED],
  ["utrace_set_events", -ESRCH, call("utrace_set_events"), ...TRACED, task("task-dead")],
  ["utrace_set_events", -EALREADY, call("utrace_set_events"), ...TRACED],
  ["utrace_set_events", -EINPROGRESS, call("utrace_set_events"), ...TRACED],
  ["utrace_barrier", 0, call("utrace_barrier"), ...TRACED, report(EXEC), callback(EXEC)],
  ["utrace_barrier", 0, call("utrace_barrier"), ...TRACED, engine("engine-detaching")],
  ["utrace_barrier", -EINVAL, call("utrace_barrier"), ...TRACED],
  [PREPARE, 0, call(PREPARE), ...TRACED],
  [PREPARE, 0, call(PREPARE), ...TRACED, wants(true), task("task-dead")],
  [PREPARE, -EINVAL, call(PREPARE), ...STOPPED],
  [PREPARE, -ESRCH, call(PREPARE), ...STOPPED],
  [PREPARE, -EAGAIN, call(PREPARE), ...STOPPED],
  [FINISH, 0, call(FINISH), ...STOPPED],
  [FINISH, 0, call(FINISH), ...EXAMINED, task("task-killed"), task("stop-ended"), task("user-mode")],
  [FINISH, 0, call(FINISH), ...EXAMINED, wants(false)],
  [FINISH, -EINVAL, call(FINISH), ...EXAMINED],
  [FINISH, -EAGAIN, call(FINISH), ...EXAMINED],
  ["utrace_barrier", -ESRCH, call("utrace_barrier"), ...TRACED, engine("engine-detaching")],
];

const stateAfter = (history: readonly SpecEvent[]): SpecState => history.reduce(transition, EMPTY_WORLD);
const text = (history: readonly SpecEvent[]): string => history.map(({ type }) => type).join(", ");
const ruleOf = (name: string) => RULES.find((rule) => rule.name === name);

/** Expects the last event of a history to break a rule, in both forms of the machine. */
function expectIllegal(history: readonly SpecEvent[], name: string): void {
  const last = history.at(-1) as SpecEvent;
  const before = stateAfter(history.slice(0, -1));
  const message = `${last.type}: ${ruleOf(name)?.sentence} (${name})`;
  expect(() => transition(before, last)).toThrow(message);
  const run = new SpecRun();
  for (const event of history.slice(0, -1)) expect(run.step(event)).toBe(null);
  expect(run.step(last)?.name).toBe(name);
  // What is rejected changes nothing.
  expect(run.state).toEqual(before);
}

describe("rejects, naming the rule", () => {
  test.each(ILLEGAL.map(([rule, ...history]) => [rule, text(history), history] as const))(
    "%s: %s",
    (rule, _text, history) => expectIllegal(history, rule),
  );

  test("report_death after report_reap: reap-last", () => {
    const dying = [...TRACED, task("task-dead"), report(DEATH), task("task-reaped", 1, 9), engine("engine-detached")];
    const reaped = [...dying, callback(REAP, 20, 9), returned(UTRACE_RESUME, 20, 9)];
    // It is off the list besides, and that rule comes first; so the rule is asked itself.
    expect(ruleOf("reap-last")?.allows(stateAfter(reaped), callback(DEATH))).toBe(false);
    expect(ruleOf("reap-last")?.allows(stateAfter(dying), callback(DEATH))).toBe(true);
  });

  test("every rule that there is", () => {
    const shown = new Set([...ILLEGAL.map(([rule]) => rule), "reap-last"]);
    expect([...shown].sort()).toEqual(RULES.map(({ name }) => name).sort());
  });

  test.each(RULES)("$name has a sentence, and no other has its name", ({ name, sentence }) => {
    expect(sentence).toMatch(/^[a-z].*[^.]$/);
    expect(RULES.filter((rule) => rule.name === name)).toHaveLength(1);
  });
});

/** A history that a known defect brings about, each with its name: allowed, but in a strict world. */
const EXCUSED: readonly (readonly [excuse: string, rule: string, ...history: SpecEvent[]])[] = [
  [
    "report-of-stopped",
    "report-comes",
    ...STOPPED,
    call(CONTROL, UTRACE_REPORT),
    { type: "report-declined", by: TRACER, engine: 20 },
    wants(false),
    task("task-resumed", 1, TRACER),
    returns(CONTROL, 0),
    task("stop-ended"),
    task("user-return"),
  ],
  [
    "report-unannounced",
    "report-comes",
    ...TRACED,
    struct("report-unannounced"),
    ...asked(UTRACE_REPORT),
    task("user-return"),
  ],
  [
    "no-events",
    "report-comes",
    live(),
    attached(),
    struct("engines-spliced"),
    ...asked(UTRACE_REPORT),
    task("report-passed-by"),
    task("user-return"),
  ],
  [
    "jctl-takes-report",
    "report-comes",
    live(),
    attached(),
    ...asked(UTRACE_REPORT),
    report(UTRACE_EVENT.JCTL),
    task("report-end"),
    task("user-return"),
  ],
  [
    "signal-pass",
    "stop-comes",
    ...TRACED,
    events(EXEC),
    call(CONTROL, UTRACE_STOP),
    wants(true),
    returns(CONTROL, -EINPROGRESS),
    report(UTRACE_EVENT_SIGNAL_ALL),
    task("report-end"),
    task("user-return"),
  ],
  [
    "stop-after-last-detach",
    "last-resume-wakes",
    ...TRACED,
    task("task-stopped"),
    call(CONTROL, UTRACE_DETACH),
    engine("engine-detaching"),
    returns(CONTROL, 0),
  ],
];

describe("excuses a known defect of the posted code, and that alone", () => {
  test.each(EXCUSED.map(([excuse, rule, ...history]) => [excuse, rule, history] as const))(
    "%s: %s",
    (_excuse, rule, history) => {
      expect(() => stateAfter(history)).not.toThrow();
      expect(() => history.reduce(transition, { ...EMPTY_WORLD, strict: true })).toThrow(`(${rule})`);
      const run = new SpecRun(true);
      expect(history.map((event) => run.step(event)?.name).filter((name) => name !== undefined)).toEqual([rule]);
    },
  );

  test("each that there is", () => {
    expect(EXCUSED.map(([excuse]) => excuse)).toEqual(EXCUSES.map(({ name }) => name));
  });

  test("who asks once the task has taken the unannounced report gets one", () => {
    const taken = [...TRACED, struct("report-unannounced"), struct("report-taken"), ...asked(UTRACE_REPORT)];
    expectIllegal([...taken, task("user-return")], "report-comes");
  });

  test("a task that goes by a hook though an engine has asked for events has no excuse", () => {
    expectIllegal([...TRACED, ...asked(UTRACE_REPORT), task("report-passed-by"), task("user-return")], "report-comes");
  });
});

describe("a call returns nothing without a reason", () => {
  test.each(
    UNREASONABLE.map(([name, code, begin, ...before]) => [name, code, text(before), [...before, begin]] as const),
  )("%s: %d after %s", (name, code, _text, history) => {
    const result = code === 0 && name === "utrace_attach_task" ? 20 : code;
    expectIllegal([...history, returns(name, result)], "call-has-reason");
  });

  test("of every result that is documented, but for -ERESTARTSYS, which may come at any time", () => {
    const shown = new Set(UNREASONABLE.map(([name, code]) => `${name} ${code}`));
    const documented = RETURNS.filter(({ code }) => code !== -ERESTARTSYS);
    expect(documented.map(({ call: name, code }) => `${name} ${code}`).filter((row) => !shown.has(row))).toEqual([]);
  });

  test("a reason that held for a moment, and no more at the end, is enough", () => {
    const told = [callback(EXEC), returned(UTRACE_RESUME)];
    const begun = [...TRACED, report(EXEC), ...told, call(CONTROL, UTRACE_DETACH), task("report-end")];
    expect(stateAfter([...begun, engine("engine-detaching"), returns(CONTROL, -EINPROGRESS)]).calls.size).toBe(0);
    const late = [...TRACED, report(EXEC), ...told, task("report-end"), call(CONTROL, UTRACE_DETACH)];
    expectIllegal([...late, engine("engine-detaching"), returns(CONTROL, -EINPROGRESS)], "call-has-reason");
  });

  test("a wish to stop that somebody else has expressed meanwhile is not the call's", () => {
    const begun = [...TRACED, wants(true), call(CONTROL, UTRACE_RESUME), wants(false)];
    expect(stateAfter([...begun, returns(CONTROL, 0)]).engines.get(20)?.wantsStop).toBe(false);
    expect(stateAfter([...begun, wants(true, OTHER_TRACER), returns(CONTROL, 0)]).engines.get(20)?.wantsStop).toBe(
      true,
    );
    const answered = [report(EXEC), callback(EXEC), returned(UTRACE_STOP)];
    expect(stateAfter([...begun, ...answered, returns(CONTROL, 0)]).engines.get(20)?.wantsStop).toBe(true);
    expectIllegal([...begun, wants(true), returns(CONTROL, 0)], "last-word");
  });

  test("two callers' calls at once each have reasons of their own", () => {
    const both = [...TRACED, call(CONTROL, UTRACE_RESUME), call(CONTROL, UTRACE_DETACH, OTHER_TRACER)];
    const detached = [...both, engine("engine-detaching"), returns(CONTROL, 0, OTHER_TRACER)];
    expect(stateAfter([...detached, returns(CONTROL, 0)]).calls.size).toBe(0);
    expect(stateAfter([...detached, returns(CONTROL, -ESRCH)]).calls.size).toBe(0);
  });
});

describe("accepts", () => {
  test("a whole life, and the same addresses again in the next", () => {
    const life = [
      live(10),
      attached(20, 10),
      attached(21, 10),
      struct("engines-spliced"),
      engine("engine-detaching", 20),
      engine("engine-detached", 20),
      engine("engine-put", 20),
      engine("engine-put", 20),
      engine("engine-freed", 20),
      engine("engine-detached", 21),
      engine("engine-put", 21),
      struct("struct-dying"),
      struct("struct-freed"),
      engine("engine-put", 21),
      engine("engine-freed", 21),
    ];
    const once = stateAfter(life);
    expect(once).toEqual({ ...EMPTY_WORLD, attached: 2 });
    expect(life.reduce(transition, once)).toEqual({ ...EMPTY_WORLD, attached: 4 });
  });

  test("a new struct of a task whose old one is dying", () => {
    expect(stateAfter([live(10), struct("struct-dying"), live(11)]).structs).toEqual(
      new Map([
        [10, { life: "dying", task: 1, unannounced: false }],
        [11, { life: "live", task: 1, unannounced: false }],
      ]),
    );
  });

  test("an event that an engine no longer wants, until it is told that nobody can have read its old mask", () => {
    const changed = [...TRACED, call("utrace_set_events", QUIESCE), report(EXEC), events(QUIESCE)];
    const still = [...changed, returns("utrace_set_events", -EINPROGRESS), callback(EXEC), returned(UTRACE_RESUME)];
    expect(stateAfter(still).engines.get(20)?.may).toBe(QUIESCE | EXEC | DEATH | REAP);
    const waited = [...still, task("report-end"), call("utrace_barrier"), returns("utrace_barrier", 0), report(EXEC)];
    expectIllegal([...waited, callback(EXEC)], "callback-wanted");
  });

  test("a stop, a resume, user code", () => {
    const stopped = [
      ...TRACED,
      report(0),
      callback(QUIESCE),
      returned(UTRACE_STOP),
      task("report-end"),
      task("task-stopped"),
    ];
    const resumed = [...stopped, wants(false), task("task-resumed", 1, TRACER), task("stop-ended"), task("user-mode")];
    expect(stateAfter(resumed).tasks.get(1)?.stop).toBe("running");
  });

  test("a stop that somebody asked for is not owed to an engine that has detached itself since", () => {
    const history = [
      ...TRACED,
      events(QUIESCE),
      call(CONTROL, UTRACE_STOP),
      wants(true),
      returns(CONTROL, -EINPROGRESS),
      report(UTRACE_EVENT_SIGNAL_ALL),
      callback(UTRACE_EVENT.SIGNAL),
      returned(UTRACE_DETACH),
      engine("engine-detaching"),
      task("report-end"),
      task("user-return"),
    ];
    expect(() => stateAfter(history)).not.toThrow();
  });

  test("a stop that SIGKILL ends, though an engine still wants it", () => {
    const stopped = [...TRACED, wants(true), task("task-stopped"), task("task-killed", 1, TRACER), task("stop-ended")];
    expect(stateAfter([...stopped, task("user-mode"), task("task-exiting")]).tasks.get(1)?.killed).toBe(false);
  });

  test("an examination: 0 from both ends while the task stays in its stop, -EAGAIN once it has run", () => {
    expect(stateAfter([...EXAMINED, call(FINISH), returns(FINISH, 0)]).exams.size).toBe(0);
    const ran = [...EXAMINED, task("task-killed", 1, OTHER_TRACER), task("stop-ended")];
    expect(stateAfter([...ran, call(FINISH), returns(FINISH, -EAGAIN)]).exams.size).toBe(0);
    // One that another caller has begun is his.
    expectIllegal([...EXAMINED, call(FINISH, 0, OTHER_TRACER), returns(FINISH, 0, OTHER_TRACER)], "call-has-reason");
  });

  test("an examination of the caller himself", () => {
    expect(stateAfter([...TRACED, call(PREPARE, 0, 1), returns(PREPARE, 0, 1)]).calls.size).toBe(0);
    expect(stateAfter([...TRACED, call(FINISH, 0, 1), returns(FINISH, 0, 1)]).calls.size).toBe(0);
  });

  test("signals under any of their events", () => {
    const wanting = [live(), attached(), struct("engines-spliced"), events(UTRACE_EVENT.SIGNAL_TERM)];
    const told = [...wanting, report(UTRACE_EVENT_SIGNAL_ALL), callback(UTRACE_EVENT.SIGNAL)];
    expect(stateAfter(told).tasks.get(1)?.running).toBe(20);
  });

  // `npm run spec:legal` takes a million.
  const STEPS = 200_000;
  test(`${STEPS} random legal steps, made by a utrace that is written down apart from the rules`, () => {
    const { accepted, types: seen, rejected } = takeLegalSteps(STEPS, 20080826);
    expect([accepted, rejected]).toEqual([STEPS, null]);
    // Every type of event was among them, often.
    expect([...seen].filter(([, count]) => count <= 50)).toEqual([]);
    const types = [...new Set(RULES.flatMap(({ on }) => on)), ...UNRULED].filter((type) => type !== "task-given-back");
    expect([...seen.keys()].sort()).toEqual(types.sort());
  });
});

/** Types of event that no rule is about: they are always allowed. (Only ptrace gives a task back.) */
const UNRULED = ["engines-spliced", "events-set", "kill-wakes", "task-exiting", "task-killed", "wants-stop"];

test("the pure form and the running one go through the same states", () => {
  const world = new WellBehaved(1);
  const run = new SpecRun();
  let state = EMPTY_WORLD;
  for (let step = 0; step < 2000; step++) {
    const event = world.next();
    state = transition(state, event);
    run.step(event);
  }
  expect(run.state).toEqual(state);
});

test("a transition leaves the state it was given as it was", () => {
  const before = stateAfter(TRACED);
  const copy = structuredClone(before);
  transition(before, struct("struct-dying"));
  expect(before).toEqual(copy);
  expect(() => transition(before, live(11))).toThrow(Illegal);
  expect(before).toEqual(copy);
});
