"""Candles: the OHLCV of many symbols at one interval, validated once, then trusted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candle_checks import check_series
from marketgpt_core.errors import DataError, hint
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category, check_symbol
from marketgpt_core.times import Moment, to_datetime64

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

PRICES = ("open", "high", "low", "close")
FIELDS = (*PRICES, "volume")


@dataclass(frozen=True, eq=False)
class CandleSeries:
    """The candles of one symbol, oldest first.

    Attributes:
        symbol: Yahoo-style symbol.
        interval: Length of one candle.
        time: shape (T,), datetime64[ns], UTC, strictly increasing. The open of an intraday candle; the
            session's date at midnight for a daily or weekly one. A candle is known only once it ended.
        open, high, low, close: shape (T,), float64, in the quote currency, > 0.
        volume: shape (T,), float64, >= 0; 0 means not supplied.
        category: Market of the symbol.
    """

    symbol: str
    interval: Interval
    time: NDArray[np.datetime64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]
    category: Category = Category.UNKNOWN

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, rows: slice) -> CandleSeries:
        columns = {name: getattr(self, name)[rows] for name in ("time", *FIELDS)}
        return replace(self, **columns)

    def between(self, start: Moment | None, end: Moment | None) -> CandleSeries:
        """Return the candles with ``start <= time < end``; None leaves that side open."""
        first = 0 if start is None else int(np.searchsorted(self.time, to_datetime64(start)))
        last = len(self) if end is None else int(np.searchsorted(self.time, to_datetime64(end)))
        return self[first:last]

    def until(self, as_of: Moment) -> CandleSeries:
        """Return the candles with ``time <= as_of``: what may be used for a forecast made then."""
        return self[: int(np.searchsorted(self.time, to_datetime64(as_of), side="right"))]


class Candles(Mapping[str, CandleSeries]):
    """Validated candles of many symbols at one interval: a mapping from symbol to its series.

    Args:
        series: One :class:`CandleSeries` a symbol, all of the same interval.
        interval: The interval; needed only when there is no series.
        where: Where they came from, for messages.

    Raises:
        CandleError: when rows break the contract (see :class:`CandleSeries`); it lists the rows.
        DataError: for a symbol given twice, one that is not a symbol, or mixed intervals.
    """

    def __init__(
        self,
        series: Iterable[CandleSeries],
        *,
        interval: Interval = Interval.DAY,
        where: str = "",
    ) -> None:
        self._series: dict[str, CandleSeries] = {}
        self.interval = interval
        for one in series:
            check_symbol(one.symbol, where=where)
            if one.symbol in self._series:
                raise DataError(f"symbol {one.symbol!r} is given twice{_origin(where)}")
            if self._series and one.interval is not self.interval:
                raise DataError(f"{one.symbol}: interval {one.interval} among {self.interval}")
            check_series(one, where=where)
            self.interval = one.interval
            self._series[one.symbol] = one

    def __getitem__(self, symbol: str) -> CandleSeries:
        try:
            return self._series[symbol]
        except KeyError:
            raise DataError(f"unknown symbol {symbol!r}; {hint(symbol, self._series)}") from None

    @overload
    def get(self, symbol: str, default: None = None, /) -> CandleSeries | None: ...
    @overload
    def get(self, symbol: str, default: T, /) -> CandleSeries | T: ...
    def get(self, symbol: str, default: object = None, /) -> object:
        """Return a symbol's series, or the default; Mapping's own ``get`` knows only KeyError."""
        return self._series.get(symbol, default)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._series

    def __iter__(self) -> Iterator[str]:
        return iter(self._series)

    def __len__(self) -> int:
        return len(self._series)

    def __repr__(self) -> str:
        return f"Candles({len(self)} symbols, {self.num_candles} candles, {self.interval})"

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols in the order given."""
        return tuple(self._series)

    @property
    def num_candles(self) -> int:
        """Candles over all symbols."""
        return sum(len(one) for one in self._series.values())

    @property
    def start(self) -> np.datetime64 | None:
        """Earliest stamp over all symbols; None without candles."""
        return min((one.time[0] for one in self._series.values() if len(one)), default=None)

    @property
    def end(self) -> np.datetime64 | None:
        """Latest stamp over all symbols; None without candles."""
        return max((one.time[-1] for one in self._series.values() if len(one)), default=None)

    def select(self, symbols: Sequence[str]) -> Candles:
        """Return only these symbols, in this order.

        Raises:
            DataError: for an unknown symbol, with the close match.
        """
        return self._trusted(self[symbol] for symbol in symbols)

    def between(self, start: Moment | None, end: Moment | None) -> Candles:
        """Return the candles with ``start <= time < end``; symbols left empty are dropped."""
        cut = (one.between(start, end) for one in self._series.values())
        return self._trusted(one for one in cut if len(one))

    def until(self, as_of: Moment) -> Candles:
        """Return the candles with ``time <= as_of``; symbols left empty are dropped."""
        cut = (one.until(as_of) for one in self._series.values())
        return self._trusted(one for one in cut if len(one))

    def _trusted(self, series: Iterable[CandleSeries]) -> Candles:
        # Cutting valid candles leaves valid candles: checking 3 million rows again buys nothing.
        result = Candles([], interval=self.interval)
        result._series = {one.symbol: one for one in series}
        return result

    def fingerprint(self) -> str:
        """Return the hex sha256 of symbols, stamps and values: the identity a run records."""
        digest = hashlib.sha256(f"candles-1 {self.interval}".encode())
        for symbol in sorted(self._series):
            one = self._series[symbol]
            digest.update(f"\0{symbol}\0{one.category}\0{len(one)}\0".encode())
            digest.update(np.ascontiguousarray(one.time.astype("int64")).tobytes())
            for name in FIELDS:
                digest.update(np.ascontiguousarray(getattr(one, name)).tobytes())
        return digest.hexdigest()

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        interval: Interval = Interval.DAY,
        symbol: str | None = None,
        category: Category | Mapping[str, Category] = Category.UNKNOWN,
        where: str = "",
    ) -> Candles:
        """Make candles from a pandas frame; see :func:`marketgpt_core.frames.candles_from_frame`."""
        from marketgpt_core.frames import candles_from_frame

        return candles_from_frame(frame, interval=interval, symbol=symbol, category=category, where=where)

    def to_frame(self) -> pd.DataFrame:
        """Return the long form: symbol, category, time (UTC), open, high, low, close, volume."""
        from marketgpt_core.frames import candles_to_frame

        return candles_to_frame(self)

    def to_wide(self) -> pd.DataFrame:
        """Return yfinance's wide form: rows by time, columns (Price, Ticker)."""
        from marketgpt_core.frames import candles_to_wide

        return candles_to_wide(self)


def _origin(where: str) -> str:
    return f" (from {where})" if where else ""


def as_of_index(series: CandleSeries, as_of: datetime | np.datetime64) -> int:
    """Return the row of the last candle stamped at or before ``as_of``.

    Raises:
        DataError: when the series starts later.
    """
    row = int(np.searchsorted(series.time, to_datetime64(as_of), side="right")) - 1
    if row < 0:
        first = series.time[0] if len(series) else "never"
        raise DataError(f"{series.symbol} has no candle at or before {as_of}; its first is {first}")
    return row
