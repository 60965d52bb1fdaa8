/**
 * What nearly every kernel text ends in: who was running, and the call trace.
 *
 * A {@link Finding} names code as `symbol+0xoff/0xsize`. The bracketed address in front of it can be printed only by
 * who has the run's symbol table; without one it is left out, as newer kernels do.
 *
 * @see arch/x86/kernel/traps_64.c dump_stack, printk_address
 */
import type { Finding, FindingDetails, Site } from "../sim/finding.ts";
import { hexPointer, WILD } from "../sim/memory.ts";
import type { Ptr } from "../sim/op.ts";

/** The part of a finding's details that belongs to one type of finding. */
export type DetailsOf<T extends FindingDetails["type"]> = Extract<FindingDetails, { readonly type: T }>;

/** Who was running, and where: the part of a finding that a stack dump needs. */
export type Place = Pick<Finding, "task" | "pid" | "backtrace">;

/** The symbol table of a run, as `Symbols` has it. */
export interface Kallsyms {
  base(name: string): number;
  describe(address: number): string;
}

/** What a kernel says of itself in its reports. */
export interface KernelImage {
  /** Release and build number. */
  readonly version: string;
  /** `Not tainted`, or `Tainted: ` and the letters. */
  readonly taint: string;
  readonly symbols?: Kallsyms;
}

/** The modelled kernel: the one of the thread, before anything has tainted it. */
export const MODELLED_KERNEL: KernelImage = {
  version: "2.6.27-rc4-next-20080827-utrace #1",
  taint: "Not tainted",
};

/** An address as sixteen digits; question marks for a pointer whose digits only the machine's memory knew. */
export const pointerText = (address: Ptr): string => (address >= WILD ? "?".repeat(16) : hexPointer(address));

/** `[<address>] symbol+0xoff/0xsize`, or the symbol alone where its address is not known. */
export function codeText(symbol: string, image: KernelImage): string {
  const parts = /^(.+)\+0x([0-9a-f]+)\/0x[0-9a-f]+$/.exec(symbol);
  if (image.symbols === undefined || parts === null) return symbol;
  const [, name, offset] = parts as unknown as [string, string, string];
  return `[<${hexPointer(image.symbols.base(name) + Number.parseInt(offset, 16))}>] ${symbol}`;
}

/** The code a finding was made in, as an instruction pointer; a jump into the wild has no symbol. */
export const instructionPointer = (place: Place): string => place.backtrace[0]?.address ?? "";

/** @see arch/x86/kernel/process_64.c show_regs, its first line */
export const pidLine = (place: Place, image: KernelImage): string =>
  `Pid: ${place.pid}, comm: ${place.task} ${image.taint} ${image.version}`;

/** `Call Trace:` and one line for each function from `first` on, innermost first. */
export const callTrace = (place: Place, image: KernelImage, first = 0): string[] => [
  "Call Trace:",
  ...place.backtrace.slice(first).map((frame) => ` ${codeText(frame.address, image)}`),
];

/** The two together. 2.6.27-rc4-next has no blank lines around the trace (c9c3dddd8f9). */
export const dumpStack = (place: Place, image: KernelImage): string[] => [
  pidLine(place, image),
  ...callTrace(place, image),
];

/** When and where a track was left. The kernel gives jiffies; a step is what leads into the history. */
export const siteText = (site: Site): string => (site.step < 0 ? "at boot" : `on cpu ${site.cpu} at step ${site.step}`);
