/**
 * C struct declarations: one declaration gives field access, offsets and sizes under every kernel config.
 *
 * A declaration is made once, at module load, and never changes. A {@link Layout} is what one kernel config makes
 * of all declarations: the LP64 rules of the x86_64 ABI, bit-fields packed from bit 0 of their storage unit up.
 */

/** Kernel configuration: option name (without `CONFIG_`) to whether it is set. */
export type Config = Readonly<Record<string, boolean>>;

/** How eight bytes of memory stand for a number; see `Memory.load`. */
export const PLAIN = 0;
/** The field holds a kernel pointer. */
export const POINTER = 1;
/** The field holds a signed integer. */
export const SIGNED = 2;

/** A C integer or pointer. */
export interface CScalar {
  readonly type: "scalar";
  readonly name: string;
  readonly size: number;
  readonly code: number;
}
/** A bit-field. */
export interface CBits {
  readonly type: "bits";
  readonly width: number;
}
/** A second name for neighbouring bit-fields. */
export interface CBitAlias {
  readonly type: "bit-alias";
  readonly first: string;
  readonly width: number;
}
/** An array. */
export interface CArray {
  readonly type: "array";
  readonly of: CType;
  readonly count: number;
}
/** A member under `#ifdef`, perhaps with another type under `#else`. */
export interface COptional<T> {
  readonly type: "optional";
  readonly when: (config: Config) => boolean;
  readonly of: T;
  readonly otherwise: CType | null;
}
/** A union. */
export interface CUnion<M> {
  readonly type: "union";
  readonly members: M;
}
/** Any C type a member can have. */
export type CType = CScalar | CBits | CBitAlias | CArray | COptional<CType> | CUnion<Members> | AnyStruct;
/** Members of a struct or union, in declaration order. */
export interface Members {
  readonly [name: string]: CType;
}

const scalar = (name: string, size: number, code: number): CScalar => ({ type: "scalar", name, size, code });
/** C scalars. */
export const u8 = scalar("unsigned char", 1, PLAIN);
export const u16 = scalar("unsigned short", 2, PLAIN);
export const u32 = scalar("unsigned int", 4, PLAIN);
export const int = scalar("int", 4, SIGNED);
export const long = scalar("long", 8, SIGNED);
export const ulong = scalar("unsigned long", 8, PLAIN);
export const ptr = scalar("void *", 8, POINTER);
/** A bit-field of `width` bits in an `unsigned int`. */
export const bits = (width: number): CBits => ({ type: "bits", width });
/** Another name for `width` neighbouring bits from bit-field `first` on: what one instruction tests or clears together. */
export const bitAlias = (first: string, width: number): CBitAlias => ({ type: "bit-alias", first, width });
export const array = (of: CType, count: number): CArray => ({ type: "array", of, count });
export const union = <const M extends Members>(members: M): CUnion<M> => ({
  type: "union",
  members,
});
/**
 * A member that exists only under some configs (`#ifdef`).
 *
 * @param otherwise - Its type where it is not as `of` says (`#else`); without, the member is not there then.
 */
export const when = <const T extends CType>(
  test: string | ((config: Config) => boolean),
  of: T,
  otherwise: CType | null = null,
): COptional<T> => ({
  type: "optional",
  when: typeof test === "string" ? (config) => config[test] === true : test,
  of,
  otherwise,
});
/** What a member is under `config`: null if it is not there. */
export function typeUnder(declared: CType, config: Config): Exclude<CType, COptional<CType>> | null {
  let type: CType | null = declared;
  while (type !== null && type.type === "optional") type = type.when(config) ? type.of : type.otherwise;
  return type;
}

/** One addressable member of a declared struct. `id` indexes the tables of a {@link Layout}. */
export interface Field {
  readonly id: number;
  /** Dotted path inside the struct: `u.live.cloning`. */
  readonly path: string;
  readonly struct: string;
}
type Sub<T> = T extends { type: "struct"; members: infer M extends Members }
  ? FieldsOf<M>
  : T extends { type: "union"; members: infer M extends Members }
    ? FieldsOf<M>
    : T extends { type: "optional"; of: infer O }
      ? Sub<O>
      : unknown;
/** The fields of a struct as an object shaped like its declaration. */
export type FieldsOf<M extends Members> = { readonly [K in keyof M]: Field & Sub<M[K]> };

/** A declared struct where the types of its members do not matter. */
export interface AnyStruct {
  readonly type: "struct";
  readonly name: string;
  readonly members: Members;
  readonly fields: object;
}

/** A declared struct: its C members and its addressable fields. */
export interface Struct<M extends Members> {
  readonly type: "struct";
  readonly name: string;
  readonly members: M;
  readonly fields: FieldsOf<M>;
}

const registry: Field[] = [];
const structs: AnyStruct[] = [];

function makeFields(struct: string, prefix: string, members: Members): Record<string, Field> {
  const out: Record<string, Field> = {};
  for (const [name, declared] of Object.entries(members)) {
    const path = prefix + name;
    const field: Field = { id: registry.length, path, struct };
    registry.push(field);
    let type: CType = declared;
    while (type.type === "optional") type = type.of;
    const sub = type.type === "struct" || type.type === "union" ? makeFields(struct, `${path}.`, type.members) : {};
    out[name] = Object.assign(field, sub);
  }
  return out;
}

/**
 * Declares a C struct.
 *
 * @param name - The struct tag, as in C.
 * @param members - The members in declaration order.
 * @returns the struct, with one {@link Field} per member under `fields`.
 */
export function struct<const M extends Members>(name: string, members: M): Struct<M> {
  const made: AnyStruct = { type: "struct", name, members, fields: makeFields(name, "", members) };
  structs.push(made);
  return made as unknown as Struct<M>;
}

/** The field with this id. */
export function fieldById(id: number): Field {
  const field = registry[id];
  if (field === undefined) throw new Error(`[sim bug] no field ${id}`);
  return field;
}

/** `struct->path`, as the interleaving shows it. */
export const fieldLabel = (id: number): string => `${fieldById(id).struct}->${fieldById(id).path}`;

/** All structs declared so far, in order of declaration. */
export const declaredStructs = (): readonly AnyStruct[] => structs;

/** Where one config puts every field of every declared struct. Sizes and offsets are in bytes. */
export class Layout {
  readonly offset: Int32Array;
  readonly size: Int32Array;
  readonly code: Int32Array;
  readonly shift: Int32Array;
  /** Value mask of a bit-field (after the shift), 0 for any other field. */
  readonly mask: Int32Array;
  readonly present: Uint8Array;
  private readonly sizes = new Map<AnyStruct, { size: number; align: number }>();

  constructor(readonly config: Config) {
    const n = registry.length;
    this.offset = new Int32Array(n);
    this.size = new Int32Array(n);
    this.code = new Int32Array(n);
    this.shift = new Int32Array(n);
    this.mask = new Int32Array(n);
    this.present = new Uint8Array(n);
    for (const declared of structs) {
      this.sizes.set(declared, this.place(declared.members, fieldsOf(declared), 0, false));
    }
  }

  /** `sizeof` a declared struct, in bytes. */
  sizeOf(declared: AnyStruct): number {
    const found = this.sizes.get(declared);
    if (found === undefined) throw new Error(`[sim bug] struct ${declared.name} declared after its layout was made`);
    return found.size;
  }

  private measure(type: CType): { size: number; align: number } {
    switch (type.type) {
      case "scalar":
        return { size: type.size, align: type.size };
      case "array": {
        const of = this.measure(type.of);
        return { size: of.size * type.count, align: of.align };
      }
      case "optional": {
        const present = typeUnder(type, this.config);
        return present === null ? { size: 0, align: 1 } : this.measure(present);
      }
      case "struct":
        return this.place(type.members, fieldsOf(type), 0, false);
      case "union":
        return this.place(type.members, undefined, 0, true);
      default:
        throw new Error(`[sim bug] ${type.type} has no size of its own`);
    }
  }

  private place(
    members: Members,
    fields: Readonly<Record<string, Field>> | undefined,
    base: number,
    overlay: boolean,
  ): { size: number; align: number } {
    let at = 0;
    let align = 1;
    let end = 0;
    /** First bit not yet taken, counted from the start of the struct. */
    let bitNext = 0;
    const bitAt: Record<string, number> = {};
    for (const [name, declared] of Object.entries(members)) {
      const type = typeUnder(declared, this.config);
      if (type === null) continue;
      const id = fields?.[name]?.id;
      if (type.type === "bits" || type.type === "bit-alias") {
        if (type.type === "bits") {
          // A bit-field begins at the next free bit, unless it would cross into another `unsigned int`.
          if (overlay) bitNext = 0;
          if ((bitNext % 32) + type.width > 32) bitNext = roundUp(bitNext, 32);
          bitAt[name] = bitNext;
          bitNext += type.width;
          at = Math.ceil(bitNext / 8);
          align = Math.max(align, 4);
        }
        const first = type.type === "bits" ? bitAt[name] : bitAt[type.first];
        if (first === undefined) throw new Error(`[sim bug] ${name} names no earlier bit-field`);
        if (id !== undefined) {
          // Accessed as the byte it lies in, as gcc does, or as the whole unit if it lies in more than one.
          const inByte = (first & 7) + type.width <= 8;
          this.offset[id] = base + (inByte ? first >> 3 : (first >> 5) * 4);
          this.size[id] = inByte ? 1 : 4;
          this.shift[id] = inByte ? first & 7 : first & 31;
          this.mask[id] = 2 ** type.width - 1;
          this.present[id] = 1;
        }
        end = Math.max(end, at);
        continue;
      }
      const { size, align: own } = this.measure(type);
      const offset = overlay ? 0 : roundUp(at, own);
      if (id !== undefined && fields !== undefined) {
        this.offset[id] = base + offset;
        this.size[id] = size;
        this.code[id] = type.type === "scalar" ? type.code : PLAIN;
        this.present[id] = 1;
        if (type.type === "struct" || type.type === "union") {
          const sub = fields[name] as unknown as Record<string, Field>;
          this.place(type.members, sub, base + offset, type.type === "union");
        }
      }
      at = offset + size;
      bitNext = at * 8;
      end = Math.max(end, at);
      align = Math.max(align, own);
    }
    return { size: roundUp(end, align), align };
  }
}

const fieldsOf = (declared: AnyStruct): Readonly<Record<string, Field>> =>
  declared.fields as Readonly<Record<string, Field>>;

const layouts = new Map<string, Layout>();
const layoutOfConfig = new WeakMap<Config, Layout>();

/** The layout of all declared structs under `config`; made once per config and shared. */
export function layoutFor(config: Config): Layout {
  const recent = layoutOfConfig.get(config);
  if (recent !== undefined && recent.offset.length === registry.length) return recent;
  const key = `${registry.length}.${structs.length}:${Object.keys(config)
    .sort()
    .filter((name) => config[name])
    .join(",")}`;
  let layout = layouts.get(key);
  if (layout === undefined) {
    layout = new Layout(config);
    layouts.set(key, layout);
  }
  layoutOfConfig.set(config, layout);
  return layout;
}

/** `n` rounded up to a multiple of `to`. */
export const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;
