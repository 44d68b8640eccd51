"""Where things lie in a store: ``ROOT/SOURCE/INTERVAL/`` with a manifest, and beside it what it names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import check_symbol

ENVIRONMENT = "MARKETGPT_STORE"
DEFAULT_STORE = Path("marketgpt-data")
# What no symbol starts with: quarantined rows whose symbol is none are kept under it.
NO_SYMBOL = "_"

_SOURCE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_SHORT_HASH = 12


def store_folder() -> Path:
    """Return the store's folder when none is named: ``$MARKETGPT_STORE``, else ``marketgpt-data`` here."""
    return Path(os.environ.get(ENVIRONMENT) or DEFAULT_STORE)


def check_source_name(name: str) -> str:
    """Return a source's name if it can be a folder, else refuse it.

    Raises:
        DataError: for a name of other characters than letters, digits, ``_`` and ``-``.
    """
    if not _SOURCE.fullmatch(name):
        raise DataError(f"{name[:70]!r} cannot be a source in a store: 1 to 64 letters, digits, _ or -")
    return name


@dataclass(frozen=True)
class Shelf:
    """What a store holds of one source at one interval.

    Data files carry the hash of their content, so a new one never overwrites what a reader has open, and
    symbols that differ only in case (their content then differs too) stay apart where file names do not
    tell case.

    Attributes:
        root: The store's folder.
        source: Name of the source, as before the colon in ``name:location``.
        interval: Length of a candle.
    """

    root: Path
    source: str
    interval: Interval

    def __post_init__(self) -> None:
        check_source_name(self.source)

    def __str__(self) -> str:
        return f"{self.source} at {self.interval} in {self.root}"

    @property
    def folder(self) -> Path:
        """Folder of the manifest and the candles."""
        return self.root / self.source / str(self.interval)

    @property
    def manifest(self) -> Path:
        """The file that says which data files count."""
        return self.folder / "manifest.json"

    @property
    def lock(self) -> Path:
        """The file a writer locks."""
        return self.folder / "manifest.lock"

    @property
    def quarantine(self) -> Path:
        """Folder of the quarantined rows."""
        return self.folder / "quarantine"

    def candle_file(self, symbol: str, sha256: str) -> Path:
        """Return the path of a symbol's candles with this content."""
        return self.folder / _file_name(check_symbol(symbol), sha256)

    def quarantine_file(self, symbol: str, sha256: str) -> Path:
        """Return the path of a symbol's quarantined rows with this content."""
        return self.quarantine / _file_name(symbol if symbol == NO_SYMBOL else check_symbol(symbol), sha256)

    def leftovers(self, candles: Mapping[str, str], quarantine: Mapping[str, str]) -> list[Path]:
        """Return the data and temporary files that crashes left behind.

        Args:
            candles: Hash by symbol of the candles that count.
            quarantine: Hash by symbol of the quarantined rows that count.
        """
        found: list[Path] = []
        for folder, hashes in ((self.folder, candles), (self.quarantine, quarantine)):
            if folder.is_dir():
                named = {_file_name(symbol, sha256) for symbol, sha256 in hashes.items()}
                with os.scandir(folder) as files:
                    names = [one.name for one in files if one.name.endswith((".parquet", ".tmp"))]
                found += [folder / name for name in names if name not in named]
        return found


def _file_name(symbol: str, sha256: str) -> str:
    return f"{symbol}.{sha256[:_SHORT_HASH]}.parquet"


def shelves(root: Path) -> list[Shelf]:
    """Return every shelf of a store that has a manifest, by source, then from minutes to weeks.

    Folders of other names are passed over.
    """
    if not root.is_dir():
        return []
    names = sorted(one.name for one in root.iterdir() if one.is_dir() and _SOURCE.fullmatch(one.name))
    found = (Shelf(root, name, interval) for name in names for interval in Interval)
    return [shelf for shelf in found if shelf.manifest.is_file()]
