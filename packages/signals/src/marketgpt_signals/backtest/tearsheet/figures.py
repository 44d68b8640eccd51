"""The pictures of a tearsheet, in colours that can be read on light and on dark; the rest is the page's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from marketgpt_core.web.drawing import BENCHMARK, LAYOUT, LONG, SHORT
from marketgpt_signals.backtest.metrics import bar_returns
from marketgpt_signals.backtest.result import BacktestResult
from marketgpt_signals.backtest.tearsheet.numbers import (
    Floats,
    period_returns,
    rolling_sharpe,
    underwater,
)
from marketgpt_signals.backtest.tearsheet.sensitivity import AtCost

STRATEGY = "#4f7bea"
_SHADE = "rgba(207, 52, 73, 0.22)"
_MOST_POINTS = 3_000
_MOST_BINS = 60
_FAR = 2.5
_NET, _GROSS, _HOLD = "net", "gross", "buy and hold"


def _figure(y_title: str, *, height: int = 320, **axis: Any) -> go.Figure:  # noqa: ANN401 - plotly's options
    figure = go.Figure(layout=LAYOUT)
    figure.update_layout(
        height=height,
        margin={"l": 52, "r": 12, "t": 30, "b": 36},
        hoverlabel={"bgcolor": "#1f2933", "font_color": "#ffffff", "bordercolor": "#1f2933"},
    )
    figure.update_yaxes(title_text=y_title, **axis)
    return figure


def _shown(*curves: Floats) -> NDArray[np.int64]:
    """Return the rows to draw: all, or of each block of many its first and its extremes on every curve."""
    num_rows = len(curves[0])
    if num_rows <= _MOST_POINTS:
        return np.arange(num_rows)
    rows = {0, num_rows - 1}
    for block in np.array_split(np.arange(num_rows), _MOST_POINTS // (2 * len(curves) + 1)):
        rows.add(int(block[0]))
        for curve in curves:
            rows |= {int(block[curve[block].argmin()]), int(block[curve[block].argmax()])}
    return np.array(sorted(rows))


def _log(curve: Floats) -> Floats:
    return np.where(curve > 0, curve, np.nan)  # a ruined account has no place on a log scale


def equity_figure(result: BacktestResult) -> go.Figure:
    """Return the equity curves on a log scale, the way down from each peak shaded."""
    rows = _shown(result.equity, result.benchmark)
    time, equity = result.time[rows], _log(result.equity[rows])
    peak = np.maximum.accumulate(result.equity)[rows]
    # 1, 2, 5, 10 where the curves go far; else plotly chooses.
    steps = (
        {"dtick": "D2"} if np.nanmax(_log(result.equity[rows])) > _FAR * np.nanmin(equity) else {"nticks": 7}
    )
    figure = _figure("account, log scale", type="log", tickformat=".3~f", **steps)
    figure.add_scatter(x=time, y=peak, mode="lines", line_width=0, showlegend=False, hoverinfo="skip")
    figure.add_scatter(
        x=time, y=np.where(np.isnan(equity), peak, equity), mode="lines", line_width=0, fill="tonexty",
        fillcolor=_SHADE, name="drawdown", hoverinfo="skip",
    )  # fmt: skip
    curves = (
        (_HOLD, result.benchmark, BENCHMARK, 1.5),
        (_GROSS, result.gross_equity, "#a9bdf3", 1),
        (_NET, result.equity, STRATEGY, 2),
    )
    for name, curve, colour, width in curves:
        figure.add_scatter(
            x=time, y=_log(curve[rows]), mode="lines", name=name, line={"color": colour, "width": width}
        )
    return figure


def underwater_figure(result: BacktestResult) -> go.Figure:
    """Return how far below their peaks the strategy and holding were."""
    ours, theirs = underwater(result.equity), underwater(result.benchmark)
    rows = _shown(ours, theirs)
    figure = _figure("below the peak", height=240, tickformat=".0%")
    figure.add_scatter(
        x=result.time[rows], y=ours[rows], mode="lines", name=_NET, fill="tozeroy", fillcolor=_SHADE,
        line={"color": SHORT, "width": 1.5},
    )  # fmt: skip
    figure.add_scatter(
        x=result.time[rows], y=theirs[rows], mode="lines", name=_HOLD,
        line={"color": BENCHMARK, "width": 1.2},
    )  # fmt: skip
    return figure


def rolling_figure(result: BacktestResult, window: int) -> go.Figure:
    """Return the Sharpe ratio of the last ``window`` bars, of the strategy and of holding."""
    figure = _figure("Sharpe ratio", height=260)
    curves = [(_HOLD, result.benchmark, BENCHMARK), (_NET, result.equity, STRATEGY)]
    rolled = [rolling_sharpe(curve, result.time, window) for _, curve, _ in curves]
    rows = _shown(*(np.nan_to_num(one) for one in rolled))
    for (name, _, colour), one in zip(curves, rolled, strict=True):
        figure.add_scatter(
            x=result.time[rows], y=one[rows], mode="lines", name=name, line={"color": colour, "width": 1.6}
        )
    figure.add_hline(y=0, line={"color": BENCHMARK, "width": 1, "dash": "dot"})
    return figure


def costs_figure(rows: list[AtCost], hold_return: float) -> go.Figure:
    """Return the total return at each multiple of the costs, beside holding at the costs as they are."""
    known = [(row.factor, row.net.total_return) for row in rows if row.net is not None]
    figure = _figure("total return", height=260, tickformat=".0%")
    figure.update_layout(hovermode="closest")
    figure.add_scatter(
        x=[factor for factor, _ in known], y=[value for _, value in known], mode="lines+markers", name=_NET,
        line={"color": STRATEGY, "width": 2}, marker_size=8,
    )  # fmt: skip
    figure.add_scatter(
        x=[rows[0].factor, rows[-1].factor], y=[hold_return] * 2, mode="lines", name=f"{_HOLD}, costs x 1",
        line={"color": BENCHMARK, "dash": "dot"},
    )  # fmt: skip
    figure.update_xaxes(title_text="times the costs", tickvals=[row.factor for row in rows])
    return figure


def exposure_figure(result: BacktestResult) -> go.Figure:
    """Return what was held long and short, by bar, as a part of the account."""
    longs = np.maximum(result.positions, 0).sum(axis=1)
    shorts = np.minimum(result.positions, 0).sum(axis=1)
    rows = _shown(longs, shorts)
    figure = _figure("part of the account", height=240, tickformat=".0%")
    for name, held, colour, fill in (
        ("long", longs, LONG, "rgba(18, 133, 92, 0.3)"),
        ("short", shorts, SHORT, "rgba(192, 57, 43, 0.3)"),
    ):
        figure.add_scatter(
            x=result.time[rows], y=held[rows], mode="lines", name=name, fill="tozeroy", fillcolor=fill,
            line={"color": colour, "width": 1},
        )  # fmt: skip
    return figure


def turnover_figure(result: BacktestResult) -> go.Figure:
    """Return what was traded in each month, as multiples of the account."""
    months = result.time.astype("datetime64[M]")
    names, place = np.unique(months, return_inverse=True)
    traded = np.bincount(place, weights=result.turnover)
    figure = _figure("times the account", height=220)
    figure.add_bar(x=names.astype("datetime64[D]"), y=traded, marker_color=STRATEGY, name="traded")
    figure.update_layout(showlegend=False, bargap=0.25)
    figure.update_xaxes(tickformat="%b %Y")
    return figure


def returns_figure(result: BacktestResult) -> go.Figure:
    """Return histograms of the returns by bar of the strategy and of holding, in the same bins."""
    ours, theirs = (bar_returns(curve) for curve in (result.equity, result.benchmark))
    low, high = (float(function([*ours, *theirs])) for function in (min, max))
    if high - low < 1e-9:  # noqa: PLR2004 - nothing moved
        low, high = low - 0.001, high + 0.001
    bins = min(_MOST_BINS, max(10, round(math.sqrt(len(ours)))))
    edges = np.linspace(low, high, bins + 1)
    figure = _figure("bars", height=280, type="log", dtick=1, tickformat="~s")
    for name, one, colour in ((_HOLD, theirs, BENCHMARK), (_NET, ours, STRATEGY)):
        counts, _ = np.histogram(one, edges)
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2, y=np.where(counts, counts, np.nan), name=name,
            marker_color=colour, opacity=0.65, width=edges[1] - edges[0],
        )  # fmt: skip
    figure.update_layout(barmode="overlay", hovermode="closest")
    figure.update_xaxes(tickformat=".1%", title_text="return of a bar")
    return figure


def months_of(result: BacktestResult) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Return the strategy's returns by month, by year, and those of holding by year."""
    return (
        period_returns(result.equity, result.time, "M"),
        period_returns(result.equity, result.time, "Y"),
        period_returns(result.benchmark, result.time, "Y"),
    )
