"""The causal scale of returns: how large the next candle's moves are expected to be, from candles before it.

It is made of what each candle speaks for, :func:`marketgpt_core.variance.candle_variance`.
The averages are exponential with normalised weights (as pandas' ``ewm(adjust=True)``): started with the first
candle alone, the slow one would hang on to that candle for a year.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marketgpt_core.tokens import VolatilityState


def exponential_mean(values: NDArray[np.float64], half_life_bars: float) -> NDArray[np.float64]:
    """Return the normalised exponential mean of the values up to and including each, shape (T,)."""
    return pd.Series(values).ewm(halflife=half_life_bars).mean().to_numpy()


def exponential_step(
    average: NDArray[np.float64],
    value: NDArray[np.float64],
    count: NDArray[np.int64],
    half_life_bars: float,
) -> NDArray[np.float64]:
    """Return the exponential mean of ``count`` values from that of all but the newest; shapes (N,)."""
    # The newest of n weights 2^(-k / half-life), k = 0 .. n-1, over their sum.
    log_decay = -np.log(2.0) / half_life_bars
    weight = np.expm1(log_decay) / np.expm1(log_decay * count)
    return np.asarray(average + weight * (value - average))


def shrunk_scale(
    average: NDArray[np.float64],
    count: NDArray[np.int64],
    *,
    prior_variance: float,
    warmup: int,
    floor: float,
    ceiling: float,
) -> NDArray[np.float64]:
    """Return the root of an average variance of ``count`` values, shrunk to a prior while they are few."""
    variance = average.copy()
    few = np.flatnonzero(count < warmup)
    young = average[few]
    variance[few] = young + (1.0 - count[few] / warmup) * (prior_variance - young)
    np.clip(variance, floor**2, ceiling**2, out=variance)
    return np.asarray(np.sqrt(variance, out=variance))


@dataclass(frozen=True)
class CausalVolatility:
    """Fast and slow exponential averages of the candle variance, shrunk to a prior while young.

    Attributes:
        prior_variance: Variance of a symbol of which nothing is known, per bar.
        fast_half_life_bars: Half-life of the average behind sigma.
        slow_half_life_bars: Half-life of the average behind slow_sigma.
        warmup_bars: The prior's weight falls from 1 to 0 over so many candles.
        sigma_floor, sigma_ceiling: Sigma stays between them, per-bar log return.
    """

    prior_variance: float
    fast_half_life_bars: float
    slow_half_life_bars: float
    warmup_bars: int
    sigma_floor: float
    sigma_ceiling: float

    def averages(self, variance: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the fast and slow averages up to and including each candle, shape (T,) each."""
        fast = exponential_mean(variance, self.fast_half_life_bars)
        return fast, exponential_mean(variance, self.slow_half_life_bars)

    def scale(self, average: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return sigma from an average of ``count`` candles: shrunk to the prior, floored, capped."""
        return shrunk_scale(
            average,
            count,
            prior_variance=self.prior_variance,
            warmup=self.warmup_bars,
            floor=self.sigma_floor,
            ceiling=self.sigma_ceiling,
        )

    def scales(
        self, variance: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return sigma, next_sigma and slow_sigma of each candle, shape (T,) each.

        ``sigma[t]`` uses candles < t, the other two candles <= t.
        """
        fast, slow = self.averages(variance)
        count = np.arange(1, len(variance) + 1)
        sigma = np.empty(len(variance) + 1)
        sigma[:1] = self.scale(np.zeros(1), np.zeros(1, dtype=np.int64))
        sigma[1:] = self.scale(fast, count)
        return sigma[:-1], sigma[1:], self.scale(slow, count)

    def begin_at(self, variance: NDArray[np.float64], counts: NDArray[np.integer]) -> VolatilityState:
        """Return the states of N paths, each after the first ``counts[n]`` of the variances (T,), >= 0."""
        count = np.asarray(counts, dtype=np.int64)
        # Nothing was seen after no candle: the averages are zero, and weigh nothing.
        fast, slow = (np.concatenate([[0.0], average])[count] for average in self.averages(variance))
        return VolatilityState(fast=fast, slow=slow, count=count)

    def advance(self, state: VolatilityState, variance: NDArray[np.float64]) -> VolatilityState:
        """Return the state after one more candle a path, of variance of shape (N,)."""
        count = state.count + 1
        return VolatilityState(
            fast=exponential_step(state.fast, variance, count, self.fast_half_life_bars),
            slow=exponential_step(state.slow, variance, count, self.slow_half_life_bars),
            count=count,
        )
