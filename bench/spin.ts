/**
 * `npm run bench:spin`: the search over states beside Spin, on the models in `bench/spin/`, in turns in one run.
 *
 * For each program and size: the verdict of both, states, seconds of wall time from source to verdict and of the search
 * alone, peak memory. For Spin from source is generating the verifier, compiling it (`gcc -O2`, partial order reduction
 * on, as is the default) and running it, and alone is the run of the verifier. For ours from source is starting node,
 * learning the threads and searching, and alone is the call of `exploreThreads`. CPU time stands beside wall time for
 * machines that have other things to do; for ours it includes that of the garbage collector's threads.
 *
 * Spin gets what makes it quick: `-DSAFETY` (nothing but safety is asked for), a search stack just deep enough, and a
 * hash table that fits the number of states that the two sizes before lead to expect.
 *
 * Sizes go up one by one until the run of Spin's verifier takes more than `--seconds` (default 10) of CPU time, or is
 * bound to, or needs more than {@link MEMORY_MAX_MB}.
 *
 * Needs `spin`, `gcc` and `bash` (Debian packages of these names).
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { AGAINST_SPIN, type Family } from "./threads/programs.ts";

const given = parseArgs({ options: { seconds: { type: "string", default: "10" } }, allowPositionals: true });
const SECONDS_MAX = Number(given.values.seconds);
if (!(SECONDS_MAX > 0)) throw new Error(`--seconds ${given.values.seconds}: how long Spin may run, as 10 or 120`);
/** Families to run: those named, or all. */
const FAMILIES = AGAINST_SPIN.filter(({ name }) => given.positionals.length === 0 || given.positionals.includes(name));
/** Threads that an exploration has room for, one of them the owner, the target or the like. */
const SIZE_MAX = 30;
/** Memory that Spin's verifier may take. */
const MEMORY_MAX_MB = 12_000;
/** Longest execution of any of the models, with room to spare. */
const DEPTH_MAX = 10_000;

interface Timed {
  readonly text: string;
  readonly wall: number;
  /** Of user and system together. */
  readonly cpu: number;
  readonly ended: boolean;
}

function run(command: string, args: readonly string[], cwd: string, cpuMax?: number): Timed {
  const limit = cpuMax === undefined ? "" : `ulimit -t ${Math.ceil(cpuMax)}; `;
  const script = `${limit}TIMEFORMAT='cpu %U %S'; time "$0" "$@"`;
  const began = process.hrtime.bigint();
  const { error, signal, status, stdout, stderr } = spawnSync("bash", ["-c", script, command, ...args], {
    cwd,
    encoding: "utf8",
  });
  const wall = Number(process.hrtime.bigint() - began) / 1e9;
  if (error !== undefined) throw error;
  const [, user, system] = /cpu ([\d.]+) ([\d.]+)\s*$/.exec(stderr) ?? [];
  return {
    text: `${stdout}${stderr}`,
    wall,
    cpu: Number(user) + Number(system),
    ended: signal === null && status === 0,
  };
}

interface Result {
  readonly verdict: string;
  readonly states: number;
  /** Wall time from source to verdict. */
  readonly total: number;
  /** Of the search alone, wall time and CPU time. */
  readonly alone: number;
  readonly aloneCpu: number;
  readonly memoryMb: number;
}

/** Log2 of the slots of Spin's hash table: about one for each state to be expected after those of smaller sizes. */
function slotsFor(smaller: readonly number[]): number {
  const [before = 1000, last = 1000] = smaller.slice(-2);
  return Math.min(28, Math.max(16, Math.ceil(Math.log2((last * last) / Math.min(before, last)))));
}

function spin(model: string, n: number, broken: boolean, folder: string, slots: number): Result | null {
  const defines = [`-DN=${n}`, ...(broken ? ["-DBROKEN"] : [])];
  const generated = run("spin", ["-a", ...defines, model], folder);
  const flags = ["-O2", "-w", "-DSAFETY", `-DMEMLIM=${MEMORY_MAX_MB}`];
  const compiled = run("gcc", [...flags, "-o", "pan", "pan.c"], folder);
  const verified = run(join(folder, "pan"), [`-m${DEPTH_MAX}`, `-w${slots}`], folder, SECONDS_MAX);
  if (!verified.ended) return null;
  const errors = /errors: (\d+)/.exec(verified.text)?.[1];
  if (errors === undefined) throw new Error(`Spin did not run: ${verified.text}`);
  if (/max search depth too small|reached -DMEMLIM/.test(verified.text)) return null;
  return {
    verdict: errors === "0" ? "held" : "violated",
    states: Number(/(\d+) states, stored/.exec(verified.text)?.[1]),
    total: generated.wall + compiled.wall + verified.wall,
    alone: verified.wall,
    aloneCpu: verified.cpu,
    memoryMb: Number(/([\d.]+)\s+total actual memory usage/.exec(verified.text)?.[1]),
  };
}

function ours(family: Family, n: number, broken: boolean): Result {
  const script = fileURLToPath(new URL("threads/explore.js", import.meta.url));
  const words = [script, family.name, String(n), ...(broken ? ["broken"] : [])];
  const done = run(process.execPath, words, tmpdir());
  const [json = ""] = done.text.split("\n");
  const { searchMs, searchCpuMs, ...rest } = JSON.parse(json) as Result & { searchMs: number; searchCpuMs: number };
  return { ...rest, total: done.wall, alone: searchMs / 1000, aloneCpu: searchCpuMs / 1000 };
}

const cell = (text: string | number, width: number): string => String(text).padStart(width);
const seconds = (value: number): string => value.toFixed(value < 1 ? 3 : 2);

const row = (program: string, n: number, theirs: Result, mine: Result): string =>
  [
    program.padEnd(21) + cell(n, 2),
    theirs.verdict.padStart(10) + mine.verdict.padStart(10),
    cell(theirs.states, 11) + cell(mine.states, 9),
    cell(seconds(theirs.total), 9) + cell(seconds(mine.total), 8),
    cell(seconds(theirs.alone), 9) + cell(seconds(mine.alone), 8),
    cell(seconds(theirs.aloneCpu), 9) + cell(seconds(mine.aloneCpu), 8),
    cell(theirs.memoryMb.toFixed(0), 7) + cell(mine.memoryMb.toFixed(0), 6),
    cell((theirs.total / mine.total).toFixed(1), 8) + cell((theirs.aloneCpu / mine.aloneCpu).toFixed(1), 7),
  ].join("");

const folder = mkdtempSync(join(tmpdir(), "spin-"));
try {
  console.log(
    "                        verdict             states           from source, s    alone, s         alone, CPU s     memory, MB   Spin/ours",
  );
  console.log(
    "program               N      Spin      ours       Spin     ours     Spin    ours     Spin    ours     Spin    ours   Spin  ours  source  alone",
  );
  for (const family of FAMILIES) {
    for (const broken of family.hasBroken ? [false, true] : [false]) {
      const model = fileURLToPath(new URL(`../../bench/spin/${family.name}.pml`, import.meta.url));
      const states: number[] = [];
      for (let n = 2, expected = 0; n <= SIZE_MAX && expected < 1.5 * SECONDS_MAX; n++) {
        const theirs = spin(model, n, broken, folder, slotsFor(states));
        if (theirs === null) break;
        states.push(theirs.states);
        expected = theirs.aloneCpu * (theirs.states / (states.at(-2) ?? theirs.states));
        console.log(row(`${family.name}${broken ? ", broken" : ""}`, n, theirs, ours(family, n, broken)));
      }
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
