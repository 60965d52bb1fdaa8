/** `claims`: what of the thread's argument is settled, and how. */
import { setImmediate } from "node:timers/promises";
import { CLAIMS } from "../../comparison/claims/index.ts";
import { type Claim, claimsText } from "../../reports/claims.ts";
import { EXIT_CLEAN, UsageError } from "../errors.ts";
import type { Io } from "../io.ts";
import { printJson } from "../output/json.ts";
import { startProgress } from "../progress.ts";
import { parseHuntSeed } from "../seed.ts";
import { didYouMean } from "../suggest.ts";

export interface ClaimsCommandOptions {
  readonly runs: number;
  readonly seed: string;
  readonly json?: boolean;
}

/**
 * Examines the claims and says what came of it.
 *
 * @param name - Only this claim; all if undefined.
 */
export async function claimsCommand(io: Io, name: string | undefined, options: ClaimsCommandOptions): Promise<number> {
  const began = performance.now();
  const seed = parseHuntSeed(options.seed);
  const { runs } = options;
  const wanted = name === undefined ? CLAIMS : CLAIMS.filter((claim) => claim.name === name);
  if (name !== undefined && wanted.length === 0) throw new UsageError(unknownClaim(name));
  const progress = startProgress(io.stderr, "claims", wanted.length);
  const claims: Claim[] = [];
  try {
    for (const { examine } of wanted) {
      claims.push(examine({ runs, seed }));
      progress.update(claims.length);
      await setImmediate();
    }
  } finally {
    progress.stop();
  }
  if (options.json === true) {
    printJson(io.stdout, { runs, seed, claims, elapsedMs: Math.round(performance.now() - began) });
  } else io.stdout.write(`${claimsText(claims)}\n`);
  return EXIT_CLEAN;
}

function unknownClaim(name: string): string {
  const names = CLAIMS.map((claim) => claim.name);
  return `unknown claim "${name}";${didYouMean(name, names)} known: ${names.join(", ")}`;
}
