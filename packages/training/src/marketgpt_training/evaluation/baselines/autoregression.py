"""AR(1): the simplest claim that yesterday's return says something of tomorrow's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from marketgpt_core.candles import CandleSeries
from marketgpt_training.evaluation.baselines.base import (
    FIT_WINDOW_BARS,
    LEVELS,
    Floats,
    Law,
    Rows,
    ordered_quantiles,
    refit_groups,
)
from marketgpt_training.evaluation.variance import log_returns


def ar1(
    series: CandleSeries, rows: Rows, horizons: Sequence[int], num_paths: int, rng: np.random.Generator
) -> Law:
    """AR(1) by least squares with the empirical law of its own h-bar errors, refitted every 60 bars.

    Fitted on at most the last 2,500 bars known when the refit is made. Nothing is random here.
    """
    del num_paths, rng
    returns = log_returns(series)[1:]
    quantiles = np.empty((len(rows), len(horizons), len(LEVELS)))
    p_up = np.empty((len(rows), len(horizons)))
    refits = refit_groups(rows)
    for refit, mine in refits:
        known = returns[max(0, refit - FIT_WINDOW_BARS) : refit]
        mean, slope = _least_squares(known)
        excess = returns[rows[mine] - 1] - mean
        total = np.concatenate([[0.0], np.cumsum(known)])
        for position, horizon in enumerate(horizons):
            carry = slope * (1 - slope**horizon) / (1 - slope)
            came = total[horizon + 1 :] - total[1:-horizon]
            errors = np.sort(came - horizon * mean - carry * (known[:-horizon] - mean))
            shift = horizon * mean + carry * excess
            quantiles[mine, position] = shift[:, None] + ordered_quantiles(errors)
            below = np.searchsorted(errors, -shift), np.searchsorted(errors, -shift, side="right")
            p_up[mine, position] = 1 - (below[0] + below[1]) / (2 * len(errors))
    return Law(quantiles, p_up, counts={"fits": len(refits)})


def _least_squares(returns: Floats) -> tuple[float, float]:
    mean = float(returns.mean())
    before, after = returns[:-1] - mean, returns[1:] - mean
    power = float(before @ before)
    # A slope of 1 would be a price that never turns; no return series has one.
    return mean, float(np.clip(before @ after / power, -0.9, 0.9)) if power > 0 else 0.0
