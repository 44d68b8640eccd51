"""Trading calendars: which days an exchange trades, when a session opens and closes, when a candle is known.

The days and hours come from the library exchange_calendars; here they are plain numpy arrays in UTC, the same
whatever the wall clock says.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import CandleSeries
from marketgpt_core.errors import ConfigError, hint
from marketgpt_core.exchanges import exchange_of
from marketgpt_core.interval import Interval
from marketgpt_core.times import Moment, to_datetime64

WEEKDAYS = "weekdays"
# Sessions are laid out for these years where an exchange's calendar is published for them; beyond, weekdays.
_FIRST, _LAST = "1990-01-01", "2035-12-31"
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True, eq=False)
class TradingCalendar:
    """The sessions of an exchange.

    Where nothing is published - before ``first``, after ``last``, and everywhere for the calendar
    ``weekdays`` - every weekday is a session of 24 hours, in UTC: closes are then later than any real one,
    so nothing counts as known too early.

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
        return self.name == "24/7"

    def sessions(self, start: Moment, end: Moment) -> NDArray[np.datetime64]:
        """Return the sessions dated in ``[start, end)``, datetime64[D], increasing."""
        days = np.arange(_day(start), _day_after(end))
        return days[self.is_session(days)]

    def is_session(self, days: NDArray[np.datetime64]) -> NDArray[np.bool_]:
        """Return for each of these dates, datetime64[D], whether it is a session."""
        if self.trades_every_day:
            return np.ones(len(days), dtype=bool)
        open_ = np.is_busday(days)
        if len(self.days):
            published = (days >= self.days[0]) & (days <= self.days[-1])
            open_ = np.where(published, np.isin(days, self.days), open_)
        return np.asarray(open_, dtype=bool)

    def next_sessions(self, after: Moment, count: int) -> NDArray[np.datetime64]:
        """Return the next ``count`` sessions dated after the date of ``after``, datetime64[D]."""
        first = _day(after) + _DAY
        # No exchange closes for more than half the weekdays of a stretch this long.
        return self.sessions(first, first + np.timedelta64(3 * count + 30, "D"))[:count]

    def hours(self, days: NDArray[np.datetime64]) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
        """Return (opens, closes) of these dates, datetime64[ns], UTC.

        A date that is no session gets those of a 24-hour day, like one outside what is published.
        """
        opens: NDArray[np.datetime64] = days.astype("datetime64[ns]")
        closes: NDArray[np.datetime64] = (days + _DAY).astype("datetime64[ns]")
        if len(self.days):
            rows = np.minimum(np.searchsorted(self.days, days), len(self.days) - 1)
            found = self.days[rows] == days
            opens[found], closes[found] = self.opens[rows[found]], self.closes[rows[found]]
        return opens, closes

    def session_of(self, moments: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
        """Return the date, datetime64[D], of the session each moment (UTC) lies in; NaT outside any.

        A session is half-open: its close belongs to it no more.
        """
        moments = moments.astype("datetime64[ns]")
        days = moments.astype("datetime64[D]")
        if not len(self.days):
            return np.where(self.is_session(days), days, np.datetime64("NaT", "D"))
        rows = np.searchsorted(self.opens, moments, side="right") - 1
        inside = (rows >= 0) & (moments < self.closes[np.maximum(rows, 0)])
        beyond = (moments < self.opens[0]) | (moments >= self.closes[-1])
        weekday = np.where(self.is_session(days), days, np.datetime64("NaT", "D"))
        found = np.where(inside, self.days[np.maximum(rows, 0)], np.datetime64("NaT", "D"))
        return np.asarray(np.where(beyond, weekday, found))

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


@cache
def trading_calendar(name: str) -> TradingCalendar:
    """Return the calendar of a name; building one takes up to a few tenths of a second, once.

    Args:
        name: A name of exchange_calendars (``XNYS``, ``XETR``, ``CMES``, ``24/5``, ``24/7``), or
            ``weekdays``.

    Raises:
        ConfigError: for an unknown name, with the close match.
    """
    if name == WEEKDAYS:
        none = np.empty(0, dtype="datetime64[ns]")
        return TradingCalendar(name, none.astype("datetime64[D]"), none, none)
    with warnings.catch_warnings():
        # exchange_calendars 4.13 uses what pandas 4 will remove; it is theirs to mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        return _published(name)


def _published(name: str) -> TradingCalendar:
    import exchange_calendars as library
    import pandas as pd

    known = library.get_calendar_names(include_aliases=True)
    if name not in known:
        raise ConfigError(f"unknown trading calendar {name!r}; {hint(name, [*known, WEEKDAYS])}")
    # A few months that every calendar covers, to learn for which years it is published.
    kind = type(library.get_calendar(name, start="2022-01-03", end="2022-03-31", side="left"))
    earliest, latest = kind.bound_min(), kind.bound_max()
    start = pd.Timestamp(_FIRST) if earliest is None else max(earliest, pd.Timestamp(_FIRST))
    end = pd.Timestamp(_LAST) if latest is None else min(latest, pd.Timestamp(_LAST))
    schedule = library.get_calendar(name, start=start, end=end, side="left").schedule
    opens, closes = (
        schedule[column].dt.tz_convert(None).to_numpy().astype("datetime64[ns]")
        for column in ("open", "close")
    )
    days = schedule.index.to_numpy().astype("datetime64[D]")
    return TradingCalendar(name, days, opens, closes)


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


def _day(moment: Moment) -> np.datetime64:
    day: np.datetime64 = to_datetime64(moment).astype("datetime64[D]")
    return day


def _day_after(moment: Moment) -> np.datetime64:
    """Return the first date whose midnight does not precede the moment."""
    at = to_datetime64(moment)
    day = _day(moment)
    after: np.datetime64 = day if day.astype("datetime64[ns]") == at else day + _DAY
    return after
