/** All scenarios, in the order in which they are listed. */
import { attachDetachExec, attachDetachExecKill } from "./attach-detach-exec.ts";
import { exitAttach } from "./exit-attach.ts";
import { reapDetach } from "./reap-detach.ts";
import type { Scenario } from "./scenario.ts";
import { stopResume } from "./stop-resume.ts";
import { threadExec } from "./thread-exec.ts";
import { twoEngines } from "./two-engines.ts";

export const SCENARIOS: readonly Scenario[] = [
  attachDetachExec,
  attachDetachExecKill,
  twoEngines,
  exitAttach,
  reapDetach,
  stopResume,
  threadExec,
];
