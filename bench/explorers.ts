/**
 * `npm run bench:explore`: executions per second of the search over traces, and where the time goes.
 *
 * For each program: executions and steps of the whole exploration; how long it takes; how long the same number of steps
 * takes forwards and backwards with no search over it. The rest is clocks, races, sleep sets and wakeup trees. Checks
 * of memory and locks are made in the step itself.
 */

import { Execution } from "../sim/explore/threads/execution.ts";
import { exploreThreads } from "../sim/explore/threads/explore.ts";
import { Places } from "../sim/explore/threads/places.ts";
import { ThreadWorld } from "../sim/explore/threads/threadWorld.ts";
import type { ThreadProgram } from "../sim/index.ts";
import { makeRng } from "../sim/rng.ts";
import { fibonacci, filesystem, indexer, lastzero, readers, writers } from "./threads/programs.ts";

const PROGRAMS = [writers(8), readers(14), lastzero(13), lastzero(15), indexer(15), filesystem(22), fibonacci(5)];

/** Seconds of computing that `work` takes; what else the machine does is not in it. */
function secondsOf(work: () => void): number {
  const before = process.cpuUsage();
  work();
  return process.cpuUsage(before).user / 1e6;
}

/** Takes `steps` steps of executions at random, and takes each of them back. */
function stepsAlone(program: ThreadProgram, steps: number): void {
  const places = new Places(new Set());
  const execution = new Execution(new ThreadWorld(program, places), places, false, 31);
  const rng = makeRng("bench");
  for (let left = steps; left > 0; ) {
    for (let able = execution.enabled(); able !== 0 && left > 0; able = execution.enabled(), left--) {
      let actor = rng.below(31);
      while ((able & (1 << actor)) === 0) actor = (actor + 1) % 31;
      execution.step(actor, 0);
    }
    while (execution.depth > 0) execution.undo();
  }
}

console.log("program          executions     steps  seconds  executions/s  ns/step  of that stepping  in vain");
for (const program of PROGRAMS) {
  let executions = 0;
  let steps = 0;
  let sleepBlocked = 0;
  const explored = secondsOf(() => {
    ({ executions, steps, sleepBlocked } = exploreThreads(program));
  });
  const stepped = secondsOf(() => stepsAlone(program, steps));
  const share = `${Math.round((100 * stepped) / explored)} %`;
  console.log(
    `${program.name.padEnd(16)}${String(executions).padStart(11)}${String(steps).padStart(10)}${explored.toFixed(2).padStart(9)}` +
      `${String(Math.round(executions / explored)).padStart(14)}${String(Math.round((explored * 1e9) / steps)).padStart(9)}` +
      `${share.padStart(18)}${String(sleepBlocked).padStart(9)}`,
  );
}
