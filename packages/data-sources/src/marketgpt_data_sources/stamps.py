"""Time stamps as vendors write them: ISO text, dates as numbers, epochs in s, ms, us or ns, time zones."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval

_DATE_LENGTH = len("2024-12-31")
_FIRST_DATE_NUMBER, _LAST_DATE_NUMBER = 19000101, 21001231
# Seconds stay below 1e11 until the year 5138; each finer unit is a thousand times as many.
_EPOCH_UNITS: tuple[tuple[float, Literal["s", "ms", "us", "ns"]], ...] = (
    (1e11, "s"),
    (1e14, "ms"),
    (1e17, "us"),
    (np.inf, "ns"),
)
_SECONDS_A_DAY = 86_400.0


def read_stamps(values: pd.Series, *, interval: Interval, date_format: str | None, where: str) -> pd.Series:
    """Return naive UTC stamps of dtype datetime64[ns]; a missing one stays NaT.

    A daily or weekly stamp in a time zone becomes that zone's date: the New York session of 4 March is
    4 March. Numbers from 19000101 to 21001231 are dates, others epochs whose unit follows from their size.

    Args:
        values: The column.
        interval: Length of a candle.
        date_format: Of text that is not ISO 8601, as for ``strptime``; None for ISO.
        where: Where they came from, for messages.

    Raises:
        DataError: for text that is not a date; ambiguous forms such as 03/04/2020 need ``date_format``.
    """
    try:
        if pd.api.types.is_numeric_dtype(values):
            parsed = _from_numbers(values)
        elif isinstance(values.dtype, pd.DatetimeTZDtype) or pd.api.types.is_datetime64_dtype(values):
            parsed = values
        else:
            parsed = _from_text(values, interval, date_format)
    except (ValueError, TypeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(
            f"dates in {where} cannot be read ({reason}); for others than ISO set date_format"
        ) from error
    if parsed.dt.tz is not None:
        parsed = parsed.dt.tz_convert("UTC") if interval.is_intraday else parsed
        parsed = parsed.dt.tz_localize(None)
    return (parsed if interval.is_intraday else parsed.dt.normalize()).astype("datetime64[ns]")


def _from_numbers(values: pd.Series) -> pd.Series:
    numbers = values.astype("float64")
    known = numbers.dropna()
    if len(known) and known.between(_FIRST_DATE_NUMBER, _LAST_DATE_NUMBER).all():
        return pd.to_datetime(values.astype("Int64").astype("string"), format="%Y%m%d", errors="raise")
    largest = float(known.abs().max()) if len(known) else 0.0
    unit = next(unit for limit, unit in _EPOCH_UNITS if largest < limit)
    # As they are: a float of nanoseconds would lose the last digits of an integer.
    return pd.to_datetime(values, unit=unit)


def _from_text(values: pd.Series, interval: Interval, date_format: str | None) -> pd.Series:
    if date_format is None:
        # The rest of "2024-03-04 00:00:00-05:00" is the hour of a session's midnight: no part of its date.
        text = values if interval.is_intraday else values.astype("string").str[:_DATE_LENGTH]
        return pd.to_datetime(text, format="ISO8601", utc=interval.is_intraday)
    return pd.to_datetime(values, format=date_format)


def infer_interval(stamps: pd.Series, *, where: str) -> Interval:
    """Return the interval that the commonest distance between neighbouring stamps of one symbol says.

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
    for interval in Interval:
        if interval.is_intraday and interval.duration.total_seconds() == commonest_s:
            return interval
    raise DataError(
        f"candles in {where} are {commonest_s:g} s apart: known are {', '.join(Interval)}; "
        "set interval=... if it holds one of these"
    )
