"""The conformance suite must catch what it is for: sources broken on purpose."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.clock import FixedClock
from marketgpt_core.errors import DataError, FetchError
from marketgpt_core.interval import Interval
from marketgpt_core.testing import make_candles
from marketgpt_data_sources.pacing.network import NetworkConfig, NetworkSource
from marketgpt_data_sources.pacing.testing import NetworkRequirements
from marketgpt_data_sources.sources.synthetic import Synthetic
from marketgpt_data_sources.testing import HOSTILE_SYMBOLS, DataSourceConformance

SYMBOLS = ("SYN000", "SYN001", "SYN002")


class IncludesEnd(Synthetic):
    def fetch(self, symbols: Sequence[str], *, start: Any = None, end: Any = None, **rest: Any) -> Candles:
        later = None if end is None else np.datetime64(end, "ns") + np.timedelta64(1, "D")
        return super().fetch(symbols, start=start, end=later, **rest)


class DropsUnknown(Synthetic):
    def fetch(self, symbols: Sequence[str], **rest: Any) -> Candles:
        return super().fetch([symbol for symbol in symbols if symbol in self.symbols()], **rest)


class NoHint(Synthetic):
    def fetch(self, symbols: Sequence[str], **rest: Any) -> Candles:
        if not set(symbols) <= set(self.symbols()):
            raise DataError(f"no {', '.join(symbols)}")
        return super().fetch(symbols, **rest)


class Restless(Synthetic):
    calls = 0

    def fetch(self, symbols: Sequence[str], **rest: Any) -> Candles:
        self.calls += 1
        return make_candles(symbols, seed=self.calls)


class Sorts(Synthetic):
    def fetch(self, symbols: Sequence[str], **rest: Any) -> Candles:
        return super().fetch(sorted(symbols, reverse=True), **rest)


class RaisesOnEmpty(Synthetic):
    def fetch(self, symbols: Sequence[str], **rest: Any) -> Candles:
        found = super().fetch(symbols, **rest)
        if not len(found):
            raise DataError("nothing there")
        return found


class OpensAFile(Synthetic):
    def fetch(self, symbols: Sequence[str], **rest: Any) -> Candles:
        for symbol in symbols:
            try:
                Path(f"/nowhere/{symbol}.csv").open().close()
            except (OSError, ValueError):
                continue
        return super().fetch(symbols, **rest)


class SaysTooMuch(Synthetic):
    def fetch(self, symbols: Sequence[str], **rest: Any) -> Candles:
        if not set(symbols) <= set(self.symbols()):
            raise DataError(f"no such symbol: {symbols[0]}")
        return super().fetch(symbols, **rest)


class RawLosesRows(Synthetic):
    def raw(self, symbols: Sequence[str], **rest: Any) -> Iterator[tuple[str, pd.DataFrame]]:
        for where, frame in super().raw(symbols, **rest):
            yield where, frame.iloc[1:]


class RawKnowsZones(Synthetic):
    def raw(self, symbols: Sequence[str], **rest: Any) -> Iterator[tuple[str, pd.DataFrame]]:
        for where, frame in super().raw(symbols, **rest):
            yield where, frame.assign(time=frame["time"].dt.tz_localize("UTC"))


class RawForgetsVolume(Synthetic):
    def raw(self, symbols: Sequence[str], **rest: Any) -> Iterator[tuple[str, pd.DataFrame]]:
        for where, frame in super().raw(symbols, **rest):
            yield where, frame.drop(columns="volume")


class RawStartsLate(Synthetic):
    def raw(
        self, symbols: Sequence[str], *, start: Any = None, **rest: Any
    ) -> Iterator[tuple[str, pd.DataFrame]]:
        later = None if start is None else np.datetime64(start, "ns") + np.timedelta64(4, "D")
        yield from super().raw(symbols, start=later, **rest)


class MixesThreadsUp(Synthetic):
    """Keeps in the instance what belongs to a call; here every thread gets what the first one asked for."""

    max_concurrency = 4

    def fetch(self, symbols: Sequence[str], **rest: Any) -> Candles:
        if threading.current_thread() is not threading.main_thread():
            symbols = self.__dict__.setdefault("asked", symbols)
        return super().fetch(symbols, **rest)


def _passes(source: Synthetic, test: str) -> bool:
    suite = DataSourceConformance()
    asked = (list(SYMBOLS), Interval.DAY)
    arguments = {"implementation": source, "asked": asked, "candles": source.fetch(SYMBOLS)}
    arguments["symbol"] = HOSTILE_SYMBOLS["long" if isinstance(source, SaysTooMuch) else "parent"]
    method = getattr(suite, test)
    wanted = method.__code__.co_varnames[1 : method.__code__.co_argcount]
    try:
        method(**{name: arguments[name] for name in wanted})
    except (AssertionError, DataError, pytest.fail.Exception):
        return False
    except pytest.skip.Exception:
        return True
    return True


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (IncludesEnd, "test_range_is_half_open"),
        (DropsUnknown, "test_unknown_symbol_is_refused_with_a_hint"),
        (NoHint, "test_unknown_symbol_is_refused_with_a_hint"),
        (Restless, "test_same_request_gives_the_same_candles"),
        (Sorts, "test_gives_what_was_asked_for"),
        (RaisesOnEmpty, "test_empty_range_gives_empty_candles"),
        (OpensAFile, "test_hostile_symbol_touches_nothing"),
        (SaysTooMuch, "test_hostile_symbol_touches_nothing"),
        (RawLosesRows, "test_raw_is_what_fetch_is_made_of"),
        (RawKnowsZones, "test_raw_is_what_fetch_is_made_of"),
        (RawForgetsVolume, "test_raw_is_what_fetch_is_made_of"),
        (RawStartsLate, "test_raw_of_a_range_has_all_its_rows"),
        (MixesThreadsUp, "test_threads_may_share_it"),
    ],
)
def test_catches(broken: type[Synthetic], test: str) -> None:
    config = Synthetic.Config(num_symbols=3, num_candles=50)
    sound = type("Sound", (Synthetic,), {"max_concurrency": 4})
    assert _passes(sound(config), test)
    assert not _passes(broken(config), test)


class Asker(NetworkSource):
    """A source that asks nobody, to run what every network source must do on."""

    Config = NetworkConfig

    def symbols(self, interval: Interval = Interval.DAY) -> tuple[str, ...]:
        return ()

    def fetch(self, symbols: Sequence[str], **rest: Any) -> Candles:
        raise NotImplementedError


class TestAsker(NetworkRequirements):
    @pytest.fixture
    def implementation(self) -> Asker:
        return Asker(NetworkConfig())


class AsksOnce(Asker):
    def ask(self, symbol: str, function: Callable[[], Any]) -> Any:
        return function()


class AsksForEver(Asker):
    def ask(self, symbol: str, function: Callable[[], Any]) -> Any:
        while True:
            try:
                return function()
            except FetchError as error:
                self.sleep(1.0)
                if function.asked > 30:
                    raise error from None


class Impatient(Asker):
    def _wait_s(self, attempt: int, error: FetchError) -> float:
        return 0.0

    def _settle(self, probe: bool, error: FetchError) -> bool:
        self.breaker.undecided(probe)
        return True


class Trusting(Asker):
    def classify(self, symbol: str, error: Exception) -> FetchError | None:
        return error if isinstance(error, FetchError) else None


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (AsksOnce, "test_asks_again_for_what_passes"),
        (Impatient, "test_asks_again_for_what_passes"),
        (AsksForEver, "test_gives_up_after_its_attempts"),
        (AsksForEver, "test_does_not_ask_again_for_what_stays"),
        (AsksOnce, "test_stops_asking_a_server_that_is_down"),
        (Trusting, "test_a_broken_line_is_unreachable"),
    ],
)
def test_catches_bad_manners(broken: type[Asker], test: str) -> None:
    def passes(source: Asker) -> bool:
        suite, waits = NetworkRequirements(), []
        source.clock = FixedClock(datetime(2024, 6, 3, tzinfo=UTC))
        source.sleep = lambda seconds: (
            waits.append(seconds),
            source.clock.advance(timedelta(seconds=seconds)),
        )
        method = getattr(suite, test)
        wanted = method.__code__.co_varnames[1 : method.__code__.co_argcount]
        try:
            method(**{name: {"network": source, "waits": waits}[name] for name in wanted})
        except (AssertionError, FetchError, pytest.fail.Exception):
            return False
        return True

    assert passes(Asker(NetworkConfig()))
    assert not passes(broken(NetworkConfig()))
