"""Longer candles from shorter ones: minutes to hours, hours to days by exchange session, days to weeks."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.calendars import TradingCalendar, calendar_of
from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.errors import ConfigError
from marketgpt_core.interval import Interval
from marketgpt_core.times import Moment, to_datetime64

logger = logging.getLogger(__name__)

_DAY = np.timedelta64(1, "D")
# Longer than any exchange was ever shut since 1990 (20 days, Shanghai).
_MARGIN = 45 * _DAY
_MOST_SHOWN = 5


def resample(
    candles: Candles,
    to: Interval,
    *,
    calendars: Mapping[str, str] | None = None,
    until: Moment | None = None,
    sessions: Literal["regular", "all"] = "regular",
) -> Candles:
    """Return candles of a longer interval.

    Intraday candles are counted from the session's open, as Yahoo does (New York's hours start at 9:30 local
    time; those of a market that never closes at the full hour), and the last ends with the session. A daily
    candle holds one session of the exchange and bears its date, also where the session opened on the day
    before (futures); a weekly one holds the sessions of Monday to Sunday and bears the Monday.

    A candle is made only if it is complete as far as the data can tell. The last is left out until a candle
    that ends no earlier has been seen, so that candles appended later change none made before; the first is
    left out if its own first candle is missing. Gaps in between cannot be told from minutes without a trade.

    Args:
        candles: What to make them from; no candle may overlap the next.
        to: The longer interval; the candles' own gives them back as they are.
        calendars: Names of trading calendars by symbol, as a universe gives them; see
            :func:`marketgpt_core.calendars.calendar_of`.
        until: Moment up to which the data is known to be complete, for a market that did not trade up to its
            close; by default only the candles tell.
        sessions: ``regular`` leaves out, counted in the log, what lies outside the sessions: before the open,
            after the close, on days the exchange is shut. A candle that reaches into a session counts to it.
            ``all`` counts what follows a close to the next session, so that no daily candle holds what came
            after its own close.

    Returns:
        The candles; high is the highest, low the lowest, volume the sum (0 stays "not supplied"). Symbols
        left without any are dropped.

    Raises:
        ConfigError: for a shorter interval, or an unknown calendar.
    """
    if to is candles.interval:
        return candles
    if to.duration < candles.interval.duration:
        raise ConfigError(
            f"cannot make {to} candles of {candles.interval} ones: resampling only lengthens them"
        )
    complete = None if until is None else to_datetime64(until)
    longer, outside = [], {}
    for symbol, series in candles.items():
        if not len(series):
            continue
        calendar = calendar_of(series, calendars)
        buckets = _buckets(series, to, calendar, everything=sessions == "all")
        outside[symbol] = int((~buckets.counts).sum())
        seen_until = calendar.known_at(series.time[-1:], series.interval)[0]
        seen_until = seen_until if complete is None else max(seen_until, complete)
        longer.append(_resampled(series, to, buckets, seen_until))
    _log(candles, to, outside)
    return Candles((one for one in longer if len(one)), interval=to)


class _Buckets(NamedTuple):
    """Where each candle of a series belongs; all of shape (T,), moments in datetime64[ns], UTC.

    Attributes:
        counts: Whether it reaches into a session, or all count.
        start: When it begins: its stamp, or its session's open for a daily one.
        label: Stamp of the longer candle.
        begin, end: Between which moments the longer candle's data lies.
    """

    counts: NDArray[np.bool_]
    start: NDArray[np.datetime64]
    label: NDArray[np.datetime64]
    begin: NDArray[np.datetime64]
    end: NDArray[np.datetime64]


def _buckets(series: CandleSeries, to: Interval, calendar: TradingCalendar, *, everything: bool) -> _Buckets:
    days = calendar.sessions(series.time[0] - _MARGIN, series.time[-1] + _MARGIN)
    opens, closes = calendar.hours(days)
    # Of all candles, those after a close belong to the next session.
    begins = np.concatenate([opens[:1], closes[:-1]]) if everything else opens
    if series.interval.is_intraday:
        # The first session to close after the candle began.
        row = np.searchsorted(closes, series.time, side="right")
        start = np.maximum(series.time, begins[row])
        counts = series.time + np.timedelta64(series.interval.duration) > begins[row]
    else:
        row = np.searchsorted(days, series.time.astype("datetime64[D]"))
        start = begins[row]
        counts = everything | (days[row] == series.time)
    if to is Interval.WEEK:
        mondays = _monday(days)
        first = np.searchsorted(mondays, mondays[row])
        last = np.searchsorted(mondays, mondays[row], side="right") - 1
        return _Buckets(counts, start, mondays[row].astype("datetime64[ns]"), begins[first], closes[last])
    if to is Interval.DAY:
        return _Buckets(counts, start, days[row].astype("datetime64[ns]"), begins[row], closes[row])
    step = np.timedelta64(to.duration)
    from_open = opens[row] + (start - opens[row]) // step * step
    begin = np.maximum(from_open, begins[row])
    return _Buckets(counts, start, begin, begin, np.minimum(from_open + step, closes[row]))


def _monday(days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    # numpy's weeks start on Thursday, the day of 1970-01-01.
    weeks: NDArray[np.datetime64] = (days + 3 * _DAY).astype("datetime64[W]").astype("datetime64[D]")
    return weeks + -3 * _DAY


def _resampled(
    series: CandleSeries, to: Interval, buckets: _Buckets, seen_until: np.datetime64
) -> CandleSeries:
    rows = np.flatnonzero(buckets.counts)
    label = buckets.label[rows]
    pieces = np.flatnonzero(np.append(True, label[1:] != label[:-1])) if len(rows) else rows
    end = len(rows)
    if len(pieces) and buckets.start[rows[0]] > buckets.begin[rows[0]]:
        pieces = pieces[1:]
    if len(pieces) and buckets.end[rows[-1]] > seen_until:
        end, pieces = int(pieces[-1]), pieces[:-1]
    if not len(pieces):
        return replace(series[:0], interval=to)
    # reduceat's last piece runs to the end: what is left out there must be gone before.
    rows, label, pieces = rows[pieces[0] : end], label[pieces], pieces - pieces[0]
    return replace(
        series,
        interval=to,
        time=label,
        open=series.open[rows[pieces]],
        high=np.maximum.reduceat(series.high[rows], pieces),
        low=np.minimum.reduceat(series.low[rows], pieces),
        close=series.close[rows[np.append(pieces[1:], len(rows)) - 1]],
        volume=np.add.reduceat(series.volume[rows], pieces),
    )


def _log(candles: Candles, to: Interval, outside: Mapping[str, int]) -> None:
    touched = {symbol: count for symbol, count in outside.items() if count}
    if not touched:
        return
    shown = ", ".join(f"{symbol} {count}" for symbol, count in list(touched.items())[:_MOST_SHOWN])
    more = f", ... {len(touched) - _MOST_SHOWN} more symbols" if len(touched) > _MOST_SHOWN else ""
    logger.warning(
        "%s to %s: %d of %d candles lie outside the sessions and are left out: %s%s",
        candles.interval, to, sum(touched.values()), candles.num_candles, shown, more,
    )  # fmt: skip
