/**
 * Lives of objects: of anything from a slab cache, of engines, and of the memory that RCU keeps.
 *
 * These read the steps, not what the implementation says of itself in notes, except where they name the note.
 */
import { TASK, task_struct } from "../model/linux/structs.ts";
import { eventType, SOFTIRQ, STEP } from "../sim/event.ts";
import type { HistoryRow } from "../sim/history.ts";
import { hexPointer, PAGE_SIZE } from "../sim/memory.ts";
import { ALLOC, CALL_RCU, FREE, LOAD, type Ptr, RCU_DEREFERENCE, RCU_READ_LOCK, RCU_READ_UNLOCK } from "../sim/op.ts";
import { allDone, type ObservedRun } from "./observe.ts";
import { Judge, type Property } from "./property.ts";

const whoIs = ({ task, pid, softirq, cpu }: HistoryRow): string => (softirq ? `softirq/${cpu}` : `${task}/${pid}`);
const hex = (pointer: Ptr): string => `0x${hexPointer(pointer)}`;

/**
 * Checks: every free of an object, a struct utrace among others, against the allocation and the free before it.
 * Does not check: the first free of an object that was there before the run began.
 */
export const freedOnce: Property = {
  name: "an object is freed at most once each time it is allocated",
  sometimes: "an object is freed",
  holds({ history }) {
    const judge = new Judge();
    const freed = new Map<Ptr, number>();
    for (const row of history) {
      if (row.kind === ALLOC && row.phase === 0) freed.delete(row.result);
      if (row.kind !== FREE) continue;
      const before = freed.get(row.address);
      judge.expect(
        before === undefined,
        () => `step ${row.step}: ${whoIs(row)} frees ${hex(row.address)}, which was freed in step ${before}`,
      );
      freed.set(row.address, row.step);
    }
    return judge;
  },
};

/**
 * Checks: the notes that engines are attached and freed; once every task is done, that none is left.
 * Does not check: engines whose attach failed, and those of a task that hangs.
 */
export const engineReleasedOnce: Property = {
  name: "an engine is released exactly once",
  sometimes: "an engine is released",
  holds(run) {
    const judge = new Judge();
    const live = new Set<Ptr>();
    for (const { subject, pointer, step, task } of run.notes) {
      if (subject === "engine-attached") live.add(pointer);
      if (subject !== "engine-freed") continue;
      judge.expect(live.delete(pointer), () => `step ${step}: ${task} releases ${hex(pointer)} once more`);
    }
    if (allDone(run)) for (const engine of live) judge.expect(false, () => `${hex(engine)} is never released`);
    return judge;
  },
};

/**
 * Checks: for every object freed by an RCU callback, the read sections that were open when it was queued. A callback
 * is matched with the `rcu_head` queued last in the object's page below a page's length.
 * Does not check: read sections that are there by other means (preemption off, a lock held).
 */
export const memoryOutlivesReaders: Property = {
  name: "an object given to call_rcu is not freed while a read section that was open then is still open",
  sometimes: "an object is freed by RCU that was queued while somebody read",
  holds({ history }) {
    const judge = new Judge();
    const open = new Map<string, { depth: number; since: number }>();
    const queued = new Map<Ptr, Map<string, number>>();
    for (const row of history) {
      const who = whoIs(row);
      if (eventType(row.event) === SOFTIRQ) open.delete(who);
      if (eventType(row.event) !== STEP) continue;
      if (row.kind === RCU_READ_LOCK) {
        const section = open.get(who) ?? { depth: 0, since: row.step };
        open.set(who, { ...section, depth: section.depth + 1 });
      } else if (row.kind === RCU_READ_UNLOCK) {
        const section = open.get(who);
        if (section !== undefined && section.depth > 1) open.set(who, { ...section, depth: section.depth - 1 });
        else open.delete(who);
      } else if (row.kind === CALL_RCU && row.phase === 0) {
        queued.set(row.address, new Map([...open].map(([reader, { since }]) => [reader, since])));
      } else if (row.kind === FREE && row.softirq) {
        const head = headWithin(queued, row.address);
        if (head === undefined) continue;
        const readers = queued.get(head) ?? new Map<string, number>();
        queued.delete(head);
        for (const [reader, since] of readers) {
          judge.expect(
            open.get(reader)?.since !== since,
            () => `step ${row.step}: ${hex(row.address)} is freed; ${reader} has been reading since step ${since}`,
          );
        }
      }
    }
    return judge;
  },
};

/**
 * Checks: loads of `task->utrace` after the struct was freed that it points to, up to when it is given out anew.
 * Does not check: pointers that were taken before, which RCU keeps good; a struct that is a member of its task.
 */
export const structUnreachable: Property = {
  name: "a struct utrace is found by no task once it has been freed",
  sometimes: "task->utrace is looked at after a struct was freed",
  holds(run) {
    const judge = new Judge();
    const freed = new Map<Ptr, number>();
    let said = 0;
    for (const row of run.history) {
      for (; said < run.notes.length; said++) {
        const { step, subject, pointer } = run.notes[said] as ObservedRun["notes"][number];
        if (step > row.step) break;
        if (subject === "struct-freed") freed.set(pointer, step);
        else if (subject === "struct-live") freed.delete(pointer);
      }
      const looks = row.kind === LOAD || row.kind === RCU_DEREFERENCE;
      if (!looks || run.embedded || row.field !== TASK.utrace.id || freed.size === 0) continue;
      const since = freed.get(row.result);
      judge.expect(
        since === undefined || since >= row.step,
        () => `step ${row.step}: ${whoIs(row)} finds ${hex(row.result)}, which was freed in step ${since}`,
      );
    }
    return judge;
  },
};

/**
 * Checks: once every task is done, that each struct utrace that began to live has been freed.
 * Does not check: engines (see above), and structs of a task that hangs.
 */
export const leavesNothing: Property = {
  name: "a task leaves no struct utrace behind",
  sometimes: "a struct is freed, in a run in which every task came to its end",
  holds(run) {
    const judge = new Judge();
    if (!allDone(run)) return judge;
    const live = new Map<Ptr, string>();
    for (const { subject, pointer, step, task } of run.notes) {
      if (subject === "struct-live") live.set(pointer, `${hex(pointer)}, made by ${task} in step ${step},`);
      else if (subject === "struct-freed" && live.delete(pointer)) judge.expect(true, () => "");
    }
    // A member goes with its task, and some tasks are there for good.
    const size = run.layout.sizeOf(task_struct);
    const stays = (utrace: Ptr): boolean =>
      run.embedded && run.tasksLeft.some(({ task }) => utrace >= task && utrace < task + size);
    for (const [utrace, what] of live) judge.expect(stays(utrace), () => `${what} is left behind`);
    return judge;
  },
};

/** The queued `rcu_head` nearest above the start of an object. */
function headWithin(queued: ReadonlyMap<Ptr, unknown>, object: Ptr): Ptr | undefined {
  let nearest: Ptr | undefined;
  for (const head of queued.keys()) {
    if (head < object || head >= object + PAGE_SIZE) continue;
    if (nearest === undefined || head < nearest) nearest = head;
  }
  return nearest;
}
