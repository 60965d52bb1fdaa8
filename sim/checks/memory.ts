/**
 * What happens to an access that is not to live memory: a fault, or a report in the manner of KASAN.
 *
 * Checks: use of freed objects, of the space between objects and of pages given back; the first of a run only, as the
 * others are its consequences. The access then goes through, as it would have in 2008, unless its page is unmapped.
 * Does not check: use of a freed object whose memory is in use again.
 */
import type { Context } from "../context.ts";
import type { Machine } from "../machine.ts";
import { ARENA, SHADOW_REDZONE, WILD } from "../memory.ts";
import type { Ptr } from "../op.ts";

/** Whether an access goes through that is not to live memory. `at` is an offset into the arena. */
export function badAccess(m: Machine, context: Context, at: number, size: number, write: boolean): boolean {
  const address = at + ARENA;
  if (!(at >= 0 && at < m.memory.size)) {
    fault(m, context, address, write);
    return false;
  }
  const code = m.memory.shadow[at >> 3] as number;
  if (code < 8 && (at & 7) + size <= code) return true;
  if (m.kasan && !m.memoryErrorSeen) {
    m.memoryErrorSeen = true;
    const object = m.slab.objectAt(address);
    const freed = object !== null && object.freed !== null;
    const outside = object !== null || code === SHADOW_REDZONE;
    const what = freed ? "use-after-free" : outside ? "slab-out-of-bounds" : "wild-memory-access";
    const title = `BUG: KASAN: ${what} in ${m.functionOf(context)}`;
    m.finding("use-after-free", title, context, { type: "memory", write, address, size, object }, false);
  }
  if (m.memory.mapped[at >> 12] === 0) {
    fault(m, context, address, write);
    return false;
  }
  if (write) m.memory.noteStray(at);
  return true;
}

/** The access faults: the kernel dies of it. */
export function fault(m: Machine, context: Context, address: Ptr, write: boolean): void {
  const kind = address >= WILD / 2 ? "general" : address >= 0 && address < 4096 ? "null" : "paging";
  faultFinding(m, context, kind, m.memory.hex(address), write);
}

/** Reports a fault in the words of the kernel. */
export function faultFinding(
  m: Machine,
  context: Context,
  fault: "paging" | "null" | "general",
  address: string,
  write: boolean,
): void {
  const title = {
    paging: `BUG: unable to handle kernel paging request at ${address}`,
    null: `BUG: unable to handle kernel NULL pointer dereference at ${address}`,
    general: "general protection fault",
  }[fault];
  m.finding("paging-fault", title, context, { type: "fault", fault, address, write }, true);
}
