from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.interval import Interval
from marketgpt_core.testing import make_candles
from marketgpt_data_sources import load_candles, open_source
from marketgpt_data_sources.sources.stored import Stored
from marketgpt_data_sources.store import Store
from marketgpt_data_sources.testing import DataSourceConformance

HISTORY = make_candles(["AAA", "BBB", "CCC"], num_candles=30)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    for series in HISTORY.values():
        store.update("yfinance", series, since=None, whole=True)
    return store


class TestStored(DataSourceConformance):
    @pytest.fixture
    def implementation(self, store: Store) -> Stored:
        return Stored(Stored.Config(location=store.root))


def test_the_default_folder(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETGPT_STORE", str(store.root))
    assert load_candles("store").fingerprint() == HISTORY.fingerprint()
    assert load_candles(f"store:{store.root}", ["CCC", "AAA"]).symbols == ("CCC", "AAA")


def test_several_sources_need_a_choice(store: Store) -> None:
    store.update("csv", HISTORY["BBB"][:3], since=None, whole=True)
    source = open_source(f"store:{store.root}")
    with pytest.raises(
        ConfigError, match=r"holds csv, yfinance at 1d: choose one, for example with -o source=csv"
    ):
        source.symbols()
    with pytest.raises(ConfigError, match="choose one"):
        source.fetch(["BBB"])
    chosen = open_source(f"store:{store.root}", {"source": "csv"})
    assert chosen.symbols() == ("BBB",)
    assert len(chosen.fetch(["BBB"])["BBB"]) == 3
    assert open_source(f"store:{store.root}", {"source": "yfinance"}).symbols() == HISTORY.symbols
    with pytest.raises(ConfigError, match=r"no source 'yfinanc' in the store at .*did you mean 'yfinance'"):
        open_source(f"store:{store.root}", {"source": "yfinanc"}).symbols()


def test_another_interval_is_no_ambiguity(store: Store) -> None:
    hourly = replace(HISTORY["AAA"][:3], interval=Interval.HOUR)
    store.update("csv", hourly, since=None, whole=True)
    source = open_source(f"store:{store.root}")
    assert source.symbols() == HISTORY.symbols
    assert source.symbols(Interval.HOUR) == ("AAA",)
    assert source.symbols(Interval.MINUTE) == ()
    with pytest.raises(
        DataError, match=r"no candles at 1m in the store at .*; it has csv at 1h; yfinance at 1d"
    ):
        source.fetch(["AAA"], interval=Interval.MINUTE)


def test_no_store(tmp_path: Path) -> None:
    for attempt in (lambda s: s.symbols(), lambda s: s.fetch(["AAA"]), lambda s: list(s.raw(["AAA"]))):
        with pytest.raises(
            ConfigError, match=r"there is no store at .*none: fill it with 'marketgpt data fetch'"
        ):
            attempt(open_source(f"store:{tmp_path / 'none'}"))
    with pytest.raises(DataError, match=r"no candles at 1d in the store at .*; it has none"):
        open_source(f"store:{tmp_path}").fetch(["AAA"])


def test_raw_gives_a_frame_a_symbol(store: Store) -> None:
    source = open_source(f"store:{store.root}")
    frames = list(source.raw(["BBB", "AAA"], start=HISTORY["AAA"].time[10]))
    assert [where.split(" in store ")[0] for where, _ in frames] == ["BBB", "AAA"]
    frame = frames[0][1]
    assert frame["time"].dtype == "datetime64[ns]"
    assert np.array_equal(frame["close"], HISTORY["BBB"].close[10:])
    assert list(source.raw(["AAA"], end="1999-01-01")) == []


def test_summary_reads_no_candles(store: Store) -> None:
    for path in (store.root / "yfinance" / "1d").glob("*.parquet"):
        path.unlink()
    found = open_source(f"store:{store.root}").summary()
    assert list(found) == ["AAA", "BBB", "CCC"]
    assert (found["BBB"].candles, found["BBB"].last) == (30, HISTORY["BBB"].time[-1])
    assert open_source(f"store:{store.root}").summary(Interval.HOUR) == {}
