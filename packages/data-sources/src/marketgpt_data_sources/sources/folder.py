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
from marketgpt_data_sources.names import FileName, read_file_name, symbol_of
from marketgpt_data_sources.stamps import infer_interval, read_stamps

# Enough rows to see how far apart candles are, across any gap.
_ROWS_TO_LOOK_AT = 500


@dataclass(frozen=True)
class CandleFile:
    """One file of a folder and what is in it.

    Attributes:
        path: The file.
        columns: Its columns; None for the wide form.
        symbols: By interval, symbols and what the file calls them.
        part: The month or day it holds; None for a file that holds all there is.
    """

    path: Path
    columns: Columns | None
    symbols: Mapping[Interval, Mapping[str, str]]
    part: str | None = None


@dataclass(frozen=True)
class Selection:
    """Which rows of a file are wanted; a reader may leave out others early, but need not.

    Attributes:
        symbols: Wanted symbols, as the file calls them; None for all.
        start, end: Naive UTC, a day wider than asked for, since a file's dates may be in any zone.
        interval: Length of a candle.
    """

    symbols: tuple[str, ...] | None
    start: np.datetime64 | None
    end: np.datetime64 | None
    interval: Interval


# A file and which of the wanted symbols it holds.
_Held = tuple[CandleFile, tuple[str, ...]]


class FolderSource(DataSource):
    """Candles in the files of one folder.

    A file holds one symbol, whose name is the file's, or many: a column ``symbol``, ``ticker`` or ``name``,
    or yfinance's wide form. Files without any of open, high, low and close are passed over, as are hidden
    ones and subfolders.
    """

    class Config(BaseConfig):
        """Options of a folder."""

        location: Path | None = Field(default=None, description="The folder, or a single file.")
        adjust: bool = Field(default=True, description="Adjust prices by 'Adj Close' where a file has it.")
        interval: Interval | None = Field(
            default=None,
            description="Of files without a column 'interval'; left out: from name or distance of stamps.",
        )
        category: Category | None = Field(
            default=None,
            description="Category where a file has no such column; left out: from the symbol's shape.",
        )
        date_format: str | None = Field(default=None, description="Of dates that are not ISO: '%d/%m/%Y'.")
        timezone: str | None = Field(
            default=None, description="Of intraday stamps that name none: America/New_York; left out: UTC."
        )
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
        for group in self._groups(asked, interval):
            pieces = []
            for file, held in group:
                everything = file.symbols[interval]
                chosen = Selection(
                    symbols=None if len(held) == len(everything) else tuple(everything[one] for one in held),
                    start=None if start is None else to_datetime64(start) - day,
                    end=None if end is None else to_datetime64(end) + day,
                    interval=interval,
                )
                frame = self._long(file, self._read(file.path, file.columns, chosen), interval)
                pieces.append(frame if chosen.symbols is None else _only(frame, held))
            frame = pieces[0] if len(pieces) == 1 else pd.concat(pieces, ignore_index=True)
            series |= dict(self._candles(frame, interval, _where(group)))
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
        """Yield each file's rows as they are, with ``row`` counted from 0 below the header.

        Files that hold parts of one symbol come as one frame. Where a file names no category, there is a
        column only if the options give one.
        """
        everything = Selection(symbols=None, start=None, end=None, interval=interval)
        for group in self._groups(self._known(symbols, interval), interval):
            pieces = []
            for file, held in group:
                frame = self._long(file, self._read(file.path, file.columns, everything), interval)
                pieces.append(frame if set(held) == set(file.symbols[interval]) else _only(frame, held))
            whole = pieces[0] if len(pieces) == 1 else pd.concat(pieces, ignore_index=True)
            if self.config.category is not None and "category" not in whole.columns:
                whole = whole.assign(category=str(self.config.category))
            yield _where(group), whole

    def _known(self, symbols: Sequence[str], interval: Interval) -> list[str]:
        homes = self._homes(interval)
        missing = next((symbol for symbol in symbols if symbol not in homes), None)
        if missing is not None:
            others = [str(one) for one in Interval if one is not interval and missing in self._homes(one)]
            if others:
                has = ", ".join(others)
                raise DataError(f"{missing} in {self.where} has no candles at {interval}; it has {has}")
        return check_known(symbols, list(homes), where=self.where)

    def _groups(self, symbols: list[str], interval: Interval) -> Iterator[list[_Held]]:
        """Yield files and which of the symbols each holds; files of one symbol's parts together."""
        wanted = set(symbols)
        groups: dict[object, list[_Held]] = {}
        for file in self._index:
            held = tuple(symbol for symbol in file.symbols.get(interval, ()) if symbol in wanted)
            if held:
                groups.setdefault(file.path if file.part is None else held, []).append((file, held))
        yield from groups.values()

    def _long(self, file: CandleFile, frame: pd.DataFrame, interval: Interval) -> pd.DataFrame:
        return shapes.long_form(
            frame,
            interval=interval,
            where=str(file.path),
            symbol=next(iter(file.symbols[interval])),
            date_format=self.config.date_format,
            timezone=self.config.timezone,
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

    def _homes(self, interval: Interval) -> dict[str, CandleFile]:
        homes: dict[str, CandleFile] = {}
        for file in self._index:
            for symbol in file.symbols.get(interval, ()):
                other = homes.setdefault(symbol, file)
                if other is not file and (other.part is None or file.part in (None, other.part)):
                    both = f"{other.path.name} and {file.path.name}"
                    raise DataError(f"{symbol} at {interval} is in two files of {self.where}: {both}")
        return homes

    @cached_property
    def _index(self) -> list[CandleFile]:
        paths = self._paths()
        index = [file for path in paths if (file := self._describe(path)) is not None]
        if not index:
            passed = f"; passed over: {', '.join(path.name for path in paths[:5])}" if paths else ""
            folders = [path.name for path in self._place().glob("[!._]*/")][:5]
            inside = f"; name one of its subfolders: {', '.join(sorted(folders))}" if folders else ""
            endings = ", ".join(f"*{ending}" for ending in self.endings)
            raise DataError(f"{self.where} holds no file of candles ({endings}){passed}{inside}")
        return index

    def _place(self) -> Path:
        if self.config.location is None:
            raise ConfigError(f"source {self.name!r} needs a {self.location_hint}: write {self.name}:DIR")
        return self.config.location.expanduser()

    def _paths(self) -> list[Path]:
        place = self._place()
        try:
            if place.is_file():
                return [place]
            return sorted(
                path
                for path in place.iterdir()
                if path.name.casefold().endswith(self.endings)
                and not path.name.startswith((".", "_"))
                and path.is_file()
            )
        except OSError as error:
            raise DataError(f"cannot read the folder {place}: {error.strerror}") from error

    def _named(self, path: Path) -> FileName:
        ending = next((one for one in self.endings if path.name.casefold().endswith(one)), path.suffix)
        return read_file_name(path.name[: len(path.name) - len(ending)], where=str(path))

    def _describe(self, path: Path) -> CandleFile | None:
        header = self._header(path)
        if isinstance(header, pd.MultiIndex):
            level = shapes.ticker_level(header, where=str(path))
            tickers = header.get_level_values(level).unique().to_series()
            return CandleFile(path, None, {self._spacing(path, None): _symbols(tickers, path)})
        columns = columns_of(header, where=str(path))
        if columns is None:
            return None
        if columns.has("interval"):
            return CandleFile(path, columns, self._by_interval(path, columns))
        if columns.has("symbol"):
            found = self._distinct(path, [columns.actual["symbol"]]).iloc[:, 0]
            return CandleFile(path, columns, {self._spacing(path, columns): _symbols(found, path)})
        named = self._named(path)
        interval = self.config.interval or named.interval or self._spacing(path, columns)
        return CandleFile(path, columns, {interval: {named.symbol: named.symbol}}, named.part)

    def _by_interval(self, path: Path, columns: Columns) -> dict[Interval, Mapping[str, str]]:
        names = [columns.actual[name] for name in ("interval", "symbol") if columns.has(name)]
        found = self._distinct(path, names)
        if not columns.has("symbol"):
            found = found.assign(symbol=self._named(path).symbol)
        known = {str(interval) for interval in Interval}
        return {
            Interval.parse(str(text)): _symbols(group.iloc[:, 1], path)
            for text, group in found.groupby(found.columns[0], sort=False)
            if text in known
        }

    def _spacing(self, path: Path, columns: Columns | None) -> Interval:
        if self.config.interval is not None:
            return self.config.interval
        everything = Selection(symbols=None, start=None, end=None, interval=Interval.MINUTE)
        head = self._read(path, columns, everything, max_rows=_ROWS_TO_LOOK_AT)
        clock = None
        if columns is None:
            stamps = head.index.to_series()
        else:
            if columns.has("symbol"):
                one = head[columns.actual["symbol"]]
                # The symbol with most rows here: files come sorted by symbol and by time alike.
                head = head[one == one.mode().iloc[0]] if one.notna().any() else head
            stamps = head[columns.actual["time"]]
            clock = head[columns.actual["clock"]] if columns.has("clock") else None
        parsed = read_stamps(
            stamps,
            interval=Interval.MINUTE,
            date_format=self.config.date_format,
            where=str(path),
            clock=clock,
        )
        return infer_interval(parsed, where=str(path))


def _symbols(texts: pd.Series, path: Path) -> dict[str, str]:
    """Return symbols and what a file calls them."""
    if texts.isna().any() or (texts == "").any():
        raise DataError(f"{path} has rows without a symbol")
    symbols: dict[str, str] = {}
    for text in map(str, texts):
        symbol = check_symbol(symbol_of(text), where=str(path))
        if symbols.setdefault(symbol, text) != text:
            raise DataError(f"{path} holds both {symbols[symbol]!r} and {text!r}, which are one symbol here")
    return symbols


def _only(frame: pd.DataFrame, symbols: Sequence[str]) -> pd.DataFrame:
    return frame[frame["symbol"].isin(symbols)]


def _where(group: Sequence[_Held]) -> str:
    first, last = group[0][0].path, group[-1][0].path
    return str(first) if len(group) == 1 else f"{first} ... {last.name}"
