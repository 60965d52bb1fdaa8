/** All lifetimes by name. */
import type { Lifetime } from "../lifetime.ts";
import { pointer } from "./pointer.ts";

/** By the name that the command line gives them. */
export const LIFETIMES: ReadonlyMap<string, Lifetime> = new Map([pointer].map((lifetime) => [lifetime.name, lifetime]));
