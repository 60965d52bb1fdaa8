/** The kernel's global variables, as kernel code reaches them: caches, static locks, the reaper of orphans. */
import { type Cache, globalsOf, type Ptr } from "../../sim/index.ts";
import type { UtraceGlobals } from "../utrace/globals.ts";
import { kernel_statics } from "./structs.ts";

export interface KernelGlobals {
  /** Address of the static struct that holds `tasklist_lock`. */
  readonly statics: Ptr;
  readonly task_struct_cachep: Cache;
  readonly signal_cachep: Cache;
  readonly sighand_cachep: Cache;
  readonly pid_cachep: Cache;
  /** `child_reaper`: adopts orphans. */
  readonly child_reaper: Ptr;
  /** Next pid to hand out; a plain counter where the kernel has a bitmap. */
  takePid(): number;
  /** The machine's object at an address: how a function-pointer table is called through. */
  objectOf(address: Ptr): unknown;
  /** `task_curr`: whether a task has a CPU just now. */
  task_curr(task: Ptr): boolean;
  /** Where the machine keeps a task's thread_info. */
  threadInfo(task: Ptr): Ptr;
  /**
   * Whether any task of this world may be ptraced. Where none is, `task->ptrace` is 0 for ever, and looking at it is
   * left out: a step that nobody could tell from none.
   */
  ptracers: boolean;
  /** The trap flag of the running task's user registers: no memory of the kernel, so reading it is no step. */
  trapFlag(task: Ptr): boolean;
  /** `task->vfork_done` of the running task, which only its creator, before its first step, and itself ever write. */
  vforkDone(task: Ptr): Ptr;
  readonly utrace: UtraceGlobals;
}

/** The global variables of the kernel that is running. */
export const globals = globalsOf<KernelGlobals>();

/** The field that `tasklist_lock` is, for the lock primitives: `read_lock(...tasklist())`. */
export const tasklist = (): [Ptr, typeof kernel_statics.fields.tasklist_lock] => [
  globals().statics,
  kernel_statics.fields.tasklist_lock,
];
