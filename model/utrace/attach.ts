/** Attaching. @see kernel/utrace.c as posted: utrace_attach_task, utrace_attach_pid, get_utrace_lock */
import {
  data_race,
  forget,
  kernel,
  load,
  note,
  type Ptr,
  READ_ONCE,
  rcu_read_lock,
  rcu_read_unlock,
  ref,
  spin_lock,
  spin_unlock,
  store,
} from "../../sim/index.ts";
import { EAGAIN, EEXIST, EINVAL, ENOENT, ENOMEM, EPERM, ERESTARTSYS, ERR_PTR, ESRCH, IS_ERR } from "../linux/errno.ts";
import { list_add_tail } from "../linux/list.ts";
import { get_pid_task } from "../linux/pid.ts";
import { EXIT_DEAD, PF_KTHREAD, put_task_struct } from "../linux/sched.ts";
import { TASK } from "../linux/structs.ts";
import { alloc_engine, free_engine, isDetached, matching_engine, utrace_engine_get } from "./engine.ts";
import { UTRACE_ATTACH_CREATE, UTRACE_ATTACH_EXCLUSIVE } from "./events.ts";
import { patched, utraceGlobals } from "./globals.ts";
import type { Inline } from "./lifetime.ts";
import { ENGINE, UTRACE } from "./structs.ts";

/**
 * Attaches a new engine to `target`, or looks up one that is attached.
 *
 * Context: may sleep. The caller keeps `target` alive. Takes utrace->lock, and on a first attach task_lock inside it.
 *
 * @param flags - `UTRACE_ATTACH_*` bits.
 * @param ops - Address of the ops table.
 * @returns the engine, with one reference for the caller, or ERR_PTR of
 *   -ENOENT (no CREATE, and nothing matches or the target is dead), -ESRCH (target is EXIT_DEAD),
 *   -EPERM (kernel thread), -EINVAL (no ops, and not the first engine), -EEXIST (a match, under EXCLUSIVE, and not the
 *   first engine), -ENOMEM, -ERESTARTNOINTR (a signal, while waiting for a newborn target).
 */
export const utrace_attach_task = kernel(function* utrace_attach_task(target: Ptr, flags: number, ops: Ptr, data: Ptr) {
  yield* note("call-keys", isDetached(ops) ? 0 : ops, data);
  yield* note("utrace_attach_task", target, flags);
  const engine = yield* attach(target, flags, ops, data);
  yield* note("utrace_attach_task returns", target, engine);
  return engine;
});

function* attach(target: Ptr, flags: number, ops: Ptr, data: Ptr): Inline<Ptr> {
  const create = (flags & UTRACE_ATTACH_CREATE) !== 0;
  const { lifetime } = utraceGlobals();
  for (;;) {
    yield* forget("again");
    yield* lifetime.readLock();
    let utrace = yield* lifetime.task_utrace_struct(target);
    yield* lifetime.readBarrier();
    // With the barriers: either this sees EXIT_DEAD, or release_task sees the pointer.
    if ((yield* data_race(load(target, TASK.exit_state))) === EXIT_DEAD) {
      yield* lifetime.readUnlock();
      return ERR_PTR(create ? -ESRCH : -ENOENT);
    }
    let engine: Ptr;
    if (utrace === 0) {
      yield* lifetime.readUnlock();
      if (!create) return ERR_PTR(-ENOENT);
      // Only the task itself changes its flags; others may look, says sched.h.
      if (((yield* data_race(load(target, TASK.flags))) & PF_KTHREAD) !== 0) return ERR_PTR(-EPERM);
      engine = yield* alloc_engine();
      if (engine === 0) return ERR_PTR(-ENOMEM);
    } else {
      if (!create) {
        yield* spin_lock(utrace, UTRACE.lock);
        engine = yield* matching_engine(utrace, flags, ops, data);
        if (engine !== 0) yield* utrace_engine_get(engine);
        yield* spin_unlock(utrace, UTRACE.lock);
        yield* lifetime.readUnlock();
        return engine !== 0 ? engine : ERR_PTR(-ENOENT);
      }
      yield* lifetime.readUnlock();
      if (ops === 0 || isDetached(ops)) return ERR_PTR(-EINVAL);
      engine = yield* alloc_engine();
      if (engine === 0) return ERR_PTR(-ENOMEM);
      const refused = yield* lifetime.mayJoin(target);
      if (refused !== 0) {
        yield* free_engine(engine);
        if (refused === -EAGAIN) continue;
        return ERR_PTR(refused);
      }

      yield* lifetime.readLock();
      utrace = yield* lifetime.task_utrace_struct(target);
      if (utrace === 0) yield* lifetime.readUnlock();
      else {
        yield* spin_lock(utrace, UTRACE.lock);
        if ((flags & UTRACE_ATTACH_EXCLUSIVE) !== 0 && (yield* matching_engine(utrace, flags, ops, data)) !== 0) {
          yield* spin_unlock(utrace, UTRACE.lock);
          yield* lifetime.readUnlock();
          yield* free_engine(engine);
          return ERR_PTR(-EEXIST);
        }
        if (!(yield* lifetime.stillServes(target, utrace))) {
          // Others detached and attached in between, or the target is being reaped.
          yield* spin_unlock(utrace, UTRACE.lock);
          yield* lifetime.readUnlock();
          yield* free_engine(engine);
          continue;
        }
        yield* lifetime.readUnlock();
        const newcomers = patched("one-attach-list") ? UTRACE.attached : UTRACE.attaching;
        yield* list_add_tail(ref(engine, ENGINE.entry), ref(utrace, newcomers));
        yield* note("engine-attached", engine, utrace);
        yield* lifetime.joined(target, utrace);
      }
    }
    if (utrace === 0) {
      utrace = yield* lifetime.utrace_first_engine(target, engine);
      if (utrace === 0 || IS_ERR(utrace)) {
        yield* free_engine(engine);
        if (utrace === 0) continue;
        return utrace;
      }
    }
    yield* store(engine, ENGINE.ops, ops);
    yield* store(engine, ENGINE.data, data);
    yield* spin_unlock(utrace, UTRACE.lock);
    return engine;
  }
}

/**
 * As {@link utrace_attach_task}, for the task that `pid` names.
 *
 * @returns as utrace_attach_task; ERR_PTR(-ESRCH) if the task has been reaped.
 */
export const utrace_attach_pid = kernel(function* utrace_attach_pid(pid: Ptr, flags: number, ops: Ptr, data: Ptr) {
  const task = yield* get_pid_task(pid);
  if (task === 0) return ERR_PTR(-ESRCH);
  const engine = yield* utrace_attach_task(task, flags, ops, data);
  yield* put_task_struct(task);
  return engine;
});

/**
 * Locks the struct utrace of `target` for a call on behalf of `engine`. The target is touched only while the engine is
 * seen attached, so RCU keeps it even if the caller has no reference.
 *
 * @param attached - False for utrace_barrier alone: an engine marked detached is -ERESTARTSYS then, not -ESRCH.
 * @returns the struct, locked, or ERR_PTR of -EINVAL (no reference), -ESRCH (detached, or the target is dead).
 */
export const get_utrace_lock = kernel(function* get_utrace_lock(target: Ptr, engine: Ptr, attached: boolean) {
  // atomic_read.
  if ((yield* READ_ONCE(engine, ENGINE.kref.refcount)) < 1) return ERR_PTR(-EINVAL);
  yield* rcu_read_lock();
  // Without the lock, as the struct is not known yet; looked at again under it. Until then RCU keeps the task.
  const ops = yield* data_race(load(engine, ENGINE.ops));
  if (ops === 0) {
    yield* rcu_read_unlock();
    return ERR_PTR(-ESRCH);
  }
  if (isDetached(ops)) {
    yield* rcu_read_unlock();
    return ERR_PTR(attached ? -ESRCH : -ERESTARTSYS);
  }
  const { lifetime } = utraceGlobals();
  let utrace = yield* lifetime.task_utrace_struct(target);
  yield* lifetime.readBarrier();
  if (utrace === 0 || (yield* data_race(load(target, TASK.exit_state))) === EXIT_DEAD) utrace = ERR_PTR(-ESRCH);
  else {
    yield* spin_lock(utrace, UTRACE.lock);
    const now = (yield* lifetime.stillServes(target, utrace)) ? yield* load(engine, ENGINE.ops) : 0;
    if (now === 0 || isDetached(now)) {
      yield* spin_unlock(utrace, UTRACE.lock);
      utrace = ERR_PTR(-ESRCH);
      if (!attached && isDetached(yield* load(engine, ENGINE.ops))) utrace = ERR_PTR(-ERESTARTSYS);
    }
  }
  yield* rcu_read_unlock();
  return utrace;
});
