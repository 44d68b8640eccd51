"""Scores of a forecast against what happened.

Shapes: N (symbol, as-of) pairs, H horizons, Q quantile levels. What has not happened yet is NaN and left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles, as_of_index
from marketgpt_core.forecast import Forecast

_COVERAGES = (0.5, 0.8, 0.9, 0.98)
_NUM_BINS = 10


def realised(forecast: Forecast, candles: Candles) -> NDArray[np.float64]:
    """Return the cumulative log returns that came, shape (N, H); NaN where the data end earlier."""
    result = np.full((len(forecast), len(forecast.horizons)), np.nan)
    names = np.array(forecast.symbols)
    for symbol in sorted(set(forecast.symbols)):
        series = candles[symbol]
        log_close = np.log(series.close)
        mine = np.flatnonzero(names == symbol)
        rows = np.array([as_of_index(series, moment) for moment in forecast.as_of[mine]])
        for position, horizon in enumerate(forecast.horizons):
            ends = rows + horizon
            happened = ends < len(series)
            result[mine[happened], position] = log_close[ends[happened]] - log_close[rows[happened]]
    return result


def crps(forecast: Forecast, outcome: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the continuous ranked probability score, shape (N, H), in log return; lower is better.

    Twice the pinball loss integrated over the quantile levels (Gneiting and Ranjan 2011, equation 2) by the
    trapezoid rule on the 27 levels held, the outermost ones carried to 0 and 1. A weighted sum of pinball
    losses is itself a proper score.
    """
    levels = forecast.levels
    edges = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    error = outcome[..., None] - forecast.quantiles
    pinball = np.maximum(levels * error, (levels - 1) * error)
    score: NDArray[np.float64] = 2.0 * (pinball * np.diff(edges)).sum(axis=-1)
    return score


def pit(
    quantiles: NDArray[np.float64], levels: NDArray[np.float64], outcome: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the probability integral transform, shape (N,), in [0, 1]; uniform when calibrated.

    Linear between the quantile levels held; beyond the outermost the tail is as long as the last gap.

    Args:
        quantiles: shape (N, Q), not decreasing.
        levels: shape (Q,).
        outcome: shape (N,), no NaN.
    """
    ends = (2 * quantiles[:, :1] - quantiles[:, 1:2], 2 * quantiles[:, -1:] - quantiles[:, -2:-1])
    knots = np.concatenate([ends[0], quantiles, ends[1]], axis=1)
    heights = np.concatenate([[0.0], levels, [1.0]])
    pairs = zip(outcome, knots, strict=True)
    return np.array([np.interp(value, row, heights) for value, row in pairs])


def horizon_scores(forecast: Forecast, outcome: NDArray[np.float64], position: int) -> dict[str, Any]:
    """Return every score of one horizon as JSON values.

    Args:
        forecast: The forecast.
        outcome: From :func:`realised`.
        position: Index of the horizon.
    """
    known = np.isfinite(outcome[:, position])
    moved = outcome[known, position]
    p_up = forecast.p_up[known, position]
    is_up = (moved > 0).astype(float)
    coverage = {}
    for share in _COVERAGES:
        low, high = (
            forecast.quantile(level)[known, position] for level in (0.5 - share / 2, 0.5 + share / 2)
        )
        coverage[f"{share:.2f}"] = float(((moved >= low) & (moved <= high)).mean())
    transform = pit(forecast.quantiles[known, position], forecast.levels, moved)
    reliability = reliability_bins(p_up, is_up)
    weights = np.array([row["count"] for row in reliability]) / len(p_up)
    gaps = np.array([abs(row["forecast"] - row["observed"]) for row in reliability])
    return {
        "count": int(known.sum()),
        "crps": float(crps(forecast, outcome)[known, position].mean()),
        "coverage": coverage,
        "brier": float(np.mean((p_up - is_up) ** 2)),
        "ece": float((weights * gaps).sum()),
        "direction_accuracy": float(np.mean((p_up > 0.5) == (is_up > 0))),  # noqa: PLR2004 - a coin's side
        "always_up_accuracy": float(is_up.mean()),
        "pit_histogram": np.histogram(transform, bins=_NUM_BINS, range=(0, 1))[0].tolist(),
        "reliability": reliability,
    }


def reliability_bins(p_up: NDArray[np.float64], is_up: NDArray[np.float64]) -> list[dict[str, float]]:
    """Return mean forecast, observed frequency and count in bins of equal count, lowest forecast first."""
    order = np.argsort(p_up, kind="stable")
    pieces = [piece for piece in np.array_split(order, _NUM_BINS) if len(piece)]
    return [
        {
            "forecast": float(p_up[piece].mean()),
            "observed": float(is_up[piece].mean()),
            "count": float(len(piece)),
        }
        for piece in pieces
    ]
