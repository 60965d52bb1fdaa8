import { describe, expect, test } from "vitest";
import { eventCpu, eventType, PREEMPT, STEP } from "../event.ts";
import { seedOfRun } from "../hunt.ts";
import type { Machine } from "../machine.ts";
import { kernel } from "../op.ts";
import { smp_mb } from "../primitives.ts";
import { execute } from "../run.ts";
import { tiny } from "../tinyProgram.ts";
import { chainOfDepth, stepsOfChain } from "./chain.ts";
import { PreemptionBoundedStrategy } from "./preemptionBounded.ts";
import type { Strategy } from "./strategy.ts";

const STEPS = 60;
const works = kernel(function* works() {
  for (let i = 0; i < STEPS / 3; i++) yield* smp_mb();
});
const program = (cpus: number) =>
  tiny(
    (machine) => {
      for (let i = 0; i < 3; i++) machine.spawn(0, { comm: "works" }, works);
    },
    { cpus },
  );

/** Counts the places where a task that could go on has to wait for another. */
class Preemptions implements Strategy {
  readonly name = "preemptions";
  count = 0;
  private running = -1;

  constructor(private readonly followed: Strategy) {}

  pick(machine: Machine): number {
    const event = this.followed.pick(machine);
    const cpu = eventCpu(event);
    const possible = [...machine.events.subarray(0, machine.eventCount)];
    const canGoOn = possible.some((e) => eventType(e) === STEP && indexOn(machine, eventCpu(e)) === this.running);
    if (eventType(event) === PREEMPT) {
      this.count++;
      this.running = -1;
    } else if (eventType(event) === STEP) {
      if (canGoOn && indexOn(machine, cpu) !== this.running) this.count++;
      this.running = indexOn(machine, cpu);
    }
    return event;
  }
}
const indexOn = (machine: Machine, cpu: number): number => machine.cpus[cpu]?.active()?.index ?? -2;

function counts(cpus: number, bound: number, runs: number): number[] {
  return Array.from({ length: runs }, (_, run) => {
    const strategy = new Preemptions(new PreemptionBoundedStrategy(seedOfRun("b", run), bound, STEPS));
    execute(program(cpus), strategy);
    return strategy.count;
  });
}

describe.each([1, 2])("on %d CPUs", (cpus) => {
  test.each([0, 1, 4])("at most %d preemptions, and as many are made", (bound) => {
    const seen = counts(cpus, bound, 200);
    expect(Math.max(...seen)).toBe(bound);
  });
});

test("a bug that needs two changes of task is not found with fewer preemptions than it needs", () => {
  const steps = stepsOfChain(2, 2);
  const found = (bound: number): number => {
    let hits = 0;
    for (let run = 0; run < 500; run++) {
      const strategy = new PreemptionBoundedStrategy(seedOfRun("c", run), bound, steps);
      if (execute(chainOfDepth(2, 2, 1), strategy).findings.length > 0) hits++;
    }
    return hits;
  };
  expect(found(0)).toBe(0);
  expect(found(1)).toBeGreaterThan(0);
});
