from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from marketgpt_core.clock import FixedClock
from marketgpt_core.errors import CandleError, DataError, FetchError, FetchReason
from marketgpt_core.symbols import Category
from marketgpt_data_sources.sources.yahoo import YFinance
from marketgpt_data_sources.testing import DataSourceConformance

Opener = Callable[..., YFinance]


def _weekdays(first: date, count: int) -> list[date]:
    days = (first + timedelta(days=offset) for offset in range(2 * count + 7))
    return [day for day in days if day.weekday() < 5][:count]


def _candles(count: int, ratio: float = 1.0) -> list[tuple[Any, ...]]:
    return [(10.0 + k, 12.0 + k, 9.0 + k, 11.0 + k, (11.0 + k) * ratio, 1000 + k) for k in range(count)]


@pytest.fixture
def listing(yahoo):
    """List a symbol with daily candles on the weekdays from 2024-03-01."""

    def listing(symbol: str, count: int = 20, **options: Any) -> None:
        candles = options.pop("candles", None) or _candles(count, options.pop("ratio", 1.0))
        yahoo.list(symbol, _weekdays(date(2024, 3, 1), len(candles)), candles, **options)

    return listing


@pytest.fixture
def opened(open_yahoo: Opener) -> Opener:
    return open_yahoo


class TestYFinance(DataSourceConformance):
    sample_symbols = ("ACME", "^IDX")

    @pytest.fixture
    def implementation(self, listing, opened: Opener) -> YFinance:
        listing("ACME", 30, ratio=0.9)
        listing("^IDX", 25, kind="INDEX")
        return opened()


def test_adjusts_all_prices_by_one_ratio(listing, opened: Opener) -> None:
    listing("ACME", 3, ratio=0.3)
    series = opened().fetch(["ACME"])["ACME"]
    assert series.open == pytest.approx(np.array([10.0, 11.0, 12.0]) * 0.3)
    assert series.high == pytest.approx(np.array([12.0, 13.0, 14.0]) * 0.3)
    assert series.close == pytest.approx(np.array([11.0, 12.0, 13.0]) * 0.3)
    assert list(series.volume) == [1000, 1001, 1002]
    raw = opened(adjust=False).fetch(["ACME"])["ACME"]
    assert list(raw.close) == [11.0, 12.0, 13.0]


def test_adjusting_never_puts_a_close_outside_its_range(listing, opened: Opener) -> None:
    # yfinance's own auto_adjust takes Adj Close as the close and O, H, L times the ratio: one bit apart.
    rng = np.random.default_rng(0)
    closes = rng.uniform(1, 100, 60)
    candles = [(c, c, c, c, float(c * f), 1) for c, f in zip(closes, rng.uniform(0.01, 1, 60), strict=True)]
    listing("ACME", candles=candles)
    assert len(opened().fetch(["ACME"])["ACME"]) == 60


def test_a_days_stamp_is_its_new_york_date(listing, opened: Opener) -> None:
    listing("ACME", 2)
    times = opened().fetch(["ACME"])["ACME"].time
    assert [str(t)[:19] for t in times] == ["2024-03-01T00:00:00", "2024-03-04T00:00:00"]


@pytest.mark.parametrize(
    ("symbol", "kind", "category"),
    [
        ("AAPL", "EQUITY", Category.US),
        ("SPY", "ETF", Category.ETF),
        ("SAP.DE", "EQUITY", Category.EU),
        ("^GSPC", "INDEX", Category.INDEX),
        ("EURUSD=X", "CURRENCY", Category.FX),
        ("GC=F", "FUTURE", Category.COMMODITY),
        ("BTC-USD", "CRYPTOCURRENCY", Category.CRYPTO),
        ("BTC-USD", "SOMETHING NEW", Category.CRYPTO),
    ],
)
def test_category(listing, opened: Opener, symbol: str, kind: str, category: Category) -> None:
    listing(symbol, 2, kind=kind)
    assert opened().fetch([symbol])[symbol].category is category


def test_delisted_symbol_is_an_error_at_once(yahoo, listing, opened: Opener, sleeper) -> None:
    listing("ACME", 3)
    with pytest.raises(DataError, match=r"1 of 2 symbols failed: GONE: unknown to Yahoo or delisted"):
        opened().fetch(["ACME", "GONE"])
    assert sleeper.waited_s == []


def test_range_before_the_first_candle_is_empty(listing, opened: Opener) -> None:
    listing("ACME", 3)
    assert len(opened().fetch(["ACME"], start="2020-01-01", end="2021-01-01")) == 0


def test_range_without_candles_is_empty(listing, opened: Opener) -> None:
    listing("ACME", 3)
    assert len(opened().fetch(["ACME"], start="2024-03-02", end="2024-03-04")) == 0


def test_range_within_a_day_follows_the_candles_midnight(listing, opened: Opener) -> None:
    listing("ACME", 5)
    candles = opened().fetch(["ACME"], start="2024-03-01T00:01", end="2024-03-05T00:01")
    assert [str(t)[:10] for t in candles["ACME"].time] == ["2024-03-04", "2024-03-05"]


def test_impossible_candle_is_refused_by_name(listing, opened: Opener) -> None:
    listing("ACME", candles=[(10.0, 9.0, 8.0, 9.0, 9.0, 1), (10.0, 11.0, 9.0, 10.0, 10.0, 1)])
    with pytest.raises(DataError, match=r"ACME: 1 impossible candle .* row 0 2024-03-01 high below open"):
        opened().fetch(["ACME"])
    assert len(opened(impossible="drop").fetch(["ACME"])["ACME"]) == 1


def test_day_without_prices_is_left_out(listing, opened: Opener) -> None:
    listing("ACME", candles=[(10.0, 11.0, 9.0, 10.0, 10.0, 1), (None, None, None, None, None, None)])
    assert len(opened().fetch(["ACME"])["ACME"]) == 1


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2024, 3, 5, 15, tzinfo=UTC), 2),  # the session is on
        (datetime(2024, 3, 5, 20, 59, tzinfo=UTC), 2),  # a minute before its end, 16:00 in New York
        (datetime(2024, 3, 5, 21, 0, tzinfo=UTC), 3),
        (datetime(2024, 3, 6, 1, 0, tzinfo=UTC), 3),  # the next day in UTC, not in New York
    ],
)
def test_last_candle_waits_for_the_end_of_its_session(
    listing, opened: Opener, clock, now: datetime, expected: int
) -> None:
    listing("ACME", 3)
    source = opened()
    source.clock = FixedClock(now)
    assert len(source.fetch(["ACME"])["ACME"]) == expected


def test_last_candle_is_kept_once_yahoo_describes_the_next_session(listing, opened: Opener) -> None:
    tomorrow = (datetime(2024, 3, 6, 14, 30, tzinfo=UTC), datetime(2024, 3, 6, 21, tzinfo=UTC))
    listing("ACME", 3, session=tomorrow)
    source = opened()
    source.clock = FixedClock(datetime(2024, 3, 5, 23, tzinfo=UTC))
    assert len(source.fetch(["ACME"])["ACME"]) == 3


def test_symbols_are_asked_for_at_a_pace(yahoo, listing, opened: Opener, sleeper) -> None:
    for symbol in ("AAA", "BBB", "CCC"):
        listing(symbol, 2)
    opened(requests_per_s=0.5, burst=1).fetch(["AAA", "BBB", "CCC"])
    # Every request counts: the cookie's, the crumb's and three for candles.
    assert [urlsplit(path).path for path in yahoo.requests] == [
        "/",
        "/v1/test/getcrumb",
        "/v8/finance/chart/AAA",
        "/v8/finance/chart/BBB",
        "/v8/finance/chart/CCC",
    ]
    assert sleeper.waited_s == [2.0] * 4


def test_no_request_for_an_empty_range_or_a_hostile_symbol(yahoo, opened: Opener) -> None:
    assert len(opened().fetch(["ACME"], start="2024-01-01", end="2024-01-01")) == 0
    with pytest.raises(DataError, match="not a symbol"):
        opened().fetch(["../../v7/finance/download"])
    assert yahoo.requests == []


def test_hides_no_errors_and_restores_yfinances_setting(listing, opened: Opener) -> None:
    import yfinance as yf

    listing("ACME", 2)
    before = yf.config.debug.hide_exceptions
    with pytest.raises(DataError):
        opened().fetch(["GONE"])
    assert yf.config.debug.hide_exceptions == before


def test_impossible_candles_of_the_only_symbol_are_a_candle_error(listing, opened: Opener) -> None:
    listing("ACME", candles=[(10.0, 9.0, 8.0, 9.0, 9.0, 1)])
    listing("GOOD", 2)
    with pytest.raises(CandleError):
        opened().fetch(["ACME"])
    with pytest.raises(FetchError, match=r"1 of 2 symbols failed: .*ACME") as failed:
        opened().fetch(["ACME", "GOOD"])
    assert failed.value.reason is FetchReason.BAD_DATA
