/**
 * `portfolio`: deals the runs of a hunt to the other strategies, by their number. A race that one strategy hardly ever
 * hits is mostly one that another hits soon, so the worst case of the whole is far better than that of any part; see
 * `docs/bake-off.md`.
 *
 * Run N of a hunt with seed S is run N under the strategy whose turn it is, and has the same seed there.
 */

const HEURISTICS = ["random", "pos", "preemption-bounded"] as const;

/** The turns, over and over. One in ten is for pct, which finds little but can promise something. */
const TURNS = [...HEURISTICS, ...HEURISTICS, ...HEURISTICS, "pct"] as const;

/** A strategy that the portfolio deals to. */
export type Dealt = (typeof TURNS)[number];

/** Whose turn a run is. */
export const dealtTo = (run: number): Dealt => TURNS[run % TURNS.length] as Dealt;
