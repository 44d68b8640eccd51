"""One symbol's rows as arrays, as they lie in a frame: unchecked, in any order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marketgpt_core.calendars import TradingCalendar, trading_calendar
from marketgpt_core.candle_checks import absorb_rounding
from marketgpt_core.candles import PRICES
from marketgpt_core.exchanges import exchange_of, guess_category
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category

_ARRAYS = ("row", "time", *PRICES, "volume", "adj_close")

Categories = Category | Mapping[str, Category] | None


@dataclass(frozen=True, eq=False)
class Bars:
    """Rows of one symbol.

    Attributes:
        symbol: As it stands there.
        category: Market of the symbol.
        interval: Length of a candle.
        calendar_name: Trading calendar.
        row: shape (T,), int64, number of the row in its file or frame.
        time: shape (T,), datetime64[ns], naive UTC; NaT where there is none.
        open, high, low, close: shape (T,), float64; high and low widened by rounding errors of a double.
        volume: shape (T,), float64; 0 where none is supplied.
        adj_close: shape (T,), float64; None where the place has none.
    """

    symbol: str
    category: Category
    interval: Interval
    calendar_name: str
    row: NDArray[np.int64]
    time: NDArray[np.datetime64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    adj_close: NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, chosen: slice | NDArray[np.bool_] | NDArray[np.int64]) -> Bars:
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        cut: dict[str, Any] = {name: None if a is None else a[chosen] for name, a in arrays.items()}
        return replace(self, **cut)

    @property
    def calendar(self) -> TradingCalendar:
        """The calendar; built once a process."""
        return trading_calendar(self.calendar_name)

    @cached_property
    def days(self) -> NDArray[np.datetime64]:
        """Dates in UTC, datetime64[D]."""
        return self.time.astype("datetime64[D]")

    @property
    def prices(
        self,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """open, high, low, close."""
        return self.open, self.high, self.low, self.close

    def adjusted(self) -> Bars:
        """Return the rows with all four prices multiplied by ``adj_close / close``, where there is one."""
        if self.adj_close is None or np.array_equal(self.adj_close, self.close):
            return self
        with np.errstate(over="ignore", under="ignore"):
            ratio = self.adj_close / self.close
            prices = {name: getattr(self, name) * ratio for name in PRICES}
        return replace(self, **prices)


def bars_by_symbol(
    frame: pd.DataFrame,
    *,
    interval: Interval,
    calendars: Mapping[str, str] | None = None,
    category: Categories = None,
) -> Iterator[Bars]:
    """Yield the rows of each symbol of a long frame, symbols in order of appearance, rows in theirs.

    Args:
        frame: As a source's ``raw`` yields it.
        interval: Length of a candle.
        calendars: Calendar names by symbol that win over the exchange's.
        category: Of all symbols or by symbol; a column ``category`` wins; else the symbol's shape says.
    """
    codes, names = pd.factorize(frame["symbol"])
    arrays = _arrays(frame)
    texts = frame["category"] if "category" in frame.columns else None
    if len(codes) and np.any(np.diff(codes) < 0):
        order = np.argsort(codes, kind="stable")
        codes = codes[order]
        arrays = {name: None if array is None else array[order] for name, array in arrays.items()}
        texts = None if texts is None else texts.iloc[order]
    edges = np.searchsorted(codes, np.arange(len(names) + 1))
    for name, start, end in zip(map(str, names), edges[:-1], edges[1:], strict=True):
        market = _category(name, None if texts is None else texts.iloc[start], category)
        chosen = (calendars or {}).get(name) or exchange_of(name, market).calendar
        piece = {key: None if array is None else array[start:end] for key, array in arrays.items()}
        yield Bars(name, market, interval, chosen, **piece)  # type: ignore[arg-type]


def _arrays(frame: pd.DataFrame) -> dict[str, NDArray[np.generic] | None]:
    def numbers(name: str) -> NDArray[np.float64]:
        values: NDArray[np.float64] = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
        return values

    time = pd.DatetimeIndex(frame["time"])
    time = time if time.tz is None else time.tz_convert("UTC").tz_localize(None)
    open_, high, low, close = (numbers(name) for name in PRICES)
    high, low = absorb_rounding(open_, high, low, close)
    volume = numbers("volume") if "volume" in frame.columns else np.zeros(len(frame))
    return {
        "row": frame["row"].to_numpy(np.int64) if "row" in frame.columns else np.arange(len(frame)),
        "time": time.to_numpy().astype("datetime64[ns]"),
        "open": open_,
        "high": high,
        "low": low,
        "close": close,
        # A vendor's missing volume is "not supplied", which the contract writes as 0.
        "volume": np.where(np.isnan(volume), 0.0, volume),
        "adj_close": numbers("adj_close") if "adj_close" in frame.columns else None,
    }


def _category(symbol: str, text: object, category: Categories) -> Category:
    if isinstance(text, str):  # else missing
        return Category.parse(text)
    if isinstance(category, Mapping):
        return category.get(symbol) or guess_category(symbol)
    return category or guess_category(symbol)
