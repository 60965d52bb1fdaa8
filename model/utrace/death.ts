/** The end: reaping, and what the last engines are told. @see kernel/utrace.c as posted: utrace_release_task, utrace_reap */
import { assign_bits, kernel, load, note, type Ptr, ref, spin_lock, spin_unlock, store } from "../../sim/index.ts";
import { endListHead, LIST_HEAD, list_entry, list_move, list_next } from "../linux/list.ts";
import { TASK } from "../linux/structs.ts";
import { splice_attaching } from "./control.ts";
import { callbackBegins, callbackEnds, callbackToCall, put_detached_list } from "./engine.ts";
import { UTRACE_EVENT, UTRACE_EVENT_DEATH_EVENTS } from "./events.ts";
import { utraceGlobals } from "./globals.ts";
import { ENGINE, UTRACE } from "./structs.ts";

/**
 * Tells every engine of the reap, drops its attached reference, then gives the struct up.
 *
 * Context: utrace->lock held on entry, released, and dropped around each callback.
 */
export const utrace_reap = kernel(function* utrace_reap(target: Ptr, utrace: Ptr) {
  const detached = yield* LIST_HEAD();
  const head = ref(utrace, UTRACE.attached);
  restart: for (;;) {
    yield* splice_attaching(utrace);
    let at = yield* list_next(head);
    let next = yield* list_next(at);
    while (at !== head) {
      const engine = list_entry(at, ENGINE.entry);
      const ops = yield* load(engine, ENGINE.ops);
      yield* store(engine, ENGINE.ops, 0);
      yield* note("engine-detached", engine, 0);
      yield* list_move(at, detached);
      if (((yield* load(engine, ENGINE.flags)) & UTRACE_EVENT.REAP) !== 0) {
        yield* store(utrace, UTRACE.reporting, engine);
        yield* spin_unlock(utrace, UTRACE.lock);
        const report_reap = yield* callbackToCall(ops, "report_reap");
        yield* callbackBegins(engine, ops, UTRACE_EVENT.REAP);
        yield* report_reap(engine, target);
        yield* callbackEnds(engine, ops, 0);
        yield* utraceGlobals().lifetime.poke(utrace, UTRACE.reporting, 0);
        yield* put_detached_list(detached);
        yield* spin_lock(utrace, UTRACE.lock);
        continue restart;
      }
      at = next;
      next = yield* list_next(at);
    }
    break;
  }
  yield* utraceGlobals().lifetime.reaped(target, utrace);
  yield* put_detached_list(detached);
  endListHead();
});

/**
 * Called by release_task: the task is being taken out of the world.
 *
 * Context: the reaper's. Takes utrace->lock; what the lifetime needs to take the struct away, before that.
 */
export const utrace_release_task = kernel(function* utrace_release_task(target: Ptr) {
  const { lifetime } = utraceGlobals();
  const utrace = yield* lifetime.takeForRelease(target);
  if (utrace === 0) return;
  yield* spin_lock(utrace, UTRACE.lock);
  if (yield* lifetime.stillToReap(utrace)) {
    yield* assign_bits(utrace, UTRACE.reap, 1);
    if (((yield* load(target, TASK.utrace_flags)) & UTRACE_EVENT_DEATH_EVENTS) === 0) {
      yield* utrace_reap(target, utrace);
      return;
    }
    // The death report is still to come, and finishes the reap.
  }
  yield* spin_unlock(utrace, UTRACE.lock);
});
