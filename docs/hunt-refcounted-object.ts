/** Hunts in both versions of the refcounted object, and prints what it finds as a kernel would. */
import { interleaving } from "../reports/columns.ts";
import { findingText } from "../reports/findingText.ts";
import { execute, hunt, ReplayStrategy, shrink } from "../sim/index.ts";
import { refcountedObject } from "./refcounted-object.ts";

const RUNS = 5000;

for (const program of [refcountedObject(false), refcountedObject(true)]) {
  const options = { strategy: "random", seed: "1", first: 0, runs: RUNS, keepGoing: false, kinds: [] } as const;
  const { executions, findings } = hunt(program, options);
  const [found] = findings;
  if (found === undefined) {
    console.log(`${program.name}: nothing found in ${executions} runs`);
    continue;
  }
  console.log(`${program.name}: ${found.finding.kind} in run ${found.run}\n`);
  const { schedule } = shrink(program, found.schedule, found.finding);
  const run = execute(program, new ReplayStrategy(schedule), { record: true, until: () => true });
  for (const finding of run.findings) console.log(findingText(finding, program.options.config));
  console.log(`\n${interleaving(run, { width: 132 })}\n`);
}
