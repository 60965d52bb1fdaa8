/**
 * A comparison as one HTML page: everything in the file, nothing fetched, no script, so that it opens from a disk or a
 * mail. Lifetimes get their colours by their place in the list.
 */
import { barChart, lineChart, type Mark } from "./charts.ts";
import type { Argument, BreakEven, Comparison, Cost, MemoryChart, RaceCell, RaceRow, SizeTable } from "./comparison.ts";
import {
  breakEvenText,
  COST_COLUMNS,
  COST_LEGEND,
  formatBytes,
  formatShare,
  lifetimeName,
  more,
  placeOf,
  rowTitle,
} from "./comparisonText.ts";
import { escapeHtml, type HtmlCell, htmlTable } from "./markup.ts";
import { PAGE_STYLE } from "./pageStyle.ts";

const text = escapeHtml;

/** The page. `made` is the line at its foot: by which program, from which command. */
export function comparisonPage(comparison: Comparison, made: string): string {
  const sections = [
    { id: "sizes", title: "Sizes", html: sizesHtml(comparison) },
    { id: "memory", title: "Memory", html: comparison.memory.map((chart) => memoryHtml(chart)).join("\n") },
    { id: "cost", title: "Cost", html: costHtml(comparison) },
    { id: "argument", title: "Size of the argument", html: argumentHtml(comparison) },
    { id: "races", title: "Races", html: racesHtml(comparison) },
  ].filter((section) => section.html !== "");
  const links = sections.map(({ id, title }) => `<a href="#${id}">${text(title)}</a>`).join("\n");
  const bodies = sections.map(
    ({ id, title, html }) => `<section id="${id}"><h2>${text(title)}</h2>\n${html}\n</section>`,
  );
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The lifetimes of struct utrace, compared</title>
<link rel="icon" href="data:,">
<style>
${PAGE_STYLE}
</style>
</head>
<body>
<header>
<h1>The lifetimes of <code>struct utrace</code>, compared</h1>
<p class="lead">A pointer with RCU saves memory, said one side of the argument of 2008; a member of
<code>task_struct</code> cannot have these bugs, said the other. Sizes are computed from the structs as declared, costs
are counted in a run of the modelled code, races are searched for. Nothing is entered by hand.</p>
<nav>${links}</nav>
</header>
<main>
${cards(comparison)}
${bodies.join("\n\n")}
</main>
<footer>${text(made)}</footer>
</body>
</html>
`;
}

/** A lifetime's name in its colour. */
const chip = (lifetimes: readonly string[], lifetime: string): string =>
  `<span class="chip c${lifetimes.indexOf(lifetime)}">${text(lifetime)}</span>`;

/** One card for each lifetime: what it is, and its figures in short. */
function cards(comparison: Comparison): string {
  const { lifetimes, sizes, costs, races } = comparison;
  const all = lifetimes.map((lifetime) => {
    const argument = comparison.arguments.find((one) => one.lifetime === lifetime);
    const size = sizes[0]?.lifetimes.find((one) => one.lifetime === lifetime);
    const attach = costs.find((cost) => cost.lifetime === lifetime && cost.allocations > 0);
    const facts: [string, string][] = [];
    if (size !== undefined) {
      facts.push([`${more(size.untraced)} bytes`, "for an untraced task"]);
      facts.push([`${more(size.traced)} bytes`, "for a traced task"]);
    }
    if (attach !== undefined) facts.push([`${attach.ops} ops`, `to ${attach.path.replace(",", ", the")}`]);
    if (argument !== undefined) facts.push([String(argument.unlocked.length), "places beside the lock"]);
    if (races.rows.length > 0) facts.push(racesInShort(races.rows, lifetime));
    const list = facts.map(([value, what]) => `<div><dt>${text(value)}</dt><dd>${text(what)}</dd></div>`).join("");
    return `<article class="card c${lifetimes.indexOf(lifetime)}"><h3>${text(lifetime)}</h3>
<p>${text(argument?.summary ?? "")}</p><dl>${list}</dl></article>`;
  });
  return `<div class="cards">${all.join("\n")}</div>`;
}

function racesInShort(rows: readonly RaceRow[], lifetime: string): [string, string] {
  const cells = rows.filter((row) => row.entry === null).map((row) => row.cells.find((c) => c.lifetime === lifetime));
  const kinds = new Set(cells.flatMap((cell) => cell?.findings.map(({ kind }) => kind) ?? []));
  const most = [...kinds].sort();
  return most.length === 0
    ? ["nothing found", "which proves nothing"]
    : [`${most.length} kinds`, `found: ${most.join(", ")}`];
}

/** Tables of sizes that are shown at once; the others open on a click. */
const TABLES_OPEN = 2;

function sizesHtml({ lifetimes, sizes }: Comparison): string {
  const charts = sizes.slice(0, 1).map((table) => sizesChart(lifetimes, table));
  return [
    `<p>What a task has more than in a kernel without utrace, before slabs round it up: untraced, and traced. An engine,
the same under all, is not counted.</p>`,
    ...charts,
    ...sizes.slice(0, TABLES_OPEN).map((table) => sizesTable(lifetimes, table)),
    ...sizes
      .slice(TABLES_OPEN)
      .map((table) => `<details><summary>${text(table.title)}</summary>${sizesTable(lifetimes, table)}</details>`),
  ].join("\n");
}

function sizesChart(lifetimes: readonly string[], { title, lifetimes: rows }: SizeTable): string {
  const own = lifetimes.map((name) => rows.find((row) => row.lifetime === name));
  return `<figure>${barChart({
    title: `Bytes per task, ${title}`,
    series: lifetimes,
    unit: " B",
    groups: [
      { label: "untraced task", values: own.map((row) => row?.untraced ?? 0) },
      { label: "traced task", values: own.map((row) => row?.traced ?? 0) },
    ],
  })}<figcaption>Bytes per task: ${text(title)}.</figcaption></figure>`;
}

function sizesTable(lifetimes: readonly string[], { title, config, lifetimes: rows }: SizeTable): string {
  const head = ["lifetime", "struct", "object", "slab", "order", "per slab", "waste", "untraced", "traced"];
  const cells = rows.flatMap(({ lifetime, caches, untraced, traced }) =>
    caches.map((cache, i): HtmlCell[] => [
      { html: i > 0 ? "" : lifetime === null ? text(lifetimeName(lifetime)) : chip(lifetimes, lifetime) },
      { html: `<code>${text(cache.name)}</code>` },
      cache.objectSize,
      cache.slabSize,
      cache.order,
      cache.objectsPerSlab,
      cache.waste,
      { html: i > 0 || lifetime === null ? "" : more(untraced), class: "n" },
      { html: i > 0 || lifetime === null ? "" : more(traced), class: "n" },
    ]),
  );
  return `${htmlTable(`${title} (--config ${config}); bytes`, head, cells)}`;
}

/** A mark for each number of traced tasks at which something breaks even; those at the same number share one. */
function marksOf(pairs: readonly BreakEven[]): Mark[] {
  const at = new Map<number, Map<string, string[]>>();
  for (const { smaller, larger, first } of pairs) {
    if (first === null) continue;
    const here = at.get(first) ?? new Map<string, string[]>();
    here.set(larger, [...(here.get(larger) ?? []), smaller]);
    at.set(first, here);
  }
  return [...at].map(([x, here]) => ({
    x,
    label: [...here].map(([larger, smaller]) => `${smaller.join(", ")} > ${larger}`).join("; "),
  }));
}

function memoryHtml(chart: MemoryChart): string {
  const { title, tasks, traced, curves, breakEven } = chart;
  const marks = marksOf(breakEven);
  const svg = lineChart({
    title: `Memory for ${title}`,
    x: { label: `traced tasks of ${tasks}`, values: traced, format: String },
    y: { label: "more than without utrace", format: formatBytes },
    series: curves.map(({ lifetime, bytes }) => ({ name: lifetime, values: bytes })),
    marks,
  });
  const shown = traced.map((_, i) => i).filter((i) => i % 10 === 0);
  const table = htmlTable(
    `More than ${tasks} tasks without utrace, in whole slabs`,
    ["traced", ...curves.map(({ lifetime }) => lifetime)],
    shown.map((i) => [
      formatShare(traced[i] as number, tasks),
      ...curves.map(({ bytes }) => ({ html: text(formatBytes(bytes[i] as number)), class: "n" })),
    ]),
  );
  const sentences = breakEven.map((pair) => `<li>${text(breakEvenText(pair, tasks))}</li>`).join("");
  return `<h3>${text(title)}</h3>
<figure>${svg}<figcaption>In whole slabs, with one engine for each traced task.</figcaption></figure>
<ul>${sentences}</ul>
<details><summary>The figures</summary>${table}</details>`;
}

function costHtml({ lifetimes, costs, costConfig }: Comparison): string {
  if (costs.length === 0) return "";
  const paths = [...new Set(costs.map(({ path }) => path))];
  const of = (path: string, lifetime: string): Cost | undefined =>
    costs.find((cost) => cost.path === path && cost.lifetime === lifetime);
  const chart = (title: string, value: (cost: Cost) => number): string =>
    `<figure>${barChart({
      title,
      series: lifetimes,
      unit: "",
      groups: paths.map((path) => ({
        label: path,
        values: lifetimes.map((lifetime) => {
          const cost = of(path, lifetime);
          return cost === undefined ? 0 : value(cost);
        }),
      })),
    })}<figcaption>${text(title)}.</figcaption></figure>`;
  const rows = paths.flatMap((path) =>
    lifetimes.map((lifetime, i): HtmlCell[] => {
      const cost = of(path, lifetime);
      return [
        { html: i === 0 ? `<span title="${text(cost?.what ?? "")}">${text(path)}</span>` : "" },
        { html: chip(lifetimes, lifetime) },
        ...COST_COLUMNS.map(({ value }) => (cost === undefined ? "" : value(cost))),
      ];
    }),
  );
  const meanings = paths.map(
    (path) => `<dt>${text(path)}</dt><dd>${text(of(path, lifetimes[0] ?? "")?.what ?? "")}</dd>`,
  );
  return `<p>Counted in one run with nobody in the way, under <code>--config ${text(costConfig)}</code>.</p>
<div class="pair">${chart("Ops on shared state", (cost) => cost.ops)}
${chart("Atomic instructions", (cost) => cost.atomics)}</div>
${htmlTable("Cost of each path", ["path", "lifetime", ...COST_COLUMNS.map(({ head }) => head)], rows)}
<p class="note">${text(COST_LEGEND)}</p>
<details><summary>What the paths are</summary><dl class="meanings">${meanings.join("")}</dl></details>`;
}

function argumentHtml({ lifetimes, arguments: all }: Comparison): string {
  if (all.length === 0) return "";
  const head = ["lifetime", "retry loops", "rules", "places beside the lock", "states of the small world"];
  const rows = all.map(({ lifetime, retryLoops, rules, unlocked, states }): HtmlCell[] => [
    { html: chip(lifetimes, lifetime) },
    retryLoops.length,
    rules.length,
    unlocked.length,
    states,
  ]);
  const list = (items: readonly string[], code = false): string =>
    items.length === 0
      ? "<p>None.</p>"
      : `<ul>${items.map((item) => `<li>${code ? `<code>${text(item)}</code>` : text(item)}</li>`).join("")}</ul>`;
  const details = (one: Argument): string => `<details><summary>${chip(lifetimes, one.lifetime)} in words</summary>
<h4>Goes round again</h4>${list(one.retryLoops)}
<h4>To be known</h4>${list(one.rules)}
<h4>Touches the struct without its lock, on the walk</h4>${list(one.unlocked, true)}</details>`;
  return `<p>How much there is to know before one believes that a lifetime is right.</p>
${htmlTable("In figures", head, rows)}
<p class="note">The small world: a task that exits, one tracer that attaches once and detaches, the parent that reaps
(${text(all[0]?.statesBounds ?? "")}).</p>
${all.map(details).join("\n")}`;
}

function racesHtml({ lifetimes, races }: Comparison): string {
  const { rows, runs, seed } = races;
  if (rows.length === 0) return "";
  const table = (caption: string, some: readonly RaceRow[]): string =>
    htmlTable(
      caption,
      ["", ...lifetimes],
      some.map((row) => [
        { html: rowHeading(row) },
        ...row.cells.map((cell) => ({ html: cellHtml(cell), class: `race ${cell.verdict}` })),
      ]),
    );
  const scenarios = rows.filter((row) => row.entry === null);
  const entries = rows.filter((row) => row.entry !== null);
  return `<p>${runs} runs for each row and lifetime, from seed ${text(seed)}. <em>None in N runs</em> proves nothing. A
finding opens to the commands that show it again.</p>
${table("Scenarios", scenarios)}
${entries.length === 0 ? "" : table("Entries of the corpus: is this finding there too?", entries)}`;
}

function rowHeading(row: RaceRow): string {
  const about = row.entry === null ? row.options : `${row.scenario}${row.options === "" ? "" : ` ${row.options}`}`;
  return `${text(rowTitle(row))}${about === "" ? "" : `<small>${text(about)}</small>`}`;
}

function cellHtml({ verdict, runs, bounds, findings }: RaceCell): string {
  if (verdict === "ruled-out") return `ruled out within ${text(bounds ?? "bounds")}`;
  if (verdict === "none-found") return `none in ${runs} runs`;
  const kinds = [...new Set(findings.map(({ kind }) => kind))];
  const commands = findings.map(
    (finding) =>
      `${text(placeOf(finding))}, ${finding.count}×<code>npx utrace-sim replay ${text(finding.repro)}</code>`,
  );
  return `<details><summary>found: ${kinds.map(text).join(", ")}</summary><ul>${commands.map((c) => `<li>${c}</li>`).join("")}</ul></details>`;
}
