/**
 * The states that were visited: 64 bits of hash for each, and how many preemptions could still be made from there.
 *
 * Open addressing in typed arrays, 9 bytes an entry. When the table has grown to its bound, a new state takes the place
 * of an old one: nothing is lost by forgetting a state but the time to visit it again.
 */

const EMPTY = -1;

/** A table that was put aside: plain data, three numbers for each state. */
export interface VisitedAside {
  readonly added: number;
  readonly forgotten: number;
  readonly states: readonly number[];
}

/** A table of states. */
export class Visited {
  /** States that were added: distinct ones, as long as none was forgotten. */
  added = 0;
  forgotten = 0;
  private size = 1 << 16;
  private count = 0;
  private lo = new Int32Array(this.size);
  private hi = new Int32Array(this.size);
  private left = new Int8Array(this.size).fill(EMPTY);

  /** @param entriesMax - Entries it may grow to; a power of 2. */
  constructor(private readonly entriesMax: number) {}

  /**
   * Notes a visit of a state from which `left` more preemptions can be made.
   *
   * @returns whether it was visited before with at least as many left.
   */
  visit(lo: number, hi: number, left: number): boolean {
    if (this.count * 4 > this.size * 3 && this.size < this.entriesMax) this.grow();
    const mask = this.size - 1;
    let at = (lo ^ (hi << 7)) & mask;
    for (let probes = 0; probes < 64; probes++) {
      if ((this.left[at] as number) === EMPTY) {
        this.count++;
        this.added++;
        this.put(at, lo, hi, left);
        return false;
      }
      if (this.lo[at] === lo && this.hi[at] === hi) {
        if ((this.left[at] as number) >= left) return true;
        this.left[at] = left;
        return false;
      }
      at = (at + 1) & mask;
    }
    this.added++;
    this.forgotten++;
    this.put(at, lo, hi, left);
    return false;
  }

  /** The states, for {@link takeUp}. */
  putAside(): VisitedAside {
    const states: number[] = [];
    for (let i = 0; i < this.size; i++) {
      if ((this.left[i] as number) === EMPTY) continue;
      states.push(this.lo[i] as number, this.hi[i] as number, this.left[i] as number);
    }
    return { added: this.added, forgotten: this.forgotten, states };
  }

  /** Adds the states of another table. */
  takeUp({ added, forgotten, states }: VisitedAside): void {
    for (let i = 0; i + 2 < states.length; i += 3) {
      this.visit(states[i] as number, states[i + 1] as number, states[i + 2] as number);
    }
    this.added = added;
    this.forgotten = forgotten;
  }

  private put(at: number, lo: number, hi: number, left: number): void {
    this.lo[at] = lo;
    this.hi[at] = hi;
    this.left[at] = left;
  }

  private grow(): void {
    const { lo, hi, left } = this;
    this.size *= 2;
    this.lo = new Int32Array(this.size);
    this.hi = new Int32Array(this.size);
    this.left = new Int8Array(this.size).fill(EMPTY);
    const mask = this.size - 1;
    for (let i = 0; i < lo.length; i++) {
      if ((left[i] as number) === EMPTY) continue;
      let at = ((lo[i] as number) ^ ((hi[i] as number) << 7)) & mask;
      while ((this.left[at] as number) !== EMPTY) at = (at + 1) & mask;
      this.put(at, lo[i] as number, hi[i] as number, left[i] as number);
    }
  }
}
