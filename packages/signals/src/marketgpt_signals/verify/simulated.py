"""Candles and forecasts to verify on when none are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from marketgpt_core.candles import Candles
from marketgpt_core.forecast import Forecast
from marketgpt_signals.testing import make_history, make_varied_forecast

_HORIZONS = (1, 5, 10)
_NUM_DATES = 30
_FIRST_BARS = 400


def simulated(
    history_bars: int, *, horizons: Sequence[int] = (), num_dates: int = _NUM_DATES, seed: int = 0
) -> tuple[Forecast, Candles]:
    """Return forecasts from strong falls to strong rises on random walks, with candles before and after.

    Args:
        history_bars: Candles that must lie before the first forecast.
        horizons: Bars ahead; none: 1, 5 and 10.
        num_dates: As-of dates.
        seed: Of both.
    """
    candles = make_history(max(_FIRST_BARS, 2 * history_bars), seed=seed)
    series = next(iter(candles.values()))
    rows = slice(-num_dates - 30, -30)
    days = [str(day)[:10] for day in series.time[rows]]
    forecast = make_varied_forecast(horizons=sorted(horizons) or _HORIZONS, as_of=days, seed=seed)
    place = {day: i for i, day in enumerate(series.time)}
    pairs = zip(forecast.symbols, forecast.as_of, strict=True)
    close = np.array([candles[symbol].close[place[as_of]] for symbol, as_of in pairs])
    return replace(forecast, close=close), candles
