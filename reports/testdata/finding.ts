/**
 * A finding to make others of: the place of the second crash in the thread. Its task is that of the first, since the
 * second one's lies below the memory that the machine has.
 */
import type { Finding, FindingDetails, Site } from "../../sim/finding.ts";
import { ARENA } from "../../sim/memory.ts";
import { Symbols } from "../../sim/symbols.ts";
import type { KernelImage } from "../dumpStack.ts";

/** Number that stands for the address ffff880100000000 + `low`. */
export const at = (low: number): number => ARENA + (low - 0x7c000000);

export function makeFinding(details: FindingDetails, more: Partial<Finding> = {}): Finding {
  return {
    kind: "use-after-free",
    title: "a title",
    function: "utrace_get_signal",
    task: "exe",
    pid: 5118,
    cpu: 0,
    step: 812,
    time: 1_000_000,
    backtrace: [
      { name: "utrace_get_signal", address: "utrace_get_signal+0x6ff/0x710" },
      { name: "get_signal_to_deliver", address: "get_signal_to_deliver+0x24c/0x310" },
      { name: "do_notify_resume", address: "do_notify_resume+0xd4/0x860" },
    ],
    access: "utrace->stopped",
    taskAddress: at(0x7c02b880),
    interruptsOff: false,
    pointer: at(0x7c31e780),
    fatal: false,
    details,
    ...more,
  };
}

export const makeSite = (comm: string, pid: number, cpu: number, step: number, backtrace: string[]): Site => ({
  comm,
  pid,
  cpu,
  step,
  backtrace,
});

/** The kernel of the thread: symbols read off its reports, and the taint it printed. */
export const threadKernel = (build: number): KernelImage => ({
  version: `2.6.27-rc4-next-20080827-utrace #${build}`,
  taint: "Tainted: G        W",
  symbols: new Symbols({
    utrace_stop: { address: 0x8025e2f0 | 0, size: 0x120 },
    finish_resume_report: { address: 0x8025e410 | 0, size: 0xd0 },
    utrace_get_signal: { address: 0x802601f0 | 0, size: 0x710 },
    get_signal_to_deliver: { address: 0x802410b0 | 0, size: 0x310 },
    do_notify_resume: { address: 0x8020aa80 | 0, size: 0x860 },
    print_trailer: { address: 0x8028f890 | 0, size: 0x160 },
    check_bytes_and_report: { address: 0x8028fed0 | 0, size: 0xd0 },
    check_object: { address: 0x8028ffa0 | 0, size: 0x250 },
    __slab_alloc: { address: 0x80290c80 | 0, size: 0x670 },
    utrace_attach_task: { address: 0x8025f000 | 0, size: 0x3d0 },
    utrace_free: { address: 0x8025ef00 | 0, size: 0x20 },
  }),
});
