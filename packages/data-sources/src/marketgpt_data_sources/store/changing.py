"""Changing what a shelf's manifest says: one step under the shelf's lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from marketgpt_core.clock import Clock
from marketgpt_core.errors import DataError
from marketgpt_data_sources.store.layout import Shelf
from marketgpt_data_sources.store.locking import locked
from marketgpt_data_sources.store.manifest import Manifest, read_manifest, write_manifest


class Change:
    """A manifest being changed."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.candles = dict(manifest.candles)
        self.failures = dict(manifest.failures)
        self.quarantine = dict(manifest.quarantine)

    def changed(self) -> Manifest:
        """Return the manifest as it is to be."""
        return Manifest(self.candles, self.failures, self.quarantine)


@contextmanager
def changing(shelf: Shelf, *, timeout_s: float, clock: Clock) -> Iterator[Change]:
    """Hold the shelf's lock, and write its manifest if the block changed it.

    Raises:
        DataError: when another writer holds the lock for too long, or the manifest cannot be read.
        RunError: when the folder cannot be written to.
    """
    with locked(shelf.lock, timeout_s=timeout_s, clock=clock):
        manifest = _opened(shelf)
        change = Change(manifest)
        yield change
        changed = change.changed()
        if changed != manifest:
            write_manifest(shelf, changed)


def _opened(shelf: Shelf) -> Manifest:
    """Return the manifest for who holds the lock, made if need be; remove what crashes left behind."""
    manifest = read_manifest(shelf)
    if not shelf.manifest.exists():
        # Written before any data file, so that one without it means damage and not a crash.
        if any(path.suffix == ".parquet" for path in shelf.leftovers({}, {})):
            raise DataError(
                f"{shelf.folder} holds candles but its manifest.json is gone: restore it, or remove the "
                "folder to fetch them again"
            )
        write_manifest(shelf, manifest)
    candles = {symbol: one.sha256 for symbol, one in manifest.candles.items()}
    quarantine = {symbol: one.sha256 for symbol, one in manifest.quarantine.items()}
    for path in shelf.leftovers(candles, quarantine):
        path.unlink(missing_ok=True)
    return manifest
