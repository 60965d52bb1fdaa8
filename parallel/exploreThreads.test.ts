/** Explorations by worker threads: the same for any number of them, and safe to stop. */
import { describe, expect, test } from "vitest";
import { exploreThreadsByWorkers, type PartsProgress, type PartsRest, type ProgramSource } from "./exploreThreads.ts";

// Workers run what is compiled.
const PROGRAMS = new URL("../dist/bench/threads/programs.js", import.meta.url).href;
const source = (n: number): ProgramSource => ({ module: PROGRAMS, name: "lastzero", args: [n] });

test("any number of workers comes to the same, down to the witnesses", async () => {
  const one = await exploreThreadsByWorkers(source(8), { jobs: 1 });
  expect(one.rest).toBeNull();
  expect(one.exploration).toMatchObject({ complete: true, executions: 11 * 2 ** 6, sleepBlocked: 0 });
  for (const jobs of [2, 3]) expect(await exploreThreadsByWorkers(source(8), { jobs })).toEqual(one);
});

test("one that is ended says so, and can be gone on with", async () => {
  const ended = new AbortController();
  const seen: PartsProgress[] = [];
  const onProgress = (soFar: PartsProgress): void => {
    seen.push(soFar);
    if (soFar.partsDone > 0) ended.abort();
  };
  const { exploration, rest } = await exploreThreadsByWorkers(source(15), {
    jobs: 2,
    signal: ended.signal,
    onProgress,
  });
  expect(exploration).toMatchObject({ complete: false, verdict: "none-found" });
  expect(seen.at(-1)?.executions).toBeGreaterThan(0);
  const kept = JSON.parse(JSON.stringify(rest)) as PartsRest;
  expect(kept.done.length).toBeGreaterThan(0);
  const whole = await exploreThreadsByWorkers(source(15), { jobs: 2, resume: kept });
  expect(whole.rest).toBeNull();
  expect(whole.exploration).toMatchObject({ complete: true, executions: 147_456 });
});

test("one that is ended before it begins has done nothing", async () => {
  const { exploration, rest } = await exploreThreadsByWorkers(source(8), { jobs: 1, signal: AbortSignal.abort() });
  expect(exploration).toMatchObject({ complete: false, executions: 0 });
  expect(rest?.done).toEqual([]);
});

describe("what cannot be is refused", () => {
  test("no workers", async () => {
    await expect(exploreThreadsByWorkers(source(3), { jobs: 0 })).rejects.toThrow("jobs is 0; give a whole number");
  });
  test("a program that the module does not have", async () => {
    const nobody = { module: PROGRAMS, name: "nobody" };
    await expect(exploreThreadsByWorkers(nobody, { jobs: 1 })).rejects.toThrow('exports no thread program "nobody"');
  });
  test("the rest of another exploration", async () => {
    const stopped = await exploreThreadsByWorkers(source(8), { jobs: 1, signal: AbortSignal.abort() });
    const resume = stopped.rest as PartsRest;
    await expect(exploreThreadsByWorkers(source(3), { jobs: 1, resume })).rejects.toThrow("is that of [");
  });
});
