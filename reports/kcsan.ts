/**
 * Data races, in the words of KCSAN, which is younger (5.8) than the kernel modelled here.
 *
 * KCSAN stalls a task to catch the other one in the act, so both are running; here the first access is over, and the
 * text says at which step it was made. The field is in the title, which KCSAN's has not.
 *
 * @see kernel/kcsan/report.c print_report, get_access_type
 */
import type { Finding, RaceAccess } from "../sim/finding.ts";
import { codeText, type DetailsOf, type KernelImage, pidLine, pointerText } from "./dumpStack.ts";

const BANNER = "=".repeat(66);

/** Two accesses that nothing orders, the later one first. */
export function raceText(finding: Finding, race: DetailsOf<"race">, image: KernelImage): string {
  const { access, other, change } = race;
  const trace = (frames: Finding["backtrace"]): string[] => frames.map(({ address }) => ` ${codeText(address, image)}`);
  return [
    BANNER,
    finding.title,
    "",
    `${accessText(access)} by task ${finding.pid} on cpu ${finding.cpu}:`,
    ...trace(finding.backtrace),
    "",
    `${accessText(other)} by task ${other.pid} on cpu ${other.cpu} at step ${other.step}:`,
    ...trace(other.backtrace),
    ...(change === undefined ? [] : ["", `value changed: ${change.before} -> ${change.after}`]),
    "",
    "Reported by Kernel Concurrency Sanitizer on:",
    `CPU: ${finding.cpu} ${pidLine(finding, image).replace("Pid:", "PID:").replace(", comm:", " Comm:")}`,
    BANNER,
  ].join("\n");
}

function accessText({ write, marked, address, size }: RaceAccess): string {
  return `${write ? "write" : "read"}${marked ? " (marked)" : ""} to ${pointerText(address)} of ${size} bytes`;
}
