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
  /** Places of the lives of objects, in the order in which the objects were given their places in memory. */
  private lives: number[] = [];
  /** For every sixteen bytes the number of the object around them, plus one. */
  private objectNumbers = new Uint16Array(1 << 8);
  private readers: number[] = [];

  /** @param coarse - Words of memory that are one place each. */
  constructor(readonly coarse: Set<number>) {}

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

  /** An object was given a place in memory: bytes `from` up to `to`, sixteens both. */
  addObject(from: number, to: number): void {
    this.lives.push(this.count++);
    if (to >> 4 >= this.objectNumbers.length) {
      const numbers = new Uint16Array(2 * (to >> 4));
      numbers.set(this.objectNumbers);
      this.objectNumbers = numbers;
    }
    this.objectNumbers.fill(this.lives.length, from >> 4, to >> 4);
  }

  /** The life of the object around offset `at`. */
  objectAround(at: number): number {
    const number = this.objectNumberAt(at);
    return number < 0 ? NO_PLACE : (this.lives[number] as number);
  }

  /** Number of the object around offset `at`, from 0 in order of {@link addObject}; -1 if there is none. */
  objectNumberAt(at: number): number {
    return (this.objectNumbers[at >> 4] ?? 0) - 1;
  }

  /** Objects that were given a place in memory so far. */
  get objectCount(): number {
    return this.lives.length;
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
