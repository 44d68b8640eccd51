"""The bars a signal is judged by: where it is entered, where its forecast ends, where it is left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.calendars import calendar_of
from marketgpt_core.candles import CandleSeries
from marketgpt_core.interval import Interval
from marketgpt_core.signal import Signal
from marketgpt_core.times import iso, to_datetime64

# China's golden week and New York after 2001-09-11 are shorter: over a longer hole a bar is missing.
_LONGEST_CLOSURE = timedelta(days=14)


@dataclass(frozen=True)
class Bars:
    """Rows of a series.

    Attributes:
        made: Of the candle the signal was made on.
        entry: At whose open it is entered.
        end: At whose close its horizon ends.
        leave: At whose open it is left.
    """

    made: int
    entry: int
    end: int
    leave: int


def bars_of(signal: Signal, series: CandleSeries) -> Bars | str | None:
    """Find a signal's bars: t, t + 1, t + h and t + 1 + h.

    Bars of a day are counted in sessions where the exchange's are published and the candles lie on them, so
    that one missing is not mistaken for the next. Elsewhere candles are counted as they come, but never over
    a hole that is longer than any market closes.

    Returns:
        The rows; None while the candles do not reach that far; one line when a bar is missing.
    """
    if signal.interval is not series.interval:
        return None
    as_of = to_datetime64(signal.as_of)
    made = int(np.searchsorted(series.time, as_of))
    if made == len(series):
        return None
    if series.time[made] != as_of:
        return f"no candle at {iso(as_of)}, on which it was made"
    sessions = _sessions(signal, series, made)
    return _counted(signal, series, made) if sessions is None else _found(series, made, sessions)


def _counted(signal: Signal, series: CandleSeries, made: int) -> Bars | str | None:
    rows = Bars(made, made + 1, made + signal.horizon_bars, made + signal.horizon_bars + 1)
    longest = np.timedelta64(_LONGEST_CLOSURE + signal.interval.duration)
    reached = series.time[made : rows.leave + 1]
    for row in np.flatnonzero(np.diff(reached) > longest):
        return f"no candles between {iso(reached[row])} and {iso(reached[row + 1])}"
    return rows if rows.leave < len(series) else None


def _found(series: CandleSeries, made: int, sessions: NDArray[np.datetime64]) -> Bars | str | None:
    rows = [made]
    for what, at in (
        ("it is entered", sessions[0]),
        ("its horizon ends", sessions[-2]),
        ("it is left", sessions[-1]),
    ):
        row = int(np.searchsorted(series.time, at))
        if row == len(series):
            return None
        if series.time[row] != at:
            return f"no candle at {iso(at)}, where {what}"
        rows.append(row)
    return Bars(*rows)


def _sessions(signal: Signal, series: CandleSeries, made: int) -> NDArray[np.datetime64] | None:
    """Return the stamps of the h + 1 sessions after ``as_of``; None where they are not known."""
    calendar = calendar_of(series)
    if signal.interval is not Interval.DAY or not (calendar.trades_every_day or len(calendar.days)):
        return None
    as_of = series.time[made]
    day = as_of.astype("datetime64[D]")
    days = calendar.next_sessions(day, signal.horizon_bars + 1)
    if len(calendar.days) and not calendar.days[0] <= day <= days[-1] <= calendar.days[-1]:
        return None
    stamps: NDArray[np.datetime64] = days.astype("datetime64[ns]") + (as_of - day)
    between = series.time[made + 1 : np.searchsorted(series.time, stamps[-1], side="right")]
    # A candle on a day without a session: these candles keep other days than the calendar.
    return stamps if np.isin(between, stamps).all() else None
