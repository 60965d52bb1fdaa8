/**
 * `npm run spec:legal -- --steps N --seed S`: random legal steps, held against the rules of the specification.
 *
 * `--steps` defaults to 1000000, `--seed` to 1. Exit code 1 if one of them is rejected, 2 for bad usage.
 */
import { parseArgs } from "node:util";
import { takeLegalSteps } from "../model/spec/legalSteps.ts";

const USAGE = "usage: npm run spec:legal -- [--steps N] [--seed S], both whole numbers";

function numberOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new TypeError(`"${text}" is no whole number`);
  return Number(text);
}

function main(): number {
  let steps: number;
  let seed: number;
  try {
    const { values } = parseArgs({ options: { steps: { type: "string" }, seed: { type: "string" } } });
    steps = numberOf(values.steps ?? "1000000");
    seed = numberOf(values.seed ?? "1");
  } catch (error) {
    process.stderr.write(`${(error as Error).message.split("\n", 1)[0]}; ${USAGE}\n`);
    return 2;
  }
  const { accepted, types, rejected } = takeLegalSteps(steps, seed);
  for (const [type, count] of [...types].sort(([a], [b]) => (a < b ? -1 : 1))) {
    process.stdout.write(`${String(count).padStart(9)} ${type}\n`);
  }
  process.stdout.write(`${accepted} random legal steps accepted, seed ${seed}\n`);
  if (rejected === null) return 0;
  process.stdout.write(`the next was rejected by ${rejected.rule}: ${JSON.stringify(rejected.event)}\n`);
  return 1;
}

process.exitCode = main();
