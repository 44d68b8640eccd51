"""Whether asking a source again could bring anything, told from calendars and the clock alone."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from marketgpt_core.calendars import TradingCalendar
from marketgpt_core.interval import Interval
from marketgpt_core.times import to_datetime64

# No exchange has been closed for longer in the years calendars cover.
_LONGEST_CLOSURE = np.timedelta64(180, "D")
_MONDAY = np.datetime64("1970-01-05", "D")
_DAY = np.timedelta64(1, "D")
_WEEK = np.timedelta64(7, "D")


def last_close(calendar: TradingCalendar, interval: Interval, now: datetime) -> np.datetime64:
    """Return when the last candle that has ended by now ended, datetime64[ns], UTC.

    Args:
        calendar: Of the symbol.
        interval: Length of a candle. Inside a session, an intraday candle counts from the open or from the
            full hour, whichever ended later: vendors differ.
        now: The present.
    """
    at = to_datetime64(now)
    today: np.datetime64 = at.astype("datetime64[D]")
    if interval is Interval.WEEK:
        monday = _MONDAY + (today - _MONDAY) // _WEEK * _WEEK
        stamps = np.arange(monday - _LONGEST_CLOSURE // _WEEK * _WEEK, monday + _DAY, _WEEK)
        ends = calendar.known_at(stamps, interval)
    else:
        # The session dated tomorrow may be over: Wellington's, seen from a UTC evening.
        ends = calendar.hours(calendar.sessions(today - _LONGEST_CLOSURE, today + 2 * _DAY))[1]
    ended = ends[ends <= at]
    latest = ended.max() if len(ended) else at - _LONGEST_CLOSURE
    return max(latest, _last_inside(calendar, interval, at)) if interval.is_intraday else latest


def _last_inside(calendar: TradingCalendar, interval: Interval, at: np.datetime64) -> np.datetime64:
    """Return when the last candle of the session under way ended; long ago when none is, or none did."""
    never = at - _LONGEST_CLOSURE
    session = calendar.session_of(np.array([at]))
    if np.isnat(session[0]):
        return never
    opens = calendar.hours(session)[0][0]
    length = np.timedelta64(interval.duration).astype("timedelta64[ns]")
    epoch = np.datetime64(0, "ns")
    ends = [origin + (at - origin) // length * length for origin in (opens, epoch)]
    return max((end for end in ends if end > opens), default=never)


def is_current(
    *,
    last: np.datetime64,
    checked_at: datetime,
    calendar: TradingCalendar,
    interval: Interval,
    now: datetime,
    until: datetime | None,
    grace: timedelta,
) -> bool:
    """Return whether a store that holds candles up to ``last`` has all that can be known by now.

    It has when the last candle that has ended is there, or the source was asked once that candle had ended
    and its vendor had had time to publish it.

    Args:
        last: Stamp of the last candle stored.
        checked_at: When the source was last asked.
        calendar: Of the symbol.
        interval: Length of a candle.
        now: The present.
        until: Candles stamped from here on are not wanted; None for no such bound.
        grace: Time a vendor is given to publish a candle.
    """
    if until is not None and (checked_at >= until or last >= to_datetime64(until)):
        return True
    close = last_close(calendar, interval, now if until is None else min(now, until))
    held = calendar.known_at(np.array([last]), interval)[0]
    return bool(held >= close or to_datetime64(checked_at) >= close + np.timedelta64(grace))
