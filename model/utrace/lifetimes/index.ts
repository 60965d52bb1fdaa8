/** All lifetimes by name. */
import type { Lifetime } from "../lifetime.ts";
import { pointer } from "./pointer.ts";

export const LIFETIMES: ReadonlyMap<string, Lifetime> = new Map([pointer].map((lifetime) => [lifetime.name, lifetime]));
