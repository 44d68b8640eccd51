"""The per-candle variance proxy the baselines share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import CandleSeries


def log_returns(series: CandleSeries) -> NDArray[np.float64]:
    """Return close-to-close natural-log returns, shape (T,); the first is 0."""
    returns: NDArray[np.float64] = np.diff(np.log(series.close), prepend=np.log(series.close[0]))
    return returns


def range_variance(series: CandleSeries) -> NDArray[np.float64]:
    """Return a variance estimate per candle, shape (T,), squared log return.

    Half the squared close-to-close return, half the squared overnight gap plus the range estimate of Rogers
    and Satchell, "Estimating variance from high, low and closing prices", 1991, equation 3: the range part
    is several times as efficient as the return alone and needs no zero drift.
    """
    o, h, low, c = (np.log(getattr(series, name)) for name in ("open", "high", "low", "close"))
    gap = np.diff(c, prepend=c[0])
    gap[1:] = o[1:] - c[:-1]
    gap[0] = 0.0
    session = (h - c) * (h - o) + (low - c) * (low - o)
    variance: NDArray[np.float64] = 0.5 * (session + gap**2) + 0.5 * log_returns(series) ** 2
    return variance
