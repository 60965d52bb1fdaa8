/**
 * Which op of a run is which one of a recorded run: the two are laid side by side, for each actor by itself.
 *
 * Counting occurrences goes wrong where an edit adds or takes away an op that comes again later: all later ones then
 * have another number. A longest common subsequence does not mind. Beyond the last op that both have, ops are told by
 * counting again, from there.
 */
import { eventType, STEP } from "./event.ts";
import { type Places, placeKey } from "./strategies/carried.ts";
import type { RecordedEvent } from "./trail.ts";

/** Places in `record` of the ops of `run`. */
export function align(record: readonly RecordedEvent[], run: readonly RecordedEvent[]): Places {
  const places = new Map<string, ReadonlyMap<string, number>>();
  const made = byActor(run);
  for (const [actor, steps] of byActor(record)) places.set(actor, alignActor(steps, made.get(actor) ?? []));
  return places;
}

function byActor(events: readonly RecordedEvent[]): Map<string, RecordedEvent[]> {
  const actors = new Map<string, RecordedEvent[]>();
  for (const step of events) {
    if (eventType(step.event) !== STEP) continue;
    const steps = actors.get(step.actor);
    if (steps === undefined) actors.set(step.actor, [step]);
    else steps.push(step);
  }
  return actors;
}

function alignActor(record: readonly RecordedEvent[], run: readonly RecordedEvent[]): ReadonlyMap<string, number> {
  const places = new Map<string, number>();
  const pairs = commonSubsequence(record.map(nameOf), run.map(nameOf));
  for (const [i, j] of pairs) {
    const step = run[j] as RecordedEvent;
    places.set(placeKey(step, step.occurrence), i);
  }
  const [lastInRecord, lastInRun] = pairs.at(-1) ?? [-1, -1];
  const shift = new Map<string, number>();
  const count = (steps: readonly RecordedEvent[], by: number): void => {
    for (const step of steps) shift.set(nameOf(step), (shift.get(nameOf(step)) ?? 0) + by);
  };
  count(record.slice(0, lastInRecord + 1), -1);
  count(run.slice(0, lastInRun + 1), 1);
  for (let i = lastInRecord + 1; i < record.length; i++) {
    const step = record[i] as RecordedEvent;
    places.set(placeKey(step, step.occurrence + (shift.get(nameOf(step)) ?? 0)), i);
  }
  return places;
}

const nameOf = (step: RecordedEvent): string => `${step.in}|${step.op}`;

/** Cells of the table that are worth their memory; longer runs are aligned only as far as they are equal. */
const CELLS_MAX = 2 ** 25;

/** Pairs of indices of a longest common subsequence, ascending; of equal ones, that which matches earliest. */
function commonSubsequence(a: readonly string[], b: readonly string[]): [number, number][] {
  const pairs: [number, number][] = [];
  let same = 0;
  while (same < a.length && same < b.length && a[same] === b[same]) pairs.push([same, same++]);
  const width = b.length - same + 1;
  const height = a.length - same + 1;
  if (width * height > CELLS_MAX) return pairs;
  const length = new Uint16Array(height * width);
  const cell = (i: number, j: number): number => (i - same) * width + (j - same);
  for (let i = a.length - 1; i >= same; i--) {
    for (let j = b.length - 1; j >= same; j--) {
      const at = cell(i, j);
      const [below, right, both] = [length[at + width], length[at + 1], length[at + width + 1]] as [
        number,
        number,
        number,
      ];
      length[at] = a[i] === b[j] ? both + 1 : Math.max(below, right);
    }
  }
  for (let i = same, j = same; i < a.length && j < b.length; ) {
    const at = cell(i, j);
    if (a[i] === b[j]) pairs.push([i++, j++]);
    else if ((length[at + width] as number) >= (length[at + 1] as number)) i++;
    else j++;
  }
  return pairs;
}
