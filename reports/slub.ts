/**
 * What SLUB prints of a broken object or page.
 *
 * The frames that SLUB itself would have on the stack (`print_trailer` and its callers) are not in the model, so the
 * call trace begins with the kernel function that allocated or freed.
 *
 * @see mm/slub.c of 2.6.27: slab_bug, print_trailer, slab_err, check_bytes_and_report, slab_fix
 */
import type { SlabReport, TrackReport } from "../sim/finding.ts";
import { ARENA, ARENA_PFN, PAGE_SIZE } from "../sim/memory.ts";
import type { Ptr } from "../sim/op.ts";
import { pageStructAddress } from "../sim/slab.ts";
import { dumpStack, type KernelImage, type Place, pointerText } from "./dumpStack.ts";

const BANNER_WIDTH = 77;
const BYTES_PER_ROW = 16;

const hex = (address: Ptr): string => `0x${pointerText(address)}`;
const hexByte = (byte: number): string => byte.toString(16).padStart(2, "0");

/** The whole report: about an object where it names one, else about the page. */
export function slubText(slab: SlabReport, place: Place, image: KernelImage): string {
  const about = slab.object === undefined ? pageLines(slab) : objectLines(slab, slab.object, image);
  return [...about, ...dumpStack(place, image), ...fixLines(slab)].join("\n");
}

/** @see mm/slub.c slab_bug */
const title = (cache: string, what: string): string[] => [
  "=".repeat(BANNER_WIDTH),
  `BUG ${cache}: ${what}`,
  "-".repeat(BANNER_WIDTH),
  "",
];

/** @see mm/slub.c slab_err, slab_pad_check */
function pageLines(slab: SlabReport): string[] {
  const range = slab.range === undefined ? "" : `. ${hex(slab.range.first)}-${hex(slab.range.last)}`;
  return [...title(slab.cache, slab.title + range), ...slabLine(slab)];
}

/** @see mm/slub.c print_page_info; an address that was never in a slab has no page to tell of */
function slabLine({ page }: SlabReport): string[] {
  if ((page.address - ARENA) % PAGE_SIZE !== 0) return [];
  const struct = pageStructAddress(page.address, ARENA_PFN);
  const counts = `objects=${page.objects} used=${page.inuse}`;
  return [`INFO: Slab 0x${struct} ${counts} fp=${hex(page.freelist)} flags=${page.flags}`];
}

/** @see mm/slub.c print_trailer */
function objectLines(slab: SlabReport, object: NonNullable<SlabReport["object"]>, image: KernelImage): string[] {
  const { address, bytes } = object;
  const offset = address - slab.page.address;
  return [
    ...title(slab.cache, slab.title),
    ...rangeLine(slab.range),
    ...object.tracks.map((track) => trackLine(track, image)),
    ...slabLine(slab),
    `INFO: Object ${hex(address)} @offset=${offset} fp=${hex(object.freePointer)}`,
    "",
    ...dumpRows("Bytes b4", address - object.before.length, object.before),
    ...dumpRows("Object", address, bytes),
    ...dumpRows("Redzone", address + bytes.length, object.redzone),
    ...dumpRows("Padding", object.paddingAt, object.padding),
  ];
}

/** @see mm/slub.c check_bytes_and_report */
function rangeLine(range: SlabReport["range"]): string[] {
  if (range === undefined) return [];
  const found = `First byte 0x${range.found.toString(16)} instead of 0x${range.expected.toString(16)}`;
  return [`INFO: ${hex(range.first)}-${hex(range.last)}. ${found}`];
}

/** @see mm/slub.c print_track; without symbols it is the bare address, as without KALLSYMS */
function trackLine(track: TrackReport, image: KernelImage): string {
  const code = image.symbols?.describe(track.address) ?? hex(track.address);
  return `INFO: ${track.verb} in ${code} age=${track.age} cpu=${track.cpu} pid=${track.pid}`;
}

/**
 * Bytes in rows of sixteen: hexadecimal, then as characters.
 *
 * @see mm/slub.c print_section
 */
export function dumpRows(label: string, address: Ptr, bytes: readonly number[]): string[] {
  const rows: string[] = [];
  for (let i = 0; i < bytes.length; i += BYTES_PER_ROW) {
    const row = bytes.slice(i, i + BYTES_PER_ROW);
    const digits = row.map((byte) => ` ${hexByte(byte)}`).join("");
    const characters = row.map(character).join("");
    // A short row is padded to full width, its characters too.
    const full = digits.padEnd(3 * BYTES_PER_ROW);
    rows.push(`${label.padStart(8)} ${hex(address + i)}: ${full} ${characters.padEnd(BYTES_PER_ROW)}`);
  }
  return rows;
}

/** The kernel's `isgraph` is Latin-1's. @see lib/ctype.c */
const character = (byte: number): string =>
  (byte > 0x20 && byte < 0x7f) || byte > 0xa0 ? String.fromCharCode(byte) : ".";

/** `restore_bytes` ends its line itself and so does `slab_fix`: an empty line follows. @see mm/slub.c slab_fix */
function fixLines(slab: SlabReport): string[] {
  const lines = slab.fixes.flatMap((fix) => {
    const line = `FIX ${slab.cache}: ${fix}`;
    return fix.startsWith("Restoring ") ? [line, ""] : [line];
  });
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}
