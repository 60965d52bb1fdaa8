/** The program behind `npm run corpus`: hands the process to {@link runKeepCorpus}. */
import { SCENARIOS } from "../scenarios/index.ts";
import { runKeepCorpus } from "./keepCorpus.ts";

// `npm run corpus | head` closes the pipe early; that is no error of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

const { stdout, stderr, env } = process;
process.exitCode = runKeepCorpus(process.argv.slice(2), {
  stdout,
  stderr,
  cwd: process.cwd(),
  env,
  scenarios: SCENARIOS,
});
