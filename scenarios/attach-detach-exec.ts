/**
 * The thread's crash: debuggers attach to and detach from a process that execs in a loop.
 *
 * Question: can struct utrace be freed while the traced task still uses it? Yes: it is freed by the detach that wakes
 * the task, and the task looks at it once more when it runs.
 *
 * @see Alexey Dobriyan, 2008-08-27 14:32 ("quickly reproducible via expt_ptratt.c") and 14:46
 */

import type { BootedKernel } from "../model/boot.ts";
import type { Ptr } from "../sim/index.ts";
import { boundKiller, boundTarget, boundTracer } from "./programs/small.ts";
import { execLoop, killall, populateLastObject, populateMergedCache, spinner } from "./programs/target.ts";
import { stopDetach, stopDetachEvenly, tracerMain, tracerMemory } from "./programs/tracer.ts";
import type { Parameters, Scenario } from "./scenario.ts";
import { world } from "./world.ts";

const ROUNDS = 2;

function populate(kernel: BootedKernel, parameters: Parameters, targets: number, kills: number): void {
  const tasks: Ptr[] = [];
  for (let i = 0; i < targets; i++) {
    tasks.push(kernel.process({ comm: "exe", pid: 5118 + i, subject: true }, execLoop, ROUNDS));
  }
  const pids = (): Ptr[] => tasks.map((task) => kernel.getPid(task));
  for (const pid of [5377, 5382]) {
    const { ops, data } = tracerMemory(kernel.machine);
    kernel.process({ comm: "expl_ptratt", pid }, tracerMain, pids(), ops, data, ROUNDS, stopDetach);
  }
  kernel.process({ comm: "sh", pid: 5001 }, spinner, 120);
  if (kills > 0) kernel.process({ comm: "killall", pid: 5390 }, killall, pids(), kills);
  // With slub_debug no cache is merged.
  if (parameters.config.SLUB_DEBUG !== true) populateMergedCache(kernel);
}

/**
 * Two tracers, one round each, and one exec. Each task keeps to a CPU: the tracers share one, so that what the first
 * gives back the second may take; the target and init have the other.
 */
function populateSmall(kernel: BootedKernel, parameters: Parameters): void {
  const task = boundTarget(kernel, execLoop, 1);
  for (const pid of [5377, 5382]) boundTracer(kernel, pid, task, stopDetachEvenly);
  populateEmptyingPage(kernel, parameters);
}

/** One tracer, and one who kills the target. */
function populateSmallKill(kernel: BootedKernel, parameters: Parameters): void {
  const task = boundTarget(kernel, execLoop, 1);
  boundTracer(kernel, 5377, task, stopDetachEvenly);
  boundKiller(kernel, task);
  populateEmptyingPage(kernel, parameters);
}

/** Only here can a page of struct utrace be given back and unmapped: with slub_debug no cache is merged. */
function populateEmptyingPage(kernel: BootedKernel, parameters: Parameters): void {
  const { SLUB_DEBUG, DEBUG_PAGEALLOC } = parameters.config;
  if (SLUB_DEBUG !== true && DEBUG_PAGEALLOC === true) kernel.machine.bind(populateLastObject(kernel), 0);
}

/** What all three forms are known to show. */
const KNOWN: Scenario["known"] = [
  "use-after-free",
  "slab-corruption",
  "paging-fault",
  "bug-on",
  "deadlock",
  "hung-task",
  "lock-misuse",
  "leak",
];

export const attachDetachExecSmall: Scenario = {
  name: "attach-detach-exec-small",
  title: "Two tracers of one round each and one exec, every task bound to a CPU: what can go wrong at all?",
  source: "attach-detach-exec, as small as shows its crashes",
  known: KNOWN,
  program: (parameters) => world("attach-detach-exec-small", parameters, populateSmall),
};

export const attachDetachExec: Scenario = {
  name: "attach-detach-exec",
  title: "Can struct utrace be freed by a detach while the task that it stopped still uses it?",
  source: "Alexey Dobriyan, 2008-08-27 14:32 and 14:46: expt_ptratt.c of the ptrace exploit collection",
  known: KNOWN,
  small: attachDetachExecSmall,
  program: (parameters) => world("attach-detach-exec", parameters, (kernel, p) => populate(kernel, p, 1, 0)),
};

const attachDetachExecKillSmall: Scenario = {
  name: "attach-detach-exec-kill-small",
  title: "One tracer of one round, one exec and one kill, every task bound to a CPU: what can go wrong at all?",
  source: "attach-detach-exec-kill, with one tracer",
  known: KNOWN,
  program: (parameters) => world("attach-detach-exec-kill-small", parameters, populateSmallKill),
};

export const attachDetachExecKill: Scenario = {
  name: "attach-detach-exec-kill",
  title: "The same under a loop of killall -9: does the freed struct get written to?",
  source: "Alexey Dobriyan, 2008-08-27 15:00: in parallel with killall -9 expl_ptratt and exe",
  known: KNOWN,
  small: attachDetachExecKillSmall,
  program: (parameters) => world("attach-detach-exec-kill", parameters, (kernel, p) => populate(kernel, p, 2, 1)),
};
