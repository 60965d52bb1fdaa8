/** For tests: a bug of a chosen depth, hidden among the steps of a number of tasks. */
import { globalsOf, kernel, type Ptr } from "../op.ts";
import { BUG, cmpxchg, smp_mb } from "../primitives.ts";
import type { Program } from "../run.ts";
import { struct, u32 } from "../struct.ts";
import { tiny } from "../tinyProgram.ts";

const CHAIN_T = struct("chain", { links: u32 });
const CHAIN = CHAIN_T.fields;
const chain = globalsOf<{ at: Ptr; length: number }>();

/** Steps that do nothing, before the links of a task. */
const PADDING = 2;

/** Every second link, from `first` on. A link holds only if all before it hold; the last one is the bug. */
const forges = kernel(function* forges(first: number) {
  const { at, length } = chain();
  for (let i = 0; i < PADDING; i++) yield* smp_mb();
  for (let link = first; link < length; link += 2) {
    const held = yield* cmpxchg(at, CHAIN.links, link, link + 1);
    if (held === link && link === length - 1) yield* BUG("chain", "chain.c:1");
  }
});
const idles = kernel(function* idles() {
  for (let i = 0; i < PADDING; i++) yield* smp_mb();
});

/**
 * Two tasks that forge the links 0, 1, 2, ... in turns, each of them all of its own in a row, and others that do
 * nothing. The bug needs each of `depth` links to come after the one before it, which is another task's.
 */
export const chainOfDepth = (depth: number, tasks: number, cpus: number): Program =>
  tiny(
    (machine) => {
      machine.globals = { at: machine.allocStaticStruct(CHAIN_T), length: depth + 1 };
      machine.spawn(0, { comm: "a" }, forges, 0);
      machine.spawn(0, { comm: "b" }, forges, 1);
      for (let i = 2; i < tasks; i++) machine.spawn(0, { comm: "idler" }, idles);
    },
    { cpus },
  );

/** Steps that all tasks take together. The one of the bug comes on top, where it comes. */
export const stepsOfChain = (depth: number, tasks: number): number => PADDING * tasks + depth + 1;
