"""Scores of a forecast against what happened.

Shapes: N (symbol, as-of) pairs, H horizons, Q quantile levels. What has not happened yet is NaN and left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles
from marketgpt_core.forecast import Forecast
from marketgpt_training.evaluation.baselines import ClosedLaw, rows_by_symbol
from marketgpt_training.evaluation.coverage import coverage_scores
from marketgpt_training.evaluation.cross_section import rank_ic
from marketgpt_training.evaluation.direction import direction_scores, tercile_scores
from marketgpt_training.evaluation.pairs import Pairs
from marketgpt_training.evaluation.quantile_law import QuantileLaw

Floats = NDArray[np.float64]

PINBALL_LEVELS = (0.01, 0.05, *(round(0.1 * k, 1) for k in range(1, 10)), 0.95, 0.99)
PIT_BINS = 20


def realised(forecast: Forecast, candles: Candles) -> Floats:
    """Return the cumulative log returns that came, shape (N, H); NaN where the data end earlier."""
    result = np.full((len(forecast), len(forecast.horizons)), np.nan)
    for symbol, mine, rows in rows_by_symbol(forecast, candles):
        series = candles[symbol]
        log_close = np.log(series.close)
        for position, horizon in enumerate(forecast.horizons):
            ends = rows + horizon
            happened = ends < len(series)
            result[mine[happened], position] = log_close[ends[happened]] - log_close[rows[happened]]
    return result


def crps(forecast: Forecast, outcome: Floats) -> Floats:
    """Return the continuous ranked probability score, shape (N, H), in log return; lower is better.

    Twice the pinball loss integrated over the quantile levels (Gneiting and Ranjan 2011, equation 2) by the
    trapezoid rule on the 27 levels held, the outermost ones carried to 0 and 1. A weighted sum of pinball
    losses is itself a proper score. On the 27 levels it comes out 0.26 to 0.29% below the integral for
    normal and Student t laws (0.31% at 2.5 degrees of freedom), right or too narrow or too wide, so a ratio
    of two is true to 0.04% (tested).
    """
    levels = forecast.levels
    error = outcome[..., None] - forecast.quantiles
    pinball = np.maximum(levels * error, (levels - 1) * error)
    return np.asarray(2.0 * (pinball @ forecast.level_weights))


def pit(quantiles: Floats, levels: Floats, outcome: Floats) -> Floats:
    """Return the probability integral transform, shape (N,), in [0, 1]; uniform when calibrated.

    Linear between the quantile levels held, exponential beyond, the middle of a jump where quantiles
    coincide.

    Args:
        quantiles: shape (N, Q), not decreasing.
        levels: shape (Q,).
        outcome: shape (N,), no NaN.
    """
    return QuantileLaw(quantiles, levels).cdf(outcome)


def horizon_scores(
    forecast: Forecast,
    pairs: Pairs,
    position: int,
    *,
    losses: Floats,
    edges: Floats,
    closed: ClosedLaw | None = None,
) -> dict[str, Any]:
    """Return every score of one horizon as JSON values.

    Args:
        forecast: The scored rows of a forecast, N of them.
        pairs: What came of them.
        position: Index of the horizon.
        losses: Their CRPS, shape (N,).
        edges: Terciles of the returns known at each as-of date, shape (N, 2).
        closed: The forecaster's closed laws of this horizon, shape (N,), if it has them.
    """
    one = forecast.quantiles[:, position]
    law = QuantileLaw(one, forecast.levels)
    transform = law.cdf(pairs.outcome)

    def quantile(level: float) -> Floats:
        held = np.flatnonzero(np.isclose(forecast.levels, level))
        return np.asarray(one[:, held[0]] if len(held) else forecast.quantile(level)[:, position])

    return {
        "count": len(pairs),
        "crps": float(losses.mean()),
        **pinball_scores(quantile, pairs.outcome),
        **density_scores(law, pairs.outcome, closed),
        **coverage_scores(quantile, pairs),
        "pit_histogram": np.histogram(transform, bins=PIT_BINS, range=(0, 1))[0].tolist(),
        "pit_ks": kolmogorov_smirnov(transform),
        **direction_scores(forecast.p_up[:, position], pairs),
        **tercile_scores(law, edges, pairs.outcome),
        "rank_ic": rank_ic(law.moments()[0], pairs),
    }


def pinball_scores(quantile: Any, outcome: Floats) -> dict[str, Any]:  # noqa: ANN401 - a callable of a level
    """Return ``pinball`` by level and ``wql``, twice their mean over the mean absolute outcome."""
    pinball = {}
    for level in PINBALL_LEVELS:
        error = outcome - quantile(level)
        pinball[f"{level:.2f}"] = float(np.maximum(level * error, (level - 1) * error).mean())
    size = float(np.abs(outcome).mean())
    return {
        "pinball": pinball,
        "wql": 2 * float(np.mean(list(pinball.values()))) / size if size > 0 else None,
    }


def log_densities(law: QuantileLaw, outcome: Floats) -> Floats:
    """Return the log density of each outcome, shape (N,); NaN for a return of exactly zero.

    A price that does not move has a probability, not a density: whoever puts a narrow bin at zero would win
    any comparison of densities.
    """
    return np.asarray(np.where(outcome == 0, np.nan, law.log_density(outcome)))


def density_scores(law: QuantileLaw, outcome: Floats, closed: ClosedLaw | None) -> dict[str, Any]:
    """Return ``nll`` in nats of the return, ``nll_left_out`` (zeros), and ``nll_closed`` if there is one."""
    said = log_densities(law, outcome)
    kept = np.isfinite(said)
    result: dict[str, Any] = {
        "nll": -float(said[kept].mean()) if kept.any() else None,
        "nll_left_out": int((~kept).sum()),
    }
    if closed is not None and kept.any() and np.isfinite(closed.scale).all():
        result["nll_closed"] = -float(closed.log_density(outcome)[kept].mean())
    return result


def kolmogorov_smirnov(transform: Floats) -> float:
    """Return the largest distance between the PIT's distribution and the uniform one."""
    ordered, n = np.sort(transform), len(transform)
    steps = np.arange(n + 1) / n
    return float(max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()))
