"""The symbol's variance over several spans, from a day to a quarter, beside the one span sigma is made of.

Corsi, "A simple approximate long-memory model of realized volatility", 2009: averages over a day, a week and
a month together carry the long memory that one exponential average lacks.

Legend: T rows of a series.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marketgpt_core.candles import Candles
from marketgpt_core.tokens import TokenSeries
from marketgpt_core.variance import series_variance

_HALF_LIVES = (1, 3, 8, 60)
NAMES = (
    *(f"log_variance_{bars}_to_sigma" for bars in _HALF_LIVES),
    "log_bars_since_large_move",
    "recent_large_move",
)
KNOWN_AHEAD = False

_SMALL_RATIO = 0.02
# A fixed spread, so that inputs are of order one.
_SPREAD = 0.35
# A candle of more than so many times its expected variance is large: about one in a hundred.
_LARGE_RATIO = 6.0
_FORGOTTEN_BARS = 100


def of(candles: Candles, encoded: Mapping[str, TokenSeries]) -> dict[str, NDArray[np.float32]]:
    """Return the columns of every symbol."""
    return {symbol: _columns(series_variance(candles[symbol]), one) for symbol, one in encoded.items()}


def _columns(variance: NDArray[np.float64], series: TokenSeries) -> NDArray[np.float32]:
    frame = pd.Series(variance)
    spans = [
        np.log(frame.ewm(halflife=bars).mean().to_numpy() / series.next_sigma**2 + _SMALL_RATIO) / _SPREAD
        for bars in _HALF_LIVES
    ]
    at = np.arange(len(variance))
    large = np.maximum.accumulate(np.where(variance > _LARGE_RATIO * series.sigma**2, at, -_FORGOTTEN_BARS))
    since = np.minimum(at - large, _FORGOTTEN_BARS)
    return np.stack([*spans, np.log1p(since) - 3.0, 1.0 - since / (_FORGOTTEN_BARS / 2)], axis=1).astype(
        np.float32
    )
