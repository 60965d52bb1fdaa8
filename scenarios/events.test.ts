/** The machine lists its events anew only when they may have changed; here that is done before every event. */
import { describe, expect, test } from "vitest";
import { Machine, makeStrategy, seedOfRun } from "../sim/index.ts";
import { SCENARIOS } from "./index.ts";
import { resolveParameters } from "./parameters.ts";

const WORLDS = [{}, { memory: "tso" }, { config: "PREEMPT_RCU=y,SLUB_DEBUG=y", cpus: 3 }];
const RUNS = 4;

describe.each(SCENARIOS)("$name", (scenario) => {
  test.each(WORLDS)("has the same events when they are listed anew: %o", (given) => {
    const program = scenario.program(resolveParameters(given));
    let compared = 0;
    for (let run = 0; run < RUNS; run++) {
      const machine = new Machine(program.options);
      program.setup(machine);
      machine.boot();
      const strategy = makeStrategy("random", seedOfRun("events", run));
      while (!machine.stopped && machine.steps < program.options.stepsMax && machine.collect() > 0) {
        const known = machine.events.slice(0, machine.eventCount);
        machine.eventsChanged();
        machine.collect();
        const anew = machine.events.subarray(0, machine.eventCount);
        if (known.length !== anew.length || known.some((event, i) => event !== anew[i])) {
          expect([...known]).toEqual([...anew]);
        }
        compared++;
        machine.apply(strategy.pick(machine));
      }
      machine.release();
    }
    expect(compared).toBeGreaterThan(100);
  });
});
