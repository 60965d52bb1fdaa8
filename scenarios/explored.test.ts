/** The small form of attach-detach-exec, explored: what every schedule without preemptions shows, and what none does. */
import { describe, expect, test } from "vitest";
import { exploreMachine } from "../sim/index.ts";
import { attachDetachExecSmall } from "./attach-detach-exec.ts";
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
