/** SLUB of 2.6.27: where the bytes lie, which object is next, and when a broken byte is noticed. */
import { describe, expect, test } from "vitest";
import type { Finding, SlabReport, TrackReport } from "./finding.ts";
import { plain_task, rcu_head } from "./kernelStructs.ts";
import type { Machine } from "./machine.ts";
import { ARENA, Memory, PAGE_SIZE, SHADOW_OK } from "./memory.ts";
import { globalsOf, kernel, type Ptr, SCHEDULE } from "./op.ts";
import {
  call_rcu,
  current,
  kmem_cache_alloc,
  kmem_cache_free,
  kmem_cache_zalloc,
  load,
  mod_timer,
  schedule,
  store,
} from "./primitives.ts";
import { type Cache, Slab, type SlabHost } from "./slab.ts";
import { array, POINTER, ptr, struct, u8, ulong } from "./struct.ts";
import { Stage, type TinyOptions, tiny } from "./tinyProgram.ts";

/** An allocator of its own, with a CPU and a clock that the test sets. */
class Bench implements SlabHost {
  readonly memory = new Memory();
  readonly reports: SlabReport[] = [];
  readonly faults: Ptr[] = [];
  readonly slab: Slab;
  cpu = 0;
  now = 0xffff1f00;

  constructor(readonly unmapFreedPages = false) {
    this.slab = new Slab(this);
  }

  cpuId = (): number => this.cpu;
  pid = (): number => 100 + this.cpu;
  jiffies = (): number => this.now;
  caller = (): number => 0x80300000 | 0;
  site = () => ({ comm: "test", pid: this.pid(), cpu: this.cpu, step: 0, backtrace: [] });
  readonly twice: Ptr[] = [];
  slabHandedOutTwice = (_cache: string, object: Ptr): void => void this.twice.push(object);
  slabFinding = (report: SlabReport): void => void this.reports.push(report);
  slabReadable = (address: Ptr): boolean => {
    const at = address - ARENA;
    if (at >= 0 && at < this.memory.size) return true;
    this.faults.push(address);
    return false;
  };

  cache(size: number, debug: boolean): Cache {
    return this.slab.createCache("utrace", size, { debug }, 2);
  }
  alloc(cache: Cache, n: number): Ptr[] {
    return Array.from({ length: n }, () => this.slab.alloc(cache));
  }
  bytes(address: Ptr, length: number): number[] {
    return Array.from(this.memory.bytes.subarray(address - ARENA, address - ARENA + length));
  }
  poke(address: Ptr, ...values: number[]): void {
    this.memory.bytes.set(values, address - ARENA);
  }
  titles(): string[] {
    return this.reports.map((report) => report.title);
  }
}

const all = (length: number, byte: number): number[] => Array(length).fill(byte);
const pageOf = (address: Ptr): Ptr => address - ((address - ARENA) % PAGE_SIZE);
const hex = (address: Ptr): string => `0xffff8801${address.toString(16)}`;

describe("geometry", () => {
  for (const [size, debug, inuse, freeOffset, trackOffset, slot, objects, tail, minPartial] of [
    [120, true, 128, 0x80, 0x88, 192, 21, 64, 7],
    [120, false, 120, 0, 0, 120, 34, 16, 6],
    [72, true, 80, 0x50, 0x58, 144, 28, 64, 7],
    [72, false, 72, 0, 0, 72, 56, 64, 6],
    [48, true, 56, 0x38, 0x40, 120, 34, 16, 6],
    [48, false, 48, 0, 0, 48, 85, 16, 5],
  ] as const) {
    test(`an object of ${size} bytes, ${debug ? "FZPU" : "no debugging"}: slots of ${slot}, ${objects} per page`, () => {
      const cache = new Bench().cache(size, debug);
      expect(cache).toMatchObject({ size, inuse, freeOffset, trackOffset, slot, minPartial, objectsPerPage: objects });
      expect(PAGE_SIZE - objects * slot).toBe(tail);
    });
  }

  test("an object whose size is no multiple of 8 has its red zone in the alignment bytes", () => {
    const bench = new Bench();
    const cache = bench.cache(12, true);
    expect(cache).toMatchObject({ inuse: 16, freeOffset: 16, trackOffset: 24, slot: 80 });
    expect(bench.bytes(bench.slab.alloc(cache) + 12, 4)).toEqual(all(4, 0xcc));
  });

  test("slots are rounded up to what the cache is aligned to, with and without debugging", () => {
    const { slab } = new Bench();
    const slot = (size: number, debug: boolean): number =>
      slab.createCache("task_struct", size, { debug, align: 16 }, 2).slot;
    expect([1384, 1400, 1456].map((size) => slot(size, false))).toEqual([1392, 1408, 1456]);
    expect(slot(1400, true) % 16).toBe(0);
  });

  test("min_partial is ilog2 of the slot, from 5 to 10", () => {
    const bench = new Bench();
    expect([8, 32, 64, 1024, 2048, 4096].map((size) => bench.cache(size, false).minPartial)).toEqual([
      5, 5, 6, 10, 10, 10,
    ]);
  });
});

describe("an object with two owners", () => {
  test("is seen when a double free has put it on the free lists twice and both places are used", () => {
    const bench = new Bench();
    const cache = bench.cache(72, false);
    const object = bench.slab.alloc(cache);
    bench.slab.free(cache, object);
    bench.slab.free(cache, object);
    expect([bench.slab.alloc(cache), bench.twice]).toEqual([object, []]);
    expect([bench.slab.alloc(cache), bench.twice]).toEqual([object, [object]]);
  });

  test("is not seen where each is freed before it is handed out again", () => {
    const bench = new Bench();
    const cache = bench.cache(72, false);
    for (let i = 0; i < 3; i++) {
      const [first = 0, second = 0] = bench.alloc(cache, 2);
      bench.slab.free(cache, first);
      bench.slab.free(cache, second);
    }
    expect(bench.twice).toEqual([]);
  });
});

describe("bytes of a debug object", () => {
  const NEXT_WORD = 8;
  const parts = (bench: Bench, cache: Cache, object: Ptr) => ({
    body: bench.bytes(object, cache.size),
    redzone: bench.bytes(object + cache.size, cache.inuse - cache.size),
    padding: bench.bytes(object + cache.trackOffset + 48, NEXT_WORD),
  });
  const poison = (size: number): number[] => [...all(size - 1, 0x6b), 0xa5];

  test("allocated: poison to be overwritten, the active red zone, padding", () => {
    const bench = new Bench();
    const cache = bench.cache(120, true);
    const object = bench.slab.alloc(cache);
    expect(parts(bench, cache, object)).toEqual({ body: poison(120), redzone: all(8, 0xcc), padding: all(8, 0x5a) });
  });

  test("never allocated: the same poison, the inactive red zone, no tracks", () => {
    const bench = new Bench();
    const cache = bench.cache(120, true);
    const object = bench.slab.alloc(cache) + 3 * cache.slot;
    expect(parts(bench, cache, object)).toEqual({ body: poison(120), redzone: all(8, 0xbb), padding: all(8, 0x5a) });
    expect(bench.bytes(object + cache.trackOffset, 48)).toEqual(all(48, 0));
    expect(bench.memory.load(object + cache.freeOffset - ARENA, 8, 1)).toBe(object + cache.slot);
  });

  test("freed: all of it poisoned again, whatever it held", () => {
    const bench = new Bench();
    const cache = bench.cache(120, true);
    const object = bench.slab.alloc(cache);
    bench.poke(object, ...all(120, 0x11));
    bench.slab.free(cache, object);
    expect(parts(bench, cache, object)).toEqual({ body: poison(120), redzone: all(8, 0xbb), padding: all(8, 0x5a) });
  });

  test("handed out again: poisoned again, and no report, because nothing was broken", () => {
    const bench = new Bench();
    const cache = bench.cache(120, true);
    const object = bench.slab.alloc(cache);
    bench.slab.free(cache, object);
    expect(bench.slab.alloc(cache)).toBe(object);
    expect(parts(bench, cache, object)).toEqual({ body: poison(120), redzone: all(8, 0xcc), padding: all(8, 0x5a) });
    expect(bench.reports).toEqual([]);
  });

  test("the rest of the page behind the last slot is 0x5a", () => {
    const bench = new Bench();
    const cache = bench.cache(120, true);
    const page = bench.slab.alloc(cache);
    expect(bench.bytes(page + 21 * 192, 64)).toEqual(all(64, 0x5a));
  });

  test("the free pointer of the last free object of a page is NULL", () => {
    const bench = new Bench();
    const cache = bench.cache(120, true);
    const page = bench.slab.alloc(cache);
    expect(bench.bytes(page + 20 * 192 + cache.freeOffset, 8)).toEqual(all(8, 0));
  });
});

describe("bytes of an object without debugging", () => {
  test("a free changes the first word only: the free pointer lies over it", () => {
    const bench = new Bench();
    const cache = bench.cache(48, false);
    const [a, b] = bench.alloc(cache, 2) as [Ptr, Ptr];
    bench.poke(a, ...all(48, 0x11));
    bench.poke(b, ...all(48, 0x22));
    bench.slab.free(cache, a);
    bench.slab.free(cache, b);
    expect(bench.memory.load(b - ARENA, 8, 1)).toBe(a);
    expect(bench.bytes(b + 8, 40)).toEqual(all(40, 0x22));
    expect(bench.bytes(a + 8, 40)).toEqual(all(40, 0x11));
  });

  test("an allocation changes nothing at all, and neither does a write to a freed object get noticed", () => {
    const bench = new Bench();
    const cache = bench.cache(48, false);
    const object = bench.slab.alloc(cache);
    bench.slab.free(cache, object);
    bench.poke(object + 8, ...all(40, 0x33));
    expect(bench.slab.alloc(cache)).toBe(object);
    expect(bench.bytes(object + 8, 40)).toEqual(all(40, 0x33));
    expect(bench.reports).toEqual([]);
  });

  test("a free pointer overwritten through a dangling pointer kills the allocation after the next", () => {
    const bench = new Bench();
    const cache = bench.cache(48, false);
    const object = bench.slab.alloc(cache);
    bench.slab.free(cache, object);
    bench.memory.store(object - ARENA, 8, 1, 42);
    expect(bench.slab.alloc(cache)).toBe(object);
    expect(bench.faults).toEqual([]);
    expect(bench.slab.alloc(cache)).toBe(0);
    expect(bench.faults).toEqual([42]);
  });

  test("a free pointer overwritten with a pointer to something else hands that out", () => {
    const bench = new Bench();
    const cache = bench.cache(48, false);
    const elsewhere = bench.memory.allocPage() + 64;
    const object = bench.slab.alloc(cache);
    bench.slab.free(cache, object);
    bench.memory.store(object - ARENA, 8, POINTER, elsewhere);
    expect(bench.alloc(cache, 2)).toEqual([object, elsewhere]);
    expect(bench.reports).toEqual([]);
  });

  test("an object freed twice is handed out twice", () => {
    const bench = new Bench();
    const cache = bench.cache(48, false);
    const object = bench.slab.alloc(cache);
    bench.slab.free(cache, object);
    bench.slab.free(cache, object);
    expect(bench.alloc(cache, 2)).toEqual([object, object]);
    expect(bench.reports).toEqual([]);
  });
});

for (const debug of [true, false]) {
  describe(`a type-stable cache (SLAB_DESTROY_BY_RCU), ${debug ? "FZU" : "no debugging"}`, () => {
    const make = (): { bench: Bench; cache: Cache; set: Ptr[] } => {
      const bench = new Bench(true);
      const set: Ptr[] = [];
      const typeStable = (object: Ptr): void => {
        bench.poke(object, 0x77);
        set.push(object);
      };
      return { bench, cache: bench.slab.createCache("sighand_cache", 48, { debug, typeStable }, 2), set };
    };

    test("has the free pointer behind the object and never poisons it", () => {
      const { bench, cache } = make();
      expect(cache).toMatchObject({ poison: false, inuse: debug ? 56 : 48, freeOffset: debug ? 56 : 48 });
      const object = bench.slab.alloc(cache);
      bench.poke(object + 1, 0x11);
      bench.slab.free(cache, object);
      expect(bench.bytes(object, 3)).toEqual([0x77, 0x11, 0]);
      expect(bench.slab.alloc(cache)).toBe(object);
      expect(bench.bytes(object, 3)).toEqual([0x77, 0x11, 0]);
      expect(bench.reports).toEqual([]);
    });

    test("sets its objects up once, when their page is new", () => {
      const { bench, cache, set } = make();
      bench.alloc(cache, 3);
      expect(set).toHaveLength(cache.objectsPerPage);
    });

    test("may be written to after a free, and its memory never goes away", () => {
      const { bench, cache } = make();
      const objects = bench.alloc(cache, cache.objectsPerPage + 1);
      for (const object of objects) bench.slab.free(cache, object);
      const at = (objects[0] as Ptr) - ARENA;
      expect([bench.memory.mapped[at >> 12], bench.memory.shadow[at >> 3]]).toEqual([1, SHADOW_OK]);
      bench.poke(objects[3] as Ptr, 1, 2, 3);
      bench.alloc(cache, 3 * cache.objectsPerPage);
      expect(bench.reports).toEqual([]);
    });
  });

  describe(`which object is next, ${debug ? "FZPU" : "no debugging"}`, () => {
    test("a fresh page is handed out in ascending order", () => {
      const bench = new Bench();
      const cache = bench.cache(120, debug);
      const first = pageOf(bench.slab.alloc(cache));
      expect(bench.alloc(cache, cache.objectsPerPage - 1)).toEqual(
        Array.from({ length: cache.objectsPerPage - 1 }, (_, i) => first + (i + 1) * cache.slot),
      );
      expect(pageOf(bench.slab.alloc(cache))).not.toBe(first);
    });

    test("what was freed last is handed out first", () => {
      const bench = new Bench();
      const cache = bench.cache(120, debug);
      const [a, b, c] = bench.alloc(cache, 3) as [Ptr, Ptr, Ptr];
      for (const object of [b, a, c]) bench.slab.free(cache, object);
      expect(bench.alloc(cache, 4)).toEqual([c, a, b, c + cache.slot]);
    });

    test("each CPU has a slab of its own", () => {
      const bench = new Bench();
      const cache = bench.cache(120, debug);
      const zero = bench.slab.alloc(cache);
      bench.cpu = 1;
      const one = bench.slab.alloc(cache);
      expect(pageOf(one)).not.toBe(pageOf(zero));
      expect(bench.slab.alloc(cache)).toBe(one + cache.slot);
      bench.cpu = 0;
      expect(bench.slab.alloc(cache)).toBe(zero + cache.slot);
    });

    test("an object freed on another CPU goes back to its own page, not to that CPU", () => {
      const bench = new Bench();
      const cache = bench.cache(120, debug);
      const [a] = bench.alloc(cache, 2) as [Ptr, Ptr];
      bench.cpu = 1;
      bench.slab.free(cache, a);
      expect(pageOf(bench.slab.alloc(cache))).not.toBe(pageOf(a));
      bench.cpu = 0;
      const next = bench.slab.alloc(cache);
      // Without debugging the CPU first uses up the list it took for itself; a debug slab has only the page's.
      expect(next).toBe(debug ? a : a + 2 * cache.slot);
      if (!debug) expect(bench.alloc(cache, cache.objectsPerPage - 2).at(-1)).toBe(a);
      expect(bench.reports).toEqual([]);
    });

    test("a full page comes back as a partial one with its first freed object, and is used before a fresh page", () => {
      const bench = new Bench();
      const cache = bench.cache(120, debug);
      const full = bench.alloc(cache, cache.objectsPerPage);
      const second = bench.alloc(cache, cache.objectsPerPage);
      const third = bench.slab.alloc(cache);
      bench.slab.free(cache, second[4] as Ptr);
      bench.slab.free(cache, full[7] as Ptr);
      bench.slab.free(cache, full[2] as Ptr);
      bench.alloc(cache, cache.objectsPerPage - 1);
      expect(pageOf(third)).not.toBe(pageOf(full[0] as Ptr));
      // First in, first used; within the page the last freed comes first.
      expect(bench.alloc(cache, 3)).toEqual([second[4], full[2], full[7]]);
    });

    test("no memory left: NULL", () => {
      const bench = new Bench();
      const cache = bench.cache(2048, debug);
      // Two of the 128 pages are for the stacks of softirqs.
      const objects = bench.alloc(cache, 126 * cache.objectsPerPage + 1);
      expect(objects.at(-2)).not.toBe(0);
      expect(objects.at(-1)).toBe(0);
    });

    for (const unmap of [true, false]) {
      test(`an empty page that no CPU uses is given back at once${unmap ? ", and unmapped" : ""}`, () => {
        const bench = new Bench(unmap);
        const cache = bench.cache(120, debug);
        const objects = bench.alloc(cache, cache.objectsPerPage);
        const other = bench.slab.alloc(cache);
        const mapped = (address: Ptr): number => bench.memory.mapped[(address - ARENA) >> 12] as number;
        for (const object of objects.slice(1)) bench.slab.free(cache, object);
        expect(mapped(objects[0] as Ptr)).toBe(1);
        bench.slab.free(cache, objects[0] as Ptr);
        expect(mapped(objects[0] as Ptr)).toBe(unmap ? 0 : 1);
        // The page of the CPU itself stays, empty or not.
        bench.slab.free(cache, other);
        expect(mapped(other)).toBe(1);
        expect(bench.slab.alloc(cache)).toBe(other);
        // And the page given back is the next one taken.
        expect(bench.alloc(cache, cache.objectsPerPage).at(-1)).toBe(objects[0]);
        expect(mapped(objects[0] as Ptr)).toBe(1);
        expect(bench.reports).toEqual([]);
      });
    }
  });
}

describe("what is noticed, and when", () => {
  test("Poison overwritten: at the next allocation of that very object, and not before", () => {
    const bench = new Bench();
    const cache = bench.cache(120, true);
    const [a, b, c] = bench.alloc(cache, 3) as [Ptr, Ptr, Ptr];
    bench.slab.free(cache, a);
    bench.poke(a + 0x70, 0x6a);
    bench.slab.free(cache, b);
    bench.slab.free(cache, c);
    expect(bench.alloc(cache, 2)).toEqual([c, b]);
    expect(bench.titles()).toEqual([]);
    bench.slab.alloc(cache);
    expect(bench.titles()).toEqual(["Poison overwritten"]);
  });

  test("Poison overwritten: the report of the lists, from the first bad byte to the last", () => {
    const bench = new Bench();
    const cache = bench.cache(120, true);
    const objects = bench.alloc(cache, 11);
    const object = objects[10] as Ptr;
    bench.now += 250;
    bench.cpu = 1;
    bench.slab.free(cache, object);
    bench.poke(object + 0x30, 0x6c, 0x6c);
    bench.poke(object + 0x38, ...all(4, 0xff));
    bench.poke(object + 0x40, ...all(8, 0xff));
    bench.poke(object + 0x70, 0x6a);
    bench.cpu = 0;
    bench.now += 10;
    bench.slab.alloc(cache);
    const [report] = bench.reports;
    expect(report).toMatchObject({
      cache: "utrace",
      title: "Poison overwritten",
      range: { first: object + 0x30, last: object + 0x70, found: 0x6c, expected: 0x6b },
      page: { address: pageOf(object), objects: 21, inuse: 10, freelist: object, flags: "0x80000000000000c3" },
      object: { address: object, freePointer: object + 192, redzone: all(8, 0xbb), paddingAt: object + 0xb8 },
      fixes: [`Restoring ${hex(object + 0x30)}-${hex(object + 0x70)}=0x6b`, "Marking all objects used"],
    });
    expect(object - pageOf(object)).toBe(1920);
    expect(report?.object?.bytes.slice(0x30, 0x40)).toEqual([
      0x6c,
      0x6c,
      ...all(6, 0x6b),
      ...all(4, 0xff),
      ...all(4, 0x6b),
    ]);
    expect(report?.object?.before.slice(8)).toEqual(all(8, 0x5a));
    expect(report?.object?.tracks).toEqual([
      { verb: "Allocated", address: 0x80300000 | 0, age: 260, cpu: 0, pid: 100 },
      { verb: "Freed", address: 0x80300000 | 0, age: 10, cpu: 1, pid: 101 },
    ]);
  });

  test("Poison overwritten: the bytes are restored, the page is written off, and the caller gets another object", () => {
    const bench = new Bench();
    const cache = bench.cache(120, true);
    const [a] = bench.alloc(cache, 2) as [Ptr, Ptr];
    bench.slab.free(cache, a);
    bench.poke(a, 1, 2, 3);
    const instead = bench.slab.alloc(cache);
    expect(bench.bytes(a, 3)).toEqual(all(3, 0x6b));
    expect(pageOf(instead)).not.toBe(pageOf(a));
    expect(bench.alloc(cache, cache.objectsPerPage).map(pageOf)).not.toContain(pageOf(a));
    expect(bench.titles()).toEqual(["Poison overwritten"]);
  });

  test("Poison overwritten: the end byte is 0xa5, not 0x6b", () => {
    const bench = new Bench();
    const cache = bench.cache(120, true);
    const a = bench.slab.alloc(cache);
    bench.slab.free(cache, a);
    bench.poke(a + 119, 0x6b);
    bench.slab.alloc(cache);
    expect(bench.reports[0]).toMatchObject({
      title: "Poison overwritten",
      range: { first: a + 119, last: a + 119, found: 0x6b, expected: 0xa5 },
    });
  });

  test("Poison overwritten: when the page is given back, if the object was not handed out before", () => {
    const bench = new Bench();
    const cache = bench.cache(120, true);
    const objects = bench.alloc(cache, cache.objectsPerPage);
    bench.slab.alloc(cache);
    bench.slab.free(cache, objects[3] as Ptr);
    bench.poke((objects[3] as Ptr) + 16, 0);
    for (const object of objects) {
      expect(bench.titles()).toEqual([]);
      if (object !== objects[3]) bench.slab.free(cache, object);
    }
    expect(bench.titles()).toEqual(["Poison overwritten"]);
    expect(bench.reports[0]?.object?.address).toBe(objects[3]);
  });

  test("Redzone overwritten: at the free of a live object, which is then never handed out again", () => {
    const bench = new Bench();
    const cache = bench.cache(120, true);
    const [a, b] = bench.alloc(cache, 2) as [Ptr, Ptr];
    bench.poke(a + 120, 0);
    bench.slab.free(cache, b);
    expect(bench.slab.alloc(cache)).toBe(b);
    expect(bench.titles()).toEqual([]);
    bench.slab.free(cache, a);
    expect(bench.reports[0]).toMatchObject({
      title: "Redzone overwritten",
      range: { first: a + 120, last: a + 120, found: 0, expected: 0xcc },
      fixes: [`Restoring ${hex(a + 120)}-${hex(a + 120)}=0xcc`],
    });
    expect(bench.slab.alloc(cache)).toBe(b + cache.slot);
  });

  test("Redzone overwritten: at the next allocation of a free object, and poison is not looked at then", () => {
    const bench = new Bench();
    const cache = bench.cache(120, true);
    const a = bench.slab.alloc(cache);
    bench.slab.free(cache, a);
    bench.poke(a, 1);
    bench.poke(a + 127, 0xcc);
    bench.slab.alloc(cache);
    expect(bench.reports[0]).toMatchObject({ title: "Redzone overwritten", range: { first: a + 127, expected: 0xbb } });
    expect(bench.titles()).toEqual(["Redzone overwritten"]);
  });

  test("Object already free: at the second free, which changes nothing", () => {
    const bench = new Bench();
    const cache = bench.cache(120, true);
    const [a, b] = bench.alloc(cache, 2) as [Ptr, Ptr];
    bench.slab.free(cache, a);
    bench.slab.free(cache, a);
    expect(bench.reports[0]).toMatchObject({
      title: "Object already free",
      object: { address: a },
      fixes: [`Object at ${hex(a)} not freed`],
    });
    expect(bench.alloc(cache, 2)).toEqual([a, b + cache.slot]);
  });

  test("Object padding overwritten: reported, but the object is freed all the same", () => {
    const bench = new Bench();
    const cache = bench.cache(120, true);
    const a = bench.slab.alloc(cache);
    bench.poke(a + 0xb8, 0);
    bench.slab.free(cache, a);
    expect(bench.reports[0]).toMatchObject({
      title: "Object padding overwritten",
      range: { first: a + 0xb8, last: a + 0xb8, found: 0, expected: 0x5a },
    });
    expect(bench.slab.alloc(cache)).toBe(a);
    expect(bench.titles()).toHaveLength(1);
  });

  test("Freepointer corrupt: the free pointer of the object handed out leads out of its page", () => {
    const bench = new Bench();
    const cache = bench.cache(120, true);
    const a = bench.slab.alloc(cache);
    bench.slab.free(cache, a);
    bench.poke(a + 0x80, 0x99);
    const instead = bench.slab.alloc(cache);
    expect(bench.reports[0]).toMatchObject({ title: "Freepointer corrupt", fixes: ["Marking all objects used"] });
    expect(bench.bytes(a + 0x80, 8)).toEqual(all(8, 0));
    expect(pageOf(instead)).not.toBe(pageOf(a));
  });

  test("Invalid object pointer: the pointer freed is no start of a slot", () => {
    const bench = new Bench();
    const cache = bench.cache(120, true);
    const a = bench.slab.alloc(cache);
    bench.slab.free(cache, a + 8);
    expect(bench.reports[0]).toMatchObject({
      title: `Invalid object pointer ${hex(a + 8)}`,
      fixes: [`Object at ${hex(a + 8)} not freed`],
    });
    expect(bench.reports[0]?.object).toBeUndefined();
  });

  test("Padding overwritten: the bytes behind the last slot, when the page is given back", () => {
    const bench = new Bench();
    const cache = bench.cache(120, true);
    const objects = bench.alloc(cache, cache.objectsPerPage);
    bench.slab.alloc(cache);
    const tail = (objects[0] as Ptr) + 21 * 192;
    bench.poke(tail + 5, 0, 0);
    for (const object of objects) bench.slab.free(cache, object);
    expect(bench.titles()).toEqual(["Padding overwritten"]);
    expect(bench.reports[0]).toMatchObject({ range: { first: tail + 5, last: tail + 6, found: 0, expected: 0x5a } });
    expect(bench.reports[0]?.object).toBeUndefined();
  });

  test("none of it without debugging", () => {
    const bench = new Bench();
    const cache = bench.cache(120, false);
    const [a, b] = bench.alloc(cache, 2) as [Ptr, Ptr];
    bench.poke(a + 119, 1);
    bench.slab.free(cache, a);
    bench.poke(a + 8, 1);
    bench.slab.free(cache, b);
    bench.alloc(cache, 100);
    expect(bench.reports).toEqual([]);
  });
});

// --- Through the machine -------------------------------------------------------------------------------------------

const OBJ_T = struct("obj", { next: ptr, value: ulong, rest: array(u8, 104) });
const OBJ = OBJ_T.fields;
const SLOTS_T = struct("slots", { obj: ptr, second: ptr });
const SLOTS = SLOTS_T.fields;
const HEAD = struct("with_head", { rcu: rcu_head }).fields;
const world = globalsOf<{ slots: Ptr; cache: Cache }>();
const setup =
  (...mains: Parameters<Machine["spawn"]>[2][]) =>
  (machine: Machine): void => {
    machine.globals = { slots: machine.allocStaticStruct(SLOTS_T), cache: machine.createCache(OBJ_T) };
    mains.forEach((main, i) => void machine.spawn(0, { comm: "abc"[i] as string, pid: 10 + i }, main));
  };
const stage = (options: TinyOptions, ...mains: Parameters<Machine["spawn"]>[2][]): Stage =>
  new Stage(tiny(setup(...mains), options));
const slabReport = (finding: Finding | undefined): SlabReport => {
  if (finding?.details.type !== "slab") throw new Error("no slab report");
  return finding.details.slab;
};

describe("DEBUG_PAGEALLOC", () => {
  const empties_a_page = kernel(function* empties_a_page() {
    const objects: Ptr[] = [];
    // The last one comes from a second page, so that no CPU uses the first.
    for (let i = 0; i < 35; i++) objects.push(yield* kmem_cache_alloc(world().cache));
    for (const obj of objects.slice(0, 34)) yield* kmem_cache_free(world().cache, obj);
    yield* load(objects[5] as Ptr, OBJ.value);
  });
  const empties_half_a_page = kernel(function* empties_half_a_page() {
    const objects: Ptr[] = [];
    for (let i = 0; i < 34; i++) objects.push(yield* kmem_cache_alloc(world().cache));
    for (const obj of objects) yield* kmem_cache_free(world().cache, obj);
    yield* load(objects[5] as Ptr, OBJ.value);
  });

  test("a touch of an object whose page was given back is a paging fault at that address", () => {
    const s = stage({ config: { DEBUG_PAGEALLOC: true }, checks: [] }, empties_a_page).toEnd();
    const [finding] = s.machine.findings;
    const address = (finding?.pointer ?? 0) + 8;
    expect(s.titles()).toEqual([`BUG: unable to handle kernel paging request at ${hex(address).slice(2)}`]);
    expect(finding).toMatchObject({
      kind: "paging-fault",
      fatal: true,
      function: "empties_a_page",
      access: "obj->value",
    });
    expect(finding?.details).toEqual({ type: "fault", fault: "paging", address: hex(address).slice(2), write: false });
  });

  test("without DEBUG_PAGEALLOC the same touch goes unnoticed", () => {
    expect(stage({ checks: [] }, empties_a_page).toEnd().titles()).toEqual([]);
  });

  test("an empty page that a CPU still uses stays mapped", () => {
    expect(
      stage({ config: { DEBUG_PAGEALLOC: true }, checks: [] }, empties_half_a_page)
        .toEnd()
        .titles(),
    ).toEqual([]);
  });

  test("kasan sees the access before the fault does", () => {
    const s = stage({ config: { DEBUG_PAGEALLOC: true }, checks: ["kasan"] }, empties_a_page).toEnd();
    expect(s.machine.findings.map((finding) => finding.kind)).toEqual(["use-after-free", "paging-fault"]);
    expect(s.machine.findings[0]?.details).toMatchObject({ object: { cache: "obj", freed: { comm: "a" } } });
  });
});

describe("an allocation or a free", () => {
  const allocates = kernel(function* allocates() {
    yield* store(world().slots, SLOTS.obj, yield* kmem_cache_alloc(world().cache));
  });
  const frees = kernel(function* frees() {
    yield* kmem_cache_free(world().cache, yield* load(world().slots, SLOTS.obj));
  });
  const allocates_again = kernel(function* allocates_again() {
    yield* store(world().slots, SLOTS.second, yield* kmem_cache_alloc(world().cache));
  });

  test("belongs to the task and the CPU that does it, whoever ran last", () => {
    const s = stage({ cpus: 3, config: { SLUB_DEBUG: true } }, allocates, frees, allocates_again);
    s.play("c0 c1:1 c2:2 s0 s0 s1 s2 s1 s2");
    const { slots, cache } = s.machine.globals as { slots: Ptr; cache: Cache };
    expect(s.machine.slab.objectAt(s.peek(slots, SLOTS.obj))).toMatchObject({
      allocated: { comm: "a", pid: 10, cpu: 0, backtrace: ["allocates"], step: 3 },
      freed: { comm: "b", pid: 11, cpu: 1, backtrace: ["frees"], step: 7 },
    });
    expect(s.machine.slab.objectAt(s.peek(slots, SLOTS.second))).toMatchObject({
      allocated: { comm: "c", pid: 12, cpu: 2, backtrace: ["allocates_again"], step: 6 },
      freed: null,
    });
    expect(cache.cpuSlabs.map((cpuSlab) => cpuSlab.page?.inuse)).toEqual([0, undefined, 1]);
  });

  test("is one step; kmem_cache_zalloc zeroes in a second one, and another task can come between", () => {
    const zallocates = kernel(function* zallocates() {
      yield* kmem_cache_zalloc(world().cache);
    });
    const s = stage({ config: { SLUB_DEBUG: true } }, zallocates);
    s.play("c0 s0");
    const obj = s.context("a").scratch;
    expect(s.hex(obj, 8)).toBe("6b 6b 6b 6b 6b 6b 6b 6b");
    expect(s.context("a").finished).toBe(false);
    s.play("s0");
    expect(s.hex(obj, 120)).toBe(Array(120).fill("00").join(" "));
    expect(s.context("a").finished).toBe(true);
  });

  test("leaves tracks: who, on which CPU, and how many jiffies ago", () => {
    const writes_after_free = kernel(function* writes_after_free() {
      const obj = yield* kmem_cache_alloc(world().cache);
      yield* store(current(), plain_task.fields.state, 2);
      yield* mod_timer(30);
      yield* schedule();
      yield* kmem_cache_free(world().cache, obj);
      yield* store(obj, OBJ.value, 0);
    });
    const s = stage({ cpus: 1, config: { SLUB_DEBUG: true }, checks: [] }, writes_after_free, allocates_again);
    s.play("c0").stepTo(0, SCHEDULE).play("s0 t0 c0 s0 s0 c0:1 s0");
    const [finding] = s.machine.findings;
    expect(finding).toMatchObject({ title: "BUG obj: Poison overwritten", task: "b", function: "allocates_again" });
    expect(finding).toMatchObject({ kind: "slab-corruption", fatal: false });
    const { tracks } = slabReport(finding).object as unknown as { tracks: TrackReport[] };
    expect(tracks).toMatchObject([
      { verb: "Allocated", age: 30, cpu: 0, pid: 10 },
      { verb: "Freed", age: 0, cpu: 0, pid: 10 },
    ]);
    expect(tracks.map((track) => s.machine.symbols.describe(track.address))).toEqual([
      expect.stringMatching(/^writes_after_free\+0x/),
      expect.stringMatching(/^writes_after_free\+0x/),
    ]);
  });

  test("of a callback has the pid of whoever the softirq interrupts", () => {
    const obj_free = kernel(function* obj_free(rhead: Ptr) {
      yield* kmem_cache_free(world().cache, rhead);
    });
    const gives_up = kernel(function* gives_up() {
      yield* call_rcu(yield* kmem_cache_alloc(world().cache), HEAD.rcu, obj_free);
    });
    const loops = kernel(function* loops() {
      for (let i = 0; i < 20; i++) yield* schedule();
    });
    const s = stage({ cpus: 1 }, gives_up, loops);
    s.play("c0 s0");
    const obj = s.context("a").ptr;
    s.play("s0*3 c0:1 q0 s0");
    expect(s.machine.slab.objectAt(obj)).toMatchObject({
      allocated: { comm: "a", pid: 10, backtrace: ["gives_up"] },
      freed: { comm: "b", pid: 11, backtrace: ["obj_free"] },
    });
  });
});
