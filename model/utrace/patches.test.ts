/** Each named fix: the defect without it, and with it the same situation without the defect. */
import { describe, expect, test } from "vitest";
import type { Context } from "../../sim/context.ts";
import { SPIN_LOCK } from "../../sim/op.ts";
import { syscall, user_mode } from "../linux/entry.ts";
import { do_fork } from "../linux/fork.ts";
import { TIF_NOTIFY_RESUME } from "../linux/sched.ts";
import { kill_pid_info, SIGSTOP } from "../linux/signal.ts";
import { TASK } from "../linux/structs.ts";
import {
  at,
  attach,
  functionNames,
  inUserMode,
  loggingOps,
  named,
  STOPS,
  traced,
  userLoop,
  within,
} from "../testProgram.ts";
import { utrace_control } from "./control.ts";
import { UTRACE_DETACH, UTRACE_EVENT, UTRACE_INTERRUPT, UTRACE_REPORT, UTRACE_RESUME, UTRACE_STOP } from "./events.ts";
import type { Patch } from "./globals.ts";

const { QUIESCE, CLONE, JCTL } = UTRACE_EVENT;

/** What is wrong without a patch, and what is seen with it. */
function pair<T>(
  patch: Patch,
  what: string,
  play: (patches: readonly Patch[]) => T,
  without: unknown,
  mended: unknown,
): void {
  describe(patch, () => {
    test(`without: ${what}`, () => expect(play([])).toEqual(without));
    test("with: mended", () => expect(play([patch])).toEqual(mended));
  });
}

/** Comes to its end if it is let. */
const works = named("works", function* () {
  for (let round = 0; round < 3; round++) yield* user_mode(1000);
});

pair(
  "recheck-before-stop",
  "a detach just before the stop leaves the target there for ever",
  (patches) => {
    const { play, target, engine } = traced({ main: works, answers: STOPS, events: QUIESCE, patches });
    play.call(() => utrace_control(target, engine, UTRACE_STOP));
    play.run("target", at(SPIN_LOCK, undefined, "utrace_stop"));
    play.call(() => utrace_control(target, engine, UTRACE_DETACH));
    play.run("target");
    const engines = play.look(target).utrace !== null;
    play.toEnd();
    return { engines, hung: play.findings().filter((finding) => finding.startsWith("hung-task")) };
  },
  { engines: true, hung: ["hung-task: INFO: task target/100 blocked for more than 120 seconds."] },
  { engines: false, hung: [] },
);

test("recheck-before-stop: whoever is still wanted stopped, stops", () => {
  const { play, target, engine } = traced({
    answers: STOPS,
    events: QUIESCE,
    patches: ["recheck-before-stop", "notify-at-attach"],
  });
  const other = attach(play, target, loggingOps([], "B", {}));
  play.call(() => utrace_control(target, engine, UTRACE_STOP));
  play.run("target", at(SPIN_LOCK, undefined, "utrace_stop"));
  play.call(() => utrace_control(target, other, UTRACE_DETACH));
  play.run("target");
  expect(play.look(target)).toMatchObject({ runs: false, utrace: expect.arrayContaining(["stopped"]) });
});

pair(
  "sigpending-in-resume",
  "an interrupt seen before its TIF_SIGPENDING is set is a BUG in utrace_resume",
  (patches) => {
    const { play, target, engine, log } = traced({ answers: STOPS, events: QUIESCE, patches });
    play.call(() => utrace_control(target, engine, UTRACE_REPORT));
    play.start("tracer", () => utrace_control(target, engine, UTRACE_INTERRUPT));
    play.run("tracer", within("lock_task_sighand"));
    play.run("target");
    if (play.findings().length === 0) play.run("tracer").run("target");
    return { findings: play.findings(), log };
  },
  { findings: ["bug-on: kernel BUG at kernel/utrace.c:utrace_resume!"], log: [] },
  { findings: [], log: ["A quiesce(0)"] },
);

pair(
  "notify-at-attach",
  "a stop asked for right after a second attach never comes: `report` is set, TIF_NOTIFY_RESUME is not",
  (patches) => {
    const { play, target } = traced({ patches });
    const second = attach(play, target, loggingOps([], "B", STOPS), QUIESCE);
    play.call(() => utrace_control(target, second, UTRACE_STOP));
    const notified = (play.tif(target) & TIF_NOTIFY_RESUME) !== 0;
    return { notified, report: play.look(target).utrace };
  },
  { notified: false, report: ["report"] },
  { notified: true, report: ["report"] },
);

const forks = named("forks", function* () {
  yield* user_mode(1000);
  yield* syscall(do_fork, 0, "child", userLoop);
  for (;;) yield* user_mode(1000);
});

pair(
  "cloning-before-finish",
  "a detach from report_clone leaves `cloning` to be written to a struct that may be free",
  (patches) => {
    const answers = { report_clone: UTRACE_DETACH };
    const { play, target } = traced({ main: forks, answers, events: CLONE, patches });
    const givenUp = (): boolean => play.peek(target, TASK.utrace) === 0;
    const inReport = (context: Context): boolean => functionNames(context)[0] === "utrace_report_clone";
    play.run("target", (context) => givenUp() && (inReport(context) || inUserMode(context)));
    if (inReport(play.context("target"))) play.preempt("target").rcu();
    play.run("target", inUserMode);
    return play.findings().map((finding) => finding.split(":")[0]);
  },
  ["use-after-free"],
  [],
);

pair(
  "jctl-notify",
  "report_jctl gets the CLD_ code where it is promised whether the parent is told",
  (patches) => {
    const seen: number[] = [];
    const answers = {
      report_jctl: (...args: number[]) => {
        seen.push(args[3] as number, args[4] as number);
        return UTRACE_RESUME;
      },
    };
    const { play, target } = traced({ answers, events: JCTL, patches });
    const pid = play.booted.getPid(target);
    play.call(() => kill_pid_info(SIGSTOP, pid));
    play.run("target");
    return seen;
  },
  [5, 5],
  [5, 1],
);
