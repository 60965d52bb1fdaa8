/**
 * C source of declared structs: what a compiler is to be asked about.
 *
 * A struct or union inside another is named by its tag and written before it, so that each type has one flat table of
 * members. A bit alias is no member of its own, and what a config leaves out is left out here too.
 */
import { type AnyStruct, type Config, type CType, type Members, typeUnder } from "../../sim/struct.ts";

/** One variant of all structs: its tags end in `suffix`. */
export interface Variant {
  readonly suffix: string;
  readonly config: Config;
}

/** Writes types in the order in which C wants them. */
class Writer {
  readonly text: string[] = [];
  private readonly written = new Set<string>();

  constructor(private readonly variant: Variant) {}

  /** Declares a struct, and what it is made of; gives its C name. */
  struct(declared: AnyStruct): string {
    return this.aggregate("struct", declared.name, declared.members);
  }

  private aggregate(keyword: "struct" | "union", tag: string, members: Members): string {
    const name = `${tag}${this.variant.suffix}`;
    if (this.written.has(name)) return `${keyword} ${name}`;
    this.written.add(name);
    const lines: string[] = [];
    for (const [member, declared] of Object.entries(members)) {
      const type = typeUnder(declared, this.variant.config);
      if (type !== null && type.type !== "bit-alias") lines.push(`\t${this.member(tag, member, type)};`);
    }
    this.text.push(`${keyword} ${name} {`, ...lines, "};", `${keyword} ${name} instance_of_${name};`, "");
    return `${keyword} ${name}`;
  }

  private member(tag: string, name: string, type: CType): string {
    switch (type.type) {
      case "scalar":
        return `${type.name} ${name}`;
      case "bits":
        return `unsigned int ${name}:${type.width}`;
      case "array":
        return `${this.member(tag, name, type.of)}[${type.count}]`;
      case "struct":
        return `${this.struct(type)} ${name}`;
      case "union":
        return `${this.aggregate("union", `${tag}_${name}`, type.members)} ${name}`;
      default:
        throw new Error(`${type.type} is no C member`);
    }
  }
}

/** C source with every struct in every variant. */
export function cSource(structs: readonly AnyStruct[], variants: readonly Variant[]): string {
  return variants
    .flatMap((variant) => {
      const writer = new Writer(variant);
      for (const declared of structs) writer.struct(declared);
      return writer.text;
    })
    .join("\n");
}
