/** The implementation under the eyes of the specification. */
import { describe, expect, test } from "vitest";
import { execute, type Finding, kernel, makeStrategy, note, type Program, type Ptr } from "../../sim/index.ts";
import { user_mode } from "../linux/entry.ts";
import { TASK } from "../linux/structs.ts";
import { attach, inUserMode, modelProgram, traced, tracedAndStopped } from "../testProgram.ts";
import { utrace_control } from "../utrace/control.ts";
import { UTRACE_DETACH } from "../utrace/events.ts";
import { eventOfNote } from "./observer.ts";

describe("eventOfNote", () => {
  test.each([
    ["struct-live", { type: "struct-live", utrace: 10, task: 7 }],
    ["struct-dying", { type: "struct-dying", utrace: 10 }],
    ["struct-freed", { type: "struct-freed", utrace: 10 }],
    ["engine-attached", { type: "engine-attached", engine: 10, utrace: 7 }],
    ["engine-detached", { type: "engine-detached", engine: 10 }],
    ["engine-freed", { type: "engine-freed", engine: 10 }],
    ["something else", null],
  ])("of %s", (subject, event) => {
    expect(eventOfNote(subject, 10, 7)).toEqual(event);
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
  test("is a finding with the rule, the state of the specification and the event", () => {
    const [finding, ...others] = divergences(saying(["struct-live", 10, 1], ["struct-freed", 10, 0]));
    expect(others).toEqual([]);
    expect(finding).toMatchObject({
      kind: "spec-divergence",
      title: "struct-freed: only a struct that was taken from its task is freed",
      function: "says",
      task: "liar",
      fatal: false,
    });
    const details = finding?.details as { readonly type: "message"; readonly message: string };
    expect(details.type).toBe("message");
    expect(details.message).toBe(
      'only a struct that was taken from its task is freed; spec state: {"structs":{"10":{"phase":"live","task":1}},"engines":{}}; ' +
        'event: {"type":"struct-freed","utrace":10}',
    );
  });

  test("is reported once: what follows from it is not", () => {
    const twice = saying(["engine-freed", 20, 0], ["engine-freed", 20, 0], ["struct-dying", 10, 0]);
    expect(divergences(twice).map(({ title }) => title)).toEqual(["engine-freed: only a detached engine is freed"]);
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
    "spec-divergence: struct-freed: only a struct that was taken from its task is freed",
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
