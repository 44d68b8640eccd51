from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_core.signal import Side
from marketgpt_core.testing import make_candles
from marketgpt_signals.backtest import price_grid, weights_from_signals

CANDLES = make_candles(["AAA", "BBB"], num_candles=12, start="2016-01-04")
DAYS = [datetime.fromisoformat(str(moment)[:10]).replace(tzinfo=UTC) for moment in CANDLES["AAA"].time]


def without(series: CandleSeries, *rows: int) -> CandleSeries:
    kept = np.setdiff1d(np.arange(len(series)), rows)
    columns = {
        name: getattr(series, name)[kept] for name in ("time", "open", "high", "low", "close", "volume")
    }
    return CandleSeries(symbol=series.symbol, interval=series.interval, **columns)


def test_overlapping_cohorts_by_hand(make_signal):
    """h = 3, one symbol: the weight is the mean of the last three sides, silence counting as FLAT."""
    sides = {0: Side.LONG, 1: Side.LONG, 2: Side.SHORT, 4: Side.LONG}
    signals = [make_signal(as_of=DAYS[day], side=side, horizon_bars=3) for day, side in sides.items()]
    plan = weights_from_signals(signals, CANDLES, horizon_bars=3)
    thirds = [1, 2, 1, 0, 0, 1, 1, 0, 0]
    np.testing.assert_allclose(plan.weights[:, 0] * 3, thirds)
    # From the first signal to the bar at whose open the last cohort is sold: 4 + 1 + 3.
    np.testing.assert_array_equal(plan.grid.time, CANDLES["AAA"].time[:9])
    assert plan.grid.symbols == ("AAA",)
    assert plan.num_outside == 0


def test_each_symbol_has_its_share_of_the_account(make_signal):
    signals = [
        make_signal(as_of=day, symbol=symbol, horizon_bars=2) for day in DAYS for symbol in ("BBB", "AAA")
    ]
    plan = weights_from_signals(signals, CANDLES, horizon_bars=2)
    assert plan.grid.symbols == ("AAA", "BBB")
    np.testing.assert_allclose(plan.weights[1:], 0.5)
    np.testing.assert_allclose(plan.weights[0], 0.25)
    np.testing.assert_array_equal(plan.grid.open[:, 1], CANDLES["BBB"].open)


def test_a_weight_knows_nothing_later(make_signal):
    rng = np.random.default_rng(0)
    sides = [Side(name) for name in rng.choice(["LONG", "SHORT", "FLAT"], len(DAYS))]
    signals = [
        make_signal(as_of=day, side=side, horizon_bars=3) for day, side in zip(DAYS, sides, strict=True)
    ]
    whole = weights_from_signals(signals, CANDLES, horizon_bars=3)
    for row, day in enumerate(DAYS[:-3]):
        said = [signal for signal in signals if signal.as_of <= day]
        part = weights_from_signals(said, CANDLES, horizon_bars=3)
        np.testing.assert_array_equal(part.weights[: row + 1], whole.weights[: row + 1])


def test_bars_are_the_symbols_own(make_signal):
    """BBB has a holiday at row 2: its cohort of two bars ends a day later on the common grid."""
    candles = Candles([CANDLES["AAA"], without(CANDLES["BBB"], 2)])
    signals = [make_signal(as_of=DAYS[1], symbol=symbol, horizon_bars=2) for symbol in ("AAA", "BBB")]
    plan = weights_from_signals(signals, candles, horizon_bars=2)
    np.testing.assert_allclose(plan.weights[:, 0] * 4, [1, 1, 0, 0, 0])
    np.testing.assert_allclose(plan.weights[:, 1] * 4, [1, 1, 1, 0, 0])
    assert np.isnan(plan.grid.open[1, 1])
    assert np.isnan(plan.grid.close[1, 1])


def test_signals_outside_the_candles_are_counted_and_their_symbols_get_no_budget(make_signal):
    signals = [
        make_signal(as_of=DAYS[3], horizon_bars=2),
        make_signal(as_of=datetime(2015, 1, 5, tzinfo=UTC), horizon_bars=2),
        make_signal(as_of=datetime(2017, 1, 5, tzinfo=UTC), horizon_bars=2, symbol="BBB"),
    ]
    plan = weights_from_signals(signals, CANDLES, horizon_bars=2)
    assert plan.num_outside == 2
    assert plan.traded == (signals[0],)
    np.testing.assert_allclose(plan.weights[:, 0], [0.5, 0.5, 0, 0])
    with pytest.raises(DataError, match=r"\(2016-01-04 to 2016-01-19\) reach none of the 1 signals"):
        weights_from_signals(signals[1:2], CANDLES, horizon_bars=2)


def test_what_cannot_be_traded_is_refused_with_its_name(make_signal):
    one = make_signal(as_of=DAYS[3])

    def refused(*signals, candles=CANDLES, match):
        with pytest.raises(DataError, match=match):
            weights_from_signals(signals, candles, horizon_bars=5)

    refused(match="no signals for 5 bars; there are horizons none")
    refused(make_signal(horizon_bars=3), make_signal(horizon_bars=1), match="there are horizons 1, 3")
    refused(make_signal(symbol="AAB"), match="unknown symbol 'AAB'; did you mean 'AAA'")
    refused(make_signal(interval=Interval.HOUR), match="a signal for 1h bars among 1d candles")
    refused(
        one,
        make_signal(as_of=DAYS[3], strategy="mine"),
        match="2 signals for AAA at 2016-01-07, 5 bars; choose one strategy and model among "
        "mine/model-1, threshold/model-1",
    )
    holiday = Candles([without(CANDLES["AAA"], 3)])
    refused(one, candles=holiday, match="AAA has no candle at 2016-01-07, where a signal was made")


def test_a_grid_is_the_union_of_stamps():
    one, other = without(CANDLES["AAA"], 0), without(CANDLES["BBB"], 5, 11)
    grid = price_grid([one, other])
    np.testing.assert_array_equal(grid.time, CANDLES["AAA"].time)
    assert np.flatnonzero(np.isnan(grid.close[:, 0])).tolist() == [0]
    assert np.flatnonzero(np.isnan(grid.open[:, 1])).tolist() == [5, 11]
