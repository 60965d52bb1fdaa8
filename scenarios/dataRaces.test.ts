/**
 * The data races of the posted code, and of the kernel under it: which fields have them, and which are marked as plain
 * on purpose and have none. docs/decisions/013 has the list with its functions.
 */
import { describe, expect, test } from "vitest";
import { execute, makeStrategy, seedOfRun } from "../sim/index.ts";
import { SCENARIOS } from "./index.ts";
import { resolveParameters } from "./parameters.ts";

const RUNS = 12;
const NAMES = [
  "attach-detach-exec",
  "attach-detach-exec-kill",
  "two-engines",
  "exit-attach",
  "reap-detach",
  "stop-resume",
  "thread-exec",
  "ptrace-hides-target",
];

/** Fields that race as posted. */
const KNOWN = new Set([
  "task_struct->exit_state",
  "task_struct->utrace",
  "task_struct->utrace_flags",
  "utrace->stopped",
  "utrace->report",
  "utrace->interrupt",
  "utrace->signal_handler",
  "utrace->wants_report",
  "utrace_attached_engine->flags",
  "utrace_attached_engine->ops",
  // The kernel's own: do_group_exit, exit_notify and thread_group_empty look without the lock.
  "signal_struct->flags",
  "signal_struct->group_exit_code",
  "signal_struct->group_exit_task",
  "list_head->next",
]);

const LIFETIMES = ["pointer", "embedded", "lazy"] as const;
type Lifetime = (typeof LIFETIMES)[number];

/** Title of each race that some run shows. */
function racesUnder(lifetime: Lifetime): string[] {
  const titles = new Set<string>();
  for (const scenario of SCENARIOS.filter(({ name }) => NAMES.includes(name))) {
    const program = scenario.program(resolveParameters({ checks: "data-race", lifetime }));
    for (let run = 0; run < RUNS; run++) {
      const { findings } = execute(program, makeStrategy("random", seedOfRun("1", run)));
      for (const { kind, title } of findings) if (kind === "data-race") titles.add(title);
    }
  }
  return [...titles];
}
const RACES = new Map(LIFETIMES.map((lifetime) => [lifetime, racesUnder(lifetime)]));
const racesOf = (lifetime: Lifetime): string[] => RACES.get(lifetime) ?? [];

const fieldOf = (title: string): string => /\((.*)\)$/.exec(title)?.[1] ?? title;

describe.each(LIFETIMES)("lifetime %s", (lifetime) => {
  const races = racesOf(lifetime);

  test("utrace_control and utrace_set_events look at exit_state while exit_notify stores it (Peter Zijlstra)", () => {
    const titles = ["utrace_control", "utrace_set_events"].map(
      (name) => `BUG: KCSAN: data-race in exit_notify / ${name} (task_struct->exit_state)`,
    );
    expect(races).toEqual(expect.arrayContaining(titles));
  });

  test("no other field races than is known", () => {
    expect(races.filter((title) => !KNOWN.has(fieldOf(title)))).toEqual([]);
  });
});

test("the bits of struct utrace are read without its lock as posted, under it when embedded", () => {
  const unlocked = "BUG: KCSAN: data-race in start_report / utrace_attach_task (utrace->report)";
  expect(racesOf("pointer")).toContain(unlocked);
  expect(racesOf("embedded")).not.toContain(unlocked);
});
