/** The example engines do what their pages say: the thing they are for happens, and no claim of theirs is broken. */
import { describe, expect, test } from "vitest";
import { execute, makeStrategy } from "../../sim/index.ts";
import { resolveParameters } from "../parameters.ts";
import type { Scenario } from "../scenario.ts";
import { breakpoint } from "./breakpoint.ts";
import { countSyscalls } from "./count-syscalls.ts";
import { followClone } from "./follow-clone.ts";
import { freezeBeforeCore } from "./freeze-before-core.ts";
import { twoDebuggers } from "./two-debuggers.ts";

const RUNS = 20;

/** Functions that must have run, in this order, in at least one of the runs. */
const EXAMPLES: readonly [Scenario, ...string[]][] = [
  [freezeBeforeCore, "freezer_report_signal", "utrace_stop", "utrace_finish_examine", "do_exit"],
  [countSyscalls, "count_syscall_entry", "sys_getppid", "count_syscall_exit", "utrace_control"],
  [breakpoint, "do_int3", "uprobe_report_signal", "do_debug", "uprobe_report_signal", "do_int3"],
  [twoDebuggers, "debugger_report_quiesce", "utrace_stop", "utrace_prepare_examine", "utrace_finish_examine"],
  [followClone, "follow_report_clone", "utrace_attach_task", "exe_followed", "follow_report_death"],
];

/** Whether these names come in this order among the functions that took steps. */
function inOrder(names: readonly string[], steps: readonly { readonly backtrace: readonly string[] }[]): boolean {
  let next = 0;
  let before = "";
  for (const { backtrace } of steps) {
    const now = backtrace.join("<");
    const name = names[next];
    if (now !== before && name !== undefined && backtrace.includes(name)) next++;
    before = now;
  }
  return next === names.length;
}

describe.each(["pointer", "embedded"])("over the lifetime %s", (lifetime) => {
  test.each(EXAMPLES)("$name", (scenario, ...names) => {
    const program = scenario.program(resolveParameters({ lifetime }));
    let seen = 0;
    for (let run = 0; run < RUNS || (seen === 0 && run < 10 * RUNS); run++) {
      const { findings, history } = execute(program, makeStrategy("random", `engines/${run}`), { record: seen === 0 });
      // The struct that a detach and release_task both leave to the other is known: a leak, and left of a freed task.
      const leaks = findings.some(({ kind }) => kind === "leak");
      const wrong = findings.filter(({ kind, title }) => {
        if (kind === "spec-divergence") return !(leaks && title.includes("task-leaves-nothing"));
        return kind === "property";
      });
      expect(wrong).toEqual([]);
      if (seen === 0 && inOrder(names, history)) seen++;
    }
    expect(seen).toBe(1);
  });
});
