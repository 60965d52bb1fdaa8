/** The specification as a page: diagrams of the lives, the rules, and what calls return, drawn from the code. */
import { EXPORTED } from "./exported.ts";
import { EXCUSES } from "./promises.ts";
import { CALL_NAMES, returnsOf } from "./returns.ts";
import { RULES } from "./rules.ts";
import { LIVES, type Transition } from "./state.ts";

const TITLES: Readonly<Record<keyof typeof LIVES, string>> = {
  struct: "Life of a struct utrace",
  engine: "Life of an engine",
  task: "Life of a task",
  stop: "A stop",
};

const AT_THE_EDGE: ReadonlySet<string> = new Set(["absent", "gone", "released"]);
const node = (state: string): string => (AT_THE_EDGE.has(state) ? "[*]" : state);

/** One life as a Mermaid state diagram. */
export function diagramOf(steps: readonly Transition[]): string {
  const first = steps[0]?.from ?? "";
  const begin = AT_THE_EDGE.has(first) ? [] : [`    [*] --> ${first}`];
  const arrows = steps.map(({ from, event, to, by }) => `    ${node(from)} --> ${node(to)}: ${event}, by ${by}`);
  return ["stateDiagram-v2", ...begin, ...arrows].join("\n");
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");

/** The whole page, `docs/spec.md`. */
export function specDocument(): string {
  const lives = Object.entries(LIVES).map(
    ([name, steps]) => `## ${TITLES[name as keyof typeof LIVES]}\n\n\`\`\`mermaid\n${diagramOf(steps)}\n\`\`\``,
  );
  const rules = table(
    ["rule", "about", "what it says"],
    RULES.map(({ name, on, sentence }) => [`\`${name}\``, on.join(", "), sentence]),
  );
  const excuses = table(
    ["known defect", "what it is"],
    EXCUSES.map(({ name, sentence }) => [`\`${name}\``, sentence]),
  );
  const exported = table(
    ["call", "results", "rules about what it does"],
    EXPORTED.map(({ call, results, effects }) => [
      `\`${call}\``,
      results,
      effects.map((name) => `\`${name}\``).join(", "),
    ]),
  );
  const returns = CALL_NAMES.map((call) => {
    const rows = returnsOf(call).map(({ codeName, sentence }) => [codeName, sentence]);
    return `### ${call}\n\n${table(["result", "may come"], rows)}`;
  });
  return `${[
    "# What utrace promises",
    "Drawn from `model/spec/` by `specDocument()`; a test fails when this page is not current, and `npm run bless` renews it.",
    "Every run of every lifetime is held against this, step by step. A step that no rule allows is a `spec-divergence`.",
    "The implementation says with notes, which are no steps, what it is doing; a note is taken in the step before it.",
    ...lives,
    "## Rules",
    rules,
    "## What it excuses",
    "Promises that the posted code is known not to keep. Each excuse is for the situation that it names alone.",
    excuses,
    "## Every exported call",
    exported,
    "## What calls return",
    "A call takes effect somewhere between its begin and its end: a result is right if there was a reason for it at any point in between.",
    ...returns,
  ].join("\n\n")}\n`;
}
