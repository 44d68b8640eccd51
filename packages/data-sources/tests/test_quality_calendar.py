"""Stamps against calendars: what is missing, what is too much, what lies in another zone or has not ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from marketgpt_core.calendars import trading_calendar
from marketgpt_core.interval import Interval
from marketgpt_data_sources import QualityConfig, clean, verify

SYMBOL = "AAA"
# Half days, lunch, a week from Sunday on, nights, no night at all, and none published.
CALENDARS = ("XNYS", "XLON", "XTKS", "XBOM", "XSAU", "CMES", "24/5", "24/7", "weekdays")

Frames = Callable[..., pd.DataFrame]
few = settings(max_examples=12, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 10_000)
places = st.floats(0, 1, exclude_max=True)


def _found(
    frame: pd.DataFrame, calendar: str = "XNYS", interval: Interval = Interval.DAY, **options: object
) -> dict[str, tuple[int, ...]]:
    report = verify(frame, interval=interval, calendars={SYMBOL: calendar}, **options)  # type: ignore[arg-type]
    return {issue.check: issue.rows for issue in report.issues}


@given(seeds, places)
@few
def test_missing_sessions_are_counted(clean_frame: Frames, seed: int, place: float) -> None:
    frame = clean_frame(seed=seed % 50)
    rng = np.random.default_rng(seed)
    gone = np.unique(rng.integers(1, len(frame) - 1, size=1 + int(place * 20)))
    holes = frame["time"].iloc[gone].dt.strftime("%Y-%m-%d").tolist()
    report = verify(frame.drop(index=gone), calendars={SYMBOL: "XNYS"})
    (issue,) = report.issues
    assert issue.details["missing"] == issue.count == len(gone)
    listed = [day for day, _ in issue.details["holes"]]
    assert set(listed) <= set(holes)
    assert sum(number for _, number in issue.details["holes"]) == len(gone)
    runs = np.split(gone, np.flatnonzero(np.diff(gone) > 1) + 1)
    assert issue.details["longest"] == max(map(len, runs))


@given(
    calendar=st.sampled_from(["XNYS", "XLON", "XTKS", "XSAU", "CMES", "24/5", "weekdays"]),
    late=st.sampled_from([-1, 1]),
    seed=seeds,
    start=places,
    length=places,
)
@few
def test_days_that_fall_on_their_neighbours(
    clean_frame: Frames, *, calendar: str, late: int, seed: int, start: float, length: float
) -> None:
    """From a whole series down to two weeks: Sunday to Thursday, or Tuesday to Saturday."""
    frame = clean_frame(calendar=calendar, seed=seed % 50)
    week = (
        (frame["time"].astype("int64") // 86_400_000_000_000 + (5 if calendar == "XSAU" else 4)) // 7
    ).to_numpy()
    numbers = np.unique(week)
    first = int(start * (len(numbers) - 2))
    chosen = numbers[first : first + 2 + int(length * len(numbers))]
    rows = np.isin(week, chosen)
    moved = frame["time"].where(~rows, frame["time"] + pd.Timedelta(days=late))
    away = ~trading_calendar(calendar).is_session(moved.to_numpy().astype("datetime64[D]"))
    # Three days of a week that could as well be three others are no evidence.
    assume(all((week[rows] == one).sum() >= 3 and away[week == one].any() for one in chosen))
    frame["time"] = moved
    found = _found(frame, calendar)
    assert set(found) == {"shift"}
    assert set(found["shift"]) == set(np.flatnonzero(rows))


def test_days_shifted_in_summer_only_are_told_so(clean_frame: Frames) -> None:
    frame = clean_frame(calendar="XLON", num_candles=756)
    local = pd.DatetimeIndex(frame["time"]).tz_localize("Europe/London")
    utc = (
        local.tz_convert("UTC").tz_localize(None).normalize()
    )  # midnight in summer is 23:00 of the day before
    (issue,) = verify(frame.assign(time=utc), calendars={SYMBOL: "XLON"}).issues
    assert issue.check == "shift"
    assert issue.fault.startswith("stamps are a day early in ")
    assert "not always, as when clocks change" in issue.fault
    summer = np.flatnonzero(utc != frame["time"])
    # Weeks are judged whole: of a week that is partly right nothing is said.
    assert set(issue.rows) <= set(summer)
    assert len(issue.rows) == len(summer)


@pytest.mark.parametrize(
    ("calendar", "zone", "interval", "words"),
    [
        ("XNYS", "America/New_York", Interval.HOUR, "4 h early and 5 h early"),
        ("XNYS", "America/New_York", Interval.FIVE_MINUTES, "5 h early"),
        ("XTKS", "Asia/Tokyo", Interval.HOUR, "9 h late"),
        ("XBOM", "Asia/Kolkata", Interval.HOUR, "5.5 h late"),
        ("24/5", "Europe/Athens", Interval.HOUR, "2 h late"),
        ("CMES", "America/Chicago", Interval.HOUR, "6 h early"),
    ],
)
def test_local_hours_taken_for_utc(
    clean_frame: Frames, calendar: str, zone: str, interval: Interval, words: str
) -> None:
    num_candles = 900 if interval is Interval.HOUR and calendar == "XNYS" else 1_200
    frame = clean_frame(calendar=calendar, interval=interval, num_candles=num_candles)
    local = pd.DatetimeIndex(frame["time"]).tz_localize("UTC").tz_convert(zone).tz_localize(None)
    report = verify(frame.assign(time=local), interval=interval, calendars={SYMBOL: calendar})
    shifts = [issue for issue in report.issues if issue.check == "shift"]
    assert [issue.fault.split(" in ")[0] for issue in shifts] == [f"stamps are {words}"]


def test_hours_that_ignore_summer_time(clean_frame: Frames) -> None:
    frame = clean_frame(calendar="XNYS", interval=Interval.HOUR, num_candles=1_700)
    eastern = pd.DatetimeIndex(frame["time"]).tz_localize("UTC").tz_convert("America/New_York")
    summer = np.array([bool(moment.dst()) for moment in eastern])
    late = frame["time"] + pd.to_timedelta(np.where(summer, 1, 0), unit="h")
    (issue,) = verify(frame.assign(time=late), interval=Interval.HOUR, calendars={SYMBOL: "XNYS"}).issues
    assert issue.check == "shift"
    assert set(issue.rows) == set(np.flatnonzero(summer))
    assert issue.details["shifts"] == [["1 h late", int(summer.sum())]]


def test_weeks_that_change_their_weekday(clean_frame: Frames) -> None:
    frame = clean_frame(interval=Interval.WEEK, num_candles=150)
    frame.loc[40:60, "time"] -= pd.Timedelta(days=1)
    assert _found(frame, interval=Interval.WEEK) == {"shift": tuple(range(40, 61))}


@pytest.mark.parametrize(
    ("calendar", "interval"),
    [
        *product(("XNYS", "XTKS", "24/5", "24/7"), (Interval.MINUTE, Interval.FIVE_MINUTES, Interval.HOUR)),
        # By the hour, sessions of futures over a holiday last two days: too rare to expect their hours.
        ("CMES", Interval.MINUTE),
        ("CMES", Interval.FIVE_MINUTES),
    ],
)
@given(seeds, places)
@settings(few, max_examples=5)
def test_candles_missing_inside_sessions(
    clean_frame: Frames, calendar: str, interval: Interval, seed: int, place: float
) -> None:
    frame = clean_frame(calendar, interval, seed=seed % 5, num_candles=1_500)
    rng = np.random.default_rng(seed)
    gone = np.unique(rng.integers(1, len(frame) - 1, size=1 + int(place * 20)))
    # Twice the same time of the day might pass for lunch.
    gone = gone[~frame["time"].iloc[gone].dt.time.duplicated().to_numpy()]
    report = verify(frame.drop(index=gone), interval=interval, calendars={SYMBOL: calendar})
    (issue,) = report.issues
    assert (issue.check, issue.count, issue.details["missing"]) == ("missing-bars", len(gone), len(gone))
    stamps = frame["time"].iloc[gone].dt.tz_localize("UTC")
    assert {day for day, _ in issue.details["holes"]} <= {
        stamp.isoformat().replace("+00:00", "Z").removesuffix("T00:00:00Z") for stamp in stamps
    }


@given(seeds, places)
@few
def test_intraday_candles_outside_the_session(clean_frame: Frames, seed: int, place: float) -> None:
    frame = clean_frame("XNYS", Interval.HOUR, seed=seed % 5, num_candles=700)
    row = 7 + int(place * 680)
    night = frame.iloc[[row]].assign(time=frame["time"].iloc[row].normalize() + pd.Timedelta(hours=3))
    at = int(frame["time"].searchsorted(night["time"].iloc[0]))
    broken = pd.concat([frame[:at], night, frame[at:]], ignore_index=True)
    assert _found(broken, "XNYS", Interval.HOUR) == {"off-session": (at,)}


@given(st.sampled_from(list(Interval)), st.sampled_from(CALENDARS), seeds, places)
@few
def test_a_candle_that_has_not_ended_is_put_aside(
    clean_frame: Frames, interval: Interval, calendar: str, seed: int, place: float
) -> None:
    frame = clean_frame(calendar, interval, seed=seed % 5)
    known = trading_calendar(calendar).known_at(frame["time"].to_numpy().astype("datetime64[ns]"), interval)
    row = 1 + int(place * (len(frame) - 1))
    just_before = known[row] - np.timedelta64(1, "s")
    now = just_before.astype("datetime64[us]").item().replace(tzinfo=UTC)
    unfinished = np.flatnonzero(known > just_before)
    found = _found(frame, calendar, interval, now=now, config=None)
    assert found == {"unfinished": tuple(unfinished)}
    assert row in unfinished
    cleaned = clean(frame, interval=interval, calendars={SYMBOL: calendar}, now=now)
    assert cleaned.quarantined["row"].tolist() == unfinished.tolist()
    assert set(cleaned.quarantined["reason"]) == {"unfinished"}


def _many(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    return pd.concat([frame.assign(symbol=name) for name in names], ignore_index=True)


def test_a_day_missing_for_nearly_all_is_told_once(clean_frame: Frames) -> None:
    """83 symbols without the hour of Muhurat trading are a fault of the calendar, not 83 faults."""
    names = [f"S{number}.NS" for number in range(6)]
    frame = _many(clean_frame("XBOM"), names)
    day = frame["time"].iloc[100]
    own = frame["time"].iloc[200]
    gone = (frame["time"] == day) & (frame["symbol"] != "S3.NS") | (frame["time"] == own) & (
        frame["symbol"] == "S1.NS"
    )
    issues = verify(frame[~gone]).issues
    assert [(issue.symbol, issue.check, issue.count) for issue in issues] == [
        ("XBOM (5 symbols)", "gap", 1),
        ("S1.NS", "gap", 1),
    ]
    assert issues[0].details["days"] == [f"{day:%Y-%m-%d}"]
    assert issues[0].symbols == ("S0.NS", "S1.NS", "S2.NS", "S4.NS", "S5.NS")
    assert issues[1].details["holes"] == [[f"{own:%Y-%m-%d}", 1]]
    apart = verify(frame[~gone], config=QualityConfig(common_symbols=7)).issues
    assert len(apart) == 5


def test_a_holiday_on_which_nearly_all_trade_is_told_once_but_a_weekend_by_each(clean_frame: Frames) -> None:
    frame = clean_frame("XBOM")
    days = set(frame["time"])
    holiday = next(
        day for day in pd.bdate_range(frame["time"].iloc[0], frame["time"].iloc[-1]) if day not in days
    )
    saturday = frame["time"].iloc[60] + pd.offsets.Week(weekday=5)
    extra = pd.concat([frame, frame[:2].assign(time=[holiday, saturday])]).sort_values("time")
    issues = verify(_many(extra, [f"S{number}.NS" for number in range(5)])).issues
    assert [(issue.symbol, issue.check) for issue in issues] == [
        ("XBOM (5 symbols)", "off-session"),
        *[(f"S{number}.NS", "off-session") for number in range(5)],
    ]
    assert issues[0].details["days"] == [f"{holiday:%Y-%m-%d}"]
    assert {tuple(issue.details["stamps"]) for issue in issues[1:]} == {(f"{saturday:%Y-%m-%d}",)}


def test_without_a_calendar_only_long_gaps_are_told_and_doubted(clean_frame: Frames) -> None:
    frame = clean_frame("weekdays")
    golden_week = verify(frame.drop(index=range(100, 107)))
    assert golden_week.is_clean
    assert golden_week.weekdays_only == ("AAA",)
    (issue,) = verify(frame.drop(index=range(100, 108))).issues
    assert (issue.check, issue.count, issue.rows) == ("gap", 8, (100,))
    assert issue.fault.endswith("weekdays only: no calendar is published there, holidays may be among them")
    assert issue.details["calendar_is_published"] is False
    assert not verify(frame.drop(index=[100]), config=QualityConfig(weekday_gap_sessions=1)).is_clean


def test_a_calendar_is_not_trusted_beyond_the_years_it_is_published_for(clean_frame: Frames) -> None:
    """Bombay's is published from 1997 on: before, a missing weekday may be a holiday."""
    days = pd.bdate_range("1996-10-01", "1996-12-31").difference(
        pd.DatetimeIndex(["1996-10-21", "1996-11-11"])
    )
    frame = pd.concat([clean_frame("weekdays", num_candles=len(days)).assign(time=days), clean_frame("XBOM")])
    before = frame[frame["time"] < "1997-01-01"]
    assert verify(before, calendars={SYMBOL: "XBOM"}).is_clean


def test_what_trades_at_weekends_without_a_calendar_is_taken_for_what_never_closes(
    clean_frame: Frames,
) -> None:
    frame = clean_frame("24/7")
    assert verify(frame).is_clean
    assert _found(frame, "XNYS")["off-session"] == tuple(
        np.flatnonzero(~trading_calendar("XNYS").is_session(frame["time"].to_numpy().astype("datetime64[D]")))
    )


def test_sunday_to_thursday_without_a_calendar_may_be_an_exchange(clean_frame: Frames) -> None:
    frame = clean_frame("weekdays")
    (issue,) = verify(frame.assign(time=frame["time"] - pd.Timedelta(days=1))).issues
    assert issue.check == "shift"
    assert issue.fault.endswith("or its exchange trades at weekends, for no calendar of it is published")


def test_banks_rest_on_two_days(clean_frame: Frames) -> None:
    frame = clean_frame("24/5")
    day = frame["time"].dt.strftime("%m-%d")
    assert _found(frame[~day.isin(["12-25", "01-01"])], "24/5") == {}
    assert set(_found(frame[day != "12-28"], "24/5")) == {"gap"}


def test_the_week_of_currencies_begins_on_sunday_evening(clean_frame: Frames) -> None:
    frame = clean_frame("24/5", Interval.HOUR, num_candles=3_000)
    weekday = frame["time"].dt.day_of_week
    assert set(frame["time"][weekday == 6].dt.hour) == {21, 22, 23}  # 17:00 in New York
    assert _found(frame, "24/5", Interval.HOUR) == {}


def test_hours_stamped_on_the_hour_belong_to_a_session_that_opens_at_half_past(clean_frame: Frames) -> None:
    frame = clean_frame("XNYS", Interval.HOUR, num_candles=700)
    on_the_hour = frame.assign(time=frame["time"] - pd.Timedelta(minutes=30))
    assert _found(on_the_hour, "XNYS", Interval.HOUR) == {}
    assert _found(on_the_hour.drop(index=[100]), "XNYS", Interval.HOUR) == {"missing-bars": (100,)}


def test_whole_sessions_without_candles_are_gaps(clean_frame: Frames) -> None:
    frame = clean_frame("XNYS", Interval.HOUR, num_candles=700)
    day = frame["time"].dt.normalize()
    second_gone = frame[day != day.iloc[7 * 20]]
    (issue,) = verify(second_gone, interval=Interval.HOUR, calendars={SYMBOL: "XNYS"}).issues
    assert (issue.check, issue.count) == ("gap", 1)
    assert issue.details["holes"] == [[f"{day.iloc[7 * 20]:%Y-%m-%d}", 1]]


def test_extended_hours_are_told_but_are_no_shift(clean_frame: Frames) -> None:
    frame = clean_frame("XNYS", Interval.HOUR, num_candles=700)
    early = frame[::7].assign(time=frame["time"][::7] - pd.Timedelta(hours=3))
    both = pd.concat([frame, early]).sort_values("time").reset_index(drop=True)
    report = verify(both, interval=Interval.HOUR, calendars={SYMBOL: "XNYS"})
    assert [(issue.check, issue.count) for issue in report.issues] == [("off-session", 100)]


def test_minutes_nobody_trades_are_not_expected(clean_frame: Frames) -> None:
    frame = clean_frame("XNYS", Interval.MINUTE, num_candles=390 * 10)
    kept = np.random.default_rng(0).random(len(frame)) < np.where(np.arange(len(frame)) % 390 < 100, 1.0, 0.1)
    kept[[0, -1]] = True
    (issue,) = verify(frame[kept], interval=Interval.MINUTE, calendars={SYMBOL: "XNYS"}).issues
    assert issue.check == "missing-bars"
    assert issue.details["expected"] < 0.32 * len(frame)
    lenient = QualityConfig(missing_bars_share=issue.details["missing"] / issue.details["expected"])
    assert verify(frame[kept], interval=Interval.MINUTE, calendars={SYMBOL: "XNYS"}, config=lenient).is_clean
