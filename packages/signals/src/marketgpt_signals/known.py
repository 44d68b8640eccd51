"""What was known at one moment: the rows of a forecast, and candles cut where nobody could see further.

N rows of a forecast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.alignment import Aligned
from marketgpt_core.calendars import calendar_of, trading_calendar
from marketgpt_core.candles import FIELDS, Candles, CandleSeries
from marketgpt_core.exchanges import exchange_of
from marketgpt_core.forecast import Forecast
from marketgpt_core.times import to_datetime
from marketgpt_signals.expiry import trades_daily


class KnownCandles(Mapping[str, CandleSeries]):
    """The newest candles of each symbol that had ended by a moment, and nothing else.

    Values are copies: neither an array's base nor writing into one leads to what came later.

    Args:
        aligned: All candles.
        moment: UTC.
        bars: At most so many of a symbol.
    """

    def __init__(self, aligned: Aligned, moment: np.datetime64, bars: int) -> None:
        def cut(symbol: str) -> CandleSeries | None:
            if symbol not in aligned.candles:
                return None
            end = int(np.searchsorted(aligned.known_at(symbol), moment, side="right"))
            known = aligned.candles[symbol][max(0, end - bars) : end]
            return replace(known, **{name: getattr(known, name).copy() for name in ("time", *FIELDS)})

        self._cut = cut
        self._symbols = aligned.symbols

    def __getitem__(self, symbol: str) -> CandleSeries:
        series = self._cut(symbol)
        if series is None or not len(series):
            raise KeyError(symbol)
        return series

    def __iter__(self) -> Iterator[str]:
        return (symbol for symbol in self._symbols if symbol in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True)
class View:
    """What a strategy is shown at one moment.

    Attributes:
        forecast: The rows to judge: one row, or for a cross-section all pairs of one as-of whose candles
            ended at the same moment.
        candles: Candles by symbol that had ended by then, the as-of candle the last one; empty when the
            strategy reads none or was given none.
    """

    forecast: Forecast
    candles: Mapping[str, CandleSeries]


def moments_known(forecast: Forecast, candles: Candles | None = None) -> NDArray[np.datetime64]:
    """Return when the as-of candle of each row had ended: shape (N,), datetime64[ns], UTC.

    Args:
        forecast: N rows.
        candles: Their categories tell the calendar of symbols without a mark (``AAPL``); without them such a
            candle counts as known at the end of its day.
    """
    moments = np.empty(len(forecast), dtype="datetime64[ns]")
    for symbol in dict.fromkeys(forecast.symbols):
        mine = np.array([name == symbol for name in forecast.symbols])
        series = candles.get(symbol) if candles is not None else None
        if series is not None:
            calendar = calendar_of(series)
        elif any(trades_daily(symbol, to_datetime(one)) for one in forecast.as_of[mine]):
            calendar = trading_calendar("24/7")
        else:
            calendar = trading_calendar(exchange_of(symbol).calendar)
        moments[mine] = calendar.known_at(forecast.as_of[mine], forecast.interval)
    return moments


def cross_sections(as_of: NDArray[np.datetime64], moments: NDArray[np.datetime64]) -> list[NDArray[np.int64]]:
    """Return the rows of each cross-section: equal as-of, and candles that ended at the same moment.

    Markets that close at other hours are apart: at Tokyo's close nobody knows New York's of that date.
    """
    order = np.lexsort((moments, as_of))
    if not len(order):
        return []
    stamps, ends = as_of[order], moments[order]
    starts = np.flatnonzero((stamps[1:] != stamps[:-1]) | (ends[1:] != ends[:-1])) + 1
    return np.split(order.astype(np.int64), starts)
