/** Beside a witness: the nearest run that passes, and why the one fails and the other does not. */
import { interleaving } from "../reports/columns.ts";
import { why } from "../reports/why.ts";
import type { Finding } from "../sim/finding.ts";
import { nearestPassing, type Passing } from "../sim/nearest.ts";
import type { Program, RunResult } from "../sim/run.ts";
import { formatSchedule } from "../sim/schedule.ts";
import { block } from "./output/text.ts";

/** What can be said of a finding beyond its report. */
export interface Explanation {
  /** Sentences, in the order in which they are best read. */
  readonly why: readonly string[];
  /** Null if none was found. */
  readonly passing: Passing | null;
}

/** The nearest run that passes, as JSON has it. */
export interface NearestJson {
  /** The first step that is another one. */
  readonly step: number;
  readonly schedule: string;
  /** What that run found instead; mostly nothing. */
  readonly findings: readonly string[];
}

/** Characters per line of sentences, where no terminal says how many there are. */
const TEXT_WIDTH = 120;
const INDENT = 4;
/** Rows shown of each of the two runs. */
const ROWS = 16;

/**
 * Explains a finding.
 *
 * @param run - Recorded; shows it at its end.
 * @param goesOn - Asked while looking for the nearest run that passes; false ends that.
 */
export function explain(program: Program, finding: Finding, run: RunResult, goesOn?: () => boolean): Explanation {
  const passing = nearestPassing(program, run.schedule, finding, goesOn === undefined ? {} : { goesOn });
  return { why: why(finding, run, program.options.config, passing), passing };
}

/** The explanation as text: sentences, then both runs from where they part. Empty if there is nothing to say. */
export function explanationText({ why: sentences, passing }: Explanation, run: RunResult, width?: number): string {
  const parts: string[] = [];
  if (sentences.length > 0)
    parts.push(`why\n${sentences.map((sentence) => item(sentence, width ?? TEXT_WIDTH)).join("")}`);
  if (passing !== null) {
    const options = { from: passing.step, first: ROWS, ...(width === undefined ? {} : { width }) };
    parts.push(
      `from step ${passing.step} on, this run\n${block(interleaving(run, options))}`,
      `and the nearest run that passes, the same up to there\n${block(interleaving(passing.run, options))}`,
    );
  }
  return parts.join("\n");
}

/** A sentence as an item of a list, wrapped. */
function item(sentence: string, width: number): string {
  const lines = [""];
  for (const word of sentence.split(" ")) {
    const line = lines.at(-1) as string;
    if (line === "") lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= width - INDENT) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return `  - ${lines.join(`\n${" ".repeat(INDENT)}`)}\n`;
}

/** The nearest run that passes as JSON. */
export const nearestJson = ({ passing }: Explanation): NearestJson | null =>
  passing === null
    ? null
    : {
        step: passing.step,
        schedule: formatSchedule(passing.run.schedule),
        findings: passing.run.findings.map(({ title }) => title),
      };
