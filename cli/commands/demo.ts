/** `demo`: the crash of the thread in the three forms in which it was reported, each found anew. */
import type { FindingKind } from "../../sim/finding.ts";
import { tune } from "../../sim/measure.ts";
import { EXIT_BUDGET, EXIT_CLEAN } from "../errors.ts";
import { goHunting, type HuntRequest, SHRINK_SECONDS } from "../hunter.ts";
import type { Io } from "../io.ts";
import { subjectOf } from "../options.ts";
import { count } from "../output/text.ts";
import { checkFolder } from "../reproFile.ts";
import { parseHuntSeed } from "../seed.ts";
import { TOOL } from "../tool.ts";
import { HUNT_STRATEGY } from "../tuning.ts";

export interface DemoCommandOptions {
  readonly seed: string;
  /** Runs for each form. */
  readonly runs: number;
  readonly out: string;
  readonly jobs: number;
}

/** One of the mails, and the hunt that finds what it reports. */
interface Form {
  readonly mail: string;
  /** What the mail shows, in its words. */
  readonly shows: string;
  readonly scenario: string;
  readonly config: string;
  readonly kind: FindingKind;
}

const FORMS: readonly Form[] = [
  {
    mail: "Alexey Dobriyan, 2008-08-27 2:32 pm",
    shows: "BUG: unable to handle kernel paging request, in utrace_stop",
    scenario: "attach-detach-exec",
    config: "DEBUG_PAGEALLOC=y,SLUB_DEBUG=n",
    kind: "paging-fault",
  },
  {
    mail: "Alexey Dobriyan, 2008-08-27 2:46 pm",
    shows: "kernel BUG at kernel/utrace.c, in utrace_get_signal",
    scenario: "attach-detach-exec",
    config: "SLUB_DEBUG=y",
    kind: "bug-on",
  },
  {
    mail: "Alexey Dobriyan, 2008-08-27 3:00 pm",
    shows: "BUG utrace: Poison overwritten, when tracer and exe are killed in a loop",
    scenario: "attach-detach-exec-kill",
    config: "SLUB_DEBUG=y",
    kind: "slab-corruption",
  },
];

/** Hunts the three forms, one after the other. */
export async function demoCommand(io: Io, options: DemoCommandOptions): Promise<number> {
  const seed = parseHuntSeed(options.seed);
  checkFolder(options.out, io.cwd);
  let found = 0;
  for (const [index, form] of FORMS.entries()) {
    const request = requestFor(io, form, seed, options);
    io.stdout.write(
      `=== ${index + 1} of ${FORMS.length}: ${form.mail}\n    ${form.shows}\n\n$ ${commandFor(form, seed, options)}\n`,
    );
    const { findings } = await goHunting(io, request, io.stdout);
    if (findings.length > 0) found++;
    io.stdout.write("\n");
  }
  io.stdout.write(`${found} of ${count(FORMS.length, "form")} of the crash found\n`);
  return found === FORMS.length ? EXIT_CLEAN : EXIT_BUDGET;
}

function requestFor(io: Io, form: Form, seed: string, { runs, jobs, out }: DemoCommandOptions): HuntRequest {
  const { scenario, config, kind } = form;
  const subject = subjectOf(io, scenario, { config });
  const tuning = tune(subject.program, HUNT_STRATEGY);
  const options = { strategy: HUNT_STRATEGY, tuning, seed, first: 0, runs, keepGoing: false, kinds: [kind] };
  return { ...subject, options, jobs, out, shrinks: true, shrinkSeconds: SHRINK_SECONDS, explains: true };
}

/** The command line that does the same. */
const commandFor = ({ scenario, config, kind }: Form, seed: string, { runs }: DemoCommandOptions): string =>
  `npx ${TOOL.name} hunt ${scenario} --config ${config} --find ${kind} --runs ${runs} --seed ${seed}`;
