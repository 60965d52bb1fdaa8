/**
 * `npm run bench:spin`: the search over states beside Spin, on the models in `bench/spin/`, in turns in one run.
 *
 * For each program and size: the verdict of both, states, and seconds of wall time from source to verdict. For Spin
 * that is generating the verifier, compiling it (`gcc -O2`, partial order reduction on, as is the default) and running
 * it; the time of the run alone stands beside it. For ours it is starting node and exploring. Sizes go up until Spin's
 * run takes longer than BENCH_SPIN_SECONDS (default 10; 120 for the whole table).
 *
 * Needs `spin` and `gcc` (Debian packages of these names).
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { AGAINST_SPIN, type Family } from "./threads/programs.ts";

const SECONDS_MAX = Number(process.env.BENCH_SPIN_SECONDS ?? 10);
const SIZES = [2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14];
/** Thousands of steps of depth, and log2 of hash slots, that Spin gets: enough for every size here. */
const PAN_FLAGS = ["-m1000000", "-w24"];

interface Timed {
  readonly text: string;
  readonly seconds: number;
  readonly ended: boolean;
}

function run(command: string, args: readonly string[], cwd: string, timeout?: number): Timed {
  const began = process.hrtime.bigint();
  const done = spawnSync(command, args, { cwd, encoding: "utf8", ...(timeout === undefined ? {} : { timeout }) });
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  if (done.error !== undefined && !("code" in done.error && done.error.code === "ETIMEDOUT")) throw done.error;
  return { text: `${done.stdout}${done.stderr}`, seconds, ended: done.error === undefined };
}

interface SpinResult {
  readonly verdict: string;
  readonly states: number;
  readonly total: number;
  readonly alone: number;
}

function spin(model: string, n: number, broken: boolean, folder: string): SpinResult | null {
  const defines = [`-DN=${n}`, ...(broken ? ["-DBROKEN"] : [])];
  const generated = run("spin", ["-a", ...defines, model], folder);
  const compiled = run("gcc", ["-O2", "-w", "-o", "pan", "pan.c"], folder);
  const verified = run(join(folder, "pan"), PAN_FLAGS, folder, SECONDS_MAX * 1000);
  if (!verified.ended) return null;
  const errors = /errors: (\d+)/.exec(verified.text)?.[1];
  if (errors === undefined) throw new Error(`Spin did not run: ${verified.text}`);
  const states = Number(/(\d+) states, stored/.exec(verified.text)?.[1]);
  const total = generated.seconds + compiled.seconds + verified.seconds;
  return { verdict: errors === "0" ? "held" : "violated", states, total, alone: verified.seconds };
}

function ours(family: Family, n: number, broken: boolean): SpinResult {
  const script = fileURLToPath(new URL("threads/explore.js", import.meta.url));
  const words = [script, family.name, String(n), ...(broken ? ["broken"] : [])];
  const done = run(process.execPath, words, tmpdir());
  const { verdict, states, searchMs } = JSON.parse(done.text) as { verdict: string; states: number; searchMs: number };
  return { verdict, states, total: done.seconds, alone: searchMs / 1000 };
}

const cell = (text: string | number, width: number): string => String(text).padStart(width);
const seconds = (value: number): string => value.toFixed(2);

const folder = mkdtempSync(join(tmpdir(), "spin-"));
try {
  console.log("program               N  verdict           states       from source       search alone    ratio");
  console.log("                         Spin     ours     Spin    ours    Spin    ours    Spin    ours  Spin/ours");
  for (const family of AGAINST_SPIN) {
    for (const broken of family.hasBroken ? [false, true] : [false]) {
      const model = fileURLToPath(new URL(`../../bench/spin/${family.name}.pml`, import.meta.url));
      for (const n of SIZES) {
        const theirs = spin(model, n, broken, folder);
        if (theirs === null) break;
        const mine = ours(family, n, broken);
        console.log(
          `${`${family.name}${broken ? ", broken" : ""}`.padEnd(21)}${cell(n, 2)}  ${theirs.verdict.padEnd(9)}${mine.verdict.padEnd(8)}` +
            `${cell(theirs.states, 9)}${cell(mine.states, 8)}${cell(seconds(theirs.total), 8)}${cell(seconds(mine.total), 8)}` +
            `${cell(seconds(theirs.alone), 8)}${cell(seconds(mine.alone), 8)}${cell((theirs.total / mine.total).toFixed(1), 9)}`,
        );
      }
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
