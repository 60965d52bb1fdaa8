/**
 * Memory for N tasks of which some are traced, in whole slabs.
 *
 * What is charted is what tracing adds: the bytes of all slabs, less those of the same tasks without utrace. A traced
 * task has one engine. Caches are not merged with others, and every slab but the last of a cache is full.
 */
import type { Lifetime } from "../model/utrace/lifetime.ts";
import type { BreakEven, CacheSize, MemoryChart } from "../reports/comparison.ts";
import { PAGE_SIZE } from "../sim/memory.ts";
import { type Build, type Caches, cachesOf } from "./sizes.ts";

const slabBytes = (cache: CacheSize | null, objects: number): number =>
  cache === null ? 0 : Math.ceil(objects / cache.objectsPerSlab) * (PAGE_SIZE << cache.order);

/** Bytes of all slabs for `tasks` tasks of which `traced` are traced. */
export const memoryFor = ({ task, utrace, engine }: Caches, tasks: number, traced: number): number =>
  slabBytes(task, tasks) + slabBytes(utrace, traced) + slabBytes(engine, traced);

/**
 * From which number of traced tasks on `a` needs more than `b`.
 *
 * @param a - The one that needs less when nobody is traced.
 */
function breakEven(names: readonly [string, string], a: Caches, b: Caches, tasks: number): BreakEven {
  let first: number | null = null;
  let always: number | null = null;
  for (let traced = 0; traced <= tasks; traced++) {
    const more = memoryFor(a, tasks, traced) > memoryFor(b, tasks, traced);
    if (more) {
      first ??= traced;
      always ??= traced;
    } else always = null;
  }
  return { smaller: names[0], larger: names[1], first, always };
}

/** What a chart is of. */
export interface MemoryQuestion {
  readonly title: string;
  readonly build: Build;
  /** What the tasks would need without utrace is reckoned for this one, if it is another. */
  readonly baseline?: Build;
  readonly tasks: number;
}

/** Fractions at which the curves are taken. */
const POINTS = 100;

/** The chart of all lifetimes. */
export function memoryChart(lifetimes: readonly Lifetime[], question: MemoryQuestion): MemoryChart {
  const { title, build, tasks } = question;
  const traced = Array.from({ length: POINTS + 1 }, (_, i) => Math.round((i * tasks) / POINTS));
  const caches = lifetimes.map((lifetime) => ({ name: lifetime.name, caches: cachesOf(lifetime, build) }));
  const clean = memoryFor(cachesOf(null, question.baseline ?? build), tasks, 0);
  const pairs: BreakEven[] = [];
  for (const a of caches) {
    for (const b of caches) {
      if (memoryFor(a.caches, tasks, 0) < memoryFor(b.caches, tasks, 0)) {
        pairs.push(breakEven([a.name, b.name], a.caches, b.caches, tasks));
      }
    }
  }
  return {
    title,
    config: build.options,
    tasks,
    traced,
    curves: caches.map(({ name, caches: own }) => ({
      lifetime: name,
      bytes: traced.map((n) => memoryFor(own, tasks, n) - clean),
    })),
    breakEven: pairs,
  };
}
