/**
 * A run with everything that properties look at.
 *
 * A finding is where a kernel goes wrong; what it does afterwards proves nothing. So a run is observed up to its first
 * finding, and the step of the finding is left out. Findings that only come when nothing can happen any more (a task
 * that hangs, a leak) are no such end.
 */
import { TASK } from "../model/linux/structs.ts";
import type { Context } from "../sim/context.ts";
import { eventCpu, eventType, STEP } from "../sim/event.ts";
import type { Note } from "../sim/history.ts";
import {
  execute,
  type Finding,
  type FindingKind,
  type Machine,
  type Program,
  type Ptr,
  type RunResult,
  type Strategy,
} from "../sim/index.ts";
import { USER } from "../sim/op.ts";
import { type Field, type Layout, layoutFor } from "../sim/struct.ts";

/** A step that a task took in user mode. */
export interface UserStep {
  readonly step: number;
  /** `exe/5118`. */
  readonly who: string;
  /** `task->state` just before it. */
  readonly state: number;
}

/** A task that was not done when the run ended. */
export interface TaskLeft {
  readonly who: string;
  /** Its task struct. */
  readonly task: Ptr;
  /** Whether it is one that may stay for good, such as init. */
  readonly daemon: boolean;
}

/** A note with the task that made it; 0 in a softirq. */
export interface SaidNote extends Note {
  readonly by: Ptr;
}

/** What properties see of a run. */
export interface ObservedRun extends Pick<RunResult, "history" | "findings"> {
  readonly notes: readonly SaidNote[];
  /** Every task that there was, by `exe/5118`: its struct. */
  readonly tasks: ReadonlyMap<string, Ptr>;
  readonly userSteps: readonly UserStep[];
  readonly tasksLeft: readonly TaskLeft[];
  /** The run went on until nothing could happen any more. */
  readonly toEnd: boolean;
  /** A struct utrace is a member of every task. */
  readonly embedded: boolean;
  /** Where the fields lie that addresses of the history belong to. */
  readonly layout: Layout;
}

/** The struct that a field at this address lies in. */
export const structOf = ({ layout }: ObservedRun, address: Ptr, field: Field): Ptr =>
  address - (layout.offset[field.id] as number);

/** Whether every task came to its end, but for those that never do. */
export const allDone = ({ toEnd, tasksLeft }: ObservedRun): boolean => toEnd && tasksLeft.every(({ daemon }) => daemon);

/** Findings that come after the last step. */
const AT_THE_END: ReadonlySet<FindingKind> = new Set<FindingKind>(["hung-task", "deadlock", "leak"]);

const whoIs = ({ comm, pid }: Context): string => `${comm}/${pid}`;

/** Another strategy's picks, and a look at the machine before each. */
class Watching implements Strategy {
  readonly name: string;
  readonly userSteps: UserStep[] = [];
  private machine: Machine | null = null;

  constructor(private readonly inner: Strategy) {
    this.name = inner.name;
  }

  pick(machine: Machine): number {
    this.machine = machine;
    const event = this.inner.pick(machine);
    const context = machine.cpus[eventCpu(event)]?.active() ?? null;
    if (eventType(event) === STEP && context !== null && context.kind === USER) {
      const state = machine.peek(context.task, TASK.state);
      this.userSteps.push({ step: machine.steps, who: whoIs(context), state });
    }
    return event;
  }

  tasks(): Map<string, Ptr> {
    const all = (this.machine?.contexts ?? []).filter(({ softirq }) => !softirq);
    return new Map(all.map((context) => [whoIs(context), context.task]));
  }

  tasksLeft(): TaskLeft[] {
    const left = (this.machine?.contexts ?? []).filter((context) => !(context.finished || context.softirq));
    return left.map((context) => ({ who: whoIs(context), task: context.task, daemon: context.daemon }));
  }
}

/**
 * Runs a program that brings `struct task_struct`, and watches.
 *
 * @param pastFindings - Goes on after findings, and keeps what it sees: for runs that are to break a claim.
 */
export function observe(program: Program, strategy: Strategy, pastFindings = false): ObservedRun {
  const watching = new Watching(strategy);
  const until = (findings: readonly Finding[]): boolean => !pastFindings && findings.some(isWrong);
  const notes: SaidNote[] = [];
  const { history, findings, cutOff } = execute(listenedTo(program, notes), watching, { record: true, until });
  const end = pastFindings ? Number.POSITIVE_INFINITY : (findings.find(isWrong)?.step ?? Number.POSITIVE_INFINITY);
  const early = ({ step }: { readonly step: number }): boolean => step < end;
  return {
    history: history.filter(early),
    notes: notes.filter(early),
    tasks: watching.tasks(),
    findings,
    userSteps: watching.userSteps.filter(early),
    tasksLeft: watching.tasksLeft(),
    toEnd: !(cutOff || findings.some(isWrong)),
    embedded: program.options.config.UTRACE_EMBEDDED === true,
    layout: layoutFor(program.options.config),
  };
}

/** A program of which every note is kept, but for those made before its tasks are there. */
const listenedTo = (program: Program, notes: SaidNote[]): Program => ({
  ...program,
  setup(machine) {
    program.setup(machine);
    const inner = machine.onNote;
    machine.onNote = (context, subject, pointer, value) => {
      const by = context.softirq ? 0 : context.task;
      notes.push({ step: machine.steps, task: context.comm, by, subject, pointer, value });
      inner?.(context, subject, pointer, value);
    };
  },
});

const isWrong = ({ kind }: Finding): boolean => !AT_THE_END.has(kind);

/** A run of which nothing is known but what is given: for examples made by hand. */
export const madeUpRun = (known: Partial<ObservedRun>): ObservedRun => ({
  history: [],
  notes: [],
  findings: [],
  userSteps: [],
  tasksLeft: [],
  tasks: new Map(),
  toEnd: true,
  embedded: false,
  layout: layoutFor({}),
  ...known,
});
