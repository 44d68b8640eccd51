"""Intervals and tests for scores whose forecasts overlap in time and share dates."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

Floats = NDArray[np.float64]

INTERVAL_LEVEL = 0.9
_NUM_RESAMPLES = 1_000


class DateBlocks:
    """A circular block bootstrap of whole dates (Politis and Romano 1992).

    All pairs of a date are drawn together, in runs of ``block_dates`` dates, so that neither the dependence
    between symbols nor that between overlapping horizons makes an interval too narrow.

    Args:
        dates: As-of dates of N pairs, shape (N,).
        block_dates: Consecutive dates drawn together; at least the horizon in forecast dates.
        num_resamples: Bootstrap draws.
        seed: Seed of numpy's generator.
    """

    def __init__(
        self,
        dates: NDArray[np.datetime64],
        *,
        block_dates: int,
        num_resamples: int = _NUM_RESAMPLES,
        seed: int = 0,
    ) -> None:
        self.days, self.index = np.unique(dates, return_inverse=True)
        self.block_dates = min(max(block_dates, 1), len(self.days))
        self._num_resamples = num_resamples
        self._seed = seed

    @cached_property
    def draws(self) -> Floats:
        """How often each resample holds each date, shape (R, D)."""
        n, block = len(self.days), self.block_dates
        starts = np.random.default_rng(self._seed).integers(0, n, (self._num_resamples, -(-n // block)))
        drawn = ((starts[..., None] + np.arange(block)) % n).reshape(self._num_resamples, -1)[:, :n]
        flat = (drawn + np.arange(self._num_resamples)[:, None] * n).ravel()
        counts = np.bincount(flat, minlength=self._num_resamples * n)
        return counts.reshape(-1, n).astype(np.float64)

    def sums(self, values: Floats) -> Floats:
        """Return the sum of each date, shape (D,)."""
        return np.asarray(np.bincount(self.index, weights=values, minlength=len(self.days)), dtype=np.float64)

    def ratio(self, top: Floats, bottom: Floats, level: float = INTERVAL_LEVEL) -> tuple[float, float, float]:
        """Return (ratio, low, high) of sum(top) / sum(bottom), both of shape (N,), resampled in pairs."""
        above, below = self.sums(top), self.sums(bottom)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = (self.draws @ above) / (self.draws @ below)
        ratios = ratios[np.isfinite(ratios)]
        low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2]) if len(ratios) else (np.nan,) * 2
        return float(above.sum() / below.sum()), float(low), float(high)

    def mean(self, values: Floats, level: float = INTERVAL_LEVEL) -> tuple[float, float, float]:
        """Return (mean, low, high) over the pairs."""
        return self.ratio(values, np.ones(len(values)), level)

    def clustered_variance(self, values: Floats) -> float:
        """Return the variance of the mean of N values when blocks of consecutive dates are independent."""
        centred = values - values.mean()
        block = self.index // self.block_dates
        sums = np.bincount(block, weights=centred)
        if len(sums) < 2:  # noqa: PLR2004 - one block says nothing of how blocks differ
            return float("nan")
        return float((sums**2).sum() / len(values) ** 2 * len(sums) / (len(sums) - 1))


def ratio_interval(
    model: Floats,
    baseline: Floats,
    dates: NDArray[np.datetime64],
    *,
    block_dates: int,
    level: float = INTERVAL_LEVEL,
    num_resamples: int = _NUM_RESAMPLES,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Return (ratio, low, high) of mean(model) / mean(baseline); see :class:`DateBlocks`.

    Args:
        model: Scores, shape (N,).
        baseline: Scores of the same pairs, shape (N,).
        dates: As-of dates, shape (N,).
        block_dates: Consecutive dates drawn together; at least the horizon in forecast dates.
        level: Coverage of the interval.
        num_resamples: Bootstrap draws.
        seed: Seed of numpy's generator.
    """
    blocks = DateBlocks(dates, block_dates=block_dates, num_resamples=num_resamples, seed=seed)
    return blocks.ratio(model, baseline, level)


def verdict(low: float, high: float, *, even: float = 1.0) -> str:
    """Return "better" when an interval of losses lies below ``even``, "worse" above it, else "undecided"."""
    return "better" if high < even else "worse" if low > even else "undecided"


def newey_west_t(values: Floats, lags: int) -> tuple[float, float]:
    """Return (mean, t statistic) of a time series with Bartlett weights (Newey and West 1987).

    Args:
        values: shape (T,), in time order.
        lags: Autocovariances that count. The t is NaN below three values or without any spread.
    """
    n = len(values)
    mean = float(values.mean()) if n else float("nan")
    if n < 3:  # noqa: PLR2004 - no variance worth the name
        return mean, float("nan")
    centred = values - mean
    variance = float(centred @ centred) / n
    for lag in range(1, min(lags, n - 1) + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag]) / n
    return mean, mean / (variance / n) ** 0.5 if variance > 0 else float("nan")


def newey_west_lags(num_dates: int, block_dates: int) -> int:
    """Return the lags that count: the overlap, at least Newey and West's 4 (n / 100)^(2/9)."""
    return max(block_dates, int(4 * (num_dates / 100) ** (2 / 9)))


def diebold_mariano(model: Floats, baseline: Floats, blocks: DateBlocks) -> dict[str, Any]:
    """Test equal accuracy on the means of each date: ``dm_t`` (negative: the model is better) and ``dm_p``.

    Diebold and Mariano 1995 with Newey and West's variance and the small-sample correction of Harvey,
    Leybourne and Newbold, "Testing the equality of prediction mean squared errors", 1997: a Student t of n -
    1. Symbols of a date are one observation, so their dependence does not count as evidence.
    """
    by_date = blocks.sums(model - baseline) / np.bincount(blocks.index)
    n, steps = len(by_date), blocks.block_dates
    _, statistic = newey_west_t(by_date, newey_west_lags(n, steps))
    factor = (n + 1 - 2 * steps + steps * (steps - 1) / n) / n
    statistic *= max(factor, 0.0) ** 0.5
    if not np.isfinite(statistic):
        return {"dm_t": None, "dm_p": None}
    return {"dm_t": statistic, "dm_p": float(2 * student_t.sf(abs(statistic), n - 1))}
