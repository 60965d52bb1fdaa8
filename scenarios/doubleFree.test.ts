/**
 * The double free of the prototype, found by search in its three dresses; gone with the rule mended, and under every
 * lifetime whose rule is another.
 */
import { describe, expect, test } from "vitest";
import type { HistoryRow } from "../sim/history.ts";
import { type HuntFinding, hunt } from "../sim/hunt.ts";
import { execute, type Finding, type FindingKind, type Program, ReplayStrategy } from "../sim/index.ts";
import { ALLOC, FREE } from "../sim/op.ts";
import { detachKillDoubleFree } from "./detach-kill-double-free.ts";
import { type GivenParameters, LIFETIMES, resolveParameters } from "./parameters.ts";

const programOf = (given: GivenParameters): Program => detachKillDoubleFree.program(resolveParameters(given));

interface Dress {
  readonly what: string;
  readonly config: string;
  readonly kind: FindingKind;
  readonly title: RegExp;
  /** A run shortly before one that shows it, with seed 1: where this search begins, to be quick. */
  readonly from: number;
}
const DRESSES: readonly Dress[] = [
  { what: "check_dead", config: "UTRACE_DEBUG=y", kind: "bug-on", title: /CHECK_DEAD/, from: 180 },
  {
    what: "SLUB: already free",
    config: "UTRACE_DEBUG=n,SLUB_DEBUG=y",
    kind: "slab-corruption",
    title: /utrace: Object already free/,
    from: 880,
  },
  {
    what: "handed out twice",
    config: "UTRACE_DEBUG=n",
    kind: "slab-corruption",
    title: /object of utrace handed out twice/,
    from: 820,
  },
];

/** What a search of `runs` runs shows of a dress. */
function search({ config, kind, title }: Dress, given: GivenParameters, first: number, runs: number): HuntFinding[] {
  const program = programOf({ ...given, config });
  const { findings } = hunt(program, { strategy: "random", seed: "1", first, runs, keepGoing: false, kinds: [kind] });
  return findings.filter(({ finding }) => title.test(finding.title));
}

/** The first of a dress: from where it is known to be near, then as far as it takes. */
function find(dress: Dress): HuntFinding {
  for (let first = dress.from; first < 20_000; first += 500) {
    const [found] = search(dress, { lifetime: WITH_THE_RULE }, first, 500);
    if (found !== undefined) return found;
  }
  throw new Error(`${dress.what}: not found`);
}

const WITH_THE_RULE = "prototype";

describe("under the prototype's rule", () => {
  test.each(DRESSES)("the double free is found: $what ($config)", (dress) => {
    expect(find(dress).finding.title).toMatch(dress.title);
  });

  test("with no debugging at all, two attaches get the same object, and it was not freed in between", () => {
    const dress = DRESSES.find(({ what }) => what === "handed out twice") as Dress;
    const { finding, schedule } = find(dress);
    const program = programOf({ lifetime: WITH_THE_RULE, config: dress.config });
    const until = (findings: readonly Finding[]): boolean => findings.some(({ title }) => title === finding.title);
    const { history } = execute(program, new ReplayStrategy(schedule), { record: true, until });
    const again = history.at(-1);
    const object = again?.result;
    const first = history.findLast(
      ({ kind, result, step }) => kind === ALLOC && result === object && step !== again?.step,
    );
    expect([again, first].map((row) => [row?.kind, row?.backtrace[0]])).toEqual([
      [ALLOC, "utrace_attach_task"],
      [ALLOC, "utrace_attach_task"],
    ]);
    const between = history.slice(history.indexOf(first as HistoryRow) + 1);
    expect(between.filter(({ kind, address }) => kind === FREE && address === object)).toEqual([]);
  });

  test.each(DRESSES)("mended by taker-frees: no $what in the runs that showed it, nor in those after", (dress) => {
    expect(search(dress, { lifetime: WITH_THE_RULE, patches: "taker-frees" }, dress.from, 40)).toEqual([]);
  });
});

test.each(LIFETIMES.filter((name) => name !== WITH_THE_RULE))("never under %s", (lifetime) => {
  for (const dress of DRESSES) expect(search(dress, { lifetime }, dress.from, 25)).toEqual([]);
});
