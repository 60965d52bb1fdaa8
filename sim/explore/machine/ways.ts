/** From which state which other was come to, and how: three words each, in the order in which they were seen. */

const WORDS = 3;

/** A list of ways that grows. */
export class Ways {
  length = 0;
  private words = new Int32Array(WORDS * 1024);

  add(from: number, to: number, way: number): void {
    const at = this.length * WORDS;
    if (at === this.words.length) {
      const longer = new Int32Array(2 * at);
      longer.set(this.words);
      this.words = longer;
    }
    this.words[at] = from;
    this.words[at + 1] = to;
    this.words[at + 2] = way;
    this.length++;
  }

  /** All of them, three words each. */
  all(): Int32Array {
    return this.words.subarray(0, this.length * WORDS);
  }

  /** Adds those of another list. */
  addAll(words: Int32Array): void {
    for (let i = 0; i + 2 < words.length; i += WORDS) {
      this.add(words[i] as number, words[i + 1] as number, words[i + 2] as number);
    }
  }
}
