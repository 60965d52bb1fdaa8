/** gcc and pahole: where a compiler puts the members of structs, and how that differs from a layout. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AnyStruct, type CType, type Field, type Layout, typeUnder } from "../../sim/struct.ts";
import type { Variant } from "./cSource.ts";

/** A member as the compiler has it: byte offset and size, and the first bit if it is a bit-field. */
export interface CompiledMember {
  readonly offset: number;
  readonly size: number;
  readonly bit: number | null;
}
/** A struct or union as the compiler has it. */
export interface CompiledType {
  readonly size: number;
  readonly members: ReadonlyMap<string, CompiledMember>;
}
/** By tag. */
export type CompiledTypes = ReadonlyMap<string, CompiledType>;

const runs = (command: string): boolean => spawnSync(command, ["--version"]).status === 0;

/** What is missing of the tools; empty if all is there. */
export const missingTools = (): string[] => ["gcc", "pahole"].filter((tool) => !runs(tool));

function mustRun(command: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
}

/** Compiles C source with debug information and asks pahole for its types. */
export function compile(source: string): CompiledTypes {
  const folder = mkdtempSync(join(tmpdir(), "layouts-"));
  try {
    const file = join(folder, "layouts.c");
    const object = join(folder, "layouts.o");
    writeFileSync(file, source);
    mustRun("gcc", "-g", "-std=gnu99", "-c", "-o", object, file);
    return parsePahole(mustRun("pahole", object));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Reads what pahole prints: one block for each type, a comment with offset and size behind each member. */
export function parsePahole(text: string): CompiledTypes {
  const types = new Map<string, CompiledType>();
  let members = new Map<string, CompiledMember>();
  let tag = "";
  let bytes = 0;
  for (const line of text.split("\n")) {
    const head = /^(?:struct|union) (\w+) \{/.exec(line);
    if (head !== null) {
      tag = head[1] as string;
      members = new Map();
      bytes = 0;
      continue;
    }
    // Of a union it prints no size.
    bytes = Number(/\/\* size: (\d+)/.exec(line)?.[1] ?? bytes);
    if (line === "};") {
      const largest = Math.max(0, ...[...members.values()].map(({ size }) => size));
      types.set(tag, { size: bytes === 0 ? largest : bytes, members });
    }
    const member = /(\w+)(?:\[\d+\])*(?::\d+)?;\s*\/\*\s*(\d+)(?::\s*(\d+))?\s+(\d+)\s*\*\//.exec(line);
    if (member === null) continue;
    const [, name, offset, bit, size] = member;
    members.set(name as string, {
      offset: Number(offset),
      size: Number(size),
      bit: bit === undefined ? null : Number(bit),
    });
  }
  return types;
}

/** Every place where the compiler and a layout disagree about a struct, with both opinions. Empty: they agree. */
export function differences(types: CompiledTypes, declared: AnyStruct, variant: Variant, layout: Layout): string[] {
  const found: string[] = [];
  const compare = (what: string, compiled: number | undefined, ours: number): void => {
    if (compiled !== ours) found.push(`${declared.name}${variant.suffix} ${what}: gcc ${compiled}, layout ${ours}`);
  };
  compare("sizeof", types.get(`${declared.name}${variant.suffix}`)?.size, layout.sizeOf(declared));
  const walk = (tag: string, type: CType, fields: object, base: number): void => {
    if (type.type !== "struct" && type.type !== "union") return;
    const compiled = types.get(`${tag}${variant.suffix}`);
    for (const [name, declaredType] of Object.entries(type.members)) {
      const field = (fields as Readonly<Record<string, Field>>)[name] as Field;
      const own = typeUnder(declaredType, variant.config);
      compare(`${field.path} present`, own === null ? 0 : 1, layout.present[field.id] as number);
      if (own === null || own.type === "bit-alias") continue;
      const member = compiled?.members.get(name);
      const offset = layout.offset[field.id] as number;
      if (own.type === "bits") {
        const bit = member === undefined ? undefined : (base + member.offset) * 8 + (member.bit ?? 0);
        compare(`${field.path} first bit`, bit, offset * 8 + (layout.shift[field.id] as number));
        compare(`${field.path} mask`, 2 ** own.width - 1, layout.mask[field.id] as number);
        continue;
      }
      compare(`${field.path} offset`, member === undefined ? undefined : base + member.offset, offset);
      compare(`${field.path} size`, member?.size, layout.size[field.id] as number);
      const inner = own.type === "struct" ? own.name : `${tag}_${name}`;
      walk(inner, own, field, offset);
    }
  };
  walk(declared.name, declared, declared.fields, 0);
  return found;
}
