"""Which sessions must have candles, and the hours of those of intraday ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marketgpt_core.calendars import TradingCalendar, trading_calendar

Days = NDArray[np.datetime64]

_DAY = np.timedelta64(1, "D")
_CURRENCIES = "24/5"
# Share of weekend days with candles above which a market without a published calendar trades every day.
_EVERY_DAY_SHARE = 0.8


@dataclass(frozen=True, eq=False)
class Hours:
    """Sessions with their hours.

    Attributes:
        days: shape (S,), datetime64[D], increasing.
        opens, closes: shape (S,), datetime64[ns], UTC.
    """

    days: Days
    opens: NDArray[np.datetime64]
    closes: NDArray[np.datetime64]

    def session_of(self, time: NDArray[np.datetime64], step: np.timedelta64) -> NDArray[np.int64]:
        """Return which session each candle overlaps; shape (T,), -1 for none.

        A candle stamped 09:00 of an exchange that opens at 09:30 overlaps the session.

        Args:
            time: Opens of candles.
            step: Length of a candle; one nanosecond asks where the open itself lies.
        """
        if not len(self.days):
            return np.full(len(time), -1, dtype=np.int64)
        rows = np.searchsorted(self.closes, time, side="right")
        inside = (rows < len(self.days)) & (self.opens[np.minimum(rows, len(self.days) - 1)] < time + step)
        return np.where(inside, rows, -1).astype(np.int64)


def trades_at_weekends(days: Days, calendar: TradingCalendar) -> bool:
    """Return whether candles, days increasing, show that a market without a calendar never closes."""
    if len(calendar.days) or len(days) == 0:
        return False
    all_days = np.arange(days[0], days[-1] + _DAY)
    weekend = all_days[~np.is_busday(all_days)]
    return len(weekend) > 0 and np.isin(weekend, days).mean() >= _EVERY_DAY_SHARE


def required_sessions(days: Days, calendar: TradingCalendar) -> tuple[Days, NDArray[np.bool_]]:
    """Return the sessions from the first to the last of these days that must have a candle.

    Args:
        days: Dates of candles, increasing.
        calendar: Of the symbol.

    Returns:
        (sessions, whether each lies in the years the calendar is published for). Where it is not, every
        weekday is a session, and a holiday among them is not known.
    """
    first, last = days[0], days[-1] + _DAY
    if trades_at_weekends(days, calendar):
        sessions = np.arange(first, last)
    else:
        sessions = calendar.sessions(first, last)
        sessions = sessions[~_optional(sessions, calendar.name)]
    return sessions, published(sessions, calendar)


def published(days: Days, calendar: TradingCalendar) -> NDArray[np.bool_]:
    """Return for each day whether the calendar is published for it."""
    if not len(calendar.days):
        return np.zeros(len(days), dtype=bool)
    return np.asarray((days >= calendar.days[0]) & (days <= calendar.days[-1]))


def _optional(sessions: Days, name: str) -> NDArray[np.bool_]:
    """Return the sessions that may go without a daily candle."""
    if name == _CURRENCIES:
        # Currencies have no exchange: banks rest on New Year's Day and Christmas, some vendors with them.
        months = sessions.astype("datetime64[M]")
        day, month = (sessions - months).astype(np.int64) + 1, months.astype(np.int64) % 12 + 1
        return np.asarray(((month == 1) & (day == 1)) | ((month == 12) & (day == 25)))  # noqa: PLR2004
    return np.zeros(len(sessions), dtype=bool)


def hours_between(first: np.datetime64, last: np.datetime64, calendar: TradingCalendar) -> Hours:
    """Return the sessions that may hold candles stamped from ``first`` to ``last``, where published.

    Currencies trade from Sunday 17:00 to Friday 17:00 in New York; a session is what lies between two such
    moments. (The calendar ``24/5`` names the dates and knows no hours.)
    """
    start, end = first.astype("datetime64[D]") - 7 * _DAY, last.astype("datetime64[D]") + 7 * _DAY
    if calendar.name == _CURRENCIES:
        known = _currency_hours()
    elif len(calendar.days):
        known = Hours(calendar.days, calendar.opens, calendar.closes)
    else:
        none = np.empty(0, dtype="datetime64[ns]")
        return Hours(none.astype("datetime64[D]"), none, none)
    chosen = slice(*np.searchsorted(known.days, [start, end]).tolist())
    return Hours(known.days[chosen], known.opens[chosen], known.closes[chosen])


@cache
def _currency_hours() -> Hours:
    days = trading_calendar(_CURRENCIES).days
    five_pm = np.timedelta64(17, "h")
    opens, closes = (
        pd.DatetimeIndex(day.astype("datetime64[ns]") + five_pm)
        .tz_localize("America/New_York")
        .tz_convert("UTC")
        .tz_localize(None)
        .to_numpy()
        .astype("datetime64[ns]")
        for day in (days - _DAY, days)
    )
    return Hours(days, opens, closes)
