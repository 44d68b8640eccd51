"""The stationary bootstrap: how sure a statistic of dependent returns is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def stationary_indices(num_rows: int, mean_block: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw one resample: blocks of geometric length that wrap around the end.

    Politis and Romano, The Stationary Bootstrap, Journal of the American Statistical Association 89
    (1994).

    Args:
        num_rows: Rows of the series, and of the resample.
        mean_block: Expected length of a block, at least 1.
        rng: Generator.

    Returns:
        Rows to take, shape (num_rows,).
    """
    steps = np.arange(num_rows)
    begins = rng.random(num_rows) < 1.0 / mean_block
    begins[0] = True
    first = np.maximum.accumulate(np.where(begins, steps, 0))
    origin = rng.integers(0, num_rows, num_rows)[first]
    rows: NDArray[np.int64] = (origin + steps - first) % num_rows
    return rows


def bootstrap_interval(
    values: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], float | None],
    *,
    mean_block: float,
    num_resamples: int,
    level: float,
    seed: int,
) -> tuple[float, float] | None:
    """Return the percentile interval of a statistic.

    Args:
        values: shape (T,): the series.
        statistic: Its value on a resample, None where it has none.
        mean_block: Expected length of a block.
        num_resamples: Resamples.
        level: Coverage, 0.9 for the 5% and 95% quantiles.
        seed: Seed of numpy's generator.

    Returns:
        (low, high); None when fewer than half of the resamples have a value.
    """
    rng = np.random.default_rng(seed)
    drawn = [
        statistic(values[stationary_indices(len(values), mean_block, rng)]) for _ in range(num_resamples)
    ]
    known = [value for value in drawn if value is not None]
    if 2 * len(known) < num_resamples or not known:
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
