"""Which bars judge a signal, and what is said where one is missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from marketgpt_core.candles import CandleSeries
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_signals.bars import Bars, bars_of

# Two weeks around Independence Day 2016, a Monday.
SESSIONS = [*("06-27", "06-28", "06-29", "06-30", "07-01"), *("07-05", "07-06", "07-07", "07-08", "07-11")]


def series_of(
    days: list[str], category: Category = Category.US, interval: Interval = Interval.DAY
) -> CandleSeries:
    time = np.array([f"2016-{day}" for day in days], dtype="datetime64[ns]")
    prices = np.linspace(100, 110, len(days))
    return CandleSeries(
        symbol="AAA", interval=interval, time=time, open=prices, high=prices, low=prices, close=prices,
        volume=np.zeros(len(days)), category=category,
    )  # fmt: skip


@pytest.fixture
def signal(make_signal):
    return make_signal(as_of=datetime(2016, 6, 30, tzinfo=UTC), horizon_bars=2)


def without(*days: str) -> list[str]:
    return [day for day in SESSIONS if day not in days]


def test_a_holiday_is_no_missing_bar(signal):
    # Made on Thursday, entered on Friday, forecast to Tuesday (Monday is a holiday), left on Wednesday.
    assert bars_of(signal, series_of(SESSIONS)) == Bars(made=3, entry=4, end=5, leave=6)


@pytest.mark.parametrize(
    ("day", "told"),
    [
        ("06-30", "no candle at 2016-06-30, on which it was made"),
        ("07-01", "no candle at 2016-07-01, where it is entered"),
        ("07-05", "no candle at 2016-07-05, where its horizon ends"),
        ("07-06", "no candle at 2016-07-06, where it is left"),
    ],
)
def test_the_next_candle_does_not_stand_in_for_one_that_is_missing(signal, day, told):
    assert bars_of(signal, series_of(without(day))) == told


def test_a_missing_bar_between_the_two_does_not_move_the_exit(signal):
    longer = replace(signal, horizon_bars=4)
    whole, holed = series_of(SESSIONS), series_of(without("07-05"))
    assert whole.time[bars_of(longer, whole).leave] == holed.time[bars_of(longer, holed).leave]


@pytest.mark.parametrize("last", range(10))
def test_nothing_is_said_while_the_candles_may_still_come(signal, last):
    found = bars_of(signal, series_of(SESSIONS[:last]))
    assert isinstance(found, Bars) if last >= 7 else found is None


def test_a_missing_entry_is_told_as_soon_as_a_later_bar_is_there(signal):
    assert bars_of(signal, series_of(without("07-01")[:4])) is None
    assert "where it is entered" in bars_of(signal, series_of(without("07-01")[:5]))


def test_candles_that_keep_other_days_than_the_calendar_are_counted(signal):
    """A source of weekdays, holidays among them, has its own bars, and the model counted those."""
    days = [*SESSIONS[:5], "07-04", *SESSIONS[5:]]
    assert bars_of(signal, series_of(days)) == Bars(made=3, entry=4, end=5, leave=6)


@pytest.mark.parametrize("category", [Category.UNKNOWN, Category.ETF])
def test_other_markets_do_not_fail(signal, category):
    assert bars_of(signal, series_of(SESSIONS, category)) == Bars(made=3, entry=4, end=5, leave=6)


def test_without_a_calendar_a_long_hole_is_a_missing_bar(signal):
    short = series_of([*SESSIONS[:4], "07-11", "07-12", "07-13"], Category.UNKNOWN)
    assert bars_of(signal, short) == Bars(made=3, entry=4, end=5, leave=6)
    long = series_of([*SESSIONS[:5], "08-05", "08-08"], Category.UNKNOWN)
    assert bars_of(signal, long) == "no candles between 2016-07-01 and 2016-08-05"
    weekly = series_of(["06-30", "07-07", "07-28", "08-04"], interval=Interval.WEEK)
    assert bars_of(replace(signal, interval=Interval.WEEK), weekly) == Bars(0, 1, 2, 3)


def test_a_market_that_never_closes_has_a_bar_every_day(signal):
    coin = replace(signal, symbol="BTC-USD")
    days = ["06-30", "07-01", "07-02", "07-03"]
    whole = replace(series_of(days, Category.CRYPTO), symbol="BTC-USD")
    assert bars_of(coin, whole) == Bars(0, 1, 2, 3)
    holed = replace(series_of(["06-30", "07-02", "07-03", "07-04"], Category.CRYPTO), symbol="BTC-USD")
    assert bars_of(coin, holed) == "no candle at 2016-07-01, where it is entered"
