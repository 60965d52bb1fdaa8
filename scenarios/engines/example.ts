/** What the example engines share: a tool that attaches one to a running program, and a scenario around the two. */
import type { BootedKernel } from "../../model/boot.ts";
import { syscall, user_mode } from "../../model/linux/entry.ts";
import { EINPROGRESS, IS_ERR } from "../../model/linux/errno.ts";
import { get_pid_task, put_pid } from "../../model/linux/pid.ts";
import { put_task_struct, schedule_timeout_interruptible } from "../../model/linux/sched.ts";
import { utrace_attach_task } from "../../model/utrace/attach.ts";
import { utrace_set_events } from "../../model/utrace/control.ts";
import { utrace_engine_put } from "../../model/utrace/engine.ts";
import { UTRACE_ATTACH_CREATE } from "../../model/utrace/events.ts";
import { type Field, type FindingKind, kernel, load, type Ptr } from "../../sim/index.ts";
import type { Request } from "../../sim/op.ts";
import { observeClaims } from "../programs/claims.ts";
import type { Scenario } from "../scenario.ts";
import { world } from "../world.ts";

/** What a tool does with its engine, which is attached, in the kernel. It need not detach it. */
export type Work = (target: Ptr, engine: Ptr, data: Ptr) => Generator<Request, void, unknown>;

const attachAndWork = kernel(function* tool_work(pid: Ptr, ops: Ptr, data: Ptr, work: Work) {
  const target = yield* get_pid_task(pid);
  if (target === 0) return;
  const engine = yield* utrace_attach_task(target, UTRACE_ATTACH_CREATE, ops, data);
  if (!IS_ERR(engine)) {
    yield* work(target, engine, data);
    yield* utrace_engine_put(engine);
  }
  yield* put_task_struct(target);
});

/**
 * `utrace_set_events`: whether the events are set. With -EINPROGRESS they are, and a callback may be running with the
 * old ones still: a task that reports right after the attach may be at this engine.
 */
export function* setEvents(target: Ptr, engine: Ptr, events: number) {
  const result = yield* utrace_set_events(target, engine, events);
  return result === 0 || result === -EINPROGRESS;
}

/** A program sleeps, eight ticks at most, until its tool has set this. */
export function* waitFor(pointer: Ptr, flag: Field) {
  for (let i = 0; i < 8 && (yield* load(pointer, flag)) === 0; i++) yield* syscall(schedule_timeout_interruptible, 1);
}

/** The main of a tool. Owns a reference to the pid. */
export const tool = kernel(function* tool(pid: Ptr, ops: Ptr, data: Ptr, work: Work) {
  yield* user_mode(20_000);
  yield* syscall(attachAndWork, pid, ops, data, work);
  yield* put_pid(pid);
});

/** An example as a scenario. `known`: what the posted code does to it besides. */
export const example = (
  name: string,
  title: string,
  known: readonly FindingKind[],
  populate: (kernel: BootedKernel) => void,
): Scenario => ({
  name,
  title,
  source: "the posting of 2008-08-26: an engine as its user would write it",
  known,
  program: (parameters) =>
    world(name, parameters, (booted) => {
      observeClaims(booted.machine);
      populate(booted);
    }),
});
