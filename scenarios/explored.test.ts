/** The small form of attach-detach-exec, explored: what every schedule without preemptions shows, and what none does. */
import { describe, expect, test } from "vitest";
import { exploreMachine } from "../sim/index.ts";
import { attachDetachExecSmall } from "./attach-detach-exec.ts";
import { SCENARIOS } from "./index.ts";
import { type GivenParameters, resolveParameters } from "./parameters.ts";

const explored = (given: GivenParameters, options: Parameters<typeof exploreMachine>[1] = {}) =>
  exploreMachine(attachDetachExecSmall.program(resolveParameters(given)), { preemptions: 0, ...options });
const kindsOf = ({ findings }: ReturnType<typeof exploreMachine>): string[] =>
  findings.map(({ finding }) => `${finding.kind} in ${finding.function}`).sort();

describe("attach-detach-exec-small, every schedule without preemptions", () => {
  test("pointer: the woken task reads the freed struct; with poison it goes on to the BUG of the thread", () => {
    const result = explored({ config: "SLUB_DEBUG=y" });
    expect(result).toMatchObject({ complete: true, cutOff: 0, bounds: { preemptions: 0 } });
    expect(kindsOf(result)).toEqual([
      "bug-on in utrace_get_signal",
      "lock-misuse in utrace_stop",
      "use-after-free in utrace_stop",
    ]);
  });

  test("pointer with both patches, embedded, lazy: nothing", () => {
    for (const given of [
      { patches: "no-stop-after-last-detach,stop-relookup" },
      { lifetime: "embedded" },
      { lifetime: "lazy" },
    ]) {
      expect(explored({ ...given, config: "SLUB_DEBUG=y" })).toMatchObject({ complete: true, findings: [] });
    }
  });

  test("the findings are the same with a choice before every step", () => {
    const config = "DEBUG_PAGEALLOC=n";
    expect(kindsOf(explored({ config }, { reduces: false }))).toEqual(kindsOf(explored({ config })));
  });
});

/** The small form of a scenario. */
function small(name: string) {
  const found = SCENARIOS.find((scenario) => scenario.name === name)?.small;
  if (found === undefined) throw new Error(`${name} has no small form`);
  return found;
}

/** What must not depend on how the search goes about it. */
const shown = (name: string, options: Parameters<typeof exploreMachine>[1], config = "") => {
  const result = exploreMachine(small(name).program(resolveParameters({ config })), options);
  return { complete: result.complete, outcomes: result.outcomes, findings: kindsOf(result) };
};

describe("small forms of scenarios, with the states remembered or not, with a choice before every step or not", () => {
  test.each([
    ["reap-detach", 0],
    ["exit-attach", 0],
  ])("%s, %i preemptions: the same ends and findings in all four ways", (name, preemptions) => {
    const all = shown(name, { preemptions });
    expect(all.complete).toBe(true);
    expect(all.outcomes.length).toBeGreaterThan(10);
    expect(shown(name, { preemptions, reduces: false })).toEqual(all);
    expect(shown(name, { preemptions, caches: false })).toEqual(all);
    expect(shown(name, { preemptions, caches: false, reduces: false })).toEqual(all);
  });

  test("reap-detach, 1 preemption: the leak, and the same ends in three ways", () => {
    const all = shown("reap-detach", { preemptions: 1 });
    expect(all).toMatchObject({ complete: true, findings: ["leak in utrace_attach_task"] });
    expect(shown("reap-detach", { preemptions: 1, reduces: false })).toEqual(all);
    expect(shown("reap-detach", { preemptions: 1, caches: false })).toEqual(all);
  });

  test.each(["stop-resume", "thread-exec", "detach-kill-double-free", "two-engines", "attach-detach-exec-kill"])(
    "%s, no preemption: the same ends and findings with a choice before every step",
    (name) => {
      const all = shown(name, { preemptions: 0 });
      expect(all.complete).toBe(true);
      expect(shown(name, { preemptions: 0, reduces: false })).toEqual(all);
    },
  );
});
