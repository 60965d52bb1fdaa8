/**
 * What is to be done in one round of a search, handed out to those who do it.
 *
 * Round n goes through what n preemptions add. It begins with the states of the round before, each of which has choices
 * that are a preemption; they are handed out in order, a few at a time. Whoever has none left may be given some of
 * another's: a state, and from which of its choices on.
 */
import type { SharedWords } from "./sharedWords.ts";

/** Choices of a state that are still to be taken. */
export interface Item {
  readonly state: number;
  /** Those that are a preemption, or those that are not. */
  readonly preempting: boolean;
  /** How many of them are done. */
  readonly from: number;
  /** The part of the round that they are, see `Search.done`. */
  readonly weight: number;
}

const NEXT = 0;
const END = 1;
const IDLE = 2;
const COUNT = 3;
const LOCK = 4;
const STOP = 5;
const ITEMS = 8;
const ITEM_WORDS = 4;
const ITEMS_MAX = 256;
const CHUNK = 16;

/** Words that a {@link Work} needs. */
export const WORK_WORDS = ITEMS + ITEMS_MAX * ITEM_WORDS;

/** The work of one round, as one of those who do it sees it. */
export class Work {
  private readonly weights: Float32Array;

  constructor(
    readonly memory: Int32Array,
    private readonly words: SharedWords,
  ) {
    this.weights = new Float32Array(memory.buffer, memory.byteOffset, memory.length);
  }

  /** A round begins: with the states from one number up to another. */
  begin(next: number, end: number): void {
    this.memory.fill(0);
    this.memory[NEXT] = next;
    this.memory[END] = end;
  }

  /** The next few states, first and last but one; null if there are none left. */
  nextStates(): readonly [number, number] | null {
    const { memory, words } = this;
    const end = words.load(memory, END);
    if (words.load(memory, NEXT) >= end) return null;
    const next = words.add(memory, NEXT, CHUNK);
    return next >= end ? null : [next, Math.min(next + CHUNK, end)];
  }

  /** The first of the states that nobody has taken; they end at {@link end}. */
  get next(): number {
    return Math.min(this.words.load(this.memory, NEXT), this.end);
  }

  get end(): number {
    return this.words.load(this.memory, END);
  }

  /** Whether somebody waits for work, and there is none. */
  get isWanted(): boolean {
    const { memory, words } = this;
    return words.load(memory, IDLE) > words.load(memory, COUNT);
  }

  /** Gives work to whoever waits. */
  give(item: Item): boolean {
    const { memory } = this;
    this.lock();
    const count = memory[COUNT] as number;
    const room = count < ITEMS_MAX;
    if (room) {
      const at = ITEMS + count * ITEM_WORDS;
      memory[at] = item.state;
      memory[at + 1] = item.preempting ? 1 : 0;
      memory[at + 2] = item.from;
      this.weights[at + 3] = item.weight;
      this.words.store(memory, COUNT, count + 1);
    }
    this.unlock();
    return room;
  }

  /** Says that one has nothing to do. @returns whether that is all of so many. */
  idle(searches: number): boolean {
    this.lock();
    const idle = this.words.add(this.memory, IDLE, 1) + 1;
    const over = idle === searches && this.memory[COUNT] === 0;
    this.unlock();
    return over;
  }

  /** Takes what somebody gave, for one that is idle. */
  take(): Item | null {
    const { memory } = this;
    this.lock();
    const count = (memory[COUNT] as number) - 1;
    let item: Item | null = null;
    if (count >= 0) {
      const at = ITEMS + count * ITEM_WORDS;
      const [state, preempting, from] = [memory[at] as number, memory[at + 1] === 1, memory[at + 2] as number];
      item = { state, preempting, from, weight: this.weights[at + 3] as number };
      this.words.store(memory, COUNT, count);
      this.words.add(memory, IDLE, -1);
    }
    this.unlock();
    return item;
  }

  /** Waits a little for somebody to give work. */
  wait(milliseconds: number): void {
    this.words.wait(this.memory, COUNT, 0, milliseconds);
  }

  /** Whether all of so many have nothing to do. */
  isOver(searches: number): boolean {
    this.lock();
    const over = this.memory[IDLE] === searches && this.memory[COUNT] === 0;
    this.unlock();
    return over;
  }

  /** Tells all to stop. */
  stop(): void {
    this.words.store(this.memory, STOP, 1);
  }

  get isStopped(): boolean {
    return this.words.load(this.memory, STOP) !== 0;
  }

  private lock(): void {
    while (this.words.compareExchange(this.memory, LOCK, 0, 1) !== 0);
  }

  private unlock(): void {
    this.words.store(this.memory, LOCK, 0);
  }
}
