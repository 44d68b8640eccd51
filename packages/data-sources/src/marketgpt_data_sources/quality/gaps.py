"""Candles that are missing, and candles when the exchange is closed, by its calendar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.interval import Interval
from marketgpt_core.times import iso
from marketgpt_data_sources.quality.bars import Bars
from marketgpt_data_sources.quality.check import Finding
from marketgpt_data_sources.quality.config import QualityConfig
from marketgpt_data_sources.quality.sessions import (
    Hours,
    hours_between,
    published,
    required_sessions,
    trades_at_weekends,
)

Days = NDArray[np.datetime64]

_DAY = np.timedelta64(1, "D")
_WEEK_DAYS = 7
# A slot of a session is expected when so many sessions have it: nobody trades at lunch.
_USUAL_SLOT = 0.5
_ENOUGH_SESSIONS = 5
_BREAK = np.timedelta64(30, "m")


@dataclass(frozen=True, eq=False)
class Attendance:
    """When one symbol has candles and should not, or should and has none.

    Attributes:
        symbol, calendar: Names.
        first, last: Dates of the first and last candle.
        required: Sessions from the first to the last that must have a candle.
        missing: shape (M,), datetime64[D], those without, increasing.
        order: shape (M,), int64, their numbers among the required ones: neighbours are one hole.
        known: shape (M,), bool, whether the calendar is published for them.
        next_row: shape (M,), int64, row number of the first candle after each.
        extra_rows: shape (E,), int64, row numbers of candles while the exchange is closed.
        extra_time: shape (E,), datetime64[ns], their stamps.
    """

    symbol: str
    calendar: str
    first: np.datetime64
    last: np.datetime64
    required: int
    missing: Days
    order: NDArray[np.int64]
    known: NDArray[np.bool_]
    next_row: NDArray[np.int64]
    extra_rows: NDArray[np.int64]
    extra_time: NDArray[np.datetime64]

    @property
    def extra_days(self) -> Days:
        """Dates of the extra candles, datetime64[D]."""
        return self.extra_time.astype("datetime64[D]")


def attendance(bars: Bars, shift: NDArray[np.timedelta64]) -> Attendance:
    """Compare candles with the calendar.

    Args:
        bars: Sound candles of one symbol, oldest first, at least one.
        shift: By how much each stamp is late, which is made good; see :func:`shifts.find_shifts`.
    """
    time = bars.time - shift
    if bars.interval is Interval.WEEK:
        return _weekly(bars, time)
    if bars.interval.is_intraday:
        hours = hours_between(time[0], time[-1], bars.calendar)
        if len(hours.days):
            return _by_hours(bars, time, hours)
    days = time.astype("datetime64[D]")
    closed = ~bars.calendar.is_session(days)
    if trades_at_weekends(days, bars.calendar):
        closed[:] = False
    return _compared(bars, days, days[~closed], closed)


def _by_hours(bars: Bars, time: NDArray[np.datetime64], hours: Hours) -> Attendance:
    session = hours.session_of(time, np.timedelta64(bars.interval.duration))
    inside = session >= 0
    days = np.where(inside, hours.days[np.maximum(session, 0)], time.astype("datetime64[D]"))
    known = published(time.astype("datetime64[D]"), bars.calendar)
    return _compared(bars, days, days[inside], ~inside & known)


def _compared(bars: Bars, days: Days, attended: Days, extra: NDArray[np.bool_]) -> Attendance:
    present = np.unique(attended)
    sessions = np.empty(0, dtype="datetime64[D]")
    known = np.empty(0, dtype=bool)
    if len(present):
        sessions, known = required_sessions(present, bars.calendar)
    lacking = ~np.isin(sessions, present, assume_unique=True)
    missing = sessions[lacking]
    following = np.searchsorted(days, missing) if len(missing) else np.empty(0, dtype=np.int64)
    return Attendance(
        symbol=bars.symbol,
        calendar=bars.calendar_name,
        first=days[0],
        last=days[-1],
        required=len(sessions),
        missing=missing,
        order=np.flatnonzero(lacking),
        known=known[lacking],
        next_row=bars.row[np.minimum(following, len(bars) - 1)],
        extra_rows=bars.row[extra],
        extra_time=bars.time[extra],
    )


def _weekly(bars: Bars, time: NDArray[np.datetime64]) -> Attendance:
    """A week is missing when its stamp is skipped and the exchange traded in it."""
    days = time.astype("datetime64[D]")
    weeks = np.rint(np.diff(days).astype(np.int64) / _WEEK_DAYS).astype(np.int64)
    holes = np.flatnonzero(weeks > 1)
    skipped = [days[row] + _WEEK_DAYS * _DAY * np.arange(1, weeks[row]) for row in holes]
    missing = np.concatenate(skipped) if skipped else np.empty(0, dtype="datetime64[D]")
    following = np.repeat(holes + 1, weeks[holes] - 1)
    if len(missing):
        traded = np.zeros(len(missing), dtype=bool)
        for later in range(_WEEK_DAYS):
            traded |= bars.calendar.is_session(np.asarray(missing + np.timedelta64(later, "D"), "M8[D]"))
        missing, following = missing[traded], following[traded]
    none = np.empty(0, dtype=np.int64)
    return Attendance(
        symbol=bars.symbol,
        calendar=bars.calendar_name,
        first=days[0],
        last=days[-1],
        required=int(weeks.sum()) + 1,
        missing=missing,
        order=((missing - days[0]).astype(np.int64) / _WEEK_DAYS).astype(np.int64),
        known=published(missing, bars.calendar),
        next_row=bars.row[following],
        extra_rows=none,
        extra_time=none.astype("datetime64[ns]"),
    )


def missing_bars(bars: Bars, shift: NDArray[np.timedelta64], config: QualityConfig) -> Finding | None:
    """Find intraday candles missing in sessions that have others; whole sessions are :func:`attendance`'s.

    A session is cut into slots of one candle from its open on. A slot counts when at least half of the
    sessions have it, so that lunch breaks and minutes without trades count for nothing.
    """
    if not bars.interval.is_intraday:
        return None
    step = np.timedelta64(bars.interval.duration).astype("timedelta64[ns]")
    time = bars.time - shift
    hours = hours_between(time[0], time[-1], bars.calendar)
    session = hours.session_of(time, step)
    inside = session >= 0
    if not inside.any():
        return None
    since_open = (time[inside] - hours.opens[session[inside]]).astype(np.int64)
    step_ns = int(step.astype(np.int64))
    phases, counts = np.unique(since_open % step_ns, return_counts=True)
    phase = int(phases[np.argmax(counts)])
    # With a phase, a candle may open before the session does: slot 0 is that one.
    slot = (since_open - phase) // step_ns + 1
    days, of_day = np.unique(session[inside], return_inverse=True)
    lengths = (hours.closes[days] - hours.opens[days]).astype(np.int64)
    exists = -(-(lengths - phase) // step_ns) + 1
    present = np.zeros((len(days), int(exists.max())), dtype=bool)
    present[of_day, np.minimum(slot, present.shape[1] - 1)] = True
    slots = np.arange(present.shape[1])
    stamps = (hours.opens[days] + np.timedelta64(phase, "ns"))[:, None] + step * (slots - 1)[None, :]
    real = (slots[None, :] < exists[:, None]) & (stamps >= time[0]) & (stamps <= time[-1])
    real[:, 0] &= phase > 0
    usual = _usual_slots(present & real, real, int(_BREAK / step))
    expected = real & (usual | bars.calendar.trades_every_day)[None, :]
    return _holes(bars, time, stamps[expected], present[expected], config)


def _usual_slots(present: NDArray[np.bool_], real: NDArray[np.bool_], break_slots: int) -> NDArray[np.bool_]:
    """Return the slots that sessions use.

    Too few sessions to tell lunch from holes by frequency leave out only what none of them has for half an
    hour on end.

    Args:
        present: shape (sessions, slots), whether there is a candle.
        real: shape (sessions, slots), whether there could be one.
        break_slots: Slots of half an hour.
    """
    used, sessions = present.sum(axis=0), real.sum(axis=0)
    if len(real) >= _ENOUGH_SESSIONS:
        return np.asarray(used >= _USUAL_SLOT * np.maximum(sessions, 1))
    unused = np.concatenate([[0], (used == 0).astype(np.int8), [0]])
    starts, ends = np.flatnonzero(np.diff(unused) == 1), np.flatnonzero(np.diff(unused) == -1)
    usual = np.ones(len(used), dtype=bool)
    for start, end in zip(starts, ends, strict=True):
        usual[start:end] = end - start < max(break_slots, 1)
    return usual


def _holes(
    bars: Bars,
    time: NDArray[np.datetime64],
    stamps: NDArray[np.datetime64],
    present: NDArray[np.bool_],
    config: QualityConfig,
) -> Finding | None:
    gone = np.flatnonzero(~present)
    if not len(gone) or len(gone) <= config.missing_bars_share * len(stamps):
        return None
    starts = gone[np.concatenate([[True], np.diff(gone) > 1])]
    lengths = np.diff(np.concatenate([np.flatnonzero(np.isin(gone, starts)), [len(gone)]]))
    worst = int(np.argmax(lengths))
    share = len(gone) / len(stamps)
    text = (
        f"{len(gone):,} of {len(stamps):,} candles inside sessions missing ({share:.2%}), "
        f"longest {lengths[worst]} from {iso(stamps[starts[worst]])}"
    )
    details = {
        "missing": len(gone),
        "expected": len(stamps),
        "longest": int(lengths[worst]),
        "holes": [[iso(stamps[s]), int(n)] for s, n in zip(starts, lengths, strict=True)],
    }
    at = np.minimum(np.searchsorted(time, stamps[starts]), len(bars) - 1)
    return Finding("missing-bars", np.unique(at), len(gone), text, details, share)
