/** docs/coverage.md is true: every function of the posted files is in it, is where it says, and has the test it names. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { SCENARIOS } from "../scenarios/index.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const page = read("docs/coverage.md");

/** The functions of kernel/utrace.c as posted, in their order there. */
const UTRACE_C = `
utrace_init
utrace_first_engine
utrace_free
rcu_utrace_free
__utrace_engine_release
engine_matches
matching_engine
alloc_engine
utrace_attach_task
utrace_attach_pid
splice_attaching
utrace_detached_quiesce
utrace_detached_reap
utrace_stop
get_utrace_lock
put_detached_list
utrace_reap
utrace_release_task
mark_engine_wants_stop
clear_engine_wants_stop
engine_wants_stop
utrace_set_events
mark_engine_detached
utrace_do_stop
utrace_wakeup
utrace_reset
utrace_control
utrace_barrier
start_report
finish_report
finish_callback
start_callback
utrace_report_exec
utrace_report_syscall_entry
utrace_report_syscall_exit
utrace_report_clone
utrace_report_jctl
utrace_report_exit
utrace_report_death
finish_resume_report
utrace_resume
utrace_interrupt_pending
push_back_signal
utrace_get_signal
utrace_signal_handler
utrace_prepare_examine
utrace_finish_examine
utrace_tracer_task
utrace_unsafe_exec
task_utrace_proc_status
`
  .trim()
  .split(/\s+/);

/** Those of include/linux/tracehook.h with the patch applied. */
const TRACEHOOK_H = `
tracehook_expect_breakpoints
ptrace_report_syscall
tracehook_report_syscall_entry
tracehook_report_syscall_exit
tracehook_unsafe_exec
tracehook_tracer_task
tracehook_report_exec
tracehook_report_exit
tracehook_prepare_clone
tracehook_finish_clone
tracehook_report_clone
tracehook_report_clone_complete
tracehook_report_vfork_done
tracehook_prepare_release_task
tracehook_finish_release_task
tracehook_signal_handler
tracehook_consider_ignored_signal
tracehook_consider_fatal_signal
tracehook_force_sigpending
tracehook_get_signal
tracehook_notify_jctl
tracehook_notify_death
tracehook_report_death
set_notify_resume
tracehook_notify_resume
`
  .trim()
  .split(/\s+/);

/** The rows of the table under a heading, without its header. */
function rows(heading: string): string[][] {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? "";
  const lines = section.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );
}

const plain = (cell: string | undefined): string => (cell ?? "").replaceAll("`", "");

/** File and name of the test in the last cell of a row. */
const testOf = (row: readonly string[]): [file: string, name: string] => {
  const [, file = "", name = ""] = /^`([^`]+)`: (.*)$/.exec(row.at(-1) ?? "") ?? [];
  return [file, name];
};

const HEADINGS = ["kernel/utrace.c", "include/linux/utrace.h", "include/linux/tracehook.h", "ptrace"];
const functions = HEADINGS.flatMap(rows);
const modelled = functions.filter(([, where]) => where !== "not modelled");

test("every function of the posted kernel/utrace.c is in the table, and no other", () => {
  expect(rows("kernel/utrace.c").map(([name]) => plain(name))).toEqual(UTRACE_C);
});

test("every function of the tracehook layer is in the table, and no other", () => {
  expect(rows("include/linux/tracehook.h").map(([name]) => plain(name))).toEqual(TRACEHOOK_H);
});

test.each(modelled.map((row) => [plain(row[0]), plain(row[1])] as const))("%s is in %s", (name, file) => {
  expect(read(file)).toMatch(new RegExp(`\\* ?${name}\\(|const ${name} = `));
});

test("what is not modelled says why", () => {
  const reasons = functions.filter((row) => !modelled.includes(row)).map(([name, , why]) => [plain(name), why]);
  expect(reasons).toEqual([["utrace_init", expect.stringMatching(/^no step of a run: /)]]);
});

describe("the tests that it names are there", () => {
  const named = [...modelled, ...rows("Errors")].map(testOf);

  test.each([...new Map(named.map(([file, name]) => [`${file} ${name}`, [file, name] as const])).values()])(
    "%s: %s",
    (file, name) => {
      expect(read(file)).toContain(name);
    },
  );
});

test("every pair of resume actions: the file is there", () => {
  expect(page).toContain("model/utrace/pairs.test.ts");
  expect(existsSync(join(ROOT, "model/utrace/pairs.test.ts"))).toBe(true);
});

test("every conflict has its scenario and its witness", () => {
  const conflicts = rows("Conflicts of ptrace and utrace");
  expect(new Set(conflicts.map(([number]) => number)).size).toBe(8);
  for (const [, , scenario, witness] of conflicts) {
    expect(SCENARIOS.map(({ name }) => name)).toContain(plain(scenario));
    expect(JSON.parse(read(plain(witness)))).toMatchObject({ scenario: plain(scenario) });
  }
});
