/**
 * What the lifetimes have in common under which the struct stays as long as its task: nobody with a reference to the
 * task can hold a stale pointer, so there is nothing to look up again and nothing to free early.
 *
 * What ends its service is the reap: `utrace->reap` is set for good by release_task, under the lock, whether engines
 * are attached or not (as from 2233b065d14 on).
 *
 * @see kernel/utrace.c, 742f1206423 (2009-03-02) to 2009-12
 */
import {
  assign_bits,
  current,
  data_race,
  load,
  type Ptr,
  spin_unlock,
  store,
  sys_sched_yield,
  WRITE_ONCE,
} from "../../../sim/index.ts";
import { nothing } from "../../../sim/op.ts";
import { EAGAIN, EPERM, ERESTARTNOINTR } from "../../linux/errno.ts";
import { list_next } from "../../linux/list.ts";
import { PF_KTHREAD, PF_STARTING, signal_pending } from "../../linux/sched.ts";
import { lockedRecalcSigpending } from "../../linux/signal.ts";
import { TASK } from "../../linux/structs.ts";
import { UTRACE_EVENT } from "../events.ts";
import { utraceGlobals } from "../globals.ts";
import { type Inline, type Lifetime, noStep } from "../lifetime.ts";
import { finish_utrace_stop, set_notify_resume } from "../stop.ts";
import { UTRACE } from "../structs.ts";

/** `utrace_attach_delay`: the creator of a task that was not woken yet attaches first, from report_clone. */
function* utrace_attach_delay(target: Ptr): Inline<number> {
  if (((yield* data_race(load(target, TASK.flags))) & PF_STARTING) === 0) return 0;
  const { lifetime } = utraceGlobals();
  const own = yield* lifetime.own(current());
  if (own !== 0 && (yield* lifetime.peek(own, UTRACE.u.live.cloning)) === target) return 0;
  yield* sys_sched_yield();
  return (yield* signal_pending(current())) ? -ERESTARTNOINTR : -EAGAIN;
}

/** For a lifetime to spread into its own. */
export const keptWithTask = {
  readBarrier: () => nothing,
  readLock: () => nothing,
  readUnlock: () => nothing,
  *stillServes(_task: Ptr, utrace: Ptr): Inline<boolean> {
    return (yield* load(utrace, UTRACE.reap)) === 0;
  },

  peek: (utrace, field) => load(utrace, field),
  // Of `reporting`: with a barrier behind it, against one in front of the reader's look.
  poke: (utrace, field, value) => WRITE_ONCE(utrace, field, value),
  nextAttached: (_utrace, at) => list_next(at),

  *mayJoin(target: Ptr): Inline<number> {
    if (((yield* data_race(load(target, TASK.flags))) & PF_KTHREAD) !== 0) return -EPERM;
    return yield* utrace_attach_delay(target);
  },
  *joined(target: Ptr, utrace: Ptr): Inline<void> {
    // Not zero from now on: else the task would take TIF_NOTIFY_RESUME back without a report (f067223c3c2).
    const flags = yield* load(target, TASK.utrace_flags);
    yield* store(target, TASK.utrace_flags, flags | UTRACE_EVENT.REAP);
    yield* assign_bits(utrace, UTRACE.report, 1);
    yield* set_notify_resume(target);
  },

  *afterStop(task: Ptr, utrace: Ptr): Inline<boolean> {
    const killed = yield* finish_utrace_stop(task, utrace);
    yield* lockedRecalcSigpending(task);
    return killed;
  },

  *lastEngineGone(_task: Ptr, utrace: Ptr): Inline<void> {
    // The next to attach finds the struct as new: what the last ones asked for is nobody's wish any more.
    yield* assign_bits(utrace, UTRACE.wants_report, 0);
    yield* spin_unlock(utrace, UTRACE.lock);
  },

  *stillToReap(_utrace: Ptr): Inline<boolean> {
    return yield* noStep(true);
  },
  *reaped(_task: Ptr, utrace: Ptr): Inline<void> {
    yield* spin_unlock(utrace, UTRACE.lock);
  },
  tracehook_finish_release_task: () => nothing,
  utrace_free_task: () => nothing,
  boot() {},
} satisfies Partial<Lifetime>;
