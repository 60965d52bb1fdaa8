/**
 * What the full barriers of the posted code are for: each is left out, and the run that it forbids is played under
 * both memory models. Under `sc` it makes no difference.
 *
 * Two pairs matter on x86: the first attach against the reap, and the start of a callback against who detaches or
 * changes events. In the others one side has a locked operation where the barrier stands: EXIT_DEAD is stored by a
 * cmpxchg or under tasklist_lock, whose release is locked, as is exit_state before the death report; and utrace_control
 * takes the siglock between the store of ops and the load of `reporting`.
 */
import { describe, expect, test } from "vitest";
import type { Context } from "../../sim/context.ts";
import { kmem_cache_alloc, kmem_cache_free, type MemoryModel, type Ptr, store } from "../../sim/index.ts";
import { BARRIER, LOAD, MB, STORE } from "../../sim/op.ts";
import { struct, ulong } from "../../sim/struct.ts";
import { syscall, user_mode } from "../linux/entry.ts";
import { EINPROGRESS, IS_ERR } from "../linux/errno.ts";
import { get_task_struct, put_task_struct } from "../linux/sched.ts";
import { do_group_exit } from "../linux/signal.ts";
import { TASK } from "../linux/structs.ts";
import { at, functionNames, loggingOps, named, Play, traced } from "../testProgram.ts";
import { utrace_attach_task } from "./attach.ts";
import { utrace_control, utrace_set_events } from "./control.ts";
import { UTRACE_ATTACH_CREATE, UTRACE_DETACH, UTRACE_EVENT, UTRACE_REPORT, UTRACE_RESUME } from "./events.ts";
import { ENGINE, UTRACE } from "./structs.ts";

interface Variant {
  readonly memory: MemoryModel;
  readonly withoutBarrier: readonly string[];
}
const variants = (name: string): Variant[] =>
  (["sc", "tso"] as const).flatMap((memory) => [[], [name]].map((withoutBarrier) => ({ memory, withoutBarrier })));
/** The run goes wrong only where a store buffer has no barrier behind it. */
const breaks = ({ memory, withoutBarrier }: Variant): boolean => memory === "tso" && withoutBarrier.length > 0;

/** About to make the full barrier of this function. */
const atBarrier =
  (name: string) =>
  (context: Context): boolean =>
    at(BARRIER, undefined, name)(context) && context.mode === MB;

describe("utrace_attach_task stores the pointer, then reads exit_state", () => {
  test.each(variants("utrace_attach_task"))("$memory without $withoutBarrier", (variant) => {
    const play = new Play(variant);
    const dies = named("dies", function* () {
      yield* user_mode(1000);
      yield* syscall(do_group_exit, 0);
    });
    const target = play.process("target", dies);
    play.call(() => get_task_struct(target));
    play.run("init").run("target");
    const ops = play.ops(loggingOps([], "A", { report_reap: 0 }));
    const attach = play.start("attacher", () => utrace_attach_task(target, UTRACE_ATTACH_CREATE, ops, 0));
    // Over the barrier and the load behind it, which finds a zombie; then comes the reap.
    play.run("attacher", atBarrier("utrace_attach_task")).run("attacher", at(LOAD, TASK.exit_state)).step("attacher");
    play.run("init").run("attacher").run("init").run("attacher");
    expect(IS_ERR(attach.result as number)).toBe(false);
    play.call(() => put_task_struct(target));
    play.toEnd();
    // Without the barrier the reap saw no struct utrace, and nobody ever takes it from the dead task.
    const leaks = play.findings().filter((finding) => finding.startsWith("leak: unreferenced object of utrace "));
    expect(leaks.length > 0).toBe(breaks(variant));
  });
});

describe("start_callback stores `reporting`, then reads the engine's flags and ops", () => {
  const DATA_T = struct("tracer_data", { seen: ulong });

  test.each(variants("start_callback"))("a detach meanwhile: $memory without $withoutBarrier", (variant) => {
    let data: Ptr = 0;
    const answers = {
      *report_quiesce() {
        yield* store(data, DATA_T.fields.seen, 1);
        return UTRACE_RESUME;
      },
    };
    const { play, target, engine } = traced({ ...variant, answers, events: UTRACE_EVENT.QUIESCE });
    const cache = play.machine.createCache(DATA_T);
    data = play.call(() => kmem_cache_alloc(cache));
    play.call(() => utrace_control(target, engine, UTRACE_REPORT));
    play
      .flush()
      .run("target", at(STORE, UTRACE.reporting, "start_callback"))
      .flush();
    play.run("target", atBarrier("start_callback")).run("target", at(LOAD, ENGINE.ops)).step("target");
    // Whose detach was not refused may free what his callbacks use.
    const ret = play.call(() => utrace_control(target, engine, UTRACE_DETACH));
    if (ret === 0) play.call(() => kmem_cache_free(cache, data));
    const used = (): boolean => play.machine.findings.some(({ kind }) => kind === "use-after-free");
    play.flush().run("target", () => play.peek(data, DATA_T.fields.seen) === 1 || used());
    expect(ret).toBe(breaks(variant) ? 0 : -EINPROGRESS);
    expect(play.findings()).toEqual(
      breaks(variant)
        ? [
            "spec-divergence: callback-begin: no callback comes after a detach that returned 0 (detached-silent)",
            "use-after-free: BUG: KASAN: use-after-free in A_report_quiesce",
          ]
        : [],
    );
  });
});

describe("utrace_set_events stores the flags, then reads `reporting`", () => {
  test.each(variants("utrace_set_events"))("a callback meanwhile: $memory without $withoutBarrier", (variant) => {
    const { play, target, engine, log } = traced({
      ...variant,
      answers: { report_quiesce: UTRACE_RESUME },
      events: UTRACE_EVENT.QUIESCE,
    });
    play.call(() => utrace_control(target, engine, UTRACE_REPORT));
    // About to say that callbacks begin.
    play
      .flush()
      .run("target", at(STORE, UTRACE.reporting, "start_callback"))
      .flush();
    const setting = play.start("setter", () => utrace_set_events(target, engine, 0));
    // Over the barrier and the load behind it: the flags are new, and no callback is running.
    play.run("setter", atBarrier("utrace_set_events")).run("setter", at(LOAD, UTRACE.reporting)).step("setter");
    play.run("target", (context) => log.length > 0 || !functionNames(context).includes("start_callback"));
    play.run("setter");
    // 0 says that no callback with the old mask is running or to come.
    expect(setting.result).toBe(0);
    expect(log).toEqual(breaks(variant) ? ["A quiesce(0)"] : []);
  });
});
