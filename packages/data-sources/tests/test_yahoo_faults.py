"""What comes of every way in which Yahoo, or the way to it, fails: reason, requests, waits."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date

import pytest

from marketgpt_core.errors import FetchError, FetchReason
from marketgpt_data_sources.loopback.listing import refusal
from marketgpt_data_sources.loopback.yahoo import Fault, walk, weekdays
from marketgpt_data_sources.pacing.breaker import CircuitOpenError
from marketgpt_data_sources.sources.yahoo import YFinance

Opener = Callable[..., YFinance]
TOO_MANY = (429, "Too Many Requests")
NOT_FOUND = refusal("Not Found", "No data found, symbol may be delisted")


@pytest.fixture(autouse=True)
def acme(yahoo) -> None:
    yahoo.list("ACME", weekdays(date(2024, 3, 1), 20), walk(20, seed=3, adjusted=0.5))


def _jitter(*limits: float) -> list[float]:
    rng = random.Random(0)  # as the source's
    return [rng.uniform(0, limit) for limit in limits]


@pytest.mark.parametrize(
    "faults",
    [
        [TOO_MANY],
        [(999, "")],
        [(500, "oops"), (502, "<html>bad gateway</html>")],
        [(503, "Will be right back")],
        [(200, "<html>Will be right back</html>")],
        ["html"],
        ["truncate"],
        ["reset"],
        ["empty"],
        [(200, '{"chart":')],
        [(200, "null")],
        [(200, "[]")],
        [(200, "{}")],
        [(200, '{"chart":{"result":[],"error":null}}')],
        [(200, '{"chart":{"result":[{}],"error":null}}')],
        [(200, '{"chart":{"result":[{"meta":{},"timestamp":[1],"indicators":{}}],"error":null}}')],
        [(200, '{"finance":{"result":null,"error":{"code":"Internal"}}}')],
        [(404, "<html>a proxy that knows no such page</html>")],
        [(400, '{"chart":{"result":null,"error":{"code":"Bad Request","description":"Invalid input"}}}')],
        [TOO_MANY, (500, ""), "html", "truncate"],
    ],
    ids=str,
)
def test_what_passes_is_asked_again_until_it_passes(yahoo, opened, sleeper, faults: list[Fault]) -> None:
    undisturbed = opened().fetch(["ACME"])
    yahoo.requests.clear()
    yahoo.faults["ACME"] = list(faults)
    candles = opened(max_attempts=5, backoff_s=2.0).fetch(["ACME"])
    assert candles.fingerprint() == undisturbed.fingerprint()
    assert yahoo.charts("ACME") == len(faults) + 1
    assert sleeper.waited_s == _jitter(2.0, 4.0, 8.0, 16.0)[: len(faults)]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (TOO_MANY, (FetchReason.THROTTLED, r"Yahoo throttles \(HTTP 429\)")),
        ((500, "oops"), (FetchReason.UNREACHABLE, r"Yahoo is out of order \(HTTP 500\)")),
        ((200, "Will be right back"), (FetchReason.UNREACHABLE, "CURRENTLY DOWN")),
        ("reset", (FetchReason.UNREACHABLE, "Yahoo cannot be reached")),
        ("html", (FetchReason.BAD_ANSWER, "something other than JSON")),
        ("truncate", (FetchReason.BAD_ANSWER, "half an answer")),
        ((200, '{"chart":{"result":[{"meta":'), (FetchReason.BAD_ANSWER, "something other than JSON")),
        ("empty", (FetchReason.BAD_ANSWER, "something other than JSON")),
        ((200, "[1]"), (FetchReason.BAD_ANSWER, "no candles and does not say why")),
        ((401, "{}"), (FetchReason.BAD_ANSWER, "no candles and does not say why")),
    ],
    ids=str,
)
def test_what_stays_is_a_reason(
    yahoo, opened, sleeper, fault: Fault, expected: tuple[FetchReason, str]
) -> None:
    reason, words = expected
    yahoo.faults["ACME"] = [fault] * 100
    with pytest.raises(FetchError, match=rf"^ACME: .*{words}.* \(3 attempts\)$") as failed:
        opened(max_attempts=3, breaker_failures=100).fetch(["ACME"])
    assert failed.value.reason is reason
    # yfinance fetches another cookie after a 401 and asks once more.
    assert yahoo.charts("ACME") == (6 if fault == (401, "{}") else 3)
    assert sleeper.waited_s == _jitter(2.0, 4.0)


def test_a_time_out_is_waited_for_as_long_as_it_says(yahoo, opened, sleeper) -> None:
    yahoo.faults["ACME"] = ["timeout", "timeout"]
    assert len(opened(timeout_s=0.2).fetch(["ACME"])["ACME"]) == 20
    assert yahoo.charts("ACME") == 3
    assert sleeper.waited_s == _jitter(2.0, 4.0)
    yahoo.faults["ACME"] = ["timeout"]
    with pytest.raises(FetchError, match="ACME: Yahoo cannot be reached") as failed:
        opened(timeout_s=0.2, max_attempts=1).fetch(["ACME"])
    assert failed.value.reason is FetchReason.UNREACHABLE


def test_nobody_listens(opened, sleeper) -> None:
    with pytest.raises(FetchError, match="ACME: Yahoo cannot be reached") as failed:
        opened(mirror="http://127.0.0.1:1", max_attempts=2).fetch(["ACME"])
    assert failed.value.reason is FetchReason.UNREACHABLE
    assert sleeper.waited_s == _jitter(2.0)


@pytest.mark.parametrize(
    "answer",
    [None, (404, NOT_FOUND), (200, NOT_FOUND), (404, "")],
    ids=["unlisted", "404", "200", "404 without a word"],
)
def test_a_delisted_symbol_is_asked_for_once(yahoo, opened, sleeper, answer: Fault | None) -> None:
    if answer is not None:
        yahoo.faults["GONE"] = [answer]
    with pytest.raises(FetchError, match=r"^GONE: unknown to Yahoo or delisted") as failed:
        opened().fetch(["GONE"])
    assert failed.value.reason is FetchReason.DELISTED
    assert yahoo.charts("GONE") == 1
    assert sleeper.waited_s == []


@pytest.mark.parametrize("status", [200, 400, 422])
def test_a_range_without_candles_is_empty_whatever_the_status(yahoo, opened, sleeper, status: int) -> None:
    body = refusal("Bad Request", "Data doesn't exist for startDate = 1, endDate = 2")
    yahoo.faults["ACME"] = [(status, body)] * 2
    source = opened()
    assert len(source.fetch(["ACME"])) == 0
    ((where, frame),) = source.raw(["ACME"])
    assert where == "yfinance ACME"
    assert len(frame) == 0
    assert list(frame.columns) == [
        "symbol", "time", "open", "high", "low", "close", "volume", "adj_close", "category",
    ]  # fmt: skip
    assert yahoo.charts("ACME") == 2
    assert sleeper.waited_s == []


@pytest.mark.parametrize(
    "asked_to_wait", [("7", 7.0), ("Mon, 03 Jun 2024 12:00:45 GMT", 45.0)], ids=["seconds", "date"]
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(yahoo, opened, sleeper, status: int, asked_to_wait) -> None:
    header, expected = asked_to_wait
    yahoo.faults["ACME"] = [(status, "", {"Retry-After": header})]
    assert len(opened(backoff_s=2.0).fetch(["ACME"])["ACME"]) == 20
    assert sleeper.waited_s == [expected]
    assert yahoo.charts("ACME") == 2


def test_a_retry_after_of_hours_ends_the_asking(yahoo, opened, sleeper) -> None:
    for symbol in ("AAA", "BBB", "CCC"):
        yahoo.list(symbol, weekdays(date(2024, 3, 1), 5), walk(5))
    yahoo.faults["BBB"] = [(429, "", {"Retry-After": "7200"})]
    source = opened()
    with pytest.raises(
        CircuitOpenError, match=r"1 of 3 symbols failed: BBB: .*asks to wait 7200 s"
    ) as stopped:
        source.fetch(["AAA", "BBB", "CCC"])
    assert (stopped.value.reason, stopped.value.retry_after_s) == (FetchReason.THROTTLED, 7200.0)
    assert yahoo.counts() == {"AAA": 1, "BBB": 1}
    assert sleeper.waited_s == []
    sleeper(7200)
    assert len(source.fetch(["CCC"])["CCC"]) == 5


def test_an_outage_over_symbols_opens_the_breaker(yahoo, opened, sleeper) -> None:
    symbols = [f"S{k}" for k in range(20)]
    for symbol in symbols:
        yahoo.faults[symbol] = [(503, "")] * 100
    source = opened(
        max_attempts=2, backoff_s=0.0, breaker_failures=5, breaker_cooldown_s=60, breaker_openings=2
    )
    with pytest.raises(CircuitOpenError, match=r"4 of 20 symbols failed: S0: .* S3: not asked for after"):
        source.fetch(symbols)
    # Five requests, a pause, the probe, and no more.
    assert sum(yahoo.counts().values()) == 6
    assert sleeper.waited_s == [60.0]


def test_the_breaker_closes_when_yahoo_is_back(yahoo, opened, sleeper) -> None:
    yahoo.faults["ACME"] = [(503, "")] * 4
    source = opened(max_attempts=9, backoff_s=0.0, breaker_failures=3, breaker_cooldown_s=60)
    assert len(source.fetch(["ACME"])["ACME"]) == 20
    assert yahoo.charts("ACME") == 5
    assert sleeper.waited_s == [60.0, 60.0]
    assert not source.breaker.is_open


def test_changed_history_is_seen_at_once(yahoo, opened) -> None:
    # The same URL twice, of a range that is over: yfinance alone answers from its cache.
    source = opened(adjust=False)
    ask = {"start": "2024-03-01", "end": "2024-03-20"}
    before = source.fetch(["ACME"], **ask)["ACME"]
    yahoo.rescale("ACME", 0.5)
    after = source.fetch(["ACME"], **ask)["ACME"]
    assert after.close == pytest.approx(before.close * 0.5)
    assert after.volume == pytest.approx(before.volume * 2)
    assert yahoo.charts("ACME") == 2


def test_a_dividend_changes_adjusted_closes_only(yahoo, opened) -> None:
    source = opened()
    before = next(source.raw(["ACME"]))[1]
    yahoo.rescale("ACME", 0.99, before=date(2024, 3, 11), dividend=True)
    after = next(source.raw(["ACME"]))[1]
    assert after["close"].tolist() == before["close"].tolist()
    ratio = after["adj_close"] / before["adj_close"]
    assert ratio.tolist() == pytest.approx([0.99] * 6 + [1.0] * 14)


def test_raw_gives_the_others_before_it_says_what_failed(yahoo, opened) -> None:
    yahoo.list("BBB", weekdays(date(2024, 3, 1), 5), walk(5))
    frames = opened().raw(["ACME", "GONE", "BBB"])
    assert [next(frames)[0], next(frames)[0]] == ["yfinance ACME", "yfinance BBB"]
    with pytest.raises(FetchError, match="1 of 3 symbols failed: GONE: unknown") as failed:
        next(frames)
    assert failed.value.reason is FetchReason.DELISTED
