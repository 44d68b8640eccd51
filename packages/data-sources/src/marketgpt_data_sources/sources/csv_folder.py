"""Candles in a folder of CSV files."""

from __future__ import annotations

import csv
import gzip
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal, TextIO

import pandas as pd
from pydantic import Field

from marketgpt_core.errors import DataError
from marketgpt_data_sources.columns import Columns, is_time
from marketgpt_data_sources.sources.folder import FolderSource, Selection

# Files without a line of names, by how many columns they have.
_HEADERLESS: Mapping[int, str] = {
    # Binance's public klines: open and close time in ms, since 2025 in us.
    12: "open time,open,high,low,close,volume,close time,quote volume,trades,taker base,taker quote,ignore",
    # Kraken's OHLCVT archive: time in s.
    7: "time,open,high,low,close,volume,trades",
}
# The first cell of the first two lines of yf.download(...).to_csv(); older releases leave it empty.
_WIDE_CELLS = ({"price", "ticker"}, {""})
_MISSING = ["", "-", "null", "NULL", "nan", "NaN", "NAN", "None", "N/A", "NA"]
_TEXT = ("symbol", "category", "interval", "clock")
# Before the names there may be an address, as in CryptoDataDownload's files, or remarks.
_REMARKS = ("#", "http:", "https:", "www.", "cryptodatadownload", "timestamps are")
_LINES_LOOKED_AT = 12


@dataclass(frozen=True)
class _Layout:
    """How a file is laid out.

    Attributes:
        header: Column names, or the two levels of the wide form; () for a file without any.
        delimiter: What separates fields.
        skipped: Numbers of lines that hold neither names nor candles.
        has_header: Whether names come from the file.
    """

    header: tuple[str, ...] | pd.MultiIndex
    delimiter: str
    skipped: tuple[int, ...]
    has_header: bool = True


class CsvFolder(FolderSource):
    """Candles in a folder of CSV files, plain or gzipped: Yahoo's exports, saved frames, long files.

    Fields are separated by commas, tabs or semicolons. Files of Binance's klines and Kraken's archive, which
    have no line of names, are known by their number of columns.
    """

    class Config(FolderSource.Config):
        """Options of a folder of CSV files."""

        columns: str | None = Field(
            default=None,
            description="Of files without a line of names: time,open,high,low,close,volume",
        )
        decimal: Literal[".", ","] = Field(default=".", description="The decimal point of numbers.")

    name: ClassVar[str] = "csv"
    endings: ClassVar[tuple[str, ...]] = (".csv", ".csv.gz", ".txt")

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.config: CsvFolder.Config = config
        self._layouts: dict[Path, _Layout] = {}

    def _header(self, path: Path) -> list[str] | pd.MultiIndex:
        header = self._layout(path).header
        return header if isinstance(header, pd.MultiIndex) else list(header)

    def _layout(self, path: Path) -> _Layout:
        if path not in self._layouts:
            with _readable(path), _open(path) as file:
                lines = list(islice(file, _LINES_LOOKED_AT))
            self._layouts[path] = self._look_at(lines, path)
        return self._layouts[path]

    def _look_at(self, lines: list[str], path: Path) -> _Layout:
        skipped = 0
        while skipped < len(lines) and lines[skipped].strip(' "\t\r\n').casefold().startswith(_REMARKS):
            skipped += 1
        delimiter = max(",;\t", key="".join(lines[skipped : skipped + 1]).count)
        with _readable(path):
            rows = list(csv.reader(lines[skipped : skipped + 3], delimiter=delimiter))
        first, second, third = (*rows, [], [], [])[:3]
        above = tuple(range(skipped))
        if first and second and {first[0].casefold(), second[0].casefold()} in _WIDE_CELLS and second[1:]:
            # Below the two levels lies a line that only names the index: "Date,,,".
            names_index = bool(third) and is_time(third[0]) and not any(third[1:])
            with _readable(path):
                levels = pd.MultiIndex.from_tuples(list(zip(first[1:], second[1:], strict=True)))
            return _Layout(levels, delimiter, (*above, skipped + 2) if names_index else above)
        if not _is_candle(first):
            return _Layout(_unique(first), delimiter, above)
        known = self.config.columns or _HEADERLESS.get(len(first))
        if known is None or len(known.split(",")) != len(first):
            raise DataError(
                f"{path} has no line of names above its {len(first)} columns; name them, for example "
                "columns=time,open,high,low,close,volume"
            )
        return _Layout(tuple(known.split(",")), delimiter, above, has_header=False)

    def _read(
        self,
        path: Path,
        columns: Columns | None,
        selection: Selection,  # noqa: ARG002 - a CSV file is read whole
        max_rows: int | None = None,
    ) -> pd.DataFrame:
        layout = self._layout(path)
        options: dict[str, Any] = {
            "nrows": max_rows,
            "encoding": "utf-8-sig",
            "sep": layout.delimiter,
            "decimal": self.config.decimal,
            "skiprows": list(layout.skipped) or None,
        }
        with _readable(path):
            if columns is None:
                wide: pd.DataFrame = pd.read_csv(path, header=[0, 1], index_col=0, **options)
                return wide.loc[wide.index.notna()]
            text = {columns.actual[name]: "str" for name in _TEXT if columns.has(name)}
            numbers = [name for name in columns.actual.values() if name not in text]
            # Not with usecols: pandas would then pass over rows longer than their header.
            frame: pd.DataFrame = pd.read_csv(
                path,
                names=list(layout.header),
                header=0 if layout.has_header else None,
                index_col=False,
                dtype=text,
                # The default would read the tickers NA and NAN as missing.
                keep_default_na=False,
                na_values=dict.fromkeys(numbers, _MISSING),
                **options,
            )
            return frame[list(columns.actual.values())]

    def _distinct(self, path: Path, names: Sequence[str]) -> pd.DataFrame:
        layout = self._layout(path)
        with _readable(path):
            frame = pd.read_csv(
                path,
                names=list(layout.header),
                header=0 if layout.has_header else None,
                usecols=list(names),
                dtype="str",
                keep_default_na=False,
                sep=layout.delimiter,
                skiprows=list(layout.skipped) or None,
                encoding="utf-8-sig",
            )
            return frame[list(names)].drop_duplicates()


def _is_candle(cells: list[str]) -> bool:
    """Whether a line holds a candle, not names: numbers but for a date or symbol or two."""
    numeric = [cell for cell in cells if _is_number(cell)]
    return len(numeric) >= 4 and len(numeric) >= len(cells) - 3  # noqa: PLR2004 - open, high, low, close


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _unique(names: list[str]) -> tuple[str, ...]:
    """Return column names as pandas writes empty and repeated ones: ``Unnamed: 0``, ``a.1``."""
    seen: dict[str, int] = {}
    result = []
    for position, name in enumerate(names):
        wanted = name or f"Unnamed: {position}"
        count = seen[wanted] = seen.get(wanted, -1) + 1
        result.append(f"{wanted}.{count}" if count else wanted)
    return tuple(result)


def _open(path: Path) -> TextIO:
    if path.name.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield
    # gzip reports a cut file as EOFError; pandas reports bad lines as ValueErrors or warnings.
    except (OSError, EOFError, ValueError, csv.Error, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"cannot read {path}: {reason}") from error
