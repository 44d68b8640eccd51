"""Candles from pandas frames and back: the long form and yfinance's wide form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marketgpt_core.candle_checks import absorb_rounding
from marketgpt_core.candles import FIELDS, PRICES, Candles, CandleSeries
from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category

_TIME_NAMES = ("time", "date", "datetime", "timestamp")
_SYMBOL_NAMES = ("symbol", "ticker")


def candles_from_frame(
    frame: pd.DataFrame,
    *,
    interval: Interval = Interval.DAY,
    symbol: str | None = None,
    category: Category | Mapping[str, Category] = Category.UNKNOWN,
    where: str = "",
) -> Candles:
    """Make candles from a frame in one of three shapes.

    * long: a column ``symbol`` (or ``ticker``), a column or index ``time`` (``date``, ``datetime``),
      ``open high low close`` and, if there is one, ``volume`` and ``category``;
    * wide, as ``yfinance.download`` gives it: two column levels, prices and tickers in either order;
    * one symbol, as ``yfinance.Ticker.history`` gives it: then ``symbol`` must be passed.

    Upper and lower case do not matter. Rows are sorted by time. In the wide form a row whose prices are
    all NaN means that the symbol did not trade then, and is dropped; nothing else is.

    Args:
        frame: The frame.
        interval: Length of a candle; a daily or weekly stamp in a time zone becomes that zone's date.
        symbol: Name of the only symbol of a frame that carries none.
        category: For all symbols or by symbol; a column ``category`` wins.
        where: Where the frame came from, for messages.

    Raises:
        DataError: for a frame of another shape.
        CandleError: for rows that break the contract.
    """
    origin = f" (from {where})" if where else ""
    pieces = _split(frame, symbol, origin)
    series = (_series(piece, name, interval, category, origin) for name, piece in pieces)
    return Candles(series, interval=interval, where=where)


def _split(frame: pd.DataFrame, symbol: str | None, origin: str) -> Iterator[tuple[str, pd.DataFrame]]:
    if isinstance(frame.columns, pd.MultiIndex):
        yield from _split_wide(frame, origin)
        return
    lowered = _lowered(frame, origin)
    name = next((column for column in _SYMBOL_NAMES if column in lowered.columns), None)
    if name is not None:
        if lowered[name].isna().any():
            raise DataError(f"{int(lowered[name].isna().sum())} rows have no {name}{origin}")
        for key, piece in lowered.groupby(name, sort=False):
            yield str(key), piece
        return
    if symbol is None:
        raise DataError(f"the frame has no column 'symbol'{origin}; pass symbol=... for a single one")
    yield symbol, lowered


def _split_wide(frame: pd.DataFrame, origin: str) -> Iterator[tuple[str, pd.DataFrame]]:
    levels = [
        level
        for level in range(frame.columns.nlevels)
        if {str(value).casefold() for value in frame.columns.get_level_values(level)} >= set(PRICES)
    ]
    if frame.columns.nlevels != 2 or len(levels) != 1:  # noqa: PLR2004 - prices and tickers
        raise DataError(f"two column levels, prices and tickers, were expected{origin}")
    tickers = frame.columns.get_level_values(1 - levels[0]).unique()
    for ticker in tickers:
        chosen = frame.columns.get_level_values(1 - levels[0]) == ticker
        lowered = _lowered(frame.loc[:, chosen].droplevel(1 - levels[0], axis=1), origin)
        traded = lowered[list(PRICES)].notna().any(axis=1)
        yield str(ticker), lowered[traded]


def _lowered(frame: pd.DataFrame, origin: str) -> pd.DataFrame:
    result = frame.rename(columns=lambda name: str(name).strip().casefold())
    if not any(name in result.columns for name in _TIME_NAMES):
        index_is_time = isinstance(result.index, pd.DatetimeIndex)
        if not index_is_time and str(result.index.name).casefold() not in _TIME_NAMES:
            raise DataError(f"the frame has no column or index 'time' or 'date'{origin}")
        result = result.assign(time=result.index)
    missing = [name for name in PRICES if name not in result.columns]
    if missing:
        raise DataError(
            f"the frame lacks {', '.join(missing)}{origin}; it has {', '.join(map(str, frame.columns))}"
        )
    twice = sorted(set(result.columns[result.columns.duplicated()]))
    if twice:
        raise DataError(f"the frame has several columns named {', '.join(twice)}{origin}")
    return result


def _series(
    frame: pd.DataFrame,
    symbol: str,
    interval: Interval,
    category: Category | Mapping[str, Category],
    origin: str,
) -> CandleSeries:
    stamps = next(frame[name] for name in _TIME_NAMES if name in frame.columns)
    time = _utc(stamps, interval, f"{symbol}{origin}")
    order = np.argsort(time, kind="stable") if np.any(np.diff(time).astype("int64") < 0) else None
    columns = {name: _floats(frame, name, f"{symbol}{origin}") for name in FIELDS}
    if order is not None:
        time = time[order]
        columns = {name: values[order] for name, values in columns.items()}
    prices = (columns[name] for name in PRICES)
    columns["high"], columns["low"] = absorb_rounding(*prices)
    return CandleSeries(
        symbol=symbol,
        interval=interval,
        time=time,
        category=_category(frame, symbol, category),
        **columns,
    )


def _utc(stamps: pd.Series, interval: Interval, what: str) -> NDArray[np.datetime64]:
    if pd.api.types.is_numeric_dtype(stamps):
        # Seconds, milliseconds or 20241231? pandas would take them for nanoseconds since 1970.
        raise DataError(f"{what}: dates are numbers ({stamps.iloc[0]}); convert them with pandas.to_datetime")
    try:
        parsed = _parsed(stamps, interval)
    except (ValueError, TypeError) as error:
        raise DataError(f"{what}: dates cannot be read: {error}") from error
    zone = getattr(parsed.dt, "tz", None)
    if zone is not None:
        # A New York session of 4 March is 4 March, whatever the hour of its midnight in UTC.
        parsed = parsed.dt.tz_convert("UTC") if interval.is_intraday else parsed
        parsed = parsed.dt.tz_localize(None)
    if not interval.is_intraday:
        parsed = parsed.dt.normalize()
    return np.ascontiguousarray(parsed.to_numpy().astype("datetime64[ns]"))


def _parsed(stamps: pd.Series, interval: Interval) -> pd.Series:
    try:
        return pd.to_datetime(stamps)
    except ValueError:
        # A yfinance table saved as CSV: winter says -05:00, summer -04:00. A session's date is the local one.
        if interval.is_intraday:
            return pd.to_datetime(stamps, utc=True)
        local = stamps.astype(str).str.replace(r"(?<=\d\d:\d\d)\s*(Z|[+-]\d\d:?\d\d)$", "", regex=True)
        return pd.to_datetime(local)


def _floats(frame: pd.DataFrame, name: str, what: str) -> NDArray[np.float64]:
    if name not in frame.columns:
        return np.zeros(len(frame))
    try:
        values = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise DataError(f"{what}: column {name!r} is not numeric: {error}") from error
    # A vendor's missing volume is "not supplied", which the contract writes as 0.
    return np.ascontiguousarray(np.nan_to_num(values, nan=0.0, posinf=np.inf) if name == "volume" else values)


def _category(frame: pd.DataFrame, symbol: str, category: Category | Mapping[str, Category]) -> Category:
    if "category" in frame.columns and len(frame):
        return Category.parse(str(frame["category"].iloc[0]))
    if isinstance(category, Mapping):
        return category.get(symbol, Category.UNKNOWN)
    return category


def candles_to_frame(candles: Candles) -> pd.DataFrame:
    """Return the long form: symbol, category, time (UTC), open, high, low, close, volume."""
    pieces = [
        pd.DataFrame(
            {
                "symbol": one.symbol,
                "category": str(one.category),
                "time": pd.DatetimeIndex(one.time).tz_localize("UTC"),
                **{name: getattr(one, name) for name in FIELDS},
            }
        )
        for one in candles.values()
    ]
    return pd.concat(pieces, ignore_index=True) if pieces else _no_rows()


def _no_rows() -> pd.DataFrame:
    """Return the long form without rows, its columns of the same types."""
    time = pd.DatetimeIndex([], tz="UTC").as_unit("ns")
    numbers = {name: np.empty(0) for name in FIELDS}
    text = {name: pd.Series([], dtype="str") for name in ("symbol", "category")}
    return pd.DataFrame({**text, "time": time, **numbers})


def candles_to_wide(candles: Candles) -> pd.DataFrame:
    """Return yfinance's wide form: rows by time (UTC), columns (Price, Ticker), NaN where not traded."""
    pieces = {
        (name.capitalize(), one.symbol): pd.Series(
            getattr(one, name), index=pd.DatetimeIndex(one.time, tz="UTC")
        )
        for name in FIELDS
        for one in candles.values()
    }
    wide = pd.DataFrame(pieces)
    wide.columns = pd.MultiIndex.from_tuples(pieces, names=["Price", "Ticker"])
    wide.index.name = "Date"
    return wide
