"""Candles of the store that ``marketgpt data fetch`` fills."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from marketgpt_core.candles import Candles
from marketgpt_core.config import Config as BaseConfig
from marketgpt_core.errors import ConfigError, DataError, hint
from marketgpt_core.interval import Interval
from marketgpt_core.times import Moment
from marketgpt_data_sources.base import DataSource, SymbolSummary, check_known
from marketgpt_data_sources.store.layout import store_folder
from marketgpt_data_sources.store.store import Store

if TYPE_CHECKING:
    import pandas as pd


class Stored(DataSource):
    """Candles that "data fetch" has stored, checked against the hashes in its manifest."""

    location_field: ClassVar[str | None] = "location"
    location_hint: ClassVar[str] = "DIR"
    config: Config
    # Files are read on their own, and never change.
    max_concurrency = 8

    class Config(BaseConfig):
        """Options of the store.

        Attributes:
            location: Its folder; without one ``$MARKETGPT_STORE``, else ``marketgpt-data`` where we are.
            source: Which source's candles, where the store holds those of several.
        """

        location: Path | None = None
        source: str | None = None

    def symbols(self, interval: Interval = Interval.DAY) -> tuple[str, ...]:
        """Return the stored symbols, sorted; () when none is stored at this interval.

        Raises:
            ConfigError: when there is no store, or it holds several sources and none is chosen.
        """
        source = self._source(interval)
        return () if source is None else tuple(self._store().entries(source, interval))

    def fetch(
        self,
        symbols: Sequence[str],
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        interval: Interval = Interval.DAY,
    ) -> Candles:
        """Return the candles with ``start <= time < end``; see :meth:`DataSource.fetch`."""
        store, source = self._store(), self._source(interval)
        if source is None:
            raise DataError(self._nothing(store, interval))
        return store.read(source, symbols, start, end, interval)

    def raw(
        self,
        symbols: Sequence[str],
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        interval: Interval = Interval.DAY,
    ) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield one frame a symbol; see :meth:`DataSource.raw`."""
        where = f"store {self._store().root}"
        for symbol in check_known(symbols, self.symbols(interval), where=where):
            frame = self.fetch([symbol], start=start, end=end, interval=interval).to_frame()
            if len(frame):
                yield f"{symbol} in {where}", frame.assign(time=frame["time"].dt.tz_localize(None))

    def summary(self, interval: Interval = Interval.DAY) -> Mapping[str, SymbolSummary]:
        """Return what is stored of each symbol; see :meth:`DataSource.summary`."""
        source = self._source(interval)
        entries = {} if source is None else self._store().entries(source, interval)
        return {
            symbol: SymbolSummary(one.category, one.rows, one.first, one.last)
            for symbol, one in entries.items()
        }

    def _store(self) -> Store:
        folder = self.config.location or store_folder()
        if not folder.is_dir():
            raise ConfigError(
                f"there is no store at {folder}: fill it with 'marketgpt data fetch', or write store:DIR"
            )
        return Store(folder)

    def _source(self, interval: Interval) -> str | None:
        """Return the source to read; None when none has candles at this interval."""
        store = self._store()
        known = store.sources()
        if self.config.source is not None:
            if self.config.source not in known:
                where = f"the store at {store.root}"
                raise ConfigError(
                    f"no source {self.config.source!r} in {where}; {hint(self.config.source, known)}"
                )
            return self.config.source
        having = [name for name in known if interval in known[name] and store.entries(name, interval)]
        if len(having) > 1:
            raise ConfigError(
                f"the store at {store.root} holds {', '.join(having)} at {interval}: choose one, "
                f"for example with -o source={having[0]}"
            )
        return having[0] if having else None

    def _nothing(self, store: Store, interval: Interval) -> str:
        held = [f"{name} at {', '.join(intervals)}" for name, intervals in store.sources().items()]
        return f"no candles at {interval} in the store at {store.root}; it has {'; '.join(held) or 'none'}"
