/** Seeds as people give them. */
import { seedOfRun } from "../sim/hunt.ts";
import { UsageError } from "./errors.ts";

const NUMBER = /^\d{1,15}$/;

/** Leading zeros are no part of a number, and would make another seed of it. */
const plain = (digits: string): string => String(Number(digits));

/**
 * The seed of a hunt: a whole number.
 *
 * @throws UsageError for anything else.
 */
export function parseHuntSeed(text: string): string {
  if (NUMBER.test(text)) return plain(text);
  if (/^\d{1,15}\/\d{1,15}$/.test(text)) {
    throw new UsageError(
      `"${text}" is the seed of one run; a hunt takes the number before the slash: --seed ${text.split("/")[0]}`,
    );
  }
  throw new UsageError(`"${text}" is no seed; give a whole number of up to 15 digits`);
}

/**
 * The seed of one run: `NUMBER/RUN` is that run of the hunt with seed NUMBER, a plain number its first run.
 *
 * @throws UsageError for anything else.
 */
export function parseRunSeed(text: string): string {
  const [number, run, ...rest] = text.split("/");
  if (rest.length === 0 && NUMBER.test(number ?? "") && NUMBER.test(run ?? "0")) {
    return seedOfRun(plain(number as string), Number(run ?? "0"));
  }
  throw new UsageError(
    `"${text}" is no seed; give a whole number of up to 15 digits, or NUMBER/RUN for one run of a hunt`,
  );
}
