/**
 * The texts of a kernel that dies or warns: page fault, general protection fault, BUG, WARN_ON.
 *
 * Only what is real in the model is printed. Left out: the page table walk, the last sysfs file, the module list,
 * registers, threadinfo, stack words, code bytes and the random id of the end-of-trace line. Of EFLAGS the model
 * knows the interrupt flag; the other bits are those of the two oopses in the thread. A run ends with its first oops,
 * so the die counter is always 1.
 *
 * @see arch/x86/mm/fault.c show_fault_oops, arch/x86/kernel/traps_64.c __die, lib/bug.c report_bug
 */
import type { Finding } from "../sim/finding.ts";
import type { Config } from "../sim/struct.ts";
import {
  callTrace,
  codeText,
  type DetailsOf,
  dumpStack,
  instructionPointer,
  type KernelImage,
  pidLine,
  pointerText,
} from "./dumpStack.ts";

const CUT_HERE = "------------[ cut here ]------------";
const EFLAGS_INTERRUPTS_ON = "00010246";
const EFLAGS_INTERRUPTS_OFF = "00010093";

// Bits of a page fault's error code. Nothing in the model faults on a page that is present.
const ERROR_WRITE = 0x2;
const ERROR_INSTRUCTION_FETCH = 0x10;

/**
 * A page fault or a general protection fault.
 *
 * @see arch/x86/mm/fault.c show_fault_oops
 */
export function faultText(finding: Finding, fault: DetailsOf<"fault">, config: Config, image: KernelImage): string {
  // With no function on the stack, the fault was the jump itself: the CPU could not fetch the instruction there.
  const jump = finding.backtrace.length === 0;
  const ip = jump ? jumpTarget(fault.address, image) : codeText(instructionPointer(finding), image);
  if (fault.fault === "general") {
    return [dieLine("general protection fault", 0, config), ...registers(finding, ip, image), `RIP  ${ip}`].join("\n");
  }
  const what = fault.fault === "null" ? "NULL pointer dereference" : "paging request";
  const code = (fault.write ? ERROR_WRITE : 0) | (jump ? ERROR_INSTRUCTION_FETCH : 0);
  return [
    `BUG: unable to handle kernel ${what} at ${fault.address}`,
    `IP: ${ip}`,
    dieLine("Oops", code, config),
    ...registers(finding, ip, image),
    `RIP  ${ip}`,
    `CR2: ${fault.address}`,
  ].join("\n");
}

/**
 * `BUG()` and `BUG_ON()`: an invalid instruction, found in the table of bugs.
 *
 * @see lib/bug.c report_bug
 */
export function bugText(
  finding: Finding,
  assertion: DetailsOf<"assertion">,
  config: Config,
  image: KernelImage,
): string {
  const ip = codeText(instructionPointer(finding), image);
  return [
    CUT_HERE,
    `kernel BUG at ${assertion.at}!`,
    dieLine("invalid opcode", 0, config),
    ...registers(finding, ip, image),
    `RIP  ${ip}`,
  ].join("\n");
}

/** @see kernel/panic.c warn_on_slowpath */
export function warnText(finding: Finding, assertion: DetailsOf<"assertion">, image: KernelImage): string {
  const warning = `WARNING: at ${assertion.at} ${instructionPointer(finding)}()`;
  return [CUT_HERE, warning, ...dumpStack(finding, image)].join("\n");
}

/** Every option is followed by a blank, the last one too unless it is DEBUG_PAGEALLOC. The modelled kernel is SMP. */
function dieLine(what: string, code: number, config: Config): string {
  const preempt = config.PREEMPT === true ? "PREEMPT " : "";
  const pagealloc = config.DEBUG_PAGEALLOC === true ? "DEBUG_PAGEALLOC" : "";
  return `${what}: ${code.toString(16).padStart(4, "0")} [1] ${preempt}SMP ${pagealloc}`;
}

const jumpTarget = (address: string, image: KernelImage): string =>
  image.symbols === undefined ? `0x${address}` : `[<${address}>] 0x${address}`;

/** From the CPU line to the call trace, which begins with the caller: the innermost function is the RIP line. */
function registers(finding: Finding, ip: string, image: KernelImage): string[] {
  const bracket = /^\[<[0-9a-f]+>\]/.exec(ip)?.[0];
  // An idle CPU has no task in the model.
  const task = finding.taskAddress === 0 ? "" : `, task ${pointerText(finding.taskAddress)}`;
  return [
    `CPU ${finding.cpu} `,
    pidLine(finding, image),
    bracket === undefined ? `RIP: 0010:${ip}` : `RIP: 0010:${bracket}  ${ip}`,
    `EFLAGS: ${finding.interruptsOff ? EFLAGS_INTERRUPTS_OFF : EFLAGS_INTERRUPTS_ON}`,
    `Process ${finding.task} (pid: ${finding.pid}${task})`,
    ...callTrace(finding, image, 1),
  ];
}
