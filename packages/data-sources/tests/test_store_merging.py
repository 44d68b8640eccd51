from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from marketgpt_core.candles import FIELDS, PRICES, Candles, CandleSeries
from marketgpt_core.clock import FixedClock
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_core.testing import make_candles
from marketgpt_data_sources.store import Store
from marketgpt_data_sources.store.merging import TOLERANCE, Merge, UpdateKind, merge

HISTORY = make_candles(["AAA"], num_candles=40)["AAA"]
STORED = HISTORY[:30]


def _scaled(series: CandleSeries, ratio: float, *, rows: slice = slice(None)) -> CandleSeries:
    columns = {name: getattr(series, name).copy() for name in PRICES}
    for values in columns.values():
        values[rows] *= ratio
    return replace(series, **columns)


def _traded(series: CandleSeries, row: int, volume: float) -> CandleSeries:
    values = series.volume.copy()
    values[row] = volume
    return replace(series, volume=values)


def _without(series: CandleSeries, row: int) -> CandleSeries:
    kept = np.arange(len(series)) != row
    return replace(series, **{name: getattr(series, name)[kept] for name in ("time", *FIELDS)})


def _same(one: CandleSeries | None, other: CandleSeries) -> bool:
    return one is not None and Candles([one]).fingerprint() == Candles([other]).fingerprint()


def _outcome(merged: Merge) -> tuple[str, int, int]:
    return str(merged.kind), merged.rows_added, merged.rows_revised


@pytest.mark.parametrize("whole", [True, False])
def test_nothing_stored(whole: bool) -> None:
    merged = merge(None, STORED, whole=whole)
    assert _outcome(merged) == ("new", 30, 0)
    assert _same(merged.series, STORED)


def test_a_part_is_appended_after_its_overlap() -> None:
    merged = merge(STORED, HISTORY[25:], whole=False)
    assert _outcome(merged) == ("appended", 10, 0)
    assert _same(merged.series, HISTORY)


def test_rounding_in_the_overlap_changes_nothing() -> None:
    jitter = _scaled(HISTORY[20:30], 1 + TOLERANCE / 2)
    merged = merge(STORED, jitter, whole=False)
    assert _outcome(merged) == ("unchanged", 0, 0)
    assert _same(merged.series, STORED)


def test_a_late_candle_between_stored_ones_is_added() -> None:
    merged = merge(_without(STORED, 27), HISTORY[25:31], whole=False)
    assert _outcome(merged) == ("appended", 2, 0)
    assert _same(merged.series, HISTORY[:31])


def test_volume_is_revised() -> None:
    merged = merge(STORED, _traded(HISTORY[25:31], 2, 5e6), whole=False)
    assert _outcome(merged) == ("appended", 1, 1)
    assert _same(merged.series, _traded(HISTORY[:31], 27, 5e6))


def test_the_last_stored_candle_may_be_corrected_alone() -> None:
    fresh = _scaled(HISTORY[25:31], 1.01, rows=slice(4, 5))
    merged = merge(STORED, fresh, whole=False)
    assert _outcome(merged) == ("appended", 1, 1)
    assert _same(merged.series, _scaled(HISTORY[:31], 1.01, rows=slice(29, 30)))


def test_the_last_stored_candle_alone_tells_nothing_of_the_others() -> None:
    merged = merge(STORED, _scaled(HISTORY[29:], 1.01, rows=slice(0, 1)), whole=False)
    assert (merged.kind, merged.series) == (UpdateKind.READJUSTED, None)


@pytest.mark.parametrize(
    ("ratio", "said"), [(0.5, "ratio 0.5"), (1 - 1e-4, "ratio 0.9999"), (1.02, "ratio 1.02")]
)
def test_split_and_dividend_are_readjustments(ratio: float, said: str) -> None:
    # From its ex-date on a candle keeps its price, all before are multiplied.
    merged = merge(STORED, _scaled(HISTORY[20:], ratio, rows=slice(0, 12)), whole=False)
    assert (merged.kind, merged.series) == (UpdateKind.READJUSTED, None)
    assert merged.ratio == pytest.approx(ratio, rel=1e-12)
    assert said in merged.reason
    assert "10 of 10 shared candles" in merged.reason


def test_one_corrected_candle_before_the_last_asks_for_the_whole_history() -> None:
    merged = merge(STORED, _scaled(HISTORY[20:], 1.5, rows=slice(3, 4)), whole=False)
    assert merged.kind is UpdateKind.READJUSTED
    assert "1 of 10 shared candles have other prices" in merged.reason


def test_prices_that_differ_by_no_one_ratio() -> None:
    fresh = _scaled(_scaled(HISTORY[20:], 1.5, rows=slice(3, 4)), 0.7, rows=slice(5, 6))
    merged = merge(STORED, fresh, whole=False)
    assert (merged.kind, merged.ratio) == (UpdateKind.READJUSTED, None)
    assert "by no one ratio" in merged.reason


def test_a_stored_candle_missing_in_the_overlap_is_noticed() -> None:
    merged = merge(STORED, _without(HISTORY[25:], 2), whole=False)
    assert (merged.kind, merged.series) == (UpdateKind.READJUSTED, None)
    assert merged.reason == "1 stored candle is missing in the answer, 2015-02-09"


def test_a_part_that_ends_before_the_stored_ones_keeps_them() -> None:
    merged = merge(STORED, HISTORY[10:20], whole=False)
    assert _outcome(merged) == ("unchanged", 0, 0)
    assert _same(merged.series, STORED)


def test_a_part_without_overlap_proves_nothing() -> None:
    merged = merge(STORED, HISTORY[30:], whole=False)
    assert (merged.kind, merged.series) == (UpdateKind.READJUSTED, None)
    assert merged.reason == "no stored candle from 2015-02-12 to 2015-02-25 to compare with"


def test_an_empty_part_changes_nothing() -> None:
    merged = merge(STORED, HISTORY[:0], whole=False)
    assert _outcome(merged) == ("unchanged", 0, 0)
    assert _same(merged.series, STORED)


def test_a_whole_history_replaces_to_the_last_bit() -> None:
    restated = _scaled(HISTORY, 1 + 1e-9)
    merged = merge(STORED, restated, whole=True)
    assert _outcome(merged) == ("replaced", 10, 30)
    assert _same(merged.series, restated)
    assert merged.ratio is None  # no price moved by more than rounding
    halved = merge(STORED, _scaled(HISTORY, 0.5), whole=True)
    assert halved.ratio == pytest.approx(0.5)


def test_the_same_whole_history() -> None:
    assert _outcome(merge(STORED, STORED, whole=True)) == ("unchanged", 0, 0)
    assert _outcome(merge(STORED, HISTORY, whole=True)) == ("appended", 10, 0)


@pytest.mark.parametrize("shorter", [HISTORY[1:], _without(HISTORY, 7), HISTORY[:29]])
def test_a_shorter_history_is_refused_unless_accepted(shorter: CandleSeries) -> None:
    merged = merge(STORED, shorter, whole=True)
    assert (merged.kind, merged.series) == (UpdateKind.SHRUNK, None)
    assert merged.reason.startswith("1 stored candle is missing in the answer, ")
    accepted = merge(STORED, shorter, whole=True, replace_all=True)
    assert accepted.kind is UpdateKind.REPLACED
    assert _same(accepted.series, shorter)


def test_an_empty_history_never_replaces() -> None:
    merged = merge(STORED, HISTORY[:0], whole=True, replace_all=True)
    assert (merged.kind, merged.series) == (UpdateKind.SHRUNK, None)
    assert merged.reason == "30 stored candles are missing in the answer, the first of 2015-01-01"


@pytest.mark.parametrize("whole", [True, False])
def test_an_unknown_category_does_not_replace_a_known_one(whole: bool) -> None:
    merged = merge(STORED, replace(HISTORY, category=Category.UNKNOWN), whole=whole)
    assert merged.series is not None
    assert merged.series.category is Category.US
    merged = merge(STORED, replace(HISTORY, category=Category.ETF), whole=whole)
    assert merged.series is not None
    assert merged.series.category is Category.ETF


# Against a plain dictionary from day to (price, volume); one price stands for all four.
Days = dict[int, tuple[float, float]]
DAYS = st.dictionaries(
    st.integers(0, 12), st.tuples(st.sampled_from([1.0, 2.0, 3.0]), st.sampled_from([0.0, 5.0])), max_size=9
)


def _series(days: Days) -> CandleSeries:
    time = np.array(sorted(days), dtype="datetime64[D]").astype("datetime64[ns]")
    price, volume = (np.array([days[day][k] for day in sorted(days)], dtype=float) for k in (0, 1))
    return CandleSeries("AAA", Interval.DAY, time, price, price, price, price, volume)


def _days(series: CandleSeries) -> Days:
    numbers = series.time.astype("datetime64[D]").astype(int)
    return dict(zip(map(int, numbers), zip(series.close, series.volume, strict=True), strict=True))


def _expected(stored: Days, fresh: Days, *, whole: bool, replace_all: bool) -> tuple[str, Days | None]:
    shared = sorted(set(stored) & set(fresh))
    if not stored:
        return ("new", fresh) if fresh else ("unchanged", fresh)
    if whole:
        return _expected_of_whole(stored, fresh, replace_all=replace_all)
    if not fresh:
        return "unchanged", stored
    covered = {day for day in stored if min(fresh) <= day <= max(fresh)}
    moved = [day for day in shared if stored[day][0] != fresh[day][0]]
    may_move = [max(stored)] if len(shared) > 1 else []
    if not shared or covered - set(fresh) or set(moved) - set(may_move):
        return "readjusted", None
    merged = stored | fresh
    return ("appended" if merged != stored else "unchanged"), merged


def _expected_of_whole(stored: Days, fresh: Days, *, replace_all: bool) -> tuple[str, Days | None]:
    if set(stored) - set(fresh):
        return ("replaced", fresh) if replace_all and fresh else ("shrunk", None)
    if any(stored[day] != fresh[day] for day in stored):
        return "replaced", fresh
    return ("appended" if set(fresh) - set(stored) else "unchanged"), fresh


@given(stored=DAYS, fresh=DAYS, whole=st.booleans(), replace_all=st.booleans())
def test_agrees_with_a_dictionary(stored: Days, fresh: Days, whole: bool, replace_all: bool) -> None:
    merged = merge(_series(stored), _series(fresh), whole=whole, replace_all=replace_all)
    kind, expected = _expected(stored, fresh, whole=whole, replace_all=replace_all)
    assert merged.kind == kind
    assert (None if merged.series is None else _days(merged.series)) == expected
    if expected is not None:
        assert merged.rows_added == len(set(expected) - set(stored))
        changed = [day for day in set(stored) & set(expected) if stored[day] != expected[day]]
        assert merged.rows_revised == len(changed)


@given(stored=DAYS, fresh=DAYS, whole=st.booleans())
def test_nothing_is_lost_and_the_same_answer_again_changes_nothing(
    stored: Days, fresh: Days, whole: bool
) -> None:
    merged = merge(_series(stored), _series(fresh), whole=whole)
    if merged.series is None:
        return
    assert set(_days(merged.series)) >= set(stored)
    again = merge(merged.series, _series(fresh), whole=whole)
    assert again.kind is UpdateKind.UNCHANGED
    assert again.series is not None
    assert _days(again.series) == _days(merged.series)


SYMBOLS = ("AAA", "BBB")


class StoreMachine(RuleBasedStateMachine):
    """A store, opened anew for every call, against one dictionary a symbol."""

    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        self.expected: dict[str, Days] = {}
        self.checked: dict[str, datetime] = {}
        self.clock = FixedClock(datetime(2024, 6, 3, tzinfo=UTC))

    @property
    def store(self) -> Store:
        return Store(Path(self.folder.name), clock=self.clock)

    @rule(symbol=st.sampled_from(SYMBOLS), fresh=DAYS, whole=st.booleans(), replace_all=st.booleans())
    def update(self, symbol: str, fresh: Days, whole: bool, replace_all: bool) -> None:
        self.clock.advance(timedelta(minutes=1))
        before = self.expected.get(symbol, {})
        kind, after = _expected(before, fresh, whole=whole, replace_all=replace_all)
        with patch("os.fsync", new=lambda _: None):
            series = replace(_series(fresh), symbol=symbol)
            update = self.store.update("src", series, since=None, whole=whole, replace=replace_all)
        assert (update.kind, update.rows_total) == (kind, len(before if after is None else after))
        if after:
            self.expected[symbol], self.checked[symbol] = after, self.clock.now()

    @rule(symbol=st.sampled_from(SYMBOLS))
    def touch(self, symbol: str) -> None:
        self.clock.advance(timedelta(minutes=1))
        with patch("os.fsync", new=lambda _: None):
            self.store.touch("src", Interval.DAY, symbol, since=None)
        if symbol in self.expected:
            self.checked[symbol] = self.clock.now()

    @invariant()
    def holds_what_was_stored(self) -> None:
        if hasattr(self, "expected"):
            assert {name: _days(series) for name, series in self.store.read("src").items()} == self.expected
            entries = self.store.entries("src", Interval.DAY)
            assert {name: one.checked_at for name, one in entries.items()} == self.checked

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=20, stateful_step_count=12, deadline=None)
