"""Writing candles to a folder that ``parquet:DIR`` reads back to the same fingerprint."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from marketgpt_core.candles import Candles
from marketgpt_core.files import atomic_path, ensure_writable_folder
from marketgpt_core.symbols import check_symbol


def write_parquet(candles: Candles, folder: Path) -> list[Path]:
    """Write one Parquet file a symbol, in long form with a column ``interval``, each file atomically.

    A daily file is named ``SYMBOL.parquet``, another ``SYMBOL.1h.parquet``; an old file of that name is
    replaced.

    Args:
        candles: The candles.
        folder: Where; created if need be.

    Returns:
        The paths, in the order of the symbols.

    Raises:
        RunError: when the folder cannot be written to.
    """
    ensure_writable_folder(folder)
    paths = []
    for symbol in candles:
        suffix = f".{candles.interval}" if candles.interval != "1d" else ""
        path = folder / f"{check_symbol(symbol)}{suffix}.parquet"
        frame = candles.select([symbol]).to_frame()
        frame.insert(2, "interval", str(candles.interval))
        with atomic_path(path) as temporary:
            pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), temporary)
        paths.append(path)
    return paths
