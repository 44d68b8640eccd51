"""Candles with their band sets, as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.calendars import calendar_of
from marketgpt_core.candles import CandleSeries
from marketgpt_core.errors import ConfigError
from marketgpt_core.files import write_text
from marketgpt_core.symbols import Category
from marketgpt_signals.bands.sets import FORECAST, BandSet

_SHOWN = 180
_COLOURS = {"1w": "#1b9e77", "2w": "#d95f02", "1m": "#7570b3", "2m": "#e7298a"}
_SAID = (
    "classical bands: known at the close of the bar they are drawn at; "
    "forecast bands: made that many bars before the bar they are drawn at"
)


def bands_figure(series: CandleSeries, sets: list[BandSet]) -> Any:  # noqa: ANN401 - plotly is an extra
    """Return a plotly figure: the last candles, lines of the classical sets, error bars of the forecast ones.

    Raises:
        ConfigError: when plotly is not installed.
    """
    try:
        import plotly.graph_objects as go
    except ImportError as error:
        raise ConfigError("a picture of bands needs plotly: pip install 'marketgpt-signals[plot]'") from error
    first = max(0, len(series) - _SHOWN)
    shown = series[first:]
    figure = go.Figure()
    figure.add_candlestick(
        x=shown.time, open=shown.open, high=shown.high, low=shown.low, close=shown.close,
        name=shown.symbol, line_width=1,
    )  # fmt: skip
    for one in sets:
        style = {"color": _COLOURS[one.name], "width": 1}
        label = f"{one.kind} {one.name}"
        if one.kind == FORECAST:
            _add_forecast(figure, series, one, first, label)
            continue
        for line in ("upper", "middle", "lower"):
            figure.add_scatter(
                x=shown.time, y=getattr(one.bands, line)[first:], mode="lines", name=label, legendgroup=label,
                showlegend=line == "upper", line={**style, "dash": "dot" if line == "middle" else "solid"},
                visible=True if one.name == "1m" else "legendonly",
            )  # fmt: skip
    figure.update_xaxes(rangeslider_visible=False)
    if series.category is not Category.CRYPTO:
        figure.update_xaxes(rangebreaks=[{"bounds": ["sat", "mon"]}])
    figure.update_layout(
        title=f"{shown.symbol}: Bollinger Bands<br><sub>{_SAID}</sub>",
        yaxis_title="price",
        template="plotly_white",
        height=640,
    )
    return figure


def _add_forecast(figure: Any, series: CandleSeries, one: BandSet, first: int, label: str) -> None:  # noqa: ANN401
    made = np.flatnonzero(~np.isnan(one.bands.middle))
    made = made[made + one.bars >= first]
    shared = {
        "x": _dates(series, made + one.bars), "mode": "lines", "legendgroup": label,
        "visible": True if one.name == "1m" else "legendonly",
    }  # fmt: skip
    fill = {"line_width": 0, "hoverinfo": "skip", "showlegend": False}
    figure.add_scatter(y=one.bands.upper[made], **shared, **fill)
    figure.add_scatter(
        y=one.bands.lower[made], **shared, **fill, fill="tonexty", fillcolor=f"{_COLOURS[one.name]}26"
    )
    line = {"color": _COLOURS[one.name], "width": 2, "dash": "dash"}
    figure.add_scatter(y=one.bands.middle[made], name=label, line=line, **shared)


def _dates(series: CandleSeries, rows: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """Return the dates of bars, also of those to come: sessions of the symbol's exchange."""
    beyond = max(int(rows.max(initial=0)) - len(series) + 1, 0)
    time = series.time.astype("datetime64[D]")
    if beyond:
        time = np.concatenate([time, calendar_of(series).next_sessions(time[-1], beyond)])
    return np.asarray(time[rows])


def write_page(path: Path, found: Sequence[tuple[CandleSeries, list[BandSet]]]) -> Path:
    """Write one HTML page with a picture a symbol; it needs no network.

    Raises:
        ConfigError: when plotly is not installed.
    """
    parts = [
        bands_figure(series, sets).to_html(full_html=False, include_plotlyjs=number == 0)
        for number, (series, sets) in enumerate(found)
    ]
    head = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Bollinger Bands</title></head>'
    return write_text(path, f"{head}<body>{''.join(parts)}</body></html>\n")
