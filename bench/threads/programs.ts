/**
 * The programs of `bench/spin/`, as threads: the same shared steps in the same order, and the literature's programs for
 * counting executions.
 */

import {
  atomicAdd,
  BUG_ON,
  type Cache,
  compareExchange,
  current,
  globalsOf,
  increment,
  kernel,
  kmem_cache_alloc,
  kmem_cache_free,
  load,
  lock,
  type Ptr,
  ptr,
  read,
  schedule,
  spin_lock,
  spin_unlock,
  spinlock_t,
  store,
  struct,
  type ThreadProgram,
  threadProgram,
  u32,
  unlock,
  type Variable,
  wake_up_state,
  write,
} from "../../sim/index.ts";
import { plain_task } from "../../sim/kernelStructs.ts";

/** A family of programs: one for each size, and where it makes sense one with a bug. */
export interface Family {
  readonly name: string;
  /** @param n - Its size. */
  readonly program: (n: number, broken: boolean) => ThreadProgram;
  readonly hasBroken: boolean;
}

/** N threads increment a counter under a lock, once each. */
const counter: Family = {
  name: "counter",
  hasBroken: false,
  program: (n) =>
    threadProgram(`counter(${n})`, (world) => {
      const held = world.lock("held");
      const x = world.variable("x");
      const done = world.variable("done");
      for (let i = 0; i < n; i++) {
        world.thread(`thread${i}`, function* () {
          yield* lock(held);
          yield* write(x, (yield* read(x)) + 1);
          yield* unlock(held);
          const last = (yield* atomicAdd(done, 1)) === n;
          if (last) yield* BUG_ON((yield* read(x)) !== n, "x != N", "counter");
        });
      }
    }),
};

const obj = struct("obj", { refs: u32 });
const OBJ = obj.fields;

/** A refcounted object: N readers look it up, use it and put it, the owner unpublishes it. */
const refcount: Family = {
  name: "refcount",
  hasBroken: true,
  program: (n, broken) =>
    threadProgram(`refcount(${n})`, (world) => {
      const held = world.lock("held");
      const cache = world.createCache(obj);
      const object = world.allocAtBoot(cache);
      world.poke(object, OBJ.refs, 1);
      const slot = world.variable("slot", object);
      const refs: Variable = { name: "refs", ptr: object, field: OBJ.refs };
      const put = kernel(function* put() {
        if ((yield* atomicAdd(refs, -1)) === 0) yield* kmem_cache_free(cache, object);
      });
      for (let i = 0; i < n; i++) {
        world.thread(`reader${i}`, function* () {
          yield* lock(held);
          const found = yield* read(slot);
          if (broken) yield* unlock(held);
          if (found !== 0) yield* atomicAdd(refs, 1);
          if (!broken) yield* unlock(held);
          if (found === 0) return;
          yield* load(object, OBJ.refs);
          yield* put();
        });
      }
      world.thread("owner", function* () {
        yield* lock(held);
        yield* write(slot, 0);
        yield* unlock(held);
        yield* put();
      });
    }),
};

/** N philosophers, one meal each. Broken: all of them take the left fork first. */
const philosophers: Family = {
  name: "philosophers",
  hasBroken: true,
  program: (n, broken) =>
    threadProgram(`philosophers(${n})`, (world) => {
      const forks = Array.from({ length: n }, (_, i) => world.lock(`fork${i}`));
      for (let i = 0; i < n; i++) {
        const turned = !broken && i === n - 1;
        const one = forks[turned ? 0 : i] as Variable;
        const two = forks[turned ? n - 1 : (i + 1) % n] as Variable;
        world.thread(`philosopher${i}`, function* () {
          yield* lock(one);
          yield* lock(two);
          yield* unlock(two);
          yield* unlock(one);
        });
      }
    }),
};

const traced = struct("traced", { utrace: ptr, alloc_lock: spinlock_t });
const TRACED = traced.fields;
const tracing = struct("tracing", { lock: spinlock_t, stopped: u32, engines: u32 });
const TRACING = tracing.fields;

const attachGlobals = globalsOf<{ task: Ptr; sleeper: Ptr; cache: Cache; broken: boolean }>();

const tracer = kernel(function* tracer() {
  const { task, cache, sleeper } = attachGlobals();
  yield* spin_lock(task, TRACED.alloc_lock);
  let utrace = yield* load(task, TRACED.utrace);
  if (utrace === 0) {
    utrace = yield* kmem_cache_alloc(cache);
    yield* store(utrace, TRACING.engines, 1);
    yield* store(task, TRACED.utrace, utrace);
  } else yield* store(utrace, TRACING.engines, (yield* load(utrace, TRACING.engines)) + 1);
  yield* spin_unlock(task, TRACED.alloc_lock);
  yield* spin_lock(task, TRACED.alloc_lock);
  const left = (yield* load(utrace, TRACING.engines)) - 1;
  yield* store(utrace, TRACING.engines, left);
  if (left === 0) {
    yield* spin_lock(utrace, TRACING.lock);
    if ((yield* load(utrace, TRACING.stopped)) !== 0) {
      yield* store(utrace, TRACING.stopped, 0);
      yield* wake_up_state(sleeper, 1);
    }
    yield* store(task, TRACED.utrace, 0);
    yield* spin_unlock(utrace, TRACING.lock);
    yield* kmem_cache_free(cache, utrace);
  }
  yield* spin_unlock(task, TRACED.alloc_lock);
});

const target = kernel(function* target() {
  const { task, broken } = attachGlobals();
  yield* spin_lock(task, TRACED.alloc_lock);
  const before = yield* load(task, TRACED.utrace);
  if (before === 0) {
    yield* spin_unlock(task, TRACED.alloc_lock);
    return;
  }
  yield* spin_lock(before, TRACING.lock);
  yield* store(before, TRACING.stopped, 1);
  yield* store(current(), plain_task.fields.state, 1);
  yield* spin_unlock(before, TRACING.lock);
  yield* spin_unlock(task, TRACED.alloc_lock);
  yield* schedule();
  if (broken) {
    yield* load(before, TRACING.stopped);
    return;
  }
  yield* spin_lock(task, TRACED.alloc_lock);
  const after = yield* load(task, TRACED.utrace);
  if (after !== 0) yield* load(after, TRACING.stopped);
  yield* spin_unlock(task, TRACED.alloc_lock);
});

/** Attach and detach by N tracers, and a target that stops. Broken: it looks at the struct that it had before. */
const attach: Family = {
  name: "attach",
  hasBroken: true,
  program: (n, broken) =>
    threadProgram(`attach(${n})`, (world) => {
      const task = world.allocStaticStruct(traced);
      const cache = world.createCache(tracing);
      const sleeper = world.allocStaticStruct(plain_task);
      world.globals = { task, cache, sleeper, broken };
      for (let i = 0; i < n; i++) world.spawn(0, { comm: `tracer${i}` }, tracer);
      world.spawn(sleeper, { comm: "target" }, target);
    }),
};

/** The programs that are held against Spin. */
export const AGAINST_SPIN: readonly Family[] = [counter, refcount, philosophers, attach];

/** One of them, by name. @throws Error if there is none of that name. */
export function againstSpin(name: string, n: number, broken = false): ThreadProgram {
  const family = AGAINST_SPIN.find((known) => known.name === name);
  if (family === undefined) throw new Error(`no family ${name}`);
  return family.program(n, broken);
}

/** N writers to one variable: N! executions. */
export const writers = (n: number): ThreadProgram =>
  threadProgram(`writers(${n})`, (world) => {
    const x = world.variable("x");
    for (let i = 0; i < n; i++) {
      world.thread(`writer${i}`, function* () {
        yield* write(x, i + 1);
      });
    }
  });

/** One writer of x, N readers that each write a cell of their own: 2^N executions. */
export const readers = (n: number): ThreadProgram =>
  threadProgram(`readers(${n})`, (world) => {
    const x = world.variable("x");
    const cells = world.array("cell", n);
    world.thread("writer", function* () {
      yield* write(x, 1);
    });
    for (const [i, cell] of cells.entries()) {
      world.thread(`reader${i}`, function* () {
        yield* write(cell, yield* read(x));
      });
    }
  });

/** N+1 cells; writer i sets cell i to cell i-1 plus one, a reader goes down from cell N to the first zero. */
export const lastzero = (n: number): ThreadProgram =>
  threadProgram(`lastzero(${n})`, (world) => {
    const cells = world.array("cell", n + 1);
    const cell = (i: number): Variable => cells[i] as Variable;
    world.thread("reader", function* () {
      let i = n;
      while ((yield* read(cell(i))) !== 0) i--;
      return i;
    });
    for (let i = 1; i <= n; i++) {
      world.thread(`writer${i}`, function* () {
        yield* write(cell(i), (yield* read(cell(i - 1))) + 1);
      });
    }
  });

/** Threads that put four values each into a hash table of 128 slots; from 12 threads on some of them clash: 8^(N-11). */
export const indexer = (n: number): ThreadProgram =>
  threadProgram(`indexer(${n})`, (world) => {
    const SIZE = 128;
    const MESSAGES = 4;
    const table = world.array("table", SIZE);
    for (let t = 0; t < n; t++) {
      world.thread(`thread${t}`, function* () {
        for (let m = 0; m < MESSAGES; m++) {
          const value = (m + 1) * 11 + t;
          let at = (value * 7) % SIZE;
          while ((yield* compareExchange(table[at] as Variable, 0, value)) !== 0) at = (at + 1) % SIZE;
        }
      });
    }
  });

/** Two threads add to each other's Fibonacci number, N times each. */
export const fibonacci = (n: number): ThreadProgram =>
  threadProgram(`fib_bench(${n})`, (world) => {
    const one = world.variable("one", 1);
    const two = world.variable("two", 1);
    for (const [name, mine, other] of [
      ["first", one, two],
      ["second", two, one],
    ] as const) {
      world.thread(name, function* () {
        for (let i = 0; i < n; i++) yield* write(mine, (yield* read(mine)) + (yield* read(other)));
      });
    }
  });

/** N threads that each take the lock of an inode and, if it has no block yet, look for a free one. */
export const filesystem = (n: number): ThreadProgram =>
  threadProgram(`filesystem(${n})`, (world) => {
    const INODES = 32;
    const BLOCKS = 26;
    const inodes = world.array("inode", INODES);
    const busy = world.array("busy", BLOCKS);
    const inodeLocks = Array.from({ length: INODES }, (_, i) => world.lock(`locki${i}`));
    const blockLocks = Array.from({ length: BLOCKS }, (_, i) => world.lock(`lockb${i}`));
    for (let t = 0; t < n; t++) {
      world.thread(`thread${t}`, function* () {
        const i = t % INODES;
        yield* lock(inodeLocks[i] as Variable);
        if ((yield* read(inodes[i] as Variable)) === 0) {
          let b = (i * 2) % BLOCKS;
          for (;;) {
            yield* lock(blockLocks[b] as Variable);
            if ((yield* read(busy[b] as Variable)) === 0) {
              yield* write(busy[b] as Variable, 1);
              yield* write(inodes[i] as Variable, b + 1);
              yield* unlock(blockLocks[b] as Variable);
              break;
            }
            yield* unlock(blockLocks[b] as Variable);
            b = (b + 1) % BLOCKS;
          }
        }
        yield* unlock(inodeLocks[i] as Variable);
      });
    }
  });

/** Two threads that increment a shared counter without a lock, N times each. */
export const lostUpdates = (n: number): ThreadProgram =>
  threadProgram(`lost_updates(${n})`, (world) => {
    const x = world.variable("x");
    for (const name of ["one", "two"]) {
      world.thread(name, function* () {
        for (let i = 0; i < n; i++) yield* increment(x);
      });
    }
  });
