"""Bins of the direct horizon heads: quantile bins of the scaled return, and the law inside each bin.

Legend: N rows, H horizons, B bins, S draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from marketgpt_core.errors import DataError

NUM_BINS = 32
NUM_KNOTS = 17
# Levels of the knots inside a bin. The outer bins hold the tails: there the knots crowd towards the extreme,
# else the straight line from the last knot to the largest value seen would pass for the law of the tail.
_INNER = np.linspace(0.0, 1.0, NUM_KNOTS)
_LOWEST = np.concatenate([[0.0], np.geomspace(2.0**-10, 1.0, NUM_KNOTS - 1)])
_HIGHEST = 1.0 - _LOWEST[::-1]
_LEVELS = np.stack([_LOWEST, *[_INNER] * (NUM_BINS - 2), _HIGHEST])


class HorizonBins:
    """Quantile bins of z = ln(close[t+h] / close[t]) / (next_sigma[t] * sqrt(h)), one set a horizon.

    Inside a bin z follows the law of the training part, linear between 17 knots; probabilities over the 32
    bins therefore make a full distribution, with quantiles, moments and a cdf in closed form.

    Args:
        horizons: Bars ahead, length H.
        knots: shape (H, 32, 17), float64, not decreasing along the last two axes; the first and last knot of
            a bin are its edges.
    """

    def __init__(self, horizons: Sequence[int], knots: ArrayLike) -> None:
        self.horizons = tuple(int(h) for h in horizons)
        self.knots = np.asarray(knots, dtype=np.float64)
        if self.knots.shape != (len(self.horizons), NUM_BINS, NUM_KNOTS):
            raise DataError(
                f"horizon bins of shape {self.knots.shape} do not fit {len(self.horizons)} horizons "
                f"x {NUM_BINS} bins x {NUM_KNOTS} knots"
            )
        flat = self.knots.reshape(len(self.horizons), -1)
        if not np.isfinite(flat).all() or np.any(np.diff(flat, axis=1) < 0):
            raise DataError("horizon bins must be finite and not decrease")

    @property
    def edges(self) -> NDArray[np.float64]:
        """Inner edges, shape (H, 31): z belongs to bin b when edges[b-1] <= z < edges[b]."""
        return np.ascontiguousarray(self.knots[:, 1:, 0])

    @classmethod
    def fit(cls, z: NDArray[np.floating], horizons: Sequence[int]) -> HorizonBins:
        """Learn the bins from the training part.

        Args:
            z: shape (N, H), NaN where there is no target.
            horizons: Bars ahead, length H.

        Raises:
            DataError: when a horizon has fewer than 32 targets.
        """
        z = np.asarray(z, dtype=np.float64).reshape(-1, len(horizons))
        levels = (np.arange(NUM_BINS)[:, None] + _LEVELS) / NUM_BINS
        knots = []
        for horizon, column in zip(horizons, z.T, strict=True):
            finite = column[np.isfinite(column)]
            if len(finite) < NUM_BINS:
                raise DataError(
                    f"horizon {horizon} has {len(finite)} targets in the training part; "
                    f"its bins need at least {NUM_BINS}: use more candles or a shorter horizon"
                )
            knots.append(np.maximum.accumulate(np.quantile(finite, levels.ravel())).reshape(levels.shape))
        return cls(horizons, np.array(knots).reshape(-1, NUM_BINS, NUM_KNOTS))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; :meth:`from_json` gives exactly these bins back."""
        return {"horizons": list(self.horizons), "knots": self.knots.tolist()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> HorizonBins:
        """Read what :meth:`to_json` wrote.

        Raises:
            DataError: when it is something else.
        """
        try:
            return cls(value["horizons"], np.array(value["knots"], dtype=np.float64))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"not horizon bins: {type(error).__name__} {error}") from error

    def encode(self, z: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the bin of each z: shape (..., H) int64; -1 for NaN."""
        z = np.asarray(z)
        ids = np.stack(
            [np.searchsorted(edges, z[..., h], side="right") for h, edges in enumerate(self.edges)], axis=-1
        )
        return np.where(np.isnan(z), -1, ids).astype(np.int64)

    def quantiles(self, probabilities: NDArray[np.floating], u: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return z at levels ``u``: the inverse cdf. With uniform ``u`` these are draws.

        Args:
            probabilities: shape (N, H, 32), each row summing to 1.
            u: levels in [0, 1], shape (N, H, S).

        Returns:
            shape (N, H, S), float64.
        """
        p_NHB = np.asarray(probabilities, dtype=np.float64)
        n, h, bins = p_NHB.shape
        ends_NHB = np.cumsum(p_NHB, axis=-1)
        ends_NHB /= ends_NHB[..., -1:]
        # One sorted line for all rows: row r covers r .. r + 1.
        rows = np.arange(n * h, dtype=np.float64)[:, None]
        line = (np.minimum(ends_NHB, 1.0).reshape(n * h, bins) + rows).ravel()
        # Just below 1, so that a bin without mass is never chosen.
        flat_u = np.clip(u, 0.0, 1.0 - 1e-9).reshape(n * h, -1)
        found = np.searchsorted(line, (flat_u + rows).ravel(), side="right").reshape(flat_u.shape)
        bin_id = np.clip(found - (rows * bins).astype(np.int64), 0, bins - 1)
        ends = ends_NHB.reshape(n * h, bins)
        mass = np.maximum(np.take_along_axis(p_NHB.reshape(n * h, bins), bin_id, axis=1), 1e-300)
        start = np.take_along_axis(ends, bin_id, axis=1) - mass
        inside = np.clip((flat_u - start) / mass, 0.0, 1.0)
        horizon = np.tile(np.arange(h), n)[:, None]
        return self._inside(horizon, bin_id, inside).reshape(n, h, -1)

    def _inside(
        self, horizon: NDArray[np.int64], bin_id: NDArray[np.int64], level: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return z at a level inside a bin, linear between the knots."""
        levels = _LEVELS[bin_id]
        right = np.clip((levels <= level[..., None]).sum(axis=-1), 1, NUM_KNOTS - 1)
        low = np.take_along_axis(levels, right[..., None] - 1, axis=-1)[..., 0]
        high = np.take_along_axis(levels, right[..., None], axis=-1)[..., 0]
        z_low = self.knots[horizon, bin_id, right - 1]
        return np.asarray(z_low + (level - low) / (high - low) * (self.knots[horizon, bin_id, right] - z_low))

    def cdf(self, probabilities: NDArray[np.floating], z: float) -> NDArray[np.float64]:
        """Return P(Z <= z), shape (N, H); half of an atom at z counts (neither up nor down)."""
        below = np.empty((len(self.horizons), NUM_BINS))
        for h, knots in enumerate(self.knots):
            for b, inside in enumerate(knots):
                left = np.searchsorted(inside, z, side="left")
                right = np.searchsorted(inside, z, side="right")
                below[h, b] = _level_at(inside, _LEVELS[b], z, int(left), int(right))
        return np.asarray((np.asarray(probabilities, dtype=np.float64) * below).sum(axis=-1))

    def moments(self, probabilities: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and variance of z, each of shape (N, H)."""
        weight = np.diff(_LEVELS, axis=1)
        a, b = self.knots[..., :-1], self.knots[..., 1:]
        first = ((a + b) / 2 * weight).sum(axis=-1)
        second = ((a * a + a * b + b * b) / 3 * weight).sum(axis=-1)
        p = np.asarray(probabilities, dtype=np.float64)
        mean = (p * first).sum(axis=-1)
        return mean, np.maximum((p * second).sum(axis=-1) - mean**2, 0.0)


def _level_at(
    knots: NDArray[np.float64], levels: NDArray[np.float64], z: float, left: int, right: int
) -> float:
    if right == 0:
        return 0.0
    if left == len(knots):
        return 1.0
    if right > left:  # z is a knot, or several that fell together: an atom
        return float((levels[left] + levels[right - 1]) / 2)
    span = knots[left] - knots[left - 1]
    return float(levels[left - 1] + (z - knots[left - 1]) / span * (levels[left] - levels[left - 1]))
