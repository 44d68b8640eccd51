"""The conformance suite on every registered source: one without an entry in OPENED fails here."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from marketgpt_core.clock import FixedClock
from marketgpt_core.interval import Interval
from marketgpt_core.testing import make_candles
from marketgpt_data_sources import data_sources, open_source
from marketgpt_data_sources.base import DataSource
from marketgpt_data_sources.loopback.yahoo import YahooServer, walk, weekdays
from marketgpt_data_sources.store.store import Store
from marketgpt_data_sources.testing import DataSourceConformance
from marketgpt_data_sources.writing import write_parquet

SYMBOLS = ("AAA", "BBB", "^CCC")


@dataclass(frozen=True)
class Place:
    """What an opener may use."""

    folder: Path
    yahoo: YahooServer


def _csv(place: Place) -> DataSource:
    make_candles(SYMBOLS[:2]).to_frame().to_csv(place.folder / "long.csv", index=False)
    alone = make_candles(SYMBOLS[2:]).to_frame().drop(columns="symbol")
    alone.to_csv(place.folder / f"{SYMBOLS[2]}.csv", index=False)
    return open_source(f"csv:{place.folder}")


def _parquet(place: Place) -> DataSource:
    make_candles(SYMBOLS[:2]).to_frame().to_parquet(place.folder / "long.parquet", index=False)
    write_parquet(make_candles(SYMBOLS[2:]), place.folder)
    return open_source(f"parquet:{place.folder}")


def _sample(place: Place) -> DataSource:
    if find_spec("arch") is None:
        pytest.skip("arch is not installed: the extra 'sample'")
    return open_source("sample")


def _store(place: Place) -> DataSource:
    store = Store(place.folder)
    for series in make_candles(SYMBOLS, num_candles=60).values():
        store.update("csv", series, since=None, whole=True)
    return open_source(f"store:{place.folder}")


def _synthetic(law: str, place: Place) -> DataSource:
    return open_source(f"synthetic:{law}", {"num_candles": 200})


def _yfinance(place: Place) -> DataSource:
    for number, symbol in enumerate(("ACME", "^IDX")):
        place.yahoo.list(symbol, weekdays(date(2024, 3, 1), 30), walk(30, seed=number))
    source = open_source("yfinance", {"mirror": place.yahoo.base, "requests_per_s": 0.0})
    clock = FixedClock(datetime(2024, 6, 3, 12, tzinfo=UTC))
    source.clock, source.rng = clock, random.Random(0)
    source.sleep = lambda seconds: clock.advance(timedelta(seconds=seconds))
    return source


# Those that list nothing, or list more than a fast test wants.
NAMED = {"yfinance": ("ACME", "^IDX"), "sample": ("GOOG", "^IXIC")}
OPENED: dict[str, dict[str, Callable[[Place], DataSource]]] = {
    "csv": {"": _csv},
    "parquet": {"": _parquet},
    "sample": {"": _sample},
    "store": {"": _store},
    "synthetic": {
        law: partial(_synthetic, law) for law in ("random_walk", "garch_t", "regime_switching", "jumps")
    },
    "yfinance": {"": _yfinance},
}


def _ours() -> list[str]:
    names = data_sources().names()
    return [n for n in names if data_sources().provider(n).distribution == "marketgpt-data-sources"]


def test_no_source_is_without_its_suite() -> None:
    assert sorted(OPENED) == sorted(_ours()), "give the new source an entry in OPENED"


class TestEverySource(DataSourceConformance):
    @pytest.fixture(params=[(name, case) for name in OPENED for case in OPENED[name]], ids=":".join)
    def case(self, request: pytest.FixtureRequest) -> tuple[str, str]:
        name, case = request.param
        return name, case

    @pytest.fixture
    def implementation(self, case: tuple[str, str], tmp_path: Path, yahoo: YahooServer) -> DataSource:
        opener = OPENED[case[0]][case[1]]
        return opener(Place(tmp_path, yahoo))

    @pytest.fixture
    def asked(self, case: tuple[str, str], implementation: DataSource) -> tuple[list[str], Interval]:
        listed = NAMED.get(case[0]) or implementation.symbols()[:3]
        return list(listed), Interval.DAY
