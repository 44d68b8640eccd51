"""Many symbols: side by side from a vendor, in one pass from a place of the user's."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from marketgpt_core.clock import Clock, SystemClock
from marketgpt_core.errors import ConfigError, DataError, FetchError, FetchReason, RunError, hint
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category, check_symbol
from marketgpt_core.times import Moment, iso, to_datetime
from marketgpt_data_sources.download.config import DownloadConfig
from marketgpt_data_sources.download.outcome import DownloadReport, Outcome, Status, in_order
from marketgpt_data_sources.download.symbol import SymbolDownload
from marketgpt_data_sources.pacing.network import NetworkSource
from marketgpt_data_sources.store import Store
from marketgpt_data_sources.store.layout import Shelf

if TYPE_CHECKING:
    import pandas as pd

    from marketgpt_data_sources.base import DataSource

logger = logging.getLogger(__name__)

_INTERRUPTED = "interrupted"
# Waits for a source's pace are shorter; one this long is told, or it would look like a hang.
_LONG_WAIT_S = 20.0


class _Stopped(BaseException):
    """Ends the wait of a symbol when the download is stopped; no error, and none a source may catch."""


@dataclass(frozen=True)
class _NoLaterThan:
    """The clock of a store that is told of candles before a moment only: it knows no more than then."""

    latest: datetime
    clock: Clock

    def now(self) -> datetime:
        return min(self.latest, self.clock.now())


def download(
    source: DataSource,
    name: str,
    store: Store,
    symbols: Sequence[str],
    *,
    since: Moment | None = None,
    until: Moment | None = None,
    interval: Interval = Interval.DAY,
    config: DownloadConfig | None = None,
    calendars: Mapping[str, str] | None = None,
    categories: Mapping[str, Category] | None = None,
    clock: Clock | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
    stop: threading.Event | None = None,
) -> DownloadReport:
    """Bring symbols up to date in a store; each is durable as soon as its outcome is told.

    A symbol the store lacks is fetched whole. Of a stored one only the end is asked for, from a few candles
    before the last one on: if these differ, the vendor has restated its history, and the whole is fetched
    again. A symbol is not asked at all when the store has everything that can be known by now, so that a
    download which was interrupted, at any point and in any way, is resumed by running it again. A source that
    reads a place of the user's (``parquet:DIR``) is read whole every time.

    Args:
        source: Where candles come from.
        name: Its name, which is its folder in the store: ``yfinance``.
        store: Where they go.
        symbols: What to fetch; repetitions are dropped.
        since: First date wanted; a symbol stored from a later date on is fetched whole. None continues what
            is stored, and fetches the rest as far back as there is.
        until: Date after the last wanted; None for as late as there is.
        interval: Length of a candle.
        config: Options.
        calendars: Trading calendar by symbol, as a universe gives them; left out: from the symbol's shape.
        categories: Category by symbol, likewise.
        clock: Tells what can be known now.
        on_outcome: Called with each outcome, in the calling thread, in the order symbols end.
        stop: Set from elsewhere (a signal handler), it ends the download: waits end at once, requests under
            way are finished and stored, the others are reported as not tried.

    Returns:
        An outcome for every symbol; that a symbol failed is not an error.

    Raises:
        ConfigError: for a range that is none.
        DataError: for what is not a symbol.
        RunError: when the store cannot be written to.
    """
    asked = [check_symbol(symbol, where=name) for symbol in dict.fromkeys(symbols)]
    clock = clock or SystemClock()
    stop = stop or threading.Event()
    end = None if until is None else to_datetime(until)
    one = SymbolDownload(
        source,
        name,
        store if end is None else Store(store.root, clock=_NoLaterThan(end, store.clock)),
        since=None if since is None else to_datetime(since),
        until=end,
        interval=interval,
        config=config or DownloadConfig(),
        calendars=calendars or {},
        categories=categories or {},
        clock=clock,
        is_own_place=source.location_field is not None and not isinstance(source, NetworkSource),
    )
    if one.since is not None and one.until is not None and one.since >= one.until:
        raise ConfigError(f"nothing lies between since {iso(one.since)} and until {iso(one.until)}")
    begun = clock.now()
    outcomes = []
    for outcome in _outcomes(one, asked, stop):
        outcomes.append(outcome)
        if on_outcome is not None:
            on_outcome(outcome)
    seconds = (clock.now() - begun).total_seconds()
    return DownloadReport(in_order(outcomes, asked), seconds, interrupted=stop.is_set())


def _outcomes(one: SymbolDownload, symbols: list[str], stop: threading.Event) -> Iterator[Outcome]:
    known = set(one.source.symbols(one.interval))
    there = [symbol for symbol in symbols if not known or symbol in known]
    for symbol in symbols:
        if known and symbol not in known:
            message = f"{symbol}: {one.name} does not have it; {hint(symbol, known)}"
            yield one.failed(symbol, FetchError(message, reason=FetchReason.EMPTY))
    if one.is_own_place:
        yield from _in_one_pass(one, there, stop)
    else:
        yield from _side_by_side(one, there, stop)


def _side_by_side(one: SymbolDownload, symbols: Sequence[str], stop: threading.Event) -> Iterator[Outcome]:
    """Fetch each symbol on its own, as many at a time as the source allows."""
    given_up: list[str] = []  # why, once the source has been
    _let_waits_end(one, stop)

    def task(symbol: str) -> Outcome:
        if stop.is_set():
            return _not_tried(symbol, _INTERRUPTED)
        if given_up:
            return _not_tried(symbol, given_up[0])
        try:
            outcome = one.fetch(symbol)
        except _Stopped:
            return _not_tried(symbol, _INTERRUPTED)
        if outcome.status is Status.NOT_TRIED:
            given_up.append(outcome.message.removeprefix(f"{symbol}: "))
        return outcome

    with _ordered(one, symbols) as ordered, ThreadPoolExecutor(one.source.max_concurrency) as pool:
        try:
            for done in as_completed([pool.submit(task, symbol) for symbol in ordered]):
                yield done.result()
        except BaseException:
            stop.set()  # the pool waits for its tasks; there is no use in more of them
            raise


@contextmanager
def _ordered(one: SymbolDownload, symbols: Sequence[str]) -> Iterator[Sequence[str]]:
    """Give the symbols, from the other end while another process fetches too: the two meet in the middle.

    Nothing is wrong if both ask for a symbol at the same time, but the source is asked twice.
    """
    path = Shelf(one.store.root, one.name, one.interval).folder / "fetch.lock"
    lock = FileLock(path, blocking=False)
    is_only_one = True
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        is_only_one = False
    except OSError as error:
        raise RunError(f"cannot write to the store {one.store.root}: {error.strerror}") from error
    try:
        yield symbols if is_only_one else symbols[::-1]
    finally:
        lock.release()


def _in_one_pass(one: SymbolDownload, symbols: Sequence[str], stop: threading.Event) -> Iterator[Outcome]:
    """Read the place once: many symbols may lie in one file, and reading it for each would take hours."""
    left = dict.fromkeys(symbols)
    for symbol, rows, where in _pieces(one, symbols):
        if stop.is_set():
            break
        if symbol not in left:
            raise DataError(f"{symbol} is in two places of {one.name}, the second is {where}: keep one")
        del left[symbol]
        yield one.keep_whole(symbol, rows, where=where)
    # Of a file that cannot be read, its symbols say why; those of the others come through one by one.
    for symbol in left:
        yield _not_tried(symbol, _INTERRUPTED) if stop.is_set() else one.fetch(symbol)


def _pieces(one: SymbolDownload, symbols: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame, str]]:
    try:
        for where, frame in one.source.raw(symbols, interval=one.interval):
            for symbol, rows in frame.groupby("symbol", sort=False, observed=True):
                yield str(symbol), rows, where
    except DataError as error:
        logger.info("%s cannot be read in one pass: %s", one.name, error)


def _not_tried(symbol: str, message: str) -> Outcome:
    return Outcome(symbol, Status.NOT_TRIED, reason=str(Status.NOT_TRIED), message=f"{symbol}: {message}")


def _let_waits_end(one: SymbolDownload, stop: threading.Event) -> None:
    """Make a source's waits - for its pace, before another attempt - end when the download is stopped."""
    source = one.source
    if not isinstance(source, NetworkSource) or source.sleep is not time.sleep:
        return
    telling = threading.Lock()

    def wait(seconds: float) -> None:
        # Every thread waits for the same: one tells.
        tells = seconds >= _LONG_WAIT_S and source.breaker.is_open and telling.acquire(blocking=False)
        try:
            if tells:
                logger.warning("%s does not answer; asking again in %.0f s", one.name, seconds)
            if stop.wait(seconds):
                raise _Stopped
        finally:
            if tells:
                telling.release()

    source.sleep = wait
