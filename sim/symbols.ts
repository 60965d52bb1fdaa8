/**
 * Text addresses of kernel functions, for backtraces and function pointers.
 *
 * An address depends on the function's name alone, so that it is the same in every process. A model may name some
 * symbols itself, with addresses, sizes and call sites read off a real report.
 */
import { declaredFunctions, KIND_NAMES } from "./op.ts";
import { fieldById } from "./struct.ts";

/** A symbol known from outside: where it lies, how long it is, and the offsets of some of its instructions. */
export interface KnownSymbol {
  /** Low word of the address, as a signed number. */
  readonly address?: number;
  readonly size: number;
  /** Offset by what is done there: a called function's name, or `op:struct->field`. */
  readonly sites?: Readonly<Record<string, number>>;
}
export type KnownSymbols = Readonly<Record<string, KnownSymbol>>;

const TEXT_START = 0x80300000;
const TEXT_SLOTS = 0x8000;
const SLOT = 0x400;

/** FNV-1a over the characters of `text`, as an unsigned 32-bit number. */
export function hashText(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** The symbol table of a kernel. */
export class Symbols {
  private readonly byAddress = new Map<number, string>();
  private readonly bases = new Map<string, number>();

  constructor(private readonly known: KnownSymbols = {}) {
    // In order of name, so that a clash of two hashes is settled the same way everywhere.
    for (const name of [...Object.keys(known), ...declaredFunctions()].sort()) this.base(name);
  }

  /** First address of a function, as a (negative) pointer value. */
  base(name: string): number {
    let address = this.bases.get(name);
    if (address === undefined) {
      address = this.known[name]?.address ?? this.freeAddress(name);
      this.bases.set(name, address);
      this.byAddress.set(address, name);
    }
    return address;
  }

  private freeAddress(name: string): number {
    let slot = hashText(name) % TEXT_SLOTS;
    let address = (TEXT_START + slot * SLOT) | 0;
    while (this.byAddress.has(address)) {
      slot = (slot + 1) % TEXT_SLOTS;
      address = (TEXT_START + slot * SLOT) | 0;
    }
    return address;
  }

  /** Address inside `name` of the call or op `what`. */
  site(name: string, what: string): number {
    const offset = this.known[name]?.sites?.[what] ?? 1 + (hashText(`${name}/${what}`) % (this.size(name) - 1));
    return this.base(name) + offset;
  }

  size(name: string): number {
    return this.known[name]?.size ?? 0x40 * (1 + (hashText(name) % 12));
  }

  /** The function that begins at `address`, or undefined. */
  at(address: number): string | undefined {
    return this.byAddress.get(address);
  }

  /** `name+0xoff/0xsize` of an address, or the bare address where it lies in no function known so far. */
  describe(address: number): string {
    for (const [base, name] of this.byAddress) {
      if (address >= base && address < base + this.size(name)) {
        return `${name}+0x${(address - base).toString(16)}/0x${this.size(name).toString(16)}`;
      }
    }
    return `0x${(address >>> 0).toString(16)}`;
  }
}

/** How a call stack names the op at its top. */
export const siteOf = (kind: number, field: number): string =>
  field < 0 ? (KIND_NAMES[kind] ?? "") : `${KIND_NAMES[kind]}:${fieldById(field).struct}->${fieldById(field).path}`;
