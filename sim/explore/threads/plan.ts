/**
 * Where an exploration is cut into parts: the pairs of steps whose order tells the parts apart.
 *
 * They are chosen from executions taken at random: steps that touched the same place in all of them, came in either
 * order, and together cut what was seen into pieces of about the same size.
 */
import { makeRng } from "../../rng.ts";
import { anyOf } from "./actors.ts";
import { ACCESS, ACQUIRE, type LocalState } from "./automaton.ts";
import { BUFFER, type Execution } from "./execution.ts";
import { type ExploreOptions, Explorer, type Learned, withLearned } from "./explore.ts";
import { contradictory, type NthStep, type Order, reversed } from "./orders.ts";
import type { ThreadProgram } from "./world.ts";

/** Options that make sense for an exploration in parts. */
export type PartOptions = Omit<
  ExploreOptions,
  "search" | "preemptionsMax" | "switchesMax" | "statesMax" | "executionsMax" | "resume" | "stopAtFinding"
>;

/** What was found out about a program, and has to be known when it is cut. Plain data. */
export interface Known {
  /** See `Learned`. */
  readonly coarse: readonly number[];
  readonly width: number;
  /** Pairs that turned out not to fit. */
  readonly givenUp: readonly string[];
  /** It cannot be cut. */
  readonly whole: boolean;
}

/** How an exploration is cut into parts. Plain data. */
export interface Plan extends Known {
  /** Name of the program. */
  readonly program: string;
  /** The pairs of steps, and what both of a pair touch. */
  readonly pairs: readonly { readonly order: Order; readonly touches: string }[];
  /** The orders of each part; a single part without any if nothing was found to cut at. */
  readonly parts: readonly (readonly Order[])[];
}

/** Pairs at most, so twice as many parts for each. */
const PAIRS_MAX = 5;
/** Executions taken at random to choose pairs by. */
const WALKS = 192;
/** Steps of such an execution at most. */
const WALK_MAX = 2000;
/** Pairs that are looked at more closely, the most balanced ones. */
const CANDIDATES_MAX = 200;
/** What a pair has to add to what is known of an execution, in bits, to be worth its while. */
const GAIN_MIN = 0.3;

/**
 * Chooses the parts of an exploration.
 *
 * @param known - What an earlier plan turned out not to know.
 */
export function planParts(program: ThreadProgram, options: PartOptions, known: Known = NOTHING): Plan {
  const learned: Learned = { coarse: new Set(known.coarse), refuted: new Set(), width: known.width };
  return withLearned(program, learned, options.memory === "tso", () => {
    const { execution } = new Explorer(program, options, learned);
    const walks = walksOf(execution, options.stepsMax);
    const pairs = known.whole ? [] : choosePairs(walks, new Set(known.givenUp));
    const parts = sidesOf(pairs.map(({ order }) => order)).filter((orders) => !contradictory(orders));
    return { ...known, program: program.name, pairs, parts, coarse: [...learned.coarse], width: execution.width };
  });
}
const NOTHING: Known = { coarse: [], width: 0, givenUp: [], whole: false };

/** What tells pairs apart. */
export const nameOf = ({ earlier, later }: Order): string =>
  `${earlier.actor}.${earlier.nth}-${later.actor}.${later.nth}`;

/** Each pair one way round or the other. */
function sidesOf([first, ...rest]: readonly Order[]): Order[][] {
  if (first === undefined) return [[]];
  const others = sidesOf(rest);
  return [first, reversed(first)].flatMap((side) => others.map((orders) => [side, ...orders]));
}

/** A step of an execution taken at random. */
interface WalkedStep extends NthStep {
  readonly thread: number;
  readonly touches: string;
  readonly place: number;
  readonly write: boolean;
}

/** What a step touches, in words that mean the same in every worker; "" if other steps cannot meet it there. */
export function touchesOf(execution: Execution, actor: number, state: LocalState): string {
  const silent = execution.tso && actor < BUFFER && state.isPlainStore;
  if (silent || (state.manner !== ACCESS && state.manner !== ACQUIRE) || state.size === 0) return "";
  return `${state.manner} ${state.at} ${state.size} ${state.write}`;
}

/** Executions taken at random, always the same ones. */
export function walksOf(execution: Execution, stepsMax = Number.POSITIVE_INFINITY): WalkedStep[][] {
  const rng = makeRng("parts");
  return Array.from({ length: WALKS }, () => {
    const steps: WalkedStep[] = [];
    for (let able = execution.enabled(); able !== 0 && execution.depth < Math.min(stepsMax, WALK_MAX); ) {
      const actor = anyOf(able, rng);
      const nth = execution.orders.taken[actor] as number;
      const state = execution.pending(actor);
      execution.step(actor, rng.below(execution.choices(actor)));
      steps.push({
        actor,
        thread: execution.tso ? actor % BUFFER : actor,
        nth,
        touches: touchesOf(execution, actor, state),
        place: state.place,
        write: state.write,
      });
      able = execution.enabled();
    }
    while (execution.depth > 0) execution.undo();
    return steps;
  });
}

/** Pairs of steps that cut the executions seen into pieces of about the same size. */
function choosePairs(walks: readonly WalkedStep[][], without: ReadonlySet<string>): Plan["pairs"] {
  const candidates = candidatesIn(walks)
    .filter(({ order }) => !without.has(nameOf(order)))
    .sort((a, b) => b.balance - a.balance)
    .slice(0, CANDIDATES_MAX);
  const chosen: Candidate[] = [];
  let pieces: string[] = walks.map(() => "");
  let known = 0;
  while (chosen.length < PAIRS_MAX) {
    let best: { readonly candidate: Candidate; readonly pieces: string[]; readonly bits: number } | null = null;
    for (const candidate of candidates) {
      const cut = pieces.map((piece, walk) => piece + candidate.sides[walk]);
      const entropy = entropyOf(cut);
      if (entropy > (best?.bits ?? known + GAIN_MIN)) best = { candidate, pieces: cut, bits: entropy };
    }
    if (best === null) break;
    chosen.push(best.candidate);
    pieces = best.pieces;
    known = best.bits;
  }
  return chosen.map(({ order, touches }) => ({ order, touches }));
}

interface Candidate {
  readonly order: Order;
  readonly touches: string;
  /** For each walk, which came first: "<", ">", or "." if they did not both occur. */
  readonly sides: readonly string[];
  /** How often the rarer order came up. */
  readonly balance: number;
}

/** Pairs of steps that depend on each other wherever they occurred, and came in either order. */
function candidatesIn(walks: readonly WalkedStep[][]): Candidate[] {
  const seen = new Map<string, { readonly step: WalkedStep; fits: boolean; readonly at: Map<number, number> }>();
  for (const [walk, steps] of walks.entries()) {
    for (const [at, step] of steps.entries()) {
      const key = `${step.actor}.${step.nth}`;
      const known = seen.get(key);
      if (known === undefined) seen.set(key, { step, fits: step.touches !== "", at: new Map([[walk, at]]) });
      else {
        known.fits &&= known.step.touches === step.touches;
        known.at.set(walk, at);
      }
    }
  }
  const fit = [...seen.values()].filter(({ fits: fit }) => fit);
  return fit.flatMap((one, i) =>
    fit.slice(i + 1).flatMap((two) => {
      const { step: a } = one;
      const { step: b } = two;
      const depend = a.place === b.place && a.thread !== b.thread && (a.write || b.write);
      if (!depend) return [];
      const sides = walks.map((_, walk) => {
        const [first, second] = [one.at.get(walk), two.at.get(walk)];
        return first === undefined || second === undefined ? "." : first < second ? "<" : ">";
      });
      const balance = Math.min(...["<", ">"].map((side) => sides.filter((s) => s === side).length));
      const order = { earlier: stepOf(a), later: stepOf(b), mustOccur: false };
      return balance === 0 ? [] : [{ order, touches: `${a.touches}, ${b.touches}`, sides, balance }];
    }),
  );
}

const stepOf = ({ actor, nth }: NthStep): NthStep => ({ actor, nth });

/** How evenly the pieces are spread, in bits. */
function entropyOf(pieces: readonly string[]): number {
  const counts = new Map<string, number>();
  for (const piece of pieces) counts.set(piece, (counts.get(piece) ?? 0) + 1);
  let sum = 0;
  for (const count of counts.values()) sum -= (count / pieces.length) * Math.log2(count / pieces.length);
  return sum;
}
