/** The implementation under the eyes of the specification. */
import { describe, expect, test } from "vitest";
import { execute, type Finding, kernel, makeStrategy, note, type Program, type Ptr } from "../../sim/index.ts";
import { user_mode } from "../linux/entry.ts";
import { TASK } from "../linux/structs.ts";
import { attach, inUserMode, modelProgram, traced, tracedAndStopped } from "../testProgram.ts";
import { utrace_control } from "../utrace/control.ts";
import { UTRACE_DETACH } from "../utrace/events.ts";
import { NoteReader } from "./observer.ts";
import { attach as attach_, call } from "./testEvents.ts";

describe("NoteReader", () => {
  test.each([
    ["struct-live", { type: "struct-live", by: 1, utrace: 10, task: 7 }],
    ["struct-dying", { type: "struct-dying", by: 1, utrace: 10 }],
    ["engine-attached", { type: "engine-attached", by: 1, engine: 10, utrace: 7 }],
    ["engine-freed", { type: "engine-freed", by: 1, engine: 10 }],
    ["wants-stop", { type: "wants-stop", by: 1, engine: 10, wants: true }],
    ["user-mode", { type: "user-mode", by: 1, task: 10 }],
    ["report-begin", { type: "report-begin", by: 1, task: 10, event: 7 }],
    ["callback-end", { type: "callback-end", by: 1, engine: 10, action: 7 }],
    ["utrace_control returns", { type: "call-end", by: 1, call: "utrace_control", result: 7 }],
    ["something else", null],
  ])("of %s", (subject, event) => {
    expect(new NoteReader().eventOf(1, subject, 10, 7)).toEqual(event);
  });

  test("of a call on an engine, and of an attach with what was noted before it", () => {
    const reader = new NoteReader();
    expect(reader.eventOf(1, "utrace_control", 20, 3)).toEqual(call("utrace_control", 3, 1));
    expect(reader.eventOf(1, "call-keys", 5, 6)).toBe(null);
    expect(reader.eventOf(1, "utrace_attach_task", 10, 7)).toEqual(attach_(7, 5, 6, 10, 1));
  });
});

/** A run in which a task says these things of itself. */
const saying = (...notes: [subject: string, pointer: Ptr, value: number][]): Program => {
  const says = kernel(function* says() {
    for (const [subject, pointer, value] of notes) {
      yield* user_mode(1000);
      yield* note(subject, pointer, value);
    }
  });
  return modelProgram((booted) => booted.process({ comm: "liar", pid: 200 }, says));
};
const divergences = (program: Program): Finding[] =>
  execute(program, makeStrategy("random", "1")).findings.filter(({ kind }) => kind === "spec-divergence");

describe("a divergence", () => {
  test("is a finding with the rule, the step, the state of the specification, and what would have been allowed", () => {
    const [finding, ...others] = divergences(saying(["struct-live", 10, 1], ["struct-freed", 10, 0]));
    expect(others).toEqual([]);
    expect(finding).toMatchObject({
      kind: "spec-divergence",
      title: "struct-freed: only a struct that was taken from its task is freed, once (struct-freed)",
      function: "says",
      task: "liar",
      fatal: false,
    });
    const details = finding?.details as { readonly type: "message"; readonly message: string };
    expect(details.type).toBe("message");
    expect(details.message.replace(/ffff[0-9a-f]{12}/g, "ADDR")).toBe(
      [
        "only a struct that was taken from its task is freed, once (rule struct-freed)",
        "step: struct-freed by=ADDR utrace=000000000000000a",
        "task 0000000000000001: life=alive stop=running killed=false report=-1 running=0 callback=0 lastOrder=-1 jctl=false orphan=false",
        "struct 000000000000000a: live",
        "allowed: struct-dying",
      ].join("; "),
    );
  });

  test("of a call says what it may have returned", () => {
    const [finding] = divergences(saying(["utrace_control", 20, 0], ["utrace_control returns", 20, -11]));
    const details = finding?.details as { readonly message: string };
    expect(details.message).toContain("; allowed: utrace_control returns -EINVAL, utrace_control returns -ESRCH");
  });

  test("is reported once: what follows from it is not", () => {
    const twice = saying(["engine-freed", 20, 0], ["engine-freed", 20, 0], ["struct-dying", 10, 0]);
    expect(divergences(twice).map(({ title }) => title)).toEqual([
      "engine-freed: only an engine that is off all lists is released, once (released-detached)",
    ]);
  });

  test("is none where the notes are legal, or about something else", () => {
    expect(
      divergences(saying(["struct-live", 10, 1], ["weather", 1, 2], ["struct-dying", 10, 0], ["struct-freed", 10, 0])),
    ).toEqual([]);
  });

  test("is not looked for without the check", () => {
    const lies = kernel(function* lies() {
      yield* note("struct-freed", 10, 0);
      yield* user_mode(1000);
    });
    const program = modelProgram((booted) => booted.process({ comm: "liar", pid: 200 }, lies), { checks: ["kasan"] });
    expect(divergences(program)).toEqual([]);
  });
});

test("a second free of a struct utrace, planted in a run of the model, is found at its step", () => {
  const { play, target, engine } = tracedAndStopped();
  const utrace = play.peek(target, TASK.utrace);
  play.call(() => utrace_control(target, engine, UTRACE_DETACH));
  play.run("target", inUserMode).rcu();
  expect(play.findings()).toEqual([]);
  play.call(() => note("struct-freed", utrace, 0));
  expect(play.findings()).toEqual([
    "spec-divergence: struct-freed: only a struct that was taken from its task is freed, once (struct-freed)",
  ]);
});

test("attach, detach and reap of the model are legal lives", () => {
  const { play, target, engine } = traced();
  const second = attach(play, target, {});
  play.call(() => utrace_control(target, engine, UTRACE_DETACH));
  play.call(() => utrace_control(target, second, UTRACE_DETACH));
  play.step("target").run("target", inUserMode);
  attach(play, target, {});
  expect(play.findings()).toEqual([]);
});
