"""From yfinance's frames to the long form: candles that have ended, weeks made of days, categories."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marketgpt_core.candle_checks import absorb_rounding, impossible_rows
from marketgpt_core.candles import FIELDS, PRICES
from marketgpt_core.exchanges import guess_category
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_core.times import Moment, to_datetime64

logger = logging.getLogger(__name__)

_CATEGORIES = {
    "ETF": Category.ETF,
    "INDEX": Category.INDEX,
    "CURRENCY": Category.FX,
    "CRYPTOCURRENCY": Category.CRYPTO,
    "FUTURE": Category.COMMODITY,
}
_WEEK = pd.Timedelta(days=7)
_RATIO_NOISE = 1e-6
_THEIRS = {name: name.capitalize() for name in FIELDS} | {"adj_close": "Adj Close"}


def long_frame(
    frame: pd.DataFrame, about: Mapping[str, Any], symbol: str, *, interval: Interval, now: datetime
) -> pd.DataFrame:
    """Return the candles that have ended in the long form, naive UTC, unadjusted, with their category.

    Args:
        frame: As yfinance gives it; days for ``1w``.
        about: What Yahoo says about the symbol.
        symbol: The symbol.
        interval: Length of a candle.
        now: The current time.
    """
    if frame.empty:
        return no_candles()
    asked = Interval.DAY if interval is Interval.WEEK else interval
    frame = _ended(frame, about, asked, now)
    stamps = pd.DatetimeIndex(frame.index)
    if asked.is_intraday:
        stamps = stamps.tz_convert(UTC)
    # A day's is its midnight at the exchange: without the zone, the exchange's own date.
    time = stamps.tz_localize(None).to_numpy().astype("datetime64[ns]")
    # Not shapes.long_form, which takes any shape: of the time a symbol takes, it would be a third.
    numbers = {ours: frame[theirs].to_numpy(dtype=np.float64) for ours, theirs in _THEIRS.items()}
    long = pd.DataFrame({"symbol": symbol, "time": time, **numbers})
    if interval is Interval.WEEK:
        long = weeks(long, today=pd.Timestamp(now.astimezone(_zone(about)).date()))
    return long.assign(category=str(category_of(symbol, about)))


def no_candles() -> pd.DataFrame:
    """Return the long form without rows."""
    numbers = dict.fromkeys(_THEIRS, "float64")
    types = {"symbol": "str", "time": "datetime64[ns]", **numbers, "category": "str"}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})


def cut(frame: pd.DataFrame, start: Moment | None, end: Moment | None) -> pd.DataFrame:
    """Return the rows with ``start <= time < end``."""
    if start is not None:
        frame = frame[frame["time"] >= pd.Timestamp(to_datetime64(start))]
    if end is not None:
        frame = frame[frame["time"] < pd.Timestamp(to_datetime64(end))]
    return frame.reset_index(drop=True)


def weeks(days: pd.DataFrame, *, today: pd.Timestamp) -> pd.DataFrame:
    """Return the candles of the weeks from Monday to Sunday that are over, stamped with their Monday.

    Yahoo's own weekly candles begin on the weekday the request does, or on that of the first trade, and know
    nothing of a dividend within the week. Here a week is that of its days. Its prices are in terms of its
    last day: those before a dividend are lowered as Yahoo lowers them, so that adjusting the week by its
    adjusted close gives the adjusted week. A week with an impossible day gets no high and low: what they were
    is not ours to guess.

    Args:
        days: Daily candles of one symbol in the long form, oldest first.
        today: Date at the exchange; a week is over on the next Monday.
    """
    days = days[days[list(PRICES)].notna().any(axis=1)]
    monday = days["time"] - pd.to_timedelta(days["time"].dt.weekday, unit="D")
    days, monday = days[monday + _WEEK <= today], monday[monday + _WEEK <= today]
    ratio = days["adj_close"] / days["close"]
    # Adjusted closes come with seven digits: what is closer to 1 is no dividend.
    relative = ratio / ratio.groupby(monday).transform("last")
    relative = relative.where((relative - 1).abs() > _RATIO_NOISE, 1.0)
    scaled = days.assign(**{name: days[name] * relative for name in PRICES}, bad=_impossible(days))
    result = scaled.groupby(monday).agg(
        symbol=("symbol", "first"),
        open=("open", "first"),
        high=("high", "max"),
        low=("low", "min"),
        close=("close", "last"),
        volume=("volume", "sum"),
        adj_close=("adj_close", "last"),
        bad=("bad", "any"),
    )
    result.loc[result["bad"], ["high", "low"]] = np.nan
    return result.reset_index(names="time")[list(days.columns)]


def _impossible(days: pd.DataFrame) -> NDArray[np.bool_]:
    open_, high, low, close, volume = (days[name].to_numpy(dtype=np.float64) for name in FIELDS)
    high, low = absorb_rounding(open_, high, low, close)
    found: NDArray[np.bool_] = np.logical_or.reduce(
        [mask for _, mask in impossible_rows(open_, high, low, close, volume)]
    )
    return found


def category_of(symbol: str, about: Mapping[str, Any]) -> Category:
    """Return the category Yahoo's instrument type says, else the symbol's shape."""
    known = _CATEGORIES.get(str(about.get("instrumentType")))
    return known or guess_category(symbol, plain=Category.US)


def _ended(frame: pd.DataFrame, about: Mapping[str, Any], interval: Interval, now: datetime) -> pd.DataFrame:
    while len(frame) and not _has_ended(frame.index[-1], about, interval, now):
        logger.info("yfinance: candle of %s left out, it has not ended", frame.index[-1])
        frame = frame.iloc[:-1]
    return frame


def _has_ended(stamp: pd.Timestamp, about: Mapping[str, Any], interval: Interval, now: datetime) -> bool:
    if interval.is_intraday:
        return bool(stamp + interval.duration <= now)
    zone = _zone(about)
    today = now.astimezone(zone).date()
    if stamp.date() != today:
        return bool(stamp.date() < today)
    session = (about.get("currentTradingPeriod") or {}).get("regular", {})
    opens, closes = _moment(session.get("start")), _moment(session.get("end"))
    if opens is None or closes is None:
        return False
    # The period described is the current one or, once it is over, the next.
    return opens.astimezone(zone).date() > today or closes <= now


def _zone(about: Mapping[str, Any]) -> ZoneInfo:
    return ZoneInfo(str(about.get("exchangeTimezoneName") or "UTC"))


def _moment(value: object) -> datetime | None:
    if isinstance(value, pd.Timestamp):
        return value.tz_convert(UTC).to_pydatetime()
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else None
