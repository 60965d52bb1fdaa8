/** Files of explorations that were put aside: compressed JSON, trusted in nothing but that the tool wrote it. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { z } from "zod";
import type { PutAside } from "../sim/explore/machine/explore.ts";
import { ioReason, UsageError } from "./errors.ts";
import { TOOL } from "./tool.ts";

/** Version of the format. */
const FORMAT = 2;

const FileSchema = z.object({
  format: z.literal(FORMAT),
  tool: z.object({ name: z.string(), version: z.string() }),
  /** What is explored, in words of a command line, and under which bound. */
  subject: z.string(),
  explored: z.custom<PutAside>((value) => typeof value === "object" && value !== null && "states" in value),
});

/** Words are kept as text: there may be millions. */
const WORDS = "words ";

function withoutWords(_name: string, value: unknown): unknown {
  if (!(value instanceof Int32Array)) return value;
  return WORDS + Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
}

function withWords(_name: string, value: unknown): unknown {
  if (typeof value !== "string" || !value.startsWith(WORDS)) return value;
  const bytes = Buffer.from(value.slice(WORDS.length), "base64");
  const words = new Int32Array(Math.floor(bytes.length / 4));
  Buffer.from(words.buffer).set(bytes.subarray(0, 4 * words.length));
  return words;
}

/**
 * Saves an exploration that is not over.
 *
 * @param subject - Names what is explored, with all parameters.
 * @throws UsageError if it cannot be written.
 */
export function writeExploration(path: string, cwd: string, subject: string, explored: PutAside): void {
  const target = resolve(cwd, path);
  const text = JSON.stringify({ format: FORMAT, tool: TOOL, subject, explored }, withoutWords);
  try {
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(`${target}.tmp`, gzipSync(text));
    renameSync(`${target}.tmp`, target);
  } catch (error) {
    throw new UsageError(`cannot write ${path}: ${ioReason(error)}; name another file with --save`);
  }
}

/**
 * Reads an exploration of `subject`.
 *
 * @throws UsageError that says what is wrong with the file.
 */
export function readExploration(path: string, cwd: string, subject: string): PutAside {
  let bytes: Buffer;
  try {
    bytes = readFileSync(resolve(cwd, path));
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${ioReason(error)}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(gunzipSync(bytes).toString("utf8"), withWords);
  } catch {
    throw new UsageError(
      `${path} is no exploration that was put aside, or was cut off; explore saves one when it stops`,
    );
  }
  const parsed = FileSchema.safeParse(json);
  if (!parsed.success || parsed.data.tool.version !== TOOL.version) {
    throw new UsageError(`${path} was not saved by this version of ${TOOL.name}; explore again without --resume`);
  }
  if (parsed.data.subject !== subject) {
    throw new UsageError(`${path} is of "${parsed.data.subject}"; give the same scenario and options`);
  }
  return parsed.data.explored;
}
