/**
 * What has happened, but not yet for everybody: the store that did it is in a store buffer of its CPU.
 *
 * The specification sees a thing when its CPU executes the store. Under `tso` a caller on another CPU may find the old
 * value until the store has left the buffer, and then what it returns has the reason that held before.
 *
 * Only for what a task does to itself without a lock or a barrier that its callers rely on, as nothing promises them to
 * see it at once: the end of a report, a callback's DETACH, the death. And for the mark of who wants a stop, which is
 * stored under utrace->lock, but which finish_callback and the examine calls read without it. All else has to be seen where it happens: what is
 * stored under utrace->lock is read under it, and the begin of a callback has a barrier behind it.
 */
import type { SpecEvent } from "./events.ts";
import { type CallState, type EngineState, type SpecState, type TaskState, taskOf } from "./state.ts";

/** One such thing: what others may still see in place of it. */
export interface Unseen {
  /** Who stored. */
  readonly by: number;
  readonly task: number;
  /** The engine whose old state it is; 0 if it is the task's. */
  readonly engine: number;
  readonly before: Partial<
    Pick<TaskState, "report"> & Pick<TaskState | EngineState, "life"> & Pick<EngineState, "stopNoted">
  >;
  /** A callback of the engine has answered STOP since, and may have found the mark that this takes away. */
  lost: boolean;
}

/** What others may see after `event` as it was before; null if it is seen by all. */
export function unseenOf(state: SpecState, event: SpecEvent): Unseen | null {
  if (event.unseen !== true) return null;
  const { by } = event;
  switch (event.type) {
    case "report-end":
      return { by, task: event.task, engine: 0, before: { report: taskOf(state, event.task).report }, lost: false };
    case "task-dead":
    case "task-reaped":
      return { by, task: event.task, engine: 0, before: { life: taskOf(state, event.task).life }, lost: false };
    case "engine-detaching": {
      const engine = state.engines.get(event.engine);
      if (engine === undefined || engine.task !== by) return null;
      return { by, task: by, engine: event.engine, before: { life: engine.life }, lost: false };
    }
    case "wants-stop": {
      const engine = state.engines.get(event.engine);
      if (engine === undefined) return null;
      return { by, task: engine.task, engine: event.engine, before: { stopNoted: engine.stopNoted }, lost: false };
    }
    default:
      return null;
  }
}

/** The states that a caller may see, other than the one that is: a buffer empties in order, so each lags more. */
export function laggingStates(state: SpecState, call: Readonly<CallState>): SpecState[] {
  const traced = state.engines.get(call.engine)?.task ?? call.target;
  const states: SpecState[] = [];
  let seen = state;
  for (const lag of state.unseen.toReversed()) {
    // A CPU sees its own stores at once.
    if (lag.task !== traced || lag.by === call.by) continue;
    seen = before(seen, lag);
    states.push(seen);
  }
  return states;
}

function before(state: SpecState, { task, engine, before }: Unseen): SpecState {
  if (engine === 0) {
    return { ...state, tasks: new Map(state.tasks).set(task, { ...taskOf(state, task), ...before } as TaskState) };
  }
  const known = state.engines.get(engine);
  if (known === undefined) return state;
  return { ...state, engines: new Map(state.engines).set(engine, { ...known, ...before } as EngineState) };
}
