"""The calendar of the candle to be predicted, by rule from the last candle's stamp. numpy only.

The actual stamp of candle t + 1 is never used: that a market was shut on a day is not known before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.symbols import Category

CALENDAR_NAMES = ("weekday", "month", "turn_of_month", "gap_days", "hour")
# Turn of month: 0-2 first days of a month, 4-6 last days, 3 between; gap: 0 unknown or the same day, 1-7.
CALENDAR_SIZES = (7, 12, 7, 8, 24)

DAY = np.timedelta64(86_400_000_000_000, "ns")
_WEEK = 7 * DAY
_BARS = np.array([60, 300, 3_600, 86_400, 604_800], dtype="timedelta64[s]").astype("timedelta64[ns]")
_EDGE_DAYS = 3
_LONGEST_GAP = 7
_WEEKMASKS = {True: "1111111", False: "1111100"}


def bar_of(time: NDArray[np.datetime64]) -> np.timedelta64:
    """Return a bar's length: the longest of 1m, 5m, 1h, 1d, 1w within the usual step; 1d for one row."""
    if len(time) < 2:  # noqa: PLR2004 - a step needs two stamps
        return DAY
    usual = np.sort(np.diff(time).astype("timedelta64[ns]"))[(len(time) - 1) // 2]
    fitting = int(np.searchsorted(_BARS, usual, side="right"))
    return np.timedelta64(int(_BARS[max(fitting - 1, 0)].astype(np.int64)), "ns")


def next_time(
    time: NDArray[np.datetime64], category: Category, bar: np.timedelta64 = DAY
) -> NDArray[np.datetime64]:
    """Return the stamp the next candle should have: the next weekday, or the next day for crypto.

    Args:
        time: Stamps of any shape, datetime64[ns].
        category: Market; crypto never closes.
        bar: Length of a bar; one other than a day is simply added.
    """
    time = time.astype("datetime64[ns]")
    if bar != DAY or category is Category.CRYPTO:
        return np.asarray(time + bar)
    days = time.astype("datetime64[D]")
    following = np.busday_offset(days, 1, roll="backward")
    return np.asarray(following.astype("datetime64[ns]"))


def calendar_of(
    time: NDArray[np.datetime64], gap_days: NDArray[np.int64], category: Category
) -> NDArray[np.int64]:
    """Return the fields of a candle stamped ``time`` whose predecessor's own gap was ``gap_days``.

    Returns:
        shape (..., 5), int64; see ``CALENDAR_NAMES`` and ``CALENDAR_SIZES``.
    """
    days = time.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    # 1970-01-01 was a Thursday.
    weekday = (days.astype(np.int64) + 3) % 7
    fields = (
        weekday,
        months.astype(np.int64) % 12,
        _turn_of_month(days, months, every_day=category is Category.CRYPTO),
        np.clip(gap_days, 0, _LONGEST_GAP),
        (time.astype("datetime64[h]") - days).astype("timedelta64[h]").astype(np.int64),
    )
    return np.stack([np.asarray(field, dtype=np.int64) for field in fields], axis=-1)


def _turn_of_month(
    days: NDArray[np.datetime64], months: NDArray[np.datetime64], *, every_day: bool
) -> NDArray[np.int64]:
    weekmask = _WEEKMASKS[every_day]
    first, following = (
        months.astype("datetime64[D]"),
        (months + np.timedelta64(1, "M")).astype("datetime64[D]"),
    )
    since = np.busday_count(first, days, weekmask=weekmask)
    left = np.busday_count(days, following, weekmask=weekmask) - 1
    result = np.where(since < _EDGE_DAYS, since, _EDGE_DAYS)
    return np.where((since >= _EDGE_DAYS) & (left < _EDGE_DAYS), 2 * _EDGE_DAYS - np.maximum(left, 0), result)


def gap_days(earlier: NDArray[np.datetime64], later: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Return whole days between two stamps."""
    span = later.astype("datetime64[D]") - earlier.astype("datetime64[D]")
    return np.asarray(span.astype(np.int64))


def calendar_after(
    time: NDArray[np.datetime64], category: Category, bar: np.timedelta64 | None = None
) -> NDArray[np.int64]:
    """Return, for each candle of a series, the calendar of the candle after it, by rule.

    Args:
        time: shape (T,), datetime64[ns]: stamps of a series, oldest first.
        category: Market.
        bar: Length of a bar; None takes the series' usual step.

    Returns:
        shape (T, 5), int64: weekday 0-6 (Monday 0), month 0-11, turn of month 0-6, days from candle t - 1 to
        candle t (0-7; 0 for the first row, where it is unknown), hour 0-23 (0 for daily bars).
    """
    gaps = np.zeros(len(time), dtype=np.int64)
    gaps[1:] = gap_days(time[:-1], time[1:])
    following = next_time(time, category, bar_of(time) if bar is None else bar)
    return calendar_of(following, gaps, category)
