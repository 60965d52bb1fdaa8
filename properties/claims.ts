/** What utrace is claimed to keep, each claim with where it is checked: as a property of whole runs, and as rules of the specification. */
import { engineReleasedOnce, freedOnce, leavesNothing, memoryOutlivesReaders, structUnreachable } from "./lives.ts";
import { requestedReportComes, stopsEnd } from "./promised.ts";
import type { Property } from "./property.ts";
import { killEndsStop, killKills, silentAfterDetach, silentAfterReap, stoppedRunsNoUserCode } from "./tracing.ts";
import { TWINS } from "./twins.ts";
import { untracedTouchesNothing } from "./untraced.ts";

/** One claim. */
export interface Claim {
  readonly claim: string;
  readonly properties: readonly Property[];
  /** Names of rules: those find a breach at its step, in every run. */
  readonly rules: readonly string[];
}

/** All of them. */
export const CLAIMS: readonly Claim[] = [
  {
    claim: "an engine is released exactly once",
    properties: [engineReleasedOnce, freedOnce],
    rules: [
      "attached-once",
      "detached-once",
      "released-detached",
      "released-last",
      "reference-held",
      "attached-reference",
    ],
  },
  {
    claim: "no callback after detach has returned success, nor after utrace_barrier returned 0",
    properties: [silentAfterDetach],
    rules: ["detached-silent", "callback-left", "detach-done", "callback-wanted", "call-has-reason"],
  },
  {
    claim: "a struct is freed exactly once and never reachable after",
    properties: [freedOnce, structUnreachable, memoryOutlivesReaders],
    rules: ["struct-once", "one-struct", "struct-taken", "struct-freed", "struct-empty"],
  },
  {
    claim: "a stopped task does not run user code",
    properties: [stoppedRunsNoUserCode],
    rules: ["stopped-no-user-code", "stop-comes", "report-unstopped"],
  },
  {
    claim: "every stop ends by a resume, SIGKILL or exit",
    properties: [stopsEnd, killEndsStop],
    rules: ["stop-itself", "stop-ends", "stop-wanted", "last-resume-wakes", "resumed-wakes"],
  },
  {
    claim: "a requested report comes",
    properties: [requestedReportComes],
    rules: ["report-comes", "report-complete", "detach-comes"],
  },
  { claim: "SIGKILL always kills", properties: [killKills, killEndsStop], rules: ["stop-not-killed"] },
  {
    claim: "reap is reported once, last",
    properties: [silentAfterReap],
    rules: ["reap-once", "reap-last", "reap-reaped"],
  },
  {
    claim: "the untraced fast path touches nothing of utrace",
    properties: [untracedTouchesNothing],
    rules: [],
  },
  {
    claim: "a task leaves no utrace object behind",
    properties: [leavesNothing, engineReleasedOnce],
    rules: ["task-leaves-nothing"],
  },
];

const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...rows].map(row).join("\n");
const inCode = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(", ");

/**
 * The page of the claims, `docs/properties.md`.
 *
 * @param properties - All properties, in the order in which they are to be read.
 */
export function claimsDocument(properties: readonly Property[]): string {
  const claims = CLAIMS.map(({ claim, properties: checked, rules }) => [
    claim,
    checked.map(({ name }) => name).join("; "),
    rules.length === 0 ? "" : inCode(rules),
  ]);
  const each = properties.map((property) => [
    property.name,
    property.sometimes,
    TWINS.filter((twin) => twin.property === property)
      .map(({ what }) => what)
      .join("; "),
  ]);
  return `${[
    "# What is claimed, and where it is checked",
    "Written by `properties/claims.ts`; a test fails when this page is not current, and `npm run bless` renews it.",
    "A property looks at a whole run from outside; a rule of the [specification](spec.md) finds a breach at its step, in every run. Each rule has an illegal history that breaks it in `model/spec/spec.test.ts`, and a million random legal steps that do not (`npm run spec:legal`). What the posted code is known not to keep is named in the specification under *What it excuses*.",
    table(["claim", "properties", "rules"], claims),
    "## The properties",
    "Each is put to the test by some of 200 runs of any scenario under any parameters (*sometimes*), and broken by a run that was doctored (*twin*). How often a task that nobody traces looks at its flags: once for each event, one load of one cache line, says `utrace-sim compare`.",
    table(["property", "sometimes", "twin"], each),
  ].join("\n\n")}\n`;
}
