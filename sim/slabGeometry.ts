/**
 * How SLUB of 2.6.27 lays out a cache: the slot of an object, and how many slots a slab of how many pages has.
 *
 * Pure arithmetic, so that sizes can be compared without a machine. The allocator in `slab.ts` takes its slots from
 * here; its own slabs are of one page whatever the order (DEPARTS there).
 *
 * @see mm/slub.c of 2.6.27: calculate_sizes, slab_order, calculate_order
 */
import { PAGE_SIZE } from "./memory.ts";
import { roundUp } from "./struct.ts";

/** `struct track`: who allocated or freed an object. */
export const TRACK_SIZE = 24;
/** PAGE_ALLOC_COSTLY_ORDER, which is slub_max_order. */
const MAX_ORDER = 3;

/** What decides the slot of a cache besides the size of its objects. */
export interface SlotOptions {
  /** Red zones, poison and user tracking: `slub_debug=FZPU`. */
  readonly debug: boolean;
  /** The free pointer lies behind the object: a constructor, or SLAB_DESTROY_BY_RCU. */
  readonly freeBehind: boolean;
  /** Alignment of the cache in bytes. Default 8, a word. */
  readonly align?: number;
}

/** The parts of a slot, in bytes from its start. */
export interface Slot {
  /** End of the object proper: where the red zone ends. */
  readonly inuse: number;
  /** Of the free pointer in a free object. */
  readonly freeOffset: number;
  /** Of the two tracks; 0 without. */
  readonly trackOffset: number;
  /** Distance from one object to the next. */
  readonly size: number;
}

/** The slot of an object of `objectSize` bytes. */
export function slotOf(objectSize: number, { debug, freeBehind, align = 8 }: SlotOptions): Slot {
  let at = roundUp(objectSize, 8);
  if (debug && at === objectSize) at += 8;
  const inuse = at;
  const behind = debug || freeBehind;
  const freeOffset = behind ? at : 0;
  if (behind) at += 8;
  const trackOffset = debug ? at : 0;
  if (debug) at += 2 * TRACK_SIZE + 8;
  return { inuse, freeOffset, trackOffset, size: roundUp(at, align) };
}

/** A slab: 2^order pages, cut into slots. */
export interface SlabGeometry {
  readonly order: number;
  readonly bytes: number;
  readonly objects: number;
  /** Bytes at the end that are too few for another slot. */
  readonly waste: number;
}

/** The slab that SLUB chooses for slots of this size on a machine with so many CPUs. */
export function slabGeometry(slot: number, cpus: number): SlabGeometry {
  const order = calculateOrder(slot, cpus);
  const bytes = PAGE_SIZE << order;
  const objects = Math.floor(bytes / slot);
  return { order, bytes, objects, waste: bytes - objects * slot };
}

/** `fls`: 1-based position of the highest bit set. */
const fls = (n: number): number => 32 - Math.clz32(n);

function calculateOrder(slot: number, cpus: number): number {
  // As many objects as keep the CPUs from meeting at the page allocator, then ever fewer; as little waste as 1/16, then
  // ever more.
  for (let objects = 4 * (fls(cpus) + 1); objects > 1; objects >>= 1) {
    for (let fraction = 16; fraction >= 4; fraction >>= 1) {
      const order = slabOrder(slot, objects, fraction);
      if (order <= MAX_ORDER) return order;
    }
  }
  return slabOrder(slot, 1, 1);
}

/** The smallest order with room for `objects` and no more than 1/`fraction` of it wasted; above MAX_ORDER if none. */
function slabOrder(slot: number, objects: number, fraction: number): number {
  let order = Math.max(0, fls(objects * slot - 1) - fls(PAGE_SIZE - 1));
  for (; order <= MAX_ORDER; order++) {
    const bytes = PAGE_SIZE << order;
    if (bytes >= objects * slot && bytes % slot <= bytes / fraction) break;
  }
  return order;
}
