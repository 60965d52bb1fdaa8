/** One execution of a program under one schedule: a pure function of the two. */
import { endOfWorld } from "./checks/end.ts";
import type { Finding } from "./finding.ts";
import type { HistoryRow, Note } from "./history.ts";
import { Machine, type MachineOptions } from "./machine.ts";
import type { Strategy } from "./strategies/strategy.ts";

/** A world to run: the machine it needs, and how to fill it before the first step. */
export interface Program {
  readonly name: string;
  readonly options: MachineOptions;
  /** Creates caches, static data and tasks. Runs before every execution, and must do the same each time. */
  setup(machine: Machine): void;
}

export interface RunOptions {
  /** Keeps the history. */
  readonly record?: boolean;
  /** Ends the run as soon as this holds for the findings so far. */
  readonly until?: (findings: readonly Finding[]) => boolean;
  /** Keeps the schedule only if something was found, for who runs many. */
  readonly scheduleOnlyOnFinding?: boolean;
}

export interface RunResult {
  readonly findings: readonly Finding[];
  readonly steps: number;
  readonly historyHash: string;
  /** Empty if not kept; see {@link RunOptions.scheduleOnlyOnFinding}. */
  readonly schedule: Int32Array;
  /** Cut off at the bound on steps, with tasks still running. */
  readonly cutOff: boolean;
  /** Virtual nanoseconds. */
  readonly time: number;
  readonly history: readonly HistoryRow[];
  readonly notes: readonly Note[];
  /** Names of the contexts by index, as schedules number them. */
  readonly contexts: readonly string[];
}

const NO_SCHEDULE = new Int32Array(0);

/**
 * Runs `program` under `strategy`.
 *
 * The run ends with an oops, when nothing can happen any more, or at the bound on steps.
 */
export function execute(program: Program, strategy: Strategy, options: RunOptions = {}): RunResult {
  const machine = new Machine(program.options);
  try {
    program.setup(machine);
    machine.boot();
    if (options.record === true) machine.record();
    const { until } = options;
    const { stepsMax } = program.options;
    let seen = machine.findings.length;
    let cutOff = false;
    while (!machine.stopped) {
      if (machine.collect() === 0) {
        endOfWorld(machine);
        break;
      }
      if (machine.steps >= stepsMax) {
        cutOff = true;
        break;
      }
      const event = strategy.pick(machine);
      machine.apply(event);
      for (let left = strategy.burst ?? 0; left > 0 && machine.canRepeat(event, strategy.steady); left--) {
        machine.apply(event);
      }
      if (machine.findings.length > seen) {
        seen = machine.findings.length;
        if (until?.(machine.findings) === true) break;
      }
    }
    const keep = options.scheduleOnlyOnFinding !== true || machine.findings.length > 0;
    return {
      findings: machine.findings,
      steps: machine.steps,
      historyHash: machine.hash.digest(),
      schedule: keep ? machine.schedule.slice(0, machine.steps) : NO_SCHEDULE,
      cutOff,
      time: machine.now,
      history: machine.history ?? [],
      notes: machine.notes,
      contexts: machine.contexts.map((context) => context.comm),
    };
  } finally {
    machine.release();
  }
}
