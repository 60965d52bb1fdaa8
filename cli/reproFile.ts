/**
 * Repro files: a finding with everything it takes to see it again.
 *
 * A file is trusted in nothing. What cannot be read gets a message of its own; what can be read is run, and only the
 * same history hash makes it the same run.
 */
import { randomUUID } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import type { Parameters } from "../scenarios/scenario.ts";
import { FINDING_KINDS, type Finding, findingKey } from "../sim/finding.ts";
import { formatSchedule, parseSchedule } from "../sim/schedule.ts";
import { type RecordedEvent, readTrail, type WrittenTrail } from "../sim/trail.ts";
import { ioReason, messageOf, UsageError } from "./errors.ts";
import { TOOL } from "./tool.ts";

/** Version of the format of repro files. */
export const REPRO_FORMAT = 2;
/** The format before, in which a schedule had no trail: still read, as its history hash says whether it fits. */
const FORMAT_WITHOUT_TRAIL = 1;

const HASH = /^[0-9a-f]{16}$/;
const wholeNumber = z.int().nonnegative();

const ReproSchema = z.strictObject({
  format: z.union([z.literal(REPRO_FORMAT), z.literal(FORMAT_WITHOUT_TRAIL)]),
  tool: z.strictObject({ name: z.string(), version: z.string() }),
  scenario: z.string(),
  parameters: z.strictObject({
    lifetime: z.string(),
    patches: z.array(z.string()),
    memory: z.string(),
    cpus: wholeNumber,
    config: z.record(z.string(), z.boolean()),
    checks: z.array(z.string()),
    stepsMax: wholeNumber,
  }),
  schedule: z.string(),
  trail: z
    .strictObject({
      tasks: z.array(z.string()),
      ops: z.record(z.string(), z.string()),
      stretches: z.array(z.string()),
    })
    .optional(),
  finding: z.strictObject({ kind: z.enum(FINDING_KINDS), title: z.string(), function: z.string(), key: z.string() }),
  historyHash: z.string().regex(HASH, "expected 16 hexadecimal digits"),
  strategy: z.string(),
  seed: z.string(),
});

/** What a repro file holds. */
export type Repro = z.infer<typeof ReproSchema>;

/** A finding that is to be kept. */
export interface ReproSource {
  readonly scenario: string;
  readonly parameters: Parameters;
  readonly schedule: ArrayLike<number>;
  readonly trail: WrittenTrail;
  readonly finding: Finding;
  readonly historyHash: string;
  readonly strategy: string;
  readonly seed: string;
}

/** The repro of a finding. */
export function makeRepro(source: ReproSource): Repro {
  const { scenario, parameters, finding, historyHash, strategy, seed } = source;
  const { kind, title } = finding;
  return {
    format: REPRO_FORMAT,
    tool: TOOL,
    scenario,
    parameters: { ...parameters, patches: [...parameters.patches], checks: [...parameters.checks] },
    schedule: formatSchedule(source.schedule),
    trail: {
      tasks: [...source.trail.tasks],
      ops: { ...source.trail.ops },
      stretches: [...source.trail.stretches],
    },
    finding: { kind, title, function: finding.function, key: findingKey(finding) },
    historyHash,
    strategy,
    seed,
  };
}

/** `SCENARIO-KIND-FUNCTION-HASH.json`. */
export function reproName(repro: Repro): string {
  const parts = [repro.scenario, repro.finding.kind, repro.finding.function || "none", repro.historyHash.slice(0, 8)];
  return `${parts.map((part) => part.replace(/[^A-Za-z0-9_.+-]/g, "_")).join("-")}.json`;
}

/**
 * Makes sure, before a long hunt, that its findings can be saved. Makes nothing yet.
 *
 * @throws UsageError if they cannot.
 */
export function checkFolder(folder: string, cwd: string): void {
  let existing = resolve(cwd, folder);
  while (!existsSync(existing) && dirname(existing) !== existing) existing = dirname(existing);
  try {
    if (!statSync(existing).isDirectory()) throw new Error(`${existing} is no folder`);
    accessSync(existing, constants.W_OK);
  } catch (error) {
    throw new UsageError(`cannot save repro files in ${folder}: ${ioReason(error)}; name another folder with --out`);
  }
}

/**
 * Saves a repro into a folder, which is made if need be, under the name that fits it.
 *
 * @returns the path, as `folder` was given.
 * @throws UsageError if it cannot be written.
 */
export function writeRepro(repro: Repro, folder: string, cwd: string): string {
  const path = join(folder, reproName(repro));
  writeReproAs(repro, path, cwd, "name another folder with --out");
  return path;
}

/**
 * Saves a repro under a path of its own. Whoever reads the file sees all of it or none.
 *
 * @param mend - What to do if it cannot be written.
 * @throws UsageError if it cannot be written.
 */
export function writeReproAs(repro: Repro, path: string, cwd: string, mend: string): void {
  const target = resolve(cwd, path);
  const temporary = `${target}.${randomUUID()}.tmp`;
  try {
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(temporary, `${JSON.stringify(repro, null, 2)}\n`, { flag: "wx" });
    renameSync(temporary, target);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new UsageError(`cannot write ${path}: ${ioReason(error)}; ${mend}`);
  }
}

/**
 * Reads a repro file.
 *
 * @throws UsageError that says what is wrong with it.
 */
export function readRepro(path: string, cwd: string): Repro {
  let text: string;
  try {
    text = readFileSync(resolve(cwd, path), "utf8");
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${ioReason(error)}`);
  }
  return parseRepro(text, path);
}

/**
 * Reads the text of a repro file.
 *
 * @param path - Names it in messages.
 * @throws UsageError that says what is wrong with it.
 */
export function parseRepro(text: string, path: string): Repro {
  const json = parseJson(text, path);
  checkFormat(json, path);
  const parsed = ReproSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue === undefined || issue.path.length === 0 ? "the file" : `field "${issue.path.join(".")}"`;
    throw new UsageError(
      `${path} is no valid repro file: ${where}: ${issue?.message ?? "unreadable"}; take the file as hunt saved it`,
    );
  }
  const repro = parsed.data;
  if (findingKey(repro.finding) !== repro.finding.key) {
    throw new UsageError(
      `${path} was edited: field "finding.key" does not fit kind, function and title; take the file as hunt saved it`,
    );
  }
  return repro;
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const what = text.trim() === "" ? "is empty" : "is not JSON";
    throw new UsageError(`${path} ${what}: it was cut off, or is no repro file; hunt saves a new one`);
  }
}

/** The version comes first: of a file of another format, nothing else is known. */
function checkFormat(json: unknown, path: string): void {
  if (typeof json !== "object" || json === null || !("format" in json)) {
    throw new UsageError(`${path} is no repro file: it has no field "format"; hunt saves repro files`);
  }
  if (json.format !== REPRO_FORMAT && json.format !== FORMAT_WITHOUT_TRAIL) {
    const format = JSON.stringify(json.format).slice(0, 40);
    throw new UsageError(
      `${path} has repro format ${format}, and this ${TOOL.name} reads formats ${FORMAT_WITHOUT_TRAIL} and ${REPRO_FORMAT}; replay it with the version that wrote it`,
    );
  }
  if (json.format === REPRO_FORMAT && !("trail" in json)) {
    throw new UsageError(`${path} is no valid repro file: field "trail": missing; take the file as hunt saved it`);
  }
}

/**
 * The schedule of a repro, as events.
 *
 * @throws UsageError if it is none, or longer than the run may be.
 */
export function scheduleOf(repro: Repro, path: string): Int32Array {
  const edited = (what: string): UsageError =>
    new UsageError(`${path} was edited: field "schedule": ${what}; take the file as hunt saved it`);
  // Counted before it is unfolded, so that no text can ask for more memory than a run needs.
  const events = (repro.schedule.match(/\S+/g) ?? []).reduce(
    (sum, word) => sum + Number(/\*(\d+)$/.exec(word)?.[1] ?? 1),
    0,
  );
  const { stepsMax } = repro.parameters;
  if (events > stepsMax) throw edited(`${events} events, but the run is cut off at ${stepsMax} steps`);
  let schedule: Int32Array;
  try {
    schedule = parseSchedule(repro.schedule);
  } catch (error) {
    throw edited(messageOf(error));
  }
  if (formatSchedule(schedule) !== repro.schedule) throw edited("it is not written as schedules are");
  return schedule;
}

/**
 * What each event of a repro's schedule was; null for a file from before that was kept.
 *
 * @throws UsageError if the trail is none, or not of this schedule.
 */
export function trailOf(repro: Repro, schedule: Int32Array, path: string): RecordedEvent[] | null {
  if (repro.trail === undefined) return null;
  try {
    return readTrail(repro.trail, schedule);
  } catch (error) {
    throw new UsageError(`${path} was edited: field "trail": ${messageOf(error)}; take the file as hunt saved it`);
  }
}
