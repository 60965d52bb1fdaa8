/** Files of explorations that were put aside: compressed, trusted in nothing but that the tool wrote it. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { z } from "zod";
import type { PutAside } from "../sim/explore/machine/explore.ts";
import { ioReason, UsageError } from "./errors.ts";
import { TOOL } from "./tool.ts";

/** Version of the format. */
const FORMAT = 4;

const FileSchema = z.object({
  format: z.literal(FORMAT),
  tool: z.object({ name: z.string(), version: z.string() }),
  /** What is explored, in words of a command line, and under which bound. */
  subject: z.string(),
  explored: z.custom<PutAside>((value) => typeof value === "object" && value !== null && "states" in value),
});

/** Stands in the JSON for words, which come after it in the file as they are: there may be too many for a text. */
const WORDS = "words ";

/** The file: the length of the JSON, the JSON, and all words in the order in which it names them. */
function packed(content: object): Buffer {
  const parts: Buffer[] = [];
  const text = JSON.stringify(content, (_name, value: unknown) => {
    if (!(value instanceof Int32Array)) return value;
    parts.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
    return `${WORDS}${value.length}`;
  });
  const json = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  return Buffer.concat([length, json, ...parts]);
}

/** Takes a file apart; throws where it is none. */
function unpacked(file: Buffer): unknown {
  let at = 4 + file.readUInt32LE(0);
  return JSON.parse(file.subarray(4, at).toString("utf8"), (_name, value: unknown) => {
    if (typeof value !== "string" || !value.startsWith(WORDS)) return value;
    const words = new Int32Array(Number(value.slice(WORDS.length)));
    const bytes = file.subarray(at, at + words.byteLength);
    if (bytes.length < words.byteLength) throw new Error("cut off");
    Buffer.from(words.buffer).set(bytes);
    at += words.byteLength;
    return words;
  });
}

/**
 * Saves an exploration that is not over.
 *
 * @param subject - Names what is explored, with all parameters.
 * @throws UsageError if it cannot be written.
 */
export function writeExploration(path: string, cwd: string, subject: string, explored: PutAside): void {
  const target = resolve(cwd, path);
  const content = packed({ format: FORMAT, tool: TOOL, subject, explored });
  try {
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(`${target}.tmp`, gzipSync(content, { level: 1 }));
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
    json = unpacked(gunzipSync(bytes));
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
