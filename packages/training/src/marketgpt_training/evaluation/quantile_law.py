"""The one law made of a forecast's quantiles: its density, its moments, its probabilities.

The cumulative probability is linear between the quantile levels held; beyond the outermost ones the tail is
exponential, through the two outermost quantiles of its side. The same construction for every forecaster, so
that nobody gains by having a formula. Shapes: (..., Q) quantiles, (...) values, Q levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.forecast import Forecast

Floats = NDArray[np.float64]

# Quantiles that coincide (an atom, a few samples) would have an infinite density.
_LEAST_WIDTH_SHARE = 1e-3
_LEAST_SPAN = 1e-6


@dataclass(frozen=True, eq=False)
class QuantileLaw:
    """Laws made of quantiles.

    Attributes:
        quantiles: shape (..., Q), not decreasing.
        levels: shape (Q,), increasing, in (0, 1).
    """

    quantiles: Floats
    levels: Floats

    @classmethod
    def of(cls, forecast: Forecast, position: int | None = None) -> QuantileLaw:
        """Return the laws of a forecast: (N, H, Q), or (N, Q) of one horizon."""
        chosen = forecast.quantiles if position is None else forecast.quantiles[:, position]
        return cls(chosen, forecast.levels)

    @property
    def widths(self) -> Floats:
        """Return the gaps between the quantiles, shape (..., Q - 1), none of them vanishing.

        A gap is at least a thousandth of what it would be if the 5-95% range were the whole of an even law.
        """
        gaps = np.diff(self.quantiles, axis=-1)
        low, high = (int(np.argmin(np.abs(self.levels - level))) for level in (0.05, 0.95))
        span = self.quantiles[..., high] - self.quantiles[..., low]
        least = _LEAST_WIDTH_SHARE * np.where(span > 0, span, _LEAST_SPAN)
        return np.maximum(gaps, least[..., None] * np.diff(self.levels))

    @property
    def tails(self) -> tuple[Floats, Floats]:
        """Return the scales of the lower and the upper exponential tail, shape (...)."""
        first, last = self.levels[:2], 1 - self.levels[-2:]
        widths = self.widths
        return widths[..., 0] / np.log(first[1] / first[0]), widths[..., -1] / np.log(last[0] / last[1])

    def _place(self, value: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Return how many quantiles lie below each value, and the two beside it."""
        below = (self.quantiles < value[..., None]).sum(axis=-1)
        left = np.clip(below - 1, 0, len(self.levels) - 2)
        at = (np.take_along_axis(self.quantiles, k[..., None], axis=-1)[..., 0] for k in (left, left + 1))
        return below, *at

    def cdf(self, value: Floats) -> Floats:
        """Return P(X <= value), shape (...); in the middle of a jump where quantiles coincide."""
        below, low, high = self._place(value)
        left = np.clip(below - 1, 0, len(self.levels) - 2)
        width = np.where(high > low, high - low, 1.0)
        inside = self.levels[left] + (value - low) / width * np.diff(self.levels)[left]
        lower, upper = self.tails
        top = 1 - self.levels[-1]
        under = self.levels[0] * np.exp(np.minimum(value - self.quantiles[..., 0], 0) / lower)
        over = 1 - top * np.exp(np.minimum(self.quantiles[..., -1] - value, 0) / upper)
        result = np.where(below == 0, under, np.where(below == len(self.levels), over, inside))
        tied = (self.quantiles == value[..., None]).sum(axis=-1)
        first = np.minimum(below, len(self.levels) - 1)
        final = np.minimum(below + np.maximum(tied, 1) - 1, len(self.levels) - 1)
        return np.asarray(np.where(tied > 1, (self.levels[first] + self.levels[final]) / 2, result))

    def log_density(self, value: Floats) -> Floats:
        """Return the natural log of the density at each value, shape (...)."""
        below, _, _ = self._place(value)
        left = np.clip(below - 1, 0, len(self.levels) - 2)
        width = np.take_along_axis(self.widths, left[..., None], axis=-1)[..., 0]
        inside = np.log(np.diff(self.levels)[left] / width)
        lower, upper = self.tails
        under = np.log(self.levels[0] / lower) + np.minimum(value - self.quantiles[..., 0], 0) / lower
        over = np.log((1 - self.levels[-1]) / upper) + np.minimum(self.quantiles[..., -1] - value, 0) / upper
        return np.asarray(np.where(below == 0, under, np.where(below == len(self.levels), over, inside)))

    def moments(self) -> tuple[Floats, Floats]:
        """Return mean and variance, shape (...)."""
        low, high = self.quantiles[..., :-1], self.quantiles[..., 1:]
        mass = np.diff(self.levels)
        lower, upper = self.tails
        bottom, top = self.levels[0], 1 - self.levels[-1]
        first, last = self.quantiles[..., 0] - lower, self.quantiles[..., -1] + upper
        mean = ((low + high) / 2) @ mass + bottom * first + top * last
        square = ((low * low + low * high + high * high) / 3) @ mass
        square += bottom * (first**2 + lower**2) + top * (last**2 + upper**2)
        return mean, np.maximum(square - mean**2, 0.0)
