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


def test_numbers_with_hour_and_minute_are_dates() -> None:
    assert _read([202403041530, 202403041630]) == ["2024-03-04T15:30:00", "2024-03-04T16:30:00"]
    assert _read([20240304153045]) == ["2024-03-04T15:30:45"]


def test_an_epoch_whose_unit_changes_midway() -> None:
    # Binance's months of 2024 and 2025 in one file.
    assert _read([1735689600000000, None, 1735686000000]) == [
        "2025-01-01T00:00:00",
        "NaT",
        "2024-12-31T23:00:00",
    ]


def test_milliseconds_around_1970_are_of_one_unit() -> None:
    days = [-86_400_000, 0, *(86_400_000 * day for day in range(1, 1_500))]
    read = _read(days, Interval.DAY)
    assert (read[0], read[2], read[-1]) == (
        "1969-12-31T00:00:00",
        "1970-01-02T00:00:00",
        "1974-02-08T00:00:00",
    )


@pytest.mark.parametrize("clock", ["09:30", "9:30:00", "0930", "093000", "09:30:00.000"])
def test_a_time_of_day_beside_the_date(clock: str) -> None:
    read = read_stamps(
        pd.Series(["2024-03-04", "2024-03-05"]),
        interval=Interval.MINUTE,
        date_format=None,
        where="file",
        clock=pd.Series([clock, None]),
    )
    assert read.tolist() == [pd.Timestamp("2024-03-04T09:30"), pd.NaT]


@pytest.mark.parametrize("time", ["2024-03-04T09:30:00", "1709544600", 1709544600])
def test_full_stamps_beside_a_date_win(time: object) -> None:
    read = read_stamps(
        pd.Series([20240304]),
        interval=Interval.MINUTE,
        date_format=None,
        where="file",
        clock=pd.Series([time]),
    )
    assert read.tolist() == [pd.Timestamp("2024-03-04T09:30")]


def test_a_zone_is_for_stamps_that_name_none() -> None:
    def read(values: list[object], interval: Interval = Interval.HOUR) -> str:
        stamps = read_stamps(
            pd.Series(values), interval=interval, date_format=None, where="file", timezone="America/New_York"
        )
        return str(stamps.iloc[0])

    assert read(["2024-07-01 09:30"]) == "2024-07-01 13:30:00"
    assert read([pd.Timestamp("2024-07-01 09:30")]) == "2024-07-01 13:30:00"
    assert read(["2024-07-01 09:30+00:00"]) == read([1719826200]) == "2024-07-01 09:30:00"
    assert read(["2024-07-01"], Interval.DAY) == "2024-07-01 00:00:00"
    with pytest.raises(DataError, match="dates in file cannot be read"):
        read(["2024-11-03 01:30"])  # twice that night
