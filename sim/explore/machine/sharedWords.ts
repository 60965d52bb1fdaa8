/**
 * Words of memory that several searches use at the same time.
 *
 * The searches of one exploration may run in threads of their own. What they share is arrays of words; each way of
 * using a word is one of the operations below. `Atomics` is what threads need, and is given by whoever has threads;
 * {@link ALONE} is for a search that is by itself.
 */

/** The operations; each gives what was there before, but for `store`. */
export interface SharedWords {
  load(words: Int32Array, at: number): number;
  store(words: Int32Array, at: number, value: number): number;
  add(words: Int32Array, at: number, value: number): number;
  or(words: Int32Array, at: number, bits: number): number;
  compareExchange(words: Int32Array, at: number, expected: number, value: number): number;
  /** Waits while a word has a value, so many milliseconds at most. */
  wait(words: Int32Array, at: number, value: number, timeout: number): unknown;
}

/** For one thread. */
export const ALONE: SharedWords = {
  load: (words, at) => words[at] as number,
  store(words, at, value) {
    words[at] = value;
    return value;
  },
  add(words, at, value) {
    const before = words[at] as number;
    words[at] = before + value;
    return before;
  },
  or(words, at, bits) {
    const before = words[at] as number;
    words[at] = before | bits;
    return before;
  },
  compareExchange(words, at, expected, value) {
    const before = words[at] as number;
    if (before === expected) words[at] = value;
    return before;
  },
  wait: () => undefined,
};
