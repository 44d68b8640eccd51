"""Summarising opinions: sampled paths and direct heads, pooled in probability space.

Legend: N rows, H horizons, S path samples, M points of the heads' law, Q levels, B bins, R passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.forecast import QUANTILE_LEVELS
from marketgpt_models.horizon_bins import HorizonBins

LEVELS = np.asarray(QUANTILE_LEVELS)
# The heads' law stands for itself as so many points at even levels: the outermost lie beyond 0.1%.
NUM_POINTS = 1_000


@dataclass(frozen=True, eq=False)
class Summary:
    """A distribution of cumulative log return for each row and horizon.

    Attributes:
        quantiles: shape (N, H, Q), at ``QUANTILE_LEVELS``.
        p_up: shape (N, H); a tie counts half.
        aleatoric: shape (N, H): root of the mean variance inside a pass.
        epistemic: shape (N, H): standard deviation of the means of the passes; 0 with one pass.
    """

    quantiles: NDArray[np.float64]
    p_up: NDArray[np.float64]
    aleatoric: NDArray[np.float64]
    epistemic: NDArray[np.float64]

    @classmethod
    def concatenated(cls, parts: list[Summary], order: NDArray[np.int64]) -> Summary:
        """Return the rows of all parts, reordered."""
        names = ("quantiles", "p_up", "aleatoric", "epistemic")
        return cls(*(np.concatenate([getattr(one, name) for one in parts])[order] for name in names))


def summary_of_paths(ends_NSH: NDArray[np.float64], num_passes: int) -> Summary:
    """Summarise sampled returns whose passes are equal blocks of the S samples.

    The spread between the means of the passes has the sampling noise alone would give taken off (the law of
    total variance), so that identical passes have no epistemic spread.
    """
    n, s, h = ends_NSH.shape
    blocks = ends_NSH.reshape(n, num_passes, s // num_passes, h)
    within = blocks.var(axis=2).mean(axis=1)
    between = np.zeros_like(within)
    if num_passes > 1:
        noise = within / blocks.shape[2]
        between = np.maximum(blocks.mean(axis=2).var(axis=1, ddof=1) - noise, 0.0)
    return Summary(
        quantiles=np.moveaxis(np.quantile(ends_NSH, LEVELS, axis=1), 0, -1),
        p_up=(ends_NSH > 0).mean(axis=1) + 0.5 * (ends_NSH == 0).mean(axis=1),
        aleatoric=np.sqrt(within),
        epistemic=np.sqrt(between),
    )


@dataclass(frozen=True, eq=False)
class HeadLaw:
    """The direct heads' law of the cumulative log return.

    Attributes:
        bins: Bins of the H horizons.
        probabilities: shape (R, N, H, B): one row of bins a pass.
        scale: shape (N, H): log return of one unit of z.
    """

    bins: HorizonBins
    probabilities: NDArray[np.float64]
    scale: NDArray[np.float64]

    @property
    def pooled(self) -> NDArray[np.float64]:
        """Mean probabilities over the passes, (N, H, B): their mixture, exactly."""
        return np.asarray(self.probabilities.mean(axis=0))

    def at(self, levels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return log returns at levels (Q,), shape (N, H, Q)."""
        p_NHB = self.pooled
        u = np.broadcast_to(levels, (*p_NHB.shape[:2], len(levels)))
        return self.bins.quantiles(p_NHB, u) * self.scale[..., None]

    def points(self) -> NDArray[np.float64]:
        """Return M equally likely log returns, (N, H, M)."""
        return self.at((np.arange(NUM_POINTS) + 0.5) / NUM_POINTS)

    def summary(self) -> Summary:
        """Summarise without sampling."""
        moments = [self.bins.moments(one) for one in self.probabilities]
        means = np.stack([mean for mean, _ in moments])
        within = np.mean([variance for _, variance in moments], axis=0)
        spread = means.std(axis=0, ddof=1) if len(means) > 1 else np.zeros_like(within)
        return Summary(
            quantiles=self.at(LEVELS),
            p_up=1.0 - self.bins.cdf(self.pooled, 0.0),
            aleatoric=np.sqrt(within) * self.scale,
            epistemic=spread * self.scale,
        )


class DirectLaw(Protocol):
    """What is said of a horizon without sampling: :class:`HeadLaw` and ``candle_law.CloseLaw``."""

    def summary(self) -> Summary:
        """Summarise."""
        ...

    def points(self) -> NDArray[np.float64]:
        """Return M equally likely log returns, (N, H, M)."""
        ...


def mixed(ends_NSH: NDArray[np.float64], num_passes: int, heads: DirectLaw) -> Summary:
    """Mix paths and heads half and half, as distributions: quantiles of the mixture, not mean quantiles.

    The epistemic spread is the heads', which is free of sampling noise.
    """
    paths, direct = summary_of_paths(ends_NSH, num_passes), heads.summary()
    samples_NHS, points_NHM = np.moveaxis(ends_NSH, 1, 2), heads.points()
    values = np.concatenate((samples_NHS, points_NHM), axis=2)
    weights = np.concatenate(
        [np.full(size, 0.5 / size) for size in (samples_NHS.shape[2], points_NHM.shape[2])]
    )
    return Summary(
        quantiles=weighted_quantiles(values, weights, LEVELS),
        p_up=(paths.p_up + direct.p_up) / 2,
        aleatoric=np.sqrt((paths.aleatoric**2 + direct.aleatoric**2) / 2),
        epistemic=direct.epistemic,
    )


def weighted_quantiles(
    values: NDArray[np.float64], weights: NDArray[np.float64], levels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return quantiles (..., Q) of values (..., V) that weigh ``weights`` (V,), linear between mid-ranks."""
    flat = values.reshape(-1, values.shape[-1])
    order = np.argsort(flat, axis=1)
    ordered = np.take_along_axis(flat, order, axis=1)
    weight = (weights / weights.sum())[order]
    middle = np.cumsum(weight, axis=1) - weight / 2
    # One line for all rows: row r lies in r .. r + 1; outside its own mid-ranks it stays at its extremes.
    row = np.arange(len(flat), dtype=np.float64)[:, None]
    wanted = np.clip(levels, middle[:, :1], middle[:, -1:]) + row
    found = np.interp(wanted.ravel(), (middle + row).ravel(), ordered.ravel()).reshape(len(flat), -1)
    found = np.clip(found, ordered[:, :1], ordered[:, -1:])
    return np.maximum.accumulate(found, axis=1).reshape(*values.shape[:-1], len(levels))
