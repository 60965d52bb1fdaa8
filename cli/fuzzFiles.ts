/**
 * What the fuzzer keeps in its folder: a file for each cause and lifetime, replaced when a simpler run is found; how
 * often each was seen in all campaigns so far; and an index of both.
 *
 * Files are written whole or not at all, so a fuzzer can be stopped at any time, and started again on the same folder.
 */
import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { type FuzzFinding, simplerThan } from "../properties/fuzz/fuzzer.ts";
import { ioReason, UsageError } from "./errors.ts";
import type { CauseCount, FuzzTotals } from "./fuzzing.ts";
import { TOOL } from "./tool.ts";

/** Version of the format of these files. */
export const FUZZ_FORMAT = 2;

const whole = z.int().nonnegative();
const toolSchema = z.strictObject({ name: z.string(), version: z.string() });
const FuzzFileSchema = z.strictObject({
  fuzzFormat: z.literal(FUZZ_FORMAT),
  tool: toolSchema,
  cause: z.string(),
  /** Whether somebody has judged it. */
  known: z.boolean(),
  lifetime: z.string(),
  title: z.string(),
  function: z.string(),
  size: z.strictObject({ parts: whole, preemptions: whole, steps: whole }),
  script: z.unknown(),
  token: z.string(),
});

/** One such file. */
export type FuzzFile = z.infer<typeof FuzzFileSchema>;

const LedgerSchema = z.strictObject({
  fuzzFormat: z.literal(FUZZ_FORMAT),
  tool: toolSchema,
  campaigns: z.array(
    z.strictObject({
      seed: z.string(),
      lifetimes: z.array(z.string()),
      memory: z.string(),
      patches: z.string(),
      programs: whole,
      executions: whole,
      steps: whole,
      cutOff: whole,
      causes: z.array(
        z.strictObject({ lifetime: z.string(), cause: z.string(), known: z.boolean(), count: whole, program: whole }),
      ),
      historyHash: z.string(),
    }),
  ),
});

/** All campaigns on a folder. */
export type Ledger = z.infer<typeof LedgerSchema>;
/** One campaign: what was asked for, how far it came, and what it saw. */
export type CampaignRecord = Ledger["campaigns"][number];

const LEDGER = "campaigns.json";

/** `CAUSE.LIFETIME.json`: the same for the same cause. */
export function fuzzFileName(cause: string, known: boolean, lifetime: string): string {
  if (known) return `${cause}.${lifetime}.json`;
  let hash = 0x811c9dc5;
  for (let i = 0; i < cause.length; i++) hash = Math.imul(hash ^ cause.charCodeAt(i), 0x01000193) >>> 0;
  const [kind = "", where = ""] = cause.split(":");
  const name = `${kind}-${where || "none"}-${hash.toString(16).padStart(8, "0")}`.replace(/[^\w.-]/g, "_");
  return `${name}.${lifetime}.json`;
}

/** Reads a file of the fuzzer; null if it is something else. */
export function readFuzzFile(path: string, cwd: string): FuzzFile | null {
  const json = readJson(resolve(cwd, path));
  if (json === null || !("fuzzFormat" in json) || "campaigns" in json) return null;
  const parsed = FuzzFileSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new UsageError(
    `${path} is no fuzz file that this ${TOOL.name} ${TOOL.version} reads: it was edited, or is of another version`,
  );
}

function readJson(path: string): object | null {
  try {
    const json: unknown = JSON.parse(readFileSync(path, "utf8"));
    return typeof json === "object" ? json : null;
  } catch {
    return null;
  }
}

/** A campaign as the ledger has it. */
export const recordOf = (
  given: Pick<CampaignRecord, "seed" | "lifetimes" | "memory" | "patches">,
  totals: FuzzTotals,
): CampaignRecord => {
  const { programs, executions, steps, cutOff, historyHash } = totals;
  return { ...given, programs, executions, steps, cutOff, causes: totals.causes(), historyHash };
};

/** Counts of several campaigns together. */
export function sumUp(campaigns: readonly CampaignRecord[]): CauseCount[] {
  const sums = new Map<string, CauseCount>();
  for (const { causes } of campaigns) {
    for (const one of causes) {
      const key = `${one.lifetime} ${one.cause}`;
      const before = sums.get(key);
      if (before === undefined) sums.set(key, { ...one });
      else before.count += one.count;
    }
  }
  return [...sums.values()].sort((a, b) => Number(a.known) - Number(b.known) || b.count - a.count);
}

/** A folder of findings. */
export class FuzzFolder {
  private readonly files = new Map<string, FuzzFile>();
  private readonly before: readonly CampaignRecord[];

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
    for (const name of names.filter((one) => one.endsWith(".json") && one !== LEDGER).sort()) {
      const file = readFuzzFile(join(folder, name), cwd);
      if (file !== null) this.files.set(name, file);
    }
    this.before = names.includes(LEDGER) ? this.readLedger() : [];
  }

  /** The file of a cause, if there is one. */
  file(cause: string, known: boolean, lifetime: string): FuzzFile | undefined {
    return this.files.get(fuzzFileName(cause, known, lifetime));
  }

  /** Files by name, simplest first. */
  all(): [name: string, file: FuzzFile][] {
    return [...this.files].sort(([, a], [, b]) =>
      simplerThan(a.size, b.size) ? -1 : simplerThan(b.size, a.size) ? 1 : 0,
    );
  }

  /** All campaigns, the one that goes on last. */
  campaigns(now: CampaignRecord): CampaignRecord[] {
    return [...this.before, now];
  }

  /** Keeps a finding, if it is the first of its cause or the simplest. */
  keep(found: FuzzFinding, lifetime: string): void {
    const before = this.file(found.cause, found.known, lifetime);
    if (before === undefined || simplerThan(found.size, before.size)) this.replace(found, lifetime);
  }

  /** Keeps a finding, in place of the one of its cause. */
  replace({ cause, known, finding, size, token, fuzzCase }: FuzzFinding, lifetime: string): void {
    const name = fuzzFileName(cause, known, lifetime);
    const { title, function: where } = finding;
    const file: FuzzFile = {
      fuzzFormat: FUZZ_FORMAT,
      tool: TOOL,
      cause,
      known,
      lifetime,
      title,
      function: where,
      size,
      script: fuzzCase,
      token,
    };
    this.files.set(name, file);
    this.write(name, json(file));
  }

  /** Writes how far the campaign has come, and the index. */
  save(now: CampaignRecord): void {
    const campaigns = this.campaigns(now);
    this.write(LEDGER, json({ fuzzFormat: FUZZ_FORMAT, tool: TOOL, campaigns } satisfies Ledger));
    const sum = (count: (one: CampaignRecord) => number) => campaigns.reduce((total, one) => total + count(one), 0);
    const counts = sumUp(campaigns).map(({ lifetime, cause, known, count }) => {
      const name = fuzzFileName(cause, known, lifetime);
      const file = this.files.get(name);
      const size = file === undefined ? "" : `${file.size.parts}, ${file.size.preemptions}, ${file.size.steps}`;
      return `| ${lifetime} | \`${cause}\` | ${known ? "yes" : "no"} | ${count} | ${size} | ${file === undefined ? "" : `\`${name}\``} |`;
    });
    this.write(
      "INDEX.md",
      [
        `${sum((one) => one.executions)} runs of ${sum((one) => one.programs)} programs in ${campaigns.length} campaigns.`,
        "",
        "| lifetime | cause | known | seen | parts, preemptions, steps | file |",
        "| --- | --- | --- | --- | --- | --- |",
        ...counts,
        "",
      ].join("\n"),
    );
  }

  private readLedger(): readonly CampaignRecord[] {
    const path = join(this.folder, LEDGER);
    const parsed = LedgerSchema.safeParse(readJson(resolve(this.cwd, path)));
    if (parsed.success) return parsed.data.campaigns;
    throw new UsageError(
      `${path} was edited, or is of another version; move it away, or name another folder with --out`,
    );
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

const json = (value: object): string => `${JSON.stringify(value, null, 1)}\n`;
