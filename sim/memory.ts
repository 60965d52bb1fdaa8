/**
 * Flat byte memory behind addresses that look like kernel addresses.
 *
 * The arena is a stretch of the direct map, from physical 0x17c000000 on. A kernel pointer is carried in JavaScript
 * as a small integer so that the step loop stays in integer arithmetic:
 *
 * | kernel address            | number                      |
 * |---------------------------|-----------------------------|
 * | NULL and small values     | the value                   |
 * | ffff88017c000000 + offset | {@link ARENA} + offset      |
 * | ffffffff80000000 and up   | the low word, negative      |
 * | anything else             | {@link WILD} and up         |
 *
 * In memory every pointer has its real eight bytes, so poison, dumps and partial overwrites behave as they do in the
 * kernel. Fields are declared as pointer or integer; only pointer fields use the second row of the table, and integer
 * fields hold every whole number below 2^52 as itself.
 */
import { PLAIN, POINTER, SIGNED } from "./struct.ts";

/** Who has to know of a change of memory before it is made, in order to undo it. */
export interface ChangeObserver {
  /** `length` bytes from `at` on, or their shadow, are about to change. */
  beforeChange(at: number, length: number): void;
}

/** Number that stands for the first address of the arena. */
export const ARENA = 0x7c000000;
export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 1 << PAGE_SHIFT;
/** Physical page frame number of the first arena page. */
export const ARENA_PFN = 0x17c000;
const DIRECT_MAP_HIGH = 0xffff8801 | 0;
const ARENA_PAGES = 128;
const LAST_PAGES = (ARENA_PAGES - 2) * PAGE_SIZE;
/**
 * The last two pages of the arena, for the stacks of the CPUs' softirqs. Nobody is given them: so where a task's stack or a
 * slab lies does not depend on whether there was a softirq before.
 */
export const SOFTIRQ_STACKS = ARENA + LAST_PAGES;
/** Numbers from here on stand for eight bytes that no other row of the table covers: a poisoned pointer, say. */
export const WILD = 2 ** 52;
/** Room of each of them, so that the offset of a field can be added to it or taken off. */
const WILD_STRIDE = 2 ** 20;

/** Shadow codes, one per eight bytes; 0 is accessible, 1 to 7 mean that only that many first bytes are. */
export const SHADOW_OK = 0;
export const SHADOW_FREED = 0xfb;
export const SHADOW_REDZONE = 0xfc;
export const SHADOW_PAGE_FREE = 0xff;

/** A pointer as sixteen hexadecimal digits, the way `%p` prints it. Not for wild pointers: see {@link Memory.hex}. */
export function hexPointer(value: number): string {
  if (value < 0) return `ffffffff${(value >>> 0).toString(16).padStart(8, "0")}`;
  if (value > 0xffffffff) return value.toString(16).padStart(16, "0");
  return (value >= ARENA ? "ffff8801" : "00000000") + value.toString(16).padStart(8, "0");
}

/** High word of a value that is not wild. */
function highWord(value: number, code: number): number {
  if (value <= 0x7fffffff) return value < 0 ? -1 : code === POINTER && value >= ARENA ? DIRECT_MAP_HIGH : 0;
  return Math.floor(value / 2 ** 32);
}

/** What {@link Memory.savePages} gives. */
export interface SavedPages {
  readonly nextPage: number;
  readonly strayEnd: number;
  readonly freePages: readonly number[];
  readonly mapped: Uint8Array;
}

/** Flat memory of one machine. Cleared, not reallocated, between runs. */
export class Memory {
  readonly size = ARENA_PAGES * PAGE_SIZE;
  readonly bytes = new Uint8Array(this.size);
  private readonly half = new Uint16Array(this.bytes.buffer);
  private readonly words = new Int32Array(this.bytes.buffer);
  readonly shadow = new Uint8Array(this.size >> 3);
  /** 1 for a page whose kernel mapping is present. */
  readonly mapped = new Uint8Array(ARENA_PAGES);
  private nextPage = 0;
  /** End of the memory that bad stores have reached. */
  private strayEnd = 0;
  private readonly freePages: number[] = [];
  private readonly wild: { low: number; high: number }[] = [];
  /** Told of every change of bytes and shadow. */
  observer: ChangeObserver | null = null;

  constructor() {
    this.shadow.fill(SHADOW_PAGE_FREE);
    this.mapped.fill(1);
  }

  /** Back to the state of a fresh machine. */
  clear(): void {
    this.observer = null;
    const used = this.nextPage * PAGE_SIZE;
    this.bytes.fill(0, 0, Math.max(used, this.strayEnd));
    this.bytes.fill(0, LAST_PAGES);
    this.strayEnd = 0;
    this.shadow.fill(SHADOW_PAGE_FREE, 0, used >> 3);
    this.shadow.fill(SHADOW_PAGE_FREE, LAST_PAGES >> 3);
    this.mapped.fill(1);
    this.nextPage = 0;
    this.freePages.length = 0;
    this.wild.length = 0;
  }

  /** Any value of a pointer field as sixteen hexadecimal digits. */
  hex(value: number): string {
    if (value < WILD) return hexPointer(value);
    const { low, high } = this.wildWords(value);
    return (high >>> 0).toString(16).padStart(8, "0") + (low >>> 0).toString(16).padStart(8, "0");
  }

  /** The number of a wild value; neighbours share an entry, so that equal values are equal numbers. */
  private internWild(low: number, high: number): number {
    const near = (w: { low: number; high: number }): boolean =>
      w.high === high && Math.abs((low >>> 0) - (w.low >>> 0)) < WILD_STRIDE / 2;
    let index = this.wild.findIndex(near);
    if (index < 0) index = this.wild.push({ low, high }) - 1;
    const from = (this.wild[index] as { low: number }).low;
    return WILD + index * WILD_STRIDE + WILD_STRIDE / 2 + (low >>> 0) - (from >>> 0);
  }

  /** The two words that a wild value stands for. */
  wildWords(value: number): { low: number; high: number } {
    const index = Math.floor((value - WILD) / WILD_STRIDE);
    const { low, high } = this.wild[index] as { low: number; high: number };
    const moved = (low >>> 0) + (value - WILD - index * WILD_STRIDE - WILD_STRIDE / 2);
    return { low: moved | 0, high: (high + Math.floor(moved / 2 ** 32)) | 0 };
  }

  /** Notes a store of up to eight bytes to memory that was never handed out, which the next run must not see. */
  noteStray(at: number): void {
    this.strayEnd = Math.max(this.strayEnd, at + 8);
  }

  /**
   * Takes a page, the most recently freed one first, and maps it.
   *
   * @returns its address, or 0 when memory is exhausted.
   */
  allocPage(): number {
    const page = this.freePages.pop() ?? (this.nextPage < ARENA_PAGES - 2 ? this.nextPage++ : -1);
    if (page < 0) return 0;
    this.mapped[page] = 1;
    return ARENA + page * PAGE_SIZE;
  }

  /** Gives a page back; `unmap` removes it from the kernel mapping, as DEBUG_PAGEALLOC does. */
  freePage(address: number, unmap: boolean): void {
    const page = (address - ARENA) >> PAGE_SHIFT;
    this.freePages.push(page);
    if (unmap) this.mapped[page] = 0;
    this.setShadow(address, PAGE_SIZE, SHADOW_PAGE_FREE);
  }

  /** Fills `length` bytes from `at` on. */
  fill(at: number, length: number, byte: number): void {
    this.observer?.beforeChange(at, length);
    this.bytes.fill(byte, at, at + length);
  }

  /** Which pages are in use and mapped; for {@link restorePages}. */
  savePages(): SavedPages {
    return {
      nextPage: this.nextPage,
      strayEnd: this.strayEnd,
      freePages: this.freePages.slice(),
      mapped: this.mapped.slice(0, this.nextPage),
    };
  }

  restorePages(saved: SavedPages): void {
    this.nextPage = saved.nextPage;
    this.strayEnd = Math.max(saved.strayEnd, this.strayEnd);
    this.freePages.length = 0;
    this.freePages.push(...saved.freePages);
    this.mapped.fill(1);
    this.mapped.set(saved.mapped);
  }

  setShadow(address: number, length: number, code: number): void {
    this.observer?.beforeChange(address - ARENA, length);
    const from = (address - ARENA) >> 3;
    this.shadow.fill(code, from, from + (length >> 3));
    if (code === SHADOW_OK && (length & 7) !== 0) this.shadow[from + (length >> 3)] = length & 7;
  }

  /** Reads a value. `at` is an offset into the arena, aligned to `size`. */
  load(at: number, size: number, code: number): number {
    if (size === 8) {
      const low = this.words[at >> 2] as number;
      const high = this.words[(at >> 2) + 1] as number;
      return this.join(low, high, code);
    }
    if (size === 4) return code === SIGNED ? (this.words[at >> 2] as number) : (this.words[at >> 2] as number) >>> 0;
    if (size === 1) return this.bytes[at] as number;
    if (size !== 2) throw new Error(`[sim bug] a load of ${size} bytes: no scalar, or a member this config has not`);
    return this.half[at >> 1] as number;
  }

  /** The number that eight bytes stand for. */
  private join(low: number, high: number, code: number): number {
    if (high === 0 && (code !== POINTER || (low >= 0 && low < ARENA))) return low >>> 0;
    if (high === -1 && low < 0) return low;
    if (code === POINTER) {
      if (high === DIRECT_MAP_HIGH && low >= ARENA) return low;
    } else if (high > 0 && high < WILD / 2 ** 32) return high * 2 ** 32 + (low >>> 0);
    return this.internWild(low, high);
  }

  private split(value: number, code: number): { low: number; high: number } {
    if (value >= WILD) return this.wildWords(value);
    return { low: value | 0, high: highWord(value, code) };
  }

  /** An eight-byte value with bits set or cleared. */
  withBits(value: number, code: number, bits: number, set: boolean): number {
    const a = this.split(value, code);
    const b = this.split(bits, PLAIN);
    return set ? this.join(a.low | b.low, a.high | b.high, code) : this.join(a.low & ~b.low, a.high & ~b.high, code);
  }

  /** Writes a value. `at` is an offset into the arena, aligned to `size`. */
  store(at: number, size: number, code: number, value: number): void {
    if (this.observer !== null) this.observer.beforeChange(at, size);
    if (size === 8) {
      if (value >= WILD) {
        const { low, high } = this.wildWords(value);
        this.words[at >> 2] = low;
        this.words[(at >> 2) + 1] = high;
        return;
      }
      this.words[at >> 2] = value;
      this.words[(at >> 2) + 1] = highWord(value, code);
    } else if (size === 4) this.words[at >> 2] = value;
    else if (size === 1) this.bytes[at] = value;
    else if (size === 2) this.half[at >> 1] = value;
    else throw new Error(`[sim bug] a store of ${size} bytes: no scalar, or a member this config has not`);
  }
}
