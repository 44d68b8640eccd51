"""The store: candles on disk by source, interval and symbol, updated as sources answer.

Importing this package is cheap: no numpy, pandas or pydantic. The names below are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketgpt_core.lazy import lazy_front

if TYPE_CHECKING:
    from marketgpt_data_sources.store.layout import DEFAULT_STORE, store_folder
    from marketgpt_data_sources.store.manifest import Entry, Failure
    from marketgpt_data_sources.store.merging import UpdateKind
    from marketgpt_data_sources.store.store import Store, Update

_HOME = {
    "DEFAULT_STORE": "layout",
    "Entry": "manifest",
    "Failure": "manifest",
    "Store": "store",
    "Update": "store",
    "UpdateKind": "merging",
    "store_folder": "layout",
}

__all__ = ["DEFAULT_STORE", "Entry", "Failure", "Store", "Update", "UpdateKind", "store_folder"]

__getattr__, __dir__ = lazy_front(__name__, _HOME)
