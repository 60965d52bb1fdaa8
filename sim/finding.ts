/** What a check found in a run: a value, with everything a report needs to say it in the kernel's words. */
import type { Ptr } from "./op.ts";

/** Kinds of finding. Part of the command line's contract. */
export const FINDING_KINDS = [
  "use-after-free",
  "double-free",
  "invalid-free",
  "slab-corruption",
  "paging-fault",
  "bug-on",
  "warn-on",
  "data-race",
  "deadlock",
  "hung-task",
  "lock-misuse",
  "rcu-misuse",
  "atomic-sleep",
  "leak",
  "spec-divergence",
  "property",
] as const;
export type FindingKind = (typeof FINDING_KINDS)[number];

/** Names of the checks made by default, each of which can be switched off alone. `spec` is the model's own: see model/spec. */
export const CHECK_NAMES = ["kasan", "lockdep", "spinlock", "rcu", "atomic-sleep", "hang", "leak", "spec"] as const;
/** Checks that are made only when asked for: see `checks/dataRace.ts`. */
export const EXTRA_CHECK_NAMES = ["data-race"] as const;
export type CheckName = (typeof CHECK_NAMES)[number] | (typeof EXTRA_CHECK_NAMES)[number];

/** Who did something, and where: as an alloc or free track, and as one side of a lock order. */
export interface Site {
  readonly comm: string;
  readonly pid: number;
  readonly cpu: number;
  readonly step: number;
  /** Kernel functions, innermost first. */
  readonly backtrace: readonly string[];
}

/** A slab object as the KASAN-like report describes it. */
export interface ObjectInfo {
  readonly cache: string;
  readonly address: Ptr;
  readonly size: number;
  readonly allocated: Site | null;
  readonly freed: Site | null;
}

/** Everything SLUB prints of a broken object, copied at the moment of the check. */
export interface SlabReport {
  readonly cache: string;
  readonly title: string;
  readonly page: {
    readonly address: Ptr;
    readonly objects: number;
    readonly inuse: number;
    readonly freelist: Ptr;
    readonly flags: string;
  };
  /** Absent in the reports that are about the page. */
  readonly object?: {
    readonly address: Ptr;
    readonly freePointer: Ptr;
    readonly before: readonly number[];
    readonly bytes: readonly number[];
    readonly redzone: readonly number[];
    readonly paddingAt: number;
    readonly padding: readonly number[];
    readonly tracks: readonly TrackReport[];
  };
  /** First and last bad byte, when bytes were compared. */
  readonly range?: { readonly first: Ptr; readonly last: Ptr; readonly found: number; readonly expected: number };
  /** What SLUB did about it, one `FIX` line each. */
  readonly fixes: readonly string[];
}
export interface TrackReport {
  readonly verb: "Allocated" | "Freed";
  readonly address: number;
  readonly age: number;
  readonly cpu: number;
  readonly pid: number;
}

/** One side of a data race. */
export interface RaceAccess {
  readonly write: boolean;
  /** READ_ONCE, a locked operation or the like. */
  readonly marked: boolean;
  readonly address: Ptr;
  readonly size: number;
}

/** The part of a finding that depends on what was found. */
export type FindingDetails =
  | {
      readonly type: "memory";
      readonly write: boolean;
      readonly address: Ptr;
      readonly size: number;
      readonly object: ObjectInfo | null;
      /** Under TSO: the step that made the store, if it was right then and the object was freed before it arrived. */
      readonly storedAt?: number;
    }
  | {
      readonly type: "race";
      readonly access: RaceAccess;
      /** The access before it that nothing orders with it, and who made it. */
      readonly other: RaceAccess & {
        readonly comm: string;
        readonly pid: number;
        readonly cpu: number;
        readonly step: number;
        readonly backtrace: readonly { readonly name: string; readonly address: string }[];
      };
      /** The bytes of the earlier access before it, and now, in hexadecimal. */
      readonly change?: { readonly before: string; readonly after: string };
    }
  | { readonly type: "free"; readonly address: Ptr; readonly object: ObjectInfo | null }
  | {
      readonly type: "fault";
      /** `general` is the general protection fault of an address no page table covers. */
      readonly fault: "paging" | "null" | "general";
      readonly address: string;
      readonly write: boolean;
    }
  | { readonly type: "assertion"; readonly at: string; readonly expression: string }
  | { readonly type: "slab"; readonly slab: SlabReport }
  | {
      readonly type: "spinlock";
      readonly message: string;
      readonly lock: string;
      readonly magic: string;
      readonly owner: string;
      readonly ownerCpu: number;
    }
  | {
      readonly type: "lock-order";
      readonly message: string;
      /** The chain of the locks, each edge with where it was first seen; the last edge is the new one. */
      readonly chain: readonly { readonly from: string; readonly to: string; readonly site: Site }[];
      readonly held: readonly string[];
    }
  | {
      readonly type: "context";
      readonly message: string;
      readonly preemptCount: number;
      readonly held: readonly string[];
    }
  | {
      readonly type: "stuck";
      /** The other tasks at that moment, one line each: name, state, what it waits for. */
      readonly tasks: readonly string[];
      readonly waits: string;
    }
  | { readonly type: "leak"; readonly object: ObjectInfo }
  | { readonly type: "message"; readonly message: string };

/** One thing a check found. */
export interface Finding {
  readonly kind: FindingKind;
  /** The line that names it, in the kernel's words where the kernel has any. */
  readonly title: string;
  /** The kernel function that took the bad step. */
  readonly function: string;
  readonly task: string;
  readonly pid: number;
  readonly cpu: number;
  /** Index of the step in the run, from 0. */
  readonly step: number;
  /** Virtual time of the step in nanoseconds. */
  readonly time: number;
  /** Kernel functions, innermost first. */
  readonly backtrace: readonly { readonly name: string; readonly address: string }[];
  /** What the step accessed: `utrace->stopped`, or empty. */
  readonly access: string;
  readonly taskAddress: Ptr;
  readonly interruptsOff: boolean;
  /** Address of the structure the bad step was working on, 0 if none. */
  readonly pointer: Ptr;
  /** Whether the run ends with it, as it does with an oops. */
  readonly fatal: boolean;
  readonly details: FindingDetails;
}

/** What makes two findings the same: kind, function and title without its addresses and numbers. */
export function findingKey(finding: Pick<Finding, "kind" | "function" | "title">): string {
  return `${finding.kind}:${finding.function}:${normalTitle(finding.title)}`;
}

/** A title without what differs from run to run. */
export const normalTitle = (title: string): string =>
  title
    .replace(/\b(0x)?[0-9a-f]{16}\b/g, "ADDR")
    .replace(/CPU#\d+/g, "CPU")
    .replace(/([A-Za-z_]+)\/\d+/g, "$1");
