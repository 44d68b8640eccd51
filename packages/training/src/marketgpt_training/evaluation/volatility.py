"""Variance forecasts against the variance that came.

The variance of a forecast is that of the law made of its quantiles, for every forecaster alike. What came is
the sum over the horizon of each candle's range variance, times a constant of the symbol: its mean squared
close-to-close return over its mean range variance, so that the proxy is unbiased for squared one-bar returns
(unscaled it is 6% high on US stocks and 48% on foreign exchange, whose highs and lows come from quotes). It
is far less noisy than a squared return, and QLIKE ranks forecasts the same under any unbiased proxy (Patton
2011). Over several bars it is realised variance: not lowered where returns revert.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles
from marketgpt_core.forecast import Forecast
from marketgpt_training.evaluation.baselines import log_har, rows_by_symbol
from marketgpt_training.evaluation.bootstrap import diebold_mariano, verdict
from marketgpt_training.evaluation.pairs import Pairs
from marketgpt_training.evaluation.quantile_law import QuantileLaw
from marketgpt_training.evaluation.variance import log_returns, range_variance

Floats = NDArray[np.float64]

# A horizon over which a price moved less than a basis point a bar was not measured: a halt, a stale quote.
_LEAST_PER_BAR = 1e-8


def realised_variance(forecast: Forecast, candles: Candles) -> Floats:
    """Return the variance that came, shape (N, H); NaN where the data end or nothing moved."""
    result = np.full((len(forecast), len(forecast.horizons)), np.nan)
    for symbol, mine, rows in rows_by_symbol(forecast, candles):
        series = candles[symbol]
        ranges = range_variance(series)[1:]
        squares = log_returns(series)[1:] ** 2
        scale = squares.sum() / ranges.sum() if ranges.sum() > 0 else 1.0
        total = np.concatenate([[0.0, 0.0], np.cumsum(ranges)]) * scale
        for position, horizon in enumerate(forecast.horizons):
            happened = rows + horizon < len(series)
            chosen = rows[happened]
            came = total[chosen + horizon + 1] - total[chosen + 1]
            result[mine[happened], position] = np.where(came > _LEAST_PER_BAR * horizon, came, np.nan)
    return result


def har_forecasts(forecast: Forecast, candles: Candles) -> Floats:
    """Return log-HAR's variance forecasts for the same pairs and horizons, shape (N, H)."""
    result = np.empty((len(forecast), len(forecast.horizons)))
    for symbol, mine, rows in rows_by_symbol(forecast, candles):
        result[mine] = log_har(candles[symbol], rows, forecast.horizons.tolist())
    return result


def qlike(variance: Floats, came: Floats) -> Floats:
    """Return came / variance - ln(came / variance) - 1: at least 0, and 0 for a perfect forecast.

    Patton, "Volatility forecast comparison using imperfect volatility proxies", 2011, equation 24.
    """
    ratio = came / variance
    return np.asarray(ratio - np.log(ratio) - 1)


def forecast_variances(forecast: Forecast) -> Floats:
    """Return the variance of each forecast's law, shape (N, H)."""
    return np.maximum(QuantileLaw.of(forecast).moments()[1], 1e-12)


def volatility_section(variances: dict[str, Floats], came: Floats, pairs: Pairs) -> dict[str, Any]:
    """Return the volatility scores of one horizon as JSON values.

    ``models`` -> name -> ``qlike``, ``mae`` (of the standard deviation, log return) and ``bias`` (mean
    forecast over mean realised variance, 1 is right); ``against`` -> name -> ``qlike_ratio`` of the model
    with interval, verdict and Diebold-Mariano; ``count``, and ``squared_return_ratio``: mean squared return
    over mean realised variance.

    Args:
        variances: By forecaster, ``model`` among them, shape (N,).
        came: shape (N,); NaN is left out.
        pairs: Dates and symbols of the N.
    """
    known = np.isfinite(came)
    if not known.any():
        return {"count": 0, "models": {}, "against": {}}
    chosen, proxy = pairs.select(known), came[known]
    losses = {name: qlike(variance[known], proxy) for name, variance in variances.items()}
    models = {
        name: {
            "qlike": float(losses[name].mean()),
            "mae": float(np.abs(np.sqrt(variance[known]) - np.sqrt(proxy)).mean()),
            "bias": float(variance[known].mean() / proxy.mean()),
        }
        for name, variance in variances.items()
    }
    against = {}
    for name in variances:
        if name != "model":
            ratio, low, high = chosen.blocks.ratio(losses["model"], losses[name])
            against[name] = {
                "qlike_ratio": ratio, "low": low, "high": high, "verdict": verdict(low, high),
                **diebold_mariano(losses["model"], losses[name], chosen.blocks),
            }  # fmt: skip
    return {
        "count": int(known.sum()),
        "squared_return_ratio": float((chosen.outcome**2).mean() / proxy.mean()),
        "models": models,
        "against": against,
    }
