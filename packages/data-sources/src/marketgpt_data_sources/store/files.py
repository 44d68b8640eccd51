"""Candles and quarantined rows as Parquet, in memory: what is written is hashed first, what is read too.

Candles are neither compressed nor encoded: 3.1 million take 151 MB instead of 54 MB with zstd, and are read
in a third of the time (see benchmarks/data_store.py). The hash of the bytes costs a fifth of reading them.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from marketgpt_core.candles import FIELDS, Candles, CandleSeries
from marketgpt_core.errors import DataError
from marketgpt_core.files import atomic_path
from marketgpt_core.interval import Interval
from marketgpt_data_sources.store.manifest import Entry, one_line

_TEXT = pa.dictionary(pa.int32(), pa.string())
# No null anywhere: a column that may hold one is read more slowly.
_SCHEMA = pa.schema(
    [
        pa.field("symbol", _TEXT, nullable=False),
        pa.field("category", _TEXT, nullable=False),
        pa.field("time", pa.timestamp("ns", "UTC"), nullable=False),
        *(pa.field(name, pa.float64(), nullable=False) for name in FIELDS),
    ]
)
_FINGERPRINT = b"marketgpt.fingerprint"


def fingerprint_of(series: CandleSeries) -> str:
    """Return ``Candles.fingerprint()`` of one symbol alone; checks the candles.

    Raises:
        CandleError: when they break their contract.
    """
    return Candles([series], interval=series.interval).fingerprint()


def candles_to_bytes(series: CandleSeries, fingerprint: str) -> bytes:
    """Return a symbol's candles as the bytes of a Parquet file; equal candles give equal bytes."""
    rows = len(series)
    columns = [
        *(
            pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype="int32")), pa.array([text]))
            for text in (series.symbol, str(series.category))
        ),
        pa.array(series.time.astype("datetime64[ns]").view("int64")).cast(_SCHEMA.field("time").type),
        *(pa.array(np.ascontiguousarray(getattr(series, name), dtype="float64")) for name in FIELDS),
    ]
    metadata = {
        b"marketgpt.interval": str(series.interval).encode(),
        b"marketgpt.category": str(series.category).encode(),
        _FINGERPRINT: fingerprint.encode(),
    }
    table = pa.table(columns, schema=_SCHEMA.with_metadata(metadata))
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="none", use_dictionary=["symbol", "category"])
    return sink.getvalue()


def candles_from_file(path: Path, entry: Entry, interval: Interval) -> CandleSeries:
    """Read a symbol's candles and refuse any that are not those the manifest's entry names.

    The contract of candles itself is checked where they are put together, by :class:`Candles`.

    Raises:
        FileNotFoundError: when the file is gone: a writer may have replaced it.
        DataError: for a file of other content, or rows, range or fingerprint other than the entry's.
    """
    content = content_of(path, entry.sha256, size=entry.size)
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        table = file.read(columns=["time", *FIELDS], use_threads=False)
        time = _values(table, "time", "datetime64[ns]")
        columns = {name: _values(table, name, "float64") for name in FIELDS}
        written = (file.metadata.metadata or {}).get(_FINGERPRINT, b"").decode(errors="replace")
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise DataError(f"cannot read {path} as Parquet: {one_line(str(error))}") from error
    found = (len(time), *(time[[0, -1]] if len(time) else ()), written)
    if found != (entry.rows, entry.first, entry.last, entry.fingerprint):
        raise DataError(f"{path} does not hold the rows, range and fingerprint its manifest says")
    return CandleSeries(entry.symbol, interval, time, **columns, category=entry.category)


def _values(table: pa.Table, name: str, dtype: str) -> NDArray[Any]:
    """Return a column without nulls as an array of its own.

    Not ``to_numpy``: it imports pandas, which takes longer than reading a million candles, and gives views
    that cannot be written to, of which torch warns.
    """
    kind = _SCHEMA.field(name).type
    column = table.column(name)
    if column.type != kind or column.null_count:
        raise ValueError(f"column {name} is {column.type}, {kind} was expected without nulls")
    width = np.dtype(dtype).itemsize
    pieces = [
        np.frombuffer(chunk.buffers()[1], dtype="u1", count=width * len(chunk), offset=width * chunk.offset)
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate(pieces or [np.empty(0, dtype="u1")]).view(dtype)


def content_of(path: Path, sha256: str, *, size: int | None = None) -> bytes:
    """Return the bytes of a file that a manifest names.

    Raises:
        FileNotFoundError: when it is gone.
        DataError: when it has another size or content.
    """
    try:
        if size is not None and path.stat().st_size != size:
            raise DataError(f"{path} has {path.stat().st_size} bytes, its manifest says {size}")
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DataError(
            f"{path} is not the file its manifest names: sha256 {found[:12]}..., expected {sha256[:12]}...; "
            "fetch the symbol again"
        )
    return content


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically and durably.

    Raises:
        RunError: when the folder cannot be written to.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
