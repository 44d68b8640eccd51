from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.cli import main
from marketgpt_core.clock import FixedClock, SystemClock
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_data_sources import load_candles, open_source
from marketgpt_data_sources.cli.fetch import name_in_store
from marketgpt_data_sources.loopback.yahoo import YahooServer, walk, weekdays
from marketgpt_data_sources.pacing.network import NetworkConfig, NetworkSource
from marketgpt_data_sources.sources.yahoo import YFinance
from marketgpt_data_sources.store import Store

DAYS = weekdays(date(2024, 3, 1), 60)  # to 2024-05-23
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> FixedClock:
    """The machine's clock, standing still until it is moved."""
    clock = FixedClock(datetime(2024, 5, 24, 2, tzinfo=UTC))
    monkeypatch.setattr(SystemClock, "now", lambda self: clock.now())
    return clock


@pytest.fixture
def run(
    yahoo: YahooServer,
    tmp_path: Path,
    now: FixedClock,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run ``marketgpt data fetch`` in a folder of its own, with Yahoo on the loopback."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MARKETGPT_STORE", raising=False)
    pace = (
        "requests_per_s=0",
        "backoff_s=0",
        "max_backoff_s=0",
        "breaker_cooldown_s=0",
        f"mirror={yahoo.base}",
    )

    def run(*arguments: str, source: str = "yfinance") -> tuple[int, str, str]:
        options = [part for option in pace for part in ("-o", option)] if source == "yfinance" else []
        with pytest.raises(SystemExit) as stop:
            main(["data", "fetch", "--source", source, *options, *arguments])
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def listed(yahoo: YahooServer) -> Sequence[str]:
    symbols = ("AAA", "BBB", "CCC")
    for seed, symbol in enumerate(symbols):
        yahoo.list(symbol, DAYS, walk(len(DAYS), seed=seed))
    return symbols


def _report(run: Run, *arguments: str, expected: int = 0) -> dict[str, Any]:
    status, out, err = run("--json", *arguments)
    assert status == expected, err
    assert err == ""
    report: dict[str, Any] = json.loads(out)
    return report


def _statuses(report: dict[str, Any]) -> dict[str, str]:
    return {one["symbol"]: one["status"] for one in report["symbols"]}


def test_fetch_then_nothing_to_ask_then_the_next_day(run: Run, listed, yahoo, now) -> None:
    report = _report(run, "--symbols", "AAA,BBB,CCC")
    assert _statuses(report) == dict.fromkeys(listed, "new")
    assert report["totals"]["rows_added"] == 180
    assert report["totals"]["requests"] == 3
    assert (report["store"], report["source"], report["interval"]) == ("marketgpt-data", "yfinance", "1d")
    stored = Store(Path("marketgpt-data")).read("yfinance")
    assert report["fingerprint"] == stored.fingerprint()
    assert list(stored["AAA"].close) == pytest.approx([row[3] for row in walk(60, seed=0)], rel=1e-12)

    yahoo.requests.clear()
    again = _report(run, "--symbols", "AAA,BBB,CCC")
    assert _statuses(again) == dict.fromkeys(listed, "up to date")
    assert (yahoo.requests, again["fingerprint"]) == ([], report["fingerprint"])

    now.advance(timedelta(days=1))
    for seed, symbol in enumerate(listed):
        yahoo.extend(symbol, [date(2024, 5, 24)], walk(1, seed=10 + seed))
    later = _report(run, "--symbols", "AAA,BBB,CCC")
    assert _statuses(later) == dict.fromkeys(listed, "appended")
    assert later["totals"]["rows_added"] == 3
    assert dict(yahoo.counts()) == dict.fromkeys(listed, 1)
    assert later["fingerprint"] != report["fingerprint"]


def test_what_a_person_reads(run: Run, listed, yahoo) -> None:
    status, out, err = run("--symbols", "AAA,GONE,BBB", "--store", "here")
    assert (status, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == "3 symbols in 0.0 s: 2 new, 1 failed"
    assert lines[1] == "120 candles added; 120 stored"
    assert lines[2].startswith("fingerprint ")
    assert lines[2].endswith("read them with --source store:here")
    assert lines[4] == "1 symbols failed:"
    assert lines[5].split() == ["symbol", "reason", "said"]
    assert lines[6].split()[:2] == ["GONE", "delisted"]
    assert lines[8:] == [
        "what to do:",
        "  delisted (1): look it up at the vendor: mistyped, renamed or gone; then mend the universe",
    ]


PASSES = (429, "Too Many Requests")


@pytest.mark.parametrize(
    ("faults", "reason", "requests"),
    [
        pytest.param([PASSES], None, 2, id="429 once"),
        pytest.param([PASSES] * 9, "throttled", 4, id="429 for ever"),
        pytest.param([(500, "Internal Server Error")], None, 2, id="500 once"),
        pytest.param([(500, "Internal Server Error")] * 9, "unreachable", 4, id="500 for ever"),
        pytest.param(["reset"] * 9, "unreachable", 4, id="reset for ever"),
        pytest.param(["html"], None, 2, id="a page once"),
        pytest.param(["html"] * 9, "bad answer", 4, id="a page for ever"),
        pytest.param(["truncate"], None, 2, id="half an answer once"),
        pytest.param(["empty"] * 9, "bad answer", 4, id="no body for ever"),
    ],
)
def test_one_symbol_in_trouble(run: Run, listed, yahoo, *, faults, reason, requests) -> None:
    yahoo.faults["BBB"] = list(faults)
    report = _report(run, "--symbols", "AAA,BBB,CCC", expected=0 if reason is None else 1)
    expected = dict.fromkeys(listed, "new") | ({} if reason is None else {"BBB": "failed"})
    assert _statuses(report) == expected
    assert report["failures_by_reason"] == ({} if reason is None else {reason: 1})
    assert yahoo.charts("BBB") == requests
    failures = Store(Path("marketgpt-data")).failures("yfinance", Interval.DAY)
    assert {symbol: str(one.reason) for symbol, one in failures.items()} == (
        {} if reason is None else {"BBB": reason}
    )


def test_a_server_that_does_not_answer(run: Run, listed, yahoo) -> None:
    yahoo.faults["BBB"] = ["timeout"] * 9
    report = _report(run, "--symbols", "AAA,BBB", "-o", "timeout_s=0.2", "-o", "max_attempts=1", expected=1)
    assert report["failures_by_reason"] == {"unreachable": 1}
    assert _statuses(report)["AAA"] == "new"


def test_nothing_in_the_range_and_delisted(run: Run, listed, yahoo) -> None:
    report = _report(run, "--symbols", "AAA,GONE", "--until", "2020-01-01", expected=3)
    assert [(one["symbol"], one["reason"]) for one in report["symbols"]] == [
        ("AAA", "empty"),
        ("GONE", "delisted"),
    ]
    assert report["fingerprint"] is None


def test_changed_history_between_two_runs(run: Run, listed, yahoo, now) -> None:
    _report(run, "--symbols", "AAA,BBB")
    now.advance(timedelta(days=1))
    for symbol in ("AAA", "BBB"):
        yahoo.extend(symbol, [date(2024, 5, 24)], walk(1, seed=11))
    yahoo.rescale("BBB", 0.5, before=date(2024, 5, 24))
    yahoo.requests.clear()
    report = _report(run, "--symbols", "AAA,BBB")
    assert _statuses(report) == {"AAA": "appended", "BBB": "replaced"}
    assert dict(yahoo.counts()) == {"AAA": 1, "BBB": 2}
    closes = Store(Path("marketgpt-data")).read("yfinance", ["BBB"])["BBB"].close
    expected = [row[3] for row in yahoo.listings["BBB"].candles]
    assert list(closes) == pytest.approx(expected, rel=1e-12)


def test_a_server_that_is_down_is_given_up(run: Run, listed, yahoo) -> None:
    symbols = [f"S{number:02d}" for number in range(20)]
    for symbol in symbols:
        yahoo.faults[symbol] = [(503, "Service Unavailable")] * 9
    breaker = ("breaker_failures=3", "breaker_openings=1", "breaker_cooldown_s=60", "max_concurrency=1")
    options = [part for option in breaker for part in ("-o", option)]
    report = _report(run, "--symbols", ",".join(symbols), *options, expected=3)
    assert set(_statuses(report).values()) <= {"failed", "not tried"}
    # The first symbol is tried three times, then the breaker opens: nobody else is asked for.
    assert report["failures_by_reason"] == {"not tried": 20}
    assert dict(yahoo.counts()) == {"S00": 3}
    status, out, _ = run("--symbols", ",".join(symbols), *options)
    assert status == 3
    assert (
        "20 symbols were not tried (S00, S01, S02, S03, S04, ...): not asked for after 3 failures in a row"
        in out
    )
    assert "it goes on where it was" in out


def test_bad_rows_and_strict(run: Run, listed, yahoo) -> None:
    candles = walk(60, seed=5)
    candles[30] = (10.0, 5.0, 20.0, 10.0, 10.0, 100)
    yahoo.list("BAD", DAYS, candles)
    report = _report(run, "--symbols", "AAA,BAD", "--strict", expected=1)
    assert report["failures_by_reason"] == {"bad data": 1}
    assert "1 x impossible" in report["symbols"][1]["message"]
    report = _report(run, "--symbols", "AAA,BAD")
    assert (report["totals"]["rows_quarantined"], report["totals"]["rows_added"]) == (1, 59)
    status, out, _ = run("--symbols", "BAD", "--refresh", "--since", "2024-02-01")
    assert status == 0
    assert "bad rows set aside" in out or "0 candles added" in out


def test_a_universe_brings_its_benchmark(run: Run, listed, yahoo, tmp_path) -> None:
    universe = tmp_path / "mine.toml"
    universe.write_text(
        'name = "mine"\nbenchmark = "CCC"\n[[groups]]\ncategory = "em"\nsymbols = ["AAA", "BBB"]\n'
    )
    report = _report(run, str(universe))
    assert _statuses(report) == dict.fromkeys(("AAA", "BBB", "CCC"), "new")
    assert Store(Path("marketgpt-data")).entries("yfinance", Interval.DAY)["AAA"].category is Category.EM
    assert _statuses(_report(run, str(universe), "--symbols", "CCC")) == {"CCC": "up to date"}
    status, _, err = run(str(universe), "--symbols", "AAB")
    assert status == 2
    assert "unknown symbol 'AAB' in universe mine; did you mean 'AAA'" in err


def test_any_source_feeds_the_store(run: Run, tmp_path) -> None:
    status, _, _ = run(
        "--symbols", "SYN002,SYN000", "--since", "2012-01-01", "--until", "2013-01-01", source="synthetic"
    )
    assert status == 0
    original = load_candles("synthetic", ["SYN002", "SYN000"], "2012-01-01", "2013-01-01")
    stored = Store(Path("marketgpt-data")).read("synthetic", ["SYN002", "SYN000"])
    assert stored.fingerprint() == original.fingerprint()


def test_store_from_the_environment(run: Run, listed, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MARKETGPT_STORE", str(tmp_path / "elsewhere"))
    assert _report(run, "--symbols", "AAA")["store"] == str(tmp_path / "elsewhere")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_then_resumed(run: Run, listed, yahoo, monkeypatch, number) -> None:
    original = YFinance.raw

    def raw(self: YFinance, symbols: Sequence[str], **options: Any) -> Any:
        if list(symbols) == ["BBB"]:
            os.kill(os.getpid(), number)
            self.sleep(3600.0)  # a wait that only the interrupt ends
        return original(self, symbols, **options)

    with monkeypatch.context() as patch:
        patch.setattr(YFinance, "raw", raw)
        status, out, _ = run("--symbols", "AAA,BBB,CCC", "-o", "max_concurrency=1")
    assert status == 130
    assert out.splitlines()[0].endswith("1 new, 2 not tried")
    resumed = _report(run, "--symbols", "AAA,BBB,CCC")
    assert _statuses(resumed) == {"AAA": "up to date", "BBB": "new", "CCC": "new"}
    assert yahoo.charts("AAA") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "what shall be fetched? name a universe"),
        (("--symbols", ","), "name at least one symbol"),
        (("--symbols", "../../x"), "is not a symbol"),
        (("--symbols", "AAA", "--since", "soon"), "'soon' is not a date"),
        (("--symbols", "AAA", "--since", "2024-01-02", "--until", "2024-01-01"), "nothing lies between"),
        (("--symbols", "AAA", "--interval", "2d"), "unknown interval '2d'"),
        (("cripto",), "did you mean 'crypto'"),
        (("no-such.toml",), "no-such.toml"),
        (("--symbols", "AAA", "-o", "mirrow=x"), "no such key 'mirrow'"),
        (("--symbols", "AAA", "--store", __file__), "is a file"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(run: Run, arguments: tuple[str, ...], message: str) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err


def test_an_unknown_symbol_of_a_source_that_lists_its_own(run: Run) -> None:
    status, _, err = run("--symbols", "SYN01", source="synthetic")
    assert status == 2
    assert "did you mean 'SYN0" in err


def test_a_name_of_ones_own_in_the_store(run: Run, tmp_path) -> None:
    status, _, _ = run("--as", "law-1", "--symbols", "SYN000", source="synthetic:garch_t")
    assert status == 0
    assert list(Store(tmp_path / "marketgpt-data").sources()) == ["law-1"]
    status, _, err = run("--as", "../law", "--symbols", "SYN000", source="synthetic:garch_t")
    assert status == 2
    assert "cannot be a source in a store" in err


class Exchanges(NetworkSource):
    """A vendor of several exchanges."""

    def symbols(self, interval: Interval = Interval.DAY) -> tuple[str, ...]:
        return ()

    def fetch(self, symbols, *, start=None, end=None, interval=Interval.DAY) -> Candles:
        return Candles([], interval=interval)


def test_two_exchanges_of_one_plugin_are_kept_apart() -> None:
    vendor = Exchanges(NetworkConfig())
    assert name_in_store("ccxt:kraken", vendor) == "ccxt-kraken"
    assert name_in_store("yfinance", vendor) == "yfinance"
    assert name_in_store("synthetic:garch_t", open_source("synthetic:garch_t")) == "synthetic"
