import type { Lifetime } from "../model/utrace/lifetime.ts";
import { type Config, type Layout, layoutFor } from "../sim/struct.ts";
export const layoutOf = (lifetime: Lifetime | null, config: Config): Layout => layoutFor({ ...config, ...(lifetime as unknown as {layout?: Config} | null)?.layout });
