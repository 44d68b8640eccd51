"""The per-candle variance proxy the baselines share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import CandleSeries
from marketgpt_core.variance import series_variance


def log_returns(series: CandleSeries) -> NDArray[np.float64]:
    """Return close-to-close natural-log returns, shape (T,); the first is 0."""
    returns: NDArray[np.float64] = np.diff(np.log(series.close), prepend=np.log(series.close[0]))
    return returns


def range_variance(series: CandleSeries) -> NDArray[np.float64]:
    """Return the variance each candle speaks for, shape (T,), squared log return.

    See :func:`marketgpt_core.variance.candle_variance`; the first candle has no gap and takes the second's.
    """
    variance = series_variance(series)
    return np.concatenate([variance[:1], variance])
