"""What any serious forecaster must beat, each fitted only on what was known at the as-of date.

Every baseline returns samples of the cumulative log return, shape (N, S, H): N as-of rows, S samples, H
horizons.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from marketgpt_core.candles import Candles, CandleSeries, as_of_index
from marketgpt_core.forecast import Forecast
from marketgpt_training.evaluation.variance import log_returns, range_variance

logger = logging.getLogger(__name__)

Rows = NDArray[np.int64]
Samples = NDArray[np.float64]
Baseline = Callable[[CandleSeries, Rows, Sequence[int], int, np.random.Generator], Samples]

MIN_HISTORY = 252
_EWMA_LAMBDA = 0.94
_FHS_POOL = 1_000
_FHS_BURN_IN = 50
_GARCH_REFIT_BARS = 60
_GARCH_WINDOW = 2_500
_PERCENT = 100.0


def random_walk(
    series: CandleSeries, rows: Rows, horizons: Sequence[int], num_samples: int, rng: np.random.Generator
) -> Samples:
    """Historical simulation: the law of all overlapping h-bar returns up to the as-of row.

    The samples are that law's quantiles at evenly spaced levels, so nothing is random here.
    """
    del rng
    log_close = np.log(series.close)
    samples = np.empty((len(rows), num_samples, len(horizons)))
    for position, horizon in enumerate(horizons):
        samples[:, :, position] = _expanding_quantiles(
            log_close[horizon:] - log_close[:-horizon], rows - horizon + 1, num_samples
        )
    return samples


def _expanding_quantiles(
    values: NDArray[np.float64], counts: NDArray[np.int64], num_levels: int
) -> NDArray[np.float64]:
    """Return evenly spaced quantiles of ``values[:count]`` for each count, shape (N, num_levels).

    One sorted array grows from count to count: sorting 10,000 values anew for each of thousands of dates
    would take longer than every other part of an evaluation.
    """
    levels = (np.arange(num_levels) + 0.5) / num_levels
    result = np.empty((len(counts), num_levels))
    ordered, used = np.empty(0), 0
    for i in np.argsort(counts, kind="stable"):
        fresh = np.sort(values[used : counts[i]])
        ordered, used = np.insert(ordered, np.searchsorted(ordered, fresh), fresh), int(counts[i])
        place = levels * (used - 1)
        left = place.astype(np.int64)
        right = np.minimum(left + 1, used - 1)
        result[i] = ordered[left] + (place - left) * (ordered[right] - ordered[left])
    return result


def ewma_fhs(
    series: CandleSeries, rows: Rows, horizons: Sequence[int], num_samples: int, rng: np.random.Generator
) -> Samples:
    """Filtered historical simulation on an exponentially weighted range variance.

    RiskMetrics' decay 0.94; each simulated bar draws one past bar's standardised return together with its
    standardised variance (Barone-Adesi, Giannopoulos and Vosper 1999), from the last 1,000 bars.
    """
    returns, variance = log_returns(series), range_variance(series)
    floor = 1e-10
    next_variance = lfilter(
        [1 - _EWMA_LAMBDA], [1, -_EWMA_LAMBDA], variance, zi=[_EWMA_LAMBDA * variance[1]]
    )[0]
    current = np.maximum(np.concatenate([[variance[1]], next_variance[:-1]]), floor)
    shocks, ratios = returns / np.sqrt(current), variance / current
    pool = np.minimum(rows - _FHS_BURN_IN, _FHS_POOL)
    state = np.repeat(np.maximum(next_variance[rows], floor)[:, None], num_samples, axis=1)

    def step(state: Samples) -> tuple[Samples, Samples]:
        drawn = rows[:, None] - (rng.random((len(rows), num_samples)) * pool[:, None]).astype(np.int64)
        moved = shocks[drawn] * np.sqrt(state)
        return moved, np.maximum((_EWMA_LAMBDA + (1 - _EWMA_LAMBDA) * ratios[drawn]) * state, floor)

    return _simulate(step, state, horizons)


def garch_t(
    series: CandleSeries, rows: Rows, horizons: Sequence[int], num_samples: int, rng: np.random.Generator
) -> Samples:
    """GARCH(1,1) with Student t errors and a constant mean, refitted every 60 bars by maximum likelihood.

    Bollerslev, "A conditionally heteroskedastic time series model", 1987; fitted by the package ``arch`` on
    at most the last 2,500 bars known when the refit is made.
    """
    returns = log_returns(series)[1:] * _PERCENT
    samples = np.empty((len(rows), num_samples, len(horizons)))
    refits = (rows // _GARCH_REFIT_BARS) * _GARCH_REFIT_BARS
    parameters: NDArray[np.float64] | None = None
    for refit in np.unique(refits):
        chosen = refits == refit
        # returns[i] ends at candle i + 1: up to `refit` they are returns[:refit].
        parameters = _fit_garch(returns[max(0, refit - _GARCH_WINDOW) : refit], parameters)
        samples[chosen] = _garch_samples(returns, rows[chosen], parameters, horizons, (num_samples, rng))
    return samples / _PERCENT


def _fit_garch(returns: NDArray[np.float64], previous: NDArray[np.float64] | None) -> NDArray[np.float64]:
    from arch import arch_model

    with warnings.catch_warnings():
        # A fit that does not converge is answered by the last one that did, not by a warning.
        warnings.simplefilter("ignore")
        model = arch_model(returns, mean="Constant", vol="GARCH", p=1, q=1, dist="t", rescale=False)
        fitted = model.fit(disp="off", show_warning=False, starting_values=previous)
    if fitted.convergence_flag != 0 and previous is not None:
        logger.debug("GARCH did not converge; the previous parameters stay")
        return previous
    return np.asarray(fitted.params, dtype=np.float64)


def _garch_samples(
    returns: NDArray[np.float64],
    rows: Rows,
    parameters: NDArray[np.float64],
    horizons: Sequence[int],
    draw: tuple[int, np.random.Generator],
) -> Samples:
    num_samples, rng = draw
    mean, omega, alpha, beta, freedom = parameters
    known = returns[: rows.max()]
    start = known[:250].var()
    forced = omega + alpha * (known - mean) ** 2
    next_variance = lfilter([1.0], [1.0, -beta], forced, zi=[beta * start])[0]
    state = np.repeat(next_variance[rows - 1][:, None], num_samples, axis=1)
    scale = np.sqrt((freedom - 2) / freedom)

    def step(state: Samples) -> tuple[Samples, Samples]:
        shock = rng.standard_t(freedom, state.shape) * scale * np.sqrt(state)
        return mean + shock, omega + alpha * shock**2 + beta * state

    return _simulate(step, state, horizons)


def _simulate(
    step: Callable[[Samples], tuple[Samples, Samples]], state: Samples, horizons: Sequence[int]
) -> Samples:
    total = np.zeros_like(state)
    samples = np.empty((*state.shape, len(horizons)))
    wanted = {horizon: position for position, horizon in enumerate(horizons)}
    for bar in range(1, max(horizons) + 1):
        moved, state = step(state)
        total = total + moved
        if bar in wanted:
            samples[..., wanted[bar]] = total
    return samples


BASELINES: dict[str, Baseline] = {"random_walk": random_walk, "ewma_fhs": ewma_fhs, "garch_t": garch_t}


def baseline_forecast(
    name: str,
    candles: Candles,
    like: Forecast,
    *,
    num_samples: int,
    seed: int,
) -> Forecast:
    """Return a baseline's forecast for the very (symbol, as-of) pairs and horizons of another forecast.

    Args:
        name: A key of :data:`BASELINES`.
        candles: History; must reach back at least 252 candles before each as-of date.
        like: The forecast to be compared with.
        num_samples: Samples a pair.
        seed: Seed of numpy's generator.
    """
    horizons = [int(h) for h in like.horizons]
    samples = np.empty((len(like), num_samples, len(horizons)))
    names = np.array(like.symbols)
    for number, symbol in enumerate(sorted(set(like.symbols))):
        mine = np.flatnonzero(names == symbol)
        series = candles[symbol]
        rows = np.array([as_of_index(series, moment) for moment in like.as_of[mine]], dtype=np.int64)
        rng = np.random.default_rng([seed, number])
        samples[mine] = BASELINES[name](series, rows, horizons, num_samples, rng)
    return Forecast.from_samples(
        samples,
        symbols=like.symbols,
        as_of=like.as_of,
        close=like.close,
        horizons=horizons,
        interval=like.interval,
        model_id=name,
        data_fingerprint=like.data_fingerprint,
    )
