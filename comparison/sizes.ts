/** The sizes that the thread argued about: of the structs, from their declarations, and of the slabs they are kept in. */
import { ARCH_MIN_TASKALIGN, task_struct } from "../model/linux/structs.ts";
import { type Lifetime, layoutOf } from "../model/utrace/lifetime.ts";
import { utrace, utrace_attached_engine } from "../model/utrace/structs.ts";
import type { CacheSize, LifetimeSizes, SizeTable } from "../reports/comparison.ts";
import { slabGeometry, slotOf } from "../sim/slabGeometry.ts";
import type { AnyStruct, Config } from "../sim/struct.ts";

/** A kernel whose sizes are compared. */
export interface Build {
  readonly title: string;
  /** As `--config` takes it. */
  readonly options: string;
  readonly config: Config;
  readonly cpus: number;
}

/** The cache of a struct under a build and a lifetime; null for no utrace. */
export function cacheSize(declared: AnyStruct, lifetime: Lifetime | null, { config, cpus }: Build): CacheSize {
  const objectSize = layoutOf(lifetime, config).sizeOf(declared);
  const align = declared === task_struct ? ARCH_MIN_TASKALIGN : 8;
  const slot = slotOf(objectSize, { debug: config.SLUB_DEBUG === true, freeBehind: false, align });
  const { order, objects, waste } = slabGeometry(slot.size, cpus);
  return { name: declared.name, objectSize, slabSize: slot.size, order, objectsPerSlab: objects, waste };
}

/** The caches of one lifetime: task_struct, struct utrace where it is one of its own, and the engine. */
export interface Caches {
  readonly task: CacheSize;
  readonly utrace: CacheSize | null;
  readonly engine: CacheSize | null;
}

/** The caches that a kernel with this lifetime has, null for no utrace. */
export function cachesOf(lifetime: Lifetime | null, build: Build): Caches {
  return {
    task: cacheSize(task_struct, lifetime, build),
    utrace: lifetime?.layout.UTRACE_INDIRECT === true ? cacheSize(utrace, lifetime, build) : null,
    engine: lifetime === null ? null : cacheSize(utrace_attached_engine, lifetime, build),
  };
}

function sizesOf(lifetime: Lifetime | null, build: Build): LifetimeSizes {
  const { task, utrace, engine } = cachesOf(lifetime, build);
  const untraced = task.objectSize - cacheSize(task_struct, null, build).objectSize;
  return {
    lifetime: lifetime?.name ?? null,
    caches: [task, utrace, engine].filter((cache) => cache !== null),
    untraced,
    traced: untraced + (utrace?.objectSize ?? 0),
  };
}

/** The table of one build: without utrace, then one lifetime after the other. */
export const sizeTable = (lifetimes: Iterable<Lifetime>, build: Build): SizeTable => ({
  title: build.title,
  config: build.options,
  lifetimes: [null, ...lifetimes].map((lifetime) => sizesOf(lifetime, build)),
});
