/**
 * Bad memory accesses and bad frees, in the words of KASAN, which is younger (4.0) than the kernel modelled here.
 *
 * The machine knows of an allocation or a free who did it, on which CPU and in which step, but no code addresses.
 * There is no dump of the shadow memory.
 *
 * @see mm/kasan/report.c print_error_description, describe_object
 */
import type { Finding, ObjectInfo, Site } from "../sim/finding.ts";
import type { Ptr } from "../sim/op.ts";
import {
  codeText,
  type DetailsOf,
  dumpStack,
  instructionPointer,
  type KernelImage,
  pointerText,
  siteText,
} from "./dumpStack.ts";

const BANNER = "=".repeat(66);

/** A read or write of memory that is not there to be used. */
export function memoryText(finding: Finding, memory: DetailsOf<"memory">, image: KernelImage): string {
  const late =
    memory.storedAt === undefined ? "" : `, stored at step ${memory.storedAt} and out of the store buffer now`;
  const access = `${memory.write ? "Write" : "Read"} of size ${memory.size} at addr ${pointerText(memory.address)}`;
  return report(finding, access + late, memory.address, memory.object, image);
}

/** A free of what is free already, or of what never was an object. @see mm/kasan/report.c kasan_report_invalid_free */
export function freeText(finding: Finding, free: DetailsOf<"free">, image: KernelImage): string {
  return report(finding, `Free of addr ${pointerText(free.address)}`, free.address, free.object, image);
}

function report(finding: Finding, access: string, address: Ptr, object: ObjectInfo | null, image: KernelImage): string {
  return [
    BANNER,
    headline(finding, image),
    `${access} by task ${finding.task}/${finding.pid}`,
    "",
    ...dumpStack(finding, image),
    ...(object === null ? [] : objectLines(address, object)),
    BANNER,
  ].join("\n");
}

/** The finding's title, whose function is given as the kernel does: with the offset of the access in it. */
function headline(finding: Finding, image: KernelImage): string {
  const end = ` in ${finding.function}`;
  const code = codeText(instructionPointer(finding), image);
  if (code === "" || !finding.title.endsWith(end)) return finding.title;
  return `${finding.title.slice(0, -end.length)} in ${code}`;
}

/** @see mm/kasan/report.c describe_object, describe_object_addr */
const objectLines = (address: Ptr, object: ObjectInfo): string[] => [
  ...trackLines("Allocated", object.allocated),
  ...trackLines("Freed", object.freed),
  "",
  `The buggy address belongs to the object at ${pointerText(object.address)}`,
  ` which belongs to the cache ${object.cache} of size ${object.size}`,
  `The buggy address is located ${distance(address, object)} of`,
  ` ${object.size}-byte region [${pointerText(object.address)}, ${pointerText(object.address + object.size)})`,
];

function distance(address: Ptr, object: ObjectInfo): string {
  const end = object.address + object.size;
  if (address < object.address) return `${object.address - address} bytes to the left`;
  return address < end ? `${address - object.address} bytes inside` : `${address - end} bytes to the right`;
}

/** @see mm/kasan/report.c print_track */
function trackLines(verb: string, site: Site | null): string[] {
  if (site === null) return [];
  return [
    "",
    `${verb} by task ${site.comm}/${site.pid} ${siteText(site)}:`,
    ...site.backtrace.map((name) => ` ${name}`),
  ];
}
