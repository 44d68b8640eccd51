from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketgpt_core.calendars import trading_calendar
from marketgpt_core.candles import FIELDS, CandleSeries
from marketgpt_core.clock import FixedClock
from marketgpt_core.errors import FetchReason
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_data_sources.store import Store
from marketgpt_data_sources.store.status import missing_sessions, sessions_behind, status_of


def _series(
    times: list[str], symbol: str = "AAA", interval: Interval = Interval.DAY, category: Category = Category.US
) -> CandleSeries:
    time = np.array(times, dtype="datetime64[ns]")
    one = np.ones(len(time))
    return CandleSeries(symbol, interval, time, one, one, one, one, one, category)


# 2024-05-27 was Memorial Day, a Monday; New York closes at 20:00 UTC in summer.
@pytest.mark.parametrize(
    ("last", "now", "behind"),
    [
        ("2024-05-24", "2024-05-24T21:00", 0),
        ("2024-05-24", "2024-05-28T19:59", 0),  # weekend, holiday, and Tuesday's session still going on
        ("2024-05-24", "2024-05-28T20:00", 1),
        ("2024-05-23", "2024-05-28T20:00", 2),
        ("2024-05-28", "2024-05-28T19:00", 0),  # a candle of a session that has not ended is not behind
        ("2024-05-30", "2024-05-24T21:00", 0),
    ],
)
def test_days_behind(last: str, now: str, behind: int) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert sessions_behind(_series(["2024-05-01", last]), trading_calendar("XNYS"), moment) == behind


@pytest.mark.parametrize(
    ("last", "now", "behind"),
    [
        ("2024-05-24T19:30", "2024-05-28T19:59", 0),
        ("2024-05-24T14:30", "2024-05-28T20:00", 1),  # the rest of its own session is no session
        ("2024-05-23T19:30", "2024-05-28T20:00", 2),
        ("2024-05-24T12:00", "2024-05-24T20:00", 1),  # before the open
    ],
)
def test_hours_behind(last: str, now: str, behind: int) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    series = _series(["2024-05-01T13:30", last], interval=Interval.HOUR)
    assert sessions_behind(series, trading_calendar("XNYS"), moment) == behind


@pytest.mark.parametrize(
    ("now", "behind"),
    [("2024-05-24T20:00", 0), ("2024-05-31T19:59", 0), ("2024-05-31T20:00", 1), ("2024-06-07T20:00", 2)],
)
def test_weeks_behind(now: str, behind: int) -> None:
    series = _series(["2024-05-13", "2024-05-20"], interval=Interval.WEEK)
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert sessions_behind(series, trading_calendar("XNYS"), moment) == behind


def test_crypto_is_behind_on_sunday() -> None:
    series = _series(["2024-05-24"], "BTC-USD", category=Category.CRYPTO)
    moment = datetime(2024, 5, 27, tzinfo=UTC)
    assert sessions_behind(series, trading_calendar("24/7"), moment) == 2


def test_sessions_missing() -> None:
    calendar = trading_calendar("XNYS")
    days = ["2024-05-22", "2024-05-23", "2024-05-24", "2024-05-28", "2024-05-29"]
    assert missing_sessions(_series(days), calendar) == 0
    assert missing_sessions(_series([days[0], days[2], days[4]]), calendar) == 2
    hours = ["2024-05-22T14:30", "2024-05-22T17:30", "2024-05-28T13:30"]
    assert missing_sessions(_series(hours, interval=Interval.HOUR), calendar) == 2
    weeks = ["2024-05-06", "2024-05-13", "2024-05-27"]
    assert missing_sessions(_series(weeks, interval=Interval.WEEK), calendar) == 1
    assert missing_sessions(_series(days[:1]), calendar) == 0


def test_status_of_everything_known(tmp_path: Path, clock: FixedClock) -> None:
    store = Store(tmp_path, clock=clock)
    store.update("src", _series(["2024-05-28", "2024-05-31"]), since=None, whole=True)
    store.update("src", _series(["2024-05-30"], "SAP.DE", category=Category.EU), since=None, whole=True)
    store.failed("src", Interval.DAY, "AAA", FetchReason.THROTTLED, "429")
    store.failed("src", Interval.DAY, "GONE", FetchReason.DELISTED, "404")
    rows = pd.DataFrame(
        {"symbol": ["BAD", "BAD", "a b"], "time": pd.NaT, "reason": ["one", "two", "no symbol"]}
    )
    store.quarantine("src", Interval.DAY, rows)
    found = {one.symbol: one for one in status_of(store, "src", Interval.DAY, now=clock.now())}
    assert list(found) == ["AAA", "BAD", "GONE", "SAP.DE", "_"]
    assert [(one.behind, one.gaps, one.quarantined_rows) for one in found.values()] == [
        (0, 2, 0),
        (None, None, 2),
        (None, None, 0),
        (1, 0, 0),  # Frankfurt traded on Friday the 31st; on Monday the 3rd it still does
        (None, None, 1),
    ]
    assert found["AAA"].failure is not None
    assert found["GONE"].failure is not None
    assert found["GONE"].entry is None
    assert found["SAP.DE"].failure is None


def test_an_unknown_symbol_is_judged_by_weekdays() -> None:
    series = replace(_series(["2024-05-24", "2024-05-28"]), category=Category.UNKNOWN)
    assert missing_sessions(series, trading_calendar("weekdays")) == 1
    assert all(len(getattr(series, name)) == 2 for name in FIELDS)


def test_holidays_nobody_published_are_no_gaps() -> None:
    # New York's calendar is published from 1990 on; 16 October 1990 was a Tuesday.
    assert missing_sessions(_series(["1989-11-20", "1990-01-02"]), trading_calendar("XNYS")) == 0
    assert missing_sessions(_series(["1990-10-15", "1990-10-17"]), trading_calendar("XNYS")) == 1
