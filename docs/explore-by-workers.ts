/** Explores a program with two worker threads, and another in two sittings. `exploring.md` explains it. */
import { exploreThreadsByWorkers } from "../parallel/exploreThreads.ts";
import { exploreThreads } from "../sim/index.ts";
import { increments } from "./increments.ts";

const source = { module: new URL("./increments.js", import.meta.url).href, name: "increments", args: [3, 2] };
const { exploration } = await exploreThreadsByWorkers(source, { jobs: 2 });
const counts = exploration.outcomes.map(({ variables }) => Number(variables.count)).sort();
console.log(
  `${exploration.program}: ${exploration.executions} executions, ${exploration.complete ? "all" : "not all"}`,
);
console.log(`the counter ends at ${counts.join(", ")}`);

const program = increments(2, 3);
const first = exploreThreads(program, { executionsMax: 100 });
console.log(`${program.name}: stopped after ${first.executions} executions`);
if (first.rest !== null) {
  const kept = JSON.stringify(first.rest);
  const second = exploreThreads(program, { resume: JSON.parse(kept) });
  console.log(`gone on with: ${second.executions} executions, ${second.complete ? "all" : "not all"}`);
}
