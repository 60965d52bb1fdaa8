/**
 * `npm run witnesses`: holds the witnesses of the judged causes to their word, after a change of model or programs. One
 * that no longer shows its cause is looked for anew, in the same program.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { programOf } from "../properties/fuzz/case.ts";
import { judge, renew } from "../properties/fuzz/fuzzer.ts";
import { BadToken, parseToken, type Reproduction } from "../properties/fuzz/token.ts";
import { execute } from "../sim/index.ts";
import { ReplayMismatch, ReplayStrategy } from "../sim/strategies/replay.ts";
import { EXIT_CLEAN, EXIT_USAGE } from "./errors.ts";
import { FuzzFolder, readFuzzFile } from "./fuzzFiles.ts";
import type { Io } from "./io.ts";

/** Where they are. */
const WITNESSES = "properties/fuzz/witnesses";

/** Whether a witness shows its cause, run as it is. */
function holds({ fuzzCase, schedule }: Reproduction, cause: string): boolean {
  const program = programOf(fuzzCase);
  try {
    const { findings } = execute(program, new ReplayStrategy(schedule), { until: (found) => found.length > 0 });
    const [finding] = findings;
    return finding !== undefined && judge(fuzzCase, program, finding, schedule).cause === cause;
  } catch (error) {
    if (error instanceof ReplayMismatch) return false;
    throw error;
  }
}

/**
 * Goes through all of them.
 *
 * @param argv - The folder, if it is another.
 * @returns the exit code: 0 if all hold now.
 */
export function runKeepWitnesses([folder = WITNESSES]: readonly string[], io: Io): number {
  let lost = 0;
  const files = new FuzzFolder(folder, io.cwd);
  for (const name of readdirSync(join(io.cwd, folder)).sort()) {
    const file = readFuzzFile(join(folder, name), io.cwd);
    if (file === null) continue;
    const said = renewed(file.token, file.cause, (found) => files.replace(found, file.lifetime));
    if (said === "lost") lost++;
    if (said !== "holds") io.stdout.write(`${name}: ${said}\n`);
  }
  return lost === 0 ? EXIT_CLEAN : EXIT_USAGE;
}

function renewed(token: string, cause: string, keep: (found: NonNullable<ReturnType<typeof renew>>) => void): string {
  let reproduction: Reproduction;
  try {
    reproduction = parseToken(token);
  } catch (error) {
    if (error instanceof BadToken) return "lost";
    throw error;
  }
  if (holds(reproduction, cause)) return "holds";
  const found = renew(reproduction.fuzzCase, cause, reproduction.schedule);
  if (found === null) return "lost";
  keep(found);
  return "found anew";
}
