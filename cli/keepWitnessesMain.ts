/** The program behind `npm run witnesses`: hands the process to {@link runKeepWitnesses}. */
import { SCENARIOS } from "../scenarios/index.ts";
import { runKeepWitnesses } from "./keepWitnesses.ts";

const { stdout, stderr, env } = process;
process.exitCode = runKeepWitnesses(process.argv.slice(2), {
  stdout,
  stderr,
  cwd: process.cwd(),
  env,
  scenarios: SCENARIOS,
});
