/**
 * The classic litmus tests as a table: which outcomes are possible under `sc`, and which besides under `tso`.
 *
 * A line is a thread: `x=1` stores, `r=x` loads into the thread's register `r`, `mb` is a full barrier, `wmb` and `rmb`
 * are what x86 makes of them (nothing), `r=x!1` exchanges. The asked outcome is a condition on registers, written
 * `thread:register=value`, and final values of variables.
 *
 * @see Owens, Sarkar, Sewell: A Better x86 Memory Model: x86-TSO, 2009 (n5, n6); Alglave, Maranget, Tautschnig:
 *   Herding Cats, 2014 (names of the others)
 */
import { describe, expect, test } from "vitest";
import type { Kernel } from "../../op.ts";
import { smp_mb, smp_rmb, smp_wmb } from "../../primitives.ts";
import type { MemoryModel } from "../../storeBuffer.ts";
import { exploreThreads } from "./explore.ts";
import { exchange, read, type ThreadProgram, threadProgram, type Variable, write } from "./world.ts";

interface Litmus {
  readonly name: string;
  readonly threads: readonly string[];
  readonly asks: string;
  readonly sc: boolean;
  readonly tso: boolean;
}

const litmus = (name: string, threads: readonly string[], asks: string, sc: boolean, tso: boolean): Litmus => ({
  name,
  threads,
  asks,
  sc,
  tso,
});

const BARRIERS: Readonly<Record<string, () => Kernel<void>>> = { mb: smp_mb, wmb: smp_wmb, rmb: smp_rmb };

/** The program of a litmus test; each thread returns its registers as text. */
const programOf = ({ name, threads }: Litmus): ThreadProgram =>
  threadProgram(name, (world) => {
    const variables = new Map<string, Variable>();
    for (const variable of ["x", "y", "z"]) variables.set(variable, world.variable(variable));
    const named = (variable: string): Variable => variables.get(variable) as Variable;
    for (const [t, code] of threads.entries()) {
      world.thread(String(t), function* () {
        const registers: string[] = [];
        for (const act of code.split(" ")) {
          const [to, from] = act.split("=") as [string, string | undefined];
          if (from === undefined) yield* (BARRIERS[to] as () => Kernel<void>)();
          else if (from.includes("!")) {
            const [variable, value] = from.split("!") as [string, string];
            registers.push(`${to}=${yield* exchange(named(variable), Number(value))}`);
          } else if (variables.has(to)) yield* write(named(to), Number(from));
          else registers.push(`${to}=${yield* read(named(from))}`);
        }
        return registers.join(" ");
      });
    }
  });

/** Whether the asked outcome is among those of the exploration. */
function possible(test: Litmus, memory: MemoryModel, search: "traces" | "states"): boolean {
  const { outcomes, complete } = exploreThreads(programOf(test), { memory, search });
  expect(complete).toBe(true);
  return outcomes.some(({ returned, variables }) =>
    test.asks.split(" ").every((clause) => {
      const [left, value] = clause.split("=") as [string, string];
      if (!left.includes(":")) return variables[left] === Number(value);
      const [thread, register] = left.split(":") as [string, string];
      return (returned[thread] as string).split(" ").includes(`${register}=${value}`);
    }),
  );
}

const NEVER = false;
const YES = true;

const TABLE: readonly Litmus[] = [
  litmus("SB", ["x=1 r=y", "y=1 r=x"], "0:r=0 1:r=0", NEVER, YES),
  litmus("SB+mbs", ["x=1 mb r=y", "y=1 mb r=x"], "0:r=0 1:r=0", NEVER, NEVER),
  litmus("SB+mb+po", ["x=1 mb r=y", "y=1 r=x"], "0:r=0 1:r=0", NEVER, YES),
  litmus("SB+wmbs", ["x=1 wmb r=y", "y=1 wmb r=x"], "0:r=0 1:r=0", NEVER, YES),
  litmus("SB+rmbs", ["x=1 rmb r=y", "y=1 rmb r=x"], "0:r=0 1:r=0", NEVER, YES),
  litmus("SB+xchg", ["a=x!1 r=y", "a=y!1 r=x"], "0:r=0 1:r=0", NEVER, NEVER),
  litmus("SB+xchg+po", ["a=x!1 r=y", "y=1 r=x"], "0:r=0 1:r=0", NEVER, YES),
  litmus("SB+rfis", ["x=1 a=x r=y", "y=1 a=y r=x"], "0:a=1 0:r=0 1:a=1 1:r=0", NEVER, YES),
  litmus("SB+xchg of a third", ["x=1 a=z!1 r=y", "y=1 a=z!1 r=x"], "0:r=0 1:r=0", NEVER, NEVER),
  litmus("MP", ["x=1 y=1", "r=y q=x"], "1:r=1 1:q=0", NEVER, NEVER),
  litmus("MP+wmb+rmb", ["x=1 wmb y=1", "r=y rmb q=x"], "1:r=1 1:q=0", NEVER, NEVER),
  litmus("LB", ["r=x y=1", "r=y x=1"], "0:r=1 1:r=1", NEVER, NEVER),
  litmus("R", ["x=1 y=1", "y=2 r=x"], "y=2 1:r=0", NEVER, YES),
  litmus("R+mbs", ["x=1 mb y=1", "y=2 mb r=x"], "y=2 1:r=0", NEVER, NEVER),
  litmus("R+po+mb", ["x=1 y=1", "y=2 mb r=x"], "y=2 1:r=0", NEVER, NEVER),
  litmus("S", ["x=2 y=1", "r=y x=1"], "x=2 1:r=1", NEVER, NEVER),
  litmus("2+2W", ["x=1 y=2", "y=1 x=2"], "x=1 y=1", NEVER, NEVER),
  litmus("IRIW", ["x=1", "y=1", "r=x q=y", "r=y q=x"], "2:r=1 2:q=0 3:r=1 3:q=0", NEVER, NEVER),
  litmus("WRC", ["x=1", "r=x y=1", "r=y q=x"], "1:r=1 2:r=1 2:q=0", NEVER, NEVER),
  litmus("RWC", ["x=1", "r=x q=y", "y=1 r=x"], "1:r=1 1:q=0 2:r=0", NEVER, YES),
  litmus("RWC+mb", ["x=1", "r=x q=y", "y=1 mb r=x"], "1:r=1 1:q=0 2:r=0", NEVER, NEVER),
  litmus("CoRR", ["x=1", "r=x q=x"], "1:r=1 1:q=0", NEVER, NEVER),
  litmus("CoWW", ["x=1 x=2"], "x=1", NEVER, NEVER),
  litmus("CoRW", ["r=x x=1", "x=2"], "0:r=2 x=2", NEVER, NEVER),
  litmus("CoWR", ["x=1 r=x", "x=2"], "0:r=2 x=1", NEVER, NEVER),
  litmus("n5", ["x=1 r=x", "x=2 r=x"], "0:r=2 1:r=1", NEVER, NEVER),
  litmus("n6", ["x=1 r=x q=y", "y=2 x=2"], "0:r=1 0:q=0 x=1", NEVER, YES),
  litmus("n4", ["r=x x=1", "r=x x=2"], "0:r=2 1:r=1", NEVER, NEVER),
  litmus("n7", ["x=1 r=x q=y", "y=1", "r=y q=x"], "0:r=1 0:q=0 2:r=1 2:q=0", NEVER, YES),
  litmus("some outcome of each", ["x=1 r=y", "y=1 r=x"], "0:r=1 1:r=1", YES, YES),
];

describe.each(["traces", "states"] as const)("litmus tests, search over %s", (search) => {
  test.each(TABLE)("$name: $asks under sc $sc, under tso $tso", (row) => {
    expect(possible(row, "sc", search)).toBe(row.sc);
    expect(possible(row, "tso", search)).toBe(row.tso);
  });
});
