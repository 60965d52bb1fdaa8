/**
 * The nearest run that passes: the same as one that shows a finding, up to one choice that is made otherwise.
 *
 * From the last choice backwards, each other event that was possible there is tried; what comes after it is left to
 * whoever runs, without preemption. So the first run found that ends without the finding parts from the other as late
 * as any such run does. Others may pass that part later and then need more choices of their own.
 */
import { eventArgument, eventCpu, eventType, PREEMPT, STEP, SWITCH } from "./event.ts";
import { type Finding, findingKey } from "./finding.ts";
import type { Machine } from "./machine.ts";
import { execute, type Program, type RunResult } from "./run.ts";
import type { Strategy } from "./strategies/strategy.ts";
import { possible, runOn } from "./strategies/towards.ts";

/** A run that passes, and where it parts from the one that does not. */
export interface Passing {
  /** The step at which another event happens. */
  readonly step: number;
  readonly run: RunResult;
  /** Runs it took to find it. */
  readonly tried: number;
}

export interface NearestOptions {
  /** Runs it may take. Default 600. */
  readonly triesMax?: number;
  /** Asked before each run; false ends the search. */
  readonly goesOn?: () => boolean;
}

/**
 * Looks for the nearest run that passes: one with no finding at all if there is one within the budget, else one that
 * has others.
 *
 * @param schedule - Up to the step of `finding`.
 * @returns null if none was found.
 */
export function nearestPassing(
  program: Program,
  schedule: Int32Array,
  finding: Finding,
  { triesMax = 600, goesOn = () => true }: NearestOptions = {},
): Passing | null {
  const key = findingKey(finding);
  const choices = choicesOf(program, schedule, finding.pid);
  let tried = 0;
  let second: Passing | null = null;
  for (let step = schedule.length - 1; step >= 0; step--) {
    for (const event of choices[step] ?? []) {
      if (tried >= triesMax || !goesOn()) return recorded(program, second, tried);
      tried++;
      const made = execute(program, new PartingStrategy(schedule, step, event));
      if (made.cutOff || made.findings.some((one) => findingKey(one) === key)) continue;
      const passing = { step, run: made, tried };
      if (made.findings.length === 0) return recorded(program, passing, tried);
      second ??= passing;
    }
  }
  return recorded(program, second, tried);
}

/** The run again, with its history. */
function recorded(program: Program, passing: Passing | null, tried: number): Passing | null {
  if (passing === null) return null;
  const { step, run } = passing;
  const again = new PartingStrategy(run.schedule, step, run.schedule[step] as number);
  return { step, run: execute(program, again, { record: true }), tried };
}

/** For each step of a schedule, the other events that were possible; those that let the task `pid` go on come first. */
function choicesOf(program: Program, schedule: Int32Array, pid: number): number[][] {
  const choices: number[][] = [];
  const watch: Strategy = {
    name: "choices",
    pick(machine: Machine): number {
      const step = choices.length;
      const taken = schedule[step] as number;
      const others = Array.from(machine.events.subarray(0, machine.eventCount)).filter((event) => event !== taken);
      choices.push(others.sort((a, b) => trouble(machine, a, pid) - trouble(machine, b, pid)));
      return taken;
    },
  };
  execute({ ...program, options: { ...program.options, stepsMax: schedule.length } }, watch);
  return choices;
}

/** How much an event strays from what the task with the finding would do next. */
function trouble(machine: Machine, event: number, pid: number): number {
  const type = eventType(event);
  const subject =
    type === SWITCH
      ? machine.contexts[eventArgument(event)]
      : type === STEP
        ? machine.cpus[eventCpu(event)]?.active()
        : null;
  if (subject != null && !subject.softirq && subject.pid === pid) return 0;
  return type === PREEMPT ? 3 : type === STEP ? 1 : 2;
}

/** Follows a schedule up to a step, takes another event there, and then lets whoever runs run on. */
class PartingStrategy implements Strategy {
  readonly name = "parting";
  private at = 0;
  private last = -1;

  constructor(
    private readonly schedule: Int32Array,
    private readonly step: number,
    private readonly event: number,
  ) {}

  pick(machine: Machine): number {
    const step = this.at++;
    this.last =
      step < this.step ? (this.schedule[step] as number) : step === this.step ? this.event : this.next(machine);
    return this.last;
  }

  /** The CPU that went last goes on while it can. */
  private next(machine: Machine): number {
    const same = eventType(this.last) === STEP ? possible(machine, (event) => event === this.last) : -1;
    return same >= 0 ? same : runOn(machine, () => 0);
  }
}
