/** How the pages look: the one style sheet, light and dark. */

/** CSS. Series and lifetimes have the colours of Okabe and Ito, which most people can tell apart. */
export const PAGE_STYLE = `:root {
  --ink: #1c2530; --soft: #5a6675; --page: #fbfbf9; --card: #ffffff; --line: #dde1e6; --faint: #eef0f3;
  --c0: #0072b2; --c1: #c2410c; --c2: #00785a; --c3: #a3467f; --c4: #8a6100; --c5: #3a4a5c;
  --bad: #fde8e4; --badink: #8f1d0c; --good: #e2f3ec; --goodink: #045c43;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e9ed; --soft: #a2adba; --page: #14181d; --card: #1b2027; --line: #343c46; --faint: #232a32;
    --c0: #56b4e9; --c1: #f28e5b; --c2: #33c39a; --c3: #dd93bf; --c4: #e0b040; --c5: #b8c4d2;
    --bad: #3c1f1b; --badink: #ffb4a5; --good: #14332a; --goodink: #7fe0c0;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
header, main, footer { max-width: 68rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.5rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .75rem; letter-spacing: -.01em; }
h2 { font-size: 1.4rem; margin: 0 0 .5rem; padding-top: 1.5rem; border-top: 2px solid var(--ink); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .25rem; }
h4 { font-size: .9rem; margin: 1rem 0 .25rem; color: var(--soft); }
section { margin: 2.5rem 0; }
p { max-width: 46rem; margin: .5rem 0; }
.lead { font-size: 1.08rem; color: var(--soft); }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .88em; }
nav { display: flex; flex-wrap: wrap; gap: .5rem 1.25rem; margin: 1.25rem 0; }
nav a { color: var(--c0); text-decoration: none; border-bottom: 1px solid currentColor; }
.note, figcaption, footer { color: var(--soft); font-size: .88rem; }
footer { padding-top: 1rem; padding-bottom: 3rem; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem; margin: 1.5rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-top: 4px solid var(--own); border-radius: 6px; padding: .9rem 1rem 1rem; }
.card h3 { margin: 0; font-size: 1.15rem; color: var(--own); }
.card p { font-size: .9rem; color: var(--soft); margin: .25rem 0 .75rem; min-height: 4.2em; }
.card dl { margin: 0; display: grid; gap: .45rem; }
.card dt { font-weight: 650; font-variant-numeric: tabular-nums; }
.card dd { margin: 0; font-size: .85rem; color: var(--soft); line-height: 1.35; }
.c0 { --own: var(--c0); } .c1 { --own: var(--c1); } .c2 { --own: var(--c2); }
.c3 { --own: var(--c3); } .c4 { --own: var(--c4); } .c5 { --own: var(--c5); }
.chip { color: var(--own); font-weight: 650; white-space: nowrap; }
.scroll { overflow-x: auto; margin: 1.25rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; background: var(--card); border: 1px solid var(--line); }
caption { text-align: left; font-weight: 600; padding: .25rem 0 .5rem; }
th, td { text-align: left; padding: .38rem .65rem; border-bottom: 1px solid var(--line); vertical-align: top; }
thead th { background: var(--faint); font-size: .82rem; color: var(--soft); white-space: nowrap; }
tbody th { font-weight: 600; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th small { display: block; font-weight: 400; color: var(--soft); font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .78em; overflow-wrap: anywhere; }
.race { min-width: 10rem; }
.race.found { background: var(--bad); color: var(--badink); }
.race.none-found { color: var(--soft); }
.race.ruled-out { background: var(--good); color: var(--goodink); }
details { margin: .5rem 0; }
td details { margin: 0; }
summary { cursor: pointer; }
details ul { margin: .4rem 0; padding-left: 1.2rem; }
td code { display: block; overflow-wrap: anywhere; color: var(--ink); }
.meanings { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; font-size: .9rem; }
.meanings dt { font-weight: 600; } .meanings dd { margin: 0; color: var(--soft); }
figure { overflow-x: auto; margin: 1rem 0; background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 1rem; }
figcaption { margin-top: .5rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: 1rem; }
.pair figure { margin: 0; min-width: 0; }
@media (max-width: 34rem) { .pair { grid-template-columns: 1fr; } .meanings { grid-template-columns: 1fr; } }
.chart { display: block; width: 100%; max-width: 50rem; min-width: 32rem; height: auto; font-size: 12px; font-family: inherit; }
.chart text { fill: var(--ink); }
.chart .tick, .chart .dim, .chart .marked { fill: var(--soft); }
.chart .dim { font-size: 11px; }
.chart .label { font-weight: 600; }
.chart .value { font-variant-numeric: tabular-nums; }
.chart.bars { max-width: 42rem; }
.pair .chart { min-width: 28rem; }
.grid { stroke: var(--line); stroke-width: 1; }
.axis { stroke: var(--soft); stroke-width: 1; }
.mark { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 4; }
.line { fill: none; stroke-width: 2.25; stroke-linejoin: round; }
.chart .name { font-weight: 650; }
.s0 { stroke: var(--c0); } .s1 { stroke: var(--c1); } .s2 { stroke: var(--c2); }
.s3 { stroke: var(--c3); } .s4 { stroke: var(--c4); } .s5 { stroke: var(--c5); }
.line.s2 { stroke-dasharray: 7 4; } .line.s3 { stroke-dasharray: 2 3; }
.bar { stroke: none; }
.bar.s0 { fill: var(--c0); } .bar.s1 { fill: var(--c1); } .bar.s2 { fill: var(--c2); }
.bar.s3 { fill: var(--c3); } .bar.s4 { fill: var(--c4); } .bar.s5 { fill: var(--c5); }
.chart text.name { stroke: none; }
.chart text.name.s0 { fill: var(--c0); } .chart text.name.s1 { fill: var(--c1); } .chart text.name.s2 { fill: var(--c2); }
.chart text.name.s3 { fill: var(--c3); } .chart text.name.s4 { fill: var(--c4); } .chart text.name.s5 { fill: var(--c5); }
@media print { details > * { display: block; } nav { display: none; } body { background: #fff; } }`;
