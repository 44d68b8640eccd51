"""The law of all returns so far: what is to be said without any model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from marketgpt_core.candles import CandleSeries
from marketgpt_training.evaluation.baselines.base import LEVELS, Floats, Law, Rows, ordered_quantiles


def random_walk(
    series: CandleSeries, rows: Rows, horizons: Sequence[int], num_paths: int, rng: np.random.Generator
) -> Law:
    """Historical simulation: the empirical law of all overlapping h-bar returns up to the as-of row.

    Nothing is random here, and nothing is fitted.
    """
    del num_paths, rng
    log_close = np.log(series.close)
    quantiles = np.empty((len(rows), len(horizons), len(LEVELS)))
    p_up = np.empty((len(rows), len(horizons)))
    for position, horizon in enumerate(horizons):
        moved = log_close[horizon:] - log_close[:-horizon]
        quantiles[:, position], p_up[:, position] = _expanding(moved, rows - horizon + 1)
    return Law(quantiles, p_up)


def _expanding(values: Floats, counts: Rows) -> tuple[Floats, Floats]:
    """Return quantiles, shape (N, 27), and share above zero, (N,), of ``values[:count]`` for each count.

    One sorted array grows from count to count: sorting 10,000 values anew for each of thousands of dates
    would take longer than every other part of an evaluation.
    """
    quantiles, above = np.empty((len(counts), len(LEVELS))), np.empty(len(counts))
    ordered, used = np.empty(0), 0
    for i in np.argsort(counts, kind="stable"):
        fresh = np.sort(values[used : counts[i]])
        ordered, used = np.insert(ordered, np.searchsorted(ordered, fresh), fresh), int(counts[i])
        quantiles[i] = ordered_quantiles(ordered)
        below, up_to = np.searchsorted(ordered, 0.0), np.searchsorted(ordered, 0.0, side="right")
        above[i] = 1 - (below + up_to) / (2 * used)
    return quantiles, above
