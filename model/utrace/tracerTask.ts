/**
 * Who is tracing a task, and what that means for its exec.
 *
 * Both walk the attached engines with nothing that keeps the list as it is: only the task itself changes it, or others
 * while the task is quiescent.
 *
 * @see kernel/utrace.c as posted: utrace_tracer_task, utrace_unsafe_exec
 */
import { kernel, type Ptr, rcu_dereference, ref } from "../../sim/index.ts";
import { list_entry } from "../linux/list.ts";
import { callbackOf } from "./engine.ts";
import { utraceGlobals } from "./globals.ts";
import { ENGINE, UTRACE } from "./structs.ts";

/**
 * The task that uses ptrace on `target`, as the first engine that knows of one has it; 0 for none.
 *
 * Context: an RCU read section; at exec also task_lock. BUG(kernel): of another task, the list may change under the
 * walk, and an engine that is being detached has no ops any more.
 */
export const utrace_tracer_task = kernel(function* utrace_tracer_task(target: Ptr) {
  const { lifetime } = utraceGlobals();
  const utrace = yield* lifetime.task_utrace_struct(target);
  if (utrace === 0) return 0;
  const head = ref(utrace, UTRACE.attached);
  let at = yield* lifetime.nextAttached(utrace, head);
  let next = yield* lifetime.nextAttached(utrace, at);
  while (at !== head) {
    const engine = list_entry(at, ENGINE.entry);
    const tracer_task = yield* callbackOf(yield* rcu_dereference(engine, ENGINE.ops), "tracer_task");
    const tracer = tracer_task === undefined ? 0 : yield* tracer_task(engine, target);
    if (tracer !== 0) return tracer;
    at = next;
    next = yield* lifetime.nextAttached(utrace, at);
  }
  return 0;
});

/** LSM_UNSAFE_ bits of all engines of the running task. Context: its task_lock is held. */
export const utrace_unsafe_exec = kernel(function* utrace_unsafe_exec(task: Ptr) {
  const { lifetime } = utraceGlobals();
  const utrace = yield* lifetime.own(task);
  let unsafe = 0;
  const head = ref(utrace, UTRACE.attached);
  let at = yield* lifetime.nextAttached(utrace, head);
  let next = yield* lifetime.nextAttached(utrace, at);
  while (at !== head) {
    const engine = list_entry(at, ENGINE.entry);
    const unsafe_exec = yield* callbackOf(yield* rcu_dereference(engine, ENGINE.ops), "unsafe_exec");
    if (unsafe_exec !== undefined) unsafe |= yield* unsafe_exec(engine, task);
    at = next;
    next = yield* lifetime.nextAttached(utrace, at);
  }
  return unsafe;
});
