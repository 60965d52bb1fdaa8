/** The text a kernel would print for a finding. */
import type { Finding } from "../sim/finding.ts";
import type { Config } from "../sim/struct.ts";
import { type KernelImage, MODELLED_KERNEL } from "./dumpStack.ts";
import { leakText, stuckText } from "./hang.ts";
import { freeText, memoryText } from "./kasan.ts";
import { raceText } from "./kcsan.ts";
import { contextText, lockOrderText, messageText, spinlockText } from "./lockdep.ts";
import { bugText, faultText, warnText } from "./oops.ts";
import { slubText } from "./slub.ts";

/**
 * The text a kernel of this config would print for a finding; several lines, no newline at the end.
 *
 * @param finding - What a check found.
 * @param config - The config of the run.
 * @param image - The kernel that speaks. With the run's `symbols` the text has code addresses; by default it has none.
 */
export function findingText(finding: Finding, config: Config, image: KernelImage = MODELLED_KERNEL): string {
  const { details } = finding;
  switch (details.type) {
    case "memory":
      return memoryText(finding, details, image);
    case "race":
      return raceText(finding, details, image);
    case "free":
      return freeText(finding, details, image);
    case "fault":
      return faultText(finding, details, config, image);
    case "assertion":
      return finding.fatal ? bugText(finding, details, config, image) : warnText(finding, details, image);
    case "slab":
      return slubText(details.slab, finding, image);
    case "spinlock":
      return spinlockText(finding, details, config, image);
    case "lock-order":
      return lockOrderText(finding, details, image);
    case "context":
      return contextText(finding, details, image);
    case "stuck":
      return stuckText(finding, details, image);
    case "leak":
      return leakText(details);
    case "message":
      return messageText(finding, details, image);
    default:
      return unreachable(details);
  }
}

/** A new type of finding without a text is an error of the compiler, not of the reader. */
function unreachable(details: never): never {
  throw new Error(`[sim bug] no text for a finding of type ${JSON.stringify(details)}`);
}
