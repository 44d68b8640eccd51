"""The candle chart as an ECharts option: candles, signal marks, and the forecast fan into the future."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.calendars import calendar_of, trading_calendar
from marketgpt_core.candles import CandleSeries
from marketgpt_core.interval import Interval
from marketgpt_core.signal import Side, Signal
from marketgpt_core.times import iso, to_datetime64
from marketgpt_monitoring.panels.chart_style import (
    LINE,
    MUTED,
    SIDE_COLOUR,
    axis_style,
    candle_series,
    fan_series,
    legend,
    mark_series,
    tooltip,
)
from marketgpt_monitoring.panels.labels import horizon_label, price_digits

Option = dict[str, Any]
_ROOM_BARS = 3
_LEVELS = ("q05", "q25", "q50", "q75", "q95")


@dataclass(frozen=True, eq=False)
class Fan:
    """The newest forecast, bar by bar.

    Attributes:
        start: Row (in the chart) of the candle the forecast was made from.
        prices: shape (max horizon + 1, 5), float64: q05, q25, q50, q75, q95; the first row is the close.
        horizons: Bars ahead that were forecast, with their names; what lies between is interpolated.
        as_of: Label of the start.
    """

    start: int
    prices: NDArray[np.float64]
    horizons: tuple[tuple[int, str], ...]
    as_of: str


def newest_forecast(signals: Sequence[Signal]) -> list[Signal]:
    """Return one signal a horizon, all of the newest as-of, by horizon.

    Where several strategies or models spoke, the one made last counts.
    """
    newest = max((signal.as_of for signal in signals), default=None)
    by_horizon: dict[int, Signal] = {}
    for signal in sorted(signals, key=lambda one: one.created_at):
        if signal.as_of == newest:
            by_horizon[signal.horizon_bars] = signal
    return [by_horizon[horizon] for horizon in sorted(by_horizon)]


def interpolate_fan(forecast: Sequence[Signal]) -> NDArray[np.float64]:
    """Return price quantiles for every bar up to the longest horizon, shape (max horizon + 1, 5).

    Between horizons log prices run straight in the square root of time, as the spread of a random walk does.
    """
    close = forecast[0].close
    known = np.sqrt([0, *(signal.horizon_bars for signal in forecast)])
    values = np.log(
        [[close] * len(_LEVELS)] + [[getattr(s.bands, level) for level in _LEVELS] for s in forecast]
    )
    bars = np.sqrt(np.arange(forecast[-1].horizon_bars + 1))
    columns = [np.interp(bars, known, values[:, column]) for column in range(len(_LEVELS))]
    return np.asarray(np.exp(np.stack(columns, axis=1)))


def future_stamps(series: CandleSeries, num: int) -> NDArray[np.datetime64]:
    """Return the stamps the next candles will bear.

    Daily candles go on with the next sessions of the symbol's exchange, as far as they are published; or on
    every day, when the last ones include weekends on which that exchange is shut (crypto without a category).
    """
    last = series.time[-1]
    steps = np.arange(1, num + 1)
    if series.interval is Interval.DAY:
        calendar = calendar_of(series)
        seen = series.time[-14:].astype("datetime64[D]")
        if (~np.is_busday(seen) & ~calendar.is_session(seen)).any():
            calendar = trading_calendar("24/7")
        return calendar.next_sessions(last, num).astype("datetime64[ns]")
    return np.asarray(last + steps * np.timedelta64(series.interval.duration))


def candle_option(
    series: CandleSeries,
    *,
    marks: Sequence[Signal],
    newest: Sequence[Signal],
    zoom_from: int | None,
) -> Option:
    """Return the chart's option.

    Args:
        series: The candles shown, at least one.
        marks: Signals of one horizon to mark at their as-of.
        newest: The symbol's newest signals over all horizons, for the fan.
        zoom_from: First row in view; None to leave the view as the viewer set it.

    Returns:
        JSON values, and under keys that start with a colon constant JavaScript. No text of a signal is in it.
    """
    fan = _fan(series, newest_forecast(newest))
    # Room on the right keeps the fan's last label off the axis.
    length = len(series) if fan is None else max(len(series), fan.start + len(fan.prices) + _ROOM_BARS)
    stamps = np.concatenate([series.time, future_stamps(series, length - len(series))])
    labels = [_label(stamp, series.interval) for stamp in stamps]
    digits = price_digits(float(series.close[-1]))
    rows = np.stack([series.open, series.close, series.low, series.high], axis=1)
    zoom: list[Option] = [
        {"type": "inside", "xAxisIndex": 0},
        {"type": "slider", "xAxisIndex": 0, "height": 20, "bottom": 8, "borderColor": LINE,
         "textStyle": {"color": MUTED}, "brushSelect": False, "showDetail": False},
    ]  # fmt: skip
    if zoom_from is not None:
        zoom = [one | {"startValue": max(zoom_from, 0), "endValue": length - 1} for one in zoom]
    return {
        "animation": False,
        "grid": {"left": 12, "right": 64, "top": 40, "bottom": 64},
        "legend": legend(),
        "tooltip": tooltip(digits),
        "xAxis": axis_style() | {"type": "category", "data": labels, "boundaryGap": True},
        "yAxis": axis_style() | {"type": "value", "scale": True, "position": "right",
                                 "axisLabel": {"color": MUTED, ":formatter": f"v => v.toFixed({digits})"}},
        "dataZoom": zoom,
        "series": [
            candle_series(np.round(rows, 8).tolist(), None if fan is None else (fan.start, fan.as_of)),
            *fan_series(_fan_columns(fan, length), _fan_dots(fan)),
            *(mark_series(side, _mark_points(series, marks, side)) for side in SIDE_COLOUR),
        ],
    }  # fmt: skip


def _fan(series: CandleSeries, forecast: Sequence[Signal]) -> Fan | None:
    if not forecast:
        return None
    as_of = to_datetime64(forecast[0].as_of)
    start = int(np.searchsorted(series.time, as_of, side="right")) - 1
    if start < 0:
        return None
    return Fan(
        start=start,
        prices=interpolate_fan(forecast),
        horizons=tuple(
            (s.horizon_bars, horizon_label(s.horizon_bars, s.interval, series.category)) for s in forecast
        ),
        as_of=iso(forecast[0].as_of),
    )


def _fan_columns(fan: Fan | None, length: int) -> dict[str, list[float | None]]:
    """Return one value a row of the chart for each quantile; None outside the fan."""
    columns: dict[str, list[float | None]] = {}
    for index, level in enumerate(_LEVELS):
        columns[level] = [None] * length
        if fan is not None:
            values = np.round(fan.prices[:, index], 8).tolist()
            columns[level][fan.start : fan.start + len(values)] = values
    return columns


def _fan_dots(fan: Fan | None) -> list[Option]:
    if fan is None:
        return []
    return [
        {"value": [fan.start + bars, round(float(fan.prices[bars, 2]), 8)], "name": name}
        for bars, name in fan.horizons
    ]


def _mark_points(series: CandleSeries, marks: Sequence[Signal], side: Side) -> list[Option]:
    """Return the marks of one side: LONG and FLAT below the candle, SHORT above it."""
    pad = 0.03 * float(series.high.max() - series.low.min())
    points: list[Option] = []
    for signal in marks:
        row = int(np.searchsorted(series.time, to_datetime64(signal.as_of), side="right")) - 1
        if signal.side is not side or row < 0:
            continue
        at = series.high[row] + pad if side is Side.SHORT else series.low[row] - pad
        points.append({"value": [row, round(float(at), 8)], "name": f"{side.value} {signal.probability:.0%}"})
    return points


def _label(stamp: np.datetime64, interval: Interval) -> str:
    return str(stamp.astype("datetime64[m]")).replace("T", " ") if interval.is_intraday else str(stamp)[:10]
