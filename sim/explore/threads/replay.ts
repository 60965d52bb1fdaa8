/** One schedule of a thread program again, step for step. */
import { KIND_NAMES } from "../../op.ts";
import type { MemoryModel } from "../../storeBuffer.ts";
import { fieldLabel } from "../../struct.ts";
import type { LocalState } from "./automaton.ts";
import { ACTORS_MAX, BUFFER, Execution, type ThreadFinding } from "./execution.ts";
import type { Witness } from "./gathered.ts";
import { type Places, withPlaces } from "./places.ts";
import { ThreadWorld } from "./threadWorld.ts";
import type { ThreadProgram } from "./world.ts";

/** A step of a schedule, as it is shown. */
export interface ThreadStep {
  readonly thread: string;
  /** `load`, `store`, ...; `flush` for a store that leaves its buffer. */
  readonly op: string;
  /** What it touched: `x->value`; "" if nothing. */
  readonly access: string;
  /** What the op gave, or the value stored. */
  readonly value: number;
  readonly functions: readonly number[];
}

/** A schedule that was run again. */
export interface ThreadReplay {
  readonly threads: readonly string[];
  readonly steps: readonly ThreadStep[];
  readonly findings: readonly ThreadFinding[];
}

/**
 * Runs the schedule of a witness.
 *
 * @throws Error naming the step, if the program has changed and the step is not possible any more.
 */
export function replayThreads(program: ThreadProgram, witness: Witness, memory: MemoryModel = "sc"): ThreadReplay {
  return withPlaces((places) => replay(program, witness, memory === "tso", places));
}

function replay(program: ThreadProgram, witness: Witness, tso: boolean, places: Places): ThreadReplay {
  const world = new ThreadWorld(program, places);
  const execution = new Execution(world, places, tso, tso ? BUFFER - 1 : ACTORS_MAX);
  const steps: ThreadStep[] = [];
  const nameOf = (actor: number): string => execution.automata.threads[tso ? actor % BUFFER : actor]?.comm ?? "";
  for (const [at, actor] of witness.actors.entries()) {
    const able = execution.enabled();
    if ((able & (1 << actor)) === 0) {
      const possible = Array.from({ length: ACTORS_MAX }, (_, i) => i).filter((i) => (able & (1 << i)) !== 0);
      const names = possible.map(nameOf).join(", ");
      throw new Error(`step ${at} is one of ${nameOf(actor)}, which cannot go on there; possible: ${names || "none"}`);
    }
    execution.step(actor, witness.choices[at] ?? 0);
    const state = execution.stateOf[at] as LocalState;
    const flushed = tso && actor >= BUFFER;
    steps.push({
      thread: nameOf(actor),
      op: flushed ? "flush" : (KIND_NAMES[state.kind] as string),
      access: state.field < 0 ? "" : fieldLabel(state.field),
      value: state.isPlainStore ? state.value : execution.resultOfLast(),
      functions: state.functions,
    });
  }
  const over = execution.enabled() === 0;
  const findings = over ? [...execution.findings, ...execution.endFindings()] : [...execution.findings];
  return { threads: execution.automata.threads.map(({ comm }) => comm), steps, findings };
}
