"""Measures of returns, of many series at once. R series (resamples, draws), T bars."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NO_SPREAD = 1e-12
_MOST_LOG_GROWTH = np.log(1e9)  # a year: more is a rate nobody can mean

Values = NDArray[np.float64]


def measures(
    returns: Values, *, years: float, per_year: float, market: Values | None = None
) -> dict[str, Values]:
    """Measure series of simple returns.

    Args:
        returns: shape (R, T), T >= 2.
        years: Wall time they span.
        per_year: Returns a year.
        market: shape (R, T): the benchmark's returns of the same bars; alpha and beta need them.

    Returns:
        By name of a field of :class:`marketgpt_signals.backtest.Performance`, shape (R,), NaN where the
        number has no meaning:

        * ``sharpe``: mean / standard deviation x sqrt(bars a year), against cash at 0;
        * ``sortino``: the same over the root mean square of the negative returns (Sortino and
          van der Meer 1991);
        * ``calmar``: growth a year / largest drawdown (Young 1991, over the whole test);
        * ``beta``: Cov(r, m) / Var(m); ``alpha``: (mean r - beta mean m) x bars a year (Jensen 1968);
        * ``total_return``, ``cagr``, ``volatility``, ``max_drawdown``.
    """
    root = np.sqrt(per_year)
    mean, spread = returns.mean(axis=1), returns.std(axis=1, ddof=1)
    downside = np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2, axis=1))
    curve = np.cumprod(1 + returns, axis=1)
    growth = np.asarray(curve[:, -1], dtype=np.float64)
    peak = np.maximum.accumulate(np.maximum(curve, 1.0), axis=1)
    max_drawdown = np.max(1 - curve / peak, axis=1)
    cagr = growth_a_year(growth, years)
    found = {
        "total_return": growth - 1,
        "cagr": cagr,
        "volatility": spread * root,
        "sharpe": ratio(mean, spread) * root,
        "sortino": ratio(mean, downside) * root,
        "calmar": ratio(cagr, max_drawdown),
        "max_drawdown": max_drawdown,
    }
    if market is not None:
        around = market.mean(axis=1)
        covariance = np.mean((returns - mean[:, None]) * (market - around[:, None]), axis=1)
        variance = market.var(axis=1)
        beta = np.where(variance > NO_SPREAD**2, covariance, np.nan) / np.where(variance > 0, variance, 1.0)
        found |= {"beta": beta, "alpha": (mean - beta * around) * per_year}
    return found


def ratio(above: Values, below: Values) -> Values:
    """Divide; NaN where constant returns leave rounding, not risk, in the denominator."""
    held = below > NO_SPREAD
    return np.where(held, above / np.where(held, below, 1.0), np.nan)


def growth_a_year(growth: Values, years: float) -> Values:
    """Return the compound rate of growth factors over a span; -1 for ruin, NaN for what no year can hold."""
    if years <= 0:
        return np.full(growth.shape, np.nan)
    exponent = np.log(np.maximum(growth, 1e-300)) / years
    rate = np.where(exponent < _MOST_LOG_GROWTH, np.expm1(np.minimum(exponent, _MOST_LOG_GROWTH)), np.nan)
    return np.where(growth > 0, rate, -1.0)


def skewness_and_kurtosis(returns: Values) -> tuple[float, float]:
    """Return the third and the fourth standardised moment of returns with spread, shape (T,); 3 is normal."""
    standardised = (returns - returns.mean()) / returns.std()
    return float((standardised**3).mean()), float((standardised**4).mean())
