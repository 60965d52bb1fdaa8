/**
 * Thread programs: what they declare, and the world in which they declare it.
 *
 * A thread program is a few threads over shared memory, nothing else: no CPUs, no preemption, no interrupts. Each
 * thread may take its next step at any moment, as if it had a CPU of its own. That is the world in which "every
 * schedule" means every interleaving, and it is what {@link exploreThreads} covers. The same program runs on the full
 * machine too, see `onMachine.ts`.
 */
import { spinlock_t } from "../../kernelStructs.ts";
import type { Kernel, KernelFunction, Ptr, Request } from "../../op.ts";
import {
  add,
  atomic_add_return,
  cmpxchg,
  load,
  type SpawnOptions,
  spin_lock,
  spin_unlock,
  store,
  xchg,
} from "../../primitives.ts";
import type { Cache } from "../../slab.ts";
import { type AnyStruct, type Config, type Field, long, type Struct, struct } from "../../struct.ts";

/** A place in memory: an address and what lies there. */
export interface Variable {
  readonly name: string;
  readonly ptr: Ptr;
  readonly field: Field;
}

/** The body of a thread; what it returns is part of the outcome. */
export type ThreadBody = () => Generator<Request, unknown, unknown>;

/** What a program can do before its first step. */
export interface World {
  readonly config: Config;
  /** The program's global variables, as `globalsOf` hands them out. */
  globals: unknown;
  /** A named variable of eight bytes; its final value is part of the outcome. */
  variable(name: string, initial?: number): Variable;
  /** `length` variables `name[0]`, `name[1]`, ... */
  array(name: string, length: number, initial?: number): Variable[];
  /** A spinlock. */
  lock(name: string): Variable;
  /** A thread that runs `body`. */
  thread(name: string, body: ThreadBody): void;
  /** As `thread`, for a kernel function; gives the address of the task struct, which `wake_up_state` wants. */
  spawn<A extends readonly unknown[]>(task: Ptr, options: SpawnOptions, main: KernelFunction<A, void>, ...args: A): Ptr;
  /** A zeroed static struct. */
  allocStaticStruct(declared: AnyStruct): Ptr;
  /** A slab cache of such structs. */
  createCache(declared: AnyStruct): Cache;
  /** An object that is there from the beginning. */
  allocAtBoot(cache: Cache): Ptr;
  /** Writes and reads fields without a step. */
  poke(pointer: Ptr, field: Field, value: number): void;
  peek(pointer: Ptr, field: Field): number;
}

/** A program of threads. */
export interface ThreadProgram {
  readonly name: string;
  /** Kernel config; only what struct layouts depend on matters here. */
  readonly config?: Config;
  /** Declares variables and threads. Must do the same each time. */
  setup(world: World): void;
}

/** Names a setup function. */
export const threadProgram = (name: string, setup: (world: World) => void): ThreadProgram => ({ name, setup });

const variableStructs = new Map<string, Struct<{ readonly value: typeof long }>>();
const lockStructs = new Map<string, Struct<{ readonly lock: typeof spinlock_t }>>();

/** The struct behind a variable: one for each name, so that reports can name it. */
export function variableStruct(name: string): Struct<{ readonly value: typeof long }> {
  let declared = variableStructs.get(name);
  if (declared === undefined) {
    declared = struct(name, { value: long });
    variableStructs.set(name, declared);
  }
  return declared;
}

/** The struct behind a lock. */
export function lockStruct(name: string): Struct<{ readonly lock: typeof spinlock_t }> {
  let declared = lockStructs.get(name);
  if (declared === undefined) {
    declared = struct(name, { lock: spinlock_t });
    lockStructs.set(name, declared);
  }
  return declared;
}

/** Plain access to a variable. */
export const read = (variable: Variable): Kernel<number> => load(variable.ptr, variable.field);
export const write = (variable: Variable, value: number): Kernel<void> => store(variable.ptr, variable.field, value);
/** Reads, adds and writes: two steps. Gives the new value. */
export const increment = (variable: Variable, by = 1): Kernel<number> => add(variable.ptr, variable.field, by);
/** Locked operations: one step each, and a full barrier. `atomicAdd` gives the new value, the others the old one. */
export const atomicAdd = (variable: Variable, by: number): Kernel<number> =>
  atomic_add_return(variable.ptr, variable.field, by);
export const exchange = (variable: Variable, value: number): Kernel<number> =>
  xchg(variable.ptr, variable.field, value);
export const compareExchange = (variable: Variable, expected: number, value: number): Kernel<number> =>
  cmpxchg(variable.ptr, variable.field, expected, value);
/** Takes and releases a lock. */
export const lock = (variable: Variable): Kernel<void> => spin_lock(variable.ptr, variable.field);
export const unlock = (variable: Variable): Kernel<void> => spin_unlock(variable.ptr, variable.field);
