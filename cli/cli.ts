/** The command line: from words to a command, from what it did to an exit code. */
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { BadParameter } from "../scenarios/parameters.ts";
import { FINDING_KINDS } from "../sim/finding.ts";
import { claimsCommand } from "./commands/claims.ts";
import { compareCommand } from "./commands/compare.ts";
import { demoCommand } from "./commands/demo.ts";
import { exploreCommand } from "./commands/explore.ts";
import { fuzzCommand, fuzzReplayCommand } from "./commands/fuzz.ts";
import { huntCommand } from "./commands/hunt.ts";
import { listCommand } from "./commands/list.ts";
import { replayCommand } from "./commands/replay.ts";
import { runCommand } from "./commands/run.ts";
import { EXIT_CLEAN, EXIT_DEFECT, EXIT_USAGE, messageOf, oneLine, UsageError } from "./errors.ts";
import { SHRINK_SECONDS } from "./hunter.ts";
import type { Io } from "./io.ts";
import { addJobsOption, addJsonOption, addParameterOptions, parseKinds, wholeNumber } from "./options.ts";
import { didYouMean } from "./suggest.ts";
import { TOOL } from "./tool.ts";
import { addStrategyOptions, HUNT_STRATEGY } from "./tuning.ts";

const COMMANDS: readonly string[] = ["list", "run", "hunt", "explore", "replay", "fuzz", "compare", "claims", "demo"];

const RUNS_MAX = 1e12;

const EXIT_CODES = `
Exit codes: 0 nothing violated, 1 a finding, 2 bad usage or bad input, 3 not everything done within the budget (explore, demo), 4 defect of the simulator`;

/**
 * Runs one command line.
 *
 * @param argv - Its words, without the name of the program.
 * @returns the exit code. Never throws.
 */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  let code = EXIT_CLEAN;
  const program = buildProgram(io, (given) => {
    code = given;
  });
  try {
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    return explain(error, argv, io);
  }
}

/** Says in one line what went wrong, and whose fault it is. */
function explain(error: unknown, argv: readonly string[], io: Io): number {
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT_CLEAN;
  if (error instanceof CommanderError) return complain(io, usageOf(error, argv), EXIT_USAGE);
  if (error instanceof UsageError || error instanceof BadParameter) return complain(io, error.message, EXIT_USAGE);
  const message = oneLine(messageOf(error));
  const defect = message.includes("[sim bug]") ? message : `[sim bug] unexpected error: ${message}`;
  const debug = io.env.UTRACE_SIM_DEBUG === "1";
  complain(io, `${defect}${debug ? "" : " (UTRACE_SIM_DEBUG=1 shows where)"}`, EXIT_DEFECT);
  if (debug && error instanceof Error) io.stderr.write(`${error.stack}\n`);
  return EXIT_DEFECT;
}

function complain(io: Io, message: string, code: number): number {
  io.stderr.write(`${TOOL.name}: ${oneLine(message)}\n`);
  return code;
}

function usageOf(error: CommanderError, argv: readonly string[]): string {
  const [word, topic] = argv;
  if (error.code === "commander.help") {
    return word === "help" && topic !== undefined
      ? `unknown command "${topic}";${didYouMean(topic, COMMANDS)} known: ${COMMANDS.join(", ")}`
      : `no command given; known: ${COMMANDS.join(", ")} (see ${TOOL.name} --help)`;
  }
  const help = word !== undefined && COMMANDS.includes(word) ? `${word} --help` : "--help";
  return `${oneLine(error.message.replace(/^error: /, ""))} (see ${TOOL.name} ${help})`;
}

function buildProgram(io: Io, done: (code: number) => void): Command {
  const program = new Command(TOOL.name)
    .description(
      "Deterministic simulator of Linux 2.6.27 kernel semantics: replays lifetime races of the utrace patch.",
    )
    .version(TOOL.version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      // Errors are said once, by explain().
      writeErr: () => undefined,
      getOutHelpWidth: () => Math.min(io.stdout.columns ?? 100, 120),
      getOutHasColors: () => false,
    })
    .addHelpText("after", `\nExample:\n  $ ${TOOL.name} hunt attach-detach-exec --find paging-fault\n${EXIT_CODES}`);
  addList(program, io, done);
  addRun(program, io, done);
  addHunt(program, io, done);
  addExplore(program, io, done);
  addReplay(program, io, done);
  addFuzz(program, io, done);
  addCompare(program, io, done);
  addClaims(program, io, done);
  addDemo(program, io, done);
  return program;
}

const example = (command: Command, ...lines: string[]): Command =>
  command.addHelpText(
    "after",
    `\n${lines.length > 1 ? "Examples" : "Example"}:\n${lines.map((line) => `  $ ${TOOL.name} ${line}\n`).join("")}`,
  );

function addList(program: Command, io: Io, done: (code: number) => void): void {
  const command = program.command("list").description("list scenarios, with their source and what is known of them");
  addJsonOption(command).action((options) => done(listCommand(io, options)));
  example(command, "list");
}

function addRun(program: Command, io: Io, done: (code: number) => void): void {
  const command = program
    .command("run")
    .description("run a scenario once, under the schedule of a seed")
    .argument("<SCENARIO>", "its name, from list")
    .option("--seed <S>", "whole number, or NUMBER/RUN for one run of a hunt", "1")
    .option("--history", "print the interleaving, step for step");
  addJsonOption(addJobsOption(addParameterOptions(addStrategyOptions(command, "timed")))).action((name, options) =>
    done(runCommand(io, name, options)),
  );
  example(command, "run attach-detach-exec --seed 5", "run attach-detach-exec --seed 1/17 --strategy random --history");
}

function addHunt(program: Command, io: Io, done: (code: number) => void): void {
  const command = program
    .command("hunt")
    .description("run a scenario under many schedules, up to the first finding; shrink it and save it")
    .argument("<SCENARIO>", "its name, from list")
    .option("--runs <N>", "runs at most", wholeNumber(1, RUNS_MAX), 20_000)
    .option("--seed <S>", "whole number; decides all schedules", "1")
    .option("--find <KIND,...>", `only findings of these kinds count: ${FINDING_KINDS.join(", ")}`, parseKinds)
    .option("--keep-going", "do not stop at the first finding; report each distinct one")
    .option("--out <DIR>", "folder for repro files", "repros")
    .option("--no-shrink", "keep schedules as they were found")
    .option(
      "--shrink-seconds <N>",
      "seconds of computing that shrinking may take",
      wholeNumber(1, 86_400),
      SHRINK_SECONDS,
    )
    .option("--no-explain", "do not look for the nearest run that passes, nor say why this one fails");
  addJsonOption(addJobsOption(addParameterOptions(addStrategyOptions(command, HUNT_STRATEGY)))).action(
    async (name, options) => {
      done(await huntCommand(io, name, options));
    },
  );
  example(
    command,
    "hunt attach-detach-exec --find paging-fault --config DEBUG_PAGEALLOC=y,SLUB_DEBUG=n",
    "hunt attach-detach-exec --patches all --runs 100000 --jobs 2",
  );
}

function addExplore(program: Command, io: Io, done: (code: number) => void): void {
  const command = program
    .command("explore")
    .description("every schedule of a scenario's small form, up to a number of preemptions: says whether that was all")
    .argument("<SCENARIO>", "its name, from list")
    .option("--preemptions <N>", "preemptions at most, counted as hunt counts them; any: no bound", preemptionBound, 1)
    .option("--context-switches <N>", "changes of who runs at most, of whatever kind", wholeNumber(0, 500))
    .option("--loop-rounds <N>", "times a function may come to the head of a loop; cut off beyond", wholeNumber(1))
    .option("--states-max <N>", "states that there is room for, 24 bytes each (default: 16777216)", wholeNumber(256))
    .option("--budget <SECONDS>", "stop after so long, and put the rest aside", wholeNumber(0))
    .option("--save <FILE>", "where to put it aside (default: in the folder for repro files)")
    .option("--resume <FILE>", "go on with an exploration that was put aside")
    .option("--out <DIR>", "folder for repro files", "repros")
    .option("--no-reduce", "a choice before every step, even where nobody else can notice it")
    .option("--no-cache", "do not pass by states that were visited before")
    .option("--jobs <N>", "worker threads; the result is the same for any number", wholeNumber(1), 1);
  addJsonOption(addParameterOptions(command)).action(async (name, options) => {
    done(await exploreCommand(io, name, options));
  });
  example(
    command,
    "explore attach-detach-exec --preemptions 0",
    "explore attach-detach-exec --lifetime embedded --budget 60 --save later",
    "explore attach-detach-exec --lifetime embedded --resume later",
  );
}

/** A number of preemptions, or `any`. */
const preemptionBound = (text: string): number =>
  text === "any" ? Number.POSITIVE_INFINITY : wholeNumber(0, 100)(text);

function addReplay(program: Command, io: Io, done: (code: number) => void): void {
  const command = program
    .command("replay")
    .description("run a saved finding again, step for step; refuse if it is not the same run")
    .argument("<FILE>", "repro file that hunt saved")
    .option("--history", "print the interleaving")
    .option("--last <N>", "print only its last N rows", wholeNumber(1))
    .option("--rebase", "where the program has changed since: carry the schedule over, if the finding still comes")
    .option("--out <FILE>", "where --rebase saves (default: a new file in repros)")
    .option("--no-explain", "do not look for the nearest run that passes, nor say why this one fails");
  addJsonOption(command).action((path, options) => done(replayCommand(io, path, options)));
  example(command, "replay repros/attach-detach-exec-paging-fault-utrace_stop-1a2b3c4d.json --last 40");
}

function addFuzz(program: Command, io: Io, done: (code: number) => void): void {
  const command = program
    .command("fuzz")
    .description("run generated programs under random schedules; count known causes, shrink and keep new ones")
    .option("--minutes <M>", "how long; Ctrl-C ends it sooner, and nothing is lost", positive)
    .option("--programs <N>", "programs for each lifetime at most (default: 1000 without --minutes)", wholeNumber(1))
    .option("--schedules <N>", "schedules for each program", wholeNumber(1), 10)
    .option("--seed <S>", "whole number; decides all programs and schedules", "1")
    .option("--lifetime <NAME>", "one lifetime of struct utrace, or all in turn", "all")
    .option("--patches <LIST>", "fixes to apply: all, none, or names (default: none)")
    .option("--memory <MODEL>", "memory model (default: sc)")
    .option("--known", "shrink and keep known causes too")
    .option("--out <DIR>", "folder for what is found; what is there already is not shrunk again", "fuzz-findings");
  addJobsOption(command);
  addJsonOption(command).action(async (options) => {
    done(await fuzzCommand(io, options));
  });
  example(command, "fuzz --minutes 5", "fuzz --lifetime lazy --programs 200 --json");
  const replay = command
    .command("replay")
    .description("run what a token stands for, step for step")
    .argument("<TOKEN>", "as in a file of the fuzzer: utrace-fuzz-2:...")
    .option("--history", "print the interleaving");
  replay.action((token, options) => done(fuzzReplayCommand(io, token, options)));
}

/** A parser of amounts of time. */
const positive = (text: string): number => {
  const value = /^\d{1,9}(\.\d{1,6})?$/.test(text) ? Number(text) : 0;
  if (value > 0) return value;
  throw new InvalidArgumentError("Give a number above 0.");
};

function addCompare(program: Command, io: Io, done: (code: number) => void): void {
  const command = program
    .command("compare")
    .description("the lifetimes of struct utrace side by side: bytes, memory, cost, and which races each allows")
    .option(
      "--runs <N>",
      "runs for each scenario and corpus entry under each lifetime; 0: no search",
      wholeNumber(0, RUNS_MAX),
      20,
    )
    .option("--preemptions <P>", "where nothing is found: all schedules with at most so many", wholeNumber(0, 100), 0)
    .option("--explore-runs <N>", "runs of that, for each scenario and lifetime; 0: none", wholeNumber(0), 0)
    .option("--seed <S>", "whole number; decides all schedules", "1")
    .option("--out <DIR>", "folder for repro files", "repros")
    .option("--html <FILE>", "write it as one page with charts, besides");
  addJsonOption(addJobsOption(command)).action(async (options) => {
    done(await compareCommand(io, options));
  });
  example(
    command,
    "compare --html lifetimes.html",
    "compare --runs 1000 --jobs 2",
    "compare --runs 200 --explore-runs 20000",
  );
}

function addClaims(program: Command, io: Io, done: (code: number) => void): void {
  const command = program
    .command("claims")
    .description("claims of the 2008 thread, each with a verdict, its evidence, and the command that gives it again")
    .argument("[NAME]", "only this claim")
    .option("--runs <N>", "runs of each search", wholeNumber(1, RUNS_MAX), 60)
    .option("--seed <S>", "whole number; decides all schedules", "1");
  addJsonOption(command).action(async (name, options) => {
    done(await claimsCommand(io, name, options));
  });
  example(command, "claims --runs 1000", "claims engine-refcount --json");
}

function addDemo(program: Command, io: Io, done: (code: number) => void): void {
  const command = program
    .command("demo")
    .description("find the crash of the 2008 thread in the three forms in which it was reported")
    .option("--seed <S>", "whole number; decides all schedules", "1")
    .option("--runs <N>", "runs at most, for each form", wholeNumber(1, RUNS_MAX), 50_000)
    .option("--out <DIR>", "folder for repro files", "repros");
  addJobsOption(command).action(async (options) => {
    done(await demoCommand(io, options));
  });
  example(command, "demo --seed 2");
}
