/** What can be compared without a search: sizes, memory, costs, and the size of the argument. */
import type { Lifetime } from "../model/utrace/lifetime.ts";
import type { Comparison } from "../reports/comparison.ts";
import { resolveParameters } from "../scenarios/parameters.ts";
import { argumentOf } from "./argument.ts";
import { costsOf } from "./cost.ts";
import { memoryChart } from "./memory.ts";
import { type Build, sizeTable } from "./sizes.ts";

const build = (title: string, options: string): Build => {
  const { config, cpus } = resolveParameters({ config: options });
  return { title, options, config, cpus };
};

/** The kernel that was measured in the mail of 2008-09-03: no lock debugging, two CPUs. */
export const MEASURED = build("the kernel measured on the list (Alexey Dobriyan, 2008-09-03)", "DEBUG_SPINLOCK=n");
/** The kernels that crashed: the first without slub_debug, the others with. */
export const CRASHED = build(
  "the kernel of the crash dump, with lock debugging and lockdep",
  "DEBUG_SPINLOCK=y,LOCKDEP=y",
);
export const POISONED = build("the same under slub_debug, as when poison was overwritten", "LOCKDEP=y,SLUB_DEBUG=y");
/** What would be shipped: no check_dead either. */
export const PLAIN = build("no debugging at all", "DEBUG_SPINLOCK=n,UTRACE_DEBUG=n");

/** The measured kernel, with what ptrace keeps for a task moved into the engine. */
export const PTRACE_MOVED: Build = {
  ...MEASURED,
  title: "the same with ptrace's fields moved from the task into the engine (Christoph Hellwig, 2008-08-30)",
  config: { ...MEASURED.config, PTRACE_IN_ENGINE: true },
};

const TASKS = 1000;

/** Compares these lifetimes. */
export function compareLifetimes(lifetimes: readonly Lifetime[]): Omit<Comparison, "races"> {
  return {
    lifetimes: lifetimes.map(({ name }) => name),
    sizes: [MEASURED, CRASHED, PTRACE_MOVED, POISONED, PLAIN].map((one) => sizeTable(lifetimes, one)),
    memory: [
      memoryChart(lifetimes, { title: `${TASKS} tasks, ${MEASURED.title}`, build: MEASURED, tasks: TASKS }),
      memoryChart(lifetimes, {
        title: `${TASKS} tasks, ${PTRACE_MOVED.title}`,
        build: PTRACE_MOVED,
        baseline: MEASURED,
        tasks: TASKS,
      }),
      memoryChart(lifetimes, { title: `${TASKS} tasks, ${CRASHED.title}`, build: CRASHED, tasks: TASKS }),
    ],
    costConfig: PLAIN.options,
    costs: byPath(lifetimes.map(({ name }) => costsOf(resolveParameters({ lifetime: name, config: PLAIN.options })))),
    arguments: lifetimes.map((lifetime) => argumentOf(lifetime, resolveParameters({ config: PLAIN.options }))),
  };
}

/** One path after the other, each under all lifetimes. */
const byPath = <T>(tables: readonly (readonly T[])[]): T[] =>
  (tables[0] ?? []).flatMap((_, path) => tables.map((table) => table[path] as T));
