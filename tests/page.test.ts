/**
 * The page of `compare`, opened from a disk in a real Chromium: its charts and tables are there, laid out, and whole,
 * without a network and without a script.
 *
 * Skipped where no Chromium is installed (Debian: apt-get install chromium).
 */
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compareLifetimes } from "../comparison/compare.ts";
import { LIFETIMES } from "../model/utrace/lifetimes/index.ts";
import type { RaceCell, RaceRow } from "../reports/comparison.ts";
import { comparisonPage } from "../reports/comparisonPage.ts";

const CHROMIUM = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser"].find(
  (path) => path !== undefined && existsSync(path),
);
if (CHROMIUM === undefined) console.warn("skipped: no Chromium in /usr/bin/chromium; apt-get install chromium");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"];
const BYTES_MAX = 500_000;
const SLOW = 120_000;

const lifetimes = [...LIFETIMES.values()];
const cell = (lifetime: string, i: number): RaceCell => ({
  lifetime,
  verdict: (["found", "none-found", "ruled-out"] as const)[i % 3] ?? "found",
  runs: 25,
  bounds: "2 preemptions",
  findings:
    i % 3 === 0
      ? [{ kind: "bug-on", function: "f<g", title: "<b>&", count: 2, repro: "repros/a-long-name-of-a-file-1234.json" }]
      : [],
});
const row = (entry: string | null): RaceRow => ({
  scenario: "attach-detach-exec",
  options: "--config SLUB_DEBUG=y",
  entry,
  finding: null,
  cells: lifetimes.map(({ name }, i) => cell(name, i)),
});
const comparison = {
  ...compareLifetimes(lifetimes),
  races: { runs: 25, seed: "1", rows: [row(null), row("an-entry")] },
};

describe.skipIf(CHROMIUM === undefined)("the page of a comparison in Chromium", () => {
  let folder: string;
  let file: string;
  let browser: Browser;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "utrace-sim-page-"));
    file = join(folder, "page.html");
    writeFileSync(file, comparisonPage(comparison, "made by a test"));
    browser = await chromium.launch({ executablePath: CHROMIUM as string, args: FLAGS, timeout: SLOW });
  }, SLOW);
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Opens the page; what it asked for and complained of is collected. */
  async function open(width: number, javaScriptEnabled: boolean) {
    const context = await browser.newContext({ viewport: { width, height: 900 }, javaScriptEnabled, offline: true });
    const page = await context.newPage();
    const requests: string[] = [];
    const complaints: string[] = [];
    page.on("request", (request) => requests.push(request.url()));
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(pathToFileURL(file).href, { timeout: SLOW });
    return { context, page, requests, complaints };
  }

  /** Widths that stick out of the window. */
  const overflow = (page: Page): Promise<number> =>
    page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");

  test(
    "opens from a file, asks for nothing else, and complains of nothing",
    async () => {
      const { context, page, requests, complaints } = await open(1200, true);
      expect(await page.title()).toBe("The lifetimes of struct utrace, compared");
      expect(requests.filter((url) => !url.startsWith("data:"))).toEqual([pathToFileURL(file).href]);
      expect(complaints).toEqual([]);
      expect(statSync(file).size).toBeLessThan(BYTES_MAX);
      await context.close();
    },
    SLOW,
  );

  test.each([1200, 400])(
    "charts and tables are laid out %i pixels wide, and nothing sticks out",
    async (width) => {
      const { context, page } = await open(width, true);
      const charts = await page.locator("svg.chart").all();
      expect(charts.length).toBeGreaterThanOrEqual(5);
      for (const chart of charts) {
        const box = await chart.boundingBox();
        expect(box?.width).toBeGreaterThan(440);
        expect(box?.height).toBeGreaterThan(60);
        // In a narrow window a chart scrolls inside its figure.
        const figure = await chart.locator("..").boundingBox();
        if (width > 1000) expect(box?.width).toBeLessThanOrEqual(figure?.width ?? 0);
      }
      // Every text of a chart lies inside of it.
      const cut = await page.evaluate(`[...document.querySelectorAll("svg.chart text")].filter((text) => {
        const own = text.getBoundingClientRect(), chart = text.closest("svg").getBoundingClientRect();
        return own.left < chart.left - 1 || own.right > chart.right + 1 || own.top < chart.top - 1 || own.bottom > chart.bottom + 1;
      }).map((text) => text.textContent)`);
      expect(cut).toEqual([]);
      expect(await overflow(page)).toBeLessThanOrEqual(0);
      await context.close();
    },
    SLOW,
  );

  test(
    "each line chart has a line for each lifetime, and each bar chart a bar for each figure",
    async () => {
      const { context, page } = await open(1200, true);
      for (const chart of await page.locator("svg.lines").all()) {
        expect(await chart.locator("polyline").count()).toBe(lifetimes.length);
        expect(await chart.locator("text.name").allTextContents()).toEqual(lifetimes.map(({ name }) => name));
        // Labels of marks do not lie on each other.
        const marks = await chart.locator("text.marked").all();
        const boxes = await Promise.all(marks.map((mark) => mark.boundingBox()));
        expect(new Set(boxes.map((box) => Math.round((box?.x ?? 0) + (box?.width ?? 0)))).size).toBe(boxes.length);
      }
      const bars = await page.locator("#cost svg.bars").first().locator("rect").count();
      expect(bars).toBe(comparison.costs.length);
      await context.close();
    },
    SLOW,
  );

  test(
    "without a script the tables hold the figures, and a finding opens to its command",
    async () => {
      const { context, page } = await open(1200, false);
      const sizes = await page.locator("#sizes table").first().textContent();
      for (const { caches } of comparison.sizes[0]?.lifetimes ?? []) {
        for (const { objectSize } of caches) expect(sizes).toContain(String(objectSize));
      }
      const finding = page.locator("#races td.found").first();
      await finding.locator("summary").click();
      await expect.poll(() => finding.locator("code").isVisible()).toBe(true);
      expect(await finding.textContent()).toContain("npx utrace-sim replay repros/a-long-name-of-a-file-1234.json");
      expect(await finding.textContent()).toContain("bug-on in f<g");
      await context.close();
    },
    SLOW,
  );
});
