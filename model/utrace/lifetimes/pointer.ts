/**
 * `pointer`: as posted on 2008-08-26. task->utrace points to a struct that is allocated by the first attach and freed
 * through RCU by whoever sets the pointer to NULL under task_lock: the last detach, or the reap.
 *
 * Who may hold a stale pointer: whoever read it under RCU, until the grace period is over; and, which is the bug, the
 * task itself, which keeps it on its stack across the sleep in utrace_stop.
 *
 * @see kernel/utrace.c as posted: utrace_first_engine, utrace_free, rcu_utrace_free, the end of utrace_reset
 */
import {
  assign_bits,
  atomic_add_return,
  BUG_ON,
  call_rcu,
  container_of,
  current,
  data_race,
  kernel,
  kmem_cache_free,
  kmem_cache_zalloc,
  load,
  note,
  type Ptr,
  READ_ONCE,
  rcu_assign_pointer,
  rcu_dereference,
  rcu_read_lock,
  rcu_read_unlock,
  ref,
  smp_mb,
  smp_rmb,
  spin_lock,
  spin_unlock,
  store,
  sys_sched_yield,
  WRITE_ONCE,
} from "../../../sim/index.ts";
import { running } from "../../../sim/op.ts";
import { ENOMEM, ERESTARTNOINTR, ERR_PTR } from "../../linux/errno.ts";
import { INIT_LIST_HEAD, list_add, list_empty, list_next } from "../../linux/list.ts";
import { EXIT_DEAD, PF_STARTING, signal_pending } from "../../linux/sched.ts";
import { lockedRecalcSigpending } from "../../linux/signal.ts";
import { spin_lock_init } from "../../linux/spinlock.ts";
import { TASK } from "../../linux/structs.ts";
import { patched, utraceGlobals } from "../globals.ts";
import { type Inline, type Lifetime, noStep } from "../lifetime.ts";
import { finish_utrace_stop, set_notify_resume } from "../stop.ts";
import { ENGINE, UTRACE } from "../structs.ts";

/** The callback of call_rcu: the object goes back to its cache. */
export const utrace_free = kernel(function* utrace_free(rhead: Ptr) {
  const utrace = container_of(rhead, UTRACE.u.dead);
  yield* note("struct-freed", utrace, 0);
  yield* kmem_cache_free(utraceGlobals().utrace_cachep, utrace);
});

/** Gives the struct up: once, says `check_dead`. Lock held on entry, released. */
export const rcu_utrace_free = kernel(function* rcu_utrace_free(utrace: Ptr) {
  if (running.config.UTRACE_DEBUG === true) {
    const left = yield* atomic_add_return(utrace, UTRACE.check_dead.counter, -1);
    yield* BUG_ON(left !== 0, "!atomic_dec_and_test(&utrace->check_dead)", "kernel/utrace.c:CHECK_DEAD");
  }
  yield* spin_unlock(utrace, UTRACE.lock);
  yield* call_rcu(utrace, UTRACE.u.dead, utrace_free);
});

/** The lifetime as posted. */
export const pointer: Lifetime = {
  name: "pointer",
  title: "as posted: allocated on first attach, freed through RCU on last detach or reap",
  layout: { UTRACE_INDIRECT: true, UTRACE_RCU: true },
  argument: {
    retryLoops: [
      "utrace_attach_task: others detached and attached between the look at task->utrace and the lock",
      "utrace_first_engine: another first attach was quicker, or the target is EXIT_DEAD by now",
      "utrace_first_engine: the target has not been woken for the first time, and its creator attaches first",
    ],
    rules: [
      "Who sets task->utrace to NULL, under task_lock, owns the free; nobody else frees.",
      "A pointer that was read under RCU may be stale when its lock is taken: look at task->utrace again.",
      "No pointer is kept across a sleep, or over utrace_reset: the struct may be gone (utrace_stop as posted does both).",
      "A first attach publishes the pointer, then looks at exit_state; release_task sets exit_state, then looks at the pointer; each with a full barrier in between.",
      "A struct that was published is freed after a grace period only (utrace_first_engine as posted frees it at once).",
      "The struct's first word is its rcu_head once it was given up: cloning is not to be written then (utrace_report_clone as posted does).",
      "task_lock comes inside utrace->lock, and inside tasklist_lock only in release_task.",
    ],
  },

  // "Once created, this pointer is changed only when the task is quiescent": so the task reads it as it likes.
  own: (task) => READ_ONCE(task, TASK.utrace),
  task_utrace_struct: (task) => rcu_dereference(task, TASK.utrace),
  readBarrier: () => smp_rmb(),
  readLock: () => rcu_read_lock(),
  readUnlock: () => rcu_read_unlock(),
  *stillServes(task: Ptr, utrace: Ptr): Inline<boolean> {
    return (yield* rcu_dereference(task, TASK.utrace)) === utrace;
  },

  peek: (utrace, field) => load(utrace, field),
  // Of `reporting`: with a barrier behind it, against one in front of the reader's look.
  poke: (utrace, field, value) => WRITE_ONCE(utrace, field, value),
  nextAttached: (_utrace, at) => list_next(at),

  boot() {},
  *utrace_init_task(task: Ptr): Inline<void> {
    yield* store(task, TASK.utrace_flags, 0);
    yield* store(task, TASK.utrace, 0);
  },

  *utrace_first_engine(target: Ptr, engine: Ptr): Inline<Ptr> {
    // Only the task itself and its creator change its flags; others may look, says sched.h.
    if (((yield* data_race(load(target, TASK.flags))) & PF_STARTING) !== 0) {
      // Not woken for the first time yet: its creator attaches first, from report_clone.
      const own = yield* load(current(), TASK.utrace);
      if (own === 0 || (yield* load(own, UTRACE.u.live.cloning)) !== target) {
        yield* sys_sched_yield();
        return (yield* signal_pending(current())) ? ERR_PTR(-ERESTARTNOINTR) : 0;
      }
    }
    const utrace = yield* kmem_cache_zalloc(utraceGlobals().utrace_cachep);
    if (utrace === 0) return ERR_PTR(-ENOMEM);
    yield* INIT_LIST_HEAD(ref(utrace, UTRACE.attached));
    yield* INIT_LIST_HEAD(ref(utrace, UTRACE.attaching));
    yield* list_add(ref(engine, ENGINE.entry), ref(utrace, UTRACE.attached));
    yield* spin_lock_init(ref(utrace, UTRACE.lock));
    if (running.config.UTRACE_DEBUG === true) yield* store(utrace, UTRACE.check_dead.counter, 1);

    yield* spin_lock(utrace, UTRACE.lock);
    yield* spin_lock(target, TASK.alloc_lock);
    if ((yield* load(target, TASK.utrace)) === 0) {
      yield* rcu_assign_pointer(target, TASK.utrace, utrace);
      // Pairs with the barrier in tracehook_prepare_release_task: either that sees the pointer, or this sees EXIT_DEAD.
      yield* smp_mb();
      if ((yield* data_race(load(target, TASK.exit_state))) !== EXIT_DEAD) {
        yield* note("struct-live", utrace, target);
        yield* note("engine-attached", engine, utrace);
        yield* note("engines-spliced", utrace, 0);
        yield* spin_unlock(target, TASK.alloc_lock);
        return utrace;
      }
      yield* store(target, TASK.utrace, 0);
    }
    yield* spin_unlock(target, TASK.alloc_lock);
    yield* spin_unlock(utrace, UTRACE.lock);
    yield* kmem_cache_free(utraceGlobals().utrace_cachep, utrace);
    return 0;
  },

  mayJoin: () => noStep(0),
  *joined(target: Ptr, utrace: Ptr): Inline<void> {
    yield* assign_bits(utrace, UTRACE.report, 1);
    // BUG(kernel): whoever finds `report` set believes that TIF_NOTIFY_RESUME is set too.
    if (patched("notify-at-attach")) yield* set_notify_resume(target);
    else yield* note("report-unannounced", utrace, 0);
  },

  *afterStop(task: Ptr, utrace: Ptr): Inline<boolean> {
    if (patched("stop-relookup")) {
      // How utrace_stop ends in f357a74067b.
      let killed = false;
      yield* rcu_read_lock();
      const again = yield* rcu_dereference(task, TASK.utrace);
      if (again !== 0) killed = yield* finish_utrace_stop(task, again);
      yield* rcu_read_unlock();
      yield* lockedRecalcSigpending(task);
      return killed;
    }
    // BUG(kernel): nothing keeps utrace here. Whoever woke the task may have freed it since: the thread's three crashes.
    if ((yield* load(utrace, UTRACE.stopped)) === 0) return false;
    // utrace_wakeup clears the flag first, so this must be SIGKILL.
    yield* spin_lock(utrace, UTRACE.lock);
    yield* assign_bits(utrace, UTRACE.stopped, 0);
    yield* spin_unlock(utrace, UTRACE.lock);
    return true;
  },

  *lastEngineGone(task: Ptr, utrace: Ptr): Inline<void> {
    yield* spin_lock(task, TASK.alloc_lock);
    if ((yield* load(task, TASK.utrace)) !== utrace) {
      // release_task was first and cleans up.
      yield* spin_unlock(task, TASK.alloc_lock);
      yield* spin_unlock(utrace, UTRACE.lock);
      return;
    }
    yield* rcu_assign_pointer(task, TASK.utrace, 0);
    yield* note("struct-dying", utrace, 0);
    yield* spin_unlock(task, TASK.alloc_lock);
    yield* rcu_utrace_free(utrace);
  },

  *needsRelease(task: Ptr): Inline<boolean> {
    // Pairs with the barrier in utrace_first_engine: EXIT_DEAD was stored before.
    yield* smp_mb();
    return (yield* READ_ONCE(task, TASK.utrace)) !== 0;
  },

  *takeForRelease(task: Ptr): Inline<Ptr> {
    yield* spin_lock(task, TASK.alloc_lock);
    const utrace = yield* rcu_dereference(task, TASK.utrace);
    yield* rcu_assign_pointer(task, TASK.utrace, 0);
    yield* spin_unlock(task, TASK.alloc_lock);
    return utrace;
    // BUG(kernel): no RCU read section from here until the lock is taken (noted by Peter Zijlstra, 2008-10-06).
  },

  *stillToReap(utrace: Ptr): Inline<boolean> {
    // An empty list: a detach was quicker with the lock, and the struct is on its way to be freed.
    return !(yield* list_empty(ref(utrace, UTRACE.attached)));
  },

  *reaped(_task: Ptr, utrace: Ptr): Inline<void> {
    // From when the pointer was taken until now, an attach that was quicker with the lock could still add an engine.
    yield* note("struct-dying", utrace, 0);
    yield* rcu_utrace_free(utrace);
  },

  *tracehook_finish_release_task(task: Ptr): Inline<void> {
    // task_lock inside tasklist_lock breaks the documented order. BUG(kernel)
    if ((yield* load(task, TASK.utrace)) === 0) return;
    // Another engine attached in between; the attacher sees EXIT_DEAD and takes it back.
    yield* spin_lock(task, TASK.alloc_lock);
    const utrace = yield* load(task, TASK.utrace);
    yield* spin_unlock(task, TASK.alloc_lock);
    yield* BUG_ON(utrace !== 0, "task->utrace != NULL", "include/linux/tracehook.h:396");
  },

  utrace_free_task: () => noStep(undefined),
};
