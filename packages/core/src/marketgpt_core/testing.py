"""Candles and forecasts of a known law, for tests here and in plugins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.forecast import Forecast
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category


def make_candles(
    symbols: Sequence[str] = ("AAA", "BBB"),
    *,
    num_candles: int = 300,
    start: str = "2015-01-01",
    daily_volatility: float = 0.01,
    category: Category = Category.US,
    seed: int = 0,
) -> Candles:
    """Return daily candles of a driftless geometric random walk: no skill can be had on them.

    Args:
        symbols: Symbols.
        num_candles: Candles a symbol, on consecutive weekdays.
        start: First date; moved to a weekday.
        daily_volatility: Standard deviation of the daily log return.
        category: Market of all symbols.
        seed: Seed of numpy's generator.
    """
    rng = np.random.default_rng(seed)
    first = np.busday_offset(np.datetime64(start, "D"), 0, roll="forward")
    days = np.busday_offset(first, np.arange(num_candles)).astype("datetime64[ns]")
    return Candles(_walk(symbol, days, daily_volatility, category, rng) for symbol in symbols)


def _walk(
    symbol: str,
    days: np.ndarray,
    volatility: float,
    category: Category,
    rng: np.random.Generator,
) -> CandleSeries:
    num_inner = 8
    steps = rng.normal(0.0, volatility / np.sqrt(num_inner + 1), (len(days), num_inner + 1))
    path = np.exp(np.log(100.0) + np.cumsum(steps.ravel()).reshape(steps.shape))
    # Column 0 is the open (after the overnight gap), the rest the session.
    return CandleSeries(
        symbol=symbol,
        interval=Interval.DAY,
        time=days,
        open=path[:, 0].copy(),
        high=path.max(axis=1),
        low=path.min(axis=1),
        close=path[:, -1].copy(),
        volume=rng.integers(1_000, 10_000, len(days)).astype(np.float64),
        category=category,
    )


def make_forecast(
    symbols: Sequence[str] = ("AAA", "BBB"),
    *,
    as_of: Sequence[str] = ("2016-01-04", "2016-01-05"),
    horizons: Sequence[int] = (1, 5, 10),
    drift: float = 0.0,
    daily_volatility: float = 0.01,
    num_samples: int = 2_000,
    seed: int = 0,
) -> Forecast:
    """Return forecasts sampled from a random walk with drift, for every symbol at every date.

    Args:
        symbols: Symbols.
        as_of: Dates.
        horizons: Bars ahead.
        drift: Mean daily log return.
        daily_volatility: Standard deviation of the daily log return.
        num_samples: Paths a pair.
        seed: Seed of numpy's generator.
    """
    rng = np.random.default_rng(seed)
    n = len(symbols) * len(as_of)
    steps = rng.normal(drift, daily_volatility, (n, num_samples, max(horizons)))
    return Forecast.from_paths(
        np.cumsum(steps, axis=-1),
        symbols=[symbol for _ in as_of for symbol in symbols],
        as_of=np.repeat(np.array(as_of, dtype="datetime64[ns]"), len(symbols)),
        close=np.full(n, 100.0),
        horizons=horizons,
        num_passes=4,
        model_id="random-walk",
        data_fingerprint="0" * 64,
    )
