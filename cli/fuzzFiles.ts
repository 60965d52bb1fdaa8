/**
 * What the fuzzer keeps: one file for each cause, replaced when a simpler run is found, and an index, simplest first.
 *
 * Files are written whole or not at all, so a fuzzer can be stopped at any time, and started again on the same folder.
 */
import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { type FuzzFinding, simplerThan } from "../properties/fuzz/fuzzer.ts";
import { ioReason, UsageError } from "./errors.ts";
import { TOOL } from "./tool.ts";

/** Version of the format of these files. */
export const FUZZ_FORMAT = 1;

const whole = z.int().nonnegative();
const FuzzFileSchema = z.strictObject({
  fuzzFormat: z.literal(FUZZ_FORMAT),
  tool: z.strictObject({ name: z.string(), version: z.string() }),
  cause: z.string(),
  title: z.string(),
  function: z.string(),
  lifetimes: z.array(z.string()),
  count: whole,
  size: z.strictObject({ parts: whole, preemptions: whole, steps: whole }),
  script: z.unknown(),
  token: z.string(),
});

/** One such file. */
export type FuzzFile = z.infer<typeof FuzzFileSchema>;

/** `KIND-FUNCTION-HASH.json`: the same for the same cause. */
export function fuzzFileName(cause: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < cause.length; i++) hash = Math.imul(hash ^ cause.charCodeAt(i), 0x01000193) >>> 0;
  const [kind = "", where = ""] = cause.split(":");
  return `${kind}-${where || "none"}-${hash.toString(16).padStart(8, "0")}.json`.replace(/[^\w.-]/g, "_");
}

/** Reads a file of the fuzzer; null if it is something else. */
export function readFuzzFile(path: string, cwd: string): FuzzFile | null {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(resolve(cwd, path), "utf8"));
  } catch {
    return null;
  }
  if (typeof json !== "object" || json === null || !("fuzzFormat" in json)) return null;
  const parsed = FuzzFileSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new UsageError(
    `${path} is no fuzz file that this ${TOOL.name} ${TOOL.version} reads: it was edited, or is of another version`,
  );
}

/** A folder of findings. */
export class FuzzFolder {
  private readonly known = new Map<string, FuzzFile>();

  constructor(
    private readonly folder: string,
    private readonly cwd: string,
  ) {
    let names: string[] = [];
    try {
      names = readdirSync(resolve(cwd, folder));
    } catch {
      // Made with the first finding.
    }
    for (const name of names.filter((one) => one.endsWith(".json")).sort()) {
      const file = readFuzzFile(join(folder, name), cwd);
      if (file !== null) this.known.set(file.cause, file);
    }
  }

  has(cause: string, lifetime: string): boolean {
    return this.known.get(cause)?.lifetimes.includes(lifetime) === true;
  }

  /** Causes, simplest first. */
  all(): FuzzFile[] {
    return [...this.known.values()].sort((a, b) =>
      simplerThan(a.size, b.size) ? -1 : simplerThan(b.size, a.size) ? 1 : 0,
    );
  }

  /** Counts a cause once more, without writing. */
  count(cause: string, times: number): void {
    const file = this.known.get(cause);
    if (file !== undefined) file.count += times;
  }

  /** Keeps a finding: as the one of its cause, if it is the first or the simplest. */
  keep(found: FuzzFinding, lifetime: string, count: number): void {
    const before = this.known.get(found.cause);
    const lifetimes = [...new Set([...(before?.lifetimes ?? []), lifetime])].sort();
    const counted = (before?.count ?? 0) + count;
    if (before !== undefined && !simplerThan(found.size, before.size)) {
      this.known.set(found.cause, { ...before, lifetimes, count: counted });
    } else {
      const { cause, finding, size, token, fuzzCase } = found;
      this.known.set(cause, {
        fuzzFormat: FUZZ_FORMAT,
        tool: TOOL,
        cause,
        title: finding.title,
        function: finding.function,
        lifetimes,
        count: counted,
        size,
        script: fuzzCase,
        token,
      });
    }
    this.save(found.cause);
  }

  /** Writes all files anew, with what was counted, and the index. */
  close(): void {
    for (const cause of this.known.keys()) this.save(cause);
    if (this.known.size === 0) return;
    const rows = this.all().map(
      ({ cause, lifetimes, count, size }) =>
        `| ${size.parts} | ${size.preemptions} | ${size.steps} | ${count} | ${lifetimes.join(", ")} | \`${cause}\` | \`${fuzzFileName(cause)}\` |`,
    );
    const head =
      "| parts | preemptions | steps | seen | lifetimes | cause | file |\n| --- | --- | --- | --- | --- | --- | --- |";
    this.write("INDEX.md", `${head}\n${rows.join("\n")}\n`);
  }

  private save(cause: string): void {
    this.write(fuzzFileName(cause), `${JSON.stringify(this.known.get(cause), null, 1)}\n`);
  }

  private write(name: string, text: string): void {
    const path = resolve(this.cwd, this.folder, name);
    const temporary = `${path}.${randomUUID()}.tmp`;
    try {
      mkdirSync(resolve(this.cwd, this.folder), { recursive: true });
      writeFileSync(temporary, text, { flag: "wx" });
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw new UsageError(
        `cannot write ${join(this.folder, name)}: ${ioReason(error)}; name another folder with --out`,
      );
    }
  }
}
