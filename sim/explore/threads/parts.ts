/**
 * An exploration of traces in parts that share nothing, so that each can be explored by another worker.
 *
 * The parts differ in the order of a few pairs of steps (`orders.ts`). That two steps of a pair touch the same place
 * whenever they occur is what makes every trace belong to exactly one part. It is checked in every part, against all the
 * code that was learned there; a pair for which it does not hold is given up, and the exploration begun again without
 * it. (Were there a trace in no part, take it up to the first step of a pair that touches another place than planned: up
 * to there all pairs are in some order, so one of the parts has that beginning, and explores it.)
 *
 * Which parts there are depends on the program and the options alone, so the result does not depend on the number of
 * workers. Counts and outcomes are those of {@link exploreThreads}; witnesses may be others of the same length, since
 * the traces come in another order.
 */

import { type LocalState, OVER } from "./automaton.ts";
import type { DporCounts } from "./dpor.ts";
import { BUFFER, type Execution } from "./execution.ts";
import { type Exploration, Explorer, explorationOf, type Learned, OUTCOMES_MAX, withLearned } from "./explore.ts";
import { Gathered, type GatheredData } from "./gathered.ts";
import { type NthStep, type Order, OrdersInForce } from "./orders.ts";
import { type Known, nameOf, type PartOptions, type Plan, planParts, touchesOf, walksOf } from "./plan.ts";
import type { ThreadProgram } from "./world.ts";

/** What one part came to. Plain data. */
export interface PartResult {
  readonly counts: DporCounts;
  /** Every execution of the part was run to its end. */
  readonly complete: boolean;
  readonly gathered: GatheredData;
  /** Pairs, by index, whose steps did not always touch what the plan says. */
  readonly unfit: readonly number[];
  /** Names of the variables. */
  readonly variables: readonly string[];
  /** Addresses of objects and numbers of threads, by what brings them up. They are part of the outcomes. */
  readonly created: readonly (readonly [string, number])[];
  readonly coarse: readonly number[];
  readonly width: number;
}

/** Explores parts of one plan, one after the other; what was learned of the code for one serves the next. */
export class PartExplorer {
  private readonly learned: Learned;
  private explorer: Explorer | null = null;

  constructor(
    private readonly program: ThreadProgram,
    private readonly options: PartOptions,
    private readonly plan: Plan,
  ) {
    this.learned = { coarse: new Set(plan.coarse), refuted: new Set(), width: plan.width };
  }

  /** Explores the part with that index. */
  explore(part: number): PartResult {
    const { program, options, plan, learned } = this;
    return withLearned(program, learned, options.memory === "tso", () => {
      const explorer = this.explorer ?? this.begin();
      this.explorer = null;
      const { execution } = explorer;
      execution.orders = new OrdersInForce(plan.parts[part] as readonly Order[]);
      explorer.gathered = new Gathered(options.outcomesMax ?? OUTCOMES_MAX);
      const { complete, counts } = explorer.traces();
      this.explorer = explorer;
      return {
        counts,
        complete,
        gathered: explorer.gathered.data(),
        unfit: plan.pairs.flatMap((pair, index) => (fits(execution, pair) ? [] : [index])),
        variables: explorer.variables,
        created: createdIn(execution),
        coarse: [...learned.coarse],
        width: learned.width,
      };
    });
  }

  private begin(): Explorer {
    const explorer = new Explorer(this.program, this.options, this.learned);
    // As when the plan was made: what comes up in these walks gets the same addresses in every worker.
    walksOf(explorer.execution, this.options.stepsMax);
    return explorer;
  }
}

/** Puts the parts together; or says what has to be known to cut the program anew, if the plan turned out not to hold. */
export function joinParts(options: PartOptions, plan: Plan, results: readonly PartResult[]): Exploration | Known {
  const coarse = new Set(results.flatMap((result) => result.coarse));
  const width = Math.max(plan.width, ...results.map((result) => result.width));
  const unfit = new Set(results.flatMap((result) => result.unfit));
  const given = plan.pairs.filter((_, index) => unfit.has(index)).map(({ order }) => nameOf(order));
  // Where objects or threads come up in other orders in each worker, only one of them can do it all.
  const whole = !consistent(results);
  if (whole || coarse.size > plan.coarse.length || width > plan.width || unfit.size > 0) {
    return { coarse: [...coarse], width, givenUp: [...plan.givenUp, ...given], whole };
  }
  const gathered = new Gathered(options.outcomesMax ?? OUTCOMES_MAX);
  const counts = { executions: 0, states: 0, steps: 0, sleepBlocked: 0, cutOff: 0 };
  for (const result of results) {
    gathered.add(result.gathered);
    counts.executions += result.counts.executions;
    counts.steps += result.counts.steps;
    counts.sleepBlocked += result.counts.sleepBlocked;
    counts.cutOff += result.counts.cutOff;
  }
  const complete = results.length === plan.parts.length && results.every((result) => result.complete);
  const variables = results[0]?.variables ?? [];
  return explorationOf(plan.program, options, gathered, variables, complete, counts, null);
}

/** Whether the parts were put together, and no new plan is needed. */
export const isJoined = (joined: Exploration | Known): joined is Exploration => "verdict" in joined;

/** The whole exploration in parts, in this thread. */
export function exploreInParts(program: ThreadProgram, options: PartOptions = {}): Exploration {
  let plan = planParts(program, options);
  for (;;) {
    const explorer = new PartExplorer(program, options, plan);
    const results = plan.parts.map((_, part) => explorer.explore(part));
    const joined = joinParts(options, plan, results);
    if (isJoined(joined)) return joined;
    plan = planParts(program, options, joined);
  }
}

/** Whether both steps of a pair touch what the plan says wherever they occur in the code learned so far. */
function fits(execution: Execution, { order, touches }: Plan["pairs"][number]): boolean {
  return [order.earlier, order.later].every((step) => {
    const all = occurrencesOf(execution, step).map((state) => touchesOf(execution, step.actor, state));
    return all.every((one) => one !== "" && touches.split(", ").includes(one));
  });
}

/** The local states in which an actor can be when it takes its n-th step; for a store buffer, those of the stores. */
function occurrencesOf({ automata, tso }: Execution, { actor, nth }: NthStep): LocalState[] {
  const buffer = tso && actor >= BUFFER;
  const found: LocalState[] = [];
  const visit = (state: LocalState, before: number): void => {
    const counts = !buffer || state.isPlainStore;
    if (counts && before === nth) found.push(state);
    else for (const [, next] of state.transitions()) visit(next, before + (counts ? 1 : 0));
  };
  const thread = automata.threads[buffer ? actor - BUFFER : actor];
  if (thread !== undefined) visit(thread.root, 0);
  return found.filter(({ manner }) => manner !== OVER);
}

/** What brought up each object and thread, and what it got. */
const createdIn = ({ automata }: Execution): [string, number][] =>
  automata.created.map(({ what, state }) => [what, state.outcome]);

/** Whether objects and threads have the same addresses and numbers everywhere. */
function consistent(results: readonly PartResult[]): boolean {
  const numbers = new Map<string, number>();
  const owners = new Map<string, string>();
  for (const [what, number] of results.flatMap(({ created }) => created)) {
    const slot = `${what.split(" ")[0]} ${number}`;
    if ((numbers.get(what) ?? number) !== number || (owners.get(slot) ?? what) !== what) return false;
    numbers.set(what, number);
    owners.set(slot, what);
  }
  return true;
}
