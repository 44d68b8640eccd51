from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.interval import Interval
from marketgpt_core.signal import Side
from marketgpt_core.testing import make_candles
from marketgpt_core.times import to_datetime
from marketgpt_signals.backtest import BacktestConfig, backtest_signals
from marketgpt_signals.backtest.tearsheet import Tested

SIDES = (Side.SHORT, Side.FLAT, Side.LONG)


@pytest.fixture(scope="session")
def make_tested(make_signal):
    """Backtests of signals with given sides (+1, 0, -1), one for each of a symbol's first bars."""

    def make(candles: Candles, sides: np.ndarray, config: BacktestConfig | None = None, **changes) -> Tested:
        config = config or BacktestConfig(horizon_bars=5, num_resamples=50, num_random=20)
        made = []
        for column, series in enumerate(candles.values()):
            for row, side in enumerate(sides[:, column]):
                as_of = to_datetime(series.time[row])
                moments = {"as_of": as_of, "expires_at": as_of + timedelta(days=30)}
                own = {"symbol": series.symbol, "interval": series.interval, "side": SIDES[side + 1]}
                horizon = {"horizon_bars": config.horizon_bars, "close": float(series.close[row])}
                made.append(make_signal(**(moments | own | horizon | changes)))
        return Tested(backtest_signals(made, candles, config), made, candles, "made up", "l.db")

    return make


@pytest.fixture(scope="session")
def tested(make_tested):
    """Two symbols over the years 2017 to 2020, with both sides and abstentions."""
    candles = make_candles(["AAA", "BBB"], num_candles=900, start="2017-02-06")
    return make_tested(candles, np.random.default_rng(1).integers(-1, 2, (880, 2)))


@pytest.fixture(scope="session")
def hourly():
    """A made-up market that never closes, by the hour."""
    (series,) = make_candles(["BTC-USD"], num_candles=1_500).values()
    time = np.datetime64("2023-01-01", "ns") + np.arange(1_500) * np.timedelta64(1, "h")
    return Candles([replace(series, time=time, interval=Interval.HOUR)], interval=Interval.HOUR)
