"""From the frames vendors write to the one long form, adjusted and rounded as a user asked."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from marketgpt_core.candle_checks import absorb_rounding, impossible_rows
from marketgpt_core.candles import FIELDS, PRICES
from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_data_sources.columns import columns_of, is_time
from marketgpt_data_sources.names import symbol_of
from marketgpt_data_sources.stamps import read_stamps

logger = logging.getLogger(__name__)

_LEVELS = 2
_NO_TIME = np.timedelta64(0, "ns")
_AMOUNT = re.compile(r"-?[$€£]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?[KMB]?")
_THOUSANDS = {"K": 1e3, "M": 1e6, "B": 1e9}


def long_form(
    frame: pd.DataFrame,
    *,
    interval: Interval,
    where: str,
    symbol: str | None = None,
    date_format: str | None = None,
    timezone: str | None = None,
) -> pd.DataFrame:
    """Return any of the shapes as one long frame; nothing is dropped or mended.

    Shapes: long (a column ``symbol``, ``ticker`` or ``name``), one symbol (as Yahoo exports it), and
    yfinance's wide form (two column levels). How columns are spelled is told in
    :mod:`marketgpt_data_sources.columns`; the date may be the index. Rows keep their order, except that a
    frame which runs from the newest to the oldest is turned round.

    Args:
        frame: The frame.
        interval: Length of a candle; rows of another in a column ``interval`` are left out.
        where: Where the frame came from, for messages.
        symbol: Symbol of a frame that names none.
        date_format: See :func:`marketgpt_data_sources.stamps.read_stamps`.
        timezone: See there, too.

    Returns:
        Columns ``row`` (position in the frame), ``symbol``, ``time`` (naive UTC), ``open high low close
        volume`` and, where given, ``adj_close`` and ``category``.

    Raises:
        DataError: for a frame of another shape.
    """
    if isinstance(frame.columns, pd.MultiIndex):
        return _long_from_wide(frame, interval, where, date_format, timezone)
    if not any(map(is_time, frame.columns)):
        frame = frame.reset_index(names="time" if frame.index.name is None else frame.index.name)
    columns = columns_of(map(str, frame.columns), where=where)
    if columns is None:
        raise DataError(f"{where} has none of open, high, low, close; it has {', '.join(map(str, frame))}")
    result = frame[list(columns.renaming)].rename(columns=columns.renaming)
    result.insert(0, "row", np.arange(len(result)))
    if columns.has("interval"):
        result = result[result["interval"] == str(interval)]
    if not columns.has("symbol"):
        if symbol is None:
            raise DataError(f"{where} has no column 'symbol' and no name that could be one")
        result = result.assign(symbol=symbol)
    return _typed(result, interval, where, date_format, timezone)


def _long_from_wide(
    frame: pd.DataFrame, interval: Interval, where: str, date_format: str | None, timezone: str | None
) -> pd.DataFrame:
    levels = frame.columns
    if not isinstance(levels, pd.MultiIndex):
        raise TypeError("the wide form has two column levels")
    level = ticker_level(levels, where=where)
    pieces = []
    for ticker in levels.get_level_values(level).unique():
        piece = frame.loc[:, levels.get_level_values(level) == ticker].droplevel(level, axis=1)
        columns = columns_of([*map(str, piece.columns), "time"], where=f"{ticker} in {where}")
        if columns is None:
            raise DataError(f"{ticker} in {where} has none of open, high, low, close")
        named = piece.rename(columns=columns.renaming)
        named = named[[name for name in columns.actual if name != "time"]]
        named = named.assign(row=np.arange(len(named)), symbol=str(ticker), time=frame.index)
        # A row without a price: another ticker of the frame traded then, this one did not.
        pieces.append(named[named[list(PRICES)].notna().any(axis=1)])
    return _typed(pd.concat(pieces, ignore_index=True), interval, where, date_format, timezone)


def ticker_level(columns: pd.MultiIndex, *, where: str) -> int:
    """Return which of the two column levels holds the tickers.

    Raises:
        DataError: when the other does not hold open, high, low and close.
    """
    prices = [
        level
        for level in range(columns.nlevels)
        if {str(value).casefold() for value in columns.get_level_values(level)} >= set(PRICES)
    ]
    if columns.nlevels != _LEVELS or len(prices) != 1:
        raise DataError(f"{where}: two column levels, prices and tickers, were expected")
    return 1 - prices[0]


def _typed(
    frame: pd.DataFrame, interval: Interval, where: str, date_format: str | None, timezone: str | None
) -> pd.DataFrame:
    numbers = [name for name in (*PRICES, "adj_close", "volume") if name in frame.columns]
    typed = {name: _numbers(frame[name], f"column {name!r} in {where}") for name in numbers}
    # A vendor without volume, or without it for a day, supplies none: the contract writes that as 0.
    volume = typed.get("volume", pd.Series(0.0, index=frame.index))
    typed["volume"] = volume.fillna(0.0)
    time = read_stamps(
        frame["time"],
        interval=interval,
        date_format=date_format,
        where=where,
        clock=frame.get("clock"),
        timezone=timezone,
    )
    result = frame.assign(**typed, time=time, symbol=_symbols(frame["symbol"]))
    return _oldest_first(result.drop(columns="clock") if "clock" in result.columns else result)


def _symbols(symbols: pd.Series) -> pd.Series:
    # Categories are left as they are: millions of texts would be compared one by one.
    if isinstance(symbols.dtype, pd.CategoricalDtype):
        others = _renamed(symbols.cat.categories)
        return symbols.cat.rename_categories(others) if others else symbols
    symbols = symbols.astype("str")
    others = _renamed(symbols.dropna().unique())
    return symbols.replace(others) if others else symbols


def _renamed(texts: Iterable[object]) -> dict[str, str]:
    symbols = {str(text): symbol_of(str(text)) for text in texts}
    return {text: symbol for text, symbol in symbols.items() if symbol != text}


def _oldest_first(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame that runs from the newest to the oldest turned round, any other as it is."""
    time = frame["time"].to_numpy()
    dated = ~np.isnat(time)
    steps = np.diff(time[dated])
    falls, rises = steps < _NO_TIME, steps > _NO_TIME
    if falls.sum() <= rises.sum():
        return frame
    if rises.any():  # allowed from one symbol to the next
        symbols = pd.factorize(frame["symbol"])[0][dated]
        if rises[symbols[1:] == symbols[:-1]].any():
            return frame
    return frame.iloc[::-1]


def _numbers(values: pd.Series, what: str) -> pd.Series:
    try:
        return values.astype("float64")
    except (ValueError, TypeError) as error:
        read = _amounts(values)
        if read is None:
            comma = values.astype("string").str.contains(r"\d,\d", na=False).any()
            way_out = "; where the comma is a decimal point set decimal=','" if comma else ""
            raise DataError(f"{what} is not numeric: {' '.join(str(error).split())[:80]}{way_out}") from error
        return read


def _amounts(values: pd.Series) -> pd.Series | None:
    """Return what pages of prices write, ``$1,234.50`` and ``66.28M``, as numbers; None for other text.

    ``1,234`` alone could be a thousand or, with a decimal comma, one and a bit; it takes one number of the
    column to show which: ``1,234.5`` or ``1,234,567``.
    """
    text = values.astype("string").str.strip()
    known = text.dropna()
    commas = known[known.str.contains(",")]
    if not known.str.fullmatch(_AMOUNT).all() or (len(commas) and not commas.str.contains(r",.*[.,]").any()):
        return None
    factor = text.str[-1].map(_THOUSANDS).fillna(1.0).astype("float64")
    return text.str.replace(r"[$€£,KMB]", "", regex=True).astype("float64") * factor


def adjusted(frame: pd.DataFrame, *, where: str) -> pd.DataFrame:
    """Return a long frame whose prices are adjusted for dividends and splits, by ``adj_close / close``.

    All four prices are multiplied by one ratio, so their order survives to the last bit; taking Adj Close as
    the close, as yfinance's ``auto_adjust`` does, leaves closes one bit above their high. Rows in which all
    four prices are missing ("null" in Yahoo's exports) are days without trading and left out, counted in
    the log.

    Args:
        frame: As :func:`long_form` gives it, with ``adj_close``.
        where: Where it came from, for the log.
    """
    empty = frame[list(PRICES)].isna().all(axis=1)
    if empty.any():
        logger.info("%s: %d rows without any price left out", where, int(empty.sum()))
        frame = frame[~empty]
    ratio = frame["adj_close"] / frame["close"]
    return frame.assign(**{name: frame[name] * ratio for name in PRICES})


def rounded(frame: pd.DataFrame, decimals: int) -> pd.DataFrame:
    """Return a long frame with its prices rounded to so many decimals."""
    return frame.assign(**{name: frame[name].round(decimals) for name in PRICES})


def without_impossible(frame: pd.DataFrame, *, where: str) -> pd.DataFrame:
    """Return a long frame without impossible candles, counted in the log.

    Args:
        frame: As :func:`long_form` gives it.
        where: Where it came from, for the log.
    """
    open_, high, low, close, volume = (frame[name].to_numpy(dtype=np.float64) for name in FIELDS)
    high, low = absorb_rounding(open_, high, low, close)
    bad = np.logical_or.reduce([mask for _, mask in impossible_rows(open_, high, low, close, volume)])
    if bad.any():
        shown = ", ".join(map(str, frame["time"][bad].iloc[:5]))
        logger.warning("%s: %d impossible candles left out: %s", where, int(bad.sum()), shown)
    possible: pd.DataFrame = frame.loc[~bad]
    return possible
