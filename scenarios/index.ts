/** All scenarios, in the order in which they are listed. */
import { attachDetachExec, attachDetachExecKill } from "./attach-detach-exec.ts";
import { detachKillDoubleFree } from "./detach-kill-double-free.ts";
import { breakpoint } from "./engines/breakpoint.ts";
import { countSyscalls } from "./engines/count-syscalls.ts";
import { followClone } from "./engines/follow-clone.ts";
import { freezeBeforeCore } from "./engines/freeze-before-core.ts";
import { twoDebuggers } from "./engines/two-debuggers.ts";
import { exitAttach } from "./exit-attach.ts";
import { ptraceGroupStop } from "./ptrace-group-stop.ts";
import { ptraceHidesTarget } from "./ptrace-hides-target.ts";
import { ptraceLosesStop } from "./ptrace-loses-stop.ts";
import { ptraceSignals } from "./ptrace-signals.ts";
import { ptraceSingleStep } from "./ptrace-single-step.ts";
import { ptraceClearsSystemCalls, utraceClearsSystemCalls } from "./ptrace-system-calls.ts";
import { ptraceWait } from "./ptrace-wait.ts";
import { ptraceWakesUtrace } from "./ptrace-wakes-utrace.ts";
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
  ptraceWakesUtrace,
  ptraceLosesStop,
  ptraceHidesTarget,
  ptraceClearsSystemCalls,
  utraceClearsSystemCalls,
  ptraceSingleStep,
  ptraceSignals,
  ptraceGroupStop,
  ptraceWait,
  detachKillDoubleFree,
  freezeBeforeCore,
  countSyscalls,
  breakpoint,
  twoDebuggers,
  followClone,
];

/** The scenarios that have a name: those of the list, and the small forms of some. */
export const named = (scenarios: readonly Scenario[]): readonly Scenario[] =>
  scenarios.flatMap((scenario) => (scenario.small === undefined ? [scenario] : [scenario, scenario.small]));
