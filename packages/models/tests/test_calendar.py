import numpy as np
import pytest

from marketgpt_core.symbols import Category
from marketgpt_models.calendar import (
    CALENDAR_NAMES,
    CALENDAR_SIZES,
    DAY,
    bar_of,
    calendar_after,
    next_time,
)


def stamps(*texts):
    return np.array(texts, dtype="datetime64[ns]")


def field(calendar, name):
    return calendar[:, CALENDAR_NAMES.index(name)].tolist()


def test_weekday_and_month_are_those_of_the_next_weekday():
    # Wednesday, Friday, Monday 30 December
    after = calendar_after(stamps("2024-12-25", "2024-12-27", "2024-12-31"), Category.US)
    assert field(after, "weekday") == [3, 0, 2]
    assert field(after, "month") == [11, 11, 0]


def test_crypto_goes_on_at_the_weekend():
    friday = stamps("2024-12-26", "2024-12-27")
    assert field(calendar_after(friday, Category.CRYPTO), "weekday") == [4, 5]
    assert field(calendar_after(friday, Category.US), "weekday") == [4, 0]


def test_an_unscheduled_closure_does_not_leak():
    """What is said after 10 September 2001 does not know that markets stayed shut until the 17th."""
    open_days = stamps("2001-09-07", "2001-09-10", "2001-09-11", "2001-09-12")
    closed = stamps("2001-09-07", "2001-09-10", "2001-09-17", "2001-09-18")
    known = calendar_after(open_days, Category.US)[:2]
    assert np.array_equal(known, calendar_after(closed, Category.US)[:2])
    assert field(calendar_after(closed, Category.US), "gap_days") == [0, 3, 7, 1]


def test_turn_of_month_counts_trading_days():
    # The next days are 1, 2, 3, 4 August, and 28, 29, 30, 31 August, 1 September 2023 (a Friday).
    time = stamps(
        "2023-07-31", "2023-08-01", "2023-08-02", "2023-08-03", "2023-08-25", "2023-08-28", "2023-08-29",
        "2023-08-30", "2023-08-31",
    )  # fmt: skip
    assert field(calendar_after(time, Category.US), "turn_of_month") == [0, 1, 2, 3, 3, 4, 5, 6, 0]


def test_long_gaps_are_capped_and_the_first_is_unknown():
    after = calendar_after(stamps("2024-01-02", "2024-01-03", "2024-03-01"), Category.US)
    assert field(after, "gap_days") == [0, 1, 7]


def test_hours_are_those_of_the_next_intraday_bar():
    time = np.datetime64("2024-01-02T14:00", "ns") + np.arange(4) * np.timedelta64(3600, "s")
    after = calendar_after(time.astype("datetime64[ns]"), Category.US)
    assert field(after, "hour") == [15, 16, 17, 18]
    assert field(after, "gap_days") == [0, 0, 0, 0]


@pytest.mark.parametrize("category", [Category.US, Category.CRYPTO])
def test_every_field_stays_in_its_range(category):
    days = np.datetime64("1999-01-01", "ns") + np.arange(4_000) * DAY
    after = calendar_after(days.astype("datetime64[ns]"), category)
    assert (after.min(axis=0) >= 0).all()
    assert (after.max(axis=0) < CALENDAR_SIZES).all()


@pytest.mark.parametrize(
    ("step", "bar"), [("m", "1m"), ("h", "1h"), ("D", "1D"), ("W", "7D")], ids=["1m", "1h", "1d", "1w"]
)
def test_the_bar_is_the_usual_step(step, bar):
    time = (np.datetime64("2024-01-01", "ns") + np.arange(9) * np.timedelta64(1, step)).astype(
        "datetime64[ns]"
    )
    count, unit = int(bar[:-1]), bar[-1]
    assert bar_of(time) == np.timedelta64(count, unit)


def test_a_weekend_does_not_lengthen_the_bar():
    assert bar_of(stamps("2024-01-05", "2024-01-08")) == DAY
    assert bar_of(stamps("2024-01-05")) == DAY


def test_next_time_of_a_weekly_bar_is_a_week_on():
    assert next_time(stamps("2024-01-01"), Category.US, 7 * DAY)[0] == np.datetime64("2024-01-08")
