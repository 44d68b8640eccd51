from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketgpt_core.candles import PRICES, Candles, CandleSeries
from marketgpt_core.clock import FixedClock
from marketgpt_core.errors import CandleError, DataError, FetchReason
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_core.testing import make_candles
from marketgpt_data_sources.store import DEFAULT_STORE, Store, UpdateKind, store_folder

DAY = Interval.DAY
HISTORY = make_candles(["AAA", "BBB", "CCC"], num_candles=40)
SINCE = datetime(2015, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path, clock: FixedClock) -> Store:
    return Store(tmp_path / "store", clock=clock, lock_timeout_s=0.05)


def _files(store: Store, pattern: str = "*.parquet") -> list[str]:
    return sorted(path.name for path in (store.root / "src" / "1d").glob(pattern))


def test_an_empty_store_holds_nothing_and_makes_nothing(store: Store) -> None:
    assert store.sources() == {}
    assert store.entries("src", DAY) == {}
    assert store.failures("src", DAY) == {}
    assert store.entry("src", DAY, "AAA") is None
    assert store.overlap("src", DAY, "AAA", 5) is None
    assert len(store.read("src")) == 0
    assert store.quarantined("src", DAY).empty
    assert not store.root.exists()
    with pytest.raises(DataError, match=r"unknown symbol 'AAA' in src at 1d in .*; known: none"):
        store.read("src", ["AAA"])


def test_what_was_stored_reads_back_to_the_bit(store: Store, clock: FixedClock) -> None:
    for series in HISTORY.values():
        update = store.update("src", series, since=SINCE, whole=True)
        assert (update.kind, update.rows_added, update.rows_total) == ("new", 40, 40)
    assert store.read("src").fingerprint() == HISTORY.fingerprint()
    assert store.sources() == {"src": [DAY]}
    entry = store.entries("src", DAY)["BBB"]
    assert (entry.rows, entry.category, entry.since) == (40, Category.US, SINCE)
    assert (entry.first, entry.last) == (HISTORY["BBB"].time[0], HISTORY["BBB"].time[-1])
    assert entry.checked_at == clock.now()
    assert entry.fingerprint == HISTORY.select(["BBB"]).fingerprint()
    again = Store(store.root).read("src", ["CCC", "AAA", "CCC"])
    assert again.symbols == ("CCC", "AAA")
    # Others may write to what they read: torch warns of arrays that cannot be.
    assert again["CCC"].close.flags.writeable


def test_reads_a_half_open_range_and_leaves_out_who_has_none(store: Store) -> None:
    store.update("src", HISTORY["AAA"], since=None, whole=True)
    store.update("src", HISTORY["BBB"][30:], since=None, whole=True)
    start, end = HISTORY["AAA"].time[5], HISTORY["AAA"].time[9]
    found = store.read("src", start=start, end=end)
    assert found.symbols == ("AAA",)
    assert list(found["AAA"].time) == list(HISTORY["AAA"].time[5:9])
    # Not a view of the whole history.
    assert found["AAA"].close.base is None


def test_intervals_and_sources_lie_apart(store: Store) -> None:
    hourly = replace(HISTORY["AAA"][:3], interval=Interval.HOUR)
    store.update("src", hourly, since=None, whole=True)
    store.update("other", HISTORY["AAA"], since=None, whole=True)
    assert store.sources() == {"other": [DAY], "src": [Interval.HOUR]}
    assert len(store.read("src", interval=Interval.HOUR)["AAA"]) == 3
    assert len(store.read("src")) == 0


def test_updates_say_what_they_did(store: Store, clock: FixedClock) -> None:
    whole = HISTORY["AAA"]
    store.update("src", whole[:30], since=SINCE, whole=True)
    start = store.overlap("src", DAY, "AAA", 5)
    assert start == whole.time[25]
    clock.advance(timedelta(days=1))
    update = store.update("src", whole.between(start, None), since=None, whole=False)
    assert (update.kind, update.rows_added, update.rows_revised, update.rows_total) == ("appended", 10, 0, 40)
    entry = store.entry("src", DAY, "AAA")
    assert entry is not None
    # A part does not say how far back the history reaches.
    assert (entry.since, entry.checked_at) == (SINCE, clock.now())
    clock.advance(timedelta(days=1))
    assert store.update("src", whole[35:], since=None, whole=False).kind is UpdateKind.UNCHANGED
    entry = store.entry("src", DAY, "AAA")
    assert entry is not None
    assert entry.checked_at == clock.now()


def test_readjusted_and_shrunk_write_nothing(store: Store, clock: FixedClock) -> None:
    whole = HISTORY["AAA"]
    store.update("src", whole[:30], since=SINCE, whole=True)
    store.failed("src", DAY, "AAA", FetchReason.THROTTLED, "429")
    before = store.manifest("src", DAY)
    clock.advance(timedelta(days=1))
    halved = replace(whole, **{name: getattr(whole, name) / 2 for name in PRICES})
    update = store.update("src", halved[20:], since=None, whole=False)
    assert (update.kind, update.ratio, update.rows_total) == ("readjusted", 0.5, 30)
    update = store.update("src", halved[1:], since=SINCE, whole=True)
    assert (update.kind, update.rows_total) == ("shrunk", 30)
    assert store.manifest("src", DAY) == before
    update = store.update("src", halved, since=None, whole=True)
    assert (update.kind, update.rows_added, update.rows_revised, update.ratio) == ("replaced", 10, 30, 0.5)
    assert store.read("src")["AAA"].close[0] == whole.close[0] / 2
    entry = store.entry("src", DAY, "AAA")
    assert entry is not None
    assert entry.since is None
    assert store.update("src", halved[1:], since=None, whole=True, replace=True).kind == "replaced"
    assert len(store.read("src")["AAA"]) == 39


def test_a_tolerance_can_be_chosen(store: Store) -> None:
    whole = HISTORY["AAA"]
    store.update("src", whole, since=None, whole=True)
    moved = replace(whole, **{name: getattr(whole, name) * 1.001 for name in PRICES})
    assert store.update("src", moved[20:], since=None, whole=False).kind == "readjusted"
    assert store.update("src", moved[20:], since=None, whole=False, tolerance=0.01).kind == "unchanged"


def test_impossible_candles_are_refused_and_leave_nothing(store: Store) -> None:
    bad = replace(HISTORY["AAA"], low=HISTORY["AAA"].high * 2)
    with pytest.raises(CandleError, match="AAA: 40 impossible candles"):
        store.update("src", bad, since=None, whole=True)
    assert not store.root.exists()


def test_no_candles_make_no_entry(store: Store) -> None:
    update = store.update("src", HISTORY["AAA"][:0], since=None, whole=True)
    assert (update.kind, update.rows_total) == ("unchanged", 0)
    assert store.entry("src", DAY, "AAA") is None


def test_an_empty_answer_to_a_part_is_a_check(store: Store, clock: FixedClock) -> None:
    store.update("src", HISTORY["AAA"], since=None, whole=True)
    clock.advance(timedelta(hours=1))
    assert store.update("src", HISTORY["AAA"][:0], since=None, whole=False).kind == "unchanged"
    entry = store.entry("src", DAY, "AAA")
    assert entry is not None
    assert (entry.checked_at, entry.rows) == (clock.now(), 40)


def test_touch_moves_since_back_only(store: Store, clock: FixedClock) -> None:
    store.update("src", HISTORY["AAA"], since=SINCE, whole=True)
    later = SINCE + timedelta(days=9)
    for since, expected in ((later, SINCE), (SINCE - timedelta(days=9),) * 2, (None, None), (SINCE, None)):
        clock.advance(timedelta(hours=1))
        store.touch("src", DAY, "AAA", since=since)
        entry = store.entry("src", DAY, "AAA")
        assert entry is not None
        assert (entry.since, entry.checked_at) == (expected, clock.now())
    assert store.read("src").fingerprint() == HISTORY.select(["AAA"]).fingerprint()
    store.touch("src", DAY, "BBB", since=None)
    assert store.entry("src", DAY, "BBB") is None


def test_failures_stay_until_a_success(store: Store, clock: FixedClock) -> None:
    store.failed("src", DAY, "AAA", FetchReason.DELISTED, "AAA:\nnot\x00 found \x1b[31m" + "x" * 1000)
    store.failed("src", DAY, "BBB", FetchReason.THROTTLED, "429")
    failure = store.failures("src", DAY)["AAA"]
    assert (failure.reason, failure.at) == (FetchReason.DELISTED, clock.now())
    assert failure.message.startswith("AAA: not found [31mxxx")
    assert len(failure.message) == 500
    store.update("src", HISTORY["AAA"], since=None, whole=True)
    assert list(store.failures("src", DAY)) == ["BBB"]
    store.touch("src", DAY, "BBB", since=None)
    assert store.failures("src", DAY) == {}


def test_symbols_that_differ_in_case_are_two(store: Store) -> None:
    lower = replace(HISTORY["BBB"], symbol="aaa")
    store.update("src", HISTORY["AAA"], since=None, whole=True)
    store.update("src", lower, since=None, whole=True)
    # The same candles too: the symbol is part of what is hashed.
    store.update("src", replace(HISTORY["AAA"], symbol="Aaa"), since=None, whole=True)
    names = _files(store)
    assert len({name.casefold() for name in names}) == 3
    assert store.read("src")["aaa"].close[0] == HISTORY["BBB"].close[0]
    assert store.read("src")["AAA"].close[0] == HISTORY["AAA"].close[0]


@pytest.mark.parametrize(
    "symbol", ["../../x", "a/b", "", ".", "..", "A\0", "x;y", "ÄÖ", "_", "-rf", "A" * 33]
)
def test_hostile_symbols_reach_no_path(store: Store, symbol: str) -> None:
    series = replace(HISTORY["AAA"], symbol=symbol)
    for attempt in (
        lambda: store.update("src", series, since=None, whole=True),
        lambda: store.touch("src", DAY, symbol, since=None),
        lambda: store.read("src", [symbol]),
        lambda: store.quarantined("src", DAY, symbol),
    ):
        with pytest.raises(DataError, match="is not a symbol"):
            attempt()
    with pytest.raises(Exception, match="is not a symbol"):
        store.failed("src", DAY, symbol, FetchReason.EMPTY, "none")
    assert not store.root.exists()


@pytest.mark.parametrize("source", ["..", "a/b", "", "a:b", ".hidden", "x\0", "a" * 65, "ä"])
def test_hostile_source_names_reach_no_path(store: Store, source: str) -> None:
    with pytest.raises(DataError, match="cannot be a source in a store"):
        store.update(source, HISTORY["AAA"], since=None, whole=True)
    assert not store.root.exists()


def test_a_replaced_file_goes_with_the_next_write_and_foreign_ones_stay(store: Store) -> None:
    whole = HISTORY["AAA"]
    store.update("src", whole[:30], since=None, whole=True)
    folder = store.root / "src" / "1d"
    (folder / "notes.txt").write_text("mine")
    (folder / ".AAA.tmp").write_text("of a crash")
    store.update("src", whole, since=None, whole=True)
    assert len(_files(store)) == 2
    store.touch("src", DAY, "AAA", since=None)
    assert len(_files(store)) == 1
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".parquet") == [
        "manifest.json",
        "manifest.lock",
        "notes.txt",
    ]


def test_a_reader_follows_a_writer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from marketgpt_data_sources.store import reading as module

    whole = HISTORY["AAA"]
    store.update("src", whole[:30], since=None, whole=True)
    read = module.candles_from_file
    writes = iter([whole[:35], whole])

    def late(*arguments):
        fresh = next(writes, None)
        if fresh is not None:  # between the manifest and the file, two updates come: the file is gone
            monkeypatch.setattr(module, "candles_from_file", read)
            store.update("src", fresh, since=None, whole=True)
            store.touch("src", DAY, "AAA", since=None)
            monkeypatch.setattr(module, "candles_from_file", late)
        return read(*arguments)

    monkeypatch.setattr(module, "candles_from_file", late)
    assert len(store.read("src")["AAA"]) == 40


def test_a_missing_file_is_one_line(store: Store) -> None:
    store.update("src", HISTORY["AAA"], since=None, whole=True)
    next((store.root / "src" / "1d").glob("*.parquet")).unlink()
    with pytest.raises(DataError, match=r"a file of AAA is missing in .*; restore it") as refused:
        store.read("src")
    assert "\n" not in str(refused.value)


def test_candles_without_their_manifest_are_not_thrown_away(store: Store) -> None:
    store.update("src", HISTORY["AAA"], since=None, whole=True)
    names = _files(store)
    (store.root / "src" / "1d" / "manifest.json").unlink()
    with pytest.raises(DataError, match=r"holds candles but its manifest\.json is gone"):
        store.update("src", HISTORY["BBB"], since=None, whole=True)
    assert _files(store) == names


def test_who_holds_the_lock_is_named(store: Store, clock: FixedClock) -> None:
    from marketgpt_data_sources.store.layout import Shelf
    from marketgpt_data_sources.store.locking import locked

    with (
        locked(Shelf(store.root, "src", DAY).lock, timeout_s=1, clock=clock),
        pytest.raises(
            DataError, match=r"is being written to by process \d+ on .* since 2024-06-03T12:00:00Z"
        ),
    ):
        store.update("src", HISTORY["AAA"], since=None, whole=True)
    assert store.update("src", HISTORY["AAA"], since=None, whole=True).kind == "new"


def test_threads_wait_for_each_other(tmp_path: Path) -> None:
    store = Store(tmp_path)
    symbols = [f"S{number}" for number in range(12)]
    candles = make_candles(symbols, num_candles=5)
    threads = [
        threading.Thread(target=store.update, args=("src", candles[s]), kwargs={"since": None, "whole": True})
        for s in symbols
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read("src").fingerprint() == candles.fingerprint()


def test_fingerprint_comes_from_the_manifest(store: Store) -> None:
    for series in HISTORY.values():
        store.update("src", series, since=None, whole=True)
    everything, some = store.fingerprint("src", DAY), store.fingerprint("src", DAY, ["BBB", "AAA"])
    assert everything == store.fingerprint("src", DAY, ["CCC", "BBB", "AAA"]) != some
    store.touch("src", DAY, "CCC", since=None)
    assert store.fingerprint("src", DAY) == everything
    store.update("src", replace(HISTORY["CCC"], category=Category.ETF), since=None, whole=True)
    assert store.fingerprint("src", DAY) != everything
    assert store.fingerprint("src", DAY, ["AAA", "BBB"]) == some
    with pytest.raises(DataError, match=r"unknown symbol 'AAB' .* did you mean"):
        store.fingerprint("src", DAY, ["AAB"])


def _bad(symbol: str, *rows: tuple[str, float, str], row: int = 0) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"symbol": symbol, "time": time, "open": price, "high": price, "low": price, "close": price}
            | {"volume": 1.0, "row": row + number, "reason": reason}
            for number, (time, price, reason) in enumerate(rows)
        ]
    ).assign(time=lambda frame: pd.to_datetime(frame["time"]))


def test_quarantined_rows_are_kept_once(store: Store, clock: FixedClock) -> None:
    first = _bad("AAA", ("2024-01-02", np.nan, "NaN"), ("2024-01-03", -1.0, "negative"))
    assert store.quarantine("src", DAY, first) == 2
    clock.advance(timedelta(days=1))
    # The same again, at another place of another answer; and one more reason for a row.
    again = _bad("AAA", ("2024-01-03", -1.0, "negative"), ("2024-01-03", -1.0, "spike"), row=70)
    assert store.quarantine("src", DAY, again) == 1
    kept = store.quarantined("src", DAY)
    assert list(kept["reason"]) == ["NaN", "negative", "spike"]
    assert list(kept["row"]) == [0, 1, 71]
    assert list(kept["seen_at"].astype(str)) == ["2024-06-03 12:00:00"] * 2 + ["2024-06-04 12:00:00"]
    assert list(kept["close"].isna()) == [True, False, False]
    assert store.manifest("src", DAY).quarantine["AAA"].rows == 3
    assert store.quarantine("src", DAY, first.iloc[:0]) == 0


def test_quarantine_of_several_and_of_hostile_symbols(store: Store) -> None:
    frames = [_bad(name, ("2024-01-02", 0.0, "zero")) for name in ("AAA", "../../x", "B B", "CCC")]
    assert store.quarantine("src", DAY, pd.concat(frames).assign(adj_close=0.0, time=pd.NaT)) == 4
    assert sorted(store.manifest("src", DAY).quarantine) == ["AAA", "CCC", "_"]
    assert sorted(store.quarantined("src", DAY)["symbol"]) == ["../../x", "AAA", "B B", "CCC"]
    assert list(store.quarantined("src", DAY, "CCC")["adj_close"]) == [0.0]
    folder = store.root / "src" / "1d" / "quarantine"
    assert sorted(path.name.partition(".")[0] for path in folder.iterdir()) == ["AAA", "CCC", "_"]
    # Candles are untouched by it, and it by candles.
    store.update("src", HISTORY["AAA"], since=None, whole=True)
    store.touch("src", DAY, "AAA", since=None)
    assert len(store.quarantined("src", DAY)) == 4


def test_quarantine_refuses_another_form(store: Store) -> None:
    with pytest.raises(DataError, match="quarantined rows lack reason; there are symbol, time"):
        store.quarantine("src", DAY, pd.DataFrame({"symbol": ["A"], "time": [pd.NaT]}))


def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MARKETGPT_STORE", raising=False)
    assert store_folder() == DEFAULT_STORE == Path("marketgpt-data")
    monkeypatch.setenv("MARKETGPT_STORE", str(tmp_path))
    assert store_folder() == tmp_path


def test_minutes_keep_their_nanoseconds(store: Store) -> None:
    time = np.array(["2024-03-04T14:30:00.000000001", "2024-03-04T14:31"], dtype="datetime64[ns]")
    minute = replace(HISTORY["AAA"][:2], interval=Interval.MINUTE, time=time)
    store.update("src", minute, since=None, whole=True)
    entry = Store(store.root).entry("src", Interval.MINUTE, "AAA")
    assert entry is not None
    assert (entry.first, entry.last) == tuple(time)
    assert list(store.read("src", interval=Interval.MINUTE)["AAA"].time) == list(time)


STEPS = st.lists(st.tuples(st.sampled_from(HISTORY.symbols), st.integers(1, 40)), min_size=1, max_size=10)


def _upto(series: CandleSeries, rows: int) -> CandleSeries:
    return series[max(0, rows - 8) : rows]


@settings(max_examples=20, deadline=None)
@given(steps=STEPS, order=st.randoms(use_true_random=False))
def test_reading_does_not_depend_on_the_order_of_updates(steps: list[tuple[str, int]], order) -> None:
    """Of different symbols: those of one keep their order, as time does."""
    by_symbol = {symbol: [rows for name, rows in steps if name == symbol] for symbol, _ in steps}
    shuffled = [symbol for symbol, _ in steps]
    order.shuffle(shuffled)
    queues = {symbol: iter(rows) for symbol, rows in by_symbol.items()}
    other_order = [(symbol, next(queues[symbol])) for symbol in shuffled]
    with TemporaryDirectory() as folder, patch("os.fsync"):
        one, other = (
            _updated(Store(Path(folder) / name, clock=FixedClock(SINCE)), sequence)
            for name, sequence in (("one", steps), ("other", other_order))
        )
        assert one.read("src").fingerprint() == other.read("src").fingerprint()
        assert one.fingerprint("src", DAY) == other.fingerprint("src", DAY)
        texts = [(store.root / "src" / "1d" / "manifest.json").read_bytes() for store in (one, other)]
        assert texts[0] == texts[1]


def _updated(store: Store, sequence: list[tuple[str, int]]) -> Store:
    for symbol, rows in sequence:
        store.update("src", HISTORY[symbol][:rows], since=None, whole=True)
        store.update("src", _upto(HISTORY[symbol], min(rows + 5, 40)), since=None, whole=False)
    return store


def test_candles_of_a_store_are_a_mapping_in_sorted_order(store: Store) -> None:
    for symbol in ("CCC", "AAA", "BBB"):
        store.update("src", HISTORY[symbol], since=None, whole=True)
    assert isinstance(store.read("src"), Candles)
    assert store.read("src").symbols == ("AAA", "BBB", "CCC")
    assert list(store.entries("src", DAY)) == ["AAA", "BBB", "CCC"]
