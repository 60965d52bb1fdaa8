/**
 * Checks when nothing can happen any more: who is stuck, and what was never freed.
 *
 * Checks: tasks that spin on a lock (deadlock) or sleep (hung task, lost wake-up), objects that are still allocated
 * although every task is done (leak).
 * Does not check: a deadlock among some tasks while others still run; it is seen when they are done.
 */
import type { Context } from "../context.ts";
import type { Site } from "../finding.ts";
import type { Machine } from "../machine.ts";
import { READ_LOCK, SPIN_LOCK, WRITE_LOCK } from "../op.ts";
import { fieldLabel } from "../struct.ts";

/** How the kernel calls a lock op that never ends. */
const LOCKUPS: Readonly<Record<number, string>> = {
  [SPIN_LOCK]: "spinlock",
  [READ_LOCK]: "read-lock",
  [WRITE_LOCK]: "write-lock",
};

/** Called when nothing can happen any more: finds who is stuck, and what was never freed. */
export function endOfWorld(m: Machine): void {
  m.stopped = true;
  const stuck = m.contexts.filter((context) => !context.finished && (spins(m, context) || !context.daemon));
  for (const { softirq } of m.cpus) if (softirq !== null) stuck.push(softirq);
  // A task on a run queue has only no CPU, because all of them spin; a task below a softirq is not the one that spins.
  const blocked = stuck.filter((context) => !(context.onRunqueue || interrupted(m, context)));
  if (m.checks.has("hang")) for (const context of blocked) stuckFinding(m, context);
  if (m.checks.has("leak") && stuck.length === 0) {
    for (const object of m.slab.liveObjects()) {
      if (m.kept.has(object.address)) continue;
      const title = `unreferenced object of ${object.cache} (size ${object.size})`;
      const by = object.allocated as Site;
      const owner = m.contexts.find((context) => context.pid === by.pid) ?? m.bootContext;
      m.finding("leak", title, owner, { type: "leak", object }, false, by);
    }
  }
}

function spins(m: Machine, context: Context): boolean {
  return m.cpus.some((cpu) => cpu.active() === context);
}

function interrupted(m: Machine, context: Context): boolean {
  return m.cpus.some((cpu) => cpu.softirq !== null && cpu.current === context);
}

function stuckFinding(m: Machine, context: Context): void {
  const spinning = spins(m, context);
  const at = `at 0x${m.memory.hex(context.ptr)}`;
  const target = context.field < 0 ? `the task ${at} to leave its CPU` : `${fieldLabel(context.field)} ${at}`;
  const waits = spinning ? `spins, waiting for ${target}` : `sleeps in state ${stateName(m, context)}`;
  const tasks = m.contexts
    .filter((other) => !other.finished)
    .map((other) => `${other.comm}/${other.pid} ${stateName(m, other)} in ${m.functionOf(other)}`);
  const lockup = LOCKUPS[context.kind];
  const title = !spinning
    ? `INFO: task ${context.comm}/${context.pid} blocked for more than 120 seconds.`
    : lockup === undefined
      ? `BUG: soft lockup - CPU#${context.cpu} stuck for 61s! [${context.comm}:${context.pid}]`
      : `BUG: ${lockup} lockup on CPU#${context.cpu}, ${context.comm}/${context.pid}`;
  m.finding(spinning ? "deadlock" : "hung-task", title, context, { type: "stuck", tasks, waits }, false);
}

function stateName(m: Machine, context: Context): string {
  const state = m.peekState(context.task);
  return m.options.stateName?.(state) ?? String(state);
}
