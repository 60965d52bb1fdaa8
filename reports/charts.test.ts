import { expect, test } from "vitest";
import { barChart, lineChart, ticks } from "./charts.ts";
import { escapeHtml, htmlTable } from "./markup.ts";

test.each([
  [0, 100, 1, [0, 20, 40, 60, 80, 100]],
  [0, 1000, 1, [0, 200, 400, 600, 800, 1000]],
  [-3, 7, 1, [-4, -2, 0, 2, 4, 6, 8]],
  [0, 184 * 1024, 1024, [0, 50, 100, 150, 200].map((n) => n * 1024)],
])("ticks from %i to %i in units of %i", (low, high, unit, expected) => {
  expect(ticks(low, high, unit)).toEqual(expected);
});

test("ticks cover the values even where all are the same", () => {
  const [first, last] = ticks(0, 0);
  expect(first).toBe(0);
  expect(last).toBeGreaterThan(0);
});

test("a line chart names each line at its end, apart from each other, and draws its marks", () => {
  const svg = lineChart({
    title: "a < b",
    x: { label: "x", values: [0, 10], format: String },
    y: { label: "y", format: String },
    series: [
      { name: "one", values: [0, 2048] },
      { name: "two", values: [1024, 2048] },
    ],
    marks: [{ x: 5, label: "here" }],
  });
  const ends = [...svg.matchAll(/class="name s\d" x="\d+" y="([\d.]+)"/g)].map(([, y]) => Number(y));
  expect((ends[1] as number) - (ends[0] as number)).toBeGreaterThanOrEqual(15);
  expect(svg).toContain(">here</text>");
  expect(svg).toContain('aria-label="a &lt; b"');
  expect(svg.match(/<polyline/g)).toHaveLength(2);
});

test("a bar is as long as its figure, and one of nothing can still be seen", () => {
  const svg = barChart({
    title: "t",
    series: ["s"],
    groups: [
      { label: "g", values: [10] },
      { label: "h", values: [0] },
    ],
    unit: " B",
  });
  const widths = [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, width]) => Number(width));
  expect(widths[0]).toBeGreaterThan(200);
  expect(widths[1]).toBe(1);
  expect(svg).toContain(">10 B <tspan");
});

test("a table escapes its texts and puts numbers to the right", () => {
  const html = htmlTable(
    "<caption>",
    ["name", "n"],
    [
      ["a & b", 1],
      [{ html: "<b>x</b>" }, { html: "+2", class: "n" }],
    ],
  );
  expect(html).toContain("&lt;caption&gt;");
  expect(html).toContain('<th scope="row">a &amp; b</th><td class="n">1</td>');
  expect(html).toContain('<th scope="row"><b>x</b></th>');
  expect(html).toContain('<th scope="col" class="n">n</th>');
  expect(escapeHtml(`"'`)).toBe("&quot;&#39;");
});
