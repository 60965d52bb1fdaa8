/**
 * Checks of the context that a step is taken in: may it sleep, is it inside a read section, what does it hold.
 *
 * Checks: sleeping with preemption or interrupts off; RCU misuse (dereference outside of sections and locks, sleeping
 * inside a section, unbalanced sections); locks held at the end of a task, on the way to user mode, or in memory that
 * is freed; and hands acquisitions to {@link Lockdep}.
 * Does not check: a preempt_count that does not come back to what it was.
 */
import type { Context } from "../context.ts";
import type { Cpu } from "../cpu.ts";
import type { FindingDetails } from "../finding.ts";
import type { Machine } from "../machine.ts";
import { hexPointer } from "../memory.ts";
import type { Ptr } from "../op.ts";
import { fieldLabel } from "../struct.ts";

/** An `rcu_dereference` with nothing that keeps the object. */
export function checkDereference(m: Machine, context: Context): void {
  if (context.rcuDepth > 0 || context.heldLock.length > 0) return;
  const atomic = context.preemptCount > 0 || (m.cpus[context.cpu] as Cpu).irqOff;
  if (atomic && !m.preemptRcu) return;
  rcuFinding(m, context, "suspicious rcu_dereference() usage: no read section, no lock");
}

/** Reports a misuse of RCU. */
export function rcuFinding(m: Machine, context: Context, message: string): void {
  const details: FindingDetails = {
    type: "context",
    message,
    preemptCount: context.preemptCount,
    held: context.heldField.map(fieldLabel),
  };
  m.finding("rcu-misuse", `INFO: ${message}`, context, details, false);
}

/** A call that may sleep, such as an allocation. */
export function mightSleep(m: Machine, context: Context, at: string): void {
  const cpu = m.cpus[context.cpu] as Cpu;
  if (m.rcuCheck && context.rcuDepth > 0) {
    rcuFinding(m, context, "call that may sleep inside an RCU read section");
  }
  if (!m.atomicSleepCheck || (context.preemptCount === 0 && !cpu.irqOff)) return;
  atomicFinding(m, context, `BUG: sleeping function called from invalid context at ${at}`);
}

/** A call of `schedule()`. */
export function checkSchedule(m: Machine, context: Context, cpu: Cpu): void {
  if (m.rcuCheck && context.rcuDepth > 0) rcuFinding(m, context, "schedule() inside an RCU read section");
  if (!m.atomicSleepCheck || (context.preemptCount === 0 && !cpu.irqOff)) return;
  const count = context.preemptCount.toString(16).padStart(8, "0");
  atomicFinding(m, context, `BUG: scheduling while atomic: ${context.comm}/${context.pid}/0x${count}`);
}

function atomicFinding(m: Machine, context: Context, title: string): void {
  const details: FindingDetails = {
    type: "context",
    message: title,
    preemptCount: context.preemptCount,
    held: context.heldField.map(fieldLabel),
  };
  m.finding("atomic-sleep", title, context, details, false);
}

/** At a point where nothing may be held any more. */
export function checkBalance(m: Machine, context: Context, where: string): void {
  if (m.spinlockCheck && m.debugLocks && context.heldLock.length > 0) {
    m.debugLocks = false;
    const held = context.heldField.map(fieldLabel);
    const title = `BUG: lock held ${where}!`;
    m.finding(
      "lock-misuse",
      title,
      context,
      { type: "context", message: title, preemptCount: context.preemptCount, held },
      false,
    );
  }
  if (m.rcuCheck && context.rcuDepth > 0) rcuFinding(m, context, `RCU read section left open ${where}`);
}

/** Reports an order of locks that {@link Lockdep} objects to. */
export function checkLockOrder(m: Machine, context: Context, read: boolean): void {
  if (m.lockdep === null || !m.debugLocks) return;
  const cpu = m.cpus[context.cpu] as Cpu;
  const problem = m.lockdep.acquire(
    context.heldField,
    context.field,
    read,
    context.softirq,
    !cpu.irqOff && !context.softirq,
    () => m.siteOfContext(context),
  );
  if (problem === null) return;
  m.debugLocks = false;
  const held = context.heldField.map(fieldLabel);
  const title = `[ INFO: ${problem.message} ]`;
  const details: FindingDetails = { type: "lock-order", message: problem.message, chain: problem.chain, held };
  m.finding("lock-misuse", title, context, details, false);
}

/** A free of memory that holds a lock the task holds. @see mm/slub.c, debug_check_no_locks_freed */
export function checkLocksFreed(m: Machine, context: Context, address: Ptr, size: number): void {
  for (const lock of context.heldLock) {
    if (lock >= address && lock < address + size) {
      m.debugLocks = false;
      const message = `[ BUG: held lock freed! ] ${context.comm}/${context.pid} is freeing memory 0x${hexPointer(address)}, with a lock still held there!`;
      m.finding("lock-misuse", "BUG: held lock freed!", context, { type: "message", message }, false);
      return;
    }
  }
}
