/** What the kernel of a program would have printed. */

import { MODELLED_KERNEL } from "../../reports/dumpStack.ts";
import { findingText } from "../../reports/findingText.ts";
import type { Finding, Program } from "../../sim/index.ts";

/** The text of a finding, with code addresses from the program's own symbol table. */
export function kernelText(finding: Finding, program: Program): string {
  const { config, symbols } = program.options;
  return findingText(finding, config, symbols === undefined ? MODELLED_KERNEL : { ...MODELLED_KERNEL, symbols });
}
