/**
 * A set of 64-bit keys, each with what was left to spend when it was entered.
 *
 * Open addressing in typed arrays: some twenty bytes for each key, and no object.
 */
/** The set. */
export class SeenStates {
  /** Keys entered. */
  count = 0;
  private low = new Int32Array(1 << 12);
  private high = new Int32Array(1 << 12);
  private left = new Uint8Array(1 << 12);

  /** Enters a key. @returns whether it is new, or was entered with less left to spend. */
  enter(low: number, high: number, left: number): boolean {
    const mask = this.low.length - 1;
    // 0,0 marks a free slot.
    const key = low === 0 && high === 0 ? 1 : low;
    let at = (key ^ (high >>> 7)) & mask;
    for (;;) {
      if (this.low[at] === 0 && this.high[at] === 0) break;
      if (this.low[at] === key && this.high[at] === high) {
        if ((this.left[at] as number) >= left + 1) return false;
        this.left[at] = left + 1;
        return true;
      }
      at = (at + 1) & mask;
    }
    this.low[at] = key;
    this.high[at] = high;
    this.left[at] = left + 1;
    if (++this.count * 3 > this.low.length * 2) this.grow();
    return true;
  }

  private grow(): void {
    const { low, high, left } = this;
    const size = low.length * 2;
    this.low = new Int32Array(size);
    this.high = new Int32Array(size);
    this.left = new Uint8Array(size);
    for (let i = 0; i < low.length; i++) {
      if (low[i] === 0 && high[i] === 0) continue;
      let at = ((low[i] as number) ^ ((high[i] as number) >>> 7)) & (size - 1);
      while (this.low[at] !== 0 || this.high[at] !== 0) at = (at + 1) & (size - 1);
      this.low[at] = low[i] as number;
      this.high[at] = high[i] as number;
      this.left[at] = left[i] as number;
    }
  }
}
