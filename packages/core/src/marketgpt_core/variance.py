"""What one candle says about variance: the one estimate that scales, covariates and scores are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import CandleSeries


def candle_variance(
    gap: NDArray[np.float64], body: NDArray[np.float64], up: NDArray[np.float64], low: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the per-bar variance each candle speaks for; same shape, in the channels' unit squared.

    Half of Rogers-Satchell plus squared gap, half of the squared close-to-close return. Rogers and Satchell,
    "Estimating variance from high, low and closing prices", 1991, equation 3: with u, d, c the logs of high,
    low and close over open, u (u - c) + d (d - c). In body b, upper wick w and lower wick l this is
    w (w + |b|) + l (l + |b|): several times as efficient as the return alone, and free of drift.

    Args:
        gap: ln(open / close of the candle before).
        body: ln(close / open).
        up: ln(high / max(open, close)), >= 0.
        low: ln(min(open, close) / low), >= 0.
    """
    size = np.abs(body)
    rogers_satchell = up * (up + size) + low * (low + size)
    return np.asarray(0.5 * (rogers_satchell + gap * gap) + 0.5 * (gap + body) ** 2)


def series_variance(series: CandleSeries) -> NDArray[np.float64]:
    """Return :func:`candle_variance` of candles 1 .. T-1, shape (T - 1,), squared natural-log return."""
    open_, high, low, close = (
        np.log(price) for price in (series.open, series.high, series.low, series.close)
    )
    top, bottom = np.maximum(open_, close)[1:], np.minimum(open_, close)[1:]
    return candle_variance(
        open_[1:] - close[:-1],
        close[1:] - open_[1:],
        np.maximum(high[1:] - top, 0),
        np.maximum(bottom - low[1:], 0),
    )
