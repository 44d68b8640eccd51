"""GARCH(1,1) and GJR-GARCH(1,1) with Student t errors, refitted as time goes on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from scipy.special import stdtr, stdtrit

from marketgpt_core.candles import CandleSeries
from marketgpt_training.evaluation.baselines.base import (
    FIT_WINDOW_BARS,
    LEVELS,
    REFIT_BARS,
    ClosedLaw,
    Floats,
    Law,
    Rows,
    latin_hypercube,
    refit_groups,
    simulate,
)
from marketgpt_training.evaluation.baselines.garch_fit import GarchParameters, fit_garch
from marketgpt_training.evaluation.variance import log_returns

_PERCENT = 100.0
_TABLE_SIZE = 8_192
# A search starts from where the last one ended, but every so often from several places: of a likelihood with
# two hills it would else climb the one that once was higher.
_FULL_SEARCH_BARS = 4 * REFIT_BARS
_MOST_TABULATED_FREEDOM = 60.0


def garch_t(
    series: CandleSeries, rows: Rows, horizons: Sequence[int], num_paths: int, rng: np.random.Generator
) -> Law:
    """GARCH(1,1)-t, a constant mean, refitted every 60 bars on at most the last 2,500 bars known.

    Bollerslev 1987. One bar ahead the law is the fitted Student t itself, no sample; further out it is
    simulated. A refit that does not converge is counted and the last one that did stays in use (the very
    first is used as it is).
    """
    return _garch(series, rows, horizons, (num_paths, rng), asymmetric=False)


def gjr_t(
    series: CandleSeries, rows: Rows, horizons: Sequence[int], num_paths: int, rng: np.random.Generator
) -> Law:
    """GJR-GARCH(1,1)-t: as :func:`garch_t`, with falls raising variance more (Glosten et al. 1993)."""
    return _garch(series, rows, horizons, (num_paths, rng), asymmetric=True)


def _garch(
    series: CandleSeries,
    rows: Rows,
    horizons: Sequence[int],
    draw: tuple[int, np.random.Generator],
    *,
    asymmetric: bool,
) -> Law:
    # returns[i] ends at candle i + 1: up to candle `row` they are returns[:row].
    returns = log_returns(series)[1:] * _PERCENT
    uniforms = latin_hypercube(max(horizons), *draw)
    shape = (len(rows), len(horizons))
    quantiles, p_up = np.empty((*shape, len(LEVELS))), np.empty(shape)
    closed = ClosedLaw(*(np.full(shape, np.nan) for _ in range(3)))
    counts = {"fits": 0, "not_converged": 0}
    asked = dict(refit_groups(rows))
    fitted, place = None, None
    for refit in _chain(asked):
        first = max(0, refit - FIT_WINDOW_BARS)
        if refit % _FULL_SEARCH_BARS == 0 or place is None:
            fitted = place = None
        found, place = fit_garch(returns[first:refit], asymmetric=asymmetric, start=place)
        counts["fits"] += 1
        counts["not_converged"] += not found.converged
        if found.converged or fitted is None:
            fitted = found
        if refit not in asked:
            continue
        mine = asked[refit]
        variances = fitted.variances(returns[first : int(rows[mine].max())])[rows[mine] - first]
        quantiles[mine], p_up[mine] = _paths(fitted, variances, horizons, uniforms)
        if horizons[0] == 1:
            _next_bar(fitted, variances, (quantiles, p_up, closed), mine)
    return Law(quantiles, p_up, closed, counts)


def _chain(asked: Iterable[int]) -> list[int]:
    """Return the refits to make, in order: those asked for, and those each of their searches starts from.

    So a refit depends on its row alone, never on which other forecasts are made beside it.
    """
    needed: set[int] = set()
    for refit in asked:
        full = max(refit // _FULL_SEARCH_BARS * _FULL_SEARCH_BARS, REFIT_BARS)
        needed.update(range(full, refit + 1, REFIT_BARS))
    return sorted(needed)


def _next_bar(
    fitted: GarchParameters, variances: Floats, law: tuple[Floats, Floats, ClosedLaw], mine: Rows
) -> None:
    """Write the exact law of the next bar over the simulated one."""
    quantiles, p_up, closed = law
    nu = fitted.freedom
    scale = np.sqrt(variances * (nu - 2) / nu) / _PERCENT
    location = fitted.mean / _PERCENT
    quantiles[mine, 0] = location + scale[:, None] * stdtrit(nu, LEVELS)
    p_up[mine, 0] = stdtr(nu, location / scale)
    closed.location[mine, 0], closed.scale[mine, 0], closed.freedom[mine, 0] = location, scale, nu


def _paths(
    fitted: GarchParameters, variances: Floats, horizons: Sequence[int], uniforms: Floats
) -> tuple[Floats, Floats]:
    table = _student_table(round(min(fitted.freedom, _MOST_TABULATED_FREEDOM), 1))

    def step(levels: Floats, state: Floats) -> tuple[Floats, Floats]:
        shocks = table[(levels * _TABLE_SIZE).astype(np.int64)]
        rates = (fitted.alpha + fitted.gamma * (shocks < 0)) * shocks**2 + fitted.beta
        moved = np.sqrt(state) * (shocks / _PERCENT) + fitted.mean / _PERCENT
        return moved, state * rates + fitted.omega

    return simulate(step, variances[:, None], horizons, uniforms)


@cache
def _student_table(freedom: float) -> Floats:
    """Return a fine, even grid of quantiles of the Student t of unit variance."""
    half = _TABLE_SIZE // 2
    nu = max(freedom, 2.1)
    upper = stdtrit(nu, (half + np.arange(half) + 0.5) / _TABLE_SIZE)
    table = np.concatenate([-upper[::-1], upper])
    return np.asarray(table / table.std())
