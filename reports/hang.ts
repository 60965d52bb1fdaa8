/**
 * What is left when nothing can happen any more: tasks that never go on, objects that were never freed.
 *
 * The machine knows at once what the kernel finds out by waiting (120 seconds, or `loops_per_jiffy * HZ` tries).
 * What it can say beyond the kernel, who waits for what, follows after an empty line.
 *
 * @see kernel/softlockup.c check_hung_task, lib/spinlock_debug.c __spin_lock_debug, mm/kmemleak.c print_unreferenced
 */
import type { Finding } from "../sim/finding.ts";
import { callTrace, type DetailsOf, dumpStack, type KernelImage, pointerText, siteText } from "./dumpStack.ts";

/** A task that sleeps for ever, or spins on a lock for ever. */
export function stuckText(finding: Finding, stuck: DetailsOf<"stuck">, image: KernelImage): string {
  return [
    ...(finding.kind === "deadlock" ? lockupLines(finding, image) : hungTaskLines(finding, image)),
    "",
    `${finding.task}/${finding.pid} ${stuck.waits}`,
    "Tasks at this moment:",
    ...stuck.tasks.map((task) => ` ${task}`),
  ].join("\n");
}

/** The title ends in the lock's address in the kernel; here the line on what it waits for names the lock. */
const lockupLines = (finding: Finding, image: KernelImage): string[] => [finding.title, ...dumpStack(finding, image)];

/** @see kernel/softlockup.c check_hung_task */
const hungTaskLines = (finding: Finding, image: KernelImage): string[] => [
  `INFO: task ${finding.task}:${finding.pid} blocked for more than 120 seconds.`,
  '"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.',
  ...callTrace(finding, image),
];

/** An object that was allocated and never freed. @see mm/kmemleak.c print_unreferenced, which is of 2.6.31 */
export function leakText({ object }: DetailsOf<"leak">): string {
  const lines = [`unreferenced object 0x${pointerText(object.address)} (size ${object.size}):`];
  const site = object.allocated;
  if (site === null) return [...lines, `  cache ${object.cache}`].join("\n");
  return [
    ...lines,
    `  comm "${site.comm}", pid ${site.pid}, cache ${object.cache}, allocated ${siteText(site)}`,
    "  backtrace:",
    ...site.backtrace.map((name) => `    ${name}`),
  ].join("\n");
}
