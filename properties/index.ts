/** All properties, in the order in which they are read best. */
import { engineReleasedOnce, freedOnce, memoryOutlivesReaders } from "./lives.ts";
import type { Property } from "./property.ts";
import { killEndsStop, silentAfterReap, stoppedRunsNoUserCode } from "./tracing.ts";

/** Claims about every run of every scenario, up to its first finding. */
export const PROPERTIES: readonly Property[] = [
  freedOnce,
  memoryOutlivesReaders,
  engineReleasedOnce,
  silentAfterReap,
  stoppedRunsNoUserCode,
  killEndsStop,
];
