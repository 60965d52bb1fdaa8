/**
 * Which objects anyone can still come to.
 *
 * An object that was freed and that nobody can reach any more makes no difference to what may yet happen, so states that
 * differ in nothing but such objects are one state. Someone reaches an object if a live thread may touch it without
 * having to read its address first, or if its address stands in memory that is not itself part of an object out of
 * reach.
 *
 * What a thread may touch so is read off its automaton: the objects of its op, those whose address the op stores, and
 * what it may touch after each result, but for the object that the result itself is the address of, if it was read
 * from memory or allocated. This only grows while code is learned; {@link Reach.version} counts how often it grew by an
object that had been forgotten.
 *
 * Addresses are found in aligned words of eight bytes, and a thread is taken to need memory for an address only if it
 * loads such a word. An address that arithmetic brings forth in memory keeps its object for good.
 */
import { ARENA, type Memory, PAGE_SIZE, SHADOW_PAGE_FREE } from "../../memory.ts";
import {
  ALLOC,
  ASSIGN,
  ATOMIC,
  COMPARE_EXCHANGE,
  LOAD,
  RCU_DEREFERENCE,
  STORE,
  UPDATE,
  UPDATE_MODE,
} from "../../op.ts";
import { type Automata, type LocalState, OVER } from "./automaton.ts";
import type { Places } from "./places.ts";

/** Objects that can be forgotten: the first so many. The others are always within reach. */
const OBJECTS_MAX = 31;
/** Row of memory that is in none of these objects. */
const ROOTS = OBJECTS_MAX;

const bitOf = (object: number): number => (object >= 0 && object < OBJECTS_MAX ? 1 << object : 0);

/** The reach of the threads and of memory, kept up to date step by step. */
export class Reach {
  /** Grows whenever something that was forgotten turns out to be within reach. */
  version = 0;
  private readonly parents = new Map<LocalState, { readonly state: LocalState; readonly without: number }[]>();
  /** How many words of each object, and of memory around, hold the address of each object; as bits: whether any. */
  private readonly counts = new Int32Array((OBJECTS_MAX + 1) * OBJECTS_MAX);
  private readonly held = new Int32Array(OBJECTS_MAX + 1);
  private objects = 0;
  private kept = 0;

  constructor(
    private readonly automata: Automata,
    private readonly places: Places,
    private readonly memory: Memory,
  ) {
    for (const { root } of automata.threads) this.enter(root);
    this.scan();
  }

  // --- Threads ------------------------------------------------------------------------------------------------------

  private enter(state: LocalState): { readonly state: LocalState; readonly without: number }[] {
    const known = this.parents.get(state);
    if (known !== undefined) return known;
    const parents: { readonly state: LocalState; readonly without: number }[] = [];
    this.parents.set(state, parents);
    if (state.manner === OVER) return parents;
    this.raise(state, this.ownOf(state));
    const child = state.startsThread;
    if (child >= 0) this.join(state, (this.automata.threads[child] as { root: LocalState }).root, 0);
    return parents;
  }

  /** Objects that the op itself touches or makes reachable. */
  private ownOf(state: LocalState): number {
    let own = bitOf(state.objectNumber);
    if (state.kind === STORE || state.kind === UPDATE || state.kind === ATOMIC) {
      own |= this.objectAt(state.value) | this.objectAt(state.extra);
    }
    return own;
  }

  /** A transition was learned. */
  edge(from: LocalState, to: LocalState, result: number): void {
    this.scan();
    this.join(from, to, this.bringsAddress(from) ? this.objectAt(result) : 0);
  }

  /** Whether the op's result, if it is an address, was read from memory or is that of a new object. */
  private bringsAddress({ kind, phase, mode, size, mask }: LocalState): boolean {
    if (kind === ALLOC) return true;
    if (size !== 8 || mask !== 0) return false;
    if (kind === ATOMIC) return mode === COMPARE_EXCHANGE || mode === ASSIGN;
    return kind === LOAD || kind === RCU_DEREFERENCE || (kind === UPDATE && phase === 0);
  }

  private join(from: LocalState, to: LocalState, without: number): void {
    this.enter(from);
    this.enter(to).push({ state: from, without });
    this.raise(from, to.touches & ~without);
  }

  private raise(state: LocalState, more: number): void {
    if ((more & ~state.touches) === 0) return;
    state.touches |= more;
    if ((state.forgot & more) !== 0) this.version++;
    for (const { state: parent, without } of this.enter(state)) this.raise(parent, state.touches & ~without);
  }

  // --- Memory -------------------------------------------------------------------------------------------------------

  /** The object around an address, as a bit; 0 if there is none. */
  private objectAt(address: number): number {
    return address >= ARENA && address < ARENA + this.memory.size
      ? bitOf(this.places.objectNumberAt(address - ARENA))
      : 0;
  }

  /** Number of the object whose address the word around offset `at` holds, or -1. */
  wordAt(at: number): number {
    const low = this.memory.load(at & ~7, 4, 0);
    if (low < ARENA || low >= ARENA + this.memory.size) return -1;
    return this.places.objectNumberAt(low - ARENA);
  }

  /** A word in object `inside` (-1: in none) held the address of `before`, and now that of `after`. */
  moved(inside: number, before: number, after: number): void {
    const row = inside >= 0 && inside < OBJECTS_MAX ? inside : ROOTS;
    this.count(row, before, -1);
    this.count(row, after, 1);
  }

  private count(row: number, object: number, by: number): void {
    const bit = bitOf(object);
    if (bit === 0) return;
    const cell = row * OBJECTS_MAX + object;
    this.counts[cell] = (this.counts[cell] as number) + by;
    if (this.counts[cell] === 0) this.held[row] = (this.held[row] as number) & ~bit;
    else this.held[row] = (this.held[row] as number) | bit;
  }

  /** An address came into memory that was neither there nor in the hands of a thread: its object stays within reach. */
  keep(object: number): void {
    const bit = bitOf(object);
    if ((this.kept & bit) !== 0) return;
    this.kept |= bit;
    this.version++;
  }

  /** Counts all of memory anew if there are objects that were not there before. */
  private scan(): void {
    if (this.objects === this.places.objectCount) return;
    this.objects = this.places.objectCount;
    this.counts.fill(0);
    this.held.fill(0);
    for (let at = 0; at < this.memory.size; at += 8) {
      if ((at & (PAGE_SIZE - 1)) === 0 && this.memory.shadow[at >> 3] === SHADOW_PAGE_FREE) {
        at += PAGE_SIZE - 8;
        continue;
      }
      const object = this.wordAt(at);
      if (object >= 0) this.moved(this.places.objectNumberAt(at), -1, object);
    }
  }

  /** An object as a bit, if no memory but its own holds its address; else 0. */
  unheld(object: number): number {
    const bit = bitOf(object) & ~this.kept;
    for (let row = 0; row <= ROOTS && bit !== 0; row++) {
      if (row !== object && ((this.held[row] as number) & bit) !== 0) return 0;
    }
    return bit;
  }

  /** Of the objects in `freed` those that cannot be reached, if these objects can be touched without more ado. */
  beyond(freed: number, touched: number): number {
    let reached = touched | this.kept | (this.held[ROOTS] as number);
    for (let open = reached; open !== 0 && (freed & ~reached) !== 0; ) {
      const object = 31 - Math.clz32(open & -open);
      const more = (this.held[object] as number) & ~reached;
      open = (open & (open - 1)) | more;
      reached |= more;
    }
    return freed & ~reached;
  }
}

/** Whether an op can bring forth an address in memory that was not handed to it: by arithmetic, or piece by piece. */
export const makesAddress = ({ kind, mode, size }: LocalState): boolean =>
  size !== 8 ||
  (kind === ATOMIC && mode !== COMPARE_EXCHANGE && mode !== ASSIGN) ||
  (kind === UPDATE && (mode & UPDATE_MODE) !== ASSIGN);
