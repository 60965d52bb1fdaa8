/** What the claims are examined with: lifetimes by what they are, searches, and the command lines that repeat them. */
import type { Lifetime } from "../../model/utrace/lifetime.ts";
import { LIFETIMES } from "../../model/utrace/lifetimes/index.ts";
import type { Claim } from "../../reports/claims.ts";
import { SCENARIOS } from "../../scenarios/index.ts";
import { resolveParameters } from "../../scenarios/parameters.ts";
import type { Scenario } from "../../scenarios/scenario.ts";
import type { Finding, FindingKind } from "../../sim/finding.ts";
import { hunt } from "../../sim/hunt.ts";

/** How much is searched, and from where. */
export interface Budget {
  /** Runs of each search. */
  readonly runs: number;
  readonly seed: string;
}

/** How one claim is examined. */
export interface ClaimExaminer {
  readonly name: string;
  examine(budget: Budget): Claim;
}

/** The registered lifetimes, in order. */
export const lifetimes: readonly Lifetime[] = [...LIFETIMES.values()];
/** The lifetime as posted: the default. */
export const posted = lifetimes[0] as Lifetime;
/** The lifetime that has the struct inside the task. */
export const inTask = lifetimes.find(({ layout }) => layout.UTRACE_EMBEDDED === true) as Lifetime;

/** Kinds of finding that are memory going wrong, or what came of it. */
export const MEMORY_KINDS: readonly FindingKind[] = [
  "use-after-free",
  "double-free",
  "invalid-free",
  "slab-corruption",
  "paging-fault",
];

/** A search, in the terms of the command line. */
export interface Search {
  readonly scenario: string;
  readonly lifetime: string;
  readonly patches?: string;
  readonly config?: string;
  readonly checks?: string;
}

/** What a search found: runs that showed it, by `kind in function`. */
export type Found = ReadonlyMap<string, { readonly kind: FindingKind; readonly count: number }>;

const scenarioNamed = (name: string): Scenario => {
  const found = SCENARIOS.find((scenario) => scenario.name === name);
  if (found === undefined) throw new Error(`[sim bug] no scenario ${name}`);
  return found;
};

/** `kind in function`; of a data race both functions and the field, as its title has them. */
function keyOf({ kind, title, function: name }: Finding): string {
  if (kind === "data-race") return title.replace("BUG: KCSAN: ", "");
  return name === "" ? kind : `${kind} in ${name}`;
}

/** Searches. */
export function search({ scenario, lifetime, patches, config, checks }: Search, { runs, seed }: Budget): Found {
  const program = scenarioNamed(scenario).program(resolveParameters({ lifetime, patches, config, checks }));
  const options = { strategy: "portfolio", seed, first: 0, runs, keepGoing: true, kinds: [] } as const;
  const found = new Map<string, { kind: FindingKind; count: number }>();
  for (const { finding, count } of hunt(program, options).findings) {
    const key = keyOf(finding);
    const known = found.get(key);
    if (known === undefined) found.set(key, { kind: finding.kind, count });
    else known.count += count;
  }
  return found;
}

/** `use-after-free in utrace_stop (7), leak in utrace_attach_task (1)`, or `nothing`. */
export const describeFound = (found: Found): string =>
  found.size === 0 ? "nothing" : [...found].map(([key, { count }]) => `${key} (${count})`).join(", ");

/** The command line of a search. */
export function huntCommand(search: Search, { runs, seed }: Budget, ...more: string[]): string {
  const words = ["npx utrace-sim hunt", search.scenario, "--lifetime", search.lifetime];
  if (search.patches !== undefined) words.push("--patches", search.patches);
  if (search.config !== undefined) words.push("--config", search.config);
  if (search.checks !== undefined) words.push("--checks", search.checks);
  return [...words, "--seed", seed, "--runs", String(runs), "--keep-going", "--no-shrink", ...more].join(" ");
}

/** The command line that examines one claim again. */
export const claimsCommand = (name: string, { runs, seed }: Budget): string =>
  `npx utrace-sim claims ${name} --seed ${seed} --runs ${runs}`;

/** All scenarios by name. */
export const scenarioNames: readonly string[] = SCENARIOS.map(({ name }) => name);
