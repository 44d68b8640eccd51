"""Stamps of another time zone: days that fall on the day before, hours that miss the session.

Judged week by week, since a vendor that ignores summer time is right for half of every year.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.calendars import TradingCalendar
from marketgpt_core.interval import Interval
from marketgpt_core.times import iso
from marketgpt_data_sources.quality.bars import Bars
from marketgpt_data_sources.quality.check import Finding
from marketgpt_data_sources.quality.config import QualityConfig
from marketgpt_data_sources.quality.sessions import Hours, hours_between, trades_at_weekends

Mask = NDArray[np.bool_]

_DAY = np.timedelta64(1, "D")
_INSTANT = np.timedelta64(1, "ns")
_QUARTER = np.timedelta64(15, "m")
_FEWEST_A_WEEK = 3
_A_SUNDAY, _SUNDAYS_ASKED = np.datetime64("1900-01-07", "D"), 52
_MOST_OF_ALL = 0.95
# Zones lie up to 14 hours from UTC. Whole hours are tried before half and quarter ones, small before large.
_QUARTERS = sorted(
    (n for n in range(-14 * 4, 14 * 4 + 1) if n), key=lambda n: (n % 4 != 0, n % 2 != 0, abs(n))
)


def shifts_of(bars: Bars) -> NDArray[np.timedelta64]:
    """Return no shift for every candle: what :func:`find_shifts` starts from."""
    return np.zeros(len(bars), dtype="timedelta64[ns]")


def find_shifts(bars: Bars, config: QualityConfig) -> tuple[NDArray[np.timedelta64], Finding | None]:
    """Return by how much each stamp is late (negative: early), and what to say about it.

    A week is shifted when not all of its candles lie in sessions, but all would, moved by one and the same
    time. ``shift_weeks`` such weeks in a row are a finding.

    Args:
        bars: Sound candles of one symbol, oldest first.
        config: Thresholds.

    Returns:
        (shift of each stamp, shape (T,), timedelta64[ns], 0 where it is right; the finding).
    """
    calendar = bars.calendar
    if len(bars) < _FEWEST_A_WEEK or calendar.trades_every_day:
        return shifts_of(bars), None
    if bars.interval is Interval.WEEK:
        shift, weeks = _weekly(bars)
    elif bars.interval is Interval.DAY:
        if trades_at_weekends(bars.days, calendar):
            return shifts_of(bars), None
        shift, weeks = _daily(bars)
    else:
        shift, weeks = _intraday(bars)
    shift = _only_runs(shift, weeks, config.shift_weeks)
    return shift, _finding(bars, shift, weeks)


def _daily(bars: Bars) -> tuple[NDArray[np.timedelta64], NDArray[np.int64]]:
    days = bars.days
    weeks = _weeks(days, bars.calendar)
    here = bars.calendar.is_session(days)
    shift = shifts_of(bars)
    if here.all():
        return shift, weeks
    for late in (-1, 1):
        moved = bars.calendar.is_session(days - late * _DAY)
        shift[_explained(weeks, here, moved) & (shift == 0 * _DAY)] = late * _DAY
    return shift, weeks


def _explained(weeks: NDArray[np.int64], here: Mask, moved: Mask) -> Mask:
    """Return the rows of weeks in which every candle fits when moved, and some do not where they are."""
    _, first, inverse, count = np.unique(weeks, return_index=True, return_inverse=True, return_counts=True)
    fits_here = np.add.reduceat(here.astype(np.int64), first)
    fits_moved = np.add.reduceat(moved.astype(np.int64), first)
    found = (count >= _FEWEST_A_WEEK) & (fits_here < count) & (fits_moved == count)
    return np.asarray(found[inverse])


def _weekly(bars: Bars) -> tuple[NDArray[np.timedelta64], NDArray[np.int64]]:
    """A week's stamp changes its weekday: by a day early, or by a day late though the usual day traded."""
    days = bars.days
    weekday = (days.astype(np.int64) + 3) % 7
    usual = int(np.bincount(weekday).argmax())
    away = (weekday - usual + 3) % 7 - 3
    shift = shifts_of(bars)
    shift[away == -1] = -_DAY
    shift[(away == 1) & bars.calendar.is_session(days - _DAY)] = _DAY
    return shift, np.arange(len(bars), dtype=np.int64)


def _intraday(bars: Bars) -> tuple[NDArray[np.timedelta64], NDArray[np.int64]]:
    hours = hours_between(bars.time[0], bars.time[-1], bars.calendar)
    # No session opens on a Saturday by UTC, but currencies and futures do on Sundays.
    weeks = (bars.days.astype(np.int64) + 5) // 7
    shift = shifts_of(bars)
    if not len(hours.days):
        return shift, weeks
    step = np.timedelta64(bars.interval.duration)
    overlaps = hours.session_of(bars.time, step) >= 0
    if overlaps.all():
        return shift, weeks
    _, first, count = np.unique(weeks, return_index=True, return_counts=True)
    outside = np.add.reduceat((~overlaps).astype(np.int64), first) > 0
    for start, length in zip(first[outside], count[outside], strict=True):
        rows = slice(start, start + length)
        shift[rows] = _best(bars.time[rows], hours)
    return shift, weeks


def _best(time: NDArray[np.datetime64], hours: Hours) -> np.timedelta64:
    """Return the smallest plain shift that brings every open into a session; zero without one."""
    if len(time) >= _FEWEST_A_WEEK:
        for quarters in _QUARTERS:
            late = quarters * _QUARTER
            if (hours.session_of(time - late, _INSTANT) >= 0).all():
                return np.timedelta64(late, "ns")
    return np.timedelta64(0, "ns")


def _weeks(days: NDArray[np.datetime64], calendar: TradingCalendar) -> NDArray[np.int64]:
    """Return the week of each day, cut so that a session moved by a day either way stays in its week."""
    sundays = np.arange(_A_SUNDAY, days[-1] + _DAY, 7 * _DAY)[-_SUNDAYS_ASKED:]
    # Riyadh trades from Sunday on: there a week begins on Saturday.
    begins = 5 if calendar.is_session(sundays).mean() > 0.5 else 4  # noqa: PLR2004 - most of them
    return (days.astype(np.int64) + begins) // 7


def _only_runs(
    shift: NDArray[np.timedelta64], weeks: NDArray[np.int64], fewest: int
) -> NDArray[np.timedelta64]:
    """Return the shifts that last for so many weeks in a row; the others are single odd days."""
    if not shift.any():
        return shift
    _, first, inverse = np.unique(weeks, return_index=True, return_inverse=True)
    by_week = shift[first].astype(np.int64)
    starts = np.flatnonzero(np.concatenate([[True], by_week[1:] != by_week[:-1]]))
    lengths = np.diff(np.concatenate([starts, [len(by_week)]]))
    long = np.repeat(lengths >= fewest, lengths)
    return np.where(long[inverse], shift, np.timedelta64(0, "ns"))


def _finding(bars: Bars, shift: NDArray[np.timedelta64], weeks: NDArray[np.int64]) -> Finding | None:
    at = np.flatnonzero(shift.astype(np.int64))
    if not len(at):
        return None
    kinds, counts = np.unique(shift[at], return_counts=True)
    words = " and ".join(_words(kind) for kind in kinds[np.argsort(-counts)])
    some, every = len(np.unique(weeks[at])), len(np.unique(weeks))
    text = (
        f"stamps are {words} in {some} of {every} weeks, {iso(bars.time[at[0]])} to {iso(bars.time[at[-1]])}"
    )
    if some < _MOST_OF_ALL * every:
        text += ": not always, as when clocks change"
    elif not len(bars.calendar.days):
        text += ": or its exchange trades at weekends, for no calendar of it is published"
    details = {
        "weeks": some,
        "of_weeks": every,
        "shifts": [[_words(kind), int(n)] for kind, n in zip(kinds, counts, strict=True)],
        "last": iso(bars.time[at[-1]]),
    }
    return Finding("shift", at, len(at), text, details, float(some))


def _words(shift: np.timedelta64) -> str:
    minutes = int(shift / np.timedelta64(1, "m"))
    side, size = ("early" if minutes < 0 else "late"), abs(minutes)
    if size == 24 * 60:
        return f"a day {side}"
    return f"{size / 60:g} h {side}"
