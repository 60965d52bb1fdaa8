/** From parameters to a program: what all scenarios share. */
import { BootedKernel, kernelMachineOptions } from "../model/boot.ts";
import { observeSpec } from "../model/spec/observer.ts";
import { configUnder, type Lifetime } from "../model/utrace/lifetime.ts";
import { LIFETIMES } from "../model/utrace/lifetimes/index.ts";
import type { Program } from "../sim/index.ts";
import type { Parameters } from "./scenario.ts";

/**
 * Makes a program.
 *
 * @param populate - Adds the scenario's tasks to a booted kernel.
 */
export function world(
  name: string,
  parameters: Parameters,
  populate: (kernel: BootedKernel, parameters: Parameters) => void,
): Program {
  const { config, cpus, checks, stepsMax, patches, memory } = parameters;
  const lifetime = LIFETIMES.get(parameters.lifetime) as Lifetime;
  return {
    name,
    options: {
      config: configUnder(lifetime, config),
      cpus,
      memory,
      checks: new Set(checks),
      stepsMax,
      ...kernelMachineOptions(),
    },
    setup(machine) {
      if (checks.includes("spec")) observeSpec(machine);
      populate(new BootedKernel(machine, { lifetime, patches }), parameters);
    },
  };
}
