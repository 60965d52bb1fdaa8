/** One flow of control of the machine: a task, or a softirq on top of one. */
import type { Ptr, Request } from "./op.ts";

type Frame = Generator<Request, unknown, unknown>;

/** A flow of control: its call stack, the op it asks for next, and what the scheduler knows of it. */
export class Context {
  /** Call stack, innermost last; slots above {@link depth} are stale. */
  readonly frames: Frame[] = [];
  /** Id of the kernel function of each frame. */
  functions: number[] = [];
  depth = -1;
  /** Where its kernel code is, for a machine that has learned it; see explore/machine/kernelCode.ts. */
  place = -1;

  // The op asked for, copied from the request registers.
  kind = 0;
  ptr: Ptr = 0;
  field = -1;
  value = 0;
  mode = 0;
  extra = 0;
  payload: unknown = null;
  /** Which step of the op is next. */
  phase = 0;
  /** What an earlier step of the op left: a ticket, an old value. */
  scratch = 0;

  cpu = 0;
  /** The only CPU it may run on; -1 if there is none such. */
  boundTo = -1;
  preemptCount = 0;
  /** Depth of RCU read sections, and the grace period number when the outermost began. */
  rcuDepth = 0;
  rcuStart = 0;
  onRunqueue = false;
  /** Order of arrival on the run queue. */
  queuedAt = 0;
  timerArmed = false;
  timerExpires = 0;
  finished = false;
  /** Times it was switched out: nvcsw + nivcsw. */
  switches = 0;
  /** Somebody has been told that number, and may compare it with a later one. */
  switchesTold = false;
  /** Whether it was put back on the queue by a preemption, not by its own call. */
  preempted = false;
  stackPointer: Ptr;

  /** Locks held, outermost first: address and field id. */
  readonly heldLock: Ptr[] = [];
  readonly heldField: number[] = [];

  constructor(
    readonly index: number,
    readonly comm: string,
    readonly pid: number,
    /** Address of its task struct. */
    readonly task: Ptr,
    readonly threadInfo: Ptr,
    stackTop: Ptr,
    readonly daemon: boolean,
    readonly softirq: boolean,
  ) {
    this.stackPointer = stackTop;
  }
}
