"""Faults a row shows by itself, or beside the other rows of its stamp."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marketgpt_core.candle_checks import impossible_rows
from marketgpt_core.interval import Interval
from marketgpt_core.times import to_datetime64
from marketgpt_data_sources.quality.bars import Bars

Mask = NDArray[np.bool_]

# The rules of core's impossible_rows, in its order.
_RULES = ("not-finite", "not-positive", "impossible", "impossible", "bad-volume")
# No candle lasts longer: rows that old have ended, whatever their calendar.
_LONGEST = {Interval.WEEK: np.timedelta64(15, "D")}
_LONGEST_OTHER = np.timedelta64(3, "D")


def row_faults(bars: Bars, *, now: datetime | None, adjust: bool) -> dict[str, Mask]:
    """Return the rows each row check finds, by its name; shape (T,) each, only checks that find any.

    Args:
        bars: Rows of one symbol as they lie there.
        now: Candles known only later are unfinished; None looks at none.
        adjust: Whether the prices will be adjusted by ``adj_close``.
    """
    faults: dict[str, Mask] = {"no-date": np.isnat(bars.time)}
    with np.errstate(invalid="ignore"):
        rules = impossible_rows(*bars.prices, bars.volume)
    for name, (_, mask) in zip(_RULES, rules, strict=True):
        faults[name] = faults[name] | mask if name in faults else mask
    # A negative open lies below its low, too: one fault is enough.
    faults["impossible"] &= ~faults["not-positive"]
    if adjust and bars.adj_close is not None:
        faults["bad-adjustment"] = _bad_adjustment(bars, faults["not-finite"] | faults["not-positive"])
    faults |= _order_faults(bars, ~faults["no-date"])
    if now is not None:
        faults["unfinished"] = _unfinished(bars, to_datetime64(now))
    return {name: mask for name, mask in faults.items() if mask.any()}


def _bad_adjustment(bars: Bars, priceless: Mask) -> Mask:
    # A row without a price has its own fault; here is one whose adjusted prices leave the doubles.
    with np.errstate(all="ignore"):
        adjusted = np.stack(bars.adjusted().prices)
    usable = np.isfinite(adjusted).all(axis=0) & (adjusted > 0).all(axis=0)
    return np.asarray(~usable & ~priceless)


def _order_faults(bars: Bars, dated: Mask) -> dict[str, Mask]:
    moments = bars.time.astype("int64")
    if dated.all() and np.all(np.diff(moments) > 0):
        return {}
    moments = np.where(dated, moments, np.iinfo(np.int64).min)
    backwards = dated & (moments < np.maximum.accumulate(moments))
    equal, differing = _duplicates(bars, dated)
    return {"duplicate-equal": equal, "duplicate-differing": differing, "disorder": backwards}


def _duplicates(bars: Bars, dated: Mask) -> tuple[Mask, Mask]:
    """Return (later copies of equal rows, all copies of differing ones)."""
    stamps = pd.Series(bars.time)
    repeated = stamps.duplicated(keep=False).to_numpy() & dated
    if not repeated.any():
        return repeated, repeated
    columns = {"o": bars.open, "h": bars.high, "l": bars.low, "c": bars.close, "v": bars.volume}
    if bars.adj_close is not None:
        columns["a"] = bars.adj_close
    numbers = pd.DataFrame(columns).fillna(0.0)  # a NaN equals a NaN here, and is reported on its own
    first = numbers.groupby(stamps).transform("first")
    as_first = (numbers == first).all(axis=1)
    differing = repeated & (~as_first).groupby(stamps).transform("any").to_numpy(dtype=bool, na_value=False)
    later_copy = stamps.duplicated(keep="first").to_numpy()
    return repeated & later_copy & ~differing, differing


def _unfinished(bars: Bars, now: np.datetime64) -> Mask:
    longest = _LONGEST.get(bars.interval, _LONGEST_OTHER)
    found = np.asarray(bars.time > now - longest)  # NaT compares as false
    recent = np.flatnonzero(found)
    if len(recent):
        found[recent] = bars.calendar.known_at(bars.time[recent], bars.interval) > now
    return found
