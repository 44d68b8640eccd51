"""Scores of resolved signals: Brier loss, proportions with honest intervals."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

NOMINAL_COVERAGE = 0.9  # of the 5%..95% band

# Fewer blocks than this say nothing about how outcomes of one block hang together.
_FEWEST_BLOCKS = 10


@dataclass(frozen=True)
class Proportion:
    """A share with its Wilson interval.

    Attributes:
        value: The share, in [0, 1].
        low, high: The interval.
        num: Outcomes counted.
        num_effective: Independent outcomes they are worth.
    """

    value: float
    low: float
    high: float
    num: int
    num_effective: float

    def excludes(self, value: float) -> bool:
        """Whether a value lies outside the interval."""
        return not self.low <= value <= self.high


def brier(probability: NDArray[np.float64], returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Brier losses ``(p - y)^2``, shape (n,), in [0, 1] (Brier, Monthly Weather Review 78, 1950).

    Args:
        probability: shape (n,): that the return is positive.
        returns: shape (n,): realised returns; y is 1 above 0, 0 below, 1/2 at 0, as in a forecast's ``p_up``.
    """
    outcome = (np.sign(returns) + 1.0) / 2.0
    return np.asarray((probability - outcome) ** 2)


def wilson(share: float, num: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the score interval of a share (Wilson, JASA 22, 1927).

    Args:
        share: Observed share.
        num: Independent trials, > 0; need not be whole.
        confidence: Coverage of the interval.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    centre = (share + z * z / (2.0 * num)) / (1.0 + z * z / num)
    half = z / (1.0 + z * z / num) * sqrt(share * (1.0 - share) / num + z * z / (4.0 * num * num))
    # Rounding must not push the share itself, or a probability's bounds, out of the interval.
    return max(min(centre - half, share), 0.0), min(max(centre + half, share), 1.0)


def proportion(
    hits: NDArray[np.bool_], blocks: NDArray[np.integer], *, confidence: float = 0.95
) -> Proportion | None:
    """Return the share of hits, its interval widened for outcomes that are not independent.

    Stocks move together and horizons overlap, so a thousand outcomes of one week are worth a few. The
    variance of the share is taken between blocks and between neighbouring blocks, which horizons of a
    block's length still tie together (Hansen and Hodrick, Journal of Political Economy 88, 1980). The Wilson
    interval is that of as many independent outcomes as give this variance (Kish, Survey Sampling, 1965:
    design effect), never more than there are.

    Args:
        hits: shape (n,).
        blocks: shape (n,): number of each outcome's block, in time order; outcomes of blocks that are not
            neighbours are held independent.
        confidence: Coverage of the interval.

    Returns:
        None without outcomes.
    """
    num = len(hits)
    if num == 0:
        return None
    _, block = np.unique(blocks, return_inverse=True)
    sizes = np.bincount(block)
    share = float(hits.mean())
    num_effective = float(min(num, len(sizes)))
    spread = np.bincount(block, weights=hits) - share * sizes
    neighbours = max(2.0 * float(spread[1:] @ spread[:-1]), 0.0)
    variance = (float(spread @ spread) + neighbours) / num**2 * len(sizes) / max(len(sizes) - 1, 1)
    if len(sizes) >= _FEWEST_BLOCKS and variance > 0:
        num_effective = min(max(share * (1.0 - share) / variance, 1.0), float(num))
    low, high = wilson(share, num_effective, confidence=confidence)
    return Proportion(share, low, high, num, num_effective)
