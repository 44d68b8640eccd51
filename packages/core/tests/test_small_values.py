"""Symbols, categories, intervals, horizons, moments, clocks and hints: the vocabulary."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

import marketgpt_core
from marketgpt_core import ConfigError, DataError, FixedClock, Interval, SystemClock
from marketgpt_core.errors import hint
from marketgpt_core.horizons import horizon_bars, horizon_name
from marketgpt_core.symbols import Category, check_symbol
from marketgpt_core.times import iso, to_datetime, to_datetime64


@pytest.mark.parametrize(
    "symbol", ["AAPL", "BRK-B", "^GSPC", "GC=F", "EURUSD=X", "7203.T", "BTC-USD", "M&M.NS", "a", "x" * 32]
)
def test_yahoo_symbols_are_symbols(symbol: str) -> None:
    assert check_symbol(symbol) == symbol


@pytest.mark.parametrize(
    "symbol",
    [
        "", ".", "..", ".AAPL", "-rf", "=1+1", "A/B", "A\\B", "A B", "A\n", "A\0", "'; DROP TABLE x;--",
        "<script>", "A..B", "x" * 33, "ÄPFEL", "\u0410", "%2e", "$(id)", "`id`",
    ],
)  # fmt: skip
def test_anything_else_is_refused(symbol: str) -> None:
    with pytest.raises(DataError, match="is not a symbol") as caught:
        check_symbol(symbol, where="a request")
    assert "(from a request)" in str(caught.value)
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


def test_categories_and_intervals_parse_with_hints() -> None:
    assert Category.parse("crypto") is Category.CRYPTO
    with pytest.raises(ConfigError, match=r"unknown category 'cripto'; did you mean 'crypto'\?"):
        Category.parse("cripto")
    assert Interval.parse("5m") is Interval.FIVE_MINUTES
    with pytest.raises(ConfigError, match=r"unknown interval '15m'; did you mean '5m'\? known: 1d, 1h"):
        Interval.parse("15m")


def test_intervals_know_their_length() -> None:
    assert [one.duration for one in Interval] == [
        timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=1), timedelta(days=1), timedelta(weeks=1),
    ]  # fmt: skip
    assert [one.is_intraday for one in Interval] == [True, True, True, False, False]


def test_horizons_by_name() -> None:
    assert [horizon_bars(name) for name in ("1d", "1w", "2w", "1m", "2m")] == [1, 5, 10, 21, 42]
    assert horizon_bars("1m", Category.CRYPTO) == 30
    assert horizon_name(21) == "1m"
    assert horizon_name(21, Category.CRYPTO) == "21 bars"
    with pytest.raises(ConfigError, match=r"unknown horizon '3m'; .*known: 1d, 1m, 1w, 2m, 2w"):
        horizon_bars("3m")


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2024-12-31", "2024-12-31T00:00:00"),
        ("2024-12-31T15:30", "2024-12-31T15:30:00"),
        ("2024-12-31T15:30+02:00", "2024-12-31T13:30:00"),
        ("2024-12-31T15:30Z", "2024-12-31T15:30:00"),
        (date(2024, 12, 31), "2024-12-31T00:00:00"),
        (datetime(2024, 12, 31, 1), "2024-12-31T01:00:00"),  # noqa: DTZ001 - naive is UTC
        (datetime(2024, 12, 31, 1, tzinfo=timezone(timedelta(hours=-5))), "2024-12-31T06:00:00"),
        (np.datetime64("2024-12-31T01", "h"), "2024-12-31T01:00:00"),
        ("1677-09-22", "1677-09-22T00:00:00"),
        ("2262-04-11", "2262-04-11T00:00:00"),
    ],
)
def test_moments_become_utc_nanoseconds(moment: Any, expected: str) -> None:
    converted = to_datetime64(moment)
    assert converted.dtype == np.dtype("datetime64[ns]")
    assert str(converted.astype("datetime64[s]")) == expected
    assert to_datetime(moment) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "2024-13-01", "31.12.2024", "20241301"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"is not a date: write 2024-12-31 or"):
        to_datetime64(text)


@pytest.mark.parametrize(
    "moment", ["9999-12-31", "1500-01-01", date(9999, 12, 31), np.datetime64("9999-12-31"), "0001-01-01"]
)
def test_years_that_nanoseconds_cannot_hold_do_not_wrap_around(moment: Any) -> None:
    with pytest.raises(ConfigError, match=r"is outside 1677-09-22 \.\. 2262-04-11"):
        to_datetime64(moment)


def test_iso_is_short_at_midnight() -> None:
    assert iso("2024-12-31") == "2024-12-31"
    assert iso("2024-12-31T15:30") == "2024-12-31T15:30:00Z"
    assert iso(datetime(2024, 12, 31, 0, 0, 0, 5, tzinfo=UTC)) == "2024-12-31T00:00:00.000005Z"
    with pytest.raises(ConfigError, match="is not a moment in time"):
        to_datetime(np.datetime64("NaT", "ns"))


def test_clocks() -> None:
    clock = FixedClock(datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))))
    assert clock.now() == datetime(2024, 1, 1, tzinfo=UTC)
    assert clock.now().tzinfo is UTC
    clock.advance(timedelta(days=1))
    assert clock.now() == datetime(2024, 1, 2, tzinfo=UTC)
    with pytest.raises(ValueError, match="aware"):
        FixedClock(datetime(2024, 1, 1))  # noqa: DTZ001
    assert SystemClock().now().tzinfo is UTC


def test_hints() -> None:
    assert hint("OHCL", ["ohlc", "multitask"]) == "did you mean 'ohlc'? known: multitask, ohlc"
    assert hint("zzz", ["ohlc", "multitask"]) == "known: multitask, ohlc"
    assert hint("x", []) == "known: none"
    many = hint("zzz", [f"S{i:03d}" for i in range(500)])
    assert many.endswith("S019, ... (500 in all)")


def test_public_names_exist() -> None:
    for name in marketgpt_core.__all__:
        assert getattr(marketgpt_core, name) is not None
    assert dir(marketgpt_core) == sorted(marketgpt_core.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Candle'"):
        marketgpt_core.Candle  # noqa: B018
