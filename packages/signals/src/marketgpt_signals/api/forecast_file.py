"""The Parquet file of forecasts the server was started with, read anew when it changes."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.errors import MarketGPTError
from marketgpt_core.forecast import Forecast
from marketgpt_core.interval import Interval
from marketgpt_core.times import to_datetime, to_datetime64
from marketgpt_signals.api.models import ForecastOut, ForecastQuery
from marketgpt_signals.api.models.forecasts import HorizonOut
from marketgpt_signals.api.problems import UnavailableError
from marketgpt_signals.forecasts import read_forecasts
from marketgpt_signals.queries import Position

logger = logging.getLogger(__name__)

# Of what nanoseconds since 1970 can hold.
_FIRST, _LAST = to_datetime("1678-01-01"), to_datetime("2262-01-01")


@dataclass(frozen=True, eq=False)
class _Table:
    """All rows, newest as-of first. N rows.

    Attributes:
        forecasts: One of each model and interval.
        as_of: shape (N,), datetime64[ns].
        symbol, model: shape (N,), str.
        place: shape (N, 2): which forecast, which of its rows.
        newest: shape (N,): the newest row of its symbol, model and interval.
        rank: shape (N,): position among the rows of equal as-of.
    """

    forecasts: tuple[Forecast, ...]
    as_of: NDArray[np.datetime64]
    symbol: NDArray[np.str_]
    model: NDArray[np.str_]
    place: NDArray[np.int64]
    newest: NDArray[np.bool_]
    rank: NDArray[np.int64]

    @classmethod
    def of(cls, forecasts: list[Forecast]) -> _Table:
        as_of = np.concatenate([one.as_of for one in forecasts])
        symbol = np.concatenate([np.array(one.symbols, dtype=np.str_) for one in forecasts])
        model = np.concatenate([np.full(len(one), one.model_id) for one in forecasts])
        place = np.concatenate(
            [np.stack([np.full(len(one), k), np.arange(len(one))], axis=1) for k, one in enumerate(forecasts)]
        )
        order = np.lexsort((model, symbol, as_of))[::-1]
        as_of, symbol, place = as_of[order], symbol[order], place[order]
        series = np.char.add(np.char.add(symbol, " "), place[:, 0].astype(np.str_))
        newest = np.zeros(len(as_of), dtype=bool)
        newest[np.unique(series, return_index=True)[1]] = True
        later = -as_of.astype(np.int64)
        rank = np.arange(len(as_of)) - np.searchsorted(later, later)
        return cls(tuple(forecasts), as_of, symbol, model[order], place, newest, rank)


class ForecastFile:
    """Forecasts as ``marketgpt forecast --out`` writes them.

    Args:
        path: The file; None: the server has none. It may come later.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known: tuple[tuple[int, int], _Table] | None = None

    @property
    def is_there(self) -> bool:
        """Whether there is a file."""
        return self._path is not None and self._path.is_file()

    def of_symbol(self, symbol: str) -> Forecast | None:
        """Return the forecast that holds a symbol's newest daily row; None when none does.

        Raises:
            UnavailableError: when the file cannot be read.
        """
        if not self.is_there:
            return None
        table = self._table()
        mine = (table.forecasts[which] for which in table.place[table.symbol == symbol, 0].tolist())
        return next((one for one in mine if one.interval is Interval.DAY), None)

    def page(self, query: ForecastQuery, after: Position | None) -> tuple[list[ForecastOut], Position | None]:
        """Return forecasts, newest as-of first, and where the page ends; None when nothing follows.

        Raises:
            UnavailableError: without a file, or when it cannot be read.
        """
        table = self._table()
        kept = np.ones(len(table.as_of), dtype=bool)
        for column, value in ((table.symbol, query.symbol), (table.model, query.model)):
            if value is not None:
                kept &= column == value
        if query.since is not None:
            kept &= table.as_of >= _clipped(query.since)
        if query.until is not None:
            kept &= table.as_of <= _clipped(query.until)
        if query.latest:
            kept &= table.newest
        if query.horizon is not None:
            has = np.array([query.horizon in one.horizons for one in table.forecasts])
            kept &= has[table.place[:, 0]]
        if after is not None:  # found again when newer rows came on top
            stamp = _clipped(after[0])
            kept &= (table.as_of < stamp) | ((table.as_of == stamp) & (table.rank > after[1]))
        rows = np.flatnonzero(kept)
        page = rows[: query.limit]
        items = [_out(table.forecasts[k], int(i), query.horizon) for k, i in table.place[page]]
        if len(rows) <= query.limit:
            return items, None
        return items, (to_datetime(table.as_of[page[-1]]), int(table.rank[page[-1]]))

    def _table(self) -> _Table:
        if self._path is None:
            raise UnavailableError("this server was started without forecasts")
        try:
            stat = self._path.stat()
            version = (stat.st_mtime_ns, stat.st_size)
            with self._lock:
                if self._known is None or self._known[0] != version:
                    self._known = version, _Table.of(read_forecasts(self._path))
                return self._known[1]
        except (MarketGPTError, OSError) as error:
            # The message names paths of the server; it goes to the log.
            logger.error("the forecasts cannot be read: %s", error)  # noqa: TRY400
            raise UnavailableError("the forecasts cannot be read") from error


def _clipped(moment: datetime) -> np.datetime64:
    return to_datetime64(min(max(moment, _FIRST), _LAST))


def _out(forecast: Forecast, row: int, horizon: int | None) -> ForecastOut:
    columns = range(len(forecast.horizons)) if horizon is None else [forecast.horizon_index(horizon)]
    return ForecastOut(
        symbol=forecast.symbols[row],
        as_of=to_datetime(forecast.as_of[row]),
        interval=forecast.interval,
        close=float(forecast.close[row]),
        model_id=forecast.model_id,
        data_fingerprint=forecast.data_fingerprint,
        caveat=forecast.caveats[row] if forecast.caveats else "",
        horizons=[
            HorizonOut(
                horizon_bars=int(forecast.horizons[column]),
                p_up=float(forecast.p_up[row, column]),
                aleatoric=float(forecast.aleatoric[row, column]),
                epistemic=float(forecast.epistemic[row, column]),
                quantiles={
                    f"{level:g}": float(value)
                    for level, value in zip(forecast.levels, forecast.quantiles[row, column], strict=True)
                },
            )
            for column in columns
        ],
    )
