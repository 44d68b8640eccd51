"""Log-HAR: tomorrow's variance from the last day's, week's and month's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.signal import lfilter

from marketgpt_core.candles import CandleSeries
from marketgpt_training.evaluation.baselines.base import Floats, Rows, refit_groups
from marketgpt_training.evaluation.variance import log_returns, range_variance

_WEEK, _MONTH = 5, 22
_WINDOW_BARS = 1_000
# A day without a move (a halt) has variance 0 and no logarithm: it counts as a hundredth of the month's mean.
_LEAST_SHARE = 0.01
_FLOOR = 1e-10


def log_har(series: CandleSeries, rows: Rows, horizons: Sequence[int]) -> Floats:
    """Return forecasts of the variance of the h-bar log return, shape (N, H).

    Corsi, "A simple approximate long-memory model of realized volatility", 2009, equation 8, in logarithms
    (as Andersen, Bollerslev and Diebold 2007) of the candles' range variance: the log of the mean variance
    over the next h bars on that over the last 1, 5 and 22. One regression a horizon, by least squares over
    at most the last 1,000 bars known, refitted every 60; exp(s^2 / 2) turns the mean of the log into that of
    the variance, and the known ratio of mean squared return to mean range variance that into close-to-close
    variance.
    """
    variance = range_variance(series)
    month = _trailing_mean(variance, _MONTH)
    daily = np.log(np.maximum(variance, np.maximum(_LEAST_SHARE * month, _FLOOR)))
    smooth = np.exp(daily)
    terms = [np.ones_like(daily), daily]
    terms += [np.log(_trailing_mean(smooth, bars)) for bars in (_WEEK, _MONTH)]
    inputs = np.stack(terms, axis=1)
    total = np.concatenate([[0.0], np.cumsum(smooth)])
    result = np.empty((len(rows), len(horizons)))
    squares = np.cumsum(log_returns(series) ** 2)
    for refit, mine in refit_groups(rows):
        scale = squares[refit] / total[refit + 1] if squares[refit] > 0 else 1.0
        for position, horizon in enumerate(horizons):
            # The last target must have ended by the refit; the first candle has no variance, nor has its
            # month.
            last = refit - horizon
            first = max(_MONTH, last - _WINDOW_BARS + 1)
            ends = np.arange(first, last + 1)
            target = np.log((total[ends + horizon + 1] - total[ends + 1]) / horizon)
            weights, *_ = np.linalg.lstsq(inputs[ends], target, rcond=None)
            spare = target - inputs[ends] @ weights
            expected = inputs[rows[mine]] @ weights + 0.5 * spare.var(ddof=len(weights))
            result[mine, position] = scale * horizon * np.exp(expected)
    return result


def _trailing_mean(values: Floats, bars: int) -> Floats:
    """Return the mean of the last ``bars`` values up to each; of what there is at the front."""
    sums = lfilter(np.ones(bars), [1.0], values)
    return np.asarray(sums / np.minimum(np.arange(1, len(values) + 1), bars))
