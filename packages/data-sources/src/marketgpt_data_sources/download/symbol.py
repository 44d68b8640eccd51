"""One symbol's way from a source to the store: what to ask for, what to keep, what went wrong."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from marketgpt_core.calendars import trading_calendar
from marketgpt_core.clock import Clock, SystemClock
from marketgpt_core.errors import DataError, FetchError, FetchReason, MarketGPTError
from marketgpt_core.exchanges import exchange_of
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_core.times import to_datetime, to_datetime64
from marketgpt_data_sources.download.ask import Ask, within
from marketgpt_data_sources.download.config import DownloadConfig
from marketgpt_data_sources.download.freshness import is_current
from marketgpt_data_sources.download.outcome import Outcome, Status
from marketgpt_data_sources.pacing.breaker import CircuitOpenError
from marketgpt_data_sources.pacing.network import NetworkSource
from marketgpt_data_sources.quality import Cleaned, clean
from marketgpt_data_sources.store import Entry, Store, Update, UpdateKind

if TYPE_CHECKING:
    from marketgpt_data_sources.base import DataSource

logger = logging.getLogger(__name__)

_STATUS = {
    UpdateKind.NEW: Status.NEW,
    UpdateKind.APPENDED: Status.APPENDED,
    UpdateKind.UNCHANGED: Status.UNCHANGED,
    UpdateKind.REPLACED: Status.REPLACED,
}
_MOST_FAULTS_SHOWN = 3
# Of a candle that has not ended yet: nothing is wrong with it, it comes too early.
_UNFINISHED = "unfinished"
# Of a candle that the ones after it prove wrong: it may have been stored before they came.
_SPIKE = "spike"
# A vendor's reach moves on while a request waits for its turn.
_REACH_MARGIN = timedelta(hours=1)


@dataclass(frozen=True)
class SymbolDownload:
    """Fetches symbols of one source into one store, one at a time; safe from several threads.

    Attributes:
        source: Where candles come from.
        name: The source's name, which is its folder in the store.
        store: Where they go.
        since: First date wanted; None continues what is stored, and fetches the rest as far back as there is.
        until: Date after the last wanted; None for as late as there is.
        interval: Length of a candle.
        config: Options.
        calendars, categories: By symbol; left out: from the symbol's shape.
        clock: Tells what can be known now.
        is_own_place: Whether the source reads a place of the user's, who may have changed anything in it:
            every symbol is then read whole, every time.
        writing: Held while the store is written to: our threads then wait for each other without polling
            its file lock.
    """

    source: DataSource
    name: str
    store: Store
    since: datetime | None = None
    until: datetime | None = None
    interval: Interval = Interval.DAY
    config: DownloadConfig = field(default_factory=DownloadConfig)
    calendars: Mapping[str, str] = field(default_factory=dict)
    categories: Mapping[str, Category] = field(default_factory=dict)
    clock: Clock = field(default_factory=SystemClock)
    is_own_place: bool = False
    writing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def fetch(self, symbol: str) -> Outcome:
        """Bring one symbol up to date, unless the store already has all that can be known.

        A source that fails is an outcome; an error of the store is raised.
        """
        # Read now, not when the download began: another process may have fetched the symbol meanwhile.
        entry = self.entry(symbol)
        ask = self.plan(symbol, entry)
        if ask is None:
            return self._outcome(symbol, Status.CURRENT)
        requests = 1
        try:
            outcome = self._ask_and_keep(symbol, ask)
            if outcome is None:  # restated: the end of the history does not fit what is stored
                requests = 2
                outcome = self._ask_and_keep(symbol, self.whole(entry))
        except CircuitOpenError as error:
            return self._outcome(
                symbol, Status.NOT_TRIED, reason="not tried", message=_line(error), requests=requests
            )
        except FetchError as error:
            return self.failed(symbol, error, requests=requests)
        return replace(_settled(outcome), requests=requests)

    def keep_whole(self, symbol: str, frame: pd.DataFrame, *, where: str) -> Outcome:
        """Store a symbol's rows that were read together with those of others; see :meth:`keep`."""
        try:
            return _settled(self.keep(symbol, frame, self.whole(self.entry(symbol)), where=where))
        except FetchError as error:
            return self.failed(symbol, error)

    def plan(self, symbol: str, entry: Entry | None) -> Ask | None:
        """Return what to ask for, or None when the store already has it."""
        if entry is None or self.is_own_place or self._reaches_back_further(entry):
            return self.whole(entry)
        if not self.config.refresh and self._is_current(symbol, entry):
            return None
        start = self.store.overlap(self.name, self.interval, symbol, self.config.overlap_bars)
        if start is None:
            return self.whole(entry)
        if self.until is not None and start >= to_datetime64(self.until):
            return None
        return Ask(self._within_reach(to_datetime(start)), self.until, whole=False, since=entry.since)

    def whole(self, entry: Entry | None) -> Ask:
        """Return the range of a whole history: what is wanted and all that is stored."""
        since, until = self.since, self.until
        if entry is not None:
            stored_since = self._within_reach(entry.since)
            if since is None or stored_since is None or stored_since < since:
                since = stored_since
            # A history that ended before what is stored would look as if the vendor had lost candles.
            if until is not None and to_datetime64(until) <= entry.last:
                until = None
        return Ask(since, until, whole=True, since=since)

    def _within_reach(self, since: datetime | None) -> datetime | None:
        """Return the moment, or the earliest one the vendor still has candles of."""
        earliest = self.source.earliest(self.interval) if isinstance(self.source, NetworkSource) else None
        if since is None or earliest is None:
            return since
        return max(since, earliest + _REACH_MARGIN)

    def entry(self, symbol: str) -> Entry | None:
        """Return what the store holds of a symbol."""
        return self.store.entry(self.name, self.interval, symbol)

    def _reaches_back_further(self, entry: Entry) -> bool:
        return self.since is not None and entry.since is not None and self.since < entry.since

    def _is_current(self, symbol: str, entry: Entry) -> bool:
        name = self.calendars.get(symbol) or exchange_of(symbol, entry.category).calendar
        return is_current(
            last=entry.last,
            checked_at=entry.checked_at,
            calendar=trading_calendar(name),
            interval=self.interval,
            now=self.clock.now(),
            until=self.until,
            grace=timedelta(seconds=self.config.grace_s),
        )

    def _ask_and_keep(self, symbol: str, ask: Ask) -> Outcome | None:
        with _told(symbol):
            answer = self.source.raw([symbol], start=ask.start, end=ask.end, interval=self.interval)
            frames = [frame for _, frame in answer if len(frame)]
        if not frames:
            raise _empty(symbol, ask)
        return self.keep(symbol, pd.concat(frames, ignore_index=True), ask, where=f"{self.name} {symbol}")

    def keep(self, symbol: str, frame: pd.DataFrame, ask: Ask, *, where: str) -> Outcome | None:
        """Store the sound rows of an answer and set the others aside.

        Args:
            symbol: The symbol.
            frame: Its rows, as :meth:`marketgpt_data_sources.base.DataSource.raw` yields them.
            ask: What was asked for; rows outside its range are dropped.
            where: Where they came from.

        Returns:
            The outcome; None, with nothing written, when the vendor has restated what is stored, so that the
            whole history is needed.

        Raises:
            FetchError: when there is no sound row, a bad row under ``strict``, or a whole history that lacks
                stored candles.
        """
        cleaned = self._cleaned(symbol, frame, ask, where)
        bad = cleaned.quarantined
        refused = bad[bad["reason"] != _UNFINISHED]
        if self.config.strict and len(refused):
            raise FetchError(f"{symbol}: {_faults(refused)}", reason=FetchReason.BAD_DATA)
        if len(bad):
            with self.writing:
                self.store.quarantine(self.name, self.interval, bad)
        fresh = cleaned.candles.get(symbol)
        if fresh is None and len(bad):
            raise FetchError(f"{symbol}: no sound row: {_faults(bad)}", reason=FetchReason.BAD_DATA)
        if fresh is None:
            raise _empty(symbol, ask)
        spikes = bad.loc[bad["reason"].str.contains(_SPIKE), "time"].to_numpy().astype("datetime64[ns]")
        with self.writing:
            update = self.store.update(
                self.name,
                fresh,
                since=ask.since,
                whole=ask.whole,
                replace=self.config.replace,
                disproved=spikes,
            )
        if update.kind is UpdateKind.READJUSTED:
            return None
        if update.kind is UpdateKind.SHRUNK:
            raise _shrunk(symbol, update)
        return self._outcome(
            symbol,
            _STATUS[update.kind],
            rows_added=update.rows_added,
            rows_revised=update.rows_revised,
            rows_quarantined=len(bad),
        )

    def _cleaned(self, symbol: str, frame: pd.DataFrame, ask: Ask, where: str) -> Cleaned:
        told = self._told_category(symbol)
        if told is not None:  # what the user says wins over what the source says
            frame = frame.drop(columns="category", errors="ignore")
        with _told(symbol):
            return clean(
                within(frame, ask),
                interval=self.interval,
                config=self.config.quality,
                where=where,
                now=self.clock.now(),
                calendars=self.calendars,
                adjust=bool(getattr(self.source.config, "adjust", True)),
                category=told,
            )

    def _told_category(self, symbol: str) -> Category | None:
        option: Category | None = getattr(self.source.config, "category", None)
        return self.categories.get(symbol) or option

    def failed(self, symbol: str, error: FetchError, *, requests: int = 0) -> Outcome:
        """Return the outcome of a failure, noted in the store."""
        message = _line(error)
        with self.writing:
            self.store.failed(self.name, self.interval, symbol, error.reason, message)
        return self._outcome(
            symbol, Status.FAILED, reason=str(error.reason), message=message, requests=requests
        )

    def _outcome(self, symbol: str, status: Status, **more: Any) -> Outcome:  # noqa: ANN401 - fields of Outcome
        entry = self.entry(symbol)
        if entry is not None:
            more |= {"rows_total": entry.rows}
            more |= {"first": to_datetime(entry.first), "last": to_datetime(entry.last)}
        return Outcome(symbol, status, **more)


def _settled(outcome: Outcome | None) -> Outcome:
    if outcome is None:
        raise AssertionError("a whole history is not compared with the end of what is stored")
    return outcome


@contextmanager
def _told(symbol: str) -> Iterator[None]:
    """Make what goes wrong with one symbol an outcome of that symbol; hundreds of others wait behind it."""
    try:
        yield
    except FetchError:
        raise
    except DataError as error:  # a file that cannot be read, rows that cannot be candles
        raise FetchError(_line(error), reason=FetchReason.BAD_DATA) from error
    except MarketGPTError:  # a mistake in the options concerns them all
        raise
    except Exception as error:
        logger.debug("%s", symbol, exc_info=True)
        message = f"{symbol}: unexpected {type(error).__name__}: {_line(error)} (--debug shows where)"
        raise FetchError(message, reason=FetchReason.BAD_ANSWER) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _empty(symbol: str, ask: Ask) -> FetchError:
    return FetchError(f"{symbol}: no candle {ask}", reason=FetchReason.EMPTY)


def _faults(bad: pd.DataFrame) -> str:
    counts = bad["reason"].value_counts()
    shown = [f"{count} x {reason}" for reason, count in counts.items()]
    more = [f"{len(shown) - _MOST_FAULTS_SHOWN} more kinds"] if len(shown) > _MOST_FAULTS_SHOWN else []
    first = bad["time"].min()
    since = "" if pd.isna(first) else f"; first {first:%Y-%m-%d}"
    return f"{len(bad)} bad rows ({', '.join(shown[:_MOST_FAULTS_SHOWN] + more)}{since})"


def _shrunk(symbol: str, update: Update) -> FetchError:
    message = f"{symbol}: {update.reason}; nothing was changed, --replace accepts the shorter history"
    return FetchError(message, reason=FetchReason.BAD_DATA)
