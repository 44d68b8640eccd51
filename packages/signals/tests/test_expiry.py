from __future__ import annotations

from datetime import UTC, datetime

import pytest

from marketgpt_core.interval import Interval
from marketgpt_signals.expiry import expires_at, trades_daily


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("symbol", "as_of", "bars", "expected"),
    [
        # Monday's candle is stamped at midnight and ends a day later; so does the one the horizon ends in.
        ("AAPL", "2016-01-04", 1, "2016-01-06"),
        ("AAPL", "2016-01-08", 1, "2016-01-12"),  # Friday -> Monday's end
        ("AAPL", "2016-01-08", 5, "2016-01-16"),
        ("BRK-B", "2016-01-08", 1, "2016-01-12"),
        ("BTC-USD", "2016-01-08", 1, "2016-01-10"),
        ("BTC-USD", "2016-01-08", 7, "2016-01-16"),
        ("SAP.DE", "2016-03-24", 1, "2016-03-30"),  # Good Friday and Easter Monday lie between
        ("^GSPC", "2016-11-23", 1, "2016-11-26"),  # Thanksgiving
        ("AAPL", "2016-11-23", 1, "2016-11-25"),  # names no exchange: a session early, never late
        ("COIN", "2016-01-09", 1, "2016-01-11"),  # a Saturday candle: this market never closes
    ],
)
def test_daily_horizons_end_with_the_session_they_end_in(symbol, as_of, bars, expected):
    assert expires_at(symbol, day(as_of), bars, Interval.DAY) == day(expected)


def test_intraday_and_weekly_horizons_are_wall_time():
    as_of = datetime(2016, 1, 4, 15, 30, tzinfo=UTC)
    assert expires_at("AAPL", as_of, 2, Interval.HOUR) == datetime(2016, 1, 4, 18, 30, tzinfo=UTC)
    assert expires_at("AAPL", as_of, 1, Interval.FIVE_MINUTES) == datetime(2016, 1, 4, 15, 40, tzinfo=UTC)
    assert expires_at("AAPL", day("2016-01-04"), 2, Interval.WEEK) == day("2016-01-25")


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("BTC-USD", True),
        ("ETH-EUR", True),
        ("SOL-USDT", True),
        ("BRK-B", False),
        ("-USD", False),
        ("GC=F", False),
    ],
)
def test_crypto_pairs_are_known_by_their_tail(symbol, expected):
    assert trades_daily(symbol, day("2016-01-08")) is expected
