/**
 * A tracer that follows clone: whatever its task starts is traced from its first instruction on.
 *
 * report_clone runs in the creator while the new task has not run yet, and may attach to it. Nobody else can be first:
 * an attach of another's waits until the callback is over.
 *
 * Question: is every new thread traced before it first runs, and is its death reported?
 */
import { syscall, user_mode } from "../../model/linux/entry.ts";
import { IS_ERR } from "../../model/linux/errno.ts";
import { do_exit } from "../../model/linux/exit.ts";
import { CLONE_THREAD, do_fork } from "../../model/linux/fork.ts";
import { TASK } from "../../model/linux/structs.ts";
import { utrace_attach_task } from "../../model/utrace/attach.ts";
import { utrace_set_events } from "../../model/utrace/control.ts";
import { placeOps, type utrace_engine_ops, utrace_engine_put } from "../../model/utrace/engine.ts";
import { UTRACE_ATTACH_CREATE, UTRACE_EVENT, UTRACE_RESUME } from "../../model/utrace/events.ts";
import { ENGINE } from "../../model/utrace/structs.ts";
import { add, current, kernel, load, type Ptr, store } from "../../sim/index.ts";
import { ptr, struct, u32 } from "../../sim/struct.ts";
import { claim } from "../programs/claims.ts";
import { example, setEvents, tool, type Work } from "./example.ts";

const family = struct("family", { ops: ptr, following: u32, born: u32, dead: u32 });
const FAMILY = family.fields;
const FOLLOWED = UTRACE_EVENT.CLONE | UTRACE_EVENT.DEATH;

const follow_report_clone = kernel(function* follow_report_clone(
  _action: number,
  engine: Ptr,
  _parent: Ptr,
  _cloneFlags: number,
  child: Ptr,
) {
  const data = yield* load(engine, ENGINE.data);
  const ops = yield* load(data, FAMILY.ops);
  const followed = yield* utrace_attach_task(child, UTRACE_ATTACH_CREATE, ops, data);
  if (IS_ERR(followed)) return UTRACE_RESUME;
  yield* utrace_set_events(child, followed, FOLLOWED);
  yield* utrace_engine_put(followed);
  yield* add(data, FAMILY.born, 1);
  return UTRACE_RESUME;
});

const follow_report_death = kernel(function* follow_report_death(
  engine: Ptr,
  _task: Ptr,
  _groupDead: boolean,
  _signal: number,
) {
  yield* add(yield* load(engine, ENGINE.data), FAMILY.dead, 1);
  return UTRACE_RESUME;
});

export const follow_ops: utrace_engine_ops = { report_clone: follow_report_clone, report_death: follow_report_death };

/** Wants to know of all that the task starts. The engines stay until their tasks are gone. */
const follow: Work = function* (target, engine, data) {
  if (yield* setEvents(target, engine, FOLLOWED)) yield* store(data, FAMILY.following, 1);
};

/** A thread that looks whether it is traced before it does anything else. */
const followed = kernel(function* exe_followed() {
  const traced = ((yield* load(current(), TASK.utrace_flags)) & FOLLOWED) === FOLLOWED;
  yield* user_mode(20_000);
  yield* claim(traced, "a new task ran before it was traced");
  yield* syscall(do_exit, 0);
});
const unfollowed = kernel(function* exe_unfollowed() {
  yield* user_mode(20_000);
  yield* syscall(do_exit, 0);
});

const starter = kernel(function* exe_starter(data: Ptr) {
  for (let i = 0; i < 2; i++) {
    yield* user_mode(50_000);
    const following = (yield* load(data, FAMILY.following)) !== 0;
    yield* syscall(do_fork, CLONE_THREAD, "exe", following ? followed : unfollowed);
  }
  yield* syscall(do_exit, 0);
});

export const followClone = example(
  "follow-clone",
  "Is every thread that a traced task starts traced before it first runs?",
  ["leak", "hung-task", "use-after-free"],
  (booted) => {
    const { machine } = booted;
    const data = machine.allocStaticStruct(family);
    const ops = placeOps(machine, follow_ops);
    machine.poke(data, FAMILY.ops, ops);
    const task = booted.process({ comm: "exe", pid: 5118, subject: true }, starter, data);
    booted.process({ comm: "follower", pid: 5377 }, tool, booted.getPid(task), ops, data, follow);
  },
);
