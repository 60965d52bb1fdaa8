/** Progress of a hunt on standard error, for people at a terminal. */
import cliProgress from "cli-progress";
import type { Output } from "./io.ts";

export interface Progress {
  update(runs: number): void;
  stop(): void;
}

const SILENT: Progress = { update: () => undefined, stop: () => undefined };

/** A progress bar on `stream`; nothing if that is no terminal. */
export function startProgress(stream: Output, label: string, total: number): Progress {
  if (stream.isTTY !== true) return SILENT;
  const bar = new cliProgress.SingleBar({
    // A finished or interrupted bar leaves the terminal as it was.
    clearOnComplete: true,
    linewrap: true,
    stream: stream as unknown as NodeJS.WritableStream,
    format: `${label} [{bar}] {value}/{total} runs, {eta_formatted} left`,
    barsize: 24,
  });
  bar.start(total, 0);
  return { update: (runs) => bar.update(runs), stop: () => bar.stop() };
}
