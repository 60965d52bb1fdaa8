/**
 * What the lock ops do, step by step, to the bytes of a lock.
 *
 * Without DEBUG_SPINLOCK a spinlock is a ticket lock: a waiter takes the next ticket at once and is served in order.
 * With it, waiters try again and again without a ticket, so any of them may be next, and owner and owner_cpu are
 * stores of their own after the acquisition and before the release.
 *
 * The "spinlock" check:
 * Checks: bad magic, recursion, unlock of a free lock, by another task or CPU; under DEBUG_SPINLOCK from the lock's
 * own bytes, as the kernel does, otherwise from what the machine knows.
 * Does not check: a lock whose memory was freed and is free-looking (the memory checks see that).
 *
 * @see lib/spinlock_debug.c and include/asm-x86/spinlock.h of 2.6.27
 */
import { checkLockOrder } from "./checks/context.ts";
import type { Context } from "./context.ts";
import type { Cpu } from "./cpu.ts";
import {
  RW_LOCK_BIAS,
  RWLOCK_MAGIC,
  rwlock_t,
  SPINLOCK_MAGIC,
  SPINLOCK_OWNER_INIT,
  spinlock_t,
} from "./kernelStructs.ts";
import type { Machine } from "./machine.ts";
import { ARENA, hexPointer } from "./memory.ts";
import { IRQ_OFF, type Ptr, READ_LOCK, READ_UNLOCK, SPIN_LOCK, SPIN_UNLOCK, WRITE_UNLOCK } from "./op.ts";
import { fieldLabel, PLAIN, POINTER, SIGNED } from "./struct.ts";

const TICKET_MASK = 0xff;
// Steps of a lock op.
const WAITING = 1;
const STORE_OWNER_CPU = 2;
const STORE_OWNER = 3;
// Steps of an unlock op.
const CLEAR_OWNER_CPU = 1;
const RELEASE = 2;

const F = spinlock_t.fields;
const lockAddress = (m: Machine, context: Context): Ptr => context.ptr + (m.offset[context.field] as number);

/** First step of a lock op: interrupts and preemption off, then the first try. */
export function beginLock(m: Machine, cpu: Cpu, context: Context): boolean {
  const lock = lockAddress(m, context);
  context.value = cpu.irqOff ? 1 : 0;
  if (context.mode === IRQ_OFF) m.setIrqs(cpu, true);
  context.preemptCount++;
  checkLockOrder(m, context, context.kind === READ_LOCK);
  if (!m.accessibleBytes(context, lock, 4, true)) return false;
  if (m.spinlockCheck && m.debugLocks) checkBeforeLock(m, cpu, context, lock);
  if (context.kind === SPIN_LOCK && !m.debugSpinlock) {
    const at = lock - ARENA;
    m.drain(cpu);
    const ticket = m.memory.bytes[at + 1] as number;
    m.memory.store(at + 1, 1, PLAIN, (ticket + 1) & TICKET_MASK);
    context.scratch = ticket;
    if (m.memory.bytes[at] === ticket) return acquired(m, context, lock);
    context.phase = WAITING;
    return false;
  }
  // Each try for an rwlock is a locked operation; a spinlock is looked at before the locked one.
  if (context.kind !== SPIN_LOCK) m.drain(cpu);
  if (free(m, cpu, context, lock)) return take(m, cpu, context, lock);
  context.phase = WAITING;
  return false;
}

/** Whether a waiting lock op can go on. A waiter whose lock lost its page can: it faults. */
export function lockReady(m: Machine, context: Context): boolean {
  const lock = lockAddress(m, context);
  if (m.memory.mapped[(lock - ARENA) >> 12] === 0) return true;
  if (context.kind === SPIN_LOCK && !m.debugSpinlock) return m.memory.bytes[lock - ARENA] === context.scratch;
  return free(m, m.cpus[context.cpu] as Cpu, context, lock);
}

/** The further steps of a lock op. */
export function stepLock(m: Machine, cpu: Cpu, context: Context): boolean {
  const lock = lockAddress(m, context);
  switch (context.phase) {
    case WAITING:
      if (!m.accessibleBytes(context, lock, 4, true)) return false;
      if (context.kind === SPIN_LOCK && !m.debugSpinlock) return acquired(m, context, lock);
      return take(m, cpu, context, lock);
    case STORE_OWNER_CPU:
      if (!put(m, context, lock, F.owner_cpu, cpu.id)) return false;
      context.phase = STORE_OWNER;
      return false;
    default:
      if (!put(m, context, lock, F.owner, context.task)) return false;
      return acquired(m, context, lock);
  }
}

function free(m: Machine, cpu: Cpu, context: Context, lock: Ptr): boolean {
  const at = lock - ARENA;
  if (context.kind === SPIN_LOCK) return m.read(cpu, at, 1, PLAIN) === m.read(cpu, at + 1, 1, PLAIN);
  const word = m.memory.load(at, 4, SIGNED);
  return context.kind === READ_LOCK ? word > 0 : word === RW_LOCK_BIAS;
}

function take(m: Machine, cpu: Cpu, context: Context, lock: Ptr): boolean {
  const at = lock - ARENA;
  m.drain(cpu);
  if (context.kind === SPIN_LOCK) {
    m.memory.store(at + 1, 1, PLAIN, ((m.memory.bytes[at + 1] as number) + 1) & TICKET_MASK);
  } else {
    const word = m.memory.load(at, 4, SIGNED);
    m.memory.store(at, 4, SIGNED, context.kind === READ_LOCK ? word - 1 : word - RW_LOCK_BIAS);
  }
  if (m.debugSpinlock && context.kind !== READ_LOCK) {
    context.phase = STORE_OWNER_CPU;
    return false;
  }
  return acquired(m, context, lock);
}

function acquired(m: Machine, context: Context, lock: Ptr): boolean {
  context.heldLock.push(lock);
  context.heldField.push(context.field);
  return m.complete(context.value);
}

/** The steps of an unlock op. */
export function stepUnlock(m: Machine, cpu: Cpu, context: Context): boolean {
  const lock = lockAddress(m, context);
  if (context.phase === 0) {
    if (!m.accessibleBytes(context, lock, 4, true)) return false;
    if (m.spinlockCheck && m.debugLocks) checkBeforeUnlock(m, cpu, context, lock);
    if (m.debugSpinlock && context.kind !== READ_UNLOCK) {
      if (!put(m, context, lock, F.owner, SPINLOCK_OWNER_INIT)) return false;
      context.phase = CLEAR_OWNER_CPU;
      return false;
    }
    context.phase = RELEASE;
  }
  if (context.phase === CLEAR_OWNER_CPU) {
    if (!put(m, context, lock, F.owner_cpu, -1)) return false;
    context.phase = RELEASE;
    return false;
  }
  if (!m.accessibleBytes(context, lock, 4, true)) return false;
  const at = lock - ARENA;
  if (context.kind === SPIN_UNLOCK) {
    const next = (m.read(cpu, at, 1, PLAIN) + 1) & TICKET_MASK;
    m.write(cpu, context, at, 1, PLAIN, next, context.field);
  } else {
    m.drain(cpu);
    const word = m.memory.load(at, 4, SIGNED);
    m.memory.store(at, 4, SIGNED, context.kind === READ_UNLOCK ? word + 1 : word + RW_LOCK_BIAS);
  }
  const held = context.heldLock.lastIndexOf(lock);
  if (held >= 0) {
    context.heldLock.splice(held, 1);
    context.heldField.splice(held, 1);
  }
  if (context.mode === IRQ_OFF) m.setIrqs(cpu, false);
  context.preemptCount--;
  return m.complete(0);
}

/** A store to one of the debug fields. */
function put(m: Machine, context: Context, lock: Ptr, field: typeof F.owner_cpu, value: number): boolean {
  const at = lock + (m.offset[field.id] as number) - ARENA;
  if (!m.accessible(context, at, field.id, true)) return false;
  const wide = field === F.owner;
  const cpu = m.cpus[context.cpu] as Cpu;
  m.write(cpu, context, at, wide ? 8 : 4, wide ? POINTER : SIGNED, value, field.id);
  return true;
}

function get(m: Machine, cpu: Cpu, lock: Ptr, field: typeof F.owner_cpu): number {
  const at = lock + (m.offset[field.id] as number) - ARENA;
  if (field === F.owner) return m.read(cpu, at, 8, POINTER);
  return m.read(cpu, at, 4, field === F.magic ? PLAIN : SIGNED);
}

function checkBeforeLock(m: Machine, cpu: Cpu, context: Context, lock: Ptr): void {
  const spin = context.kind === SPIN_LOCK;
  if (m.debugSpinlock) {
    const magic = spin ? SPINLOCK_MAGIC : RWLOCK_MAGIC;
    if (get(m, cpu, lock, F.magic) !== magic) complain(m, cpu, context, lock, "bad magic");
    else if (context.kind === READ_LOCK) return;
    else if (get(m, cpu, lock, F.owner) === context.task) complain(m, cpu, context, lock, "recursion");
    else if (get(m, cpu, lock, F.owner_cpu) === cpu.id) complain(m, cpu, context, lock, "cpu recursion");
  } else if (context.kind !== READ_LOCK && context.heldLock.includes(lock)) {
    complain(m, cpu, context, lock, "recursion");
  }
}

function checkBeforeUnlock(m: Machine, cpu: Cpu, context: Context, lock: Ptr): void {
  const at = lock - ARENA;
  const locked =
    context.kind === SPIN_UNLOCK
      ? m.read(cpu, at, 1, PLAIN) !== m.read(cpu, at + 1, 1, PLAIN)
      : m.memory.load(at, 4, SIGNED) !== RW_LOCK_BIAS;
  if (m.debugSpinlock && context.kind !== READ_UNLOCK) {
    const magic = context.kind === WRITE_UNLOCK ? RWLOCK_MAGIC : SPINLOCK_MAGIC;
    if (get(m, cpu, lock, F.magic) !== magic) complain(m, cpu, context, lock, "bad magic");
    else if (!locked) complain(m, cpu, context, lock, "already unlocked");
    else if (get(m, cpu, lock, F.owner) !== context.task) complain(m, cpu, context, lock, "wrong owner");
    else if (get(m, cpu, lock, F.owner_cpu) !== cpu.id) complain(m, cpu, context, lock, "wrong CPU");
  } else if (!locked) complain(m, cpu, context, lock, "already unlocked");
  else if (!context.heldLock.includes(lock)) complain(m, cpu, context, lock, "wrong owner");
}

/** `spin_bug`: says it once, and never refuses the operation. */
function complain(m: Machine, cpu: Cpu, context: Context, lock: Ptr, message: string): void {
  m.debugLocks = false;
  const magic = m.debugSpinlock ? get(m, cpu, lock, F.magic).toString(16).padStart(8, "0") : "--------";
  const owner = m.debugSpinlock ? m.taskContext(get(m, cpu, lock, F.owner)) : undefined;
  const ownerCpu = m.debugSpinlock ? get(m, cpu, lock, F.owner_cpu) : -1;
  const name = context.kind === SPIN_LOCK || context.kind === SPIN_UNLOCK ? "spinlock" : "rwlock";
  m.finding(
    "lock-misuse",
    `BUG: ${name} ${message} on CPU#${cpu.id}, ${context.comm}/${context.pid}`,
    context,
    {
      type: "spinlock",
      message: `${message} (${fieldLabel(context.field)})`,
      lock: hexPointer(lock),
      magic,
      owner: owner === undefined ? "<none>/-1" : `${owner.comm}/${owner.pid}`,
      ownerCpu,
    },
    false,
  );
}

/** Sets a free lock up at boot: `__SPIN_LOCK_UNLOCKED` or `__RW_LOCK_UNLOCKED`. */
export function pokeLock(m: Machine, lock: Ptr, type: typeof spinlock_t | typeof rwlock_t): void {
  const fields = type.fields;
  m.poke(lock, fields.raw_lock, type === rwlock_t ? RW_LOCK_BIAS : 0);
  if (!m.debugSpinlock) return;
  m.poke(lock, fields.magic, type === rwlock_t ? RWLOCK_MAGIC : SPINLOCK_MAGIC);
  m.poke(lock, fields.owner_cpu, -1);
  m.poke(lock, fields.owner, SPINLOCK_OWNER_INIT);
}
