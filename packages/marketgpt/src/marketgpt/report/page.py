"""The page of the report, without its values."""

from __future__ import annotations

# ruff: noqa: E501 - prose in HTML is wrapped by the browser
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>@@TITLE@@</title>
<style>
:root { color-scheme: light; }
body { margin: 0; background: #f5f6f8; color: #1f2933;
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; margin: 0 0 6px; }
h2 { font-size: 18px; margin: 0 0 4px; }
p { margin: 4px 0 12px; max-width: 80ch; }
section { background: #fff; border: 1px solid #e6e9ef; border-radius: 10px;
  padding: 20px 22px; margin-top: 18px; }
.muted { color: #66707f; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; width: 100%; }
th { text-align: right; font-weight: 600; color: #66707f; border-bottom: 1px solid #cfd5df; padding: 6px 8px;
  white-space: nowrap; }
td { text-align: right; border-bottom: 1px solid #eef0f4; padding: 6px 8px; white-space: nowrap; }
th:first-child, td:first-child, .prose th:last-child, .prose td:last-child { text-align: left; }
.prose td:last-child { white-space: normal; overflow-wrap: anywhere; }
</style>
<script>@@PLOTLY@@</script>
</head>
<body><main>
<h1>@@TITLE@@</h1>
<p class="muted">@@INTRO@@</p>

<section><h2>@@SYMBOL@@: candles, forecast of @@AS_OF@@, signals</h2>
<p class="muted">The fan is the model's own distribution of the close up to two months ahead. A mark stands
where the signal for @@MARKED@@ turns LONG, SHORT or FLAT (the model abstains); it holds until the next mark.</p>
@@CANDLES@@
@@SIGNALS@@</section>

<section><h2>Against the baselines, on years the model never saw</h2>
<p>@@VERDICT@@</p>
<p class="muted">Ratios of CRPS with 90% block-bootstrap intervals: below 1 the model is better. Direction stands
beside "always up", Brier beside that of the random walk's base rate.</p>
@@RESULTS@@</section>

<section><h2>Calibration</h2>
<p class="muted">On the dotted line, what the model calls 60% happens 60% of the time.</p>
@@CALIBRATION@@</section>

<section><h2>Backtest of the @@MARKED@@ signals against buy and hold</h2>
<p class="muted">@@COSTS@@</p>
@@EQUITY@@
@@BACKTEST@@</section>

<section><h2>Training</h2>@@TRAINING@@</section>

<section><h2>Monitor</h2><p>@@MONITOR@@</p></section>

<section><h2>How to get these numbers again</h2>@@FACTS@@</section>

<p class="muted">Research software. Past signals say nothing certain about future ones; nothing here is
investment advice.</p>
</main></body></html>
"""
