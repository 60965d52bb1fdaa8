/**
 * What lock debugging prints: lock order, misuse of a spinlock, and calls made in the wrong context.
 *
 * A lock class is shown as the struct field it was declared as. The usage marks behind it (`{-.-.}`) and the place
 * where each held lock was taken are not in a finding and are left out.
 *
 * @see kernel/lockdep.c, lib/spinlock_debug.c, kernel/sched.c
 */
import type { Finding } from "../sim/finding.ts";
import type { Config } from "../sim/struct.ts";
import { codeText, type DetailsOf, dumpStack, instructionPointer, type KernelImage, siteText } from "./dumpStack.ts";

type LockOrder = DetailsOf<"lock-order">;
type Edge = LockOrder["chain"][number];

const RECURSION = "possible recursive locking detected";
const INCONSISTENT = "inconsistent lock state";

/**
 * Lock order: both chains, the new one first.
 *
 * @see kernel/lockdep.c print_circular_bug_header, print_deadlock_bug, print_usage_bug
 */
export function lockOrderText(finding: Finding, order: LockOrder, image: KernelImage): string {
  return [
    ...splat(`[ INFO: ${order.message} ]`, image.version),
    ...orderLines(finding, order, image),
    "",
    "other info that might help us debug this:",
    "",
    ...heldLocks(finding, order.held),
    "",
    "stack backtrace:",
    ...dumpStack(finding, image),
  ].join("\n");
}

/** A banner as wide as its title. */
function splat(title: string, version?: string): string[] {
  const lines = ["=".repeat(title.length), title];
  if (version !== undefined) lines.push(version);
  return [...lines, "-".repeat(title.length)];
}

function orderLines(finding: Finding, order: LockOrder, image: KernelImage): string[] {
  const edge = order.chain.at(-1);
  if (edge === undefined) return [];
  const who = `${finding.task}/${finding.pid}`;
  const taken = ` (${edge.to}), at: ${codeText(instructionPointer(finding), image)}`;
  if (order.message === INCONSISTENT) {
    // Which of the two uses came first is not in the finding, so there is no arrow between them.
    return ["inconsistent {in-softirq} and {softirq-on} usage.", `${who} takes:`, taken];
  }
  const held = [`${who} is trying to acquire lock:`, taken, "", "but task is already holding lock:", ` (${edge.from})`];
  if (order.message === RECURSION) return held;
  return [...held, "", "which lock already depends on the new lock.", "", "", ...chainLines(order.chain)];
}

/**
 * The chain in reverse: lockdep finds the held lock deepest in the graph and unwinds from there to the new lock.
 *
 * @see kernel/lockdep.c print_circular_bug_entry
 */
function chainLines(chain: readonly Edge[]): string[] {
  const existing = chain.slice(0, -1).reverse();
  const edges = [...existing, ...chain.slice(-1)];
  return [
    "the existing dependency chain (in reverse order) is:",
    ...edges.flatMap((edge, i) => edgeLines(edge, edges.length - 1 - i)),
  ];
}

const edgeLines = ({ from, to, site }: Edge, depth: number): string[] => [
  "",
  `-> #${depth} (${to}), taken under ${from} by ${site.comm}/${site.pid} ${siteText(site)}:`,
  ...site.backtrace.map((name) => `       ${name}`),
];

/** @see kernel/lockdep.c lockdep_print_held_locks */
function heldLocks(finding: Finding, held: readonly string[]): string[] {
  const who = `${finding.task}/${finding.pid}`;
  if (held.length === 0) return [`no locks held by ${who}.`];
  return [
    `${held.length} lock${held.length > 1 ? "s" : ""} held by ${who}:`,
    ...held.map((lock, i) => ` #${i}:  (${lock})`),
  ];
}

/**
 * Misuse of a spinlock or rwlock. Without DEBUG_SPINLOCK no kernel would notice, and the lock has nothing to show.
 *
 * @see lib/spinlock_debug.c spin_bug, rwlock_bug
 */
export function spinlockText(
  finding: Finding,
  lock: DetailsOf<"spinlock">,
  config: Config,
  image: KernelImage,
): string {
  const stack = dumpStack(finding, image);
  if (finding.title.startsWith("BUG: rwlock")) return [`${finding.title}, ${lock.lock}`, ...stack].join("\n");
  const words = `, .magic: ${lock.magic}, .owner: ${lock.owner}, .owner_cpu: ${lock.ownerCpu}`;
  const line = ` lock: ${lock.lock}${config.DEBUG_SPINLOCK === true ? words : ""}`;
  return [finding.title, line, ...stack].join("\n");
}

/**
 * Something done where it must not be: sleeping in atomic context, RCU without its section, a lock kept too long.
 *
 * @see kernel/sched.c __might_sleep, __schedule_bug; kernel/lockdep.c lockdep_sys_exit, lockdep_rcu_dereference
 */
export function contextText(finding: Finding, context: DetailsOf<"context">, image: KernelImage): string {
  const held = heldLocks(finding, context.held);
  if (finding.kind === "atomic-sleep") {
    return [finding.title, ...atomicLine(finding, context), ...held, ...dumpStack(finding, image)].join("\n");
  }
  return [...splat(`[ ${finding.title} ]`), ...held, "", "stack backtrace:", ...dumpStack(finding, image)].join("\n");
}

/** Only `__might_sleep` says it; the title of `__schedule_bug` has the count in it. */
function atomicLine(finding: Finding, context: DetailsOf<"context">): string[] {
  if (!finding.title.startsWith("BUG: sleeping function")) return [];
  const inAtomic = context.preemptCount === 0 ? 0 : 1;
  return [`in_atomic():${inAtomic}, irqs_disabled():${finding.interruptsOff ? 1 : 0}`];
}

/**
 * A finding that is one sentence. `[ TITLE ] sentence` gets a banner, as `[ BUG: held lock freed! ]` has.
 *
 * @see kernel/lockdep.c print_freed_lock_bug
 */
export function messageText(finding: Finding, { message }: DetailsOf<"message">, image: KernelImage): string {
  const banner = /^(\[ .+? \])\s+(.+)$/s.exec(message);
  const [, title, sentence] = banner ?? [];
  const stack = finding.backtrace.length === 0 ? [] : dumpStack(finding, image);
  if (title !== undefined && sentence !== undefined) {
    return [...splat(title), sentence, "", "stack backtrace:", ...stack].join("\n");
  }
  return [finding.title, ...(message === finding.title ? [] : [message]), ...stack].join("\n");
}
