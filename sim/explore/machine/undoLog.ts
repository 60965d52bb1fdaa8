/**
 * The way back for memory, and its hash, block by block.
 *
 * Memory is cut into blocks. The first change of a block after a {@link UndoLog.mark} saves the block as it was; going
 * back to a mark puts back what was saved since. The hash of memory is a sum over its blocks, so that only the blocks
 * that changed since the last mark are hashed anew.
 */
import type { ChangeObserver, Memory } from "../../memory.ts";
import { Hash64 } from "./hash64.ts";

const BLOCK_SHIFT = 8;
const BLOCK = 1 << BLOCK_SHIFT;
const SHADOW = BLOCK >> 3;
const WORDS = BLOCK >> 2;
const SHADOW_WORDS = SHADOW >> 2;
const ENTRY = BLOCK + SHADOW;

/** Changes of one memory, newest last. */
export class UndoLog implements ChangeObserver {
  /** Hash of memory at the last mark. */
  lo = 0;
  hi = 0;
  private count = 0;
  /** Entries up to here were there at the last mark. */
  private marked = 0;
  private epoch = 1;
  private readonly stamp: Int32Array;
  private readonly blockLo: Int32Array;
  private readonly blockHi: Int32Array;
  private readonly words: Int32Array;
  private readonly shadowWords: Int32Array;
  private readonly hash = new Hash64();
  // The entries: which block, its hash, its bytes and shadow.
  private block = new Int32Array(1024);
  private savedLo = new Int32Array(1024);
  private savedHi = new Int32Array(1024);
  private saved = new Uint8Array(1024 * ENTRY);

  constructor(private readonly memory: Memory) {
    const blocks = memory.size >> BLOCK_SHIFT;
    this.stamp = new Int32Array(blocks);
    this.blockLo = new Int32Array(blocks);
    this.blockHi = new Int32Array(blocks);
    this.words = new Int32Array(memory.bytes.buffer);
    this.shadowWords = new Int32Array(memory.shadow.buffer);
    for (let block = 0; block < blocks; block++) this.rehash(block);
    memory.observer = this;
  }

  beforeChange(at: number, length: number): void {
    const first = at >> BLOCK_SHIFT;
    if (this.stamp[first] !== this.epoch) this.save(first);
    if (length > 8) {
      const last = (at + length - 1) >> BLOCK_SHIFT;
      for (let block = first + 1; block <= last; block++) if (this.stamp[block] !== this.epoch) this.save(block);
    }
  }

  /** Brings the hash up to date, and gives the place to {@link rewind} to. */
  mark(): number {
    for (let i = this.marked; i < this.count; i++) this.rehash(this.block[i] as number);
    this.marked = this.count;
    this.epoch++;
    return this.count;
  }

  /** Memory as it was at a mark. */
  rewind(mark: number): void {
    const { memory } = this;
    for (let i = this.count - 1; i >= mark; i--) {
      const block = this.block[i] as number;
      const from = i * ENTRY;
      memory.bytes.set(this.saved.subarray(from, from + BLOCK), block << BLOCK_SHIFT);
      memory.shadow.set(this.saved.subarray(from + BLOCK, from + ENTRY), block * SHADOW);
      this.lo = (this.lo - (this.blockLo[block] as number) + (this.savedLo[i] as number)) | 0;
      this.hi = (this.hi - (this.blockHi[block] as number) + (this.savedHi[i] as number)) | 0;
      this.blockLo[block] = this.savedLo[i] as number;
      this.blockHi[block] = this.savedHi[i] as number;
    }
    this.count = mark;
    this.marked = mark;
    this.epoch++;
  }

  private save(block: number): void {
    // A stray store to the end of memory and beyond has no block.
    if (block >= this.stamp.length || block < 0) return;
    this.stamp[block] = this.epoch;
    if (this.count === this.block.length) this.grow();
    const i = this.count++;
    const from = i * ENTRY;
    this.block[i] = block;
    this.savedLo[i] = this.blockLo[block] as number;
    this.savedHi[i] = this.blockHi[block] as number;
    this.saved.set(this.memory.bytes.subarray(block << BLOCK_SHIFT, (block + 1) << BLOCK_SHIFT), from);
    this.saved.set(this.memory.shadow.subarray(block * SHADOW, (block + 1) * SHADOW), from + BLOCK);
  }

  private rehash(block: number): void {
    const hash = this.hash.begin(block);
    const end = (block + 1) * WORDS;
    for (let i = block * WORDS; i < end; i++) hash.word(this.words[i] as number);
    const shadowEnd = (block + 1) * SHADOW_WORDS;
    for (let i = block * SHADOW_WORDS; i < shadowEnd; i++) hash.word(this.shadowWords[i] as number);
    hash.end();
    this.lo = (this.lo - (this.blockLo[block] as number) + hash.lo) | 0;
    this.hi = (this.hi - (this.blockHi[block] as number) + hash.hi) | 0;
    this.blockLo[block] = hash.lo;
    this.blockHi[block] = hash.hi;
  }

  private grow(): void {
    const longer = 2 * this.block.length;
    const copy = (old: Int32Array): Int32Array<ArrayBuffer> => {
      const made = new Int32Array(longer);
      made.set(old);
      return made;
    };
    this.block = copy(this.block);
    this.savedLo = copy(this.savedLo);
    this.savedHi = copy(this.savedHi);
    const saved = new Uint8Array(longer * ENTRY);
    saved.set(this.saved);
    this.saved = saved;
  }
}
