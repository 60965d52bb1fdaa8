/** A schedule of a thread program as text: one column for each thread, one row for each step. */
import type { ThreadReplay } from "../sim/index.ts";

const STEP_WIDTH = 4;

/**
 * The steps in columns, oldest first, and what went wrong below.
 *
 * @param replay - As `replayThreads` gives it.
 */
export function threadSteps(replay: ThreadReplay): string {
  const cells = replay.steps.map(({ op, access, value }) => `${op}${access === "" ? "" : ` ${access}`} = ${value}`);
  const widths = replay.threads.map((thread) => {
    const own = cells.filter((_, i) => replay.steps[i]?.thread === thread);
    return Math.max(thread.length, ...own.map((cell) => cell.length));
  });
  const row = (head: string, texts: readonly string[]): string =>
    `${head.padStart(STEP_WIDTH)}  ${texts.map((text, i) => text.padEnd(widths[i] as number)).join("  ")}`.trimEnd();
  const lines = [row("step", replay.threads)];
  for (const [i, { thread }] of replay.steps.entries()) {
    lines.push(
      row(
        String(i),
        replay.threads.map((name) => (name === thread ? (cells[i] as string) : "")),
      ),
    );
  }
  for (const { title, thread } of replay.findings) lines.push(`${title} (${thread})`);
  return lines.join("\n");
}
