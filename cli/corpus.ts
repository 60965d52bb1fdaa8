/** The corpus: the repro files that are kept beside the scenarios. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "./errors.ts";
import { type Repro, readRepro } from "./reproFile.ts";

/** One kept finding. */
export interface CorpusEntry {
  /** File name without its ending. */
  readonly name: string;
  readonly path: string;
  readonly repro: Repro;
}

/** Where it is: one folder up from the sources, two from `dist/cli`. */
function corpusFolder(): string {
  for (const up of ["../scenarios/corpus", "../../scenarios/corpus"]) {
    const folder = fileURLToPath(new URL(up, import.meta.url));
    if (existsSync(folder)) return folder;
  }
  throw new UsageError("the corpus is missing: scenarios/corpus is not beside this program; install it whole");
}

/** All entries, by name. */
export function readCorpus(): CorpusEntry[] {
  const folder = corpusFolder();
  return readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .sort()
    .map((file) => {
      const path = join(folder, file);
      return { name: file.slice(0, -".json".length), path, repro: readRepro(path, folder) };
    });
}
