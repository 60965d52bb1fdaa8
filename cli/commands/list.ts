/** `list`: what there is to run. */
import { CONFIG_DEFAULTS, EXPERIMENTS, LIFETIMES, PATCHES } from "../../scenarios/parameters.ts";
import type { Scenario } from "../../scenarios/scenario.ts";
import { EXIT_CLEAN } from "../errors.ts";
import type { Io } from "../io.ts";
import { printJson } from "../output/json.ts";

/** Prints the scenarios with their source and what is known of them, then the fixes. */
export function listCommand(io: Io, options: { readonly json?: boolean }): number {
  const scenarios = io.scenarios.map(({ name, title, source, known }) => ({ name, title, source, known }));
  if (options.json === true) {
    printJson(io.stdout, {
      scenarios,
      lifetimes: LIFETIMES,
      patches: PATCHES,
      experiments: EXPERIMENTS,
      config: CONFIG_DEFAULTS,
    });
    return EXIT_CLEAN;
  }
  const named = (all: Readonly<Record<string, string>>): string =>
    Object.entries(all)
      .map(([name, what]) => `${name}\n    ${what}\n`)
      .join("\n");
  io.stdout.write(
    `SCENARIOS\n\n${io.scenarios.map(describe).join("\n")}\nPATCHES (--patches)\n\n${named(PATCHES)}\nEXPERIMENTS (--patches too, but not among all)\n\n${named(EXPERIMENTS)}`,
  );
  return EXIT_CLEAN;
}

const describe = ({ name, title, source, known }: Scenario): string =>
  `${name}\n    ${title}\n    source: ${source}\n    known:  ${known.length === 0 ? "nothing" : known.join(", ")}\n`;
