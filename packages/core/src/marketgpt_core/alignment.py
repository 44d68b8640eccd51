"""What was known at a moment, across markets that close at different hours.

M: moments, S: symbols, T: candles of one symbol, L: length of a window.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from marketgpt_core.calendars import TradingCalendar, known_at, trading_calendar
from marketgpt_core.candles import FIELDS, Candles
from marketgpt_core.errors import ConfigError, DataError, hint
from marketgpt_core.times import Moment, to_datetime64

Moments = Moment | Iterable[Moment] | NDArray[np.datetime64]
Values = str | Mapping[str, NDArray[np.float64]]


class Aligned:
    """Candles of many symbols, seen from any moment: for each symbol the last candle that had ended.

    A date is no moment: Tokyo's candle of 4 March is known at 06:00 UTC of that day, New York's at 21:00,
    bitcoin's at midnight of the day after. Asking by moment keeps a forecast made at Tokyo's close from
    seeing New York's session of the same date; joining series by date does not.

    Nothing later than a moment changes what it sees: of candles cut off after it, the answers are the same.

    Args:
        candles: The candles. They are not copied.
        calendars: Names of trading calendars by symbol that win over what the symbol says, as a universe
            gives them; see :func:`marketgpt_core.calendars.calendar_of`.

    Attributes:
        candles: The candles.
        symbols: The symbols in their order: the axis S of all answers.

    Raises:
        ConfigError: for an unknown calendar.
    """

    def __init__(self, candles: Candles, *, calendars: Mapping[str, str] | None = None) -> None:
        self.candles = candles
        self.symbols = candles.symbols
        # A candle counts as known no earlier than the one before it.
        self._known = {
            symbol: np.maximum.accumulate(known_at(series, calendars)) for symbol, series in candles.items()
        }

    def known_at(self, symbol: str) -> NDArray[np.datetime64]:
        """Return when each candle of a symbol was known: shape (T,), datetime64[ns], UTC, not decreasing."""
        return self._known[self.candles[symbol].symbol]

    def rows(self, moments: Moments) -> NDArray[np.int64]:
        """Return the row of the last candle known at each moment.

        Args:
            moments: One or many, in any order; naive values are UTC.

        Returns:
            shape (M, S), int64; -1 where a symbol had none yet.

        Raises:
            DataError: for a moment that is NaT.
        """
        return np.ascontiguousarray(self._rows(_moments(moments)).T)

    def last(self, field: Values, moments: Moments) -> NDArray[np.float64]:
        """Return the last value known at each moment.

        Args:
            field: ``open``, ``high``, ``low``, ``close`` or ``volume``; or values of one's own by symbol, one
                a candle, each computed from that candle and earlier ones.
            moments: See :meth:`rows`.

        Returns:
            shape (M, S), float64; NaN where a symbol had none yet. A market that is shut keeps its last
            value: :meth:`age` tells how old it is.

        Raises:
            ConfigError: for an unknown field.
            DataError: for values of one's own that do not fit the candles.
        """
        at = _moments(moments)
        by_symbol = np.full((len(self.symbols), len(at)), np.nan)
        for out, rows, values in zip(by_symbol, self._rows(at), self._values(field), strict=True):
            known = rows >= 0
            out[known] = values[rows[known]]
        return np.ascontiguousarray(by_symbol.T)

    def age(self, moments: Moments) -> NDArray[np.timedelta64]:
        """Return how long the last candle had been known: shape (M, S), timedelta64[ns]; NaT for none."""
        at = _moments(moments)
        by_symbol = np.full((len(self.symbols), len(at)), np.timedelta64("NaT", "ns"))
        for out, rows, ends in zip(by_symbol, self._rows(at), self._known.values(), strict=True):
            known = rows >= 0
            out[known] = at[known] - ends[rows[known]]
        return np.ascontiguousarray(by_symbol.T)

    def panel(self, field: Values, moments: Moments, length: int) -> NDArray[np.float64]:
        """Return the last ``length`` values known at each moment, the newest last.

        Args:
            field: See :meth:`last`.
            moments: See :meth:`rows`.
            length: L, at least 1; a symbol's own candles are counted, not days of a common calendar.

        Returns:
            shape (M, S, L), float64, padded with NaN in front where a symbol had fewer.

        Raises:
            ConfigError: for an unknown field, or a length below 1.
            DataError: for values of one's own that do not fit the candles.
        """
        if length < 1:
            raise ConfigError(f"a panel's length must be at least 1, not {length}")
        at = _moments(moments)
        panel = np.empty((len(at), len(self.symbols), length))
        padding = np.full(length, np.nan)
        for column, (rows, values) in enumerate(zip(self._rows(at), self._values(field), strict=True)):
            # Window r + 1 of the padded values ends with the value of row r; window 0 is padding alone.
            windows = sliding_window_view(np.concatenate([padding, values]), length)
            panel[:, column] = windows[rows + 1]
        return panel

    def _rows(self, at: NDArray[np.datetime64]) -> NDArray[np.int64]:
        by_symbol = np.empty((len(self.symbols), len(at)), dtype=np.int64)
        for out, ends in zip(by_symbol, self._known.values(), strict=True):
            out[:] = np.searchsorted(ends, at, side="right") - 1
        return by_symbol

    def _values(self, field: Values) -> list[NDArray[np.float64]]:
        if isinstance(field, str):
            if field not in FIELDS:
                raise ConfigError(f"unknown field {field!r}; {hint(field, FIELDS)}")
            return [getattr(series, field) for series in self.candles.values()]
        for symbol, series in self.candles.items():
            if symbol not in field or len(field[symbol]) != len(series):
                given = len(field[symbol]) if symbol in field else "no"
                raise DataError(f"{symbol} has {len(series)} candles, but {given} values are given")
        return [field[symbol] for symbol in self.symbols]


def decision_times(
    calendar: TradingCalendar | str, days: NDArray[np.datetime64] | Iterable[Moment]
) -> NDArray[np.datetime64]:
    """Return the closes of an exchange's sessions: the moments its daily candles are known and acted on.

    Args:
        calendar: A calendar or its name.
        days: shape (M,), dates of sessions; :meth:`TradingCalendar.sessions` gives them.

    Returns:
        shape (M,), datetime64[ns], UTC.

    Raises:
        ConfigError: for an unknown calendar.
        DataError: for a date on which the exchange is shut.
    """
    if isinstance(calendar, str):
        calendar = trading_calendar(calendar)
    dates = _moments(days).astype("datetime64[D]")
    shut = ~calendar.is_session(dates)
    if shut.any():
        more = f" and {int(shut.sum()) - 1} more days" if shut.sum() > 1 else ""
        raise DataError(
            f"{calendar.name} has no session on {dates[shut][0]}{more}: take calendar.sessions(...)"
        )
    return calendar.hours(dates)[1]


def _moments(moments: Moments) -> NDArray[np.datetime64]:
    if isinstance(moments, np.ndarray):
        at = np.atleast_1d(moments).astype("datetime64[ns]")
    elif isinstance(moments, Iterable) and not isinstance(moments, str):
        at = np.array([to_datetime64(moment) for moment in moments], dtype="datetime64[ns]")
    else:
        at = np.array([to_datetime64(moments)])
    if np.isnat(at).any():
        raise DataError(f"{int(np.isnat(at).sum())} of {len(at)} moments are NaT")
    return at
