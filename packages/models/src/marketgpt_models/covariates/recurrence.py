"""What the same days of earlier quarters were like: companies report about every 91 days, and move.

For the candle to come (its day by rule), the days 91, 182, 273 and 364 days before it are looked up among the
candles known, and the variance of the candles around them, in units of what was expected then, is averaged
over the quarters. As these days lie at least two months back, the same is known of candles 42 bars ahead.

Legend: T rows of a series, M lookups, N rows to forecast from, L steps ahead, O offsets in bars.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.tokens import TokenSeries
from marketgpt_core.variance import series_variance
from marketgpt_models.calendar import bar_of, next_time

_QUARTERS = 4
_PERIOD_DAYS = 91
_BEFORE, _AFTER, _FAR = 7, 7, 17
NAMES = (
    "known",
    *(f"at_{offset:+d}" for offset in range(-_BEFORE, _AFTER + 1)),
    "largest_near",
    "mean_to_week",
    "mean_beyond",
)
KNOWN_AHEAD = True

# A quiet candle's log stops falling here; after the shift and the scale a typical mean is of order one.
_SMALL_RATIO, _TYPICAL_RATIO, _SPREAD = 0.05, 0.65, 0.4
_NEAR = slice(_BEFORE - 1, _BEFORE + 2)
_WEEK = slice(_BEFORE, _BEFORE + 5)


def of(candles: Candles, encoded: Mapping[str, TokenSeries]) -> dict[str, NDArray[np.float32]]:
    """Return the columns of every symbol: for the candle after row t, from candles up to row t."""
    result = {}
    for symbol, series in encoded.items():
        following = next_time(series.time, series.category, bar_of(series.time))
        result[symbol] = _Lookup(candles[symbol], series).at(np.arange(len(series)), following)
    return result


def ahead(
    candles: Candles, series: TokenSeries, rows: NDArray[np.int64], stamps: NDArray[np.datetime64]
) -> NDArray[np.float32]:
    """Return the columns for the candles stamped ``stamps`` (N, L), from candles up to ``rows`` (N,)."""
    last = np.broadcast_to(rows[:, None], stamps.shape)
    found = _Lookup(candles[series.symbol], series).at(last.ravel(), stamps.ravel())
    return found.reshape(*stamps.shape, len(NAMES))


class _Lookup:
    """One symbol's variance by day."""

    def __init__(self, candles: CandleSeries, series: TokenSeries) -> None:
        self.days = series.time.astype("datetime64[D]").astype(np.int64)
        ratio = series_variance(candles) / series.sigma**2
        self.log_ratio = (np.log((ratio + _SMALL_RATIO) / _TYPICAL_RATIO) / _SPREAD).astype(np.float32)

    def at(self, last: NDArray[np.int64], stamps: NDArray[np.datetime64]) -> NDArray[np.float32]:
        """Return (M, columns) for the days of ``stamps`` (M,), using rows up to ``last`` (M,) only."""
        offsets = np.arange(-_BEFORE, _FAR + 1)
        total = np.zeros((len(last), len(offsets)), dtype=np.float32)
        largest = np.zeros(len(last), dtype=np.float32)
        quarters = np.zeros(len(last), dtype=np.float32)
        target = stamps.astype("datetime64[D]").astype(np.int64)
        for quarter in range(1, _QUARTERS + 1):
            day = target - quarter * _PERIOD_DAYS
            row = np.searchsorted(self.days, day)
            # Too early for this series, or so far ahead that the day is not there yet.
            known = (day >= self.days[0]) & (row + _FAR <= last)
            around = self.log_ratio[np.clip(row[:, None] + offsets, 0, last[:, None])] * known[:, None]
            total += around
            largest += around[:, _NEAR].max(axis=1)
            quarters += known
        count = np.maximum(quarters, 1.0)
        mean = total / count[:, None]
        return np.concatenate(
            [
                (quarters / _QUARTERS)[:, None],
                mean[:, : _BEFORE + _AFTER + 1],
                (largest / count)[:, None],
                mean[:, _WEEK].mean(axis=1, keepdims=True),
                mean[:, _BEFORE + _AFTER + 1 :].mean(axis=1, keepdims=True),
            ],
            axis=1,
        )
