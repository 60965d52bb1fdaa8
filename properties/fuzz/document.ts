/** docs/fuzz-findings.md, from the judged causes, their witnesses, and the campaigns that were run. */
import { KNOWN_CAUSES, type KnownCause } from "./known.ts";
import { parseToken } from "./token.ts";
import { programWords } from "./words.ts";

/** A witness as its file has it. */
export interface Witness {
  readonly file: string;
  readonly cause: string;
  readonly lifetime: string;
  readonly title: string;
  readonly function: string;
  readonly size: { readonly parts: number; readonly preemptions: number; readonly steps: number };
  readonly token: string;
}

/** A campaign that was run, as the fuzzer's `campaigns.json` has it, and at which commit. */
export interface DoneCampaign {
  readonly commit: string;
  readonly seed: string;
  readonly lifetimes: readonly string[];
  readonly memory: string;
  readonly patches: string;
  readonly programs: number;
  readonly executions: number;
  readonly steps: number;
  readonly cutOff: number;
  readonly causes: readonly { readonly lifetime: string; readonly cause: string; readonly count: number }[];
  readonly historyHash: string;
}

/** The command that ran it, for one of its lifetimes. */
function commandOf({ lifetimes, programs, seed, memory, patches }: DoneCampaign): string {
  const words = [
    "--lifetime",
    lifetimes.length === 1 ? lifetimes.join() : "all",
    "--programs",
    String(programs / lifetimes.length),
  ];
  if (memory !== "sc") words.push("--memory", memory);
  if (patches !== "none") words.push("--patches", patches);
  return ["npx utrace-sim fuzz", ...words, "--seed", seed].join(" ");
}

const number = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, ",");

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string[] =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`);

/** The page. */
export function findingsDocument(witnesses: readonly Witness[], campaigns: readonly DoneCampaign[]): string {
  return [
    "# What the fuzzer found",
    "",
    ...INTRODUCTION,
    "",
    "## How much was run",
    "",
    ...howMuch(campaigns),
    "",
    "## Causes",
    "",
    ...overview(campaigns),
    ...KNOWN_CAUSES.flatMap((cause) => ["", ...sectionOf(cause, witnesses)]),
    "",
    ...OURS,
    "",
  ].join("\n");
}

const INTRODUCTION = [
  "<!-- Written by properties/fuzz/document.test.ts (npm run bless) from known.ts, witnesses/ and campaigns.json there. -->",
  "",
  "`utrace-sim fuzz` makes programs (tasks, engines with scripted callbacks, calls, signals, exec, clone, exit, config) and",
  "runs each under random schedules. It is told of no scenario. A pair is one program under one schedule; it is judged up",
  "to its first finding. A finding belongs to a judged cause if that cause's signs fit: the functions at work, what was",
  "touched, who gave the struct up, which engines were there (`properties/fuzz/known.ts`). What fits none, or two, is new:",
  "it is shrunk and kept, and the campaign goes on. `npx utrace-sim replay FILE --history` shows a witness again.",
];

/** What was aimed at: a million pairs for each lifetime. */
const AIM = 1_000_000;

/** Whether the aim was reached. */
function aim(runs: readonly (readonly [name: string, pairs: number])[]): string {
  const short = runs.filter(([, pairs]) => pairs < AIM);
  if (short.length === 0) return `The aim was ${number(AIM)} pairs for each lifetime under sc, and that was reached.`;
  const missing = short.map(([name, pairs]) => `${name.split(",")[0]} ${number(Math.round(AIM - pairs))}`);
  return `The aim was ${number(AIM)} pairs for each lifetime under sc. That was not reached; missing: ${missing.join(", ")}.`;
}

function howMuch(campaigns: readonly DoneCampaign[]): string[] {
  if (campaigns.length === 0) return ["Nothing yet."];
  const runs = new Map<string, { programs: number; executions: number; steps: number; cutOff: number }>();
  for (const { lifetimes, memory, programs, executions, steps, cutOff } of campaigns) {
    for (const lifetime of lifetimes) {
      const share = 1 / lifetimes.length;
      const sum = runs.get(`${lifetime}, ${memory}`) ?? { programs: 0, executions: 0, steps: 0, cutOff: 0 };
      sum.programs += programs * share;
      sum.executions += executions * share;
      sum.steps += steps * share;
      sum.cutOff += cutOff * share;
      runs.set(`${lifetime}, ${memory}`, sum);
    }
  }
  return [
    ...table(
      ["lifetime, memory", "programs", "pairs", "steps", "cut off"],
      [...runs].map(([name, { programs, executions, steps, cutOff }]) => [
        name,
        ...[programs, executions, steps, cutOff].map((n) => number(Math.round(n))),
      ]),
    ),
    "",
    aim(
      [...runs].filter(([name]) => name.endsWith(", sc")).map(([name, { executions }]) => [name, executions] as const),
    ),
    "",
    "By these commands, at these commits (`properties/fuzz/campaigns.json` has the hash of all runs of each):",
    "",
    "```text",
    ...campaigns.map((campaign) => `${campaign.commit}  ${commandOf(campaign)}`),
    "```",
    "",
    "What a campaign met before it was judged is counted under the name that it has now. Three pairs of a47b010 showed",
    "defects of ours (below), and are counted under no cause: one each of seeds 6302 and 6305, of the model of the",
    "prototype, and one of seed 6104, of the specification.",
    "",
    "A run that was cut off is one that its program keeps going for ever, as an engine does that asks for an interrupt in",
    "every report.",
  ];
}

/** Causes and how often each was seen under each lifetime. */
function overview(campaigns: readonly DoneCampaign[]): string[] {
  const counts = new Map<string, number>();
  for (const { causes } of campaigns) {
    for (const { lifetime, cause, count } of causes) {
      const key = `${lifetime} ${cause}`;
      counts.set(key, (counts.get(key) ?? 0) + count);
    }
  }
  const lifetimes = [...new Set(KNOWN_CAUSES.flatMap((cause) => cause.lifetimes))];
  const rows = KNOWN_CAUSES.map(({ name, lifetimes: own, whose }) => [
    `[${name}](#${name})`,
    whose,
    ...lifetimes.map((lifetime) => (own.includes(lifetime) ? number(counts.get(`${lifetime} ${name}`) ?? 0) : "")),
  ]);
  const distinct = (lifetime: string): number =>
    KNOWN_CAUSES.filter(({ name }) => (counts.get(`${lifetime} ${name}`) ?? 0) > 0).length;
  return [
    "Each was found unaided. A number says in how many pairs of these campaigns it was the first finding; an empty cell,",
    "that the lifetime does not have it; 0, that a program which another lifetime showed it with shows it there too.",
    "",
    ...table(["cause", "whose defect", ...lifetimes], rows),
    "",
    `Distinct causes in these campaigns: ${lifetimes.map((lifetime) => `${lifetime} ${distinct(lifetime)}`).join(", ")}; ${KNOWN_CAUSES.length} in all.`,
  ];
}

/** A cause: judgement and witness, on less than a page. */
export function sectionOf(cause: KnownCause, witnesses: readonly Witness[]): string[] {
  const { name, whose, where, order, mendedBy, lifetimes } = cause;
  const own = lifetimes.flatMap((lifetime) =>
    witnesses.filter((one) => one.cause === name && one.lifetime === lifetime),
  );
  const titles = [...new Set(own.map(({ title, function: at }) => (at === "" ? title : `${title} (in ${at})`)))];
  const [first] = own;
  return [
    `### ${name}`,
    "",
    `Defect of ${whose}, in ${where.map((place) => `\`${place}\``).join(", ")}. ${mendedBy.length === 0 ? "No named patch mends it." : `Mended by ${mendedBy.map((patch) => `\`${patch}\``).join(" or ")}.`}`,
    "",
    `Order: ${order}`,
    "",
    ...titles.map((title) => `- ${title}`),
    ...(first === undefined ? [] : ["", "```text", ...programWords(parseToken(first.token).fuzzCase), "```", ""]),
    ...table(
      ["witness", "parts", "preemptions", "steps"],
      own.map(({ file, size }) => [`\`${file}\``, ...[size.parts, size.preemptions, size.steps].map(String)]),
    ),
  ];
}

const OURS = [
  "## Defects of what is ours, mended",
  "",
  "- An exit_group that an engine aborts ended a scripted task without do_exit: a leak. The script now dies by itself.",
  "- Programs left engines behind that stopped their task for ever.",
  "- The specification did not know utrace_barrier of a task on itself; that a detach in a pass of the signal path waits if a",
  "  signal is acted on; and that an engine which detaches itself is owed no stop.",
  "- The model of the prototype: a task that a SIGKILL woke still counted as stopped, if no engine wanted QUIESCE; and one",
  "  that an engine wanted stopped again went on to user mode, where the prototype stops anew.",
  "- The model of the prototype: a task that woke cleared `stopped` without the lock, by a read and a write of the whole word,",
  "  and lost an INTERRUPT that was being set in it. In the prototype that is the state of the task, a word by itself.",
  "- The specification took any utrace_control that returned 0 for a detach, if the reap had taken the engine off meanwhile,",
  "  and allowed no report_reap after it.",
  "- Judged causes were told apart by title alone: a use after free of an engine in utrace_get_signal under `embedded` was",
  "  taken for the thread's. It is `report-while-stopped`.",
  "",
  "Lockdep has found no inversion under `embedded`, where utrace_unsafe_exec takes utrace->lock under task_lock: nothing",
  "takes task_lock under utrace->lock there.",
  "",
  "Under tso some 30,000 pairs were tried: known causes, and divergences from the specification that are false, as it takes",
  "a store to have its effect when it is issued, not when it leaves the store buffer. They are not counted above.",
  "",
  "What the specification excuses as known defects (`EXCUSES` in `model/spec/promises.ts`) is not looked for.",
];
