from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_data_sources import QualityConfig, clean

COLUMNS = ["symbol", "time", "open", "high", "low", "close", "volume", "row", "reason"]


@pytest.fixture
def frame() -> pd.DataFrame:
    """Two symbols, row about row, five sessions each."""
    days = np.repeat(pd.bdate_range("2024-03-04", periods=5), 2)
    close = np.arange(10.0) + 10
    columns = {"open": close, "high": close + 2, "low": close - 1, "close": close + 1, "volume": 100.0}
    return pd.DataFrame({"symbol": ["AAA", "BBB.DE"] * 5, "time": days, **columns})


def test_sound_rows_become_the_candles_they_are(frame: pd.DataFrame) -> None:
    cleaned = clean(frame, interval=Interval.DAY)
    expected = Candles.from_frame(frame, category={"BBB.DE": Category.EU})
    assert cleaned.candles.fingerprint() == expected.fingerprint()
    assert cleaned.report.is_clean
    assert (cleaned.report.num_symbols, cleaned.report.num_rows) == (2, 10)
    assert list(cleaned.quarantined.columns) == COLUMNS
    assert len(cleaned.quarantined) == 0


def test_an_empty_quarantine_has_the_types_of_a_full_one(frame: pd.DataFrame) -> None:
    empty = clean(frame, interval=Interval.DAY).quarantined
    full = clean(frame.assign(low=-1.0), interval=Interval.DAY).quarantined
    assert (len(empty), len(full)) == (0, 10)
    assert empty.dtypes.to_dict() == full.dtypes.to_dict()


def test_bad_rows_are_put_aside_as_they_came_with_every_reason(frame: pd.DataFrame) -> None:
    frame.loc[4, ["close", "volume"]] = [np.nan, -5.0]
    frame.loc[7, "time"] = pd.NaT
    frame["row"] = np.arange(10) + 100
    cleaned = clean(frame, interval=Interval.DAY)
    aside = cleaned.quarantined
    assert aside[["symbol", "row", "reason"]].to_numpy().tolist() == [
        ["AAA", 104, "not-finite, bad-volume"],
        ["BBB.DE", 107, "no-date"],
    ]
    assert aside["volume"].tolist() == [-5.0, 100.0]
    assert aside["time"].isna().tolist() == [False, True]
    assert {name: len(series) for name, series in cleaned.candles.items()} == {"AAA": 4, "BBB.DE": 4}
    assert {(issue.symbol, issue.check) for issue in cleaned.report.issues} == {
        ("AAA", "not-finite"),
        ("AAA", "bad-volume"),
        ("BBB.DE", "no-date"),
    }


def test_equal_copies_leave_one_and_differing_ones_none(frame: pd.DataFrame) -> None:
    copies = pd.concat([frame, frame.iloc[[0, 0, 3]], frame.iloc[[5]].assign(volume=7.0)], ignore_index=True)
    cleaned = clean(copies, interval=Interval.DAY)
    assert cleaned.quarantined[["row", "reason"]].to_numpy().tolist() == [
        [10, "duplicate-equal"],
        [11, "duplicate-equal"],
        [5, "duplicate-differing"],
        [12, "duplicate-equal"],
        [13, "duplicate-differing"],
    ]
    assert [len(series) for series in cleaned.candles.values()] == [5, 4]


def test_order_is_mended_and_told(frame: pd.DataFrame) -> None:
    cleaned = clean(frame[::-1], interval=Interval.DAY)
    assert cleaned.candles["AAA"].open.tolist() == [10, 12, 14, 16, 18]
    assert [(issue.check, issue.count) for issue in cleaned.report.issues] == [
        ("disorder", 4),
        ("disorder", 4),
    ]
    assert len(cleaned.quarantined) == 0


def test_a_symbol_without_a_sound_row_is_left_out(frame: pd.DataFrame) -> None:
    frame.loc[frame["symbol"] == "AAA", "high"] = 0.0
    cleaned = clean(frame, interval=Interval.DAY)
    assert cleaned.candles.symbols == ("BBB.DE",)
    assert len(cleaned.quarantined) == 5


def test_prices_are_adjusted_unless_told_otherwise(frame: pd.DataFrame) -> None:
    frame["adj_close"] = frame["close"] / 4
    adjusted = clean(frame, interval=Interval.DAY).candles["AAA"]
    plain = clean(frame, interval=Interval.DAY, adjust=False).candles["AAA"]
    np.testing.assert_array_equal(plain.low, [9, 11, 13, 15, 17])
    np.testing.assert_array_equal(adjusted.low, plain.low / 4)
    np.testing.assert_array_equal(adjusted.volume, plain.volume)


def test_what_cannot_be_adjusted_is_put_aside_only_where_it_would_be(frame: pd.DataFrame) -> None:
    frame["adj_close"] = frame["close"]
    frame.loc[2, "adj_close"] = np.nan
    cleaned = clean(frame, interval=Interval.DAY)
    assert cleaned.quarantined[["row", "reason"]].to_numpy().tolist() == [[2, "bad-adjustment"]]
    assert "adj_close" in cleaned.quarantined
    assert len(clean(frame, interval=Interval.DAY, adjust=False).quarantined) == 0


def test_categories_come_from_the_frame_the_caller_or_the_shape(frame: pd.DataFrame) -> None:
    def found(data: pd.DataFrame, category: object = None) -> list[str]:
        cleaned = clean(data, interval=Interval.DAY, category=category)  # type: ignore[arg-type]
        return [str(series.category) for series in cleaned.candles.values()]

    assert found(frame) == ["unknown", "eu"]
    assert found(frame, Category.US) == ["us", "us"]
    assert found(frame, {"AAA": Category.ETF}) == ["etf", "eu"]
    assert found(frame.assign(category="fx"), Category.US) == ["fx", "fx"]


def test_unfinished_candles_wait(frame: pd.DataFrame) -> None:
    """Frankfurt's Friday is over at 16:30 UTC; where AAA trades nobody knows, so its day lasts to the end."""
    at_six = datetime(2024, 3, 8, 18, tzinfo=UTC)
    cleaned = clean(frame, interval=Interval.DAY, now=at_six)
    assert cleaned.quarantined[["symbol", "row", "reason"]].to_numpy().tolist() == [["AAA", 8, "unfinished"]]
    new_york = clean(frame, interval=Interval.DAY, now=at_six, calendars={"AAA": "XNYS", "BBB.DE": "XNYS"})
    assert new_york.quarantined["row"].tolist() == [8, 9]
    assert len(clean(frame, interval=Interval.DAY).quarantined) == 0


def test_switching_checks_off_spares_what_could_be_a_candle_only(frame: pd.DataFrame) -> None:
    frame.loc[4, ["open", "high", "low", "close"]] *= 10
    frame.loc[7, "low"] = -1.0
    now = datetime(2024, 3, 8, 18, tzinfo=UTC)
    off = QualityConfig(skip=("spike", "unfinished", "not-positive"))
    assert clean(frame, interval=Interval.DAY, now=now).quarantined["reason"].tolist() == [
        "spike",
        "unfinished",
        "not-positive",
    ]
    assert clean(frame, interval=Interval.DAY, now=now, config=off).quarantined["reason"].tolist() == [
        "not-positive"
    ]


def test_series_are_looked_at_when_asked(frame: pd.DataFrame) -> None:
    gappy = frame[frame["time"] != "2024-03-06"]
    calendars = {"AAA": "XNYS"}
    assert clean(gappy, interval=Interval.DAY, calendars=calendars).report.is_clean
    cleaned = clean(gappy, interval=Interval.DAY, calendars=calendars, series=True)
    assert [(issue.symbol, issue.check) for issue in cleaned.report.issues] == [
        ("AAA", "gap"),
        ("BBB.DE", "gap"),
    ]
    assert len(cleaned.quarantined) == 0


def test_the_frame_stays_the_callers(frame: pd.DataFrame) -> None:
    frame.loc[3, "low"] = 0.0
    before = frame.copy()
    cleaned = clean(frame, interval=Interval.DAY)
    pd.testing.assert_frame_equal(frame, before)
    kept = cleaned.candles["AAA"].close.copy()
    frame.loc[:, "close"] = -1.0
    np.testing.assert_array_equal(cleaned.candles["AAA"].close, kept)


def test_rounding_is_absorbed_and_missing_volume_is_none(frame: pd.DataFrame) -> None:
    frame["high"] = frame["close"] * (1 - 1e-12)
    frame = frame.drop(columns="volume")
    cleaned = clean(frame, interval=Interval.DAY)
    assert len(cleaned.quarantined) == 0
    assert (cleaned.candles["AAA"].high == cleaned.candles["AAA"].close).all()
    assert (cleaned.candles["AAA"].volume == 0).all()


def test_times_in_a_zone_are_moved_to_utc() -> None:
    time = pd.date_range("2024-03-04 09:30", periods=3, freq="h", tz="America/New_York")
    prices = dict.fromkeys(("open", "high", "low", "close"), 1.0)
    cleaned = clean(pd.DataFrame({"symbol": "A", "time": time, **prices}), interval=Interval.HOUR)
    assert cleaned.candles["A"].time[0] == np.datetime64("2024-03-04T14:30")


def test_an_empty_frame_gives_empty_candles(frame: pd.DataFrame) -> None:
    cleaned = clean(frame[:0], interval=Interval.HOUR)
    assert len(cleaned.candles) == 0
    assert cleaned.candles.interval is Interval.HOUR
    assert list(cleaned.quarantined.columns) == COLUMNS


def test_a_hostile_symbol_is_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="is not a symbol"):
        clean(frame.assign(symbol="../../x"), interval=Interval.DAY)
