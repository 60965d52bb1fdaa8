/** The history of a run: what every step did. Kept only on request; the hash of it is always kept. */
import type { Ptr } from "./op.ts";

/** One step. */
export interface HistoryRow {
  readonly step: number;
  /** Virtual time in nanoseconds when it took effect. */
  readonly time: number;
  readonly event: number;
  readonly cpu: number;
  /** Context that took it; "" for an event of the machine, such as a switch. */
  readonly task: string;
  readonly pid: number;
  readonly softirq: boolean;
  readonly kind: number;
  /** Which step of a multi-step op. */
  readonly phase: number;
  readonly address: Ptr;
  /** Field id, -1 if none. */
  readonly field: number;
  readonly result: number;
  /** The step was cut short: it faulted, or was the kernel's last. */
  readonly fatal: boolean;
  /** Kernel functions, innermost first. */
  readonly backtrace: readonly string[];
  /** Bytes of memory it changed: address and new value of each. */
  readonly writes: readonly { readonly address: Ptr; readonly byte: number }[];
  /** Under TSO: what the step stored went into the store buffer, or what it loaded came from there. */
  readonly buffer?: "stored" | "forwarded";
  /** Of a store that reached memory (an event FLUSH, or a row of its own before the one that drained): who made it when. */
  readonly storedAt?: number;
}

/** Something the kernel code said of itself with `note`. */
export interface Note {
  readonly step: number;
  readonly task: string;
  readonly subject: string;
  readonly pointer: Ptr;
  readonly value: number;
}

/** A rolling hash over the steps of a run: two 32-bit lanes, so that a hunt of millions of runs has no clashes. */
export class HistoryHash {
  private a = 0x811c9dc5 | 0;
  private b = 0x9e3779b9 | 0;

  reset(): void {
    this.a = 0x811c9dc5 | 0;
    this.b = 0x9e3779b9 | 0;
  }

  add(x: number, y: number, z: number): void {
    const a = Math.imul(this.a ^ x, 0x01000193) ^ y;
    this.b = Math.imul(this.b ^ a ^ z, 0x85ebca6b) ^ (this.b >>> 13);
    this.a = Math.imul(a, 0xc2b2ae35) ^ (a >>> 16);
  }

  /** Takes in the {@link digest} of another. */
  addDigest(digest: string): void {
    this.add(Number.parseInt(digest.slice(0, 8), 16), Number.parseInt(digest.slice(8), 16), 0);
  }

  /** The hash so far as sixteen hexadecimal digits. */
  digest(): string {
    const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, "0");
    return hex(this.a) + hex(this.b);
  }
}

/** One hash of many, in order. */
export function combineHashes(hashes: Iterable<string>): string {
  const all = new HistoryHash();
  for (const hash of hashes) all.addDigest(hash);
  return all.digest();
}
