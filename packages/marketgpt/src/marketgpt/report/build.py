"""Assembling ``report.html``."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt.report.candles_figure import candles_figure
from marketgpt.report.figures import calibration_figure, equity_figure, training_figure
from marketgpt.report.page import PAGE
from marketgpt_core.candles import CandleSeries
from marketgpt_core.forecast import Forecast
from marketgpt_core.horizons import horizon_name
from marketgpt_core.signal import Signal
from marketgpt_core.times import iso
from marketgpt_core.web.drawing import Cells, figure_div, fill, html_table


@dataclass(frozen=True, eq=False)
class ReportContent:
    """What a report shows.

    Attributes:
        title: Heading.
        intro: One paragraph of plain text.
        series: Candles of the symbol in the foreground.
        forecast: Its newest forecast, one row.
        signals: All signals given.
        newest: The newest signals of that symbol, one a horizon.
        marked_horizon_bars: Horizon whose signals are marked on the candles and traded in the backtest.
        results: The evaluation's results.
        metrics: The lines of ``metrics.jsonl``.
        training: ``training_summary.json``.
        dates, equity, benchmark: The backtest's curves, shape (T,).
        backtest_rows: (label, strategy, buy and hold) as text.
        costs: One sentence on costs and fills.
        monitor: One sentence: what the monitor found.
        facts: (label, value): seed, versions, fingerprints.
    """

    title: str
    intro: str
    series: CandleSeries
    forecast: Forecast
    signals: Sequence[Signal]
    newest: Sequence[Signal]
    marked_horizon_bars: int
    results: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    training: Mapping[str, Any]
    dates: NDArray[np.datetime64]
    equity: NDArray[np.float64]
    benchmark: NDArray[np.float64]
    backtest_rows: Sequence[Cells]
    costs: str
    monitor: str
    facts: Sequence[Cells]


def build_report(content: ReportContent) -> str:
    """Return one HTML page with everything it needs inside: no network, no other file."""
    category = content.series.category
    names = {int(h): horizon_name(int(h), category) for h in content.results["horizons"]}
    figures = {
        "CANDLES": candles_figure(
            content.series, content.forecast, content.signals, horizon_bars=content.marked_horizon_bars
        ),
        "CALIBRATION": calibration_figure(content.results, names),
        "EQUITY": equity_figure(content.dates, content.equity, content.benchmark),
        "TRAINING": training_figure(content.metrics, int(content.training["best_epoch"])),
    }
    values = {name: figure_div(figure, name.lower()) for name, figure in figures.items()}
    values |= {
        "TITLE": html.escape(content.title),
        "INTRO": html.escape(content.intro),
        "SYMBOL": html.escape(content.series.symbol),
        "AS_OF": iso(content.forecast.as_of[0]),
        "MARKED": html.escape(names.get(content.marked_horizon_bars, f"{content.marked_horizon_bars} bars")),
        "SIGNALS": _signals_table(content.newest, category),
        "RESULTS": _results_table(content.results, names),
        "VERDICT": html.escape(verdict(content.results, names)),
        "BACKTEST": html_table(("", "strategy", "buy and hold"), content.backtest_rows),
        "COSTS": html.escape(content.costs),
        "MONITOR": html.escape(content.monitor),
        "FACTS": html_table(("", ""), content.facts, kind="prose"),
    }
    return fill(PAGE, values)


def _signals_table(signals: Sequence[Signal], category: Any) -> str:  # noqa: ANN401 - a Category
    headings = ("horizon", "side", "P(up)", "5%", "25%", "median", "75%", "95%", "valid until", "why")
    rows = [
        (
            horizon_name(s.horizon_bars, category), s.side, f"{s.probability:.1%}",
            *(f"{price:,.2f}" for price in (s.bands.q05, s.bands.q25, s.bands.q50, s.bands.q75, s.bands.q95)),
            iso(s.expires_at), s.reason,
        )
        for s in sorted(signals, key=lambda s: s.horizon_bars)
    ]  # fmt: skip
    return html_table(headings, rows, kind="prose")


def _results_table(results: Mapping[str, Any], names: Mapping[int, str]) -> str:
    headings = (
        "horizon", "forecasts", "CRPS / random walk", "CRPS / EWMA-FHS", "CRPS / GARCH-t", "50% covers",
        "90% covers", "direction / always up", "Brier / random walk's",
    )  # fmt: skip
    rows = []
    for horizon, entry in results["horizons"].items():
        ours, walk = entry["models"]["model"], entry["models"]["random_walk"]
        ratios = [_ratio(entry["against"][name]) for name in ("random_walk", "ewma_fhs", "garch_t")]
        rows.append(
            (
                names[int(horizon)], f"{ours['count']:,}", *ratios,
                *(f"{ours['coverage'][share]:.1%}" for share in ("0.50", "0.90")),
                f"{ours['direction_accuracy']:.1%} / {ours['always_up_accuracy']:.1%}",
                f"{ours['brier']:.4f} / {walk['brier']:.4f}",
            )
        )  # fmt: skip
    return html_table(headings, rows)


def _ratio(entry: Mapping[str, float]) -> str:
    return f"{entry['crps_ratio']:.3f} [{entry['low']:.3f}, {entry['high']:.3f}]"


def verdict(results: Mapping[str, Any], names: Mapping[int, str]) -> str:
    """Return one sentence: at which horizons the model beats, loses to, or ties with GARCH(1,1)-t."""
    groups: dict[str, list[str]] = {"better than": [], "worse than": [], "not distinguishable from": []}
    for horizon, entry in results["horizons"].items():
        against = entry["against"]["garch_t"]
        better, worse = against["high"] < 1, against["low"] > 1
        group = "better than" if better else "worse than" if worse else "not distinguishable from"
        groups[group].append(names[int(horizon)])
    parts = [
        f"{group} GARCH(1,1)-t at {', '.join(horizons)}" for group, horizons in groups.items() if horizons
    ]
    return f"By CRPS, with 90% intervals, the model is {'; '.join(parts)}."
