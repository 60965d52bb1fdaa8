/** What the command line touches of the world, so that a test can hand it another one. */
import type { Scenario } from "../scenarios/scenario.ts";

/** The part of a stream that is used. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  /** Relative paths start here. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Scenarios that can be named. Worker threads know only the real ones, so `--jobs` above 1 needs those. */
  readonly scenarios: readonly Scenario[];
}
