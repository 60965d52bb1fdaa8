/** All scenarios, in the order in which they are listed. */
import { attachDetachExec, attachDetachExecKill } from "./attach-detach-exec.ts";
import type { Scenario } from "./scenario.ts";

export const SCENARIOS: readonly Scenario[] = [attachDetachExec, attachDetachExecKill];
