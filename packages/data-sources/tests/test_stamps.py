from __future__ import annotations

import pandas as pd
import pytest

from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_data_sources.stamps import infer_interval, read_stamps

MOMENT = pd.Timestamp("2024-03-04T15:30:00")


def _read(
    values: list[object], interval: Interval = Interval.HOUR, date_format: str | None = None
) -> list[str]:
    stamps = read_stamps(pd.Series(values), interval=interval, date_format=date_format, where="file.csv")
    assert stamps.dtype == "datetime64[ns]"
    return ["NaT" if pd.isna(stamp) else stamp.isoformat() for stamp in stamps]


@pytest.mark.parametrize("scale", [10**0, 10**3, 10**6, 10**9])
def test_epochs_in_any_unit(scale: int) -> None:
    seconds = int(MOMENT.timestamp())
    assert _read([seconds * scale]) == ["2024-03-04T15:30:00"]


def test_nanoseconds_keep_their_last_digit() -> None:
    stamps = read_stamps(
        pd.Series([1709566200000000001]), interval=Interval.MINUTE, date_format=None, where="file"
    )
    assert stamps.iloc[0].nanosecond == 1


def test_dates_as_numbers() -> None:
    assert _read([20240304, 20240305], Interval.DAY) == ["2024-03-04T00:00:00", "2024-03-05T00:00:00"]


def test_missing_numbers_stay_missing() -> None:
    assert _read([1709566200.0, None]) == ["2024-03-04T15:30:00", "NaT"]
    assert _read([20240304.0, None], Interval.DAY) == ["2024-03-04T00:00:00", "NaT"]


def test_a_session_keeps_its_local_date_across_summer_time() -> None:
    text = ["2024-03-08 00:00:00-05:00", "2024-03-11 00:00:00-04:00"]
    assert _read(text, Interval.DAY) == ["2024-03-08T00:00:00", "2024-03-11T00:00:00"]


def test_intraday_text_in_two_offsets_becomes_utc() -> None:
    text = ["2024-03-08 09:30:00-05:00", "2024-03-11 09:30:00-04:00"]
    assert _read(text) == ["2024-03-08T14:30:00", "2024-03-11T13:30:00"]


def test_zoned_stamps() -> None:
    zoned = pd.Series(pd.DatetimeIndex(["2024-03-04"]).tz_localize("Asia/Tokyo"))
    for interval, expected in ((Interval.DAY, "2024-03-04 00:00:00"), (Interval.HOUR, "2024-03-03 15:00:00")):
        read = read_stamps(zoned, interval=interval, date_format=None, where="file")
        assert str(read.iloc[0]) == expected


def test_ambiguous_dates_are_refused_until_a_format_is_given() -> None:
    with pytest.raises(DataError, match=r"dates in file.csv cannot be read .*set date_format"):
        _read(["03/04/2024"], Interval.DAY)
    assert _read(["03/04/2024"], Interval.DAY, "%d/%m/%Y") == ["2024-04-03T00:00:00"]


@pytest.mark.parametrize(
    ("frequency", "expected"),
    [
        ("min", Interval.MINUTE),
        ("5min", Interval.FIVE_MINUTES),
        ("h", Interval.HOUR),
        ("D", Interval.DAY),
        ("B", Interval.DAY),
        ("W-FRI", Interval.WEEK),
    ],
)
def test_interval_follows_the_commonest_distance(frequency: str, expected: Interval) -> None:
    stamps = pd.Series(pd.date_range("2024-03-01", periods=30, freq=frequency))
    with_gap = pd.concat([stamps, stamps + pd.Timedelta(days=400)])
    assert infer_interval(with_gap, where="file") is expected


def test_half_hours_are_not_in_the_vocabulary() -> None:
    stamps = pd.Series(pd.date_range("2024-03-01", periods=30, freq="30min"))
    with pytest.raises(DataError, match=r"candles in x.csv are 1800 s apart: known are 1m, 5m"):
        infer_interval(stamps, where="x.csv")


def test_a_single_candle_is_a_day() -> None:
    assert infer_interval(pd.Series(pd.DatetimeIndex(["2024-03-01"])), where="file") is Interval.DAY
