"""The state of the market: how its symbols moved lately, all together and those of one's own category.

Each symbol stands for itself with its last candle that had ended by then: a moment, not a date, so that
Tokyo does not know New York's session of the same day (:class:`marketgpt_core.alignment.Aligned`). Symbols
silent for more than four days are left out; a group of fewer than five says nothing.

Legend: M moments, S symbols, T rows of a series, Q statistics.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.alignment import Aligned
from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.tokens import TokenSeries
from marketgpt_core.variance import series_variance

_STATISTICS = (
    "known",
    "mean_move",
    "dispersion",
    "log_variance_ratio",
    "median_log_variance_ratio",
    "recent_log_variance_ratio",
    "log_sigma_to_slow",
    "move",
    "log_volatility",
    "log_volatility_to_slow",
)
NAMES = tuple(f"{scope}_{name}" for scope in ("all", "category") for name in _STATISTICS)
KNOWN_AHEAD = False

LEAST_SYMBOLS = 5
_LONGEST_SILENCE = np.timedelta64(4, "D")
_LIMIT = 8.0
# A candle of 25 times its expected variance counts as one: a single split would else be the whole market.
_MOST_RATIO = 25.0
_SMALL_RATIO = 0.05
# Half-lives in days.
_FAST, _SLOW, _RECENT = 20.0, 250.0, 3.0
# Centres and spreads, fixed, so that nothing is learned from data here.
_TYPICAL_VOLATILITY, _VOLATILITY_SPREAD, _RATIO_SPREAD = 0.01, 0.5, 0.4


def of(candles: Candles, encoded: Mapping[str, TokenSeries]) -> dict[str, NDArray[np.float32]]:
    """Return the statistics of all symbols and of the category, known when each candle had ended."""
    members = Candles([candles[symbol] for symbol in encoded])
    aligned = Aligned(members)
    moments = np.unique(np.concatenate([aligned.known_at(symbol)[1:] for symbol in members.symbols]))
    panel = _Panel(aligned, encoded, moments)
    categories = np.array([str(encoded[symbol].category) for symbol in members.symbols])
    everyone = panel.statistics(np.ones(len(categories), dtype=bool))
    by_category = {name: panel.statistics(categories == name) for name in np.unique(categories)}
    result = {}
    for symbol, series in encoded.items():
        at = np.searchsorted(moments, aligned.known_at(symbol)[1:])
        result[symbol] = np.concatenate([everyone[at], by_category[str(series.category)][at]], axis=1)
    return result


class _Panel:
    """What every symbol's last candle said at each moment, (M, S); NaN where it had none lately."""

    def __init__(
        self, aligned: Aligned, encoded: Mapping[str, TokenSeries], moments: NDArray[np.datetime64]
    ) -> None:
        self.moments = moments
        # The first candle has no move: a value of NaN stands in its place.
        values = {symbol: _of_symbol(aligned.candles[symbol], one) for symbol, one in encoded.items()}
        stale = ~(aligned.age(moments) <= _LONGEST_SILENCE)
        self.move, self.scaled_move, self.ratio, self.to_slow = (
            np.where(stale, np.nan, aligned.last({s: v[field] for s, v in values.items()}, moments))
            for field in range(4)
        )

    def statistics(self, chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return (M, Q) over some symbols; zeros, ``known`` included, where there are too few."""
        move, scaled, ratio, to_slow = (
            one[:, chosen] for one in (self.move, self.scaled_move, self.ratio, self.to_slow)
        )
        known = np.isfinite(scaled).sum(axis=1) >= LEAST_SYMBOLS
        columns = np.zeros((len(known), len(_STATISTICS)))
        if known.any():
            columns[known] = _columns(
                move[known], scaled[known], ratio[known], to_slow[known], _elapsed_days(self.moments[known])
            )
        return np.clip(columns, -_LIMIT, _LIMIT).astype(np.float32)


def _of_symbol(series: CandleSeries, encoded: TokenSeries) -> NDArray[np.float64]:
    """Return move, move over sigma, variance over its expectation, log sigma to slow: (4, T + 1)."""
    move = np.diff(np.log(series.close))
    ratio = series_variance(series) / encoded.sigma**2
    rows = np.stack([move, move / encoded.sigma, ratio, np.log(encoded.next_sigma / encoded.slow_sigma)])
    return np.concatenate([np.full((4, 1), np.nan), rows], axis=1)


def _columns(
    move: NDArray[np.float64],
    scaled: NDArray[np.float64],
    ratio: NDArray[np.float64],
    to_slow: NDArray[np.float64],
    elapsed_days: NDArray[np.float64],
) -> NDArray[np.float64]:
    mean_move = np.nanmean(move, axis=1)
    log_ratio = np.log(np.nanmean(np.minimum(ratio, _MOST_RATIO), axis=1) + _SMALL_RATIO)
    fast, slow = (
        np.sqrt(_average(mean_move**2, elapsed_days, half_life)) + 1e-8 for half_life in (_FAST, _SLOW)
    )
    before = np.concatenate([fast[:1], fast[:-1]])
    return np.stack(
        [
            np.ones(len(move)),
            np.nanmean(scaled, axis=1),
            np.nanstd(scaled, axis=1) - 1.0,
            log_ratio,
            np.log(np.nanmedian(ratio, axis=1) + _SMALL_RATIO),
            _average(log_ratio, elapsed_days, _RECENT),
            np.nanmean(to_slow, axis=1) / _RATIO_SPREAD,
            mean_move / before,
            np.log(fast / _TYPICAL_VOLATILITY) / _VOLATILITY_SPREAD,
            np.log(fast / slow) / _RATIO_SPREAD,
        ],
        axis=1,
    )


def _elapsed_days(moments: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Return days since the moment before, at most 1: a weekend is one step, and so is a day of closes."""
    elapsed = np.diff(moments, prepend=moments[0] - np.timedelta64(1, "D")) / np.timedelta64(1, "D")
    return np.minimum(elapsed, 1.0)


def _average(
    values: NDArray[np.float64], elapsed_days: NDArray[np.float64], half_life: float
) -> NDArray[np.float64]:
    """Return the exponential average up to and including each value, weighed by the time it stands for."""
    decays = 0.5 ** (elapsed_days / half_life)
    result = np.empty(len(values))
    top = bottom = 0.0
    for i, (value, decay, weight) in enumerate(zip(values, decays, elapsed_days, strict=True)):
        top, bottom = top * decay + value * weight, bottom * decay + weight
        result[i] = top / bottom
    return result
