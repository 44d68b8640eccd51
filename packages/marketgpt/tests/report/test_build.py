"""One page with everything inside, whatever its words are."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import numpy as np
import pytest

from marketgpt.report.build import ReportContent, build_report, verdict
from marketgpt_core.plugins import registry
from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_core.times import to_datetime

HOSTILE = "</td></script><script>alert(1)</script><img src=//evil.example/x onerror=alert(1)>\"'&"


def ratio(low, middle, high):
    return {"crps_ratio": middle, "low": low, "high": high}


def entry(against):
    scores = {
        "count": 1234,
        "crps": 0.01,
        "coverage": {"0.50": 0.51, "0.80": 0.79, "0.90": 0.905},
        "reliability": [{"forecast": 0.5, "observed": 0.52, "count": 1234}],
        "pit_histogram": [60] * 20,
        "direction_accuracy": 0.53,
        "always_up_accuracy": 0.54,
        "brier": 0.2487,
    }
    names = ("random_walk", "ewma_fhs", "garch_t")
    return {
        "models": dict.fromkeys(("model", *names), scores),
        "against": dict.fromkeys(names, against),
    }


@pytest.fixture(scope="module")
def content():
    series = make_candles(("M&M.NS", "BBB"), num_candles=260, start="2015-01-01")["M&M.NS"]
    last = str(series.time[-1])[:10]
    forecast = make_forecast(("M&M.NS",), as_of=(last,), horizons=(1, 5, 10), drift=0.002)
    strategy = registry("signal-strategy").create("threshold", {"horizons": (5, 10)})
    signals = strategy.signals(forecast, created_at=to_datetime(series.time[-1]) + timedelta(hours=22))
    dates = series.time[-50:]
    growth = np.exp(np.linspace(0.0, 0.2, 50))
    metrics = [{"kind": "step", "step": n, "nll": 9.0 - n} for n in (1, 2)]
    metrics += [{"kind": "epoch", "step": 2, "epoch": 1, "nll": 7.0}]
    results = {"horizons": {"5": entry(ratio(0.90, 0.95, 0.99)), "10": entry(ratio(0.97, 1.0, 1.03))}}
    return ReportContent(
        title="A report",
        intro="Of a test.",
        series=series,
        forecast=forecast,
        signals=signals,
        newest=signals,
        marked_horizon_bars=10,
        results=results,
        metrics=metrics,
        training={"best_epoch": 1},
        dates=dates,
        equity=growth,
        benchmark=growth**0.5,
        backtest_rows=[("Sharpe ratio", "0.81", "0.79")],
        costs="No costs.",
        monitor="All is well.",
        facts=[("command", "marketgpt demo --seed 1")],
    )


class Page(HTMLParser):
    """Tags, attributes and visible words of a page, as a browser reads them."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.words = ""
        self._inside = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in {"script", "style"}:
            self._inside.append(tag)

    def handle_endtag(self, tag):
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data):
        if not self._inside:
            self.words += data


@pytest.fixture(scope="module")
def page(content):
    return Page(build_report(content))


def test_the_page_is_self_contained(page):
    outward = ("src", "href", "data", "action", "srcset", "poster", "background")
    assert [(tag, attrs) for tag, attrs in page.tags if any(name in attrs for name in outward)] == []
    assert {tag for tag, _ in page.tags} & {
        "link",
        "base",
        "iframe",
        "object",
        "embed",
        "img",
        "form",
    } == set()


def test_the_styles_and_figures_fetch_nothing(content):
    text = build_report(content)
    style = re.findall(r"<style>(.*?)</style>", text, flags=re.DOTALL)
    assert len(style) == 1
    assert "@import" not in style[0]
    assert "url(" not in style[0]
    # plotly.js itself first; the figures are what follows.
    figures = text.split("<body>", 1)[1]
    assert set(re.findall(r"https?://[\w./-]+", figures)) <= {"https://plot.ly"}


def test_four_figures_and_every_placeholder_is_filled(page, content):
    assert [attrs["id"] for tag, attrs in page.tags if attrs.get("class") == "plotly-graph-div"] == [
        "candles", "calibration", "equity", "training",
    ]  # fmt: skip
    assert "@@" not in build_report(content).split("<body>", 1)[1]
    assert "@@" not in page.words


def test_the_words_are_there(page):
    for words in (
        "A report", "Of a test.", "M&M.NS: candles, forecast of", "Sharpe ratio", "0.81", "No costs.",
        "All is well.", "marketgpt demo --seed 1", "0.950 [0.900, 0.990]", "53.0% / 54.0%", "2w", "LONG",
    ):  # fmt: skip
        assert words in page.words, words


def test_the_signals_stand_by_horizon_whatever_order_they_come_in(content):
    newest = list(content.newest)[::-1]
    words = Page(build_report(replace(content, newest=newest))).words
    table = words[words.index("valid until") : words.index("Against the baselines")]
    assert table.index("1w") < table.index("2w")


def test_hostile_words_stay_words(content):
    signals = [replace(signal, reason=HOSTILE) for signal in content.newest]
    hostile = replace(
        content,
        title=HOSTILE,
        intro=HOSTILE,
        newest=signals,
        signals=signals,
        costs=HOSTILE,
        monitor=HOSTILE,
        backtest_rows=[(HOSTILE, HOSTILE, HOSTILE)],
        facts=[(HOSTILE, HOSTILE)],
    )
    plain, page = Page(build_report(content)), Page(build_report(hostile))
    rows = len(signals) - len(content.newest)
    assert rows == 0
    assert page.tags == plain.tags
    # Title, intro, costs, monitor; three cells, two facts, a reason a signal. <title> and <h1> are two.
    assert page.words.count(HOSTILE) == 5 + 3 + 2 + len(signals)


def test_words_that_read_like_a_placeholder_stay_as_they_are(content):
    text = build_report(replace(content, intro="@@FACTS@@ and @@PLOTLY@@", title="@@INTRO@@"))
    words = Page(text).words
    assert "@@FACTS@@ and @@PLOTLY@@" in words
    assert words.count("@@INTRO@@") == 2


NAMES = {1: "1d", 5: "1w", 10: "2w", 21: "1m"}


def horizons(**against):
    return {"horizons": {key[1:]: {"against": {"garch_t": value}} for key, value in against.items()}}


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.90, 0.99, "better than"),
        (1.01, 1.20, "worse than"),
        (0.95, 1.05, "not distinguishable from"),
        # The border belongs to neither.
        (0.90, 1.0, "not distinguishable from"),
        (1.0, 1.1, "not distinguishable from"),
    ],
)
def test_the_verdict_follows_the_interval_not_the_ratio(low, high, said):
    results = horizons(h5=ratio(low, 0.5, high))
    assert verdict(results, NAMES) == (
        f"By CRPS, with 90% intervals, the model is {said} GARCH(1,1)-t at 1w."
    )


def test_the_verdict_groups_horizons():
    results = horizons(
        h1=ratio(0.9, 0.95, 0.99), h5=ratio(1.1, 1.2, 1.3), h10=ratio(0.9, 1, 1.1), h21=ratio(0.8, 0.9, 0.95)
    )
    assert verdict(results, NAMES) == (
        "By CRPS, with 90% intervals, the model is better than GARCH(1,1)-t at 1d, 1m; "
        "worse than GARCH(1,1)-t at 1w; not distinguishable from GARCH(1,1)-t at 2w."
    )
