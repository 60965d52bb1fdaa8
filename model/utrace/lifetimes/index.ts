/** All lifetimes. Another one is one file more, and one line here. */
import type { Lifetime } from "../lifetime.ts";
import { embedded } from "./embedded.ts";
import { lazy } from "./lazy.ts";
import { pointer } from "./pointer.ts";
import { prototype } from "./prototype.ts";

/** In the order in which they are listed. */
const ALL = [pointer, embedded, lazy, prototype] as const;

/** By the name that the command line gives them. */
export const LIFETIMES: ReadonlyMap<string, Lifetime> = new Map(ALL.map((lifetime) => [lifetime.name, lifetime]));
