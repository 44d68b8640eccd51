from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.clock import FixedClock
from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.errors import ConfigError, DataError, FetchError, FetchReason, RunError
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_core.times import Moment, to_datetime64
from marketgpt_data_sources import open_source
from marketgpt_data_sources.base import DataSource
from marketgpt_data_sources.download import DownloadConfig, DownloadReport, Outcome, Status, download
from marketgpt_data_sources.pacing.breaker import CircuitOpenError
from marketgpt_data_sources.pacing.network import NetworkConfig, NetworkSource
from marketgpt_data_sources.store import Store
from marketgpt_data_sources.writing import write_parquet

NAME = "vendor"


def _history(last: str, count: int = 60, *, seed: int = 1) -> pd.DataFrame:
    """So many weekdays up to a date; a later ``last`` only appends."""
    days = pd.bdate_range("2024-01-01", last)
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 1000)))[: len(days)]
    frame = pd.DataFrame({"time": days, "open": close, "high": close * 1.01, "low": close * 0.99})
    return frame.assign(close=close, volume=1000.0).iloc[-count:].reset_index(drop=True)


class Vendor(DataSource):
    """A vendor made of frames, who remembers what he was asked."""

    class Config(BaseConfig):
        pass

    def __init__(self, config: BaseConfig) -> None:
        super().__init__(config)
        self.histories: dict[str, pd.DataFrame] = {}
        self.faults: dict[str, list[Exception]] = {}
        self.asked: list[tuple[str, str | None, str | None]] = []

    def symbols(self, interval: Interval = Interval.DAY) -> tuple[str, ...]:
        return ()

    def fetch(self, symbols: Sequence[str], **rest: Any) -> Candles:
        raise AssertionError("a download asks for raw rows")

    def raw(
        self,
        symbols: Sequence[str],
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        interval: Interval = Interval.DAY,
    ) -> Iterator[tuple[str, pd.DataFrame]]:
        (symbol,) = symbols
        said = [None if moment is None else str(to_datetime64(moment))[:10] for moment in (start, end)]
        self.asked.append((symbol, said[0], said[1]))
        if self.faults.get(symbol):
            raise self.faults[symbol].pop(0)
        frame = self.histories[symbol]
        if start is not None:
            frame = frame[frame["time"] >= pd.Timestamp(to_datetime64(start))]
        if end is not None:
            frame = frame[frame["time"] < pd.Timestamp(to_datetime64(end))]
        yield f"vendor {symbol}", frame.assign(symbol=symbol)


@pytest.fixture
def vendor() -> Vendor:
    vendor = Vendor(BaseConfig())
    for seed, symbol in enumerate(("AAA", "BBB", "CCC", "DDD")):
        vendor.histories[symbol] = _history("2024-05-31", seed=seed)
    return vendor


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2024, 6, 1, 12, tzinfo=UTC))  # a Saturday: Friday's candle is known


@pytest.fixture
def store(tmp_path: Path, clock: FixedClock) -> Store:
    return Store(tmp_path / "store", clock=clock)


@pytest.fixture
def run(vendor: Vendor, store: Store, clock: FixedClock):
    def run(*symbols: str, **options: Any) -> DownloadReport:
        settings = {key: options.pop(key) for key in ("strict", "refresh", "replace") if key in options}
        config = DownloadConfig(**settings)
        return download(
            vendor, NAME, store, symbols or ("AAA",), **{"clock": clock, "config": config, **options}
        )

    return run


def _closes(store: Store, symbol: str = "AAA") -> list[float]:
    return list(store.read(NAME, [symbol])[symbol].close)


def _days(store: Store, symbol: str = "AAA") -> list[str]:
    return [str(stamp)[:10] for stamp in store.read(NAME, [symbol])[symbol].time]


def _statuses(report: DownloadReport) -> dict[str, str]:
    return {one.symbol: str(one.status) for one in report.outcomes}


def test_whole_then_not_asked_then_only_the_end(run, vendor, store, clock) -> None:
    (first,) = run().outcomes
    assert first == Outcome(
        "AAA",
        Status.NEW,
        rows_added=60,
        rows_total=60,
        requests=1,
        first=datetime(2024, 3, 11, tzinfo=UTC),
        last=datetime(2024, 5, 31, tzinfo=UTC),
    )
    assert vendor.asked == [("AAA", None, None)]
    assert _closes(store) == list(vendor.histories["AAA"]["close"])

    clock.advance(timedelta(days=1))  # Sunday: nothing can have happened
    (again,) = run().outcomes
    assert (again.status, again.requests, again.rows_total) == (Status.CURRENT, 0, 60)
    assert len(vendor.asked) == 1

    clock.advance(timedelta(days=3))  # Wednesday noon: Monday's and Tuesday's candles are known
    vendor.histories["AAA"] = _history("2024-06-04", 62, seed=0)
    (later,) = run().outcomes
    assert (later.status, later.rows_added, later.rows_total) == (Status.APPENDED, 2, 62)
    assert vendor.asked[1:] == [("AAA", "2024-05-20", None)]  # ten candles of overlap
    assert _closes(store) == list(vendor.histories["AAA"]["close"])


def test_refresh_asks_what_need_not_be_asked(run, vendor) -> None:
    run()
    (again,) = run(refresh=True).outcomes
    assert (again.status, again.requests) == (Status.UNCHANGED, 1)
    assert vendor.asked[1:] == [("AAA", "2024-05-20", None)]


def test_a_vendor_that_was_late_is_asked_again(run, vendor, clock) -> None:
    new_york = {"calendars": {"AAA": "XNYS"}}
    run(**new_york)
    clock.advance(timedelta(days=2, hours=7))  # Monday, an hour before the close
    assert _statuses(run(**new_york)) == {"AAA": "up to date"}
    clock.advance(timedelta(hours=1, minutes=10))
    assert _statuses(run(**new_york)) == {"AAA": "unchanged"}
    clock.advance(timedelta(hours=2))
    assert _statuses(run(**new_york)) == {"AAA": "unchanged"}
    assert _statuses(run(**new_york)) == {
        "AAA": "up to date"
    }  # asked well after the close: there is no candle
    assert len(vendor.asked) == 3


def test_restated_history_is_fetched_whole(run, vendor, store, clock) -> None:
    run()
    clock.advance(timedelta(days=4))
    after = _history("2024-06-04", 62, seed=0)
    after[["open", "high", "low", "close"]] /= 2
    vendor.histories["AAA"] = after
    (one,) = run().outcomes
    assert (one.status, one.requests, one.rows_total) == (Status.REPLACED, 2, 62)
    assert vendor.asked[1:] == [("AAA", "2024-05-20", None), ("AAA", None, None)]
    assert _closes(store) == list(after["close"])


def test_since_earlier_than_stored_fetches_whole_and_later_keeps(run, vendor, store) -> None:
    run(since="2024-05-01")
    assert vendor.asked == [("AAA", "2024-05-01", None)]
    assert _days(store)[0] == "2024-05-01"
    assert _statuses(run(since="2024-05-10")) == {"AAA": "up to date"}
    assert _statuses(run()) == {"AAA": "up to date"}  # no date given: what is stored is continued
    (one,) = run(since="2024-04-01").outcomes
    assert vendor.asked[1:] == [("AAA", "2024-04-01", None)]
    assert _days(store)[0] == "2024-04-01"
    assert one.rows_added == 22


def test_restated_history_is_asked_from_the_earliest_date_wanted_before(run, vendor, clock) -> None:
    run(since="2024-05-01")
    clock.advance(timedelta(days=4))
    vendor.histories["AAA"].loc[:, ["open", "high", "low", "close"]] *= 2
    assert _statuses(run(since="2024-05-20")) == {"AAA": "replaced"}
    assert vendor.asked[-1] == ("AAA", "2024-05-01", None)


def test_until_is_remembered(run, vendor, store) -> None:
    run(until="2024-05-01")
    assert _days(store)[-1] == "2024-04-30"
    assert _statuses(run(until="2024-05-01")) == {"AAA": "up to date"}
    assert _statuses(run(until="2024-04-10")) == {"AAA": "up to date"}
    (rest,) = run().outcomes
    assert (rest.status, rest.rows_added) == (Status.APPENDED, 23)
    assert _days(store)[-1] == "2024-05-31"


def test_whole_history_reaches_to_what_is_stored_whatever_until_says(run, vendor, store) -> None:
    run(since="2024-05-01")
    (one,) = run(since="2024-04-01", until="2024-05-10").outcomes
    assert vendor.asked[-1] == ("AAA", "2024-04-01", None)
    assert one.status.is_fine
    assert _days(store)[-1] == "2024-05-31"


def test_lost_history_is_refused_until_accepted(run, vendor, store, clock) -> None:
    run()
    before = _closes(store)
    clock.advance(timedelta(days=4))
    vendor.histories["AAA"] = vendor.histories["AAA"].iloc[30:].assign(close=lambda f: f["close"] * 1.001)
    report = run()
    (one,) = report.outcomes
    assert (one.status, one.reason) == (Status.FAILED, "bad data")
    assert "30 stored candles are missing" in one.message
    assert "--replace" in one.message
    assert _closes(store) == before
    (accepted,) = run(replace=True).outcomes
    assert (accepted.status, accepted.rows_total) == (Status.REPLACED, 30)


def _with_a_bad_row(frame: pd.DataFrame) -> pd.DataFrame:
    broken = frame.copy()
    broken.loc[7, "high"] = broken.loc[7, "low"] / 2
    return broken


def test_a_spike_that_was_stored_before_it_reverted_goes_aside(run, vendor, store, clock) -> None:
    sound = vendor.histories["AAA"].copy()
    prices = ["open", "high", "low", "close"]
    vendor.histories["AAA"].loc[len(sound) - 1, prices] *= 10  # nobody can tell yet: it might stay there
    run()
    assert _closes(store)[-1] == pytest.approx(10 * sound["close"].iloc[-1])
    clock.advance(timedelta(days=4))
    later = _history("2024-06-04", seed=0, count=62)
    later.loc[later["time"] == "2024-05-31", prices] *= 10
    vendor.histories["AAA"] = later
    (outcome,) = run().outcomes
    assert (outcome.status, outcome.rows_quarantined) == (Status.REPLACED, 1)
    assert _closes(store) == later["close"][later["time"] != "2024-05-31"].tolist()
    assert store.quarantined(NAME, Interval.DAY)["reason"].tolist() == ["spike"]


class ShortMemory(NetworkSource):
    """A vendor who keeps the last thirty days."""

    def __init__(self, vendor: Vendor, clock: FixedClock) -> None:
        super().__init__(NetworkConfig(requests_per_s=0, max_attempts=1))
        self.vendor = vendor
        self.clock = clock

    def symbols(self, interval: Interval = Interval.DAY) -> tuple[str, ...]:
        return ()

    def earliest(self, interval: Interval) -> datetime | None:
        return self.clock.now() - timedelta(days=30)

    def fetch(self, symbols: Sequence[str], **rest: Any) -> Candles:
        raise AssertionError("a download asks for raw rows")

    def raw(self, symbols: Sequence[str], **rest: Any) -> Iterator[tuple[str, pd.DataFrame]]:
        if rest["start"] is not None and rest["start"] < self.earliest(rest["interval"]):
            raise ConfigError("that far back there is nothing")
        yield from self.vendor.raw(symbols, **rest)


def test_what_a_vendor_no_longer_keeps_is_not_asked_for(vendor, store, clock) -> None:
    memory = ShortMemory(vendor, clock)

    def run() -> Outcome:
        return download(memory, NAME, store, ["AAA"], clock=clock, since=since).outcomes[0]

    since: datetime | None = datetime(2024, 5, 6, tzinfo=UTC)
    assert run().status is Status.NEW
    since = None
    # Restated while all that is stored is within reach: fetched whole from as far back as there is.
    clock.advance(timedelta(days=14))
    vendor.histories["AAA"] = _history("2024-06-14", seed=0)
    vendor.histories["AAA"]["close"] *= 1.002
    outcome = run()
    assert (outcome.status, outcome.reason) == (Status.FAILED, "bad data")  # stored candles are out of reach
    assert "stored candles are missing in the answer" in outcome.message
    # Not asked for so long that nothing is shared: refused in the same words, and nothing is lost.
    clock.advance(timedelta(days=60))
    vendor.histories["AAA"] = _history("2024-08-13", seed=0)
    assert run().reason == "bad data"
    assert len(_closes(store)) == 20


def test_bad_rows_are_set_aside_and_the_others_stored(run, vendor, store) -> None:
    vendor.histories["AAA"] = _with_a_bad_row(vendor.histories["AAA"])
    (one,) = run().outcomes
    assert (one.status, one.rows_added, one.rows_quarantined) == (Status.NEW, 59, 1)
    aside = store.quarantined(NAME, Interval.DAY, "AAA")
    assert [str(stamp)[:10] for stamp in aside["time"]] == ["2024-03-20"]


def test_strict_stores_nothing_of_a_symbol_with_bad_rows(run, vendor, store) -> None:
    vendor.histories["AAA"] = _with_a_bad_row(vendor.histories["AAA"])
    report = run("AAA", "BBB", strict=True)
    assert _statuses(report) == {"AAA": "failed", "BBB": "new"}
    (failure,) = report.failures
    assert failure.reason == "bad data"
    assert failure.message.startswith("AAA: 1 bad rows (1 x impossible")
    assert failure.message.endswith("first 2024-03-20)")
    assert store.entry(NAME, Interval.DAY, "AAA") is None
    assert len(store.quarantined(NAME, Interval.DAY)) == 0


def test_no_sound_row_at_all(run, vendor, store) -> None:
    vendor.histories["AAA"] = vendor.histories["AAA"].assign(low=-1.0)
    (one,) = run().outcomes
    assert (one.status, one.reason) == (Status.FAILED, "bad data")
    assert one.message.startswith("AAA: no sound row: 60 bad rows")


def test_nothing_in_the_range(run) -> None:
    (one,) = run(since="2025-01-01").outcomes
    assert (one.reason, one.message) == ("empty", "AAA: no candle from 2025-01-01")


def test_failures_are_noted_and_cleared_by_success(run, vendor, store) -> None:
    reasons = [FetchReason.DELISTED, FetchReason.THROTTLED, FetchReason.UNREACHABLE, FetchReason.BAD_ANSWER]
    for symbol, reason in zip(vendor.histories, reasons, strict=True):
        vendor.faults[symbol] = [FetchError(f"{symbol}: went wrong", reason=reason)]
    report = run(*vendor.histories)
    assert [one.reason for one in report.failures] == [str(reason) for reason in reasons]
    assert report.reasons() == {str(reason): 1 for reason in reasons}
    assert set(store.failures(NAME, Interval.DAY)) == set(vendor.histories)
    assert run(*vendor.histories).is_complete
    assert len(store.failures(NAME, Interval.DAY)) == 0


def test_a_failed_update_keeps_what_is_stored(run, vendor, store, clock) -> None:
    run()
    clock.advance(timedelta(days=4))
    vendor.faults["AAA"] = [FetchError("AAA: no", reason=FetchReason.UNREACHABLE)]
    (one,) = run().outcomes
    assert (one.status, one.rows_total) == (Status.FAILED, 60)
    assert len(_closes(store)) == 60


def test_once_the_source_gives_up_the_rest_is_not_tried(run, vendor, store) -> None:
    vendor.faults["BBB"] = [CircuitOpenError("BBB: gave up", reason=FetchReason.UNREACHABLE)]
    report = run(*vendor.histories)
    assert _statuses(report) == {"AAA": "new", "BBB": "not tried", "CCC": "not tried", "DDD": "not tried"}
    assert report.reasons() == {"not tried": 3}
    assert [symbol for symbol, *_ in vendor.asked] == ["AAA", "BBB"]
    assert not report.interrupted
    assert _statuses(run(*vendor.histories)) == {"AAA": "up to date"} | dict.fromkeys(
        ("BBB", "CCC", "DDD"), "new"
    )


def test_stopped_then_resumed_asks_only_for_the_rest(run, vendor) -> None:
    stop = threading.Event()
    report = run(*vendor.histories, stop=stop, on_outcome=lambda one: stop.set())
    assert report.interrupted
    fetched = [symbol for symbol, *_ in vendor.asked]
    assert _statuses(report)["AAA"] == "new"
    assert {"not tried", "new"} == set(_statuses(report).values())
    vendor.asked.clear()
    assert run(*vendor.histories).is_complete
    assert [symbol for symbol, *_ in vendor.asked] == [s for s in vendor.histories if s not in fetched]


def test_what_another_process_fetched_meanwhile_is_not_asked(run, vendor, store, clock) -> None:
    class Busy(Vendor):
        def raw(self, symbols: Sequence[str], **options: Any) -> Iterator[tuple[str, pd.DataFrame]]:
            if symbols == ["AAA"]:
                download(vendor, NAME, store, ["BBB"], clock=clock)
            return super().raw(symbols, **options)

    busy = Busy(BaseConfig())
    busy.histories = vendor.histories
    report = download(busy, NAME, store, ["AAA", "BBB"], clock=clock)
    assert _statuses(report) == {"AAA": "new", "BBB": "up to date"}
    assert [symbol for symbol, *_ in busy.asked] == ["AAA"]


def test_the_second_of_two_downloads_begins_at_the_other_end(run, vendor, store, clock) -> None:
    class Busy(Vendor):
        def raw(self, symbols: Sequence[str], **options: Any) -> Iterator[tuple[str, pd.DataFrame]]:
            if symbols == ["AAA"]:
                download(vendor, NAME, store, list(vendor.histories), clock=clock)
            return super().raw(symbols, **options)

    busy = Busy(BaseConfig())
    busy.histories = vendor.histories
    report = download(busy, NAME, store, list(vendor.histories), clock=clock)
    assert [symbol for symbol, *_ in vendor.asked] == ["DDD", "CCC", "BBB", "AAA"]
    assert _statuses(report) == {"AAA": "unchanged"} | dict.fromkeys(("BBB", "CCC", "DDD"), "up to date")
    assert [one.symbol for one in run(*vendor.histories).outcomes] == list(vendor.histories)


def test_as_many_side_by_side_as_the_source_allows(run, vendor) -> None:
    meeting = threading.Barrier(3)  # broken, and the test with it, unless three are there at one time
    original = vendor.raw

    def raw(symbols: Sequence[str], **options: Any) -> Iterator[tuple[str, pd.DataFrame]]:
        if symbols != ["DDD"]:
            meeting.wait(timeout=60)
        return original(symbols, **options)

    vendor.raw = raw
    vendor.max_concurrency = 3
    threads: list[threading.Thread] = []
    report = run(*vendor.histories, on_outcome=lambda one: threads.append(threading.current_thread()))
    assert report.is_complete
    assert [one.symbol for one in report.outcomes] == ["AAA", "BBB", "CCC", "DDD"]  # in the order asked for
    assert set(threads) == {threading.current_thread()}


def test_a_store_that_cannot_be_written_ends_the_download(run, vendor, store, monkeypatch) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise RunError("cannot write x: No space left on device")

    monkeypatch.setattr(store, "update", full)
    with pytest.raises(RunError, match="No space left"):
        run(*vendor.histories)
    assert len(vendor.asked) < 4


def test_an_unexpected_error_is_told_and_stops_no_other_symbol(run, vendor, caplog) -> None:
    vendor.faults["AAA"] = [ZeroDivisionError("a defect")]
    with caplog.at_level("DEBUG"):
        report = run("AAA", "BBB")
    assert _statuses(report) == {"AAA": "failed", "BBB": "new"}
    assert report.failures[0].reason == "bad answer"
    assert report.failures[0].message.startswith("AAA: unexpected ZeroDivisionError: a defect")
    assert "Traceback" in caplog.text


def test_mistakes(run) -> None:
    with pytest.raises(ConfigError, match="nothing lies between since 2024-05-01 and until 2024-05-01"):
        run(since="2024-05-01", until="2024-05-01")
    with pytest.raises(DataError, match="is not a symbol"):
        run("../../x")


def test_universe_says_category_and_calendar(run, vendor, store, clock) -> None:
    run("AAA", categories={"AAA": Category.EM})
    assert store.entry(NAME, Interval.DAY, "AAA").category is Category.EM
    clock.advance(timedelta(days=1))
    # Sunday: a market that never closes has seen another day.
    assert _statuses(run("AAA", calendars={"AAA": "24/7"})) == {"AAA": "unchanged"}


def test_report_as_plain_values(run, vendor) -> None:
    vendor.faults["BBB"] = [FetchError("BBB: gone", reason=FetchReason.DELISTED)]
    report = run("AAA", "BBB", "AAA")
    written = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert {"symbols": 2, "new": 1, "failed": 1, "rows_added": 60, "requests": 2}.items() <= written[
        "totals"
    ].items()
    assert written["failures_by_reason"] == {"delisted": 1}
    assert written["symbols"][0]["last"] == "2024-05-31"
    assert written["symbols"][1]["message"] == "BBB: gone"


# Places of the user's.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    frames = [_history("2024-05-31", seed=seed).assign(symbol=f"S{seed}") for seed in range(4)]
    write_parquet(Candles.from_frame(pd.concat(frames)), tmp_path / "folder")
    return tmp_path / "folder"


def test_a_folder_is_read_in_one_pass_whole_every_time(folder, store, clock, monkeypatch) -> None:
    place = open_source(f"parquet:{folder}")
    passes: list[Sequence[str]] = []
    original = place.raw

    def raw(symbols: Sequence[str], **options: Any) -> Iterator[tuple[str, pd.DataFrame]]:
        passes.append(list(symbols))
        return original(symbols, **options)

    monkeypatch.setattr(place, "raw", raw)
    symbols = place.symbols()
    assert set(_statuses(download(place, "parquet", store, symbols, clock=clock)).values()) == {"new"}
    again = download(place, "parquet", store, symbols, clock=clock)
    assert set(_statuses(again).values()) == {"unchanged"}
    assert passes == [list(symbols)] * 2
    assert store.read("parquet").fingerprint() == place.fetch(symbols).fingerprint()


def test_symbols_a_folder_lacks_and_files_that_cannot_be_read(folder, store, clock) -> None:
    place = open_source(f"parquet:{folder}")
    place.symbols()
    (folder / "S2.parquet").write_bytes(b"PAR1 no more")
    report = download(place, "parquet", store, ["S0", "S9", "S2", "S3"], clock=clock)
    assert _statuses(report) == {"S0": "new", "S9": "failed", "S2": "failed", "S3": "new"}
    lacking, broken = report.failures
    assert lacking.reason == "empty"
    assert lacking.message == "S9: parquet does not have it; known: S0, S1, S2, S3"
    assert broken.reason == "bad data"
    assert "S2.parquet" in broken.message


def test_a_range_of_a_folder(folder, store, clock) -> None:
    place = open_source(f"parquet:{folder}")
    (one,) = download(
        place, "parquet", store, ["S0"], since="2024-05-01", until="2024-05-08", clock=clock
    ).outcomes
    assert (one.rows_added, str(one.first)[:10], str(one.last)[:10]) == (5, "2024-05-01", "2024-05-07")


# Vendors that ask somebody else.


class Down(NetworkSource):
    """A server that nobody reaches."""

    class Config(NetworkConfig):
        pass

    def symbols(self, interval: Interval = Interval.DAY) -> tuple[str, ...]:
        return ()

    def fetch(self, symbols: Sequence[str], **rest: Any) -> Candles:
        raise AssertionError("a download asks for raw rows")

    def raw(self, symbols: Sequence[str], **rest: Any) -> Iterator[tuple[str, pd.DataFrame]]:
        def function() -> pd.DataFrame:
            raise ConnectionRefusedError("refused")

        yield "", self.ask(symbols[0], function)


class Unhurried(threading.Event):
    """An event whose waits move a clock and take no time."""

    def __init__(self, clock: FixedClock) -> None:
        super().__init__()
        self.clock = clock
        self.waited_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waited_s.append(timeout)
        self.clock.advance(timedelta(seconds=timeout))
        return self.is_set()


def test_a_long_wait_is_told_and_a_source_that_stays_down_is_given_up(store, clock, caplog) -> None:
    options = {"max_attempts": 1, "max_concurrency": 1, "requests_per_s": 0}
    breaker = {"breaker_failures": 1, "breaker_openings": 2, "breaker_cooldown_s": 60}
    source = Down(Down.Config(**options, **breaker))
    source.clock = clock
    stop = Unhurried(clock)
    report = download(source, NAME, store, ["AAA", "BBB", "CCC", "DDD"], clock=clock, stop=stop)
    assert _statuses(report) == {"AAA": "failed", "BBB": "failed", "CCC": "not tried", "DDD": "not tried"}
    assert report.reasons() == {"unreachable": 2, "not tried": 2}
    assert stop.waited_s == [60.0]
    assert [record.message for record in caplog.records] == ["vendor does not answer; asking again in 60 s"]
    assert report.seconds == 60.0
    assert "after 2 failures in a row" in report.failures[-1].message
