#!/usr/bin/env node
/** The program: hands the process to {@link runCli}. */
import { SCENARIOS } from "../scenarios/index.ts";
import { runCli } from "./cli.ts";

// `utrace-sim list | head` closes the pipe early; that is no error of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

const { stdout, stderr, env } = process;
// Set and not called: what is still to be written goes out first.
process.exitCode = await runCli(process.argv.slice(2), {
  stdout,
  stderr,
  cwd: process.cwd(),
  env,
  scenarios: SCENARIOS,
});
