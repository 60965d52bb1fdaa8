/**
 * Charts as inline SVG, drawn here: lines and bars. No script, no font of their own, colours by CSS class (`s0`, `s1`,
 * ... for the series, in order), so that the page decides how they look in light and in dark.
 */
import { escapeHtml } from "./markup.ts";

/** One line of a {@link lineChart}. */
export interface Series {
  readonly name: string;
  readonly values: readonly number[];
}

/** A vertical mark: something happens at this x. */
export interface Mark {
  readonly x: number;
  readonly label: string;
}

export interface LineChart {
  /** What it shows, for who cannot see it. */
  readonly title: string;
  readonly x: { readonly label: string; readonly values: readonly number[]; readonly format: (x: number) => string };
  readonly y: { readonly label: string; readonly format: (y: number) => string };
  readonly series: readonly Series[];
  readonly marks: readonly Mark[];
}

const WIDTH = 720;
const HEIGHT = 340;
const LEFT = 74;
const RIGHT = 92;
const TOP = 26;
const BOTTOM = 48;
const LINE = 15;

/**
 * Round values from at most `low` to at least `high`, some five of them.
 *
 * @param unit - Steps are 1, 2 or 5 times a power of ten of these: 1024 where bytes are counted.
 */
export function ticks(low: number, high: number, unit = 1): number[] {
  const span = Math.max(high - low, unit) / unit;
  const power = 10 ** Math.floor(Math.log10(span / 4));
  const step = ([1, 2, 5, 10].find((factor) => factor * power * 5 >= span) ?? 10) * power * unit;
  const first = Math.floor(low / step);
  const last = Math.max(Math.ceil(high / step), first + 1);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

const fixed = (n: number): string => String(Math.round(n * 10) / 10);

/** Moves labels apart that would lie on each other, in the order of where they belong. */
function spread(at: readonly number[], gap: number): number[] {
  const order = at.map((_, i) => i).sort((a, b) => (at[a] as number) - (at[b] as number) || a - b);
  const out = [...at];
  for (let i = 1; i < order.length; i++) {
    const above = out[order[i - 1] as number] as number;
    const own = order[i] as number;
    if ((out[own] as number) < above + gap) out[own] = above + gap;
  }
  return out;
}

/** Lines over a common x, named at their right ends. */
export function lineChart({ title, x, y, series, marks }: LineChart): string {
  const all = series.flatMap((one) => one.values);
  const yTicks = ticks(Math.min(0, ...all), Math.max(...all), 1024);
  const xTicks = ticks(Math.min(...x.values), Math.max(...x.values));
  const [yLow, yHigh] = [yTicks[0] as number, yTicks.at(-1) as number];
  const [xLow, xHigh] = [xTicks[0] as number, xTicks.at(-1) as number];
  const px = (value: number): number => LEFT + ((value - xLow) / (xHigh - xLow)) * (WIDTH - LEFT - RIGHT);
  const py = (value: number): number => HEIGHT - BOTTOM - ((value - yLow) / (yHigh - yLow)) * (HEIGHT - TOP - BOTTOM);
  const out: string[] = [];
  for (const value of yTicks) {
    const at = fixed(py(value));
    out.push(
      `<line class="${value === 0 ? "axis" : "grid"}" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/>`,
    );
    out.push(
      `<text class="tick" x="${LEFT - 8}" y="${at}" dy=".35em" text-anchor="end">${escapeHtml(y.format(value))}</text>`,
    );
  }
  for (const value of xTicks) {
    out.push(
      `<text class="tick" x="${fixed(px(value))}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${escapeHtml(x.format(value))}</text>`,
    );
  }
  out.push(`<text class="label" x="${LEFT}" y="14">${escapeHtml(y.label)}</text>`);
  out.push(
    `<text class="label" x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">${escapeHtml(x.label)}</text>`,
  );
  for (const mark of marks) {
    const at = fixed(px(mark.x));
    out.push(`<line class="mark" x1="${at}" x2="${at}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/>`);
    out.push(
      `<text class="marked" x="${fixed(px(mark.x) - 5)}" y="${HEIGHT - BOTTOM - 8}" text-anchor="end">${escapeHtml(mark.label)}</text>`,
    );
  }
  const ends = spread(
    series.map((one) => py(one.values.at(-1) ?? 0)),
    LINE,
  );
  series.forEach((one, i) => {
    const points = one.values.map((value, k) => `${fixed(px(x.values[k] as number))},${fixed(py(value))}`);
    out.push(`<polyline class="line s${i}" points="${points.join(" ")}"/>`);
    out.push(
      `<text class="name s${i}" x="${WIDTH - RIGHT + 8}" y="${fixed(ends[i] as number)}" dy=".35em">${escapeHtml(one.name)}</text>`,
    );
  });
  return svg(title, WIDTH, HEIGHT, "chart lines", out);
}

/** One group of bars: a bar for each series, in order. */
export interface BarGroup {
  readonly label: string;
  readonly values: readonly number[];
}

export interface BarChart {
  readonly title: string;
  readonly series: readonly string[];
  readonly groups: readonly BarGroup[];
  /** Behind each number. */
  readonly unit: string;
}

const BAR = 15;
const GROUP_GAP = 14;
const BAR_LEFT = 176;
/** Room for the longest number and name behind a bar. */
const BAR_RIGHT = 112;
const BARS_WIDTH = 600;

/** Lying bars in groups, each with its number. */
export function barChart({ title, series, groups, unit }: BarChart): string {
  const high = Math.max(1, ...groups.flatMap((group) => group.values));
  const scale = (BARS_WIDTH - BAR_LEFT - BAR_RIGHT) / high;
  const groupHeight = series.length * (BAR + 2) + GROUP_GAP;
  const out: string[] = [];
  groups.forEach((group, g) => {
    const top = g * groupHeight + GROUP_GAP / 2;
    const middle = top + (series.length * (BAR + 2)) / 2;
    out.push(
      `<text class="label" x="${BAR_LEFT - 10}" y="${fixed(middle)}" dy=".35em" text-anchor="end">${escapeHtml(group.label)}</text>`,
    );
    group.values.forEach((value, i) => {
      const y = top + i * (BAR + 2);
      const length = Math.max(value * scale, 1);
      out.push(
        `<rect class="bar s${i}" x="${BAR_LEFT}" y="${fixed(y)}" width="${fixed(length)}" height="${BAR}" rx="2"/>`,
      );
      out.push(
        `<text class="value" x="${fixed(BAR_LEFT + length + 6)}" y="${fixed(y + BAR / 2)}" dy=".35em">${value}${escapeHtml(unit)} <tspan class="dim">${escapeHtml(series[i] ?? "")}</tspan></text>`,
      );
    });
  });
  return svg(title, BARS_WIDTH, groups.length * groupHeight, "chart bars", out);
}

function svg(title: string, width: number, height: number, cssClass: string, content: readonly string[]): string {
  return `<svg class="${cssClass}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}">
<title>${escapeHtml(title)}</title>
${content.join("\n")}
</svg>`;
}
