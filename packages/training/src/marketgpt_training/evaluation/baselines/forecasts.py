"""Baselines over many symbols: the very (symbol, as-of) pairs and horizons of another forecast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np

from marketgpt_core.candles import Candles, as_of_index
from marketgpt_core.forecast import Forecast
from marketgpt_training.evaluation.baselines.autoregression import ar1
from marketgpt_training.evaluation.baselines.base import LEVELS, MIN_HISTORY, Baseline, ClosedLaw, Rows
from marketgpt_training.evaluation.baselines.ewma import ewma_fhs, ewma_normal
from marketgpt_training.evaluation.baselines.garch import garch_t, gjr_t
from marketgpt_training.evaluation.baselines.historical import random_walk
from marketgpt_training.evaluation.quantile_law import QuantileLaw

BASELINES: dict[str, Baseline] = {
    "random_walk": random_walk,
    "ewma_normal": ewma_normal,
    "ewma_fhs": ewma_fhs,
    "garch_t": garch_t,
    "gjr_t": gjr_t,
    "ar1": ar1,
}
"""By name; ``random_walk`` is the expanding empirical law."""

LABELS = {
    "random_walk": "expanding empirical",
    "ewma_normal": "EWMA-normal",
    "ewma_fhs": "EWMA-FHS on ranges",
    "garch_t": "GARCH(1,1)-t",
    "gjr_t": "GJR-GARCH(1,1)-t",
    "ar1": "AR(1)",
    "log_har": "log-HAR on ranges",
}
"""By name, as people call them."""

_LONGEST_USUAL_HORIZON = 42


@dataclass(frozen=True, eq=False)
class BaselineForecast:
    """What a baseline says.

    Attributes:
        forecast: As quantiles.
        closed: Its closed laws, where it has them; None where no row has.
        counts: Summed over symbols: ``fits``, ``not_converged`` and what else a baseline counts.
    """

    forecast: Forecast
    closed: ClosedLaw | None = None
    counts: dict[str, int] = field(default_factory=dict)


def least_history(horizons: Sequence[int]) -> int:
    """Return the candles every baseline needs before an as-of row: 252, more for horizons over 42 bars."""
    return MIN_HISTORY + max(0, max(horizons) - _LONGEST_USUAL_HORIZON)


def rows_by_symbol(forecast: Forecast, candles: Candles) -> list[tuple[str, Rows, Rows]]:
    """Return (symbol, its positions in the forecast, rows of its series they were made at)."""
    names = np.array(forecast.symbols)
    order = np.argsort(names, kind="stable")
    symbols, starts = np.unique(names[order], return_index=True)
    result = []
    for symbol, mine in zip(symbols, np.split(order, starts[1:]), strict=True):
        series = candles[str(symbol)]
        rows = np.searchsorted(series.time, forecast.as_of[mine], side="right") - 1
        if len(rows) and rows.min() < 0:
            # Says which, and where the series starts.
            as_of_index(series, forecast.as_of[mine].min())
        result.append((str(symbol), mine.astype(np.int64), rows.astype(np.int64)))
    return result


def forecast_baseline(
    name: str, candles: Candles, like: Forecast, *, num_paths: int = 1_000, seed: int = 0
) -> BaselineForecast:
    """Return a baseline's forecast for the very (symbol, as-of) pairs and horizons of another forecast.

    Args:
        name: A key of :data:`BASELINES`.
        candles: History; must reach back at least :func:`least_history` candles before each as-of date.
        like: The forecast to be compared with.
        num_paths: Simulated paths a pair, where a law must be simulated.
        seed: Seed of numpy's generator.
    """
    horizons = [int(h) for h in like.horizons]
    shape = (len(like), len(horizons))
    quantiles, p_up = np.empty((*shape, len(LEVELS))), np.empty(shape)
    closed = ClosedLaw(*(np.full(shape, np.nan) for _ in range(3)))
    counts: Counter[str] = Counter()
    for symbol, mine, rows in rows_by_symbol(like, candles):
        # By its name: a symbol gets what it gets, whichever others are asked for.
        rng = np.random.default_rng([seed, crc32(symbol.encode())])
        law = BASELINES[name](candles[symbol], rows, horizons, num_paths, rng)
        quantiles[mine], p_up[mine] = law.quantiles, law.p_up
        if law.closed is not None:
            closed.location[mine], closed.scale[mine] = law.closed.location, law.closed.scale
            closed.freedom[mine] = law.closed.freedom
        counts.update(law.counts)
    made = Forecast(
        symbols=like.symbols,
        as_of=like.as_of,
        close=like.close,
        horizons=like.horizons,
        levels=LEVELS,
        quantiles=quantiles,
        p_up=np.clip(p_up, 0.0, 1.0),
        aleatoric=np.sqrt(QuantileLaw(quantiles, LEVELS).moments()[1]),
        epistemic=np.zeros(shape),
        interval=like.interval,
        model_id=name,
        data_fingerprint=like.data_fingerprint,
    )
    return BaselineForecast(made, closed if np.isfinite(closed.scale).any() else None, dict(counts))


def baseline_forecast(
    name: str, candles: Candles, like: Forecast, *, num_samples: int = 1_000, seed: int = 0
) -> Forecast:
    """Return only the forecast of :func:`forecast_baseline`."""
    return forecast_baseline(name, candles, like, num_paths=num_samples, seed=seed).forecast
