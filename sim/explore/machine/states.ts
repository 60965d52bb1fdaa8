/**
 * The states that were visited, and one way to each.
 *
 * A state is 64 bits of hash, and has a number. With it stands from which state it was first come to, by which event,
 * and in how many steps: so each state has its way from the start, which is how a search gets to a state that another
 * has found. A hash table over the numbers finds a state by its hash. Several searches may add states at once.
 */
import { ALONE, type SharedWords } from "./sharedWords.ts";

/** The state before the first step. It has no hash and is in no table. */
export const START = 0;

/** Numbers are given out to a search so many at a time, so that those that follow each other lie near each other. */
const BLOCK = 64;
/** Words of a state: two of hash, where it was come from (plus 1, so that 0 is no state), and how. */
const WORDS = 4;

/** How one state leads to another: an event, and the steps from there to where there is a choice again, in one word. */
export const packWay = (event: number, steps: number): number => event | (Math.min(steps, 0xffff) << 16);
/** The event of a way. */
export const wayEvent = (way: number): number => way & 0xffff;
/** The steps of a way. */
export const waySteps = (way: number): number => way >>> 16;

/** What the states are kept in. */
export interface StateMemory {
  table: Int32Array;
  states: Int32Array;
  /** The first number not yet given out. */
  readonly next: Int32Array;
}

/** Room for so many states, at most. */
export function makeStateMemory(
  statesMax: number,
  make: (words: number) => Int32Array = (words) => new Int32Array(words),
): StateMemory {
  const next = make(1);
  next[0] = BLOCK;
  return { table: make(2 * statesMax), states: make(WORDS * statesMax), next };
}

/** States that there must be room for to take up those that were put aside. */
export const asideStates = (aside: Int32Array): number => aside.length / WORDS;

/** Room for a few states; a table for one search grows. */
export const FEW = 2 ** 12;

/** The states, as one search sees them. */
export class States {
  /** States that this search has added. */
  added = 0;
  /** There was no room for another state. */
  full = false;
  private mine = 0;
  private mineEnd = 0;

  /**
   * @param statesMax - States there may be; a power of 2. Memory for one search grows up to there.
   * @param words - Not {@link ALONE} if others use the memory too; then it has the size of `statesMax`.
   */
  constructor(
    readonly memory: StateMemory,
    readonly statesMax: number,
    private readonly words: SharedWords,
  ) {}

  /** The search that adds them begins. */
  begin(): void {
    this.added = 0;
    this.full = false;
    this.beginBlock();
  }

  /** What it adds from here on comes after what there is. */
  beginBlock(): void {
    this.mine = 0;
    this.mineEnd = 0;
  }

  /** The first number not yet given out. */
  get end(): number {
    return this.words.load(this.memory.next, 0);
  }

  /** Whether a number is that of a state. */
  exists(state: number): boolean {
    return this.memory.states[state * WORDS + 2] !== 0;
  }

  /** Where a state was first come from. */
  parent(state: number): number {
    return (this.memory.states[state * WORDS + 2] as number) - 1;
  }

  /** How it was come to from there. */
  way(state: number): number {
    return this.memory.states[state * WORDS + 3] as number;
  }

  /**
   * Notes a visit of a state.
   *
   * @returns its number if it was visited before; less than 0, minus its number, if it is new; 0 if there is no room.
   */
  visit(lo: number, hi: number, parent: number, way: number): number {
    const { words } = this;
    let own = 0;
    if (words === ALONE) this.grow();
    const { table, states } = this.memory;
    const mask = table.length - 1;
    let at = (lo ^ (hi << 7)) & mask;
    for (;;) {
      let there = words.load(table, at);
      if (there === 0) {
        if (own === 0) {
          own = this.claim(lo, hi, parent, way);
          if (own === 0) return 0;
        }
        there = words.compareExchange(table, at, 0, own);
        if (there === 0) return -this.take();
      }
      if (states[there * WORDS] === lo && states[there * WORDS + 1] === hi) {
        // Somebody else was faster: the number stays for the next.
        if (own !== 0) states[own * WORDS + 2] = 0;
        return there;
      }
      at = (at + 1) & mask;
    }
  }

  /** Adds a state without asking whether it was visited before; gives minus its number, or 0 if there is no room. */
  add(parent: number, way: number): number {
    if (this.words === ALONE) this.grow();
    const own = this.claim(0, 0, parent, way);
    if (own === 0) return 0;
    // Each is its own: the number does for a hash.
    this.memory.states[own * WORDS] = own;
    return -this.take();
  }

  private take(): number {
    this.added++;
    return this.mine++;
  }

  private claim(lo: number, hi: number, parent: number, way: number): number {
    if (this.mine === this.mineEnd) {
      this.mine = this.words.add(this.memory.next, 0, BLOCK);
      this.mineEnd = this.mine + BLOCK;
    }
    const { states } = this.memory;
    const at = this.mine * WORDS;
    if (at + WORDS > states.length) {
      this.full = true;
      return 0;
    }
    states[at] = lo;
    states[at + 1] = hi;
    states[at + 2] = parent + 1;
    states[at + 3] = way;
    return this.mine;
  }

  /** Makes room for one more state, where one search alone uses the memory. */
  private grow(): void {
    const { memory, statesMax } = this;
    const size = memory.states.length / WORDS;
    if ((memory.next[0] as number) + BLOCK <= size || size >= statesMax) return;
    const states = new Int32Array(2 * memory.states.length);
    states.set(memory.states);
    memory.states = states;
    memory.table = new Int32Array(2 * memory.table.length);
    this.fillTable();
  }

  private fillTable(): void {
    const { table, states, next } = this.memory;
    const mask = table.length - 1;
    for (let state = BLOCK; state < (next[0] as number); state++) {
      if (!this.exists(state)) continue;
      let at = ((states[state * WORDS] as number) ^ ((states[state * WORDS + 1] as number) << 7)) & mask;
      while ((table[at] as number) !== 0) at = (at + 1) & mask;
      table[at] = state;
    }
  }

  /** All states, for {@link takeUp}. */
  putAside(): Int32Array {
    return this.memory.states.slice(0, this.end * WORDS);
  }

  /** Takes over the states of another table of the same program; there are none yet. */
  takeUp(aside: Int32Array): void {
    const end = asideStates(aside);
    if (this.words === ALONE) {
      let size = this.memory.states.length / WORDS;
      while (size < end + BLOCK && size < this.statesMax) size *= 2;
      this.memory.states = new Int32Array(size * WORDS);
      this.memory.table = new Int32Array(2 * size);
    }
    if (aside.length > this.memory.states.length) throw new Error("[sim bug] more states than there is room for");
    this.memory.states.set(aside);
    this.words.store(this.memory.next, 0, end);
    this.fillTable();
  }

  /** Forgets all states, whoever added them. */
  clear(): void {
    const { table, states, next } = this.memory;
    const used = Math.min(next[0] as number, states.length / WORDS);
    if (used * 4 > table.length / 2) table.fill(0);
    else {
      const mask = table.length - 1;
      for (let state = BLOCK; state < used; state++) {
        if (!this.exists(state)) continue;
        let at = ((states[state * WORDS] as number) ^ ((states[state * WORDS + 1] as number) << 7)) & mask;
        for (; (table[at] as number) !== 0; at = (at + 1) & mask) table[at] = 0;
      }
    }
    states.fill(0, 0, used * WORDS);
    next[0] = BLOCK;
    this.begin();
  }
}
