/** A worker thread of a hunt: takes a chunk of runs, gives what they showed. */
import { named, SCENARIOS } from "../scenarios/index.ts";
import { type HuntResult, hunt } from "../sim/hunt.ts";
import type { HuntTask } from "./hunting.ts";

/** Runs one chunk. Called by tinypool; everything in and out can be cloned. */
export default function huntChunk(task: HuntTask): HuntResult {
  const scenario = named(SCENARIOS).find((known) => known.name === task.scenario);
  if (scenario === undefined) throw new Error(`[sim bug] worker knows no scenario "${task.scenario}"`);
  return hunt(scenario.program(task.parameters), task.options);
}
