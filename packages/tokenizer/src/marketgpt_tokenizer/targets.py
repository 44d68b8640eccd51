"""What comes after a candle, at several horizons: direction, volatility and range, and the classes they make.

All are in units of what was expected at the candle, sigma of the next one times the root of the horizon:

* direction: ``ln(C_{t+h} / C_t) / (sigma sqrt(h))``, in three classes of equal share (terciles);
* volatility: the mean of the candle variance of the h next candles over sigma squared (the same half
  Rogers-Satchell plus squared gap, half squared close-to-close return that sigma is made of);
* range: ``ln(max high / min low) / (sigma sqrt(h))`` over the h next candles.

Targets look ahead, and nothing else here does: they are never an input. A class is the count of edges at or
below the value; edges are quantiles of the training part, each horizon's own.

Legend: T candles, H horizons, J = 3 tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import CandleSeries
from marketgpt_core.errors import DataError

DIRECTION, VOLATILITY, RANGE = "direction", "volatility", "range"
TARGETS = (DIRECTION, VOLATILITY, RANGE)
DIRECTION_CLASSES = 3
# No such candle yet.
NO_TARGET = -1

# One array of shape (H, classes - 1) a task.
Edges = tuple[NDArray[np.float64], ...]


def horizon_values(
    series: CandleSeries,
    variance: NDArray[np.float64],
    next_sigma: NDArray[np.float64],
    horizons: Sequence[int],
) -> NDArray[np.float64]:
    """Return direction, volatility and range after each candle but the first.

    Args:
        series: T candles.
        variance: shape (T - 1,): variance of candles 1 .. T-1.
        next_sigma: shape (T - 1,): scale of the candle after each.
        horizons: H bars ahead, increasing.

    Returns:
        shape (T - 1, H, 3), float64; NaN where the series ends before.
    """
    close, high, low = (np.log(price[1:]) for price in (series.close, series.high, series.low))
    count = len(close)
    values = np.full((count, len(horizons), len(TARGETS)), np.nan)
    total = np.zeros(count)
    highest, lowest = np.full(count, -np.inf), np.full(count, np.inf)
    # Candle by candle, not by differences of running sums: those would carry old jumps' rounding.
    for k in range(1, min(max(horizons), count - 1) + 1):
        now = slice(0, count - k)
        total[now] += variance[k:]
        np.maximum(highest[now], high[k:], out=highest[now])
        np.minimum(lowest[now], low[k:], out=lowest[now])
        if k in horizons:
            column, expected = horizons.index(k), next_sigma[now] * np.sqrt(k)
            values[now, column, 0] = (close[k:] - close[now]) / expected
            values[now, column, 1] = total[now] / expected**2
            values[now, column, 2] = (highest[now] - lowest[now]) / expected
    return values


def fit_edges(values: Iterable[NDArray[np.float64]], horizons: Sequence[int], sizes: Sequence[int]) -> Edges:
    """Cut each horizon's values into classes of equal share.

    Args:
        values: Arrays of shape (T - 1, H, 3), NaN where there is no target.
        horizons: H bars ahead.
        sizes: Classes of each of the three tasks.

    Raises:
        DataError: when no symbol is long enough for a horizon.
    """
    # Held as lists by horizon: joined one at a time, so that no second copy of all of them is made.
    kept: list[list[NDArray[np.float64]]] = [[] for _ in horizons]
    for one in values:
        for h in range(len(horizons)):
            kept[h].append(one[: max(len(one) - horizons[h], 0), h])
    edges = [np.empty((len(horizons), size - 1)) for size in sizes]
    for h, horizon in enumerate(horizons):
        column = np.concatenate(kept[h])
        if not len(column):
            raise DataError(
                f"horizon {horizon}: no training symbol has the {horizon + 2} candles that a target takes"
            )
        for task, size in enumerate(sizes):
            edges[task][h] = np.quantile(column[:, task], np.arange(1, size) / size)
    return tuple(edges)


def classify(values: NDArray[np.float64], edges: Edges) -> NDArray[np.int16]:
    """Return the classes of values (T - 1, H, 3), int16; -1 for NaN."""
    classes = np.full(values.shape, NO_TARGET, dtype=np.int16)
    for task, task_edges in enumerate(edges):
        for h, row in enumerate(task_edges):
            column = values[:, h, task]
            known = ~np.isnan(column)
            classes[known, h, task] = np.searchsorted(row, column[known], side="right")
    return classes
