/**
 * The shortest way to each finding, of those with as few preemptions as any; of several, the first in a fixed order.
 *
 * Out of all ways from state to state that a search has seen, so the answer is the same in whatever order, and by
 * however many searches, they came to be seen.
 */
import type { Sighting } from "./search.ts";
import { START, type States, wayEvent, waySteps } from "./states.ts";

const FAR = 0x7fffffff;

/** A step of a way counts, and so does a way without one: or those of no length would have no order. */
const lengthOf = (way: number): number => Math.max(1, waySteps(way));

/** All ways onward, by the state they start from. */
interface Onward {
  /** Where those of a state begin; they end where those of the next begin. */
  readonly first: Int32Array;
  readonly to: Int32Array;
  readonly way: Int32Array;
}

function onwardOf(states: States, lists: readonly Int32Array[]): Onward {
  const { end } = states;
  const each = (see: (from: number, to: number, way: number) => void): void => {
    for (let state = START + 1; state < end; state++) {
      if (states.exists(state)) see(states.parent(state), state, states.way(state));
    }
    for (const list of lists) {
      for (let i = 0; i + 2 < list.length; i += 3) see(list[i] as number, list[i + 1] as number, list[i + 2] as number);
    }
  };
  const first = new Int32Array(end + 1);
  let count = 0;
  each((from) => {
    first[from + 1] = (first[from + 1] as number) + 1;
    count++;
  });
  for (let state = 0; state < end; state++) first[state + 1] = (first[state + 1] as number) + (first[state] as number);
  const filled = first.slice();
  const to = new Int32Array(count);
  const ways = new Int32Array(count);
  each((from, target, way) => {
    const at = filled[from] as number;
    filled[from] = at + 1;
    to[at] = target;
    ways[at] = way;
  });
  return { first, to, way: ways };
}

/** Shortest ways from the start to every state, each with its place in the order of all. */
class Distances {
  private readonly length: Int32Array;
  private readonly rank: Int32Array;
  private readonly from: Int32Array;
  private readonly way: Int32Array;
  private ranked = 0;
  /** States at each distance, some of which have been found to be nearer. */
  private readonly at: number[][] = [[START]];

  constructor(
    end: number,
    private readonly onward: Onward,
  ) {
    this.length = new Int32Array(end).fill(FAR);
    this.rank = new Int32Array(end);
    this.from = new Int32Array(end).fill(-1);
    this.way = new Int32Array(end);
    this.length[START] = 0;
    for (let length = 0; length < this.at.length; length++) this.goOnFrom(length);
  }

  private goOnFrom(length: number): void {
    const reached = this.at[length];
    if (reached === undefined) return;
    const here = [...new Set(reached)].filter((state) => this.length[state] === length);
    // Two states have different ways, so that the order is one of all states.
    here.sort((a, b) =>
      this.before(this.from[a] as number, this.way[a] as number, this.from[b] as number, this.way[b] as number),
    );
    for (const state of here) this.rank[state] = this.ranked++;
    const { first, to, way } = this.onward;
    for (const state of here) {
      for (let i = first[state] as number; i < (first[state + 1] as number); i++) {
        this.reach(state, to[i] as number, way[i] as number, length + lengthOf(way[i] as number));
      }
    }
    delete this.at[length];
  }

  private reach(from: number, to: number, way: number, length: number): void {
    const known = this.length[to] as number;
    if (length > known) return;
    if (length === known && this.before(this.from[to] as number, this.way[to] as number, from, way) <= 0) return;
    this.length[to] = length;
    this.from[to] = from;
    this.way[to] = way;
    if (length < known) {
      const others = this.at[length];
      if (others === undefined) this.at[length] = [to];
      else others.push(to);
    }
  }

  /** Which of two ways comes first: that from the state that comes first, or by the event that does. */
  private before(from: number, way: number, otherFrom: number, otherWay: number): number {
    if (from !== otherFrom) return (this.rank[from] ?? -1) - (this.rank[otherFrom] ?? -1);
    return wayEvent(way) - wayEvent(otherWay);
  }

  /** The events on the best of several ways: pairs of a state and how to go on from it. */
  best(at: readonly number[]): number[] {
    let [state, way, length] = [START, 0, FAR];
    for (let i = 0; i + 1 < at.length; i += 2) {
      const [from, by] = [at[i] as number, at[i + 1] as number];
      const whole = (this.length[from] as number) + lengthOf(by);
      if (whole > length || (whole === length && this.before(state, way, from, by) <= 0)) continue;
      [state, way, length] = [from, by, whole];
    }
    const events: number[] = [];
    // No event leads from the start to the first state in which there is a choice.
    for (; state !== START; [state, way] = [this.from[state] as number, this.way[state] as number]) {
      events.push(wayEvent(way));
    }
    return events.reverse();
  }
}

/** The events at each state on the way to each finding, from the first state on; see `Search.scheduleOf`. */
export function shortestWays(
  states: States,
  ways: readonly Int32Array[],
  sightings: readonly Sighting[],
): ReadonlyMap<string, readonly number[]> {
  const found = new Map<string, readonly number[]>();
  if (sightings.length === 0) return found;
  const distances = new Distances(states.end, onwardOf(states, ways));
  for (const { key, at } of sightings) found.set(key, distances.best(at));
  return found;
}
