/**
 * fast-check's scheduler doing as many steps: async tasks, nested as deep, that read and write an array, with every
 * access scheduled.
 */
import fc from "fast-check";

const CELLS = 64;

/** @returns the number of steps scheduled. */
export async function fastCheckScheduler(tasks: number, depth: number, steps: number, runs: number): Promise<number> {
  let taken = 0;
  const perTask = Math.ceil(steps / tasks);
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), async (scheduler) => {
      const memory = new Int32Array(CELLS);
      const access = async (cell: number): Promise<number> => {
        await scheduler.schedule(Promise.resolve());
        taken++;
        memory[cell] = (memory[cell] as number) + 1;
        return memory[cell] as number;
      };
      const work = async (level: number): Promise<void> => {
        if (level > 1) return work(level - 1);
        for (let i = 0; i < perTask; i++) await access(i % CELLS);
      };
      const all = Promise.all(Array.from({ length: tasks }, () => work(depth)));
      await scheduler.waitFor(all);
    }),
    { numRuns: runs, seed: 1 },
  );
  return taken;
}
