/** For tests: a command line with captured output, a folder of its own, and small scenarios. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { refcountedObject } from "../docs/refcounted-object.ts";
import type { Parameters, Scenario } from "../scenarios/scenario.ts";
import {
  type Cache,
  globalsOf,
  kernel,
  kmem_cache_alloc,
  type MachineOptions,
  type Program,
  rcu_read_lock,
  struct,
  u32,
} from "../sim/index.ts";
import { runCli } from "./cli.ts";

const optionsOf = ({ config, cpus, checks, stepsMax }: Parameters): MachineOptions => ({
  config,
  cpus,
  checks: new Set(checks),
  stepsMax,
});

/** A program under the parameters that the command line gives. */
const scenario = (name: string, program: (parameters: Parameters) => Pick<Program, "setup">): Scenario => ({
  name,
  title: `Does ${name} hold?`,
  source: "cli tests",
  known: [],
  program: (parameters) => ({ name, options: optionsOf(parameters), setup: program(parameters).setup }),
});

const LEAF_T = struct("leaf", { value: u32 });
const world = globalsOf<{ cache: Cache }>();

const leaker = kernel(function* leaker() {
  yield* rcu_read_lock();
  yield* kmem_cache_alloc(world().cache);
});

/** Two tasks that leak an object each, and leave an RCU read section open: two findings in every run. */
const leak: Pick<Program, "setup"> = {
  setup(machine) {
    machine.globals = { cache: machine.createCache(LEAF_T) };
    machine.spawn(0, { comm: "leaker" }, leaker);
    machine.spawn(0, { comm: "leaker" }, leaker);
  },
};

/** Scenarios for tests; the last one is a defect of its own. */
export const TEST_SCENARIOS: readonly Scenario[] = [
  scenario("refcounted-object", () => refcountedObject(false)),
  scenario("refcounted-object-fixed", () => refcountedObject(true)),
  scenario("leak", () => leak),
  scenario("defect", () => {
    throw new Error("[sim bug] on purpose\nin two lines");
  }),
  scenario("surprise", () => {
    throw new TypeError("not on purpose");
  }),
];

/** What a command line left behind. */
export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder, and command lines that run in it. */
export interface Sandbox {
  readonly cwd: string;
  cli(...argv: string[]): Promise<CliResult>;
  /** The same with environment variables. */
  cliWith(env: Record<string, string>, ...argv: string[]): Promise<CliResult>;
  remove(): void;
}

export function makeSandbox(scenarios: readonly Scenario[] = TEST_SCENARIOS): Sandbox {
  const cwd = mkdtempSync(join(tmpdir(), "utrace-sim-cli-"));
  const cliWith = async (env: Record<string, string>, ...argv: string[]): Promise<CliResult> => {
    const written = { stdout: "", stderr: "" };
    const stream = (name: "stdout" | "stderr") => ({
      write: (text: string) => {
        written[name] += text;
      },
    });
    const code = await runCli(argv, { stdout: stream("stdout"), stderr: stream("stderr"), cwd, env, scenarios });
    return { code, ...written };
  };
  return {
    cwd,
    cliWith,
    cli: (...argv) => cliWith({}, ...argv),
    remove: () => rmSync(cwd, { recursive: true, force: true }),
  };
}
