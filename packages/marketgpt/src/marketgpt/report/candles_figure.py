"""Candles with the forecast fan and the signals that were given."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from marketgpt.report.style import GRID, LAYOUT, LONG, MODEL, MODEL_BAND, MUTED, SHORT
from marketgpt_core.calendars import TradingCalendar, calendar_of
from marketgpt_core.candles import CandleSeries
from marketgpt_core.forecast import Forecast
from marketgpt_core.signal import Side, Signal
from marketgpt_core.symbols import Category
from marketgpt_core.times import to_datetime64

_SHOWN_CANDLES = 180
_DAY = np.timedelta64(1, "D")
_LONGEST_CLOSURE = 45 * _DAY
_MARKS = {
    Side.LONG: ("triangle-up", LONG, 0.98),
    Side.SHORT: ("triangle-down", SHORT, 1.02),
    Side.FLAT: ("circle-open", MUTED, 0.98),
}
_BANDS = ((0.05, 0.95, 0.14), (0.25, 0.75, 0.24))


def candles_figure(
    series: CandleSeries, forecast: Forecast, signals: Sequence[Signal], *, horizon_bars: int
) -> go.Figure:
    """Draw the last candles, the fan of the newest forecast, and marks where one horizon's side changes.

    Args:
        series: The symbol's candles.
        forecast: One row: the newest forecast of that symbol.
        signals: Signals of any symbol and horizon; those that fit are drawn.
        horizon_bars: Horizon whose signals are marked.
    """
    shown = series[-_SHOWN_CANDLES:]
    figure = go.Figure(layout=LAYOUT)
    figure.add_candlestick(
        x=shown.time, open=shown.open, high=shown.high, low=shown.low, close=shown.close,
        name=shown.symbol, increasing_line_color=LONG, decreasing_line_color=SHORT, line_width=1,
    )  # fmt: skip
    _add_fan(figure, forecast, calendar_of(series))
    _add_marks(
        figure, shown, [s for s in signals if s.symbol == shown.symbol and s.horizon_bars == horizon_bars]
    )
    figure.update_xaxes(rangeslider_visible=False, gridcolor=GRID)
    if series.category is not Category.CRYPTO:
        figure.update_xaxes(rangebreaks=[{"bounds": ["sat", "mon"]}])
    figure.update_yaxes(title="price", gridcolor=GRID)
    figure.update_layout(height=520)
    return figure


def future_dates(
    as_of: np.datetime64, bars: NDArray[np.int64], calendar: TradingCalendar
) -> NDArray[np.datetime64]:
    """Return the dates of bars ahead: sessions of the calendar, counted from the last one up to ``as_of``."""
    day = as_of.astype("datetime64[D]")
    past = calendar.sessions(day - _LONGEST_CLOSURE, day + _DAY)[-1:]
    return np.concatenate([past, calendar.next_sessions(day, int(bars.max(initial=0)))])[bars]


def _add_fan(figure: go.Figure, forecast: Forecast, calendar: TradingCalendar) -> None:
    bars = np.concatenate([[0], forecast.horizons])
    dates = future_dates(forecast.as_of[0], bars, calendar)
    close = forecast.close[0]

    def prices(level: float) -> NDArray[np.float64]:
        return np.asarray(close * np.exp(np.concatenate([[0.0], forecast.quantile(level)[0]])))

    for low, high, alpha in _BANDS:
        figure.add_scatter(
            x=dates, y=prices(high), mode="lines", line_width=0, showlegend=False, hoverinfo="skip"
        )
        figure.add_scatter(
            x=dates, y=prices(low), mode="lines", line_width=0, fill="tonexty",
            fillcolor=MODEL_BAND.format(alpha=alpha), hoverinfo="skip",
            name=f"forecast {round((high - low) * 100)}%",
        )  # fmt: skip
    figure.add_scatter(
        x=dates,
        y=prices(0.5),
        mode="lines+markers",
        line={"color": MODEL, "width": 2},
        name="forecast median",
    )


def _add_marks(figure: go.Figure, shown: CandleSeries, signals: Sequence[Signal]) -> None:
    """Mark where the side changes: a mark a day would hide the candles it speaks of."""
    ordered = sorted(signals, key=lambda signal: signal.as_of)
    turns = ordered[:1] + [now for before, now in pairwise(ordered) if now.side is not before.side]
    for side, (symbol, colour, offset) in _MARKS.items():
        chosen = [signal for signal in turns if signal.side is side]
        dates = np.array([to_datetime64(signal.as_of) for signal in chosen], dtype="datetime64[ns]")
        inside = np.isin(dates, shown.time)
        rows = np.searchsorted(shown.time, dates[inside])
        edge = shown.high if side is Side.SHORT else shown.low
        texts = [f"{side} from here, P(up) {signal.probability:.2f}" for signal in chosen]
        figure.add_scatter(
            x=dates[inside], y=edge[rows] * offset, mode="markers", name=f"turns {side}",
            marker={"symbol": symbol, "size": 10, "color": colour, "line": {"color": colour, "width": 1.5}},
            text=[text for text, keep in zip(texts, inside, strict=True) if keep], hoverinfo="text+x",
        )  # fmt: skip
