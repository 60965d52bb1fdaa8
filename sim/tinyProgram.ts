/** Programs of a few lines and a stage to play them on by hand: what the tests of `sim` are written with. */
import { endOfWorld } from "./checks/end.ts";
import type { Context } from "./context.ts";
import { describeEvent, makeEvent, STEP } from "./event.ts";
import { CHECK_NAMES, type CheckName, type Finding } from "./finding.ts";
import { Machine, type MachineOptions } from "./machine.ts";
import { ARENA } from "./memory.ts";
import type { Ptr } from "./op.ts";
import { execute, type Program, type RunResult } from "./run.ts";
import { formatSchedule, parseSchedule } from "./schedule.ts";
import { RandomStrategy } from "./strategies/random.ts";
import type { Strategy } from "./strategies/strategy.ts";
import type { Field } from "./struct.ts";

export type TinyOptions = Partial<Omit<MachineOptions, "checks">> & { readonly checks?: readonly CheckName[] };

/** A program on two CPUs with kernel preemption and every check, unless `options` say otherwise. */
export const tiny = (setup: (machine: Machine) => void, options: TinyOptions = {}): Program => ({
  name: "tiny",
  options: {
    cpus: 2,
    stepsMax: 2000,
    ...options,
    config: { PREEMPT: true, ...options.config },
    checks: new Set(options.checks ?? CHECK_NAMES),
  },
  setup,
});

/** `random`, deciding anew at every step, however long the stretches are that it would take by itself. */
export function stepwise(seed: number | string): Strategy {
  const random = new RandomStrategy(String(seed));
  return { name: "stepwise", pick: (machine) => random.pick(machine) };
}

/** One run under each of `runs` random schedules, seeds 0 and up. */
export const randomRuns = (program: Program, runs: number): RunResult[] =>
  Array.from({ length: runs }, (_, seed) => execute(program, stepwise(seed)));

/** The findings of {@link randomRuns}, of all runs together. */
export const randomFindings = (program: Program, runs: number): Finding[] =>
  randomRuns(program, runs).flatMap((run) => run.findings);

/** A machine that a test drives by hand, with events named as in the text of a schedule. */
export class Stage {
  readonly machine: Machine;

  constructor(program: Program) {
    this.machine = new Machine(program.options);
    program.setup(this.machine);
    this.machine.boot();
    this.machine.record();
  }

  /** The events that can happen now, as words of a schedule. */
  possible(): string[] {
    const { machine } = this;
    const count = machine.collect();
    return Array.from(machine.events.subarray(0, count), (event) => formatSchedule([event]));
  }

  /** Makes the events of a schedule happen; throws at the first that cannot. */
  play(text: string): this {
    for (const event of parseSchedule(text)) this.apply(event);
    return this;
  }

  /** Steps a CPU until what runs on it asks next for an op of this kind; `phase` is the step of that op. */
  stepTo(cpu: number, kind: number, phase = 0): this {
    for (let steps = 0; steps < 1000; steps++) {
      const context = this.machine.cpus[cpu]?.active();
      if (context?.kind === kind && context.phase === phase) return this;
      this.apply(makeEvent(STEP, cpu, 0));
    }
    throw new Error(`cpu ${cpu} never gets to an op of kind ${kind}`);
  }

  /** Goes on until nothing can happen, always with the first possible event or as `strategy` says; ends the world. */
  toEnd(strategy?: Strategy): this {
    const { machine } = this;
    while (!machine.stopped && machine.collect() > 0) {
      machine.apply(strategy?.pick(machine) ?? (machine.events[0] as number));
    }
    if (!machine.stopped) endOfWorld(machine);
    return this;
  }

  context(comm: string): Context {
    const found = this.machine.contexts.find((context) => context.comm === comm);
    if (found === undefined) throw new Error(`no task ${comm}`);
    return found;
  }

  peek(pointer: Ptr, field: Field): number {
    return this.machine.peek(pointer, field);
  }

  /** Bytes of memory in hexadecimal, blank between them. */
  hex(address: Ptr, length: number): string {
    const at = address - ARENA;
    return Array.from(this.machine.memory.bytes.subarray(at, at + length), (b) => b.toString(16).padStart(2, "0")).join(
      " ",
    );
  }

  titles(): string[] {
    return this.machine.findings.map((finding) => finding.title);
  }

  private apply(event: number): void {
    const { machine } = this;
    const count = machine.collect();
    if (!machine.events.subarray(0, count).includes(event)) {
      throw new Error(`"${describeEvent(event)}" is not possible; possible are: ${this.possible().join(" ")}`);
    }
    machine.apply(event);
  }
}
