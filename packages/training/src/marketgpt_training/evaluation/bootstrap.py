"""Intervals for a ratio of mean scores when forecasts overlap in time and share dates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ratio_interval(
    model: NDArray[np.float64],
    baseline: NDArray[np.float64],
    dates: NDArray[np.datetime64],
    *,
    block_dates: int,
    level: float = 0.9,
    num_resamples: int = 1_000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Return (ratio, low, high) of mean(model) / mean(baseline) by a paired circular block bootstrap.

    Whole dates are drawn, all symbols of a date together, in runs of ``block_dates`` dates (Politis and
    Romano 1992), so that neither the dependence between symbols nor that between overlapping horizons makes
    the interval too narrow.

    Args:
        model: Scores, shape (N,).
        baseline: Scores of the same pairs, shape (N,).
        dates: As-of dates, shape (N,).
        block_dates: Consecutive dates drawn together; at least the horizon in forecast dates.
        level: Coverage of the interval.
        num_resamples: Bootstrap draws.
        seed: Seed of numpy's generator.
    """
    days, index = np.unique(dates, return_inverse=True)
    top = np.bincount(index, weights=model)
    bottom = np.bincount(index, weights=baseline)
    n = len(days)
    block = min(max(block_dates, 1), n)
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, n, (num_resamples, -(-n // block)))
    drawn = ((starts[..., None] + np.arange(block)) % n).reshape(num_resamples, -1)[:, :n]
    ratios = top[drawn].sum(axis=1) / bottom[drawn].sum(axis=1)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return float(top.sum() / bottom.sum()), float(low), float(high)
