/** All properties, in the order in which they are read best. */
import { engineReleasedOnce, freedOnce, leavesNothing, memoryOutlivesReaders, structUnreachable } from "./lives.ts";
import { requestedReportComes, stopsEnd } from "./promised.ts";
import type { Property } from "./property.ts";
import { killEndsStop, killKills, silentAfterDetach, silentAfterReap, stoppedRunsNoUserCode } from "./tracing.ts";
import { untracedTouchesNothing } from "./untraced.ts";

/** Claims about every run of every scenario, up to its first finding. */
export const PROPERTIES: readonly Property[] = [
  freedOnce,
  memoryOutlivesReaders,
  structUnreachable,
  engineReleasedOnce,
  leavesNothing,
  silentAfterDetach,
  silentAfterReap,
  requestedReportComes,
  stoppedRunsNoUserCode,
  stopsEnd,
  killEndsStop,
  killKills,
  untracedTouchesNothing,
];
