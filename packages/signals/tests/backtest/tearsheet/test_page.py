"""The whole page: its numbers, that it asks nobody, whatever the names, and tests that are hardly any."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.testing import make_candles
from marketgpt_signals.backtest import BacktestConfig, deflated_sharpe
from marketgpt_signals.backtest.tearsheet import figures, tearsheet, write_tearsheet
from marketgpt_signals.backtest.tearsheet.quantstats_page import write_quantstats
from marketgpt_signals.costs import CostModel


class Page(HTMLParser):
    """Tables by their heading row, words, and every attribute that could load or run something."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.words, self.loads, self.tags = [], "", [], set()
        self._inside, self._hidden = False, False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self._hidden = tag in {"script", "style"}
        loading = {"src", "href", "srcset", "data", "action", "background", "poster"}
        self.loads += [
            (tag, name, value) for name, value in attrs if name in loading or name.startswith("on")
        ]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")
            self._inside = True

    def handle_endtag(self, tag):
        self._hidden = False
        if tag in {"td", "th"}:
            self._inside = False

    def handle_data(self, data):
        if self._hidden:
            return
        self.words += data
        if self._inside:
            self.tables[-1][-1][-1] += data

    def table(self, *headings):
        return next(rows[1:] for rows in self.tables if tuple(rows[0][: len(headings)]) == headings)


@pytest.fixture(scope="module")
def text(tested):
    return tearsheet(tested)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_months_and_years_are_those_of_the_equity_curve(page, tested):
    series = pd.Series(tested.result.equity, index=pd.DatetimeIndex(tested.result.time))
    hold = pd.Series(tested.result.benchmark, index=series.index)
    rows = page.table("year", "Jan")
    assert [row[0] for row in rows] == ["2017", "2018", "2019", "2020"]
    months = series.resample("ME").last()
    months = months / months.shift(1, fill_value=1.0) - 1
    shown = {f"{row[0]}-{month:02d}": row[month] for row in rows for month in range(1, 13) if row[month]}
    assert shown == {str(when)[:7]: f"{value:.1%}" for when, value in months.items()}
    for column, curve in ((13, series), (14, hold)):
        years = curve.resample("YE").last()
        years = years / years.shift(1, fill_value=1.0) - 1
        assert [row[column] for row in rows] == [f"{value:.1%}" for value in years]


def test_the_headline_is_the_result(page, tested):
    net, hold = tested.result.net, tested.result.hold
    rows = {row[0]: row[1:] for row in page.table("", "net")}
    assert rows["total return"][0].startswith(f"{net.total_return:.1%}")
    assert rows["max drawdown"][2].startswith(f"{hold.max_drawdown:.1%}")
    low, high = net.sharpe_interval
    assert rows["Sharpe"][0] == f"{net.sharpe:.2f} [{low:.2f}, {high:.2f}]"
    assert f"less than buying and holding the same symbols ({hold.total_return:.1%})" in page.words
    assert net.total_return < hold.total_return


def test_those_without_knowledge_stand_beside_it(page, tested):
    told, net = tested.result.comparators, tested.result.net
    rows = {row[0]: row for row in page.table("", "net")}
    assert rows["total return"][4].startswith(f"{told.always_long.total_return:.1%}")
    (ours,) = page.table("net against")
    assert ours[1].startswith(f"{net.alpha:.1%} [")
    drawn = {row[0]: row for row in page.table("sides at other times")}
    row = drawn[f"each symbol for itself, {len(told.random.total_return)} draws"]
    assert row[1] == f"{np.median(told.random.total_return):.1%}"
    assert row[3] == f"{told.random.share_below(net.total_return):.1%}"
    assert row[4] == f"{told.random.share_below_sharpe(net.sharpe):.1%}"


def test_chance_is_charged_with_what_else_was_tried(tested):
    alone = Page(tearsheet(tested)).words
    probability = tested.result.net.probabilistic_sharpe
    assert f"exceeds 0: {probability:.1%}, had nothing else been tried: this is the only" in alone
    deflated = deflated_sharpe(tested.result.moments, [0.1, -0.1, tested.result.moments.sharpe])
    words = Page(tearsheet(replace(tested, result=replace(tested.result, deflated=deflated)))).words
    assert f"the best of 3 trials on this ledger would show by luck: {deflated.probability:.1%}" in words
    assert deflated.probability < probability


def test_what_is_missing_is_told(tested):
    told = replace(tested.result, notes=("BBB: <gone>",), num_outside=7)
    words = Page(tearsheet(replace(tested, result=told))).words
    assert "BBB: <gone>" in words
    assert "7 signals are outside the candles and were left out." in words


def test_the_table_of_costs_holds_the_backtest_itself(page, tested):
    rows = {row[0]: row for row in page.table("costs", "total return")}
    assert rows["x 1"][1] == f"{tested.result.net.total_return:.1%}"
    assert rows["x 0"][1] == f"{tested.result.gross.total_return:.1%}"
    assert [row[0] for row in page.table("window")] == ["2018 fourth quarter", "2020 Covid crash"]


def test_what_was_tested_is_on_the_page(page, tested):
    facts = {row[0]: row[1] for table in page.tables for row in table if len(row) == 2}
    assert facts["signals"] == f"{len(tested.signals):,} of l.db"
    assert facts["candles' fingerprint"] == tested.candles.fingerprint()
    assert facts["model"] == "model-1"
    assert facts["strategy"] == "threshold"
    assert facts["symbols"] == "AAA, BBB"
    assert facts["candles from"] == "made up"
    assert facts["cost.fee_bps"] == "5.0"
    assert facts["abstentions"] == f"{tested.result.trades.num_flat:,}"


def test_the_pictures_are_of_the_same_curves(tested):
    result = tested.result
    traces = {trace.name: trace for trace in figures.equity_figure(result).data}
    assert np.allclose(traces["net"].y, result.equity)
    assert np.allclose(traces["buy and hold"].y, result.benchmark)
    assert min(figures.underwater_figure(result).data[0].y) == pytest.approx(-result.net.max_drawdown)
    assert sum(figures.turnover_figure(result).data[0].y) == pytest.approx(result.turnover.sum())
    longs, shorts = figures.exposure_figure(result).data
    assert np.mean(longs.y - shorts.y) == pytest.approx(result.exposure)
    counts = figures.returns_figure(result).data[1].y
    assert np.nansum(counts) == len(result.time) - 1


def test_a_long_curve_is_thinned_and_keeps_its_extremes(tested):
    rng = np.random.default_rng(0)
    equity = np.exp(np.cumsum(rng.normal(0, 0.001, 20_000)))
    equity[12_345] *= 0.3
    time = np.datetime64("2020-01-01", "ns") + np.arange(20_000) * np.timedelta64(5, "m")
    long = replace(tested.result, time=time, equity=equity, benchmark=equity, gross_equity=equity)
    shown = figures.equity_figure(long).data[2].y
    assert len(shown) <= 3_000
    assert shown.min() == equity.min()
    assert shown.max() == equity.max()
    assert (shown[0], shown[-1]) == (equity[0], equity[-1])


def test_nothing_on_the_page_asks_the_network(page, text):
    assert page.loads == []
    assert not page.tags & {"link", "iframe", "img", "object", "embed", "base", "form"}
    assert "default-src 'none'" in text
    styles = " ".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))
    assert styles
    assert "url(" not in styles
    assert "@import" not in styles
    # Outside plotly's own script, which holds addresses of maps it never asks for here.
    scripts = sorted(re.findall(r"<script.*?</script>", text, re.DOTALL), key=len)
    assert not any("http" in script for script in scripts[:-1])


def test_hostile_names_are_words(make_tested):
    name = "</script><script>alert(1)</script><b>&@@PLOTLY@@"
    made = make_tested(
        make_candles(["^A&B=C"], num_candles=60), np.ones((40, 1), int), strategy=name, model_id=name
    )
    text = tearsheet(replace(made, ledger=name, source=name))
    page = Page(text)
    assert name in page.words
    assert "<script>alert" not in text
    assert "</script><b>" not in text


@pytest.mark.parametrize("num_bars", [1, 2, 3, 25])
def test_a_test_of_few_bars_still_has_a_page(make_tested, num_bars):
    candles = make_candles(["AAA"], num_candles=40)
    short = Candles([candles["AAA"][:num_bars]])
    made = make_tested(short, np.ones((1, 1), int))
    assert len(made.result.time) == min(num_bars, 7)
    words = Page(tearsheet(made)).words
    assert "too short for a rolling window" in words
    assert ("bars are too few for a picture" in words) == (len(made.result.time) <= 2)
    assert ("No LONG or SHORT signal was closed" in words) == (num_bars < 8)


def test_a_ruined_account_is_said(make_tested):
    (series,) = make_candles(["AAA"], num_candles=60).values()
    soaring = np.where(np.arange(60) < 20, 1.0, 5.0)
    prices = {name: getattr(series, name) * soaring for name in ("open", "high", "low", "close")}
    made = make_tested(Candles([replace(series, **prices)]), -np.ones((50, 1), int))
    assert made.result.equity[-1] == 0
    text = tearsheet(made)
    page = Page(text)
    assert "The account was ruined at 2015-01-" in page.words
    assert {row[0]: row[1:] for row in page.table("", "net")}["total return"][0].startswith("-100.0%")
    assert "NaN" not in page.words
    assert "nan" not in page.words


def test_no_signal_closed(make_tested):
    made = make_tested(make_candles(["AAA"], num_candles=60), np.zeros((50, 1), int))
    words = Page(tearsheet(made)).words
    assert "No LONG or SHORT signal was closed" in words
    assert "Whether its Sharpe ratio differs from zero cannot be told" in words


def test_an_hourly_backtest(make_tested, hourly):
    config = BacktestConfig(horizon_bars=3, num_resamples=20, num_random=10, cost=CostModel(fee_bps=1))
    made = make_tested(hourly, np.random.default_rng(3).integers(-1, 2, (1_490, 1)), config)
    page = Page(tearsheet(made))
    assert f"Of the last {(len(made.result.time) - 1) // 3} bars" in page.words
    assert [row[0] for row in page.table("year", "Jan")] == ["2023"]
    assert "3 x 1h bars ahead" in page.words


def test_it_is_written_whole_or_not_at_all(tested, tmp_path):
    path = write_tearsheet(tmp_path / "new" / "t.html", tested)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [one.name for one in path.parent.iterdir()] == ["t.html"]


def test_quantstats_agrees_and_asks_nobody(tested, tmp_path):
    path = write_quantstats(tmp_path / "q.html", tested.result, "<b>&")
    text = path.read_text(encoding="utf-8")
    rows = dict(re.findall(r"<td>([^<]+)</td><td>[^<]*</td><td>([^<]+)", text))
    assert rows["Cumulative Return"] == f"{tested.result.net.total_return:.2%}"
    assert rows["Max Drawdown"] == f"{-tested.result.net.max_drawdown:.2%}"
    assert float(rows["Sharpe"]) == pytest.approx(tested.result.net.sharpe, abs=0.02)
    assert "<b>&" not in text
    loads = [value for tag, _, value in Page(text).loads if tag in {"img", "link", "script", "iframe"}]
    assert not [value for value in loads if "//" in value and not value.startswith("data:")]
