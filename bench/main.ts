/**
 * `npm run bench`: the step loop beside its peers, measured in turns in one process; medians are printed.
 *
 * - `hunt`: attach-detach-exec under `random`, all checks on.
 * - `without the spec`: the same, but that nothing is held against the specification.
 * - `bare generators`: generators nested as deep as the kernel code of those runs is on average, resumed and nothing
 *   else: the limit of a design that yields its ops.
 * - `kernel code alone`: the kernel code of such runs, resumed with the results it had, with no machine behind it.
 * - `fc.scheduler`: fast-check's own scheduler over as many tasks, nested as deep, with as many steps in each run.
 *
 * Then memory: the heap after each quarter of a long hunt.
 */
import { spawnSync } from "node:child_process";
import { memoryUsage } from "node:process";
import { fileURLToPath } from "node:url";
import { SCENARIOS } from "../scenarios/index.ts";
import { resolveParameters } from "../scenarios/parameters.ts";
import type { Scenario } from "../scenarios/scenario.ts";
import { hunt, makeStrategy } from "../sim/hunt.ts";
import { CHECK_NAMES } from "../sim/index.ts";
import { execute, type Program } from "../sim/run.ts";
import { bareGenerators } from "./bareGenerators.ts";
import { fastCheckScheduler } from "./fastCheckScheduler.ts";
import { kernelCodeAlone } from "./kernelCodeAlone.ts";

const ROUNDS = 7;
const RUNS_PER_ROUND = 1500;
const PEER_RUNS_PER_ROUND = 12;
const LONG_HUNT = Number(process.env.BENCH_LONG_RUNS ?? 100_000);

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] as number;
}

const range = (values: readonly number[]): string =>
  `${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)}`;

/** Nanoseconds of CPU per step of a piece of work that gives its number of steps; what else runs here counts less so. */
async function nsPerStep(work: () => number | Promise<number>): Promise<number> {
  const before = process.cpuUsage();
  const steps = await work();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / steps;
}

/** Number of tasks and steps of some runs, and how deep their generators nest. */
function shapeOf(program: Program): { depth: number; tasks: number; steps: number } {
  let steps = 0;
  let tasks = 0;
  const sample = 20;
  for (let i = 0; i < sample; i++) {
    const result = execute(program, makeStrategy("random", `bench/${i}`));
    steps += result.steps;
    tasks = result.contexts.length;
  }
  const nesting = spawnSync(process.execPath, [fileURLToPath(new URL("nesting.js", import.meta.url))]);
  return { depth: Math.round(Number(nesting.stdout)), tasks, steps: Math.round(steps / sample) };
}

async function main(): Promise<void> {
  const scenario = SCENARIOS.find((s) => s.name === "attach-detach-exec") as Scenario;
  const program = scenario.program(resolveParameters({}));
  const unspecified = scenario.program(
    resolveParameters({ checks: CHECK_NAMES.filter((name) => name !== "spec").join(",") }),
  );
  const shape = shapeOf(program);
  const { depth, tasks, steps } = shape;
  const options = { strategy: "random", seed: "1", keepGoing: true, kinds: [] } as const;
  const huntRound = (round: number, of = program): number =>
    hunt(of, { ...options, first: round * RUNS_PER_ROUND, runs: RUNS_PER_ROUND }).steps;
  const alone = kernelCodeAlone(program, 300);
  const bare: number[] = [];
  const code: number[] = [];
  const own: number[] = [];
  const noSpec: number[] = [];
  const peer: number[] = [];
  console.log(`runs of attach-detach-exec: ${steps} steps, ${tasks} tasks, ${depth} generators deep on average`);
  for (let round = -1; round < ROUNDS; round++) {
    const figures = [
      await nsPerStep(() => bareGenerators(depth, RUNS_PER_ROUND * steps)),
      await nsPerStep(() => huntRound(round + 1)),
      await nsPerStep(() => huntRound(round + 1, unspecified)),
      await nsPerStep(alone),
      await nsPerStep(() => fastCheckScheduler(tasks, depth, steps, PEER_RUNS_PER_ROUND)),
    ] as const;
    // The first round is the warm-up.
    if (round < 0) continue;
    bare.push(figures[0]);
    own.push(figures[1]);
    noSpec.push(figures[2]);
    code.push(figures[3]);
    peer.push(figures[4]);
  }
  const line = (name: string, ns: readonly number[]): void =>
    console.log(`${name.padEnd(17)} ${median(ns).toFixed(0).padStart(6)} ns/step   (${range(ns)})`);
  line("bare generators", bare);
  line("kernel code alone", code);
  line("hunt", own);
  line("without the spec", noSpec);
  line("fc.scheduler", peer);
  const ratio = (a: readonly number[], b: readonly number[]): string =>
    median(a.map((value, i) => value / (b[i] as number))).toFixed(2);
  console.log(`kernel ops per second in hunt: ${((1e9 / median(own)) | 0).toLocaleString("en")}`);
  console.log(`hunt as a fraction of bare generators: ${ratio(bare, own)} (goal: at least 0.25)`);
  console.log(`hunt as a fraction of its kernel code alone: ${ratio(code, own)}`);
  const share = median(own.map((value, i) => 1 - (noSpec[i] as number) / value));
  console.log(`the specification's share of a hunt: ${(100 * share).toFixed(0)} %`);
  console.log(`fc.scheduler's time over hunt's: ${ratio(peer, own)} (goal: at least 50)`);

  console.log(`memory over ${LONG_HUNT} runs:`);
  for (let quarter = 0; quarter < 4; quarter++) {
    const runs = LONG_HUNT / 4;
    hunt(program, { ...options, first: quarter * runs, runs });
    globalThis.gc?.();
    const { heapUsed, rss } = memoryUsage();
    const mb = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MB`;
    console.log(`  after ${(quarter + 1) * runs} runs: heap ${mb(heapUsed)}, resident ${mb(rss)}`);
  }
}

await main();
