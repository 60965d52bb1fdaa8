/** A comparison as text for a terminal. */
import type {
  Argument,
  BreakEven,
  Comparison,
  Cost,
  MemoryChart,
  RaceCell,
  RaceFinding,
  RaceRow,
  SizeTable,
} from "./comparison.ts";
import { type TableCell, textTable } from "./textTable.ts";

/** `1.5 MB`, `12 kB`, `-3 kB`: binary units, as memory is counted. */
export function formatBytes(bytes: number): string {
  const size = Math.abs(bytes);
  if (size >= 2 ** 20) return `${(bytes / 2 ** 20).toFixed(2)} MiB`;
  if (size >= 2 ** 10) return `${Math.round(bytes / 2 ** 10)} KiB`;
  return `${bytes} B`;
}

/** `12.3 %` of some tasks. */
export const formatShare = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`;

/** The whole comparison. */
export function comparisonText(comparison: Comparison): string {
  const { sizes, memory, costs } = comparison;
  const parts = [
    ...sizes.map(sizesText),
    ...memory.map(memoryText),
    costs.length === 0 ? "" : costsText(comparison),
    comparison.arguments.length === 0 ? "" : argumentsText(comparison.arguments),
    comparison.races.rows.length === 0 ? "" : racesText(comparison),
  ];
  return parts.filter((part) => part !== "").join("\n\n\n");
}

const section = (title: string, ...lines: string[]): string => [title.toUpperCase(), "", ...lines].join("\n");

/** How a lifetime is named where none is one of the choices. */
export const lifetimeName = (lifetime: string | null): string => lifetime ?? "(no utrace)";

/** `+72 bytes`. */
export const more = (bytes: number): string => `${bytes < 0 ? "" : "+"}${bytes}`;

function sizesText({ title, config, lifetimes }: SizeTable): string {
  const rows = lifetimes.flatMap(({ lifetime, caches, untraced, traced }) =>
    caches.map((cache, i): TableCell[] => [
      i === 0 ? lifetimeName(lifetime) : "",
      cache.name,
      cache.objectSize,
      cache.slabSize,
      cache.order,
      cache.objectsPerSlab,
      cache.waste,
      i > 0 || lifetime === null ? "" : more(untraced),
      i > 0 || lifetime === null ? "" : more(traced),
    ]),
  );
  const head = ["lifetime", "struct", "object", "slab", "order", "per slab", "waste", "untraced", "traced"];
  return section(`sizes in bytes: ${title}`, `--config ${config}`, "", textTable(head, rows));
}

/** Percentages of traced tasks that the text shows. */
const SHARES = [0, 1, 2, 5, 10, 25, 50, 75, 90, 100];

function memoryText(chart: MemoryChart): string {
  const { title, tasks, traced, curves } = chart;
  const at = SHARES.map((share) => traced.indexOf(Math.round((share * tasks) / 100))).filter((i) => i >= 0);
  const rows = at.map((i): TableCell[] => [
    `${formatShare(traced[i] as number, tasks)}`,
    ...curves.map((curve) => formatBytes(curve.bytes[i] as number)),
  ]);
  return section(
    `memory: ${title}`,
    `More than ${tasks} tasks without utrace, in whole slabs; one engine per traced task.`,
    "",
    textTable(["traced", ...curves.map((curve) => curve.lifetime)], rows),
    "",
    ...chart.breakEven.map((pair) => breakEvenText(pair, tasks)),
  );
}

/** One break-even in a sentence. */
export function breakEvenText({ smaller, larger, first, always }: BreakEven, tasks: number): string {
  if (first === null) return `${smaller} never needs more than ${larger}.`;
  const from = `${smaller} needs more than ${larger} from ${first} traced tasks on (${formatShare(first, tasks)})`;
  if (always === first) return `${from}.`;
  if (always === null) return `${from}, but not always.`;
  return `${from}, and always from ${always} on (${formatShare(always, tasks)}).`;
}

/** Columns of the table of costs: head, and how to get the figure. */
export const COST_COLUMNS: readonly { readonly head: string; readonly value: (cost: Cost) => number }[] = [
  { head: "ops", value: (cost) => cost.ops },
  { head: "loads", value: (cost) => cost.loads },
  { head: "stores", value: (cost) => cost.stores },
  { head: "atomic", value: (cost) => cost.atomics },
  { head: "locks", value: (cost) => cost.locks },
  { head: "barriers", value: (cost) => cost.barriers },
  { head: "rcu", value: (cost) => cost.rcuSections },
  { head: "call_rcu", value: (cost) => cost.rcuCallbacks },
  { head: "alloc", value: (cost) => cost.allocations },
  { head: "free", value: (cost) => cost.frees },
  { head: "lines", value: (cost) => cost.cacheLines },
  { head: "later", value: (cost) => cost.deferredOps },
];

/** What the columns of the table of costs mean. */
export const COST_LEGEND =
  "atomic: instructions with a lock prefix, the taking of locks among them; rcu: read sections; lines: cache lines of 64 bytes, the task's own stack left out; later: ops after a grace period.";

function costsText({ costs, costConfig }: Comparison): string {
  let before = "";
  const rows = costs.map((cost): TableCell[] => {
    const path = cost.path === before ? "" : cost.path;
    before = cost.path;
    return [path, cost.lifetime, ...COST_COLUMNS.map(({ value }) => value(cost))];
  });
  return section(
    "cost of each path, with nobody in the way",
    `--config ${costConfig}`,
    "",
    textTable(["path", "lifetime", ...COST_COLUMNS.map(({ head }) => head)], rows),
    "",
    COST_LEGEND,
  );
}

function argumentsText(all: readonly Argument[]): string {
  const list = (title: string, items: readonly string[]): string[] =>
    items.length === 0 ? [`  ${title}: none`] : [`  ${title}:`, ...items.map((item) => `    - ${item}`)];
  return section(
    "size of the argument",
    ...all.flatMap(({ lifetime, summary, retryLoops, rules, unlocked, states, statesBounds }) => [
      `${lifetime}: ${summary}`,
      ...list("goes round again", retryLoops),
      ...list("to be known", rules),
      ...list("touches the struct without its lock", unlocked),
      `  reachable states of a small world (${statesBounds}): ${states}`,
      "",
    ]),
  ).trimEnd();
}

/** What a cell says: never that all is well. */
export function verdictText({ verdict, runs, bounds, findings }: RaceCell): string {
  if (verdict === "ruled-out") return `ruled out within ${bounds ?? "bounds"}`;
  if (verdict === "none-found") return `none in ${runs} runs`;
  const kinds = new Map<string, number>();
  for (const { kind, count } of findings) kinds.set(kind, (kinds.get(kind) ?? 0) + count);
  return `found: ${[...kinds.keys()].join(", ")}`;
}

/** Name of a row: its scenario, or its entry of the corpus. */
export const rowTitle = (row: RaceRow): string => row.entry ?? row.scenario;

function racesText({ lifetimes, races }: Comparison): string {
  const { rows, runs, seed } = races;
  const head = ["", ...lifetimes];
  const table = (some: readonly RaceRow[]): string =>
    textTable(
      head,
      some.map((row) => [
        row.entry === null && row.options !== "" ? `${row.scenario}\n  ${row.options}` : rowTitle(row),
        ...row.cells.map((cell) => verdictText(cell).replace(": ", ":\n").replaceAll(", ", "\n")),
      ]),
    );
  const scenarios = rows.filter((row) => row.entry === null);
  const entries = rows.filter((row) => row.entry !== null);
  return section(
    "races",
    `${runs} runs for each row and lifetime, seed ${seed}. "none in N runs" proves nothing.`,
    "",
    table(scenarios),
    ...(entries.length === 0 ? [] : ["", "Entries of the corpus: is this finding there too?", "", table(entries)]),
    "",
    "Found; each with: npx utrace-sim replay FILE",
    "",
    ...findingLines(scenarios),
  );
}

/** One line for each distinct finding of a scenario under a lifetime: runs that showed it, what, and its file. */
function findingLines(rows: readonly RaceRow[]): string[] {
  const seen = new Set<string>();
  const lines: TableCell[][] = [];
  for (const { scenario, cells } of rows) {
    for (const { lifetime, findings } of cells) {
      for (const finding of findings) {
        const key = `${scenario} ${lifetime} ${placeOf(finding)}`;
        // The same under another config is only another run.
        if (!seen.has(key)) lines.push([lifetime, scenario, placeOf(finding), finding.count, finding.repro]);
        seen.add(key);
      }
    }
  }
  return [textTable(["lifetime", "scenario", "finding", "runs", "file"], lines)];
}

/** `use-after-free in utrace_stop`. */
export const placeOf = ({ kind, function: name }: RaceFinding): string => (name === "" ? kind : `${kind} in ${name}`);
