/**
 * Symbols whose address, length or call sites the thread's three reports print: facts about the kernels that crashed
 * (build #4 for addresses; lengths are the same in #5). All other symbols get an address of the simulator's own.
 *
 * @see the oops of 2008-08-27 14:32, the BUG of 14:46 and the SLUB report of 15:00 (Alexey Dobriyan)
 */
import type { KnownSymbols } from "../../sim/symbols.ts";

/** What the reports print of each: `symbol+offset/size`. */
export const KNOWN_SYMBOLS: KnownSymbols = {
  utrace_stop: { address: 0x8025e2f0 | 0, size: 0x120, sites: { "load:utrace->stopped": 0x9b } },
  finish_resume_report: { address: 0x8025e410 | 0, size: 0xd0, sites: { utrace_stop: 0xa0 } },
  utrace_get_signal: { address: 0x8025f800 | 0, size: 0x710, sites: { finish_resume_report: 0x305, BUG: 0x6ff } },
  get_signal_to_deliver: { address: 0x80240680 | 0, size: 0x310, sites: { utrace_get_signal: 0x24c } },
  do_notify_resume: { address: 0x8020aa80 | 0, size: 0x860, sites: { get_signal_to_deliver: 0xd4 } },
  int_signal: { address: 0x8020b9b5 | 0, size: 0x17, sites: { do_notify_resume: 0x12 } },
  utrace_attach_task: { size: 0x3d0, sites: { alloc: 0x1f4 } },
  utrace_free: { size: 0x20, sites: { free: 0x16 } },
};
