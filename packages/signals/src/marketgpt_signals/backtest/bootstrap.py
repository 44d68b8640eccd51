"""The stationary bootstrap: how sure a statistic of dependent returns is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]
# Values a chunk of resamples holds: what fits in the cache a few times over is quickest.
_CHUNK = 500_000


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


def resamples(num_rows: int, mean_block: float, num_resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of all resamples, shape (R, num_rows) at a time, for statistics that take many at once.

    They are the resamples :func:`bootstrap_interval` draws from the same seed.

    Args:
        num_rows: Rows of the series, at least 1.
        mean_block: Expected length of a block.
        num_resamples: How many in all.
        seed: Seed of numpy's generator.
    """
    rng = np.random.default_rng(seed)
    size = max(1, _CHUNK // num_rows)
    for start in range(0, num_resamples, size):
        count = min(size, num_resamples - start)
        yield np.stack([stationary_indices(num_rows, mean_block, rng) for _ in range(count)])


def percentile_intervals(drawn: Mapping[str, NDArray[np.float64]], level: float) -> dict[str, Interval]:
    """Return the interval of each statistic from its resampled values.

    Args:
        drawn: By name, shape (R,): NaN where a resample has no value.
        level: Coverage, 0.9 for the 5% and 95% quantiles.

    Returns:
        (low, high) by name, without those of which fewer than half of the resamples have a value.
    """
    found = {}
    for name, values in drawn.items():
        known = values[np.isfinite(values)]
        if len(known) and 2 * len(known) >= len(values):
            low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
            found[name] = (float(low), float(high))
    return found
