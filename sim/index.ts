/**
 * The simulator as a library: declare structs, write kernel code as generators, run it under a strategy.
 *
 * Reading order: `op.ts` (what a step is), `machine.ts`, `run.ts`; then `docs/refcounted-object.ts` for a program.
 */
export { type Cost, costOf } from "./cost.ts";
export {
  exploreMachine,
  type MachineExploration,
  type MachineExploreOptions,
} from "./explore/machine/explore.ts";
export type { Checkpoint } from "./explore/threads/checkpoint.ts";
export { type Exploration, type ExploreOptions, exploreThreads, type Progress } from "./explore/threads/explore.ts";
export type { ExploredFinding, Outcome, Witness } from "./explore/threads/gathered.ts";
export { onMachine } from "./explore/threads/onMachine.ts";
export { replayThreads, type ThreadReplay, type ThreadStep } from "./explore/threads/replay.ts";
export {
  atomicAdd,
  compareExchange,
  exchange,
  increment,
  lock,
  read,
  type ThreadBody,
  type ThreadProgram,
  threadProgram,
  unlock,
  type Variable,
  type World,
  write,
} from "./explore/threads/world.ts";

export {
  CHECK_NAMES,
  type CheckName,
  EXTRA_CHECK_NAMES,
  FINDING_KINDS,
  type Finding,
  type FindingKind,
  findingKey,
} from "./finding.ts";
export {
  type HuntOptions,
  type HuntResult,
  hunt,
  makeStrategy,
  STRATEGY_NAMES,
  type StrategyName,
  seedOfRun,
  type Tuning,
} from "./hunt.ts";
export { atomic_t, kref, list_head, rcu_head, rwlock_t, spinlock_t } from "./kernelStructs.ts";
export { pokeLock } from "./locks.ts";
export { Machine, type MachineOptions } from "./machine.ts";
export { type Measure, measure, tune } from "./measure.ts";
export { container_of, data_race, globalsOf, type Kernel, type KernelFunction, kernel, type Ptr, ref } from "./op.ts";
export * from "./primitives.ts";
export { execute, type Program, type RunOptions, type RunResult } from "./run.ts";
export { formatSchedule, parseSchedule } from "./schedule.ts";
export { shrink } from "./shrink.ts";
export type { Cache } from "./slab.ts";
export { MEMORY_MODELS, type MemoryModel } from "./storeBuffer.ts";
export { GuidedStrategy, ReplayMismatch, ReplayStrategy } from "./strategies/replay.ts";
export type { Strategy } from "./strategies/strategy.ts";
export * from "./struct.ts";
