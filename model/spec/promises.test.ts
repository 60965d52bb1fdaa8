/** What the posted code promises and does not keep: each known defect in a run, excused, and seen in a strict world. */
import { describe, expect, test } from "vitest";
import { kernel, smp_mb } from "../../sim/index.ts";
import { syscall, user_mode } from "../linux/entry.ts";
import { attach, inUserMode, loggingOps, type ModelOptions, Play } from "../testProgram.ts";
import { utrace_control } from "../utrace/control.ts";
import { UTRACE_EVENT, UTRACE_REPORT, UTRACE_RESUME, UTRACE_STOP } from "../utrace/events.ts";
import { NoteReader } from "./observer.ts";
import { SpecRun } from "./spec.ts";

const { QUIESCE } = UTRACE_EVENT;

const nothing_much = kernel(function* sys_getpid() {
  yield* smp_mb();
});
/** Goes into the kernel and back, again and again. */
const calls = kernel(function* calls_loop() {
  for (;;) {
    yield* user_mode(1000);
    yield* syscall(nothing_much);
  }
});

/** A target, its log of callbacks, and the rules that it breaks if nothing is excused, in their order. */
function watched(options: ModelOptions = {}) {
  const play = new Play(options);
  const broken: string[] = [];
  const reader = new NoteReader();
  const strict = new SpecRun(true);
  const inner = play.machine.onNote;
  play.machine.onNote = (context, subject, pointer, value) => {
    inner?.(context, subject, pointer, value);
    const event = reader.eventOf(context.softirq ? 0 : context.task, subject, pointer, value);
    const rule = event === null ? null : strict.step(event);
    if (rule !== null && !broken.includes(rule.name)) broken.push(rule.name);
  };
  const target = play.process("target", calls);
  play.run("target", inUserMode);
  const log: string[] = [];
  /** A few times into the kernel and back. */
  const goOn = (): void => {
    for (let steps = 0; steps < 60; steps++) play.step("target");
  };
  return { play, target, log, broken, goOn };
}

describe("UTRACE_REPORT", () => {
  test("of a running task: the report comes, and no promise is broken", () => {
    const { play, target, log, broken, goOn } = watched();
    const engine = attach(play, target, loggingOps(log, "A", { report_quiesce: UTRACE_RESUME }), QUIESCE);
    expect(play.call(() => utrace_control(target, engine, UTRACE_REPORT))).toBe(0);
    goOn();
    expect([log, broken, play.findings()]).toEqual([["A quiesce(0)"], [], []]);
  });

  test("of a stopped task: it runs on without one (report-of-stopped)", () => {
    const { play, target, log, broken, goOn } = watched();
    const engine = attach(play, target, loggingOps(log, "A", { report_quiesce: UTRACE_STOP }), QUIESCE);
    play.call(() => utrace_control(target, engine, UTRACE_REPORT));
    play.run("target");
    expect(play.look(target).utrace).toContain("stopped");
    expect(play.call(() => utrace_control(target, engine, UTRACE_REPORT))).toBe(0);
    goOn();
    expect([log, broken, play.findings()]).toEqual([["A quiesce(0)"], ["report-comes"], []]);
  });

  test.each([
    ["as posted, it stays away (report-unannounced)", [], [], ["report-comes"]],
    ["with notify-at-attach, it comes", ["notify-at-attach"], ["A quiesce(0)"], []],
  ] as const)("after another attach: %s", (_what, patches, told, wrong) => {
    const { play, target, log, broken, goOn } = watched({ patches });
    const engine = attach(play, target, loggingOps(log, "A", { report_quiesce: UTRACE_RESUME }), QUIESCE);
    attach(play, target, {});
    expect(play.call(() => utrace_control(target, engine, UTRACE_REPORT))).toBe(0);
    goOn();
    expect([log, broken, play.findings()]).toEqual([told, wrong, []]);
  });

  test("by an engine that has asked for no events, and is alone: the task goes by its hooks (no-events)", () => {
    const { play, target, broken, goOn } = watched();
    const engine = attach(play, target, {});
    expect(play.call(() => utrace_control(target, engine, UTRACE_REPORT))).toBe(0);
    goOn();
    expect([broken, play.findings()]).toEqual([["report-comes"], []]);
  });
});
