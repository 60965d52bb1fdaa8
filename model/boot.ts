/**
 * The world before the first step: caches, static locks, the reaper of orphans, and the tasks that are there already.
 *
 * Nothing here is a step of a run. What a running kernel would have done long ago is simply written into memory.
 */
import {
  forget,
  type KernelFunction,
  kernel,
  list_head,
  type Machine,
  type MachineOptions,
  type Ptr,
  pokeLock,
  rwlock_t,
  spinlock_t,
} from "../sim/index.ts";
import { thread_info } from "../sim/kernelStructs.ts";
import { symbolsFor } from "../sim/machine.ts";
import type { Symbols } from "../sim/symbols.ts";
import { ECHILD } from "./linux/errno.ts";
import { do_wait } from "./linux/exit.ts";
import type { KernelGlobals } from "./linux/globals.ts";
import { KNOWN_SYMBOLS } from "./linux/kallsyms.ts";
import { stateName, TASK_INTERRUPTIBLE, TASK_WAKEKILL, TIF_SIGPENDING, TIF_SINGLESTEP } from "./linux/sched.ts";
import { SIGCHLD, SIGKILL, sigmask } from "./linux/signal.ts";
import {
  ARCH_MIN_TASKALIGN,
  kernel_statics,
  PID,
  pid as pid_struct,
  SIGHAND,
  SIGNAL,
  sighand_struct,
  signal_struct,
  TASK,
  task_struct,
  wait_queue_head_t,
} from "./linux/structs.ts";
import { placeOps, utrace_detached_ops } from "./utrace/engine.ts";
import type { Patch } from "./utrace/globals.ts";
import type { Lifetime } from "./utrace/lifetime.ts";
import { ptrace_utrace_ops } from "./utrace/ptrace.ts";
import { utrace, utrace_attached_engine } from "./utrace/structs.ts";

let symbols: Symbols | undefined;

/** What every machine that runs this model needs besides config, CPUs and checks. */
export function kernelMachineOptions(): Pick<
  MachineOptions,
  "symbols" | "stateField" | "signalPending" | "stateName"
> & { readonly symbols: Symbols } {
  symbols ??= symbolsFor(KNOWN_SYMBOLS);
  return { symbols, stateField: TASK.state, signalPending: signal_pending_state, stateName };
}

/** Whether a task that is about to sleep in `state` must go on because of a signal. @see include/linux/sched.h */
function signal_pending_state(machine: Machine, task: Ptr, state: number): boolean {
  if ((state & (TASK_INTERRUPTIBLE | TASK_WAKEKILL)) === 0) return false;
  const flags = machine.peek(machine.threadInfo(task), thread_info.fields.flags);
  if ((flags & TIF_SIGPENDING) === 0) return false;
  if ((state & TASK_INTERRUPTIBLE) !== 0) return true;
  return (machine.peek(task, TASK.pending.signal) & sigmask(SIGKILL)) !== 0;
}

/** `/sbin/init`: adopts and reaps. Goes back to user mode for good when it has no children left. */
const init = kernel(function* kernel_init() {
  do yield* forget("again");
  while ((yield* do_wait()) !== -ECHILD);
});

/** The pid of the first task that is forked. */
const FIRST_PID = 5400;

export interface BootOptions {
  readonly lifetime: Lifetime;
  readonly patches: readonly string[];
}

/** A booted kernel, to which a scenario adds its tasks. */
export class BootedKernel {
  private readonly g: KernelGlobals;
  /** `/sbin/init`. */
  readonly init: Ptr;

  constructor(
    readonly machine: Machine,
    options: BootOptions,
  ) {
    const m = machine;
    const statics = m.allocStaticStruct(kernel_statics);
    pokeLock(m, statics + (m.offset[kernel_statics.fields.tasklist_lock.id] as number), rwlock_t);
    this.init = m.allocStaticStruct(task_struct);
    this.g = {
      statics,
      task_struct_cachep: m.createCache(task_struct, { align: ARCH_MIN_TASKALIGN }),
      signal_cachep: m.createCache(signal_struct),
      sighand_cachep: m.createCache(sighand_struct, {
        typeStable: (sighand) => pokeLock(m, sighand + (m.offset[SIGHAND.siglock.id] as number), spinlock_t),
      }),
      pid_cachep: m.createCache(pid_struct),
      child_reaper: this.init,
      takePid: () => FIRST_PID + m.takeNumber(),
      objectOf: (address) => m.objectOf(address),
      task_curr: (task) => m.isCurrent(task),
      threadInfo: (task) => m.threadInfo(task),
      ptracers: false,
      trapFlag: (task) => (m.threadFlags(task) & TIF_SINGLESTEP) !== 0,
      vforkDone: (task) => m.peek(task, TASK.vfork_done),
      utrace: {
        utrace_cachep: m.createCache(utrace),
        utrace_engine_cachep: m.createCache(utrace_attached_engine),
        utrace_detached_ops: placeOps(m, utrace_detached_ops),
        ptrace_utrace_ops: 0,
        lifetime: options.lifetime,
        patches: new Set(options.patches as Patch[]),
        archHasSingleStep: true,
        archHasBlockStep: true,
      },
    };
    m.globals = this.g;
    this.fillTask(this.init, { comm: "init", pid: 1 }, 0, m.allocStaticStruct(signal_struct), true);
    m.spawn(this.init, { comm: "init", pid: 1, daemon: true }, init);
    this.setStack(this.init);
  }

  /** Tasks of this world may ptrace each other: task->ptrace is looked at wherever the kernel does. */
  allowPtrace(): void {
    this.g.ptracers = true;
    if (this.machine.options.config.UTRACE_PTRACE === true) {
      this.g.utrace.ptrace_utrace_ops = placeOps(this.machine, ptrace_utrace_ops);
    }
  }

  get globals(): KernelGlobals {
    return this.g;
  }

  /**
   * A process that was started before: a child of init.
   *
   * @param subject - Whether its life is what the scenario is about: then its structs come from their caches and must
   *   be freed by the end. Else they are part of the scenery.
   * @returns its task struct.
   */
  process<A extends readonly unknown[]>(
    who: { readonly comm: string; readonly pid: number; readonly subject?: boolean; readonly daemon?: boolean },
    main: KernelFunction<A, void>,
    ...args: A
  ): Ptr {
    const m = this.machine;
    const subject = who.subject ?? false;
    const task = subject ? m.allocAtBoot(this.g.task_struct_cachep) : m.allocStaticStruct(task_struct);
    const signal = subject ? m.allocAtBoot(this.g.signal_cachep) : m.allocStaticStruct(signal_struct);
    this.fillTask(task, who, subject ? this.init : 0, signal, !subject);
    m.spawn(task, { comm: who.comm, pid: who.pid, daemon: who.daemon ?? false }, main, ...args);
    this.setStack(task);
    return task;
  }

  /** The `struct pid` of a task made by {@link process}, with a reference for the caller to drop with `put_pid`. */
  getPid(task: Ptr): Ptr {
    const pid = this.machine.peek(task, TASK.thread_pid);
    this.machine.poke(pid, PID.count.counter, this.machine.peek(pid, PID.count.counter) + 1);
    return pid;
  }

  private setStack(task: Ptr): void {
    this.machine.poke(task, TASK.stack, this.machine.threadInfo(task));
  }

  private fillTask(
    task: Ptr,
    who: { readonly comm: string; readonly pid: number },
    parent: Ptr,
    signal: Ptr,
    scenery: boolean,
  ): void {
    const m = this.machine;
    const at = (pointer: Ptr, field: { readonly id: number }): Ptr => pointer + (m.offset[field.id] as number);
    const emptyList = (list: Ptr): void => {
      m.poke(list, list_head.fields.next, list);
      m.poke(list, list_head.fields.prev, list);
    };
    const sighand = scenery ? m.allocStaticStruct(sighand_struct) : m.allocAtBoot(this.g.sighand_cachep);
    const pid = scenery ? m.allocStaticStruct(pid_struct) : m.allocAtBoot(this.g.pid_cachep);
    m.poke(pid, PID.count.counter, scenery ? 2 : 1);
    m.poke(pid, PID.nr, who.pid);
    m.poke(pid, PID.task, task);
    m.poke(task, TASK.usage.counter, 2);
    m.poke(task, TASK.pid, who.pid);
    m.poke(task, TASK.tgid, who.pid);
    m.poke(task, TASK.thread_pid, pid);
    m.poke(task, TASK.exit_signal, SIGCHLD);
    m.poke(task, TASK.group_leader, task);
    m.poke(task, TASK.real_parent, parent === 0 ? task : parent);
    m.poke(task, TASK.parent, parent === 0 ? task : parent);
    m.poke(task, TASK.mm, 1);
    m.poke(task, TASK.signal, signal);
    m.poke(task, TASK.sighand, sighand);
    for (const list of [TASK.children, TASK.sibling, TASK.thread_group, TASK.pending.list]) emptyList(at(task, list));
    for (const list of [TASK.ptraced, TASK.ptrace_entry]) emptyList(at(task, list));
    pokeLock(m, at(task, TASK.alloc_lock), spinlock_t);
    m.poke(sighand, SIGHAND.count.counter, 1);
    if (scenery) pokeLock(m, at(sighand, SIGHAND.siglock), spinlock_t);
    m.poke(signal, SIGNAL.count.counter, 1);
    m.poke(signal, SIGNAL.live.counter, 1);
    const queue = at(signal, SIGNAL.wait_chldexit);
    pokeLock(m, at(queue, wait_queue_head_t.fields.lock), spinlock_t);
    emptyList(at(queue, wait_queue_head_t.fields.task_list));
    this.g.utrace.lifetime.boot(m, task);
    if (parent === 0) return;
    const head = at(parent, TASK.children);
    const entry = at(task, TASK.sibling);
    const last = m.peek(head, list_head.fields.prev);
    m.poke(entry, list_head.fields.next, head);
    m.poke(entry, list_head.fields.prev, last);
    m.poke(last, list_head.fields.next, entry);
    m.poke(head, list_head.fields.prev, entry);
  }
}
