"""Trading calendars: which days an exchange trades, when a session opens and closes, when a candle is known.

The days and hours come from the library exchange_calendars; here they are plain numpy arrays in UTC, the same
whatever the wall clock says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.calendar_tables import ALWAYS, WEEKDAYS, canonical, sessions_of
from marketgpt_core.candles import CandleSeries
from marketgpt_core.exchanges import exchange_of
from marketgpt_core.interval import Interval
from marketgpt_core.times import Moment, to_datetime64

__all__ = ["WEEKDAYS", "TradingCalendar", "calendar_of", "known_at", "trading_calendar"]

_DAY = np.timedelta64(1, "D")
_YEAR = 250  # sessions
_NO_DAY = np.datetime64("NaT", "D")
_BUILDING = RLock()


@dataclass(frozen=True, eq=False)
class TradingCalendar:
    """The sessions of an exchange.

    Where nothing is published - before ``first``, after ``last``, everywhere for ``weekdays`` - every day of
    the week the exchange usually trades on is a session of 24 hours, in UTC: closes are then later than any
    real one, so nothing counts as known too early.

    Attributes:
        name: As exchange_calendars names it (``XNYS``, ``CMES``, ``24/7``), or ``weekdays``.
        days: shape (N,), datetime64[D], published sessions by the exchange's own date, increasing.
        opens, closes: shape (N,), datetime64[ns], UTC. An open may lie on the day before (futures).
    """

    name: str
    days: NDArray[np.datetime64]
    opens: NDArray[np.datetime64]
    closes: NDArray[np.datetime64]

    @property
    def first(self) -> np.datetime64 | None:
        """First published session; None without any."""
        return self.days[0] if len(self.days) else None

    @property
    def last(self) -> np.datetime64 | None:
        """Last published session; None without any."""
        return self.days[-1] if len(self.days) else None

    @property
    def trades_every_day(self) -> bool:
        """Whether there is no day without a session."""
        return self.name == ALWAYS

    def sessions(self, start: Moment, end: Moment) -> NDArray[np.datetime64]:
        """Return the sessions dated in ``[start, end)``, datetime64[D], increasing.

        The day of ``start`` counts whole, and so does the day ``end`` lies within: what a series from
        ``start`` to ``end`` may touch.
        """
        days = np.arange(_day(start), _day_after(end))
        return days[self.is_session(days)]

    def is_session(self, days: NDArray[np.datetime64]) -> NDArray[np.bool_]:
        """Return for each of these dates, datetime64[D], whether it is a session."""
        if self.trades_every_day:
            return np.ones(days.shape, dtype=bool)
        if not len(self.days):
            return np.asarray(np.is_busday(days), dtype=bool)
        earlier, later = days < self.days[0], days > self.days[-1]
        open_ = self.days[self._row(days)] == days
        open_ = np.where(earlier, _is_usual(days, self.days[:_YEAR]), open_)
        return np.asarray(np.where(later, _is_usual(days, self.days[-_YEAR:]), open_), dtype=bool)

    def _row(self, days: NDArray[np.datetime64]) -> NDArray[np.int64]:
        """Return the row of each date, or of the session after it, or the last row."""
        rows: NDArray[np.int64] = np.minimum(np.searchsorted(self.days, days), len(self.days) - 1)
        return rows

    def next_sessions(self, after: Moment, count: int) -> NDArray[np.datetime64]:
        """Return the next ``count`` sessions dated after the date of ``after``, datetime64[D].

        Args:
            after: A session's date, as a daily candle is stamped.
            count: At least 0.
        """
        first = _day(after) + _DAY
        if not len(self.days):
            return np.asarray(np.busday_offset(first - _DAY, np.arange(1, count + 1), roll="backward"))
        row = int(np.searchsorted(self.days, first))
        if self.days[0] <= first and row + count <= len(self.days):
            return self.days[row : row + count].copy()
        span = 2 * count + 14
        while len(found := self.sessions(first, first + span * _DAY)) < count:
            span *= 2
        return found[:count]

    def hours(self, days: NDArray[np.datetime64]) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
        """Return (opens, closes) of these dates, datetime64[ns], UTC.

        A date that is no session gets those of a 24-hour day, like one outside what is published: a candle
        that bears such a date counts as known at its end, later than any session's close.
        """
        opens: NDArray[np.datetime64] = days.astype("datetime64[ns]")
        closes: NDArray[np.datetime64] = (days + _DAY).astype("datetime64[ns]")
        if len(self.days):
            rows = self._row(days)
            found = self.days[rows] == days
            opens[found], closes[found] = self.opens[rows[found]], self.closes[rows[found]]
        return opens, closes

    def session_of(self, moments: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
        """Return the date, datetime64[D], of the session each moment (UTC) lies in; NaT outside any.

        A session is half-open: its close belongs to it no more.
        """
        moments = moments.astype("datetime64[ns]")
        days = moments.astype("datetime64[D]")
        weekday = np.where(self.is_session(days), days, _NO_DAY)
        if not len(self.days):
            return weekday
        rows = np.searchsorted(self.opens, moments, side="right") - 1
        inside = (rows >= 0) & (moments < self.closes[rows])
        beyond = (moments < self.opens[0]) | (moments >= self.closes[-1])
        return np.asarray(np.where(beyond, weekday, np.where(inside, self.days[rows], _NO_DAY)))

    def known_at(self, time: NDArray[np.datetime64], interval: Interval) -> NDArray[np.datetime64]:
        """Return when each candle had ended and could be known, datetime64[ns], UTC.

        Intraday: its open plus its length, or the session's close if that comes first. Daily: the close of
        its session. Weekly: the close of the last session of the seven days from its stamp on.

        Args:
            time: shape (T,), stamps as in :class:`marketgpt_core.candles.CandleSeries`.
            interval: Length of a candle.
        """
        stamps = time.astype("datetime64[ns]")
        if interval.is_intraday:
            ends = stamps + np.timedelta64(interval.duration)
            days = self.session_of(stamps)
            inside = ~np.isnat(days)
            closes = self.hours(np.where(inside, days, np.datetime64(0, "D")))[1]
            return np.asarray(np.where(inside, np.minimum(ends, closes), ends))
        days = stamps.astype("datetime64[D]")
        if interval is Interval.WEEK:
            days = self._last_session(days, days + 6 * _DAY)
        return self.hours(days)[1]

    def _last_session(
        self, first: NDArray[np.datetime64], last: NDArray[np.datetime64]
    ) -> NDArray[np.datetime64]:
        chosen = last
        for back in range(1, 7):
            earlier = last - back * _DAY
            chosen = np.where(self.is_session(chosen) | (earlier < first), chosen, earlier)
        return np.where(self.is_session(chosen), chosen, last)


def trading_calendar(name: str) -> TradingCalendar:
    """Return the calendar of a name, built once a process, whichever thread asks first.

    The first of a process imports exchange_calendars and pandas; then one takes 0.05 to 0.4 s, those of
    Korea (lunar holidays) 2 s, ``24/5``, ``24/7`` and ``weekdays`` nothing.

    Args:
        name: A name or alias of exchange_calendars (``XNYS``, ``XETR``, ``CMES``, ``24/5``, ``24/7``), or
            ``weekdays``.

    Raises:
        ConfigError: for an unknown name, with the close match.
    """
    with _BUILDING:
        return _calendar(name)


@cache
def _calendar(name: str) -> TradingCalendar:
    known_as = canonical(name)
    if known_as != name:
        return _calendar(known_as)
    table = sessions_of(name)
    for column in table:
        column.setflags(write=False)  # shared by all who ask
    return TradingCalendar(name, *table)


def calendar_of(series: CandleSeries, calendars: Mapping[str, str] | None = None) -> TradingCalendar:
    """Return the trading calendar of a symbol.

    Args:
        series: Its candles; symbol and category decide.
        calendars: Calendar names by symbol that win, as a universe gives them.
    """
    chosen = (calendars or {}).get(series.symbol)
    return trading_calendar(chosen or exchange_of(series.symbol, series.category).calendar)


def known_at(series: CandleSeries, calendars: Mapping[str, str] | None = None) -> NDArray[np.datetime64]:
    """Return when each candle of a series could be known, datetime64[ns], UTC; shape (T,).

    Args:
        series: The candles.
        calendars: See :func:`calendar_of`.
    """
    return calendar_of(series, calendars).known_at(series.time, series.interval)


def _is_usual(days: NDArray[np.datetime64], seen: NDArray[np.datetime64]) -> NDArray[np.bool_]:
    """Return whether these days fall on days of the week that are usual among those seen."""
    # 1970-01-01 was a Thursday. Riyadh trades from Sunday to Thursday; a Saturday of Bombay is an exception.
    counts = np.bincount((seen.astype(np.int64) + 3) % 7, minlength=7)
    return np.is_busday(days, weekmask=counts * 20 > len(seen))


def _day(moment: Moment) -> np.datetime64:
    day: np.datetime64 = to_datetime64(moment).astype("datetime64[D]")
    return day


def _day_after(moment: Moment) -> np.datetime64:
    """Return the first date whose midnight does not precede the moment."""
    at = to_datetime64(moment)
    day = _day(moment)
    after: np.datetime64 = day if day.astype("datetime64[ns]") == at else day + _DAY
    return after
