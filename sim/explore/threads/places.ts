/**
 * Places: what two steps can touch in common, as small numbers.
 *
 * A place is a range of memory that is read and written as one, a lock, the life of an object (every access to an
 * object also touches its life, and freeing it writes that), or a thread's RCU read section. Two steps of different
 * threads depend on each other if they touch the same place and one of them writes it.
 *
 * If ranges overlap without being the same (members of a union, say), everything in that word of memory becomes one
 * place. That may turn up late, when places of that word were told apart already: then {@link PlacesMerged} is thrown
 * and the exploration starts again, with the word as one place from the beginning.
 */

/** No place at all. */
export const NO_PLACE = -1;

/** Ranges that were taken for different places overlap. */
export class PlacesMerged extends Error {
  override readonly name = "PlacesMerged";
}

interface Range {
  readonly at: number;
  readonly size: number;
  readonly place: number;
}

/** The places of a world. */
export class Places {
  /** Places handed out so far. */
  count = 0;
  private ranges = new Map<number, Range[]>();
  private locks = new Map<number, number>();
  private objects: { readonly from: number; readonly to: number; readonly place: number }[] = [];
  private readers: number[] = [];

  /** @param coarse - Words of memory that are one place each. */
  constructor(private readonly coarse: Set<number>) {}

  /** The place of `size` bytes at offset `at`. */
  placeAt(at: number, size: number): number {
    const word = at >> 3;
    let ranges = this.ranges.get(word);
    if (ranges === undefined) {
      ranges = [];
      this.ranges.set(word, ranges);
    }
    if (this.coarse.has(word)) {
      ranges[0] ??= { at: word << 3, size: 8, place: this.count++ };
      return ranges[0].place;
    }
    for (const range of ranges) {
      if (range.at === at && range.size === size) return range.place;
      if (at < range.at + range.size && range.at < at + size) {
        this.coarse.add(word);
        throw new PlacesMerged(`word ${word}`);
      }
    }
    const place = this.count++;
    ranges.push({ at, size, place });
    return place;
  }

  /** The lock at offset `at`. */
  lockAt(at: number): number {
    let place = this.locks.get(at);
    if (place === undefined) {
      place = this.count++;
      this.locks.set(at, place);
    }
    return place;
  }

  /** An object was given a place in memory: bytes `from` up to `to`. */
  addObject(from: number, to: number): void {
    this.objects.push({ from, to, place: this.count++ });
  }

  /** The life of the object around offset `at`. */
  objectAround(at: number): number {
    for (const object of this.objects) if (at >= object.from && at < object.to) return object.place;
    return NO_PLACE;
  }

  /** The read section of a thread. */
  readerOf(thread: number): number {
    let place = this.readers[thread];
    if (place === undefined) {
      place = this.count++;
      this.readers[thread] = place;
    }
    return place;
  }
}

/** Runs something with places to fill, again from the start whenever two of them turn out to be one. */
export function withPlaces<R>(run: (places: Places) => R): R {
  const coarse = new Set<number>();
  for (;;) {
    try {
      return run(new Places(coarse));
    } catch (error) {
      if (!(error instanceof PlacesMerged)) throw error;
    }
  }
}
