/**
 * `prototype`: the rule of who frees before the posted version, over the posted core. As `pointer`, but "I free it" is
 * concluded from *no engine is left*, not from *I am the one who took task->utrace away*; and a task that wakes from its
 * stop does not wait for whoever believes that it still sleeps. So two can draw the same conclusion: the double free.
 *
 * Who may hold a stale pointer: as under `pointer`, and the task itself, in a pass over its engines that another task
 * finishes for it at the same time.
 *
 * The patch `taker-frees` is the rule of the posted version. `stop-relookup` makes the task wait.
 *
 * DEPARTS: the prototype did wait after a stop in the signal path, and only there; here no stop waits. Its own calls and
 * flags (utrace_detach, UTRACE_ACTION_QUIESCE) are those of the posted version, and `stopped` stands for TASK_TRACED.
 *
 * @see kernel/utrace.c of the prototype (2006-2008): check_dead_utrace, utrace_clear_tsk, utrace_quiescent
 */
import {
  atomic_andnot,
  data_race,
  load,
  note,
  type Ptr,
  rcu_assign_pointer,
  rcu_read_lock,
  rcu_read_unlock,
  spin_lock,
  spin_unlock,
} from "../../../sim/index.ts";
import { SIGKILL, sigmask } from "../../linux/signal.ts";
import { TASK } from "../../linux/structs.ts";
import { utrace_reset } from "../control.ts";
import { UTRACE_EVENT, UTRACE_STOP } from "../events.ts";
import { patched } from "../globals.ts";
import type { Inline, Lifetime } from "../lifetime.ts";
import { INIT_REPORT, report_quiescent } from "../report.ts";
import { utrace_stop } from "../stop.ts";
import { UTRACE } from "../structs.ts";
import { pointer, rcu_utrace_free } from "./pointer.ts";

/** `utrace_clear_tsk`: the task has no struct any more, whichever it had. */
function* utrace_clear_tsk(task: Ptr): Inline<void> {
  yield* spin_lock(task, TASK.alloc_lock);
  if ((yield* load(task, TASK.utrace)) !== 0) yield* rcu_assign_pointer(task, TASK.utrace, 0);
  yield* spin_unlock(task, TASK.alloc_lock);
}

/** The lifetime of the prototype. */
export const prototype: Lifetime = {
  ...pointer,
  name: "prototype",
  title: "before the posted version: as pointer, but whoever finds no engine left frees",
  argument: {
    retryLoops: pointer.argument.retryLoops,
    rules: [
      "Who finds that no engine is left frees the struct, and hopes to be the only one.",
      ...pointer.argument.rules.slice(1),
    ],
  },

  *afterStop(task: Ptr, utrace: Ptr): Inline<boolean> {
    if (patched("stop-relookup")) return yield* pointer.afterStop(task, utrace);
    const own = yield* pointer.own(task);
    const killed = ((yield* data_race(load(task, TASK.pending.signal))) & sigmask(SIGKILL)) !== 0;
    if (((yield* data_race(load(task, TASK.utrace_flags))) & UTRACE_EVENT.QUIESCE) === 0) {
      // Out of TASK_TRACED, which `stopped` stands for: the prototype writes nothing here, so this must not go wrong,
      // nor take back what others set in the same word under the lock.
      yield* rcu_read_lock();
      const now = yield* pointer.task_utrace_struct(task);
      if (now !== 0) yield* atomic_andnot(now, UTRACE.stopped, 1);
      yield* rcu_read_unlock();
      return killed;
    }
    // BUG(kernel): a detach that found the task stopped may be at work on this struct under the lock, and give it up.
    yield* atomic_andnot(own, UTRACE.stopped, 1);
    const report = INIT_REPORT();
    yield* report_quiescent(task, own, report);
    let left = true;
    if (report.detaches) {
      yield* spin_lock(own, UTRACE.lock);
      left = yield* utrace_reset(task, own, false);
    }
    if (report.action === UTRACE_STOP && left && !killed) return yield* utrace_stop(task, own);
    return killed;
  },

  *lastEngineGone(task: Ptr, utrace: Ptr): Inline<void> {
    if (patched("taker-frees")) return yield* pointer.lastEngineGone(task, utrace) as Inline<void>;
    // BUG(kernel): that no engine is left may be the work of another, who has given the struct up already.
    yield* utrace_clear_tsk(task);
    yield* note("struct-dying", utrace, 0);
    yield* rcu_utrace_free(utrace);
  },
};
