"""Quarantined rows: what a source gave that cannot be a candle, kept with the reason and when it was seen."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd

from marketgpt_core.candles import FIELDS
from marketgpt_core.errors import DataError
from marketgpt_core.symbols import check_symbol
from marketgpt_data_sources.store.layout import NO_SYMBOL

_NUMBERS = (*FIELDS, "adj_close")
# Two rows equal in these are one; where in an answer it stood, and when, differs from fetch to fetch.
_IDENTITY = ["symbol", "time", *_NUMBERS, "reason"]
COLUMNS = [*_IDENTITY, "row", "seen_at"]


def no_rows() -> pd.DataFrame:
    """Return a quarantine without rows: the columns and their dtypes."""
    return _typed(pd.DataFrame({name: [] for name in COLUMNS}))


def quarantine_rows(frame: pd.DataFrame, seen_at: np.datetime64) -> pd.DataFrame:
    """Return rows as they are kept.

    Args:
        frame: ``symbol, time (naive UTC), open, high, low, close, volume, reason`` and, where there are,
            ``adj_close`` and ``row``.
        seen_at: When, UTC.

    Raises:
        DataError: for a frame without symbol, time or reason.
    """
    lacking = [name for name in ("symbol", "time", "reason") if name not in frame.columns]
    if lacking:
        raise DataError(f"quarantined rows lack {', '.join(lacking)}; there are {', '.join(map(str, frame))}")
    return _typed(frame.reindex(columns=COLUMNS).assign(seen_at=seen_at))


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    numbers = {name: pd.to_numeric(frame[name], errors="coerce").astype("float64") for name in _NUMBERS}
    texts = {name: frame[name].astype("str") for name in ("symbol", "reason")}
    times = {name: pd.to_datetime(frame[name]).astype("datetime64[ns]") for name in ("time", "seen_at")}
    row = pd.to_numeric(frame["row"], errors="coerce").astype("Int64")
    return frame.assign(**numbers, **texts, **times, row=row).reset_index(drop=True)


def joined(stored: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
    """Return both without repetitions: of equal rows the one seen first stays."""
    both = pd.concat([stored, fresh], ignore_index=True)
    return both.drop_duplicates(_IDENTITY, ignore_index=True)


def key_of(symbol: str) -> str:
    """Return under what a row's symbol is kept: hostile ones together, so that they name no file."""
    try:
        return check_symbol(symbol)
    except DataError:
        return NO_SYMBOL


def rows_to_bytes(rows: pd.DataFrame) -> bytes:
    """Return rows as the bytes of a Parquet file."""
    sink = io.BytesIO()
    rows.to_parquet(sink, index=False, compression="zstd")
    return sink.getvalue()


def rows_from_bytes(content: bytes) -> pd.DataFrame:
    """Return rows from the bytes of a Parquet file that the manifest names."""
    return _typed(pd.read_parquet(io.BytesIO(content))[COLUMNS])
