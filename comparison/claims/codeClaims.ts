/** Claims about the code: settled by searches, with and without the part in question. */
import { layoutOf } from "../../model/utrace/lifetime.ts";
import type { Claim } from "../../reports/claims.ts";
import { SCENARIOS } from "../../scenarios/index.ts";
import { resolveParameters } from "../../scenarios/parameters.ts";
import type { FindingKind } from "../../sim/finding.ts";
import { seedOfRun } from "../../sim/hunt.ts";
import { execute, makeStrategy } from "../../sim/index.ts";
import { argumentOf, unlockedAccesses } from "../argument.ts";
import { PLAIN } from "../compare.ts";
import { costsOf } from "../cost.ts";
import {
  type Budget,
  type ClaimExaminer,
  claimsCommand,
  describeFound,
  type Found,
  huntCommand,
  inTask,
  lifetimes,
  MEMORY_KINDS,
  posted,
  scenarioNames,
  search,
} from "./examine.ts";

/** Recorded runs of each scenario; recording is slow. */
const RECORDED_MAX = 12;

/** Kinds of finding, over all searches. */
const kindsOf = (all: readonly Found[]): string[] =>
  [...new Set(all.flatMap((found) => [...found.values()].map(({ kind }) => kind)))].sort();

/** Findings of some kinds. */
const ofKinds = (found: Found, kinds: readonly FindingKind[]): string[] =>
  [...found].filter(([, { kind }]) => kinds.includes(kind)).map(([key]) => key);
const memoryFindings = (found: Found): string[] => ofKinds(found, MEMORY_KINDS);

/** Distinct ones as a list, or `none found`. */
const listed = (keys: readonly string[]): string => [...new Set(keys)].sort().join(", ") || "none found";

/** Places that touch struct utrace without its lock, in runs of every scenario under the embedded lifetime. */
function placesBesideTheLock({ runs, seed }: Budget): { readonly places: readonly string[]; readonly runs: number } {
  const recorded = Math.min(runs, RECORDED_MAX);
  const parameters = resolveParameters({ lifetime: inTask.name });
  const layout = layoutOf(inTask, parameters.config);
  const places = new Set<string>();
  for (const scenario of SCENARIOS) {
    const program = scenario.program(parameters);
    for (let run = 0; run < recorded; run++) {
      const { history } = execute(program, makeStrategy("random", seedOfRun(seed, run)), { record: true });
      for (const place of unlockedAccesses(history, layout)) places.add(place);
    }
  }
  return { places: [...places].sort(), runs: recorded };
}

function simpleSpinlock(budget: Budget): Claim {
  const { places, runs } = placesBesideTheLock(budget);
  const searches = scenarioNames.map((scenario) => ({ scenario, lifetime: inTask.name }));
  const found = searches.map((one) => search(one, budget));
  const broken = found.flatMap(memoryFindings);
  const lockTrouble = found.flatMap((one) => ofKinds(one, ["lock-misuse", "deadlock"]));
  const holds = places.length === 0 && broken.length === 0 && lockTrouble.length === 0;
  return {
    name: "simple-spinlock",
    claim: 'With the struct embedded, "add simple spinlock guarding all accesses": is it possible?',
    author: "Alexey Dobriyan",
    date: "2008-08-26 3:55 pm",
    verdict: holds ? "confirmed" : broken.length > 0 ? "undecided" : "refuted",
    because: holds
      ? "In the runs that were looked at, every access to the struct was under its one lock, and no memory went wrong."
      : `Not for all accesses: ${places.length} places touch the struct without its lock, which they cannot take; all others are under it.`,
    evidence: [
      `places beside the lock in ${runs} runs of each of ${searches.length} scenarios: ${places.length === 0 ? "none" : places.join("; ")}`,
      ...(places.some((place) => place.includes("siglock"))
        ? ["who holds the siglock cannot take utrace->lock: the core takes them in the other order"]
        : []),
      `memory errors in ${budget.runs} runs of each scenario: ${listed(broken)}`,
      `trouble with locks in the same runs: ${listed(lockTrouble)}`,
      `the price: ${attachOps(inTask.name, "event report").locks} locks at each report to an engine, where the posted code takes ${attachOps(posted.name, "event report").locks}`,
    ],
    limits:
      "task->utrace_flags is left outside, as the hooks test it at every event; the core keeps its order of locks; searches prove nothing",
    commands: [claimsCommand("simple-spinlock", budget)],
  };
}

const attachOps = (lifetime: string, path: string) => {
  const cost = costsOf(resolveParameters({ lifetime, config: PLAIN.options })).find((one) => one.path === path);
  if (cost === undefined) throw new Error(`[sim bug] no path ${path}`);
  return cost;
};

function lessComplexity(budget: Budget): Claim {
  const parameters = resolveParameters({ config: PLAIN.options });
  const [before, after] = [argumentOf(posted, parameters), argumentOf(inTask, parameters)];
  const [attachBefore, attachAfter] = [posted, inTask].map(({ name }) => attachOps(name, "attach, first"));
  const foundUnder = (lifetime: string): Found[] =>
    scenarioNames.map((scenario) => search({ scenario, lifetime }, budget));
  const [kindsBefore, kindsAfter] = [posted, inTask].map(({ name }) => kindsOf(foundUnder(name)));
  const figures: readonly (readonly [string, number, number])[] = [
    ["ops of a first attach", attachBefore?.ops ?? 0, attachAfter?.ops ?? 0],
    ["loops that go round again", before.retryLoops.length, after.retryLoops.length],
    ["rules to be known", before.rules.length, after.rules.length],
    ["places beside the lock on the walk", before.unlocked.length, after.unlocked.length],
    ["reachable states of the small world", before.states, after.states],
    ["kinds of finding", kindsBefore?.length ?? 0, kindsAfter?.length ?? 0],
  ];
  const less = figures.filter(([, a, b]) => b < a).length;
  const holds = less === figures.length;
  return {
    name: "less-complexity",
    claim: 'Embedding the struct instead of the pointer "would remove quite a bit of complexity".',
    author: "Peter Zijlstra",
    date: "2008-10-06 1:47 pm",
    verdict: holds ? "confirmed" : less === 0 ? "refuted" : "undecided",
    because: `${less} of ${figures.length} measures of complexity are smaller with the struct inside the task.`,
    evidence: [
      ...figures.map(([what, a, b]) => `${what}: ${a} with the pointer, ${b} inside the task`),
      `found with the pointer in ${budget.runs} runs of each scenario: ${kindsBefore?.join(", ") || "nothing"}`,
      `found inside the task: ${kindsAfter?.join(", ") || "nothing"}`,
    ],
    limits: "loops and rules are counted as each lifetime's file states them; searches prove nothing",
    commands: [claimsCommand("less-complexity", budget), "npx utrace-sim compare"],
  };
}

/** The same searches with the code as it is and with an experiment. */
function withAndWithout(scenario: string, experiment: string, budget: Budget, checks?: string) {
  return lifetimes.map(({ name: lifetime }) => {
    const usual = { scenario, lifetime, ...(checks === undefined ? {} : { checks }) };
    const changed = { ...usual, patches: experiment };
    return { lifetime, changed, found: search(changed, budget), without: search(usual, budget) };
  });
}

function engineRefcount(budget: Budget): Claim {
  const results = withAndWithout("reap-detach", "no-engine-refcount", budget);
  const broken = results.filter(
    ({ found, without }) => memoryFindings(found).length > 0 && memoryFindings(without).length === 0,
  );
  const holds = broken.length === results.length;
  return {
    name: "engine-refcount",
    claim: '"Engine grew a refcount. Was it added to fix some bug?"',
    author: "Alexey Dobriyan",
    date: "2008-08-30 8:05 am",
    verdict: holds ? "confirmed" : "undecided",
    because: holds
      ? "Yes: without it, who detaches an engine uses it after it was freed by the reap, under every lifetime."
      : `Without it, memory goes wrong under ${broken.length} of ${results.length} lifetimes in these runs.`,
    evidence: results.map(
      ({ lifetime, found, without }) =>
        `${lifetime}, ${budget.runs} runs of reap-detach: without the count ${describeFound(found)}; with it ${describeFound(without)}`,
    ),
    limits: "whether it was that bug that it was added for, no run can tell",
    commands: results.slice(0, 1).map(({ changed }) => huntCommand(changed, budget)),
  };
}

/** Races on the links of a list: between who adds an engine and who walks the list. */
const listRaces = (found: Found): string[] => [...found.keys()].filter((key) => key.includes("(list_head->"));

function twoLists(budget: Budget): Claim {
  const results = withAndWithout("two-engines", "one-attach-list", budget, "data-race");
  const raced = results.filter(({ found, without }) => listRaces(found).length > 0 && listRaces(without).length === 0);
  const calm = results.filter(({ found }) => listRaces(found).length === 0).map(({ lifetime }) => lifetime);
  const needed = raced.some(({ lifetime }) => lifetime === posted.name);
  const elsewhere =
    calm.length === 0 ? "" : ` Where the walk takes the lock (${calm.join(", ")}) no such race was found.`;
  return {
    name: "two-lists",
    claim: '"Why does it have two lists for attaching tasks?" (use one and see)',
    author: "Peter Zijlstra",
    date: "2008-10-06 1:47 pm",
    verdict: needed ? "confirmed" : "undecided",
    because: needed
      ? `There is a reason: the task walks its list without the lock, so others must not add to it.${elsewhere}`
      : "With one list no race on it was found in these runs: they show no need for the second.",
    evidence: results.map(({ lifetime, found, without }) => {
      const [one, two] = [listRaces(found), listRaces(without)];
      return `${lifetime}, ${budget.runs} runs of two-engines: with one list ${one.length === 0 ? "no race on it" : one.join(", ")}; with two ${two.length === 0 ? "none" : two.join(", ")}`;
    }),
    limits: "searches prove nothing; a data race is one by the rules, whether or not a machine makes anything of it",
    commands: results.slice(0, 1).map(({ changed }) => huntCommand(changed, budget)),
  };
}

/** All of them. */
export const CODE_CLAIMS: readonly ClaimExaminer[] = [
  { name: "simple-spinlock", examine: simpleSpinlock },
  { name: "less-complexity", examine: lessComplexity },
  { name: "engine-refcount", examine: engineRefcount },
  { name: "two-lists", examine: twoLists },
];
