/**
 * Tasks of a small world, each bound to a CPU: what is traced and init, which reaps it, to the last CPU but not beyond
 * the second; whoever traces or kills to the first, so that what one gives back another may take.
 */
import type { BootedKernel } from "../../model/boot.ts";
import type { KernelFunction, Ptr } from "../../sim/index.ts";
import { killall } from "./target.ts";
import { type Round, tracer_ops, tracerMain, tracerMemory } from "./tracer.ts";

/** Adds the task that the world is about. */
export function boundTarget<A extends readonly unknown[]>(
  kernel: BootedKernel,
  main: KernelFunction<A, void>,
  ...args: A
): Ptr {
  const { machine } = kernel;
  const other = Math.min(1, machine.cpus.length - 1);
  const task = kernel.process({ comm: "exe", pid: 5118, subject: true }, main, ...args);
  machine.bind(task, other);
  machine.bind(kernel.init, other);
  return task;
}

/** Adds a tracer of one round, and gives the address of its data. */
export function boundTracer(kernel: BootedKernel, pid: number, target: Ptr, round: Round, ops = tracer_ops): Ptr {
  const { machine } = kernel;
  const memory = tracerMemory(machine, ops);
  const pids = [kernel.getPid(target)];
  machine.bind(kernel.process({ comm: "expl_ptratt", pid }, tracerMain, pids, memory.ops, memory.data, 1, round), 0);
  return memory.data;
}

/** Adds who kills the target once. */
export function boundKiller(kernel: BootedKernel, target: Ptr): void {
  const killer = kernel.process({ comm: "killall", pid: 5390 }, killall, [kernel.getPid(target)], 1);
  kernel.machine.bind(killer, 0);
}
