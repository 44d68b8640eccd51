"""The store: candles of many symbols on disk, updated as sources answer, read back validated.

Every change is one step. New data files are written first, under names made of their content's hash; then the
manifest is replaced by a rename. A crash before the rename leaves files that no manifest names, and the next
writer removes them. Writers of one source and interval wait for each other; readers wait for nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.clock import Clock, SystemClock
from marketgpt_core.errors import FetchReason
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import check_symbol
from marketgpt_core.times import Moment
from marketgpt_data_sources.base import check_known
from marketgpt_data_sources.store.changing import Change, changing
from marketgpt_data_sources.store.files import Scratch, candles_to_bytes, fingerprint_of, write_bytes
from marketgpt_data_sources.store.layout import Shelf, shelves
from marketgpt_data_sources.store.manifest import Entry, Failure, Manifest, Quarantine, read_manifest
from marketgpt_data_sources.store.merging import TOLERANCE, UpdateKind, merge
from marketgpt_data_sources.store.reading import cut, stored_candles, stored_quarantine

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Update:
    """What :meth:`Store.update` did.

    Attributes:
        kind: See :class:`marketgpt_data_sources.store.merging.UpdateKind`.
        rows_added: Candles that were not stored.
        rows_revised: Stored candles whose values changed.
        rows_total: Candles stored now.
        ratio: New prices over stored ones, where they differ by one ratio: 0.5 after a split 2 for 1.
        reason: Why nothing was written, or what went, in words.
    """

    kind: UpdateKind
    rows_added: int
    rows_revised: int
    rows_total: int
    ratio: float | None = None
    reason: str = ""


class Store:
    """Candles on disk, by source, interval and symbol.

    Args:
        root: Its folder; made when first written to.
        clock: Tells when a source answered.
        lock_timeout_s: How long a writer waits for another one.
    """

    def __init__(self, root: Path, *, clock: Clock | None = None, lock_timeout_s: float = 60.0) -> None:
        self.root = Path(root)
        self.clock = clock or SystemClock()
        self.lock_timeout_s = lock_timeout_s

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    # What there is

    def sources(self) -> dict[str, list[Interval]]:
        """Return the sources, sorted, each with its intervals from short to long."""
        found: dict[str, list[Interval]] = {}
        for shelf in shelves(self.root):
            found.setdefault(shelf.source, []).append(shelf.interval)
        return found

    def manifest(self, source: str, interval: Interval) -> Manifest:
        """Return all that is known of a source at an interval; empty when there is nothing."""
        return read_manifest(Shelf(self.root, source, interval))

    def entries(self, source: str, interval: Interval) -> dict[str, Entry]:
        """Return what is known of each stored symbol, sorted."""
        candles = self.manifest(source, interval).candles
        return {symbol: candles[symbol] for symbol in sorted(candles)}

    def entry(self, source: str, interval: Interval, symbol: str) -> Entry | None:
        """Return what is known of a symbol; None when it is not stored."""
        return self.manifest(source, interval).candles.get(symbol)

    def failures(self, source: str, interval: Interval) -> dict[str, Failure]:
        """Return why symbols could not be had when their source was last asked, sorted."""
        failures = self.manifest(source, interval).failures
        return {symbol: failures[symbol] for symbol in sorted(failures)}

    def fingerprint(self, source: str, interval: Interval, symbols: Sequence[str] | None = None) -> str:
        """Return an identity of stored candles without reading them: hex sha256.

        It changes if and only if a symbol, its category, a stamp or a value does. It is not
        ``Candles.fingerprint()`` of what :meth:`read` returns, which is what a training run records: that one
        can be had from any source, and of a part of the time.

        Args:
            source: Name of the source.
            interval: Length of a candle.
            symbols: Which; None for all.
        """
        candles = self.entries(source, interval)
        where = str(Shelf(self.root, source, interval))
        wanted = (
            list(candles) if symbols is None else sorted(check_known(symbols, list(candles), where=where))
        )
        lines = (f"{symbol} {candles[symbol].fingerprint}\n" for symbol in wanted)
        return hashlib.sha256(f"store-1 {interval}\n{''.join(lines)}".encode()).hexdigest()

    # Reading

    def read(
        self,
        source: str,
        symbols: Sequence[str] | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        interval: Interval = Interval.DAY,
    ) -> Candles:
        """Return stored candles with ``start <= time < end``, in the order asked for.

        The bytes of every file are compared with the hash in the manifest, and the candles checked. A symbol
        without a candle in the range is left out.

        Args:
            source: Name of the source.
            symbols: Which; None for all, sorted.
            start: First moment; None for as far back as there is.
            end: Moment after the last; None for as late as there is.
            interval: Length of a candle.

        Raises:
            DataError: for an unknown symbol, a manifest that cannot be read, or a file it does not fit.
        """
        shelf = Shelf(self.root, source, interval)
        candles = read_manifest(shelf).candles
        wanted = sorted(candles) if symbols is None else check_known(symbols, list(candles), where=str(shelf))
        scratch = Scratch()
        series = [cut(stored_candles(shelf, candles[symbol], scratch), start, end) for symbol in wanted]
        return Candles((one for one in series if len(one)), interval=interval, where=str(shelf))

    def overlap(self, source: str, interval: Interval, symbol: str, bars: int) -> np.datetime64 | None:
        """Return the stamp, datetime64[ns], from which new candles must be asked for.

        Args:
            source: Name of the source.
            interval: Length of a candle.
            symbol: The symbol.
            bars: How many stored candles to ask for again, at least one.

        Returns:
            The stamp of the stored candle so many from the end, or of the first; None when nothing is stored.
        """
        shelf = Shelf(self.root, source, interval)
        entry = read_manifest(shelf).candles.get(symbol)
        if entry is None:
            return None
        stamp: np.datetime64 = stored_candles(shelf, entry, Scratch()).time[-min(max(bars, 1), entry.rows)]
        return stamp

    # Writing

    def update(
        self,
        source: str,
        fresh: CandleSeries,
        *,
        since: datetime | None,
        whole: bool,
        replace: bool = False,
        disproved: NDArray[np.datetime64] | None = None,
        tolerance: float = TOLERANCE,
    ) -> Update:
        """Store what a source answered about a symbol; on the disk when this returns.

        Args:
            source: Name of the source.
            fresh: The candles, validated again.
            since: From when they were asked for, UTC; None for as far back as there is. Recorded for a whole
                history and a symbol that is new; a part does not change what is recorded.
            whole: Whether this is the whole history. If not, it begins with some stored candles: see
                :meth:`overlap`.
            replace: Take a whole history also when stored candles are missing in it.
            disproved: Stamps of stored candles that later ones have proved wrong; see :func:`merge`.
            tolerance: Relative difference up to which prices are the same.

        Returns:
            What was done. Nothing is written for ``readjusted`` (fetch the whole history and call again) and
            ``shrunk``.

        Raises:
            CandleError: for candles that cannot be.
            DataError: when another writer holds the store for too long, or what is stored cannot be read.
        """
        shelf = Shelf(self.root, source, fresh.interval)
        fingerprint_of(fresh)  # refuses what is not sound, before any lock is taken
        with self._changing(shelf) as change:
            entry = change.manifest.candles.get(fresh.symbol)
            stored = None if entry is None else stored_candles(shelf, entry, Scratch())
            merged = merge(
                stored, fresh, whole=whole, replace_all=replace, disproved=disproved, tolerance=tolerance
            )
            if merged.series is not None and len(merged.series):
                recorded = since if whole or entry is None else entry.since
                change.candles[fresh.symbol] = entry = self._written(shelf, entry, merged.series, recorded)
                change.failures.pop(fresh.symbol, None)
        total = 0 if entry is None else entry.rows
        return Update(merged.kind, merged.rows_added, merged.rows_revised, total, merged.ratio, merged.reason)

    def _written(
        self, shelf: Shelf, known: Entry | None, series: CandleSeries, since: datetime | None
    ) -> Entry:
        """Write the file of a symbol's candles, unless it is there, and return its entry."""
        fingerprint = fingerprint_of(series)
        content = candles_to_bytes(series, fingerprint)
        sha256 = hashlib.sha256(content).hexdigest()
        if known is None or known.sha256 != sha256:
            write_bytes(shelf.candle_file(series.symbol, sha256), content)
        return Entry(
            symbol=series.symbol,
            category=series.category,
            rows=len(series),
            first=series.time[0],
            last=series.time[-1],
            sha256=sha256,
            size=len(content),
            fingerprint=fingerprint,
            since=since,
            checked_at=self.clock.now(),
        )

    def touch(self, source: str, interval: Interval, symbol: str, *, since: datetime | None) -> None:
        """Record that a source answered about a symbol and had nothing new.

        Forgets the symbol's failure, if any. Without stored candles nothing else is recorded.

        Args:
            source: Name of the source.
            interval: Length of a candle.
            symbol: The symbol.
            since: From when candles were asked for; recorded if it is earlier than what was.
        """
        check_symbol(symbol)
        with self._changing(Shelf(self.root, source, interval)) as change:
            known = change.manifest.candles.get(symbol)
            if known is not None:
                # None, as far back as there is, is the earliest of all.
                earlier = known.since is not None and (since is None or since < known.since)
                seen = {"since": since if earlier else known.since, "checked_at": self.clock.now()}
                change.candles[symbol] = known.model_copy(update=seen)
            change.failures.pop(symbol, None)

    def failed(self, source: str, interval: Interval, symbol: str, reason: FetchReason, message: str) -> None:
        """Record that a source could not give a symbol; a later update or :meth:`touch` clears it.

        Args:
            source: Name of the source.
            interval: Length of a candle.
            symbol: The symbol.
            reason: What a report counts it under.
            message: What was said; kept as one line.
        """
        failure = Failure(symbol=symbol, reason=reason, message=message, at=self.clock.now())
        with self._changing(Shelf(self.root, source, interval)) as change:
            change.failures[symbol] = failure

    def quarantine(self, source: str, interval: Interval, frame: pd.DataFrame) -> int:
        """Keep rows that cannot be candles, each once, with the reason and when it was first seen.

        Args:
            source: Name of the source.
            interval: Length of a candle.
            frame: As ``Cleaned.quarantined``: symbol, time (naive UTC), open, high, low, close, volume,
                reason and, where there are, adj_close and row.

        Returns:
            How many of them were not kept before.
        """
        from marketgpt_data_sources.store import quarantine

        if frame.empty:
            return 0
        shelf = Shelf(self.root, source, interval)
        rows = quarantine.quarantine_rows(frame, np.datetime64(self.clock.now().replace(tzinfo=None), "ns"))
        num_new = 0
        with self._changing(shelf) as change:
            for key, fresh in rows.groupby(rows["symbol"].map(quarantine.key_of), sort=True):
                stored = stored_quarantine(shelf, change.manifest, str(key))
                both = quarantine.joined(stored, fresh)
                if len(both) == len(stored):
                    continue
                num_new += len(both) - len(stored)
                content = quarantine.rows_to_bytes(both)
                sha256 = hashlib.sha256(content).hexdigest()
                write_bytes(shelf.quarantine_file(str(key), sha256), content)
                change.quarantine[str(key)] = Quarantine(symbol=str(key), rows=len(both), sha256=sha256)
        return num_new

    def quarantined(self, source: str, interval: Interval, symbol: str | None = None) -> pd.DataFrame:
        """Return the rows that were kept aside, in the order they came.

        Args:
            source: Name of the source.
            interval: Length of a candle.
            symbol: Only of this symbol; None for all, those of what are no symbols included.

        Returns:
            Columns symbol, time (naive UTC), open, high, low, close, volume, adj_close, reason, row (in the
            answer it came with), seen_at (when first, naive UTC).
        """
        import pandas as pd

        from marketgpt_data_sources.store import quarantine

        shelf = Shelf(self.root, source, interval)
        manifest = read_manifest(shelf)
        keys = sorted(manifest.quarantine) if symbol is None else [check_symbol(symbol)]
        frames = [stored_quarantine(shelf, manifest, key) for key in keys]
        return pd.concat(frames, ignore_index=True) if frames else quarantine.no_rows()

    def _changing(self, shelf: Shelf) -> AbstractContextManager[Change]:
        return changing(shelf, timeout_s=self.lock_timeout_s, clock=self.clock)

    def sql(self, query: str) -> pd.DataFrame:
        """Return what a SELECT over the view ``candles`` finds; see :mod:`.query`.

        Raises:
            DataError: for a query that is not one SELECT, that fails, or that reaches for anything else.
        """
        from marketgpt_data_sources.store.query import Query

        with Query(self, query) as result:
            return result.frame()
