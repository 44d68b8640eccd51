"""The fan chart of a forecast: what was, and the bands of what may come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.times import iso

if TYPE_CHECKING:
    from marketgpt_core.candles import Candles
    from marketgpt_core.forecast import Forecast

_BANDS = (0.98, 0.9, 0.8, 0.5)
_COLOUR = "38, 110, 178"
_HISTORY_BARS = 60


def fan_chart(
    forecast: Forecast, row: int, candles: Candles | None, history_bars: int = _HISTORY_BARS
) -> Any:  # noqa: ANN401 - plotly is an extra
    """Return a plotly figure of one pair: bands of 98, 90, 80 and 50%, the median, and the closes before.

    Args:
        forecast: The forecast.
        row: Which pair.
        candles: Where the closes before come from; None draws the bands alone.
        history_bars: How many of them.

    Raises:
        ConfigError: when plotly is not installed.
        DataError: for a row that is not there.
    """
    try:
        import plotly.graph_objects as go
    except ImportError as error:
        raise ConfigError("a fan chart needs plotly: pip install 'marketgpt-core[plot]'") from error
    if not -len(forecast) <= row < len(forecast):
        raise DataError(f"the forecast has {len(forecast)} pairs, there is no row {row}")
    symbol, close = forecast.symbols[row], float(forecast.close[row])
    bars = np.concatenate([[0], forecast.horizons])
    figure = go.Figure()
    for share in _BANDS:
        low, high = (_price(forecast, row, close, 0.5 + side * share / 2) for side in (-1, 1))
        figure.add_scatter(x=bars, y=high, mode="lines", line_width=0, showlegend=False, hoverinfo="skip")
        figure.add_scatter(
            x=bars,
            y=low,
            mode="lines",
            line_width=0,
            fill="tonexty",
            fillcolor=f"rgba({_COLOUR}, 0.16)",
            name=f"{share:.0%}",
        )
    figure.add_scatter(
        x=bars, y=_price(forecast, row, close, 0.5), mode="lines", line_color=f"rgb({_COLOUR})", name="median"
    )
    if candles is not None:
        series = candles[symbol]
        end = int(np.searchsorted(series.time, forecast.as_of[row], side="right"))
        before = series.close[max(0, end - history_bars) : end]
        figure.add_scatter(
            x=np.arange(1 - len(before), 1), y=before, mode="lines", line_color="#333333", name="close"
        )
    figure.update_layout(
        title=f"{symbol} from {iso(forecast.as_of[row])}",
        xaxis_title="bars from the last candle",
        yaxis_title="price",
        template="plotly_white",
        hovermode="x",
    )
    return figure


def _price(forecast: Forecast, row: int, close: float, level: float) -> np.ndarray:
    return np.asarray(close * np.exp(np.concatenate([[0.0], forecast.quantile(level)[row]])))
