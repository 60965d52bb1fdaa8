import { expect, test } from "vitest";
import { slabGeometry, slotOf } from "./slabGeometry.ts";

test.each([
  // The cache of the SLUB report of 2008-08-27: 120 bytes under FZPU.
  [120, true, 8, { inuse: 128, freeOffset: 128, trackOffset: 136, size: 192 }],
  [72, true, 8, { inuse: 80, freeOffset: 80, trackOffset: 88, size: 144 }],
  [48, true, 8, { inuse: 56, freeOffset: 56, trackOffset: 64, size: 120 }],
  [72, false, 8, { inuse: 72, freeOffset: 0, trackOffset: 0, size: 72 }],
  // The task_struct of the mail of 2008-09-03: 1384 is in slots of 1392.
  [1384, false, 16, { inuse: 1384, freeOffset: 0, trackOffset: 0, size: 1392 }],
  [1456, false, 16, { inuse: 1456, freeOffset: 0, trackOffset: 0, size: 1456 }],
])("an object of %i bytes, debug %s, aligned to %i", (size, debug, align, expected) => {
  expect(slotOf(size, { debug, freeBehind: false, align })).toEqual(expected);
});

test("a free pointer behind the object takes a word more", () => {
  expect(slotOf(120, { debug: false, freeBehind: true })).toMatchObject({ freeOffset: 120, size: 128 });
});

test.each([
  [192, 2, { order: 0, bytes: 4096, objects: 21, waste: 64 }],
  [120, 2, { order: 0, bytes: 4096, objects: 34, waste: 16 }],
  [72, 2, { order: 0, bytes: 4096, objects: 56, waste: 64 }],
  // Twelve objects of 1392 bytes do not fit into 16 KiB.
  [1392, 2, { order: 3, bytes: 32768, objects: 23, waste: 752 }],
  // Eleven would do on one CPU, but 16 KiB waste more than a sixteenth.
  [1392, 1, { order: 3, bytes: 32768, objects: 23, waste: 752 }],
  [1000, 1, { order: 1, bytes: 8192, objects: 8, waste: 192 }],
])("slots of %i bytes on %i CPUs", (slot, cpus, expected) => {
  expect(slabGeometry(slot, cpus)).toEqual(expected);
});

test("where nothing fits well, the smallest slab with room for one", () => {
  expect(slabGeometry(20_000, 2)).toMatchObject({ order: 3, objects: 1 });
});
