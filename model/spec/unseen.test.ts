/** Reasons that a caller may see for longer than they hold, as the store that ends them is in a store buffer. */
import { describe, expect, test } from "vitest";
import { BARRIER, LOAD, SPIN_LOCK, SPIN_UNLOCK, STORE } from "../../sim/op.ts";
import { EINPROGRESS, ESRCH } from "../linux/errno.ts";
import { at, attach, type Play, traced } from "../testProgram.ts";
import { utrace_control, utrace_set_events } from "../utrace/control.ts";
import { UTRACE_DETACH, UTRACE_EVENT, UTRACE_REPORT, UTRACE_RESUME, UTRACE_STOP } from "../utrace/events.ts";
import { ENGINE, UTRACE } from "../utrace/structs.ts";
import type { SpecEvent } from "./events.ts";
import { SpecRun } from "./spec.ts";
import { call, engine, returns, TRACED, task } from "./testEvents.ts";

const NO_REASON =
  "spec-divergence: call-end: a call returns what there was a reason for while it ran (call-has-reason)";

/** A target that has made a report of report_quiesce, and not drained its store buffer since. */
function reported(memory: "sc" | "tso", answer: number) {
  const made = traced({ memory, answers: { report_quiesce: answer }, events: UTRACE_EVENT.QUIESCE });
  const { play, target, engine } = made;
  play.call(() => utrace_control(target, engine, UTRACE_REPORT));
  play.flush();
  return made;
}
const toLock = (play: Play): Play => play.run("target", at(SPIN_LOCK, undefined, "finish_resume_report"));

describe("a report has ended, and its callers", () => {
  test.each([
    ["may see it until the store is drained", "tso", -EINPROGRESS],
    ["see that at once, as there is no store buffer", "sc", 0],
  ] as const)("%s", (_what, memory, before) => {
    const { play, target, engine } = reported(memory, UTRACE_RESUME);
    toLock(play);
    expect(play.call(() => utrace_set_events(target, engine, 0))).toBe(before);
    play.flush();
    expect(play.call(() => utrace_set_events(target, engine, 0))).toBe(0);
    expect(play.findings()).toEqual([]);
  });

  test("may see it where they detach", () => {
    const { play, target, engine } = reported("tso", UTRACE_RESUME);
    toLock(play);
    expect(play.call(() => utrace_control(target, engine, UTRACE_DETACH))).toBe(-EINPROGRESS);
    expect(play.findings()).toEqual([]);
  });

  test.each(["sc", "tso"] as const)("have no reason to see it any more: %s", (memory) => {
    const { play, target, engine } = reported(memory, UTRACE_RESUME);
    toLock(play).flush();
    // As if the code forgot to clear it.
    play.poke(play.utraceOf(target), UTRACE.reporting, engine);
    expect(play.call(() => utrace_set_events(target, engine, 0))).toBe(-EINPROGRESS);
    expect(play.findings()).toEqual([NO_REASON]);
  });
});

describe("a callback has detached its engine, and its callers", () => {
  test.each([
    ["may find it attached until the store is drained", false, 0],
    ["find it gone after that", true, -ESRCH],
  ] as const)("%s", (_what, flushes, result) => {
    const { play, target, engine } = reported("tso", UTRACE_DETACH);
    play.run("target", at(STORE, ENGINE.ops, "finish_callback")).step("target");
    if (flushes) play.flush();
    expect(play.call(() => utrace_control(target, engine, UTRACE_RESUME))).toBe(result);
    expect(play.findings()).toEqual([]);
  });

  test("have no reason to find it attached after that", () => {
    const { play, target, engine } = reported("tso", UTRACE_DETACH);
    play.run("target", at(STORE, ENGINE.ops, "finish_callback"));
    const ops = play.peek(engine, ENGINE.ops);
    play.step("target").flush();
    // As if the code had not marked it.
    play.poke(engine, ENGINE.ops, ops);
    expect(play.call(() => utrace_control(target, engine, UTRACE_RESUME))).toBe(0);
    expect(play.findings()).toEqual([NO_REASON]);
  });
});

describe("a callback answers STOP while the mark of an earlier wish is being taken away", () => {
  /** A target that is asked to stop by its engine, up to the end of its callback; then the wish is taken back. */
  function answered(memory: "sc" | "tso") {
    const made = traced({ memory, answers: { report_quiesce: UTRACE_STOP }, events: UTRACE_EVENT.QUIESCE });
    const { play, target, engine } = made;
    play.call(() => utrace_control(target, engine, UTRACE_STOP));
    play.flush().run("target", at(BARRIER, undefined, "A_report_quiesce"));
    play.start("resumer", () => utrace_control(target, engine, UTRACE_RESUME));
    play.run("resumer", at(SPIN_UNLOCK, undefined, "utrace_control"));
    return made;
  }
  const looked = (play: Play): Play => play.run("target", at(LOAD, ENGINE.flags, "finish_callback")).step("target");

  test.each([
    ["tso: it finds the mark, which then goes: the wish is lost, as if it had been taken back later", "tso", false],
    ["sc: it finds none, and makes one", "sc", true],
  ] as const)("%s", (_what, memory, wants) => {
    const { play, target, engine } = answered(memory);
    looked(play).run("resumer").flush().run("target").flush();
    expect([play.look(target).utrace, play.wantsStop(engine)]).toEqual([["stopped"], wants]);
    play.call(() => utrace_control(target, attach(play, target, {}), UTRACE_RESUME));
    play.flush();
    expect([play.look(target).utrace?.includes("stopped"), play.findings()]).toEqual([wants, []]);
  });

  test("a mark that is lost without that is a finding: tso", () => {
    const { play, target, engine } = answered("tso");
    play.run("resumer").flush().run("target").flush();
    expect(play.wantsStop(engine)).toBe(true);
    // As if the code had not marked it.
    play.poke(engine, ENGINE.flags, UTRACE_EVENT.QUIESCE);
    play.call(() => utrace_control(target, attach(play, target, {}), UTRACE_RESUME));
    expect(play.findings()).toEqual([
      "spec-divergence: task-resumed: nobody resumes a task that an engine wants stopped (stop-wanted)",
    ]);
  });
});

describe("reasons outlast", () => {
  const SEEN: SpecEvent = { type: "store-seen", by: 1 };
  const unseen = (event: SpecEvent): SpecEvent => ({ ...event, unseen: true });
  const detaching = (by: number): SpecEvent => unseen({ ...engine("engine-detaching"), by });
  const resumes = (result: number): SpecEvent[] => [
    call("utrace_control", UTRACE_RESUME),
    returns("utrace_control", result),
  ];

  test.each<[what: string, broken: boolean, ...history: SpecEvent[]]>([
    ["a death that is not seen yet", false, unseen(task("task-dead")), ...resumes(0)],
    ["... but is no reason not to know of it", false, unseen(task("task-dead")), ...resumes(-ESRCH)],
    [
      "one that began before it was seen",
      false,
      unseen(task("task-dead")),
      call("utrace_control", UTRACE_RESUME),
      SEEN,
      returns("utrace_control", 0),
    ],
    ["not one that is seen", true, unseen(task("task-dead")), SEEN, ...resumes(0)],
    ["not one that was seen at once", true, task("task-dead"), ...resumes(0)],
    [
      "not for its own calls",
      true,
      unseen(task("task-dead")),
      call("utrace_control", UTRACE_RESUME, 1),
      returns("utrace_control", 0, 1),
    ],
    ["not under the lock, where another has detached", true, detaching(9), ...resumes(0)],
    ["where the task itself has", false, detaching(1), ...resumes(0)],
    ["both of two", false, detaching(1), unseen(task("task-dead")), ...resumes(0)],
    ["not the older of two once it is seen", true, detaching(1), unseen(task("task-dead")), SEEN, ...resumes(0)],
  ])("%s", (_what, broken, ...history) => {
    const run = new SpecRun();
    const rules = [...TRACED, ...history].map((event) => run.step(event)?.name);
    expect(rules.findLast((name) => name !== undefined)).toBe(broken ? "call-has-reason" : undefined);
  });
});
