/**
 * `npm run bench:explore`: executions per second of the search over traces, where the time goes, and how much quicker
 * two workers are than one.
 *
 * The first table is of computing time in one thread: executions and steps of the whole exploration, and how it divides.
 * The same number of steps is taken forwards and backwards with no search over it, with the checks that a step makes
 * (is the memory there, is it freed) and without them; what remains is clocks, races, sleep sets, wakeup trees and
 * noting outcomes. The second table is of time on the clock, from the start of the workers to the result; what else the
 * machine does is in it.
 */

import { exploreThreadsByWorkers } from "../parallel/exploreThreads.ts";
import { Execution } from "../sim/explore/threads/execution.ts";
import { exploreThreads } from "../sim/explore/threads/explore.ts";
import { Places } from "../sim/explore/threads/places.ts";
import { ThreadWorld } from "../sim/explore/threads/threadWorld.ts";
import type { ThreadProgram } from "../sim/index.ts";
import { makeRng } from "../sim/rng.ts";
import { fibonacci, filesystem, indexer, lastzero, readers, writers } from "./threads/programs.ts";

const PROGRAMS = [writers(8), readers(14), lastzero(13), lastzero(15), indexer(15), filesystem(22), fibonacci(5)];

/** Programs that take some seconds: exports of `programs.ts`, and what they are called with. */
const BY_WORKERS: readonly (readonly [string, ...(string | number)[]])[] = [
  ["writers", 10],
  ["readers", 18],
  ["lastzero", 16],
  ["indexer", 17],
  ["filesystem", 26],
  ["againstSpin", "counter", 6],
  ["againstSpin", "refcount", 4],
  ["againstSpin", "philosophers", 16],
  ["againstSpin", "attach", 5],
];

/** Seconds of computing that `work` takes; what else the machine does is not in it. */
function secondsOf(work: () => void): number {
  const before = process.cpuUsage();
  work();
  return process.cpuUsage(before).user / 1e6;
}

/** Takes `steps` steps of executions at random, and takes each of them back. */
function stepsAlone(program: ThreadProgram, steps: number, checks: boolean): void {
  const places = new Places(new Set());
  const execution = new Execution(new ThreadWorld(program, places), places, false, 31);
  if (!checks) Object.assign(execution, { accessible: () => true });
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

const columns = (...cells: readonly [string | number, number][]): string =>
  cells.map(([cell, width], i) => (i === 0 ? String(cell).padEnd(width) : String(cell).padStart(width))).join("");
const percent = (part: number, whole: number): string => `${Math.round((100 * Math.max(0, part)) / whole)} %`;

console.log(
  "program          executions     steps  seconds  executions/s  ns/step    steps   checks   search  in vain",
);
for (const program of PROGRAMS) {
  let executions = 0;
  let steps = 0;
  let sleepBlocked = 0;
  const explored = secondsOf(() => {
    ({ executions, steps, sleepBlocked } = exploreThreads(program));
  });
  const bare = secondsOf(() => stepsAlone(program, steps, false));
  const checked = secondsOf(() => stepsAlone(program, steps, true));
  const line = columns(
    [program.name, 16],
    [executions, 11],
    [steps, 10],
    [explored.toFixed(2), 9],
    [Math.round(executions / explored), 14],
    [Math.round((explored * 1e9) / steps), 9],
    [percent(bare, explored), 9],
    [percent(checked - bare, explored), 9],
    [percent(explored - checked, explored), 9],
    [sleepBlocked, 9],
  );
  console.log(line);
}

console.log("\nprogram          executions  seconds by 1   by 2  times as quick  executions/s by 2");
const module = new URL("./threads/programs.js", import.meta.url).href;
for (const [name, ...args] of BY_WORKERS) {
  const seconds: number[] = [];
  let executions = 0;
  let program = "";
  // Both ways round, and the better of two: who comes first pays for what is cold.
  for (const jobs of [1, 2, 2, 1]) {
    const began = performance.now();
    const { exploration } = await exploreThreadsByWorkers({ module, name, args }, { jobs });
    const took = (performance.now() - began) / 1000;
    ({ executions, program } = exploration);
    seconds[jobs] = Math.min(seconds[jobs] ?? took, took);
  }
  const [, one = 0, two = 0] = seconds;
  const line = columns(
    [program, 16],
    [executions, 11],
    [one.toFixed(2), 14],
    [two.toFixed(2), 7],
    [(one / two).toFixed(2), 16],
    [Math.round(executions / two), 19],
  );
  console.log(line);
}
