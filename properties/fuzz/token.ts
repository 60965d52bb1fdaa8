/**
 * One token for one failure: program, parameters and schedule as text that can be pasted into a mail.
 *
 *     utrace-fuzz-2:<deflated JSON in base64url>
 */
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { formatSchedule, parseSchedule } from "../../sim/schedule.ts";
import { type FuzzCase, programOf } from "./case.ts";
import { checkedScript } from "./scriptSchema.ts";

/** What a token holds. */
export interface Reproduction {
  readonly fuzzCase: FuzzCase;
  readonly schedule: Int32Array;
}

const PREFIX = "utrace-fuzz-";
/** Version of the format. */
export const TOKEN_VERSION = 2;
/** More than any run takes, so that no text can ask for more memory than that. */
const EVENTS_MAX = 200_000;
const BYTES_MAX = 1 << 20;

/** A text is no token, or one of another version; the message says which, in one line. */
export class BadToken extends Error {
  override readonly name = "BadToken";
}

/** The token of a reproduction. */
export function formatToken({ fuzzCase, schedule }: Reproduction): string {
  const text = JSON.stringify([fuzzCase.parameters, fuzzCase.script, formatSchedule(schedule)]);
  return `${PREFIX}${TOKEN_VERSION}:${deflateRawSync(text, { level: 9 }).toString("base64url")}`;
}

/**
 * Reads a token.
 *
 * @throws BadToken if it is none, or makes no program.
 */
export function parseToken(token: string): Reproduction {
  const match = /^utrace-fuzz-(\d{1,6}):([A-Za-z0-9_-]+)$/.exec(token.trim());
  if (match === null) {
    throw new BadToken(
      `"${token.slice(0, 30)}" is no fuzz token: one begins with ${PREFIX}${TOKEN_VERSION}: and has no spaces`,
    );
  }
  if (Number(match[1]) !== TOKEN_VERSION) {
    throw new BadToken(
      `the token has version ${match[1]}, and this reads version ${TOKEN_VERSION}; use the tool that wrote it`,
    );
  }
  const [parameters, script, text] = unpack(match[2] as string);
  try {
    const fuzzCase = { parameters, script: checkedScript(script) } as FuzzCase;
    programOf(fuzzCase);
    return { fuzzCase, schedule: readSchedule(String(text)) };
  } catch (error) {
    throw new BadToken(`the token makes no program: ${(error as Error).message}`);
  }
}

function unpack(body: string): [unknown, unknown, unknown] {
  try {
    const json = inflateRawSync(Buffer.from(body, "base64url"), { maxOutputLength: BYTES_MAX }).toString("utf8");
    const parts: unknown = JSON.parse(json);
    if (Array.isArray(parts) && parts.length === 3) return parts as [unknown, unknown, unknown];
  } catch {
    // Cut off, or edited: said below.
  }
  throw new BadToken("the token is damaged: it was cut off or edited; copy all of it");
}

function readSchedule(text: string): Int32Array {
  const events = (text.match(/\S+/g) ?? []).reduce((sum, word) => sum + Number(/\*(\d+)$/.exec(word)?.[1] ?? 1), 0);
  if (events > EVENTS_MAX) throw new Error(`its schedule has ${events} events`);
  return parseSchedule(text);
}
