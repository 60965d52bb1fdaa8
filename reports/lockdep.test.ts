import { expect, test } from "vitest";
import type { FindingDetails } from "../sim/finding.ts";
import { findingText } from "./findingText.ts";
import { makeFinding, makeSite } from "./testdata/finding.ts";

const tracer = makeSite("tracer", 5377, 1, 88, ["utrace_control", "ptrace_resume"]);
const stack = `Pid: 5118, comm: exe Not tainted 2.6.27-rc4-next-20080827-utrace #1
Call Trace:
 utrace_get_signal+0x6ff/0x710
 get_signal_to_deliver+0x24c/0x310
 do_notify_resume+0xd4/0x860`;

test("circular dependency over three locks: the existing chain in reverse, then the new edge as #0", () => {
  const details: FindingDetails = {
    type: "lock-order",
    message: "possible circular locking dependency detected",
    chain: [
      { from: "utrace->lock", to: "task_struct->alloc_lock", site: tracer },
      { from: "task_struct->alloc_lock", to: "sighand->siglock", site: makeSite("swapper", 0, 0, -1, ["do_exit"]) },
      { from: "sighand->siglock", to: "utrace->lock", site: makeSite("exe", 5118, 0, 812, ["utrace_get_signal"]) },
    ],
    held: ["sighand->siglock"],
  };
  expect(findingText(makeFinding(details), {})).toBe(
    `=======================================================
[ INFO: possible circular locking dependency detected ]
2.6.27-rc4-next-20080827-utrace #1
-------------------------------------------------------
exe/5118 is trying to acquire lock:
 (utrace->lock), at: utrace_get_signal+0x6ff/0x710

but task is already holding lock:
 (sighand->siglock)

which lock already depends on the new lock.


the existing dependency chain (in reverse order) is:

-> #2 (sighand->siglock), taken under task_struct->alloc_lock by swapper/0 at boot:
       do_exit

-> #1 (task_struct->alloc_lock), taken under utrace->lock by tracer/5377 on cpu 1 at step 88:
       utrace_control
       ptrace_resume

-> #0 (utrace->lock), taken under sighand->siglock by exe/5118 on cpu 0 at step 812:
       utrace_get_signal

other info that might help us debug this:

1 lock held by exe/5118:
 #0:  (sighand->siglock)

stack backtrace:
${stack}`,
  );
});

test("recursion and inconsistent use have no chain to show", () => {
  const chain = [{ from: "utrace->lock", to: "utrace->lock", site: tracer }];
  const held = ["sighand->siglock", "utrace->lock"];
  const recursion = { type: "lock-order", message: "possible recursive locking detected", chain, held } as const;
  expect(findingText(makeFinding(recursion), {})).toBe(
    `=============================================
[ INFO: possible recursive locking detected ]
2.6.27-rc4-next-20080827-utrace #1
---------------------------------------------
exe/5118 is trying to acquire lock:
 (utrace->lock), at: utrace_get_signal+0x6ff/0x710

but task is already holding lock:
 (utrace->lock)

other info that might help us debug this:

2 locks held by exe/5118:
 #0:  (sighand->siglock)
 #1:  (utrace->lock)

stack backtrace:
${stack}`,
  );
  const usage = { type: "lock-order", message: "inconsistent lock state", chain, held: [] } as const;
  const text = findingText(makeFinding(usage), {});
  expect(text).toContain(
    "\ninconsistent {in-softirq} and {softirq-on} usage.\nexe/5118 takes:\n (utrace->lock), at: utrace_get_signal+",
  );
  expect(text).toContain("\n\nno locks held by exe/5118.\n\n");
});

const badMagic: FindingDetails = {
  type: "spinlock",
  message: "bad magic (utrace->lock)",
  lock: "ffff88017c31e7b0",
  magic: "6b6b6b6b",
  owner: "<none>/-1",
  ownerCpu: 1802201963,
};

test("spinlock bad magic: the lock's own words, which only DEBUG_SPINLOCK gives it", () => {
  const finding = makeFinding(badMagic, { title: "BUG: spinlock bad magic on CPU#0, exe/5118" });
  expect(findingText(finding, { DEBUG_SPINLOCK: true })).toBe(
    `BUG: spinlock bad magic on CPU#0, exe/5118
 lock: ffff88017c31e7b0, .magic: 6b6b6b6b, .owner: <none>/-1, .owner_cpu: 1802201963
${stack}`,
  );
  expect(findingText(finding, {}).split("\n")[1]).toBe(" lock: ffff88017c31e7b0");
});

test("an rwlock is named at the end of the first line", () => {
  const finding = makeFinding(badMagic, { title: "BUG: rwlock bad magic on CPU#0, exe/5118" });
  expect(findingText(finding, { DEBUG_SPINLOCK: true })).toBe(
    `BUG: rwlock bad magic on CPU#0, exe/5118, ffff88017c31e7b0\n${stack}`,
  );
});

test("sleeping and scheduling in atomic context", () => {
  const sleeping = "BUG: sleeping function called from invalid context at mm/slub.c";
  const details = { type: "context", message: sleeping, preemptCount: 1, held: ["utrace->lock"] } as const;
  const finding = makeFinding(details, { kind: "atomic-sleep", title: sleeping, interruptsOff: true });
  expect(findingText(finding, {})).toBe(
    `${sleeping}
in_atomic():1, irqs_disabled():1
1 lock held by exe/5118:
 #0:  (utrace->lock)
${stack}`,
  );
  const title = "BUG: scheduling while atomic: exe/5118/0x00000001";
  expect(findingText({ ...finding, title }, {})).toBe(
    `${title}
1 lock held by exe/5118:
 #0:  (utrace->lock)
${stack}`,
  );
});

test("RCU misuse has a banner as wide as its title", () => {
  const message = "schedule() inside an RCU read section";
  const details = { type: "context", message, preemptCount: 0, held: [] } as const;
  expect(findingText(makeFinding(details, { kind: "rcu-misuse", title: `INFO: ${message}` }), {})).toBe(
    `===============================================
[ INFO: schedule() inside an RCU read section ]
-----------------------------------------------
no locks held by exe/5118.

stack backtrace:
${stack}`,
  );
});

test("messages: with a banner, in one sentence, and the same as the title without a stack", () => {
  const freed = "exe/5118 is freeing memory 0xffff88017c31e780, with a lock still held there!";
  const held = makeFinding({ type: "message", message: `[ BUG: held lock freed! ] ${freed}` });
  expect(findingText(held, {})).toBe(
    `=========================
[ BUG: held lock freed! ]
-------------------------
${freed}

stack backtrace:
${stack}`,
  );
  const said = makeFinding({ type: "message", message: "attached: 1\nexpected: 0" }, { title: "spec divergence" });
  expect(findingText(said, {})).toBe(`spec divergence\nattached: 1\nexpected: 0\n${stack}`);
  expect(findingText(makeFinding({ type: "message", message: "a title" }, { backtrace: [] }), {})).toBe("a title");
});
