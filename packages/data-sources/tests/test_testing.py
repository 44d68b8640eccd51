"""The conformance suite must catch what it is for: sources broken on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_core.testing import make_candles
from marketgpt_data_sources.sources.synthetic import Synthetic
from marketgpt_data_sources.testing import DataSourceConformance

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


def _passes(source: Synthetic, test: str) -> bool:
    suite = DataSourceConformance()
    asked = (list(SYMBOLS), Interval.DAY)
    arguments = {"implementation": source, "asked": asked, "candles": source.fetch(SYMBOLS)}
    method = getattr(suite, test)
    wanted = method.__code__.co_varnames[1 : method.__code__.co_argcount]
    try:
        method(**{name: arguments[name] for name in wanted})
    except (AssertionError, DataError, pytest.fail.Exception):
        return False
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
    ],
)
def test_catches(broken: type[Synthetic], test: str) -> None:
    config = Synthetic.Config(num_symbols=3, num_candles=50)
    assert _passes(Synthetic(config), test)
    assert not _passes(broken(config), test)
