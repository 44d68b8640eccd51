"""Candles in a folder of Parquet files."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from marketgpt_core.errors import DataError
from marketgpt_data_sources.columns import Columns
from marketgpt_data_sources.sources.folder import FolderSource, Selection


class ParquetFolder(FolderSource):
    """Candles in a folder of Parquet files: one file a symbol, or many symbols in one file.

    Only the columns that matter are read, and of them only the rows that are asked for.
    """

    name: ClassVar[str] = "parquet"
    endings: ClassVar[tuple[str, ...]] = (".parquet", ".pq")

    def _header(self, path: Path) -> list[str] | pd.MultiIndex:
        with _readable(path):
            names = list(pq.read_schema(path).names)
        levels = [ast.literal_eval(name) for name in names if name.startswith("('")]
        return pd.MultiIndex.from_tuples(levels) if levels else names

    def _read(
        self, path: Path, columns: Columns | None, selection: Selection, max_rows: int | None = None
    ) -> pd.DataFrame:
        with _readable(path):
            if columns is None:
                return pd.read_parquet(path)
            names = list(columns.actual.values())
            if max_rows is not None:
                batches = pq.ParquetFile(path).iter_batches(batch_size=max_rows, columns=names)
                return next(
                    (_pandas(pa.Table.from_batches([batch])) for batch in batches),
                    pd.DataFrame(columns=names),
                )
            schema = pq.read_schema(path)
            # As a dictionary, two million repetitions of a symbol are read as one.
            text = [columns.actual[name] for name in ("symbol", "category") if columns.has(name)]
            chosen = _filter(schema, columns, selection)
            table = pq.read_table(path, columns=names, filters=chosen, read_dictionary=text)
            return _pandas(table)

    def _distinct(self, path: Path, names: Sequence[str]) -> pd.DataFrame:
        with _readable(path):
            table = pq.read_table(path, columns=list(names), read_dictionary=list(names))
            table = table.unify_dictionaries()
            return _pandas(table.group_by(list(names), use_threads=False).aggregate([]))


def _pandas(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    return frame


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"cannot read {path} as Parquet: {reason}") from error


def _filter(schema: pa.Schema, columns: Columns, selection: Selection) -> pc.Expression | None:
    conditions = []
    if selection.symbols is not None and columns.has("symbol"):
        conditions.append(pc.field(columns.actual["symbol"]).isin(list(selection.symbols)))
    if columns.has("interval"):
        conditions.append(pc.field(columns.actual["interval"]) == str(selection.interval))
    time = schema.field(columns.actual["time"])
    if pa.types.is_timestamp(time.type):
        if selection.start is not None:
            conditions.append(pc.field(time.name) >= _stamp(selection.start, time.type))
        if selection.end is not None:
            conditions.append(pc.field(time.name) < _stamp(selection.end, time.type))
    whole: pc.Expression | None = None
    for condition in conditions:
        whole = condition if whole is None else whole & condition
    return whole


def _stamp(moment: np.datetime64, kind: pa.TimestampType) -> pa.Scalar:
    return pa.scalar(pd.Timestamp(moment, tz="UTC" if kind.tz else None), type=kind)
