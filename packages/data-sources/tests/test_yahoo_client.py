"""What is sent to Yahoo: how many requests, at what pace, from how many threads, and what is left alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yfinance as yf

from marketgpt_core.errors import ConfigError, FetchError
from marketgpt_data_sources.loopback.yahoo import YahooServer, walk, weekdays
from marketgpt_data_sources.sources.yahoo import YFinance
from marketgpt_data_sources.sources.yahoo_client import _ERRORS_SHOWN

Opener = Callable[..., YFinance]
DAYS = weekdays(date(2024, 3, 1), 10)
COOKIE, CRUMB = "/", "/v1/test/getcrumb"


def _chart(symbol: str) -> str:
    return f"/v8/finance/chart/{symbol}"


def _paths(server: YahooServer) -> list[str]:
    return [urlsplit(path).path for path in server.requests]


@pytest.fixture(autouse=True)
def listed(yahoo) -> None:
    for k, symbol in enumerate(("AAA", "BBB", "CCC")):
        yahoo.list(symbol, DAYS, walk(10, seed=k))


def test_one_request_a_symbol_and_two_for_all(yahoo, opened) -> None:
    source = opened()
    source.fetch(["AAA", "BBB"])
    source.fetch(["AAA", "CCC"], start="2024-03-04", end="2024-03-08")
    assert _paths(yahoo) == [COOKIE, CRUMB, *map(_chart, ("AAA", "BBB", "AAA", "CCC"))]


def test_every_request_waits_its_turn(yahoo, opened, sleeper) -> None:
    yahoo.faults["BBB"] = [
        (401, "{}")
    ]  # yfinance fetches a cookie the other way, then the old way, and asks again
    opened(requests_per_s=0.5, burst=1).fetch(["AAA", "BBB"])
    assert _paths(yahoo)[3] == _chart("BBB")
    assert _paths(yahoo)[-1] == _chart("BBB")
    assert len(yahoo.requests) > 5
    assert sleeper.waited_s == [pytest.approx(2.0)] * (len(yahoo.requests) - 1)


def test_a_redirect_is_a_request(yahoo, opened, sleeper) -> None:
    yahoo.faults["AAA"] = [
        (302, "", {"Location": f"{yahoo.base}{_chart('AAA')}?period1=0&period2=2000000000&interval=1d"})
    ]
    opened(requests_per_s=1.0, burst=1).fetch(["AAA", "BBB"])
    assert _paths(yahoo) == [COOKIE, CRUMB, *map(_chart, ("AAA", "AAA", "BBB"))]
    assert sleeper.waited_s == pytest.approx([1.0, 1.0, 2.0])


@pytest.mark.parametrize(
    "fault", [(429, "Too Many Requests"), (500, "oops"), "reset", "html", "empty"], ids=str
)
@pytest.mark.parametrize("where", [COOKIE, CRUMB])
def test_candles_come_without_cookie_or_crumb_and_it_is_not_tried_for_each(
    yahoo, opened, where: str, fault
) -> None:
    yahoo.faults[where] = [fault] * 100
    candles = opened().fetch(["AAA", "BBB", "CCC"])
    assert candles.symbols == ("AAA", "BBB", "CCC")
    assert yahoo.counts() == {"AAA": 1, "BBB": 1, "CCC": 1}
    first = _paths(yahoo).index(_chart("AAA"))
    assert _paths(yahoo)[first:] == [*map(_chart, ("AAA", "BBB", "CCC"))]
    assert first <= 6


def test_many_threads_get_each_its_own(yahoo, opened) -> None:
    symbols = [f"S{k}" for k in range(60)]
    for k, symbol in enumerate(symbols):
        yahoo.list(symbol, DAYS, walk(10, seed=k))
    source = opened(max_concurrency=6)
    with ThreadPoolExecutor(6) as pool:
        frames = list(pool.map(lambda symbol: next(source.raw([symbol]))[1], symbols))
    for k, frame in enumerate(frames):
        assert frame["symbol"].unique().tolist() == [symbols[k]]
        assert frame["close"].tolist() == [candle[3] for candle in walk(10, seed=k)]
    assert yahoo.counts() == dict.fromkeys(symbols, 1)
    assert _paths(yahoo).count(CRUMB) == 1
    assert yahoo.busiest <= 6


def test_two_sources_at_once_keep_apart(opened) -> None:
    # yfinance has one client a process: the session set last serves everybody.
    with YahooServer() as one, YahooServer() as other:
        one.list("ACME", DAYS, walk(10, seed=1))
        other.list("ACME", DAYS, walk(10, seed=2))
        sources = [opened(mirror=server.base) for server in (one, other)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda k: sources[k % 2].fetch(["ACME"])["ACME"].close.tolist(), range(20)))
        assert found == [[candle[3] for candle in walk(10, seed=1 + k % 2)] for k in range(20)]
        assert (one.charts("ACME"), other.charts("ACME")) == (10, 10)


def test_nothing_is_written_to_the_users_cache(opened, tmp_path: Path) -> None:
    yf.set_tz_cache_location(str(tmp_path / "cache"))
    opened().fetch(["AAA"])
    with pytest.raises(FetchError):
        opened().fetch(["GONE"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_mirror_on_this_machine_is_asked_past_any_proxy(opened, monkeypatch, name: str) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert len(opened().fetch(["AAA"])["AAA"]) == 10


def test_a_mirror_may_have_a_path(yahoo, opened) -> None:
    opened(mirror=f"{yahoo.base}/yahoo/").session  # noqa: B018 - opening it is fine
    with pytest.raises(FetchError):
        opened(mirror=f"{yahoo.base}/yahoo/", max_attempts=1).fetch(["AAA"])
    assert _paths(yahoo)[-1] == "/yahoo/v8/finance/chart/AAA"


@pytest.mark.parametrize("mirror", ["127.0.0.1:80", "file:///etc/passwd", "ftp://x", "http://", "http:// x"])
def test_a_mirror_that_is_no_address_is_refused(open_yahoo, mirror: str) -> None:
    with pytest.raises(ConfigError, match="mirror"):
        open_yahoo(mirror=mirror)


@pytest.mark.parametrize(
    "symbol", ["^GSPC", "EURUSD=X", "GC=F", "BTC-USD", "SAP.DE", "M&M.NS", "BRK-B", "aapl"]
)
def test_symbols_arrive_as_they_are(yahoo, opened, symbol: str) -> None:
    yahoo.list(symbol.upper(), DAYS, walk(10))
    assert opened().fetch([symbol]).symbols == (symbol,)
    assert yahoo.counts() == {symbol.upper(): 1}


def test_yfinances_own_setting_comes_back_when_the_last_call_ends() -> None:
    debug = yf.config.debug
    before = debug.hide_exceptions
    try:
        for setting in (True, False):
            debug.hide_exceptions = setting
            with _ERRORS_SHOWN:
                with _ERRORS_SHOWN:
                    assert debug.hide_exceptions is False
                assert debug.hide_exceptions is False
            assert debug.hide_exceptions is setting
    finally:
        debug.hide_exceptions = before
