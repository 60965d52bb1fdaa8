/**
 * Hashes of 64 bits in two lanes of 32, kept in two numbers.
 *
 * Two different values have the same hash by chance once in 2^64: among n values some two do with probability n²/2^65,
 * for ten million 3 in 10^6.
 */

/** A hash being made; lanes are signed 32-bit numbers. */
export class Hash64 {
  lo = 0;
  hi = 0;

  /** Starts anew. */
  begin(seed: number): this {
    this.lo = Math.imul(seed ^ 0x2545f491, 0x9e3779b1);
    this.hi = Math.imul(seed ^ 0x6c078965, 0x85ebca77);
    return this;
  }

  /** Takes in 32 bits. */
  word(value: number): void {
    const lo = Math.imul(this.lo ^ value, 0xcc9e2d51 | 0);
    this.lo = (((lo << 15) | (lo >>> 17)) + this.hi) | 0;
    const hi = Math.imul(this.hi ^ value, 0x1b873593) ^ lo;
    this.hi = Math.imul((hi << 13) | (hi >>> 19), 5) + 0x6b64e654;
  }

  /** Takes in any whole number. */
  number(value: number): void {
    this.word(value | 0);
    if (value !== (value | 0)) this.word(Math.floor(value / 4294967296) | 0);
  }

  /** Mixes every bit into every other. */
  end(): this {
    let { lo, hi } = this;
    lo = Math.imul(lo ^ (lo >>> 16) ^ hi, 0x85ebca6b);
    hi = Math.imul(hi ^ (hi >>> 15) ^ lo, 0xc2b2ae35 | 0);
    lo = Math.imul(lo ^ (lo >>> 13) ^ hi, 0x27d4eb2f);
    hi = hi ^ (hi >>> 16) ^ lo;
    this.lo = lo | 0;
    this.hi = hi | 0;
    return this;
  }

  /** Takes in a text. */
  text(value: string): void {
    this.word(value.length);
    for (let i = 0; i < value.length; i++) this.word(value.charCodeAt(i));
  }
}
