"""Time stamps as vendors write them: ISO text, dates as numbers, epochs in s, ms, us or ns, time zones."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval

_DATE_LENGTH = len("2024-12-31")
# Numbers that are dates: 20241231, 202412311530 and 20241231153000.
_DATE_NUMBERS = (
    (19000101, 21001231, "%Y%m%d"),
    (190001010000, 210012312359, "%Y%m%d%H%M"),
    (19000101000000, 21001231235959, "%Y%m%d%H%M%S"),
)
# Seconds stay below 1e11 until the year 5138; each finer unit is a thousand times as many.
_EPOCH_UNITS: tuple[tuple[float, Literal["s", "ms", "us", "ns"]], ...] = (
    (1e11, "s"),
    (1e14, "ms"),
    (1e17, "us"),
    (np.inf, "ns"),
)
# No series has a gap in which its epochs grow a hundredfold, unless its unit changed; dates of the first
# three years after 1970 are left out of that, where epochs start from zero.
_LARGEST_STEP, _SMALLEST = 100.0, 1e8
_SECONDS_A_DAY = 86_400.0
_OFFSET = re.compile(r"(Z|[+-]\d\d:?\d\d)\s*$")
# 09:30, 9:30:00.000; and without colons 0930 or 093000.
_CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d(\.\d+)?)?")
_CLOCK_DIGITS = re.compile(r"\d{4}|\d{6}")


def read_stamps(
    values: pd.Series,
    *,
    interval: Interval,
    date_format: str | None,
    where: str,
    clock: pd.Series | None = None,
    timezone: str | None = None,
) -> pd.Series:
    """Return naive UTC stamps of dtype datetime64[ns]; a missing one stays NaT.

    A daily or weekly stamp in a time zone becomes that zone's date: the New York session of 4 March is
    4 March. Numbers from 19000101 to 21001231 are dates, so are such with hour and minute behind them; others
    are epochs whose unit follows from their size, each part's its own where the unit changes midway, as in
    Binance's files at the start of 2025.

    Args:
        values: The column.
        interval: Length of a candle.
        date_format: Of text that is not ISO 8601, as for ``strptime``; None for ISO.
        where: Where they came from, for messages.
        clock: A second column ``time``: a time of day to add, or, if it holds anything else, the stamps
            themselves.
        timezone: Zone of intraday text that names none, such as ``America/New_York``; None for UTC.

    Raises:
        DataError: for text that is not a date; ambiguous forms such as 03/04/2020 need ``date_format``.
    """
    try:
        time_of_day = None if clock is None else _time_of_day(clock)
        if time_of_day is not None:
            parsed = (
                _parsed(values, Interval.DAY, date_format).dt.tz_localize(None).dt.normalize() + time_of_day
            )
        else:
            parsed = _parsed(values if clock is None else _untexted(clock), interval, date_format)
        if timezone is not None and interval.is_intraday and parsed.dt.tz is None:
            parsed = parsed.dt.tz_localize(timezone)
    except (ValueError, TypeError, OverflowError, LookupError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(
            f"dates in {where} cannot be read ({reason}); for others than ISO set date_format"
        ) from error
    if parsed.dt.tz is not None:
        parsed = parsed.dt.tz_convert("UTC") if interval.is_intraday else parsed
        parsed = parsed.dt.tz_localize(None)
    stamps = parsed if interval.is_intraday else parsed.dt.normalize()
    return pd.Series(stamps).astype("datetime64[ns]")


def _parsed(values: pd.Series, interval: Interval, date_format: str | None) -> pd.Series:
    if pd.api.types.is_numeric_dtype(values):
        return _from_numbers(values)
    if pd.api.types.is_datetime64_any_dtype(values):
        return pd.Series(values)
    return _from_text(values, interval, date_format)


def _from_numbers(values: pd.Series) -> pd.Series:
    sizes = np.abs(values.to_numpy(dtype=np.float64, na_value=np.nan))
    known = sizes[~np.isnan(sizes)]
    smallest, largest = (known.min(), known.max()) if len(known) else (0.0, 0.0)
    for first, last, form in _DATE_NUMBERS:
        if first <= smallest and largest <= last:
            return pd.to_datetime(values.astype("Int64").astype("string"), format=form)
    if smallest * _LARGEST_STEP < largest and _unit_changes(known):
        units = np.searchsorted([limit for limit, _ in _EPOCH_UNITS[:-1]], sizes, side="right")
        stamps = pd.Series(pd.NaT, index=values.index, dtype="datetime64[ns, UTC]")
        for number, (_, unit) in enumerate(_EPOCH_UNITS):
            rows = (units == number) & ~np.isnan(sizes)
            stamps.loc[rows] = _epochs(values[rows], unit).array
        return stamps
    return _epochs(values, next(unit for limit, unit in _EPOCH_UNITS if largest < limit))


def _epochs(values: pd.Series, unit: Literal["s", "ms", "us", "ns"]) -> pd.Series:
    # As they are: a float of nanoseconds would lose the last digits of an integer.
    return pd.to_datetime(values, unit=unit, utc=True).astype("datetime64[ns, UTC]")


def _unit_changes(known: NDArray[np.float64]) -> bool:
    ascending = np.sort(known[known >= _SMALLEST])
    return bool((ascending[1:] > _LARGEST_STEP * ascending[:-1]).any())


def _from_text(values: pd.Series, interval: Interval, date_format: str | None) -> pd.Series:
    if date_format is not None:
        return pd.to_datetime(values, format=date_format)
    if not interval.is_intraday:
        # The rest of "2024-03-04 00:00:00-05:00" is the hour of a session's midnight: no part of its date.
        return pd.to_datetime(values.astype("string").str[:_DATE_LENGTH], format="ISO8601")
    known = values.dropna()
    # With an offset there may be two of them, winter's and summer's, which only UTC holds together.
    has_offset = bool(len(known)) and _OFFSET.search(str(known.iloc[0])) is not None
    return pd.to_datetime(values, format="ISO8601", utc=has_offset)


def _time_of_day(clock: pd.Series) -> pd.Series | None:
    """Return times of day as timedeltas: ``09:30``, ``09:30:00``, ``0930``, ``093000``; None for others."""
    if pd.api.types.is_integer_dtype(clock):
        clock = clock.astype("string").str.zfill(6)
    elif pd.api.types.is_numeric_dtype(clock) or pd.api.types.is_datetime64_any_dtype(clock):
        return None
    text = clock.astype("string").str.strip()
    known = text.dropna()
    if known.str.fullmatch(_CLOCK_DIGITS).all():
        text = (
            text.str.slice(0, 2) + ":" + text.str.slice(2, 4) + ":" + text.str.slice(4, 6).replace("", "00")
        )
    elif not known.str.fullmatch(_CLOCK).all():
        return None
    else:
        text = text.where(text.str.count(":") > 1, text + ":00")
    return pd.to_timedelta(text)


def _untexted(clock: pd.Series) -> pd.Series:
    """Return the column, read as text for fear of leading zeros, as the numbers it may hold."""
    if pd.api.types.is_string_dtype(clock) and clock.dropna().str.fullmatch(r"\d+").all():
        return pd.to_numeric(clock)
    return clock


def infer_interval(stamps: pd.Series, *, where: str) -> Interval:
    """Return the interval that the commonest distance between neighbouring stamps of one symbol says.

    Where that is none, as of a symbol that trades in some minutes only: the one that occurs and of which all
    distances are multiples.

    Args:
        stamps: Naive UTC stamps of one symbol, in any order.
        where: Where they came from, for messages.

    Raises:
        DataError: for a spacing outside the vocabulary, such as 30 minutes.
    """
    distances = stamps.dropna().drop_duplicates().sort_values().diff().dropna()
    if distances.empty:
        return Interval.DAY
    commonest_s = float(distances.mode().iloc[0].total_seconds())
    days = commonest_s / _SECONDS_A_DAY
    if 1 <= days <= 4:  # noqa: PLR2004 - a weekend or a holiday, where most days are missing
        return Interval.DAY
    if 6 <= days <= 8:  # noqa: PLR2004 - a week, whichever day it is stamped with
        return Interval.WEEK
    intraday = {one.duration.total_seconds(): one for one in Interval if one.is_intraday}
    if commonest_s in intraday:
        return intraday[commonest_s]
    distances_s = distances.dt.total_seconds()
    smallest_s = float(distances_s.min())
    if smallest_s in intraday and (distances_s % smallest_s == 0).all():
        return intraday[smallest_s]
    raise DataError(
        f"candles in {where} are {commonest_s:g} s apart: known are {', '.join(Interval)}; "
        "set interval=... if it holds one of these"
    )
