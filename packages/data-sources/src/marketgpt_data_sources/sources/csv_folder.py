"""Candles in a folder of CSV files."""

from __future__ import annotations

import csv
import gzip
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TextIO

import pandas as pd

from marketgpt_core.errors import DataError
from marketgpt_data_sources.columns import Columns
from marketgpt_data_sources.sources.folder import FolderSource, Selection

# The first cell of the first two lines of yf.download(...).to_csv().
_WIDE_CELLS = frozenset({"price", "ticker"})
_MISSING = ["", "null", "NULL", "nan", "NaN", "NAN", "None", "N/A", "NA"]
_TEXT = ("symbol", "category", "interval")


class CsvFolder(FolderSource):
    """Candles in a folder of CSV files, plain or gzipped: Yahoo's exports, saved frames, long files.

    Numbers use a point; fields are separated by commas, and a tab or semicolon is recognised too.
    """

    name: ClassVar[str] = "csv"
    endings: ClassVar[tuple[str, ...]] = (".csv", ".csv.gz", ".CSV")

    def _header(self, path: Path) -> list[str] | pd.MultiIndex:
        first, second = self._first_lines(path)
        if first and second and {first[0].casefold(), second[0].casefold()} == _WIDE_CELLS:
            return pd.MultiIndex.from_tuples(list(zip(first[1:], second[1:], strict=True)))
        return first

    def _first_lines(self, path: Path) -> tuple[list[str], list[str]]:
        with _readable(path), _open(path) as file:
            delimiter = _delimiter(file.readline())
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter)
            return next(reader, []), next(reader, [])

    def _read(
        self,
        path: Path,
        columns: Columns | None,
        selection: Selection,  # noqa: ARG002 - a CSV file is read whole
        max_rows: int | None = None,
    ) -> pd.DataFrame:
        options: dict[str, Any] = {"nrows": max_rows, "encoding": "utf-8-sig"}
        with _readable(path), _open(path) as file:
            options["sep"] = _delimiter(file.readline())
            if columns is None:
                wide: pd.DataFrame = pd.read_csv(path, header=[0, 1], index_col=0, **options)
                # Between header and rows lies a line that only names the index: "Date,,,".
                return wide.loc[wide.index.notna()]
            text = {columns.actual[name]: "str" for name in _TEXT if columns.has(name)}
            numbers = [name for name in columns.actual.values() if name not in text]
            # Not with usecols: pandas would then pass over rows longer than their header.
            frame: pd.DataFrame = pd.read_csv(
                path,
                index_col=False,
                dtype=text,
                # The default would read the tickers NA and NAN as missing.
                keep_default_na=False,
                na_values=dict.fromkeys(numbers, _MISSING),
                **options,
            )
            return frame[list(columns.actual.values())]

    def _distinct(self, path: Path, names: Sequence[str]) -> pd.DataFrame:
        with _readable(path), _open(path) as file:
            sep = _delimiter(file.readline())
            frame = pd.read_csv(
                path, usecols=list(names), dtype="str", keep_default_na=False, sep=sep, encoding="utf-8-sig"
            )
            return frame[list(names)].drop_duplicates()


def _open(path: Path) -> TextIO:
    if path.name.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


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
