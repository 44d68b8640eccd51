"""How a tearsheet is laid out, light or dark as the reader's machine asks."""

from __future__ import annotations

from marketgpt_core.web.drawing import PAGE_HEAD

# Plotly writes colours into each element; only !important reaches past them.
STYLE = """
:root { color-scheme: light dark; --ink: #1f2933; --muted: #5b6573; --line: #e6e9ef; --panel: #fff;
  --page: #f5f6f8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e5e9f0; --muted: #98a2b3; --line: #2b3342; --panel: #161b24; --page: #0e1218; }
}
body { background: var(--page); color: var(--ink); }
section { background: var(--panel); border-color: var(--line); min-width: 0; overflow: hidden; }
.muted, th { color: var(--muted); } th, td { border-color: var(--line); }
.verdict { font-size: 16px; max-width: 90ch; }
.two { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 18px; }
.interval { display: block; font-size: 11px; line-height: 1.3; color: var(--muted); }
.heat td { text-align: right; padding: 5px 7px; } .heat th { padding: 5px 7px; }
.prose td:first-child { width: 1%; color: var(--muted); vertical-align: top; }
.prose thead, .plain thead { display: none; }
li { margin: 4px 0; max-width: 95ch; }
.js-plotly-plot text { fill: var(--ink) !important; }
.js-plotly-plot .hovertext text, .js-plotly-plot .hoverlayer text { fill: #fff !important; }
.js-plotly-plot .gridlayer path, .js-plotly-plot .zerolinelayer path { stroke: var(--line) !important; }
.js-plotly-plot .legend .bg { fill: transparent !important; }
@media (max-width: 760px) {
  main { padding: 18px 10px 40px; } section { padding: 14px 12px; border-radius: 8px; }
  .two { grid-template-columns: minmax(0, 1fr); }
  table.numbers td:first-child { white-space: normal; min-width: 72px; }
  .prose td:first-child { white-space: normal; min-width: 84px; }
}
@media print { section { break-inside: avoid; } }
"""

# ruff: noqa: E501 - prose in HTML is wrapped by the browser
PAGE = (
    PAGE_HEAD
    + """<section><p class="verdict">@@VERDICT@@</p>
@@HEADLINE@@
<p class="muted">In brackets 90% intervals, by the stationary bootstrap. Sharpe and Sortino against cash at 0. Holding: each symbol bought once, at the same costs; always long: every signal LONG in full, abstentions too.</p>
<p>@@CHANCE@@</p>
<div class="two"><div>@@AGAINST@@</div><div>@@LUCK@@</div></div></section>

<section><h2>Account</h2>@@EQUITY@@
<h2>Under water</h2>@@UNDERWATER@@</section>

<section><h2>Returns by month</h2>
<p class="muted">Net of costs; the columns at the end compound the months of the year, beside holding.</p>
@@HEATMAP@@</section>

<div class="two">
<section><h2>Rolling Sharpe ratio</h2><p class="muted">@@WINDOW@@</p>@@ROLLING@@</section>
<section><h2>Signals and trading</h2><div class="plain">@@TRADES@@</div></section>
</div>

<section><h2>If costs were other ones</h2><p class="muted">@@COSTS_SAID@@</p>
<div class="two"><div>@@COSTS@@</div><div>@@COSTS_TABLE@@</div></div></section>

<section><h2>Bad times</h2>
<p class="muted">From the S&amp;P 500's closing high to its closing low (S&amp;P Dow Jones Indices, price index). Chosen looking back.</p>
@@CRISES@@</section>

<div class="two">
<section><h2>Exposure</h2>@@EXPOSURE@@</section>
<section><h2>Turnover by month</h2>@@TURNOVER@@</section>
</div>

<section><h2>Returns of a bar</h2>
<div class="two"><div>@@RETURNS@@</div><div>@@SPREAD@@</div></div></section>

<section><h2>What not to believe</h2>@@CAVEATS@@</section>

<section><h2>What was tested</h2>@@TESTED@@</section>
</main></body></html>
"""
)
