from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_signals.tuning.folds import cut_period

CANDLES = make_candles(["AAA", "BBB"], num_candles=300, start="2016-01-04")
DAYS = [str(moment)[:10] for moment in CANDLES["AAA"].time[50:280]]
FORECAST = make_forecast(["AAA", "BBB"], as_of=DAYS, horizons=(5,), num_samples=40)
UNTIL = CANDLES["AAA"].time[249]


def cut(forecast=FORECAST, candles=CANDLES, **changes):
    asked = {"until": UNTIL, "horizon_bars": 5, "num_folds": 4, "embargo_bars": 3}
    return cut_period(forecast, candles, **(asked | changes))


def test_what_is_held_in_one_fold_is_not_held_in_another():
    period = cut()
    assert len(period.folds) == 4
    bars = CANDLES["AAA"].time
    spans = []
    for number in range(4):
        rows = np.searchsorted(bars, period.forecast.as_of[period.fold_of == number])
        spans.append((rows.min(), rows.max() + 1 + 5))  # sold at the open h + 1 bars later
    for (_, sold), (made, _) in pairwise(spans):
        assert made - sold == 3 + 1  # the block's first bar, then the embargo
    assert spans[0][0] == 50
    assert spans[-1][1] == 249  # at the last bar of the period
    assert period.num_purged == len(FORECAST.rows(FORECAST.as_of <= UNTIL)) - len(period.forecast) > 0


def test_nothing_after_the_period_is_in_it():
    period = cut()
    assert period.candles.end == UNTIL
    assert period.forecast.as_of.max() < UNTIL


def test_a_symbol_without_a_bar_at_its_as_of_is_left_out():
    holes = CANDLES["BBB"]
    keep = np.arange(300) != 60
    holed = replace(
        holes,
        **{name: getattr(holes, name)[keep] for name in ("time", "open", "high", "low", "close", "volume")},
    )
    period = cut(candles=Candles([CANDLES["AAA"], holed]))
    gone = [
        symbol
        for symbol, as_of in zip(period.forecast.symbols, period.forecast.as_of, strict=True)
        if as_of == holes.time[60]
    ]
    assert gone == ["AAA"]


def test_folds_too_short_for_the_horizon_are_refused():
    with pytest.raises(ConfigError, match="200 bars up to 2016-12-16 in 20 folds are 10 each"):
        cut(num_folds=20)
    with pytest.raises(ConfigError, match="take fewer folds"):
        cut(horizon_bars=60)
    with pytest.raises(DataError, match="no forecasts up to 2016-01-20: the first is of 2016-03-14"):
        cut(until=np.datetime64("2016-01-20", "ns"))


def test_a_fold_without_forecasts_is_said():
    sparse = FORECAST.rows(FORECAST.as_of < CANDLES["AAA"].time[100])
    with pytest.raises(ConfigError, match=r"fold 2 \(.*\) has no forecast in it"):
        cut(forecast=sparse)
