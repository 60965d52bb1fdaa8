/** Random legal steps, held against the rules: the specification forbids nothing that is right. */
import type { SpecEvent, SpecEventType } from "./events.ts";
import { SpecRun } from "./spec.ts";
import { WellBehaved } from "./wellBehaved.ts";

/** What came of them. */
export interface LegalSteps {
  /** Steps that were accepted. */
  readonly accepted: number;
  /** How many of each type. */
  readonly types: ReadonlyMap<SpecEventType, number>;
  /** The one that was not, with the rule that forbids it; null if there was none. */
  readonly rejected: { readonly rule: string; readonly event: SpecEvent } | null;
}

/**
 * Takes steps of {@link WellBehaved}, up to the first that is rejected.
 *
 * @param seed - The same seed gives the same steps.
 */
export function takeLegalSteps(steps: number, seed: number): LegalSteps {
  const world = new WellBehaved(seed);
  const run = new SpecRun();
  const types = new Map<SpecEventType, number>();
  for (let accepted = 0; accepted < steps; accepted++) {
    const event = world.next();
    const broken = run.step(event);
    if (broken !== null) return { accepted, types, rejected: { rule: broken.name, event } };
    types.set(event.type, (types.get(event.type) ?? 0) + 1);
  }
  return { accepted: steps, types, rejected: null };
}
