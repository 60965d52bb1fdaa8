/**
 * SLUB of 2.6.27: per-CPU slabs and free lists, partial lists, and the debug forms (poison, red zones, tracks).
 *
 * Free pointers, poison, red zones, padding and tracks are real bytes in memory; what the kernel keeps in `struct
 * page` is kept in {@link SlabPage}. Every check happens at the moments at which the kernel makes it, and only then:
 * reading freed memory is never noticed here, and a write to a freed object only when that object is handed out again
 * or its page is given back.
 *
 * An allocation or a free is one step: interrupts are off throughout, and the slab lock is innermost.
 *
 * @see mm/slub.c of 2.6.27: slab_alloc, __slab_alloc, __slab_free, check_object
 */
import type { ObjectInfo, Site, SlabReport, TrackReport } from "./finding.ts";
import { ARENA, type Memory, PAGE_SHIFT, PAGE_SIZE, SHADOW_FREED, SHADOW_OK, SHADOW_REDZONE } from "./memory.ts";
import type { Ptr } from "./op.ts";
import { slotOf, TRACK_SIZE } from "./slabGeometry.ts";
import { PLAIN, POINTER, roundUp, SIGNED } from "./struct.ts";

/** What the debug forms fill memory with. @see include/linux/poison.h */
export const POISON_FREE = 0x6b;
export const POISON_END = 0xa5;
export const POISON_INUSE = 0x5a;
export const SLUB_RED_INACTIVE = 0xbb;
export const SLUB_RED_ACTIVE = 0xcc;
const MIN_PARTIAL = 5;
const MAX_PARTIAL = 10;
const PAGE_STRUCT_SIZE = 56;
/** Address of `struct page` of the first arena page, as a hexadecimal text; see {@link pageStructAddress}. */
const VMEMMAP = 0xffffe20000000000n;

/** What a cache is declared with. */
export interface CacheOptions {
  /** Red zones, poison and user tracking: `slub_debug=FZPU`. */
  readonly debug: boolean;
  /**
   * SLAB_DESTROY_BY_RCU with a constructor: a freed object stays an object of its type. Sets one up when its page is
   * new; no poison, and the free pointer lies behind the object.
   */
  readonly typeStable?: (object: Ptr) => void;
  /** Objects begin at multiples of this. Default: 8. */
  readonly align?: number;
}

interface CpuSlab {
  page: SlabPage | null;
  freelist: Ptr;
  /** False while the slab is a debug slab: every alloc and free of it takes the slow path. */
  fast: boolean;
}

/** One page of objects: what `struct page` says of it. */
class SlabPage {
  inuse = 0;
  freelist: Ptr = 0;
  frozen = false;
  /** Given back to the page allocator. */
  gone = false;
  list: "none" | "partial" | "full" = "none";
  /** Who allocated and freed each object last, by its index in the page. */
  readonly allocated: (Site | null)[] = [];
  readonly freed: (Site | null)[] = [];
  constructor(
    readonly address: Ptr,
    readonly cache: Cache,
    readonly debug: boolean,
  ) {}

  /** Index of the object that `address` lies in. */
  indexOf(address: Ptr): number {
    return Math.floor((address - this.address) / this.cache.slot);
  }
}

/** A `kmem_cache`: object geometry and the slabs it owns. Sizes are in bytes. */
export class Cache {
  /** Offset of the free pointer in a free object. */
  readonly freeOffset: number;
  /** End of the object proper: where the red zone ends. */
  readonly inuse: number;
  /** Distance from one object to the next. */
  readonly slot: number;
  readonly trackOffset: number;
  readonly poison: boolean;
  readonly objectsPerPage: number;
  /** Empty slabs are kept on the partial list while it is shorter than this: ilog2 of the slot, from 5 to 10. */
  readonly minPartial: number;
  readonly partial: SlabPage[] = [];
  readonly full: SlabPage[] = [];
  readonly cpuSlabs: CpuSlab[] = [];

  constructor(
    readonly name: string,
    readonly size: number,
    readonly options: CacheOptions,
    cpus: number,
  ) {
    const slot = slotOf(size, {
      debug: options.debug,
      freeBehind: options.typeStable !== undefined,
      align: options.align ?? 8,
    });
    this.inuse = slot.inuse;
    this.freeOffset = slot.freeOffset;
    this.trackOffset = slot.trackOffset;
    this.poison = options.debug && options.typeStable === undefined;
    this.slot = slot.size;
    // DEPARTS: a slab is one page; see slabGeometry.ts for the order that SLUB would choose.
    this.objectsPerPage = Math.floor(PAGE_SIZE / this.slot);
    this.minPartial = Math.min(Math.max(31 - Math.clz32(this.slot), MIN_PARTIAL), MAX_PARTIAL);
    for (let i = 0; i < cpus; i++) this.cpuSlabs.push({ page: null, freelist: 0, fast: false });
  }
}

interface SavedPage {
  readonly inuse: number;
  readonly freelist: Ptr;
  readonly frozen: boolean;
  readonly gone: boolean;
  readonly list: "none" | "partial" | "full";
  readonly allocated: readonly (Site | null)[];
  readonly freed: readonly (Site | null)[];
}
interface SavedCache {
  readonly partial: readonly SlabPage[];
  readonly full: readonly SlabPage[];
  readonly cpuSlabs: readonly CpuSlab[];
}
/** What {@link Slab.save} gives. */
export interface SavedSlab {
  readonly version: number;
  readonly pages: readonly SlabPage[];
  readonly fields: readonly SavedPage[];
  readonly caches: readonly SavedCache[];
}

const NO_PAGE: SavedPage = {
  inuse: 0,
  freelist: 0,
  frozen: false,
  gone: true,
  list: "none",
  allocated: [],
  freed: [],
};

function replace<T>(array: T[], contents: readonly T[]): void {
  array.length = 0;
  array.push(...contents);
}

/** What the allocator needs of its machine. */
export interface SlabHost {
  readonly memory: Memory;
  readonly unmapFreedPages: boolean;
  cpuId(): number;
  pid(): number;
  jiffies(): number;
  /** Return address of the allocating or freeing call, for the tracks. */
  caller(): number;
  /** Whether a word can be read; where it cannot, the run ends with the oops. */
  slabReadable(address: Ptr): boolean;
  site(): Site;
  slabFinding(report: SlabReport): void;
  /** An object that is in use is handed out again: its page's free list had it although it was not free. */
  slabHandedOutTwice(cache: string, object: Ptr, allocated: Site): void;
}

/** The slab allocator of one machine. */
export class Slab {
  /** The slab on each page of memory, by page number; of a page given back, the one it was last. */
  private readonly pages: SlabPage[] = [];
  readonly caches: Cache[] = [];
  /** Whether who allocated and freed is written down in memory, under `debug`. Only reports read that. */
  keepsTracks = true;
  /** Names the state of the allocator; every alloc and free makes another. */
  version = 0;
  private versions = 0;
  private readonly memory: Memory;

  constructor(private readonly host: SlabHost) {
    this.memory = host.memory;
  }

  createCache(name: string, size: number, options: CacheOptions, cpus: number): Cache {
    const cache = new Cache(name, size, options, cpus);
    this.caches.push(cache);
    return cache;
  }

  /** `kmem_cache_alloc`: the object's address, 0 when there is no memory. */
  alloc(cache: Cache): Ptr {
    this.version = ++this.versions;
    const cpuSlab = cache.cpuSlabs[this.host.cpuId()] as CpuSlab;
    let object: Ptr;
    if (cpuSlab.fast && cpuSlab.freelist !== 0) {
      object = cpuSlab.freelist;
      if (!this.host.slabReadable(object)) return 0;
      cpuSlab.freelist = this.getFreePointer(cache, object);
    } else {
      object = this.allocSlow(cache, cpuSlab);
      if (object === 0) return 0;
    }
    this.memory.setShadow(object, cache.size, SHADOW_OK);
    this.noteAlloc(object);
    return object;
  }

  private allocSlow(cache: Cache, cpuSlab: CpuSlab): Ptr {
    for (;;) {
      let page = cpuSlab.page;
      if (page === null) {
        page = this.takePartial(cache) ?? this.newPage(cache);
        if (page === null) return 0;
        page.frozen = true;
        cpuSlab.page = page;
        cpuSlab.fast = !page.debug;
      }
      const object = page.freelist;
      if (object === 0) {
        this.deactivate(cache, cpuSlab);
        continue;
      }
      if (page.debug) {
        if (!this.allocDebugProcessing(cache, page, object)) {
          page.inuse = cache.objectsPerPage;
          page.freelist = 0;
          this.deactivate(cache, cpuSlab);
          continue;
        }
        page.inuse++;
        page.freelist = this.getFreePointer(cache, object);
        return object;
      }
      if (!this.host.slabReadable(object)) return 0;
      cpuSlab.freelist = this.getFreePointer(cache, object);
      page.inuse = cache.objectsPerPage;
      page.freelist = 0;
      return object;
    }
  }

  private takePartial(cache: Cache): SlabPage | null {
    const page = cache.partial.shift() ?? null;
    if (page !== null) page.list = "none";
    return page;
  }

  private newPage(cache: Cache): SlabPage | null {
    const address = this.memory.allocPage();
    if (address === 0) return null;
    const page = new SlabPage(address, cache, cache.options.debug);
    this.pages[(address - ARENA) >> PAGE_SHIFT] = page;
    this.memory.setShadow(address, PAGE_SIZE, SHADOW_REDZONE);
    if (page.debug) this.fill(address, PAGE_SIZE, POISON_INUSE);
    const last = address + (cache.objectsPerPage - 1) * cache.slot;
    for (let object = address; object <= last; object += cache.slot) {
      if (page.debug) {
        this.initObject(cache, object, false);
        this.fill(object + cache.trackOffset, 2 * TRACK_SIZE, 0);
      }
      this.setFreePointer(cache, object, object === last ? 0 : object + cache.slot);
      if (cache.options.typeStable !== undefined) {
        this.memory.setShadow(object, cache.size, SHADOW_OK);
        this.fill(object, cache.size, 0);
        cache.options.typeStable(object);
      }
    }
    page.freelist = address;
    return page;
  }

  private deactivate(cache: Cache, cpuSlab: CpuSlab): void {
    const page = cpuSlab.page as SlabPage;
    let toTail = true;
    while (cpuSlab.freelist !== 0) {
      toTail = false;
      const object = cpuSlab.freelist;
      cpuSlab.freelist = this.getFreePointer(cache, object);
      this.setFreePointer(cache, object, page.freelist);
      page.freelist = object;
      page.inuse--;
    }
    cpuSlab.page = null;
    page.frozen = false;
    if (page.inuse > 0) {
      if (page.freelist !== 0) this.addPartial(cache, page, toTail);
      else if (page.debug) {
        cache.full.push(page);
        page.list = "full";
      }
    } else if (cache.partial.length < cache.minPartial || cache.options.typeStable !== undefined)
      this.addPartial(cache, page, true);
    else this.discard(cache, page);
  }

  private addPartial(cache: Cache, page: SlabPage, toTail: boolean): void {
    page.list = "partial";
    if (toTail) cache.partial.push(page);
    else cache.partial.unshift(page);
  }

  private removeFrom(list: SlabPage[], page: SlabPage): void {
    const index = list.indexOf(page);
    if (index >= 0) list.splice(index, 1);
    page.list = "none";
  }

  /** `kmem_cache_free`. */
  free(cache: Cache, object: Ptr): void {
    this.version = ++this.versions;
    const page = this.slabOf(object);
    if (page === undefined || page.gone || page.cache !== cache) {
      const where = `0x${this.memory.hex(object)}`;
      const what = page === undefined ? `SLUB <none>: no slab for object ${where}.` : "page slab pointer corrupt.";
      this.report(cache, what, page ?? new SlabPage(object, cache, false), 0, { fixes: ["not freed"] });
      return;
    }
    const cpuSlab = cache.cpuSlabs[this.host.cpuId()] as CpuSlab;
    if (page === cpuSlab.page && cpuSlab.fast) {
      this.noteFree(page, object);
      this.setFreePointer(cache, object, cpuSlab.freelist);
      cpuSlab.freelist = object;
      return;
    }
    if (page.debug && !this.freeDebugProcessing(cache, page, object)) return;
    this.noteFree(page, object);
    const wasFull = page.freelist === 0;
    this.setFreePointer(cache, object, page.freelist);
    page.freelist = object;
    page.inuse--;
    if (page.frozen) return;
    // DEPARTS: an empty page of a type-stable cache is kept; the kernel gives it back after a grace period.
    if (page.inuse === 0 && cache.options.typeStable === undefined) {
      if (page.list === "partial") this.removeFrom(cache.partial, page);
      this.discard(cache, page);
    } else if (wasFull) this.addPartial(cache, page, true);
  }

  /** All that the allocator keeps outside of memory; for {@link restore}. */
  save(): SavedSlab {
    return {
      version: this.version,
      pages: this.pages.slice(),
      fields: this.pages.map((page) => {
        // Pages of memory that are no slabs are holes, which become undefined in copies.
        if (page === undefined) return NO_PAGE;
        const { inuse, freelist, frozen, gone, list, allocated, freed } = page;
        return { inuse, freelist, frozen, gone, list, allocated: allocated.slice(), freed: freed.slice() };
      }),
      caches: this.caches.map(({ partial, full, cpuSlabs }) => ({
        partial: partial.slice(),
        full: full.slice(),
        cpuSlabs: cpuSlabs.map((cpuSlab) => ({ ...cpuSlab })),
      })),
    };
  }

  restore(saved: SavedSlab): void {
    this.version = saved.version;
    this.pages.length = 0;
    this.pages.push(...saved.pages);
    saved.pages.forEach((page, i) => {
      if (page === undefined) return;
      const { allocated, freed, ...fields } = saved.fields[i] as SavedPage;
      Object.assign(page, fields);
      replace(page.allocated, allocated);
      replace(page.freed, freed);
    });
    this.caches.forEach((cache, i) => {
      const { partial, full, cpuSlabs } = saved.caches[i] as SavedCache;
      replace(cache.partial, partial);
      replace(cache.full, full);
      for (let cpu = 0; cpu < cpuSlabs.length; cpu++) Object.assign(cache.cpuSlabs[cpu] as CpuSlab, cpuSlabs[cpu]);
    });
  }

  /** Number of a cache; -1 for any other object. */
  numberOf(object: object): number {
    return this.caches.indexOf(object as Cache);
  }

  /** Gives to `mix` all that can decide what the allocator or its checks do next. */
  fold(mix: (value: number) => void, siteHash: (site: Site) => number): void {
    this.pages.forEach((page, number) => {
      if (page === undefined) return;
      mix(number);
      mix(page.freelist);
      mix(page.inuse * 8 + (page.frozen ? 4 : 0) + (page.gone ? 2 : 0) + (page.debug ? 1 : 0));
      mix(this.caches.indexOf(page.cache));
      for (let i = 0; i < page.cache.objectsPerPage; i++) {
        const allocated = page.allocated[i] ?? null;
        const freed = page.freed[i] ?? null;
        mix(allocated === null ? 0 : freed !== null ? 1 : siteHash(allocated));
      }
    });
    for (const cache of this.caches) {
      for (const list of [cache.partial, cache.full]) {
        mix(list.length);
        for (const page of list) mix(page.address);
      }
      for (const { page, freelist, fast } of cache.cpuSlabs) {
        mix(page?.address ?? 0);
        mix(freelist);
        mix(fast ? 1 : 0);
      }
    }
  }

  private slabOf(address: Ptr): SlabPage | undefined {
    return this.pages[(address - ARENA) >> PAGE_SHIFT];
  }

  private noteAlloc(object: Ptr): void {
    const page = this.slabOf(object);
    // A free list that was overwritten can lead anywhere.
    if (page === undefined) return;
    const index = page.indexOf(object);
    const before = page.allocated[index];
    if (before !== undefined && before !== null && page.freed[index] === null) {
      this.host.slabHandedOutTwice(page.cache.name, object, before);
    }
    page.allocated[index] = this.host.site();
    page.freed[index] = null;
  }

  private noteFree(page: SlabPage, object: Ptr): void {
    const { cache } = page;
    if (cache.options.typeStable === undefined) this.memory.setShadow(object, roundUp(cache.size, 8), SHADOW_FREED);
    page.freed[page.indexOf(object)] = this.host.site();
  }

  private discard(cache: Cache, page: SlabPage): void {
    if (page.debug) {
      const end = page.address + cache.objectsPerPage * cache.slot;
      this.checkBytes(cache, page, 0, end, page.address + PAGE_SIZE - end, POISON_INUSE, "Padding overwritten");
      for (let i = 0; i < cache.objectsPerPage; i++) {
        this.checkObject(cache, page, page.address + i * cache.slot, false);
      }
    }
    page.gone = true;
    this.memory.freePage(page.address, this.host.unmapFreedPages);
  }

  private allocDebugProcessing(cache: Cache, page: SlabPage, object: Ptr): boolean {
    if (!this.validPointer(cache, page, object)) {
      this.report(cache, "Freelist Pointer check fails", page, 0, { fixes: ["Marking all objects used"] });
      return false;
    }
    if (!this.checkObject(cache, page, object, false, ["Marking all objects used"])) return false;
    this.setTrack(cache, object, 0);
    this.initObject(cache, object, true);
    return true;
  }

  private freeDebugProcessing(cache: Cache, page: SlabPage, object: Ptr): boolean {
    if (!this.validPointer(cache, page, object)) {
      const title = `Invalid object pointer 0x${this.memory.hex(object)}`;
      this.report(cache, title, page, 0, { fixes: [`Object at 0x${this.memory.hex(object)} not freed`] });
      return false;
    }
    if (this.onFreelist(cache, page, object)) {
      this.report(cache, "Object already free", page, object, {
        fixes: [`Object at 0x${this.memory.hex(object)} not freed`],
      });
      return false;
    }
    if (!this.checkObject(cache, page, object, true)) return false;
    if (!page.frozen && page.freelist === 0) this.removeFrom(cache.full, page);
    this.setTrack(cache, object, 1);
    this.initObject(cache, object, false);
    return true;
  }

  private validPointer(cache: Cache, page: SlabPage, object: Ptr): boolean {
    const offset = object - page.address;
    return offset >= 0 && offset < cache.objectsPerPage * cache.slot && offset % cache.slot === 0;
  }

  private onFreelist(cache: Cache, page: SlabPage, object: Ptr): boolean {
    let at = page.freelist;
    for (let n = 0; at !== 0 && n <= cache.objectsPerPage; n++) {
      if (at === object) return true;
      if (!this.validPointer(cache, page, at)) return false;
      at = this.getFreePointer(cache, at);
    }
    return false;
  }

  private checkObject(
    cache: Cache,
    page: SlabPage,
    object: Ptr,
    active: boolean,
    fixes: readonly string[] = [],
  ): boolean {
    const red = active ? SLUB_RED_ACTIVE : SLUB_RED_INACTIVE;
    const size = cache.size;
    if (!this.checkBytes(cache, page, object, object + size, cache.inuse - size, red, "Redzone overwritten", fixes)) {
      return false;
    }
    if (!active && cache.poison) {
      const poison = "Poison overwritten";
      if (!this.checkBytes(cache, page, object, object, size - 1, POISON_FREE, poison, fixes)) return false;
      if (!this.checkBytes(cache, page, object, object + size - 1, 1, POISON_END, poison, fixes)) return false;
    }
    const pad = cache.trackOffset + 2 * TRACK_SIZE;
    const padding = "Object padding overwritten";
    this.checkBytes(cache, page, object, object + pad, cache.slot - pad, POISON_INUSE, padding);
    const free = this.getFreePointer(cache, object);
    if (free !== 0 && !this.validPointer(cache, page, free)) {
      this.report(cache, "Freepointer corrupt", page, object, { fixes });
      this.setFreePointer(cache, object, 0);
      return false;
    }
    return true;
  }

  /** Compares bytes; on a difference reports, restores them, and gives false. */
  private checkBytes(
    cache: Cache,
    page: SlabPage,
    object: Ptr,
    from: Ptr,
    length: number,
    expected: number,
    title: string,
    fixes: readonly string[] = [],
  ): boolean {
    const bytes = this.memory.bytes;
    const start = from - ARENA;
    let first = start;
    while (first < start + length && bytes[first] === expected) first++;
    if (first === start + length) return true;
    let last = start + length - 1;
    while (bytes[last] === expected) last--;
    const range = { first: first + ARENA, last: last + ARENA, found: bytes[first] as number, expected };
    const hex = (at: number): string => `0x${this.memory.hex(at + ARENA)}`;
    const restoring = `Restoring ${hex(first)}-${hex(last)}=0x${expected.toString(16)}`;
    this.report(cache, title, page, object, { range, fixes: [restoring, ...fixes] });
    this.memory.fill(first, last + 1 - first, expected);
    return false;
  }

  private report(
    cache: Cache,
    title: string,
    page: SlabPage,
    object: Ptr,
    more: { range?: NonNullable<SlabReport["range"]>; fixes: readonly string[] },
  ): void {
    const read = (at: Ptr, length: number): number[] =>
      Array.from(this.memory.bytes.subarray(at - ARENA, at - ARENA + length));
    // PG_slab, PG_frozen, the debug bit and the held slab lock, in zone NORMAL.
    const low = 0x81 + (page.frozen ? 0x40 : 0) + (page.debug ? 0x2 : 0);
    const pad = cache.trackOffset + 2 * TRACK_SIZE;
    this.host.slabFinding({
      cache: cache.name,
      title,
      page: {
        address: page.address,
        objects: cache.objectsPerPage,
        inuse: page.inuse,
        freelist: page.freelist,
        flags: `0x80000000000000${low.toString(16)}`,
      },
      ...(object === 0
        ? {}
        : {
            object: {
              address: object,
              freePointer: this.getFreePointer(cache, object),
              before: object > page.address + 16 ? read(object - 16, 16) : [],
              bytes: read(object, cache.size),
              redzone: read(object + cache.size, cache.inuse - cache.size),
              paddingAt: object + pad,
              padding: read(object + pad, cache.slot - pad),
              tracks: [this.readTrack(cache, object, 0), this.readTrack(cache, object, 1)].filter((t) => t !== null),
            },
          }),
      ...(more.range === undefined ? {} : { range: more.range }),
      fixes: more.fixes,
    });
  }

  private fill(at: Ptr, length: number, byte: number): void {
    this.memory.fill(at - ARENA, length, byte);
  }

  private initObject(cache: Cache, object: Ptr, active: boolean): void {
    if (cache.poison) {
      this.fill(object, cache.size - 1, POISON_FREE);
      this.fill(object + cache.size - 1, 1, POISON_END);
    }
    this.fill(object + cache.size, cache.inuse - cache.size, active ? SLUB_RED_ACTIVE : SLUB_RED_INACTIVE);
  }

  private getFreePointer(cache: Cache, object: Ptr): Ptr {
    return this.memory.load(object + cache.freeOffset - ARENA, 8, POINTER);
  }

  private setFreePointer(cache: Cache, object: Ptr, value: Ptr): void {
    this.memory.store(object + cache.freeOffset - ARENA, 8, POINTER, value);
  }

  /** Track 0 is the allocation, 1 the free. */
  private setTrack(cache: Cache, object: Ptr, which: 0 | 1): void {
    if (!this.keepsTracks) return;
    const at = object + cache.trackOffset + which * TRACK_SIZE - ARENA;
    this.memory.store(at, 8, POINTER, this.host.caller());
    this.memory.store(at + 8, 4, SIGNED, this.host.cpuId());
    this.memory.store(at + 12, 4, SIGNED, this.host.pid());
    this.memory.store(at + 16, 8, PLAIN, this.host.jiffies());
  }

  private readTrack(cache: Cache, object: Ptr, which: 0 | 1): TrackReport | null {
    if (!cache.options.debug) return null;
    const at = object + cache.trackOffset + which * TRACK_SIZE - ARENA;
    const address = this.memory.load(at, 8, POINTER);
    if (address === 0) return null;
    return {
      verb: which === 0 ? "Allocated" : "Freed",
      address,
      age: this.host.jiffies() - this.memory.load(at + 16, 8, PLAIN),
      cpu: this.memory.load(at + 8, 4, SIGNED),
      pid: this.memory.load(at + 12, 4, SIGNED),
    };
  }

  /** Whether a free of `object` to `cache` would be right: the start of a live object of it. */
  isLiveObject(cache: Cache, object: Ptr): boolean {
    const page = this.slabOf(object);
    if (page === undefined || page.gone || page.cache !== cache || !this.validPointer(cache, page, object))
      return false;
    const index = page.indexOf(object);
    return page.freed[index] === null && page.allocated[index] !== undefined;
  }

  /** The object that `address` lies in (or just behind), live or freed, or null outside of all slabs. */
  objectAt(address: Ptr): ObjectInfo | null {
    const page = this.slabOf(address);
    return page === undefined ? null : this.describe(page, page.indexOf(address));
  }

  private describe(page: SlabPage, index: number): ObjectInfo | null {
    const allocated = page.allocated[index];
    if (allocated === undefined || allocated === null) return null;
    const { name, size, slot } = page.cache;
    return { cache: name, address: page.address + index * slot, size, allocated, freed: page.freed[index] ?? null };
  }

  /** All objects that are allocated now, in order of address. */
  liveObjects(): ObjectInfo[] {
    const live: ObjectInfo[] = [];
    for (const page of this.pages) {
      if (page === undefined || page.gone) continue;
      for (let index = 0; index < page.cache.objectsPerPage; index++) {
        const object = this.describe(page, index);
        if (object !== null && object.freed === null) live.push(object);
      }
    }
    return live;
  }
}

/** Address of `struct page` of an arena page, in hexadecimal. */
export const pageStructAddress = (page: Ptr, firstPfn: number): string =>
  (VMEMMAP + BigInt((firstPfn + (page - ARENA) / PAGE_SIZE) * PAGE_STRUCT_SIZE)).toString(16);
