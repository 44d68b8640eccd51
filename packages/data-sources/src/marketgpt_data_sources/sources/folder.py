"""What CSV and Parquet folders share: an index of their files, selection, and one way to make candles."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.exchanges import guess_category
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category, check_symbol
from marketgpt_core.times import Moment, to_datetime64
from marketgpt_data_sources import shapes
from marketgpt_data_sources.base import DataSource, check_known
from marketgpt_data_sources.columns import Columns, columns_of
from marketgpt_data_sources.stamps import infer_interval, read_stamps

# Enough rows to see how far apart candles are, across any gap.
_ROWS_TO_LOOK_AT = 500


@dataclass(frozen=True)
class CandleFile:
    """One file of a folder and what is in it.

    Attributes:
        path: The file.
        columns: Its columns; None for the wide form.
        symbols: Symbols by interval.
    """

    path: Path
    columns: Columns | None
    symbols: Mapping[Interval, tuple[str, ...]]


@dataclass(frozen=True)
class Selection:
    """Which rows of a file are wanted; a reader may leave out others early, but need not.

    Attributes:
        symbols: Wanted symbols; None for all.
        start, end: Naive UTC, a day wider than asked for, since a file's dates may be in any zone.
        interval: Length of a candle.
    """

    symbols: tuple[str, ...] | None
    start: np.datetime64 | None
    end: np.datetime64 | None
    interval: Interval


class FolderSource(DataSource):
    """Candles in the files of one folder.

    A file holds one symbol (its name without the ending), or many: a column ``symbol`` or ``ticker``, or
    yfinance's wide form. Files without any of open, high, low and close are passed over, as are hidden ones.
    """

    class Config(BaseConfig):
        """Options of a folder."""

        location: Path | None = Field(default=None, description="The folder, or a single file.")
        adjust: bool = Field(default=True, description="Adjust prices by 'Adj Close' where a file has it.")
        interval: Interval | None = Field(
            default=None,
            description="Of files without a column 'interval'; left out: from the distance of stamps.",
        )
        category: Category | None = Field(
            default=None,
            description="Category where a file has no such column; left out: from the symbol's shape.",
        )
        date_format: str | None = Field(default=None, description="Of dates that are not ISO: '%d/%m/%Y'.")
        impossible: Literal["refuse", "drop"] = Field(
            default="refuse", description="What to do with impossible candles; 'drop' logs how many."
        )

    location_field: ClassVar[str | None] = "location"
    location_hint: ClassVar[str] = "DIR"
    name: ClassVar[str]
    endings: ClassVar[tuple[str, ...]]

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.config: FolderSource.Config = config

    @abstractmethod
    def _header(self, path: Path) -> list[str] | pd.MultiIndex:
        """Return the column names, or the two column levels of the wide form."""

    @abstractmethod
    def _read(
        self, path: Path, columns: Columns | None, selection: Selection, max_rows: int | None = None
    ) -> pd.DataFrame:
        """Read rows of a file: its own column names, in its own order; the wide form when columns is None."""

    @abstractmethod
    def _distinct(self, path: Path, names: Sequence[str]) -> pd.DataFrame:
        """Return the distinct combinations of text columns, in order of appearance."""

    @property
    def where(self) -> str:
        """What the user wrote: ``parquet:../data``."""
        return f"{self.name}:{self.config.location}"

    def symbols(self, interval: Interval = Interval.DAY) -> tuple[str, ...]:
        """Return the symbols that have candles at this interval, sorted."""
        return tuple(sorted(self._homes(interval)))

    def fetch(
        self,
        symbols: Sequence[str],
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        interval: Interval = Interval.DAY,
    ) -> Candles:
        """Return the candles with ``start <= time < end``; see :meth:`DataSource.fetch`."""
        asked = self._known(symbols, interval)
        series: dict[str, CandleSeries] = {}
        day = np.timedelta64(1, "D")
        for file, held in self._files_of(asked, interval):
            whole_file = set(held) == set(file.symbols[interval])
            chosen = Selection(
                symbols=None if whole_file else held,
                start=None if start is None else to_datetime64(start) - day,
                end=None if end is None else to_datetime64(end) + day,
                interval=interval,
            )
            frame = self._long(file, self._read(file.path, file.columns, chosen), interval)
            frame = frame if whole_file else frame[frame["symbol"].isin(held)]
            series |= dict(self._candles(frame, interval, str(file.path)))
        whole = Candles([series[symbol] for symbol in asked if symbol in series], interval=interval)
        return whole.between(start, end)

    def raw(
        self,
        symbols: Sequence[str],
        *,
        start: Moment | None = None,  # noqa: ARG002 - rows outside may come too, and keep their numbers
        end: Moment | None = None,  # noqa: ARG002
        interval: Interval = Interval.DAY,
    ) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield each file's rows as they are, with ``row`` counted from 0 below the header."""
        for file, held in self._files_of(self._known(symbols, interval), interval):
            everything = Selection(symbols=None, start=None, end=None, interval=interval)
            frame = self._long(file, self._read(file.path, file.columns, everything), interval)
            yield str(file.path), frame[frame["symbol"].isin(held)]

    def _known(self, symbols: Sequence[str], interval: Interval) -> list[str]:
        homes = self._homes(interval)
        missing = next((symbol for symbol in symbols if symbol not in homes), None)
        if missing is not None:
            others = [str(one) for one in Interval if one is not interval and missing in self._homes(one)]
            if others:
                has = ", ".join(others)
                raise DataError(f"{missing} in {self.where} has no candles at {interval}; it has {has}")
        return check_known(symbols, list(homes), where=self.where)

    def _files_of(
        self, symbols: list[str], interval: Interval
    ) -> Iterator[tuple[CandleFile, tuple[str, ...]]]:
        wanted = set(symbols)
        for file in self._index:
            held = tuple(symbol for symbol in file.symbols.get(interval, ()) if symbol in wanted)
            if held:
                yield file, held

    def _long(self, file: CandleFile, frame: pd.DataFrame, interval: Interval) -> pd.DataFrame:
        return shapes.long_form(
            frame,
            interval=interval,
            where=str(file.path),
            symbol=self._stem(file.path),
            date_format=self.config.date_format,
        )

    def _candles(self, frame: pd.DataFrame, interval: Interval, where: str) -> Candles:
        if self.config.adjust and "adj_close" in frame.columns:
            frame = shapes.adjusted(frame, where=where)
        if self.config.impossible == "drop":
            frame = shapes.without_impossible(frame, where=where)
        names = map(str, frame["symbol"].unique())
        guessed = {symbol: self.config.category or guess_category(symbol) for symbol in names}
        return Candles.from_frame(
            frame.drop(columns=["row", "adj_close"], errors="ignore"),
            interval=interval,
            category=guessed,
            where=where,
        )

    def _homes(self, interval: Interval) -> dict[str, Path]:
        homes: dict[str, Path] = {}
        for file in self._index:
            for symbol in file.symbols.get(interval, ()):
                if symbol in homes:
                    both = f"{homes[symbol].name} and {file.path.name}"
                    raise DataError(f"{symbol} at {interval} is in two files of {self.where}: {both}")
                homes[symbol] = file.path
        return homes

    @cached_property
    def _index(self) -> list[CandleFile]:
        paths = self._paths()
        index = [file for path in paths if (file := self._describe(path)) is not None]
        if not index:
            passed = f"; passed over: {', '.join(path.name for path in paths[:5])}" if paths else ""
            endings = ", ".join(f"*{ending}" for ending in self.endings)
            raise DataError(f"{self.where} holds no file of candles ({endings}){passed}")
        return index

    def _paths(self) -> list[Path]:
        if self.config.location is None:
            raise ConfigError(f"source {self.name!r} needs a {self.location_hint}: write {self.name}:DIR")
        place = self.config.location.expanduser()
        try:
            if place.is_file():
                return [place]
            return sorted(
                path
                for path in place.iterdir()
                if path.name.endswith(self.endings)
                and not path.name.startswith((".", "_"))
                and path.is_file()
            )
        except OSError as error:
            raise DataError(f"cannot read the folder {place}: {error.strerror}") from error

    def _stem(self, path: Path) -> str:
        ending = next((ending for ending in self.endings if path.name.endswith(ending)), path.suffix)
        return path.name.removesuffix(ending)

    def _describe(self, path: Path) -> CandleFile | None:
        header = self._header(path)
        if isinstance(header, pd.MultiIndex):
            level = shapes.ticker_level(header, where=str(path))
            tickers = tuple(map(str, header.get_level_values(level).unique()))
            return CandleFile(path, None, {self._spacing(path, None): tickers})
        columns = columns_of(header, where=str(path))
        if columns is None:
            return None
        if columns.has("interval"):
            return CandleFile(path, columns, self._by_interval(path, columns))
        interval = self._spacing(path, columns)
        if not columns.has("symbol"):
            return CandleFile(path, columns, {interval: (check_symbol(self._stem(path), where=str(path)),)})
        found = self._distinct(path, [columns.actual["symbol"]]).iloc[:, 0]
        return CandleFile(path, columns, {interval: _named(found, path)})

    def _by_interval(self, path: Path, columns: Columns) -> dict[Interval, tuple[str, ...]]:
        names = [columns.actual[name] for name in ("interval", "symbol") if columns.has(name)]
        found = self._distinct(path, names)
        if not columns.has("symbol"):
            found = found.assign(symbol=check_symbol(self._stem(path), where=str(path)))
        known = {str(interval) for interval in Interval}
        return {
            Interval.parse(str(text)): _named(group.iloc[:, 1], path)
            for text, group in found.groupby(found.columns[0], sort=False)
            if text in known
        }

    def _spacing(self, path: Path, columns: Columns | None) -> Interval:
        if self.config.interval is not None:
            return self.config.interval
        everything = Selection(symbols=None, start=None, end=None, interval=Interval.MINUTE)
        head = self._read(path, columns, everything, max_rows=_ROWS_TO_LOOK_AT)
        if columns is None:
            stamps = head.index.to_series()
        else:
            stamps = head[columns.actual["time"]]
            if columns.has("symbol"):
                one = head[columns.actual["symbol"]]
                # The symbol with most rows here: files come sorted by symbol and by time alike.
                stamps = stamps[one == one.mode().iloc[0]] if one.notna().any() else stamps
        parsed = read_stamps(
            stamps, interval=Interval.MINUTE, date_format=self.config.date_format, where=str(path)
        )
        return infer_interval(parsed, where=str(path))


def _named(symbols: pd.Series, path: Path) -> tuple[str, ...]:
    if symbols.isna().any() or (symbols == "").any():
        raise DataError(f"{path} has rows without a symbol")
    return tuple(map(str, symbols))
