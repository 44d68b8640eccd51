"""How often bands held what came, and how sure that is. N bands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketgpt_signals.backtest.bootstrap import bootstrap_interval

LEVEL = 0.90
FEWEST_BLOCKS = 5


@dataclass(frozen=True)
class Coverage:
    """A share of hits.

    Attributes:
        num: Bands whose close has come.
        share: Share of the closes inside; None without any.
        interval: Its 90% interval by the stationary bootstrap; None with fewer than five blocks.
        below, above: Shares of the closes below the lower and above the upper band.
    """

    num: int
    share: float | None
    interval: tuple[float, float] | None
    below: float | None
    above: float | None


def coverage(
    values: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    *,
    mean_block: float,
    num_resamples: int = 500,
    seed: int = 0,
) -> Coverage:
    """Count how often values lay within their bands; pairs with a NaN are left out.

    Args:
        values: shape (N,): what came.
        lower: shape (N,): the bands it was to lie in, known before, in order of time.
        upper: shape (N,), likewise.
        mean_block: Expected block of the bootstrap: bands whose horizons overlap depend on each other.
        num_resamples: Resamples; 0 for no interval.
        seed: Seed.
    """
    known = ~(np.isnan(values) | np.isnan(lower) | np.isnan(upper))
    x, low, high = values[known], lower[known], upper[known]
    if not len(x):
        return Coverage(0, None, None, None, None)
    inside = ((x >= low) & (x <= high)).astype(np.float64)
    block = max(1.0, mean_block, len(x) ** (1 / 3))
    interval = None
    if num_resamples and len(x) >= FEWEST_BLOCKS * block:
        interval = bootstrap_interval(
            inside,
            lambda sample: float(sample.mean()),
            mean_block=block,
            num_resamples=num_resamples,
            level=LEVEL,
            seed=seed,
        )
    return Coverage(len(x), float(inside.mean()), interval, float((x < low).mean()), float((x > high).mean()))
