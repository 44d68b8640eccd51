"""The page of the report, without its values."""

from __future__ import annotations

from marketgpt_core.web.drawing import PAGE_HEAD

# ruff: noqa: E501 - prose in HTML is wrapped by the browser
PAGE = (
    PAGE_HEAD
    + """
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
)
