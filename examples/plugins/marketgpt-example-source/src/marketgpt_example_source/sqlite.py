"""Candles from one table of a SQLite database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_core.times import Moment, to_datetime64
from marketgpt_data_sources.base import DataSource, check_known

_COLUMNS = ("time", "open", "high", "low", "close", "volume")


class SqliteSource(DataSource):
    """Candles in a table of a SQLite database: symbol, interval, time (Unix seconds), open ... volume."""

    class Config(BaseConfig):
        """Options of the source."""

        location: Path | None = Field(default=None, description="The database file.")
        # A table's name cannot be a parameter of a query, so only a plain one is let in.
        table: str = Field(default="candles", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
        category: Category = Field(default=Category.UNKNOWN, description="Market of all its symbols.")

    location_field: ClassVar[str | None] = "location"
    location_hint: ClassVar[str] = "FILE"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.config: SqliteSource.Config = config

    def symbols(self, interval: Interval = Interval.DAY) -> tuple[str, ...]:
        """Return the symbols of the table at this interval, sorted."""
        query = f'SELECT DISTINCT symbol FROM "{self.config.table}" WHERE interval = ? ORDER BY symbol'  # noqa: S608
        with self._database() as database:
            return tuple(str(symbol) for (symbol,) in database.execute(query, (str(interval),)))

    def fetch(
        self,
        symbols: Sequence[str],
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        interval: Interval = Interval.DAY,
    ) -> Candles:
        """Return the candles with ``start <= time < end``: UTC, oldest first, in the order asked for."""
        where = f"sqlite:{self.config.location}"
        asked = check_known(symbols, self.symbols(interval), where=where)
        query = (
            f'SELECT {", ".join(_COLUMNS)} FROM "{self.config.table}" '  # noqa: S608 - see Config.table
            "WHERE symbol = ? AND interval = ? AND time >= ? AND time < ? ORDER BY time"
        )
        bounds = (_seconds(start, -(2**62)), _seconds(end, 2**62))
        series: list[CandleSeries] = []
        with self._database() as database:
            for symbol in asked:
                rows = database.execute(query, (symbol, str(interval), *bounds)).fetchall()
                series += self._candles(rows, symbol, interval, where).values()
        return Candles(series, interval=interval).between(start, end)

    def _candles(self, rows: list[tuple[float, ...]], symbol: str, interval: Interval, where: str) -> Candles:
        frame = pd.DataFrame(rows, columns=list(_COLUMNS))
        frame["time"] = pd.to_datetime(frame["time"], unit="s", utc=True)
        # from_frame checks every candle: an impossible one is refused with its row.
        return Candles.from_frame(
            frame, interval=interval, symbol=symbol, category=self.config.category, where=where
        )

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        if self.config.location is None:
            raise ConfigError("source 'sqlite' needs a FILE: write sqlite:FILE")
        path = self.config.location.expanduser().resolve()
        try:
            # Read only: a source never changes what it reads, nor creates a file that is not there.
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
                yield database
        except sqlite3.Error as error:
            raise DataError(f"cannot read {path} as a SQLite database: {error}") from error


def _seconds(moment: Moment | None, default: int) -> int:
    """Return the first whole second at or after a moment: stamps are whole seconds."""
    if moment is None:
        return default
    return -int(-to_datetime64(moment).astype(np.int64) // 10**9)
