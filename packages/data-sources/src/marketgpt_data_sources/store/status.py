"""How fresh and how complete a store is, judged by the trading calendars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from marketgpt_core.calendars import TradingCalendar, calendar_of
from marketgpt_core.candles import FIELDS, CandleSeries
from marketgpt_core.interval import Interval
from marketgpt_core.times import to_datetime64
from marketgpt_data_sources.quality.bars import Bars
from marketgpt_data_sources.quality.gaps import attendance
from marketgpt_data_sources.quality.shifts import shifts_of
from marketgpt_data_sources.store.manifest import Entry, Failure
from marketgpt_data_sources.store.store import Store

_DAY = np.timedelta64(1, "D")
_WEEK = 7 * _DAY


@dataclass(frozen=True)
class SymbolStatus:
    """What is stored of a symbol, and what is missing.

    Attributes:
        symbol: The symbol.
        entry: What the manifest knows; None when no candle is stored.
        behind: Sessions (weeks at 1w) that have ended since the last candle; 0 is fresh. None without any.
        gaps: Sessions (weeks at 1w) without a candle between the first and the last. None without any.
        quarantined_rows: Rows that were kept aside.
        failure: Why the source gave nothing when it was last asked; None when it gave something.
    """

    symbol: str
    entry: Entry | None
    behind: int | None
    gaps: int | None
    quarantined_rows: int
    failure: Failure | None


def status_of(store: Store, source: str, interval: Interval, *, now: datetime) -> list[SymbolStatus]:
    """Return the status of every symbol that is stored, failed or has quarantined rows, sorted.

    Args:
        store: The store; its candles are read, to count gaps.
        source: Name of the source.
        interval: Length of a candle.
        now: The time freshness is judged at.
    """
    manifest = store.manifest(source, interval)
    found = []
    for symbol in sorted({*manifest.candles, *manifest.failures, *manifest.quarantine}):
        kept = manifest.quarantine.get(symbol)
        entry = manifest.candles.get(symbol)
        behind = gaps = None
        if entry is not None:
            series = store.read(source, [symbol], interval=interval)[symbol]
            calendar = calendar_of(series)
            behind, gaps = sessions_behind(series, calendar, now), missing_sessions(series, calendar)
        rows = 0 if kept is None else kept.rows
        found.append(SymbolStatus(symbol, entry, behind, gaps, rows, manifest.failures.get(symbol)))
    return found


def sessions_behind(series: CandleSeries, calendar: TradingCalendar, now: datetime) -> int:
    """Return how many sessions (weeks at 1w) have begun and ended since the last candle; 0 is fresh."""
    moment, last = to_datetime64(now), series.time[-1]
    if series.interval is Interval.WEEK:
        weeks = np.arange(last + _WEEK, moment + _WEEK, _WEEK)
        return int(np.count_nonzero(calendar.known_at(weeks, Interval.WEEK) <= moment))
    day: np.datetime64 = last.astype("datetime64[D]")
    # A session may open on the day before its date, and one dated tomorrow be over: Wellington's.
    sessions = calendar.sessions(day if series.interval.is_intraday else day + _DAY, moment + 2 * _DAY)
    opens, closes = calendar.hours(sessions)
    begun_since = opens > last if series.interval.is_intraday else np.ones(len(sessions), dtype=bool)
    return int(np.count_nonzero(begun_since & (closes <= moment)))


def missing_sessions(series: CandleSeries, calendar: TradingCalendar) -> int:
    """Return how many sessions (weeks at 1w) between the first and the last candle have none.

    As ``data verify`` counts them, but for weekdays of years before the exchange's calendar is published: who
    knows which of them were holidays.
    """
    columns = {name: getattr(series, name) for name in ("time", *FIELDS)}
    row = np.arange(len(series))
    bars = Bars(
        series.symbol, series.category, series.interval, calendar.name, row, **columns, adj_close=None
    )
    found = attendance(bars, shifts_of(bars))
    return int(np.count_nonzero(found.known)) if len(calendar.days) else len(found.missing)
