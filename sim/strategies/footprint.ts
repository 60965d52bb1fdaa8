/**
 * Footprints: what the next step of a thread touches, told without taking it. For strategies that ask whether two steps
 * race, that is, whether their order can matter.
 *
 * A footprint is a range of memory and at most one thing that is no memory: RCU, or a slab cache. It is an
 * estimate for steering a search, not a ground for leaving schedules out: it takes a whole op for each of its steps,
 * and knows nothing of what a check looks at.
 */
import type { Context } from "../context.ts";
import type { Cpu } from "../cpu.ts";
import { FLUSH, INTERRUPT, SOFTIRQ } from "../event.ts";
import { plain_task, rwlock_t, spinlock_t, thread_info } from "../kernelStructs.ts";
import type { Machine } from "../machine.ts";
import { ARENA } from "../memory.ts";
import {
  ALLOC,
  ATOMIC,
  CALL_RCU,
  FREE,
  KICK,
  LOAD,
  RCU_DEREFERENCE,
  RCU_READ_LOCK,
  RCU_READ_UNLOCK,
  READ_LOCK,
  READ_UNLOCK,
  SCHEDULE,
  SPIN_LOCK,
  SPIN_UNLOCK,
  STORE,
  SYNCHRONIZE_RCU,
  UPDATE,
  USER,
  WAIT_INACTIVE,
  WAKE_UP,
  WRITE_LOCK,
  WRITE_UNLOCK,
} from "../op.ts";
import type { Cache } from "../slab.ts";
import type { Field } from "../struct.ts";
import { contextOfThread, cpuOfThread, isOfCpu, isTimer, typeOfThread } from "./threads.ts";

/** What a step touches. Kept by its owner and filled anew for each step. */
export class Footprint {
  /** Addresses from `low` up to, not including, `high`; none if they are equal. */
  low = 0;
  high = 0;
  writes = false;
  /** What else it touches: RCU, or a slab cache; null for nothing. */
  thing: object | null = null;
  /** Whether it changes the thing. */
  changes = false;

  /** Fills in what the next step of a thread touches. */
  ofThread(machine: Machine, thread: number): void {
    this.clear();
    if (!isOfCpu(thread)) {
      const context = machine.contexts[contextOfThread(thread)] as Context;
      if (isTimer(thread)) this.state(machine, context.task, true);
      else if (!context.finished) this.ofContext(machine, context);
      return;
    }
    const { softirq, current } = machine.cpus[cpuOfThread(thread)] as Cpu;
    switch (typeOfThread(thread)) {
      case SOFTIRQ:
        if (softirq === null) this.uses(RCU, true);
        else this.ofContext(machine, softirq);
        break;
      case INTERRUPT:
        if (current !== null) this.flags(machine, current.threadInfo, true);
        break;
      case FLUSH:
        this.flush(machine, cpuOfThread(thread));
        break;
      default:
        break;
    }
  }

  private flush(machine: Machine, cpu: number): void {
    const buffer = machine.buffers?.[cpu];
    if (buffer === undefined || buffer.count === 0) return;
    const { at, size } = buffer.entry(0);
    this.range(at + ARENA, size, true);
  }

  private ofContext(machine: Machine, context: Context): void {
    const { kind, ptr, field } = context;
    switch (kind) {
      case LOAD:
      case RCU_DEREFERENCE:
        this.field(machine, ptr, field, false);
        break;
      case STORE:
      case ATOMIC:
        this.field(machine, ptr, field, true);
        break;
      case UPDATE:
        this.field(machine, ptr, field, context.phase === 1);
        break;
      case SPIN_LOCK:
      case SPIN_UNLOCK:
        this.range(ptr + (machine.offset[field] as number), machine.layout.sizeOf(spinlock_t), true);
        break;
      case READ_LOCK:
      case READ_UNLOCK:
      case WRITE_LOCK:
      case WRITE_UNLOCK:
        this.range(ptr + (machine.offset[field] as number), machine.layout.sizeOf(rwlock_t), true);
        break;
      case SCHEDULE:
        this.state(machine, context.task, false);
        break;
      case WAKE_UP:
        this.state(machine, ptr, true);
        break;
      case WAIT_INACTIVE:
        this.state(machine, ptr, false);
        break;
      case USER:
        this.flags(machine, context.threadInfo, false);
        break;
      case KICK:
        this.flags(machine, machine.threadInfo(ptr), true);
        break;
      case CALL_RCU:
        this.range(ptr + (machine.offset[field] as number), RCU_HEAD_SIZE, true);
        this.uses(RCU, true);
        break;
      case SYNCHRONIZE_RCU:
        this.uses(RCU, true);
        break;
      case RCU_READ_LOCK:
      case RCU_READ_UNLOCK:
        this.uses(RCU, false);
        break;
      case ALLOC:
        this.uses(context.payload as object, true);
        break;
      case FREE:
        this.range(ptr, (context.payload as Cache).size, true);
        this.uses(context.payload as object, true);
        break;
      default:
        break;
    }
  }

  /** Whether the order of two steps with these footprints can matter. */
  racesWith(other: Footprint): boolean {
    if (this.thing !== null && this.thing === other.thing && (this.changes || other.changes)) return true;
    return (this.writes || other.writes) && this.low < other.high && other.low < this.high;
  }

  private clear(): void {
    this.low = 0;
    this.high = 0;
    this.writes = false;
    this.thing = null;
    this.changes = false;
  }

  private uses(thing: object, changes: boolean): void {
    this.thing = thing;
    this.changes = changes;
  }

  private range(low: number, size: number, writes: boolean): void {
    this.low = low;
    this.high = low + size;
    this.writes = writes;
  }

  private field(machine: Machine, pointer: number, field: number, writes: boolean): void {
    this.range(pointer + (machine.offset[field] as number), machine.layout.size[field] as number, writes);
  }

  private state(machine: Machine, task: number, writes: boolean): void {
    this.member(machine, task, machine.options.stateField ?? plain_task.fields.state, writes);
  }

  private flags(machine: Machine, info: number, writes: boolean): void {
    this.member(machine, info, thread_info.fields.flags, writes);
  }

  private member(machine: Machine, pointer: number, { id }: Field, writes: boolean): void {
    if (pointer !== 0) this.field(machine, pointer, id, writes);
  }
}

/** Stands for RCU: its read sections, its callbacks and their grace periods. */
const RCU: object = Object.freeze({});
const RCU_HEAD_SIZE = 16;
