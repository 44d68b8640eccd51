"""How unusual the volume of a candle was, where the source supplies one (0 means it does not).

Legend: T rows of a series.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marketgpt_core.candles import Candles
from marketgpt_core.tokens import TokenSeries

NAMES = ("known", "log_ratio")
KNOWN_AHEAD = False

_HALF_LIFE_BARS = 20.0
_SPREAD = 0.5
_LIMIT = 5.0


def of(candles: Candles, encoded: Mapping[str, TokenSeries]) -> dict[str, NDArray[np.float32]]:
    """Return whether there is a volume, and its log over the average log of the candles before."""
    return {symbol: _columns(candles[symbol].volume) for symbol in encoded}


def _columns(volume: NDArray[np.float64]) -> NDArray[np.float32]:
    log_volume = pd.Series(np.log(np.where(volume > 0, volume, np.nan)))
    usual = log_volume.ewm(halflife=_HALF_LIFE_BARS).mean().shift(1)
    surprise = ((log_volume - usual) / _SPREAD).clip(-_LIMIT, _LIMIT).to_numpy()[1:]
    known = np.isfinite(surprise)
    return np.stack([known, np.where(known, surprise, 0.0)], axis=1).astype(np.float32)
