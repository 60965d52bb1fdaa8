/**
 * What a comparison of lifetimes has to say: the values that texts, JSON and the page are made of.
 *
 * Lifetimes, structs, paths and worlds are strings here. `utrace-sim compare --json` prints a {@link Comparison}, and
 * its fields are a contract: they stay.
 */

/** Size of one struct and of its slab cache, all in bytes. */
export interface CacheSize {
  /** Struct tag, which is the name of its cache. */
  readonly name: string;
  /** `sizeof`: what SLUB calls object_size. */
  readonly objectSize: number;
  /** Distance from one object to the next: what SLUB calls slab_size. */
  readonly slabSize: number;
  /** A slab is 2^order pages. */
  readonly order: number;
  readonly objectsPerSlab: number;
  /** Bytes of a slab that are in no slot. */
  readonly waste: number;
}

/** The caches that one lifetime needs. */
export interface LifetimeSizes {
  /** null for a kernel without utrace. */
  readonly lifetime: string | null;
  readonly caches: readonly CacheSize[];
  /** Bytes that a task has more than without utrace, before rounding; untraced, and traced. */
  readonly untraced: number;
  readonly traced: number;
}

/** The table of sizes under one kernel config. */
export interface SizeTable {
  readonly title: string;
  /** As `--config` takes it. */
  readonly config: string;
  readonly lifetimes: readonly LifetimeSizes[];
}

/** One line of a chart of memory. */
export interface MemoryCurve {
  readonly lifetime: string;
  /** Bytes more than a kernel without utrace needs for the same tasks, for each of {@link MemoryChart.traced}. */
  readonly bytes: readonly number[];
}

/** From how many traced tasks on one lifetime needs more memory than another. */
export interface BreakEven {
  readonly smaller: string;
  readonly larger: string;
  /** Fewest traced tasks with which `smaller` (when few are traced) needs more than `larger`; null if it never does. */
  readonly first: number | null;
  /** The same, for good: from here on it always does. */
  readonly always: number | null;
}

/** Memory for a number of tasks, of which a part is traced. */
export interface MemoryChart {
  readonly title: string;
  readonly config: string;
  readonly tasks: number;
  /** Numbers of traced tasks at which the curves are taken. */
  readonly traced: readonly number[];
  readonly curves: readonly MemoryCurve[];
  readonly breakEven: readonly BreakEven[];
}

/** What one path costs under one lifetime, when nobody is in the way. */
export interface Cost {
  readonly path: string;
  readonly what: string;
  readonly lifetime: string;
  readonly ops: number;
  readonly loads: number;
  readonly stores: number;
  /** Instructions with a lock prefix: atomic ops, and the taking of locks. */
  readonly atomics: number;
  readonly locks: number;
  readonly barriers: number;
  readonly rcuSections: number;
  readonly rcuCallbacks: number;
  readonly allocations: number;
  readonly frees: number;
  /** Cache lines of 64 bytes touched, the task's own stack left out. */
  readonly cacheLines: number;
  /** Ops that follow after a grace period. */
  readonly deferredOps: number;
}

/** How much there is to know about one lifetime. */
export interface Argument {
  readonly lifetime: string;
  readonly summary: string;
  /** Loops that go round again because the struct was replaced or is gone. */
  readonly retryLoops: readonly string[];
  /** What a caller, or the core, must know to be right. */
  readonly rules: readonly string[];
  /** Places that touch the struct without its lock on an uncontended walk: `function: struct->field`. */
  readonly unlocked: readonly string[];
  /** Reachable states of a fixed small world (a task that exits, one attach and detach, one reap), and their bounds. */
  readonly states: number;
  readonly statesBounds: string;
}

/** One distinct finding of a search. */
export interface RaceFinding {
  readonly kind: string;
  readonly function: string;
  readonly title: string;
  /** Runs that showed it. */
  readonly count: number;
  /** Path of the saved repro file. */
  readonly repro: string;
}

/** What is known of one world under one lifetime. Nothing here says that a world is free of races. */
export interface RaceCell {
  readonly lifetime: string;
  readonly verdict: "found" | "none-found" | "ruled-out";
  /** Runs of the search. */
  readonly runs: number;
  /** Bounds within which exploration was complete, where the verdict is `ruled-out`. */
  readonly bounds: string | null;
  readonly findings: readonly RaceFinding[];
}

/** A scenario under one set of parameters, or an entry of the corpus, with what each lifetime makes of it. */
export interface RaceRow {
  readonly scenario: string;
  /** The parameters that are not defaults, as the command line takes them. */
  readonly options: string;
  /** Name of the corpus entry, null for a scenario on its own. */
  readonly entry: string | null;
  /** What the corpus entry is about: only this is looked for in its row. */
  readonly finding: { readonly kind: string; readonly function: string } | null;
  readonly cells: readonly RaceCell[];
}

/** Everything that is compared. */
export interface Comparison {
  readonly lifetimes: readonly string[];
  readonly sizes: readonly SizeTable[];
  readonly memory: readonly MemoryChart[];
  /** Config under which {@link costs} were counted. */
  readonly costConfig: string;
  readonly costs: readonly Cost[];
  readonly arguments: readonly Argument[];
  readonly races: {
    readonly runs: number;
    readonly seed: string;
    readonly rows: readonly RaceRow[];
  };
}
