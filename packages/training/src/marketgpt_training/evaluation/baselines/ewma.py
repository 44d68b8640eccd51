"""Exponentially weighted variance (RiskMetrics): with a normal law, and with the past's own shocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.signal import lfilter
from scipy.special import ndtri

from marketgpt_core.candles import CandleSeries
from marketgpt_training.evaluation.baselines.base import (
    LEVELS,
    ClosedLaw,
    Floats,
    Law,
    Rows,
    latin_hypercube,
    simulate,
)
from marketgpt_training.evaluation.variance import log_returns, range_variance

_LAMBDA = 0.94
_FLOOR = 1e-10
_FHS_POOL = 1_000
_FHS_BURN_IN = 50


def ewma_variance(per_bar: Floats) -> Floats:
    """Return the variance expected of the bar after each bar, shape (T,), from it and the bars before.

    J.P. Morgan and Reuters, "RiskMetrics technical document", 1996, section 5.2: decay 0.94 for daily data.

    Args:
        per_bar: Variance estimate of each bar, shape (T,); the first, which has no predecessor, is not used.
    """
    first = per_bar[1]
    smoothed = lfilter([1 - _LAMBDA], [1, -_LAMBDA], per_bar[1:], zi=[_LAMBDA * first])[0]
    return np.asarray(np.maximum(np.concatenate([[first], smoothed]), _FLOOR))


def ewma_normal(
    series: CandleSeries, rows: Rows, horizons: Sequence[int], num_paths: int, rng: np.random.Generator
) -> Law:
    """RiskMetrics: normal, mean zero, EWMA variance of squared returns, growing with the horizon."""
    del num_paths, rng
    scale = np.sqrt(ewma_variance(log_returns(series) ** 2)[rows])[:, None] * np.sqrt(np.asarray(horizons))
    quantiles = scale[..., None] * ndtri(LEVELS)
    closed = ClosedLaw(np.zeros_like(scale), scale, np.full_like(scale, np.inf))
    return Law(quantiles, np.full_like(scale, 0.5), closed)


def ewma_fhs(
    series: CandleSeries, rows: Rows, horizons: Sequence[int], num_paths: int, rng: np.random.Generator
) -> Law:
    """Filtered historical simulation on an exponentially weighted range variance.

    Each simulated bar draws one past bar's standardised return together with its standardised variance
    (Barone-Adesi, Giannopoulos and Vosper 1999), from the last 1,000 bars. In a single bar every past bar is
    drawn about equally often, so that one bar ahead the law is that of the pool itself.
    """
    returns, variance = log_returns(series), range_variance(series)
    following = ewma_variance(variance)
    current = np.concatenate([following[:1], following[:-1]])
    shocks, ratios = returns / np.sqrt(current), _LAMBDA + (1 - _LAMBDA) * variance / current
    pool = np.minimum(rows - _FHS_BURN_IN, _FHS_POOL)[:, None]

    def step(levels: Floats, state: Floats) -> tuple[Floats, Floats]:
        drawn = rows[:, None] - (levels * pool).astype(np.int64)
        return shocks[drawn] * np.sqrt(state), np.maximum(ratios[drawn] * state, _FLOOR)

    uniforms = latin_hypercube(max(horizons), num_paths, rng)
    return Law(*simulate(step, following[rows][:, None], horizons, uniforms))
