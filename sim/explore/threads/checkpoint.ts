/**
 * An exploration of traces that was stopped, as plain data.
 *
 * The position of the search names local states of threads. They are laid out by what leads to them: the thread, and
 * the result of each op on the way. The code is run again along those when the exploration goes on. Objects and threads
 * are brought up in the order in which they came up before, so that addresses and numbers are the same.
 */
import type { MemoryModel } from "../../storeBuffer.ts";
import { type LocalState, OVER } from "./automaton.ts";
import type { BranchPosition, DporCounts, DporPosition } from "./dpor.ts";
import type { Execution } from "./execution.ts";
import type { Gathered, GatheredData } from "./gathered.ts";
import type { ThreadProgram } from "./world.ts";

/** Where an exploration stands. */
export interface Checkpoint {
  /** Program and options, in which the one that goes on must agree. */
  readonly program: string;
  readonly memory: MemoryModel;
  readonly bounds: string;
  /** Words of memory that are one place each, and the room made for threads. */
  readonly coarse: readonly number[];
  readonly width: number;
  /**
   * Local states: the index of the one before, and the result that led from there. The n-th thread begins at -1-n.
   * Those with which objects and threads came up are first, in that order.
   */
  readonly states: readonly (readonly [before: number, result: number])[];
  readonly choices: readonly number[];
  readonly nodes: readonly NodeData[];
  readonly counts: DporCounts;
  readonly gathered: GatheredData;
}

type NodeData = Omit<DporPosition["nodes"][number], "branches"> & { readonly branches: readonly BranchData[] };
type BranchData = Omit<BranchPosition, "state" | "children"> & {
  readonly state: number;
  readonly children: readonly BranchData[];
};

interface Options {
  readonly memory?: MemoryModel;
  readonly stepsMax?: number;
  readonly iterationsMax?: number;
  readonly outcomesMax?: number;
  readonly reductions?: object;
}

/** The options that decide which executions there are. */
const boundsOf = ({ stepsMax, iterationsMax, outcomesMax, reductions }: Options): string =>
  JSON.stringify({ stepsMax, iterationsMax, outcomesMax, reductions });

/** Lays out where an exploration stands. */
export function checkpoint(
  program: ThreadProgram,
  options: Options,
  execution: Execution,
  position: DporPosition,
  gathered: Gathered,
): Checkpoint {
  const { automata, places, width } = execution;
  const states = new StateTable();
  const branch = ({ state, children, ...rest }: BranchPosition): BranchData => ({
    ...rest,
    state: states.indexOf(state),
    children: children.map(branch),
  });
  for (const { state } of automata.created) states.indexOf(state);
  const nodes = position.nodes.map(({ branches, ...rest }) => ({ ...rest, branches: branches.map(branch) }));
  return {
    program: program.name,
    memory: options.memory ?? "sc",
    bounds: boundsOf(options),
    coarse: [...places.coarse],
    width,
    states: states.rows,
    choices: position.choices,
    nodes,
    counts: position.counts,
    gathered: gathered.data(),
  };
}

/**
 * Whether a checkpoint is one of this program and these options.
 *
 * @throws Error that names the difference, if not.
 */
export function mustFit(from: Checkpoint, program: ThreadProgram, options: Options): void {
  const memory = options.memory ?? "sc";
  const differs = (what: string, was: string, is: string): never => {
    throw new Error(`the exploration to go on with has ${what} ${was}, not ${is}; give it what it was begun with`);
  };
  if (from.program !== program.name) differs("program", from.program, program.name);
  if (from.memory !== memory) differs("memory model", from.memory, memory);
  if (from.bounds !== boundsOf(options)) differs("options", from.bounds, boundsOf(options));
}

/**
 * The position that a checkpoint stands for, in a fresh execution of the same program.
 *
 * @throws Error if the program has changed since, so that a step on the way is not possible.
 */
export function positionIn(from: Checkpoint, execution: Execution): DporPosition {
  const { automata } = execution;
  const known: LocalState[] = [];
  const stateAt = (index: number): LocalState => {
    const state = index < 0 ? automata.threads[-1 - index]?.root : known[index];
    if (state === undefined) throw new Error(`${from.program} has changed since: it has fewer threads now`);
    return state;
  };
  for (const [index, result] of from.states) {
    const before = stateAt(index);
    if (before.manner === OVER) throw new Error(`${from.program} has changed since: a thread of it ends earlier now`);
    known.push(automata.next(before, result));
  }
  const branch = ({ state, children, ...rest }: BranchData): BranchPosition => ({
    ...rest,
    state: stateAt(state),
    children: children.map(branch),
  });
  const nodes = from.nodes.map(({ branches, ...rest }) => ({ ...rest, branches: branches.map(branch) }));
  return { choices: from.choices, nodes, counts: from.counts };
}

/** Numbers local states, those before them first. */
class StateTable {
  readonly rows: [number, number][] = [];
  private readonly indices = new Map<LocalState, number>();

  indexOf(state: LocalState): number {
    const path: LocalState[] = [];
    let at: LocalState = state;
    while (at.before !== null && !this.indices.has(at)) {
      path.push(at);
      at = at.before;
    }
    let index = at.before === null ? -1 - at.thread : (this.indices.get(at) as number);
    for (let i = path.length - 1; i >= 0; i--) {
      const next = path[i] as LocalState;
      this.rows.push([index, next.result]);
      index = this.rows.length - 1;
      this.indices.set(next, index);
    }
    return index;
  }
}
