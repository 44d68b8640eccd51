from __future__ import annotations

import numpy as np
import pytest

from marketgpt_core.alignment import Aligned
from marketgpt_core.candles import Candles
from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_signals.base import Decision, StrategyConfig, ViewStrategy
from marketgpt_signals.known import KnownCandles, cross_sections, moments_known
from marketgpt_signals.testing import CREATED_AT

DAY = "2015-03-04"


def test_candles_are_cut_by_the_moment_not_by_the_date():
    """Tokyo's candle of the day ends before New York's: at its close the other is not there."""
    candles = Candles([*make_candles(["7203.T"]).values(), *make_candles(["SPY"], seed=1).values()])
    aligned = Aligned(candles)
    row = int(np.searchsorted(candles["SPY"].time, np.datetime64(DAY)))
    tokyo, york = (aligned.known_at(symbol)[row] for symbol in ("7203.T", "SPY"))
    at_tokyo, at_york = KnownCandles(aligned, tokyo, 5), KnownCandles(aligned, york, 5)
    assert str(at_tokyo["7203.T"].time[-1])[:10] == DAY
    assert str(at_tokyo["SPY"].time[-1])[:10] == "2015-03-03"
    assert str(at_york["SPY"].time[-1])[:10] == DAY
    assert {len(series) for series in at_york.values()} == {5}


def test_what_is_shown_leads_nowhere_else():
    candles = make_candles(["AAA"], num_candles=50)
    known = KnownCandles(Aligned(candles), np.datetime64("2015-02-03T00:00", "ns"), 10)
    before = candles["AAA"].close.copy()
    shown = known["AAA"].close
    assert shown.base is None
    shown[:] = 0.0
    assert np.array_equal(candles["AAA"].close, before)
    with pytest.raises(KeyError):
        known["BBB"]
    assert list(KnownCandles(Aligned(candles), np.datetime64("2014-01-01", "ns"), 10)) == []


def test_a_cross_section_is_of_one_moment():
    forecast = make_forecast(["7203.T", "AAPL", "BTC-USD", "MSFT"], as_of=[DAY, "2015-03-05"], horizons=[5])
    moments = moments_known(forecast, make_candles(["AAPL", "MSFT"], num_candles=100))
    groups = [tuple(forecast.symbols[i] for i in rows) for rows in cross_sections(forecast.as_of, moments)]
    assert groups == [("7203.T",), ("AAPL", "MSFT"), ("BTC-USD",)] * 2
    assert len(np.unique(moments)) == 6
    assert cross_sections(forecast.as_of[:0], moments[:0]) == []


class Last(ViewStrategy):
    """Remembers the last candle it was shown beside each row."""

    name = "last"
    Config = StrategyConfig
    history_bars = 3

    def __init__(self, config):
        super().__init__(config)
        self.seen = []

    def judge(self, view, column):
        series = view.candles["AAA"]
        self.seen.append((str(view.forecast.as_of[0])[:10], str(series.time[-1])[:10], len(series)))
        return [Decision("FLAT", 0.0, "no view")]


def test_a_strategy_is_shown_no_candle_after_its_as_of():
    strategy = Last(StrategyConfig())
    candles = make_candles(["AAA"], num_candles=100)
    days = [str(day)[:10] for day in candles["AAA"].time[[0, 1, 50, 99]]]
    strategy.signals(make_forecast(["AAA"], as_of=days, horizons=[1]), created_at=CREATED_AT, candles=candles)
    assert strategy.seen == [
        (days[0], days[0], 1),
        (days[1], days[1], 2),
        *((day, day, 3) for day in days[2:]),
    ]
