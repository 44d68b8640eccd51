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
_ALL = "all"
# Moments looked at together: what they see of all symbols stays in the processor's cache.
_CHUNK = 512
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
    aligned = Aligned(Candles([candles[symbol] for symbol in encoded]))
    moments = np.unique(np.concatenate([aligned.known_at(symbol)[1:] for symbol in aligned.symbols]))
    categories = np.array([str(encoded[symbol].category) for symbol in aligned.symbols])
    scopes = {name: categories == name for name in np.unique(categories)}
    scopes[_ALL] = np.ones(len(categories), dtype=bool)
    panel = _Panel(aligned, encoded)
    said: dict[str, list[NDArray[np.float64]]] = {name: [] for name in scopes}
    for start in range(0, len(moments), _CHUNK):
        seen = panel.seen(moments[start : start + _CHUNK])
        for name, chosen in scopes.items():
            said[name].append(_of_scope(seen[..., chosen]))
    statistics = {name: _with_averages(np.concatenate(rows), moments) for name, rows in said.items()}
    result = {}
    for symbol, series in encoded.items():
        at = np.searchsorted(moments, aligned.known_at(symbol)[1:])
        result[symbol] = np.concatenate([statistics[_ALL][at], statistics[str(series.category)][at]], axis=1)
    return result


class _Panel:
    """What every symbol's last candle said, at any moment."""

    def __init__(self, aligned: Aligned, encoded: Mapping[str, TokenSeries]) -> None:
        self._aligned = aligned
        # All symbols end to end, so that a chunk of moments is one look-up.
        self._values = np.concatenate(
            [_of_symbol(aligned.candles[symbol], encoded[symbol]) for symbol in aligned.symbols], axis=1
        )
        self._known = np.concatenate([aligned.known_at(symbol) for symbol in aligned.symbols])
        lengths = [len(series) for series in aligned.candles.values()]
        self._first = np.concatenate([[0], np.cumsum(lengths)[:-1]])

    def seen(self, moments: NDArray[np.datetime64]) -> NDArray[np.float64]:
        """Return move, scaled move, ratio, log sigma to slow: (4, M, S); NaN where there was none lately."""
        rows = self._aligned.rows(moments)
        at = self._first + np.maximum(rows, 0)
        fresh = (rows >= 0) & (moments[:, None] - self._known[at] <= _LONGEST_SILENCE)
        return np.where(fresh, self._values[:, at], np.nan)


def _of_symbol(series: CandleSeries, encoded: TokenSeries) -> NDArray[np.float64]:
    """Return move, move over sigma, variance over its expectation, log sigma to slow: (4, T + 1)."""
    move = np.diff(np.log(series.close))
    ratio = series_variance(series) / encoded.sigma**2
    rows = np.stack([move, move / encoded.sigma, ratio, np.log(encoded.next_sigma / encoded.slow_sigma)])
    return np.concatenate([np.full((4, 1), np.nan), rows], axis=1)


def _of_scope(seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a scope's symbols (4, M, S) say at each moment: (M, 6), NaN where there are too few."""
    result = np.full((seen.shape[1], 6), np.nan)
    known = np.isfinite(seen[1]).sum(axis=1) >= LEAST_SYMBOLS
    if known.any():
        move, scaled, ratio, to_slow = seen[:, known]
        result[known] = np.stack(
            [
                np.nanmean(move, axis=1),
                np.nanmean(scaled, axis=1),
                np.nanstd(scaled, axis=1),
                np.nanmean(np.minimum(ratio, _MOST_RATIO), axis=1),
                _nanmedian(ratio),
                np.nanmean(to_slow, axis=1),
            ],
            axis=1,
        )
    return result


def _with_averages(said: NDArray[np.float64], moments: NDArray[np.datetime64]) -> NDArray[np.float32]:
    """Return (M, Q); zeros, ``known`` included, where a scope said nothing."""
    known = np.isfinite(said[:, 0])
    columns = np.zeros((len(said), len(_STATISTICS)))
    if known.any():
        columns[known] = _columns(said[known], _elapsed_days(moments[known]))
    return np.clip(columns, -_LIMIT, _LIMIT).astype(np.float32)


def _columns(said: NDArray[np.float64], elapsed_days: NDArray[np.float64]) -> NDArray[np.float64]:
    mean_move, mean_scaled, spread_scaled, mean_ratio, median_ratio, mean_to_slow = said.T
    log_ratio = np.log(mean_ratio + _SMALL_RATIO)
    fast, slow = (
        np.sqrt(_average(mean_move**2, elapsed_days, half_life)) + 1e-8 for half_life in (_FAST, _SLOW)
    )
    before = np.concatenate([fast[:1], fast[:-1]])
    return np.stack(
        [
            np.ones(len(said)),
            mean_scaled,
            spread_scaled - 1.0,
            log_ratio,
            np.log(median_ratio + _SMALL_RATIO),
            _average(log_ratio, elapsed_days, _RECENT),
            mean_to_slow / _RATIO_SPREAD,
            mean_move / before,
            np.log(fast / _TYPICAL_VOLATILITY) / _VOLATILITY_SPREAD,
            np.log(fast / slow) / _RATIO_SPREAD,
        ],
        axis=1,
    )


def _nanmedian(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each row, (M,); numpy's own goes row by row through Python from 600 columns on."""
    ordered = np.sort(values, axis=1)  # NaN last
    count = np.isfinite(ordered).sum(axis=1)
    row = np.arange(len(values))
    return np.asarray(0.5 * (ordered[row, (count - 1) // 2] + ordered[row, count // 2]))


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
