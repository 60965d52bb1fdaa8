/**
 * What utrace promises about lives: of each struct utrace, and of each engine.
 *
 *     struct utrace   absent -> live -> dying -> absent
 *                     installed in task->utrace; taken out of it by whoever frees it then; freed
 *     engine          absent -> attached -> detached -> absent
 *                     on a list of a live struct; off all lists; freed with its last reference
 *
 * A pure state machine: no memory, no clock, no machine. The implementation's steps are mapped to its transitions by
 * `observer.ts`; a step that has none is a `spec-divergence`.
 *
 * Checks: that each transition happens once and in this order, that a task has one live struct at most, that an engine
 * is attached only to a live struct. Does not check: when callbacks may run, what calls return, that dying ever ends
 * (the leak check does).
 */
import { current, type Draft, Immer } from "immer";

/** States are handed from transition to transition and nowhere else, so freezing them would be wasted work. */
const immer = new Immer({ autoFreeze: false });

/** Something that happened to a struct or an engine, named by its address. */
export type LifeEvent =
  | { readonly type: "struct-live"; readonly utrace: number; readonly task: number }
  | { readonly type: "struct-dying"; readonly utrace: number }
  | { readonly type: "struct-freed"; readonly utrace: number }
  | { readonly type: "engine-attached"; readonly engine: number; readonly utrace: number }
  | { readonly type: "engine-detached"; readonly engine: number }
  | { readonly type: "engine-freed"; readonly engine: number };

export interface LifeState {
  readonly structs: Readonly<Record<number, { readonly phase: "live" | "dying"; readonly task: number }>>;
  readonly engines: Readonly<Record<number, { readonly phase: "attached" | "detached" }>>;
}

/** Nothing has lived yet. */
export const EMPTY_WORLD: LifeState = { structs: {}, engines: {} };

/** A transition that the specification does not have. */
export class Illegal extends Error {
  override readonly name = "Illegal";
  constructor(
    readonly rule: string,
    readonly event: LifeEvent,
  ) {
    super(`${event.type}: ${rule}`);
  }
}

/**
 * The state after `event`.
 *
 * @throws Illegal naming the rule that is broken.
 */
export const transition = (state: LifeState, event: LifeEvent): LifeState =>
  immer.produce(state, (draft) => applyTo(draft, event));

/** A run's state as one draft: what {@link transition} gives step by step, without a copy for each step. */
export function startLives(): { readonly state: () => LifeState; readonly step: (event: LifeEvent) => void } {
  const draft = immer.createDraft(EMPTY_WORLD);
  return { state: () => current(draft), step: (event) => applyTo(draft, event) };
}

function applyTo(draft: Draft<LifeState>, event: LifeEvent): void {
  const demand = (holds: boolean, rule: string): void => {
    if (!holds) throw new Illegal(rule, event);
  };
  switch (event.type) {
    case "struct-live":
      demand(draft.structs[event.utrace] === undefined, "a struct begins to live only once");
      demand(
        !Object.values(draft.structs).some((other) => other.phase === "live" && other.task === event.task),
        "a task has one live struct at most",
      );
      draft.structs[event.utrace] = { phase: "live", task: event.task };
      break;
    case "struct-dying": {
      const struct = draft.structs[event.utrace];
      demand(
        struct !== undefined && struct.phase === "live",
        "a struct is taken from its task exactly once, while it lives",
      );
      if (struct !== undefined) struct.phase = "dying";
      break;
    }
    case "struct-freed":
      demand(draft.structs[event.utrace]?.phase === "dying", "only a struct that was taken from its task is freed");
      delete draft.structs[event.utrace];
      break;
    case "engine-attached":
      demand(draft.engines[event.engine] === undefined, "an engine is attached only once");
      demand(draft.structs[event.utrace]?.phase === "live", "an engine is attached only to a live struct");
      draft.engines[event.engine] = { phase: "attached" };
      break;
    case "engine-detached": {
      const engine = draft.engines[event.engine];
      demand(engine !== undefined && engine.phase === "attached", "an engine is detached exactly once");
      if (engine !== undefined) engine.phase = "detached";
      break;
    }
    case "engine-freed":
      demand(draft.engines[event.engine]?.phase === "detached", "only a detached engine is freed");
      delete draft.engines[event.engine];
      break;
  }
}
