"""Bars that are not there are stated, never guessed."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.errors import DataError
from marketgpt_core.signal import Side
from marketgpt_core.symbols import Category
from marketgpt_core.testing import make_candles
from marketgpt_signals.backtest import BacktestConfig, backtest_signals

CANDLES = make_candles(["AAA", "BBB"], num_candles=30, start="2016-01-04")
DAYS = [datetime.fromisoformat(str(moment)[:10]).replace(tzinfo=UTC) for moment in CANDLES["AAA"].time]
QUICK = BacktestConfig(horizon_bars=3, num_resamples=0, num_random=5)


def only(series: CandleSeries, rows: np.ndarray, category: Category = Category.UNKNOWN) -> CandleSeries:
    columns = {
        name: getattr(series, name)[rows] for name in ("time", "open", "high", "low", "close", "volume")
    }
    return CandleSeries(symbol=series.symbol, interval=series.interval, category=category, **columns)


def test_an_asset_that_ends_keeps_its_last_price_and_is_named(make_signal):
    gone = only(CANDLES["BBB"], np.arange(12))
    signals = [
        make_signal(as_of=day, symbol=symbol, horizon_bars=3)
        for symbol, days in (("AAA", DAYS[:25]), ("BBB", DAYS[:12]))
        for day in days
    ]
    result = backtest_signals(signals, Candles([CANDLES["AAA"], gone]), QUICK)
    held = f"{result.positions[11, 1]:.1%}"
    assert held == "49.8%"
    assert result.notes[0] == "BBB: 4 signals have no outcome: still open where its candles end, 2016-01-19"
    assert result.notes[1].startswith(
        f"BBB: candles end at 2016-01-19 with {held} of the account in it, which"
    )
    assert len(result.notes) == 2
    assert result.trades.num_closed == 25 + 8
    # No trade of it, no costs for it, and no move of its value after its end.
    shares = result.positions[:, 1] * result.equity
    np.testing.assert_allclose(shares[12:], shares[11])
    assert result.to_json()["notes"] == list(result.notes)


@pytest.mark.parametrize(
    ("absent", "reason"),
    [
        (1, "no candle at 2016-01-05, where it is entered"),
        (3, "no candle at 2016-01-07, where its horizon ends"),
        (4, "no candle at 2016-01-08, where it is left"),
    ],
)
def test_a_missing_bar_is_no_trade_that_is_judged(make_signal, absent, reason):
    """On New York's calendar, where what is a session is known; ten of them before Martin Luther King Day."""
    spy = make_candles(["SPY"], num_candles=10, start="2016-01-04")["SPY"]
    series = only(spy, np.setdiff1d(np.arange(10), [absent]), Category.US)
    made = make_signal(as_of=DAYS[0], symbol="SPY", horizon_bars=3)
    result = backtest_signals([made], Candles([series]), QUICK)
    assert result.trades.num_closed == 0
    assert result.notes == (f"SPY: 1 signals have no outcome: {reason}",)


def test_signals_still_open_at_the_end_are_told(make_signal):
    signals = [make_signal(as_of=day, horizon_bars=3, side=Side.SHORT) for day in DAYS]
    result = backtest_signals(signals, CANDLES, QUICK)
    assert result.notes == ("AAA: 4 signals have no outcome: still open where its candles end, 2016-02-12",)


def test_no_signals_are_no_backtest():
    with pytest.raises(DataError, match="no signals for 3 bars; there are horizons none"):
        backtest_signals([], CANDLES, QUICK)


def test_a_benchmark_of_another_time_is_said_to_be_missing(make_signal):
    signals = [make_signal(as_of=day, horizon_bars=3) for day in DAYS[:10]]
    market = make_candles(["SPY", "BBB"], num_candles=10, start="2001-01-01").select(["SPY"])
    result = backtest_signals(signals, CANDLES, QUICK, market=market)
    assert result.benchmarks == {}
    assert result.notes == ("SPY: no candles between 2016-01-04 and 2016-01-21",)
