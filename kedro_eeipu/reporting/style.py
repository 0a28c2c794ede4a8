"""The page's style sheet, for light and dark screens from 400 pixels on."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #f6f7f9; --card: #ffffff; --ink: #1c2430; --quiet: #5f6875; --edge: #dfe3e8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0f1318; --card: #181d24; --ink: #e6e9ee; --quiet: #98a1ad; --edge: #2b323c;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
main { max-width: 1480px; margin: 0 auto; padding: 28px 24px 60px; }
h1 { font-size: 26px; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
h1 em { font-style: normal; color: #2f86c9; }
h2 { font-size: 19px; font-weight: 600; margin: 40px 0 4px; }
p { margin: 2px 0 14px; color: var(--quiet); max-width: 95ch; overflow-wrap: anywhere; }
p b { color: var(--ink); }
.cards { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); }
.cards > div, figure, .table {
  background: var(--card); border: 1px solid var(--edge); border-radius: 8px;
}
.cards > div { padding: 12px 16px; display: flex; flex-direction: column; }
.cards span, .cards small { color: var(--quiet); }
.cards strong { font-size: 25px; font-weight: 600; line-height: 1.3; }
.figures { display: grid; gap: 14px; grid-template-columns: repeat(6, minmax(0, 1fr)); }
.slices { display: grid; gap: 14px; grid-template-columns: repeat(auto-fill, minmax(235px, 1fr)); }
figure { margin: 0; min-width: 0; padding: 12px 12px 4px; grid-column: span 2; }
figure.wide { grid-column: 1 / -1; }
figure.broad { grid-column: span 4; }
figure.half { grid-column: span 3; }
figure.small { grid-column: auto; }
figure.parallel .box { overflow-x: auto; }
figure.parallel .plot { min-width: 680px; }
.beside { grid-column: span 2; min-width: 0; }
.beside .table { margin: 0; }
figcaption { font-weight: 600; font-size: 14.5px; overflow-wrap: anywhere; }
figure.scroll .box { max-height: 900px; overflow-y: auto; }
.table { grid-column: 1 / -1; overflow-x: auto; margin-top: 12px; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { padding: 5px 7px; text-align: right; white-space: nowrap; }
th { color: var(--quiet); font-weight: 500; border-bottom: 1px solid var(--edge); }
tr:nth-child(odd) td { background: color-mix(in srgb, var(--edge) 28%, transparent); }
td { font-variant-numeric: tabular-nums; }
.best th:first-child, .best td:first-child { text-align: left; }
.best td:first-child { position: sticky; left: 0; background: var(--card); }
.best td:nth-child(2) { color: var(--quiet); }
.value td { font-weight: 600; }
.failures td:nth-child(n+3), .failures th:nth-child(n+3) { text-align: left; }
.failures td:last-child { white-space: pre-wrap; overflow-wrap: anywhere; width: 100%; }
/* plotly.js draws the axes of parallel coordinates for white paper, whatever the figure says. */
.plot .parcoords .axis text { text-shadow: 0 0 3px var(--card), 0 0 3px var(--card) !important; }
.plot .parcoords .axis :is(path, line) { stroke: var(--quiet) !important; }
.key { display: inline-block; width: 22px; height: 11px; margin: 0 5px 0 2px; border-radius: 2px; }
.key.ran { background: #4e8fd0; }
.key.reused { background: rgba(78, 143, 208, 0.28); }
.key.failed { background: #d93a3a; }
@media (max-width: 1100px) {
  figure, figure.broad, figure.half, .beside { grid-column: 1 / -1; }
}
"""
