"""One forecast out of several: the linear pool, which mixes distributions, not quantiles.

Stone, "The opinion pool", 1961. Averaging quantiles instead would keep the shape of one opinion and lose the
width that disagreement is worth.

Legend: M forecasts, R rows (a pair at a horizon), Q levels, X points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.errors import DataError
from marketgpt_core.forecast import Forecast

# Rows at a time: the comparison of all points with all quantiles is held in memory.
_ROWS_A_CHUNK = 4_096


def pooled(forecasts: Sequence[Forecast], *, model_id: str) -> Forecast:
    """Mix forecasts of the same pairs, horizons and levels, each weighing the same.

    The spread between the means of the forecasts is epistemic, beside what each holds epistemic itself.

    Args:
        forecasts: M of them, M >= 1.
        model_id: Identity of the mixture.

    Raises:
        DataError: without a forecast, or when they are not of the same pairs, horizons and levels.
    """
    if not forecasts:
        raise DataError("there is no forecast to pool")
    first = forecasts[0]
    for other in forecasts[1:]:
        _check_same(first, other)
    means = np.stack([one.mean() for one in forecasts])
    between = means.var(axis=0, ddof=1) if len(forecasts) > 1 else np.zeros_like(means[0])
    shape = first.quantiles.shape
    stacked = np.stack([one.quantiles.reshape(-1, shape[-1]) for one in forecasts])
    return replace(
        first,
        quantiles=_mixture_quantiles(stacked, first.levels).reshape(shape),
        p_up=np.mean([one.p_up for one in forecasts], axis=0),
        aleatoric=np.sqrt(np.mean([one.aleatoric**2 for one in forecasts], axis=0)),
        epistemic=np.sqrt(between + np.mean([one.epistemic**2 for one in forecasts], axis=0)),
        model_id=model_id,
        paths=_side_by_side([one.paths for one in forecasts]),
        path_highs=_side_by_side([one.path_highs for one in forecasts]),
        path_lows=_side_by_side([one.path_lows for one in forecasts]),
        caveats=_all_caveats(forecasts),
    )


def _side_by_side(paths: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    kept = [one for one in paths if one is not None]
    return np.concatenate(kept, axis=1) if len(kept) == len(paths) else None


def _all_caveats(forecasts: Sequence[Forecast]) -> tuple[str, ...]:
    kept = [one.caveats for one in forecasts if one.caveats]
    return tuple("; ".join(dict.fromkeys(filter(None, lines))) for lines in zip(*kept, strict=True))


def _check_same(first: Forecast, other: Forecast) -> None:
    same = (
        first.symbols == other.symbols
        and np.array_equal(first.as_of, other.as_of)
        and np.array_equal(first.horizons, other.horizons)
        and np.array_equal(first.levels, other.levels)
        and first.interval == other.interval
    )
    if not same:
        raise DataError(
            f"forecasts of {first.model_id} and {other.model_id} cannot be pooled: they are not of the same "
            "symbols, as-of dates, horizons and levels"
        )


def _mixture_quantiles(stacked: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quantiles (R, Q) of the mean of M laws, whose quantiles are ``stacked`` (M, R, Q)."""
    if len(stacked) == 1:
        return np.asarray(stacked[0])
    rows = stacked.shape[1]
    result = np.empty((rows, len(levels)))
    for start in range(0, rows, _ROWS_A_CHUNK):
        chunk = slice(start, start + _ROWS_A_CHUNK)
        points = np.sort(np.concatenate(list(stacked[:, chunk]), axis=1), axis=1)
        cdf = np.mean([distribution_at(one[chunk], levels, points) for one in stacked], axis=0)
        result[chunk] = _inverse(points, cdf, levels)
    return np.maximum.accumulate(result, axis=1)


def distribution_at(
    quantiles: NDArray[np.float64], levels: NDArray[np.float64], points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the distribution functions that quantiles stand for, at points: shape (R, X).

    Linear between the quantiles; beyond the outermost the tail falls exponentially, at the last gap's rate.

    Args:
        quantiles: shape (R, Q), not decreasing along Q.
        levels: shape (Q,), increasing, in (0, 1).
        points: shape (R, X).
    """
    right = (quantiles[:, None, :] <= points[:, :, None]).sum(axis=2)
    inner = np.clip(right, 1, len(levels) - 1)
    low, high = (np.take_along_axis(quantiles, one, axis=1) for one in (inner - 1, inner))
    span = high - low
    share = np.divide(points - low, span, out=np.ones_like(span), where=span > 0)
    middle = levels[inner - 1] + np.clip(share, 0.0, 1.0) * (levels[inner] - levels[inner - 1])
    down = _tail(quantiles[:, :1] - points, quantiles[:, 1:2] - quantiles[:, :1], levels[:2])
    up = _tail(points - quantiles[:, -1:], quantiles[:, -1:] - quantiles[:, -2:-1], 1 - levels[:-3:-1])
    return np.where(right == 0, down, np.where(right == len(levels), 1.0 - up, middle))


def _tail(
    beyond: NDArray[np.float64], gap: NDArray[np.float64], masses: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mass more than ``beyond`` outside the outermost quantile, which itself has ``masses[0]``."""
    rate = np.log(masses[1] / masses[0]) / np.maximum(gap, 1e-300)
    return np.asarray(masses[0] * np.exp(-np.maximum(beyond, 0.0) * rate))


def _inverse(
    points: NDArray[np.float64], cdf: NDArray[np.float64], levels: NDArray[np.float64]
) -> NDArray[np.float64]:
    right = np.clip((cdf[:, :, None] < levels).sum(axis=1), 1, points.shape[1] - 1)
    low, high = (np.take_along_axis(points, one, axis=1) for one in (right - 1, right))
    at_low, at_high = (np.take_along_axis(cdf, one, axis=1) for one in (right - 1, right))
    span = at_high - at_low
    share = np.divide(levels - at_low, span, out=np.zeros_like(span), where=span > 0)
    return np.asarray(low + np.clip(share, 0.0, 1.0) * (high - low))
