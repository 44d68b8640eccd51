"""Reading the files a manifest names, while writers may be replacing them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from marketgpt_core.candles import FIELDS, CandleSeries
from marketgpt_core.errors import DataError
from marketgpt_core.times import Moment
from marketgpt_data_sources.store.files import Scratch, candles_from_file, check_content
from marketgpt_data_sources.store.layout import Shelf
from marketgpt_data_sources.store.manifest import Entry, Manifest, Quarantine, read_manifest

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
R = TypeVar("R", Entry, Quarantine)

# A file a reader finds gone was replaced meanwhile; the manifest then names another. More often in a row than
# this only happens to a file that is really missing.
_MOST_REPLACED = 10


def stored_candles(shelf: Shelf, entry: Entry, scratch: Scratch) -> CandleSeries:
    """Return the candles an entry names; see :func:`marketgpt_data_sources.store.files.candles_from_file`."""

    def read(one: Entry) -> CandleSeries:
        path = shelf.candle_file(one.symbol, one.sha256)
        return candles_from_file(path, one, shelf.interval, scratch)

    return _following(shelf, entry, read, lambda newer: newer.candles.get(entry.symbol))


def stored_quarantine(shelf: Shelf, manifest: Manifest, key: str) -> pd.DataFrame:
    """Return the quarantined rows of a key; none where the manifest names no file."""
    from marketgpt_data_sources.store import quarantine

    record = manifest.quarantine.get(key)
    if record is None:
        return quarantine.no_rows()

    def read(one: Quarantine) -> bytes:
        path = shelf.quarantine_file(key, one.sha256)
        content = path.read_bytes()
        check_content(content, one.sha256, path)
        return content

    content = _following(shelf, record, read, lambda newer: newer.quarantine.get(key))
    return quarantine.rows_from_bytes(content)


def _following(shelf: Shelf, record: R, read: Callable[[R], T], newest: Callable[[Manifest], R | None]) -> T:
    """Read the file a record names; if a writer has replaced it meanwhile, the one named now."""
    for _ in range(_MOST_REPLACED):
        try:
            return read(record)
        except FileNotFoundError:
            newer = newest(read_manifest(shelf))
            if newer is None or newer == record:
                break
            record = newer
    raise DataError(
        f"a file of {record.symbol} is missing in {shelf.folder}: its manifest.json names it; restore it, or "
        "remove the folder to fetch again"
    )


def cut(series: CandleSeries, start: Moment | None, end: Moment | None) -> CandleSeries:
    """Return the candles with ``start <= time < end``, the others freed where they are the larger part."""
    if start is None and end is None:
        return series
    part = series.between(start, end)
    if 2 * len(part) >= len(series):
        return part
    # A view would keep the whole history in memory.
    columns = {name: getattr(part, name).copy() for name in ("time", *FIELDS)}
    return dataclasses.replace(part, **columns)
