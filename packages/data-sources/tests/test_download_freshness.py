from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from marketgpt_core.calendars import trading_calendar
from marketgpt_core.interval import Interval
from marketgpt_data_sources.download.freshness import is_current, last_close

HOUR = timedelta(hours=1)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("calendar", "interval", "now", "expected"),
    [
        # New York closes at 20:00 UTC in summer, at 21:00 in winter, at 18:00 on the day after Thanksgiving.
        ("XNYS", "1d", "2024-06-03T19:59", "2024-05-31T20:00"),
        ("XNYS", "1d", "2024-06-03T20:00", "2024-06-03T20:00"),
        ("XNYS", "1d", "2024-06-02T12:00", "2024-05-31T20:00"),
        ("XNYS", "1d", "2024-12-25T23:00", "2024-12-24T18:00"),
        ("XNYS", "1d", "2024-11-29T18:30", "2024-11-29T18:00"),
        # Auckland's Tuesday is over on the UTC's.
        ("XNZE", "1d", "2024-06-04T05:00", "2024-06-04T04:45"),
        ("24/7", "1d", "2024-06-02T23:59", "2024-06-02T00:00"),
        ("24/7", "1d", "2024-06-03T00:00", "2024-06-03T00:00"),
        ("weekdays", "1d", "2024-06-03T12:00", "2024-06-01T00:00"),
        ("XNYS", "1w", "2024-06-06T12:00", "2024-05-31T20:00"),
        ("XNYS", "1w", "2024-06-07T20:00", "2024-06-07T20:00"),
        ("24/7", "1w", "2024-06-09T23:00", "2024-06-03T00:00"),
        # From the open at 13:30 UTC and from the full hour.
        ("XNYS", "1h", "2024-06-03T13:59", "2024-05-31T20:00"),
        ("XNYS", "1h", "2024-06-03T14:00", "2024-06-03T14:00"),
        ("XNYS", "1h", "2024-06-03T14:40", "2024-06-03T14:30"),
        ("XNYS", "1h", "2024-06-03T22:00", "2024-06-03T20:00"),
        ("XNYS", "5m", "2024-06-03T13:36", "2024-06-03T13:35"),
        ("24/7", "1m", "2024-06-03T00:00:30", "2024-06-03T00:00"),
    ],
)
def test_last_close(calendar: str, interval: str, now: str, expected: str) -> None:
    found = last_close(trading_calendar(calendar), Interval.parse(interval), _at(now))
    assert found == np.datetime64(expected)


@pytest.mark.parametrize(
    ("last", "checked", "now", "expected"),
    [
        ("2024-05-31", "2024-05-31T21:00", "2024-06-03T19:59", True),
        ("2024-05-31", "2024-05-31T21:00", "2024-06-03T20:00", False),
        ("2024-05-31", "2024-06-03T19:00", "2024-06-03T20:00", False),
        # Asked right after the close, without an answer: the vendor may have been slow.
        ("2024-05-31", "2024-06-03T20:10", "2024-06-03T20:30", False),
        ("2024-05-31", "2024-06-03T21:00", "2024-06-03T21:30", True),
        ("2024-06-03", "2024-06-03T20:10", "2024-06-03T20:30", True),
        # No longer traded, and asked since.
        ("2020-01-02", "2024-06-03T22:00", "2024-06-04T12:00", True),
    ],
)
def test_is_current(last: str, checked: str, now: str, expected: bool) -> None:
    found = is_current(
        last=np.datetime64(last, "ns"),
        checked_at=_at(checked),
        calendar=trading_calendar("XNYS"),
        interval=Interval.DAY,
        now=_at(now),
        until=None,
        grace=HOUR,
    )
    assert found is expected


@pytest.mark.parametrize(
    ("last", "checked", "until", "expected"),
    [
        ("2024-02-28", "2024-02-28T22:00", "2024-03-01", False),
        ("2024-02-29", "2024-02-29T22:00", "2024-03-01", True),
        ("2024-02-28", "2024-03-01", "2024-03-01", True),
        ("2024-06-03", "2024-06-03", "2024-03-01", True),
    ],
)
def test_only_what_lies_before_until_is_wanted(last: str, checked: str, until: str, expected: bool) -> None:
    found = is_current(
        last=np.datetime64(last, "ns"),
        checked_at=_at(checked),
        calendar=trading_calendar("XNYS"),
        interval=Interval.DAY,
        now=_at("2024-06-10T12:00"),
        until=_at(until),
        grace=HOUR,
    )
    assert found is expected
